"""Data that do not fit into memory, for `fit` and `predict_proba`: `fastnet.stream`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnet import _validate
from fastnet._core.float_mode import in_default_mode
from fastnet._validate import Array
from fastnet.metadata import Standardize
from fastnet.streaming.sources import Rows, rows_of
from fastnet.streaming.spool import Spool, blocks_of

__all__ = ["Statistics", "Stream", "stream"]

MEMORY_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
STATISTICS_ROWS = 1024  # whose sums are worked out together, whatever is read at once
MOST_LABELS = 1000


class Statistics(NamedTuple):
    """What one pass over a stream finds.

    Attributes
    ----------
    n_rows : int
    standardize : Standardize
        Mean and standard deviation of each feature, for `Network.preprocessing`.
    labels : dict of int to int, or None
        How often each target occurs, where they are one column of at most 1000 different whole numbers.
    """

    n_rows: int
    standardize: Standardize
    labels: dict[int, int] | None


class Stream:
    """Rows that are read window by window: see `stream`, which makes one.

    Attributes
    ----------
    memory : int
        Bytes that the windows may take.
    feature_names : list of str or None
        Of Arrow and Parquet sources.
    """

    def __init__(self, source: Any, targets: Any, memory: int, directory: str | None) -> None:
        self.memory = memory
        self.feature_names: list[str] | None = None
        self._spool: Spool | None = None
        self._X: Rows | None = rows_of(source, "source")
        self._T: Rows | None = None
        if self._X is None:
            blocks, self.feature_names = blocks_of(source, targets)
            self._spool = Spool(blocks, directory)
            return
        if self._X.vector:
            raise ValueError("source must have an example in each row, shape (n, n_in), got a vector")
        if targets is not None:
            self._T = rows_of(targets, "targets")
            if self._T is None:
                raise TypeError(f"targets must be a .npy file or an array, got {type(targets).__name__}")
            if self._T.n != self._X.n:
                raise ValueError(f"targets must be {self._X.n}, one for each row of source, got {self._T.n}")

    def rows(self) -> tuple[Rows, Rows | None]:
        """Return the rows of X and of the targets; an iterable is first written to disk."""
        if self._X is None:
            assert self._spool is not None
            X, *T = self._spool.rows()
            self._X, self._T = X, T[0] if T else None
        return self._X, self._T

    def blocks(self, size: int) -> Iterator[tuple[int, Array, Array | None]]:
        """Give row by row, in order, so many at once: the first row's number, X and the targets.

        The arrays are used again for the next block.
        """
        X, T = self.rows()
        wanted = np.empty((size, X.width), X.dtype)
        targets = None if T is None else np.empty((size, T.width), T.dtype)
        with X.open() as read_X:
            for start in range(0, X.n, size):
                count = min(size, X.n - start)
                read_X(start, wanted[:count])
                if T is not None and targets is not None:
                    with T.open() as read_T:
                        read_T(start, targets[:count])
                yield start, wanted[:count], None if targets is None else targets[:count]

    @in_default_mode
    def statistics(self) -> Statistics:
        """Return the number of rows, their mean and spread, and the labels, in one pass.

        The same bits whatever the memory and however the source is cut: sums are taken over fixed blocks of
        1024 rows, in float64.

        Returns
        -------
        Statistics

        Raises
        ------
        ValueError
            If a number is not finite; its row is named.

        Examples
        --------
        >>> import numpy as np
        >>> import fastnet as fn
        >>> found = fn.stream(np.array([[1.0], [3.0]]), np.array([0, 1])).statistics()
        >>> found.n_rows, found.standardize.mean, found.labels
        (2, array([[2.]]), {0: 1, 1: 1})
        """
        X, T = self.rows()
        done, mean, squares = 0, np.zeros(X.width), np.zeros(X.width)
        labels: dict[int, int] | None = {} if T is not None and T.width == 1 else None
        for start, rows, targets in self.blocks(STATISTICS_ROWS):
            block = rows.astype(np.float64)
            check_rows(block, start, self.feature_names)
            # Chan, Golub, LeVeque 1979: two means and sums of squares become one
            n, own = len(block), block.mean(axis=0)
            gap, total = own - mean, done + n
            squares += ((block - own) ** 2).sum(axis=0) + gap**2 * (done * n / total)
            mean += gap * (n / total)
            done = total
            if targets is not None and labels is not None:
                labels = _counted(labels, targets)
        scale = np.sqrt(squares / done)
        return Statistics(done, Standardize(mean, np.where(scale > 0, scale, 1.0)), labels)

    def __repr__(self) -> str:
        if self._X is None:
            return f"Stream of blocks, {self.memory:,} bytes of memory"
        what = f"{self._X.n:,} rows of {self._X.width} {self._X.dtype}"
        return f"Stream of {what}, {self.memory:,} bytes of memory"


def stream(
    source: Any,
    targets: ArrayLike | str | os.PathLike[str] | Sequence[str] | None = None,
    *,
    memory: str | int = "64MB",
    directory: str | os.PathLike[str] | None = None,
) -> Stream:
    """Return data larger than memory for `fit` and `predict_proba`, which read them piece by piece.

    Parameters
    ----------
    source : path, array or iterable
        Examples in the **rows**, as files have them: a `.npy` file, a memory map or an array, (n, n_in), of
        any numeric dtype; a Parquet file or Arrow data (a scanner, dataset, table or reader of record
        batches), which needs ``pip install "fastnet-mlp[data]"``; or an iterable of (X, T).
    targets : path, array or str, optional
        For a file or an array: a `.npy` file or an array, (n,) or (n, n_out); whole numbers (n,) are class
        labels for "cross_entropy". For Arrow and Parquet: the name of the column, or a list of names.
    memory : str or int
        Bytes, or a text such as "64MB", that the rows in memory may take. It also says how much is shuffled
        together, so the bits of a fit depend on it.
    directory : path, optional
        Where an iterable, Arrow or Parquet source is written to in its first pass, as `.npy`; by default
        where temporary files are. It is removed with the stream.

    Returns
    -------
    Stream
        It can be used many times.

    Raises
    ------
    ValueError, TypeError
        If the source is of another kind, is cut off, or does not go with the targets.

    Notes
    -----
    A fit shuffles in two levels: chunks of at most 512 rows are permuted over the whole source, as many as
    the memory holds are a window, and the rows of a window are permuted. One thread reads the next window
    meanwhile. Batches cross the edges of windows, and a pass is an epoch. If all rows fit into one window, or
    with ``shuffle=False``, a fit has the bits of one on arrays in memory.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnet as fn
    >>> rows = np.linspace(-1.0, 1.0, 200).reshape(100, 2)
    >>> net = fn.Network([fn.Layer(2, 1)])
    >>> history = net.fit(fn.stream(rows, rows[:, :1] > 0), epochs=20, learning_rate=1.0)
    >>> net.predict_proba(fn.stream(rows)).shape
    (1, 100)
    """
    return Stream(source, targets, _bytes(memory), None if directory is None else os.fspath(directory))


def check_rows(rows: Array, start: int, names: Iterable[str] | None = None) -> None:
    """ValueError that names the first row, from row `start` on, with a NaN or an infinity."""
    good = np.isfinite(rows)
    if good.all():
        return
    row, column = map(int, np.argwhere(~good)[0])
    where = f"column {column}" if names is None else f"column {list(names)[column]!r}"
    raise ValueError(f"X must be finite, got {rows[row, column]} in row {start + row}, {where}")


def _counted(labels: dict[int, int], targets: NDArray[Any]) -> dict[int, int] | None:
    """Return how often each label has occurred by now; None if they are no labels."""
    values, counts = np.unique(targets, return_counts=True)
    if len(values) > MOST_LABELS or (values.dtype.kind == "f" and (values != np.floor(values)).any()):
        return None
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        labels[int(value)] = labels.get(int(value), 0) + count
    return labels if len(labels) <= MOST_LABELS else None


def _bytes(memory: Any) -> int:
    """Return a number of bytes from a number or a text such as "64MB"."""
    if not isinstance(memory, str):
        return _validate.integer(memory, "memory")
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]i?|)b?\s*", memory.lower())
    if not found or not (count := int(float(found[1]) * MEMORY_UNITS[found[2]])):
        raise ValueError(f"memory must be a number of bytes or a text such as '64MB', got {memory!r}")
    return count
