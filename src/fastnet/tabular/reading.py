"""Read pandas, polars, Arrow and NumPy tables as a list of plain columns.

Numbers become float64 with NaN where a value is missing, times become seconds since 1970, and everything else
becomes a list of texts with None where a value is missing. What comes out depends on the values alone: a
pandas, a polars and an Arrow table of the same values give the same columns, bit for bit.
"""

from __future__ import annotations

import datetime
import decimal
import math
import numbers
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnet._core import engine
from fastnet._optional import import_optional

__all__ = ["KINDS", "Source", "check_kinds", "read_table", "take_rows"]

KINDS = ("number", "category", "boolean", "datetime")
LARGEST = 2.0**1020  # what is further from 0, also an infinity, is read as this: differences stay finite
TEXTS = 1 << 14  # of a column that are there as Python's objects at a time

Reals = NDArray[np.float64]
Texts = list[str | None]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_TEXT_OR_NONE = {str, type(None)}
_AMOUNTS = (numbers.Real, decimal.Decimal, datetime.timedelta, datetime.time)


class Source:
    """One column of a table before it is known what it will be read as.

    Parameters
    ----------
    name : str
        What messages call it.
    found : str
        The kind that its type or its values show: one of `KINDS`, or "empty" if every value is missing.
    length : int
        How many values there are.
    numbers : callable
        Gives the values as float64 with NaN.
    texts : callable
        Gives values start to stop as a list of texts with None.
    plain : callable, optional
        Gives the values where they lie if they are plain numbers, an array of any dtype, else None.

    Notes
    -----
    A column is read twice: to learn from it, and to encode it. What takes time to get and little memory to
    keep is kept for the second time: a view of plain numbers, and the texts of a short column.
    """

    def __init__(
        self,
        name: str,
        found: str,
        length: int,
        numbers: Callable[[], Reals],
        texts: Callable[[int, int], Texts],
        plain: Callable[[], NDArray[Any] | None] | None = None,
    ) -> None:
        self.name = name
        self.found = found
        self.length = length
        self._numbers = numbers
        self._texts = texts
        self._plain = plain

    def as_numbers(self) -> Reals:
        """Return float64 values, NaN where one is missing; ValueError names what is no number."""
        plain = self.where_they_lie()
        values = self._numbers() if plain is None else plain.astype(np.float64)
        outside = np.abs(values) > LARGEST  # False for NaN
        if outside.any():
            values = np.where(outside, np.copysign(LARGEST, values), values)
        return values

    def where_they_lie(self) -> NDArray[Any] | None:
        """Return the numbers of the table's own memory, if it holds such as the core can read, else None."""
        return self._readable

    @cached_property
    def _readable(self) -> NDArray[Any] | None:
        values = None if self._plain is None else self._plain()
        if values is None or values.dtype.str[1:] not in engine.RAW_DTYPES or not values.dtype.isnative:
            return None
        return values if values.flags.aligned else None

    def text_blocks(self) -> Iterable[Texts]:
        """Give lists of texts, None where a value is missing: a part of the column after the other."""
        if self.length <= TEXTS:
            return (self._only_block,)
        starts = range(0, self.length, TEXTS)
        return (self._texts(start, min(start + TEXTS, self.length)) for start in starts)

    @cached_property
    def _only_block(self) -> Texts:
        return self._texts(0, self.length)

    def as_texts(self) -> Texts:
        """Return a list of texts, None where a value is missing."""
        return [text for block in self.text_blocks() for text in block]


def read_table(X: Any, name: str = "X") -> tuple[list[Source], list[str] | None]:
    """Return the columns of a table, and their names if it has any.

    Parameters
    ----------
    X : data frame, sparse matrix or array_like, shape (n, columns)
        A data frame of pandas or polars, a table of Arrow, or whatever else narwhals takes; a matrix of
        SciPy; or anything that NumPy makes a two-dimensional array of, also one of objects.
    name : str
        What messages call it.

    Raises
    ------
    ValueError
        If X is not two-dimensional or has no column, two columns have one name, or the numbers are complex.
    ImportError
        If X is a data frame and narwhals is missing.
    """
    if isinstance(X, np.ndarray):
        return _from_array(X, name), None
    if _is_sparse(X):
        return _from_sparse(X, name), None
    if _is_frame(X):
        return _from_frame(X, name)
    return _from_array(np.asarray(X, dtype=None if _plain_numbers(X) else object), name), None


def take_rows(X: Any, which: NDArray[np.intp], name: str = "X") -> Any:
    """Return some rows of a table, for `read_table`.

    >>> take_rows([["a", 1], ["b", 2], ["c", 3]], np.array([0, 2]))
    [['a', 1], ['c', 3]]
    """
    if isinstance(X, np.ndarray):
        return X[which]
    if _is_sparse(X):
        return X.tocsr()[which]
    if _is_frame(X):
        return _narwhals_frame(X, name)[which.tolist()].to_native()
    return [X[k] for k in which.tolist()] if isinstance(X, Sequence) else np.asarray(X)[which]


def _is_sparse(X: Any) -> bool:
    return hasattr(X, "tocsc") and hasattr(X, "toarray")


def _is_frame(X: Any) -> bool:
    return any(hasattr(type(X), name) for name in ("columns", "column_names", "__narwhals_dataframe__"))


def _plain_numbers(X: Any) -> bool:
    """Say whether NumPy keeps the values of a nested list as they are: it turns a mixed one into texts."""
    if not isinstance(X, Sequence):
        return True
    for row in X:
        if isinstance(row, Sequence) and not isinstance(row, str):
            if not all(isinstance(value, (numbers.Real, np.bool_)) for value in row):
                return False
        elif not isinstance(row, np.ndarray):
            return False
    return True


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    if len(shape) != 2:
        raise ValueError(
            f"{name} must have shape (n, columns), a row per example, got {shape}. Reshape your data: "
            f"{name}.reshape(-1, 1) if it is one column, {name}.reshape(1, -1) if it is one row"
        )
    if shape[1] == 0:  # the words that scikit-learn's checks look for
        raise ValueError(
            f"{name} must have at least one column, got 0 feature(s) (shape={shape}) while a minimum of 1 is "
            "required."
        )


def _from_array(X: NDArray[Any], name: str) -> list[Source]:
    _check_shape(X.shape, name)
    if X.dtype.kind == "c":
        raise ValueError(f"{name} must hold real numbers. Complex data not supported, got dtype {X.dtype}")
    return [_array_source(X[:, k], f"column {k}") for k in range(X.shape[1])]


def _from_sparse(X: Any, name: str) -> list[Source]:
    _check_shape(X.shape, name)
    if X.dtype.kind == "c":
        raise ValueError(f"{name} must hold real numbers. Complex data not supported, got dtype {X.dtype}")
    columns = X.tocsc()

    def source(k: int) -> Source:
        def column() -> NDArray[Any]:
            return np.asarray(columns[:, [k]].toarray())[:, 0]

        kind = "boolean" if X.dtype.kind == "b" else "number"
        return Source(
            f"column {k}",
            kind,
            X.shape[0],
            lambda: column().astype(np.float64),
            lambda start, stop: texts_of(column()[start:stop].tolist()),
        )

    return [source(k) for k in range(X.shape[1])]


def _array_source(values: NDArray[Any], name: str) -> Source:
    kind, n = values.dtype.kind, len(values)

    def texts(start: int, stop: int) -> Texts:
        return texts_of(values[start:stop].tolist())

    if kind in "bfiu":
        found = "boolean" if kind == "b" else "number"
        return Source(name, found, n, lambda: values.astype(np.float64), texts, lambda: values)
    if kind in "mM":
        found = "datetime" if kind == "M" else "number"

        def seconds() -> Reals:
            whole = values.astype("datetime64[us]" if kind == "M" else "timedelta64[us]")
            return np.where(np.isnat(values), np.nan, whole.astype(np.int64) / 1e6)

        return Source(name, found, n, seconds, texts)
    return _object_source(n, lambda start, stop: values[start:stop].tolist(), name)


def _object_source(n: int, part: Callable[[int, int], list[Any]], name: str) -> Source:
    """Return the column of n Python objects: by what all of them are, or else by their texts.

    part: gives values start to stop.
    """
    kinds = {"boolean": (bool, np.bool_), "number": _AMOUNTS, "datetime": (datetime.date, np.datetime64)}
    empty = True
    for start in range(0, n, TEXTS):
        present = [value for value in part(start, min(start + TEXTS, n)) if not is_missing(value)]
        if any(isinstance(value, (complex, np.complexfloating)) for value in present):
            raise ValueError(f"{name} must hold real numbers or texts. Complex data not supported")
        empty = empty and not present
        kinds = {
            kind: types for kind, types in kinds.items() if all(isinstance(value, types) for value in present)
        }
    found = "empty" if empty else next(iter(kinds), "category")
    return Source(
        name,
        found,
        n,
        lambda: numbers_of(part(0, n), name),
        lambda start, stop: texts_of(part(start, stop)),
    )


def _narwhals_frame(X: Any, name: str) -> Any:
    nw = import_optional("narwhals", f"{name}, a data frame,", extra="tables")
    try:
        return nw.from_native(X, eager_only=True)
    except TypeError:
        raise TypeError(
            f"{name} must be a data frame in memory, an array or a sparse matrix, got {type(X).__name__}"
        ) from None
    except nw.exceptions.DuplicateError as error:
        raise ValueError(f"{name} must have columns of different names: {error}") from None


def _from_frame(X: Any, name: str) -> tuple[list[Source], list[str]]:
    frame = _narwhals_frame(X, name)
    nw = import_optional("narwhals", f"{name}, a data frame,", extra="tables")
    _check_shape(frame.shape, name)
    names = [str(column) for column in frame.columns]
    if len(set(names)) < len(names):  # 1 and "1"
        twice = next(column for k, column in enumerate(names) if column in names[:k])
        raise ValueError(f"{name} must have columns of different names, got {twice!r} twice")
    sources = [
        _series_source(nw, series, f"column {shown!r}")
        for series, shown in zip(frame.iter_columns(), names, strict=True)
    ]
    return sources, names


def _series_source(nw: Any, series: Any, name: str) -> Source:
    dtype, n = series.dtype, len(series)

    def part(start: int, stop: int) -> list[Any]:
        found: list[Any] = (series if stop - start == n else series[start:stop]).to_list()
        return found

    def texts(start: int, stop: int) -> Texts:
        return texts_of(part(start, stop))

    def listed() -> Reals:
        return numbers_of(series.to_list(), name)

    def real(values: Any) -> Reals:
        return np.array(values.cast(nw.Float64).to_numpy(), np.float64)

    if dtype.is_numeric():

        def numbers() -> Reals:
            if dtype == nw.Decimal or (dtype.is_integer() and _beyond_double(series)):
                return listed()
            return real(series)

        def plain() -> NDArray[Any] | None:
            whole_with_gaps = dtype.is_integer() and series.null_count() > 0
            return None if dtype == nw.Decimal or whole_with_gaps else np.asarray(series.to_numpy())

        return Source(name, "number", n, numbers, texts, plain)
    if dtype == nw.Boolean:
        return Source(name, "boolean", n, listed, texts)
    if dtype in (nw.String, nw.Categorical, nw.Enum):
        return Source(name, "empty" if _all_missing(series) else "category", n, listed, texts)
    if dtype == nw.Datetime:
        return Source(name, "datetime", n, lambda: real(series.dt.timestamp("us")) / 1e6, texts)
    if dtype == nw.Date:

        def days() -> Reals:
            return real(series.cast(nw.Datetime("us")).dt.timestamp("us")) / 1e6

        return Source(name, "datetime", n, days, texts)
    if dtype == nw.Duration:
        return Source(name, "number", n, lambda: real(series.dt.total_microseconds()) / 1e6, texts)
    return _object_source(n, part, name)


def _all_missing(series: Any) -> bool:
    """Say whether a column has no value; mostly the first ones tell."""
    return all(bool(part.null_count() == len(part)) for part in (series[:20], series))


def _beyond_double(series: Any) -> bool:
    """Say whether a column of whole numbers has some above 2⁵³, which Arrow refuses to round to float64."""
    ends = [end for end in (series.min(), series.max()) if not is_missing(end)]
    return any(abs(int(end)) > 2**53 for end in ends)


def is_missing(value: Any) -> bool:
    """Say whether a value stands for a gap: None, NaN, NaT or pandas' NA.

    >>> [is_missing(value) for value in (None, float("nan"), "", 0)]
    [True, True, False, False]
    """
    if value is None:
        return True
    if isinstance(value, (float, np.floating, decimal.Decimal)):
        return math.isnan(value)
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    pandas = sys.modules.get("pandas")  # who has not imported it has none of its gaps
    return pandas is not None and (value is pandas.NA or value is pandas.NaT)


def texts_of(values: list[Any]) -> Texts:
    """Return the texts of objects: whole numbers without a point, so that 3 and 3.0 are one level.

    >>> texts_of(["a", 3, 3.0, 0.5, True, None])
    ['a', '3', '3', '0.5', 'True', None]
    """
    if set(map(type, values)) <= _TEXT_OR_NONE:  # in a third of the time of the loop
        return values
    return [value if type(value) is str else None if is_missing(value) else _text(value) for value in values]


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def numbers_of(values: list[Any], name: str) -> Reals:
    """Return objects as float64: numbers, booleans, times (seconds), and texts that are written numbers.

    >>> numbers_of(["1.5", None, True], "column 'a'")
    array([1.5, nan, 1. ])
    """
    found = np.empty(len(values))
    for k, value in enumerate(values):
        try:
            found[k] = math.nan if is_missing(value) else _number(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{name} must hold numbers, as in fit, got {value!r} in row {k}") from None
    return found


def _number(value: Any) -> float:
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.UTC)
        return float((value - _EPOCH) // _MICROSECOND) / 1e6
    if isinstance(value, datetime.date):
        return (value.toordinal() - 719_163) * 86_400.0  # the ordinal of 1970-01-01
    if isinstance(value, datetime.timedelta):
        return float(value // _MICROSECOND) / 1e6
    if isinstance(value, datetime.time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[us]").astype(np.int64)) / 1e6
    if isinstance(value, np.timedelta64):
        return int(value.astype("timedelta64[us]").astype(np.int64)) / 1e6
    return float(value)


def check_kinds(kinds: Any) -> dict[Any, str]:
    """Return the kinds that a user tells, by name or number of the column."""
    if kinds is None:
        return {}
    if not isinstance(kinds, Mapping):
        raise TypeError(f"kinds must be a mapping from columns to kinds, got {type(kinds).__name__}")
    for column, kind in kinds.items():
        if kind not in KINDS:
            raise ValueError(f"kinds[{column!r}] must be one of {', '.join(map(repr, KINDS))}, got {kind!r}")
    return dict(kinds)
