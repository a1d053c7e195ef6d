"""What of scikit-learn's insides the drop-in replaces, and whether the installed version still has it.

The estimators override private methods of scikit-learn's. Each is listed here with the parameters that it had
when the drop-in was written; a version that differs is left to its own code (`unknown` says what differs).
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor, _base, _stochastic_optimizers

__all__ = ["callbacks", "loss_is_a_mean", "unknown", "warn_of"]

WORK = "activations deltas coef_grads intercept_grads"
METHODS = {
    "_fit": "X y sample_weight incremental",
    "_fit_lbfgs": f"X y sample_weight {WORK} layer_units",
    "_fit_stochastic": f"X y sample_weight {WORK} layer_units incremental",
    "_forward_pass_fast": "X check_input",
    "_init_coef": "fan_in fan_out dtype",
    "_initialize": "y layer_units dtype",
    "_loss_grad_lbfgs": f"packed_coef_inter X y sample_weight {WORK}",
    "_predict": "X check_input",
    "_unpack": "packed_parameters",
    "_validate_input": "X y incremental reset",
}
OPTIMIZERS = {
    "AdamOptimizer": "params learning_rate_init beta_1 beta_2 epsilon",
    "SGDOptimizer": "params learning_rate_init lr_schedule momentum nesterov power_t",
}


def unknown(classes: tuple[type, ...] = (MLPClassifier, MLPRegressor)) -> tuple[str, ...]:
    """Return what scikit-learn's estimators and optimisers have otherwise than the drop-in expects."""
    found = [
        _difference(getattr(owner, name, None), f"{owner.__name__}.{name}", expected)
        for owner in classes
        for name, expected in METHODS.items()
    ]
    for name, expected in OPTIMIZERS.items():
        owner = getattr(_stochastic_optimizers, name, None)
        found.append(_difference(getattr(owner, "__init__", None), name, expected))
    return tuple(difference for difference in found if difference)


def _difference(function: Any, name: str, expected: str) -> str:
    if function is None:
        return f"{name} is gone"
    parameters = " ".join(list(inspect.signature(function).parameters)[1:])
    return "" if parameters == expected else f"{name} takes ({parameters}), not ({expected})"


def warn_of(differences: tuple[str, ...]) -> None:
    """Warn that scikit-learn's own code runs instead of the kernels."""
    warnings.warn(
        f"fastnet does not know scikit-learn {sklearn.__version__} and leaves the work to its code, which is "
        f"slower: {'; '.join(differences)}",
        UserWarning,
        stacklevel=2,
    )


def loss_is_a_mean() -> bool:
    """Whether the squared error that scikit-learn reports is divided by the number of outputs.

    It is in the versions known (scikit-learn issue 8349), though its gradient is not.
    """
    return bool(_base.LOSS_FUNCTIONS["squared_error"](np.zeros((1, 2)), np.ones((1, 2))) == 0.5)


class _NoCallbacks:
    """Stands in for what scikit-learn has from 1.9 on: nothing to set, nothing to call."""


def callbacks() -> tuple[type, Any]:
    """Return scikit-learn's mixin for callbacks and its decorator of fit; stand-ins before 1.9."""
    try:
        from sklearn.callback import CallbackSupportMixin, with_callbacks
    except ImportError:
        return _NoCallbacks, lambda method: method
    return CallbackSupportMixin, with_callbacks
