"""Weights in the layouts of PyTorch.

All of this needs no PyTorch: arrays that were worked out by hand, and safetensors files.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import pybp as bp
from pybp.interop.torch import load_state_dict, save_safetensors, state_dict

Arrays = dict[str, np.ndarray]


def count(*shape: int) -> np.ndarray:
    return np.arange(float(np.prod(shape)), dtype=np.float32).reshape(shape)


# ---------------------------------------------------------------------- layouts, by hand


def test_linear_is_transposed() -> None:
    net = bp.Sequential([bp.Linear(2)]).build((3,))
    load_state_dict(net, {"0.weight": [[1, 2, 3], [4, 5, 6]], "0.bias": [7, 8]})
    np.testing.assert_array_equal(net.params["0.weight"], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(net.params["0.bias"], [7, 8])
    np.testing.assert_array_equal(net.predict(np.ones((1, 3))), [[6 + 7, 15 + 8]])
    np.testing.assert_array_equal(state_dict(net)["0.weight"], [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("flip", [False, True])
def test_kernels_go_from_out_in_space_to_space_in_out(flip: bool) -> None:
    """PyTorch has cross-correlations alone, so a layer that flips has its kernel turned."""
    layers = [
        bp.Conv2d(6, (2, 3), groups=2, bias=False, flip=flip),
        bp.ConvTranspose2d(4, (3, 2), groups=2, bias=False),
    ]
    net = bp.Sequential(layers).build((5, 5, 4))
    conv, transposed = count(6, 2, 2, 3), count(6, 2, 3, 2)  # (in, out / groups, kh, kw)
    load_state_dict(net, {"0.weight": conv, "1.weight": transposed})
    turned = conv[:, :, ::-1, ::-1] if flip else conv
    for i, j, c, f in np.ndindex(2, 3, 2, 6):
        assert net.params["0.weight"][i, j, c, f] == turned[f, c, i, j]
    for i, j, f, c in np.ndindex(3, 2, 2, 6):
        assert net.params["1.weight"][i, j, f, c] == transposed[c, f, i, j]
    again = state_dict(net)
    np.testing.assert_array_equal(again["0.weight"], conv)
    np.testing.assert_array_equal(again["1.weight"], transposed)


def test_lines_have_kernels_with_one_axis() -> None:
    net = bp.Sequential([bp.Conv1d(3, 4)]).build((9, 2))
    load_state_dict(net, {"0.weight": count(3, 2, 4), "0.bias": count(3)})
    assert net.params["0.weight"][3, 1, 2] == count(3, 2, 4)[2, 1, 3]


def test_rows_after_a_flatten_are_channel_first_in_pytorch() -> None:
    """Feature (row i, column j, channel c) is number c * 6 + i * 3 + j there."""
    layers = [bp.MaxPool2d(1), bp.ReLU(), bp.Flatten(), bp.Dropout(0.5), bp.ReLU(), bp.Linear(1)]
    net = bp.Sequential(layers).build((2, 3, 4))
    load_state_dict(net, {"5.weight": count(1, 24), "5.bias": [0]})
    rows = net.params["5.weight"].reshape(2, 3, 4)
    for i, j, c in np.ndindex(2, 3, 4):
        assert rows[i, j, c] == c * 6 + i * 3 + j
    np.testing.assert_array_equal(state_dict(net)["5.weight"], count(1, 24))
    load_state_dict(net, {"5.weight": count(1, 24), "5.bias": [0]}, channels_first=False)
    np.testing.assert_array_equal(net.params["5.weight"].ravel(), np.arange(24))
    again = state_dict(net, channels_first=False)
    np.testing.assert_array_equal(again["5.weight"], count(1, 24))


def test_norms_of_flattened_images_are_channel_first_too() -> None:
    layers = [bp.Conv1d(2, 1), bp.Flatten(), bp.BatchNorm(), bp.LayerNorm()]
    net = bp.Sequential(layers).build((3, 1))
    names = ("2.weight", "2.bias", "2.running_mean", "2.running_var", "3.weight", "3.bias")
    state = {name: count(6) + i for i, name in enumerate(names)}
    load_state_dict(net, {**state, "0.weight": count(2, 1, 1), "0.bias": count(2)})
    for i, name in enumerate(names):
        found = net.buffers[name] if name in net.buffers else net.params[name]
        np.testing.assert_array_equal(found - i, [0, 3, 1, 4, 2, 5])


def test_columns_before_a_reshape_into_an_image_are_channel_first_too() -> None:
    """PyTorch's Unflatten makes (channels, height, width)."""
    net = bp.Sequential([bp.Linear(24), bp.ReLU(), bp.Reshape((2, 3, 4))]).build((1,))
    load_state_dict(net, {"0.weight": count(24, 1), "0.bias": count(24)})
    for array in net.params.values():
        image = array.reshape(2, 3, 4)
        for i, j, c in np.ndindex(2, 3, 4):
            assert image[i, j, c] == c * 6 + i * 3 + j


def test_sequences_are_flattened_as_they_are() -> None:
    """(n, time, features) is the same in PyTorch; only what a convolution reads is an image."""
    net = bp.Sequential([bp.Linear(2), bp.Flatten(), bp.Linear(1)]).build((3, 5))
    state = {"0.weight": count(2, 5), "0.bias": count(2), "2.weight": count(1, 6)}
    load_state_dict(net, {**state, "2.bias": [0]})
    np.testing.assert_array_equal(net.params["2.weight"].ravel(), np.arange(6))


def test_channels_first_input_makes_no_difference() -> None:
    layers = [bp.Input((4, 2, 3), layout="channels_first"), bp.Flatten(), bp.Linear(1)]
    net = bp.Sequential(layers).build((4, 2, 3))
    load_state_dict(net, {"2.weight": count(1, 24), "2.bias": [0]})
    x = np.random.default_rng(0).normal(size=(5, 4, 2, 3)).astype(np.float32)
    want = x.reshape(5, 24) @ np.arange(24)
    np.testing.assert_allclose(net.predict(x)[:, 0], want, rtol=1e-5, atol=1e-4)


def test_graphs_with_a_skip_follow_each_branch() -> None:
    """A flattened image, plus a dense layer of it: both the rows and the columns are moved."""
    image = bp.Input((2, 3, 4))
    flat = bp.Flatten()(bp.ReLU()(image))
    total = bp.Add()([flat, bp.Linear(24, bias=False, name="skip")(flat)])
    net = bp.Model(image, bp.Linear(1, bias=False, name="head")(total))
    load_state_dict(net, {"skip.weight": count(24, 24), "head.weight": count(1, 24)})
    place = np.arange(24).reshape(4, 2, 3).transpose(1, 2, 0).ravel()  # here -> there
    want = count(24, 24).T[np.ix_(place, place)]
    np.testing.assert_array_equal(net.params["skip.weight"], want)
    np.testing.assert_array_equal(net.params["head.weight"].ravel(), place)


def test_lines_side_by_side_are_lines() -> None:
    line = bp.Input((3, 2))
    both = bp.Concat()([bp.Conv1d(2, 1, name="a")(line), line])
    net = bp.Model(line, bp.Linear(1, bias=False, name="head")(bp.Flatten()(both)))
    rows = net.params["head.weight"].reshape(3, 4)
    np.testing.assert_array_equal(state_dict(net)["head.weight"].ravel(), rows.T.ravel())


@pytest.mark.parametrize(("shape", "known"), [((6, 4), True), ((2, 12), False), ((4, 6), False)])
def test_images_as_sequences_keep_their_channels(shape: tuple[int, int], known: bool) -> None:
    """Steps of one pixel are the same in PyTorch; of rows it may have several orders."""
    net = bp.Sequential([bp.MaxPool2d(1), bp.Reshape(shape), bp.GRU(2)]).build((2, 3, 4))
    if known:
        assert state_dict(net)["2.weight_ih_l0"].shape == (6, 4)
        return
    with pytest.raises(ValueError, match="reshape reads an image, and in which order"):
        state_dict(net)
    assert state_dict(net, channels_first=False)["2.weight_ih_l0"].shape == (6, shape[1])


# --------------------------------------------------------------------- names and files


def norm_net() -> bp.Sequential:
    layers = [bp.Conv2d(2, 1, name="features.0"), bp.BatchNorm(name="features.1")]
    return bp.Sequential(layers).build((3, 3, 1))


def norm_state() -> Arrays:
    return {
        "features.0.weight": count(2, 1, 1, 1),
        "features.0.bias": count(2) + 1,
        "features.1.weight": count(2) + 2,
        "features.1.bias": count(2) + 3,
        "features.1.running_mean": count(2) + 4,
        "features.1.running_var": count(2) + 5,
        "features.1.num_batches_tracked": np.array(9),
    }


def test_batch_norm_has_pytorchs_entries_in_its_order() -> None:
    net, state = norm_net(), norm_state()
    load_state_dict(net, state)
    np.testing.assert_array_equal(net.buffers["features.1.running_mean"], [4, 5])
    np.testing.assert_array_equal(net.buffers["features.1.running_var"], [5, 6])
    again = state_dict(net)
    assert set(again) == set(state)
    tracked = again["features.1.num_batches_tracked"]
    assert (tracked.dtype, tracked.shape) == (np.int64, ())
    del state["features.1.num_batches_tracked"]  # PyTorch before 0.4.1 has none
    load_state_dict(norm_net(), state)


def test_copies_are_given_away() -> None:
    net = norm_net()
    for array in state_dict(net).values():
        array[...] = 100
    assert all((array != 100).all() for array in (*net.params.values(), *net.buffers.values()))


def test_names_of_layers_and_of_arrays_are_mapped() -> None:
    net = bp.Sequential([bp.Linear(2), bp.Linear(2)]).build((2,))
    assert list(state_dict(net, names={"0": ""}))[:2] == ["weight", "bias"]
    names = {"0": "encoder.fc", "1.weight": "w", "1": "head"}
    assert set(state_dict(net, names=names)) == {
        "encoder.fc.weight", "encoder.fc.bias", "w", "head.bias",
    }  # fmt: skip
    state = {"encoder.fc.weight": np.eye(2), "encoder.fc.bias": [1, 2], "w": np.eye(2) * 3}
    load_state_dict(net, {**state, "head.bias": [3, 4]}, names=names)
    np.testing.assert_array_equal(net.params["1.weight"], np.eye(2) * 3)
    with pytest.raises(ValueError, match=r"names holds 7; the names here are 0\.weight"):
        state_dict(net, names={"7": "x"})
    with pytest.raises(ValueError, match=r"several arrays would have the name 1\.bias, 1\.weight"):
        state_dict(net, names={"0": "1"})


def test_files_need_no_pytorch(tmp_path: Path) -> None:
    """Another net reads what one net wrote; torch is never imported."""
    path = tmp_path / "weights.safetensors"
    net = norm_net()
    load_state_dict(net, norm_state())
    save_safetensors(net, path)
    stored = load_file(path)
    np.testing.assert_array_equal(stored["features.0.weight"], norm_state()["features.0.weight"])
    other = norm_net()
    load_state_dict(other, path)
    np.testing.assert_array_equal(other.params.flat, net.params.flat)
    np.testing.assert_array_equal(other.buffers.flat, net.buffers.flat)
    code = (
        "import sys, pybp as bp\n"
        "layers = [bp.Conv2d(2, 1, name='features.0'), bp.BatchNorm(name='features.1')]\n"
        "net = bp.Sequential(layers)\n"
        "bp.interop.torch.load_state_dict(net.build((3, 3, 1)), sys.argv[1])\n"
        "bp.interop.torch.state_dict(net)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=tmp_path, check=True)


def test_files_of_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_file({"0.weight": count(2, 3).astype(np.float16), "0.bias": np.zeros(2)}, path)
    net = bp.Sequential([bp.Linear(2)]).build((3,))
    load_state_dict(net, str(path))
    np.testing.assert_array_equal(net.params["0.weight"], count(2, 3).T)


# -------------------------------------------------------------------------------- errors


def test_all_that_is_wrong_is_listed_and_nothing_is_changed() -> None:
    net, state = norm_net(), norm_state()
    before = net.params.flat.copy(), net.buffers.flat.copy()
    del state["features.0.bias"]
    state["features.1.running_mean"] = count(3)
    state["features.1.running_var"] = np.array(["a", "b"])
    state["fc.weight"] = count(1)
    with pytest.raises(ValueError, match="nothing was changed") as error:
        load_state_dict(net, state)
    assert str(error.value).splitlines()[1:] == [
        "  missing: features.0.bias",
        "  unexpected: fc.weight",
        "  wrong shape: features.1.running_mean should be (2,), got (3,)",
        "  no real numbers: features.1.running_var has the dtype <U1",
    ]
    np.testing.assert_array_equal(net.params.flat, before[0])
    np.testing.assert_array_equal(net.buffers.flat, before[1])


def test_a_kernel_in_the_layout_of_pybp_is_a_wrong_shape() -> None:
    net = bp.Sequential([bp.Conv2d(5, 3, bias=False)]).build((6, 6, 2))
    with pytest.raises(ValueError, match=r"0\.weight should be \(5, 2, 3, 3\), got \(3, 3, 2, 5\)"):
        load_state_dict(net, dict(net.params))


def test_what_is_no_state_is_refused() -> None:
    net = bp.Sequential([bp.Linear(2)])
    with pytest.raises(RuntimeError, match="not built"):
        state_dict(net)
    net.build((3,))

    class Module:
        def state_dict(self) -> None:
            raise AssertionError("it is for the caller to call it")

    with pytest.raises(TypeError, match=r"got Module: pass model\.state_dict\(\)"):
        load_state_dict(net, Module())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="mapping from names to arrays"):
        load_state_dict(net, [count(2)])  # type: ignore[arg-type]


def test_a_shared_layer_that_needs_two_layouts_is_refused() -> None:
    shared = bp.Linear(24)
    layers = [bp.MaxPool2d(1), bp.Flatten(), shared, shared, bp.Linear(1)]
    net = bp.Sequential(layers).build((2, 3, 4))
    with pytest.raises(ValueError, match=r"2\.weight is shared by layers that need it in two"):
        state_dict(net)
    assert state_dict(net, channels_first=False)["2.weight"].shape == (24, 24)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(24,), (4, 6)], "reshape reads a flattened image"),
        ([(24,), (4, 3, 2)], r"the orders of two images, \(2, 3, 4\) and \(4, 3, 2\)"),
    ],
)
def test_features_whose_order_is_not_known_are_refused(
    shapes: list[tuple[int, ...]], message: str
) -> None:
    layers = [bp.MaxPool2d(1), *map(bp.Reshape, shapes), bp.Linear(2)]
    net = bp.Sequential(layers).build((2, 3, 4))
    with pytest.raises(ValueError, match=message):
        state_dict(net)
    assert set(state_dict(net, channels_first=False)) == {"3.weight", "3.bias"}


def test_tensors_without_pytorch_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    net = bp.Sequential([bp.Linear(2)]).build((3,))
    with pytest.raises(ImportError, match="needs PyTorch"):
        state_dict(net, tensors=True)


def test_a_net_in_training_takes_no_weights() -> None:
    net = norm_net()
    with net.training_alone(), pytest.raises(RuntimeError, match="trained already"):
        load_state_dict(net, norm_state())
