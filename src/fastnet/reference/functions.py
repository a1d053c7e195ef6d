"""exp, the sigmoid and the precision of an array: what the whole package builds on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["Array", "exp", "least", "real", "sigmoid", "without_tiny"]

Array = NDArray[Any]


def real(values: ArrayLike) -> Array:
    """Return float32, float64 and wider arrays as they are, anything else in float64.

    >>> from fastnet.reference.functions import real
    >>> real([1, 2]).dtype.name, real(np.float32([1])).dtype.name
    ('float64', 'float32')
    """
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64, np.longdouble) else array.astype(np.float64)


def least(dtype: DTypeLike) -> tuple[float, float]:
    """Return two numbers: what is below the first counts as 0 in products, below the second elsewhere.

    2⁻⁵⁰ and 2⁻¹²⁰ in float32, else 2⁻⁴⁸⁰ and 2⁻¹⁰¹⁰. The product of two numbers from the first on is far from
    the denormal numbers, which are slow on many processors.

    >>> least("float32")[0] == 2.0**-50
    True
    """
    return (2.0**-50, 2.0**-120) if np.dtype(dtype) == np.float32 else (2.0**-480, 2.0**-1010)


def without_tiny(x: Array) -> Array:
    """Return x with 0 where |x| is below the first number of `least`.

    >>> without_tiny(np.float32([1e-20, -2.0, 1e-10])).tolist() == [0.0, -2.0, float(np.float32(1e-10))]
    True
    """
    return np.where(np.abs(x) < least(x.dtype)[0], np.zeros_like(x), x)


def exp(Z: ArrayLike) -> Array:
    """Return e to the power of each element of Z.

    >>> float(exp(0.0))
    1.0
    """
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.exp(real(Z)))


def sigmoid(Z: ArrayLike) -> Array:
    """Return σ(z) = 1 / (1 + e⁻ᶻ) of each z; for z < 0 as eᶻ / (1 + eᶻ), so that e never overflows.

    >>> sigmoid([0.0, -1000.0])
    array([0.5, 0. ])
    """
    Z = real(Z)
    e = exp(-np.abs(Z))
    return np.asarray(np.where(np.signbit(Z), e, np.ones_like(e)) / (1 + e))
