"""L-BFGS: finds minima that are known, as scikit-learn does, and is a fit like any other."""

from __future__ import annotations

import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from networks import DTYPES, bits, data, network

import fastnet as fn
from fastnet import _examples, _validate
from fastnet._core import engine

pytest.importorskip("scipy")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("l2", [0.0, 3.0])
def test_it_finds_the_least_squares(dtype: str, l2: float) -> None:
    X, _ = data(4, 1, 50, dtype)
    rng = np.random.default_rng(1)
    T = (rng.normal(size=(2, 4)) @ X + 0.1 * rng.normal(size=(2, 50)) + 1).astype(dtype)
    w = rng.uniform(0.5, 2, 50)
    net = fn.Network([fn.Layer(4, 2, "identity")], dtype=dtype)
    history = net.fit(X, T, optimizer=fn.LBFGS(tol=1e-9), l2=l2, sample_weight=w)
    w = w.astype(dtype).astype(float)
    A = np.vstack([X, np.ones((1, 50))]).astype(float)
    penalty = l2 * np.diag([1, 1, 1, 1, 0])
    exact = np.linalg.solve(A * w @ A.T + penalty, A * w @ T.T.astype(float)).T
    # the last iteration lowered the cost by 2.2e-9 at most, and what is left is less: ½ curvature distance²
    curvature = np.linalg.eigvalsh(A * w @ A.T + penalty)[0] / w.sum()
    bound = (2 * 2.2e-9 / curvature) ** 0.5 + float(np.finfo(dtype).eps) * abs(exact).max()
    found = np.hstack([net.layers[0].W, net.layers[0].b])
    assert found.dtype == dtype
    assert abs(found - exact).max() <= bound
    assert history.stopped == "converged"
    assert history.loss == sorted(history.loss, reverse=True)
    residuals = T - exact[:, :4] @ X - exact[:, 4:]
    least = (w * (residuals**2).sum(axis=0) / 2).sum() + l2 / 2 * (exact[:, :4] ** 2).sum()
    assert -1e-12 <= history.loss[-1] - least / w.sum() <= 2.2e-9
    assert history.learning_rate == []
    assert len(history.seconds) == len(history.loss)


@pytest.mark.filterwarnings("ignore:the loss has hardly moved")  # random targets
def test_the_loss_and_gradient_are_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    X, T = data(3, 1, 40, "float64")
    calls = []

    class Counting(engine.TrainerCore):  # type: ignore[misc]
        def gradients(self, *data: Any) -> Any:
            calls.append("gradients")
            return super().gradients(*data)

        def epoch(self, *data: Any) -> Any:
            raise AssertionError

    monkeypatch.setattr(engine, "TrainerCore", Counting)
    history = network((3, 4, 1)).fit(X, T, optimizer=fn.LBFGS(max_iter=15))
    assert len(history.loss) == 15
    assert 16 <= len(calls) <= 40


def test_its_limits() -> None:
    X, T = data(3, 1, 40, "float64")
    few = network((3, 4, 1)).fit(X, T, optimizer=fn.LBFGS(max_iter=3))
    assert (len(few.loss), few.stopped) == (3, "max_iter=3 iterations done")
    some = network((3, 4, 1)).fit(X, T, optimizer=fn.LBFGS(max_fun=5))
    assert some.stopped == "max_fun=5 evaluations done"
    loose = network((3, 4, 1)).fit(X, T, optimizer=fn.LBFGS(tol=1.0))
    assert (loose.loss, loose.stopped) == ([], "converged")
    timed = network((3, 4, 1)).fit(X, T, optimizer="lbfgs", max_seconds=1e-9)
    assert (len(timed.loss), timed.stopped) == (1, "max_seconds=1e-09 are over")


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_a_fit_like_any_other(dtype: str) -> None:
    X, T = data(3, 1, 60, dtype)
    V = data(3, 1, 30, dtype, seed=1)
    net, told = network((3, 8, 1), dtype), []

    def look(trainer: fn.Trainer) -> None:
        weights = [array for pair in trainer.weights() for array in pair]
        assert {array.dtype for array in weights} == {np.dtype(dtype)}
        assert trainer.state_dict()["weights.0.W"].dtype == dtype
        told.append((trainer.epochs_done, [a.tobytes() for a in weights], trainer.predict_proba(X).dtype))

    history = net.fit(
        X, T, optimizer="lbfgs", validation=V, early_stopping=True, metrics=["accuracy"], callbacks=[look]
    )
    assert [epoch for epoch, *_ in told] == list(range(1, len(history.loss) + 1))
    assert history.stopped == "the validation loss did not fall by 0.0001 in more than 10 epochs"
    best = history.best_epoch
    assert best == int(np.argmin(history.validation_loss)) + 1 < len(history.loss)
    assert bits(net) == told[best - 1][1]
    assert len(history.metrics["validation_accuracy"]) == len(history.loss)
    stopped = network((3, 8, 1), dtype).fit(
        X, T, optimizer="lbfgs", callbacks=[lambda t: t.stop("enough") if t.epochs_done == 4 else None]
    )
    assert (len(stopped.loss), stopped.stopped) == (4, "enough")


def test_an_interrupt_keeps_the_last_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    X, T = data(3, 1, 60, "float64")
    net, twin = network((3, 8, 1)), network((3, 8, 1))

    class Interrupted(engine.TrainerCore):  # type: ignore[misc]
        calls = 0

        def gradients(self, *data: Any) -> Any:
            Interrupted.calls += 1
            if Interrupted.calls == 12:
                raise KeyboardInterrupt
            return super().gradients(*data)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "TrainerCore", Interrupted)
        with pytest.warns(UserWarning, match=r"interrupted after \d+ of 200 epochs"):
            history = net.fit(X, T, optimizer="lbfgs")
    twin.fit(X, T, optimizer=fn.LBFGS(max_iter=len(history.loss)))
    assert bits(net) == bits(twin)


def test_a_training_that_goes_on_begins_with_the_weights() -> None:
    X, T = data(3, 1, 60, "float32")
    net = network((3, 8, 1), "float32")
    first = fn.Trainer(net, optimizer=fn.LBFGS(max_iter=5))
    history = first.fit(X, T)
    twin = fn.Trainer.from_state_dict(network((3, 8, 1), "float32", seed=9), first.state_dict())
    assert bits(twin.network) == bits(net)
    assert twin.fit(X, T).loss == first.fit(X, T).loss
    assert twin.epochs_done == 10
    assert twin.history.loss[-1] < history.loss[-1]


def test_costs_that_overflow_are_a_divergence() -> None:
    net = fn.Network([fn.Layer(1, 1, "exp", W=[[1.0]])])
    with pytest.raises(fn.DivergenceError, match=r"diverged .* with optimizer=LBFGS"):
        net.fit([[800.0, 1.0]], [[1.0, 2.0]], optimizer="lbfgs")
    assert net.layers[0].W.tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"batch_size": 5}, "batch_size must not be given with LBFGS, which has none, got 5"),
        ({"clip_norm": 1.0}, "clip_norm must not be given with LBFGS"),
        ({"schedule": "cosine"}, "schedule must not be given with LBFGS"),
        ({"learning_rate": 0.1}, "learning_rate must not be given with LBFGS"),
    ],
)
def test_what_it_has_not_is_refused(chosen: Any, words: str) -> None:
    X, T = data(3, 1, 10, "float64")
    with pytest.raises(ValueError, match=words):
        network((3, 4, 1)).fit(X, T, optimizer="lbfgs", **chosen)
    with pytest.raises(ValueError, match="LBFGS takes all its steps in one fit"):
        network((3, 4, 1)).fit_one_epoch(X, T, optimizer="lbfgs")
    dropping = fn.Network([fn.Layer(3, 4, dropout=0.5), fn.Layer(4, 1)])
    with pytest.raises(ValueError, match="dropout must not be given with LBFGS"):
        dropping.fit(X, T, optimizer="lbfgs")


def test_scipy_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    X, T = data(3, 1, 10, "float64")
    net = network((3, 4, 1))
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r'needs scipy: pip install "fastnet-mlp\[lbfgs\]"'):
        net.fit(X, T, optimizer="lbfgs")


def test_the_path_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.neural_network")
    X, _ = data(3, 1, 80, "float64")
    y = np.sin(X[0]) + X[1] * X[2]
    theirs = sklearn.MLPRegressor(
        hidden_layer_sizes=(6,), activation="tanh", solver="lbfgs", alpha=0.01, max_iter=12, random_state=0
    )
    with pytest.warns(Warning, match="lbfgs failed to converge"):
        theirs.fit(X.T, y)
    draw, layers = np.random.RandomState(0).uniform, []
    for n_in, n_out, activation in ((3, 6, "tanh"), (6, 1, "identity")):
        bound = np.sqrt(6 / (n_in + n_out))
        W, b = draw(-bound, bound, (n_in, n_out)).T, draw(-bound, bound, n_out)
        layers.append(fn.Layer(n_in, n_out, activation, W=W, b=b.reshape(-1, 1)))
    net = fn.Network(layers)
    history = net.fit(X, y[None], optimizer=fn.LBFGS(max_iter=12), l2=0.01)
    assert len(history.loss) == theirs.n_iter_
    assert abs(history.loss[-1] / theirs.loss_ - 1) <= 1e-9
    for layer, coefs, intercepts in zip(layers, theirs.coefs_, theirs.intercepts_, strict=True):
        assert np.allclose(layer.W, coefs.T, rtol=0, atol=1e-7)
        assert np.allclose(layer.b[:, 0], intercepts, rtol=0, atol=1e-7)


PARTS: dict[str, dict[str, Any]] = {
    "all": {},
    "weights": {"sample_weight": np.linspace(0.5, 2, 5000), "l2": 0.1},
    "rows": {"rows": np.arange(4900)[::-1], "sample_weight": np.linspace(0.5, 2, 5000)},
    "held out": {"validation_fraction": 0.2, "metrics": ["accuracy"], "early_stopping": True},
    "calibrated": {"validation_fraction": 0.2, "early_stopping": "calibrated"},
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("taken", ["int16", "float32", "float64"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_large_examples_are_converted_block_by_block_to_the_same_bits(
    dtype: str, taken: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among them those of a float32 network in its own dtype: L-BFGS works in float64."""
    rng = np.random.default_rng(3)
    X = (rng.normal(size=(6, 5000)) * 100).astype(taken)
    T = (X[:1] + X[1:2] > 30).astype(dtype)
    how = {"optimizer": fn.LBFGS(max_iter=4)} | PARTS[part]
    wanted, net = (fn.Network([fn.Layer(6, 4, "tanh"), fn.Layer(4, 1)], dtype=dtype, seed=1) for _ in "12")
    whole = wanted.fit(X.astype(dtype), T, **how)  # type: ignore[arg-type]
    monkeypatch.setattr(_validate, "LARGE", 0)
    monkeypatch.setattr(_examples, "CONVERTED_ROWS", 2500)  # two blocks of the tree and a rest
    history = net.fit(X, T, **how)  # type: ignore[arg-type]
    assert bits(net) == bits(wanted)
    assert (history.loss, history.validation_loss) == (whole.loss, whole.validation_loss)
    assert history.metrics == whole.metrics


@pytest.mark.parametrize(
    ("dtype", "taken"), [("float32", "int8"), ("float32", "float32"), ("float64", "int8")]
)
def test_a_large_array_takes_little_memory(dtype: str, taken: str) -> None:
    X = np.ones((64, 300_000), taken)  # 77 MB in float32, 154 MB in float64
    X[0, ::2] = 0
    T = X[:1].astype(dtype)
    net = fn.Network([fn.Layer(64, 1)], dtype=dtype)
    trainer = fn.Trainer(net, optimizer=fn.LBFGS(max_iter=2))
    tracemalloc.start()
    trainer.fit(X, T)
    if taken != dtype:
        trainer.predict_proba(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 45e6  # the targets in float64 and twice a block of 16 384 examples


def test_what_is_not_finite_in_a_large_array_is_found_and_loses_nothing() -> None:
    X = np.ones((64, 300_000), "float64")
    X[5, 250_000] = np.inf
    net = fn.Network([fn.Layer(64, 1)], dtype="float32", seed=0)
    before = bits(net)
    with pytest.raises(ValueError, match=r"X must be finite, got inf at \[5, 250000\]"):
        net.fit(X, X[:1] > 2, optimizer="lbfgs")
    assert bits(net) == before
