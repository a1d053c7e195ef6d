"""Losses: their names, those with a parameter (Huber, Quantile), and the activation that each needs.

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

__all__ = ["Huber", "Quantile"]


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
    """A loss as the core has it: a name, and delta or quantile or 1.

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
    elif isinstance(loss, Huber):
        found = Loss("huber", loss.delta)
    elif isinstance(loss, Quantile):
        found = Loss("quantile", loss.quantile)
    elif isinstance(loss, str):
        name = _validate.choice(loss, "loss", engine.LOSSES)
        found = Loss(name, Quantile().quantile if name == "quantile" else 1.0)
    else:
        names = ", ".join(map(repr, engine.LOSSES))
        raise TypeError(f"loss must be one of {names}, Huber, Quantile or None, got {_validate.shown(loss)}")
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


def default_activation(loss: Any) -> str:
    """Return the output that a loss usually goes with.

    >>> default_activation("bce")
    'sigmoid'
    """
    return NEEDS.get(loss, "identity") if isinstance(loss, str) else "identity"
