"""The private parts of scikit-learn that fastnet.sklearn relies on, and a check that they are still there.

The estimators are subclasses of scikit-learn's and override some of its private methods. Each is listed here
with the parameters that it had when this was written. If the installed scikit-learn differs, its own code
does all the work; `differences` says what differs.

scikit-learn also keeps a part of an estimator's state in attributes with an underscore: `_optimizer`,
`_random_state`, `_label_binarizer` and others. Its own code reads them, its tests and users' pickles know
them, so there is no way around them. `PrivateState` is the only place of this package that touches them on
another object.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor, _base, _stochastic_optimizers

from fastnet._core import engine
from fastnet.sklearn._layout import Array

__all__ = [
    "PrivateState",
    "callback_context",
    "callback_support",
    "differences",
    "draw_permutation",
    "loss_is_a_mean",
    "parameter_names",
    "warn_of_differences",
]

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


def differences(classes: tuple[type, ...] = (MLPClassifier, MLPRegressor)) -> tuple[str, ...]:
    """Return what the installed scikit-learn has otherwise than expected, a sentence for each."""
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


def warn_of_differences(found: tuple[str, ...]) -> None:
    """Warn that scikit-learn's own code runs instead of fastnet's."""
    warnings.warn(
        f"fastnet does not know scikit-learn {sklearn.__version__} and leaves the work to its code, which is "
        f"slower: {'; '.join(found)}",
        UserWarning,
        stacklevel=2,
    )


def loss_is_a_mean() -> bool:
    """Whether the squared error that scikit-learn reports is divided by the number of outputs.

    It is in the versions known (scikit-learn issue 8349), though its gradient is not.
    """
    return bool(_base.LOSS_FUNCTIONS["squared_error"](np.zeros((1, 2)), np.ones((1, 2))) == 0.5)


class _NoCallbacks:
    """Takes the place of scikit-learn's CallbackSupportMixin in versions before 1.9."""


def callback_support() -> tuple[type, Any]:
    """Return scikit-learn's mixin for callbacks and its decorator of fit; before 1.9 replacements."""
    try:
        from sklearn.callback import CallbackSupportMixin, with_callbacks
    except ImportError:
        return _NoCallbacks, lambda method: method
    return CallbackSupportMixin, with_callbacks


def callback_context(est: Any) -> Any:
    """Return the context in which the callbacks of a fit are called."""
    return est._init_callback_context(max_subtasks=est.max_iter + 1)


def parameter_names(cls: Any) -> list[str]:
    """Return the names of the constructor's parameters."""
    names: list[str] = cls._get_param_names()
    return names


def draw_permutation(random_state: Any, order: Array) -> None:
    """Shuffle `order` in place with the draws of scikit-learn's `shuffle`. Successive shuffles compose."""
    if type(random_state) is np.random.RandomState:
        engine.shuffle(random_state._bit_generator, order)
    else:
        random_state.shuffle(order)


def _private(name: str, meaning: str) -> Any:
    def get(state: PrivateState) -> Any:
        return getattr(state.est, name)

    def put(state: PrivateState, value: Any) -> None:
        setattr(state.est, name, value)

    return property(get, put, doc=f"`{name}`: {meaning}.")


class PrivateState:
    """The underscored attributes of an estimator that scikit-learn's own code reads and writes."""

    def __init__(self, est: Any) -> None:
        self.est = est

    label_binarizer = _private("_label_binarizer", "a classifier's LabelBinarizer")
    random_state = _private("_random_state", "the RandomState of the fit that runs")
    optimizer = _private("_optimizer", "the moments, the step number and the learning rate")
    epochs_without_improvement = _private("_no_improvement_count", "epochs since the last that improved")
    best_coefs = _private("_best_coefs", "coefs_ of the best epoch, by early stopping")
    best_intercepts = _private("_best_intercepts", "intercepts_ of the best epoch, by early stopping")
    coef_spans = _private("_coef_indptr", "where each of coefs_ is in L-BFGS's vector: start, end, shape")
    intercept_spans = _private("_intercept_indptr", "where each of intercepts_ is in it: start, end")

    def has_optimizer(self, kind: type) -> bool:
        """Return whether an earlier fit left the state of this kind of optimiser."""
        return type(getattr(self.est, "_optimizer", None)) is kind

    def loss_and_gradient(self, *arguments: Any) -> Any:
        """Call the method that L-BFGS minimises; users override it."""
        return self.est._loss_grad_lbfgs(*arguments)

    def unpack(self, packed: Array) -> None:
        """Set coefs_ and intercepts_ from L-BFGS's vector."""
        self.est._unpack(packed)

    def constraints(self) -> dict[str, Any]:
        """Return what each parameter may be, as scikit-learn writes it down."""
        found: dict[str, Any] = self.est._parameter_constraints
        return found
