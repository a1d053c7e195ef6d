"""The code that fastnet's MLPClassifier and MLPRegressor share.

FastnetMLPMixin overrides the private methods in which scikit-learn's estimators train and predict (`_compat`
lists them), and adds the methods that scikit-learn's do not have.
"""

from __future__ import annotations

import copy
import functools
import inspect
from contextvars import ContextVar
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import HasMethods, StrOptions, validate_parameter_constraints

from fastnet import _validate
from fastnet._core.float_mode import in_default_mode
from fastnet.sklearn import (
    _compat,
    _fast_validation,
    _layout,
    _lbfgs,
    _own_parameters,
    _predict,
    _schedule,
    _stochastic,
)
from fastnet.sklearn._callbacks import CallbackReporter
from fastnet.sklearn._compat import PrivateState
from fastnet.sklearn._fit_arguments import FitArguments

DIFFERENCES = _compat.scikit_learn_differences()  # if there are any, scikit-learn's own code does the work
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
    **{
        name: constraint
        for name, constraint in _own_parameters.CONSTRAINTS.items()
        if name not in ("class_weight", "delta", "quantile")
    },
}

_transformed_layer: ContextVar[int] = ContextVar("transformed_layer", default=-1)


class FastnetMLPMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin):  # type: ignore[misc, valid-type]
    """Makes a subclass of scikit-learn's estimator train and predict in the core.

    It comes before scikit-learn's estimator among the bases.
    """

    _scikit_learn_class: ClassVar[Any]
    _fast_validated: ClassVar[Any]  # X and y of a fit if they are plain arrays, else None
    solver: str
    hidden_layer_sizes: Any
    random_state: Any
    warm_start: bool
    coefs_: list[Any]
    intercepts_: list[Any]
    validation_loss_curve_: list[float] | None = None

    # Notebooks describe a parameter beside a link only: to scikit-learn's page of the same class
    _doc_link_module = "fastnet"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        name = self._scikit_learn_class.__name__
        return {"estimator_module": "sklearn.neural_network", "estimator_name": name}

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
        arguments.left_to_scikit_learn = DIFFERENCES or self._overrides_in_training(incremental)
        try:
            if DIFFERENCES:
                self._refuse_extras(arguments)
                _compat.warn_of_differences(DIFFERENCES)
            elif arguments.left_to_scikit_learn:
                self._refuse_extras(arguments)
                _compat.warn_of_overrides(type(self), arguments.left_to_scikit_learn)
            if arguments.solver in OWN_SOLVERS:
                self.solver = "adam"  # until _fit_stochastic: scikit-learn asks if the solver is stochastic
            if arguments.left_to_scikit_learn:
                super()._fit(X, y, sample_weight, incremental)
            else:
                self._train(X, y, sample_weight, incremental)
        finally:
            self.solver = arguments.solver
            self.__dict__.pop("_fit_arguments", None)
        self.backend_ = "scikit-learn" if arguments.left_to_scikit_learn else "fastnet"
        if arguments.callbacks is not None:
            arguments.callbacks.end_fit()
        return self

    def _train(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> None:
        """Do what scikit-learn's `_fit` does, without the arrays that its backpropagation needs."""
        state = PrivateState(self)
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if any(size <= 0 for size in sizes):
            super()._fit(X, y, sample_weight, incremental)  # raises its error
        first = "coefs_" not in self.__dict__ or not (self.warm_start or incremental)
        X, y = self._validate_input(X, y, incremental, reset=first)
        if sample_weight is not None:
            sample_weight = _compat.check_sample_weight(sample_weight, X)
        if y.ndim == 1:
            y = y.reshape(-1, 1)
        self.n_outputs_ = y.shape[1]
        layer_units = [X.shape[1], *sizes, self.n_outputs_]
        state.random_state = _compat.check_random_state(self.random_state)
        if first:
            self._initialize(y, layer_units, X.dtype)
        if self.solver == "lbfgs":
            self._fit_lbfgs(X, y, sample_weight, *[None] * 4, layer_units)
        else:
            self._fit_stochastic(X, y, sample_weight, *[None] * 4, layer_units, incremental)
        if not all(np.isfinite(array).all() for array in (*self.coefs_, *self.intercepts_)):
            raise ValueError(  # scikit-learn's tests ask for this text
                "Solver produced non-finite parameter weights. The input data may contain large values and "
                "need to be preprocessed."
            )

    def _goes_on(self) -> bool:
        """Return whether `partial_fit` has nothing to do but to call `_fit`: it was called before."""
        own = self.__dict__
        return not DIFFERENCES and "coefs_" in own and "classes_" in own and not own.get("_skl_callbacks")

    def _overrides_in_training(self, incremental: bool) -> tuple[str, ...]:
        """Return the overridden methods because of which scikit-learn's own code has to train."""
        names: tuple[str, ...] = _compat.LEFT_OUT_IN_TRAINING
        if self.solver != "lbfgs":
            names += _compat.LEFT_OUT_BETWEEN_EPOCHS
            if self.early_stopping:  # the validation set is predicted too
                names += _compat.LEFT_OUT_IN_EARLY_STOPPING + _compat.LEFT_OUT_IN_PREDICTION
        found = _compat.overridden(self, FastnetMLPMixin, names)
        found += _compat.overridden_beneath(type(self), FastnetMLPMixin, _compat.TRAINING)
        if incremental and not _stochastic.knows_optimizer(self):
            found += ("_optimizer",)
        return found

    def _predicts_with_scikit_learn(self) -> bool:
        """Return whether a subclass overrides a method by which scikit-learn predicts."""
        return bool(
            _compat.overridden(self, FastnetMLPMixin, _compat.LEFT_OUT_IN_PREDICTION)
            or _compat.overridden_beneath(type(self), FastnetMLPMixin, _compat.PREDICTION)
        )

    def _refuse_extras(self, arguments: FitArguments) -> None:
        """Raise ValueError if the estimator asks for what scikit-learn's own code does not have."""
        names = inspect.signature(self._scikit_learn_class).parameters
        plain = self._scikit_learn_class(**{name: getattr(self, name) for name in names})
        plain._validate_params()
        asked = [name for name in _own_parameters.changed_names(self) if name != "n_threads"]
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
        if not DIFFERENCES and _fast_validation.parameters_are_valid(self):
            return
        if _own_parameters.foreign_names(type(self)):
            validate_parameter_constraints(
                _own_parameters.constraints(type(self), self._parameter_constraints),
                self.get_params(deep=False),
                caller_name=type(self).__name__,
            )
        else:
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
        if not isinstance(self, ClassifierMixin):
            _layout.check_numeric(y, "y")
        return _layout.in_precision(X, given, _own_parameters.own_parameter(self, "dtype")), y

    def _fit_stochastic(self, X: Any, y: Any, sample_weight: Any, *rest: Any) -> None:
        self.solver = self._fit_arguments.solver  # callbacks read it, and clones are made of it
        if self._fit_arguments.left_to_scikit_learn:
            super()._fit_stochastic(X, y, sample_weight, *rest)
        else:
            _stochastic.fit_by_epochs(self, self._fit_arguments, X, y, sample_weight)

    def _fit_lbfgs(self, X: Any, y: Any, sample_weight: Any, *rest: Any) -> None:
        if self._fit_arguments.left_to_scikit_learn:
            super()._fit_lbfgs(X, y, sample_weight, *rest)
        else:
            _lbfgs.fit_by_lbfgs(self, self._fit_arguments, X, y, sample_weight, rest[-1])

    def _loss_grad_lbfgs(
        self, packed: Any, X: Any, y: Any, sample_weight: Any, *rest: Any
    ) -> tuple[Any, Any]:
        if DIFFERENCES or self._overrides_in_training(incremental=False):
            return super()._loss_grad_lbfgs(packed, X, y, sample_weight, *rest)  # type: ignore[no-any-return]
        self._unpack(packed)
        arguments = self.__dict__.get("_fit_arguments")
        function = None if arguments is None else arguments.loss_and_gradient
        dtype = _layout.precision(X, [packed])
        if function is None or not function.is_made_from(X, y, sample_weight, dtype):
            function = _lbfgs.LossOfArrays(self, X, y, sample_weight, dtype)
        return function(packed)

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Any:
        if DIFFERENCES:
            return super()._forward_pass_fast(X, check_input)
        return _predict.outputs(self, X) if check_input else _predict.ForwardPass(self, X)(X)

    def _check_solver(self) -> bool:
        return self.solver in OWN_SOLVERS or bool(super()._check_solver())

    @in_default_mode
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
        return _predict.outputs(self, X, self._hidden_layer(layer) + 1)

    def _hidden_layer(self, layer: int) -> int:
        """Return which hidden layer is meant, counted from 0."""
        hidden = self.n_layers_ - 2
        if hidden < 1:
            raise ValueError(f"layer must be a hidden layer, got {layer!r}: the network has none")
        index: int = _validate.integer(layer, "layer", -hidden, hidden) % hidden
        return index

    @property
    def _n_features_out(self) -> int:
        """Units of the hidden layer that `transform` returns."""
        if self.n_layers_ == 2:
            return int(self.n_features_in_)
        units: int = self.coefs_[self._hidden_layer(_transformed_layer.get())].shape[1]
        return units

    def get_feature_names_out(self, input_features: Any = None, layer: int | None = None) -> Any:
        """Return the names of the units of a hidden layer, as columns of `transform`.

        Parameters
        ----------
        input_features : ignored
            scikit-learn's convention.
        layer : int, optional
            Which hidden layer, as for `transform`; by default the last.

        Returns
        -------
        ndarray of str, shape (n_units,)

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastnet.sklearn import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((3, 2), solver="lbfgs", random_state=0, max_iter=1000).fit(X, y)
        >>> clf.get_feature_names_out(layer=0)
        array(['mlpclassifier0', 'mlpclassifier1', 'mlpclassifier2'], dtype=object)
        """
        if layer is None:
            return super().get_feature_names_out(input_features)
        token = _transformed_layer.set(layer)
        try:
            return super().get_feature_names_out(input_features)
        finally:
            _transformed_layer.reset(token)

    def to_sklearn(self) -> Any:
        """Return scikit-learn's own estimator with the same parameters and the same network.

        It needs no fastnet: neither its pickles nor the converters that know scikit-learn's class only. What
        concerns the training alone and is not scikit-learn's gets lost (dropout, class_weight, the solvers
        adamw and rmsprop, which become adam).

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor
            With copies of the arrays.

        Raises
        ------
        ValueError
            If scikit-learn has not the activation or the loss.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from fastnet.sklearn import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((3, 2), solver="lbfgs", random_state=0, max_iter=1000).fit(X, y)
        >>> theirs = clf.to_sklearn()
        >>> type(theirs).__module__.partition(".")[0], np.array_equal(theirs.predict(X), clf.predict(X))
        ('sklearn', True)
        """
        names = inspect.signature(self._scikit_learn_class).parameters
        parameters = {name: getattr(self, name) for name in names}
        if parameters["solver"] in OWN_SOLVERS:
            parameters["solver"] = "adam"
        if parameters["learning_rate"] not in _schedule.SCIKIT_LEARN:
            parameters["learning_rate"] = "constant"
        activation = parameters["activation"]
        if not isinstance(activation, str) and len(set(activation)) == 1:
            activation = parameters["activation"] = activation[0]
        _validate.choice(activation, "activation", _compat.ACTIVATIONS)
        if "loss" in names:
            _validate.choice(parameters["loss"], "loss", _compat.LOSSES)
        plain = self._scikit_learn_class(**copy.deepcopy(parameters))
        left_out = {"backend_", "validation_loss_curve_", "_sklearn_output_config", "_skl_callbacks"}
        if _stochastic.is_own_optimizer(self):
            left_out.add("_optimizer")
        state = {
            name: value
            for name, value in self.__getstate__().items()
            if (name.endswith("_") or name.startswith("_")) and name not in left_out
        }
        plain.__dict__.update(copy.deepcopy(state))
        return plain

    def __setstate__(self, state: Any) -> None:
        """Read a pickle, also of scikit-learn's class: parameters that it has not get their defaults."""
        super().__setstate__(state)
        self.__dict__.pop("_sklearn_version", None)
        for name, parameter in inspect.signature(type(self)).parameters.items():
            if name not in self.__dict__ and parameter.default is not parameter.empty:
                setattr(self, name, parameter.default)

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_fit_arguments"}


def _naming_columns_by_layer(transform: Any) -> Any:
    """Return scikit-learn's wrapper of `transform`, with the names of the layer's units for its frames."""

    @functools.wraps(transform)
    def with_layer(self: Any, X: Any, layer: int = -1) -> Any:
        token = _transformed_layer.set(layer)
        try:
            return transform(self, X, layer)
        finally:
            _transformed_layer.reset(token)

    return with_layer


# Around the wrapper which scikit-learn puts around `transform` when the class is made: it asks for the names.
FastnetMLPMixin.transform = _naming_columns_by_layer(FastnetMLPMixin.transform)  # type: ignore[method-assign]
