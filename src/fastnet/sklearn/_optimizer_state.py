"""State of an estimator's optimiser between fits, kept as its attribute `_optimizer`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, BaseOptimizer, SGDOptimizer

from fastnet.sklearn._own_parameters import own_parameter

__all__ = [
    "CLASSES",
    "CORE_ARGUMENTS",
    "AdamWOptimizer",
    "RMSPropOptimizer",
    "new_optimizer_state",
    "solver_of",
]


class AdamWOptimizer(AdamOptimizer):  # type: ignore[misc]
    """State of solver="adamw": that of Adam, and the weight decay."""

    def __init__(self, params: list[Any], *args: Any, weight_decay: float) -> None:
        super().__init__(params, *args)
        self.weight_decay = weight_decay


class RMSPropOptimizer(BaseOptimizer):  # type: ignore[misc]
    """State of solver="rmsprop": the mean squares `vs` of the gradients of coefs_, then of intercepts_."""

    def __init__(self, params: list[Any], learning_rate_init: float, rho: float, epsilon: float) -> None:
        super().__init__(learning_rate_init)
        self.rho = rho
        self.epsilon = epsilon
        self.ms = [np.zeros_like(param) for param in params]
        self.vs = [np.zeros_like(param) for param in params]


CLASSES = {"sgd": SGDOptimizer, "adam": AdamOptimizer, "adamw": AdamWOptimizer, "rmsprop": RMSPropOptimizer}

_ADAM = {"beta_1": "beta_1", "beta_2": "beta_2", "epsilon": "epsilon"}

# The core's arguments of each solver, and the attributes of the state that hold them.
CORE_ARGUMENTS = {
    "sgd": {"momentum": "momentum", "nesterov": "nesterov"},
    "adam": _ADAM,
    "adamw": _ADAM | {"weight_decay": "weight_decay"},
    "rmsprop": {"beta_2": "rho", "epsilon": "epsilon"},
}


def new_optimizer_state(est: Any, solver: str) -> Any:
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
        return RMSPropOptimizer(params, est.learning_rate_init, own_parameter(est, "rho"), est.epsilon)
    adam = (params, est.learning_rate_init, est.beta_1, est.beta_2, est.epsilon)
    if solver == "adamw":
        return AdamWOptimizer(*adam, weight_decay=own_parameter(est, "weight_decay"))
    return AdamOptimizer(*adam)


def solver_of(state: Any) -> str | None:
    """Return the solver whose state this is; None if it is of a class that the core does not know."""
    for solver, kind in CLASSES.items():
        if type(state) is kind:
            return solver
    return None
