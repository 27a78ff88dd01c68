"""Readers for data sets and pictures: arrays out, no code run from a file.

The files come from a folder that the caller names, or that the environment variable ``PYBP_DATA``
names for all data sets. Readers fetch nothing: ``download`` does, when it is called.
"""

from __future__ import annotations

from pybp.datasets.cifar import cifar10
from pybp.datasets.fetching import download
from pybp.datasets.files import load_npy, load_npz
from pybp.datasets.idx import fashion_mnist, load_idx, mnist
from pybp.datasets.pictures import load_images

__all__ = [
    "cifar10",
    "download",
    "fashion_mnist",
    "load_idx",
    "load_images",
    "load_npy",
    "load_npz",
    "mnist",
]
