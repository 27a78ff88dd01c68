"""Backends, threads, and what happens without the extension."""

from __future__ import annotations

import os
import subprocess
import sys

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
