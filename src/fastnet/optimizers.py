"""Optimisers: SGD, Adam, AdamW, RMSProp and LBFGS, each a frozen dataclass of checked numbers.

g is the gradient of the batch's mean cost, with its share of `l2` and after `clip_norm`. Where torch or Keras
have another rule under the same name, the docstring says so: numbers found for one do not carry over to the
other by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias

from fastnet import _validate

__all__ = ["LBFGS", "SGD", "Adam", "AdamW", "Optimizer", "RMSProp"]


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: W ← W − learning_rate g; with momentum, a moving sum of these steps.

    v ← momentum v − learning_rate g, then W ← W + v, or with `nesterov` W ← W + momentum v − learning_rate g.

    Parameters
    ----------
    learning_rate : float
    momentum : float
        0 ≤ momentum < 1; with 0 nothing is kept from batch to batch.
    nesterov : bool
        Step from where the momentum leads; without momentum it changes nothing.

    Raises
    ------
    ValueError, TypeError
        If a number is not in its range.

    Notes
    -----
    scikit-learn's and Keras's rule. torch keeps v without the learning rate (v ← momentum v + g, W ← W −
    learning_rate v): the same steps as long as the rate stays, and others once a schedule changes it.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.SGD(0.5, momentum=0.9)
    SGD(learning_rate=0.5, momentum=0.9, nesterov=False)
    """

    learning_rate: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        _settle(
            self,
            learning_rate=_validate.rate(self.learning_rate),
            momentum=_validate.number(self.momentum, "momentum", at_least=0, below=1),
            nesterov=_validate.flag(self.nesterov, "nesterov"),
        )

    @property
    def moments(self) -> tuple[str, ...]:
        """What is kept of each weight from batch to batch."""
        return ("first",) if self.momentum else ()

    def core_options(self) -> dict[str, Any]:
        """Return the arguments of the core's trainer."""
        return {"optimizer": "sgd", "momentum": self.momentum, "nesterov": self.nesterov}


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015): steps of about the learning rate, each weight with a scale of its own.

    m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², and in batch t (from 1)
    W ← W − learning_rate √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + epsilon).

    Parameters
    ----------
    learning_rate : float
        0.01 suits the defaults of a fit, 100 epochs in batches of 200; `benchmarks.defaults` measures it.
        torch, Keras and scikit-learn begin with 0.001: give that for long trainings or small batches.
    beta_1, beta_2 : float
        0 ≤ β < 1.
    epsilon : float
        Greater than 0.

    Raises
    ------
    ValueError, TypeError
        If a number is not in its range.

    Notes
    -----
    The rule of scikit-learn and Keras (whose epsilon is 1e-7 by default): epsilon is added to √v as it is.
    torch adds it after v is divided by 1 − β₂ᵗ, which makes the same epsilon up to √(1 / (1 − β₂)) = 32 times
    less in the first batches; the difference goes as t grows, and with √v far above epsilon there is none.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Adam(3e-4)
    Adam(learning_rate=0.0003, beta_1=0.9, beta_2=0.999, epsilon=1e-08)
    """

    learning_rate: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _settle(
            self,
            learning_rate=_validate.rate(self.learning_rate),
            beta_1=_validate.number(self.beta_1, "beta_1", at_least=0, below=1),
            beta_2=_validate.number(self.beta_2, "beta_2", at_least=0, below=1),
            epsilon=_validate.number(self.epsilon, "epsilon", above=0),
        )

    @property
    def moments(self) -> tuple[str, ...]:
        """What is kept of each weight from batch to batch."""
        return ("first", "second")

    def core_options(self) -> dict[str, Any]:
        """Return the arguments of the core's trainer."""
        numbers = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {"optimizer": "adam", **numbers}


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): W shrinks by itself, not through g.

    In each batch first W ← W − learning_rate weight_decay W, for the weights and not for the biases, then
    the step of `Adam`.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : float
        As for `Adam`.
    weight_decay : float
        At least 0.
    scale_rate : float
        Learn a scale c of each input too, at so many times the learning rate, from c = 1: the first layer's W
        is V diag(c), and both take their steps; 0 for none. What is left of it is W: the network predicts as
        any other. It lets a network find out which inputs matter (the scaling layer of RealMLP: Holzmüller,
        Grinsztajn, Steinwart 2024, arXiv 2407.04491). Not together with the `l2` of a fit.

    Raises
    ------
    ValueError, TypeError
        If a number is not in its range.

    Notes
    -----
    torch and Keras multiply by the learning rate as well, but decay the biases too unless told otherwise.
    The paper multiplies by the schedule alone: its λ is learning_rate · weight_decay here. `l2` of a fit is
    not this: it enters the gradient, and Adam then divides it by √v.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.AdamW(weight_decay=0.1).weight_decay
    0.1
    """

    weight_decay: float = 0.01
    scale_rate: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _settle(self, weight_decay=_validate.number(self.weight_decay, "weight_decay", at_least=0))
        _settle(self, scale_rate=_validate.number(self.scale_rate, "scale_rate", at_least=0))

    def core_options(self) -> dict[str, Any]:
        """Return the arguments of the core's trainer."""
        own = {"weight_decay": self.weight_decay, "scale_rate": self.scale_rate}
        return {**super().core_options(), "optimizer": "adamw", **own}


@dataclass(frozen=True)
class RMSProp:
    """RMSProp (Hinton 2012): each gradient over the root of its moving mean square.

    v ← ρ v + (1 − ρ) g² and W ← W − learning_rate g / (√v + epsilon); with momentum
    m ← momentum m + g / (√v + epsilon) and W ← W − learning_rate m.

    Parameters
    ----------
    learning_rate : float
    rho : float
        0 ≤ ρ < 1.
    epsilon : float
        Greater than 0.
    momentum : float
        0 ≤ momentum < 1.

    Raises
    ------
    ValueError, TypeError
        If a number is not in its range.

    Notes
    -----
    torch's rule, under other defaults: its alpha = ρ is 0.99 and its rate 0.01. Keras puts epsilon (1e-7)
    under the root, and the learning rate into m, as in `SGD`.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.RMSProp(rho=0.99)
    RMSProp(learning_rate=0.01, rho=0.99, epsilon=1e-08, momentum=0.0)
    """

    learning_rate: float = 0.01
    rho: float = 0.9
    epsilon: float = 1e-8
    momentum: float = 0.0

    def __post_init__(self) -> None:
        _settle(
            self,
            learning_rate=_validate.rate(self.learning_rate),
            rho=_validate.number(self.rho, "rho", at_least=0, below=1),
            epsilon=_validate.number(self.epsilon, "epsilon", above=0),
            momentum=_validate.number(self.momentum, "momentum", at_least=0, below=1),
        )

    @property
    def moments(self) -> tuple[str, ...]:
        """What is kept of each weight from batch to batch."""
        return ("first", "second")

    def core_options(self) -> dict[str, Any]:
        """Return the arguments of the core's trainer: its one decay of squares is called beta_2."""
        numbers = {"beta_2": self.rho, "epsilon": self.epsilon, "momentum": self.momentum}
        return {"optimizer": "rmsprop", **numbers}


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS through SciPy: for small data, all of it in each step; no learning rate, no batches.

    An iteration counts as an epoch in the history and for callbacks, but `max_iter` says how many there may
    be, not `epochs`. Where SciPy is missing, ``pip install "fastnet-mlp[lbfgs]"`` brings it.

    Parameters
    ----------
    max_iter : int
        Iterations.
    max_fun : int
        Evaluations of cost and gradient.
    tol : float
        Converged when no element of the gradient is larger; at least 0. Also when an iteration lowers the
        cost by less than 2.2e-9 of it, or of 1 (SciPy's own rule, as in scikit-learn).

    Raises
    ------
    ValueError, TypeError
        If a number is not in its range.

    Notes
    -----
    It works in float64 whatever the network's dtype: the line search compares costs that differ by less than
    float32 can tell, and would give up early. The data of a float32 network are therefore copied once (large
    ones are converted block by block, in each evaluation), and the weights rounded at the end. SciPy keeps
    what it has learned of the curvature to itself, so a fit that goes on begins to learn it anew:
    `state_dict` holds the weights and nothing of the optimiser.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.LBFGS(max_iter=50)
    LBFGS(max_iter=50, max_fun=15000, tol=1e-05)
    """

    max_iter: int = 200
    max_fun: int = 15000
    tol: float = 1e-5

    def __post_init__(self) -> None:
        _settle(
            self,
            max_iter=_validate.integer(self.max_iter, "max_iter"),
            max_fun=_validate.integer(self.max_fun, "max_fun"),
            tol=_validate.number(self.tol, "tol", at_least=0),
        )

    @property
    def moments(self) -> tuple[str, ...]:
        """What is kept of each weight from batch to batch."""
        return ()

    def core_options(self) -> dict[str, Any]:
        """Return the arguments of the core's trainer, of which only loss and gradients are called."""
        return {"optimizer": "sgd"}


Optimizer: TypeAlias = SGD | Adam | AdamW | RMSProp | LBFGS
BY_NAME: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSProp,
    "lbfgs": LBFGS,
}


@cache
def _default(name: str) -> Optimizer:
    """Return the optimiser of that name, one for all: it cannot be changed."""
    return BY_NAME[_validate.choice(name, "optimizer", BY_NAME)]()


def resolve(optimizer: Any, learning_rate: Any = None) -> Optimizer:
    """Return the optimiser that a name or an object means, with another learning rate if one is given."""
    if isinstance(optimizer, str):
        optimizer = _default(optimizer)
    elif not isinstance(optimizer, tuple(BY_NAME.values())):
        names = ", ".join(map(repr, BY_NAME))
        raise TypeError(
            f"optimizer must be one of {names} or an object such as SGD(), got {_validate.shown(optimizer)}"
        )
    found: Optimizer = optimizer
    if learning_rate is None:
        return found
    if isinstance(found, LBFGS):
        raise ValueError(f"learning_rate must not be given with LBFGS, which has none; got {learning_rate!r}")
    return replace(found, learning_rate=_validate.rate(learning_rate))


def _settle(optimizer: Any, **checked: Any) -> None:
    """Put checked values in place of those the constructor was given."""
    for name, value in checked.items():
        object.__setattr__(optimizer, name, value)
