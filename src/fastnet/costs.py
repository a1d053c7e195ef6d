"""What outputs cost, and the gradient of it: the losses by themselves, for teaching and for testing.

`Z` and `T` are (n_out, n), a column per example, in one precision. `fastnet.losses` says which losses there
are; `fastnet.reference` has the same functions in plain NumPy.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from fastnet import _examples, _validate, losses
from fastnet._core import engine
from fastnet._examples import Examples
from fastnet._validate import Array

__all__ = ["bce_backward", "bce_loss", "loss", "loss_backward"]


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
        A name from `fastnet.losses`, `losses.Huber` or `losses.Quantile`. By default what goes with the
        activation: sigmoid bce, softmax cross_entropy, exp poisson, any other squared_error.
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
    data, found, activation = _checked(Z, T, loss, activation, sample_weight)
    if data.X.shape[1] == 0:
        raise ValueError(f"Z must have at least one example (a column), got shape {data.X.shape}")
    cost, _ = engine.loss(found.name, found.parameter, activation, *data[:3])
    return cost / data.total_weight()


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
    data, found, activation = _checked(Z, T, loss, activation, sample_weight)
    _, dZ = engine.loss(found.name, found.parameter, activation, *data[:3])
    return dZ


def _checked(
    Z: Any, T: Any, loss: Any, activation: str | None, sample_weight: Any
) -> tuple[Examples, losses.Loss, str]:
    """Return Z, T and weights, the loss and the activation, all checked."""
    if activation is None:
        activation = "sigmoid" if loss is None else losses.default_activation(loss)
    activation = _validate.activation(activation)
    found = losses.resolve(loss, activation)
    Z = _validate.finite(_validate.logits(Z), "Z")
    T = _examples.targets(T, found.name, Z.shape[0], Z.shape[1], Z.dtype, "Z")
    weights = _examples.usable(_examples.sample_weights(sample_weight, Z.shape[1]), Z.dtype)
    return Examples(Z, T, weights), found, activation


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
    """Return the two arguments of a binary cross-entropy, checked and in C order."""
    Z = _validate.logits(Z)
    T = _validate.exact(T, "T", Z.shape, Z.dtype, "Z")
    if logits:
        _validate.finite(Z, "Z")
    else:
        _validate.in_unit_interval(Z, "Z", "outputs")
    return _validate.contiguous(Z), _validate.contiguous(_validate.in_unit_interval(T, "T", "targets"))
