"""The optimisers: how a weight w and its moments change by the gradient g of the batch's cost.

    SGD        w ← w − η g;  with momentum  v ← μ v − η g,  w ← w + v, or with nesterov  w ← w + μ v − η g
    Adam       m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,
               w ← w − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)            t = 1, 2, ...: the batch
    AdamW      first w ← w − η λ w (not for a bias), then Adam
    RMSProp    v ← ρ v + (1 − ρ) g²,  m ← μ m + g / (√v + ε),  w ← w − η m; plainly with μ = 0

η is the learning rate. `first` is the velocity or m, `second` is v; both begin with zeros. The velocity, m
and, where there is a v, g count as 0 below the first number of `least`, v below the second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from fastnet.reference.functions import Array, least, without_tiny

__all__ = ["BY_NAME", "SGD", "Adam", "AdamW", "Optimizer", "RMSProp", "named"]


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent.

    >>> w = np.array([1.0])
    >>> SGD().step(w, np.array([0.5]), {}, rate=0.1, t=1)
    >>> w
    array([0.95])
    """

    learning_rate: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False

    @property
    def moments(self) -> tuple[str, ...]:
        """What is kept of each weight from batch to batch."""
        return ("first",) if self.momentum else ()

    def step(self, w: Array, g: Array, kept: dict[str, Array], rate: float, t: int) -> None:
        """Change w, and the moments kept of it, in place."""
        if not self.momentum:
            w -= rate * g
            return
        v = kept["first"]
        v[...] = without_tiny(self.momentum * v - rate * g)
        w += self.momentum * v - rate * g if self.nesterov else v


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015), ε where scikit-learn has it.

    >>> w, kept = np.array([1.0]), {"first": np.zeros(1), "second": np.zeros(1)}
    >>> Adam().step(w, np.array([0.5]), kept, rate=0.1, t=1)
    >>> w.round(6)
    array([0.9])
    """

    learning_rate: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    @property
    def moments(self) -> tuple[str, ...]:
        """What is kept of each weight from batch to batch."""
        return ("first", "second")

    def step(self, w: Array, g: Array, kept: dict[str, Array], rate: float, t: int) -> None:
        """Change w, and the moments kept of it, in place."""
        m, v, g = kept["first"], kept["second"], without_tiny(g)
        m[...] = without_tiny(self.beta_1 * m + (1 - self.beta_1) * g)
        v[...] = _mean_square(self.beta_2, g, v)
        w -= rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t) * m / (np.sqrt(v) + self.epsilon)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam after a decay of the weights by themselves (Loshchilov and Hutter 2019).

    >>> AdamW().weight_decay
    0.01
    """

    weight_decay: float = 0.01
    scale_rate: float = 0.0

    def decay(self, W: Array, rate: float) -> None:
        """Shrink W in place; not for biases."""
        W -= rate * self.weight_decay * W


@dataclass(frozen=True)
class RMSProp:
    """RMSProp (Hinton 2012).

    >>> w, kept = np.array([1.0]), {"first": np.zeros(1), "second": np.zeros(1)}
    >>> RMSProp().step(w, np.array([0.5]), kept, rate=0.1, t=1)
    >>> w.round(6)
    array([0.683772])
    """

    learning_rate: float = 0.01
    rho: float = 0.9
    epsilon: float = 1e-8
    momentum: float = 0.0

    @property
    def moments(self) -> tuple[str, ...]:
        """What is kept of each weight from batch to batch."""
        return ("first", "second")

    def step(self, w: Array, g: Array, kept: dict[str, Array], rate: float, t: int) -> None:
        """Change w, and the moments kept of it, in place."""
        m, v, g = kept["first"], kept["second"], without_tiny(g)
        v[...] = _mean_square(self.rho, g, v)
        m[...] = without_tiny(self.momentum * m + g / (np.sqrt(v) + self.epsilon))
        w -= rate * m


def _mean_square(beta: float, g: Array, v: Array) -> Array:
    v = beta * v + (1 - beta) * g * g
    return np.where(v < least(v.dtype)[1], np.zeros_like(v), v)


Optimizer = SGD | Adam | AdamW | RMSProp
BY_NAME: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSProp}


def named(name: str, **options: Any) -> Optimizer:
    """Return the optimiser of a name, made of those of the options that it has.

    >>> named("rmsprop", rho=0.5, nesterov=True)
    RMSProp(learning_rate=0.01, rho=0.5, epsilon=1e-08, momentum=0.0)
    """
    kind = BY_NAME[name]
    own = {field.name for field in fields(kind)}
    return kind(**{option: value for option, value in options.items() if option in own})
