"""Fits that are interrupted, saved and resumed end bit for bit as if undisturbed."""

from __future__ import annotations

import copy
import pickle
import signal

import numpy as np
import pytest
from tolerance import TRAINING, check_close

import pybp as bp

pytest.importorskip("safetensors")

OPTIMIZERS = {
    "sgd": bp.SGD(0.05),
    "momentum": bp.SGD(bp.StepLR(0.05, step_size=3, gamma=0.5), momentum=0.9, nesterov=True),
    "adagrad": bp.Adagrad(0.05, lr_decay=0.1, initial_accumulator_value=0.1),
    "rmsprop": bp.RMSprop(0.01, momentum=0.5, centered=True),
    "adadelta": bp.Adadelta(),
    "adam": bp.Adam(0.01, amsgrad=True),
    "adamw": bp.AdamW(bp.OneCycleLR(0.05, 60)),
    "adamax": bp.Adamax(0.01),
    "nadam": bp.NAdam(0.01),
    "radam": bp.RAdam(0.01),
    "annealing": bp.Annealing(0.05, p0=0.3, sigma=0.1),
    "lbfgs": bp.LBFGS(max_iter=3, history_size=4, line_search_fn="strong_wolfe"),
}


def make_data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(50, 4)), rng.integers(0, 3, 50)


X, Y = make_data()
STEPS = 7  # of an epoch


class Interrupting(bp.Callback):
    """Does what Ctrl-C does, after a number of steps; never after a resume."""

    def __init__(self, at):
        self.at = at
        self.count = 0

    def on_step_end(self, trainer, step, loss):
        self.count += 1
        if self.count == self.at:
            raise KeyboardInterrupt


def make_trainer(optimizer="momentum", backend=None, dtype="float32", norm=True, **rules):
    layers = [bp.Linear(6), bp.Tanh(), bp.Dropout(0.3), bp.Linear(3)]
    if norm:
        layers.insert(1, bp.BatchNorm())
    net = bp.Sequential(layers, backend=backend, dtype=dtype)
    return bp.Trainer(net, "cross_entropy", OPTIMIZERS[optimizer], ["accuracy"], **rules)


def interrupted(trainer, at, **arguments):
    callbacks = [bp.EarlyStopping(patience=2), Interrupting(at)]
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(X, Y, **FIT, callbacks=callbacks, **arguments)
    return trainer


FIT = {"epochs": 3, "batch_size": 8, "verbose": 0, "validation_data": (X[:10], Y[:10])}
AGAIN = {"verbose": 0, "validation_data": (X[:10], Y[:10])}


def finished(trainer):
    callbacks = [bp.EarlyStopping(patience=2), Interrupting(-1)]
    return trainer.fit(X, Y, **AGAIN, callbacks=callbacks)


def undisturbed(**made):
    trainer = make_trainer(**made)
    history = trainer.fit(X, Y, **FIT, callbacks=[bp.EarlyStopping(patience=2)])
    return trainer, history


def same(a, b):
    for one, other in ((a.net.params, b.net.params), (a.net.buffers, b.net.buffers)):
        np.testing.assert_array_equal(one.flat, other.flat)
    assert a.net.state.moments.keys() == b.net.state.moments.keys()
    for name, array in a.net.state.moments.items():
        np.testing.assert_array_equal(array, b.net.state.moments[name])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_resumed_in_mid_epoch_is_undisturbed(optimizer, backend, tmp_path):
    wanted, history = undisturbed(optimizer=optimizer, backend=backend)
    for at in (1, STEPS, STEPS + 3):
        trainer = interrupted(make_trainer(optimizer, backend), at)
        trainer.save(tmp_path / "a.ckpt")
        resumed = bp.Trainer.resume(tmp_path / "a.ckpt")
        resumed.net.backend = backend
        for one in (trainer, resumed):  # in this process, and as in another one
            assert finished(one).history == history.history
            same(one, wanted)


@pytest.mark.parametrize("rules", [
    {"accumulate": 3},
    {"clip_norm": 0.5, "l2": 0.01},
    {"clip_value": 0.05, "max_norm": 1.0, "l1": 1e-3, "keep_grads": True},
], ids=["accumulate", "clip_norm", "clip_value"])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rules_of_a_step_are_resumed(rules, dtype, tmp_path):
    wanted, history = undisturbed(dtype=dtype, **rules)
    for at in (2, 9):
        interrupted(make_trainer(dtype=dtype, **rules), at).save(tmp_path / "a.ckpt")
        resumed = bp.Trainer.resume(tmp_path / "a.ckpt")
        assert resumed.rules == wanted.rules
        assert finished(resumed).history == history.history
        same(resumed, wanted)


def test_checkpoints_of_every_step_lead_to_the_same_end(tmp_path):
    """Whichever checkpoint a killed process has left: the end is the same."""

    class Copying(bp.Checkpoint):
        def save_after_step(self, trainer):
            trainer.save(tmp_path / f"{trainer.net.state.steps}.ckpt")

        def save_after_epoch(self, trainer, epoch, logs):
            trainer.save(tmp_path / f"epoch{epoch}.ckpt")

    wanted = make_trainer()
    early = bp.EarlyStopping(patience=2)
    history = wanted.fit(X, Y, **FIT, callbacks=[Copying("unused", every_steps=1), early])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) >= 2 * STEPS
    for name in names:
        resumed = bp.Trainer.resume(tmp_path / name)
        callbacks = [Copying("unused", every_epochs=99), bp.EarlyStopping(patience=2)]
        again = [type(one) for one in callbacks]
        assert again == [Copying, bp.EarlyStopping]
        assert resumed.fit(X, Y, **AGAIN, callbacks=callbacks).history == history.history
        same(resumed, wanted)


def test_interrupted_validation_is_done_again():
    """An epoch whose steps are done, but not its figures, goes on with these."""
    wanted, history = undisturbed()
    trainer = make_trainer()

    class InterruptedOnce(type(trainer.evaluator)):
        calls = 0

        def __call__(self, examples):
            InterruptedOnce.calls += 1
            if InterruptedOnce.calls == 2:
                raise KeyboardInterrupt
            return super().__call__(examples)

    trainer.evaluator = InterruptedOnce(trainer.net, trainer.objective)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(X, Y, **FIT, callbacks=[bp.EarlyStopping(patience=2)])
    again = trainer.fit(X, Y, **AGAIN, callbacks=[bp.EarlyStopping(patience=2)])
    assert again.history == history.history
    same(trainer, wanted)


def test_callbacks_see_each_epoch_once():
    """One that interrupts in on_epoch_end has seen the epoch; the others see it after that."""

    class Counting(bp.Callback):
        def __init__(self, seen, at=-1):
            self.seen, self.at = seen, at

        def on_epoch_end(self, trainer, epoch, logs):
            self.seen.append(epoch)
            if epoch == self.at:
                raise KeyboardInterrupt

    seen = [[], [], []]
    trainer = make_trainer()
    callbacks = [Counting(seen[0]), Counting(seen[1], at=1), Counting(seen[2])]
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(X, Y, **FIT, callbacks=callbacks)
    trainer.fit(X, Y, **AGAIN, callbacks=[Counting(one) for one in seen])
    assert seen == [[0, 1, 2]] * 3


class CtrlC(bp.Callback):
    """Sends the signal of Ctrl-C in the middle of what a callback does."""

    def __init__(self, method, at):
        self.method, self.at, self.calls, self.finished = method, at, 0, 0

    def _called(self, method):
        if method == self.method:
            self.calls += 1
            if self.calls == self.at:
                signal.raise_signal(signal.SIGINT)
            self.finished += 1

    def on_epoch_begin(self, trainer, epoch):
        self._called("epoch_begin")

    def on_step_end(self, trainer, step, loss):
        self._called("step_end")

    def on_epoch_end(self, trainer, epoch, logs):
        self._called("epoch_end")

    def on_fit_end(self, trainer):
        self._called("fit_end")


@pytest.mark.parametrize(("method", "at"), [
    ("epoch_begin", 2), ("step_end", 1), ("step_end", 7), ("step_end", 10), ("epoch_end", 1),
    ("epoch_end", 3), ("fit_end", 1),
])  # fmt: skip
def test_ctrl_c_waits_until_callbacks_have_done_their_work(method, at, tmp_path):
    def callbacks(place):
        return [bp.CSVLogger(tmp_path / place), bp.EarlyStopping(patience=2), bp.EMA(0.9, start=3)]

    wanted = make_trainer()
    history = wanted.fit(X, Y, **FIT, callbacks=[*callbacks("a.csv"), CtrlC("", 0)])
    trainer, signalling = make_trainer(), CtrlC(method, at)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(X, Y, **FIT, callbacks=[*callbacks("b.csv"), signalling])
    assert signalling.finished == at
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    trainer.save(tmp_path / "c.ckpt")
    trainer = bp.Trainer.resume(tmp_path / "c.ckpt")
    again = trainer.fit(X, Y, **AGAIN, callbacks=[*callbacks("b.csv"), CtrlC("", 0)])
    assert again.history == history.history
    same(trainer, wanted)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_second_ctrl_c_does_not_wait():
    class Twice(bp.Callback):
        def on_epoch_end(self, trainer, epoch, logs):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("not reached")

    with pytest.raises(KeyboardInterrupt):
        make_trainer().fit(X, Y, **FIT, callbacks=[Twice()])


def make_stream(optimizer="adam"):
    net = bp.Sequential([bp.LSTM(5, stateful=True), bp.Linear(2)])
    return bp.Trainer(net, "mse", OPTIMIZERS[optimizer], clip_norm=1.0)


@pytest.mark.parametrize("at", [1, 6, 7, 13, 20])
def test_stream_with_carried_states_is_resumed(at, tmp_path):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(270, 3)), rng.normal(size=(270, 2))
    plan = {"window": 10, "streams": 4, "epochs": 3, "verbose": 0}
    wanted = make_stream()
    history = wanted.fit_stream(x, y, **plan)
    trainer = make_stream()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit_stream(x, y, **plan, callbacks=[Interrupting(at)])
    trainer.save(tmp_path / "s.ckpt")
    resumed = bp.Trainer.resume(tmp_path / "s.ckpt")
    for one in (trainer, resumed):
        again = one.fit_stream(x, y, verbose=0, callbacks=[Interrupting(-1)])
        assert again.history == history.history
        same(one, wanted)
        for name, state in wanted.net.carried.arrays.items():
            np.testing.assert_array_equal(one.net.carried.arrays[name], state)


def test_several_outputs_are_resumed(tmp_path):
    def make():
        x = bp.Input((4,))
        h = bp.ReLU()(bp.Linear(5)(x))
        net = bp.Model(x, [bp.Linear(3, name="kind")(h), bp.Linear(1, name="size")(h)])
        net.trainable("0", False)
        losses = (bp.CrossEntropy(weight=np.array([1.0, 2.0, 0.5])), "mse")
        return bp.Trainer(net, losses, "adam", {"kind": ["accuracy"]}, loss_weights=(1.0, 0.3))

    y = (Y, X[:, :1])
    wanted = make()
    history = wanted.fit(X, y, epochs=2, batch_size=8, verbose=0)
    trainer = make()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(X, y, epochs=2, batch_size=8, verbose=0, callbacks=[Interrupting(9)])
    trainer.save(tmp_path / "m.ckpt")
    resumed = bp.Trainer.resume(tmp_path / "m.ckpt")
    assert not resumed.net.trainable("0")
    again = resumed.fit(X, y, verbose=0, callbacks=[Interrupting(-1)])
    assert again.history == history.history
    same(resumed, wanted)


# --------------------------------------------------------------------------- what equals what


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fits_of_one_epoch_are_one_fit(optimizer):
    one, parts = make_trainer(optimizer), make_trainer(optimizer)
    one.fit(X, Y, epochs=3, batch_size=8, verbose=0)
    for _ in range(3):
        parts.fit(X, Y, epochs=1, batch_size=8, verbose=0)
    same(one, parts)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_loop_of_steps_is_a_fit_without_shuffle(optimizer):
    fitted, stepped = make_trainer(optimizer), make_trainer(optimizer)
    fitted.fit(X, Y, epochs=2, batch_size=10, shuffle=False, verbose=0)
    for _ in range(2):
        for start in range(0, 50, 10):
            stepped.step(X[start : start + 10], Y[start : start + 10])
    same(fitted, stepped)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_any_number_of_threads_gives_the_same_bits(optimizer):
    before = bp.num_threads()
    ends = []
    try:
        for threads in (1, 7):
            bp.set_num_threads(threads)
            trainer = make_trainer(optimizer, "native")
            trainer.fit(np.tile(X, (20, 1)), np.tile(Y, 20), epochs=2, batch_size=250, verbose=0)
            ends.append(trainer)
    finally:
        bp.set_num_threads(before)
    same(*ends)


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "lbfgs"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_native_trains_as_numpy_does(optimizer, dtype):
    ends = []
    for backend in ("native", "numpy"):
        # without BatchNorm, behind which a bias has a gradient of rounding errors alone
        trainer = make_trainer(optimizer, backend, dtype, norm=False)
        trainer.fit(X, Y, epochs=2, batch_size=8, verbose=0)
        ends.append(trainer.net.params.flat.copy())
    check_close(*ends, dtype, 8 * 14, TRAINING)  # rows of a step times the steps


# ------------------------------------------------------------------------------------- errors


def test_what_can_be_done_while_a_fit_is_unfinished(tmp_path):
    trainer = interrupted(make_trainer(), 5)
    with pytest.raises(ValueError, match=r"discard\(\) drops it"):
        trainer.fit(X, Y, epochs=1)
    with pytest.raises(ValueError, match="without epochs= finishes it"):
        trainer.fit_stream(X, Y, window=3)
    with pytest.raises(ValueError, match="callbacks"):
        trainer.fit(X, Y, **AGAIN)
    with pytest.raises(ValueError, match=r"\(50, 4\) float64"):
        trainer.fit(X[:40], Y[:40], **AGAIN)
    before = trainer.net.params.flat.copy()
    trainer.discard()
    np.testing.assert_array_equal(trainer.net.params.flat, before)
    trainer.fit(X, Y, epochs=1, verbose=0)
    with pytest.raises(ValueError, match="interrupted, but there is none"):
        trainer.fit(X, Y)


def test_trainers_are_copied_with_their_nets():
    wanted, history = undisturbed()
    trainer = interrupted(make_trainer(), 9)
    for twin in (copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))):
        assert finished(twin).history == history.history
        same(twin, wanted)
    assert trainer.net.state.steps == 9


def test_what_no_file_can_hold_is_refused_before_training(tmp_path):
    trainer = make_trainer()
    trainer.optimizer = bp.SGD(lambda t: 0.1)
    with pytest.raises(TypeError, match="lr"):
        trainer.save(tmp_path / "a.ckpt")
    assert not (tmp_path / "a.ckpt").exists()
    with pytest.raises(TypeError, match="lr"):
        trainer.fit(X, Y, epochs=1, verbose=0, callbacks=[bp.Checkpoint(tmp_path / "a.ckpt")])
    assert trainer.net.state.steps == 0


def test_a_net_file_is_no_checkpoint(tmp_path):
    trainer = make_trainer()
    trainer.fit(X, Y, epochs=1, verbose=0)
    trainer.net.save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="checkpoint"):
        bp.Trainer.resume(tmp_path / "net.safetensors")
    with pytest.raises(FileNotFoundError):
        bp.Trainer.resume(tmp_path / "missing.ckpt")


def test_checkpoint_keeps_older_files_and_the_best(tmp_path):
    path = tmp_path / "run.ckpt"
    make_trainer().fit(X, Y, **FIT, callbacks=[bp.Checkpoint(path, keep=2)])
    steps = [
        bp.Trainer.resume(f"{path}{end}").net.state.steps for end in ("", ".1", ".2")
    ]  # fmt: skip
    assert steps == [21, 14, 7]
    best = tmp_path / "best.ckpt"
    callbacks = [bp.Checkpoint(best, monitor="val_loss")]
    trainer = make_trainer("sgd")
    history = trainer.fit(X, Y, **FIT, callbacks=callbacks)
    losses = history.history["val_loss"]
    kept = bp.Trainer.resume(best).net.state.epochs
    assert kept == int(np.argmin(losses)) + 1
