"""An estimator of scikit-learn's kind and the core's Trainer: parameters and state there and back.

`coefs_`, `intercepts_` and `_optimizer` of the estimator are what lasts: they are copied into a trainer at
the start of a fit, and out of it at the end. Users assign to them, and pickles hold them.
"""

from __future__ import annotations

import os
import sys
import threading as python_threads
from typing import Any

import numpy as np
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, BaseOptimizer, SGDOptimizer

from fastnet import threads
from fastnet._core import engine
from fastnet.sklearn import _compat, _layout
from fastnet.sklearn._layout import Array

MEAN_SQUARED_ERROR = _compat.loss_is_a_mean()
OUTPUTS = {"logistic": "sigmoid"}  # in hidden layers "logistic" is the sigmoid with scikit-learn's rounding


class AdamWOptimizer(AdamOptimizer):  # type: ignore[misc]
    """State of solver="adamw": that of Adam."""


class RMSPropOptimizer(BaseOptimizer):  # type: ignore[misc]
    """State of solver="rmsprop": the mean squares `vs`, of each coefficient and then of each intercept."""

    def __init__(self, params: list[Any], learning_rate_init: float) -> None:
        super().__init__(learning_rate_init)
        self.ms = [np.zeros_like(param) for param in params]
        self.vs = [np.zeros_like(param) for param in params]


KINDS = {"sgd": SGDOptimizer, "adam": AdamOptimizer, "adamw": AdamWOptimizer, "rmsprop": RMSPropOptimizer}


def new_optimizer(est: Any) -> Any:
    """Return the state of the estimator's solver before the first step, as scikit-learn would keep it."""
    params = [np.asarray(param) for param in (*est.coefs_, *est.intercepts_)]
    if est._call.solver == "sgd":
        return SGDOptimizer(
            params,
            est.learning_rate_init,
            est.learning_rate if isinstance(est.learning_rate, str) else "constant",
            est.momentum,
            est.nesterovs_momentum,
            est.power_t,
        )
    if est._call.solver == "rmsprop":
        return RMSPropOptimizer(params, est.learning_rate_init)
    return KINDS[est._call.solver](params, est.learning_rate_init, est.beta_1, est.beta_2, est.epsilon)


def activations(est: Any, count: int) -> list[str]:
    """Return the core's names of the activations of so many layers."""
    hidden = est.activation
    if isinstance(hidden, str):
        hidden = [hidden] * (count - 1)
    elif len(hidden) != count - 1:
        raise ValueError(
            f"activation: expected one name or {count - 1}, one for each hidden layer, got {len(hidden)}"
        )
    return [*hidden, OUTPUTS.get(est.out_activation_, est.out_activation_)]


def loss(est: Any, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the trainer's arguments for the loss, which is reported as scikit-learn reports it.

    Scikit-learn clips probabilities to [eps, 1 - eps] in the loss, and takes the mean of the squared error
    over the outputs, but does neither in the gradient.
    """
    if est.out_activation_ in ("softmax", "logistic") and est.loss == "log_loss":
        name = "cross_entropy" if est.out_activation_ == "softmax" else "bce"
        return {"loss": name, "cost_clip": float(np.finfo(dtype).eps)}
    arguments: dict[str, Any] = {"loss": est.loss}
    if est.loss == "squared_error" and MEAN_SQUARED_ERROR:
        arguments["cost_scale"] = 1.0 / est.n_outputs_
    elif est.loss == "huber":
        arguments["loss_parameter"] = float(est.delta)
    elif est.loss == "quantile":
        arguments["loss_parameter"] = float(est.quantile)
    return arguments


def optimizer(est: Any, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the trainer's arguments for the steps."""
    arguments: dict[str, Any] = {"optimizer": est._call.solver, "l2": float(est.alpha)}
    if est._call.solver == "sgd":
        arguments |= {"momentum": float(est.momentum), "nesterov": bool(est.nesterovs_momentum)}
    elif est._call.solver == "rmsprop":
        arguments |= {"beta_2": float(est.rho), "epsilon": float(est.epsilon)}
    else:
        arguments |= {
            "beta_1": float(est.beta_1),
            "beta_2": float(est.beta_2),
            "epsilon": float(est.epsilon),
        }
    if est._call.solver == "adamw":
        arguments["weight_decay"] = float(est.weight_decay)
    if est.clip_norm is not None:
        arguments["clip_norm"] = float(est.clip_norm)
    return arguments


def dropout(est: Any, count: int) -> dict[str, Any]:
    """Return the trainer's arguments for dropout, with a seed drawn from the estimator's random state."""
    share = est.dropout
    if isinstance(share, (list, tuple, np.ndarray)):
        if len(share) != count - 1:
            raise ValueError(
                f"dropout: expected one number or {count - 1}, one for each hidden layer, got {len(share)}"
            )
        shares = [float(p) for p in share]
    else:
        shares = [float(share)] * (count - 1)
    if not any(shares):
        return {}
    if not all(0 <= p < 1 for p in shares):
        raise ValueError(f"dropout: expected numbers from 0 to below 1, got {share}")
    return {"dropout": [*shares, 0.0], "seed": int(est._random_state.randint(1 << 31))}


def most_threads(n_threads: int | None) -> int:
    """Return how many threads a call may use: as asked for; else one where joblib runs several calls at once.

    In its own worker processes joblib says how many in OMP_NUM_THREADS, which `fastnet.threads` heeds.
    """
    if n_threads is None and _inside_joblib():
        told = any(os.environ.get(name) for name in threads.VARIABLES)
        if not told or python_threads.current_thread() is not python_threads.main_thread():
            return 1
    return threads.most(n_threads)


def _inside_joblib() -> bool:
    parallel = sys.modules.get("joblib.parallel")
    return parallel is not None and (parallel.get_active_backend()[0].nesting_level or 0) > 0


def team(n_threads: int | None, flops: float) -> int:
    """Return how many threads to use for so much work between two barriers."""
    if flops < 2 * threads.FLOPS_WORTH_A_THREAD and n_threads is None:
        return 1
    return threads.worth(most_threads(n_threads), flops)


def products(coefs: list[Any]) -> int:
    """Return the multiplications of one example's forward pass."""
    return sum(coef.size for coef in coefs)


class Session:
    """A trainer made from an estimator, and what it has to give back."""

    def __init__(self, est: Any, dtype: np.dtype[Any], batch_size: int, *, steps: bool = True) -> None:
        self.est = est
        self.dtype = dtype
        W, b = _layout.layers(est.coefs_, est.intercepts_, dtype)
        count = len(W)
        arguments = loss(est, dtype)
        if steps:
            arguments |= optimizer(est, dtype) | dropout(est, count)
        flops = 6.0 * products(W) * min(batch_size, 1024)
        self.trainer = engine.TrainerCore(
            W, b, activations(est, count), batch_size, team(est.n_threads, flops), **arguments
        )

    def resume(self) -> None:
        """Continue with the moments and the step of the estimator's optimiser."""
        state = self.est._optimizer
        count = len(self.est.coefs_)
        self.trainer.step = getattr(state, "t", 0)
        moments = {}
        for which, name in self.moments():
            for k, value in enumerate(getattr(state, name)):
                layer, part = (k, "W") if k < count else (k - count, "b")
                moment = np.asarray(value).T if part == "W" else np.reshape(value, (-1, 1))
                moments[f"{which}.{layer}.{part}"] = np.ascontiguousarray(moment, self.dtype)
        if moments:
            self.trainer.load_moments(moments)

    def moments(self) -> list[tuple[str, str]]:
        """Return which of the trainer's moments the optimiser keeps, and under which name."""
        if self.est._call.solver == "sgd":
            return [("first", "velocities")] if self.est.momentum else []
        return [("first", "ms"), ("second", "vs")]

    def weights(self) -> tuple[list[Array], list[Array]]:
        """Return the trainer's weights in scikit-learn's shapes, (n_in, n_out) and (n_out,), C order."""
        W, b = self.trainer.weights()
        return [np.ascontiguousarray(w.T) for w in W], [c.ravel() for c in b]

    def finish(self) -> None:
        """Give the weights and the optimiser's state back to the estimator."""
        coefs, intercepts = self.weights()
        _layout.give_back(self.est.coefs_, coefs)
        _layout.give_back(self.est.intercepts_, intercepts)
        state = self.est._optimizer
        moments = self.trainer.moments()
        for which, name in self.moments():
            W = [np.ascontiguousarray(moments[f"{which}.{k}.W"].T) for k in range(len(coefs))]
            setattr(state, name, W + [moments[f"{which}.{k}.b"].ravel() for k in range(len(coefs))])
        state.t = self.trainer.step
        if isinstance(state, AdamOptimizer) and state.t:
            correction = np.sqrt(1 - state.beta_2**state.t) / (1 - state.beta_1**state.t)
            state.learning_rate = state.learning_rate_init * correction
