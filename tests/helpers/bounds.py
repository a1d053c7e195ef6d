"""How far two correct ways to compute a network's output may be apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastnet as fn
from fastnet.reference.normal import density, distribution

STEEPEST = 1.8  # slope of any activation but exp and softmax: selu's just below 0
ERROR = 8  # an activation, in units of eps; relative to a, and absolute where |z| < 1


def forward_error(net: fn.Network, X: Any) -> Any:
    """Return a bound (n_out, n) on the difference of two outputs for examples X (n_in, n).

    A sum of n_in products and a bias is rounded at most n_in + 1 times, in any order. An error of z goes
    on with the slope of the activation, which adds its own; that of the layer's input goes through |W|.
    """
    eps = float(np.finfo(net.dtype).eps)
    A = np.asarray(X, float)
    E = np.zeros_like(A)
    for layer in net.layers:
        W, b = layer.W.astype(float), layer.b.astype(float)
        Z = W @ A + b
        E = abs(W) @ E + (layer.n_in + 1) * eps * (abs(W) @ abs(A) + abs(b))
        A = fn.Layer(len(Z), len(Z), layer.activation, W=np.eye(len(Z))).forward(Z)  # in float64
        if layer.activation == "softmax":
            E = A * (2 * E.max(axis=0) + (len(Z) + ERROR) * eps)
        elif layer.activation == "exp":
            E = A * (E + ERROR * eps)
        else:
            E = STEEPEST * E + ERROR * eps * (abs(A) + np.minimum(abs(Z), 1))
    return 2 * E


SLOPES: dict[str, Callable[[Any, Any, Any], Any]] = {
    # What a slope may be off by, in eps, from z, a and the slope: what the bound of a makes of it, and the
    # roundings of the last operations.
    "identity": lambda z, a, slope: 0,
    "sigmoid": lambda z, a, slope: 3 * a,  # a − a²: (1 − 2a) of 2 ULP
    "logistic": lambda z, a, slope: 3 * a,
    "tanh": lambda z, a, slope: 5,  # 1 − a²: 2a of 4 ULP, each half an eps
    "relu": lambda z, a, slope: 0,
    "leaky_relu": lambda z, a, slope: slope,
    "elu": lambda z, a, slope: 1.5,  # eᶻ − 1 of 2 ULP below 1, and + 1
    "selu": lambda z, a, slope: 3,  # the same times 1.76
    "silu": lambda z, a, slope: 6,  # s + a (1 − s), whose parts are at most 1: 2 ULP, 3 + 2 and two roundings
    "gelu": lambda z, a, slope: 6 * (distribution(-abs(z)) + abs(z) * density(z)) + 0.5,  # tools/emulation.py
    "softplus": lambda z, a, slope: 3 * slope,
    "mish": lambda z, a, slope: (
        8
    ),  # t + z s (1 − t²), whose parts are at most 1: 3 ULP, 3 + 2 and five roundings
    "exp": lambda z, a, slope: 1.1 * slope,
}


def slope_bound(name: str, Z: Any, A: Any, slope: Any, dtype: Any) -> Any:
    """Return what the slope of an activation at Z may be off by; A and `slope` are the exact values."""
    with np.errstate(over="ignore", invalid="ignore"):
        size = SLOPES[name](Z, A, slope) * np.ones_like(Z)
        return size * float(np.finfo(dtype).eps) + float(np.finfo(dtype).smallest_subnormal)
