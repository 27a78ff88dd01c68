"""`bp.plot`: each function draws what it says, into the axes that it is given."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest

import pybp as bp

pytest.importorskip("matplotlib", reason='Matplotlib is missing: pip install ".[examples]"')
import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def canvas(ax: plt.Axes) -> np.ndarray:
    """Return what is drawn, without the gaps: RGB, and whether a place is drawn."""
    (image,) = ax.get_images()
    return np.asarray(image.get_array())


def overlaps(ax: plt.Axes) -> int:
    """Count the pairs of texts that lie on each other, once all is drawn."""
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    return sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.fixture
def net() -> bp.Sequential:
    layers = [bp.Conv2d(4, 3), bp.BatchNorm(), bp.ReLU(), bp.Conv2d(20, 2, name="second")]
    layers += [bp.Flatten(), bp.Linear(3)]
    return bp.Sequential(layers).build((6, 5, 1))


# --------------------------------------------------------------------------------------- images


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3)])
def test_images_stand_in_rows_at_their_values(shape):
    x = np.random.default_rng(0).integers(0, 256, (5, *shape)).astype("u1")
    ax = bp.plot.images(x, columns=3)
    drawn = canvas(ax)
    assert drawn.shape == (2 * 5 + 1, 3 * 4 + 2, 4)  # a gap of one pixel between pictures
    first = x[0].reshape(5, 4, -1) / 255
    np.testing.assert_allclose(drawn[:5, :4, :3], np.broadcast_to(first, (5, 4, 3)), atol=3e-3)
    np.testing.assert_array_equal(drawn[5], 0)  # the gap is transparent
    np.testing.assert_array_equal(drawn[6:, 10:], 0)  # there are five pictures, not six
    assert ax.get_xlabel() == ""


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ([0.25, 0.5], ""),
        ([-1.0, 3.0], "black -1, white 3"),
        ([0.0, np.nan, 2.0], "black 0, white 2"),
    ],
)
def test_other_scales_stand_below(values, label):
    x = np.array(values, "f4")[None, None]
    ax = bp.plot.images(x)
    assert ax.get_xlabel() == label
    low, high = (0, 1) if not label else (np.nanmin(x), np.nanmax(x))
    known = np.isfinite(x[0, 0])
    expected = ((x[0, 0] - low) / (high - low))[known]
    np.testing.assert_allclose(canvas(ax)[0, known, 0], expected, atol=3e-3)


def test_given_limits_cut_off():
    ax = bp.plot.images(np.array([[[-5.0, 0, 5]]]), limits=(0, 1))
    np.testing.assert_allclose(canvas(ax)[0, :, 0], [0, 0, 1])


@pytest.mark.parametrize("size", [(4, 4), (9, 3), (3, 9), None])
@pytest.mark.parametrize("title", ["7", "ankle boot: 0.1%\nsneaker: 97.3%"])
def test_titles_do_not_overlap(size, title):
    ax = None if size is None else plt.figure(figsize=size).subplots()
    got = bp.plot.images(np.zeros((20, 28, 28)), [title] * 20, columns=6, ax=ax)
    assert ax is None or got is ax
    assert len(got.texts) == 20
    assert overlaps(got) == 0


def test_bad_pictures_and_titles():
    for shape in [(4, 4), (2, 4, 4, 2), (0, 4, 4), (1, 2, 3, 4, 5)]:
        with pytest.raises(ValueError, match=r"pictures must have the shape"):
            bp.plot.images(np.zeros(shape))
    with pytest.raises(ValueError, match="3 pictures, but 2 titles"):
        bp.plot.images(np.zeros((3, 4, 4)), ["a", "b"])
    with pytest.raises(ValueError, match="columns"):
        bp.plot.images(np.zeros((3, 4, 4)), columns=0)


# -------------------------------------------------------------------------- filters, feature maps


def test_filters_of_one_channel(net, backend):
    weight = np.zeros((3, 3, 1, 4), "f4")
    weight[1, 1, 0] = [2, 1, -1, -2]
    net.params["0.weight"] = weight
    ax = bp.plot.filters(net, 0)
    drawn = canvas(ax)
    assert drawn.shape == (3, 4 * 3 + 3, 4)
    white, middles = drawn[0, 0], drawn[1, 1::4]
    assert white[:3].min() > 0.95
    assert (middles[:2, 0] > middles[:2, 2]).all()  # red: positive
    assert (middles[2:, 0] < middles[2:, 2]).all()  # blue: negative
    assert "4 kernels 3 x 3, 1 input channel" in ax.get_title()
    assert "-2 and 2" in ax.get_xlabel()


def test_filters_of_many_channels_and_of_colours(net):
    ax = bp.plot.filters(net, "second")
    drawn = canvas(ax)
    assert drawn.shape == (4 * 2 + 3, 16 * 2 + 15, 4)  # an input a row, an output a column
    kernel = net.params["second.weight"][..., 1, 2]  # of input 1 and output 2
    place = drawn[3:5, 6:8, :3].astype(float)
    np.testing.assert_array_equal(place[..., 0] > place[..., 2], kernel > 0)
    assert "first 16 x 4" in ax.get_title()
    colour = bp.Sequential([bp.Conv2d(5, 3)]).build((8, 8, 3))
    drawn = canvas(bp.plot.filters(colour, 0, ax=plt.figure().subplots()))
    kernel = colour.params["0.weight"][..., 0]
    most = np.abs(colour.params["0.weight"]).max()
    np.testing.assert_allclose(drawn[:3, :3, :3], kernel / (2 * most) + 0.5, rtol=1e-5)


def test_filters_needs_kernels(net):
    with pytest.raises(KeyError, match=r"no parameter '2\.weight' in 0\.weight"):
        bp.plot.filters(net, 2)
    with pytest.raises(ValueError, match=r"5\.weight must hold kernels \(kh, kw, in, out\)"):
        bp.plot.filters(net, "5")


@pytest.mark.parametrize("layer", [2, "2", -4])
def test_feature_maps_are_those_inside_the_net(net, layer, backend):
    rng = np.random.default_rng(0)
    for name in net.buffers:
        net.buffers[name] = rng.uniform(0.5, 2, net.buffers[name].shape)
    for name in net.params:
        net.params[name] = rng.normal(size=net.params[name].shape)
    x = rng.normal(size=(6, 5, 1))
    w, bias = net.params["0.weight"].astype("f8"), net.params["0.bias"]
    y = np.array([
        [(x[i : i + 3, j : j + 3, :, None] * w).sum((0, 1, 2)) for j in range(3)] for i in range(4)
    ])  # fmt: skip
    y = (y + bias - net.buffers["1.running_mean"]) / np.sqrt(net.buffers["1.running_var"] + 1e-5)
    y = np.maximum(y * net.params["1.weight"] + net.params["1.bias"], 0)
    ax = bp.plot.feature_maps(net, x, layer)
    drawn = canvas(ax)
    np.testing.assert_allclose(drawn[:4, :3, 0], (y / y.max())[..., 0], atol=5e-3)
    np.testing.assert_allclose(drawn[:4, 12:, 0], (y / y.max())[..., 3], atol=5e-3)
    assert "4 channels, 4 x 3" in ax.get_title()


def test_feature_maps_inside_a_graph():
    x = bp.Input((4, 4, 1))
    inner = bp.Model(x, bp.ReLU()(bp.Conv2d(2, 3, padding=1)(x)))
    ax = bp.plot.feature_maps(inner, np.ones((4, 4, 1)))
    assert canvas(ax).shape == (4, 9, 4)
    with pytest.raises(TypeError, match="Sequential only"):
        bp.plot.feature_maps(inner, np.ones((4, 4, 1)), 0)


def test_feature_maps_bad_layers(net):
    with pytest.raises(KeyError, match="no layer 'third' in 0, 1, 2, second"):
        bp.plot.feature_maps(net, np.ones((6, 5, 1)), "third")
    with pytest.raises(ValueError, match=r"the output has \(3,\)"):
        bp.plot.feature_maps(net, np.ones((6, 5, 1)))


# ------------------------------------------------------------------------------------ most wrong


@pytest.mark.parametrize("last", [[], [bp.Softmax()], [bp.LogSoftmax()]])
def test_most_wrong_draws_the_least_probable_first(last, backend):
    """A net that reads the logits out of the picture."""
    logits = np.log([[0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [0.3, 0.3, 0.4]]).astype("f4")
    x = logits.reshape(3, 1, 3)
    net = bp.Sequential([bp.Flatten(), bp.Linear(3, bias=False), *last]).build((1, 3))
    net.params["1.weight"] = np.eye(3)
    ax = bp.plot.most_wrong(net, x, np.array([2, 0, 2]), count=2, classes=["cat", "dog", "frog"])
    assert [text.get_text() for text in ax.texts] == [
        "cat: 5.0%\ndog: 90.0%",
        "frog: 10.0%\ncat: 70.0%",
    ]
    assert overlaps(ax) == 0
    plain = bp.plot.most_wrong(net, x, np.array([2, 0, 2], "u1"))
    assert [text.get_text()[0] for text in plain.texts] == ["0", "2", "2"]


def test_most_wrong_bad_input():
    net = bp.Sequential([bp.Flatten(), bp.Linear(3)]).build((2, 2))
    x, y = np.zeros((4, 2, 2)), np.array([0, 1, 2, 0])
    with pytest.raises(TypeError, match="numbers of the classes, got float64"):
        bp.plot.most_wrong(net, x, y.astype(float))
    with pytest.raises(ValueError, match=r"got \(4, 3\) and \(3,\)"):
        bp.plot.most_wrong(net, x, y[:3])
    with pytest.raises(ValueError, match="labels must be 0 to 2, got 3"):
        bp.plot.most_wrong(net, x, y + 1)
    with pytest.raises(ValueError, match="3 classes, but 2 names"):
        bp.plot.most_wrong(net, x, y, classes=["a", "b"])
    with pytest.raises(ValueError, match="count"):
        bp.plot.most_wrong(net, x, y, count=0)


# --------------------------------------------------------------------------------------- history


def test_history_has_a_panel_for_each_figure():
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    net = bp.Sequential([bp.Linear(2)])
    options = {"loss": "cross_entropy", "optimizer": bp.SGD(0.1), "metrics": ["accuracy"]}
    history = net.fit(x, y, epochs=3, validation_data=(x, y), verbose=0, **options)
    panels = bp.plot.history(history)
    assert [ax.get_ylabel() for ax in panels] == ["loss", "accuracy"]
    for ax, name in zip(panels, ("loss", "accuracy"), strict=True):
        training, validation = ax.get_lines()
        np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(training.get_ydata(), history.history[name])
        np.testing.assert_array_equal(validation.get_ydata(), history.history[f"val_{name}"])
        assert [text.get_text() for text in ax.get_legend().get_texts()] == [
            "training",
            "validation",
        ]


def test_history_draws_where_it_is_told():
    ax = plt.figure().subplots()
    assert bp.plot.history({"loss": [3.0, 2.0]}, ax) == [ax]
    with pytest.raises(ValueError, match=r"2 axes are needed \(loss, accuracy\), got 1"):
        bp.plot.history({"loss": [3.0], "accuracy": [0.5]}, ax)
    with pytest.raises(ValueError, match="no epochs"):
        bp.plot.history({})


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'pybp-nn\[plot\]'"):
        bp.plot.images(np.zeros((1, 4, 4)))
