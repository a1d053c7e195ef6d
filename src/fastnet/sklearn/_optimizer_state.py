"""The object that an estimator keeps as `_optimizer`: the state of its solver between fits."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, BaseOptimizer, SGDOptimizer

__all__ = ["CLASSES", "AdamWOptimizer", "RMSPropOptimizer", "new"]


class AdamWOptimizer(AdamOptimizer):  # type: ignore[misc]
    """State of solver="adamw", which is that of Adam."""


class RMSPropOptimizer(BaseOptimizer):  # type: ignore[misc]
    """State of solver="rmsprop": the mean squares `vs` of the gradients of coefs_, then of intercepts_."""

    def __init__(self, params: list[Any], learning_rate_init: float) -> None:
        super().__init__(learning_rate_init)
        self.ms = [np.zeros_like(param) for param in params]
        self.vs = [np.zeros_like(param) for param in params]


CLASSES = {"sgd": SGDOptimizer, "adam": AdamOptimizer, "adamw": AdamWOptimizer, "rmsprop": RMSPropOptimizer}


def new(est: Any, solver: str) -> Any:
    """Return the state of a solver before its first step, as scikit-learn would make it."""
    params = [np.asarray(param) for param in (*est.coefs_, *est.intercepts_)]
    if solver == "sgd":
        return SGDOptimizer(
            params,
            est.learning_rate_init,
            est.learning_rate if isinstance(est.learning_rate, str) else "constant",
            est.momentum,
            est.nesterovs_momentum,
            est.power_t,
        )
    if solver == "rmsprop":
        return RMSPropOptimizer(params, est.learning_rate_init)
    return CLASSES[solver](params, est.learning_rate_init, est.beta_1, est.beta_2, est.epsilon)
