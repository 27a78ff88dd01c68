"""Readers for data sets and pictures: arrays out, nothing downloaded, no code run from a file.

The files come from a folder that the caller names, or that the environment variable ``PYBP_DATA``
names for all data sets.
"""

from __future__ import annotations

from pybp.datasets.cifar import cifar10
from pybp.datasets.files import load_npy, load_npz
from pybp.datasets.idx import fashion_mnist, load_idx, mnist
from pybp.datasets.pictures import load_images

__all__ = [
    "cifar10",
    "fashion_mnist",
    "load_idx",
    "load_images",
    "load_npy",
    "load_npz",
    "mnist",
]
