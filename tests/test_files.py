"""Nets as files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from tolerance import TRAINING, TRANSCENDENTAL, check_close

import pybp as bp
from pybp.files import LAYERS, container, read_checkpoint
from pybp.initializers import INITIALIZERS

DATA = Path(__file__).parent / "data"
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


def test_frozen_layers_and_names_come_back(tmp_path: Path, backend: str) -> None:
    block = bp.Sequential([bp.Linear(3), bp.Linear(3)], name="block")
    net = bp.Sequential([block, bp.Linear(3), bp.Linear(2)], name="whole").build((3,))
    net.trainable("block", False)
    net.trainable("2", False)
    net.save(tmp_path / "net.safetensors")
    again = bp.load(tmp_path / "net.safetensors")
    assert again.name == "whole"
    names = ("block", "block.0", "block.1", "1", "2")
    assert [again.trainable(name) for name in names] == [False, False, False, True, False]
    again.fit(np.ones((4, 3)), np.ones((4, 2)), loss="mse", optimizer="adam", epochs=1, verbose=0)
    changed = [name for name in again.params if (again.params[name] != net.params[name]).any()]
    assert changed == ["1.weight", "1.bias"]


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
    """Change the description or the arrays of a file; its checksum is right."""
    description, arrays = container.read(path)
    del description["sha256"]
    change(description, arrays)
    container.write(path, description, arrays)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, a: d.update(format=3), "format 3.* up to 2: a newer version"),
        (lambda d, a: d.update(format="2"), "format '2'"),
        (lambda d, a: d.update(format=0), "format 0"),
        (lambda d, a: d.update(kind="Forest"), "kind 'Forest'"),
        (lambda d, a: d.update(kind=["Model"]), "kind"),
        (lambda d, a: d.update(kind="Model"), "begins with its Inputs"),
        (lambda d, a: d.update(dtype="int8"), "dtype"),
        (lambda d, a: d.pop("layers"), "layers"),
        (lambda d, a: d["layers"].append({"type": "os.system"}), "broken|unknown"),
        (lambda d, a: d["layers"][0].update(type="Popen"), "unknown type 'Popen'"),
        (lambda d, a: d["layers"][0].update(units=-1), "units"),
        (lambda d, a: d["layers"][0].update(colour=1), "colour"),
        (lambda d, a: d["nodes"][0].update(layer=99), "broken"),
        (lambda d, a: d["nodes"][0].update(layer=-1), "a number >= 0"),
        (lambda d, a: d["nodes"][0].update(layer=True), "a whole number"),
        (lambda d, a: d["nodes"][0].update(path=3), "a text"),
        (lambda d, a: d["nodes"][0].update(path="1"), "array 1.weight"),
        (lambda d, a: d["nodes"][0].update(path=""), "names"),
        (lambda d, a: d["nodes"][0].update(nets=[["0", "Model"]]), "broken"),
        (lambda d, a: d["nodes"].extend(d["nodes"] * 10_000), "more than 10000 uses"),
        (lambda d, a: d.update(name=3), "name"),
        (lambda d, a: d.update(frozen=["7"]), "no layer '7'"),
        (lambda d, a: d.update(frozen=[[]]), "broken"),
        (lambda d, a: d["layers"].append({"type": "Activation"}), "unknown type"),
        (lambda d, a: d.update(steps=-1), "steps must be >= 0"),
        (lambda d, a: d.update(epochs=float("inf")), "epochs must be a whole number"),
        (lambda d, a: d.update(seed=None), "seed must be a whole number"),
        (lambda d, a: d.update(dtype=None), "dtype"),
        (lambda d, a: d["layers"][0].update(units=10**13), "should hold the array"),  # no memory
        (lambda d, a: d.update(input_shapes=[[10**13]]), "should hold the array"),
        (lambda d, a: d.update(input_shapes=[[2], [2]]), "1 shapes"),
        (lambda d, a: a.update({"0.bias": np.zeros(3, np.complex64)}), "real numbers"),
        (lambda d, a: d.update(input_shapes=[[0]]), "sizes"),
        (lambda d, a: a.pop("0.weight"), "should hold the array"),
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
        (lambda d, a: d["nodes"][1].pop("inputs"), "broken"),
        (lambda d, a: d["nodes"].pop(), "node 2 is read by nobody|broken"),
        (lambda d, a: d.update(nodes=[], outputs=[]), "begins with its Inputs"),
        (lambda d, a: d.update(nodes={}), "a list"),
        (lambda d, a: d.update(outputs=[]), "read by nobody"),
        (lambda d, a: d.update(outputs=[99]), "broken"),
        (lambda d, a: d.update(outputs=[-1, 3]), "read each other"),
        (lambda d, a: d["nodes"][0].update(inputs=[1]), "node 0 can't read the values"),
        (lambda d, a: d["nodes"][0].update(inputs=[-2]), "begins with its Inputs"),
        (lambda d, a: d["nodes"][1].update(inputs=[-1]), "read each other"),
        (lambda d, a: d["nodes"][1].update(inputs=[2]), "node 1 can't read the values"),
        (lambda d, a: d["nodes"][1].update(inputs=[1]), "node 1 can't read the values"),
        (lambda d, a: d["nodes"][1].update(inputs=[]), "node 1 can't read the values"),
        (lambda d, a: d["nodes"][1].update(inputs=[0, 0]), "broken"),
        (lambda d, a: d["nodes"][1].update(inputs=[0.5]), "whole number"),
        (lambda d, a: d["nodes"][1].update(inputs=0), "a list"),
        (lambda d, a: d["nodes"][3].update(inputs=[0, 0]), "node 2 is read by nobody"),
        (lambda d, a: d["nodes"][2].update(path="0"), "two layers have one name"),
        (lambda d, a: d["nodes"][0].update(layer=1), "a layer has the names 'input', '0'"),
        (lambda d, a: d["nodes"][1].update(layer=0), "names"),
        (lambda d, a: d["layers"][0].update(shape=[4, 4, "a"]), "whole numbers"),
        (lambda d, a: d["layers"][0].update(shape=[5, 4, 3]), "takes samples of shape"),
        (lambda d, a: d["layers"][0].update(layout="upside_down"), "layout"),
        (lambda d, a: d["layers"][1].update(padding=[[1, 2]]), "padding"),
        (lambda d, a: d["layers"][1].update(kernel_size=[10**9] * 2), "should hold the array"),
        (lambda d, a: d["layers"][1].update(kernel_size=[[3]]), "kernel_size"),
        (lambda d, a: d["layers"][1].update(channels=10**12), "should hold the array"),
        (lambda d, a: a.pop("1.running_var"), "should hold the array"),
        (lambda d, a: a.update({"1.running_var": np.zeros(2)}), "should hold the array"),
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


def test_files_of_format_1_are_read(backend: str) -> None:
    """Written by version 0.1.0; their results then, to rounding."""
    net = bp.load(DATA / "format1_sequential.safetensors")
    assert (net.dtype, net.seed, net.state.steps, net.state.epochs) == ("float64", 5, 4, 2)
    assert net.layers[4] is net.layers[1]
    assert net.paths == ("0", "1", "2", "3", "1", "5", "head")
    assert repr(net.layers[1]) == "Linear(units=3, weight_init=Orthogonal(gain=2.0))"
    got = net.predict(np.linspace(-1, 1, 6).reshape(2, 3))
    expected = [
        [-0.21714559937636546, -0.14066039414942588],
        [0.9522246290653807, 1.0156476432552368],
    ]
    check_close(got, expected, "float64", 3, TRAINING)
    model = bp.load(DATA / "format1_model.safetensors")
    pictures = np.linspace(0, 1, 72, dtype=np.float32).reshape(1, 6, 6, 2)
    got = model.predict((pictures, [np.array([1, 4, 2])]))
    expected = np.zeros((1, 9))
    expected[0, :4] = -0.22344639897346497, -0.026927776634693146, 0.12967246770858765, -0.35862115
    expected[0, 4:] = (
        -0.4577776789,
        -0.0530906468629,
        0.54224526882,
        -0.00781945139169,
        0.0121914455667,
    )
    check_close(got, expected, "float32", 18, TRANSCENDENTAL)


def test_files_of_format_2_are_read(backend: str) -> None:
    net = bp.load(DATA / "format2_sequential.safetensors")
    assert (net.dtype, net.seed, net.name, net.state.steps) == ("float64", 5, "whole", 4)
    assert net.paths == ("block.0", "block.1", "1", "2")
    assert [net.trainable(name) for name in ("block", "1", "2")] == [False, True, True]
    assert repr(net.layers[3]) == "Linear(units=2, weight_init=Constant(value=0.25), lr_scale=0.5)"
    got = net.predict(np.linspace(-1, 1, 6).reshape(2, 3))
    expected = [
        [0.002991145256200297, 0.02332568238355879],
        [-0.5369458895442578, -0.5246012564404942],
    ]
    check_close(got, expected, "float64", 3, TRAINING)
    description, arrays = read_checkpoint(DATA / "format2_checkpoint.safetensors")
    assert description == {"epoch": 3, "losses": [0.5, float("inf")]}
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "w": [[0, 1, 2], [3, 4, 5]],
        "flag": [True, False],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, a: d.update(order=[99, 0]), "broken"),
        (lambda d, a: d.update(order=[-1]), "order must be >= 0"),
        (lambda d, a: d.update(order=[0] * 20_000), "more than 10000 uses"),
        (lambda d, a: d["inputs"].pop(), "broken"),
        (lambda d, a: d.update(inputs=[], order=[]), "begins with its Inputs"),
        (lambda d, a: d["inputs"].__setitem__(0, [1]), "begins with its Inputs"),
        (lambda d, a: d["inputs"].__setitem__(2, [-1]), "read each other"),
        (lambda d, a: d.update(input_shape=[2]), "broken"),
        (lambda d, a: d["layers"][4].update(type="Popen"), "unknown type 'Popen'"),
    ],
)
def test_a_wrong_description_of_format_1(tmp_path: Path, change: object, message: str) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes((DATA / "format1_model.safetensors").read_bytes())
    description, arrays = container.read(path)
    change(description, arrays)
    save_file(arrays, str(path), metadata={"pybp": json.dumps(description)})
    with pytest.raises(ValueError, match=message):
        bp.load(path)


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
