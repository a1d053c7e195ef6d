"""A dense layer: the product W A + b, and its gradients."""

from __future__ import annotations

from numpy.typing import ArrayLike

from fastnet.reference.activations import activate
from fastnet.reference.functions import Array, real

__all__ = ["dense_backward", "dense_forward"]


def dense_forward(W: ArrayLike, b: ArrayLike, A: ArrayLike, activation: str = "identity") -> Array:
    """Return activation(W A + b), (n_out, n), from W (n_out, n_in), b (n_out, 1) and A (n_in, n).

    Z_jn = Σ_i w_ji a_in + b_j: one column of Z for each column of A.

    >>> dense_forward([[1.0, 2.0]], [[0.5]], [[1.0, 0.0], [1.0, -1.0]])
    array([[ 3.5, -1.5]])
    """
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
