"""Loads the scripts of examples/ for the tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
NEEDS = {
    "digits": ["sklearn"],
    "overfitting": ["sklearn", "matplotlib"],
    "lenet": ["sklearn", "safetensors"],
    "fashion_cnn": ["sklearn"],
    "filters": ["sklearn", "matplotlib", "PIL"],
    "averaging": ["sklearn"],
    "bias_variance": ["sklearn", "matplotlib"],
    "dropout": ["sklearn", "matplotlib"],
    "adversarial": ["sklearn", "matplotlib"],
    "look_inside": ["sklearn", "matplotlib", "safetensors"],
    "forecast": ["matplotlib"],
    "vanishing": ["matplotlib"],
}


def load(name: str) -> ModuleType:
    """Import an example; skip the test where a library that only examples need is missing."""
    for library in NEEDS.get(name, []):
        pytest.importorskip(library, reason=f'{library} is missing: pip install ".[examples]"')
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
