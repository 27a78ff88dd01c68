"""Ways to and from other packages. Each is imported when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["torch"]

if TYPE_CHECKING:
    import pybp.interop.torch as torch
else:

    def __getattr__(name: str) -> Any:
        """Import a module of this package."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
