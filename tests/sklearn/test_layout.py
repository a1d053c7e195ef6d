"""Frames, sparse matrices and precisions reach the core as the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.utils.validation import _get_feature_names
from sklearn_data import (
    assert_alike,
    assert_predict_alike,
    assert_same_weights,
    both,
    data,
    fitted,
    small,
    words,
)

import fastnet.sklearn
from fastnet.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.usefixtures("few_epochs", "one_blas_thread")


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_frames(library: str, dtype: str) -> None:
    module = pytest.importorskip(library)
    X, y = words()
    X = X[:, :6].astype(dtype)
    columns = {f"pixel {k}": X[:, k] for k in range(6)}
    frame = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    est, plain = small().fit(frame, y), small().fit(X, y)
    named = _get_feature_names(frame) is not None  # before 1.9, scikit-learn sees no names in polars 2
    if named:
        assert list(est.feature_names_in_) == list(columns)
    assert est.coefs_[0].dtype == dtype  # polars' float32, too
    np.testing.assert_array_equal(est.coefs_[0], plain.coefs_[0])
    P = est.predict_proba(frame)
    assert P.dtype == dtype
    np.testing.assert_array_equal(P, plain.predict_proba(X))
    if named:
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            est.predict(X)


def test_dtype() -> None:
    _, X, y, _ = data("digits")
    single = fitted("digits", dtype="float32")
    assert {coef.dtype for coef in single.coefs_} == {np.dtype(np.float32)}
    assert single.predict_proba(X).dtype == np.float32
    assert_same_weights(
        single, MLPClassifier((9, 6), max_iter=8, random_state=0).fit(X.astype(np.float32), y)
    )
    double = MLPClassifier(5, max_iter=2, random_state=0, dtype="float64").fit(X.astype(np.float32), y)
    assert double.coefs_[0].dtype == double.predict_proba(X.astype(np.float32)).dtype == np.float64
    with pytest.raises(ValueError, match="X must hold numbers that float32 can hold"):
        MLPClassifier(dtype="float32").fit(X * 1e300, y)


@pytest.mark.parametrize("format", ["csr_matrix", "csc_array"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("blockwise", [False, True])
def test_sparse(format: str, solver: str, blockwise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    scipy_sparse = pytest.importorskip("scipy.sparse")
    name, X, y, _ = data("digits")
    if blockwise:  # blocks of 64 rows at most
        monkeypatch.setattr(fastnet.sklearn._layout, "DENSE_BYTES", 0)
        monkeypatch.setattr(fastnet.sklearn._layout, "BLOCK_BYTES", 64 * 64 * 8)
    S = getattr(scipy_sparse, format)(X)
    w = np.linspace(0.5, 2, len(X))
    theirs, ours = both(
        name, S, y, w, solver=solver, batch_size=30, max_iter=6, random_state=0, early_stopping=True
    )
    assert_alike(theirs, ours, 1e-9)
    assert_predict_alike(theirs, ours, S, 1e-9)
    np.testing.assert_array_equal(ours.predict_proba(S), ours.predict_proba(X))


BAD_TARGETS = {
    "dates": np.array(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"], "datetime64[D]"),
    "durations": np.array([1, 2, 3, 4], "timedelta64[s]"),
    "text": np.array(["1.0", "2.0", "3.0", "4.0"]),
    "bytes": np.array([b"1", b"2", b"3", b"4"]),
}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", BAD_TARGETS)
def test_targets_that_are_no_numbers_are_refused(kind: str, solver: str) -> None:
    X, good, bad = np.eye(4), np.arange(4.0), BAD_TARGETS[kind]
    reg = MLPRegressor(hidden_layer_sizes=3, solver=solver, max_iter=1)
    with pytest.raises(TypeError, match="y must hold real numbers, got dtype"):
        reg.fit(X, bad)
    with pytest.raises(TypeError, match="y must hold real numbers, got dtype"):
        reg.fit(X, np.stack([bad, bad], axis=1))
    with pytest.raises(TypeError, match="y_val must hold real numbers, got dtype"):
        reg.fit(X, good, X_val=X, y_val=bad)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
@pytest.mark.parametrize("name", ["y", "X_val", "y_val", "sample_weight_val"])
def test_a_number_too_large_for_float32_is_an_error(name: str, solver: str, sparse: bool) -> None:
    X, y = np.eye(6), np.arange(6.0)
    given = {"X": X.astype(np.float32), "y": y, "X_val": X, "y_val": y, "sample_weight_val": np.ones(6)}
    given[name] = np.where(given[name] == given[name].max(), 1e40, given[name])
    if sparse:
        csr = pytest.importorskip("scipy.sparse").csr_matrix
        given |= {"X": csr(given["X"]), "X_val": csr(given["X_val"])}
    message = f"^{name} must hold numbers that float32 can hold, got one that is too large for it"
    with pytest.raises(ValueError, match=message):
        MLPRegressor(hidden_layer_sizes=3, solver=solver, max_iter=1).fit(**given)
