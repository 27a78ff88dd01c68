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

LAYER_ARGUMENTS = {
    "Linear": {"units": 3},
    "Reshape": {"shape": (2, -1)},
    "Conv2d": {"channels": 4, "kernel_size": (3, 2), "padding": ((1, 0), 2), "groups": 2},
    "Conv1d": {"channels": 4, "kernel_size": 3, "padding": "same", "flip": True},
    "ConvTranspose2d": {"channels": 4, "kernel_size": 3, "stride": (2, 1), "dilation": 2},
    "Upsample2d": {"scale_factor": (2, 1)},
    "LayerNorm": {"axes": -1},
}
LAYER_ARGUMENTS |= {
    name: {"kernel_size": 3, "stride": 1, "padding": 1}
    for name in ("MaxPool1d", "MaxPool2d", "AvgPool1d", "AvgPool2d")
}
OF_SEQUENCES = {"Embedding", "EmbeddingBag", "RNN", "LSTM", "GRU", "Bidirectional", "Recurrent"}
ELSEWHERE = {"Input", "Add", "Multiply", "Concat", "Columns"} | OF_SEQUENCES  # in the nets below
PLANE = {name for name in LAYERS if name.endswith("2d")}
LINE = {name for name in LAYERS if name.endswith("1d")}


def _layers(names: set[str]) -> list[bp.layers.Layer]:
    """Return one layer of each kind, the global pools left out."""
    chosen = [name for name in LAYERS if name in names and not name.startswith("Global")]
    return [LAYERS[name](**LAYER_ARGUMENTS.get(name, {})) for name in chosen]


def _everything() -> bp.Sequential:
    """Return a net with every layer for any sample and every initialiser."""
    layers = _layers(LAYERS.keys() - PLANE - LINE - ELSEWHERE)
    layers.append(bp.Flatten())
    for name, kind in INITIALIZERS.items():
        layers.append(
            bp.Linear(4, weight_init=kind(**({"value": 0.5} if name == "Constant" else {})))
        )
    layers += [layers[-1], bp.Linear(2, name="head")]
    return bp.Sequential(layers, seed=3).build((4, 3))


def _pictures() -> bp.Model:
    """Return a graph with every layer for pictures and sequences."""
    x = bp.Input((4, 8, 6), layout="channels_first")
    h: object = x
    for layer in _layers(PLANE):
        h = layer(h)
    pools = [bp.GlobalAvgPool2d()(h), bp.GlobalMaxPool2d()(h)]
    line: object = bp.Reshape((-1, 4))(h)
    for layer in _layers(LINE):
        line = layer(line)
    pools += [bp.GlobalAvgPool1d()(line), bp.GlobalMaxPool1d()(line)]
    return bp.Model(x, bp.Add()(pools), seed=3)


def _sequences() -> bp.Model:
    """Return a graph with every layer for sequences and for bags of ids."""
    ids, bag = bp.Input((None,), dtype="int64"), bp.Input((None,), dtype="int64")
    x = bp.Embedding(9, 3)(ids)
    h = bp.Multiply()([bp.RNN(4, nonlinearity="relu")(x), bp.GRU(4, num_layers=2)(x)])
    h = bp.Concat()([h, bp.Columns(1, 2)(bp.Bidirectional(bp.GRU(2))(bp.LSTM(2)(h)))])
    h = bp.Recurrent(bp.layer_norm_lstm(6, 5), reverse=True, return_sequences=False)(h)
    y = bp.Concat()([h, bp.EmbeddingBag(7, 2, mode="max")(bag)])
    return bp.Model([ids, bag], y, seed=3)


def test_the_nets_of_these_tests_have_every_layer() -> None:
    nets = (_everything(), _pictures(), _sequences())
    assert {type(layer).__name__ for net in nets for layer in net.layers} == set(LAYERS)


def test_a_net_of_sequences_comes_back_as_it_was(tmp_path: Path, backend: str) -> None:
    net = _sequences()
    net.save(tmp_path / "net.safetensors")
    again = bp.load(tmp_path / "net.safetensors")
    assert again.summary() == net.summary()
    assert again.params.flat.tobytes() == net.params.flat.tobytes()
    x = [np.array([1, 8, 3]), np.array([5])], [np.array([6]), np.array([1, 0, 1])]
    np.testing.assert_array_equal(again.predict(x), net.predict(x))


def test_a_graph_comes_back_as_it_was(tmp_path: Path, backend: str) -> None:
    net = _pictures()
    net.save(tmp_path / "net.safetensors")
    again = bp.load(tmp_path / "net.safetensors")
    assert again.summary() == net.summary()
    assert again.params.flat.tobytes() == net.params.flat.tobytes()
    x = np.random.default_rng(0).normal(size=(3, 4, 8, 6))
    np.testing.assert_array_equal(again.predict(x), net.predict(x))


def test_a_net_comes_back_as_it_was(tmp_path: Path, backend: str) -> None:
    net = _everything()
    net.save(tmp_path / "net.safetensors")
    again = bp.load(tmp_path / "net.safetensors")
    assert [repr(layer) for layer in again.layers] == [repr(layer) for layer in net.layers]
    assert again.layers[-2] is again.layers[-3]
    assert (again.dtype, again.seed, again.input_shape) == (net.dtype, net.seed, net.input_shape)
    assert again.params.flat.tobytes() == net.params.flat.tobytes()
    assert again.buffers.flat.tobytes() == net.buffers.flat.tobytes()
    x = np.random.default_rng(0).normal(size=(3, 4, 3))
    np.testing.assert_array_equal(again.predict(x), net.predict(x))


def test_the_safetensors_package_reads_it(tmp_path: Path) -> None:
    net = _everything()
    net.save(tmp_path / "net.safetensors")
    with safe_open(str(tmp_path / "net.safetensors"), framework="numpy") as file:
        names = set(file.keys())
    assert names == {*net.params, *net.buffers}
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
        (lambda d, a: d.update(kind="Forest"), "kind 'Forest'"),
        (lambda d, a: d.update(kind="Model"), "inputs"),
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, a: d["inputs"].pop(), "broken"),
        (lambda d, a: d["order"].pop(), "broken"),
        (lambda d, a: d.update(inputs=[]), "broken"),
        (lambda d, a: d.update(inputs=[], order=[]), "begins with its Inputs"),
        (lambda d, a: d["inputs"].__setitem__(0, [1]), "begins with its Inputs"),
        (lambda d, a: d["inputs"].__setitem__(1, [-1]), "read each other"),
        (lambda d, a: d["inputs"].__setitem__(1, [2]), "node 1 can't read the values"),
        (lambda d, a: d["inputs"].__setitem__(1, [1]), "node 1 can't read the values"),
        (lambda d, a: d["inputs"].__setitem__(1, []), "read each other"),
        (lambda d, a: d["inputs"].__setitem__(1, [0, 0]), "broken"),
        (lambda d, a: d["inputs"].__setitem__(1, [0.5]), "whole number"),
        (lambda d, a: d["inputs"].__setitem__(1, 0), "broken"),
        (lambda d, a: d["inputs"].__setitem__(3, [0, 0]), "node 2 is read by nobody"),
        (lambda d, a: d["order"].__setitem__(0, 1), "begins with its Inputs"),
        (lambda d, a: d["order"].__setitem__(1, 0), "begins with its Inputs"),
        (lambda d, a: d["layers"][0].update(shape=[4, 4, "a"]), "whole numbers"),
        (lambda d, a: d["layers"][0].update(shape=[5, 4, 3]), "takes samples of shape"),
        (lambda d, a: d["layers"][0].update(layout="upside_down"), "layout"),
        (lambda d, a: d["layers"][1].update(padding=[[1, 2]]), "padding"),
        (lambda d, a: d["layers"][1].update(kernel_size=[10**9] * 2), "larger"),
        (lambda d, a: d["layers"][1].update(kernel_size=[[3]]), "kernel_size"),
        (lambda d, a: d["layers"][1].update(channels=10**12), "of one shape"),
        (lambda d, a: a.pop("1.running_var"), "should hold the arrays"),
        (lambda d, a: a.update({"1.running_var": np.zeros(2)}), "should hold the arrays"),
    ],
)
def test_a_wrong_graph_is_a_value_error(tmp_path: Path, change: object, message: str) -> None:
    path = tmp_path / "net.safetensors"
    x = bp.Input((4, 4, 3))
    h = bp.BatchNorm()(bp.Conv2d(3, 3, padding="same")(x))
    bp.Model(x, bp.Add()([x, h])).save(path)
    _rewrite(path, change)
    with pytest.raises(ValueError, match=message):
        bp.load(path)


@pytest.mark.parametrize(
    "make", [lambda: bp.Sequential([bp.Linear(3), bp.Tanh()]).build((2,)), _pictures]
)
def test_damaged_files_are_value_errors(tmp_path: Path, make: object) -> None:
    path, broken = tmp_path / "net.safetensors", tmp_path / "broken.safetensors"
    make().save(path)
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
