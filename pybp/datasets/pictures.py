"""Reader for folders of picture files, decoded by Pillow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.datasets.pillow import pillow

_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}
_DEEP = ("I", "F")  # Pillow's modes of more than 8 bits begin so

Size = tuple[int, int]
Labelled = tuple[Array, Array, tuple[str, ...]]


def load_images(
    folder: str | os.PathLike[str], size: Sequence[int] | None = None, mode: str = "RGB"
) -> Array | Labelled:
    """Read all pictures of a folder, or of one sub-folder for each class.

    Parameters
    ----------
    folder : str or path
        A folder of picture files (bmp, gif, jpg, pgm, png, ppm, tif, webp), or of sub-folders with
        such files, each named after a class. Files are taken in the order of their names; hidden
        files and files of other kinds are passed over.
    size : (height, width), optional
        Resize each picture to this size. Without it all must have one size.
    mode : {"RGB", "L", "RGBA"}
        Colour, grey, or colour with an opacity.

    Returns
    -------
    images or (images, labels, classes)
        Images uint8 (n, height, width, channels) with 3, 1 or 4 channels. With sub-folders also
        labels int64 (n,) and the names of the classes, sorted, so that ``classes[label]`` is the
        name of the sub-folder.

    Raises
    ------
    ValueError
        When a file can't be decoded, has a size of its own, or has more than 8 bits a value (the
        error names the file); when there are no pictures, or a class has none; when pictures lie
        both in the folder and in sub-folders.
    FileNotFoundError
        When there is no such folder.
    ImportError
        When Pillow is missing.

    Notes
    -----
    A picture that says how the camera was held is turned upright. Resizing averages over the
    pixels that a smaller picture leaves out, and doesn't keep the proportions. Of a film only the
    first picture is taken.
    """
    if mode not in _CHANNELS:
        raise ValueError(f"mode must be one of {', '.join(_CHANNELS)}, got {mode!r}")
    wanted = None if size is None else _checked_size(size)
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    files, classes = _picture_files(folder), _class_folders(folder)
    if classes and files:
        raise ValueError(f"{folder} holds pictures and sub-folders with pictures: which are meant?")
    if files:
        return _read(files, wanted, mode)
    if not classes:
        raise ValueError(f"there are no pictures ({', '.join(_ENDINGS)}) in {folder}")
    by_class = [_picture_files(path) for path in classes]
    images = _read([path for paths in by_class for path in paths], wanted, mode)
    labels = np.repeat(np.arange(len(classes)), [len(paths) for paths in by_class])
    return images, labels, tuple(path.name for path in classes)


def _checked_size(size: Any) -> Size:
    try:
        height, width = (int(extent) for extent in size)
        right = (height, width) == tuple(size) and height >= 1 and width >= 1
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ValueError(f"size must be (height, width), two whole numbers >= 1, got {size!r}")
    return height, width


def _picture_files(folder: Path) -> list[Path]:
    return sorted(
        path for path in _shown(folder) if path.suffix.lower() in _ENDINGS and path.is_file()
    )


def _class_folders(folder: Path) -> list[Path]:
    """Return the sub-folders when they hold pictures; then none may be without."""
    folders = sorted(path for path in _shown(folder) if path.is_dir())
    filled = [path for path in folders if _picture_files(path)]
    if filled and len(filled) < len(folders):
        empty = next(path for path in folders if path not in filled)
        raise ValueError(f"each sub-folder is a class, but there are no pictures in {empty}")
    return filled


def _shown(folder: Path) -> Iterable[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def _read(files: list[Path], size: Size | None, mode: str) -> Array:
    first = _decoded(files[0], size, mode)
    images = np.empty((len(files), *first.shape), np.uint8)
    for number, path in enumerate(files):
        pixels = first if number == 0 else _decoded(path, size, mode)
        if pixels.shape != first.shape:
            raise ValueError(
                f"{path} is {pixels.shape[0]} x {pixels.shape[1]} pixels, {files[0]} is "
                f"{first.shape[0]} x {first.shape[1]}: pass size=(height, width) to resize them"
            )
        images[number] = pixels
    return images


def _decoded(path: Path, size: Size | None, mode: str) -> Array:
    """Return a picture (height, width, channels), uint8."""
    reader, tools = pillow("Image", "datasets.load_images"), pillow("ImageOps", "load_images")
    try:
        with reader.open(path) as picture:
            if picture.mode.startswith(_DEEP):
                raise ValueError(f"it has more than 8 bits a value (mode {picture.mode})")
            upright = tools.exif_transpose(picture).convert(mode)
            if size is not None:
                upright = upright.resize(size[::-1], reader.Resampling.BILINEAR)
            pixels = np.asarray(upright)
    except (OSError, SyntaxError, ValueError, reader.DecompressionBombError) as error:
        raise ValueError(f"the picture {path} can't be read: {error}") from error
    return pixels.reshape(*pixels.shape[:2], _CHANNELS[mode])
