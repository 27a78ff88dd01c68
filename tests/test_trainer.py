"""The trainer: exact meanings of fit and step."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest
from conftest import require_native

import pybp as bp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
Y = RNG.integers(0, 3, 50)


def _net(dtype: str = "float64", dropout: float = 0.3) -> bp.Sequential:
    return bp.Sequential(
        [bp.Linear(8), bp.ReLU(), bp.Dropout(dropout), bp.Linear(3)], dtype=dtype, seed=5
    )


def _fit(net: bp.Sequential, **arguments: object) -> bp.History:
    given = {"loss": "cross_entropy", "optimizer": bp.Adam(0.01), "epochs": 3, "verbose": 0}
    return net.fit(X, Y, **{**given, **arguments})


OPTIMIZERS = [
    bp.SGD(0.1),
    bp.SGD(0.1, momentum=0.9, nesterov=True),
    bp.SGD(0.1, momentum=0.9, dampening=0.5),
    bp.Adam(0.01, amsgrad=True),
    bp.AdamW(0.01),
    bp.SGD(lambda t: 0.1 / (1 + t)),
]


@pytest.mark.parametrize("batch_size", [1, 8, None])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_n_fits_of_one_epoch_are_one_fit(
    optimizer: bp.optimizers.Optimizer, batch_size: int | None, backend: str, dtype: str
) -> None:
    once, often = _net(dtype), _net(dtype)
    whole = _fit(once, optimizer=optimizer, epochs=3, batch_size=batch_size)
    parts = [
        _fit(often, optimizer=optimizer, epochs=1, batch_size=batch_size).history["loss"][0]
        for _ in range(3)
    ]
    assert once.params.flat.tobytes() == often.params.flat.tobytes()
    assert whole.history["loss"] == parts


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_a_loop_of_steps_is_a_fit_without_shuffle(
    optimizer: bp.optimizers.Optimizer, batch_size: int, backend: str, dtype: str
) -> None:
    fitted, stepped = _net(dtype), _net(dtype)
    _fit(fitted, optimizer=optimizer, epochs=2, batch_size=batch_size, shuffle=False)
    trainer = bp.Trainer(stepped, "cross_entropy", optimizer)
    for _ in range(2):
        for i in range(0, len(X), batch_size):
            trainer.step(X[i : i + batch_size], Y[i : i + batch_size])
    assert fitted.params.flat.tobytes() == stepped.params.flat.tobytes()


def test_a_step_by_hand_is_a_step_of_the_trainer(backend: str, dtype: str) -> None:
    by_hand, trained = _net(dtype), _net(dtype)
    loss, optimizer = bp.CrossEntropy(), bp.SGD(0.1, momentum=0.9)
    trainer = bp.Trainer(trained, loss, optimizer)
    for _ in range(3):
        value, dy = loss.value_and_grad(by_hand.forward(X, training=True), Y)
        by_hand.backward(dy)
        optimizer.step(by_hand)
        assert trainer.step(X, Y) == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(by_hand.params.flat, trained.params.flat, rtol=1e-4, atol=1e-6)


def test_sample_weights_count_as_repetitions(backend: str) -> None:
    repeats = np.arange(50) % 3
    weighted, repeated = _net(dropout=0.0), _net(dropout=0.0)
    arguments = {"batch_size": None, "shuffle": False}
    got = _fit(weighted, sample_weight=repeats.astype(float), **arguments)
    given = {"loss": "cross_entropy", "optimizer": bp.Adam(0.01), "epochs": 3, "verbose": 0}
    expected = repeated.fit(X.repeat(repeats, 0), Y.repeat(repeats), **given, **arguments)
    np.testing.assert_allclose(got.history["loss"], expected.history["loss"], rtol=1e-12)
    np.testing.assert_allclose(weighted.params.flat, repeated.params.flat, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("class_weight", [[1.0, 2.0, 0.5], {1: 2.0, 2: 0.5}])
def test_class_weights_multiply_sample_weights(class_weight: object, backend: str) -> None:
    by_class, by_sample = _net(), _net()
    weight = np.arange(1, 51) / 10
    table = np.array([1.0, 2.0, 0.5])
    given = np.array(class_weight) if isinstance(class_weight, list) else class_weight
    _fit(by_class, class_weight=given, sample_weight=weight)
    _fit(by_sample, sample_weight=weight * table[Y])
    assert by_class.params.flat.tobytes() == by_sample.params.flat.tobytes()


@pytest.mark.parametrize(
    ("loss", "divisor"),
    [
        (bp.SquaredError("mean"), 50 * 3),
        (bp.SquaredError("batch"), 50),
        (bp.SquaredError("sum"), 50),
        (bp.NormError("mean"), 50),
    ],
)
def test_history_is_the_mean_over_the_epoch(
    loss: bp.losses.Loss, divisor: int, backend: str
) -> None:
    """With a rate of 0 the losses of all batches are those of one net."""
    net = bp.Sequential([bp.Linear(3)], dtype="float64")
    target = np.random.default_rng(1).normal(size=(50, 3))
    history = net.fit(
        X, target, loss=loss, optimizer=bp.SGD(0.0), epochs=1, batch_size=8, verbose=0
    )
    error = net.predict(X) - target
    total = np.sum(np.linalg.norm(error, axis=1) if isinstance(loss, bp.NormError) else error**2)
    assert history.history["loss"] == pytest.approx([total / divisor], rel=1e-12)


def test_validation_leaves_the_training_alone(backend: str) -> None:
    plain, validated = _net(), _net()
    _fit(plain, metrics=["accuracy"])
    history = _fit(validated, metrics=["accuracy"], validation_data=(X[:10], Y[:10]))
    assert plain.params.flat.tobytes() == validated.params.flat.tobytes()
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    last = validated.evaluate(X[:10], Y[:10], loss="cross_entropy", metrics=["accuracy"])
    assert last["loss"] == history.history["val_loss"][-1]
    assert last["accuracy"] == history.history["val_accuracy"][-1]


class Recorder(bp.Callback):
    """Writes down its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_fit_begin(self, trainer: bp.Trainer) -> None:
        self.calls.append("fit begin")

    def on_epoch_begin(self, trainer: bp.Trainer, epoch: int) -> None:
        self.calls.append(f"epoch {epoch} begin")

    def on_step_end(self, trainer: bp.Trainer, step: int, loss: float) -> None:
        self.calls.append(f"step {step}")

    def on_epoch_end(self, trainer: bp.Trainer, epoch: int, logs: dict[str, float]) -> None:
        self.calls.append(f"epoch {epoch} end")
        logs["mine"] = 1.0

    def on_fit_end(self, trainer: bp.Trainer) -> None:
        self.calls.append("fit end")


def test_callbacks_are_called_in_order(backend: str) -> None:
    recorder = Recorder()
    history = _fit(_net(), epochs=2, batch_size=25, callbacks=[recorder])
    assert recorder.calls == [
        "fit begin",
        *("epoch 0 begin", "step 1", "step 2", "epoch 0 end"),
        *("epoch 1 begin", "step 3", "step 4", "epoch 1 end"),
        "fit end",
    ]
    assert history.history["mine"] == [1.0, 1.0]


def test_watching_steps_does_not_change_them(backend: str) -> None:
    plain, watched = _net(), _net()
    _fit(plain, batch_size=8)
    _fit(watched, batch_size=8, callbacks=[Recorder()])
    assert plain.params.flat.tobytes() == watched.params.flat.tobytes()


def test_a_callback_can_stop_after_a_step(backend: str) -> None:
    class Stop(bp.Callback):
        def on_step_end(self, trainer: bp.Trainer, step: int, loss: float) -> None:
            trainer.stop = step == 3

    net = _net()
    history = _fit(net, batch_size=10, epochs=5, callbacks=[Stop()])
    assert net.state.steps == 3
    assert len(history.history["loss"]) == 1


class StopAtFit(Recorder):
    def on_fit_begin(self, trainer: bp.Trainer) -> None:
        super().on_fit_begin(trainer)
        trainer.stop = True


class StopAtEpoch(Recorder):
    def on_epoch_begin(self, trainer: bp.Trainer, epoch: int) -> None:
        super().on_epoch_begin(trainer, epoch)
        trainer.stop = True


@pytest.mark.parametrize(
    ("stopper", "calls"),
    [
        (StopAtFit(), ["fit begin", "fit end"]),
        (StopAtEpoch(), ["fit begin", "epoch 0 begin", "fit end"]),
    ],
)
def test_a_callback_can_stop_before_an_epoch(stopper: Recorder, calls: list[str]) -> None:
    net = _net().build((4,))
    assert _fit(net, callbacks=[stopper]).history == {}
    assert stopper.calls == calls
    assert net.state.steps == net.state.epochs == 0


@pytest.mark.parametrize("batch_size", [1, 8])
def test_who_watches_the_steps_may_read_the_gradients(batch_size: int, backend: str) -> None:
    class Watch(bp.Callback):
        def on_step_end(self, trainer: bp.Trainer, step: int, loss: float) -> None:
            assert trainer.net.grads["0.weight"].any()
            trainer.stop = step == 3

    net = _net()
    _fit(net, batch_size=batch_size, optimizer=bp.SGD(0.1), callbacks=[Watch()])
    assert net.state.steps == 3
    assert net.grads["3.bias"].any()


def test_the_fit_stops_at_a_loss(backend: str) -> None:
    full = _fit(_net(), epochs=10).history["loss"]
    stopped = _fit(_net(), epochs=10, stop_loss=full[4]).history["loss"]
    assert stopped == full[: next(i for i, loss in enumerate(full) if loss <= full[4]) + 1]


def test_early_stopping_restores_the_best_epoch(backend: str) -> None:
    net = _net()
    early = bp.EarlyStopping(patience=2)
    history = _fit(
        net, epochs=200, optimizer=bp.Adam(0.1), validation_data=(X, 2 - Y), callbacks=[early]
    )
    losses = history.history["val_loss"]
    assert early.best == min(losses)
    assert len(losses) == early.best_epoch + 3
    assert net.evaluate(X, 2 - Y, loss="cross_entropy")["loss"] == pytest.approx(early.best)


def test_early_stopping_counts_epochs_without_a_number() -> None:
    """NaN is no improvement, not even on NaN; the first number is one."""

    class Give(bp.Callback):
        def __init__(self, values: list[float]) -> None:
            self.values = values

        def on_epoch_end(self, trainer: bp.Trainer, epoch: int, logs: dict[str, float]) -> None:
            logs["figure"] = self.values[epoch]

    nan = float("nan")
    for values, epochs, best in (([nan] * 9, 3, 0), ([nan, 2.0, nan, nan, 1.0], 4, 1)):
        early = bp.EarlyStopping("figure", patience=2)
        history = _fit(_net(), epochs=len(values), callbacks=[Give(values), early])
        assert len(history.history["loss"]) == epochs
        assert early.best_epoch == best


def test_gradients_are_known_after_a_fit_but_not_after_a_step(backend: str) -> None:
    net = _net()
    for batch_size in (1, 8):
        _fit(net, batch_size=batch_size)
        assert np.isfinite(net.grads["0.weight"]).all()
        bp.Trainer(net, "cross_entropy", bp.Adam(0.01)).step(X, Y)
        with pytest.raises(RuntimeError, match="keep_grads"):
            net.grads["0.weight"]
    bp.Trainer(net, "cross_entropy", bp.Adam(0.01), keep_grads=True).step(X, Y)
    assert net.grads["0.weight"].any()


def test_two_threads_cannot_train_one_net(backend: str) -> None:
    net = _net()
    entered, leave = threading.Event(), threading.Event()

    class Wait(bp.Callback):
        def on_fit_begin(self, trainer: bp.Trainer) -> None:
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=_fit, args=(net,), kwargs={"callbacks": [Wait()]})
    thread.start()
    assert entered.wait(10)
    with pytest.raises(RuntimeError, match="another thread"):
        _fit(net)
    leave.set()
    thread.join()
    _fit(net)


def test_an_interrupted_fit_leaves_a_usable_net(backend: str) -> None:
    class Interrupt(bp.Callback):
        def on_step_end(self, trainer: bp.Trainer, step: int, loss: float) -> None:
            if step == 4:
                raise KeyboardInterrupt

    net = _net()
    with pytest.raises(KeyboardInterrupt):
        _fit(net, batch_size=10, callbacks=[Interrupt()])
    assert net.state.steps == 4
    assert np.isfinite(net.predict(X)).all()
    _fit(net)


def test_progress_prints_a_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    _fit(_net(), verbose=1, metrics=["accuracy"], epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  loss ")
    assert "accuracy" in lines[1]


def test_cross_entropy_after_softmax_warns() -> None:
    with pytest.warns(UserWarning, match="leave the Softmax out"):
        bp.Trainer(bp.Sequential([bp.Linear(3), bp.Softmax()]), "cross_entropy", "sgd").step(X, Y)


def test_accuracy_of_a_binary_net(backend: str) -> None:
    target = (X[:, :1] > 0).astype(float)
    net = bp.Sequential([bp.Linear(1)], dtype="float64")
    logs = net.evaluate(X, target, loss="bce_with_logits", metrics=["accuracy"])
    assert logs["accuracy"] == np.mean((net.predict(X) > 0) == (target > 0.5))


@pytest.mark.parametrize("shape", [(), (1,)])
def test_accuracy_of_single_numbers_is_that_of_yes_and_no(
    shape: tuple[int, ...], backend: str
) -> None:
    """There is no choice among one class: above 1/2 means yes."""
    target = (X[:, 0] > 0).astype(float).reshape(-1, *shape)
    net = bp.Sequential([bp.Linear(1), bp.Sigmoid(), bp.Reshape(shape)], dtype="float64")
    expected = np.mean((net.predict(X) > 0.5) == (target > 0.5))
    assert 0 < expected < 1
    for loss in ("mse", "norm_error", "bce"):
        logs = net.evaluate(X, target, loss=loss, metrics=["accuracy"])
        assert logs["accuracy"] == expected


def test_a_signal_in_a_native_call_stops_the_fit_soon() -> None:
    """As Ctrl-C does: within a step or a tenth of a second, with the net as after the last step."""
    require_native()

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100_000, 20)), rng.integers(0, 3, 100_000)
    net = bp.Sequential([bp.Linear(30), bp.Tanh(), bp.Linear(3)], backend="native")
    trainer = bp.Trainer(net, "cross_entropy", bp.SGD(0.01))
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            trainer.fit(x, y, epochs=1000, batch_size=1, shuffle=False, verbose=0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    steps = net.state.steps
    assert 0 < steps < 100_000_000
    same = bp.Sequential([bp.Linear(30), bp.Tanh(), bp.Linear(3)], backend="native").build((20,))
    again = bp.Trainer(same, "cross_entropy", bp.SGD(0.01))
    while same.state.steps + 100_000 <= steps:
        again.fit(x, y, epochs=1, batch_size=1, shuffle=False, verbose=0)
    rest = steps - same.state.steps
    if rest:
        again.fit(x[:rest], y[:rest], epochs=1, batch_size=1, shuffle=False, verbose=0)
    assert net.params.flat.tobytes() == same.params.flat.tobytes()
