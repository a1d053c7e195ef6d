"""The arguments of a training and of a fit, checked once and then shared by trainer, loop and state_dict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from fastnet import _validate, losses, optimizers, threads
from fastnet.losses import Loss
from fastnet.optimizers import LBFGS, Optimizer

if TYPE_CHECKING:
    from fastnet.metrics import Metric
    from fastnet.schedules import Schedule

__all__ = ["FitOptions", "Settings"]

T = TypeVar("T")
CALIBRATED_LOSSES = "bce", "cross_entropy"  # whose logits a temperature can divide


def _made(cls: type[T], **fields: Any) -> T:
    """Return an object of a frozen dataclass, all of whose fields are given.

    Its constructor takes three times as long, which a fit of a tiny network notices.
    """
    made = object.__new__(cls)
    made.__dict__.update(fields)
    return made


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a training minimises and how: the same in all fits of a `Trainer`, whose arguments these are."""

    optimizer: Optimizer
    loss: Loss
    batch_size: int | None
    l2: float
    clip_norm: float | None
    schedule: Schedule | None
    shuffle: bool
    seed: int
    n_threads: int | None

    @classmethod
    def check(
        cls,
        activation: str,
        dropout: Sequence[float],
        *,
        optimizer: Any,
        loss: Any,
        batch_size: Any,
        learning_rate: Any,
        l2: Any,
        clip_norm: Any,
        schedule: Any,
        shuffle: Any,
        seed: Any,
        n_threads: Any,
    ) -> Settings:
        """Return the settings for a network of this last activation and dropout, or raise what is wrong."""
        checked = _made(
            cls,
            optimizer=optimizers.resolve(optimizer, learning_rate),
            loss=losses.resolve(loss, activation),
            batch_size=None if batch_size is None else _validate.integer(batch_size, "batch_size"),
            l2=_validate.number(l2, "l2", at_least=0),
            clip_norm=None if clip_norm is None else _validate.number(clip_norm, "clip_norm", above=0),
            schedule=None if schedule is None else _schedule(schedule),
            shuffle=_validate.flag(shuffle, "shuffle"),
            seed=_validate.seed(seed),
            n_threads=None if n_threads is None else threads.requested(n_threads),
        )
        if checked.lbfgs is not None:
            checked._refuse_with_lbfgs(max(dropout))
        return checked

    def with_seed(self, seed: Any) -> Settings:
        """Return the same with another seed, much sooner than by `check`."""
        return _made(Settings, **{**self.__dict__, "seed": _validate.seed(seed)})

    def check_precision(self, dtype: np.dtype[Any]) -> None:
        """ValueError if a number is 0 in the network's dtype: a fit would learn nothing."""
        named = {"learning_rate": getattr(self.optimizer, "learning_rate", None), "clip_norm": self.clip_norm}
        for name, value in named.items():
            if value and value < 1e-30 and not dtype.type(value):  # most are far from it
                raise ValueError(f"{name} must be a number that {dtype} tells from 0, got {value:g}")

    def _refuse_with_lbfgs(self, dropout: float) -> None:
        """ValueError if a setting was chosen that has no meaning for L-BFGS."""
        given = {
            "batch_size": self.batch_size,
            "clip_norm": self.clip_norm,
            "schedule": self.schedule,
            "dropout": dropout or None,
        }
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{name} must not be given with LBFGS, which has none, got {value!r}")

    @property
    def lbfgs(self) -> LBFGS | None:
        """The optimiser if it is L-BFGS, which has no batches and works in float64."""
        return self.optimizer if isinstance(self.optimizer, LBFGS) else None

    def batch(self, n: int) -> int:
        """Return how many of n examples are a batch: 200 unless told otherwise, and all for L-BFGS."""
        if self.lbfgs is not None:
            return n
        if self.batch_size is not None and n < self.batch_size:
            _validate.warn(f"batch_size={self.batch_size} is more than the {n} examples: taken as {n}")
        return min(n, self.batch_size or 200)

    def core_options(self) -> dict[str, Any]:
        """Return the arguments of the core's trainer for loss, optimiser and regularisation."""
        return {
            **self.optimizer.core_options(),
            "loss": self.loss.name,
            "loss_parameter": self.loss.parameter,
            "l2": self.l2,
            "clip_norm": self.clip_norm or 0.0,
            "seed": self.seed,
        }


def _schedule(schedule: Any) -> Schedule | None:
    from fastnet.schedules import resolve

    return resolve(schedule)


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """What one fit is asked for beside its data: how long it runs, and what is looked at after each epoch.

    `one_by_one`: epochs are trained one at a time, and nobody knows how many will follow.
    """

    epochs: int
    progress: bool | None = False
    early_stopping: bool | Literal["calibrated"] = False
    tol: float = 0.0
    patience: int = 0
    metrics: dict[str, Metric]
    max_seconds: float | None = None
    one_by_one: bool = False

    @property
    def calibrated(self) -> bool:
        """Whether early stopping watches the validation loss after the best temperature."""
        return self.early_stopping == "calibrated"

    def check_calibrated(self, loss: str, *, validated: bool) -> None:
        """ValueError if early stopping is to watch a loss that there is not."""
        if not self.calibrated:
            return
        if loss not in CALIBRATED_LOSSES:
            raise ValueError(
                f"early_stopping must be True or False with the loss {loss!r}: 'calibrated' is for "
                f"{' and '.join(map(repr, CALIBRATED_LOSSES))}"
            )
        if not validated:
            raise ValueError("early_stopping='calibrated' needs validation data, got none")

    @classmethod
    def check(
        cls,
        *,
        epochs: Any,
        progress: Any,
        early_stopping: Any,
        tol: Any,
        patience: Any,
        metrics: Any,
        max_seconds: Any,
    ) -> FitOptions:
        """Return the options of a fit, or raise what is wrong."""
        return _made(
            cls,
            epochs=_validate.integer(epochs, "epochs"),
            progress=None if progress is None else _validate.flag(progress, "progress"),
            early_stopping=_early_stopping(early_stopping),
            tol=_validate.number(tol, "tol", at_least=0),
            patience=_validate.integer(patience, "patience", 0),
            metrics={} if type(metrics) is tuple and not metrics else _metrics(metrics),
            max_seconds=None if max_seconds is None else _validate.rate(max_seconds, "max_seconds"),
            one_by_one=False,
        )


def _early_stopping(value: Any) -> bool | Literal["calibrated"]:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, str) and value == "calibrated":
        return "calibrated"
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(f"early_stopping must be True, False or 'calibrated', got {_validate.shown(value)}")


def _metrics(metrics: Any) -> dict[str, Metric]:
    from fastnet.metrics import resolve

    return resolve(metrics)
