"""An estimator's parameters as the arguments of `engine.TrainerCore`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnet import _validate
from fastnet.sklearn import _compat
from fastnet.sklearn._compat import PrivateState

__all__ = ["activations", "dropout", "loss", "multiplications", "optimizer"]

LOSS_IS_A_MEAN = _compat.loss_is_a_mean()
OUTPUTS = {"logistic": "sigmoid"}  # in hidden layers "logistic" is the sigmoid with scikit-learn's rounding


def activations(est: Any, n_layers: int) -> list[str]:
    """Return the core's names of the activations of this many layers."""
    return [
        *_for_each_hidden_layer(est.activation, "activation", n_layers - 1),
        OUTPUTS.get(est.out_activation_, est.out_activation_),
    ]


def _for_each_hidden_layer(value: Any, name: str, n_hidden: int) -> list[Any]:
    """Return a list with a value for each hidden layer, from such a list or from one value for all."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return [value] * n_hidden
    if len(value) != n_hidden:
        raise ValueError(
            f"{name} must be one value or a list of {n_hidden}, one for each hidden layer, got {len(value)}"
        )
    return list(value)


def loss(est: Any, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the arguments for the loss, which is reported as scikit-learn reports it.

    Scikit-learn clips probabilities to [eps, 1 - eps] in the loss, and takes the mean of the squared error
    over the outputs. It does neither in the gradient.
    """
    if est.out_activation_ in ("softmax", "logistic") and est.loss == "log_loss":
        name = "cross_entropy" if est.out_activation_ == "softmax" else "bce"
        return {"loss": name, "cost_clip": float(np.finfo(dtype).eps)}
    arguments: dict[str, Any] = {"loss": est.loss}
    if est.loss == "squared_error" and LOSS_IS_A_MEAN:
        arguments["cost_scale"] = 1.0 / est.n_outputs_
    elif est.loss == "huber":
        arguments["loss_parameter"] = float(est.delta)
    elif est.loss == "quantile":
        arguments["loss_parameter"] = float(est.quantile)
    return arguments


def optimizer(est: Any, solver: str) -> dict[str, Any]:
    """Return the arguments for the optimiser's steps."""
    arguments: dict[str, Any] = {"optimizer": solver, "l2": float(est.alpha)}
    if solver == "sgd":
        arguments |= {"momentum": float(est.momentum), "nesterov": bool(est.nesterovs_momentum)}
    elif solver == "rmsprop":
        arguments |= {"beta_2": float(est.rho), "epsilon": float(est.epsilon)}
    else:
        arguments |= {
            "beta_1": float(est.beta_1),
            "beta_2": float(est.beta_2),
            "epsilon": float(est.epsilon),
        }
    if solver == "adamw":
        arguments["weight_decay"] = float(est.weight_decay)
    if est.clip_norm is not None:
        arguments["clip_norm"] = float(est.clip_norm)
    return arguments


def dropout(est: Any, n_layers: int) -> dict[str, Any]:
    """Return the arguments for dropout, with a seed drawn from the estimator's random state."""
    given = _for_each_hidden_layer(est.dropout, "dropout", n_layers - 1)
    rates = [_validate.number(rate, f"dropout[{k}]", at_least=0, below=1) for k, rate in enumerate(given)]
    if not any(rates):
        return {}
    return {"dropout": [*rates, 0.0], "seed": int(PrivateState(est).random_state.randint(1 << 31))}


def multiplications(coefs: list[Any]) -> int:
    """Return how many multiplications the forward pass of one example takes."""
    return sum(coef.size for coef in coefs)
