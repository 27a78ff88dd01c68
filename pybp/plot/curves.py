"""Curves of what a fit has measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pybp.plot.tiles import pyplot

if TYPE_CHECKING:
    from pybp.training.fitting import History


def history(history: History | Mapping[str, Sequence[float]], axes: Any = None) -> list[Any]:
    """Draw the figures of a fit by epoch: a panel for the loss, one for each metric.

    Parameters
    ----------
    history : History or dict
        What ``fit`` returns, or its ``history``. "val_loss" is drawn beside "loss", and so on.
    axes : matplotlib Axes or sequence of them, optional
        One for each panel; a new figure by default.

    Returns
    -------
    list of Axes
        The axes of the panels, the loss first.

    Raises
    ------
    ValueError
        When there are no epochs, or another number of axes than of panels.
    ImportError
        When Matplotlib is missing.
    """
    curves = history if isinstance(history, Mapping) else history.history
    panels = [name for name in curves if not name.startswith("val_")]
    if not panels or not len(curves[panels[0]]):
        raise ValueError("the history holds no epochs")
    if axes is None:
        size = (4.6 * len(panels), 3.4)
        figure = pyplot().figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, len(panels))
    axes = list(np.ravel(axes))
    if len(axes) != len(panels):
        raise ValueError(f"{len(panels)} axes are needed ({', '.join(panels)}), got {len(axes)}")
    for ax, name in zip(axes, panels, strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in curves:
                ax.plot(range(1, len(curves[key]) + 1), curves[key], marker=".", label=label)
        ax.set(xlabel="epoch", ylabel=name)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        ax.legend()
    return axes
