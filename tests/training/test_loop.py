"""The loop of a fit: batches, publishing, limits, bits."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import numpy as np
import pytest
from epochs import at_epoch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import DTYPES, bits, data, network, rounding

from fastnet import Adam, Layer, Network, reference


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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize("kind", ["array", "rows"])
def test_calibrated_early_stopping_keeps_the_epoch_of_the_best_calibrated_loss(
    dtype: str, classes: int, kind: str
) -> None:
    """The same as looking at each epoch's logits: with weights, on every kind of examples."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, 90)).astype(dtype)
    y = (X[:classes] + rng.normal(size=(classes, 90))).argmax(axis=0)
    T = np.eye(classes)[:, y] if classes > 1 else (X[:1] + rng.normal(size=(1, 90)) > 0) * 1.0
    weights = rng.uniform(0.5, 2, 90)
    last = "sigmoid" if classes == 1 else "softmax"
    net = Network([Layer(6, 16, "tanh"), Layer(16, classes, last)], seed=1, dtype=dtype)
    inside, outside = np.arange(60), np.arange(60, 90)
    epochs: list[tuple[float, Any]] = []

    def look(trainer: Any) -> None:
        (W1, b1), (W2, b2) = trainer.weights()
        Z = W2.astype(float) @ np.tanh(W1.astype(float) @ X[:, outside] + b1) + b2
        loss = "bce" if classes == 1 else "cross_entropy"
        found, _ = reference.calibrated_loss(Z, T[:, outside], loss=loss, sample_weight=weights[outside])
        epochs.append((found, (W1, b1)))

    how: Any = {"validation_rows": outside, "rows": inside}
    data: Any = X
    if kind == "array":
        data, how = X[:, inside], {"validation": (X[:, outside], T[:, outside], weights[outside])}
    both = (data, T[:, inside], weights[inside]) if kind == "array" else (data, T, weights)
    history = net.fit(
        *both[:2], 60, sample_weight=both[2], early_stopping="calibrated", patience=15, tol=0, batch_size=8,
        optimizer=Adam(0.01), callbacks=[look], **how,
    )  # fmt: skip
    found = [loss for loss, _ in epochs]
    np.testing.assert_allclose(history.calibrated_loss, found, rtol=2e-3)
    assert history.best_epoch == 1 + int(np.argmin(history.calibrated_loss))
    assert history.best_epoch != 1 + int(np.argmin(history.validation_loss))
    np.testing.assert_array_equal(net.layers[0].W, epochs[history.best_epoch - 1][1][0])
    assert history.stopped == "the calibrated loss did not fall by 0 in more than 15 epochs"
    assert len(history.calibrated_loss) == len(history.validation_loss) == len(history.loss) < 60
    pairs = zip(history.calibrated_loss, history.validation_loss, strict=True)
    assert all(calibrated <= plain * (1 + 1e-6) for calibrated, plain in pairs)
    assert history.watched == history.calibrated_loss


# How many epochs there are depends on the machine, and so whether there is advice.
@pytest.mark.filterwarnings("ignore:the loss has hardly moved")
def test_a_time_limit_ends_after_an_epoch() -> None:
    X, T = data(3, 1, 40, "float64")
    start = time.perf_counter()
    history = network((3, 4, 1)).fit(X, T, epochs=10**9, max_seconds=0.05)
    assert 0.05 <= time.perf_counter() - start < 2
    assert history.stopped == "max_seconds=0.05 are over"
    assert len(history.loss) >= 1
    short = network((3, 4, 1)).fit(X, T, epochs=3, max_seconds=100)
    assert (len(short.loss), short.stopped) == (3, "all epochs done")


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


networks = st.lists(st.integers(1, 19), min_size=2, max_size=4).map(tuple)


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
    net.fit(X, T, epochs=1, batch_size=5, optimizer="sgd", learning_rate=0.5, shuffle=False)
    for part in (slice(0, 5), slice(5, 7)):
        for layer, (dW, db) in zip(by_hand.layers, by_hand.gradients(X[:, part], T[:, part]), strict=True):
            layer.W -= 0.5 * dW
            layer.b -= 0.5 * db
    for layer, expected in zip(net.layers, by_hand.layers, strict=True):
        assert abs(layer.W - expected.W).max() <= rounding("float64", (3, 4, 1), 5, X, steps=2)


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


def test_weights_are_published_only_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    X, T = data(3, 1, 40, "float64")
    net = network((3, 4, 1))
    arrays, before, prediction = [layer.W for layer in net.layers], bits(net), net.predict_proba(X).tobytes()
    seen = []
    at_epoch(monkeypatch, 2, lambda: seen.append((bits(net), net.predict_proba(X).tobytes())))
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

    at_epoch(monkeypatch, 1, in_a_thread)
    net.fit(X, T, epochs=2, batch_size=10)
    assert [str(error) for error in errors] == ["another fit of this network is running: one at a time"]


@pytest.mark.filterwarnings("ignore:the loss has hardly moved")
@pytest.mark.parametrize(
    "how",
    [
        {"optimizer": "sgd", "batch_size": 10},
        {"batch_size": 7, "l2": 0.01, "shuffle": False},
        {"validation_fraction": 0.25, "early_stopping": True, "patience": 3},
        {"early_stopping": True, "patience": 2, "tol": 1e-2, "sample_weight": np.linspace(0.5, 2, 40)},
        {"rows": np.arange(0, 40, 2), "clip_norm": 0.1},
    ],
)
def test_all_epochs_in_the_core_have_the_bits_of_one_after_the_other(how: dict[str, Any]) -> None:
    """A callback has the epochs done one after the other, whatever it does."""
    X, T = data(3, 1, 40, "float64")
    net, twin = network((3, 4, 1)), network((3, 4, 1))
    for epochs in (1, 60):
        history = net.fit(X, T, epochs=epochs, warm_start=True, **how)
        again = twin.fit(X, T, epochs=epochs, warm_start=True, callbacks=[lambda trainer: None], **how)
        assert (history.loss, history.validation_loss) == (again.loss, again.validation_loss)
        assert (history.stopped, history.best_epoch) == (again.stopped, again.best_epoch)
        assert bits(net) == bits(twin)
