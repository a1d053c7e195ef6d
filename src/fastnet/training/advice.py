"""Advice after a fit that has learned hardly anything: what the loss is compared with, and what may help."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fastnet._examples import Examples, take_rows
from fastnet._validate import Array
from fastnet.losses import Loss
from fastnet.optimizers import SGD

if TYPE_CHECKING:
    from fastnet.history import History
    from fastnet.training.settings import Settings

__all__ = ["advice", "constant_cost", "hardly_moved", "learned_little"]

FEWEST_EPOCHS = 10  # who asks for less wants to look, not to be done
MOVED = 0.9  # a loss that fell below this part of its first value has moved
BETTER = 0.95  # and so has one below this part of the cost of the best constant
_LOOKED_AT = 1000  # examples whose range is looked at
_TAME = 0.1, 10.0  # standard deviations between which a feature counts as scaled


def learned_little(cost: float, constant: float) -> bool:
    """Return whether the cost of a trained network is hardly below that of the best constant.

    Without dropout and `l2`. NaN is not.
    """
    return cost > BETTER * constant


def advice(history: History, settings: Settings, data: Examples, constant: float) -> str:
    """Return what to tell the user of a fit whose loss has hardly moved, and which has learned little.

    Parameters
    ----------
    history : History
        Of the fit.
    settings : Settings
    data : Examples
        What was trained on.
    constant : float
        The `constant_cost` of them.
    """
    tips = []
    if isinstance(data.X, np.ndarray) and not _scaled(data.X[:, :_LOOKED_AT]):
        tips.append(
            "scale the features, for example net.preprocessing = fastnet.Standardize.of(X) before the fit"
        )
    if settings.loss.name in ("squared_error", "huber", "absolute_error", "quantile") and not _scaled(
        data.T[:, :_LOOKED_AT]
    ):
        tips.append("scale the targets to a mean of 0 and a standard deviation of 1")
    if isinstance(settings.optimizer, SGD):
        tips.append("leave out the optimizer (Adam is the default), or try a larger learning_rate")
    else:
        tips.append("try another learning_rate")
    tips.append("more epochs, or smaller batches")
    return (
        f"the loss has hardly moved in {len(history.loss)} epochs, {history.loss[0]:.4g} -> "
        f"{history.loss[-1]:.4g}: always giving the best constant would cost {constant:.4g}. "
        f"What may help: {'; '.join(tips)}"
    )


def hardly_moved(history: History) -> bool:
    """Return whether the loss of a fit ended near where it began: then it is worth a closer look."""
    losses = history.loss
    return len(losses) >= FEWEST_EPOCHS and losses[-1] > MOVED * losses[0] > 0


def constant_cost(loss: Loss, data: Examples) -> float:
    """Return the mean cost of the best output that is the same for all examples.

    For bce and cross_entropy it is the entropy of the mean target, for squared_error half the variance. For
    huber it is that of the median, which is near the best.

    >>> import numpy as np
    >>> T = np.array([[0.0, 1.0, 1.0, 0.0]])
    >>> constant_cost(Loss("squared_error", 1.0), Examples(T, T, None))
    0.125
    """
    T = take_rows(data.T.T, data.which).T
    weights = None if data.weights is None else take_rows(data.weights, data.which).astype(np.float64)
    if weights is None:
        mean = T.sum(axis=1, dtype=np.float64, keepdims=True) / T.shape[1]
    else:
        mean = np.average(T.astype(np.float64), axis=1, weights=weights)[:, None]
    if loss.name in ("bce", "cross_entropy"):  # one by one: NumPy takes longer than a fit of a tiny network
        shares = mean[:, 0].tolist()
        return -sum(_entropy_term(p) + (_entropy_term(1 - p) if loss.name == "bce" else 0.0) for p in shares)
    T = T.astype(np.float64)
    with np.errstate(all="ignore"):
        if loss.name == "poisson":
            cost = _xlogy(T, T) - _xlogy(mean, mean)  # Σ (a − t) is 0 where a is the mean
        elif loss.name == "squared_error":
            cost = 0.5 * (T - mean) ** 2
        else:
            q = loss.parameter if loss.name == "quantile" else 0.5
            r = T - np.quantile(T, q, axis=1)[:, None]
            if loss.name == "quantile":
                cost = np.where(r > 0, q * r, (q - 1) * r)
            elif loss.name == "huber":
                d = loss.parameter
                cost = np.where(abs(r) <= d, 0.5 * r * r, d * (abs(r) - d / 2))
            else:
                cost = abs(r)
        total = np.broadcast_to(cost, T.shape).sum(axis=0)
        return float(np.average(total, weights=weights))


def _entropy_term(p: float) -> float:
    """Return p log p, which is 0 where p is."""
    return p * math.log(p) if p > 0 else 0.0


def _xlogy(x: Array, y: Array) -> Array:
    """Return x log y, which is 0 where x is."""
    product: Array = np.where(x > 0, x * np.log(np.where(y > 0, y, 1.0)), 0.0)
    return product


def _scaled(A: Array) -> bool:
    """Return whether each row that varies has a usual spread, and a mean that is not far from 0 beside it."""
    with np.errstate(all="ignore"):
        spread, mean = A.std(axis=1, dtype=np.float64), A.mean(axis=1, dtype=np.float64)
    low, high = _TAME
    tame = (low < spread) & (spread < high) & (abs(mean) < high * np.maximum(spread, 1.0))
    return bool((tame | (spread == 0)).all())
