"""The code that fastnet's MLPClassifier and MLPRegressor share.

FastnetMLPMixin overrides the private methods in which scikit-learn's estimators train and predict (`_compat`
lists them), and adds the methods that scikit-learn's do not have.
"""

from __future__ import annotations

import inspect
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from fastnet import _validate
from fastnet._float_mode import in_default_mode
from fastnet.sklearn import _compat, _fast_validation, _layout, _lbfgs, _predict, _schedule, _stochastic
from fastnet.sklearn._callbacks import CallbackReporter
from fastnet.sklearn._fit_arguments import FitArguments

DIFFERENCES = _compat.differences()  # if there are any, scikit-learn's own code does the work
CallbackSupportMixin, with_callbacks = _compat.callback_support()

OWN_SOLVERS = ("adamw", "rmsprop")
HIDDEN = (
    "identity",
    "logistic",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "silu",
    "gelu",
    "softplus",
    "mish",
)
CONSTRAINTS: dict[str, list[Any]] = {
    "learning_rate": [
        StrOptions({*_schedule.SCIKIT_LEARN, *_schedule.NAMES}),
        HasMethods(["rates", "after_epoch"]),
    ],
    "activation": [StrOptions(set(HIDDEN)), list, tuple],
    "solver": [StrOptions({"lbfgs", "sgd", "adam", *OWN_SOLVERS})],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "rho": [Interval(Real, 0, 1, closed="left")],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "dtype": [StrOptions({"float32", "float64"}), type, np.dtype, None],
    "n_threads": [Interval(Integral, 1, 256, closed="both"), None],
}


class FastnetMLPMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin):  # type: ignore[misc, valid-type]
    """Makes a subclass of scikit-learn's estimator train and predict in the core.

    It comes before scikit-learn's estimator among the bases.
    """

    _scikit_learn_class: ClassVar[Any]
    _fast_validated: ClassVar[Any]  # X and y of a fit if they are plain arrays, else None
    solver: str
    validation_loss_curve_: list[float] | None = None

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Fit to data X and targets y.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
            Class labels, label indicators or numbers.
        sample_weight : array-like, shape (n_samples,), optional
        X_val, y_val : array-like, optional
            A validation set: its loss after each epoch goes into `validation_loss_curve_`, and with
            ``early_stopping=True`` its score decides, in place of a part of X.
        sample_weight_val : array-like, optional
            Weights of the validation set.

        Returns
        -------
        self

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastnet.sklearn import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier(max_iter=500, early_stopping=True, random_state=0)
        >>> clf = clf.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
        >>> len(clf.validation_loss_curve_) == clf.n_iter_
        True
        """
        arguments = FitArguments(self.solver, X_val, y_val, sample_weight_val)
        if self.__dict__.get("_skl_callbacks"):
            return self._fit_with_callbacks(arguments, X, y, sample_weight)
        return self._fit_with_arguments(arguments, X, y, sample_weight)

    @with_callbacks  # type: ignore[untyped-decorator]
    def _fit_with_callbacks(self, arguments: FitArguments, X: Any, y: Any, sample_weight: Any) -> Any:
        self._validate_params()
        context = _compat.callback_context(self)
        arguments.callbacks = CallbackReporter.begin_fit(self, context, X, y, sample_weight)
        return self._fit_with_arguments(arguments, X, y, sample_weight)

    def _fit_with_arguments(self, arguments: FitArguments, X: Any, y: Any, sample_weight: Any) -> Any:
        self._fit_arguments = arguments
        try:
            return super().fit(X, y, sample_weight)
        finally:
            self.__dict__.pop("_fit_arguments", None)

    @in_default_mode
    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Any:
        arguments = self.__dict__.setdefault("_fit_arguments", FitArguments(self.solver))
        arguments.incremental = incremental
        if DIFFERENCES:
            self._refuse_extras(arguments)
            _compat.warn_of_differences(DIFFERENCES)
        if arguments.solver in OWN_SOLVERS:
            self.solver = "adam"  # for scikit-learn's code, which asks whether the solver is stochastic
        try:
            super()._fit(X, y, sample_weight, incremental)
        finally:
            self.solver = arguments.solver
            self.__dict__.pop("_fit_arguments", None)
        self.backend_ = "scikit-learn" if DIFFERENCES else "fastnet"
        if arguments.callbacks is not None:
            arguments.callbacks.end_fit()
        return self

    def _refuse_extras(self, arguments: FitArguments) -> None:
        """Raise ValueError if the estimator asks for what scikit-learn's own code does not have."""
        defaults = inspect.signature(type(self)).parameters
        theirs = inspect.signature(self._scikit_learn_class).parameters
        params = self.get_params(deep=False)
        self._scikit_learn_class(**{name: params[name] for name in theirs})._validate_params()
        asked = [name for name in params if name not in theirs and params[name] != defaults[name].default]
        if arguments.X_val is not None:
            asked.append("X_val")
        if arguments.callbacks is not None:
            asked.append("callbacks")
        if asked:
            raise ValueError(
                f"{', '.join(asked)} must not be given, got more than the default: scikit-learn's own "
                "code has to do the work, and does not have this"
            )

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return _fast_validation.cached_parameter_names(cls, super()._get_param_names)

    def _validate_params(self) -> None:
        if DIFFERENCES or not _fast_validation.parameters_are_valid(self):
            super()._validate_params()

    def _initialize(self, y: Any, layer_units: list[int], dtype: Any) -> None:
        super()._initialize(y, layer_units, dtype)
        self.validation_loss_curve_ = None

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> tuple[Any, Any]:
        """Draw the initial weights of a layer.

        With a list of activations, those of a hidden layer depend on its own activation, and those of the
        output on the last hidden layer's.
        """
        if isinstance(self.activation, str) or not len(self.activation):
            return super()._init_coef(fan_in, fan_out, dtype)  # type: ignore[no-any-return]
        name = self.activation[min(len(self.coefs_), len(self.activation) - 1)]
        bound = np.sqrt((2.0 if name == "logistic" else 6.0) / (fan_in + fan_out))
        coef = self._random_state.uniform(-bound, bound, (fan_in, fan_out))
        intercept = self._random_state.uniform(-bound, bound, fan_out)
        return coef.astype(dtype, copy=False), intercept.astype(dtype, copy=False)

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        plain = None if DIFFERENCES else self._fast_validated(self, X, y, incremental, reset)
        if plain is not None:
            return plain  # type: ignore[no-any-return]
        given = X
        X, y = super()._validate_input(X, y, incremental, reset)
        return _layout.in_precision(X, given, self.dtype), y

    def _fit_stochastic(self, X: Any, y: Any, sample_weight: Any, *rest: Any) -> None:
        if DIFFERENCES:
            super()._fit_stochastic(X, y, sample_weight, *rest)
        else:
            _stochastic.fit(self, self._fit_arguments, X, y, sample_weight)

    def _fit_lbfgs(self, X: Any, y: Any, sample_weight: Any, *rest: Any) -> None:
        if DIFFERENCES:
            super()._fit_lbfgs(X, y, sample_weight, *rest)
        else:
            _lbfgs.fit(self, self._fit_arguments, X, y, sample_weight, rest[-1])

    def _loss_grad_lbfgs(
        self, packed: Any, X: Any, y: Any, sample_weight: Any, *rest: Any
    ) -> tuple[Any, Any]:
        if DIFFERENCES:
            return super()._loss_grad_lbfgs(packed, X, y, sample_weight, *rest)  # type: ignore[no-any-return]
        self._unpack(packed)
        arguments = self.__dict__.get("_fit_arguments")
        function = None if arguments is None else arguments.loss_and_gradient
        dtype = _layout.precision(X, [packed])
        if function is None or not function.is_made_from(X, y, sample_weight, dtype):
            function = _lbfgs.LossAndGradient(self, X, y, sample_weight, dtype)
        return function(packed)

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Any:
        if DIFFERENCES:
            return super()._forward_pass_fast(X, check_input)
        return _predict.outputs(self, X) if check_input else _predict.ForwardPass(self, X)(X)

    def _check_solver(self) -> bool:
        return self.solver in OWN_SOLVERS or bool(super()._check_solver())

    def transform(self, X: Any, layer: int = -1) -> Any:
        """Return the activations of a hidden layer.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        layer : int
            Which hidden layer, counted from 0, or from the end below 0.

        Returns
        -------
        ndarray, shape (n_samples, n_units)

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastnet.sklearn import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((8, 3), solver="lbfgs", random_state=0, max_iter=1000).fit(X, y)
        >>> clf.transform(X).shape, clf.transform(X, layer=0).shape
        ((150, 3), (150, 8))
        """
        _predict.check_fitted(self)
        hidden = len(self.coefs_) - 1
        if not hidden:
            raise ValueError(f"layer must be a hidden layer, got {layer!r}: the network has none")
        layer = _validate.integer(layer, "layer", -hidden, hidden)
        return _predict.outputs(self, X, layer % hidden + 1)

    @property
    def _n_features_out(self) -> int:
        """Units of the last hidden layer."""
        return int(self.coefs_[-1].shape[0])

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_fit_arguments"}
