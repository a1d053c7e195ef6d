"""Blocks of rows that can be had only once, one after the other: written to a `.npy` file as they come.

Blocks come from any iterable, from Arrow (scanners, datasets, tables, record batches) and from Parquet files.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnet import _validate
from fastnet._optional import import_optional
from fastnet._validate import Array
from fastnet.streaming.sources import FileRows, npy_rows

__all__ = ["Spool", "blocks_of"]

_HEADER = 128  # bytes of a .npy header, written again once the number of rows is known
_PARQUET_ROWS = 1 << 15  # that are decoded at once

Block = tuple[Array, Array | None]


class Spool:
    """The rows of an iterable of blocks, on disk.

    What has been written stays when it is interrupted: the next call goes on with the block that came next.

    Parameters
    ----------
    blocks : iterator of (X, T)
        T is None, for all blocks or for none.
    directory : str or None
        Where the files are made; by default where temporary files are. They are removed when nobody needs
        the spool any more.
    """

    def __init__(self, blocks: Iterator[Block], directory: str | None) -> None:
        self._blocks = blocks
        self._directory = directory
        self._pending: Block | None = None
        self._files: list[_Growing] = []
        self._rows = 0
        self._count = 0
        self._finished: list[FileRows] | None = None

    def rows(self) -> list[FileRows]:
        """Return the rows of X and, if there are any, of the targets, after all blocks are written."""
        while self._finished is None:
            if self._pending is None:
                self._pending = next(self._blocks, None)
            if self._pending is None:
                self._finished = self._finish()
            else:
                self._write(self._pending)
                self._pending = None
        return self._finished

    def _write(self, block: Block) -> None:
        arrays = [array for array in block if array is not None]
        if not self._files:
            folder = tempfile.mkdtemp(prefix="fastnet-", dir=self._directory)
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._files = [
                _Growing(os.path.join(folder, f"{name}.npy"), array, name)
                for name, array in zip(("X", "T"), arrays, strict=False)
            ]
        if len(arrays) != len(self._files):
            raise ValueError(
                f"source must give (X, T) in each block or in none, got both by block {self._count}"
            )
        if len({len(array) for array in arrays}) != 1:
            lengths = " and ".join(str(len(array)) for array in arrays)
            raise ValueError(
                f"source must give as many rows of X as of T, got {lengths} in block {self._count}"
            )
        for file, array in zip(self._files, arrays, strict=True):
            file.write(self._rows, array, self._count)
        self._rows += len(arrays[0])
        self._count += 1

    def _finish(self) -> list[FileRows]:
        if not self._rows:
            raise ValueError("source must give at least one row, got none")
        return [file.finish(self._rows) for file in self._files]


class _Growing:
    """A `.npy` file whose number of rows is known at its end."""

    def __init__(self, path: str, first: Array, name: str) -> None:
        self._path, self._name = path, name
        self._shape, self._dtype = first.shape[1:], first.dtype
        self._row_bytes = first.dtype.itemsize * int(np.prod(self._shape, dtype=np.intp))
        with open(path, "wb"):
            pass

    def write(self, row: int, block: Array, number: int) -> None:
        """Write a block from a row on; what lay there, of a write that was interrupted, is written over."""
        if block.shape[1:] != self._shape or not np.can_cast(block.dtype, self._dtype, "same_kind"):
            raise ValueError(
                f"source must give {self._name} with rows {self._shape} of {self._dtype} in each block, "
                f"got {block.shape[1:]} and {block.dtype} in block {number}"
            )
        with open(self._path, "r+b") as file:
            file.seek(_HEADER + row * self._row_bytes)
            file.write(np.ascontiguousarray(block, self._dtype).data)

    def finish(self, rows: int) -> FileRows:
        """Write the header, and return the rows."""
        what = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (rows, *self._shape),
        }
        text = repr(what).encode()
        length = _HEADER - 10
        with open(self._path, "r+b") as file:
            file.write(b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + text.ljust(length - 1) + b"\n")
        return npy_rows(self._path, self._name)


def blocks_of(source: Any, target: Any) -> tuple[Iterator[Block], list[str] | None]:
    """Return the blocks of an iterable, of Arrow data or of a Parquet file, and the names of its features."""
    if isinstance(source, (str, os.PathLike)):
        parquet = import_optional("pyarrow.parquet", "a Parquet file", extra="data")
        file = parquet.ParquetFile(source)
        return _arrow_blocks(file.iter_batches(_PARQUET_ROWS), file.schema_arrow, target)
    if hasattr(source, "to_batches"):  # a Scanner, Dataset, Table
        schema = getattr(source, "projected_schema", None) or source.schema
        return _arrow_blocks(iter(source.to_batches()), schema, target)
    if hasattr(source, "schema") and hasattr(source, "read_next_batch"):
        return _arrow_blocks(iter(source), source.schema, target)
    if not hasattr(source, "__iter__"):
        raise TypeError(
            "source must be a .npy or .parquet file, an array, or an iterable of (X, T), "
            f"got {type(source).__name__}"
        )
    if target is not None:
        raise TypeError("targets must come with X, as (X, T), from an iterable; got both")
    return map(_block, source), None


def _block(given: Any) -> Block:
    """Return X and T of what an iterable gave, as arrays."""
    X, T = given if isinstance(given, (tuple, list)) and len(given) == 2 else (given, None)
    X = _validate.to_array(X, "X")
    if X.ndim != 2 or X.dtype.kind not in "fiub":
        raise ValueError(f"source must give X with an example in each row, got shape {X.shape} of {X.dtype}")
    if T is None:
        return X, None
    T = _validate.to_array(T, "T")
    if T.ndim not in (1, 2) or T.dtype.kind not in "fiub":
        raise ValueError(f"source must give T as (n,) or (n, n_out), got shape {T.shape} of {T.dtype}")
    return X, T


def _arrow_blocks(batches: Iterator[Any], schema: Any, target: Any) -> tuple[Iterator[Block], list[str]]:
    """Return record batches as blocks: the columns named by `target` are T, the others X."""
    several = isinstance(target, (list, tuple))
    targets = [] if target is None else list(target) if several else [target]
    names = list(schema.names)
    if missing := [name for name in targets if name not in names]:
        raise ValueError(f"targets must be columns of the source, {', '.join(names)}, got {missing[0]!r}")
    features = [name for name in names if name not in targets]
    if not features:
        raise ValueError("source must have columns besides the targets, got none")

    def block(batch: Any) -> Block:
        X = np.stack([_column(batch, name) for name in features], axis=1)
        dtype = np.float32 if np.can_cast(X.dtype, np.float32) else np.float64
        X = X.astype(dtype, copy=False)
        if not targets:
            return X, None
        T = [_column(batch, name) for name in targets]
        return X, np.stack(T, axis=1) if several else T[0]

    for name in names:
        kind = str(schema.field(name).type)
        if not kind.startswith(("int", "uint", "float", "double", "half", "bool")):
            raise TypeError(
                f"source must hold numbers in each column, got {kind} in {name!r}: leave it out, or use "
                "fastnet.tabular"
            )
    return (block(batch) for batch in batches if batch.num_rows), features


def _column(batch: Any, name: str) -> Array:
    """Return a column of a record batch; gaps are NaN, which is reported with its row later."""
    found: Array = np.asarray(batch.column(name).to_numpy(zero_copy_only=False))
    return found.astype(np.float64) if found.dtype == object else found
