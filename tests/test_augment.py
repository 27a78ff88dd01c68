"""`pybp.augment`: shifts, windows and mirror images, and the thread that makes them."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import pybp as bp
from pybp.augment import Augment, epochs


def pictures(n: int = 60, shape: tuple[int, ...] = (6, 5, 3), dtype: str = "u1") -> np.ndarray:
    """Return pictures whose values are all different within a picture, and none is 0."""
    size = int(np.prod(shape))
    values = 1 + (np.arange(size) + np.arange(n)[:, None]) % size
    return values.reshape(n, *shape).astype(dtype)


def shifted(picture: np.ndarray, down: int, right: int) -> np.ndarray:
    """Move a picture pixel by pixel: the definition."""
    out = np.zeros_like(picture)
    rows, columns = picture.shape[:2]
    for i in range(rows):
        for j in range(columns):
            if 0 <= i - down < rows and 0 <= j - right < columns:
                out[i, j] = picture[i - down, j - right]
    return out


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 3)])
@pytest.mark.parametrize("dtype", ["u1", "i4", "f4", "f8", "?"])
def test_every_shift_is_one_of_the_possible_ones(shape, dtype):
    x = pictures(300, shape, "i4")
    x = x % 2 == 0 if dtype == "?" else x.astype(dtype)
    y = Augment(shift=1)(x, 0)
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    seen = set()
    for before, after in zip(x, y, strict=True):
        found = [
            (down, right)
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
            if np.array_equal(shifted(before, down, right), after)
        ]
        assert found
        seen.update(found)
    assert len(seen) == 9


def test_half_of_the_pictures_are_mirrored():
    x = pictures(1000)
    y = Augment(flip=True)(x, 3)
    same = (y == x).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(y[~same], x[~same, :, ::-1])
    assert 400 < same.sum() < 600  # 6 standard deviations


def test_windows_lie_in_the_pictures():
    x = pictures(400)
    y = Augment(crop=(4, 3))(x, 0)
    assert y.shape == (400, 4, 3, 3)
    places = set()
    for before, after in zip(x, y, strict=True):
        (place,) = [
            (i, j)
            for i in range(3)
            for j in range(3)
            if np.array_equal(before[i : i + 4, j : j + 3], after)
        ]
        places.add(place)
    assert len(places) == 9
    np.testing.assert_array_equal(Augment(crop=(4, 3)).center(x), x[:, 1:5, 1:4])
    assert Augment(shift=2).center(x).shape == x.shape


def test_shift_flip_and_window_together_are_those_of_the_parts():
    x = pictures(100, (8, 8, 1))
    y = Augment(shift=1, flip=True, crop=(7, 7))(x, 0)
    assert y.shape == (100, 7, 7, 1)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    for before, after in zip(padded, y, strict=True):
        windows = [before[i : i + 7, j : j + 7] for i in range(4) for j in range(4)]
        windows += [window[:, ::-1] for window in windows]
        assert any(np.array_equal(window, after) for window in windows)


def test_the_seed_and_the_epoch_fix_what_is_drawn():
    x = pictures(50)
    augment = Augment(shift=2, flip=True)
    np.testing.assert_array_equal(augment(x, 5), Augment(shift=2, flip=True)(x, 5))
    assert (augment(x, 5) != augment(x, 6)).any()
    assert (augment(x, 5) != augment.replace(seed=1)(x, 5)).any()
    before = x.copy()
    augment(x, 5)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(augment(x[:, ::-1][:, ::-1], 5), augment(x, 5))


def test_what_is_drawn_does_not_hang_on_the_chunks(monkeypatch):
    x, augment = pictures(50), Augment(shift=2, flip=True)
    whole = augment(x, 1)
    monkeypatch.setattr("pybp.augment._CHUNK", 7)
    np.testing.assert_array_equal(augment(x, 1), whole)


def test_nothing_to_do_copies():
    x = pictures(4)
    y = Augment()(x, 0)
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(x, y)
    assert Augment(shift=1, flip=True)(x[:0], 0).shape == (0, 6, 5, 3)


# ---------------------------------------------------------------------------------- the thread


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_epochs_equals_the_plain_calls(count):
    x, augment = pictures(), Augment(shift=1, flip=True)
    got = list(epochs(x, count, augment, start=2))
    assert len(got) == count
    for number, part in enumerate(got, 2):
        np.testing.assert_array_equal(part, augment(x, number))


def test_the_next_epoch_is_made_meanwhile():
    made = threading.Event()

    def augment(images, epoch):
        if epoch == 1:
            made.set()
        return images

    parts = epochs(pictures(), 2, augment)
    next(parts)
    assert made.wait(10)
    next(parts)


def test_stopping_early_leaves_no_thread():
    before = threading.active_count()
    for _ in epochs(pictures(), 9, lambda images, _: (time.sleep(0.02), images)[1]):
        assert threading.active_count() == before + 1
        break
    assert threading.active_count() == before
    parts = epochs(pictures(), 9, Augment(flip=True))
    next(parts)
    parts.close()
    assert threading.active_count() == before
    assert len(list(epochs(pictures(), 3, Augment()))) == 3
    assert threading.active_count() == before


def test_an_error_in_the_thread_is_raised_by_the_loop():
    def augment(images, epoch):
        if epoch == 2:
            raise ZeroDivisionError("in epoch 2")
        return images

    before, parts = threading.active_count(), epochs(pictures(), 5, augment)
    next(parts)
    next(parts)
    with pytest.raises(ZeroDivisionError, match="in epoch 2"):
        next(parts)
    assert threading.active_count() == before


def test_training_so_equals_one_fit(backend):
    """With pictures that stay as they are, epoch by epoch is one fit, bit for bit."""
    x, y = pictures(40, dtype="f4") / 100, np.arange(40) % 3
    nets = [bp.Sequential([bp.Flatten(), bp.Linear(3)], seed=0) for _ in range(2)]
    options = {"loss": "cross_entropy", "optimizer": bp.SGD(0.1, momentum=0.9), "verbose": 0}
    nets[0].fit(x, y, epochs=4, **options)
    for part in epochs(x, 4, Augment()):
        nets[1].fit(part, y, epochs=1, **options)
    np.testing.assert_array_equal(nets[0].params["1.weight"], nets[1].params["1.weight"])


# ------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"shift": -1}, ValueError, "shift and seed must be >= 0, got -1"),
        ({"seed": -1}, ValueError, "shift and seed"),
        ({"shift": 1.5}, TypeError, "shift must be a whole number"),
        ({"flip": 1}, TypeError, "flip must be True or False"),
        ({"crop": 4}, ValueError, "crop must be"),
        ({"crop": (4, 0)}, ValueError, "crop must be"),
        ({"crop": (4, 4, 3)}, ValueError, "crop must be"),
        ({"rotate": 4}, TypeError, "no argument 'rotate'"),
    ],
)
def test_bad_arguments(arguments, error, says):
    with pytest.raises(error, match=says):
        Augment(**arguments)


def test_bad_calls():
    x = pictures()
    for bad in (-1, 1.0, True, None):
        with pytest.raises(ValueError, match="epoch must be a whole number"):
            Augment()(x, bad)
        with pytest.raises(ValueError, match="count must be a whole number"):
            epochs(x, bad, Augment())
        with pytest.raises(ValueError, match="start must be a whole number"):
            epochs(x, 1, Augment(), start=bad)
    with pytest.raises(ValueError, match=r"\(n, height, width, channels\), got \(60, 90\)"):
        Augment()(x.reshape(60, -1), 0)
    with pytest.raises(TypeError, match="object"):
        Augment()(x.astype(object), 0)
    with pytest.raises(ValueError, match="larger than the pictures, 6 x 5"):
        Augment(crop=(4, 6))(x, 0)
    with pytest.raises(ValueError, match="larger than the pictures"):
        Augment(crop=(4, 6)).center(x)
