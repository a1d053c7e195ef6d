"""The estimators of fastnet.dask have the bits of fastnet.sklearn's on the whole data, in any chunks."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("dask.array")

import dask.array as da
from sklearn.base import clone

import fastnet.sklearn
from fastnet.dask import MLPClassifier, MLPRegressor

N = 5003  # five blocks, the last one of 907 rows
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, 4))
SIDE = (X[:, 0] * X[:, 1] > 0).astype(int)
THIRD = (X[:, 2] > 0.5).astype(int) + (X[:, 2] > -0.5)
WEIGHTS = RNG.uniform(0, 3, N)
SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0}


def rows(array: Any, chunks: Any = 1777) -> Any:
    """Return a dask array of these rows; with "odd" chunks of very different sizes, one of them empty."""
    if chunks == "odd":
        chunks = (1, 2000, 0, 1023, N - 3024)
    return da.from_array(array, chunks=(chunks, *array.shape[1:]))


def local_twin(est: Any) -> Any:
    """Return the estimator of fastnet.sklearn with the same parameters."""
    return clone(est).to_local()


def assert_same_bits(est: Any, local: Any) -> None:
    assert est.n_iter_ == local.n_iter_
    assert est.loss_ == local.loss_
    for ours, theirs in zip(est.coefs_ + est.intercepts_, local.coefs_ + local.intercepts_, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_the_number_of_workers_changes_no_bit(n_workers: int, cluster_of: Callable[..., Any]) -> None:
    est = MLPClassifier(**SETTINGS, client=cluster_of(n_workers))
    est.fit(rows(X), rows(SIDE))
    assert_same_bits(est, local_twin(est).fit(X, SIDE))


@pytest.mark.parametrize("chunks", [N, 100, "odd"])
def test_chunks_change_no_bit(chunks: Any, dtype: np.dtype, client: Any) -> None:
    est = MLPRegressor(**SETTINGS)
    narrow = X.astype(dtype)
    est.fit(rows(narrow, chunks).rechunk({1: 3}), rows(X[:, 3], 1234))
    assert_same_bits(est, local_twin(est).fit(narrow, X[:, 3]))


@pytest.mark.parametrize("n", [1, 700, 1024, 1025, 2048])
def test_few_rows(n: int, client: Any) -> None:
    est = MLPRegressor(**SETTINGS)
    est.fit(rows(X[:n], 300), rows(X[:n, 3], 301))
    assert_same_bits(est, local_twin(est).fit(X[:n], X[:n, 3]))


@pytest.mark.parametrize(
    "y",
    [
        np.array(["no", "maybe", "yes"])[THIRD],
        np.array(["no", "maybe", "yes"], dtype=object)[THIRD],
        SIDE.astype(bool),
        THIRD.astype(np.float32) - 1,
        SIDE.reshape(-1, 1),
        np.stack([SIDE, THIRD > 1], axis=1),
        np.zeros(N, int),
    ],
    ids=["text", "objects", "booleans", "floats", "column", "several labels", "one class"],
)
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_labels_of_any_kind(y: Any, client: Any) -> None:
    est = MLPClassifier(**SETTINGS)
    est.fit(rows(X), rows(y, "odd"))
    local = local_twin(est).fit(X, y)
    assert_same_bits(est, local)
    np.testing.assert_array_equal(est.classes_, local.classes_, strict=True)
    np.testing.assert_array_equal(est.predict(rows(X, 600)).compute(), local.predict(X), strict=True)
    np.testing.assert_array_equal(est.predict_proba(rows(X)).compute(), local.predict_proba(X), strict=True)


def test_a_label_that_few_partitions_have(client: Any) -> None:
    y = SIDE.copy()
    y[-5:] = 7
    est = MLPClassifier(**SETTINGS)
    est.fit(rows(X), rows(y))
    assert_same_bits(est, local_twin(est).fit(X, y))


@pytest.mark.parametrize(
    ("given", "class_weight", "dtype"),
    [
        (WEIGHTS, None, "float64"),
        (WEIGHTS, "balanced", "float32"),
        (WEIGHTS.astype(np.float32), None, "float32"),
        (WEIGHTS.astype(np.float32), {0: 1.5, 1: 0.5, 2: 1.0}, "float64"),
        (2, None, "float64"),
        (np.arange(N) % 3, "balanced", "float64"),
    ],
)
def test_weights(given: Any, class_weight: Any, dtype: str, client: Any) -> None:
    est = MLPClassifier(**SETTINGS, class_weight=class_weight)
    narrow = X.astype(dtype)
    est.fit(rows(narrow), rows(THIRD), rows(given, 1500) if np.ndim(given) else given)
    assert_same_bits(est, local_twin(est).fit(narrow, THIRD, given))


def test_class_weights_alone_and_of_several_labels(client: Any) -> None:
    for y in (THIRD, np.stack([SIDE, THIRD > 1], axis=1)):
        est = MLPClassifier(**SETTINGS, class_weight="balanced")
        est.fit(rows(X), rows(y))
        assert_same_bits(est, local_twin(est).fit(X, y))


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber"])
def test_losses_and_several_targets(loss: str, client: Any) -> None:
    y = np.abs(X[:, :2]) + 0.1
    est = MLPRegressor(loss, **SETTINGS)
    est.fit(rows(X), rows(y, 900), rows(WEIGHTS))
    local = local_twin(est).fit(X, y, WEIGHTS)
    assert_same_bits(est, local)
    np.testing.assert_array_equal(est.predict(rows(X)).compute(), local.predict(X), strict=True)


def test_a_fit_that_goes_on_from_another_precision(client: Any) -> None:
    est = MLPClassifier(**SETTINGS, warm_start=True, dtype="float32")
    local = local_twin(est)
    for _ in range(2):
        est.fit(rows(X), rows(THIRD))
        local.fit(X, THIRD)
        assert_same_bits(est, local)


def frames(partitions: int = 4) -> tuple[Any, Any]:
    """Return a pandas frame, and a dask frame of it with unknown lengths and an empty partition."""
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    table = pd.DataFrame(X, columns=list("abcd")).astype({"b": np.float32})
    table["whole"] = np.arange(N) % 7
    table["label"] = np.array(["no", "maybe", "yes"])[THIRD]
    parts = dd.from_pandas(table, npartitions=partitions)
    few = dd.from_pandas(table.iloc[:3].assign(a=99.0), npartitions=1)
    return table, dd.concat([parts, few], interleave_partitions=True).query("a < 50").clear_divisions()


def test_frames_of_unknown_lengths(client: Any) -> None:
    table, parts = frames()
    est = MLPClassifier(**SETTINGS)
    est.fit(parts.drop(columns="label"), parts["label"])
    inputs = table.drop(columns="label")
    local = local_twin(est).fit(inputs, table["label"])
    assert_same_bits(est, local)
    assert list(est.feature_names_in_) == list(local.feature_names_in_) == [*"abcd", "whole"]
    lazy = est.predict(parts.drop(columns="label"))
    assert np.isnan(lazy.shape[0])
    np.testing.assert_array_equal(lazy.compute(), local.predict(inputs), strict=True)
    with pytest.raises(ValueError, match="feature names"):
        est.predict(parts[["b", "a", "c", "d", "whole"]])
    # the lengths of an array of a frame are unknown too, and y may be cut otherwise
    values = parts[list("abcd")].to_dask_array()
    est.fit(values, rows(SIDE, 1111))
    assert_same_bits(est, local_twin(est).fit(inputs[list("abcd")].to_numpy(), SIDE))


def test_the_score_gathers_what_it_compares(client: Any) -> None:
    est = MLPClassifier(**SETTINGS).fit(rows(X), rows(SIDE))
    assert est.score(rows(X), rows(SIDE)) == est.to_local().score(X, SIDE) == est.score(X, SIDE)
    reg = MLPRegressor(**SETTINGS).fit(rows(X), rows(X[:, 3]))
    np.testing.assert_allclose(
        reg.score(rows(X), rows(X[:, 3]), rows(WEIGHTS)), reg.to_local().score(X, X[:, 3], WEIGHTS)
    )
    np.testing.assert_array_equal(est.transform(rows(X)).compute(), est.to_local().transform(X))


def test_copies_do_not_hold_the_client(client: Any) -> None:
    est = MLPClassifier(**SETTINGS, client=client).fit(rows(X), rows(SIDE))
    assert clone(est).client is client
    assert est.client_ is client
    read = pickle.loads(pickle.dumps(est))
    assert read.client is None
    assert read.client_ is client  # Dask's present one
    local = est.to_local()
    assert type(local) is fastnet.sklearn.MLPClassifier
    np.testing.assert_array_equal(local.predict(X), read.predict(X))
    again = MLPClassifier.from_local(local)
    np.testing.assert_array_equal(again.predict(rows(X)).compute(), local.predict(X))
    assert again.get_params()["hidden_layer_sizes"] == (6,)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X, rows(SIDE)), TypeError, "X must be a dask array or data frame, got ndarray"),
        ((rows(X), SIDE), TypeError, "y must be a dask array"),
        ((rows(X), rows(SIDE), WEIGHTS), TypeError, "sample_weight must be a dask array"),
        ((rows(X), rows(SIDE[:-1])), ValueError, f"y must have as many rows as X, {N}, got {N - 1}"),
        ((rows(X), rows(SIDE), rows(WEIGHTS[1:])), ValueError, "sample_weight must have as many rows"),
        ((rows(X[:0]), rows(SIDE[:0])), ValueError, "X must have at least one row"),
        ((rows(X[:, 0]), rows(SIDE)), ValueError, "X must have 2 dimensions, got 1"),
        ((rows(X), rows(X[:, 0])), ValueError, "Unknown label type"),
        ((rows(X), rows(np.stack([THIRD, SIDE], axis=1))), ValueError, "Multioutput target data"),
        ((rows(X), rows(np.where(SIDE, np.nan, 1.0))), ValueError, "y contains NaN"),
        ((rows(X), rows(SIDE), rows(0 * WEIGHTS)), ValueError, "at least one non-zero"),
        ((rows(np.full((N, 1), "a")), rows(SIDE)), ValueError, "could not convert"),
    ],
)
@pytest.mark.filterwarnings("ignore:numpy equal will not check object identity")
def test_wrong_input(arguments: Any, error: type[Exception], message: str, client: Any) -> None:
    est = MLPClassifier(**SETTINGS)
    with pytest.raises(error, match=message):
        est.fit(*arguments)
    assert not hasattr(est, "coefs_")
    est.fit(rows(X), rows(SIDE))
    before = pickle.dumps(est.to_local())
    with pytest.raises(error, match=message):
        est.fit(*arguments)
    assert pickle.dumps(est.to_local()) == before


def test_a_number_that_is_not_finite_is_named_by_its_rows(client: Any) -> None:
    bad = X.copy()
    bad[3000, 1] = np.nan
    with pytest.raises(ValueError, match="NaN") as caught:
        MLPRegressor(**SETTINGS).fit(rows(bad), rows(X[:, 0]))
    assert caught.value.__notes__ == ["in rows 2048 to 3071"]


def test_wrong_parameters(client: Any) -> None:
    with pytest.raises(ValueError, match=r"'solver' parameter .* must be a str among {'lbfgs'}"):
        MLPClassifier(solver="adam").fit(rows(X), rows(SIDE))
    with pytest.raises(ValueError, match="'client' parameter"):
        MLPClassifier(client=3).fit(rows(X), rows(SIDE))
    assert not hasattr(MLPClassifier(), "partial_fit")
