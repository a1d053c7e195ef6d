"""The oracle's activations and losses: against exact arithmetic, numbers worked out by hand, and differences.

Nothing here uses the compiled core.
"""

import math
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

from fastnet import reference as ref
from fastnet.reference.activations import ACTIVATIONS, OUTPUT_ONLY, SELU_ALPHA, SELU_SCALE
from fastnet.reference.losses import LOSSES, cost_and_dZ, default_loss
from fastnet.reference.normal import density, deviates, distribution

ELEMENTWISE = [name for name in ACTIVATIONS if name != "softmax"]
KINKED = {"relu": (0, 1), "leaky_relu": (0.01, 1), "selu": (SELU_SCALE * SELU_ALPHA, SELU_SCALE)}
POINTS = [-30.0, -8.0, -3.5, -1.25, -0.7, -0.1, -1e-9, 1e-9, 0.1, 0.7, 1.25, 3.5, 8.0, 30.0]
PRECISIONS = [np.float64, np.longdouble]


def exact(name: str, z: Any) -> Any:
    """Return an activation by its definition, with as many digits as mpmath is set to."""
    return {
        "identity": lambda: z,
        "sigmoid": lambda: 1 / (1 + mp.exp(-z)),
        "logistic": lambda: 1 / (1 + mp.exp(-z)),
        "tanh": lambda: mp.tanh(z),
        "relu": lambda: max(z, 0),
        "leaky_relu": lambda: z if z > 0 else mpf(0.01) * z,
        "elu": lambda: z if z > 0 else mp.expm1(z),
        "selu": lambda: SELU_SCALE * (z if z > 0 else mpf(SELU_ALPHA) * mp.expm1(z)),
        "silu": lambda: z / (1 + mp.exp(-z)),
        "gelu": lambda: z * mp.ncdf(z),
        "softplus": lambda: mp.log1p(mp.exp(z)),
        "mish": lambda: z * mp.tanh(mp.log1p(mp.exp(z))),
        "exp": lambda: mp.exp(z),
    }[name]()


def exactly(x: Any) -> Any:
    """Return a NumPy number in mpmath, whatever its precision."""
    high = float(x)
    return mpf(high) + mpf(float(x - type(x)(high)))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_activations_and_slopes_against_their_definition(name: str, precision: Any) -> None:
    Z = np.array(POINTS, dtype=precision)
    A, slopes = ref.activate(Z, name), ref.activation_backward(Z, np.ones_like(Z), name)
    assert (A.dtype, slopes.dtype) == (precision, precision)
    eps = float(np.finfo(precision).eps)
    for z, a, slope in zip(POINTS, A, slopes, strict=True):
        with mp.workdps(60):
            # Some ten roundings. Φ loses up to five bits in the difference from 1/2 at −1.5; the slopes are
            # sums of terms below 1.1 |z| + 1.1, whose difference may be small.
            bound = 10 * eps * (32 if name == "gelu" else 1)
            right = exact(name, mpf(z))
            assert abs(exactly(a) - right) <= bound * abs(right)
            slope_right = mp.diff(lambda v: exact(name, v), mpf(z), h=mpf(10) ** -25)
            size = abs(slope_right) + (1 + abs(z)) * mp.exp(-abs(z) / 2)
            if name in ("sigmoid", "logistic", "tanh"):  # from a, whose rounding near 1 is all that is left
                size += 1
            assert abs(exactly(slope) - slope_right) <= bound * size + mpf(10) ** -20


def test_activations_at_the_ends() -> None:
    ends = np.array([-1e308, -800.0, -0.0, 0.0, 800.0, 1e308])
    with np.errstate(over="ignore"):  # selu of the largest
        found = {name: ref.activate(ends, name).tolist() for name in ELEMENTWISE}
    zero = [0.0, 0.0, 0.0, 0.0]
    large = [800.0, 1e308]
    assert found["relu"] == found["silu"] == found["gelu"] == found["mish"] == [*zero, *large]
    assert found["tanh"] == [-1, -1, 0, 0, 1, 1]
    assert found["elu"] == [-1, -1, 0, 0, *large]
    assert found["softplus"] == [0, 0, math.log(2), math.log(2), *large]
    assert found["exp"] == [0, 0, 1, 1, math.inf, math.inf]
    for name in ELEMENTWISE:
        assert np.isnan(ref.activate(np.array([np.nan]), name)).all()
        if name != "exp":
            assert np.isfinite(ref.activation_backward(ends, np.ones_like(ends), name)).all()


def test_the_slope_at_a_kink_is_that_below() -> None:
    for name, (below, above) in KINKED.items():
        slopes = ref.activation_backward([0.0, -0.0, 1e-300], [1.0, 1.0, 1.0], name)
        assert slopes.tolist() == [below, below, above]
    assert ref.activation_backward([0.0], [1.0], "elu").tolist() == [1.0]  # no kink


def test_softmax() -> None:
    A = ref.activate(np.log([[1.0, 8.0], [3.0, 1.0], [4.0, 7.0]]), "softmax")
    np.testing.assert_allclose(A, [[1 / 8, 8 / 16], [3 / 8, 1 / 16], [4 / 8, 7 / 16]], rtol=1e-15)
    shifted = ref.activate(np.array([[1000.0, -1000.0], [1001.0, -1001.0]]), "softmax")
    right = [1 / (1 + math.e), 1 / (1 + 1 / math.e)]
    np.testing.assert_allclose(shifted[0], right, rtol=1e-15)
    np.testing.assert_allclose(shifted.sum(axis=0), 1, rtol=1e-15)
    # of two outputs it is the sigmoid of their difference: slopes a (1 − a) and −a (1 − a)
    Z, dA = np.array([[0.5], [-0.75]]), np.array([[2.0], [-1.0]])
    a = ref.sigmoid(1.25).item()
    dZ = ref.activation_backward(Z, dA, "softmax")
    np.testing.assert_allclose(dZ, [[3 * a * (1 - a)], [-3 * a * (1 - a)]], rtol=1e-14)


# ---- the normal distribution


@pytest.mark.parametrize("precision", PRECISIONS)
def test_normal_distribution(precision: Any, rng: np.random.Generator) -> None:
    numbers = [*rng.uniform(-37, 37, 150), *rng.uniform(-2, 2, 150), -1.5, np.nextafter(-1.5, 0), -0.0, 1.0]
    Z = np.array(numbers, dtype=precision)
    eps = float(np.finfo(precision).eps)
    for z, whole, height in zip(Z, distribution(Z), density(Z), strict=True):
        with mp.workdps(60):
            below, at = mp.ncdf(exactly(z)), mp.npdf(exactly(z))
            assert abs(exactly(whole) - below) <= 40 * eps * below  # see above
            assert abs(exactly(height) - at) <= 4 * eps * at
    assert distribution([-np.inf, -1e200, -40.0, 40.0, np.inf]).tolist() == [
        0,
        0,
        distribution([-40.0])[0],
        1,
        1,
    ]


def test_normal_deviates() -> None:
    u = np.array([2.0**-53, 1e-9, 0.02, 0.3, 0.5, 0.7, 0.98, 1 - 2.0**-53])
    z = deviates(u)
    assert z[4] == 0
    np.testing.assert_array_equal(np.sign(z), np.sign(u - 0.5))
    # an error of z moves Φ(z) by φ(z) times that: 4 ULP of z, and what rounds Φ
    error = abs(distribution(z.astype(np.longdouble)) - u)
    assert np.all(error <= density(z) * 4 * np.spacing(abs(z)) + 2.0**-54 * u)
    assert deviates([0.0]) == deviates([2.0**-54])


# ---- the losses

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
