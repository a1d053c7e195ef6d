"""Learning rates from a schedule of `fastnet.schedules` that is given as `learning_rate`."""

from __future__ import annotations

from typing import Any

from fastnet.sklearn._compat import PrivateState
from fastnet.sklearn._fit_arguments import FitArguments

__all__ = ["NAMES", "SCIKIT_LEARN", "ScheduledRates", "learning_rate_schedule"]

SCIKIT_LEARN = ("constant", "invscaling", "adaptive")  # its optimisers compute these
NAMES = ("cosine", "one_cycle")


def learning_rate_schedule(
    est: Any, arguments: FitArguments, n: int, batch_size: int
) -> ScheduledRates | None:
    """Return the rates of a fit of n examples with a schedule; None if its rates are scikit-learn's."""
    if isinstance(est.learning_rate, str) and est.learning_rate in SCIKIT_LEARN:
        return None
    return ScheduledRates(est, arguments, batches=-(-n // batch_size))


class ScheduledRates:
    """The learning rates of one fit, epoch by epoch."""

    def __init__(self, est: Any, arguments: FitArguments, batches: int) -> None:
        from fastnet import schedules

        self.est = est
        self.schedule = schedules.resolve(est.learning_rate) or schedules.Constant()
        self.optimizer = optimizer = PrivateState(est).optimizer
        if not hasattr(optimizer, "schedule_memory"):
            optimizer.schedule_memory = {}
        done = len(est.loss_curve_)
        end = None if arguments.incremental else done + est.max_iter
        self.position = schedules.Position(done, end, batches, est.t_, optimizer.schedule_memory)

    def rates(self) -> Any:
        """Return the learning rate of the next epoch, or that of each of its batches."""
        self.position.epoch, self.position.examples_seen = len(self.est.loss_curve_), self.est.t_
        return self.schedule.rates(self.optimizer.learning_rate_init, self.position)

    def ends_fit(self) -> bool:
        """Return whether the schedule ends the fit after the last epoch."""
        curve = self.est.validation_loss_curve_ or self.est.loss_curve_
        why = self.schedule.after_epoch(curve[-1], self.position.memory)
        if why and self.est.verbose:
            print(f"{why}. Stopping.")
        return bool(why)
