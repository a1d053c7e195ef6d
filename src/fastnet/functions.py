"""Functions: dense layers, activations, losses and their gradients by themselves, for teaching and testing.

Each checks its arguments and is then one call into the core. An example is a column, so `A` is (n_in, n), `Z`
and `T` are (n_out, n). The precision is that of the first array argument (float32 or float64; integers count
as float64) and the other arrays must have it too. `fastnet.losses` says which losses there are;
`fastnet.reference` has the same functions in plain NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnet import _examples, _validate, losses
from fastnet._core import engine
from fastnet._core.float_mode import in_default_mode
from fastnet._examples import Examples
from fastnet._validate import Array

__all__ = [
    "activate",
    "activation_backward",
    "bce_backward",
    "bce_loss",
    "dense_backward",
    "dense_forward",
    "exp",
    "loss",
    "loss_backward",
    "one_hot",
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
    activation : str
        Applied to Z = W A + b; see `activate` for the names.

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
    result = engine.elementwise(Z, name)
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


def activate(Z: ArrayLike, name: str) -> Array:
    """Return A, an activation of each element of Z; softmax of each column.

    =============  =========================================================================
    identity       z
    sigmoid        1 / (1 + e⁻ᶻ)
    logistic       the same, rounded as scikit-learn rounds it: for hidden layers that must follow it
    tanh           tanh z
    relu           max(z, 0)
    leaky_relu     z, or 0.01 z below 0
    elu            z, or eᶻ − 1 below 0
    selu           1.0507 z, or 1.0507 · 1.67326 (eᶻ − 1) below 0
    silu           z σ(z)
    gelu           z Φ(z), Φ the normal distribution function
    softplus       log(1 + eᶻ)
    mish           z tanh(log(1 + eᶻ))
    softmax        eᶻ over its sum in the column
    exp            eᶻ
    =============  =========================================================================

    Parameters
    ----------
    Z : array_like, shape (n_out, n)
    name : str
        One of the above.

    Returns
    -------
    ndarray, shape (n_out, n)

    Raises
    ------
    ValueError, TypeError
        If Z is no matrix of real numbers, or there is no activation of that name.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.activate([[-2.0, 3.0]], "leaky_relu")
    array([[-0.02,  3.  ]])
    >>> fn.activate([[0.0, 1000.0], [0.0, 0.0]], "softmax")
    array([[0.5, 1. ],
           [0.5, 0. ]])
    """
    name = _validate.activation(name, "name")
    return engine.activate(_validate.contiguous(_validate.logits(Z)), name)


def activation_backward(Z: ArrayLike, dA: ArrayLike, name: str) -> Array:
    """Return dZ = dA ∘ activation'(Z), the gradient of A = activation(Z) taken back to Z.

    For softmax, whose outputs depend on the whole column: dZ = A ∘ (dA − Σ A ∘ dA). The slope of relu and
    leaky_relu at 0 is that below 0.

    Parameters
    ----------
    Z : array_like, shape (n_out, n)
    dA : array_like, shape (n_out, n)
        ∂J/∂A.
    name : str
        See `activate`.

    Returns
    -------
    ndarray, shape (n_out, n)

    Raises
    ------
    ValueError, TypeError
        If shapes or dtypes differ, or there is no activation of that name.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.activation_backward([[-2.0, 3.0]], [[1.0, 0.5]], "relu")
    array([[0. , 0.5]])
    """
    name = _validate.activation(name, "name")
    Z = _validate.logits(Z)
    dA = _validate.exact(dA, "dA", Z.shape, Z.dtype, "Z")
    return engine.activation_backward(_validate.contiguous(Z), _validate.contiguous(dA), name)


def one_hot(labels: ArrayLike, n_classes: int | None = None, *, dtype: DTypeLike = "float64") -> Array:
    """Return class labels as targets: a column for each, with a single 1 in the row of its class.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        From 0 on.
    n_classes : int, optional
        By default one more than the largest label.
    dtype : {"float64", "float32"}

    Returns
    -------
    ndarray, shape (n_classes, n)

    Raises
    ------
    ValueError, TypeError
        If labels are no whole numbers in a row, or one is not below n_classes.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.one_hot([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]])
    """
    array = _validate.to_array(labels, "labels")
    if array.ndim != 1:
        raise ValueError(f"labels must have shape (n,), got {array.shape}")
    if array.dtype.kind not in "iub" and array.size:
        raise TypeError(f"labels must be ints, got dtype {array.dtype}")
    count = (
        1 + int(array.max(initial=0))
        if n_classes is None
        else _validate.integer(n_classes, "n_classes", 1, 2**31)
    )
    return _examples.one_hot(array.astype(np.intp), count, _validate.real_dtype(dtype), "labels")


@in_default_mode
def loss(
    Z: ArrayLike,
    T: ArrayLike,
    *,
    loss: Any = None,
    activation: str | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the mean over the examples of the cost J, summed over the outputs.

    Parameters
    ----------
    Z : array_like, shape (n_out, n)
        Z = W A + b of the last layer, before its activation.
    T : array_like, shape (n_out, n)
        Targets in the range of the loss; class labels (n,) for "cross_entropy".
    loss : str or object, optional
        A name or a class of `fastnet.losses`. By default what goes with the activation: sigmoid bce, softmax
        cross_entropy, exp poisson, any other squared_error.
    activation : str, optional
        Of the last layer. By default what goes with the loss: bce sigmoid, cross_entropy softmax, poisson
        exp, any other the identity. With neither of the two, binary cross-entropy.
    sample_weight : array_like, shape (n,), optional
        Weights of the examples in the mean.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If shapes, dtypes or values do not fit, or loss and activation do not go together.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.loss([[1.0, 4.0]], [[1.0, 2.0]], loss="squared_error")
    1.0
    >>> round(fn.loss([[0.0], [0.0]], [1], activation="softmax"), 6)
    0.693147
    """
    data, found, activation = _checked_loss(Z, T, loss, activation, sample_weight)
    if data.X.shape[1] == 0:
        raise ValueError(f"Z must have at least one example (a column), got shape {data.X.shape}")
    cost, _ = engine.loss(found.name, found.parameter, activation, *data[:3])
    return cost / data.total_weight()


@in_default_mode
def loss_backward(
    Z: ArrayLike,
    T: ArrayLike,
    *,
    loss: Any = None,
    activation: str | None = None,
    sample_weight: ArrayLike | None = None,
) -> Array:
    """Return dZ, the gradient of each example's cost with respect to its Z: not divided by n.

    Parameters
    ----------
    Z, T, loss, activation, sample_weight
        As for `loss`; the weights multiply the columns.

    Returns
    -------
    ndarray, shape (n_out, n)
        a − t for the losses that are worked out from the logits; else ∂J/∂a times the slope of the
        activation, with 0 for ∂J/∂a where a loss has a kink.

    Raises
    ------
    ValueError, TypeError
        If shapes, dtypes or values do not fit, or loss and activation do not go together.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.loss_backward([[1.0, 4.0]], [[1.0, 2.0]], loss="squared_error")
    array([[0., 2.]])
    >>> fn.loss_backward([[0.0], [0.0]], [[0.0], [1.0]], loss="cross_entropy", sample_weight=[3.0])
    array([[ 1.5],
           [-1.5]])
    """
    data, found, activation = _checked_loss(Z, T, loss, activation, sample_weight)
    _, dZ = engine.loss(found.name, found.parameter, activation, *data[:3])
    return dZ


def _checked_loss(
    Z: Any, T: Any, loss: Any, activation: str | None, sample_weight: Any
) -> tuple[Examples, losses.Loss, str]:
    """Return Z, T and weights, the loss and the activation, all checked."""
    if activation is None:
        activation = "sigmoid" if loss is None else losses.default_activation(loss)
    activation = _validate.activation(activation)
    found = losses.resolve(loss, activation)
    Z = _validate.finite(_validate.logits(Z), "Z")
    T = _examples.check_targets(T, found.name, Z.shape[0], Z.shape[1], Z.dtype, "Z")
    weights = _examples.usable_weights(_examples.sample_weights(sample_weight, Z.shape[1]), Z.dtype)
    return Examples(Z, losses.smoothed(T, found), weights), found, activation


@in_default_mode
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


@in_default_mode
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
    """Return the two arguments of a binary cross-entropy, checked and in C order."""
    Z = _validate.logits(Z)
    T = _validate.exact(T, "T", Z.shape, Z.dtype, "Z")
    if logits:
        _validate.finite(Z, "Z")
    else:
        _validate.in_unit_interval(Z, "Z", "outputs")
    return _validate.contiguous(Z), _validate.contiguous(_validate.in_unit_interval(T, "T", "targets"))
