"""What can be asked of a fit: weights, validation, stopping, metrics, callbacks, a time limit."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from networks import bits, data, network, rounding

import fastnet as fn
from fastnet import reference
from fastnet._examples import SPLIT_STREAM


def outputs(activation: str, n_out: int = 1, dtype: str = "float64", hidden: str = "tanh") -> fn.Network:
    return fn.Network([fn.Layer(3, 5, hidden), fn.Layer(5, n_out, activation)], seed=1, dtype=dtype)


# ---- weights of the examples


def test_a_weight_of_two_is_an_example_twice() -> None:
    X, T = data(3, 1, 20, "float64")
    w = np.ones(20)
    w[[3, 7]] = [2, 0]
    twice = np.delete(np.arange(21), 7)
    twice[-1] = 3
    weighted, repeated = network((3, 4, 1)), network((3, 4, 1))
    how: Any = {"epochs": 5, "learning_rate": 0.5, "l2": 0.1}
    weighted.fit(X, T, batch_size=20, sample_weight=w, **how)
    repeated.fit(X[:, twice], T[:, twice], batch_size=20, shuffle=False, **how)
    bound = rounding("float64", (3, 4, 1), 20, X, steps=5)
    for ours, theirs in zip(weighted.layers, repeated.layers, strict=True):
        assert abs(ours.W - theirs.W).max() <= bound


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_class_weights_are_weights_of_the_examples(activation: str) -> None:
    X, _ = data(3, 1, 30, "float32")
    labels = np.where(np.arange(30) % 5 == 0, 1, 0)
    T = labels[None].astype("float32") if activation == "sigmoid" else fn.one_hot(labels, 2, dtype="float32")
    w = np.linspace(0.5, 1.5, 30)

    def trained(**weights: Any) -> list[bytes]:
        net = outputs(activation, len(T), "float32")
        net.fit(X, T, epochs=3, batch_size=10, **weights)
        return bits(net)

    assert trained(class_weight={1: 3.0}) == trained(sample_weight=np.where(labels, 3.0, 1.0))
    balanced = np.where(labels, 30 / (2 * 6), 30 / (2 * 24))
    assert trained(class_weight="balanced") == trained(sample_weight=balanced)
    both = trained(class_weight={0: 0.5, 1: 2}, sample_weight=w)
    assert both == trained(sample_weight=w * np.where(labels, 2.0, 0.5))
    assert trained(class_weight={1: 1}) != trained(class_weight={1: 3.0})


def test_a_class_without_examples_is_no_class_to_be_balanced() -> None:
    X, _ = data(3, 1, 30, "float64")
    labels = np.where(np.arange(30) % 5 == 0, 2, 0)
    balanced, by_hand = outputs("softmax", 3), outputs("softmax", 3)
    balanced.fit(X, labels, epochs=2, class_weight="balanced")
    by_hand.fit(X, labels, epochs=2, sample_weight=np.where(labels, 30 / (2 * 6), 30 / (2 * 24)))
    assert bits(balanced) == bits(by_hand)


# ---- validation


def test_the_held_out_part_is_drawn_from_the_seed_alone() -> None:
    X, T = data(3, 1, 50, "float64")
    w = np.linspace(1, 2, 50)
    order = reference.permutation(50, 7, SPLIT_STREAM)
    out, kept = np.sort(order[:10]), np.sort(order[10:])
    split, by_hand = network((3, 4, 1)), network((3, 4, 1))
    how: Any = {"epochs": 4, "batch_size": 16, "seed": 7}
    history = split.fit(X, T, validation_fraction=0.2, sample_weight=w, **how)
    expected = by_hand.fit(
        X[:, kept], T[:, kept], sample_weight=w[kept], validation=(X[:, out], T[:, out], w[out]), **how
    )
    assert bits(split) == bits(by_hand)
    assert (history.loss, history.validation_loss) == (expected.loss, expected.validation_loss)
    # sums of 10 costs of less than 1 in another order, and the weights
    assert (
        abs(by_hand.loss(X[:, out], T[:, out], sample_weight=w[out]) - history.validation_loss[-1]) <= 1e-14
    )
    other = network((3, 4, 1)).fit(X, T, epochs=4, batch_size=16, seed=8, validation_fraction=0.2)
    assert other.validation_loss != history.validation_loss


PARTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "in order": {"shuffle": False},
    "weights": {"sample_weight": np.linspace(1, 2, 90)},
    "classes": {"class_weight": "balanced", "sample_weight": np.linspace(1, 2, 90)},
    "one class": {"class_weight": {1: 3.0}},
    "metrics": {"metrics": ["accuracy", "r2"], "optimizer": "adam"},
    "lbfgs": {"optimizer": fn.LBFGS(max_iter=5), "metrics": ["accuracy"]},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["C", "F", "reversed"])
@pytest.mark.parametrize("what", PARTS)
def test_a_part_trains_as_a_copy_of_it(what: str, layout: str, dtype: str) -> None:
    """Where examples are contiguous they are trained on where they lie."""
    X, _ = data(3, 1, 90, dtype)
    labels = np.arange(90) % 7 % 3
    X = {"C": X, "F": np.asfortranarray(X), "reversed": np.asfortranarray(X)[:, ::-1]}[layout]
    order = reference.permutation(90, 7, SPLIT_STREAM)
    out, kept = np.sort(order[:18]), np.sort(order[18:])
    how = PARTS[what] | ({} if what == "lbfgs" else {"epochs": 4, "batch_size": 16})
    part, copy = outputs("softmax", 3, dtype), outputs("softmax", 3, dtype)
    seen = part.fit(X, labels, seed=7, validation_fraction=0.2, **how)
    w = how.get("sample_weight")
    if w is not None:
        how |= {"sample_weight": w[kept]}
    validation = (X[:, out], labels[out]) if w is None else (X[:, out], labels[out], w[out])
    expected = copy.fit(X[:, kept], labels[kept], seed=7, validation=validation, **how)
    assert bits(part) == bits(copy)
    assert (seen.loss, seen.validation_loss, seen.metrics) == (
        expected.loss,
        expected.validation_loss,
        expected.metrics,
    )


def test_holding_a_part_out_copies_no_examples() -> None:
    rows = np.random.default_rng(0).normal(size=(20_000, 50))
    T = (rows[:, :1].T > 0).astype(float)
    net = network((50, 4, 1))
    net.fit(rows.T, T, epochs=1)  # loads what a fit needs
    tracemalloc.start()
    net.fit(rows.T, T, epochs=2, validation_fraction=0.3, early_stopping=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < rows.nbytes / 8  # the orders of the columns: 8 bytes for each of 50 numbers


@pytest.mark.parametrize(
    ("n", "fraction", "held"), [(2, 0.9, 1), (2, 0.01, 1), (10, 0.25, 2), (100, 0.07, 7)]
)
def test_how_many_are_held_out(n: int, fraction: float, held: int) -> None:
    X, T = data(3, 1, n, "float64")
    seen = []
    network((3, 1)).fit(
        X,
        T,
        epochs=1,
        validation_fraction=fraction,
        metrics=[lambda T, A: seen.append(A.shape[1]) or 0.0],
    )
    assert seen == [n - held, held]


def test_validation_changes_nothing_of_the_training() -> None:
    X, T = data(3, 1, 50, "float32")
    plain, watched = network((3, 4, 1), "float32"), network((3, 4, 1), "float32")
    how: Any = {"epochs": 5, "batch_size": 16, "optimizer": "adam"}
    history = plain.fit(X, T, **how)
    seen = watched.fit(X, T, validation=(X, T), metrics=["accuracy"], callbacks=[lambda trainer: None], **how)
    assert bits(plain) == bits(watched)
    assert history.loss == seen.loss
    assert history.validation_loss == []
    assert len(seen.validation_loss) == 5
    assert repr(seen).startswith("History: 5 epochs in ")
    assert ", validation loss 0." in repr(seen)
    assert ", validation accuracy " in repr(seen)


# ---- stopping


def test_early_stopping_without_validation_watches_the_loss() -> None:
    X, T = data(3, 1, 40, "float64")
    net = network((3, 4, 1))
    history = net.fit(X, T, epochs=500, learning_rate=1.0, early_stopping=True, patience=4, tol=1e-3)
    waited, best = 0, np.inf
    for epoch, loss in enumerate(history.loss, start=1):
        waited = waited + 1 if loss > best - 1e-3 else 0
        best = min(best, loss)
        assert (waited > 4) == (epoch == len(history.loss))
    assert history.stopped == "the loss did not fall by 0.001 in more than 4 epochs"
    assert history.best_epoch == int(np.argmin(history.loss)) + 1
    assert history.stopped in repr(history)
    assert f"best epoch {history.best_epoch}" in repr(history)


def test_patience_zero_and_one_and_a_warm_start_after_the_end() -> None:
    X, T = data(3, 1, 40, "float64")
    worse: Any = {"validation": (X, 1 - T), "early_stopping": True, "tol": 0, "learning_rate": 1.0}
    for patience in (0, 1, 3):
        net = network((3, 4, 1))
        history = net.fit(X, T, **worse, patience=patience)
        assert len(history.loss) == history.best_epoch + patience + 1 < 100
        again = net.fit(X, T, **worse, patience=patience, warm_start=True)
        assert len(again.loss) == patience + 1, "it waits anew"
        assert again.best_epoch == history.best_epoch


def test_a_time_limit_ends_after_an_epoch() -> None:
    X, T = data(3, 1, 40, "float64")
    start = time.perf_counter()
    history = network((3, 4, 1)).fit(X, T, epochs=10**9, max_seconds=0.05)
    assert 0.05 <= time.perf_counter() - start < 2
    assert history.stopped == "max_seconds=0.05 are over"
    assert len(history.loss) >= 1
    short = network((3, 4, 1)).fit(X, T, epochs=3, max_seconds=100)
    assert (len(short.loss), short.stopped) == (3, "all epochs done")


# ---- metrics


def test_metrics_are_of_the_predictions_after_the_epoch() -> None:
    X, T = data(3, 2, 40, "float64")
    V = data(3, 2, 25, "float64", seed=1)
    net = network((3, 4, 2))

    def largest(T: Any, A: Any) -> Any:
        return np.float32(abs(A - T).max())

    names = ["accuracy", "binary_accuracy", "r2", "mean_squared_error"]
    names += ["root_mean_squared_error", "mean_absolute_error"]
    history = net.fit(X, T, epochs=3, batch_size=16, validation=V, metrics=[*names, largest])
    for prefix, (inputs, wanted) in (("", (X, T)), ("validation_", V)):
        A = net.predict_proba(inputs)
        for name in names:
            assert history.metrics[prefix + name][-1] == getattr(fn.metrics, name)(wanted, A)
        assert history.metrics[f"{prefix}largest"][-1] == float(largest(wanted, A))
    assert all(len(v) == 3 and type(v[0]) is float for v in history.metrics.values())
    assert len(history.metrics) == 14


def test_metrics_against_scikit_learn() -> None:
    theirs = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    T, A = rng.normal(size=(3, 50)), rng.normal(size=(3, 50))
    tight = {"rtol": 1e-13}
    assert np.isclose(fn.metrics.r2(T, A), theirs.r2_score(T.T, A.T), **tight)
    assert np.isclose(fn.metrics.mean_squared_error(T, A), theirs.mean_squared_error(T.T, A.T), **tight)
    assert np.isclose(fn.metrics.mean_absolute_error(T, A), theirs.mean_absolute_error(T.T, A.T), **tight)
    labels = theirs.accuracy_score(T.argmax(0), A.argmax(0))
    assert np.isclose(fn.metrics.accuracy(T, A), labels, **tight)
    T[0] = 2.0
    assert np.isclose(fn.metrics.r2(T, A), theirs.r2_score(T.T, A.T), **tight)


# ---- callbacks


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


def test_a_fit_inside_a_fit_is_refused() -> None:
    X, T = data(3, 1, 40, "float64")
    net = network((3, 4, 1))
    for action in (
        lambda trainer: net.fit(X, T, epochs=1),
        lambda trainer: trainer.fit_one_epoch(X, T),
        lambda trainer: trainer.load_state_dict(trainer.state_dict()),
    ):
        with pytest.raises(RuntimeError, match="another fit of this network is running"):
            net.fit(X, T, epochs=2, callbacks=[action])
