"""Training data: weights of the examples and classes, and the part held out for validation."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from networks import DTYPES, bits, data, network, rounding

import fastnet as fn
from fastnet import _examples, _validate, reference
from fastnet._examples import SPLIT_STREAM
from fastnet.streaming import passes


def outputs(activation: str, n_out: int = 1, dtype: str = "float64", hidden: str = "tanh") -> fn.Network:
    return fn.Network([fn.Layer(3, 5, hidden), fn.Layer(5, n_out, activation)], seed=1, dtype=dtype)


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


def test_class_weights_are_by_label() -> None:
    """The keys are those of `classes`, or of the texts in T; numbers only where there are no labels."""
    X, _ = data(3, 1, 30, "float32")
    numbers = np.where(np.arange(30) % 5 == 0, 1, 0)

    def trained(labels: Any, classes: Any, weights: Any) -> list[bytes]:
        net = outputs("sigmoid", 1, "float32")
        net.classes = classes
        net.fit(X, labels, epochs=2, class_weight=weights)
        return bits(net)

    expected = trained(numbers, None, {0: 0.5, 1: 3.0})
    assert expected != trained(numbers, None, {0: 0.5})
    texts = np.array(["no", "yes"])[numbers]
    assert trained(texts, None, {"no": 0.5, "yes": 3.0}) == expected
    assert trained(texts, ["no", "yes"], {np.str_("yes"): 3.0, "no": 0.5}) == expected
    assert trained(numbers + 1, [1, 2], {1: 0.5, 2: 3.0}) == expected
    assert trained(1 - numbers, [1, 0], {0: 3.0, np.int64(1): 0.5}) == expected
    assert trained(numbers == 1, [False, True], {False: 0.5, True: 3.0}) == expected
    for classes, wrong in ((["no", "yes"], 1), (["no", "yes"], "maybe"), ([1, 2], 0), ([1, 2], "1")):
        with pytest.raises(ValueError, match=r"class_weight must have keys among the classes \(.*, got"):
            trained(np.array(classes)[numbers], classes, {wrong: 2.0})


def test_a_class_without_examples_is_no_class_to_be_balanced() -> None:
    X, _ = data(3, 1, 30, "float64")
    labels = np.where(np.arange(30) % 5 == 0, 2, 0)
    balanced, by_hand = outputs("softmax", 3), outputs("softmax", 3)
    balanced.fit(X, labels, epochs=2, class_weight="balanced")
    by_hand.fit(X, labels, epochs=2, sample_weight=np.where(labels, 30 / (2 * 6), 30 / (2 * 24)))
    assert bits(balanced) == bits(by_hand)


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


@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_are_columns_with_a_single_one(dtype: str) -> None:
    X, _ = data(3, 1, 40, dtype)
    labels = np.arange(40) % 3
    T = (labels == [[0], [1], [2]]).astype(dtype)
    assert np.array_equal(fn.one_hot(labels, dtype=dtype), T)
    assert fn.one_hot(labels, 5, dtype=dtype).shape == (5, 40)
    assert fn.one_hot([], 2).shape == (2, 0)
    by_label, by_column, by_list = (outputs("softmax", 3, dtype) for _ in range(3))
    histories = [
        net.fit(X, given, epochs=2, batch_size=16)
        for net, given in ((by_label, labels.astype(np.uint8)), (by_column, T), (by_list, labels.tolist()))
    ]
    assert bits(by_label) == bits(by_column) == bits(by_list)
    assert histories[0].loss == histories[1].loss
    assert by_label.loss(X, labels) == by_label.loss(X, T)


# ---- examples of another dtype than the network's


def numbers(n: int = 900) -> Any:
    """Return X (6, n) of small whole numbers, which every dtype holds, and labels of three classes."""
    X = np.random.default_rng(0).integers(0, 5, (6, n))
    return X, (X[:3].argmax(axis=0))


def trained(X: Any, T: Any, dtype: str = "float32", **options: Any) -> tuple[fn.Network, fn.History]:
    net = fn.Network([fn.Layer(6, 5, "tanh"), fn.Layer(5, 3, "softmax")], dtype=dtype)
    return net, net.fit(X, T, epochs=3, **({"batch_size": 50} | options))


def same(found: tuple[fn.Network, fn.History], wanted: tuple[fn.Network, fn.History]) -> None:
    """Check that two trainings have the same bits."""
    for a, b in zip(found[0].layers, wanted[0].layers, strict=True):
        assert np.array_equal(a.W, b.W)
        assert np.array_equal(a.b, b.b)
    for name in ("loss", "validation_loss", "metrics"):
        assert getattr(found[1], name) == getattr(wanted[1], name)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float64", ">f4", "longdouble", "bool"])
def test_examples_of_any_real_dtype_are_converted(dtype: str) -> None:
    X, labels = numbers()
    other = X.astype(dtype)
    X = other.astype("float32")
    wanted, found = trained(X, labels), trained(other, labels)
    same(found, wanted)
    net, T = wanted[0], np.eye(3)[labels].T  # float64
    assert np.array_equal(net.predict_proba(other), net.predict_proba(X))
    assert np.array_equal(net.forward(other), net.forward(X))
    assert np.array_equal(net.compile()(other), net.predict_proba(X))
    assert net.loss(other, T) == net.loss(X, T.astype("float32"))
    assert net.score(other, T) == net.score(X, labels)
    assert np.array_equal(net.gradients(other, T)[0][0], net.gradients(X, T.astype("float32"))[0][0])


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "in order": {"shuffle": False},
    "rows": {"rows": np.arange(850)[::-1], "validation_rows": [3, 860, 861]},
    "fraction": {"validation_fraction": 0.2, "early_stopping": True, "metrics": ["accuracy"]},
    "fraction of rows": {"validation_fraction": 0.2, "rows": np.arange(800)},
    "weights": {"sample_weight": np.linspace(0.5, 2, 900), "class_weight": "balanced"},
    "schedule": {"schedule": "one_cycle", "metrics": ["accuracy"]},
    "l-bfgs": {"optimizer": fn.LBFGS(max_iter=5), "batch_size": None},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_large_ones_are_converted_block_by_block_to_the_same_bits(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "optimizer" in options:
        pytest.importorskip("scipy")
    X, labels = numbers()
    wanted = trained(X.astype("float32"), labels, **options)
    monkeypatch.setattr(_validate, "LARGE", 0)
    monkeypatch.setattr(_examples, "CONVERTED_ROWS", 120)
    monkeypatch.setattr(passes, "PREDICTED_ROWS", 120)
    same(trained(X, labels, **options), wanted)
    assert np.array_equal(wanted[0].predict_proba(X), wanted[0].predict_proba(X.astype("float32")))
    assert np.array_equal(wanted[0].predict(X), wanted[0].predict(X.astype("float32")))


def test_a_large_array_of_another_dtype_takes_little_memory() -> None:
    X = np.ones((64, 400_000), "int8")  # 102 MB in float32
    net = fn.Network([fn.Layer(64, 1)], dtype="float32")
    T = np.ones((1, 400_000), "float32")
    options = {"validation_fraction": 0.01, "metrics": ["accuracy"]}
    tracemalloc.start()
    net.fit(X, T, epochs=1, **options)
    net.predict(X)
    net.score(X, T)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


def test_what_is_not_finite_in_a_large_array_is_found_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_validate, "LARGE", 0)
    X, labels = numbers()
    X = X.astype("float64")
    X[4, 700] = np.nan
    net = fn.Network([fn.Layer(6, 5, "tanh"), fn.Layer(5, 3, "softmax")], dtype="float32")
    before = net.layers[0].W.copy()
    for attempt in (lambda: net.fit(X, labels), lambda: net.predict_proba(X)):
        with pytest.raises(ValueError, match=r"X must be finite, got nan at \[4, 700\]"):
            attempt()
    with pytest.raises(ValueError, match=r"X must have shape \(6, n\).*use X.T"):
        net.fit(X.T, labels)
    assert np.array_equal(net.layers[0].W, before)


def test_checks_of_targets_and_rows_of_folds_take_little_memory() -> None:
    """They are made for each network of a crowd at once."""
    n = 400_000
    T = np.zeros((2, n), np.float32)
    T[np.arange(n) % 2, np.arange(n)] = 1
    fold = (np.arange(n) % 5).astype(np.int8)
    tracemalloc.start()
    _examples.check_targets(T, "cross_entropy", 2, n, T.dtype)
    _examples.check_fold_rows(rows := _examples.FoldRows(fold, 3, held_out=False), "rows", n)
    assert tracemalloc.get_traced_memory()[1] < n
    found = np.asarray(rows)
    assert tracemalloc.get_traced_memory()[1] < found.nbytes + n
    tracemalloc.stop()
    np.testing.assert_array_equal(found, np.flatnonzero(fold != 3))
    np.testing.assert_array_equal(_examples.FoldRows(fold, 3, held_out=True), np.flatnonzero(fold == 3))
    T[:, 300_000] = 0.75
    with pytest.raises(ValueError, match=r"columns that sum to 1 .* got 1\.5 in column 300000"):
        _examples.check_targets(T, "cross_entropy", 2, n, T.dtype)
    for few in (
        _examples.FoldRows(fold, 7, held_out=True),
        _examples.FoldRows(np.r_[fold, fold], 3, held_out=True),
    ):
        with pytest.raises(ValueError, match=r"rows\[0\] must be at least one of 400000 examples"):
            fn.train_many([outputs("softmax", 2)], np.zeros((3, n), "f8"), T.astype("f8"), rows=[few])
