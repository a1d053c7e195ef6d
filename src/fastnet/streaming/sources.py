"""Matrices whose rows are read from where they lie: `.npy` files, memory maps, arrays.

Each says how many rows it has, of which width and dtype, and `open` gives a reader that copies runs of rows,
by positioned reads: a memory map would count in the memory of the process as it is read.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np

from fastnet import _validate
from fastnet._validate import Array

__all__ = ["ArrayRows", "FileRows", "ReadRows", "Rows", "npy_rows", "rows_of"]


class ReadRows(Protocol):
    """Copies the rows from `start` on into `out`, (rows, width), converted to its dtype."""

    def __call__(self, start: int, out: Array) -> None:
        """Fill `out`."""


class Rows(Protocol):
    """A matrix that is read row by row."""

    n: int
    width: int
    dtype: np.dtype[Any]
    vector: bool

    def open(self) -> Any:
        """Return a context manager that gives a `ReadRows`."""


class ArrayRows:
    """The rows of an array, (n, width) or (n,), copied from it as they are needed."""

    def __init__(self, array: Array, name: str) -> None:
        if array.ndim not in (1, 2) or array.dtype.kind not in "fiub":
            raise _not_numbers(name, array.shape, array.dtype)
        self.vector = array.ndim == 1
        self.n, self.dtype = array.shape[0], array.dtype
        self._array = array.reshape(self.n, 1) if self.vector else array
        self.width = self._array.shape[1]

    @contextmanager
    def open(self) -> Iterator[ReadRows]:
        """Give the function that copies rows."""
        array = self._array

        def read(start: int, out: Array) -> None:
            with np.errstate(over="ignore"):  # an infinity is reported where rows are checked
                out[...] = array[start : start + len(out)]

        yield read


class _Stamp(NamedTuple):
    """What changes when a file does."""

    size: int
    modified: int

    @classmethod
    def of(cls, file: BinaryIO) -> _Stamp:
        found = os.fstat(file.fileno())
        return cls(found.st_size, found.st_mtime_ns)


class FileRows:
    """The rows of a matrix in C order in a file, from a byte on."""

    def __init__(
        self, path: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], name: str
    ) -> None:
        if len(shape) not in (1, 2) or dtype.kind not in "fiub":
            raise _not_numbers(name, shape, dtype)
        self.path, self.offset, self.dtype, self.name = path, offset, dtype, name
        self.vector = len(shape) == 1
        self.n, self.width = shape[0], 1 if self.vector else shape[1]
        with open(path, "rb", buffering=0) as file:
            self._stamp = _Stamp.of(file)
        needed = offset + self.n * self.width * dtype.itemsize
        if self._stamp.size < needed:
            raise ValueError(
                f"{name} must be a whole file, got {self._stamp.size} bytes of {needed} in {path!r}"
            )

    @contextmanager
    def open(self) -> Iterator[ReadRows]:
        """Give the function that reads rows; ValueError from it if the file has changed or is cut off."""
        row_bytes = self.width * self.dtype.itemsize
        spare = np.empty((0, self.width), self.dtype)
        with open(self.path, "rb", buffering=0) as file:
            self._check(file)

            def read(start: int, out: Array) -> None:
                nonlocal spare
                direct = out.dtype == self.dtype and out.flags.c_contiguous
                if not direct and len(spare) < len(out):
                    spare = np.empty((len(out), self.width), self.dtype)
                there = out if direct else spare[: len(out)]
                if _read_at(file, self.offset + start * row_bytes, there) < there.nbytes:
                    self._check(file)
                    raise ValueError(f"{self.name} must be a whole file, got an early end of {self.path!r}")
                if not direct:
                    with np.errstate(over="ignore"):
                        out[...] = there

            yield read
            self._check(file)

    def _check(self, file: BinaryIO) -> None:
        if _Stamp.of(file) != self._stamp:
            raise ValueError(f"{self.name} must stay as it is in use, got a changed file {self.path!r}")


def _read_at(file: Any, position: int, out: Array) -> int:
    """Fill an array with bytes of a file from a position on; return how many there were."""
    view = out.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(view):
        if hasattr(os, "preadv"):
            got = os.preadv(file.fileno(), [view[done:]], position + done)
        else:
            file.seek(position + done)
            got = file.readinto(view[done:])
        if not got:
            break
        done += got
    return done


def npy_rows(path: str, name: str) -> FileRows:
    """Return the rows of a `.npy` file; ValueError if it is none, or not in C order."""
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, fortran, dtype = read[version](file)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{name} must be a .npy file, got {path!r}: {error}") from None
        offset = file.tell()
    if fortran and len(shape) == 2 and min(shape) > 1:
        raise ValueError(
            f"{name} must be in C order, an example in each row, got Fortran order in {path!r}, {shape}"
        )
    return FileRows(path, offset, shape, dtype, name)


def rows_of(source: Any, name: str) -> Rows | None:
    """Return the rows of a path, memory map or array; None for anything else."""
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        return None if Path(path).suffix == ".parquet" else npy_rows(path, name)
    if isinstance(source, np.memmap):
        return _mapped_rows(source, name) or ArrayRows(source, name)
    if isinstance(source, np.ndarray):
        return ArrayRows(source, name)
    if isinstance(source, (list, tuple)) and source and not isinstance(source[0], (tuple, np.ndarray)):
        return ArrayRows(_validate.to_array(source, name), name)
    return None


def _mapped_rows(array: Array, name: str) -> FileRows | None:
    """Return the rows of a memory map as those of its file, if they lie one after the other in it.

    Not of a private copy ("c"), whose changes are not in the file.
    """
    if not array.flags.c_contiguous or not array.size or array.dtype.kind not in "fiub":
        return None
    whole: Any = array
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    if not isinstance(whole, np.memmap) or not isinstance(whole.base, mmap.mmap):
        return None
    if whole.filename is None or whole.mode == "c":
        return None
    place = array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    return FileRows(os.fspath(whole.filename), whole.offset + place, array.shape, array.dtype, name)


def _not_numbers(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Exception:
    if dtype.kind not in "fiub":
        return TypeError(f"{name} must hold real numbers, got dtype {dtype}")
    return ValueError(f"{name} must have an example in each row, shape (n, width) or (n,), got {shape}")
