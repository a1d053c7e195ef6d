"""Converts scikit-learn's arrays (an example in a row) to the core's (an example in a column).

A C-order array (n, features) is the core's layout (features, n) seen through its transpose: nothing is
copied. Sparse matrices, and data of another precision than the weights, go through dense blocks of a few
megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))

# Sparse data no larger than this once dense is made dense at once; larger data block by block, in each epoch.
DENSE_BYTES = 32 << 20
BLOCK_BYTES = 4 << 20


def is_sparse(X: Any) -> bool:
    """Whether X is a scipy sparse matrix or array."""
    return hasattr(X, "toarray")


def dense_if_small(X: Any, dtype: np.dtype[Any], name: str = "X") -> Any:
    """Return X in this precision, dense if that takes little memory; else as CSR, whose rows come cheaply."""
    if not is_sparse(X):
        return X if X.dtype == dtype else converted(X, dtype, name)
    small = X.shape[0] * X.shape[1] * dtype.itemsize <= DENSE_BYTES
    if not small:
        X = X.tocsr()
    if X.dtype != dtype:
        converted(X.data, dtype, name)
        X = X.astype(dtype)
    return X.toarray() if small else X


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


def rows_at_once(X: Any, dtype: np.dtype[Any], multiple: int = 1) -> int:
    """Return how many rows make a dense block: whole multiples, and at least one."""
    block = BLOCK_BYTES // max(1, X.shape[1] * dtype.itemsize * multiple)
    return max(1, int(block)) * multiple


def blocks(X: Any, dtype: np.dtype[Any]) -> Iterator[tuple[slice, Array]]:
    """Yield slices of rows with the columns that they are in this precision; one slice if X is so already."""
    if not is_sparse(X) and X.dtype == dtype:
        yield slice(0, X.shape[0]), X.T
        return
    if is_sparse(X):
        X = X.tocsr()
    step = rows_at_once(X, dtype)
    for start in range(0, X.shape[0], step):
        rows = slice(start, min(X.shape[0], start + step))
        yield rows, columns(X[rows], dtype)


def columns(rows: Any, dtype: np.dtype[Any]) -> Array:
    """Return a few rows, dense or sparse, as dense columns of this precision."""
    dense: Array = (rows.toarray() if is_sparse(rows) else rows).astype(dtype, copy=False)
    return dense.T


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
    converted(X.data, np.dtype(dtype), "X")
    return X.astype(dtype)


def _is_float32_frame(given: Any) -> bool:
    schema = getattr(given, "schema", None)
    if schema is None:
        return False
    types = list(getattr(schema, "types", None) or getattr(given, "dtypes", []))  # Arrow's, or polars'
    return bool(types) and all(str(kind).lower() in ("float32", "float") for kind in types)
