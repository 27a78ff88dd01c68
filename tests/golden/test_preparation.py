"""S64-S66: what the numbers of pictures and labels mean, seen through nets with fixed weights."""

from __future__ import annotations

import numpy as np
import pytest
from golden.helpers import float64_only, golden

import pybp as bp

BYTES = np.arange(256, dtype=np.uint8)


def test_byte_pixels_enter_a_net_as_0_to_255(sequential):
    """S64: a grey pixel has 256 values, 0 ... 255; the net converts them without scaling."""
    fig = golden("S64")
    values = sequential([bp.Identity()], (1,), {}).predict(BYTES[:, None])[:, 0]
    assert len(set(values.tolist())) == fig["byte_values"]
    assert [values.min(), values.max()] == fig["byte_range"].tolist()
    np.testing.assert_array_equal(values, np.arange(256))


@pytest.mark.parametrize(
    ("key", "base", "digits"),
    [("two_bytes", 256, 2), ("rgb_colours", 256, 3), ("two_coins", 2, 2)],
)
def test_place_values_number_every_combination_once(sequential, key, base, digits):
    """S64: two bytes give 65 536 values, a colour of three bytes 16 777 216, two coins 4.

    The neuron whose weights are the place values numbers the combinations from 0 on.
    """
    places = float(base) ** np.arange(digits - 1, -1, -1)
    net = sequential([bp.Linear(1, bias=False)], (digits,), {"0.weight": places[:, None]})
    first = np.zeros(digits, dtype=np.uint8)
    second = first.copy()
    second[-1] = 1
    last = np.full(digits, base - 1, dtype=np.uint8)
    numbers = net.predict(np.stack([first, second, last]))[:, 0]
    assert numbers.tolist() == [0, 1, golden("S64")[key] - 1]


def test_dividing_by_255_scales_pixels_to_one(sequential, close):
    """S65: 136 becomes 0.5333..., 0 stays 0 and 255 becomes 1."""
    fig = golden("S65")
    net = sequential([bp.Linear(1, bias=False)], (1,), {"0.weight": [[1 / 255]]})
    scaled = net.predict(BYTES[:, None])[:, 0]
    close(scaled[[0, 136, 255]], [fig["pixel_0"], fig["pixel_136"], fig["pixel_255"]])
    np.testing.assert_array_equal(np.round(scaled * 255), BYTES)


@float64_only
def test_flatten_keeps_every_pixel_of_a_thousand_pictures(sequential):
    """S65: (1000, 28, 28) becomes (1000, 784), row by row; shaped back it is the same picture."""
    pictures = np.arange(1000 * 28 * 28, dtype=np.float64).reshape(1000, 28, 28) % 251
    flat = sequential([bp.Flatten()], (28, 28), {}).predict(pictures)
    assert list(flat.shape) == golden("S65")["images_shape"].tolist()
    np.testing.assert_array_equal(flat, pictures.reshape(1000, 784))
    back = sequential([bp.Reshape((28, 28))], (784,), {}).predict(flat)
    np.testing.assert_array_equal(back, pictures)


def test_reshape_fills_row_after_row(sequential, array):
    """S65: 12 numbers as 4 rows of 3 columns."""
    fig = golden("S65")
    net = sequential([bp.Reshape((4, 3))], (12,), {})
    np.testing.assert_array_equal(net.predict(array([fig["flat"]]))[0], fig["reshaped_4_3"])
    upstream = array([fig["reshaped_4_3"]])
    net.forward(array([fig["flat"]]), training=True)
    np.testing.assert_array_equal(net.backward(upstream)[0], fig["flat"])


def test_slice_of_one_row_is_a_batch_of_one(sequential, array):
    """S65: x[i:i+1] keeps the row axis; x[i] has lost it and is refused."""
    net = sequential([bp.Linear(2, bias=False)], (3,), {"0.weight": np.arange(6).reshape(3, 2)})
    x = array(np.arange(12).reshape(4, 3))
    whole = net.predict(x)
    for i in range(4):
        np.testing.assert_array_equal(net.predict(x[i : i + 1]), whole[i : i + 1])
    with pytest.raises(ValueError, match=r"\(3,\)"):
        net.predict(x[0])


@pytest.mark.usefixtures("backend")
def test_labels_and_one_hot_rows_are_the_same_target(array, close):
    """S66: zeros (N, 10) with a 1 at the label: read off the gradient softmax - one_hot."""
    fig = golden("S66")
    labels = fig["labels"].astype(np.int64)
    logits = array(np.zeros((5, 10)))
    value, grad = bp.CrossEntropy(reduction="sum").value_and_grad(logits, labels)
    close(0.1 - grad, fig["one_hot"])
    other = bp.CrossEntropy(reduction="sum").value_and_grad(logits, array(fig["one_hot"]))
    close(other[0], value)
    close(other[1], grad.astype(np.float64))


@pytest.mark.parametrize("one_hot", [False, True], ids=["labels", "one_hot"])
def test_accuracy_is_the_share_of_equal_argmax_and_ties_go_to_the_first(sequential, array, one_hot):
    """S66: argmax 1, 0, 0 against 1, 2, 0 is two of three; the tie of 0.3 and 0.3 is class 0."""
    fig = golden("S66")
    labels = fig["score_labels"].astype(np.int64)
    scores = array(fig["scores"])
    net = sequential([bp.Identity()], (3,), {})
    np.testing.assert_array_equal(net.predict(scores).argmax(axis=1), fig["argmax"])
    targets = array(np.eye(3)[labels]) if one_hot else labels
    result = net.evaluate(scores, targets, loss="cross_entropy", metrics=["accuracy"])
    assert result["accuracy"] == pytest.approx(fig["accuracy"], rel=1e-6)
