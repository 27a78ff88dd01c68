"""Training on one long sequence: windows with carried states, read where they lie."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pybp import inputs
from pybp.arrays import Array
from pybp.batches import Batch
from pybp.evaluation import Examples
from pybp.fitting import Fit
from pybp.progress import Progress
from pybp.sequences import Layout

if TYPE_CHECKING:
    from pybp.trainer import Trainer

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
    window, streams : int
        See ``Trainer.fit_stream``.
    progress : Progress
        Tells the user.
    """

    def __init__(
        self,
        trainer: Trainer,
        data: tuple[Any, Any, Any],
        window: int,
        streams: int,
        progress: Progress,
    ) -> None:
        self.window = inputs.whole_number(window, "window", 1)
        self.streams = inputs.whole_number(streams, "streams", 1)
        self.reset = True
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
        super().__init__(trainer, examples, self.streams, False, None, progress)
        trainer.steps.bind(examples, self.streams, keep_grads=True)

    def _checked(self, trainer: Trainer, arrays: list[Array]) -> Examples:
        """Check the stream block by block; return examples whose arrays are the whole stream."""
        net = trainer.net
        first = min(self.window, self.each)
        begin = [_windows(array, self.each, self.streams, first) for array in arrays]
        if not net.is_built:
            Examples(net, trainer.loss, *begin)
        if not net.wanted.carried:
            raise ValueError(
                "fit_stream carries states from window to window: the net needs a recurrent layer "
                "with stateful=True"
            )
        for start in range(0, len(arrays[0]), _BLOCK):
            block = [array[None, start : start + _BLOCK] for array in arrays]
            Examples(net, trainer.loss, *block)
        examples = Examples(net, trainer.loss, *begin)
        examples.data = [inputs.ready(array, net.dtype) for array in arrays]
        return examples

    def _train(self, epoch: int) -> tuple[Array, int]:
        """Go once through the stream, in calls of about a tenth of a second."""
        trainer, net = self.trainer, self.trainer.net
        if self.reset:
            net.reset_states()
        steps = -(-self.each // self.window)
        total = np.zeros((1, 2 * len(self.names)))
        done = 0
        while done < steps and not trainer.stop:
            count = min(self.steps_of_call(steps - done), max(1, _MOST_WINDOWS // self.streams))
            before = time.perf_counter()
            results = self._run_windows(done, count, last=done + count == steps)
            self.after_call(count, time.perf_counter() - before, results)
            # in order, one by one: the sum doesn't depend on the cuts
            total = np.add.accumulate(np.concatenate([total, results]), axis=0)[-1:]
            done += count
            self.progress.show(epoch, done, steps)
        net.state.epochs += 1
        return total, done * self.streams

    def _run_windows(self, done: int, count: int, *, last: bool) -> Array:
        """Train on some windows of all pieces; the gradients of the last are kept."""
        windows = np.repeat(np.arange(done, done + count), self.streams) * self.window
        piece = np.tile(np.arange(self.streams), count) * self.each
        length = np.minimum(self.window, self.each - windows)
        rows = len(self.examples.data[0])
        layout = Layout(windows + piece, length, 0, rows)
        examples = self.examples
        examples.rows = len(length)
        examples.batch = Batch(len(length), examples.batch.data, (layout,))
        starts = np.arange(0, len(length) + 1, self.streams)
        keep = self.trainer.keep_grads or last or bool(self.watchers)
        return self.trainer.steps.run(examples, None, starts, self.streams, keep_grads=keep)


_NAMES = ("x", "y", "sample_weight")


def _windows(array: Array, each: int, streams: int, first: int) -> Array:
    """Return the first steps of each piece, (streams, first, ...)."""
    return np.stack([array[s * each : s * each + first] for s in range(streams)])
