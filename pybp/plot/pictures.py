"""Pictures of images, kernels and feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pybp.arrays import Array
from pybp.graphs.graph_making import up_to
from pybp.nets.sequential import Sequential
from pybp.plot.tiles import Tiles, new_axes

_MOST_TILES = 16  # kernels of a row or column in ``filters``, where there are more


def images(
    x: Array,
    titles: Sequence[object] | None = None,
    columns: int = 8,
    ax: Any = None,
    limits: tuple[float, float] | None = None,
) -> Any:
    """Draw pictures side by side.

    Parameters
    ----------
    x : array (n, height, width), (n, height, width, 1) or (n, height, width, 3)
        Grey or colour pictures.
    titles : sequence of n, optional
        What stands above each picture; texts may have several lines.
    columns : int
        Pictures in a row.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    limits : (low, high), optional
        The values shown as black and as white (or no and full colour); values beyond are cut off.
        By default 0 and 255 for uint8, 0 and 1 when all values lie between them, else the least
        and the greatest value of all pictures. It stands below unless it is 0 to 255 or 0 to 1.

    Returns
    -------
    Axes
        The axes.

    Raises
    ------
    ValueError
        For an array that holds no such pictures, or another number of titles.
    ImportError
        When Matplotlib is missing.
    """
    x = _pictures(x)
    if titles is not None and len(titles) != len(x):
        raise ValueError(f"there are {len(x)} pictures, but {len(titles)} titles")
    if columns < 1:
        raise ValueError(f"columns must be >= 1, got {columns}")
    columns = min(columns, len(x))
    low, high = _limits(x) if limits is None else limits
    texts = None if titles is None else [str(title) for title in titles]
    lines = 0 if texts is None else max(text.count("\n") + 1 for text in texts)
    if ax is None:
        ax = new_axes(columns, -(-len(x) // columns), x.shape[1] / x.shape[2], lines)
    shown = np.clip((x.astype("f8") - low) / (high - low or 1.0), 0, 1)
    tile = Tiles(ax, shown, columns, texts)
    tile.draw("gray")
    if (low, high) not in ((0, 1), (0, 255)):
        ax.set_xlabel(f"black {low:.3g}, white {high:.3g}", fontsize=8)
    return ax


def filters(net: Any, layer: str | int, ax: Any = None) -> Any:
    """Draw the kernels of a 2-D convolution.

    Kernels that read one channel are drawn in the order of the output channels, blue where they
    are negative, white at 0, red where they are positive. Kernels that read three channels are
    drawn in colour, grey at 0. Of all others there is a column for each output channel with a
    kernel for each input channel; at most the first 16 of each are drawn.

    Parameters
    ----------
    net : net
        A built net.
    layer : str or int
        Name or position of the layer: "0" or 0.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The axes.

    Raises
    ------
    KeyError
        When there is no such layer with a weight.
    ValueError
        When its weight is no set of 2-D kernels.
    ImportError
        When Matplotlib is missing.
    """
    path = _path(net, layer)
    name = f"{path}.weight"
    if name not in net.params:
        raise KeyError(f"there is no parameter {name!r} in {', '.join(net.params)}")
    weight = np.asarray(net.params[name])
    if weight.ndim != 4:
        raise ValueError(f"{name} must hold kernels (kh, kw, in, out), got {weight.shape}")
    kernels = weight.transpose(3, 2, 0, 1)  # [out, in, kh, kw]
    most = float(np.abs(weight).max()) or 1.0
    inputs = kernels.shape[1]
    columns = 8
    if inputs == 3:
        kernels, colours, scale = kernels.transpose(0, 2, 3, 1), "gray", "grey is 0"
    else:
        colours, scale = "RdBu_r", "white is 0"
        if inputs > 1:
            kernels = kernels[:_MOST_TILES, :_MOST_TILES]
            columns = len(kernels)
        kernels = kernels.swapaxes(0, 1).reshape(-1, *kernels.shape[2:], 1)  # input by input
    columns = min(columns, len(kernels))
    if ax is None:
        ax = new_axes(columns, -(-len(kernels) // columns), weight.shape[0] / weight.shape[1], 0)
    Tiles(ax, kernels / (2 * most) + 0.5, columns, None).draw(colours)
    ax.set_title(_kernel_title(path, weight.shape), fontsize=9)
    ax.set_xlabel(f"{scale}, the ends of the scale are -{most:.3g} and {most:.3g}", fontsize=8)
    return ax


def feature_maps(net: Any, x: Array, layer: str | int | None = None, ax: Any = None) -> Any:
    """Draw what a layer makes of one picture: each channel of its output as a grey picture.

    Parameters
    ----------
    net : net
        A built net; a Sequential, if a layer is named.
    x : array (height, width, channels)
        One input of the net.
    layer : str or int, optional
        Name or position of the layer; by default the net's own output is drawn, so that a
        ``bp.Model`` from the input to an inner value shows a place inside a graph.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The axes. Black is the least value of all channels, white the greatest.

    Raises
    ------
    KeyError
        When there is no such layer.
    ValueError
        When its output is no (height, width, channels).
    TypeError
        When a layer of another net than a Sequential is named.
    ImportError
        When Matplotlib is missing.
    """
    inner = net if layer is None else _up_to(net, layer)
    maps = inner.predict(np.asarray(x)[None])[0]
    if maps.ndim != 3:
        raise ValueError(
            f"feature maps have the shape (height, width, channels), the output has {maps.shape}"
        )
    maps = maps.transpose(2, 0, 1)
    ax = images(maps, ax=ax, limits=(float(maps.min()), float(maps.max())))
    place = "the output" if layer is None else f"layer {layer}"
    ax.set_title(f"{place}: {len(maps)} channels, {maps.shape[1]} x {maps.shape[2]}", fontsize=9)
    return ax


def most_wrong(
    net: Any,
    x: Array,
    y: Array,
    count: int = 24,
    classes: Sequence[object] | None = None,
    ax: Any = None,
) -> Any:
    """Draw the pictures whose true class gets the lowest probability.

    Above each stand the true class and the class that the net prefers, with their probabilities.

    Parameters
    ----------
    net : net
        A net whose outputs are logits, log-probabilities or probabilities (n, classes).
    x : array (n, height, width[, 1 or 3])
        Pictures as the net takes them.
    y : integer array (n,)
        The true classes.
    count : int
        How many pictures to draw, the worst first.
    classes : sequence, optional
        Names of the classes.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The axes.

    Raises
    ------
    ValueError, TypeError
        When outputs and labels don't fit each other.
    ImportError
        When Matplotlib is missing.
    """
    labels = np.asarray(y)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"y must hold the numbers of the classes, got {labels.dtype}")
    p = _probabilities(net.predict(x))
    if labels.shape != p.shape[:1] or p.ndim != 2:
        raise ValueError(
            f"outputs (n, classes) and labels (n,) are needed, got {p.shape} and {labels.shape}"
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < p.shape[1]):
        raise ValueError(f"labels must be 0 to {p.shape[1] - 1}, got {labels.max()}")
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}")
    names = list(range(p.shape[1])) if classes is None else list(classes)
    if len(names) != p.shape[1]:
        raise ValueError(f"the net knows {p.shape[1]} classes, but {len(names)} names are given")
    right = p[np.arange(len(p)), labels]
    worst = np.argsort(right, kind="stable")[:count]
    titles = [
        f"{names[labels[i]]}: {right[i]:.1%}\n{names[p[i].argmax()]}: {p[i].max():.1%}"
        for i in worst
    ]
    ax = images(np.asarray(x)[worst], titles, ax=ax)
    ax.set_title("above: the true class; below: the net's choice", fontsize=9)
    return ax


def _pictures(x: Array) -> Array:
    """Return pictures as (n, height, width, 1 or 3)."""
    x = np.asarray(x)
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.shape[3] not in (1, 3) or not x.size:
        raise ValueError(
            "pictures must have the shape (n, height, width), (n, height, width, 1) or "
            f"(n, height, width, 3), got {x.shape}"
        )
    return x


def _limits(x: Array) -> tuple[float, float]:
    if x.dtype == np.uint8:
        return 0.0, 255.0
    finite = x[np.isfinite(x)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _kernel_title(layer: str | int, shape: tuple[int, ...]) -> str:
    height, width, inputs, outputs = shape
    read = "1 input channel" if inputs == 1 else f"{inputs} input channels"
    title = f"layer {layer}: {outputs} kernels {height} x {width}, {read}"
    shown = [min(extent, _MOST_TILES) for extent in (outputs, inputs)]
    if inputs in (1, 3) or shown == [outputs, inputs]:
        return title
    return f"{title} (the first {shown[0]} x {shown[1]})"


def _path(net: Any, layer: str | int) -> str:
    """Return the name of a layer, which may be given by its position."""
    paths = getattr(net, "paths", ())
    if isinstance(layer, int) and -len(paths) <= layer < len(paths):
        return str(paths[layer])
    return str(layer)


def _up_to(net: Any, layer: str | int) -> Sequential:
    """Return a net of the layers up to one, with copies of their parameters."""
    if not isinstance(net, Sequential):
        raise TypeError(
            "a layer can be named in a Sequential only; of a graph pass a bp.Model from the "
            f"input to the inner value, with copies of the parameters; got {net!r}"
        )
    path = _path(net, layer)
    if path not in net.paths:
        raise KeyError(f"there is no layer {layer!r} in {', '.join(net.paths)}")
    graph = up_to(net.graph, path)
    inner = Sequential.of_graph(graph, dtype=net.dtype, seed=net.seed, backend=net.backend)
    inner.build(net.input_shape)
    for own, others in ((inner.params, net.params), (inner.buffers, net.buffers)):
        for name in own:
            own[name] = others[name]
    return inner


def _probabilities(outputs: Array) -> Array:
    """Return outputs as probabilities: they are already, or are logits or their logarithms."""
    if np.all(outputs >= 0) and np.allclose(outputs.sum(-1), 1, atol=1e-3):
        return outputs
    powers = np.exp(outputs - outputs.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
