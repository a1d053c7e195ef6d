"""Losses: their names, those with a parameter (`CrossEntropy`, `Huber`, `Quantile`), and what each needs.

The cost J of one example, summed over the outputs k, with a the output and t the target:

======================  =============================================  ==================================
bce                     −t log a − (1 − t) log(1 − a), t in [0, 1]     sigmoid
cross_entropy           −t log a, the t of an example sum to 1         softmax
poisson                 t log(t / a) − t + a, t ≥ 0                    exp
squared_error           ½ (a − t)²                                     any but softmax and exp
absolute_error          abs(a − t)                                     any but softmax and exp
huber                   ½ r² of r = a − t, linear beyond delta         any but softmax and exp
quantile                q (t − a) above a, (1 − q)(a − t) below        any but softmax and exp
======================  =============================================  ==================================

The first three are worked out from the logits, and dZ = a − t. Poisson is half the deviance. By default the
last activation chooses: sigmoid bce, softmax cross_entropy, exp poisson, any other squared_error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from fastnet import _validate
from fastnet._core import engine
from fastnet._validate import Array

__all__ = ["CrossEntropy", "Huber", "Quantile"]


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy with label smoothing: a network is not to become too sure (Szegedy and others 2016).

    A target t of one of C classes becomes (1 − s) t + s / C, with s = label_smoothing, in training and in its
    loss. Validation losses, and what early stopping watches, are those of the targets as they are. A
    network that was trained so is less sure than it could be: see `Network.calibrate`. The name
    ``"cross_entropy"`` means label_smoothing = 0.

    Parameters
    ----------
    label_smoothing : float
        0 ≤ label_smoothing < 1.

    Raises
    ------
    ValueError, TypeError
        If label_smoothing is no such number.

    Examples
    --------
    >>> import fastnet as fn
    >>> round(fn.loss([[2.0], [0.0]], [[1.0], [0.0]], loss=fn.losses.CrossEntropy(0.5)), 6)
    0.626928
    >>> fn.loss_backward([[2.0], [0.0]], [0], loss=fn.losses.CrossEntropy(0.5)).round(3)
    array([[ 0.131],
           [-0.131]])
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        value = _validate.number(self.label_smoothing, "label_smoothing", at_least=0, below=1)
        object.__setattr__(self, "label_smoothing", value)


@dataclass(frozen=True)
class Huber:
    """Squared for small errors, linear for large ones (Huber 1964): outliers count, but not more and more.

    With r = a − t: ½ r² where abs(r) ≤ delta, delta (abs(r) − delta / 2) beyond. The name
    ``"huber"`` means delta = 1.

    Parameters
    ----------
    delta : float
        Greater than 0, in the units of the target.

    Raises
    ------
    ValueError, TypeError
        If delta is no such number.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.loss([[0.5, 3.0]], [[0.0, 0.0]], loss=fn.losses.Huber(delta=1.0))
    1.3125
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "delta", _validate.number(self.delta, "delta", above=0))


@dataclass(frozen=True)
class Quantile:
    """The pinball loss: its minimum is a quantile of the target, where `squared_error` finds the mean.

    quantile (t − a) where the target is above the output, (1 − quantile)(a − t) where it is below. The name
    ``"quantile"`` means the median, half of `absolute_error`.

    Parameters
    ----------
    quantile : float
        0 < quantile < 1.

    Raises
    ------
    ValueError, TypeError
        If quantile is no such number.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.loss([[0.0, 0.0]], [[1.0, -1.0]], loss=fn.losses.Quantile(0.75))
    0.5
    """

    quantile: float = 0.5

    def __post_init__(self) -> None:
        value = _validate.number(self.quantile, "quantile", above=0, below=1)
        object.__setattr__(self, "quantile", value)


class Loss(NamedTuple):
    """A loss as the core has it: a name, and delta, quantile or 1 − label_smoothing; 1 of all others.

    >>> Loss("huber", 1.5).name
    'huber'
    """

    name: str
    parameter: float


# the one activation it goes with, of those that start from logits
NEEDS = {name: of for name in engine.LOSSES if (of := engine.LOSS_ACTIVATION[name]) is not None}
_DEFAULTS = {activation: name for name, activation in NEEDS.items()}


def resolve(loss: Any, activation: str) -> Loss:
    """Return the loss that a name, an object or None means for an output of this activation.

    ValueError if they do not go together.

    >>> resolve(None, "softmax"), resolve(Huber(2), "identity")
    (Loss(name='cross_entropy', parameter=1.0), Loss(name='huber', parameter=2.0))
    """
    if loss is None and activation == "logistic":
        raise ValueError("a last layer with the activation 'logistic' has no usual loss: make it 'sigmoid'")
    if loss is None:
        found = Loss(_DEFAULTS.get(activation, "squared_error"), 1.0)
    elif isinstance(loss, CrossEntropy):
        found = Loss("cross_entropy", 1 - loss.label_smoothing)
    elif isinstance(loss, Huber):
        found = Loss("huber", loss.delta)
    elif isinstance(loss, Quantile):
        found = Loss("quantile", loss.quantile)
    elif isinstance(loss, str):
        name = _validate.choice(loss, "loss", engine.LOSSES)
        found = Loss(name, Quantile().quantile if name == "quantile" else 1.0)
    else:
        names = ", ".join(map(repr, engine.LOSSES))
        raise TypeError(
            f"loss must be one of {names}, CrossEntropy, Huber, Quantile or None, got {_validate.shown(loss)}"
        )
    needed = NEEDS.get(found.name)
    if needed is not None and activation != needed:
        raise ValueError(
            f"the loss {found.name!r} needs a last layer with the activation {needed!r}, got {activation!r}"
        )
    if needed is None and activation in _validate.OUTPUT_ONLY:
        raise ValueError(
            f"the loss {found.name!r} needs a last layer with another activation than {activation!r}, which "
            f"goes with the loss {_DEFAULTS[activation]!r}"
        )
    return found


def named(name: str, parameter: float) -> Any:
    """Return what `resolve` makes this loss of.

    >>> named("quantile", 0.25), named("bce", 1.0)
    (Quantile(quantile=0.25), 'bce')
    """
    if name == "cross_entropy":
        return CrossEntropy(1 - parameter)
    return {"huber": Huber, "quantile": Quantile}[name](parameter) if name in ("huber", "quantile") else name


def default_activation(loss: Any) -> str:
    """Return the output that a loss usually goes with.

    >>> default_activation("bce")
    'sigmoid'
    """
    if isinstance(loss, CrossEntropy):
        return NEEDS["cross_entropy"]
    return NEEDS.get(loss, "identity") if isinstance(loss, str) else "identity"


def smoothed(T: Array, loss: Loss) -> Array:
    """Return the targets that a loss counts in training.

    >>> import numpy as np
    >>> smoothed(np.array([[1.0], [0.0]]), Loss("cross_entropy", 0.5))
    array([[0.75],
           [0.25]])
    """
    if loss.name != "cross_entropy" or loss.parameter == 1:
        return T
    found: Array = T * T.dtype.type(loss.parameter) + T.dtype.type((1 - loss.parameter) / len(T))
    return found
