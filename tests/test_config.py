"""Backends, threads, and what happens without the extension."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import require_native

import pybp as bp


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_default_backend_can_be_set_and_comes_back() -> None:
    require_native()
    from pybp.backends import current_backend

    with bp.use_backend("native"):
        with bp.use_backend("numpy"):
            assert current_backend() == "numpy"
        assert current_backend() == "native"
        bp.use_backend("numpy")
        assert current_backend() == "numpy"


def test_a_net_changes_backend_between_calls() -> None:
    require_native()
    x = np.random.default_rng(0).normal(size=(4, 3))
    net = bp.Sequential([bp.Linear(5), bp.Tanh()], dtype="float64")
    with bp.use_backend("native"):
        native = net.predict(x)
    with bp.use_backend("numpy"):
        np.testing.assert_allclose(net.predict(x), native, rtol=1e-13)


def test_the_environment_chooses_the_backend() -> None:
    done = _python("import pybp.backends as b; print(b.current_backend())", PYBP_BACKEND="numpy")
    assert done.stdout.strip() == "numpy"
    done = _python("import pybp", PYBP_BACKEND="cuda")
    assert "backend must be one of native, numpy, got 'cuda'" in done.stderr


WITHOUT_EXTENSION = """
import sys, warnings
sys.modules["pybp._core"] = None
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import pybp as bp
import numpy as np
assert len(caught) == 1, caught
print(caught[0].message)
bp.show_config()
bp.set_num_threads(2)
print(bp.num_threads(), bp.Sequential([bp.Linear(2)]).predict(np.ones((1, 3))).shape)
try:
    bp.use_backend("native")
except RuntimeError as error:
    print(error)
"""


def test_without_the_extension_numpy_works() -> None:
    done = _python(WITHOUT_EXTENSION)
    assert done.returncode == 0, done.stderr
    assert "uses its NumPy backend" in done.stdout
    assert "not available" in done.stdout
    assert "1 (1, 2)" in done.stdout
    assert "the native backend can't be loaded" in done.stdout


@pytest.mark.parametrize(
    ("environment", "threads"),
    [({"PYBP_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3), ({"OMP_NUM_THREADS": "5"}, 5)],
)
def test_the_environment_sets_the_threads(environment: dict[str, str], threads: int) -> None:
    require_native()
    clean = dict.fromkeys(("PYBP_NUM_THREADS", "OMP_NUM_THREADS"), "")
    done = _python("import pybp; print(pybp.num_threads())", **{**clean, **environment})
    assert done.stdout.strip() == str(threads)


V2, V1 = "0::{}\n", "9:name=systemd:/x\n4:cpuacct,cpu:{}\n0::/x\n"


@pytest.mark.parametrize(
    ("groups", "files", "cpus"),
    [
        (V2.format("/"), {"cpu.max": "150000 100000"}, 2),
        (V2.format("/"), {"cpu.max": "200000 100000"}, 2),
        (V2.format("/"), {"cpu.max": "1000 100000"}, 1),
        (V2.format("/"), {"cpu.max": "max 100000"}, 0),
        (V2.format("/a/b"), {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
        (V2.format("/a/b"), {"a/b/cpu.max": "400000 100000", "a/cpu.max": "700000 100000"}, 4),
        (V2.format("/outside/path"), {"cpu.max": "250000 100000"}, 3),
        (V2.format("/a"), {"a/cpu.max": ""}, 0),
        (V2.format("/a"), {"a/cpu.max": "1e300 1"}, 1 << 20),
        (
            V1.format("/d"),
            {"cpu/d/cpu.cfs_quota_us": "50000", "cpu/d/cpu.cfs_period_us": "20000"},
            3,
        ),
        (
            V1.format("/d"),
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            0,
        ),
        (V1.format("/"), {"cpu/cpu.cfs_quota_us": "100000"}, 0),
        ("nothing\n:\n::\n5:cpu\n4:cpu:x\n", {"cpu.max": "100000 100000"}, 0),
        (None, {"cpu.max": "100000 100000"}, 0),
    ],
)
def test_the_quota_of_control_groups_is_read(
    groups: str | None, files: dict[str, str], cpus: int, tmp_path: Path
) -> None:
    """Version 2 and 1, limits of a group and of those above it, rounded up; 0 is no limit."""
    require_native()
    from pybp import _core

    if groups is not None:
        files = {"/proc/self/cgroup": groups} | files
    for name, text in files.items():
        path = tmp_path / (name[1:] if name[0] == "/" else f"sys/fs/cgroup/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert _core.cpu_quota(str(tmp_path)) == cpus


ONE_CPU = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_the_default_is_what_affinity_and_quota_allow() -> None:
    require_native()
    from pybp import _core

    clean = dict.fromkeys(("PYBP_NUM_THREADS", "OMP_NUM_THREADS"), "")
    cpus = len(os.sched_getaffinity(0))
    for prepare, count in [("pass", min(cpus, _core.cpu_quota() or cpus)), (ONE_CPU, 1)]:
        done = _python(f"{prepare}\nimport pybp; print(pybp.num_threads())", **clean)
        assert done.stdout.strip() == str(count), done.stderr


THREADPOOLCTL = """
import sys
{first}
import pybp as bp
{then}
import threadpoolctl
bp.set_num_threads(3)
own = [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "pybp"]
assert [lib["num_threads"] for lib in own] == {seen}, own
if own:
    assert own[0]["version"] == bp.__version__
    with threadpoolctl.threadpool_limits(limits=1):
        assert bp.num_threads() == 1
    assert bp.num_threads() == 3
    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        assert bp.num_threads() == 3
    with threadpoolctl.threadpool_limits(limits={{"pybp": 2}}):
        assert bp.num_threads() == 2
"""


@pytest.mark.parametrize(
    ("first", "then", "seen"),
    [
        ("import threadpoolctl", "", [3]),
        ("import threadpoolctl", "bp.config.register_threadpoolctl()", [3]),
        ("", "assert 'threadpoolctl' not in sys.modules", []),
        ("", "bp.config.register_threadpoolctl(); bp.config.register_threadpoolctl()", [3]),
        ("sys.modules['threadpoolctl'] = None", "del sys.modules['threadpoolctl']", []),
    ],
)
def test_threadpoolctl_limits_the_threads(first: str, then: str, seen: list[int]) -> None:
    require_native()
    pytest.importorskip("threadpoolctl", "3.2")
    done = _python(THREADPOOLCTL.format(first=first, then=then, seen=seen))
    assert done.returncode == 0, done.stderr


def test_without_threadpoolctl_the_error_names_it() -> None:
    code = "import sys, pybp as bp; sys.modules['threadpoolctl'] = None\n"
    done = _python(f"{code}bp.config.register_threadpoolctl()")
    assert "ImportError: register_threadpoolctl needs threadpoolctl >= 3.2" in done.stderr


def test_show_config_names_what_is_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    require_native()
    bp.show_config()
    shown = capsys.readouterr().out
    for word in (bp.__version__, "backend", "isa", "threads", "openmp", "compiler"):
        assert word in shown


def test_import_changes_nothing_of_others() -> None:
    code = """
import os, signal, numpy as np
np.random.seed(1)
before = (dict(os.environ), [signal.getsignal(s) for s in signal.valid_signals()], np.geterr())
state = np.random.get_state()[1].tobytes()
tiny = np.float32(1e-40)
import pybp
pybp.Sequential([pybp.Linear(2)]).predict(np.ones((1, 3)))
after = (dict(os.environ), [signal.getsignal(s) for s in signal.valid_signals()], np.geterr())
assert before == after
assert state == np.random.get_state()[1].tobytes()
assert tiny * np.float32(0.5) > 0, "denormals are flushed outside of native calls"
"""
    done = _python(code)
    assert done.returncode == 0, done.stderr
