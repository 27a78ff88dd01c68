"""What this build can do, and how many threads it uses."""

from __future__ import annotations

import contextlib
import importlib
import platform
import sys
from types import ModuleType
from typing import Any

import numpy as np

from pybp import backends
from pybp.data import inputs
from pybp.version import __version__


def _core() -> ModuleType | None:
    if backends.native_error:
        return None
    return importlib.import_module("pybp._core")


def set_num_threads(threads: int) -> None:
    """Set how many threads native calls use, from the next call on.

    Results don't depend on it, to the last bit. The start is ``PYBP_NUM_THREADS``, or
    ``OMP_NUM_THREADS``, or the number of CPUs that this process may use by its affinity and the
    CPU quota of its control group. Calls of several threads at the same time share the threads.

    Raises
    ------
    TypeError, ValueError
        For anything but a whole number >= 1.
    """
    threads = inputs.whole_number(threads, "threads", 1)
    core = _core()
    if core is not None:
        core.set_num_threads(threads)


def num_threads() -> int:
    """Return how many threads native calls use (1 where only NumPy works)."""
    core = _core()
    return 1 if core is None else int(core.num_threads())


# The attributes of a controller of threadpoolctl, whose class is known only when it is there.
_CONTROLLER: dict[str, Any] = {
    "user_api": "pybp",
    "internal_api": "pybp",
    "filename_prefixes": ("_core",),
    "check_symbols": ("pybp_num_threads",),  # others have a "_core" as well
    "get_num_threads": lambda self: int(self.dynlib.pybp_num_threads()),
    "set_num_threads": lambda self, threads: self.dynlib.pybp_set_num_threads(threads),
    "get_version": lambda self: __version__,
}


def register_threadpoolctl() -> None:
    """Let threadpoolctl see and limit the threads of native calls.

    ``threadpool_limits(limits=1)`` then holds for pybp too; its ``user_api`` is "pybp". The import
    of pybp does this itself where threadpoolctl has been imported before. A second call changes
    nothing.

    Raises
    ------
    ImportError
        Without threadpoolctl 3.2 or newer.
    """
    try:
        module: Any = importlib.import_module("threadpoolctl")
        register, known = module.register, module.LibController.__subclasses__()
    except (ImportError, AttributeError) as error:
        raise ImportError(
            "register_threadpoolctl needs threadpoolctl >= 3.2: pip install threadpoolctl"
        ) from error
    if "pybp" in (controller.user_api for controller in known):
        return

    register(type("PybpController", (module.LibController,), _CONTROLLER))


def show_config() -> None:
    """Print version, backend, compiler, instruction set and threads, one a line."""
    lines = {
        "pybp": __version__,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "backend": backends.current_backend(),
    }
    core = _core()
    if core is None:
        lines["native"] = f"not available: {backends.native_error}"
    else:
        info = core.build_info()
        lines["compiler"] = info["compiler"]
        lines["openmp"] = "yes" if info["openmp"] else "no"
        lines["isa"] = f"{core.isa()} (available: {', '.join(core.isa_levels())})"
        lines["threads"] = str(core.num_threads())
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name:<{width}}  {value}")


if "threadpoolctl" in sys.modules:
    with contextlib.suppress(ImportError):  # where it is an old one
        register_threadpoolctl()
