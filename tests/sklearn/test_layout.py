"""Frames, sparse matrices and precisions reach the core as the same numbers."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

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

from fastnet.sklearn import MLPClassifier, MLPRegressor, _layout

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


FORMATS = ["csr_matrix", "csr_array", "csc_matrix", "csc_array", "coo_matrix", "coo_array"]


@pytest.mark.parametrize("format", ["csr_matrix", "csc_array"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_and_scikit_learn(format: str, solver: str) -> None:
    name, X, y, _ = data("digits")  # half of it is not zero: an array
    zeroed = np.where(np.random.default_rng(0).random(X.shape) < 0.3, X, 0)  # lists
    w = np.linspace(0.5, 2, len(X))
    for x in (X, zeroed):
        S = getattr(pytest.importorskip("scipy.sparse"), format)(x)
        assert _layout.stays_sparse(S) == (x is zeroed)
        theirs, ours = both(
            name, S, y, w, solver=solver, batch_size=30, max_iter=6, random_state=0, early_stopping=True
        )
        assert_alike(theirs, ours, 1e-9)
        assert_predict_alike(theirs, ours, S, 1e-9)
        np.testing.assert_array_equal(ours.predict_proba(S), ours.predict_proba(x))


def sparse_problem(n: int = 150, features: int = 70) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    X = np.where(rng.random((n, features)) < 0.1, rng.normal(size=(n, features)), 0)
    X[::7] = 0
    return X, rng.integers(0, 3, n)


def everything(est: Any, X: Any) -> list[Any]:
    """Return what a fit has left behind and what is predicted from X."""
    curves = (
        [est.loss_curve_, est.validation_scores_, est.validation_loss_curve_] if est.solver != "lbfgs" else []
    )
    found = [*est.coefs_, *est.intercepts_, est.loss_, *curves, est.predict(X), est.transform(X, layer=0)]
    found += [est.predict(X[3:4]), est.transform(X[:0:-1])]
    return found + ([est.predict_proba(X)] if hasattr(est, "predict_proba") else [])


def assert_same_bits(found: list[Any], expected: list[Any]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "params",
    [
        {"solver": "adam", "early_stopping": True, "batch_size": 40},
        {"solver": "sgd", "learning_rate": "adaptive", "batch_size": 33},
        {"solver": "lbfgs", "alpha": 0.1},
        {"solver": "adamw", "dropout": 0.2},
    ],
    ids=lambda params: params["solver"],
)
def test_sparse_and_dense_give_the_same_bits(format: str, dtype: str, params: dict[str, Any]) -> None:
    make = getattr(pytest.importorskip("scipy.sparse"), format)
    X, y = sparse_problem()
    X, w = X.astype(dtype), np.linspace(0.5, 2, len(X))
    S = make(X)
    assert _layout.stays_sparse(S)
    for cls in (MLPClassifier, MLPRegressor):
        given = {} if params.get("early_stopping") else {"X_val": X[:40], "y_val": y[:40]}
        est = cls(hidden_layer_sizes=(9, 4), max_iter=4, random_state=0, **params)
        dense = everything(est.fit(X, y, w, **given), X)
        score = est.score(X, y)
        if given:
            given["X_val"] = make(X[:40])
        assert_same_bits(everything(est.fit(S, y, w, **given), S.tocsr()), dense)
        assert est.score(S, y) == score
        assert np.array_equal(S.toarray(), X)


def test_partial_fit_on_sparse_batches() -> None:
    make = pytest.importorskip("scipy.sparse").csr_array
    X, y = sparse_problem()
    ones = [MLPClassifier(9, random_state=0) for _ in range(2)]
    for start in range(0, len(X), 50):
        for est, kind in zip(ones, (np.array, make), strict=True):
            est.partial_fit(kind(X[start : start + 50]), y[start : start + 50], classes=[0, 1, 2])
    a, b = (everything(est, X) for est in ones)
    assert_same_bits(a, b)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_validation_set_of_the_other_kind(solver: str) -> None:
    make = pytest.importorskip("scipy.sparse").csc_array
    X, y = sparse_problem()
    curves = []
    for kind, other in [(np.array, np.array), (make, np.array), (np.array, make), (make, make)]:
        est = MLPClassifier(5, solver=solver, max_iter=3, random_state=0)
        curves.append(est.fit(kind(X), y, X_val=other(X[:30] + 1), y_val=y[:30]).validation_loss_curve_)
    assert curves[0] == curves[1] == curves[2] == curves[3]


def test_matrices_that_are_not_in_order() -> None:
    """Columns in any order, several times, of 64-bit indices, with zeros listed: as `toarray` has them."""
    csr = pytest.importorskip("scipy.sparse").csr_array
    X, y = sparse_problem(60)
    rows, columns = np.nonzero(X)
    rng = np.random.default_rng(1)
    rows, columns = np.tile(rows, 3), np.tile(columns, 3)
    values = rng.normal(size=len(rows))  # three of each, whose sum depends on their order
    values[::9] = 0
    order = np.argsort(rows + 0.5 * rng.random(len(rows)))
    start = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(X)))])
    S = csr((values[order], columns[order].astype(np.int64), start.astype(np.int64)), X.shape)
    before = [S.data.copy(), S.indices.copy(), S.indptr.copy()]
    dense = S.toarray()
    for solver in ("adam", "lbfgs"):
        for dtype in (None, "float32"):
            est = MLPClassifier(9, solver=solver, max_iter=2, random_state=0, dtype=dtype)
            assert_same_bits(everything(est.fit(S, y), S), everything(est.fit(dense, y), dense))
    assert_same_bits([S.data, S.indices, S.indptr], before)
    S.has_sorted_indices = S.has_canonical_format = True  # which is not so
    assert_same_bits(everything(est.fit(S, y), S), everything(est.fit(dense, y), dense))


def test_what_scikit_learn_refuses_of_sparse_data() -> None:
    csr = pytest.importorskip("scipy.sparse").csr_matrix
    X, y = sparse_problem(40)
    est = MLPClassifier(4, max_iter=2, random_state=0).fit(csr(X), y)
    for wrong in (np.nan, np.inf):
        bad = X.copy()
        bad[2, 5] = wrong
        for call in (lambda X: est.fit(X, y), est.predict, est.transform):
            with pytest.raises(ValueError, match="Input X contains"):
                call(csr(bad))
    with pytest.raises(ValueError, match="X has 69 features, but MLPClassifier is expecting 70"):
        est.predict(csr(X[:, :69]))
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        est.predict(csr(X[:0]))
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        est.fit(csr(X[:0]), y[:0])
    broken = csr(X)
    broken.indices[0] = 70
    with pytest.raises(ValueError, match="features must ascend in each row from 0 to below 70"):
        est.predict(broken)


@pytest.mark.parametrize("features", [1, 2, 4, 5])
def test_few_features_and_zeros_alone(features: int) -> None:
    csr = pytest.importorskip("scipy.sparse").csr_array
    X, y = sparse_problem(40, features)
    for x in (X, np.zeros_like(X)):
        est = MLPClassifier(4, max_iter=2, random_state=0)
        assert_same_bits(everything(est.fit(csr(x), y), csr(x)), everything(est.fit(x, y), x))


MEMORY = """
import resource, warnings
import numpy as np, scipy.sparse
from fastnet.sklearn import MLPClassifier
warnings.simplefilter("ignore")
n = 20_000
rng = np.random.default_rng(0)
places = rng.integers(n, size=(2, 5 * n))
X = scipy.sparse.coo_array((rng.random(5 * n), places), (n, n)).tocsc()
y = rng.integers(2, size=n)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
MLPClassifier(8, max_iter=1, batch_size=1000).fit(X[:50], y[:50])
before = peak()
for params in {"early_stopping": True, "batch_size": 1000}, {"solver": "lbfgs"}:
    est = MLPClassifier(8, max_iter=1, random_state=0, **params).fit(X, y)
    est.predict_proba(X), est.predict(X[:1]), est.transform(X), est.score(X, y)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
def test_no_dense_copy_of_sparse_data() -> None:
    """The array would take 3 GB, a block of 1000 examples 160 MB, as many rows as 4 MB hold many passes."""
    pytest.importorskip("scipy.sparse")
    found = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 100, found.stdout


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
