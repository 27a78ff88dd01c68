"""The right to change the parameters of a net."""

from __future__ import annotations

import threading
from types import TracebackType


class TrainingLock:
    """As a context manager: whoever is inside trains; a second thread gets a RuntimeError."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("this net is being trained already, by another thread")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()
