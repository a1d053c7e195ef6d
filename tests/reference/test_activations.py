"""The oracle's activations: against exact arithmetic, numbers worked out by hand, and differences.

Nothing here uses the compiled core.
"""

import math
from typing import Any

import numpy as np
import pytest
from exact import exactly
from mpmath import mp, mpf

from fastnet import reference as ref
from fastnet.reference.activations import ACTIVATIONS, SELU_ALPHA, SELU_SCALE

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
