"""Descriptions as JSON: what can be described comes back, what can't is named."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pybp as bp
from pybp.files import build_net, container, describe, describe_net, from_json, records, to_json
from pybp.initializers import Initializer
from pybp.layers import Layer
from pybp.metrics import LossMetric
from pybp.program.builder import Builder
from pybp.record import Record

NEEDED: dict[str, dict[str, Any]] = {  # arguments without a default
    "units": {"units": 3},
    "channels": {"channels": 2, "kernel_size": 3},
    "kernel_size": {"kernel_size": 2},
    "count": {"count": 5, "size": 2},
    "value": {"value": 0.5},
    "loss": {"loss": bp.Huber(delta=0.7)},
}


def example(kind: type[Record]) -> Record | None:
    """Return a record of this kind, None where it needs arguments that are not in the list."""
    needed = [name for name in kind._fields if name not in kind._defaults]
    arguments = NEEDED.get(needed[0], {}) if needed else {}
    return None if set(needed) - set(arguments) else kind(**arguments)


EXAMPLES = {name: example(kind) for name, kind in records.RECORDS.items()}


@pytest.mark.parametrize("record", [one for one in EXAMPLES.values() if one], ids=repr)
def test_each_kind_comes_back(record: Record) -> None:
    text = json.dumps(describe(record))
    again = from_json(json.loads(text), records.RECORDS)
    assert type(again) is type(record)
    assert repr(again.to_dict()) == repr(record.to_dict())


def test_nearly_all_kinds_have_an_example() -> None:
    others = {name for name, one in EXAMPLES.items() if one is None}
    assert len(others) < len(EXAMPLES) / 4, others


@pytest.mark.parametrize(
    "record",
    [
        bp.SGD(np.float32(0.5), momentum=0.9),
        bp.Adam(betas=(0.8, 0.9)),
        bp.CrossEntropy(weight=np.array([1, 2.5], np.float32)),
        bp.CrossEntropy(weight=np.array([1, 2], ">i2")),
        bp.BCEWithLogits(weight=[0.5, np.inf], pos_weight=(1, np.nan)),
        bp.Constant(-math.inf),
        bp.Constant(math.nan),
        bp.Conv2d(np.int64(3), (3, np.int32(2)), padding=((1, 0), 2)),
        LossMetric(bp.Quantile(0.1)),
        bp.Bidirectional(bp.LSTM(3, weight_init=bp.Normal(std=0.1))),
    ],
    ids=repr,
)
def test_fields_of_all_sorts_come_back(record: Record) -> None:
    again = from_json(json.loads(json.dumps(describe(record))), records.RECORDS)
    for name, value in record.to_dict().items():
        got = getattr(again, name)
        if isinstance(value, np.ndarray):
            assert isinstance(got, np.ndarray)
            assert got.dtype == value.dtype.newbyteorder("=")
            assert repr(got.tolist()) == repr(value.tolist())
        else:
            assert repr(got) == repr(plain(value))


def plain(value: Any) -> Any:
    """Return a value with Python's numbers and tuples, as a file gives it back."""
    if isinstance(value, list | tuple):
        return tuple(plain(entry) for entry in value)
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (bp.Adam(lambda t: 0.1), r"Adam: lr holds <function .*lambda.* can't hold"),
        (bp.SGD(math.sqrt), "SGD: lr holds <built-in function sqrt>"),
        (bp.CrossEntropy(weight=np.array(["a"])), "CrossEntropy: weight holds array"),
        (bp.CrossEntropy(weight={1: 2.0}), "CrossEntropy: weight holds {1: 2.0}"),
        (bp.CrossEntropy(weight=[1, 1j]), "CrossEntropy: weight holds 1j"),
        (LossMetric(bp.BCEWithLogits(weight=object())), "BCEWithLogits: weight holds <object"),
        (3, r"bp\.Adam\(\) is expected, got 3"),
        (bp.Adam, "is expected, got <class"),
    ],
)
def test_what_no_file_can_hold_is_named(record: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        describe(record)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"type": "Popen"}, "unknown type 'Popen'"),
        ({"type": ["Adam"]}, "unhashable"),
        ({"units": 3}, "type"),
        ({"type": "Linear", "units": 2.5}, "whole number"),
        ({"type": "Linear", "units": True}, "whole number"),
        ({"type": "LeakyReLU", "negative_slope": 10**400}, "LeakyReLU: int too large"),
        ({"type": "Linear", "units": 3, "weight_init": {"type": "Adam"}}, "initialiser"),
        ({"type": "Adam", "lr": "fast"}, "lr"),
        ({"type": "Adam", "lr": {"type": "eval"}}, "unknown type"),
        ({"type": "CrossEntropy", "weight": {"array": [1], "dtype": "O"}}, "dtype object"),
        ({"type": "CrossEntropy", "weight": {"array": [1], "dtype": "u1,u1"}}, "dtype"),
        ({"type": "CrossEntropy", "weight": {"array": 1, "dtype": "u1"}}, "a list"),
        ({"type": "CrossEntropy", "weight": {"array": [[1], 2], "dtype": "u1"}}, "inhomogeneous"),
        ({"custom": "Own", "fields": {}}, r"it has a Own, .*custom=\[Own\]"),
        ({"custom": "Own"}, "fields"),
    ],
)
def test_what_is_no_description_is_refused(value: Any, says: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError), match=says):
        from_json(value, records.RECORDS)


def test_only_the_kinds_asked_for(backend: str) -> None:
    with pytest.raises(ValueError, match="unknown type 'Linear'"):
        from_json(describe(bp.Linear(3)), {"Adam": bp.Adam})
    assert to_json(None) is None
    assert from_json([1, [2.0, "x"], None, True], {}) == (1, (2.0, "x"), None, True)


# --------------------------------------------------------------------------- classes of one's own


class Doubled(bp.Linear):
    """A layer of one's own."""

    factor: float = 2.0
    start: Initializer = bp.Zeros()

    def lower(self, builder: Builder, x: str, path: str) -> str:
        """Lower to a linear layer, twice."""
        return super().lower(builder, super().lower(builder, x, path), f"{path}.more")


class Ramp(Initializer):
    """An initialiser of one's own."""

    step: float = 0.5

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Return the starting values."""
        return self.step * np.arange(math.prod(shape)).reshape(shape)


def same_name(name: str, base: type[Record]) -> type[Record]:
    return type(name, (base,), {"__annotations__": {}})


def test_own_layers_need_their_class(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "net.safetensors"
    net = bp.Sequential([Doubled(3, factor=4, weight_init=Ramp(0.1)), bp.Tanh()]).build((3,))
    net.save(path)
    with pytest.raises(ValueError, match=r"net\.safetensors.* has a Doubled.*custom=\[Doubled\]"):
        bp.load(path)
    with pytest.raises(ValueError, match=r"has a Ramp"):
        bp.load(path, custom=[Doubled])
    again = bp.load(path, custom=[Ramp, Doubled])
    assert type(again.layers[0]) is Doubled
    assert (again.layers[0].factor, again.layers[0].weight_init.step) == (4, 0.1)
    x = np.ones((2, 3))
    assert again.predict(x).tobytes() == net.predict(x).tobytes()


def test_an_own_class_is_never_taken_for_one_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    own = same_name("Linear", bp.Linear)
    bp.Sequential([own(3)]).build((2,)).save(path)
    with pytest.raises(ValueError, match="a class of your own"):
        bp.load(path)
    assert type(bp.load(path, custom=[own]).layers[0]) is own
    bp.Sequential([bp.Linear(3)]).build((2,)).save(path)
    assert type(bp.load(path, custom=[own]).layers[0]) is bp.Linear


@pytest.mark.parametrize(
    ("custom", "error", "says"),
    [
        (["Doubled"], TypeError, "classes of layers"),
        ([Doubled(3)], TypeError, "classes of layers"),
        ([int], TypeError, "classes of layers"),
        (3, TypeError, "iterable"),
        ([same_name("A", Layer), same_name("A", Layer)], ValueError, "two classes with the name"),
    ],
)
def test_what_custom_may_hold(
    tmp_path: Path, custom: Any, error: type[Exception], says: str
) -> None:
    path = tmp_path / "net.safetensors"
    bp.Sequential([bp.Linear(3)]).build((2,)).save(path)
    with pytest.raises(error, match=says):
        bp.load(path, custom=custom)


def test_an_own_class_that_is_no_layer_is_refused_as_one(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    bp.Sequential([Doubled(3)]).build((3,)).save(path)
    no_layer = type(
        "Doubled", (Record,), {"__annotations__": dict.fromkeys(Doubled._fields, "Any")}
    )
    with pytest.raises(ValueError, match="is no layer"):
        bp.load(path, custom=[no_layer])


# ------------------------------------------------------------------------------ nets without a file


def _shared() -> bp.Model:
    layer, x = bp.Linear(3, name="both"), bp.Input((3,))
    return bp.Model(x, bp.Add()([layer(x), layer(bp.Tanh()(x))]), seed=2)


@pytest.mark.parametrize(
    "make", [_shared, lambda: bp.Sequential([bp.LSTM(2), bp.BatchNorm()]).build((None, 3))]
)
def test_a_net_is_built_from_its_description(make: Callable[[], Any], backend: str) -> None:
    net = make()
    description = json.loads(json.dumps(describe_net(net)))
    again = build_net(description, {**net.params, **net.buffers})
    assert type(again) is type(net)
    assert again.summary() == net.summary()
    assert again.params.flat.tobytes() == net.params.flat.tobytes()
    assert not np.shares_memory(again.params.flat, net.params.flat)
    with pytest.raises(ValueError, match="should hold the array"):
        build_net(description, {})
    with pytest.raises(ValueError, match=r"alone, got \['more'\]"):
        build_net(description, {**net.params, **net.buffers, "more": np.zeros(1)})


def test_a_net_with_a_function_can_not_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithFunction(bp.Tanh):
        function: Any = None

    net = bp.Sequential([WithFunction(function=np.sin)]).build((2,))
    with pytest.raises(TypeError, match=r"WithFunction: function holds <ufunc 'sin'>"):
        net.save(tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(records, "MOST_NODES", 20)
    deep = bp.Sequential([bp.Tanh()] * 21).build((2,))
    with pytest.raises(ValueError, match="up to 20 uses of layers"):
        deep.save(tmp_path / "net.safetensors")


def test_a_description_asks_for_no_more_than_the_file_holds(tmp_path: Path) -> None:
    """What a changed description asks for is refused at its first array, in no time."""
    path = tmp_path / "net.safetensors"
    bp.Sequential([bp.GRU(2)]).build((None, 3)).save(path)
    description, arrays = container.read(path)
    for change in ({"num_layers": 10**9}, {"units": 10**12}, {"units": 10**400}):
        changed = json.loads(json.dumps(description))
        changed["layers"][0].update(change)
        del changed["sha256"]
        container.write(path, changed, arrays)
        with pytest.raises(ValueError, match=r"should hold the array|larger"):
            bp.load(path)


def test_the_code_of_the_page_runs(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[1] / "docs" / "files.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.S)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, str(page), "exec"), {})
        assert re.findall(r"^assert .*", block, re.M), "each block checks its own result"
