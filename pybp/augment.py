"""Augmentation: each epoch sees the training pictures a little changed, made beside the training.

One training of 15 epochs::

    for pictures in bp.augment.epochs(x, 15, bp.augment.Augment(shift=4, flip=True)):
        net.fit(pictures, y, loss="cross_entropy", optimizer=optimizer, epochs=1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pybp.arrays import Array
from pybp.record import Record

_CHUNK = 256  # pictures worked on at a time, so that they stay in the cache


class Augment(Record):
    """Random shifts, windows and mirror images of pictures.

    Calling it with pictures and the number of an epoch returns new pictures in the same order;
    the same numbers always give the same pictures.

    Parameters
    ----------
    shift : int
        Move each picture by up to so many pixels up or down and left or right, each way as likely;
        what moves in from outside is 0. (The usual augmentation of CIFAR-10, "pad by 4 and cut out
        a random 32 x 32 window", is ``shift=4``.)
    flip : bool
        Mirror each picture left to right with a probability of 1/2.
    crop : (height, width), optional
        Cut a random window of this size out of each picture, or, with ``shift``, out of the
        picture with a border of so many zeros. ``center`` cuts the windows for a test.
    seed : int
        Start of everything random.

    Examples
    --------
    >>> import numpy as np, pybp as bp
    >>> augment = bp.augment.Augment(shift=2, flip=True)
    >>> augment(np.ones((5, 28, 28, 1), "float32"), epoch=0).shape
    (5, 28, 28, 1)
    """

    shift: int = 0
    flip: bool = False
    crop: tuple[int, int] | None = None
    seed: int = 0

    def _check(self) -> None:
        if self.shift < 0 or self.seed < 0:
            raise ValueError(
                f"Augment: shift and seed must be >= 0, got {self.shift} and {self.seed}"
            )
        crop = self.crop
        if crop is None:
            return
        whole = isinstance(crop, tuple) and all(type(extent) is int for extent in crop)
        if not whole or len(crop) != 2 or min(crop) < 1:
            raise ValueError(
                f"Augment: crop must be (height, width), two whole numbers >= 1, got {crop!r}"
            )

    def __call__(self, images: Array, epoch: int) -> Array:
        """Return changed copies of pictures.

        Parameters
        ----------
        images : array (n, height, width) or (n, height, width, channels)
            Pictures of any number type.
        epoch : int
            Number of the epoch, >= 0; with the seed it fixes what is drawn.

        Returns
        -------
        array
            The same dtype and order; the size of the windows if they are cut, else the same shape.

        Raises
        ------
        ValueError, TypeError
            For an array that holds no pictures, a window larger than they are, a negative epoch.
        """
        images = _pictures(images)
        height, width = self._window(images)
        epoch = _number(epoch, "epoch")
        n, rows, columns = images.shape[:3]
        draw = np.random.default_rng((self.seed, epoch))
        top = draw.integers(0, rows + 2 * self.shift - height, n, endpoint=True)
        left = draw.integers(0, columns + 2 * self.shift - width, n, endpoint=True)
        mirrored: Array = np.zeros(n, bool)
        if self.flip:
            mirrored[:] = draw.random(n) < 0.5
        result = np.empty((n, height, width, *images.shape[3:]), images.dtype)
        for start in range(0, n, _CHUNK):
            part = slice(start, start + _CHUNK)
            cut = _windows(images[part], self.shift, top[part], left[part], (height, width))
            _mirror(cut, mirrored[part], result[part])
        return result

    def center(self, images: Array) -> Array:
        """Return the windows in the middle of the pictures (a view): what a test should see."""
        images = _pictures(images)
        height, width = self.crop or images.shape[1:3]
        top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
        if top < 0 or left < 0:
            raise ValueError(f"the window {self.crop} is larger than the pictures {images.shape}")
        return images[:, top : top + height, left : left + width]

    def _window(self, images: Array) -> tuple[int, int]:
        """Return the size of the pictures that come out."""
        rows, columns = images.shape[1:3]
        height, width = self.crop or (rows, columns)
        if height > rows + 2 * self.shift or width > columns + 2 * self.shift:
            raise ValueError(
                f"Augment: the window {self.crop} is larger than the pictures, "
                f"{rows} x {columns} with a border of {self.shift}"
            )
        return height, width


def epochs(
    images: Array, count: int, augment: Callable[[Array, int], Array], start: int = 0
) -> Iterator[Array]:
    """Give the pictures of each epoch in turn, the next ones made while the caller trains.

    Parameters
    ----------
    images : array (n, height, width[, channels])
        The pictures; they must not change meanwhile.
    count : int
        Number of epochs.
    augment : Augment, or a function of (images, epoch)
        Makes the pictures of an epoch. It runs in a thread of its own.
    start : int
        Number of the first epoch: to go on after ``k`` epochs, pass ``k``.

    Yields
    ------
    array
        ``augment(images, epoch)`` for the epochs ``start``, ``start + 1``, ...

    Raises
    ------
    ValueError
        At once for a negative count or start. What ``augment`` raises is raised in the caller.

    Notes
    -----
    The labels keep their order, so ``y`` needs no change. Beside the pictures themselves those of
    two epochs are in memory, and for a moment of three. When the loop ends, also by ``break`` or
    an error, the thread has ended too.
    """
    count, start = _number(count, "count"), _number(start, "start")
    return _epochs(images, range(start, start + count), augment)


def _epochs(
    images: Array, numbers: range, augment: Callable[[Array, int], Array]
) -> Iterator[Array]:
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(augment, images, number) for number in numbers[:1]]
        for number in numbers:
            present = coming.pop().result()
            if number != numbers[-1]:
                coming.append(pool.submit(augment, images, number + 1))
            yield present
            del present  # the caller alone decides how long it lives


def _pictures(images: Array) -> Array:
    images = np.asarray(images)
    if images.ndim not in (3, 4):
        raise ValueError(
            "pictures must have the shape (n, height, width) or (n, height, width, channels), "
            f"got {images.shape}"
        )
    if images.dtype.kind not in "buif":
        raise TypeError(f"pictures must hold numbers, got {images.dtype}")
    return images


def _number(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ValueError(f"{name} must be a whole number >= 0, got {value!r}")
    return int(value)


def _windows(images: Array, border: int, top: Array, left: Array, size: tuple[int, int]) -> Array:
    """Cut one window out of each picture, which gets a border of zeros first."""
    if border:
        widths = [(0, 0), (border, border), (border, border)] + [(0, 0)] * (images.ndim - 3)
        images = np.pad(images, widths)
    n, rows, columns = images.shape[:3]
    places = (rows - size[0] + 1, columns - size[1] + 1)
    step = images.strides
    every = np.lib.stride_tricks.as_strided(  # a view: [n, place, place, height, width, ...]
        images,
        (n, *places, *size, *images.shape[3:]),
        (*step[:3], *step[1:]),
        writeable=False,
    )
    return every[np.arange(n), top, left]


def _mirror(images: Array, mirrored: Array, result: Array) -> None:
    """Write pictures to ``result``, those that ``mirrored`` names left to right."""
    backwards = np.arange(images.shape[2])[::-1]
    result[~mirrored] = images[~mirrored]
    result[mirrored] = images[mirrored].take(backwards, axis=2)  # faster than a slice
