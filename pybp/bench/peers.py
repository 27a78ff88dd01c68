"""The peers' side: files ``peer_*.py`` in a folder, loaded when they are asked for.

Such a file has

``NAME``                 the peer's name in the table;
``PAUSE``                seconds after a call in which its threads may go on spinning;
``version()``            its version; raises ImportError where it is not installed;
``set_threads(count)``   lets it use so many threads;
``sides(work, quick=)``   a list of ``turns.Side``, one for each setting that may be its best, for
                         one of the workloads, products or kernels here; empty for what it doesn't
                         do. Initial weights and data are those of ``work.net()`` and
                         ``work.data()``.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, Protocol

from pybp.bench.turns import Side


class Peer(Protocol):
    """What a peer's file has."""

    NAME: str
    PAUSE: float

    def version(self) -> str:
        """Return its version."""
        ...

    def set_threads(self, count: int) -> None:
        """Let it use so many threads."""
        ...

    def sides(self, work: Any, *, quick: bool) -> list[Side]:
        """Return it in each setting that may be its best."""
        ...


def load(folder: Path, names: list[str] | None = None) -> tuple[list[Peer], list[str]]:
    """Load the peers of a folder.

    Parameters
    ----------
    folder : Path
        Where the files are.
    names : list of str, optional
        Which of them, such as "pytorch" for ``peer_pytorch.py``; the default is all.

    Returns
    -------
    list of Peer
        Those that are installed.
    list of str
        A line for each of the others.

    Raises
    ------
    FileNotFoundError
        When the folder has no such file.
    """
    found = {path.stem.removeprefix("peer_"): path for path in sorted(folder.glob("peer_*.py"))}
    missing = [name for name in names or () if name not in found]
    if not found or missing:
        wanted = f"peer_{missing[0]}.py" if missing else "no file peer_*.py"
        raise FileNotFoundError(f"{folder} has {'no ' if missing else ''}{wanted}")
    sys.path.insert(0, str(folder.resolve()))  # they import from files beside them
    peers, absent = [], []
    for name in names or found:
        peer: Any = importlib.import_module(f"peer_{name}")
        try:
            peer.version()
            peers.append(peer)
        except ImportError as error:
            absent.append(f"{peer.NAME} is left out: {error}")
    return peers, absent
