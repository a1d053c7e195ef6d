"""A used Trainer pickles and deep-copies, and goes on in the copy as it would have."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from networks import bits, data, network

import fastnet as fn
from fastnet._core import engine

X, T = data(3, 1, 40, "float32")
COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda trainer: pickle.loads(pickle.dumps(trainer)),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("stopping", [False, True])
def test_a_copy_goes_on_as_the_trainer_does(copied: str, optimizer: str, stopping: bool) -> None:
    how: Any = {"early_stopping": stopping, "validation": (X, 1 - T)} if stopping else {}
    trainer = fn.Trainer(
        network((3, 4, 1), "float32"), optimizer=optimizer, schedule="adaptive", batch_size=9
    )
    history = trainer.fit(X, T, epochs=4, **how)
    twin = COPIES[copied](trainer)
    assert twin.network is not trainer.network
    assert (twin.epochs_done, twin.history.loss) == (4, history.loss)
    assert twin.settings == trainer.settings
    assert bits(twin.network) == bits(trainer.network)
    assert twin.fit(X, T, epochs=5, **how).loss == trainer.fit(X, T, epochs=5, **how).loss
    assert bits(twin.network) == bits(trainer.network)
    twin.fit_one_epoch(X, T)
    assert bits(twin.network) != bits(trainer.network)


def test_a_copy_in_the_middle_of_a_fit_has_the_weights_of_then() -> None:
    copies: list[fn.Trainer] = []
    trainer = fn.Trainer(network((3, 4, 1), "float32"), optimizer="adam")
    history = trainer.fit(X, T, epochs=5, callbacks=[lambda t: copies.append(copy.deepcopy(t))])
    twin = copies[1]
    assert twin.epochs_done == 2
    assert twin.fit(X, T, epochs=3).loss == history.loss[2:]
    assert bits(twin.network) == bits(trainer.network)


def test_together_with_its_network() -> None:
    trainer = fn.Trainer(network((3, 4, 1), "float32"))
    trainer.fit(X, T, epochs=2)
    net, twin = pickle.loads(pickle.dumps((trainer.network, trainer)))
    assert twin.network is net


def test_another_build_may_be_active() -> None:
    builds = fn.isa.supported()
    trainer, alone = (fn.Trainer(network((3, 4, 1), "float32"), optimizer="adam") for _ in range(2))
    for isa in (*builds, *builds):
        with fn.isa.using(isa):
            trainer.fit_one_epoch(X, T)
            trainer.fit(X, T, epochs=2, validation=(X, T), metrics=["accuracy"])
            copy.deepcopy(trainer).fit_one_epoch(X, T)
    if set(builds) & {"v3", "v4"} == set(builds):  # others do not fuse multiplication and addition
        for _ in (*builds, *builds):
            alone.fit_one_epoch(X, T)
            alone.fit(X, T, epochs=2, validation=(X, T), metrics=["accuracy"])
        assert bits(trainer.network) == bits(alone.network)


def test_a_build_that_becomes_active_in_the_middle_of_a_fit() -> None:
    before = fn.isa.active()
    seen: list[str] = []

    def switch_core(trainer: fn.Trainer) -> None:
        names = fn.isa.supported()
        engine.switch_to(names[len(seen) % len(names)])
        seen.append(engine.active())
        trainer.predict_proba(X)
        trainer.state_dict()

    try:
        history = network((3, 4, 1), "float32").fit(
            X,
            T,
            epochs=6,
            validation=(X, T),
            metrics=["accuracy"],
            early_stopping=True,
            callbacks=[switch_core],
        )
    finally:
        engine.switch_to(before)
    assert len(history.loss) == len(seen) == 6
