"""The losses: the cost J of one example, summed over its outputs, and dZ = ∂J/∂Z.

Of an example with logits z, outputs a = f(z) and targets t:

    bce              −t log a − (1 − t) log(1 − a)       dz = a − t      a = σ(z)
    cross_entropy    −t log a, with Σ t = 1              dz = a − t      a = softmax(z)
    poisson          t log(t / a) − t + a                dz = a − t      a = eᶻ; half the deviance
    squared_error    ½ (a − t)²                          da = a − t
    absolute_error   |a − t|                             da = sign(a − t)
    huber            ½ r² if |r| ≤ δ, else δ (|r| − δ/2)    da = r = a − t, cut off at −δ and δ
    quantile         q (t − a) if t > a, else (1 − q)(a − t)     da = −q, or 1 − q, or 0 if a = t

The first three are worked out from the logits: no logarithm of a rounded 0, no division by it. For the others
dz = da f'(z), with any f but softmax and exp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastnet.reference.activations import OUTPUT_ONLY, activate, activation_backward
from fastnet.reference.functions import Array, exp, real, sigmoid

__all__ = [
    "LOSSES",
    "CrossEntropy",
    "Huber",
    "Quantile",
    "bce_backward",
    "bce_loss",
    "calibrated_loss",
    "cost_and_dZ",
    "default_loss",
    "loss",
    "loss_backward",
    "smoothed",
]


@dataclass(frozen=True)
class CrossEntropy:
    """The loss "cross_entropy" of smoothed labels; the name alone means 0: labels as they are.

    >>> round(loss([[2.0], [0.0]], [[1.0], [0.0]], loss=CrossEntropy(0.5)), 6)
    0.626928
    """

    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Huber:
    """The loss "huber" with a δ of one's own; the name alone means δ = 1.

    >>> loss([[0.5, 3.0]], [[0.0, 0.0]], loss=Huber(delta=1.0))
    1.3125
    """

    delta: float = 1.0


@dataclass(frozen=True)
class Quantile:
    """The loss "quantile" with a q of one's own; the name alone means q = ½, the median.

    >>> loss([[0.0, 0.0]], [[1.0, -1.0]], loss=Quantile(0.75))
    0.5
    """

    quantile: float = 0.5


def _bce(Z: Array, T: Array) -> Array:
    # −log σ(z) = log(1 + e⁻ᶻ) and −log(1 − σ(z)) = z + log(1 + e⁻ᶻ), so J = z − t z + log(1 + e⁻ᶻ), and
    # log(1 + e⁻ᶻ) = max(−z, 0) + log(1 + e^−|z|), whose e cannot overflow
    return np.asarray(np.maximum(Z, 0) - T * Z + np.log1p(exp(-np.abs(Z))))


def _cross_entropy(Z: Array, T: Array) -> Array:
    shifted = Z - Z.max(axis=0, initial=-np.inf)  # log a = z − log Σ eᶻ; a common summand of z cancels
    log_A = shifted - np.log(exp(shifted).sum(axis=0))
    return np.asarray(-T * log_A)


def _poisson(Z: Array, T: Array) -> Array:
    t_log_t = T * np.log(T, where=T > 0, out=np.zeros_like(T))  # 0 log 0 = 0
    return np.asarray((t_log_t - T) + exp(Z) - T * Z)


def _huber(A: Array, T: Array, delta: float) -> Array:
    R = np.abs(A - T)
    return np.asarray(np.where(delta < R, delta * (R - delta / 2), R * R / 2))


def _quantile(A: Array, T: Array, q: float) -> Array:
    return np.where(T > A, q * (T - A), (1 - q) * (A - T))


def _quantile_slope(A: Array, T: Array, q: float) -> Array:
    zero = np.zeros_like(A)
    return np.where(T > A, zero - q, np.where(A > T, zero + (1 - q), zero))


class _FromLogits(NamedTuple):
    activation: str  # the one it goes with
    cost: Callable[[Array, Array], Array]


class _FromOutputs(NamedTuple):
    cost: Callable[[Array, Array, float], Array]
    slope: Callable[[Array, Array, float], Array]


_FROM_LOGITS = {
    "bce": _FromLogits("sigmoid", _bce),
    "cross_entropy": _FromLogits("softmax", _cross_entropy),
    "poisson": _FromLogits("exp", _poisson),
}
_FROM_OUTPUTS = {
    "squared_error": _FromOutputs(lambda A, T, _: (A - T) ** 2 / 2, lambda A, T, _: A - T),
    "absolute_error": _FromOutputs(lambda A, T, _: np.abs(A - T), lambda A, T, _: np.sign(A - T)),
    "huber": _FromOutputs(_huber, lambda A, T, delta: np.clip(A - T, -delta, delta)),
    "quantile": _FromOutputs(_quantile, _quantile_slope),
}
LOSSES = (*_FROM_LOGITS, *_FROM_OUTPUTS)
_DEFAULTS = {kind.activation: name for name, kind in _FROM_LOGITS.items()}


def default_loss(activation: str) -> str:
    """Return the loss that goes with the activation of the last layer when none is named.

    >>> from fastnet.reference.losses import default_loss
    >>> default_loss("softmax"), default_loss("identity")
    ('cross_entropy', 'squared_error')
    """
    return _DEFAULTS.get(activation, "squared_error")


def cost_and_dZ(name: str, parameter: float, activation: str, Z: Array, T: Array) -> tuple[Array, Array]:
    """Return J (n,) of each example, and dZ (n_out, n), from the logits and targets (n_out, n).

    `parameter` is δ or q; the other losses have none.

    >>> from fastnet.reference.losses import cost_and_dZ
    >>> cost_and_dZ("squared_error", 1.0, "identity", np.array([[1.0, 4.0]]), np.array([[1.0, 2.0]]))
    (array([0., 2.]), array([[0., 2.]]))
    """
    A = activate(Z, activation)
    if name in _FROM_LOGITS:
        if activation != _FROM_LOGITS[name].activation:
            raise ValueError(f"the loss {name!r} needs {_FROM_LOGITS[name].activation!r}, got {activation!r}")
        return _FROM_LOGITS[name].cost(Z, T).sum(axis=0), A - T
    if name not in _FROM_OUTPUTS or activation in OUTPUT_ONLY:
        raise ValueError(f"the loss {name!r} with {activation!r} is not one of {', '.join(LOSSES)}")
    J = _FROM_OUTPUTS[name].cost(A, T, parameter)
    dA = _FROM_OUTPUTS[name].slope(A, T, parameter)
    return J.sum(axis=0), activation_backward(Z, dA, activation)


def name_and_parameter(loss: Any, activation: str) -> tuple[str, float]:
    """Return the loss that a name, an object or None means for an output of this activation."""
    if loss is None:
        return default_loss(activation), 1.0
    if isinstance(loss, str):
        return loss, Quantile().quantile if loss == "quantile" else Huber().delta
    if hasattr(loss, "label_smoothing"):
        return "cross_entropy", 1 - loss.label_smoothing
    return ("huber", loss.delta) if hasattr(loss, "delta") else ("quantile", loss.quantile)


def smoothed(T: ArrayLike, label_smoothing: float) -> Array:
    """Return labels (classes, n) as training takes them: (1 − s) t + s / classes.

    >>> smoothed(np.array([[1.0], [0.0]]), 0.2)
    array([[0.9],
           [0.1]])
    """
    T = real(T)
    keep = T.dtype.type(1 - label_smoothing)
    return np.asarray(T * keep + (1 - keep) / T.dtype.type(len(T)))


def loss(
    Z: ArrayLike,
    T: ArrayLike,
    *,
    loss: Any = None,
    activation: str | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the mean over the examples of their costs: Σ w J / Σ w.

    The loss is a name, a `CrossEntropy`, a `Huber` or a `Quantile`; by default that of the activation. The
    activation is by default that of the loss, and identity where any will do; sigmoid without either.

    >>> loss([[0.0, 2.0]], [[1.0, 1.0]], loss="squared_error")
    0.5
    """
    return _mean(*_weighted(Z, T, loss, activation, sample_weight))


def _mean(J: Array, _: Array, weights: Array) -> float:
    return float((J * weights).sum() / weights.sum())


def loss_backward(
    Z: ArrayLike,
    T: ArrayLike,
    *,
    loss: Any = None,
    activation: str | None = None,
    sample_weight: ArrayLike | None = None,
) -> Array:
    """Return dZ, the gradient of each example's weighted cost with respect to its Z (not divided by n).

    >>> loss_backward([[1.0, 4.0]], [[1.0, 2.0]], loss="squared_error", sample_weight=[1.0, 0.5])
    array([[0., 1.]])
    """
    _, dZ, weights = _weighted(Z, T, loss, activation, sample_weight)
    return dZ * weights


def _weighted(Z: Any, T: Any, loss: Any, activation: str | None, weights: Any) -> tuple[Array, Array, Array]:
    Z, T = _pair(Z, T)
    if Z.shape[1] == 0:
        raise ValueError("Z must have at least one example (a column), got none")
    if activation is None:
        kind = _FROM_LOGITS.get("bce" if loss is None else name_and_parameter(loss, "")[0])
        activation = kind.activation if kind else "identity"
    name, parameter = name_and_parameter(loss, activation)
    if name == "cross_entropy":
        T = smoothed(T, 1 - parameter)
    J, dZ = cost_and_dZ(name, parameter, activation, Z, T)
    weights = np.ones(Z.shape[1], Z.dtype) if weights is None else np.asarray(weights, Z.dtype)
    return J, dZ, weights


def bce_loss(Z: ArrayLike, T: ArrayLike, *, from_logits: bool = True) -> float:
    """Return J: −t log a − (1 − t) log(1 − a), summed over the outputs, averaged over the examples.

    With ``from_logits=False`` Z holds A = σ(Z), and an a of 0 or 1 that the target contradicts costs
    infinity.

    >>> round(bce_loss([[0.0, 1000.0]], [[1.0, 1.0]]), 6)
    0.346574
    """
    Z, T = _pair(Z, T)
    if Z.shape[1] == 0:
        raise ValueError("Z must have at least one example (a column), got none")
    if from_logits:
        cost = _bce(Z, T)
    else:
        with np.errstate(divide="ignore"):
            # where t = 0 the term t log a is 0, even for a = 0; 1 − t likewise
            cost = -T * np.log(Z, where=T > 0, out=np.zeros_like(Z))
            cost -= (1 - T) * np.log1p(-Z, where=T < 1, out=np.zeros_like(Z))
    return float(cost.sum() / Z.shape[1])


def bce_backward(Z: ArrayLike, T: ArrayLike, *, from_logits: bool = True) -> Array:
    """Return dZ = A − T, the gradient of each example's cost with respect to its Z (not divided by n).

    ∂J/∂a = (a − t) / (a (1 − a)) and ∂a/∂Z = a (1 − a): the denominators cancel.

    >>> bce_backward([[0.0, 1000.0]], [[1.0, 1.0]])
    array([[-0.5,  0. ]])
    """
    Z, T = _pair(Z, T)
    A = sigmoid(Z) if from_logits else Z
    return np.asarray(A - T)


def calibrated_loss(
    Z: ArrayLike, T: ArrayLike, *, loss: str = "cross_entropy", sample_weight: ArrayLike | None = None
) -> tuple[float, float]:
    """Return the least loss of the logits Z / temperature, and that temperature, from ¼ to 8.

    For "bce" and "cross_entropy". The loss is convex in c = 1 / temperature, and its slope is
    Σ w z dz / Σ w with dz at the logits c z: bisection finds where it is 0.

    >>> Z = np.log([[3.0, 3.0, 3.0, 3.0]])  # probabilities of ¾, and three quarters are right
    >>> [round(number, 6) for number in calibrated_loss(Z, [[1, 1, 1, 0]], loss="bce")]
    [0.562335, 1.0]
    >>> [round(number, 6) for number in calibrated_loss(2 * Z, [[1, 1, 1, 0]], loss="bce")]
    [0.562335, 2.0]
    """
    Z, T = _pair(Z, T)
    low, high = 1 / 8, 4.0
    for _ in range(60):
        c = (low + high) / 2
        _, dZ, weights = _weighted(c * Z, T, loss, None, sample_weight)
        if (Z * dZ * weights).sum() > 0:
            high = c
        else:
            low = c
    return _mean(*_weighted(high * Z, T, loss, None, sample_weight)), 1 / high


def _pair(Z: ArrayLike, T: ArrayLike) -> tuple[Array, Array]:
    Z, T = real(Z), real(T)
    if Z.ndim != 2 or Z.shape != T.shape:
        raise ValueError(f"Z and T must both have shape (n_out, n), got {Z.shape} and {T.shape}")
    return Z, T
