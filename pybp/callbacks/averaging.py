"""Averages of a net's weights over its training, which are often better than the last weights."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pybp.callbacks.base import Callback
from pybp.data import inputs
from pybp.program.ops import ChannelMoments

if TYPE_CHECKING:
    from pybp.arrays import Array
    from pybp.nets.network import Network
    from pybp.training.trainer import Trainer


class _Average(Callback):
    """What the averages have in common: the weights, how many went in, and where they belong."""

    def __init__(self, apply: bool) -> None:
        if not isinstance(apply, bool):
            raise TypeError(f"apply must be True or False, got {apply!r}")
        self.apply_at_end = apply
        self.count = 0
        self._weights: Array | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Start anew."""
        self.count, self._weights = 0, None
        self._shapes = _shapes(trainer.net)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Put the averages into the net where that is asked for."""
        if self.apply_at_end and self._weights is not None:
            self.apply(trainer.net)

    def apply(self, net: Network) -> None:
        """Put the averages into a net of the same layers.

        Running statistics stay as they are: ``pybp.update_statistics`` makes those of the averages.

        Raises
        ------
        RuntimeError
            When nothing has been averaged yet.
        ValueError
            For a net with other parameters.
        """
        if self._weights is None:
            raise RuntimeError(f"{type(self).__name__} has averaged nothing yet")
        if _shapes(net) != self._shapes:
            raise ValueError(
                f"{type(self).__name__} holds averages of {self._shapes}, "
                f"the net has {_shapes(net)}"
            )
        net.params.flat[...] = self._weights

    def state(self) -> dict[str, Any]:
        """Return the averages, and how many weights went in."""
        kept: dict[str, Any] = {"count": self.count}
        if self._weights is not None:
            kept["weights"] = self._weights.copy()
        return kept

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` has returned."""
        self.count = int(state["count"])
        self._weights = np.array(state["weights"]) if "weights" in state else None

    def _take(self, net: Network, share: float) -> None:
        """Move the averages towards the net's weights by a share of the way."""
        weights = net.params.flat
        if self._weights is None:
            self._weights = weights.copy()
        else:
            self._weights += weights.dtype.type(share) * (weights - self._weights)
        self.count += 1


class EMA(_Average):
    """Exponential moving average of the weights, over the updates.

    ``average = decay * average + (1 - decay) * weights`` after each update; the first average is
    the weights themselves (Polyak and Juditsky 1992; ``torch.optim.swa_utils.get_ema_multi_avg_fn``
    is the same).

    Parameters
    ----------
    decay : float
        In [0, 1): 0.999 looks back over about 1000 updates.
    start : int
        How many updates of the fit go by before the first average.
    apply : bool
        Whether the averages are put into the net at the end of the fit. Otherwise
        ``average.apply(net)`` does so when it is called.

    Attributes
    ----------
    count : int
        How many weights went into the average.

    Notes
    -----
    Costs one native call a step, as every ``on_step_end`` does, and three passes over the
    parameters in NumPy; memory for two copies of them. A net of a million parameters takes about
    1 ms a step more.
    """

    def __init__(self, decay: float = 0.999, start: int = 0, apply: bool = False) -> None:
        super().__init__(apply)
        self.decay = inputs.real_number(decay, "decay")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must lie in [0, 1), got {decay!r}")
        self.start = inputs.whole_number(start, "start", 0)
        self._seen = 0  # updates of this fit
        self._updates = 0  # of the net's optimiser, when this was called last

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Start anew."""
        super().on_fit_begin(trainer)
        state = trainer.net.state
        goes_on = state.optimizer == type(trainer.optimizer).__name__
        self._seen, self._updates = 0, state.updates if goes_on else 0

    def on_step_end(self, trainer: Trainer, step: int, loss: float) -> None:
        """Take the weights into the average, if the step has ended in an update."""
        updates = trainer.net.state.updates
        if updates == self._updates:  # gradients are accumulated
            return
        self._updates = updates
        self._seen += 1
        if self._seen > self.start:
            self._take(trainer.net, 1.0 - self.decay)

    def state(self) -> dict[str, Any]:
        """Return the averages, how many weights went in, and the updates seen."""
        return {**super().state(), "seen": self._seen, "updates": self._updates}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` has returned."""
        super().restore(state)
        self._seen, self._updates = int(state["seen"]), int(state["updates"])


class SWA(_Average):
    """Stochastic weight averaging: the mean of the weights at the ends of epochs (Izmailov 2018).

    ``torch.optim.swa_utils.AveragedModel`` is the same. Goes well with a high constant rate, or one
    that goes up and down, in the epochs that are averaged.

    Parameters
    ----------
    start : int
        The first epoch that is averaged, from 0.
    every : int
        Each how many epochs the weights are taken.
    apply : bool
        Whether the averages are put into the net at the end of the fit. Otherwise
        ``average.apply(net)`` does so when it is called.

    Attributes
    ----------
    count : int
        How many weights went into the average.

    Notes
    -----
    Costs a copy of the parameters, and three passes over them an epoch. A net with BatchNorm needs
    ``pybp.update_statistics(net, x)`` after ``apply``, as its running statistics are those of the
    last weights.
    """

    def __init__(self, start: int, every: int = 1, apply: bool = False) -> None:
        super().__init__(apply)
        self.start = inputs.whole_number(start, "start", 0)
        self.every = inputs.whole_number(every, "every", 1)

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: dict[str, Any]) -> None:
        """Take the weights of this epoch into the average."""
        if epoch >= self.start and (epoch - self.start) % self.every == 0:
            self._take(trainer.net, 1.0 / (self.count + 1))


def _shapes(net: Network) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in net.params.items()}


def update_statistics(net: Network, x: Any, batch_size: int = 256, lengths: Any = None) -> None:
    """Compute the running statistics of BatchNorm anew, as the present weights make them.

    They become the mean over all batches of what each batch has, weighted by its rows
    (``torch.optim.swa_utils.update_bn`` is the same for batches of one size). Costs a forward pass
    over the data. Needed after weights were put into a net that were not trained there: averages.

    Parameters
    ----------
    net : Network
        The net; only ``net.buffers`` change.
    x : array (n, *input_shape), list of arrays; or a tuple or dict of them
        Samples, as for ``net.predict``.
    batch_size : int
        The most rows of a batch; all batches have about the same number.
    lengths : int array (n,), optional
        The steps that count in padded sequences.

    Raises
    ------
    ValueError, TypeError
        For samples that don't fit; the statistics are then as before.
    """
    batch_size = inputs.whole_number(batch_size, "batch_size", 1)
    rows = net.take_batch(x, lengths).rows
    shares = _shares(net)
    before = net.buffers.flat.copy()
    sums = {name: np.zeros(net.buffers[name].shape) for name in shares}
    cuts = np.linspace(0, rows, math.ceil(rows / batch_size) + 1).astype(int)
    try:
        for start, stop in itertools.pairwise(cuts):
            for name in shares:
                net.buffers[name] = np.zeros(sums[name].shape)
            some = None if lengths is None else np.asarray(lengths)[start:stop]
            net.forward(_part(x, start, stop), training=True, lengths=some)
            for name, share in shares.items():
                sums[name] += (stop - start) / share * net.buffers[name].astype(np.float64)
    except BaseException:
        net.buffers.flat[...] = before
        raise
    for name, total in sums.items():
        net.buffers[name] = total / rows


def _shares(net: Network) -> dict[str, float]:
    """Return, for each running statistic, the share of the batch's in it when it began at 0."""
    program = net.recipe.gradient(training=True).program
    left: dict[str, float] = {}
    for op in program.ops:
        if isinstance(op, ChannelMoments) and op.running_mean and op.momentum > 0:
            for name in (op.running_mean, op.running_var):
                left[name] = left.get(name, 1.0) * (1.0 - op.momentum)
    return {name: 1.0 - rest for name, rest in left.items()}


def _part(x: Any, start: int, stop: int) -> Any:
    """Return some rows of the samples."""
    if isinstance(x, tuple):
        return tuple(_part(one, start, stop) for one in x)
    if isinstance(x, dict):
        return {name: _part(one, start, stop) for name, one in x.items()}
    return x[start:stop]
