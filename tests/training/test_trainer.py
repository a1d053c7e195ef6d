"""A training that is stopped, saved and resumed: the same bits; a state that does not fit: refused whole."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from networks import DTYPES, bits

import fastnet as fn
from fastnet import _validate
from fastnet.streaming import passes

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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_20_and_30_epochs_are_50(optimizer: str, dtype: str) -> None:
    check_resumed(dtype, {"optimizer": OPTIMIZERS[optimizer]})


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_20_and_30_epochs_are_50_under_a_schedule(schedule: str) -> None:
    check_resumed("float32", {"optimizer": OPTIMIZERS["momentum"], "schedule": SCHEDULES[schedule]})


@pytest.mark.parametrize(
    "held_out",
    [{}, {"validation_fraction": 0.2}, {"validation_fraction": 0.2, "early_stopping": "calibrated"}],
)
def test_20_and_30_epochs_are_50_with_early_stopping(held_out: Any) -> None:
    options = {
        "optimizer": fn.Adam(0.05),
        "schedule": fn.schedules.Adaptive(patience=3, tol=0.001, smallest=1e-9),
    }
    check_resumed("float64", options, {"early_stopping": True, "patience": 60, **held_out}, dropout=0.0)


def test_early_stopping_ends_a_resumed_training_at_the_same_epoch() -> None:
    X, T = data(300)
    chosen = {"early_stopping": True, "patience": 6, "tol": 1e-3, "validation_fraction": 0.25}
    options: Any = {"optimizer": fn.Adam(0.003), "batch_size": 20}
    whole = fn.Trainer(network(dropout=0.0), **options)
    history = whole.fit(X, T, epochs=300, **chosen)
    assert history.stopped == "the validation loss did not fall by 0.001 in more than 6 epochs"
    ended = len(history.loss)
    assert history.best_epoch is not None
    assert 10 < history.best_epoch <= ended < 300
    cut = ended - 3  # among the epochs that wait
    first = fn.Trainer(network(dropout=0.0), **options)
    first.fit(X, T, epochs=cut, **chosen)
    second = fn.Trainer.from_state_dict(network(dropout=0.0, seed=9), first.state_dict())
    rest = second.fit(X, T, epochs=300, **chosen)
    assert rest.loss == history.loss[cut:]
    assert bits(second.network) == bits(whole.network)


def test_the_best_weights_are_restored_and_training_goes_on_from_the_last() -> None:
    X, T = data(60)
    V = data(40, seed=1)
    options: Any = {"optimizer": fn.Adam(0.03), "batch_size": 20}
    trainer = fn.Trainer(network(dropout=0.0), **options)
    kept: dict[int, list[Any]] = {}

    def keep(running: fn.Trainer) -> None:
        kept[running.epochs_done] = [array for pair in running.weights() for array in pair]

    history = trainer.fit(X, T, epochs=80, validation=V, early_stopping=True, patience=1000, callbacks=[keep])
    best = int(np.argmin(history.validation_loss)) + 1
    assert history.best_epoch == best < 80
    net = trainer.network
    lowest = min(history.validation_loss)
    assert abs(net.loss(*V) - lowest) <= 40 * np.finfo(float).eps, (
        "two sums of 40 costs, in blocks of their own"
    )
    assert bits(net) == [array.tobytes() for array in kept[best]]
    state = trainer.state_dict()
    assert state["weights.0.W"].tobytes() == kept[80][0].tobytes()
    assert (int(state["restored"]), state["best.0.W"].tobytes()) == (1, kept[best][0].tobytes())
    plain = fn.Trainer(network(dropout=0.0), **options)
    expected = plain.fit(X, T, epochs=81).loss[80]
    assert trainer.fit(X, T, epochs=1).loss[0] == expected, (
        "from the last epoch's weights, not the best one's"
    )


def test_weights_that_were_changed_in_between_are_those_trained_from() -> None:
    X, T = data(40)
    trainer = fn.Trainer(network(dropout=0.0), learning_rate=0.5)
    trainer.fit(X, T, epochs=30, validation=(X, 1 - T), early_stopping=True, patience=100)
    for layer in trainer.network.layers:
        layer.W[...] = 0.25
        layer.b = np.zeros_like(layer.b)
    assert not int(trainer.state_dict()["restored"])
    twin = network(dropout=0.0)
    for layer in twin.layers:
        layer.W, layer.b = np.full_like(layer.W, 0.25), np.zeros_like(layer.b)
    expected = fn.Trainer(twin, learning_rate=0.5, shuffle=False).fit(X, T, epochs=1)
    assert abs(trainer.fit(X, T, epochs=1).loss[0] - expected.loss[0]) <= 40 * np.finfo(float).eps


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_epochs_one_by_one_are_a_fit(optimizer: str) -> None:
    X, T = data(50)
    fitted, steps, method = (
        network(),
        fn.Trainer(network(), optimizer=optimizer, batch_size=20, seed=4),
        network(),
    )
    history = fitted.fit(X, T, epochs=4, optimizer=optimizer, batch_size=20, seed=4)
    losses = [steps.fit_one_epoch(X, T) for _ in range(4)]
    method.fit_one_epoch(X, T, optimizer=optimizer, batch_size=20, seed=4)
    again = [method.partial_fit(X, T) for _ in range(3)]
    assert history.loss == losses == [history.loss[0], *again]
    assert bits(fitted) == bits(steps.network) == bits(method)


def test_a_warm_start_goes_on_and_a_cold_one_starts_anew() -> None:
    X, T = data(50)
    how: Any = {"optimizer": "adam", "batch_size": 20}
    whole, parts, cold = network(), network(), network()
    history = whole.fit(X, T, epochs=9, **how)
    parts.fit(X, T, epochs=4, **how)
    assert parts.fit(X, T, epochs=5, warm_start=True, **how).loss == history.loss[4:]
    assert bits(parts) == bits(whole)
    cold.fit(X, T, epochs=4, **how)
    assert cold.fit(X, T, epochs=5, **how).loss != history.loss[4:]
    slower = parts.fit(X, T, epochs=1, warm_start=True, learning_rate=1e-4, **how)
    assert slower.learning_rate == [1e-4]
    with pytest.raises(ValueError, match=r"(?s)only as it was.*optimizer\.name: 'Adam' before, 'SGD' now"):
        parts.fit(X, T, epochs=1, optimizer="sgd", warm_start=True)


@pytest.mark.parametrize("n", [7, 100, 200, 260])
def test_batches_follow_the_data_of_each_call(n: int) -> None:
    X, T = data(260)
    trainer, by_hand = fn.Trainer(network(), optimizer="adam"), network()
    trainer.fit_one_epoch(X[:, :30], T[:, :30])
    trainer.fit_one_epoch(X[:, :n], T[:, :n])
    by_hand.fit(X[:, :30], T[:, :30], epochs=1, optimizer="adam")
    by_hand.fit(X[:, :n], T[:, :n], epochs=1, optimizer="adam", warm_start=True)
    assert bits(trainer.network) == bits(by_hand)
    assert int(trainer.state_dict()["step"]) == 1 + -(-n // 200)
    assert int(trainer.state_dict()["examples_seen"]) == 30 + n


def failing(trainer: fn.Trainer) -> None:
    if len(trainer.history.loss) == 2:
        raise RuntimeError("no more")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_fit_that_fails_leaves_the_trainer_where_it_stood(optimizer: str) -> None:
    X, T = data(50)
    options: Any = {"optimizer": optimizer, "schedule": "adaptive", "batch_size": 20}
    trainer, twin = (fn.Trainer(network(), **options) for _ in range(2))
    for one in (trainer, twin):
        one.fit(X, T, epochs=2, early_stopping=True)
    state = trainer.state_dict()
    with pytest.raises(RuntimeError, match="no more"):
        trainer.fit(X, T, epochs=9, callbacks=[failing], early_stopping=True)
    assert trainer.history.stopped == "RuntimeError: no more"
    with pytest.raises(fn.DivergenceError):
        fn.Trainer(trainer.network, learning_rate=1e300, l2=1e9).fit(X, T)
    assert equal(state, trainer.state_dict())
    assert trainer.fit(X, T, epochs=3).loss == twin.fit(X, T, epochs=3).loss


def test_pickles_hold_nothing_of_the_training() -> None:
    X, T = data(50)
    net, plain = network(), network()
    for train in (net.fit, net.fit_one_epoch):
        train(X, T, optimizer="adam")
        packed = pickle.dumps(net)
        assert len(packed) == len(pickle.dumps(plain))
        twin = pickle.loads(packed)
        assert bits(twin) == bits(net)
        twin.fit_one_epoch(X, T)


# ---- states


@pytest.mark.parametrize("stopping", [{}, {"early_stopping": True, "validation_fraction": 0.5}])
def test_predictions_convert_large_examples_block_by_block(
    stopping: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the weights that training goes on from, also where the network was given the best epoch's."""
    X, T = data(300, "float32")
    trainer = fn.Trainer(network("float32"), learning_rate=0.5)
    trainer.fit(X, T, epochs=30, **stopping)
    other = np.round(X * 10).astype("int8")
    wanted = trainer.predict_proba(other.astype("float32"))
    assert (trainer.network.predict_proba(other) == wanted).all() != bool(stopping)
    monkeypatch.setattr(_validate, "LARGE", 0)
    monkeypatch.setattr(passes, "PREDICTED_ROWS", 120)
    assert np.array_equal(trainer.predict_proba(other), wanted)
    assert np.array_equal(trainer.predict_proba(fn.stream(other.T)), wanted)
    with pytest.raises(ValueError, match=r"X must have shape \(5, n\)"):
        trainer.predict_proba(other[:4])
    bad = X.astype("float64")
    bad[2, 130] = np.nan
    with pytest.raises(ValueError, match=r"X must be finite, got nan at \[2, 130\]"):
        trainer.predict_proba(bad)
