"""Callbacks: rates that fall on a plateau, logs in a file, and fits that are resumed with them."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from callback_nets import FIGURES, Given, X, Y, fit, read, small_net

import pybp as bp

# ------------------------------------------------------------------------- ReduceOnPlateau


def plateau_rates(figures, **options):
    """Return the rate of each epoch, as the logs tell it, and the one after the last."""
    rate = bp.ReduceOnPlateau(**options)
    trainer = bp.Trainer(small_net(), "mse", bp.SGD(0.5))
    callbacks = [Given(figures), rate]
    history = trainer.fit(X, Y, epochs=len(figures), callbacks=callbacks, verbose=0).history
    return [*history["lr"], trainer.optimizer.lr]


def test_the_rate_falls_after_more_than_patience_bad_epochs():
    rates = plateau_rates(FIGURES[:8], patience=1, factor=0.5)
    assert rates == [0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.125]


def test_steps_use_the_reduced_rate(backend, dtype):
    """Each epoch equals one of a fit with that rate."""
    net, other = small_net(dtype), small_net(dtype)
    rate = bp.ReduceOnPlateau(patience=0, factor=0.5)
    lr = fit(net, [Given([1.0] * 4), rate], shuffle=False)["lr"]
    assert lr == [0.1, 0.1, 0.05, 0.025]
    for one in lr:
        fit(other, [], epochs=1, optimizer=bp.SGD(one), shuffle=False)
    assert net.params.flat.tobytes() == other.params.flat.tobytes()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 0},
        {"patience": 2, "cooldown": 2},
        {"patience": 1, "mode": "max"},
        {"patience": 1, "mode": "max", "threshold_mode": "abs", "threshold": 0.05},
        {"patience": 1, "threshold_mode": "abs", "threshold": 0.05, "cooldown": 1},
        {"patience": 0, "min_lr": 0.01, "factor": 0.3},
        {"patience": 0, "eps": 0.05, "factor": 0.5},
        {"patience": 0, "threshold": 0.2},
    ],
    ids=str,
)
def test_plateau_rates_are_those_of_torch(options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    for _ in range(8):
        figures = np.cumsum(rng.normal(-0.05, 0.3, 40))
        figures[rng.integers(0, 40, 3)] = np.nan, np.inf, 0.0
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        judge = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        expected = [0.5]
        for figure in figures:
            judge.step(figure)
            expected.append(optimizer.param_groups[0]["lr"])
        assert plateau_rates(figures, **options) == expected


def test_plateau_takes_more_for_accuracies():
    assert bp.ReduceOnPlateau("val_accuracy").best == -math.inf
    assert bp.ReduceOnPlateau("val_loss").best == math.inf
    assert bp.ReduceOnPlateau("val_accuracy", mode="min").best == math.inf


def test_plateau_goes_on_from_its_state():
    rate, other = (bp.ReduceOnPlateau(patience=1, cooldown=2, factor=0.5) for _ in range(2))
    trainer = bp.Trainer(small_net(), "mse", bp.SGD(0.5))
    for epoch, figure in enumerate(FIGURES):
        if epoch == 5:
            other.restore(rate.state())
        now = other if epoch >= 5 else rate
        now.on_epoch_end(trainer, epoch, {"val_loss": figure})
    assert trainer.optimizer.lr == plateau_rates(FIGURES, patience=1, cooldown=2, factor=0.5)[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 1.0}, "factor must lie between 0 and 1, got 1.0"),
        ({"factor": 0.0}, "factor"),
        ({"factor": math.nan}, "factor"),
        ({"mode": "best"}, "mode must be"),
        ({"patience": -1}, "patience must be >= 0"),
        ({"cooldown": -1}, "cooldown must be >= 0"),
        ({"threshold": -1e-4}, "threshold must be a finite number >= 0"),
        ({"threshold": math.nan}, "threshold"),
        ({"threshold_mode": "relative"}, 'threshold_mode must be "rel" or "abs"'),
        ({"min_lr": -1.0}, "min_lr"),
        ({"eps": math.inf}, "eps"),
    ],
)
def test_bad_plateaus(options, message):
    with pytest.raises(ValueError, match=message):
        bp.ReduceOnPlateau(**options)


def test_plateau_refuses_a_schedule_and_an_unknown_figure():
    net = small_net()
    before = net.params.flat.copy()
    with pytest.raises(ValueError, match="has the schedule"):
        fit(net, [bp.ReduceOnPlateau()], optimizer=bp.SGD(lambda t: 0.1))
    with pytest.raises(ValueError, match="monitors 'val_loss', but the logs have only loss"):
        fit(net, [bp.ReduceOnPlateau()])
    assert net.params.flat.tobytes() == before.tobytes()


# ------------------------------------------------------------------------------- CSVLogger


def test_csv_rows_are_the_history(tmp_path, backend):
    path = tmp_path / "log.csv"
    history = fit(small_net(), [bp.CSVLogger(path)], validation_data=(X[:5], Y[:5]), metrics=[])
    header, *rows = read(path)
    assert header == ["epoch", "loss", "val_loss"]
    assert [int(row[0]) for row in rows] == [0, 1, 2, 3]
    assert [float(row[1]) for row in rows] == history["loss"]
    assert [float(row[2]) for row in rows] == history["val_loss"]


def test_csv_separator_and_names_that_need_quotes(tmp_path):
    path = tmp_path / "log.csv"
    fit(small_net(), [Given(range(4), 'a;"b"'), bp.CSVLogger(path, ";")])
    assert read(path, ";")[0] == ["epoch", "loss", 'a;"b"']
    assert [row[2] for row in read(path, ";")[1:]] == ["0.0", "1.0", "2.0", "3.0"]


def test_csv_begins_anew_or_appends(tmp_path):
    path = tmp_path / "log.csv"
    log = bp.CSVLogger(path)
    for _ in range(2):
        fit(small_net(), [log], epochs=2)
        assert len(read(path)) == 3
    fit(small_net(), [bp.CSVLogger(path, append=True)], epochs=3)
    assert [row[0] for row in read(path)] == ["epoch", "0", "1", "0", "1", "2"]
    fit(small_net(), [bp.CSVLogger(tmp_path / "new.csv", append=True)], epochs=1)
    assert [row[0] for row in read(tmp_path / "new.csv")] == ["epoch", "0"]


def test_csv_columns_are_those_of_the_first_epoch(tmp_path):
    class Sometimes(bp.Callback):
        def on_epoch_end(self, trainer, epoch, logs):
            logs["even" if epoch % 2 == 0 else "odd"] = 1.0

    path = tmp_path / "log.csv"
    with pytest.warns(RuntimeWarning, match="odd is left out of"):
        fit(small_net(), [Sometimes(), bp.CSVLogger(path)], epochs=2)
    assert [[row[0], row[2]] for row in read(path)] == [["epoch", "even"], ["0", "1.0"], ["1", ""]]


class Break(bp.Callback):
    """Ends a fit by an error, as a cut in the middle would."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, trainer, epoch):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_csv_is_whole_after_an_interrupt(tmp_path):
    path = tmp_path / "log.csv"
    with pytest.raises(KeyboardInterrupt):
        fit(small_net(), [bp.CSVLogger(path), Break(2)])
    assert path.read_text("utf-8").endswith("\n")
    assert len(read(path)) == 3
    path.rename(tmp_path / "other.csv")  # nothing holds it open


@pytest.mark.parametrize("append", [False, True])
def test_csv_goes_on_from_its_state(tmp_path, append):
    """Rows written after the checkpoint come again: none twice, none missing."""
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss\n7,0.5\n", "utf-8")
    before, after = bp.CSVLogger(path, append=append), bp.CSVLogger(path, append=append)
    trainer = bp.Trainer(small_net(), "mse", "sgd")
    rows = [{"loss": 0.25 / (epoch + 1)} for epoch in range(5)]
    before.on_fit_begin(trainer)
    for epoch in range(4):
        if epoch == 2:
            state = before.state()
        before.on_epoch_end(trainer, epoch, rows[epoch])
    after.on_fit_begin(trainer)
    after.restore(state)
    assert len(read(path)) == 3 + append
    for epoch in range(2, 5):
        after.on_epoch_end(trainer, epoch, rows[epoch])
    header, *found = read(path)
    assert header == ["epoch", "loss"]
    assert [row[0] for row in found] == ["7"] * append + ["0", "1", "2", "3", "4"]
    assert [float(row[1]) for row in found[append:]] == [row["loss"] for row in rows]


def test_csv_restores_a_state_of_no_row_and_a_lost_file(tmp_path):
    path = tmp_path / "log.csv"
    trainer = bp.Trainer(small_net(), "mse", "sgd")
    log = bp.CSVLogger(path)
    log.on_fit_begin(trainer)
    none = log.state()
    log.on_epoch_end(trainer, 0, {"loss": 1.0})
    one = log.state()
    log.restore(none)
    log.on_epoch_end(trainer, 0, {"loss": 2.0})
    assert read(path) == [["epoch", "loss"], ["0", "2.0"]]
    path.unlink()
    log.on_fit_begin(trainer)
    log.restore(one)
    assert read(path) == [["epoch", "loss"], ["0", "1.0"]]
    with pytest.raises(ValueError, match="has lost rows: it held 100 bytes"):
        log.restore(one | {"begin": 100})


def test_csv_refuses_a_path_before_anything_is_trained(tmp_path):
    net = small_net()
    before = net.params.flat.copy()
    for path in (tmp_path, tmp_path / "none" / "log.csv"):
        with pytest.raises(OSError, match=r"log\.csv|directory"):
            fit(net, [bp.CSVLogger(path)])
    assert net.params.flat.tobytes() == before.tobytes()
    for separator in ("", ",,", "\n", 3):
        with pytest.raises(ValueError, match="separator must be one character"):
            bp.CSVLogger("log.csv", separator)


# ------------------------------------------------------------------------- resumed fits


class Cut(bp.Callback):
    """Ends a fit by an error in its step ``at``."""

    def __init__(self, at=None):
        self.at = at

    def on_step_end(self, trainer, step, loss):
        if step == self.at:
            raise KeyboardInterrupt


class Plateau(bp.Callback):
    """Figures that don't depend on the weights."""

    def on_epoch_end(self, trainer, epoch, logs):
        logs["figure"] = FIGURES[epoch]


@pytest.mark.parametrize("first", [True, False], ids=["checkpoint first", "checkpoint last"])
@pytest.mark.parametrize("at", [1, 5, 6, 7, 11, 13, 20, 24])
def test_a_resumed_fit_ends_like_an_undisturbed_one(tmp_path, at, first):
    """Weights, averages, rates and the file of logs: the same bits, wherever the cut was."""

    def callbacks(log, at=None):
        rate = bp.ReduceOnPlateau("figure", patience=0, cooldown=1, factor=0.5)
        made = [Plateau(), rate, bp.EMA(0.8, start=2), bp.SWA(2), bp.CSVLogger(log), Cut(at)]
        save = bp.Checkpoint(tmp_path / "run.ckpt", every_steps=2, every_epochs=1)
        return [save, *made] if first else [*made, save]

    def arguments(name, at=None):
        return {"callbacks": callbacks(tmp_path / name, at), "validation_data": (X, Y)}

    whole = bp.Trainer(small_net(), "mse", bp.Adam(0.05))
    given = arguments("whole.csv")
    history = whole.fit(X, Y, epochs=8, batch_size=8, verbose=0, **given).history
    cut = bp.Trainer(small_net(), "mse", bp.Adam(0.05))
    cut.save(tmp_path / "run.ckpt")
    with pytest.raises(KeyboardInterrupt):
        cut.fit(X, Y, epochs=8, batch_size=8, verbose=0, **arguments("cut.csv", at))
    resumed = bp.Trainer.resume(tmp_path / "run.ckpt")
    again = arguments("cut.csv")
    if at > 2:
        assert resumed.fit(X, Y, verbose=0, **again).history == history
    else:  # nothing had been saved but the start
        resumed.fit(X, Y, epochs=8, batch_size=8, verbose=0, **again)
    assert repr(resumed.optimizer) == repr(whole.optimizer)
    assert resumed.net.params.flat.tobytes() == whole.net.params.flat.tobytes()
    assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len(read(tmp_path / "cut.csv")) == 9
    for one, other in zip(given["callbacks"], again["callbacks"], strict=True):
        if isinstance(one, bp.EMA | bp.SWA):
            one.apply(whole.net)
            other.apply(resumed.net)
            assert resumed.net.params.flat.tobytes() == whole.net.params.flat.tobytes()


def test_no_callback_warns_in_a_plain_fit(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(small_net(), [bp.EMA(), bp.SWA(0), bp.CSVLogger(tmp_path / "log.csv")])
