"""state_dict: what it holds, what is refused, and trainers made from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import bits

import fastnet as fn

OPTIMIZERS: dict[str, Any] = {
    "sgd": fn.SGD(0.2),
    "momentum": fn.SGD(0.1, momentum=0.9),
    "nesterov": fn.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": fn.Adam(0.01),
    "adamw": fn.AdamW(0.01, weight_decay=0.1),
    "rmsprop": fn.RMSProp(0.005),
    "rmsprop with momentum": fn.RMSProp(0.002, momentum=0.5),
}


SCHEDULES: dict[str, Any] = {
    "inverse": "inverse_scaling",
    "adaptive": fn.schedules.Adaptive(patience=2, tol=0.01, smallest=1e-30),
    "step": fn.schedules.Step(7),
    "cosine": fn.schedules.Cosine(warmup=3, epochs=50),
    "one cycle": fn.schedules.OneCycle(epochs=50),
}


def data(n: int, dtype: str = "float64", seed: int = 0) -> tuple[Any, Any]:
    """Return examples whose targets can be learned in part."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(5, n))
    T = X[:1] + X[1:2] ** 2 - X[2:3] + rng.normal(size=(1, n)) > 1
    return X.astype(dtype), T.astype(dtype)


def equal(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Return whether two states have the same bits."""
    return {k: a.tobytes() for k, a in ours.items()} == {k: a.tobytes() for k, a in theirs.items()}


def network(dtype: str = "float64", dropout: float = 0.3, seed: int = 0) -> fn.Network:
    layers = [
        fn.Layer(5, 9, "relu", dropout=dropout),
        fn.Layer(9, 4, "tanh", dropout=dropout / 2),
        fn.Layer(4, 1),
    ]
    return fn.Network(layers, seed=seed, dtype=dtype)


def check_resumed(
    dtype: str = "float64", options: Any = None, in_fit: Any = None, dropout: float = 0.3
) -> None:
    """50 epochs = 20, saved, and 30 by another trainer of another network; also saved in the midst of 50."""
    X, T = data(83, dtype)
    settings = {"batch_size": 16, "seed": 3, "clip_norm": 1.0, "l2": 0.01} | (options or {})
    in_fit = in_fit or {}

    def trainer() -> fn.Trainer:
        return fn.Trainer(network(dtype, dropout), **settings)

    whole, first, second, third = (trainer() for _ in range(4))
    seen: list[Any] = []

    def note(running: fn.Trainer) -> None:
        if running.epochs_done == 20:
            seen.append(running.state_dict())

    history = whole.fit(X, T, epochs=50, callbacks=[note], **in_fit)
    assert len(history.loss) == 50
    first.fit(X, T, epochs=20, **in_fit)
    for resumed, state in ((second, first.state_dict()), (third, seen[0])):
        resumed.load_state_dict(state)
        assert resumed.epochs_done == 20
        rest = resumed.fit(X, T, epochs=30, **in_fit)
        assert rest.loss == history.loss[20:]
        assert rest.learning_rate == history.learning_rate[20:]
        assert rest.validation_loss == history.validation_loss[20:]
        assert rest.best_epoch == history.best_epoch
        assert bits(resumed.network) == bits(whole.network)
        assert equal(resumed.state_dict(), whole.state_dict())


def state_of(dtype: str = "float64", **options: Any) -> dict[str, Any]:
    X, T = data(30, dtype)
    trainer = fn.Trainer(network(dtype), **{"optimizer": "adam", "batch_size": 10} | options)
    trainer.fit(X, T, epochs=2, early_stopping=True)
    return trainer.state_dict()


def with_config(state: dict[str, Any], **changed: Any) -> dict[str, Any]:
    config = json.loads(state["config"].tobytes()) | changed
    return state | {"config": np.frombuffer(json.dumps(config).encode(), np.uint8)}


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], list[str]]] = {
    "another dtype": (lambda s: state_of("float32"), ["dtype: 'float32' in the state, 'float64' in"]),
    "another optimiser": (
        lambda s: state_of(optimizer="rmsprop"),
        ["optimizer.name: 'RMSProp' in the state", "optimizer.rho: 0.9 in the state, None in the trainer"],
    ),
    "other settings": (
        lambda s: state_of(learning_rate=0.5, seed=2, batch_size=9),
        ["optimizer.learning_rate: 0.5 in the state, 0.01 in", "seed: 2 in", "batch_size: 9 in the state"],
    ),
    "another schedule": (
        lambda s: state_of(schedule="cosine"),
        ["schedule.name: 'Cosine' in the state, 'Constant' in", "schedule.warmup: 0.0 in the state, None"],
    ),
    "other sizes": (lambda s: with_config(s, sizes=[5, 9, 3, 1]), ["sizes: [5, 9, 3, 1] in the state"]),
    "no config": (lambda s: {k: v for k, v in s.items() if k != "config"}, ["no 'config'"]),
    "no JSON": (lambda s: s | {"config": np.zeros(7, np.uint8)}, ["no 'config'"]),
    "another JSON": (lambda s: s | {"config": np.frombuffer(b"[1]", np.uint8)}, ["it is list"]),
    "a moment is missing": (
        lambda s: {k: v for k, v in s.items() if k != "moments.second.1.b"},
        ["moments.second.1.b: missing"],
    ),
    "one too many": (lambda s: s | {"moments.third.0.W": s["weights.0.W"]}, ["moments.third.0.W: unknown"]),
    "another shape": (
        lambda s: s | {"weights.1.W": s["weights.1.W"].T, "step": np.zeros(2, np.int64)},
        ["weights.1.W: float64 (9, 4) in the state, float64 (4, 9) in", "step: int64 (2,) in the state"],
    ),
    "a weight of another dtype": (
        lambda s: s | {"weights.2.b": s["weights.2.b"].astype(np.float32)},
        ["weights.2.b: float32 (1, 1) in the state"],
    ),
    "not finite": (lambda s: s | {"best.0.b": s["best.0.b"] * np.nan}, ["best.0.b: not finite"]),
    "below 0": (lambda s: s | {"epochs_done": np.array(-1)}, ["epochs_done: -1 is below 0"]),
    "not a number": (lambda s: s | {"stopping.best": np.array(np.nan)}, ["stopping.best: not a number"]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_state_that_does_not_fit_is_refused_whole(damage: str) -> None:
    change, words = DAMAGE[damage]
    trainer = fn.Trainer(network(seed=5), optimizer="adam", batch_size=10)
    X, T = data(30, seed=3)
    trainer.fit(X, T, epochs=1)
    before, weights = trainer.state_dict(), bits(trainer.network)
    with pytest.raises(ValueError, match="state must") as caught:
        trainer.load_state_dict(change(state_of()))
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
    assert bits(trainer.network) == weights
    assert equal(before, trainer.state_dict())


def test_settings_may_be_changed_on_purpose() -> None:
    trainer = fn.Trainer(network(), optimizer=fn.Adam(0.5, beta_1=0.8), seed=9, l2=1.0, schedule="cosine")
    with pytest.raises(ValueError, match=r"(?s)batch_size.*l2.*beta_1.*seed"):
        trainer.load_state_dict(state_of())
    trainer.load_state_dict(state_of(), strict=False)
    assert trainer.epochs_done == 2
    for optimizer in ("rmsprop", fn.SGD(momentum=0.9)):
        with pytest.raises(ValueError, match=r"optimizer\.name"):
            fn.Trainer(network(), optimizer=optimizer).load_state_dict(state_of(), strict=False)
    plain = fn.Trainer(network(), optimizer="sgd").state_dict()
    with pytest.raises(ValueError, match=r"moments: \[\] in the state, \['first'\] in the trainer"):
        fn.Trainer(network(), optimizer=fn.SGD(momentum=0.9)).load_state_dict(plain, strict=False)


def test_a_state_is_numbers_and_a_copy() -> None:
    state = state_of(schedule=fn.schedules.Adaptive())
    assert {array.dtype.kind for array in state.values()} <= set("iuf")
    trainer = fn.Trainer.from_state_dict(network(), state)
    again = {name: array.copy() for name, array in trainer.state_dict().items()}
    for array in (*state.values(), *trainer.state_dict().values()):
        array[...] = 1
    assert equal(again, trainer.state_dict())


MADE: list[dict[str, Any]] = [
    *({"optimizer": optimizer} for optimizer in OPTIMIZERS.values()),
    *({"schedule": schedule} for schedule in SCHEDULES.values()),
    {"optimizer": fn.LBFGS(tol=0.1)},
    {"l2": 0.1, "clip_norm": 2.0, "seed": 2**64 - 1, "shuffle": False, "batch_size": 7},
]


@pytest.mark.parametrize("options", MADE, ids=str)
def test_a_trainer_is_made_from_its_state(options: dict[str, Any]) -> None:
    state = fn.Trainer(network(dropout=0.0), **options).state_dict()
    twin = fn.Trainer.from_state_dict(network(dropout=0.0, seed=8), state).state_dict()
    assert equal(state, twin)


@pytest.mark.parametrize("loss", ["squared_error", fn.losses.Huber(2.5), fn.losses.Quantile(0.9)], ids=str)
def test_the_loss_is_in_the_state(loss: Any) -> None:
    net = fn.Network([fn.Layer(2, 1, "identity")])
    state = fn.Trainer(net, loss=loss).state_dict()
    assert (
        fn.Trainer.from_state_dict(net, state).state_dict()["config"].tobytes() == state["config"].tobytes()
    )
    with pytest.raises(ValueError, match="loss: "):
        fn.Trainer(net, loss="absolute_error").load_state_dict(state, strict=False)


class Mine(fn.schedules.Schedule):
    def __init__(self, half: int) -> None:
        self.half = half

    def rates(self, learning_rate: float, at: fn.schedules.Position) -> float:
        return learning_rate if at.epoch < self.half else learning_rate / 2


def test_a_schedule_of_ones_own_is_resumed_but_not_made() -> None:
    check_resumed(options={"schedule": Mine(25)})
    state = fn.Trainer(network(), schedule=Mine(25)).state_dict()
    with pytest.raises(
        ValueError, match=r"'Mine' is none of Constant, .*: make the Trainer and use load_state_dict"
    ):
        fn.Trainer.from_state_dict(network(), state)
    with pytest.raises(ValueError, match=r"schedule\.half: 25 in the state, 26 in the trainer"):
        fn.Trainer(network(), schedule=Mine(26)).load_state_dict(state)


@pytest.mark.parametrize(
    "changed",
    [
        {"optimizer": {"name": "Adam", "beta": 1}},
        {"optimizer": {}},
        {"optimizer": "Adam"},
        {"loss": "bce"},
        {"l2": -1},
    ],
    ids=str,
)
def test_a_state_of_unknown_making_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="state must"):
        fn.Trainer.from_state_dict(network(), with_config(state_of(), **changed))
