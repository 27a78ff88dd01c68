"""The memory that a process holds itself, without the pages of files. Linux only."""

from __future__ import annotations

import re
import threading
from pathlib import Path


def own_memory() -> int:
    """Return the bytes in memory that belong to no file."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    if found is None:
        raise OSError("/proc/self/status has no RssAnon")
    return 1024 * int(found[1])


class Watch:
    """Reads the process's own memory every 20 ms, in a thread."""

    def __init__(self) -> None:
        self.found: list[int] = [own_memory()]  # bytes
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        while not self.done.wait(0.02):
            self.found.append(own_memory())

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.thread.join()
