"""MLPClassifier and MLPRegressor: scikit-learn's parameters in its order, and fastnet's after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike
from sklearn.neural_network._multilayer_perceptron import MLPClassifier as ScikitLearnClassifier
from sklearn.neural_network._multilayer_perceptron import MLPRegressor as ScikitLearnRegressor
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from fastnet._core.float_mode import in_default_mode
from fastnet._docstrings import describe
from fastnet.sklearn import _descriptions as texts
from fastnet.sklearn import _fast_validation, _own_parameters, _predict
from fastnet.sklearn._base import CONSTRAINTS, DIFFERENCES, FastnetMLPMixin
from fastnet.sklearn._layout import Array


class MLPClassifier(FastnetMLPMixin, ScikitLearnClassifier):  # type: ignore[misc]
    """Multi-layer perceptron classifier: scikit-learn's MLPClassifier, computed by fastnet.

    It has all of scikit-learn's parameters, attributes and methods, with the same meaning, and the same
    results up to rounding for the same `random_state`.

    Parameters
    ----------
    {scikit_learn}
    {class_weight}
    {fastnet}

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,), or list of ndarray
        The labels in order; for several outputs those of each.
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from fastnet.sklearn import MLPClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = make_pipeline(StandardScaler(), MLPClassifier(random_state=0, max_iter=500)).fit(X, y)
    >>> clf.score(X, y) > 0.98
    True
    """

    _scikit_learn_class: ClassVar[Any] = ScikitLearnClassifier
    _fast_validated: ClassVar[Any] = staticmethod(_fast_validation.classification_data)
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ScikitLearnClassifier._parameter_constraints,
        **CONSTRAINTS,
        "class_weight": _own_parameters.CONSTRAINTS["class_weight"],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        class_weight: Mapping[Any, float] | str | None = None,
        weight_decay: float = 0.01,
        rho: float = 0.9,
        clip_norm: float | None = None,
        dropout: float | Sequence[float] = 0.0,
        dtype: DTypeLike | None = None,
        n_threads: int | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )
        self.class_weight = class_weight
        self.weight_decay = weight_decay
        self.rho = rho
        self.clip_norm = clip_norm
        self.dropout = dropout
        self.dtype = dtype
        self.n_threads = n_threads
        _own_parameters.note_received(
            class_weight=class_weight,
            weight_decay=weight_decay,
            rho=rho,
            clip_norm=clip_norm,
            dropout=dropout,
            dtype=dtype,
            n_threads=n_threads,
        )

    @available_if(lambda est: est._check_solver())  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Train for one epoch more.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_classes)
        sample_weight : array-like, shape (n_samples,), optional
        classes : array-like, shape (n_classes,), optional
            All classes that may come. Needed in the first call; y need not hold each of them.

        Returns
        -------
        self

        Examples
        --------
        >>> import numpy as np
        >>> from fastnet.sklearn import MLPClassifier
        >>> clf = MLPClassifier((), random_state=0)
        >>> clf = clf.partial_fit([[0.0], [1.0]], ["low", "low"], classes=np.array(["high", "low"]))
        >>> clf.partial_fit([[2.0], [3.0]], ["high", "high"]).t_
        4
        """
        known = self.__dict__.get("classes_")
        if type(classes) is np.ndarray and type(known) is np.ndarray and np.array_equal(classes, known):
            classes = None  # scikit-learn would sort them and compare
        if classes is None and self._goes_on():
            return self._fit(X, y, sample_weight, incremental=True)
        return super().partial_fit(X, y, sample_weight, classes)

    @in_default_mode
    def predict(self, X: Any) -> Any:
        """Return the classes, or the label indicators, of the rows of X.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_classes)

        Examples
        --------
        >>> from fastnet.sklearn import MLPClassifier
        >>> clf = MLPClassifier((), solver="lbfgs", random_state=0)
        >>> clf.fit([[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]).predict([[0.5], [9.0]])
        array(['low', 'high'], dtype='<U4')
        """
        if DIFFERENCES or self._predicts_with_scikit_learn():
            return super().predict(X)
        return _predict.classes(self, _predict.outputs(self, X))

    @in_default_mode
    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of the classes, in the order of `classes_`.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        ndarray, shape (n_samples, n_classes)
            With several labels, the probability of each.

        Examples
        --------
        >>> from fastnet.sklearn import MLPClassifier
        >>> clf = MLPClassifier((), solver="lbfgs", random_state=0)
        >>> clf.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]).predict_proba([[1.5]]).round(1)
        array([[0.5, 0.5]])
        """
        if DIFFERENCES or self._predicts_with_scikit_learn():
            return super().predict_proba(X)  # type: ignore[no-any-return]
        A = _predict.outputs(self, X)
        if self.n_outputs_ != 1:
            return A
        A = A.reshape(-1, 1)
        P = np.empty((len(A), 2), A.dtype)
        P[:, 1:] = A
        np.subtract(1, A, out=P[:, :1])
        return P

    @in_default_mode
    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of the probabilities of the classes, as scikit-learn takes them.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        ndarray, shape (n_samples, n_classes)
            The logarithm of `predict_proba(X)`.

        Examples
        --------
        >>> from fastnet.sklearn import MLPClassifier
        >>> clf = MLPClassifier((), solver="lbfgs", random_state=0)
        >>> clf.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]).predict_log_proba([[1.5]]).round(1)
        array([[-0.7, -0.7]])
        """
        return super().predict_log_proba(X)  # type: ignore[no-any-return]

    @in_default_mode
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of `predict`: the part of the labels that are right, weighted if so asked for.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_classes)
        sample_weight : array-like, shape (n_samples,), optional

        Returns
        -------
        float

        Examples
        --------
        >>> from fastnet.sklearn import MLPClassifier
        >>> clf = MLPClassifier((), solver="lbfgs", random_state=0)
        >>> clf.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]).score([[0.5], [1.4]], [0, 1])
        0.5
        """
        plain = sample_weight is None and not DIFFERENCES and not self._predicts_with_scikit_learn()
        found = _fast_validation.accuracy(self, X, y) if plain else None
        return float(super().score(X, y, sample_weight)) if found is None else found


class MLPRegressor(FastnetMLPMixin, ScikitLearnRegressor):  # type: ignore[misc]
    """Multi-layer perceptron regressor: scikit-learn's MLPRegressor, computed by fastnet.

    It has all of scikit-learn's parameters, attributes and methods, with the same meaning, and the same
    results up to rounding for the same `random_state`.

    Parameters
    ----------
    {loss}
    {scikit_learn}
    {of_loss}
    {fastnet}

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastnet.sklearn import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> low = MLPRegressor("quantile", (16,), quantile=0.1, learning_rate_init=0.01, max_iter=2000)
    >>> low = low.set_params(random_state=0).fit(X, y)
    >>> bool(0.05 < (y < low.predict(X)).mean() < 0.15)
    True
    """

    _scikit_learn_class: ClassVar[Any] = ScikitLearnRegressor
    _fast_validated: ClassVar[Any] = staticmethod(_fast_validation.regression_data)
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ScikitLearnRegressor._parameter_constraints,
        **CONSTRAINTS,
        "loss": [StrOptions({"squared_error", "poisson", "absolute_error", "huber", "quantile"})],
        "delta": _own_parameters.CONSTRAINTS["delta"],
        "quantile": _own_parameters.CONSTRAINTS["quantile"],
    }

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        delta: float = 1.0,
        quantile: float = 0.5,
        weight_decay: float = 0.01,
        rho: float = 0.9,
        clip_norm: float | None = None,
        dropout: float | Sequence[float] = 0.0,
        dtype: DTypeLike | None = None,
        n_threads: int | None = None,
    ) -> None:
        super().__init__(
            loss,
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )
        self.delta = delta
        self.quantile = quantile
        self.weight_decay = weight_decay
        self.rho = rho
        self.clip_norm = clip_norm
        self.dropout = dropout
        self.dtype = dtype
        self.n_threads = n_threads
        _own_parameters.note_received(
            delta=delta,
            quantile=quantile,
            weight_decay=weight_decay,
            rho=rho,
            clip_norm=clip_norm,
            dropout=dropout,
            dtype=dtype,
            n_threads=n_threads,
        )

    @in_default_mode
    def predict(self, X: Any) -> Array:
        """Return the targets predicted for the rows of X.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_outputs)

        Examples
        --------
        >>> from fastnet.sklearn import MLPRegressor
        >>> reg = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", random_state=0)
        >>> reg.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).predict([[3.0]]).round(2)
        array([7.])
        """
        if DIFFERENCES or self._predicts_with_scikit_learn():
            return super().predict(X)  # type: ignore[no-any-return]
        A = _predict.outputs(self, X)
        return A.ravel() if A.shape[1] == 1 else A

    @in_default_mode
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R² of `predict`: 1 is perfect, 0 is as good as the mean of the targets.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like, shape (n_samples,), optional

        Returns
        -------
        float

        Examples
        --------
        >>> from fastnet.sklearn import MLPRegressor
        >>> reg = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", random_state=0)
        >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
        >>> round(reg.fit(X, y).score(X, y), 3)
        1.0
        """
        return float(super().score(X, y, sample_weight))


describe(
    MLPClassifier,
    scikit_learn=texts.SCIKIT_LEARN,
    class_weight=texts.CLASS_WEIGHT,
    fastnet=texts.FASTNET,
    attributes=texts.ATTRIBUTES,
)
describe(
    MLPRegressor,
    loss=texts.LOSS,
    scikit_learn=texts.SCIKIT_LEARN,
    of_loss=texts.OF_LOSS,
    fastnet=texts.FASTNET,
    attributes=texts.ATTRIBUTES,
)
