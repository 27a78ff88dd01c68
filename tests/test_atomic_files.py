"""Writing of files: the old one or the new one is there and whole, whatever happens meanwhile."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import pybp as bp
from pybp.files import atomic, container, read_checkpoint, write_checkpoint


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.ckpt"


def versions(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


# -------------------------------------------------------------------------------- older versions


def test_older_checkpoints_are_kept(path: Path) -> None:
    for epoch in range(5):
        write_checkpoint(path, {"epoch": epoch}, {}, keep=2)
    assert versions(path) == ["run.ckpt", "run.ckpt.1", "run.ckpt.2"]
    for name, epoch in (("run.ckpt", 4), ("run.ckpt.1", 3), ("run.ckpt.2", 2)):
        assert read_checkpoint(path.with_name(name))[0] == {"epoch": epoch}
    write_checkpoint(path, {"epoch": 5}, {})
    assert read_checkpoint(path.with_name("run.ckpt.1"))[0] == {"epoch": 4}
    write_checkpoint(path, {"epoch": 6}, {}, keep=0)
    assert read_checkpoint(path.with_name("run.ckpt.1"))[0] == {"epoch": 4}
    for wrong, error in ((-1, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="keep"):
            write_checkpoint(path, {}, {}, keep=wrong)


def test_a_kill_after_the_second_name_was_given_loses_no_version(path: Path) -> None:
    for epoch in range(3):
        write_checkpoint(path, {"epoch": epoch}, {}, keep=2)
    path.with_name("run.ckpt.2").unlink()
    path.with_name("run.ckpt.1").rename(path.with_name("run.ckpt.2"))
    path.with_name("run.ckpt.1").hardlink_to(path)  # so it looks after such a kill
    write_checkpoint(path, {"epoch": 3}, {}, keep=2)
    found = [read_checkpoint(path.with_name(name))[0]["epoch"] for name in versions(path)]
    assert found == [3, 2, 1]


def test_without_second_names_the_older_one_is_a_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(atomic.Path, "hardlink_to", refuse)
    for epoch in range(2):
        write_checkpoint(path, {"epoch": epoch}, {})
    assert versions(path) == ["run.ckpt", "run.ckpt.1"]
    assert read_checkpoint(path.with_name("run.ckpt.1"))[0] == {"epoch": 0}


def test_permissions_and_links_stay(path: Path) -> None:
    link = path.with_name("latest")
    link.symlink_to(path)
    before = os.umask(0o027)
    try:
        write_checkpoint(link, {"epoch": 0}, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o600)
    write_checkpoint(link, {"epoch": 1}, {}, keep=0)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_checkpoint(path)[0] == {"epoch": 1}


def test_what_a_dead_process_left_is_removed(path: Path) -> None:
    write_checkpoint(path, {}, {})
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    prefix = atomic._prefix(path)
    gone = [f"{prefix}{dead.pid}-aa.tmp", f"{prefix}{dead.pid}-aa.old"]
    stay = [f"{prefix}{os.getpid()}-aa.tmp", f"{prefix}x-aa.tmp", f".other-{dead.pid}-aa.tmp"]
    for name in gone + stay:
        path.with_name(name).write_bytes(b"half")
    write_checkpoint(path, {}, {}, keep=0)
    assert versions(path) == sorted([*stay, "run.ckpt"])


# ------------------------------------------------------------------------------------ failures


def expect_old(path: Path) -> None:
    """Check that the old checkpoint is whole and nothing else is left."""
    assert read_checkpoint(path)[0] == {"epoch": 0}
    assert [name for name in versions(path) if "tmp" in name or name.endswith(".old")] == []


@pytest.mark.parametrize("step", ["write", "flush", "link", "replace", "folder"])
def test_an_error_at_any_step_leaves_the_old_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write_checkpoint(path, {"epoch": 0}, {"a": np.arange(9.0)})

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if step == "write":
            patch.setattr(container, "_fill", fail)
        elif step == "link":
            patch.setattr(atomic, "_keep", fail)
        elif step == "replace":
            patch.setattr(atomic.Path, "replace", fail)
        else:
            patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match=r"run\.ckpt' can't be written: No space") as caught:
            write_checkpoint(path, {"epoch": 1}, {"a": np.arange(9.0)})
    assert caught.value.errno == 28
    expect_old(path)


def test_an_interrupt_leaves_the_old_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(path, {"epoch": 0}, {})

    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_checkpoint(path, {"epoch": 1}, {})
    expect_old(path)


def test_a_folder_or_device_is_not_replaced(path: Path) -> None:
    for target in (path.parent, Path("/"), Path("/dev/null"), path / "below"):
        with pytest.raises(OSError, match="can't be written"):
            write_checkpoint(target, {}, {})
    assert not stat.S_ISREG(Path("/dev/null").stat().st_mode)


FILE_LIMIT = """
import resource, sys, numpy as np
from pybp.files import write_checkpoint
write_checkpoint(sys.argv[1], {"epoch": 0}, {"a": np.zeros(100)})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_checkpoint(sys.argv[1], {"epoch": 1}, {"a": np.zeros(1_000_000)})
except OSError as error:
    print("refused", error)
"""


def test_a_file_beyond_the_size_limit(path: Path) -> None:
    command = [sys.executable, "-P", "-c", FILE_LIMIT, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "refused" in result.stdout
    assert "File too large" in result.stdout
    expect_old(path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of 1 MB, where the system lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "run.ckpt"
    net = bp.Sequential([bp.Linear(600)]).build((400,))  # 0.96 MB
    for epoch in (0, 1, 2):
        write_checkpoint(path, {"epoch": epoch}, {"a": np.zeros(50_000, np.uint8)})
    before = [path.read_bytes(), path.with_name("run.ckpt.1").read_bytes()]
    for size in (1_000_000, 960_000, 10_000_000):
        with pytest.raises(OSError, match=r"can't be written.*[Nn]o space") as caught:
            write_checkpoint(path, {"epoch": 3}, {"a": np.zeros(size, np.uint8)})
        assert caught.value.errno == 28
    with pytest.raises(OSError, match="can't be written"):
        net.save(small_disk / "net.safetensors")
    assert versions(path) == ["run.ckpt", "run.ckpt.1"]
    assert [path.read_bytes(), path.with_name("run.ckpt.1").read_bytes()] == before


KILLED = """
import sys, numpy as np
from pybp.files import write_checkpoint
print("ready", flush=True)
for epoch in range(10**9):
    write_checkpoint(sys.argv[1], {"epoch": epoch}, {"a": np.full(20_000, float(epoch))})
"""


def test_a_killed_writer_leaves_a_whole_file(path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(6):
        command = [sys.executable, "-P", "-c", KILLED, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            while not path.exists():
                assert writer.poll() is None
            writer.stdout.close()
            for _ in range(int(rng.integers(1, 40))):
                description, arrays = read_checkpoint(path)  # at any moment
                assert (arrays["a"] == description["epoch"]).all()
            writer.kill()
        description, arrays = read_checkpoint(path)
        assert (arrays["a"] == description["epoch"]).all()
    write_checkpoint(path, {}, {})
    assert versions(path) == ["run.ckpt", "run.ckpt.1"]  # nothing else is left


def test_an_array_that_another_thread_changes(path: Path) -> None:
    """The file holds some of the old and some of the new numbers, and is whole."""
    array, stop = np.zeros(300_000), threading.Event()

    def change() -> None:
        while not stop.is_set():
            array[...] += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(10):
            write_checkpoint(path, {}, {"a": array}, keep=0)
            assert read_checkpoint(path)[1]["a"].shape == array.shape
    finally:
        stop.set()
        thread.join()


def test_the_order_of_the_system_calls(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data are on the disk before the name points at them; the folder comes last."""
    write_checkpoint(path, {}, {})
    calls: list[tuple[str, str]] = []
    flush, replace = atomic._flush, atomic.Path.replace
    monkeypatch.setattr(
        atomic, "_flush", lambda p: (calls.append(("flush", p.suffix)), flush(p))[1]
    )
    monkeypatch.setattr(
        atomic.Path,
        "replace",
        lambda self, to: (calls.append(("rename", Path(to).suffix)), replace(self, to))[1],
    )
    write_checkpoint(path, {}, {})
    assert calls == [("flush", ".tmp"), ("rename", ".1"), ("rename", ".ckpt"), ("flush", "")]
