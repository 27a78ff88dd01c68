"""The structs of the C++ executor mirror the op records: the same kinds, fields, order, types."""

from __future__ import annotations

import pytest
from conftest import require_native

from pybp.program.ops import OPS


def test_both_sides_have_the_same_kinds() -> None:
    require_native()
    from pybp import _core

    assert list(_core.schema()) == list(OPS)


@pytest.mark.parametrize("kind", OPS)
def test_fields_agree_in_name_order_and_type(kind: str) -> None:
    require_native()
    from pybp import _core

    assert _core.schema()[kind] == list(OPS[kind]._annotations.items())


def test_updates_read_the_same_scalars_in_the_same_order() -> None:
    require_native()
    from pybp import _core

    assert _core.hyper_schema() == {kind: op.hyper for kind, op in OPS.items() if op.hyper}
