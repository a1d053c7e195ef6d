"""The oracle's training: the cost of a batch, weights, clipping, dropout, whole networks.

Nothing here uses the compiled core.
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastnet import reference as ref
from fastnet.reference.activations import ACTIVATIONS, OUTPUT_ONLY
from fastnet.reference.losses import LOSSES, default_loss

EPS = np.finfo(np.float64).eps
HIDDEN = [name for name in ACTIVATIONS if name not in OUTPUT_ONLY]


# ---- whole networks against central differences


def weights(sizes: tuple[int, ...], rng: np.random.Generator) -> tuple[list[Any], list[Any]]:
    W = [rng.normal(size=(n_out, n_in)) for n_in, n_out in pairwise(sizes)]
    return W, [rng.normal(size=(n_out, 1)) for n_out in sizes[1:]]


def targets(loss: str, shape: tuple[int, int], rng: np.random.Generator) -> Any:
    T = rng.uniform(0, 1, shape)
    return T / T.sum(axis=0) if loss == "cross_entropy" else T


def networks() -> list[tuple[list[str], str]]:
    """Return activations and a loss: every activation below, every loss and most activations on top."""
    on_top = {default_loss(name): name for name in ("sigmoid", *OUTPUT_ONLY)}
    below = [([name, "tanh", "identity"], "squared_error") for name in HIDDEN]
    losses = [(["tanh", "silu", on_top.get(loss, "softplus")], loss) for loss in LOSSES]
    return below + losses + [(["tanh", "silu", name], "squared_error") for name in HIDDEN]


def differences(trainer: Any, X: Any, T: Any, w: Any, cost: Any) -> list[Any]:
    """Return the central difference of a cost with respect to every weight, in the order of W then b."""
    found = []
    for array in (*trainer.W, *trainer.b):
        slopes = np.empty_like(array)
        for index, value in np.ndenumerate(array.copy()):
            h = EPS ** (1 / 3)  # truncation about h², rounding about eps/h, both 4e-11
            array[index] = value + h
            above = cost(trainer, X, T, w)
            array[index] = value - h
            slopes[index] = (above - cost(trainer, X, T, w)) / (2 * h)
            array[index] = value
        found.append(slopes)
    return found


@pytest.mark.parametrize(("activations", "loss"), networks(), ids=str)
def test_gradients_against_central_differences(
    activations: list[str], loss: str, rng: np.random.Generator
) -> None:
    W, b = weights((3, 5, 4, 2), rng)
    X, T, w = rng.normal(size=(3, 9)), targets(loss, (2, 9), rng), rng.uniform(0, 2, 9)
    trainer = ref.Trainer(
        W, b, activations, 9, loss=loss, loss_parameter=1.0 if loss == "cross_entropy" else 0.75
    )
    dW, db, cost = trainer.gradients(X, T, w)
    assert cost == trainer.loss(X, T, w)
    right = differences(trainer, X, T, w, ref.Trainer.loss)
    largest = max(abs(g).max() for g in right)
    for found, difference in zip([*dW, *db], right, strict=True):
        assert abs(found - difference).max() <= 1e-8 * largest


def masked_cost(trainer: Any, X: Any, T: Any, w: Any) -> float:
    """Return the cost of the first batch with two hidden layers, whose outputs are dropped as by hand."""
    A = X
    for k, activation in enumerate(trainer.activations[:-1]):
        A = ref.activate(trainer.W[k] @ A + trainer.b[k], activation)
        A = A * ref.dropout_mask(
            *A.shape, trainer.dropout[k], batch_size=trainer.batch_size, seed=trainer.seed, layer=k, step=0
        )
    Z = trainer.W[-1] @ A + trainer.b[-1]
    return float((w * (ref.activate(Z, trainer.activations[-1]) - T) ** 2).sum() / 2)


def test_gradients_with_dropout(rng: np.random.Generator) -> None:
    W, b = weights((3, 6, 5, 2), rng)
    X, T, w = rng.normal(size=(3, 7)), rng.normal(size=(2, 7)), rng.uniform(0, 2, 7)
    options: dict[str, Any] = {"loss": "squared_error", "dropout": [0.5, 0.25, 0.0], "seed": 5}
    trainer = ref.Trainer(W, b, ["sigmoid", "tanh", "softplus"], 10, **options)
    right = differences(trainer, X, T, w, masked_cost)
    cost = masked_cost(trainer, X, T, w)
    assert abs(trainer.loss(X, T, w) - cost) > 0.01 * cost  # which drops nothing
    # one batch of plain descent at the rate Σ w: what the weights lose is the gradient of the sum
    assert trainer.epoch(X, T, None, float(w.sum()), w) == pytest.approx(cost / w.sum() * 7, rel=1e-14)
    largest = max(abs(g).max() for g in right)
    for before, after, gradient in zip([*W, *b], [*trainer.W, *trainer.b], right, strict=True):
        assert abs(before - after - gradient).max() <= 1e-8 * largest


# ---- a batch: weights, l2, clipping, rates


def one_layer(**options: Any) -> ref.Trainer:
    """Return a trainer of a = W x + b, W = (1, −2), b = 1/2, whose next gradients can be seen by eye."""
    return ref.Trainer([[[1.0, -2.0]]], [[[0.5]]], ["identity"], loss="squared_error", **options)


X3, T3 = [[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]], [[1.0, -1.0, 0.0]]


# a = 1.5, −1.5, 0.5, so r = 0.5, −0.5, 0.5 and J = 1/8 each; dW = r x


def test_a_batch_with_weights_and_l2() -> None:
    w = [2.0, 1.0, 1.0]
    dW, db, cost = one_layer(batch_size=3).gradients(X3, T3, w)
    assert dW[0].tolist() == [[2 * 0.5 + 2 * 0.5, -0.5 + 0.5]]
    assert (db[0].item(), cost) == (2 * 0.5 - 0.5 + 0.5, 0.5)
    trainer = one_layer(batch_size=3, l2=0.5)
    # (Σ w J + 1/4 (1 + 4)) / 4, times the three examples
    assert trainer.epoch(X3, T3, None, 0.5, w) == 3 * (0.5 + 1.25) / 4
    assert trainer.W[0].tolist() == [[1 - 0.5 * (2 + 0.5) / 4, -2 - 0.5 * (0 - 1.0) / 4]]
    assert trainer.b[0].item() == 0.5 - 0.5 * 1.0 / 4


def test_weights_count_examples() -> None:
    twice = np.array([0, 0, 1, 2])
    repeated, weighted = one_layer(batch_size=4, l2=1.0), one_layer(batch_size=3, l2=1.0)
    cost = repeated.epoch(np.array(X3)[:, twice], np.array(T3)[:, twice], None, 0.5)
    assert weighted.epoch(X3, T3, None, 0.5, [2.0, 1.0, 1.0]) / 3 == cost / 4
    assert weighted.W[0].tolist() == repeated.W[0].tolist()
    without, zero = one_layer(batch_size=2), one_layer(batch_size=3)
    without.epoch(np.array(X3)[:, 1:], np.array(T3)[:, 1:], None, 0.5)
    zero.epoch(X3, T3, None, 0.5, [0.0, 1.0, 1.0])
    assert without.W[0].tolist() == zero.W[0].tolist()


def test_a_batch_without_weight_changes_nothing_but_counts() -> None:
    trainer = one_layer(batch_size=1, optimizer="adam", l2=1.0)
    only_first = one_layer(batch_size=1, optimizer="adam", l2=1.0)
    cost = trainer.epoch(X3, T3, None, 0.1, [1.0, 0.0, 0.0])
    assert cost == only_first.epoch(np.array(X3)[:, :1], np.array(T3)[:, :1], None, 0.1)
    assert (trainer.step, only_first.step, trainer.examples_done) == (3, 1, 3)
    assert trainer.W[0].tolist() == only_first.W[0].tolist()
    for name, moment in trainer.moments().items():
        assert moment.tolist() == only_first.moments()[name].tolist()


def test_clipping_scales_the_whole_gradient() -> None:
    # r = (3, 4) at one example x = 0 of two outputs: the gradient is (3, 4) of b and 0 of W; its norm is 5
    def trained(clip_norm: float, l2: float = 0.0) -> Any:
        trainer = ref.Trainer(
            [np.zeros((2, 1))], [np.zeros((2, 1))], ["identity"], 1,
            loss="squared_error", clip_norm=clip_norm, l2=l2,
        )  # fmt: skip
        trainer.epoch([[0.0]], [[-3.0], [-4.0]], None, 1.0)
        return trainer.b[0].ravel().tolist()

    assert trained(2.5) == pytest.approx([-1.5, -2.0], rel=EPS)
    assert trained(5.0) == trained(6.0) == trained(0.0) == [-3.0, -4.0]
    W = one_layer(batch_size=3, l2=4.0, clip_norm=1e-3)  # the decay is in the norm
    before = [*W.weights()[0], *W.weights()[1]]
    W.epoch(X3, T3, None, 1.0)
    step = np.concatenate([(x - y).ravel() for x, y in zip(before, [*W.W, *W.b], strict=True)])
    assert np.sqrt((step**2).sum()) == pytest.approx(1e-3, rel=1e-12)


def test_rates_of_every_batch() -> None:
    by_array, by_hand = one_layer(batch_size=2), one_layer(batch_size=2)
    by_array.epoch(X3, T3, np.array([2, 0, 1]), np.array([0.5, 0.25]))
    for columns, rate in (([2, 0], 0.5), ([1], 0.25)):
        by_hand.epoch(np.array(X3)[:, columns], np.array(T3)[:, columns], None, rate)
    assert by_array.W[0].tolist() == by_hand.W[0].tolist()
    with pytest.raises(ValueError, match="broadcast"):
        by_array.epoch(X3, T3, None, np.ones(3))


def test_what_is_told_of_the_cost() -> None:
    W, b, x = [np.array([[2.0]])], [np.zeros((1, 1))], [[50.0, -50.0, 0.0]]
    told = ref.Trainer(W, b, ["sigmoid"], 3, cost_clip=0.25, cost_scale=0.5)
    # a = 1, 0, 1/2, cut to 3/4, 1/4, 1/2
    right = 0.5 * (-math.log(0.25) - math.log(0.75) + math.log(2))
    assert told.loss(x, [[0.0, 0.0, 1.0]]) == pytest.approx(right, rel=4 * EPS)
    W2, b2 = [np.array([[0.0], [2.0]])], [np.zeros((2, 1))]
    told = ref.Trainer(W2, b2, ["softmax"], 3, loss="cross_entropy", cost_clip=0.25)
    right = -math.log(0.25) - math.log(0.75) + math.log(2)
    assert told.loss(x, [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) == pytest.approx(right, rel=4 * EPS)
    for clip in (0.0, 0.25):
        dW, _, _ = ref.Trainer(W, b, ["sigmoid"], 3, cost_clip=clip).gradients(x, [[0.0, 0.0, 1.0]])
        assert dW[0].item() == pytest.approx(50.0, rel=EPS)


# ---- Network.fit is the trainer's epochs


def test_fit_is_the_epochs_of_a_trainer(rng: np.random.Generator) -> None:
    X, T, w = rng.normal(size=(3, 25)), rng.uniform(size=(2, 25)), rng.uniform(0, 2, 25)
    layers = [ref.Layer(3, 8, "gelu", init="he_normal", dropout=0.25), ref.Layer(8, 2, "softplus")]
    net = ref.Network(layers, seed=3)
    trainer = ref.Trainer(
        [layer.W for layer in layers], [layer.b for layer in layers], ["gelu", "softplus"], 10,
        loss="huber", loss_parameter=0.5, optimizer="adamw", weight_decay=0.125, l2=0.01, clip_norm=0.5,
        dropout=[0.25, 0.0], seed=9,
    )  # fmt: skip
    options: dict[str, Any] = {"loss": ref.Huber(0.5), "l2": 0.01, "clip_norm": 0.5, "sample_weight": w}
    net.fit(X, T, 2, 10, optimizer=ref.AdamW(0.02, weight_decay=0.125), seed=9, **options)
    for epoch in range(2):
        trainer.epoch(X, T, ref.permutation(25, 9, epoch), 0.02, w)
    for layer, W in zip(net.layers, trainer.W, strict=True):
        np.testing.assert_array_equal(layer.W, W)
    assert net.loss(X, T, loss=ref.Huber(0.5), sample_weight=w) == pytest.approx(
        trainer.loss(X, T, w) / w.sum(), rel=EPS
    )
    dW, _, _ = trainer.gradients(X, T, w)
    gradients = net.gradients(X, T, loss=ref.Huber(0.5), sample_weight=w)
    np.testing.assert_array_equal(gradients[0][0], dW[0] / w.sum())


@pytest.mark.parametrize(
    "schedule", [[0.5, 0.25, 0.125, 0.0], lambda step: 0.5 * 0.5**step if step < 3 else 0.0]
)
def test_a_schedule_has_a_rate_for_each_batch(schedule: Any, rng: np.random.Generator) -> None:
    X, T = rng.normal(size=(3, 8)), rng.uniform(size=(1, 8))
    scheduled, by_hand = (ref.Network([ref.Layer(3, 1)], seed=3) for _ in range(2))
    how: Any = {"optimizer": "sgd", "shuffle": False}
    scheduled.fit(X, T, epochs=2, batch_size=4, schedule=schedule, **how)
    for first, rate in zip((0, 4, 0), (0.5, 0.25, 0.125), strict=True):
        columns = slice(first, first + 4)
        by_hand.fit(X[:, columns], T[:, columns], epochs=1, learning_rate=rate, **how)
    np.testing.assert_array_equal(scheduled.layers[0].W, by_hand.layers[0].W)


def test_every_optimizer_has_its_rate(rng: np.random.Generator) -> None:
    X, T = rng.normal(size=(3, 8)), rng.uniform(size=(1, 8))
    for name, kind in (("sgd", ref.SGD), ("adam", ref.Adam), ("adamw", ref.AdamW), ("rmsprop", ref.RMSProp)):
        by_name, by_object = (ref.Network([ref.Layer(3, 1)], seed=3) for _ in range(2))
        by_name.fit(X, T, epochs=3, optimizer=name)
        by_object.fit(X, T, epochs=3, optimizer=kind(0.5), learning_rate=kind().learning_rate)
        np.testing.assert_array_equal(by_name.layers[0].W, by_object.layers[0].W)
        assert not np.array_equal(by_name.layers[0].W, ref.Network([ref.Layer(3, 1)], seed=3).layers[0].W)


def test_a_trainer_goes_on_from_what_it_tells(rng: np.random.Generator) -> None:
    X, T = rng.normal(size=(3, 20)), rng.uniform(size=(2, 20))
    W, b = weights((3, 5, 2), rng)

    def new() -> ref.Trainer:
        return ref.Trainer(
            W, b, ["relu", "sigmoid"], 8, optimizer="rmsprop", momentum=0.5, dropout=[0.5, 0.0]
        )  # fmt: skip

    whole, first, second = new(), new(), new()
    for _ in range(2):
        whole.epoch(X, T, None, 0.01)
    first.epoch(X, T, None, 0.01)
    second.load_weights(*first.weights())
    second.load_moments(first.moments())
    second.step = first.step
    second.epoch(X, T, None, 0.01)
    for one, two in zip([*whole.W, *whole.b], [*second.W, *second.b], strict=True):
        np.testing.assert_array_equal(one, two)
    assert list(first.moments()) == [
        f"{m}.{k}.{n}" for k in (0, 1) for n in "Wb" for m in ("first", "second")
    ]
    assert first.finite()
    first.W[0][0, 0] = np.inf
    assert not first.finite()


def test_longdouble_stays_longdouble(rng: np.random.Generator) -> None:
    W, b = ([array.astype(np.longdouble) for array in arrays] for arrays in weights((3, 5, 2), rng))
    X, T = rng.normal(size=(3, 20)), rng.uniform(size=(2, 20))
    for name in HIDDEN:
        for optimizer in ("sgd", "adamw", "rmsprop"):
            options: dict[str, Any] = {
                "optimizer": optimizer,
                "l2": 0.1,
                "clip_norm": 1.0,
                "dropout": [0.5, 0],
            }
            trainer = ref.Trainer(W, b, [name, "sigmoid"], 8, momentum=0.5, **options)
            trainer.epoch(X, T, None, np.array([0.1, 0.1, 0.2]))
            arrays = [*trainer.W, *trainer.b, trainer.predict(X), *trainer.moments().values()]
            assert {array.dtype for array in arrays} == {np.dtype(np.longdouble)}
