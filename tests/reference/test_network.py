"""The oracle itself: against numbers worked out by hand, exact arithmetic, differences and counts.

Nothing here uses the compiled core, which is checked against `reference` elsewhere.
"""

import itertools
from typing import Any

import numpy as np
import pytest

from fastnet import reference as ref
from fastnet.reference.activations import ACTIVATIONS

EPS = np.finfo(np.float64).eps
# ---- the 2-3-1 network of the notes, worked out element by element as its sums say, with 40 digits. First
# one example, x = (1, 0.5) and t = 1; then the means over three, which begin with it.

W1, b1 = [[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0]], [[0.25], [-0.5], [1.0]]
W2, b2 = [[1.25, -0.5, 0.75]], [[-0.25]]
X = np.array([[1.0, -0.5, 2.0], [0.5, 1.5, -1.0]])
T = np.array([[1.0, 0.0, 0.25]])
Z1, A1 = [[0.25], [1.125], [1.25]], [[0.5621765008857981], [0.75491498686762829], [0.77729986117469115]]
Z2, A2, J = [[0.65823802855445184]], [[0.65886447501129343]], 0.41723741811565853
dA2, dZ2 = [[-1.5177628145497741]], [[-0.34113552498870657]]  # ∂J/∂a = −1/a here, and s
dW2 = [[-0.1917783757659908, -0.2575283203669309, -0.265164596215477]]
dA1 = [[-0.42641940623588321], [0.17056776249435328], [-0.25585164374152992]]
dZ1 = [[-0.10495634941538044], [0.031558165889543444], [-0.04428914429155777]]
dW1 = [
    [-0.10495634941538044, -0.052478174707690219],
    [0.031558165889543444, 0.015779082944771722],
    [-0.04428914429155777, -0.022144572145778885],
]
ALL_A2 = [[0.65886447501129343, 0.63913244173037781, 0.61901783841453795]]
MEAN_J = 0.76004634051034641
MEAN_dW2, MEAN_db2 = (
    [[0.086215959893931534, 0.088115399389573653, 0.13133846525595494]],
    [[0.2223382517187364]],
)
MEAN_dW1 = [
    [-0.028319086319716606, 0.028822185066780762],
    [0.010968937196810194, -0.022614551556193144],
    [-0.002809124129868813, -0.010906393520167677],
]
MEAN_db1 = [[0.017995823649627562], [-0.016905308674306858], [-0.0063339936014435284]]


def assert_close(got: object, wanted: object) -> None:
    """Within 16 eps of the largest element: some twenty operations lie behind each, of half an eps each."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=0, atol=16 * EPS * np.abs(wanted).max())


def notes_network() -> ref.Network:
    return ref.Network([ref.Layer(2, 3, W=W1, b=b1), ref.Layer(3, 1, W=W2, b=b2)])


def test_the_notes_with_one_example() -> None:
    x, t = X[:, :1], T[:, :1]
    np.testing.assert_array_equal(ref.dense_forward(W1, b1, x), Z1)  # exact: few bits each
    assert_close(ref.dense_forward(W1, b1, x, "sigmoid"), A1)
    assert_close(ref.dense_forward(W2, b2, A1), Z2)
    assert_close(ref.sigmoid(Z2), A2)
    assert_close(ref.bce_loss(Z2, t), J)
    assert_close(ref.bce_loss(A2, t, from_logits=False), J)
    s = ref.bce_backward(Z2, t)
    assert_close(s, dZ2)
    for found, wanted in zip(ref.dense_backward(W2, A1, s), (dA1, dW2, dZ2), strict=True):
        assert_close(found, wanted)

    net = notes_network()
    assert_close(net.forward(x), A2)
    below, *step2 = net.layers[1].backward(dA2)  # the long way round, by ∂J/∂a
    assert_close(below, dA1)
    _, *step1 = net.layers[0].backward(below)
    for steps in ((*step1, *step2), itertools.chain(*net.gradients(x, t))):
        for found, wanted in zip(steps, (dW1, dZ1, dW2, dZ2), strict=True):
            assert_close(found, wanted)


def test_the_notes_with_three_examples() -> None:
    net = notes_network()
    assert_close(net.forward(X), ALL_A2)
    assert_close(net.predict_proba(X), ALL_A2)
    assert_close(net.loss(X, T), MEAN_J)
    gradients = itertools.chain(*net.gradients(X, T))
    for found, wanted in zip(gradients, (MEAN_dW1, MEAN_db1, MEAN_dW2, MEAN_db2), strict=True):
        assert_close(found, wanted)


# ---- gradients against central differences


def network_with(sizes: tuple[int, ...], first: str = "sigmoid") -> ref.Network:
    names = [first, *["sigmoid"] * len(sizes)]
    return ref.Network(
        [ref.Layer(*pair, name) for pair, name in zip(itertools.pairwise(sizes), names, strict=False)]
    )


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("first", ["sigmoid", "identity"])
@pytest.mark.parametrize("sizes", [(2, 3, 1), (5, 4, 3, 2), (3, 6, 5, 4, 1), (6, 1, 3)])
def test_gradients_against_central_differences(
    sizes: tuple[int, ...], first: str, n: int, rng: np.random.Generator
) -> None:
    net = network_with(sizes, first)
    for layer in net.layers:
        layer.W = rng.normal(size=layer.W.shape)  # larger than drawn, so that no gradient is tiny
    inputs, targets = rng.normal(size=(sizes[0], n)), rng.uniform(0, 1, (sizes[-1], n))
    gradients = net.gradients(inputs, targets)
    # The error of (J(w + h) − J(w − h)) / 2h is about h²/6 from the third derivative and eps J / h from
    # rounding J, both near 4e-11 at h = eps^(1/3); the gradients are above 1e-3.
    h = EPS ** (1 / 3)
    for layer, found in zip(net.layers, gradients, strict=True):
        for array, gradient in zip((layer.W, layer.b), found, strict=True):
            difference = np.empty_like(array)
            for index, value in np.ndenumerate(array.copy()):
                array[index] = value + h
                above = net.loss(inputs, targets)
                array[index] = value - h
                below = net.loss(inputs, targets)
                array[index] = value
                difference[index] = (above - below) / (2 * h)
            largest = np.abs(gradient).max()
            assert largest > 1e-3
            assert np.abs(difference - gradient).max() <= 1e-7 * largest


def task(rng: np.random.Generator, n: int = 10) -> tuple[np.ndarray, np.ndarray]:
    inputs = rng.normal(size=(2, n))
    return inputs, (inputs.sum(axis=0, keepdims=True) > 0).astype(float)


@pytest.mark.parametrize("shuffle", [True, False])
def test_one_epoch_is_its_batches_one_by_one(shuffle: bool, rng: np.random.Generator) -> None:
    inputs, targets = task(rng)
    net, by_hand = notes_network(), notes_network()
    how: Any = {"optimizer": "sgd", "learning_rate": 0.5, "shuffle": shuffle, "seed": 3}
    history = net.fit(inputs, targets, epochs=2, batch_size=4, **how)
    for epoch in range(2):
        order = ref.permutation(10, 3, epoch) if shuffle else np.arange(10)
        cost = 0.0
        for batch in (order[:4], order[4:8], order[8:]):  # the last batch has two examples, and counts as two
            cost += by_hand.loss(inputs[:, batch], targets[:, batch]) * len(batch)
            gradients = by_hand.gradients(inputs[:, batch], targets[:, batch])
            for layer, (dW, db) in zip(by_hand.layers, gradients, strict=True):
                layer.W -= 0.5 * dW
                layer.b -= 0.5 * db
        assert history.loss[epoch] == pytest.approx(cost / 10, rel=16 * EPS)
    for layer, wanted in zip(net.layers, by_hand.layers, strict=True):
        assert_close(layer.W, wanted.W)
        assert_close(layer.b, wanted.b)
    assert [seconds > 0 for seconds in history.seconds] == [True, True]


def test_fit_learns_repeats_and_binds_new_arrays(rng: np.random.Generator) -> None:
    inputs, targets = task(rng, 60)
    fits = []
    for seed in (1, 1, 2):
        net = network_with((2, 3, 1))
        before = net.layers[0].W
        kept = before.copy()
        history = net.fit(inputs, targets, epochs=60, batch_size=7, learning_rate=1.0, seed=seed)
        np.testing.assert_array_equal(before, kept)
        assert history.loss[-1] < history.loss[0] / 2
        assert ((net.predict_proba(inputs) > 0.5) == targets).mean() > 0.9
        fits.append(net.layers[0].W)
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])


def test_divergence_leaves_the_weights() -> None:
    net = notes_network()
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"epoch 1 .*learning_rate=1e\+308"):
        net.fit(X * 1e3, T, epochs=3, batch_size=2, learning_rate=1e308)
    np.testing.assert_array_equal(net.layers[0].W, W1)
    np.testing.assert_array_equal(net.layers[1].b, b2)


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    notes_network().fit(X, T, epochs=2, batch_size=3, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-1].startswith("epoch 2/2  loss 0.7")


def test_float32_stays_float32() -> None:
    net = ref.Network([ref.Layer(2, 3), ref.Layer(3, 1)], seed=1, dtype="float32")
    net.fit(X.astype(np.float32), T.astype(np.float32), epochs=2, batch_size=2)
    Z, targets = np.float32([[0.5]]), np.float32([[1.0]])
    arrays = [ref.exp(Z), ref.sigmoid(Z), ref.bce_backward(Z, targets), ref.dense_forward(Z, Z, Z, "sigmoid")]
    arrays += [net.forward(X), *net.layers[1].backward(T), *ref.dense_backward(Z, Z, Z)]
    arrays += [*itertools.chain(*net.gradients(X, T)), net.layers[0].W, net.layers[1].b]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    assert {ref.exp([1, 2]).dtype, ref.dense_forward([[1]], [[2]], [[3]]).dtype} == {np.dtype(np.float64)}


# ---- who draws, and what is refused


def test_which_layers_a_network_draws() -> None:
    plain, seeded, given = ref.Layer(2, 3), ref.Layer(3, 4, seed=8), ref.Layer(4, 2, W=np.ones((2, 4)))
    assigned = ref.Layer(2, 1)
    assigned.b = np.full((1, 1), 7.0)
    np.testing.assert_array_equal(plain.W, ref.initial_weights(2, 3, "sigmoid", 0, 0, "float64")[0])
    assert not given.b.any()
    net = ref.Network([plain, seeded, given, assigned], seed=6)
    assert net.sizes == (2, 3, 4, 2, 1)
    np.testing.assert_array_equal(plain.W, ref.initial_weights(2, 3, "sigmoid", 6, 0, "float64")[0])
    np.testing.assert_array_equal(seeded.b, ref.initial_weights(3, 4, "sigmoid", 8, 0, "float64")[1])
    assert given.W.tolist() == [[1.0] * 4] * 2
    assert assigned.b.item() == 7.0
    ref.Network([plain], seed=9)  # it has weights now, which another network leaves alone
    np.testing.assert_array_equal(plain.W, ref.initial_weights(2, 3, "sigmoid", 6, 0, "float64")[0])


def test_what_does_not_fit() -> None:
    net = notes_network()
    one = np.ones((1, 1))
    wrong = {
        "shapes of W, b and A": lambda: ref.dense_forward(W1, [0.0, 0.0, 0.0], X),
        "shapes of W, A and dZ": lambda: ref.dense_backward(W1, X, T),
        r"\(1, 1\) and \(1, 3\)": lambda: ref.bce_loss(Z2, T),
        "at least one example": lambda: ref.bce_loss(one[:, :0], one[:, :0]),
        "least one example .* got none": lambda: ref.loss(one[:, :0], one[:, :0]),
        r"\(2, n\), \(1, n\), n > 0": lambda: net.loss(X, T[:, :2]),
        "n > 0, got": lambda: net.fit(X[:, :0], T[:, :0]),
        r"below 2\*\*64, got -1": lambda: ref.uniform(-1, 0, 1),
        r"below 2\*\*32, got -2": lambda: ref.permutation(-2, 0, 0),
        "one of identity, sigmoid, .* got 'swish'": lambda: ref.Layer(1, 1, "swish"),
        "one of identity, .* got 'id'": lambda: ref.activate(one, "id"),
        "no slope element by element": lambda: ACTIVATIONS["softmax"].slope(one, one),
        "give W, or": lambda: ref.Layer(1, 1, b=one),
        r"W must be \(3, 2\)": lambda: ref.Layer(2, 3, W=np.ones((2, 3))),
        "n_out 3 below n_in 4": lambda: ref.Network([ref.Layer(2, 3), ref.Layer(4, 1)]),
        "at least one Layer": lambda: ref.Network([]),
        "'softmax' must be in the last": lambda: ref.Network([ref.Layer(2, 3, "softmax"), ref.Layer(3, 1)]),
        "'bce' needs 'sigmoid', got 'tanh'": lambda: ref.loss(one, one, loss="bce", activation="tanh"),
        "'huber' with 'exp' is not": lambda: ref.loss(one, one, loss="huber", activation="exp"),
        "'l1' with 'tanh' is not": lambda: ref.loss(one, one, loss="l1", activation="tanh"),
        "one of glorot_uniform, .*, got 'glorot'": lambda: ref.Layer(1, 1, init="glorot"),
        r"sample_weight must be \(3,\), got \(2,\)": lambda: net.fit(X, T, sample_weight=[1.0, 2.0]),
    }
    for message, call in wrong.items():
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match=r"layers\[0\] must have dtype float32, got float64"):
        ref.Network([ref.Layer(2, 1, W=[[1.0, 1.0]])], dtype="float32")
    with pytest.raises(RuntimeError, match="call forward first"):
        ref.Layer(1, 1).backward(one)
