"""The arguments of one call of fit that scikit-learn's own code does not pass on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnet.sklearn._callbacks import CallbackReporter
    from fastnet.sklearn._class_weight import ClassWeights
    from fastnet.sklearn._lbfgs import LossAndGradient

__all__ = ["FitArguments"]


@dataclass
class FitArguments:
    """What a call of fit or partial_fit was given beyond X, y and sample_weight.

    scikit-learn's `fit` calls `_fit`, which calls `_fit_stochastic` or `_fit_lbfgs` with a fixed list of
    arguments. What our `fit` takes besides waits here until one of them needs it.
    """

    solver: str
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None
    callbacks: CallbackReporter | None = None
    loss_and_gradient: LossAndGradient | None = None  # of a fit by L-BFGS
    make_loss: Callable[..., LossAndGradient] | None = None  # if the data are elsewhere, as for fastnet.dask
    incremental: bool = False
    left_to_scikit_learn: tuple[str, ...] = ()  # why scikit-learn's own code has to train
    class_weights: ClassWeights | None = None
