"""Callbacks: called in order, with the weights of the epoch, and what an error in one does."""

from __future__ import annotations

from typing import Any

import pytest
from networks import bits, data, network

import fastnet as fn


class Recorder(fn.callbacks.Callback):
    def __init__(self, stop_at: int = 10**9) -> None:
        self.seen: list[Any] = []
        self.stop_at = stop_at

    def on_train_begin(self, trainer: fn.Trainer) -> None:
        self.seen.append(("begin", trainer.epochs_done, bits(trainer.network)))

    def on_epoch_end(self, trainer: fn.Trainer) -> None:
        self.seen.append((trainer.epochs_done, trainer.history.loss[-1], bits(trainer.network)))
        if trainer.epochs_done == self.stop_at:
            trainer.stop("seen enough")

    def on_train_end(self, trainer: fn.Trainer) -> None:
        self.seen.append(("end", trainer.history.stopped, bits(trainer.network)))


def test_callbacks_are_told_in_order_and_may_stop() -> None:
    X, T = data(3, 1, 40, "float64")
    net, recorder, other = network((3, 4, 1)), Recorder(stop_at=3), Recorder()
    before = bits(net)
    history = net.fit(X, T, epochs=9, callbacks=[recorder, other])
    told = [(what, how) for what, how, _ in recorder.seen]
    assert told == [("begin", 0), *enumerate(history.loss, start=1), ("end", "seen enough")]
    assert recorder.seen == other.seen
    assert [weights == before for *_, weights in recorder.seen] == [True, True, True, True, False]
    assert recorder.seen[-1][2] == bits(net)
    assert history.stopped == "seen enough"
    assert repr(history).endswith("; seen enough")
    assert len(net.fit(X, T, epochs=2, callbacks=[recorder]).loss) == 2, "to stop holds for one fit"


def test_a_callback_sees_the_weights_of_the_epoch() -> None:
    X, T = data(3, 1, 40, "float32")
    seen: list[Any] = []
    net, twin = network((3, 4, 1), "float32"), network((3, 4, 1), "float32")
    net.fit(
        X, T, epochs=3, callbacks=[lambda trainer: seen.append((trainer.weights(), trainer.predict_proba(X)))]
    )
    twin.fit(X, T, epochs=2)
    weights, A = seen[1]
    assert [array.tobytes() for pair in weights for array in pair] == bits(twin)
    assert A.tobytes() == twin.predict_proba(X).tobytes()


@pytest.mark.parametrize("at", ["begin", "epoch", "end"])
def test_an_error_in_a_callback_comes_out(at: str) -> None:
    X, T = data(3, 1, 40, "float64")

    class Failing(Recorder):
        def fail(self, *_: Any) -> None:
            raise OSError("disk full")

    failing, other = Failing(), Recorder()
    setattr(
        failing, {"begin": "on_train_begin", "epoch": "on_epoch_end", "end": "on_train_end"}[at], failing.fail
    )
    net = network((3, 4, 1))
    before = bits(net)
    with pytest.raises(OSError, match="disk full"):
        net.fit(X, T, epochs=3, callbacks=[other, failing])
    assert (bits(net) == before) == (at != "end"), "what was trained whole is kept"
    assert other.seen[-1][:2] == ("end", "all epochs done" if at == "end" else "OSError: disk full")
    net.fit(X, T, epochs=1)
