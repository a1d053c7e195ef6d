"""Loss, gradients and fits: against the NumPy reference, repeatable, published only at the end."""

from __future__ import annotations

import math
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import DTYPES, bits, data, network, rounding

import fastnet as fn
from fastnet import reference
from fastnet._core import engine

networks = st.lists(st.integers(1, 19), min_size=2, max_size=4).map(tuple)


@settings(max_examples=60, deadline=None)
@given(sizes=networks, n=st.integers(1, 70), dtype=st.sampled_from(DTYPES), seed=st.integers(0, 2**64 - 1))
def test_loss_and_gradients_against_the_reference(
    sizes: tuple[int, ...], n: int, dtype: str, seed: int
) -> None:
    X, T = data(sizes[0], sizes[-1], n, dtype, seed % 2**32)
    ours, theirs = network(sizes, dtype, seed), network(sizes, dtype, seed, reference)
    bound = rounding(dtype, sizes, n, X)
    assert abs(ours.predict_proba(X) - theirs.predict_proba(X)).max() <= bound
    assert abs(ours.loss(X, T) - theirs.loss(X, T)) <= bound * sizes[-1]
    for mine, its in zip(ours.gradients(X, T), theirs.gradients(X, T), strict=True):
        for a, b in zip(mine, its, strict=True):
            assert a.shape == b.shape
            assert a.dtype == dtype
            assert abs(a - b).max() <= bound


@settings(max_examples=40, deadline=None)
@given(
    sizes=networks,
    n=st.integers(1, 60),
    batch=st.floats(0, 1),
    dtype=st.sampled_from(DTYPES),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
)
def test_fit_against_the_reference(
    sizes: tuple[int, ...], n: int, batch: float, dtype: str, shuffle: bool, seed: int
) -> None:
    X, T = data(sizes[0], sizes[-1], n, dtype, seed % 2**32)
    ours, theirs = network(sizes, dtype, 1), network(sizes, dtype, 1, reference)
    batch_size = max(1, round(batch * n))
    chosen = {"epochs": 3, "batch_size": batch_size, "learning_rate": 0.3, "shuffle": shuffle, "seed": seed}
    mine, its = ours.fit(X, T, **chosen), theirs.fit(X, T, **chosen)
    bound = rounding(dtype, sizes, batch_size, X, steps=3 * math.ceil(n / batch_size))
    for a, b in zip(ours.layers, theirs.layers, strict=True):
        assert abs(a.W - b.W).max() <= bound
        assert abs(a.b - b.b).max() <= bound
        assert a.W.dtype == dtype
    assert np.abs(np.subtract(mine.loss, its.loss)).max() <= bound * sizes[-1] * max(1, *mine.loss)


def test_a_last_partial_batch_is_used_with_its_own_length() -> None:
    X, T = data(3, 1, 7, "float64")
    net, by_hand = network((3, 4, 1)), network((3, 4, 1))
    net.fit(X, T, epochs=1, batch_size=5, learning_rate=0.5, shuffle=False)
    for part in (slice(0, 5), slice(5, 7)):
        for layer, (dW, db) in zip(by_hand.layers, by_hand.gradients(X[:, part], T[:, part]), strict=True):
            layer.W -= 0.5 * dW
            layer.b -= 0.5 * db
    for layer, expected in zip(net.layers, by_hand.layers, strict=True):
        assert abs(layer.W - expected.W).max() <= rounding("float64", (3, 4, 1), 5, X, steps=2)


def test_the_layers_backward_makes_the_gradients_of_the_network() -> None:
    X, T = data(4, 2, 23, "float64")
    net = network((4, 5, 3, 2), seed=2)
    A = net.forward(X)
    dA = (A - T) / (A * (1 - A))
    bound = rounding("float64", net.sizes, 23, X)
    for layer, (dW, db) in reversed(list(zip(net.layers, net.gradients(X, T), strict=True))):
        dA, sum_dW, sum_db = layer.backward(dA)
        assert dA.shape == (layer.n_in, 23)
        assert abs(sum_dW / 23 - dW).max() <= bound
        assert abs(sum_db / 23 - db).max() <= bound


def test_an_identity_layer_passes_its_gradient_on() -> None:
    layer = fn.Layer(2, 2, "identity", W=[[1.0, 2.0], [3.0, 4.0]])
    assert layer.forward([[1.0], [10.0]]).tolist() == [[21.0], [43.0]]
    dA, dW, db = layer.backward([[1.0], [-1.0]])
    assert dA.tolist() == [[-2.0], [-2.0]]
    assert dW.tolist() == [[1.0, 10.0], [-1.0, -10.0]]
    assert db.tolist() == [[1.0], [-1.0]]


def test_training_lowers_the_loss_and_records_it() -> None:
    X, _ = data(2, 1, 300, "float64")
    T = (X[:1] * X[1:] > 0).astype(float)
    net = network((2, 8, 1))
    before = net.loss(X, T)
    history = net.fit(X, T, epochs=40, batch_size=32, learning_rate=1.0)
    assert len(history.loss) == len(history.seconds) == 40
    assert all(type(value) is float for value in history.loss + history.seconds)
    assert history.loss[-1] < history.loss[0]
    assert net.loss(X, T) < before
    assert repr(history).startswith("History: 40 epochs in ")


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_runs_give_the_same_bits_and_other_seeds_others(dtype: str) -> None:
    X, T = data(5, 1, 203, dtype)

    def run(**changed: Any) -> list[bytes]:
        net = network((5, 9, 1), dtype)
        net.fit(X, T, **({"epochs": 4, "batch_size": 50, "seed": 1} | changed))
        return bits(net)

    assert run() == run()
    assert run() != run(seed=2)
    assert run() != run(shuffle=False)
    assert run(shuffle=False) == run(shuffle=False, seed=2)


def test_a_batch_larger_than_the_data_is_clipped_with_a_warning() -> None:
    X, T = data(2, 1, 5, "float64")
    clipped, whole, default = (network((2, 3, 1)) for _ in range(3))
    with pytest.warns(UserWarning, match="batch_size=200 is more than the 5 examples"):
        clipped.fit(X, T, epochs=2, batch_size=200)
    whole.fit(X, T, epochs=2, batch_size=5)
    default.fit(X, T, epochs=2)
    assert bits(clipped) == bits(whole) == bits(default)


def hook(monkeypatch: pytest.MonkeyPatch, at_epoch: int, action: Callable[[], None]) -> None:
    """Run an action in the middle of a fit, when it asks for the order of an epoch."""
    shuffled = engine.permutation

    def permutation(n: int, seed: int, epoch: int) -> Any:
        if epoch == at_epoch:
            action()
        return shuffled(n, seed, epoch)

    monkeypatch.setattr(engine, "permutation", permutation)


def test_weights_are_published_only_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    X, T = data(3, 1, 40, "float64")
    net = network((3, 4, 1))
    arrays, before, prediction = [layer.W for layer in net.layers], bits(net), net.predict_proba(X).tobytes()
    seen = []
    hook(monkeypatch, 2, lambda: seen.append((bits(net), net.predict_proba(X).tobytes())))
    net.fit(X, T, epochs=3, batch_size=10)
    assert seen == [(before, prediction)]
    assert bits(net) != before
    assert arrays[0].tobytes() == before[0], "a fit binds new arrays and leaves the old ones as they were"
    assert all(layer.W.flags.writeable and layer.W.flags.c_contiguous for layer in net.layers)


def test_one_fit_at_a_time_and_predictions_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    X, T = data(3, 1, 40, "float64")
    net, other = network((3, 4, 1)), network((3, 4, 1))
    errors: list[BaseException] = []

    def second_fit() -> None:
        other.fit(X, T, epochs=1, batch_size=10, shuffle=False)  # another network is free
        net.predict_proba(X)
        try:
            net.fit(X, T, epochs=1, batch_size=10)
        except RuntimeError as error:
            errors.append(error)

    def in_a_thread() -> None:
        thread = threading.Thread(target=second_fit)
        thread.start()
        thread.join()

    hook(monkeypatch, 1, in_a_thread)
    net.fit(X, T, epochs=2, batch_size=10)
    assert [str(error) for error in errors] == ["another fit of this network is running: one at a time"]


@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_the_data_is_never_copied_whole(order: str) -> None:
    n_in, n = 40, 20_000
    X = np.zeros((n_in, 2 * n)[:: 1 if order != "F" else -1])
    X = {"C": X[:, :n], "F": X[:n].T, "strided": X[:, ::2]}[order]
    T = np.zeros((1, n))
    net = network((n_in, 1))
    tracemalloc.start()
    try:
        net.predict_proba(X)
        net.loss(X, T)
        net.gradients(X, T)
        net.fit(X, T, epochs=1, batch_size=100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes / 4
