"""Files that are replaced whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path  # takes 2.5 ms to import: so is this module when a file is written

_MOST_OF_NAME = 40  # characters of the target's name in that of its temporary file


def replace_file(
    path: str | os.PathLike[str], write: Callable[[Path], None], keep: int = 0
) -> None:
    """Write a file so that its name always stands for a whole one, the old or the new.

    Parameters
    ----------
    path : str or path
        The file; a link is followed. It need not exist, its folder must.
    write : function
        Gets the path of an empty temporary file in the same folder, and fills it.
    keep : int
        How many older files to keep: ``path + ".1"`` is the one before, ".2" the one before that.

    Raises
    ------
    OSError
        When the file can't be written, the disk being full for one; the old one is then as it was.

    Notes
    -----
    The temporary file is written and flushed to the disk (fsync), the old file gets a second name,
    the temporary file takes its place in one step (rename), and the folder is flushed. A process
    that is killed leaves at most a temporary file behind, which the next one to write the same
    file removes.
    """
    target = Path(os.path.realpath(path))
    temporary = target.parent / f"{_prefix(target)}{os.getpid()}-{os.urandom(6).hex()}.tmp"
    second = temporary.with_suffix(".old")
    try:
        mode = _mode(target)
        _remove_left(target)
        temporary.touch(0o666 if mode is None else mode, exist_ok=False)
        write(temporary)
        _flush(temporary)
        if keep and mode is not None:
            _keep(target, keep, second)
        temporary.replace(target)
        _flush(target.parent)
    except OSError as error:
        text = f"{os.fspath(path)!r} can't be written: {error.strerror or error}"
        raise (OSError(error.errno, text) if error.errno else OSError(text)) from error
    finally:
        _remove(temporary)
        _remove(second)


def _mode(target: Path) -> int | None:
    """Return the permissions of the file that will be replaced, None where there is none."""
    try:
        found = target.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found):  # a folder; or a device, which no file must replace
        raise OSError(errno.EISDIR if stat.S_ISDIR(found) else errno.EINVAL, "it is no plain file")
    return stat.S_IMODE(found)


def _prefix(target: Path) -> str:
    """Return how the names of temporary files for a target begin, on this machine."""
    return f".{target.name[:_MOST_OF_NAME]}.{os.uname().nodename[:_MOST_OF_NAME]}-"


def _remove_left(target: Path) -> None:
    """Remove what processes of this machine that are dead now left behind."""
    prefix = _prefix(target)
    for path in target.parent.iterdir():
        if path.name.startswith(prefix) and path.suffix in (".tmp", ".old"):
            owner = path.name.removeprefix(prefix).partition("-")[0]
            if owner.isdecimal() and not _is_alive(int(owner)):
                _remove(path)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends nothing
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # it is somebody else's
    return True


def _keep(target: Path, keep: int, second: Path) -> None:
    """Give the present file the name of the first older one, and so on; it keeps its own too."""
    older = [target.with_name(f"{target.name}.{i}") for i in range(1, keep + 1)]
    if older[0].exists() and older[0].samefile(target):
        return  # a process was killed at this very place
    for i in range(keep - 1, 0, -1):
        if older[i - 1].exists():
            older[i - 1].replace(older[i])
    try:
        second.hardlink_to(target)
    except OSError:  # the file system has no second names
        import shutil

        shutil.copyfile(target, second)
        _flush(second)
    second.replace(older[0])


def _flush(path: Path) -> None:
    """Have a file or a folder on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL or not path.is_dir():  # some systems flush no folders
            raise
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # what can't be removed does no harm
