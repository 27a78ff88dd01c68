"""Ctrl-C during a fit: it acts where the fit can be finished later, not amid bookkeeping."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Lets Ctrl-C wait while a fit counts, tells its callbacks, or saves.

    As a context manager, in the main thread, where nobody has a handler of his own. ``check``
    raises a KeyboardInterrupt that has waited; while ``open`` it is raised at once, as during a
    native call, which stops between two steps. A second Ctrl-C does not wait.
    """

    def __init__(self) -> None:
        self.open = False
        self._waits = False
        self._before: Any = None

    def __enter__(self) -> None:
        self.open, self._waits = False, False
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._handle)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C has come and waits."""
        if self._waits:
            self._waits = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.open or self._waits:
            self._waits = False
            raise KeyboardInterrupt
        self._waits = True
