"""Pillow, which decodes pictures: imported when the first one is read."""

from __future__ import annotations

import importlib
from typing import Any


def pillow(module: str, caller: str) -> Any:
    """Return a module of Pillow, or raise an ImportError that says how to get it."""
    try:
        return importlib.import_module(f"PIL.{module}")
    except ImportError as error:
        raise ImportError(
            f"{caller} needs the Pillow package: pip install 'pybp-nn[images]'"
        ) from error
