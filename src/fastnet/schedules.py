"""Learning-rate schedules: how the learning rate changes during training.

A schedule turns the optimiser's learning rate into the rates of an epoch's batches: one number, or an array
with a number for each batch. It counts epochs from the first that the `Trainer` has done, over all its fits,
so what is stopped and resumed goes on where it was. Write your own as a subclass of `Schedule`. The cosines
are sums and products of float64, the same on every machine; `InverseScaling` with another power than 0.5 uses
the C library's pow, which may differ in the last place between systems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnet import _validate
from fastnet._core.float_mode import in_default_mode
from fastnet._plateau import Plateau

__all__ = [
    "Adaptive",
    "Constant",
    "Cosine",
    "InverseScaling",
    "OneCycle",
    "Position",
    "Schedule",
    "Step",
]

Array = NDArray[np.float64]
Rates = float | Array


@dataclass(slots=True)
class Position:
    """Where a training stands when a schedule is asked for the rates of the next epoch.

    Attributes
    ----------
    epoch : int
        Epochs done before, in all fits of the trainer.
    end : int or None
        How many will have been done when this fit ends; None where epochs are trained one by one.
    batches : int
        Batches in the epoch.
    examples_seen : int
        Examples visited before the epoch, each counted as often as it was.
    memory : dict of str to float
        What the schedule itself has noted; it is saved and resumed with the trainer's state.

    Examples
    --------
    >>> from fastnet.schedules import Position, Step
    >>> Step(every=2).rates(1.0, Position(epoch=5, batches=10))
    0.25
    """

    epoch: int = 0
    end: int | None = None
    batches: int = 1
    examples_seen: int = 0
    memory: dict[str, float] = field(default_factory=dict)
    _table: Any = field(default=None, repr=False, compare=False)
    _table_of: tuple[Any, ...] = field(default=(), repr=False, compare=False)

    def factors(self, curve: Callable[[Array], Array], *key: Any) -> Array:
        """Return the curve's value for each batch of this epoch; computed anew once `key` is another one.

        `curve` takes the numbers of batches, counted from the first epoch on.
        """
        ahead = max(1, 4096 // self.batches)  # short epochs are worked out together, which is faster
        block, epoch = divmod(self.epoch, ahead)
        if (block, self.batches, *key) != self._table_of:
            first, last = block * ahead * self.batches, (block + 1) * ahead * self.batches
            self._table = curve(np.arange(first, last, dtype=np.float64)).reshape(ahead, self.batches)
            self._table_of = (block, self.batches, *key)
        rates: Array = self._table[epoch]
        return rates


class Schedule:
    """What a schedule can do; by itself, the learning rate as it is.

    Examples
    --------
    >>> import fastnet as fn
    >>> class Alternating(fn.schedules.Schedule):
    ...     def rates(self, learning_rate, at):
    ...         return learning_rate if at.epoch % 2 else learning_rate / 10
    >>> net = fn.Network([fn.Layer(1, 1)])
    >>> net.fit([[-1.0, 1.0]], [[0, 1]], epochs=3, schedule=Alternating()).learning_rate
    [0.001, 0.01, 0.001]
    """

    def rates(self, learning_rate: float, at: Position) -> Rates:
        """Return the rate of all batches of the next epoch, or an array with one for each."""
        return learning_rate

    def memory_error(self, memory: Mapping[str, float]) -> str:
        """Return what is wrong with a memory that was read from a file, or ""; the base class takes any."""
        return ""

    def after_epoch(self, loss: float, memory: dict[str, float]) -> str:
        """Take in the loss of an epoch, that of the validation data if there are any.

        What is noted goes into ``memory``. A text that is returned ends the fit, and says why; "" does not.
        """
        return ""


@dataclass(frozen=True)
class Constant(Schedule):
    """The learning rate as it is.

    Examples
    --------
    >>> from fastnet.schedules import Constant, Position
    >>> Constant().rates(0.1, Position(epoch=7))
    0.1
    """


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """scikit-learn's "invscaling": learning_rate / (t + 1)^power after t examples, the same for an epoch.

    Parameters
    ----------
    power : float
        At least 0.

    Examples
    --------
    >>> from fastnet.schedules import InverseScaling, Position
    >>> InverseScaling().rates(1.0, Position(examples_seen=99))
    0.1
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "power", _validate.number(self.power, "power", at_least=0))

    @in_default_mode
    def rates(self, learning_rate: float, at: Position) -> float:
        """Return the rate of the epoch."""
        seen = at.examples_seen + 1
        return learning_rate / (math.sqrt(seen) if self.power == 0.5 else float(seen) ** self.power)


@dataclass(frozen=True)
class Adaptive(Schedule):
    """scikit-learn's "adaptive": the learning rate is divided when the loss no longer falls.

    It looks at the validation loss if there are validation data and at the training loss otherwise. When more
    than `patience` epochs in a row have not brought it down by `tol`, the rate is divided by `factor` and the
    count begins anew; if it is at most `smallest` already, the fit ends.

    Parameters
    ----------
    factor : float
        Greater than 1.
    patience : int
    tol : float
        At least 0.
    smallest : float
        Greater than 0.

    Examples
    --------
    >>> from fastnet.schedules import Adaptive, Position
    >>> schedule, at = Adaptive(patience=1), Position()
    >>> for loss in (1.0, 1.0, 1.0):
    ...     ending = schedule.after_epoch(loss, at.memory)
    >>> schedule.rates(0.1, at)
    0.02
    """

    factor: float = 5.0
    patience: int = 10
    tol: float = 1e-4
    smallest: float = 1e-6

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", _validate.number(self.factor, "factor", above=1))
        object.__setattr__(self, "patience", _validate.integer(self.patience, "patience"))
        object.__setattr__(self, "tol", _validate.number(self.tol, "tol", at_least=0))
        object.__setattr__(self, "smallest", _validate.number(self.smallest, "smallest", above=0))

    @in_default_mode
    def rates(self, learning_rate: float, at: Position) -> float:
        """Return the rate of the epoch."""
        for _ in range(int(at.memory.get("cuts", 0))):
            learning_rate /= self.factor
        at.memory["rate"] = learning_rate
        return learning_rate

    def memory_error(self, memory: Mapping[str, float]) -> str:
        """Return what is wrong with a memory that was read from a file, or "": counts must be counts."""
        for name in ("cuts", "waited"):
            value = memory.get(name, 0.0)
            if not (0 <= value <= 2**31 and value == int(value)):
                return f"schedule.{name}: must be a whole number from 0 to 2**31, got {value}"
        return ""

    @in_default_mode
    def after_epoch(self, loss: float, memory: dict[str, float]) -> str:
        """Take in the loss of an epoch; end the fit when the rate cannot become smaller."""
        plateau = Plateau(memory.get("best", math.inf), int(memory.get("waited", 0)))
        plateau.update(loss, self.tol)
        memory["best"], memory["waited"] = plateau.best, plateau.waited
        if plateau.waited <= self.patience:
            return ""
        memory["waited"] = 0
        rate = memory.get("rate", math.inf)
        if rate <= self.smallest:
            return f"the loss no longer falls, and the learning rate {rate:g} is at most {self.smallest:g}"
        memory["cuts"] = memory.get("cuts", 0) + 1
        return ""


@dataclass(frozen=True)
class Step(Schedule):
    """The learning rate times `factor` after every so many epochs.

    Parameters
    ----------
    every : int
        Epochs.
    factor : float
        Greater than 0.

    Examples
    --------
    >>> from fastnet.schedules import Position, Step
    >>> [Step(every=10, factor=0.1).rates(1.0, Position(epoch=epoch)) for epoch in (0, 9, 10)]
    [1.0, 1.0, 0.1]
    """

    every: int
    factor: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", _validate.integer(self.every, "every"))
        object.__setattr__(self, "factor", _validate.number(self.factor, "factor", above=0))

    @in_default_mode
    def rates(self, learning_rate: float, at: Position) -> float:
        """Return the rate of the epoch."""
        for _ in range(at.epoch // self.every):  # no pow: that of the C library need not round the same
            learning_rate *= self.factor
        return learning_rate


@dataclass(frozen=True)
class Cosine(Schedule):
    """Up along a line, then down along half a cosine, batch by batch (Loshchilov and Hutter 2017).

    Batch s of the warm-up's w, from 0, has the rate learning_rate (s + 1) / w; then the rate falls from
    learning_rate to `final` times it.

    Parameters
    ----------
    warmup : float
        Epochs of warm-up; 0 for none.
    epochs : int, optional
        All epochs, warm-up included. By default until the end of the fit, whatever the trainer has done
        before counted in; give the number if more than one fit shall share a cosine. Later epochs stay at the
        end of it.
    final : float
        0 ≤ final ≤ 1.

    Examples
    --------
    >>> from fastnet.schedules import Cosine, Position
    >>> schedule = Cosine(warmup=1, epochs=3)
    >>> schedule.rates(1.0, Position(epoch=0, batches=4))
    array([0.25, 0.5 , 0.75, 1.  ])
    >>> schedule.rates(1.0, Position(epoch=2, batches=4)).round(3)
    array([0.5  , 0.309, 0.146, 0.038])
    """

    warmup: float = 0.0
    epochs: int | None = None
    final: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "warmup", _validate.number(self.warmup, "warmup", at_least=0))
        _settle_epochs(self)
        object.__setattr__(self, "final", _fraction(self.final, "final"))

    @in_default_mode
    def rates(self, learning_rate: float, at: Position) -> Array:
        """Return the rate of each batch of the epoch."""
        steps = _horizon(self, at) * at.batches
        rising = min(round(self.warmup * at.batches), steps)

        def curve(s: Array) -> Array:
            down = self.final + (1 - self.final) * _half_cosine((s - rising) / max(1, steps - rising))
            return down if rising == 0 else np.where(s < rising, (s + 1) / rising, down)

        return learning_rate * at.factors(curve, steps, self)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """One cycle (Smith 2018): up along half a cosine, then down along another, batch by batch.

    The rate goes from `start` times the learning rate up to it in the first part of the training, and down to
    `final` times it in the rest. The optimiser's learning rate is the highest: take it large.

    Parameters
    ----------
    rise : float
        The part of the training in which the rate rises, 0 ≤ rise ≤ 1.
    start, final : float
        Between 0 and 1.
    epochs : int, optional
        As for `Cosine`.

    Notes
    -----
    The defaults are those of torch's OneCycleLR (div_factor 25, final_div_factor 1e4, cosine), which counts
    its steps so that the last is the end of the curve, and moves the momentum too: here that stays.

    Examples
    --------
    >>> from fastnet.schedules import OneCycle, Position
    >>> OneCycle(epochs=1, rise=0.5, start=0.2, final=0.0).rates(1.0, Position(batches=4))
    array([0.2, 0.6, 1. , 0.5])
    """

    rise: float = 0.3
    start: float = 0.04
    final: float = 4e-6
    epochs: int | None = None

    def __post_init__(self) -> None:
        for name in ("rise", "start", "final"):
            object.__setattr__(self, name, _fraction(getattr(self, name), name))
        _settle_epochs(self)

    @in_default_mode
    def rates(self, learning_rate: float, at: Position) -> Array:
        """Return the rate of each batch of the epoch."""
        steps = _horizon(self, at) * at.batches
        rising = self.rise * steps

        def curve(s: Array) -> Array:
            down = self.final + (1 - self.final) * _half_cosine((s - rising) / max(1.0, steps - rising))
            up = 1 - (1 - self.start) * _half_cosine(s / max(1.0, rising))
            return np.where(s < rising, up, down)

        return learning_rate * at.factors(curve, steps, self)


BY_NAME: Mapping[str, type[Schedule]] = {
    "constant": Constant,
    "inverse_scaling": InverseScaling,
    "adaptive": Adaptive,
    "cosine": Cosine,
    "one_cycle": OneCycle,
}


def resolve(schedule: Any) -> Schedule | None:
    """Return the schedule that a name or an object means; None for a constant rate.

    >>> resolve("cosine")
    Cosine(warmup=0.0, epochs=None, final=0.0)
    """
    if isinstance(schedule, str):
        schedule = BY_NAME[_validate.choice(schedule, "schedule", BY_NAME)]()
    if not isinstance(schedule, Schedule):
        names = ", ".join(map(repr, BY_NAME))
        raise TypeError(
            f"schedule must be one of {names} or a Schedule such as Step(10), got {_validate.shown(schedule)}"
        )
    return None if type(schedule) is Constant else schedule


def _half_cosine(u: Array) -> Array:
    """Return (1 + cos πu) / 2, from 1 at u ≤ 0 to 0 at u ≥ 1, at most 4e-16 off.

    As (1 + sin x) / 2 with x = π (½ − u), by the terms of its series: only operations that round alike
    everywhere.
    """
    x = (0.5 - u.clip(0, 1)) * math.pi
    square = x * x
    sine = np.ones_like(x)
    for k in range(20, 1, -2):  # sin x = x (1 − x²/(2·3) (1 − x²/(4·5) (...))); (π/2)²³/23! is below 2e-18
        sine *= square
        sine /= -k * (k + 1)
        sine += 1
    sine *= x
    sine += 1
    sine *= 0.5
    return sine


def _horizon(schedule: Cosine | OneCycle, at: Position) -> int:
    end = schedule.epochs if schedule.epochs is not None else at.end
    if end is None:
        name = type(schedule).__name__
        raise ValueError(f"{name} must be told how many epochs there will be: {name}(epochs=...)")
    return end


def _settle_epochs(schedule: Cosine | OneCycle) -> None:
    if schedule.epochs is not None:
        object.__setattr__(schedule, "epochs", _validate.integer(schedule.epochs, "epochs"))


def _fraction(value: Any, name: str) -> float:
    number = _validate.number(value, name, at_least=0)
    if number > 1:
        raise ValueError(f"{name} must be at most 1, got {number:g}")
    return number
