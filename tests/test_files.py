"""Nets as files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import pybp as bp
from pybp.files import LAYERS
from pybp.initializers import INITIALIZERS

LAYER_ARGUMENTS = {"Linear": {"units": 3}, "Reshape": {"shape": (2, -1)}}


def _everything() -> bp.Sequential:
    """Return a net with every layer and every initialiser."""
    layers: list[bp.layers.Layer] = []
    for name, kind in LAYERS.items():
        if name not in ("Layer", "Activation"):
            layers.append(kind(**LAYER_ARGUMENTS.get(name, {})))
    layers.append(bp.Flatten())
    for name, kind in INITIALIZERS.items():
        layers.append(
            bp.Linear(4, weight_init=kind(**({"value": 0.5} if name == "Constant" else {})))
        )
    layers += [layers[-1], bp.Linear(2, name="head")]
    return bp.Sequential(layers, seed=3).build((4, 3))


def test_a_net_comes_back_as_it_was(tmp_path: Path, backend: str) -> None:
    net = _everything()
    net.save(tmp_path / "net.safetensors")
    again = bp.load(tmp_path / "net.safetensors")
    assert [repr(layer) for layer in again.layers] == [repr(layer) for layer in net.layers]
    assert again.layers[-2] is again.layers[-3]
    assert (again.dtype, again.seed, again.input_shape) == (net.dtype, net.seed, net.input_shape)
    assert again.params.flat.tobytes() == net.params.flat.tobytes()
    x = np.random.default_rng(0).normal(size=(3, 4, 3))
    np.testing.assert_array_equal(again.predict(x), net.predict(x))


def test_the_safetensors_package_reads_it(tmp_path: Path) -> None:
    net = _everything()
    net.save(tmp_path / "net.safetensors")
    with safe_open(str(tmp_path / "net.safetensors"), framework="numpy") as file:
        names = set(file.keys())
    assert names == set(net.params)
    arrays = bp.load_arrays(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(arrays["head.weight"], net.params["head.weight"])


def test_foreign_files_give_their_arrays_only(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"a": np.arange(3.0)}, str(path))
    assert bp.load_arrays(path)["a"].tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="holds no pybp net"):
        bp.load(path)


def _rewrite(path: Path, change: object) -> None:
    with safe_open(str(path), framework="numpy") as file:
        description = json.loads(file.metadata()["pybp"])
        arrays = {name: file.get_tensor(name) for name in list(file.keys())}
    change(description, arrays)
    save_file(arrays, str(path), metadata={"pybp": json.dumps(description)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, a: d.update(format=2), "format 2"),
        (lambda d, a: d.update(kind="Model"), "kind 'Model'"),
        (lambda d, a: d.update(dtype="int8"), "dtype"),
        (lambda d, a: d.pop("layers"), "layers"),
        (lambda d, a: d["layers"].append({"type": "os.system"}), "broken|unknown"),
        (lambda d, a: d["layers"][0].update(type="Popen"), "unknown type 'Popen'"),
        (lambda d, a: d["layers"][0].update(units=-1), "units"),
        (lambda d, a: d["layers"][0].update(colour=1), "colour"),
        (lambda d, a: d.update(order=[99]), "broken"),
        (lambda d, a: d.update(order=[-1]), "order must be >= 0"),
        (lambda d, a: d["layers"].append({"type": "Activation"}), "unknown type"),
        (lambda d, a: d.update(steps=-1), "steps must be >= 0"),
        (lambda d, a: d.update(epochs=float("inf")), "epochs must be a whole number"),
        (lambda d, a: d.update(seed=None), "seed must be a whole number"),
        (lambda d, a: d.update(dtype=None), "dtype"),
        (lambda d, a: d["layers"][0].update(units=10**13), "should hold the arrays"),  # no memory
        (lambda d, a: d.update(input_shape=[10**13]), "should hold the arrays"),
        (lambda d, a: a.update({"0.bias": np.zeros(3, np.complex64)}), "real numbers"),
        (lambda d, a: d.update(input_shape=[0]), "sizes"),
        (lambda d, a: a.pop("0.weight"), "should hold the arrays"),
        (lambda d, a: a.update({"0.weight": np.zeros((2, 2))}), "shape"),
    ],
)
def test_a_wrong_description_is_a_value_error(tmp_path: Path, change: object, message: str) -> None:
    path = tmp_path / "net.safetensors"
    bp.Sequential([bp.Linear(3)]).build((2,)).save(path)
    _rewrite(path, change)
    with pytest.raises(ValueError, match=message):
        bp.load(path)


def test_damaged_files_are_value_errors(tmp_path: Path) -> None:
    path, broken = tmp_path / "net.safetensors", tmp_path / "broken.safetensors"
    bp.Sequential([bp.Linear(3), bp.Tanh()]).build((2,)).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 4)):
            damaged[at] = rng.integers(0, 256)
        broken.write_bytes(bytes(damaged[: rng.integers(0, len(whole) + 1)]))
        try:
            bp.load(broken)
        except ValueError:
            continue


@pytest.mark.parametrize(("kind", "size"), [("BF16", 2), ("F8_E5M2", 1)])
def test_numbers_without_a_numpy_type_are_a_value_error(
    tmp_path: Path, kind: str, size: int
) -> None:
    header = json.dumps({"a": {"dtype": kind, "shape": [2], "data_offsets": [0, 2 * size]}})
    path = tmp_path / "other.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + b"\0" * (2 * size))
    with pytest.raises(ValueError, match="NumPy has no type for"):
        bp.load_arrays(path)


def test_a_file_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    net = bp.Sequential([bp.Linear(3)]).build((2,))
    for path in (tmp_path, tmp_path / "nowhere" / "net.safetensors"):
        with pytest.raises(OSError, match="can't be written"):
            net.save(path)


def test_missing_files_are_os_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        bp.load(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        bp.load_arrays(tmp_path)
