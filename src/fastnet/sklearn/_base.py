"""What both estimators do otherwise than scikit-learn's: the overridden hooks, and the methods beyond it."""

from __future__ import annotations

import inspect
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from fastnet.sklearn import _compat, _fast_validation, _layout, _lbfgs, _predict, _stochastic
from fastnet.sklearn._call import Call, Report
from fastnet.sklearn._schedule import OURS, THEIRS

UNKNOWN = _compat.unknown()
CallbackSupportMixin, with_callbacks = _compat.callbacks()

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
    "learning_rate": [StrOptions({*THEIRS, *OURS}), HasMethods(["rates", "after_epoch"])],
    "activation": [StrOptions(set(HIDDEN)), list, tuple],
    "solver": [StrOptions({"lbfgs", "sgd", "adam", *OWN_SOLVERS})],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "rho": [Interval(Real, 0, 1, closed="left")],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "dtype": [StrOptions({"float32", "float64"}), type, np.dtype, None],
    "n_threads": [Interval(Integral, 1, 256, closed="both"), None],
}


class Dropin(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin):  # type: ignore[misc, valid-type]
    """Comes before scikit-learn's estimator among the bases, and puts the core in its hooks."""

    _theirs: ClassVar[Any]
    _plain_input: ClassVar[Any]
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
        call = Call(self.solver, X_val, y_val, sample_weight_val)
        if self.__dict__.get("_skl_callbacks"):
            return self._fit_with_callbacks(call, X, y, sample_weight)
        return self._fit_call(call, X, y, sample_weight)

    @with_callbacks  # type: ignore[untyped-decorator]
    def _fit_with_callbacks(self, call: Call, X: Any, y: Any, sample_weight: Any) -> Any:
        self._validate_params()
        call.report = Report.of(self, X, y, sample_weight)
        return self._fit_call(call, X, y, sample_weight)

    def _fit_call(self, call: Call, X: Any, y: Any, sample_weight: Any) -> Any:
        self._call = call
        try:
            return super().fit(X, y, sample_weight)
        finally:
            self.__dict__.pop("_call", None)

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Any:
        call = self.__dict__.setdefault("_call", Call(self.solver))
        call.incremental = incremental
        if UNKNOWN:
            self._refuse_extras(call)
            _compat.warn_of(UNKNOWN)
        if call.solver in OWN_SOLVERS:
            self.solver = "adam"  # for scikit-learn's code, which asks whether the solver is stochastic
        try:
            super()._fit(X, y, sample_weight, incremental)
        finally:
            self.solver = call.solver
            self.__dict__.pop("_call", None)
        self.backend_ = "scikit-learn" if UNKNOWN else "fastnet"
        if call.report is not None:
            call.report.finish()
        return self

    def _refuse_extras(self, call: Call) -> None:
        """ValueError if the estimator asks for what scikit-learn's own code does not have."""
        defaults = inspect.signature(type(self)).parameters
        theirs = inspect.signature(self._theirs).parameters
        params = self.get_params(deep=False)
        self._theirs(**{name: params[name] for name in theirs})._validate_params()
        asked = [name for name in params if name not in theirs and params[name] != defaults[name].default]
        if call.X_val is not None:
            asked.append("X_val")
        if call.report is not None:
            asked.append("callbacks")
        if asked:
            raise ValueError(
                f"{', '.join(asked)}: not with scikit-learn's own code, which has to do the work"
            )

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return _fast_validation.param_names(cls, super()._get_param_names)

    def _validate_params(self) -> None:
        if UNKNOWN or not _fast_validation.params_hold(self):
            super()._validate_params()

    def _initialize(self, y: Any, layer_units: list[int], dtype: Any) -> None:
        super()._initialize(y, layer_units, dtype)
        self.validation_loss_curve_ = None

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> tuple[Any, Any]:
        """Draw a layer's weights: with a list of activations by its own, or by the one before the last."""
        if isinstance(self.activation, str) or not len(self.activation):
            return super()._init_coef(fan_in, fan_out, dtype)  # type: ignore[no-any-return]
        name = self.activation[min(len(self.coefs_), len(self.activation) - 1)]
        bound = np.sqrt((2.0 if name == "logistic" else 6.0) / (fan_in + fan_out))
        coef = self._random_state.uniform(-bound, bound, (fan_in, fan_out))
        intercept = self._random_state.uniform(-bound, bound, fan_out)
        return coef.astype(dtype, copy=False), intercept.astype(dtype, copy=False)

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        plain = None if UNKNOWN else self._plain_input(self, X, y, incremental, reset)
        if plain is not None:
            return plain  # type: ignore[no-any-return]
        given = X
        X, y = super()._validate_input(X, y, incremental, reset)
        return _layout.in_precision(X, given, self.dtype), y

    def _fit_stochastic(self, X: Any, y: Any, sample_weight: Any, *rest: Any) -> None:
        if UNKNOWN:
            super()._fit_stochastic(X, y, sample_weight, *rest)
        else:
            _stochastic.fit(self, X, y, sample_weight, incremental=rest[-1])

    def _fit_lbfgs(self, X: Any, y: Any, sample_weight: Any, *rest: Any) -> None:
        if UNKNOWN:
            super()._fit_lbfgs(X, y, sample_weight, *rest)
        else:
            _lbfgs.fit(self, X, y, sample_weight, rest[-1])

    def _loss_grad_lbfgs(
        self, packed: Any, X: Any, y: Any, sample_weight: Any, *rest: Any
    ) -> tuple[Any, Any]:
        if UNKNOWN:
            return super()._loss_grad_lbfgs(packed, X, y, sample_weight, *rest)  # type: ignore[no-any-return]
        self._unpack(packed)
        problem = self.__dict__.get("_problem")
        dtype = _layout.precision(X, [packed])
        if problem is None or not problem.is_of(X, y, sample_weight, dtype):
            problem = _lbfgs.Problem(self, X, y, sample_weight, dtype)
        return problem(packed)

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Any:
        if UNKNOWN:
            return super()._forward_pass_fast(X, check_input)
        return _predict.outputs(self, X) if check_input else _predict.Network(self, X)(X)

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
        _predict.fitted(self)
        hidden = len(self.coefs_) - 1
        if not -hidden <= layer < hidden:
            raise ValueError(
                f"layer: expected one of {hidden} hidden layers, {-hidden} to {hidden - 1}, got {layer}"
            )
        return _predict.outputs(self, X, layer % hidden + 1)

    @property
    def _n_features_out(self) -> int:
        """Units of the last hidden layer."""
        return int(self.coefs_[-1].shape[0])

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_call", "_problem")}
