"""Converts scikit-learn's arrays (an example in a row) to the core's (an example in a column).

A C-order array (n, features) is the core's layout (features, n) seen through its transpose: nothing is
copied. The rows of a sparse matrix are the core's lists of what is not zero, and are never made dense; a
matrix of which more than a quarter is not zero becomes an array where that is small. Data of another
precision than the weights is predicted in blocks of a few megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnet._core import engine

Array = NDArray[Any]

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))

# Where there are few zeros, leaving them out is slower than multiplying by them (see sparse.pxi of the core):
# a matrix with more than this share of numbers becomes an array, unless that would be larger than this.
DENSE_FROM = 0.25
DENSE_BYTES = 32 << 20
BLOCK_BYTES = 4 << 20


def is_sparse(X: Any) -> bool:
    """Whether X is a scipy sparse matrix or array."""
    return hasattr(X, "toarray")


def stays_sparse(X: Any) -> bool:
    """Whether the core takes X as lists of what is not zero."""
    if not is_sparse(X) or X.shape[1] < engine.SPARSE_FEATURES:
        return False
    numbers = X.shape[0] * X.shape[1]
    return bool(numbers * 8 > DENSE_BYTES or X.nnz <= DENSE_FROM * numbers)


def for_core(X: Any, dtype: np.dtype[Any], name: str = "X", sparse: bool | None = None) -> Any:
    """Return the columns of X as the core takes them: an array (features, n), or engine.SparseRows.

    Which of them says `sparse`; by default `stays_sparse(X)`.
    """
    if stays_sparse(X) if sparse is None else sparse:
        return sparse_rows(X, dtype, name)
    if is_sparse(X):
        X = X.toarray()
    return (X if X.dtype == dtype else converted(X, dtype, name)).T


def sparse_rows(X: Any, dtype: np.dtype[Any], name: str = "X") -> engine.SparseRows:
    """Return the rows of X for the core; what X has several times is summed, as `toarray` does it."""
    if not is_sparse(X):
        from scipy.sparse import csr_array

        X = csr_array(X)
    X = X.tocsr()
    try:
        return _rows(X, dtype, name)
    except ValueError:  # not in order, or a number too large
        return _rows(in_order(X), dtype, name)


def _rows(X: Any, dtype: np.dtype[Any], name: str) -> engine.SparseRows:
    features, n_features = X.indices, X.shape[1]
    if features.dtype != np.int32:
        if len(features) and not 0 <= features.min() <= features.max() < n_features:
            raise ValueError(f"{name} must have column indices from 0 to below {n_features}")
        features = features.astype(np.int32)
    values = X.data if X.data.dtype == dtype else converted(X.data, dtype, name)
    start = np.ascontiguousarray(X.indptr, np.intp)
    return engine.SparseRows(np.ascontiguousarray(values), np.ascontiguousarray(features), start, n_features)


def in_order(X: Any) -> Any:
    """Return a sparse matrix as CSR with ascending columns, each once; X stays as it is.

    What stands several times in one place is added in the order of the list, from 0 on, as in `toarray`.
    """
    X = X.tocsr()
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    order = np.lexsort((X.indices, rows))
    rows, columns, data = rows[order], X.indices[order], X.data[order]
    first = np.ones(len(order), bool)
    first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    values = np.zeros(np.count_nonzero(first), data.dtype)
    np.add.at(values, np.cumsum(first) - 1, data)
    start = np.concatenate([[0], np.cumsum(np.bincount(rows[first], minlength=X.shape[0]))])
    return type(X)((values, columns[first], start), X.shape)


def rows_of(X: Any, which: Array) -> Any:
    """Return some rows of X, copied; `take` copies those of an array in a quarter of the time of X[which]."""
    return X[which] if is_sparse(X) else X.take(which, axis=0)


def numbers_in_a_row(X: Any) -> float | None:
    """Return how many numbers a row of a sparse matrix has on average; None for an array."""
    return X.nnz / max(X.shape[0], 1) if is_sparse(X) else None


def converted(array: Any, dtype: np.dtype[Any], name: str) -> Array:
    """Return an array in C order and in this precision; ValueError if a number is too large for it."""
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(array, dtype)
    narrower = array.dtype.kind not in "b" and not np.can_cast(array.dtype, dtype)
    if narrower and not np.isfinite(result).all() and np.isfinite(array).all():
        raise ValueError(f"{name} must hold numbers that {dtype} can hold, got one that is too large for it")
    return result


def check_numeric(y: Any, name: str) -> None:
    """Raise TypeError if targets are text, bytes, dates or durations: NumPy would make numbers of them."""
    if y.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {y.dtype}")


def blocks(X: Array, dtype: np.dtype[Any]) -> Iterator[tuple[slice, Array]]:
    """Yield slices of rows with the columns that they are in this precision; one slice if X is so already."""
    if X.dtype == dtype:
        yield slice(0, X.shape[0]), X.T
        return
    step = max(1, BLOCK_BYTES // max(1, X.shape[1] * dtype.itemsize))
    for start in range(0, X.shape[0], step):
        rows = slice(start, min(X.shape[0], start + step))
        yield rows, X[rows].astype(dtype).T


def layers(coefs: list[Any], intercepts: list[Any], dtype: np.dtype[Any]) -> tuple[list[Array], list[Array]]:
    """Return coefs_ (n_in, n_out) and intercepts_ (n_out,) as W (n_out, n_in) and b (n_out, 1), as views."""
    W = [np.asarray(coef, dtype).T for coef in coefs]
    b = [np.ascontiguousarray(intercept, dtype).reshape(-1, 1) for intercept in intercepts]
    return W, b


def assign(arrays: list[Any], values: list[Array]) -> None:
    """Put new values into coefs_ or intercepts_.

    A value goes into the array that is there if it can hold it, so whoever holds that array sees it change,
    as in scikit-learn. Otherwise the array is replaced.
    """
    for k, value in enumerate(values):
        old = arrays[k]
        if (
            isinstance(old, np.ndarray)
            and old.shape == value.shape
            and old.dtype.kind == "f"
            and old.flags.writeable
        ):
            np.copyto(old, value, casting="same_kind")
        else:
            arrays[k] = np.ascontiguousarray(value)


def precision(X: Any, arrays: list[Any]) -> np.dtype[Any]:
    """Return the precision in which NumPy multiplies X with these arrays, float32 or float64."""
    dtype: np.dtype[Any] = X.dtype
    if dtype in FLOATS and all(getattr(array, "dtype", None) == dtype for array in arrays):
        return dtype
    single = np.result_type(dtype, *arrays) in (np.float32, np.float16)
    return np.dtype(np.float32 if single else np.float64)


def in_precision(X: Any, given: Any, dtype: Any) -> Any:
    """Return validated X in the precision `dtype`; if that is None, in the precision of the frame given.

    A polars or Arrow frame of float32 columns comes out of the validation as float64.
    """
    if dtype is None:
        if X.dtype != np.float64 or not _is_float32_frame(given):
            return X
        dtype = np.float32
    if X.dtype == dtype:
        return X
    if not is_sparse(X):
        return converted(X, np.dtype(dtype), "X")
    X = in_order(X)
    converted(X.data, np.dtype(dtype), "X")
    return X.astype(dtype)


def _is_float32_frame(given: Any) -> bool:
    schema = getattr(given, "schema", None)
    if schema is None:
        return False
    types = list(getattr(schema, "types", None) or getattr(given, "dtypes", []))  # Arrow's, or polars'
    return bool(types) and all(str(kind).lower() in ("float32", "float") for kind in types)
