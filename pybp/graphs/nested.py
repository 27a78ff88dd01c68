"""Nets as layers of other nets: how a net is called on symbolic values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybp.graphs.graph import Graph
from pybp.layers import Layer, Use, Value


class Nestable:
    """Base of the nets that may stand as a layer in another net.

    The other net takes over the layers, with names such as ``"3.0.weight"``: they are descriptions,
    so it has arrays of its own. The dtype, the seed and the backend of this net play no part.
    """

    graph: Graph
    name: str | None

    def __call__(self, value: Any) -> Any:
        """Return what the net makes of symbolic values, as one layer in the graph of another net.

        Parameters
        ----------
        value : symbolic value; or a tuple, list or dict of them
            What each input gets: several in the order of the inputs, or by their names.

        Returns
        -------
        value or tuple of values
            The outputs in their order. A net that is called twice shares its weights.

        Raises
        ------
        TypeError
            For anything but symbolic values.
        ValueError
            For another number of them than the net has inputs.
        """
        given = self._given(value)
        title = type(self).__name__
        for one in given:
            if not isinstance(one, Value) and not (isinstance(one, Layer) and one.is_source()):
                raise TypeError(
                    f"a {title} is called on a bp.Input(...) or on what a layer has returned, got "
                    f"{type(one).__name__}; net.predict takes arrays"
                )
        self.check_count(len(given))
        use = Use(self, given)
        values = tuple(Value(use, i) for i in range(self.output_count()))
        return values if len(values) > 1 else values[0]

    def _given(self, value: Any) -> tuple[Any, ...]:
        """Return the value for each input, in the order of the inputs."""
        if not isinstance(value, Mapping):
            return tuple(value) if isinstance(value, list | tuple) else (value,)
        names = self.input_names()
        if set(value) != set(names):
            raise ValueError(
                f"a {type(self).__name__} is called on values for its inputs {', '.join(names)}, "
                f"got {', '.join(map(str, value))}"
            )
        return tuple(value[name] for name in names)

    def check_count(self, count: int) -> None:
        """Refuse another number of values than the net has inputs."""
        if count != self.graph.input_count:
            names = self.input_names()
            known = f" ({', '.join(names)})" if names else ""
            raise ValueError(
                f"the nested {type(self).__name__} reads {self.graph.input_count} values{known}, "
                f"got {count}"
            )

    def input_names(self) -> list[str]:
        """Return the names of the inputs, as far as they have names."""
        return [node.path for node in self.graph.nodes if node.is_source()]

    def output_count(self) -> int:
        """Return how many values the net gives."""
        return len(self.graph.outputs)

    def given_name(self) -> str | None:
        """Return the ``name`` argument."""
        name = self.name
        if name is None or (isinstance(name, str) and name):
            return name
        raise TypeError(f"{type(self).__name__}: name must be a text, got {name!r}")

    def is_source(self) -> bool:
        """Return False, as most layers do: the net is not itself a symbolic value."""
        return False
