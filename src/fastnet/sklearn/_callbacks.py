"""Calls scikit-learn's callbacks (new in its version 1.9) during a fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["CallbackReporter"]


@dataclass
class CallbackReporter:
    """Tells the estimator's callbacks when the fit and each of its epochs begin and end."""

    est: Any
    solver: str
    data: dict[str, Any]
    fit_context: Any
    task_name: str
    task: Any = None

    @classmethod
    def begin_fit(cls, est: Any, fit_context: Any, X: Any, y: Any, sample_weight: Any) -> CallbackReporter:
        """Report that the fit begins. Callbacks see the data as the user gave them."""
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        data = {"estimator": est, "X": X, "y": y, "metadata": metadata}
        task_name = "iteration" if est.solver == "lbfgs" else "epoch"
        reporter = cls(est, est.solver, data, fit_context, task_name)
        fit_context.call_on_fit_task_begin(**data)
        return reporter

    def begin_epoch(self) -> None:
        """Report that an epoch begins."""
        self.task = self.fit_context.subcontext(task_name=self.task_name)
        self.task.call_on_fit_task_begin(**self.data)

    def end_epoch(self, weights: Callable[[], tuple[Any, Any]]) -> bool:
        """Report that an epoch ended, and return whether a callback wants to stop the fit.

        `weights` returns coefs_ and intercepts_. It is called only if a callback asks for a fitted estimator.
        """

        def attributes() -> dict[str, Any]:
            coefs, intercepts = weights()
            return {
                "coefs_": coefs,
                "intercepts_": intercepts,
                "loss_curve_": list(getattr(self.est, "loss_curve_", [])),
                "solver": self.solver,
            }

        task, self.task = self.task, None
        return bool(task.call_on_fit_task_end(**self.data, reconstruction_attributes=attributes))

    def cancel_epoch(self) -> None:
        """Report the end of an epoch that was begun but did not run."""
        if self.task is not None:
            self.task.call_on_fit_task_end(estimator=self.est)
            self.task = None

    def end_fit(self) -> None:
        """Report that the fit ended."""
        self.fit_context.call_on_fit_task_end(**self.data, reconstruction_attributes=dict)
