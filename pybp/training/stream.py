"""Training on one long sequence: windows with carried states, read where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pybp.arrays import Array
from pybp.data import inputs
from pybp.data.batches import Batch
from pybp.data.sequences import Layout
from pybp.training.evaluation import Examples
from pybp.training.fitting import Fit, Position
from pybp.training.progress import Progress

if TYPE_CHECKING:
    from pybp.training.trainer import Trainer

_BLOCK = 1 << 20  # time steps that are checked at once
_MOST_WINDOWS = 1 << 12  # of a native call: what is planned for them stays small


class StreamFit(Fit):
    """The epochs of ``Trainer.fit_stream``.

    Parameters
    ----------
    trainer : Trainer
        Whose net is trained.
    data : (x, y, sample_weight)
        The stream; no weights are None.
    window, streams, reset
        See ``Trainer.fit_stream``.
    progress : Progress
        Tells the user.
    position : Position
        Where the fit begins.
    """

    def __init__(
        self,
        trainer: Trainer,
        data: tuple[Any, Any, Any],
        window: int,
        streams: int,
        reset: bool,
        progress: Progress,
        position: Position,
    ) -> None:
        self.window, self.streams, self.reset = window, streams, reset
        arrays = [
            inputs.numbers(one, name)
            for one, name in zip(data, _NAMES, strict=True)
            if one is not None
        ]
        for name, array in zip(_NAMES[1:], arrays[1:], strict=False):
            if len(array) != len(arrays[0]):
                raise ValueError(f"x has {len(arrays[0])} time steps and {name} has {len(array)}")
        self.each = len(arrays[0]) // self.streams  # time steps of a piece
        if self.each < 1:
            raise ValueError(f"{len(arrays[0])} time steps can't be cut into {streams} pieces")
        examples = self._checked(trainer, arrays)
        super().__init__(trainer, examples, self.streams, False, None, progress, position)
        trainer.steps.bind(examples, self.streams, keep_grads=True)

    @property
    def steps(self) -> int:
        """The number of windows of a piece."""
        return -(-self.each // self.window)

    def _checked(self, trainer: Trainer, arrays: list[Array]) -> Examples:
        """Check the stream block by block; return examples whose arrays are the whole stream."""
        net, objective = trainer.net, trainer.objective
        first = min(self.window, self.each)
        begin = [_windows(array, self.each, self.streams, first) for array in arrays]
        if not net.is_built:
            Examples(net, objective, *begin)
        if not net.wanted.carried:
            raise ValueError(
                "fit_stream carries states from window to window: the net needs a recurrent layer "
                "with stateful=True"
            )
        for start in range(0, len(arrays[0]), _BLOCK):
            block = [array[None, start : start + _BLOCK] for array in arrays]
            Examples(net, objective, *block)
        examples = Examples(net, objective, *begin)
        examples.data = [inputs.whole(array, net.dtype) for array in arrays]
        return examples

    def train(self) -> None:
        """Go on through the stream, in calls of about a tenth of a second."""
        position = self.position
        if self.reset and position.done == 0:
            self.trainer.net.reset_states()
        while position.done < self.steps and not self.trainer.stop:
            most = max(1, _MOST_WINDOWS // self.streams)
            count = min(self.steps_of_call(), most)
            self._lay_out(position.done, count)
            starts = np.arange(0, count * self.streams + 1, self.streams)
            self.take(None, starts, last=position.done + count == self.steps)
            self.progress.show(position.epoch, position.done, self.steps)

    def _lay_out(self, done: int, count: int) -> None:
        """Let the examples be some windows of all pieces."""
        windows = np.repeat(np.arange(done, done + count), self.streams) * self.window
        piece = np.tile(np.arange(self.streams), count) * self.each
        length = np.minimum(self.window, self.each - windows)
        examples = self.examples
        layout = Layout(windows + piece, length, 0, len(examples.data[0]))
        examples.rows = len(length)
        examples.batch = Batch(len(length), examples.batch.data, (layout,))

    def rows_done(self) -> int:
        """Return the windows that were taken in this epoch."""
        return self.position.done * self.streams


_NAMES = ("x", "y", "sample_weight")


def _windows(array: Array, each: int, streams: int, first: int) -> Array:
    """Return the first steps of each piece, (streams, first, ...)."""
    return np.stack([array[s * each : s * each + first] for s in range(streams)])
