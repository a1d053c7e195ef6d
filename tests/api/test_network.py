"""Layer and Network as a user sees them: shapes, layouts, weights, copies; training is in test_training."""

from __future__ import annotations

import copy
import math
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import DTYPES, bits, data, network, rounding

import fastnet as fn
from fastnet import reference


def layouts(X: Any) -> dict[str, Any]:
    """Return the same matrix in every layout that a user's array can have."""
    wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]), X.dtype)
    wide[::2, ::3] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    raw = np.empty(X.nbytes + 1, np.uint8)
    unaligned = raw[1:].view(X.dtype).reshape(X.shape)
    unaligned[...] = X
    return {
        "C": np.ascontiguousarray(X),
        "F": np.asfortranarray(X),
        "strided": wide[::2, ::3],
        "negative": np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
        "negative F": np.asfortranarray(X[:, ::-1])[:, ::-1],
        "read-only": read_only,
        "unaligned": unaligned,
        "swapped": X.astype(X.dtype.newbyteorder()),
    }


# ---- shapes and numbers of the forward pass


def test_the_network_of_the_notes_by_hand() -> None:
    W1, b1 = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [[0.0], [0.5], [-1.0]]
    W2, b2 = [[1.0, -2.0, 0.5]], [[0.25]]
    net = fn.Network([fn.Layer(2, 3, W=W1, b=b1), fn.Layer(3, 1, W=W2, b=b2)])

    def s(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    expected = []
    for x1, x2 in ((0.5, -1.0), (2.0, 0.25)):
        a = (s(x1), s(x2 + 0.5), s(x1 + x2 - 1))
        expected.append(s(a[0] - 2 * a[1] + 0.5 * a[2] + 0.25))
    found = net.forward([[0.5, 2.0], [-1.0, 0.25]])
    assert found.shape == (1, 2)
    assert abs(found - [expected]).max() <= 16 * np.finfo(float).eps
    assert net.layers[0].W.shape == (3, 2)
    assert net.layers[0].b.shape == (3, 1)
    assert net.sizes == (2, 3, 1)
    assert net.dtype == "float64"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(2, 3, 1), (1, 1), (7, 33, 5, 2)])
def test_every_layout_gives_the_same_bits(dtype: str, sizes: tuple[int, ...]) -> None:
    X, T = data(sizes[0], sizes[-1], 37, dtype)
    outcomes = {}
    targets = layouts(T)
    for name, array in layouts(X).items():
        before = array.copy()
        net = network(sizes, dtype)
        parts = [net.predict_proba(array), *(g for pair in net.gradients(array, targets[name]) for g in pair)]
        loss = net.loss(array, targets[name])
        history = net.fit(array, targets[name], epochs=3, batch_size=16, learning_rate=0.5)
        outcomes[name] = (*(part.tobytes() for part in parts), loss, *history.loss, *bits(net))
        assert np.array_equal(array, before)
    assert [name for name, outcome in outcomes.items() if outcome != outcomes["C"]] == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_forward_and_predict_proba_agree_bitwise_in_any_batch(dtype: str) -> None:
    X, _ = data(6, 2, 131, dtype)
    net = network((6, 20, 2), dtype, seed=5)
    whole = net.predict_proba(X)
    assert whole.dtype == dtype
    assert net.forward(X).tobytes() == whole.tobytes()
    for start, stop in ((0, 1), (3, 4), (130, 131), (0, 17), (5, 69), (64, 131)):
        assert (
            net.predict_proba(X[:, start:stop]).tobytes()
            == np.ascontiguousarray(whole[:, start:stop]).tobytes()
        )
        assert net.forward(X[:, start:stop]).tobytes() == np.ascontiguousarray(whole[:, start:stop]).tobytes()


def test_no_examples_give_no_predictions() -> None:
    net = network((3, 4, 2), "float32")
    for predict in (net.forward, net.predict_proba):
        empty = predict(np.empty((3, 0), np.float32))
        assert (empty.shape, empty.dtype) == ((2, 0), np.float32)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, bool, np.float16, object])
@pytest.mark.parametrize("dtype", DTYPES)
def test_exact_smaller_types_are_cast(kind: Any, dtype: str) -> None:
    X = np.array([[0, 1, 1], [1, 0, 1]])
    T = np.array([[0, 1, 1]])
    net = network((2, 3, 1), dtype)
    assert net.predict_proba(X.astype(kind)).tobytes() == net.predict_proba(X.astype(dtype)).tobytes()
    assert net.predict_proba(X.tolist()).tobytes() == net.predict_proba(X.astype(dtype)).tobytes()
    assert net.loss(X.astype(kind), T.astype(kind)) == net.loss(X.astype(dtype), T.astype(dtype))


def test_a_masked_array_without_a_mask_is_an_array() -> None:
    X, _ = data(2, 1, 5, "float64")
    net = network((2, 3, 1))
    assert net.predict_proba(np.ma.masked_array(X)).tobytes() == net.predict_proba(X).tobytes()


# ---- weights


@pytest.mark.parametrize("dtype", DTYPES)
def test_initial_weights_are_those_of_the_reference(dtype: str) -> None:
    ours, theirs = (
        network((5, 4, 3, 1), dtype, seed=123),
        network((5, 4, 3, 1), dtype, seed=123, package=reference),
    )
    assert bits(ours) == bits(theirs)
    assert bits(ours) != bits(network((5, 4, 3, 1), dtype, seed=124))
    assert bits(ours)[0] != bits(network((5, 4, 3, 1), dtype))[0]


def test_a_network_draws_only_layers_without_weights_of_their_own() -> None:
    seeded, given_, blank = fn.Layer(2, 2, seed=7), fn.Layer(2, 2, W=np.eye(2)), fn.Layer(2, 1)
    W, first = seeded.W.copy(), blank.W.copy()
    net = fn.Network([seeded, given_, blank], seed=3)
    assert np.array_equal(net.layers[0].W, W)
    assert np.array_equal(net.layers[1].W, np.eye(2))
    assert not net.layers[1].b.any()
    assert not np.array_equal(net.layers[2].W, first)
    drawn = blank.W.copy()
    fn.Network([blank], seed=99)  # a layer that a network has drawn, and may have trained, stays as it is
    assert np.array_equal(blank.W, drawn)


def test_the_dtype_of_a_layer_must_be_the_networks() -> None:
    blank, single = fn.Layer(2, 2), fn.Layer(2, 1, seed=0, dtype="float32")
    before = blank.W
    with pytest.raises(TypeError, match=r"layers\[1\] must have dtype float64"):
        fn.Network([blank, single])
    assert blank.W is before
    assert fn.Network([blank, single], dtype="float32").layers[0].W.dtype == np.float32


def test_assigned_weights_are_the_ones_used() -> None:
    net = network((2, 3, 1))
    X, _ = data(2, 1, 4, "float64")
    before = net.predict_proba(X)
    net.layers[1].W[0, 0] += 1
    assert not np.array_equal(net.predict_proba(X), before)
    assert net.forward(X).tobytes() == net.predict_proba(X).tobytes()


# ---- the object


def test_pickle_and_deepcopy_keep_the_bits_and_nothing_of_the_data() -> None:
    X, T = data(3, 2, 500, "float32")
    net = network((3, 4, 2), "float32")
    net.fit(X, T, epochs=2, batch_size=100)
    net.forward(X)
    packed = pickle.dumps(net)
    assert len(packed) < X.nbytes / 2
    for twin in (pickle.loads(packed), copy.deepcopy(net)):
        assert bits(twin) == bits(net)
        assert (twin.sizes, twin.dtype) == (net.sizes, net.dtype)
        with pytest.raises(RuntimeError, match="forward"):
            twin.layers[0].backward(X)
        twin.fit(X, T, epochs=1, batch_size=100)
        assert bits(twin) != bits(net)
    layer = pickle.loads(pickle.dumps(net.layers[0]))
    assert layer.forward(X).tobytes() == net.layers[0].forward(X).tobytes()


def test_reprs_are_tables_for_a_person() -> None:
    text = repr(fn.Network([fn.Layer(30, 100), fn.Layer(100, 1)], dtype="float32"))
    assert text.splitlines()[0] == "Network 30-100-1, float32, 3,201 parameters"
    assert text.splitlines()[2].split() == ["1", "100", "x", "30", "100", "x", "1", "sigmoid", "3,100"]
    assert repr(fn.Layer(2, 3, "identity")) == "Layer(2, 3, 'identity', dtype='float64')"
    assert repr(fn.History()) == "History: no epochs"


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


# ---- predict, score, labels


def three_classes() -> tuple[Any, Any]:
    X = np.random.default_rng(0).normal(size=(3, 300))
    return X, X.argmax(axis=0)


def softmax_net() -> fn.Network:
    return fn.Network([fn.Layer(3, 8, "tanh"), fn.Layer(8, 3, "softmax")], seed=1)


NAMES = np.array(["ant", "bee", "cat"])


@pytest.mark.parametrize(
    "labels",
    [
        lambda y: NAMES[y],
        lambda y: NAMES[y].tolist(),
        lambda y: NAMES[y].astype(object),
        lambda y: NAMES[y][None],
        lambda y: y.astype(np.int8),
        lambda y: y.astype(np.float32),
        lambda y: np.eye(3)[y].T,
    ],
    ids=["text", "list", "object", "row", "int8", "float32", "columns"],
)
def test_labels_of_any_kind_train_alike(labels: Any, tmp_path: Path) -> None:
    X, y = three_classes()
    net, plain = softmax_net(), softmax_net()
    plain.fit(X, y, epochs=20)
    T = labels(y)
    net.fit(X, T, epochs=20, validation=(X[:, :50], T[..., :50] if isinstance(T, np.ndarray) else T[:50]))
    assert [layer.W.tobytes() for layer in net.layers] == [layer.W.tobytes() for layer in plain.layers]
    texts = net.classes is not None
    wanted = NAMES[plain.predict(X)] if texts else plain.predict(X)
    for same in (net, pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(same.predict(X), wanted)
    fn.save(net, tmp_path / "net.safetensors")
    np.testing.assert_array_equal(fn.load(tmp_path / "net.safetensors").predict(X), wanted)
    assert net.score(X, T) == plain.score(X, y) == np.mean(plain.predict(X) == y) > 0.8
    assert net.loss(X, T) == plain.loss(X, y)


def test_labels_of_one_sigmoid_and_targets_of_one_output() -> None:
    X, y = three_classes()
    inside = y > 0
    nets = [fn.Network([fn.Layer(3, 1)], seed=1) for _ in range(4)]
    for net, T in zip(
        nets, (inside[None], inside, inside.astype(int), np.where(inside, "b", "a")), strict=True
    ):
        net.fit(X, T, epochs=10)
        assert net.layers[0].W.tobytes() == nets[0].layers[0].W.tobytes()
    assert nets[3].classes == ("a", "b")
    assert set(nets[3].predict(X)) == {"a", "b"}
    assert nets[0].predict(X).tolist() == (nets[0].predict_proba(X)[0] > 0.5).astype(int).tolist()
    line, vector = (fn.Network([fn.Layer(3, 1, "identity")], seed=1) for _ in range(2))
    line.fit(X, X[:1], epochs=10), vector.fit(X, X[0], epochs=10)
    assert line.layers[0].W.tobytes() == vector.layers[0].W.tobytes()
    assert line.predict(X).shape == (300,)
    assert line.score(X, X[0]) == fn.metrics.r2(X[:1], line.predict_proba(X))
    pairs = fn.Network([fn.Layer(3, 2)], seed=1)
    assert pairs.predict(X).tolist() == (pairs.predict_proba(X) > 0.5).astype(int).tolist()
    np.testing.assert_array_equal(pairs(X), pairs.forward(X))


def test_classes_that_are_numbers_say_what_a_label_means() -> None:
    X, y = three_classes()
    net, plain = softmax_net(), softmax_net()
    net.classes = [30, 10, 20]
    net.fit(X, np.array([30, 10, 20])[y], epochs=5)
    plain.fit(X, y, epochs=5)
    assert net.layers[0].W.tobytes() == plain.layers[0].W.tobytes()
    assert set(net.predict(X)) <= {10, 20, 30}


def test_labels_that_do_not_fit_change_nothing() -> None:
    X, y = three_classes()
    net = softmax_net()
    before = net.layers[0].W.tobytes()
    wrong: dict[str, Any] = {
        "T must hold 3 different labels for this network, got 2: 'a', 'b'": np.where(y > 0, "a", "b"),
        "T must hold whole numbers as class labels, got 1.5": y + 0.5,
        "T must hold class labels from 0 to 2, got 1 to 3": y + 1,
    }
    for words, T in wrong.items():
        with pytest.raises(ValueError, match=words):
            net.fit(X, T)
    with pytest.raises(
        ValueError, match=r"T must hold some of the classes \('ant', 'bee', 'cat'\), got 'dog'"
    ):
        net.fit(X, NAMES[y], validation=(X[:, :1], ["dog"]))
    with pytest.raises(
        ValueError, match="T must hold numbers for a regression network, got texts such as 'bee'"
    ):
        fn.Network([fn.Layer(3, 1, "identity")]).fit(X, NAMES[y])
    assert (net.layers[0].W.tobytes(), net.classes) == (before, None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("last", "outputs"), [("softmax", 4), ("sigmoid", 1), ("sigmoid", 3)])
def test_calibrate_divides_the_logits_by_the_best_temperature(dtype: str, last: str, outputs: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, 400)).astype(dtype)
    net = fn.Network([fn.Layer(6, 8, "tanh"), fn.Layer(8, outputs, last)], seed=0, dtype=dtype)
    A = net.predict_proba(X)
    if last == "softmax":  # targets that are drawn by the probabilities
        T = np.eye(outputs)[:, (A.cumsum(axis=0) < rng.random(400)).sum(axis=0).clip(0, outputs - 1)]
    else:
        T = (rng.random(A.shape) < A) * 1.0
    weights = rng.uniform(0.5, 2, 400)
    first, before = net.calibrate(X, T, sample_weight=weights), net.loss(X, T, sample_weight=weights)
    classes, W = net.predict(X), [layer.W.copy() for layer in net.layers]
    net.layers[-1].W, net.layers[-1].b = 4 * W[-1], 4 * net.layers[-1].b
    worse = net.loss(X, T, sample_weight=weights)
    temperature = net.calibrate(X, T, sample_weight=weights)
    assert temperature == pytest.approx(4, rel=0.03)
    assert 0.5 < first < 2
    assert net.loss(X, T, sample_weight=weights) == pytest.approx(before, rel=1e-3)
    assert before < worse
    np.testing.assert_array_equal(net.predict(X), classes)
    np.testing.assert_allclose(net.layers[-1].W, W[-1], rtol=0.03)
    np.testing.assert_array_equal(net.layers[0].W, W[0])
    assert net.layers[-1].W.dtype == dtype


def test_calibrate_takes_labels_and_refuses_other_outputs() -> None:
    X = np.array([[1.0, -1.0, 2.0, 1.0]])
    net = fn.Network([fn.Layer(1, 2, "softmax", W=[[3.0], [-3.0]])])
    labels = [0, 1, 0, 1]  # the last one is wrong
    assert net.calibrate(X, labels) > 1
    with pytest.raises(ValueError, match=r"the last activation must be 'sigmoid' or 'softmax', got 'exp'"):
        fn.Network([fn.Layer(1, 1, "exp")]).calibrate(X, labels)
    W = net.layers[0].W
    with pytest.raises(ValueError, match="X must be finite"):
        net.calibrate(np.full((1, 4), np.nan), labels)
    assert net.layers[0].W is W
