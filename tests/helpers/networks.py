"""What the tests of networks share: data, small networks, their bits, and the rounding they may differ by."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import fastnet as fn

DTYPES = ("float32", "float64")


def data(n_in: int, n_out: int, n: int, dtype: str, seed: int = 0) -> tuple[Any, Any]:
    """Return X ~ N(0, 1) and targets, some of them 0 or 1 and some between."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_in, n)).astype(dtype)
    T = np.clip(rng.normal(0.5, 0.6, size=(n_out, n)), 0, 1).astype(dtype)
    return X, T


def network(sizes: tuple[int, ...], dtype: str = "float64", seed: int = 0, package: Any = fn) -> Any:
    layers = [package.Layer(n_in, n_out) for n_in, n_out in pairwise(sizes)]
    return package.Network(layers, seed=seed, dtype=dtype)


def bits(network: Any) -> list[bytes]:
    return [array.tobytes() for layer in network.layers for array in (layer.W, layer.b)]


def rounding(dtype: str, sizes: tuple[int, ...], n: int, X: Any, steps: int = 1) -> float:
    """Return a bound on what the order of sums can change in a gradient, or in the weights after some steps.

    A sum of k products carries at most k roundings, each layer adds its own sum, the few of its sigmoid and,
    on the way back, the sum over the n examples. Factors are at most max(1, |X|); learning rates here are at
    most 1, so a step hands its error on to the next one once and adds its own. The curvature may double it:
    hence the 2.
    """
    largest = max(1.0, float(abs(X).max()))
    return 2 * steps * float(np.finfo(dtype).eps) * largest * (2 * sum(sizes) + 8 * len(sizes) + n)
