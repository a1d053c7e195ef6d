"""Initial weights: Glorot and He initialisation, drawn from a seed.

Draws come from the core's counter-based generator (see `fastnet.reference.uniform`). Normal ones are made of
uniform ones by the inverse of the distribution function, with no function of the C library in it: the same
seed gives the same weights on every machine.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnet._core import engine
from fastnet._core.float_mode import in_default_mode
from fastnet._validate import Array

__all__ = ["NAMES", "draw_weights"]

NAMES = ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal")
_WEIGHT_STREAMS = 2**63  # below lie the streams of the epochs' shuffles


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
        drawn = engine.normal(drawn)
        drawn *= math.sqrt(2 / fans)
    W, b = drawn[:count].reshape(n_out, n_in), drawn[count:].reshape(-1, 1)
    return W.astype(dtype), b.astype(dtype) if len(b) else np.zeros((n_out, 1), dtype)
