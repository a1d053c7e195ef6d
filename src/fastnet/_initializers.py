"""Initial weights: Glorot and He initialisation, drawn from a seed.

Draws come from the core's counter-based generator (see `fastnet.reference.uniform`). Normal ones are made of
uniform ones by the inverse of the distribution function, with no function of the C library in it: the same
seed gives the same weights on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnet._core import engine
from fastnet._core.float_mode import in_default_mode
from fastnet._validate import Array

__all__ = ["NAMES", "draw_weights"]

NAMES = ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal")
_WEIGHT_STREAMS = 2**63  # below lie the streams of the epochs' shuffles

Reals = NDArray[np.float64]


@in_default_mode
def draw_weights(
    init: str, n_in: int, n_out: int, activation: str, seed: int, k: int, dtype: np.dtype[Any]
) -> tuple[Array, Array]:
    """Return W (n_out, n_in) and b (n_out, 1) of layer k of a network: a stream of its own, W in C order."""
    count = n_out * n_in
    drawn = engine.uniform(seed, _WEIGHT_STREAMS + k, count + (n_out if init == "glorot_uniform" else 0))
    fans = n_in + n_out if init.startswith("glorot") else n_in
    if init.endswith("uniform"):
        factor = 2 if init == "glorot_uniform" and activation in ("sigmoid", "logistic") else 6
        drawn *= 2
        drawn -= 1
        drawn *= math.sqrt(factor / fans)
    else:
        drawn = draw_normal(drawn)
        drawn *= math.sqrt(2 / fans)
    W, b = drawn[:count].reshape(n_out, n_in), drawn[count:].reshape(-1, 1)
    return W.astype(dtype), b.astype(dtype) if len(b) else np.zeros((n_out, 1), dtype)


# Coefficients of Wichura's algorithm AS 241 (Applied Statistics 37, 1988), highest power first: quotients of
# two polynomials, in 0.180625 - q^2 near the median and in the root of -log p further out.
_CENTRE = (
    (
        2509.0809287301227,
        33430.57558358813,
        67265.7709270087,
        45921.95393154987,
        13731.69376550946,
        1971.5909503065513,
        133.14166789178438,
        3.3871328727963665,
    ),
    (
        5226.495278852854,
        28729.085735721943,
        39307.89580009271,
        21213.794301586597,
        5394.196021424751,
        687.1870074920579,
        42.31333070160091,
        1.0,
    ),
)
_TAIL = (
    (
        0.0007745450142783414,
        0.022723844989269184,
        0.2417807251774506,
        1.2704582524523684,
        3.6478483247632045,
        5.769497221460691,
        4.630337846156546,
        1.4234371107496835,
    ),
    (
        1.0507500716444169e-09,
        0.0005475938084995345,
        0.015198666563616457,
        0.14810397642748008,
        0.6897673349851,
        1.6763848301838038,
        2.053191626637759,
        1.0,
    ),
)
_FAR = (
    (
        2.0103343992922881e-07,
        2.7115555687434876e-05,
        0.0012426609473880784,
        0.026532189526576124,
        0.29656057182850487,
        1.7848265399172913,
        5.463784911164114,
        6.657904643501103,
    ),
    (
        2.0442631033899397e-15,
        1.421511758316446e-07,
        1.8463183175100548e-05,
        0.0007868691311456133,
        0.014875361290850615,
        0.1369298809227358,
        0.599832206555888,
        1.0,
    ),
)
_LN2 = math.log(2)


def draw_normal(u: Reals) -> Reals:
    """Return the normal deviates below which a part u of the distribution lies, 0 <= u < 1.

    AS 241, about 1e-16 relative. u = 0 is taken as 2^-54, half the step of the uniform draws.

    >>> draw_normal(np.array([0.5, 0.975])).round(6)
    array([0.      , 1.959964])
    """
    q = u - 0.5
    z = _quotient(_CENTRE, 0.180625 - q * q) * q
    outside = abs(q) > 0.425
    p = u[outside]
    below = p < 0.5
    r = np.sqrt(-_log(np.where(below, np.maximum(p, 2.0**-54), 1 - p)))
    tail = np.where(r > 5, _quotient(_FAR, r - 5), _quotient(_TAIL, r - 1.6))
    z[outside] = np.where(below, -tail, tail)
    return z


def _quotient(tables: Sequence[Sequence[float]], r: Reals) -> Reals:
    above, below = (np.full_like(r, table[0]) for table in tables)
    for value, table in ((above, tables[0]), (below, tables[1])):
        for coefficient in table[1:]:
            value *= r
            value += coefficient
    quotient: Reals = above / below
    return quotient


def _log(x: Reals) -> Reals:
    """Return log x of positive x: of the power of two, and 2 artanh((m - 1) / (m + 1)) of the rest."""
    m, power = np.frexp(x)
    low = m < math.sqrt(0.5)
    m = np.where(low, 2 * m, m)
    s = (m - 1) / (m + 1)
    square = s * s
    series = np.zeros_like(s)
    for k in range(23, 0, -2):  # |s| <= 0.172, and 0.172^24 / 25 is below 2e-20
        series *= square
        series += 1 / k
    logarithm: Reals = (power - low) * _LN2 + 2 * s * series
    return logarithm
