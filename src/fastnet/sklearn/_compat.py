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
from types import FunctionType
from typing import Any

import numpy as np
import sklearn
from numpy.random.bit_generator import ISeedSequence
from sklearn.neural_network import (
    MLPClassifier,
    MLPRegressor,
    _base,
    _multilayer_perceptron,
    _stochastic_optimizers,
)
from sklearn.utils import check_random_state as _check_random_state
from sklearn.utils.extmath import _approximate_mode
from sklearn.utils.validation import _check_sample_weight

from fastnet import _validate
from fastnet._core import engine
from fastnet.sklearn._layout import Array

__all__ = [
    "LEFT_OUT_BETWEEN_EPOCHS",
    "LEFT_OUT_IN_EARLY_STOPPING",
    "LEFT_OUT_IN_PREDICTION",
    "LEFT_OUT_IN_TRAINING",
    "METHODS",
    "PrivateState",
    "as_scikit_learn",
    "callback_context",
    "callback_support",
    "check_random_state",
    "check_sample_weight",
    "draw_class_counts",
    "draw_permutation",
    "loss_is_a_mean",
    "overridden",
    "overridden_beneath",
    "parameter_names",
    "scikit_learn_differences",
    "warn",
    "warn_of_differences",
    "warn_of_overrides",
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

# The methods that fastnet does without. If a subclass overrides one, scikit-learn's own code does the work.
LEFT_OUT_IN_TRAINING = ("_backprop", "_compute_loss_grad", "_forward_pass")
LEFT_OUT_BETWEEN_EPOCHS = ("_update_no_improvement_count",)
LEFT_OUT_IN_EARLY_STOPPING = ("_score", "_score_with_function")
LEFT_OUT_IN_PREDICTION = ("_forward_pass_fast", "_predict")

# What fastnet's class overrides without calling the method of the next class, if its own code does the work.
TRAINING = ("_fit_stochastic", "_fit_lbfgs", "_loss_grad_lbfgs", "_validate_input")
PREDICTION = ("_forward_pass_fast", "predict", "predict_proba", "score")

ACTIVATIONS = ("identity", "logistic", "tanh", "relu")  # scikit-learn's hidden layers have one of these
LOSSES = ("squared_error", "poisson")  # and its regressor one of these

OPTIMIZERS = {
    "AdamOptimizer": "params learning_rate_init beta_1 beta_2 epsilon",
    "SGDOptimizer": "params learning_rate_init lr_schedule momentum nesterov power_t",
}


def scikit_learn_differences(classes: tuple[type, ...] = (MLPClassifier, MLPRegressor)) -> tuple[str, ...]:
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
    """Warn that scikit-learn's own code runs instead of fastnet's, because its version is unknown."""
    _validate.warn(
        f"fastnet does not know scikit-learn {sklearn.__version__} and leaves the work to its code, which is "
        f"slower: {'; '.join(found)}"
    )


def warn_of_overrides(cls: type, names: tuple[str, ...]) -> None:
    """Warn, once for each class, that scikit-learn's own code runs because of what the class overrides."""
    warned = vars(cls).get("_warned_of_overrides", ())
    if names not in warned:
        cls._warned_of_overrides = (*warned, names)  # type: ignore[attr-defined]
        _validate.warn(
            f"{cls.__name__} replaces {', '.join(names)} of scikit-learn, which fastnet does without: "
            "scikit-learn's own code does the work, which is slower"
        )


def as_scikit_learn(function: Any, *arguments: Any) -> Any:
    """Call a function in such a way that the warnings which it gives are attributed to scikit-learn's module.

    Users filter warnings by module: ``filterwarnings("ignore", module="sklearn")``. A warning belongs to the
    module in whose namespace the calling function lives.
    """
    return _CALL(_CALL, function, *arguments)


def _call(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


_THEIR_CODE: Any = MLPClassifier._fit_stochastic.__code__
_CALL: Any = FunctionType(  # in scikit-learn's namespace, and shown in warnings as the method that gives them
    _call.__code__.replace(
        co_filename=_THEIR_CODE.co_filename,
        co_firstlineno=_THEIR_CODE.co_firstlineno,
        co_name="_fit_stochastic",
    ),
    vars(_multilayer_perceptron),
)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Give a warning that scikit-learn gives too, attributed to its module as there."""
    as_scikit_learn(warnings.warn, message, category)


def overridden(est: Any, mixin: type, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of these methods are neither scikit-learn's nor those of fastnet's `mixin`."""
    cls, own, known = type(est), est.__dict__, vars(mixin)
    plain = est._scikit_learn_class
    return tuple(
        name
        for name in names
        if name in own or getattr(cls, name, None) is not (known.get(name) or getattr(plain, name, None))
    )


def overridden_beneath(cls: Any, mixin: type, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of these methods a class between `mixin` and scikit-learn's class has.

    There is one if a user's class inherits from fastnet's class and from another subclass of scikit-learn's.
    The class itself keeps what is found.
    """
    known = vars(cls).get("_overridden_beneath")
    if known is None:
        order = cls.__mro__
        between = order[order.index(mixin) + 1 : order.index(cls._scikit_learn_class)]
        known = cls._overridden_beneath = {
            name for name in TRAINING + PREDICTION if any(name in vars(base) for base in between)
        }
    return tuple(name for name in names if name in known)


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


def check_sample_weight(sample_weight: Any, X: Any) -> Any:
    """Return the weights of the rows of X as scikit-learn's fits take them."""
    return _check_sample_weight(sample_weight, X)


class _NoSeed(ISeedSequence):
    """Stands for a seed that is drawn from the system: it takes NumPy 60 µs to draw one, and to spread it."""

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        return [0] * n_words


def check_random_state(random_state: Any) -> Any:
    """Return what scikit-learn's `check_random_state` returns; of a whole number much sooner."""
    if type(random_state) is not int or not 0 <= random_state < 2**32:
        return _check_random_state(random_state)
    found = np.random.RandomState(np.random.MT19937(_NoSeed()))  # type: ignore[arg-type]
    found.seed(random_state)
    return found


def draw_class_counts(counts: Array, n: int, random_state: Any) -> Array:
    """Return how many of n examples a stratified split takes of each class, with scikit-learn's draws."""
    found: Array = _approximate_mode(counts, n, random_state)
    return found


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

    def has_optimizer(self) -> bool:
        """Return whether an earlier fit left an optimiser's state."""
        return hasattr(self.est, "_optimizer")

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
