"""Trains an estimator's weights in the core, and brings weights and optimiser state back.

`coefs_`, `intercepts_` and `_optimizer` of the estimator are what lasts: they are copied into the core at the
start of a fit, and out of it at the end. Users assign to them, and pickles hold them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

from fastnet._core import engine
from fastnet.sklearn import _core_arguments, _layout, _own_parameters, _threads
from fastnet.sklearn._compat import PrivateState
from fastnet.sklearn._layout import Array

__all__ = ["EstimatorTrainer"]


class EstimatorTrainer:
    """The core's trainer (`core`) with an estimator's weights, and the way back into the estimator."""

    def __init__(
        self,
        est: Any,
        solver: str,
        dtype: np.dtype[Any],
        batch_size: int,
        in_a_row: float | None = None,
        sparse: bool = False,
    ) -> None:
        self.est = est
        self.solver = solver
        self.dtype = dtype
        W, b = _layout.layers(est.coefs_, est.intercepts_, dtype)
        arguments = (
            _core_arguments.loss(est, dtype)
            | _core_arguments.optimizer(est, solver)
            | _core_arguments.dropout(est, len(W))
        )
        flops = 6.0 * _core_arguments.multiplications(W, in_a_row) * min(batch_size, 1024)
        self.core = engine.TrainerCore(
            W,
            b,
            _core_arguments.activations(est, len(W)),
            batch_size,
            _threads.threads_for(_own_parameters.own_parameter(est, "n_threads"), flops),
            sparse=sparse,
            **arguments,
        )

    def load_optimizer_state(self) -> None:
        """Continue from the moments and the step number that the estimator's optimiser has."""
        state = PrivateState(self.est).optimizer
        count = len(self.est.coefs_)
        self.core.step = getattr(state, "t", 0)
        moments = {}
        for which, name in self._moment_names():
            for k, value in enumerate(getattr(state, name)):
                layer, part = (k, "W") if k < count else (k - count, "b")
                moment = np.asarray(value, self.dtype, order="C")
                moments[f"{which}.{layer}.{part}"] = moment.T if part == "W" else moment.reshape(-1, 1)
        if moments:
            self.core.load_moments(moments)

    def _moment_names(self) -> list[tuple[str, str]]:
        """Return the core's and the optimiser's name of each moment that the solver has."""
        if self.solver == "sgd":
            return [("first", "velocities")] if PrivateState(self.est).optimizer.momentum else []
        return [("first", "ms"), ("second", "vs")]

    def weights(self) -> tuple[list[Array], list[Array]]:
        """Return the present weights in scikit-learn's shapes, (n_in, n_out) and (n_out,), in C order."""
        W, b = self.core.weights(by_inputs=True)
        return [w.T for w in W], [c.ravel() for c in b]

    def store_in_estimator(self) -> None:
        """Put the present weights and the optimiser's state into the estimator."""
        coefs, intercepts = self.weights()
        _layout.assign(self.est.coefs_, coefs)
        _layout.assign(self.est.intercepts_, intercepts)
        state = PrivateState(self.est).optimizer
        moments = self.core.moments(by_inputs=True)
        for which, name in self._moment_names():
            W = [moments[f"{which}.{k}.W"].T for k in range(len(coefs))]
            setattr(state, name, W + [moments[f"{which}.{k}.b"].ravel() for k in range(len(coefs))])
        state.t = self.core.step
        if isinstance(state, AdamOptimizer) and state.t:
            correction = np.sqrt(1 - state.beta_2**state.t) / (1 - state.beta_1**state.t)
            state.learning_rate = state.learning_rate_init * correction
