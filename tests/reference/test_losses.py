"""The oracle's losses: by hand, against exact arithmetic, and differences.

Nothing here uses the compiled core.
"""

import math
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

from fastnet import reference as ref
from fastnet.reference.activations import ACTIVATIONS, OUTPUT_ONLY
from fastnet.reference.losses import LOSSES, cost_and_dZ, default_loss

EPS = np.finfo(np.float64).eps

# ---- the losses

ELEMENTWISE = [name for name in ACTIVATIONS if name != "softmax"]
LOG2, LOG3 = math.log(2), math.log(3)
BY_HAND: list[tuple[str, float, str, list[float], list[float], float, list[float]]] = [
    # loss, parameter, activation, z and t of one example, J, dz
    ("bce", 1.0, "sigmoid", [0.0, LOG3], [1.0, 0.0], LOG2 + math.log(4), [-0.5, 0.75]),
    ("bce", 1.0, "sigmoid", [LOG3], [0.25], math.log(4) - 0.25 * LOG3, [0.5]),
    ("cross_entropy", 1.0, "softmax", [0.0, LOG3], [1.0, 0.0], math.log(4), [-0.75, 0.75]),
    ("cross_entropy", 1.0, "softmax", [0.0, LOG3], [0.5, 0.5], math.log(4) - LOG3 / 2, [-0.25, 0.25]),
    ("poisson", 1.0, "exp", [LOG2], [3.0], 3 * LOG3 - 3 * LOG2 - 1, [-1.0]),
    ("poisson", 1.0, "exp", [LOG2, 0.0], [0.0, 1.0], 2.0, [2.0, 0.0]),
    ("squared_error", 1.0, "identity", [3.0, -1.0], [1.0, 0.0], 2.5, [2.0, -1.0]),
    ("squared_error", 1.0, "sigmoid", [LOG3], [0.25], 0.125, [0.5 * 0.75 * 0.25]),
    ("absolute_error", 1.0, "identity", [3.0, -1.0, 2.0], [1.0, 0.0, 2.0], 3.0, [1.0, -1.0, 0.0]),
    ("absolute_error", 1.0, "leaky_relu", [-100.0], [2.0], 3.0, [-0.01]),
    ("huber", 1.0, "identity", [3.0, -0.5, 1.0], [1.0, 0.0, 0.0], 1.5 + 0.125 + 0.5, [1.0, -0.5, 1.0]),
    ("huber", 0.5, "identity", [3.0, -2.0], [1.0, 0.0], 0.875 + 0.875, [0.5, -0.5]),
    ("quantile", 0.9, "identity", [1.0, 3.0, 2.0], [2.0, 1.0, 2.0], 0.9 + 0.2, [-0.9, 0.1, 0.0]),
    ("quantile", 0.5, "identity", [1.0, 3.0], [2.0, 1.0], 1.5, [-0.5, 0.5]),
]


@pytest.mark.parametrize("case", BY_HAND, ids=lambda case: f"{case[0]}-{case[2]}-{case[1]}")
def test_losses_by_hand(case: Any) -> None:
    name, parameter, activation, z, t, J, dz = case
    Z, T = np.array([z]).T, np.array([t]).T
    found_J, dZ = cost_and_dZ(name, parameter, activation, Z, T)
    np.testing.assert_allclose(found_J, [J], rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(dZ, np.array([dz]).T, rtol=1e-15, atol=1e-15)


def targets(name: str, A: Any, rng: np.random.Generator) -> Any:
    """Return targets that a loss may have, none of them at a kink."""
    if name == "cross_entropy":
        T = rng.uniform(0, 1, A.shape)
        return T / T.sum(axis=0)
    if name in ("bce", "poisson"):
        return rng.uniform(0, 1 if name == "bce" else 5, A.shape)
    return A + rng.choice([-1, 1], A.shape) * rng.choice([0.3, 1.7], A.shape)


def pairs() -> list[tuple[str, str]]:
    """Return every loss with every activation that it goes with."""
    bound = {default_loss(name): name for name in ("sigmoid", *OUTPUT_ONLY)}
    free = [name for name in ELEMENTWISE if name not in OUTPUT_ONLY]
    return [(loss, name) for loss in LOSSES for name in ([bound[loss]] if loss in bound else free)]


@pytest.mark.parametrize(("loss", "activation"), pairs())
def test_dZ_against_central_differences(loss: str, activation: str, rng: np.random.Generator) -> None:
    precision = np.longdouble
    Z = rng.uniform(-3, 3, (3, 20)).astype(precision)
    Z += np.where(abs(Z) < 0.01, precision(0.1), 0)  # no kink within h
    T = targets(loss, ref.activate(Z, activation), rng).astype(precision)
    parameter = 0.7 if loss == "quantile" else 1.0
    dZ = cost_and_dZ(loss, parameter, activation, Z, T)[1]
    h = precision(1e-5)  # truncation h²/6 times the third derivative, below 10 a; rounding 1e-19 J/h
    for row in range(3):
        step = np.zeros_like(Z)
        step[row] = h
        above, below = (cost_and_dZ(loss, parameter, activation, Z + s, T)[0] for s in (step, -step))
        assert abs((above - below) / (2 * h) - dZ[row]).max() <= 3e-8 * abs(dZ).max() + 1e-9


def test_means_and_weights() -> None:
    Z, T = [[1.0, 4.0, 0.0]], [[1.0, 2.0, 3.0]]
    assert ref.loss(Z, T, loss="squared_error") == pytest.approx((0 + 2 + 4.5) / 3, rel=1e-15)
    assert ref.loss(Z, T, loss="squared_error", sample_weight=[1.0, 0.5, 0.0]) == pytest.approx(1 / 1.5)
    dZ = ref.loss_backward(Z, T, loss="squared_error", sample_weight=[1.0, 0.5, 0.0])
    np.testing.assert_array_equal(dZ, [[0.0, 1.0, 0.0]])
    assert ref.loss(Z, T, loss=ref.Quantile(0.9)) == pytest.approx((0.2 + 2.7) / 3)
    assert ref.loss(Z, T, loss=ref.Huber(0.5)) == pytest.approx((0.5 * 1.75 + 0.5 * 2.75) / 3)
    assert ref.loss(Z, T, loss="quantile") == pytest.approx(2.5 / 3)
    assert ref.loss(Z, T, activation="tanh") == ref.loss(np.tanh(Z), T, loss="squared_error")
    # who goes with whom when one of the two is left out
    assert ref.loss([[0.0]], [[1.0]]) == LOG2
    assert ref.loss([[0.0], [LOG3]], [[1.0], [0.0]], activation="softmax") == pytest.approx(math.log(4))
    assert ref.loss([[LOG2]], [[0.0]], loss="poisson") == pytest.approx(2)


def test_far_logits_cost_what_they_should() -> None:
    far = np.array([[1e4, -1e4, 0.0]]).T
    J, dZ = cost_and_dZ("cross_entropy", 1.0, "softmax", far, np.array([[0.0, 1.0, 0.0]]).T)
    assert J.tolist() == [2e4]
    assert dZ.ravel().tolist() == [1, -1, 0]
    J, dZ = cost_and_dZ("poisson", 1.0, "exp", np.array([[-1e4]]), np.array([[2.0]]))
    assert J[0] == pytest.approx(2 * LOG2 - 2 + 2e4, rel=1e-15)
    assert dZ.tolist() == [[-2.0]]


# ---- the functions against exact arithmetic


@pytest.mark.parametrize("z", [0.0, 1e-300, -1e-9, 0.3, -2.5, 17.0, -37.0, 36.9, 700.0, -700.0, 1e4, -1e4])
def test_cost_and_sigmoid_against_mpmath(z: float) -> None:
    with mp.workdps(60 + round(abs(z))):  # enough for 1 − a
        exact_a = 1 / (1 + mp.exp(-mpf(z)))
        assert abs(ref.sigmoid([z])[0] - exact_a) <= 2 * EPS * exact_a + mpf(2) ** -1074
        for t in (0.0, 0.25, 1.0):  # powers of two: t z is exact
            exact = -t * mp.log(exact_a) - (1 - mpf(t)) * mp.log(1 - exact_a)
            assert abs(ref.bce_loss([[z]], [[t]]) - exact) <= 2 * EPS * exact + mpf(2) ** -1074
            assert abs(ref.bce_backward([[z]], [[t]])[0, 0] - (exact_a - t)) <= 2 * EPS


def test_logits_and_outputs_agree(rng: np.random.Generator) -> None:
    Z = rng.uniform(-5, 5, (3, 40))
    targets = rng.uniform(0, 1, Z.shape)
    A = ref.sigmoid(Z)
    same = ref.bce_backward(A, targets, from_logits=False)
    np.testing.assert_array_equal(ref.bce_backward(Z, targets), same)
    # a carries up to 2 eps, which log(1 − a) makes larger by a/(1 − a) <= e^5; 3 outputs are summed
    near = ref.bce_loss(A, targets, from_logits=False)
    assert abs(ref.bce_loss(Z, targets) - near) <= 3 * 4 * EPS * math.exp(5)


def test_saturated_logits_stay_finite() -> None:
    Z, targets = [[1e4, 1e4, -1e4, -1e4]], [[0.0, 1.0, 0.0, 1.0]]
    assert ref.bce_loss(Z, targets) == 5000.0
    np.testing.assert_array_equal(ref.bce_backward(Z, targets), [[1, 0, 0, -1]])
    net = ref.Network([ref.Layer(1, 1, W=[[1e4]])])
    inputs = [[1.0, 1.0, -1.0, -1.0]]
    assert net.loss(inputs, targets) == 5000.0
    (dW, db), *_ = net.gradients(inputs, targets)
    assert (dW.item(), db.item()) == (0.5, 0.0)
    # outputs of 0 and 1 themselves cost nothing where they are right, infinity elsewhere
    assert ref.bce_loss([[1.0, 0.0]], [[1.0, 0.0]], from_logits=False) == 0.0
    assert ref.bce_loss([[1.0]], [[0.0]], from_logits=False) == math.inf
    assert ref.bce_loss([[0.0]], [[0.5]], from_logits=False) == math.inf
