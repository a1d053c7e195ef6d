"""The kernels by themselves, for teaching and for testing: checked arguments in, one call of the core each.

An example is a column, so `A` is (n_in, n), `Z` and `T` are (n_out, n). The precision is that of the first
array argument (float32 or float64; integers count as float64) and the other arrays must have it too.
`fastnet.reference` has the same functions in plain NumPy.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from fastnet import _validate
from fastnet._core import engine
from fastnet._validate import Array

__all__ = [
    "bce_backward",
    "bce_loss",
    "dense_backward",
    "dense_forward",
    "exp",
    "sigmoid",
    "sigmoid_backward",
]


def dense_forward(W: ArrayLike, b: ArrayLike, A: ArrayLike, activation: str = "identity") -> Array:
    """Return activation(W A + b), the output of a dense layer.

    Parameters
    ----------
    W : array_like, shape (n_out, n_in)
        Weights; their dtype is that of the result.
    b : array_like, shape (n_out, 1)
        Biases.
    A : array_like, shape (n_in, n)
        Input, an example in each column; any strides, read without a copy.
    activation : {"identity", "sigmoid"}
        Applied to each element of Z = W A + b.

    Returns
    -------
    ndarray, shape (n_out, n)
        In C order. NaN and infinities pass through as IEEE arithmetic has it.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, dtypes differ or `activation` is unknown.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.dense_forward([[1.0, 2.0]], [[0.5]], [[1.0, 0.0], [1.0, -1.0]])
    array([[ 3.5, -1.5]])
    """
    W = _validate.matrix(W, "W", "(n_out, n_in), neither of them 0")
    b = _validate.exact(b, "b", (W.shape[0], 1), W.dtype, "W")
    A = _validate.columns(A, "A", W.shape[1], W.dtype, "W")
    name = _validate.activation(activation)
    return engine.forward([_validate.contiguous(W)], [_validate.contiguous(b)], [name], A)


def dense_backward(W: ArrayLike, A: ArrayLike, dZ: ArrayLike) -> tuple[Array, Array, Array]:
    """Return (dA, dW, db), the gradients of a dense layer Z = W A + b from that of its Z.

    dA = Wᵀ dZ, dW = dZ Aᵀ and db = Σ dZ over the examples: sums, not means.

    Parameters
    ----------
    W : array_like, shape (n_out, n_in)
        Weights; their dtype is that of the results.
    A : array_like, shape (n_in, n)
        Input of the layer in the forward pass.
    dZ : array_like, shape (n_out, n)
        ∂J/∂Z.

    Returns
    -------
    dA : ndarray, shape (n_in, n)
    dW : ndarray, shape (n_out, n_in)
    db : ndarray, shape (n_out, 1)

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit or dtypes differ.

    Examples
    --------
    >>> import fastnet as fn
    >>> dA, dW, db = fn.dense_backward([[1.0, 2.0]], [[1.0, 0.0], [1.0, -1.0]], [[0.5, 1.0]])
    >>> dW, db
    (array([[ 0.5, -0.5]]), array([[1.5]]))
    """
    W = _validate.matrix(W, "W", "(n_out, n_in), neither of them 0")
    A = _validate.columns(A, "A", W.shape[1], W.dtype, "W")
    dZ = _validate.exact(dZ, "dZ", (W.shape[0], A.shape[1]), W.dtype, "W")
    return engine.dense_backward(_validate.contiguous(W), A, dZ)


def exp(Z: ArrayLike) -> Array:
    """Return e to the power of each element, at most 1.1 ULP from the exact value.

    Parameters
    ----------
    Z : array_like, any shape

    Returns
    -------
    ndarray, the shape of Z
        Subnormal results, 0 and infinity are as rounded from the exact value; NaN stays NaN.

    Raises
    ------
    ValueError, TypeError
        If Z does not hold real numbers.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.exp([0.0, 1.0])
    array([1.        , 2.71828183])
    """
    return _elementwise("exp", Z)


def sigmoid(Z: ArrayLike) -> Array:
    """Return σ(z) = 1 / (1 + e⁻ᶻ) of each element, at most 2 ULP from the exact value.

    Parameters
    ----------
    Z : array_like, any shape

    Returns
    -------
    ndarray, the shape of Z
        Exact also where 1 + e⁻ᶻ would overflow or lose all digits. Not promised to be monotone in the last
        place.

    Raises
    ------
    ValueError, TypeError
        If Z does not hold real numbers.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.sigmoid([[-1000.0, 0.0, 1000.0]])
    array([[0. , 0.5, 1. ]])
    """
    return _elementwise("sigmoid", Z)


def _elementwise(name: str, Z: Any) -> Array:
    Z = _validate.contiguous(_validate.real_array(Z, "Z"))
    result = engine.elementwise(name, Z)
    return result if result.ndim else result[()]  # a number for a number, as NumPy's own functions do


def sigmoid_backward(dA: ArrayLike, A: ArrayLike) -> Array:
    """Return dZ = dA ∘ A (1 − A), the gradient of A = σ(Z) taken back to Z.

    Parameters
    ----------
    dA : array_like, any shape
        ∂J/∂A.
    A : array_like, the shape of dA
        The outputs of the sigmoid.

    Returns
    -------
    ndarray, the shape of dA

    Raises
    ------
    ValueError, TypeError
        If shapes or dtypes differ.

    Examples
    --------
    >>> from fastnet.functions import sigmoid_backward
    >>> sigmoid_backward([[1.0, 2.0]], [[0.5, 0.25]])
    array([[0.25 , 0.375]])
    """
    dA = _validate.real_array(dA, "dA")
    A = _validate.exact(A, "A", dA.shape, dA.dtype, "dA")
    return engine.sigmoid_backward(_validate.contiguous(dA), _validate.contiguous(A))


def bce_loss(Z: ArrayLike, T: ArrayLike, *, from_logits: bool = True) -> float:
    """Return the binary cross-entropy J, the mean over the examples of the cost summed over the outputs.

    J = (1/n) Σ −t log a − (1 − t) log(1 − a) with a = σ(z). From the logits it is worked out as
    max(z, 0) − z t + log(1 + e^−|z|), which neither overflows nor takes the logarithm of a rounded 0.

    Parameters
    ----------
    Z : array_like, shape (n_out, n)
        The logits; with ``from_logits=False`` the outputs A = σ(Z) themselves.
    T : array_like, shape (n_out, n)
        Targets in [0, 1].
    from_logits : bool
        What Z holds.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If shapes or dtypes differ, there is no example, or values are not finite or not in [0, 1] where they
        must be.

    Examples
    --------
    >>> import fastnet as fn
    >>> round(fn.bce_loss([[0.0, 1000.0]], [[1.0, 1.0]]), 6)
    0.346574
    """
    logits = _validate.flag(from_logits, "from_logits")
    Z, T = _outputs_and_targets(Z, T, logits)
    n: int = Z.shape[1]
    if n == 0:
        raise ValueError(f"Z must have at least one example (a column), got shape {Z.shape}")
    cost = engine.loss("bce", 0.0, "sigmoid", Z, T)[0] if logits else engine.bce_cost_of_a(Z, T)
    return cost / n


def bce_backward(Z: ArrayLike, T: ArrayLike, *, from_logits: bool = True) -> Array:
    """Return dZ = A − T, the gradient of each example's cost with respect to its Z.

    The factor a (1 − a) of the sigmoid cancels against the denominator of ∂J/∂a, so nothing is divided. The
    result is per example: not divided by n.

    Parameters
    ----------
    Z : array_like, shape (n_out, n)
        The logits; with ``from_logits=False`` the outputs A = σ(Z) themselves.
    T : array_like, shape (n_out, n)
        Targets in [0, 1].
    from_logits : bool
        What Z holds.

    Returns
    -------
    ndarray, shape (n_out, n)

    Raises
    ------
    ValueError, TypeError
        If shapes or dtypes differ, or values are not finite or not in [0, 1] where they must be.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.bce_backward([[0.0, 1000.0]], [[1.0, 1.0]])
    array([[-0.5,  0. ]])
    """
    logits = _validate.flag(from_logits, "from_logits")
    Z, T = _outputs_and_targets(Z, T, logits)
    return engine.loss("bce", 0.0, "sigmoid", Z, T)[1] if logits else engine.subtract(Z, T)


def _outputs_and_targets(Z: Any, T: Any, logits: bool) -> tuple[Array, Array]:
    """Return the two arguments of a loss, checked and in C order."""
    Z = _validate.real_array(Z, "Z")
    if Z.ndim != 2 or not Z.shape[0]:
        raise ValueError(f"Z must have shape (n_out, n), a column per example, got {Z.shape}")
    T = _validate.exact(T, "T", Z.shape, Z.dtype, "Z")
    if logits:
        _validate.finite(Z, "Z")
    else:
        _validate.in_unit_interval(Z, "Z", "outputs")
    return _validate.contiguous(Z), _validate.contiguous(_validate.in_unit_interval(T, "T", "targets"))
