"""Every loss of the core with every output, on every build: cost and dZ against a wider reference.

And the gradients of whole networks against central differences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_sizes import sizes, sum_bound
from oracle import (
    HIDDEN,
    LOSSES,
    OF_LOGITS,
    PAIRS,
    awkward_sizes,
    random_targets,
    random_weights,
    wide,
)

import fastnet as fn
from fastnet import reference
from fastnet._core import engine
from fastnet.reference.losses import cost_and_dZ

# of an activation: the bound of its value and of its slope in eps, for the |z| < 9 that are used here
VALUE_AND_SLOPE = dict.fromkeys(HIDDEN, (3.0, 4.0))
VALUE_AND_SLOPE |= {"tanh": (2.0, 5.0), "silu": (3.0, 12.0), "mish": (6.0, 31.0), "gelu": (6.0, 8.0)}


def parameter_of(loss: str) -> float:
    return {"huber": 0.7, "quantile": 0.3}.get(loss, 1.0)


def logits_and_targets(rng: Any, loss: str, activation: str, shape: tuple[int, int], dtype: Any) -> Any:
    """Return Z with |z| < 9, and T; where a loss starts from a, some targets are a itself."""
    Z = rng.uniform(-9, 9, shape).astype(dtype)
    T = random_targets(rng, loss, shape, dtype)
    if loss not in OF_LOGITS:
        T += np.where(rng.random(shape) < 0.5, engine.activate(Z, activation), 0).astype(dtype)
        T = np.where(rng.random(shape) < 0.1, engine.activate(Z, activation), T)
    else:
        whole = np.eye(shape[0], dtype=dtype)[:, rng.integers(0, shape[0], shape[1])]
        T = np.where(rng.random(shape[1]) < 0.3, whole, T)
    return Z, T


def bounds(loss: str, activation: str, Z: Any, T: Any, eps: float) -> tuple[Any, Any]:
    """Return what the cost of an example and dZ may be off by.

    Of the losses from the logits: what is added up, each rounded a few times. Of the others: a is off by u
    eps, which the cost multiplies by dJ/da and its rounding; dZ = da f'(z).
    """
    rows = len(Z)
    A = reference.activate(Z, activation)
    if loss == "cross_entropy":
        far = Z.max(axis=0) - Z.min(axis=0)
        return (rows + 8) * eps * (1 + far), (rows + 6 + far / 2) * eps * np.ones_like(Z)
    if loss == "bce":
        return 4 * eps * (abs(Z) * (1 + T) + 1).sum(axis=0), 3 * eps * np.ones_like(Z)
    if loss == "poisson":
        return 4 * eps * (T * (abs(Z) + abs(np.log(np.maximum(T, 1e-30)))) + A + T).sum(axis=0), 3 * eps * (
            A + T
        )
    u, v = VALUE_AND_SLOPE[activation]
    R = abs(A - T)
    error_of_A = (u * abs(A) + 1e-30) * eps
    slope = abs(reference.activation_backward(Z, np.ones_like(Z), activation))
    if loss in ("squared_error", "huber"):
        dA = R if loss == "squared_error" else np.minimum(R, parameter_of(loss))
        return (dA * (error_of_A + 3 * eps * R) + error_of_A**2).sum(axis=0), (
            (error_of_A + eps * R) * slope + dA * (v + 2) * eps
        )
    # The slope of the kinked ones is the sign of a − t; it is off where a rounded a crosses t.
    crossed = np.where(error_of_A >= R, 1, 0)
    return (error_of_A + 3 * eps * R).sum(axis=0), crossed * slope + (v + 2) * eps


@pytest.mark.parametrize(("loss", "activation"), PAIRS)
def test_cost_and_dZ_at_every_size(isa: str, dtype: Any, rng: Any, loss: str, activation: str) -> None:
    eps = float(np.finfo(dtype).eps)
    parameter = parameter_of(loss)
    for rows in (1, 3) if loss != "cross_entropy" else (1, 2, 11):
        for n in [*awkward_sizes(dtype), 1025]:
            Z, T = logits_and_targets(rng, loss, activation, (rows, n), dtype)
            w = rng.uniform(0, 2, n).astype(dtype) * (rng.random(n) < 0.8)
            Zw, Tw, ww = wide(Z, T, w)
            J, right = cost_and_dZ(loss, parameter, activation, Zw, Tw)
            of_J, of_dZ = bounds(loss, activation, Zw, Tw, eps)
            for weights, wider in ((w.astype(dtype), ww), (None, np.ones_like(ww))):
                cost, dZ = engine.loss(loss, parameter, activation, Z, T, weights)
                assert dZ.dtype == dtype
                assert np.all(abs(dZ - right * wider) <= (of_dZ + eps * abs(right)) * wider)
                # the sum of n costs: a chain of n/16, folded, in each 1024
                summed = (of_J * wider).sum() + (n / 16 + 8) * eps * (abs(J) * wider).sum()
                assert abs(cost - (J * wider).sum()) <= summed
                assert not dZ[:, wider == 0].any()


@pytest.mark.parametrize("far", ["right", "wrong", "at 0", "anywhere"])
def test_the_cost_of_one_output_is_near_however_small_it_is(isa: str, dtype: Any, rng: Any, far: str) -> None:
    """The logarithms of many examples are one, with the relative error of a sum of positive numbers.

    The most that its argument becomes: 1024 examples at z = 0, where each of the 64 in a lane doubles it.
    """
    eps = float(np.finfo(dtype).eps)
    one = [np.ones((1, 1), dtype)], [np.zeros((1, 1), dtype)], ["sigmoid"]
    for n in [*awkward_sizes(dtype), 1024, 1025, 3000]:
        T = rng.integers(0, 2, (1, n)).astype(dtype)
        sign = {
            "right": 2 * T - 1,
            "wrong": 1 - 2 * T,
            "at 0": 0 * T,
            "anywhere": rng.choice([-1, 1], (1, n)),
        }[far]
        Z = (sign * rng.uniform(10, 30 if far == "right" else 80, (1, n))).astype(dtype)
        Zw, Tw = wide(Z, T)
        exact = (np.maximum(Zw, 0) - Zw * Tw + np.log1p(np.exp(-abs(Zw)))).sum()
        cost = engine.TrainerCore(*one, n).loss(Z, T)
        # e: 1.1 ULP; a factor or a term: 2 roundings each, 64 in a lane, 16 leaves; the logarithm, the fold
        assert abs(cost - exact) <= (1.1 + 2 * min(64, n / 16) + 32 + 4 + 5) * eps * exact
        assert np.isnan(engine.TrainerCore(*one, n).loss(np.full_like(Z, np.nan), T))
        ones = engine.TrainerCore(*one, n).loss(Z, T, np.ones(n, dtype))  # each logarithm by itself
        assert abs(cost - ones) <= 250 * eps * exact


def test_targets_that_are_met_cost_nothing(isa: str, dtype: Any, rng: Any) -> None:
    for loss, activation in PAIRS:
        if loss in OF_LOGITS:
            continue
        Z = rng.uniform(-9, 9, (2, 40)).astype(dtype)
        cost, dZ = engine.loss(loss, parameter_of(loss), activation, Z, engine.activate(Z, activation))
        assert cost == 0
        assert not dZ.any()


def test_far_logits_stay_finite(isa: str, dtype: Any) -> None:
    Z = np.array([[1e4, -1e4, 1e4, -1e4]], dtype)
    cost, dZ = engine.loss("bce", 1.0, "sigmoid", Z, np.array([[1, 0, 0, 1]], dtype))
    assert cost == 2e4
    np.testing.assert_array_equal(dZ, [[0, 0, 1, -1]])
    both = np.concatenate([Z, -Z])
    cost, dZ = engine.loss(
        "cross_entropy", 1.0, "softmax", both, np.array([[1, 0, 0, 1], [0, 1, 1, 0]], dtype)
    )
    assert cost == 4e4
    np.testing.assert_array_equal(dZ, [[0, 0, 1, -1], [0, 0, -1, 1]])
    cost, dZ = engine.loss("poisson", 1.0, "exp", np.array([[-1e4, 0]], dtype), np.array([[2, 0]], dtype))
    assert cost == pytest.approx(2 * np.log(2) - 2 + 2e4 + 1, rel=4 * float(np.finfo(dtype).eps))
    np.testing.assert_array_equal(dZ, [[-2, 1]])


def test_any_order_of_memory_gives_the_same_bits(isa: str, dtype: Any, rng: Any) -> None:
    Z, T = logits_and_targets(rng, "cross_entropy", "softmax", (5, 77), dtype)
    cost, dZ = engine.loss("cross_entropy", 1.0, "softmax", Z, T)
    spread = np.zeros((10, 231), dtype)
    spread[::2, ::3] = Z
    for other in (np.asfortranarray(Z), spread[::2, ::3]):
        again, dZ_again = engine.loss("cross_entropy", 1.0, "softmax", other, np.asfortranarray(T))
        assert again == cost
        np.testing.assert_array_equal(dZ_again, dZ)


def test_the_reported_cost_may_be_that_of_cut_outputs(isa: str, dtype: Any, rng: Any) -> None:
    """cost_clip changes no gradient; the costs are those of outputs cut to [c, 1 − c]."""
    c = float(np.finfo(dtype).eps)
    for loss, activation, rows in [("bce", "sigmoid", 2), ("cross_entropy", "softmax", 3)]:
        W, b = random_weights(rng, (4, rows), dtype)
        X = (rng.normal(size=(4, 90)) * rng.choice([1, 300], 90)).astype(dtype)
        T = np.eye(rows, dtype=dtype)[:, rng.integers(0, rows, 90)]
        plain, cut = (
            engine.TrainerCore(W, b, [activation], 90, loss=loss, cost_clip=clip, cost_scale=scale)
            for clip, scale in ((0.0, 1.0), (c, 0.25))
        )
        for one, other in zip(plain.gradients(X, T)[:2], cut.gradients(X, T)[:2], strict=True):
            np.testing.assert_array_equal(one[0], other[0])
        Ww, bw, Xw, Tw = wide(*W), wide(*b), wide(X)[0], wide(T)[0]
        twin = reference.Trainer(Ww, bw, [activation], 90, loss=loss, cost_clip=c, cost_scale=0.25)
        right = twin.loss(Xw, Tw)
        assert right < reference.Trainer(Ww, bw, [activation], 90, loss=loss).loss(Xw, Tw) / 5
        # log(1 − a) of a rounded a: off by eps/(1 − a) where that is small, by up to log 2 just before a is
        # cut, and by nothing beyond; and by the rounding of z, a sum of four
        Z = abs(reference.dense_forward(Ww[0], bw[0], Xw))
        far = -np.log(c)
        of_a = np.select([0.75 * far > Z, 1.3 * far > Z], [c * np.exp(np.minimum(Z, far)), np.log(2)], 0)
        bound = 0.25 * (of_a.sum() * (loss == "bce") + c * (200 + 40 * Z.sum()))
        assert abs(cut.loss(X, T) - right) <= bound


# ---- whole networks

NETWORKS = [([name, "tanh", "identity"], "squared_error") for name in HIDDEN]
NETWORKS += [(["tanh", "silu", OF_LOGITS.get(loss, "softplus")], loss) for loss in LOSSES]
NETWORKS += [(["tanh", "silu", name], "huber") for name in HIDDEN if name != "logistic"]


@pytest.mark.parametrize(("activations", "loss"), NETWORKS, ids=str)
@pytest.mark.parametrize("n_out", [1, 3])
def test_gradients_of_networks_against_central_differences(
    isa: str, rng: Any, activations: list[str], loss: str, n_out: int
) -> None:
    if loss == "cross_entropy":
        n_out += 1  # one alone is 1 whatever it is
    W, b = random_weights(rng, (3, 5, 4, n_out), np.float64)
    X, w = rng.normal(size=(3, 23)), rng.uniform(0, 2, 23)
    T = random_targets(rng, loss, (n_out, 23), np.float64)
    trainer = engine.TrainerCore(W, b, activations, 23, loss=loss, loss_parameter=parameter_of(loss))
    dW, db, cost = trainer.gradients(X, T, w)
    assert trainer.loss(X, T, w) == cost
    largest = max(abs(g).max() for g in [*dW, *db])
    assert largest > 0.01
    h = 1e-5  # truncation h²/6 and rounding eps/h: both some 1e-10 of the largest
    for array, gradient in zip([*W, *b], [*dW, *db], strict=True):
        for i in np.ndindex(array.shape):
            at = array[i]
            sides = []
            for value in (at + h, at - h):
                array[i] = value
                trainer.load_weights(W, b)
                sides.append(trainer.loss(X, T, w))
            array[i] = at
            assert abs((sides[0] - sides[1]) / (2 * h) - gradient[i]) <= 1e-7 * largest


def test_bce_at_every_size(isa: str, dtype: Any, rng: Any) -> None:
    block = engine.geometry(dtype)[2]
    for n in [*sizes(dtype), block - 1, block, block + 1, 3 * block + 1]:
        Z = rng.uniform(-12, 12, size=(2, n)).astype(dtype)
        T = rng.random((2, n)).astype(dtype)
        Zw, Tw = wide(Z, T)
        # each cost: |z| t and log1p within 2 ULP, added; then a sum of 2 n of them
        terms = (abs(Zw) * (1 + Tw) + 1).sum()
        exact = reference.bce_loss(Zw, Tw)
        assert abs(fn.bce_loss(Z, T) - exact) <= sum_bound(2 * n + 4, terms, dtype) / n
        dZ = fn.bce_backward(Z, T)
        assert np.all(abs(dZ - reference.bce_backward(Zw, Tw)) <= 3 * np.finfo(dtype).eps)
        A = fn.sigmoid(Z)
        np.testing.assert_array_equal(fn.bce_backward(A, T, from_logits=False), A - T)
        (Aw,) = wide(A)
        terms = (-np.log(Aw) - np.log1p(-Aw)).sum()
        from_A = fn.bce_loss(A, T, from_logits=False)
        assert (
            abs(from_A - reference.bce_loss(Aw, Tw, from_logits=False))
            <= sum_bound(2 * n + 4, terms, dtype) / n
        )


def test_bce_of_saturated_logits_is_exact(isa: str, dtype: Any) -> None:
    Z = np.array([[1e4, -1e4, 1e4, -1e4]], dtype)
    T = np.array([[1, 0, 0, 1]], dtype)
    assert fn.bce_loss(Z, T) == 1e4 / 2
    np.testing.assert_array_equal(fn.bce_backward(Z, T), [[0, 0, 1, -1]])


def test_bce_of_probabilities_at_the_ends(isa: str, dtype: Any) -> None:
    A = np.array([[0.0, 1.0]], dtype)
    assert fn.bce_loss(A, A, from_logits=False) == 0
    assert fn.bce_loss(A, 1 - A, from_logits=False) == np.inf


@pytest.mark.parametrize("loss", ["bce", "cross_entropy"])
def test_calibrated_loss_is_the_least_one(isa: str, dtype: Any, rng: Any, loss: str) -> None:
    eps = float(np.finfo(dtype).eps)
    for rows in (1, 3) if loss == "bce" else (2, 11):
        for n in (*awkward_sizes(dtype)[1:], 1025):
            for size in (0.1, 1.0, 5.0):
                T = (
                    np.eye(rows)[:, rng.integers(0, rows, n)]
                    if rows > 1
                    else rng.integers(0, 2, (1, n)) * 1.0
                )
                Z, T = (size * (2 * T - 1 + rng.normal(size=T.shape))).astype(dtype), T.astype(dtype)
                w = rng.uniform(0.1, 2, n).astype(dtype) if n % 2 else None
                Z, T = np.ascontiguousarray(Z), np.ascontiguousarray(T)
                found, temperature = engine.calibrated_loss(loss, Z, T, w)
                least, _ = reference.calibrated_loss(*wide(Z, T), loss=loss, sample_weight=w)
                total = n if w is None else wide(w)[0].sum()
                activation = "sigmoid" if loss == "bce" else "softmax"
                of_each, _ = bounds(loss, activation, *wide(4 * Z, T), eps)  # a factor of 4 at most
                rounding = 2 * float(of_each.sum()) + n * eps * least * total
                # the parabola through the last two factors misses the bottom by less than 0.2 %
                assert abs(found - least * total) <= 2e-3 * least * total + rounding
                assert 0.25 <= temperature <= 8


def test_calibrated_loss_undoes_a_factor(isa: str, dtype: Any, rng: Any) -> None:
    Z = rng.normal(size=(4, 500)).astype(dtype)
    A = engine.activate(Z, "softmax")
    T = np.ascontiguousarray(np.eye(4, dtype=dtype)[:, (A.cumsum(axis=0) < rng.random(500)).sum(axis=0)])
    plain, temperature = engine.calibrated_loss("cross_entropy", Z, T)
    assert temperature == pytest.approx(1, abs=0.3)  # the targets were drawn by these probabilities
    for factor in (0.75, 2, 4):
        found, higher = engine.calibrated_loss("cross_entropy", np.multiply(Z, Z.dtype.type(factor)), T)
        assert found == pytest.approx(plain, rel=1e-4)
        assert higher == pytest.approx(factor * temperature, rel=0.05)


def test_calibrated_loss_of_what_is_told_apart_ends_at_its_bound(isa: str, dtype: Any) -> None:
    Z = np.array([[1.0, -2.0, 3.0]], dtype)
    loss, temperature = engine.calibrated_loss("bce", Z, (Z > 0).astype(dtype))
    assert temperature == 0.25
    assert loss == pytest.approx(np.log1p(np.exp(-4 * abs(Z.astype(np.float64)))).sum(), rel=1e-5)


def test_calibrated_loss_refuses_other_losses_and_shapes() -> None:
    Z = np.zeros((2, 3))
    with pytest.raises(ValueError, match="name must be bce or cross_entropy, got poisson"):
        engine.calibrated_loss("poisson", Z, Z)
    with pytest.raises(ValueError, match="T must have shape"):
        engine.calibrated_loss("bce", Z, Z[:, :2])
    with pytest.raises(ValueError, match="in C order"):
        engine.calibrated_loss("bce", Z.T[:, ::-1], Z.T)
