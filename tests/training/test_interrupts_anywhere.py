"""Ctrl-C between any two bytecodes of a fit, and by real signals: never mixed weights, never a lock left."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import bits, data, network

import fastnet as fn

PACKAGE = str(Path(fn.__file__).parent)
X, T = data(2, 1, 6, "float64")
HOW: Any = {"epochs": 1, "batch_size": 3, "optimizer": "adam"}


class InterruptAt:
    """Raises KeyboardInterrupt before the bytecode of this number in fastnet's files."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: Any, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self

    def during(self, call: Any) -> None:
        """Run a call; the interrupt must come out, or be reported, or the call be over before it is due."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            call()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)


def weights_after(**how: Any) -> list[bytes]:
    net = network((2, 3, 1))
    net.fit(X, T, **HOW | how)
    return bits(net)


def whole(net: fn.Network, allowed: list[list[bytes]]) -> None:
    assert bits(net) in allowed, "weights of some layers are new and those of others are old"
    P = net.predict_proba(X)
    assert np.array_equal(net.compile()(X), P)


def trained() -> fn.Trainer:
    trainer = fn.Trainer(network((2, 3, 1)), optimizer="adam", batch_size=3)
    trainer.fit(X, T, epochs=1)
    return trainer


STATE = trained().state_dict()
ACTIONS: dict[str, Any] = {
    "fit": lambda net, trainer: net.fit(X, T, **HOW),
    "early stopping": lambda net, trainer: net.fit(X, T, early_stopping=True, validation=(X, T), **HOW),
    "fit_one_epoch": lambda net, trainer: trainer.fit_one_epoch(X, T),
    "load_state_dict": lambda net, trainer: trainer.load_state_dict(STATE),
}


@pytest.mark.usefixtures("no_garbage_collector")
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.filterwarnings("ignore:fit interrupted")
def test_an_interrupt_between_any_two_bytecodes(action: str) -> None:
    old = bits(network((2, 3, 1)))
    allowed = [old, weights_after()]
    part = network((2, 3, 1))
    first = fn.reference.permutation(6, 0, 0)[:3]  # one batch of the two may be all there is
    part.fit(X[:, first], T[:, first], **HOW | {"shuffle": False})
    allowed.append(bits(part))
    for number in itertools.count(1):
        net = network((2, 3, 1))
        trainer = fn.Trainer(net, optimizer="adam", batch_size=3)
        interrupt = InterruptAt(number)
        interrupt.during(lambda net=net, trainer=trainer: ACTIONS[action](net, trainer))
        whole(net, allowed)
        trainer.fit(X, T, epochs=1)
        net.fit(X, T, **HOW)
        assert all(np.isfinite(layer.W).all() for layer in net.layers)
        if interrupt.left > 0:
            break
    assert number > 300, "the tracer saw too little of the call"


@pytest.mark.usefixtures("no_garbage_collector")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
@pytest.mark.filterwarnings("ignore:fit interrupted", "ignore:the loss has hardly moved")
def test_thousands_of_signals_in_short_fits() -> None:
    caught, fits = signals_in_fits(3000)
    assert caught > 300, "most signals came when no fit ran"
    assert fits > caught


def signals_in_fits(count: int) -> tuple[int, int]:
    """Send alarms at fits of about 200 µs; return how many interrupted one, and how many fits there were."""
    how: Any = {"epochs": 40, "batch_size": 4, "learning_rate": 0.01}
    Xs, Ts = data(2, 1, 4, "float64")
    net = network((2, 3, 1))
    caught = fits = 0

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    times = []
    for _ in range(201):
        start = time.perf_counter()
        network((2, 3, 1)).fit(Xs, Ts, **how)
        times.append(time.perf_counter() - start)
    usual = float(np.median(times))  # here and now: the alarms are to come during a fit, and after it
    before = signal.signal(signal.SIGALRM, interrupt)
    rng = np.random.default_rng(0)
    try:
        for wait in rng.uniform(5e-6, 2 * usual, count):
            kept = [(layer.W, layer.b) for layer in net.layers]
            try:
                try:
                    signal.setitimer(signal.ITIMER_REAL, wait)
                    fits += 1
                    history = net.fit(Xs, Ts, **how)
                    caught += "interrupted" in history.stopped
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                caught += 1
            old = [W is layer.W and b is layer.b for (W, b), layer in zip(kept, net.layers, strict=True)]
            new = [
                W is not layer.W and b is not layer.b for (W, b), layer in zip(kept, net.layers, strict=True)
            ]
            assert all(old) or all(new), "mixed weights"
            net.fits.leave(net.fits.enter())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    net.fit(Xs, Ts, epochs=1)
    return caught, fits


def test_readers_never_see_some_layers_new_and_others_old() -> None:
    net = network((2, 3, 3, 1))
    stop, wrong = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            W, b = net.weights()
            if len({float(array.flat[0]) for array in (*W, *b)}) != 1:
                wrong.append([array.flat[0] for array in (*W, *b)])

    shapes = [(layer.W.shape, layer.b.shape) for layer in net.layers]
    net.publish([np.zeros(W) for W, _ in shapes], [np.zeros(b) for _, b in shapes])
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 1.0
        for k in itertools.count(1):
            if time.monotonic() > deadline:
                break
            net.publish([np.full(W, float(k)) for W, _ in shapes], [np.full(b, float(k)) for _, b in shapes])
    finally:
        stop.set()
        sys.setswitchinterval(switch)
        for thread in threads:
            thread.join(60)
    assert wrong == []
    assert k > 50
