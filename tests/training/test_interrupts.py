"""Ctrl-C: noticed soon, the weights of the last whole batch are kept, and training can go on."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from epochs import at_epoch
from networks import bits, data, network

import fastnet as fn
from fastnet._core import engine


def interrupting(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Raise KeyboardInterrupt once before that epoch of a fit."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    at_epoch(monkeypatch, epoch, interrupt)


def test_the_weights_are_kept_and_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    X, T = data(3, 1, 40, "float64")
    net, whole = network((3, 4, 1)), network((3, 4, 1))
    history = whole.fit(X, T, epochs=6, batch_size=10, optimizer="adam")
    ended = []

    class End(fn.callbacks.Callback):
        def on_train_end(self, trainer: fn.Trainer) -> None:
            ended.append(trainer.history.stopped)

    with monkeypatch.context() as patch:
        interrupting(patch, 2)
        with pytest.warns(
            UserWarning, match="fit interrupted after 2 of 6 epochs: the network keeps"
        ) as caught:
            cut = net.fit(X, T, epochs=6, batch_size=10, optimizer="adam", callbacks=[End()])
    assert caught[0].filename == __file__
    assert cut.loss == history.loss[:2]
    assert cut.stopped == "interrupted after 2 of 6 epochs"
    assert ended == [cut.stopped]
    rest = net.fit(X, T, epochs=4, batch_size=10, optimizer="adam", warm_start=True)
    assert rest.loss == history.loss[2:]
    assert bits(net) == bits(whole)


def test_before_the_first_epoch_nothing_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    X, T = data(3, 1, 40, "float64")
    net = network((3, 4, 1))
    before = bits(net)
    with monkeypatch.context() as patch:
        interrupting(patch, 0)
        with pytest.warns(UserWarning, match="fit interrupted after 0 of 6 epochs"):
            history = net.fit(X, T, epochs=6, batch_size=10)
    assert history.loss == []
    assert bits(net) == before


# How many epochs there are depends on the machine, and so whether there is advice.
@pytest.mark.filterwarnings("ignore:the loss has hardly moved")
@pytest.mark.usefixtures("no_garbage_collector")
def test_many_short_epochs_in_the_core_are_interrupted_soon() -> None:
    X, T = data(3, 1, 40, "float64")
    net, twin = network((3, 4, 1)), network((3, 4, 1))
    in_a_moment(0.1)
    start = time.perf_counter()
    with pytest.warns(UserWarning, match="fit interrupted after"):
        history = net.fit(X, T, epochs=100_000, batch_size=1)
    assert time.perf_counter() - start < 60  # a whole fit takes minutes
    again = twin.fit(X, T, epochs=len(history.loss), batch_size=1)
    assert again.loss == history.loss
    assert bits(net) == bits(twin)


def test_with_early_stopping_the_best_weights_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    X, T = data(3, 1, 40, "float64")
    net, best = network((3, 4, 1)), network((3, 4, 1))
    worse: Any = {"validation": (X, 1 - T), "early_stopping": True, "learning_rate": 1.0}
    with monkeypatch.context() as patch:
        interrupting(patch, 30)
        with pytest.warns(
            UserWarning, match="interrupted after 30 of 90 epochs: .* weights of the best epoch"
        ):
            history = net.fit(X, T, epochs=90, patience=99, **worse)
    assert len(history.validation_loss) == 30
    assert history.best_epoch == int(np.argmin(history.validation_loss)) + 1 < 30
    best.fit(X, T, epochs=history.best_epoch, learning_rate=1.0)
    assert bits(net) == bits(best)


def test_warnings_that_are_errors_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, T = data(3, 1, 40, "float64")
    net, expected = network((3, 4, 1)), network((3, 4, 1))
    expected.fit(X, T, epochs=2)
    with monkeypatch.context() as patch:
        interrupting(patch, 2)
        with pytest.raises(UserWarning, match="interrupted"):  # as the test suite has it
            net.fit(X, T, epochs=6)
    assert bits(net) == bits(expected)


def test_an_epoch_by_itself_keeps_the_weights_and_lets_the_interrupt_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, T = data(3, 1, 40, "float64")
    net = network((3, 4, 1))
    net.fit_one_epoch(X, T)
    before = bits(net)
    with monkeypatch.context() as patch:
        interrupting(patch, 1)
        with pytest.raises(KeyboardInterrupt, match="after 0 of 1 epochs"):
            net.fit_one_epoch(X, T)
    assert bits(net) == before
    net.fit_one_epoch(X, T)
    assert bits(net) != before


def in_a_moment(seconds: float) -> None:
    threading.Timer(seconds, signal.raise_signal, [signal.SIGINT]).start()


class Soon(fn.callbacks.Callback):
    """Has the fit interrupted a tenth of a second after its first epoch has begun."""

    def on_train_begin(self, trainer: fn.Trainer) -> None:
        in_a_moment(0.1)


@pytest.mark.usefixtures("no_garbage_collector")
def test_within_an_epoch_whole_batches_are_kept() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 40_000))
    T = (X[:1] > 0).astype(float)
    how: Any = {"optimizer": "sgd", "batch_size": 50, "shuffle": False, "n_threads": 1}
    twin, net = network((60, 200, 1)), network((60, 200, 1))
    before = bits(net)
    with pytest.warns(UserWarning, match="fit interrupted after"):
        history = net.fit(X, T, epochs=500, callbacks=[Soon()], **how)
    numbers = [int(word) for word in history.stopped.split() if word.isdigit()]
    epochs, examples = numbers[0], numbers[2] if len(numbers) > 2 else 0
    assert len(history.loss) in (epochs, epochs - 1)
    assert examples % 50 == 0
    assert 0 <= examples < 40_000
    assert (epochs, examples) != (0, 0)
    if epochs:
        twin.fit(X, T, epochs=epochs, **how)
    if examples:
        twin.fit(X[:, :examples], T[:, :examples], epochs=1, **how)
    assert bits(net) == bits(twin) != before


def test_an_epoch_that_was_whole_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    X, T = data(3, 1, 40, "float64")
    net, whole = network((3, 4, 1)), network((3, 4, 1))
    history = whole.fit(X, T, epochs=6, batch_size=15, optimizer="adam")

    class Late(engine.TrainerCore):  # type: ignore[misc]
        epochs = 0

        def epoch(self, *data: Any) -> Any:
            loss = super().epoch(*data)
            Late.epochs += 1
            if Late.epochs == 3:
                raise KeyboardInterrupt
            return loss

    with monkeypatch.context() as patch:
        patch.setattr(engine, "TrainerCore", Late)
        with pytest.warns(UserWarning, match="fit interrupted after 3 of 6 epochs: the network"):
            cut = net.fit(X, T, epochs=6, batch_size=15, optimizer="adam", callbacks=[lambda trainer: None])
    assert cut.loss == history.loss[:2]
    rest = net.fit(X, T, epochs=3, batch_size=15, optimizer="adam", warm_start=True)
    assert rest.loss == history.loss[3:]
    assert bits(net) == bits(whole)


LONG_EPOCH = """
import signal, time, warnings
import numpy as np
import fastnet as fn

warnings.simplefilter("ignore")
noticed = {}
def note(number, frame):
    noticed["handler"] = time.monotonic()
    raise KeyboardInterrupt
signal.signal(signal.SIGINT, note)
X = np.zeros((128, 200_000), np.float32)
T = np.zeros((1, 200_000), np.float32)
net = fn.Network([fn.Layer(128, 512), fn.Layer(512, 512), fn.Layer(512, 1)], dtype="float32")
net.fit(X[:, :1], T[:, :1], epochs=1)  # what a fit imports is there before the interrupt
print("begin", flush=True)
history = net.fit(X, T, epochs=3, batch_size=200, n_threads=int(__import__("sys").argv[1]))
print(time.monotonic(), repr(history.stopped), flush=True)
"""


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_long_epoch_notices_it_within_a_fifth_of_a_second(n_threads: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LONG_EPOCH, str(n_threads)], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "begin\n"
        time.sleep(0.4)  # an epoch takes seconds
        sent = time.monotonic()
        program.send_signal(signal.SIGINT)
        ended, stopped = program.stdout.readline().split(maxsplit=1)
    assert program.returncode == 0
    assert "after 0 of 3 epochs and" in stopped
    assert float(ended) - sent <= 0.2
