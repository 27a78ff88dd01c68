"""Arrays that lie in memory in other ways, and of other number types: the bits of a plain copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pybp as bp

PICTURES = np.random.default_rng(1).normal(size=(9, 6, 5, 2))
LABELS = np.arange(9) % 3


def fortran(a: np.ndarray) -> np.ndarray:
    return np.asfortranarray(a)


def strided(a: np.ndarray) -> np.ndarray:
    """Every second entry along each axis."""
    large = np.full([2 * n for n in a.shape], 7, a.dtype)
    view = large[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def rows_apart(a: np.ndarray) -> np.ndarray:
    """Whole rows with gaps between them."""
    large = np.full((2 * len(a), *a.shape[1:]), 7, a.dtype)
    large[::2] = a
    return large[::2]


def backwards(a: np.ndarray) -> np.ndarray:
    """Negative strides along each axis."""
    flip = (slice(None, None, -1),) * a.ndim
    return a[flip].copy()[flip]


def rows_backwards(a: np.ndarray) -> np.ndarray:
    return a[::-1].copy()[::-1]


def misaligned(a: np.ndarray) -> np.ndarray:
    raw = np.zeros(a.nbytes + 1, np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def big_endian(a: np.ndarray) -> np.ndarray:
    return a.astype(a.dtype.newbyteorder(">"))


def transposed_twice(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a.swapaxes(0, -1)).swapaxes(0, -1)


def subclass(a: np.ndarray) -> np.ndarray:
    class Mine(np.ndarray):
        pass

    return a.copy().view(Mine)


LAYOUTS = [
    fortran, strided, rows_apart, backwards, rows_backwards, misaligned, read_only, big_endian,
    transposed_twice, subclass,
]  # fmt: skip


def net(dtype: str) -> bp.Sequential:
    layers = [
        bp.Conv2d(4, 3, padding=1), bp.BatchNorm(), bp.ReLU(), bp.MaxPool2d(2), bp.Flatten(),
        bp.Dropout(0.3), bp.Linear(3),
    ]  # fmt: skip
    return bp.Sequential(layers, dtype=dtype).build((6, 5, 2))


def everything(dtype: str, x: Any, y: Any, weight: Any) -> list[bytes]:
    """Return the bits of all that a net makes of some data."""
    made = net(dtype)
    fitted = made.fit(
        x, y, loss="cross_entropy", optimizer="adam", epochs=2, batch_size=4,
        sample_weight=weight, validation_data=(x, y), verbose=0,
    )  # fmt: skip
    trainer = bp.Trainer(made, "cross_entropy", bp.SGD(0.1))
    figures = [*fitted.history["loss"], *fitted.history["val_loss"], trainer.step(x, y, weight)]
    out = made.forward(x, training=True)
    dx = made.backward(np.cos(np.arange(27.0)).reshape(9, 3))
    judged = made.evaluate(x, y, loss="cross_entropy", metrics=["accuracy"], sample_weight=weight)
    arrays = [made.predict(x), out, made.params.flat, made.buffers.flat]
    assert dx.shape == PICTURES.shape
    return [np.array([*figures, *judged.values()]).tobytes(), *(a.tobytes() for a in arrays)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_layouts_give_the_bits_of_a_copy(
    layout: Callable[[np.ndarray], np.ndarray], backend: str, dtype: str
) -> None:
    plain = PICTURES.astype(dtype), LABELS, np.linspace(0.5, 2, 9)
    given = [layout(array) for array in plain]
    for array, copy in zip(given, plain, strict=True):
        np.testing.assert_array_equal(array, copy)
    before = [array.tobytes() for array in given]
    assert everything(dtype, *given) == everything(dtype, *plain)
    assert [array.tobytes() for array in given] == before


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_gradients_and_assigned_arrays_in_other_layouts(
    layout: Callable[[np.ndarray], np.ndarray], backend: str, dtype: str
) -> None:
    x = PICTURES.astype(dtype)
    results = []
    for way in (np.copy, layout):
        made = net(dtype)
        made.params["0.weight"] = way(np.sin(np.arange(72.0)).reshape(3, 3, 2, 4).astype(dtype))
        made.forward(x)
        dy = way(np.cos(np.arange(27.0)).reshape(9, 3).astype(dtype))
        before = dy.tobytes()
        results.append([made.backward(dy).tobytes(), made.grads["0.weight"].tobytes()])
        assert dy.tobytes() == before
    assert results[0] == results[1]


# number type -> what it is converted to before anything is computed: the net's, once
NUMBERS = ["?", "b", "B", "h", "H", "i", "I", "l", "L", "e", "f", "d", "g"]


@pytest.mark.parametrize("code", NUMBERS)
def test_other_number_types_are_converted_once(code: str, backend: str, dtype: str) -> None:
    x = np.abs(8 * PICTURES).astype(code)
    converted = x.astype(dtype)
    weight = np.linspace(0.5, 2, 9)
    y = np.ascontiguousarray(LABELS)
    before = x.tobytes()
    assert everything(dtype, x, y, weight) == everything(dtype, converted, y, weight)
    assert x.tobytes() == before
    swapped = x.astype(x.dtype.newbyteorder())
    assert everything(dtype, swapped, y, weight) == everything(dtype, converted, y, weight)


@pytest.mark.parametrize("code", ["b", "B", "h", "H", "i", "I", "l", "L", "q", "Q"])
def test_labels_of_any_integer_type(code: str, backend: str) -> None:
    x, weight = PICTURES.astype("f4"), np.ones(9)
    expected = everything("float32", x, LABELS, weight)
    labels = LABELS.astype(code)
    for given in (labels, labels.astype(labels.dtype.newbyteorder()), strided(labels)):
        assert everything("float32", x, given, weight) == expected


def test_a_memory_map_is_read_and_not_written(tmp_path: Any, backend: str) -> None:
    path = tmp_path / "x.npy"
    np.save(path, PICTURES.astype("f4"))
    before = path.read_bytes()
    x = np.load(path, mmap_mode="r")
    expected = everything("float32", PICTURES.astype("f4"), LABELS, np.ones(9))
    assert everything("float32", x, LABELS, np.ones(9)) == expected
    assert path.read_bytes() == before
