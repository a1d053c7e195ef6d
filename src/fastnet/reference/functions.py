"""The two products of a dense layer, forward and back, and the functions the whole package builds on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Array", "dense_backward", "dense_forward", "exp", "real", "sigmoid"]

Array = NDArray[Any]


def real(values: ArrayLike) -> Array:
    """Return float32, float64 and wider arrays as they are, anything else in float64.

    >>> from fastnet.reference.functions import real
    >>> real([1, 2]).dtype.name, real(np.float32([1])).dtype.name
    ('float64', 'float32')
    """
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64, np.longdouble) else array.astype(np.float64)


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


def dense_forward(W: ArrayLike, b: ArrayLike, A: ArrayLike, activation: str = "identity") -> Array:
    """Return activation(W A + b), (n_out, n), from W (n_out, n_in), b (n_out, 1) and A (n_in, n).

    Z_jn = Σ_i w_ji a_in + b_j: one column of Z for each column of A.

    >>> dense_forward([[1.0, 2.0]], [[0.5]], [[1.0, 0.0], [1.0, -1.0]])
    array([[ 3.5, -1.5]])
    """
    from fastnet.reference.activations import activate  # which builds on this module

    W, b, A = real(W), real(b), real(A)
    if W.ndim != 2 or b.shape != (W.shape[0], 1) or A.ndim != 2 or A.shape[0] != W.shape[1]:
        raise ValueError(f"the shapes of W, b and A do not fit: {W.shape}, {b.shape}, {A.shape}")
    return activate(W @ A + b, activation)


def dense_backward(W: ArrayLike, A: ArrayLike, dZ: ArrayLike) -> tuple[Array, Array, Array]:
    """Return (dA, dW, db) of Z = W A + b, whose input A was (n_in, n), from dZ = ∂J/∂Z (n_out, n).

    Every gradient of a weight is a sum over the examples: ∂J/∂w_ji = Σ_n ∂J/∂Z_jn a_in.

    >>> dA, dW, db = dense_backward([[1.0, 2.0]], [[1.0, 0.0], [1.0, -1.0]], [[0.5, 1.0]])
    >>> dW, db
    (array([[ 0.5, -0.5]]), array([[1.5]]))
    """
    W, A, dZ = real(W), real(A), real(dZ)
    if W.ndim != 2 or A.ndim != 2 or A.shape[0] != W.shape[1] or dZ.shape != (W.shape[0], A.shape[1]):
        raise ValueError(f"the shapes of W, A and dZ do not fit: {W.shape}, {A.shape}, {dZ.shape}")
    dA = W.T @ dZ  # ∂J/∂a_in = Σ_j w_ji ∂J/∂Z_jn
    dW = dZ @ A.T  # ∂J/∂w_ji = Σ_n ∂J/∂Z_jn a_in
    db = dZ.sum(axis=1, keepdims=True)  # ∂J/∂b_j = Σ_n ∂J/∂Z_jn
    return dA, dW, db
