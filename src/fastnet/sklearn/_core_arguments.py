"""An estimator's parameters as the arguments of `engine.TrainerCore`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnet import _validate
from fastnet.sklearn import _compat, _optimizer_state
from fastnet.sklearn._compat import PrivateState
from fastnet.sklearn._own_parameters import own_parameter

__all__ = ["activations", "dropout", "loss", "multiplications", "optimizer"]

LOSS_IS_A_MEAN = _compat.loss_is_a_mean()
OUTPUTS = {"logistic": "sigmoid"}  # in hidden layers "logistic" is the sigmoid with scikit-learn's rounding


def activations(est: Any, n_layers: int) -> list[str]:
    """Return the core's names of the activations of this many layers."""
    return [
        *_for_each_hidden_layer(est.activation, "activation", n_layers - 1),
        OUTPUTS.get(est.out_activation_, est.out_activation_),
    ]


def _for_each_hidden_layer(given: Any, name: str, n_hidden: int) -> list[Any]:
    """Return a list with a value for each hidden layer, from such a list or from one value for all."""
    if not isinstance(given, (list, tuple, np.ndarray)):
        return [given] * n_hidden
    if len(given) != n_hidden:
        raise ValueError(
            f"{name} must be one value or a list of {n_hidden}, one for each hidden layer, got {len(given)}"
        )
    return list(given)


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
        arguments["loss_parameter"] = float(own_parameter(est, "delta"))
    elif est.loss == "quantile":
        arguments["loss_parameter"] = float(own_parameter(est, "quantile"))
    return arguments


def optimizer(est: Any, solver: str) -> dict[str, Any]:
    """Return the arguments for the optimiser's steps.

    They come from the estimator's `_optimizer`, which lasts from one partial_fit to the next: as in
    scikit-learn, other values given to the estimator in between have no effect on it.
    """
    state = PrivateState(est).optimizer
    arguments: dict[str, Any] = {"optimizer": solver, "l2": float(est.alpha)}
    names: dict[str, Any] = _optimizer_state.CORE_ARGUMENTS[solver]
    for name, attribute in names.items():
        convert = bool if name == "nesterov" else float
        arguments[name] = convert(getattr(state, attribute))
    clip_norm = own_parameter(est, "clip_norm")
    if clip_norm is not None:
        arguments["clip_norm"] = float(clip_norm)
    return arguments


def dropout(est: Any, n_layers: int) -> dict[str, Any]:
    """Return the arguments for dropout, with a seed drawn from the estimator's random state."""
    given = own_parameter(est, "dropout")
    if isinstance(given, (int, float)) and given == 0:
        return {}
    given = _for_each_hidden_layer(given, "dropout", n_layers - 1)
    rates = [_validate.number(rate, f"dropout[{k}]", at_least=0, below=1) for k, rate in enumerate(given)]
    if not any(rates):
        return {}
    return {"dropout": [*rates, 0.0], "seed": int(PrivateState(est).random_state.randint(1 << 31))}


def multiplications(W: list[Any], in_a_row: float | None = None) -> float:
    """Return how many multiplications the forward pass of one example takes.

    in_a_row: how many numbers of an example are not zero, if the others are left out.
    """
    total: float = sum(w.size for w in W)
    if in_a_row is not None:
        n_out, n_in = W[0].shape
        total -= n_out * (n_in - in_a_row)
    return total
