"""exp and sigmoid on every build: their stated bounds in ULP, and where they end."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np

import fastnet as fn

EXP_ULP, SIGMOID_ULP = 1.1, 2.0


def ulps(got: Any, exact: Any, dtype: Any) -> Any:
    """Return |got - exact| in units of the spacing of numbers just below the exact value."""
    with np.errstate(over="ignore"):
        right = np.minimum(abs(exact.astype(dtype)), np.finfo(dtype).max)
    spacing = (right - np.nextafter(right, dtype(-1))).astype(exact.dtype)
    overflow = exact > np.finfo(dtype).max
    with np.errstate(invalid="ignore"):  # infinity - infinity, where both overflow
        error = abs(got.astype(exact.dtype) - exact) / spacing
    return np.where(overflow, np.where(np.isinf(got) | (got == np.finfo(dtype).max), 0, np.inf), error)


def every_binade(dtype: Any = np.float32) -> Any:
    """Return float32 numbers of every exponent and both signs, 2039 mantissas each."""
    mantissas = np.linspace(0, 2**23 - 1, 2039).astype(np.uint32)
    exponents = np.arange(255, dtype=np.uint32) << 23
    x = (exponents[:, None] | mantissas[None, :]).ravel().view(np.float32)
    return np.concatenate([x, -x])


def test_exp_float32_over_all_binades(isa: str) -> None:
    x = every_binade()
    with np.errstate(over="ignore", under="ignore"):
        assert ulps(fn.exp(x), np.exp(x.astype(np.float64)), np.float32).max() <= EXP_ULP


def test_exp_float32_densely_where_it_varies(isa: str) -> None:
    x = np.linspace(-104.5, 89.5, 3_000_001).astype(np.float32)
    assert ulps(fn.exp(x), np.exp(x.astype(np.float64)), np.float32).max() <= EXP_ULP


def exact_sigmoid(x: Any) -> Any:
    x = x.astype(np.longdouble)
    with np.errstate(over="ignore", under="ignore"):
        return 1 / (1 + np.exp(-x))


def test_sigmoid_float32_over_all_binades(isa: str) -> None:
    x = every_binade()
    assert ulps(fn.sigmoid(x), exact_sigmoid(x), np.float32).max() <= SIGMOID_ULP


def test_sigmoid_float32_densely_where_it_varies(isa: str) -> None:
    x = np.linspace(-104.5, 20, 2_000_001).astype(np.float32)
    assert ulps(fn.sigmoid(x), exact_sigmoid(x), np.float32).max() <= SIGMOID_ULP


def test_exp_and_sigmoid_float64_on_samples(isa: str, rng: Any) -> None:
    x = np.concatenate([
        rng.uniform(-746, 710, 1500), rng.uniform(-40, 40, 1000), rng.uniform(-2, 2, 1000),
        rng.normal(size=200) * 10.0 ** rng.integers(-300, 0, 200), [0.0, -0.0, -745.2, 709.7, 710.5, 5e-324],
    ])  # fmt: skip
    with mpmath.workprec(140):
        exps = [mpmath.exp(float(v)) for v in x]
        sigmoids = [1 / (1 + mpmath.exp(-float(v))) for v in x]

        def error(got: Any, exact: list[Any]) -> float:
            worst = 0.0
            for g, e in zip(got, exact, strict=True):
                if e > mpmath.mpf(np.finfo(np.float64).max):
                    assert np.isinf(g)
                    continue
                spacing = mpmath.mpf(float(np.spacing(abs(float(e)))))
                worst = max(worst, float(abs(mpmath.mpf(float(g)) - e) / spacing))
            return worst

        assert error(fn.exp(x), exps) <= EXP_ULP
        assert error(fn.sigmoid(x), sigmoids) <= SIGMOID_ULP


def test_exp_is_monotone(isa: str) -> None:
    x = np.sort(np.concatenate([every_binade(), np.linspace(-104, 89, 500_001).astype(np.float32)]))
    assert np.all(np.diff(fn.exp(x)[fn.exp(x) < np.inf]) >= 0)


def test_nan_and_infinity_pass_through(isa: str, dtype: Any) -> None:
    z = np.array([np.nan, np.inf, -np.inf, 0.0] * 9, dtype)
    np.testing.assert_array_equal(fn.sigmoid(z), np.array([np.nan, 1, 0, 0.5] * 9, dtype))
    np.testing.assert_array_equal(fn.exp(z), np.array([np.nan, np.inf, 0, 1] * 9, dtype))
    W, b = np.ones((2, 1), dtype), np.zeros((2, 1), dtype)
    np.testing.assert_array_equal(fn.dense_forward(W, b, z[None, :4])[1], z[:4])
