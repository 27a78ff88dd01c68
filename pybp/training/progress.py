"""The progress line of a fit."""

from __future__ import annotations

import sys
import time


class Progress:
    """Prints one line an epoch; on a terminal the line also shows how far the epoch is.

    Parameters
    ----------
    epochs : int
        Number of epochs of the fit.
    verbose : int
        0 prints nothing.
    """

    def __init__(self, epochs: int, verbose: int) -> None:
        self.epochs = epochs
        self._on = bool(verbose)
        self._live = self._on and sys.stdout.isatty()
        self._width = len(str(epochs))
        self._start = 0.0
        self._shown = 0.0

    def begin(self) -> None:
        """Start the clock of an epoch."""
        self._start = self._shown = time.perf_counter()

    def show(self, epoch: int, done: int, total: int) -> None:
        """Show how many rows of the epoch are done, a few times a second at most."""
        now = time.perf_counter()
        if self._live and now - self._shown > 0.2 and done < total:
            self._shown = now
            sys.stdout.write(f"\r{self._head(epoch)}  {100 * done // total:3d} %")
            sys.stdout.flush()

    def end(self, epoch: int, logs: dict[str, float]) -> None:
        """Print the line of a finished epoch."""
        if not self._on:
            return
        figures = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        seconds = time.perf_counter() - self._start
        lasted = f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.1f} ms"
        start = "\r\x1b[K" if self._live else ""
        print(f"{start}{self._head(epoch)}  {figures}  {lasted}", flush=True)

    def _head(self, epoch: int) -> str:
        return f"epoch {epoch + 1:>{self._width}}/{self.epochs}"
