"""The estimators of fastnet.dask: those of fastnet.sklearn, fitted to and applied to dask collections."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils._param_validation import HasMethods, StrOptions

from fastnet._docstrings import describe
from fastnet._optional import import_optional
from fastnet.dask.data import PURPOSE, DaskData, is_frame, partitions
from fastnet.dask.gradients import DaskLoss, check_workers
from fastnet.sklearn import _descriptions as texts
from fastnet.sklearn._base import DIFFERENCES
from fastnet.sklearn._estimators import MLPClassifier as LocalClassifier
from fastnet.sklearn._estimators import MLPRegressor as LocalRegressor
from fastnet.sklearn._fit_arguments import FitArguments
from fastnet.sklearn._predict import check_fitted

CONSTRAINTS: dict[str, list[Any]] = {
    "solver": [StrOptions({"lbfgs"})],
    "client": [HasMethods(["submit", "gather"]), None],
}


def _is_dask(collection: Any) -> bool:
    found: bool = import_optional("dask", PURPOSE, extra="dask").is_dask_collection(collection)
    return found


def _apply(method: str, options: dict[str, Any], est: Any, partition: Any) -> Any:
    """Return what a method of an estimator gives for a partition; partitions may be empty."""
    if partition.shape[0]:
        return getattr(est, method)(partition, **options)
    like = np.ones((1, partition.shape[1]), est.coefs_[0].dtype)
    if hasattr(partition, "columns"):
        like = type(partition)(like, columns=partition.columns)
    return getattr(est, method)(like, **options)[:0]


class _DaskMLP:
    """What both estimators have in common."""

    _local_class: ClassVar[Any]
    client: Any

    @property
    def client_(self) -> Any:
        """The client that is used: the parameter, or Dask's present one."""
        if self.client is not None:
            return self.client
        return import_optional("distributed", PURPOSE, extra="dask").get_client()

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to rows X and targets y, which may lie on several machines.

        Parameters
        ----------
        X : dask array or data frame, shape (n, n_features)
            In any chunks of rows, also of unknown lengths. It is read by the fit as `dtype` and kept on the
            workers until the end.
        y : dask array, series or data frame, shape (n,) or (n, n_outputs)
            Class labels, label indicators or numbers. Chunks need not be those of X.
        sample_weight : dask array or series, shape (n,), or float, optional

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the data are not of Dask.
        ValueError
            If the data cannot be trained on, as in scikit-learn; a note says in which rows.
        RuntimeError
            If the workers' builds of fastnet do not give the same bits, if there is no worker, or if rows are
            lost with a worker and cannot be computed again (the blocks are named). After an error, or Ctrl-C,
            the estimator is as it was.

        Examples
        --------
        >>> import dask.array as da
        >>> import numpy as np
        >>> from distributed import Client
        >>> from fastnet.dask import MLPClassifier
        >>> X = np.linspace(-1.0, 1.0, 5000).reshape(-1, 1)  # in chunks of any length
        >>> with Client(processes=False, n_workers=2, dashboard_address=":0") as client:
        ...     clf = MLPClassifier((), random_state=0, tol=1e-2)
        ...     clf = clf.fit(da.from_array(X, chunks=777), da.from_array(X[:, 0] > 0))
        ...     clf.predict(da.from_array(X[::1000], chunks=2)).compute()
        array([False, False, False,  True,  True])
        """
        if DIFFERENCES:
            raise RuntimeError(f"fastnet.dask does not know this scikit-learn: {'; '.join(DIFFERENCES)}")
        self._validate_params()  # type: ignore[attr-defined]
        if self.__dict__.get("_skl_callbacks"):
            raise ValueError("callbacks must not be set, got some: fastnet.dask has none")
        client = self.client_
        if client.asynchronous:
            raise ValueError("client must not be asynchronous, got one that is")
        check_workers(client)
        data = DaskData(client, X, y, sample_weight, classify=is_classifier(self))
        losses: list[DaskLoss] = []

        def make_loss(*arguments: Any) -> DaskLoss:
            losses.append(DaskLoss(*arguments, client=client, data=data))
            return losses[0]

        arguments = FitArguments("lbfgs", make_loss=make_loss)
        before = {name: list(value) if type(value) is list else value for name, value in vars(self).items()}
        try:
            self._fit_with_arguments(arguments, *data.representatives())  # type: ignore[attr-defined]
        except BaseException:  # rows are checked when the weights have been drawn already
            self.__dict__ = before
            raise
        finally:
            for loss in losses:
                loss.release()
        return self

    def _lazily(self, method: str, X: Any, **options: Any) -> Any:
        """Return a dask array of what a method of the local estimator gives for each partition of X."""
        check_fitted(self)
        dask = import_optional("dask", PURPOSE, extra="dask")
        array = import_optional("dask.array", PURPOSE, extra="dask")
        est = self.to_local()
        row: Any = np.zeros((1, X.shape[1] if X.ndim == 2 else 1), X.dtype if hasattr(X, "chunks") else float)
        if is_frame(X):
            row = import_optional("pandas", PURPOSE, extra="dask").DataFrame(row, columns=list(X.columns))
        sample = getattr(est, method)(row, **options)  # says what is wrong with X, and what will come
        known = X.chunks[0] if hasattr(X, "chunks") else (np.nan,) * X.npartitions
        apply = dask.delayed(functools.partial(_apply, method, options), pure=True)
        model = dask.delayed(est, traverse=False)
        pieces = [
            array.from_delayed(apply(model, partition), (rows, *sample.shape[1:]), sample.dtype)
            for partition, rows in zip(partitions(X, "X"), known, strict=True)
        ]
        return array.concatenate(pieces, allow_unknown_chunksizes=True)

    def predict(self, X: Any) -> Any:
        """Return the classes, the label indicators or the numbers for the rows of X: lazily.

        Parameters
        ----------
        X : dask array or data frame, shape (n, n_features), or what `fastnet.sklearn` takes

        Returns
        -------
        dask array, shape (n,) or (n, n_outputs)
            An ndarray if X is in memory.

        Examples
        --------
        >>> import dask.array as da
        >>> from sklearn.datasets import load_iris
        >>> from fastnet.dask import MLPClassifier
        >>> from fastnet.sklearn import MLPClassifier as Local
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier.from_local(Local((), solver="lbfgs", random_state=0, max_iter=500).fit(X, y))
        >>> clf.predict(da.from_array(X, chunks=(40, 4)))
        dask.array<concatenate, shape=(150,), dtype=int64, chunksize=(40,), chunktype=numpy.ndarray>
        """
        return self._lazily("predict", X) if _is_dask(X) else super().predict(X)  # type: ignore[misc]

    def transform(self, X: Any, layer: int = -1) -> Any:
        """Return the activations of a hidden layer, as `fastnet.sklearn` does; lazily for dask collections.

        Parameters
        ----------
        X : dask array or data frame, shape (n, n_features), or what `fastnet.sklearn` takes
        layer : int

        Returns
        -------
        dask array or ndarray, shape (n, n_units)
        """
        if _is_dask(X):
            return self._lazily("transform", X, layer=layer)
        return super().transform(X, layer)  # type: ignore[misc]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, or the coefficient of determination R² of a regressor.

        Parameters
        ----------
        X : dask array or data frame, shape (n, n_features), or what `fastnet.sklearn` takes
        y, sample_weight
            Of the same kind. They and the predictions are gathered for it.

        Returns
        -------
        float
        """
        if not _is_dask(X):
            return float(super().score(X, y, sample_weight))  # type: ignore[misc]
        client = self.client_
        found = [client.compute(one) if _is_dask(one) else one for one in (y, self.predict(X), sample_weight)]
        truth, predicted, weights = client.gather(found)
        measure = accuracy_score if is_classifier(self) else r2_score
        return float(measure(truth, predicted, sample_weight=weights))

    def to_local(self) -> Any:
        """Return the estimator of `fastnet.sklearn` with the same parameters and the same network.

        It needs no Dask. Its arrays are copies.

        Returns
        -------
        fastnet.sklearn.MLPClassifier or fastnet.sklearn.MLPRegressor
        """
        parameters = self.get_params(deep=False)  # type: ignore[attr-defined]
        del parameters["client"]
        local = self._local_class(**copy.deepcopy(parameters))
        _copy_fitted(self, local)
        return local

    @classmethod
    def from_local(cls, local: Any, client: Any = None) -> Self:
        """Return an estimator for Dask with the parameters and the network of one of `fastnet.sklearn`.

        Parameters
        ----------
        local : fastnet.sklearn.MLPClassifier or fastnet.sklearn.MLPRegressor
            Parameters of other solvers than lbfgs are left behind.
        client : distributed.Client, optional
        """
        names = cls._get_param_names()  # type: ignore[attr-defined]
        given = local.get_params(deep=False)
        parameters = {name: given[name] for name in names if name in given and name != "solver"}
        est = cls(**copy.deepcopy(parameters))
        est.client = client
        _copy_fitted(local, est)
        return est

    def __sklearn_clone__(self) -> Any:
        parameters = self.get_params(deep=False)  # type: ignore[attr-defined]
        client = parameters.pop("client")
        return type(self)(**copy.deepcopy(parameters)).set_params(client=client)  # type: ignore[attr-defined]

    def __getstate__(self) -> Any:
        return {**super().__getstate__(), "client": None}  # type: ignore[dict-item]


def _copy_fitted(source: Any, target: Any) -> None:
    """Copy what a fit has found."""
    state = {
        name: value
        for name, value in source.__getstate__().items()
        if (name.endswith("_") or name.startswith("_")) and name != "_skl_callbacks"
    }
    target.__dict__.update(copy.deepcopy(state))


class MLPClassifier(_DaskMLP, LocalClassifier):  # type: ignore[misc]
    """Multi-layer perceptron classifier for dask arrays and data frames, trained by L-BFGS.

    The network has the bits that `fastnet.sklearn.MLPClassifier` with the solver "lbfgs" gives on the whole
    data in one process, for any chunks and any number of workers, also if workers die meanwhile.

    Parameters
    ----------
    {scikit_learn}
    {class_weight}
    solver : {"lbfgs"}
        Mini-batch training of a small network does not gain from machines, so there is no other.
    dtype : {"float32", "float64"}, optional
        The precision to work in; unless given, that of X.
    n_threads : int, optional
        Threads that a worker uses; unless given, as many as Dask counts for it. The same bits for any number.
    client : distributed.Client, optional
        Unless given, Dask's present client. Copies and pickles do not hold it.

    Attributes
    ----------
    client_ : distributed.Client
    classes_ : ndarray, shape (n_classes,)
        The labels in order.
    {attributes}

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from distributed import Client
    >>> from fastnet.dask import MLPClassifier
    >>> from fastnet.sklearn import MLPClassifier as Local
    >>> X = np.random.default_rng(0).normal(size=(5000, 3))
    >>> y = np.where(X.sum(axis=1) > 0, "up", "down")
    >>> with Client(processes=False, n_workers=2, dashboard_address=":0") as client:
    ...     clf = MLPClassifier((5,), random_state=0, tol=1e-2, client=client)
    ...     clf = clf.fit(da.from_array(X, chunks=(1300, 3)), da.from_array(y, chunks=900))
    >>> local = Local((5,), solver="lbfgs", random_state=0, tol=1e-2).fit(X, y)
    >>> np.array_equal(clf.coefs_[0], local.coefs_[0]), clf.to_local().predict(X[:2])
    (True, array(['up', 'down'], dtype='<U4'))
    """

    _local_class: ClassVar[Any] = LocalClassifier
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LocalClassifier._parameter_constraints,
        **CONSTRAINTS,
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str = "lbfgs",
        alpha: float = 0.0001,
        max_iter: int = 200,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        max_fun: int = 15000,
        class_weight: Mapping[Any, float] | str | None = None,
        dtype: DTypeLike | None = None,
        n_threads: int | None = None,
        client: Any = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            max_iter=max_iter,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            max_fun=max_fun,
            class_weight=class_weight,
            dtype=dtype,
            n_threads=n_threads,
        )
        self.client = client

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of the classes, in the order of `classes_`: lazily for dask collections.

        Parameters
        ----------
        X : dask array or data frame, shape (n, n_features), or what `fastnet.sklearn` takes

        Returns
        -------
        dask array or ndarray, shape (n, n_classes)
        """
        return self._lazily("predict_proba", X) if _is_dask(X) else super().predict_proba(X)


class MLPRegressor(_DaskMLP, LocalRegressor):  # type: ignore[misc]
    """Multi-layer perceptron regressor for dask arrays and data frames, trained by L-BFGS.

    The network has the bits that `fastnet.sklearn.MLPRegressor` with the solver "lbfgs" gives on the whole
    data in one process, for any chunks and any number of workers, also if workers die meanwhile.

    Parameters
    ----------
    {loss}
    {scikit_learn}
    {of_loss}
    solver : {"lbfgs"}
        Mini-batch training of a small network does not gain from machines, so there is no other.
    dtype : {"float32", "float64"}, optional
        The precision to work in; unless given, that of X.
    n_threads : int, optional
        Threads that a worker uses; unless given, as many as Dask counts for it. The same bits for any number.
    client : distributed.Client, optional
        Unless given, Dask's present client. Copies and pickles do not hold it.

    Attributes
    ----------
    client_ : distributed.Client
    {attributes}

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from distributed import Client
    >>> from fastnet.dask import MLPRegressor
    >>> X = da.random.default_rng(0).uniform(-1, 1, size=(4000, 1), chunks=(700, 1))
    >>> with Client(processes=False, n_workers=1, dashboard_address=":0") as client:
    ...     reg = MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", random_state=0, tol=1e-3)
    ...     reg = reg.fit(X, X[:, 0] ** 2)
    >>> bool(abs(reg.predict(np.array([[0.5]])) - 0.25) < 0.05)
    True
    """

    _local_class: ClassVar[Any] = LocalRegressor
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LocalRegressor._parameter_constraints,
        **CONSTRAINTS,
    }

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str = "lbfgs",
        alpha: float = 0.0001,
        max_iter: int = 200,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        max_fun: int = 15000,
        delta: float = 1.0,
        quantile: float = 0.5,
        dtype: DTypeLike | None = None,
        n_threads: int | None = None,
        client: Any = None,
    ) -> None:
        super().__init__(
            loss,
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            max_iter=max_iter,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            max_fun=max_fun,
            delta=delta,
            quantile=quantile,
            dtype=dtype,
            n_threads=n_threads,
        )
        self.client = client


_shared = texts.chosen(
    texts.SCIKIT_LEARN,
    *("hidden_layer_sizes", "activation", "alpha", "max_iter", "random_state", "tol", "verbose"),
    *("warm_start", "max_fun"),
)
_found = texts.chosen(
    texts.ATTRIBUTES,
    *("coefs_", "intercepts_", "loss_", "best_loss_", "loss_curve_", "n_iter_", "n_features_in_"),
    "feature_names_in_",
)
describe(MLPClassifier, scikit_learn=_shared, class_weight=texts.CLASS_WEIGHT, attributes=_found)
describe(MLPRegressor, scikit_learn=_shared, loss=texts.LOSS, of_loss=texts.OF_LOSS, attributes=_found)
