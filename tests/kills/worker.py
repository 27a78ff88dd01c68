"""One process of the kill tests: trains with checkpoints, or goes on where a checkpoint is.

    python tests/kills/worker.py SCENARIO FOLDER SIZE

Prints "saved STEP" after each checkpoint, and at the end "done HASH". Ctrl-C saves, and ends with
the code 130.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

import pybp as bp


class Announced(bp.Checkpoint):
    """A checkpoint that tells on standard output when it is on the disk."""

    def save_after_step(self, trainer):
        super().save_after_step(trainer)
        print("saved", trainer.net.state.steps, flush=True)

    def save_after_epoch(self, trainer, epoch, logs):
        super().save_after_epoch(trainer, epoch, logs)
        print("saved", trainer.net.state.steps, flush=True)


def mlp(rng, size, batch):
    """Dropout, momentum and a schedule; online or in mini-batches."""
    x, y = rng.normal(size=(600, 20)).astype(np.float32), rng.integers(0, 4, 600)
    net = bp.Sequential([bp.Linear(32), bp.ReLU(), bp.Dropout(0.3), bp.Linear(4)])
    rate = bp.StepLR(0.02, step_size=400, gamma=0.9)
    trainer = bp.Trainer(net, "cross_entropy", bp.SGD(rate, momentum=0.9), ["accuracy"])
    arguments = {"epochs": size, "batch_size": batch, "validation_data": (x[:100], y[:100])}
    return trainer, "fit", (x, y), arguments


def cnn(rng, size):
    """BatchNorm, whose running statistics are part of the state, and Adam."""
    x, y = rng.normal(size=(256, 10, 10, 2)).astype(np.float32), rng.integers(0, 3, 256)
    net = bp.Sequential(
        [
            *(bp.Conv2d(8, 3, padding="same"), bp.BatchNorm(), bp.ReLU(), bp.MaxPool2d(2)),
            *(bp.Conv2d(8, 3), bp.BatchNorm(), bp.ReLU(), bp.Flatten(), bp.Linear(3)),
        ]
    )
    trainer = bp.Trainer(net, "cross_entropy", "adam", clip_norm=1.0, l2=1e-4)
    return trainer, "fit", (x, y), {"epochs": size, "batch_size": 16}


def stream(rng, size):
    """States that go on from window to window."""
    x = rng.normal(size=(20_000, 6)).astype(np.float32)
    y = np.cumsum(x[:, :2], axis=0).astype(np.float32) % 1
    net = bp.Sequential([bp.LSTM(24, stateful=True), bp.Linear(2)])
    trainer = bp.Trainer(net, "mse", "rmsprop", clip_norm=1.0)
    return trainer, "fit_stream", (x, y), {"window": 20, "streams": 8, "epochs": size}


SCENARIOS = {
    "online": lambda rng, size: mlp(rng, size, 1),
    "batches": lambda rng, size: mlp(rng, size, 20),
    "cnn": cnn,
    "stream": stream,
}
EVERY_STEPS = {"online": 150, "batches": 7, "cnn": 3, "stream": 9}


def main(scenario, folder, size):
    path = Path(folder) / "run.ckpt"
    trainer, method, data, arguments = SCENARIOS[scenario](np.random.default_rng(5), int(size))
    again = {k: v for k, v in arguments.items() if k == "validation_data"}
    if path.exists():
        trainer, arguments = bp.Trainer.resume(path), again
    checkpoint = Announced(path, every_steps=EVERY_STEPS[scenario], every_epochs=1)
    callbacks = [bp.CSVLogger(Path(folder) / "log.csv"), checkpoint]
    try:
        history = getattr(trainer, method)(*data, callbacks=callbacks, verbose=0, **arguments)
    except KeyboardInterrupt:
        trainer.save(path, keep=1)
        print("saved", trainer.net.state.steps, flush=True)
        sys.exit(130)
    net = trainer.net
    digest = hashlib.sha256(net.params.flat.tobytes() + net.buffers.flat.tobytes())
    for name in sorted(net.state.moments):
        digest.update(net.state.moments[name].tobytes())
    digest.update(repr(history.history).encode())
    digest.update((Path(folder) / "log.csv").read_bytes())
    print("done", digest.hexdigest(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
