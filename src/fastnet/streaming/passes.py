"""Passes over a stream: windows of shuffled rows for a fit, blocks in order for a prediction.

A window is read while the one before it is trained on. What is left of a window after its last whole batch is
copied to the front of the next one, so batches cross the edges.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnet import _examples, _validate
from fastnet._core import engine
from fastnet._examples import Examples, Piece, TrainingData
from fastnet._validate import Array
from fastnet.streaming import Stream, check_rows
from fastnet.streaming.sources import ReadRows, Rows

__all__ = ["is_in_pieces", "predict_blocks", "streamed_examples"]

CHUNK_ROWS = 512  # at most, that stay together in the shuffle of the whole source
CHUNKS_IN_A_WINDOW = 128  # at least, unless a chunk is a row: so that a window is a fair sample
WINDOW_STREAM = 2**60  # of the seed: the epochs' shuffles are far below, that of the validation split above
WINDOWS = 2**24  # in an epoch, fewer
PREDICTED_ROWS = 1 << 14


class _Buffer(NamedTuple):
    """Memory of a window, with room for what the one before it has left in front."""

    X: Array
    T: Array
    numbers: NDArray[np.intp]


class StreamedExamples:
    """The rows of a stream as a fit visits them."""

    in_memory = None

    def __init__(
        self,
        stream: Stream,
        X: Rows,
        T: Rows,
        checked_targets: Callable[[Array], Array],
        weights: Array | None,
        dtype: np.dtype[Any],
        labels: bool,
    ) -> None:
        self.n = X.n
        self._X, self._T = X, T
        self._names = stream.feature_names
        self._weights = weights
        self._checked_targets = checked_targets
        self._dtype = dtype
        self._T_dtype = np.dtype(np.int64) if labels else dtype
        self._labels = labels
        self._memory = stream.memory
        self._kept: _Buffer | None = None  # all rows, if they are one window
        self._is_checked = False

    def predicted(self, predict: Callable[[Array], Array]) -> None:
        """Nothing: the rows are not all at hand."""

    def pieces(self, batch: int, epoch: int, seed: int | None) -> Generator[Piece]:
        """Give the windows of an epoch: whole batches, but for the last one. seed: None for no shuffle.

        Raises
        ------
        ValueError
            If the source has changed, a row is not finite or a target is out of range.
        """
        rows = self._window_rows(batch)
        if rows >= self.n:
            yield self._all_rows(epoch, seed)
            self._is_checked = True
            return
        chunk = min(CHUNK_ROWS, max(1, rows // CHUNKS_IN_A_WINDOW))
        chunks = -(-self.n // chunk)
        order = np.arange(chunks) if seed is None else engine.permutation(chunks, seed, epoch)
        plan = [order[first : first + rows // chunk] * chunk for first in range(0, chunks, rows // chunk)]
        buffers = [self._buffer(batch + rows) for _ in range(2)]
        rest = np.empty(0, np.intp)
        stopping = False
        with ExitStack() as stack:
            read_X, read_T = stack.enter_context(self._X.open()), stack.enter_context(self._T.open())

            def load(buffer: _Buffer, starts: NDArray[np.intp]) -> int:
                at = batch
                for start in starts.tolist():
                    if stopping:
                        break
                    end = at + min(chunk, self.n - start)
                    self._load(read_X, read_T, buffer, start, at, end)
                    at = end
                self._check_targets(buffer.T[batch:at], starts, chunk)
                return at

            from concurrent.futures import ThreadPoolExecutor  # see _load_before_fork

            pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="fastnet-stream"))
            try:
                coming = pool.submit(load, buffers[0], plan[0])
                for w in range(len(plan)):
                    end = coming.result()
                    buffer, before = buffers[w % 2], buffers[(w + 1) % 2]
                    first = batch - len(rest)
                    for array, source in zip(buffer, before, strict=True):
                        if len(source):  # no numbers of rows without weights
                            array[first:batch] = source[rest]
                    if w + 1 < len(plan):
                        coming = pool.submit(load, before, plan[w + 1])
                    which = np.arange(first, end)
                    if seed is not None:
                        stream = WINDOW_STREAM + epoch * WINDOWS + w
                        which = which[engine.permutation(end - first, seed, stream)]
                    count = len(which) if w + 1 == len(plan) else len(which) - len(which) % batch
                    rest = which[count:]
                    yield self._piece(buffer, first, end, which[:count] - first, count)
            finally:
                stopping = True
        self._is_checked = True

    def _window_rows(self, batch: int) -> int:
        """Return how many rows are read at once: the memory holds two windows, an order, two batches."""
        itemsize = self._dtype.itemsize
        row = self._X.width * itemsize + self._T.width * self._T_dtype.itemsize + 8
        if self._X.dtype != self._dtype:  # what is converted lies beside it for a moment
            row += self._X.width * self._X.dtype.itemsize * CHUNK_ROWS // max(CHUNK_ROWS, self.n)
        rows = (self._memory - 2 * batch * row) // (2 * row + 8)
        if rows < min(batch, self.n):
            needed = (2 * row + 8) * batch + 2 * batch * row
            raise ValueError(
                f"memory must be at least {needed:,} bytes for batches of {batch} rows of "
                f"{self._X.width}, got {self._memory:,}"
            )
        return int(rows)

    def _buffer(self, rows: int) -> _Buffer:
        numbers = np.empty(rows if self._weights is not None else 0, np.intp)
        shape = (rows,) if self._labels else (rows, self._T.width)
        return _Buffer(np.empty((rows, self._X.width), self._dtype), np.empty(shape, self._T_dtype), numbers)

    def _load(
        self, read_X: ReadRows, read_T: ReadRows, buffer: _Buffer, start: int, at: int, end: int
    ) -> None:
        """Read a run of rows from `start` on into the rows [at, end) of a buffer, and check X once."""
        X, T = buffer.X[at:end], buffer.T[at:end]
        read_X(start, X)
        read_T(start, T[:, None] if self._labels else T)
        if self._weights is not None:
            buffer.numbers[at:end] = np.arange(start, start + end - at)
        if self._is_checked:
            return
        if not engine.all_finite(X):
            check_rows(X, start, self._names)

    def _check_targets(self, T: Array, starts: NDArray[np.intp], chunk: int) -> None:
        """ValueError if a target is out of range; it names the rows of the chunk."""
        if self._is_checked or not len(T):
            return
        try:
            self._checked_targets(T)
        except ValueError:
            for start, first in zip(starts.tolist(), range(0, len(T), chunk), strict=False):
                part = T[first : first + chunk]
                try:
                    self._checked_targets(part)
                except ValueError as error:
                    raise ValueError(f"rows {start} to {start + len(part) - 1}: {error}") from None
            raise

    def _piece(self, buffer: _Buffer, first: int, end: int, which: NDArray[np.intp], count: int) -> Piece:
        """Return the rows [first, end) of a buffer, to be trained on in the order of `which`."""
        T = buffer.T[first:end]
        weights = None if self._weights is None else self._weights[buffer.numbers[first:end]]
        columns = self._checked_targets(T) if self._labels else T.T
        return Piece(buffer.X[first:end].T, columns, which, weights, count)

    def _all_rows(self, epoch: int, seed: int | None) -> Piece:
        """Return all rows as one piece, as a fit in memory has them; they are read once."""
        buffer = self._kept
        if buffer is None:
            buffer = self._buffer(self.n)
            with self._X.open() as read_X, self._T.open() as read_T:
                for start in range(0, self.n, CHUNK_ROWS):
                    end = min(start + CHUNK_ROWS, self.n)
                    self._load(read_X, read_T, buffer, start, start, end)
            self._check_targets(buffer.T, np.arange(0, self.n, CHUNK_ROWS), CHUNK_ROWS)
            self._kept = buffer
        which = np.arange(self.n) if seed is None else engine.permutation(self.n, seed, epoch)
        return self._piece(buffer, 0, self.n, which, self.n)


def is_in_pieces(X: Any, dtype: np.dtype[Any]) -> bool:
    """Return whether X is a stream, or an array that is converted block by block for a network of a dtype."""
    return isinstance(X, Stream) or _validate.is_converted_in_pieces(X, dtype)


def streamed_examples(
    X: Any,
    T: Any,
    sample_weight: Any,
    loss: str,
    n_in: int,
    n_out: int,
    dtype: np.dtype[Any],
    *,
    whole: bool,
    class_weight: Any = None,
    validation: Any = None,
    fraction: Any = 0.0,
    rows: Any = None,
    validation_rows: Any = None,
) -> tuple[TrainingData, Examples | None] | None:
    """Return what a fit on a stream trains on, and what it holds out; None if X is no stream.

    whole: whether something needs all examples at once, L-BFGS or metrics of them.
    """
    if not isinstance(X, Stream):
        return None
    needed = {"class_weight": class_weight is not None, "validation_fraction": bool(fraction)}
    needed |= {"rows": rows is not None, "validation_rows": validation_rows is not None}
    for name in (name for name, given in needed.items() if given):
        raise ValueError(
            f"{name} must not be given with a stream, which has no parts; use sample_weight and validation"
        )
    if whole and validation is None:
        raise ValueError(
            "a stream must be trained on without LBFGS, and without metrics unless there is validation=(X, T)"
        )
    data = _streamed_examples(X, T, sample_weight, loss, n_in, n_out, dtype)
    held_out = None
    if validation is not None:
        held_out = _examples.check_validation(validation, loss, n_in, n_out, dtype)
    return data, held_out


def _streamed_examples(
    stream: Stream, T: Any, sample_weight: Any, loss: str, n_in: int, n_out: int, dtype: np.dtype[Any]
) -> StreamedExamples:
    """Return what a fit trains on, after the checks that need no pass."""
    if T is not None:
        raise TypeError("T must be left out with a stream, which brings its targets: fn.stream(X, targets)")
    X, targets = stream.rows()
    if targets is None:
        raise ValueError("targets must be given to fn.stream for a fit, got none")
    if X.width != n_in:
        raise ValueError(f"source must have {n_in} numbers in each row, as the network, got {X.width}")
    if not X.n:
        raise ValueError("source must have at least one row, got none")
    labels = engine.LOSS_TARGETS[loss] == "distribution" and targets.vector and targets.dtype.kind in "iu"
    if not labels and targets.width != n_out:
        hint = "" if loss != "cross_entropy" else ", or a vector of whole numbers, class labels"
        raise ValueError(f"targets must have {n_out} numbers in each row{hint}, got {targets.width}")

    def checked_targets(found: Array) -> Array:
        return _examples.check_targets(found if labels else found.T, loss, n_out, len(found), dtype)

    weights = _examples.sample_weights(sample_weight, X.n)
    weights = _examples.usable_weights(weights, dtype)
    return StreamedExamples(stream, X, targets, checked_targets, weights, dtype, bool(labels))


def predict_blocks(
    predict: Callable[[Array], Array],
    X: Any,
    n_in: int,
    n_out: int,
    dtype: np.dtype[Any],
    progress: bool | None = None,
) -> Array:
    """Return the outputs (n_out, n) for the rows of a stream, or the columns of a map, block by block."""
    from fastnet.progress import new_bar

    rows = X.rows()[0] if isinstance(X, Stream) else None
    if rows is None:
        if X.ndim != 2 or X.shape[0] != n_in:
            _validate.columns(np.broadcast_to(dtype.type(0), X.shape), "X", n_in, dtype)
        n = X.shape[1]
    elif rows.width != n_in:
        raise ValueError(f"source must have {n_in} numbers in each row, as the network, got {rows.width}")
    else:
        n = rows.n
    out = np.empty((n_out, n), dtype)
    memory = X.memory if isinstance(X, Stream) else 2 * _examples.CONVERTED_BYTES
    size = int(min(PREDICTED_ROWS, max(1, memory // (2 * n_in * dtype.itemsize))))
    block = np.empty((size, n_in), dtype)
    bar = new_bar(n, None if progress is None else _validate.flag(progress, "progress"), "row")
    with ExitStack() as stack:
        read = None if rows is None else stack.enter_context(rows.open())
        done = 0
        if bar is not None:
            stack.callback(lambda: bar.close(done, "predicted"))
        for start in range(0, n, size):
            count = min(size, n - start)
            if read is None:
                which = slice(start, start + count)
                part = _examples.converted(X.T[which], dtype, which)
            else:
                part = block[:count]
                read(start, part)
                if not engine.all_finite(part):
                    check_rows(part, start, getattr(X, "feature_names", None))
            out[:, start : start + count] = predict(part.T)
            done = start + count
            if bar is not None and (now := time.perf_counter()) >= bar.due:
                bar.update(done, "predicted", now)
    return out
