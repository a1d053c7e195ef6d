"""The normal distribution in the precision of the array, or to 2⁻⁶⁴: NumPy has no error function.

With φ(x) = e^(−x²/2) / √(2π) and Φ(z) = ∫ φ from −∞ to z, and for x ≥ 0

    Φ(−x) = 1/2 − φ(x) (x + x³/3 + x⁵/(3·5) + x⁷/(3·5·7) + ...)          for x < 1.5
    Φ(−x) = φ(x) / (x + 1/(x + 2/(x + 3/(x + ...))))                     beyond (Laplace)
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnet.reference.functions import Array, exp, real

__all__ = ["density", "deviates", "distribution"]

TERMS = 30  # of the series: 1.5⁶¹ / (3·5···61) is below 2⁻⁹⁰
FRACTIONS = 300  # of the continued fraction: at x = 1.5 the rest is below 2⁻⁶⁴


def density(Z: ArrayLike) -> Array:
    """Return φ(z) = e^(−z²/2) / √(2π).

    The exponent is taken in two parts, the first of few bits and so without error: the rounding of a large
    z² would be multiplied by z²/2.

    >>> from fastnet.reference.normal import density
    >>> density([0.0, 1.0]).round(6)
    array([0.398942, 0.241971])
    """
    x = np.abs(real(Z))
    near = np.round(16 * np.minimum(x, 64)) / 16
    two_pi = 8 * np.arctan(np.ones_like(x))
    with np.errstate(over="ignore", under="ignore"):
        E = exp(-near * near / 2) * exp(-(x - near) * (x + near) / 2)
        return np.asarray(E / np.sqrt(two_pi))


def _mills(x: Array) -> Array:
    """Return Φ(−x) / φ(x) for x >= 0."""
    fraction = far = np.maximum(x, 1.5)
    for k in range(FRACTIONS, 0, -1):
        fraction = far + k / fraction
    near = np.minimum(x, 1.5)
    series = term = near
    for k in range(1, TERMS):
        term = term * near * near / (2 * k + 1)
        series = series + term
    return np.where(x < 1.5, 1 / (2 * density(near)) - series, 1 / fraction)


def distribution(Z: ArrayLike) -> Array:
    """Return Φ(z): how much of the normal distribution lies below z.

    >>> from fastnet.reference.normal import distribution
    >>> distribution([-1.0, 0.0, 1.0]).round(6)
    array([0.158655, 0.5     , 0.841345])
    """
    Z = real(Z)
    x = np.abs(Z)
    with np.errstate(under="ignore"):
        below = density(x) * _mills(x)
    return np.where(Z < 0, below, 1 - below)


def deviates(u: ArrayLike) -> NDArray[np.float64]:
    """Return z with Φ(z) = u for 0 <= u < 1; u = 0 is taken as 2^-54, half the step of the uniform numbers.

    >>> from fastnet.reference.normal import deviates
    >>> deviates([0.5, 0.975]).round(6)
    array([0.      , 1.959964])
    """
    inverse = NormalDist().inv_cdf
    return np.array([inverse(max(p, 2.0**-54)) for p in np.asarray(u).tolist()], dtype=np.float64)
