"""The figures of each epoch in a text file."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybp.callbacks.base import Callback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pybp.training.trainer import Trainer


class CSVLogger(Callback):
    """Write the logs of each epoch as a row of a CSV file.

    The header comes from the logs of the first epoch: ``epoch`` (from 0 in every fit), and their
    keys. Put the callback behind those that add figures. A figure that an epoch lacks is left
    empty; one that only later epochs have is left out, with a warning.

    Parameters
    ----------
    path : path
        The file.
    separator : str
        One character between two figures.
    append : bool
        Whether the rows of a file that is there already are kept; the header is written only to
        an empty file.

    Notes
    -----
    The file is opened for each row and closed again, so that it is whole after every epoch and
    never left open: about 0.1 ms an epoch. Numbers are written so that reading gives the same bits.
    A resumed fit goes on with the rows of its checkpoint: rows that were written after it are taken
    away, as these epochs come again.
    """

    def __init__(
        self, path: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        if not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n':
            raise ValueError(f"separator must be one character, got {separator!r}")
        self.path = Path(path)
        self.separator = separator
        self.append = append
        self._reset()

    def _reset(self) -> None:
        self._begin = -1  # bytes of the file before the rows of this fit; -1: none yet
        self._names: list[str] = []
        self._text = ""  # what this fit has written

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Start anew; raise OSError now where the file can't be written."""
        self._reset()
        with self.path.open("ab"):
            pass

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: dict[str, Any]) -> None:
        """Write a row; the header before the first one."""
        text = ""
        if self._begin < 0:
            kept = self._read_header() if self.append else []
            self._begin = self.path.stat().st_size if self.append else 0
            self._names = kept or ["epoch", *logs]
            text = "" if kept else self._line(self._names)
        later = [name for name in logs if name not in self._names]
        if later:
            warnings.warn(
                f"CSVLogger: {', '.join(later)} is left out of {self.path}, whose columns are "
                f"{', '.join(self._names)}",
                RuntimeWarning,
                stacklevel=2,
            )
        row = {"epoch": epoch, **logs}
        text += self._line([row.get(name, "") for name in self._names])
        self._write(self._begin + len(self._text.encode()), text)
        self._text += text

    def state(self) -> dict[str, Any]:
        """Return where the rows of this fit begin, the columns, and the rows."""
        return {"begin": self._begin, "names": list(self._names), "text": self._text}

    def restore(self, state: dict[str, Any]) -> None:
        """Let the file hold the rows of the checkpoint, and no others of this fit."""
        begin, text = int(state["begin"]), str(state["text"])
        if begin > self.path.stat().st_size:
            raise ValueError(
                f"{self.path} has lost rows: it held {begin} bytes before the interrupted fit"
            )
        if begin >= 0:
            self._write(begin, text)
        self._begin, self._names, self._text = begin, [str(n) for n in state["names"]], text

    def _write(self, place: int, text: str) -> None:
        """Write some text at a place of the file, and cut off what lies behind."""
        with self.path.open("r+b") as file:
            file.truncate(place)
            file.seek(place)
            file.write(text.encode())

    def _line(self, cells: Sequence[Any]) -> str:
        import csv
        import io

        line = io.StringIO()
        csv.writer(line, delimiter=self.separator, lineterminator="\n").writerow(cells)
        return line.getvalue()

    def _read_header(self) -> list[str]:
        """Return the columns of the file, none where it is empty."""
        import csv

        with self.path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file, delimiter=self.separator), [])
