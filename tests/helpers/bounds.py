"""How far two correct ways to compute a network's output may be apart."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastnet as fn

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
