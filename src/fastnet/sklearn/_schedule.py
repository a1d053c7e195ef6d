"""Schedules of `fastnet.schedules` in the place of scikit-learn's `learning_rate`."""

from __future__ import annotations

from typing import Any

THEIRS = ("constant", "invscaling", "adaptive")  # scikit-learn's own, which its optimisers keep
OURS = ("cosine", "one_cycle")


def plan(est: Any, n: int, batch_size: int) -> Plan | None:
    """Return the plan of a fit that has a schedule of fastnet's; None if its rates are scikit-learn's."""
    if isinstance(est.learning_rate, str) and est.learning_rate in THEIRS:
        return None
    return Plan(est, -(-n // batch_size))


class Plan:
    """The rates of one fit, epoch by epoch."""

    def __init__(self, est: Any, batches: int) -> None:
        from fastnet import schedules

        self.est = est
        self.schedule = schedules.resolve(est.learning_rate) or schedules.Constant()
        if not hasattr(est._optimizer, "schedule_memory"):
            est._optimizer.schedule_memory = {}
        done = len(est.loss_curve_)
        end = None if est._call.incremental else done + est.max_iter
        self.at = schedules.Position(done, end, batches, est.t_, est._optimizer.schedule_memory)

    def rates(self) -> Any:
        """Return the learning rate of the next epoch, or that of each of its batches."""
        self.at.epoch, self.at.examples_seen = len(self.est.loss_curve_), self.est.t_
        return self.schedule.rates(self.est.learning_rate_init, self.at)

    def ends(self) -> bool:
        """Whether the schedule ends the fit after the epoch that was."""
        curve = self.est.validation_loss_curve_ or self.est.loss_curve_
        why = self.schedule.after_epoch(curve[-1], self.at.memory)
        if why and self.est.verbose:
            print(f"{why}. Stopping.")
        return bool(why)
