"""Input validation: one check, and one wording, for each kind of bad input.

Every public function sends its arguments through here once; everything below (`fastnet._core.engine`) trusts
what it gets. An array that already has the right dtype passes through untouched, whatever its strides:
nothing here copies the user's data whole, except where the numbers themselves must change (integers,
booleans, swapped bytes, another precision), and of large arrays `is_converted_in_pieces` says that not even
then. Each message names the argument, what was expected and what came.
"""

from __future__ import annotations

import math
import numbers
import operator
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastnet._core import engine

Array = NDArray[Any]

NETWORK = "the network"  # whose examples are converted
OUTPUT_ONLY = engine.OUTPUT_ONLY  # activations that only the last layer may have
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
LARGE = 1 << 26  # bytes after a conversion from which on it is made block by block
_FEW = 1 << 11  # numbers that the engine looks at sooner than NumPy is called
_BLOCK = 1 << 16  # elements looked at together while the first bad value is searched


def real_dtype(value: DTypeLike, name: str = "dtype") -> np.dtype[Any]:
    """Return float32 or float64 as a dtype; TypeError for anything else."""
    found = None
    if value is not None and not isinstance(value, bytes):  # NumPy takes None for float64
        try:
            found = np.dtype(value)
        except Exception:  # for odd texts and objects NumPy raises TypeError, ValueError, SyntaxError ...
            found = None
    # no `found in DTYPES`: compared with None, float64 is equal
    if found is None or found not in DTYPES:
        raise TypeError(f"{name} must be float32 or float64, got {shown(value)}")
    return found


def shown(value: Any) -> str:
    """Return a value as an error message shows it: in short, and arrays by their shape.

    >>> shown("adm"), shown(np.zeros((2, 3)))
    ("'adm'", 'an array of shape (2, 3)')
    """
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def real_array(value: Any, name: str, dtype: np.dtype[Any] | None = None, owner: str = NETWORK) -> Array:
    """Return `value` as a float32 or float64 array of any shape, untouched if it is one already.

    With `dtype`, a network converts whatever is real. For any other `owner` (who works in that dtype, for the
    message) floating arrays of another precision raise TypeError: no silent copies. Without `dtype` the
    array's own precision is taken, float64 for integers.
    """
    if type(value) is np.ndarray:
        if value.dtype == dtype or (dtype is None and value.dtype in DTYPES):
            return value
        array: Array = value
    else:
        array = to_array(value, name)
    kind = array.dtype.kind
    native = array.dtype.newbyteorder("=")
    target = dtype if dtype is not None else native if native in DTYPES else DTYPES[1]
    if kind == "c":
        raise ValueError(f"{name} must hold real numbers, got complex ones (dtype {array.dtype})")
    if kind == "O":
        array, kind = _from_objects(array, name), "u"
    if kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    plain = owner == NETWORK or isinstance(
        value, (list, tuple, int, float)
    )  # without a precision of their own
    if kind == "f" and native != target and native != np.float16 and not plain:
        raise TypeError(_other_precision(name, native, target, owner))
    # A number too large becomes inf, which the finiteness check names.
    with np.errstate(over="ignore"), engine.DefaultFloatMode():
        return array.astype(target, copy=False)


def is_converted_in_pieces(X: Any, dtype: np.dtype[Any]) -> bool:
    """Return whether examples of another dtype than a network's are converted block by block.

    Large arrays are, so that the copy needs little memory, and memory maps of any size.
    """
    return (
        isinstance(X, np.ndarray)
        and X.dtype != dtype
        and X.ndim == 2
        and X.dtype.kind in "fiub"
        and (X.size * dtype.itemsize > LARGE or isinstance(X, np.memmap))
    )


def to_array(value: Any, name: str) -> Array:
    """Return anything array-like as an ndarray; sparse, masked and ragged ones are refused."""
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} must be a dense array, got {type(value).__name__}: use {name}.toarray()")
    masked = sys.modules.get("numpy.ma")  # no masked array exists before somebody imports it
    if masked is not None and isinstance(value, masked.MaskedArray) and masked.is_masked(value):
        hidden = int(masked.count_masked(value))
        raise ValueError(f"{name} must have no missing values, got a masked array with {hidden} of them")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from error


def _from_objects(array: Array, name: str) -> Array:
    """Return an object array as float64; ValueError at the first element that is no number."""
    for index, element in np.ndenumerate(array):
        try:
            if element is None or isinstance(element, (str, bytes)):  # float() would read "1.5"
                raise TypeError
            float(element)
        except (TypeError, ValueError, OverflowError):
            place = list(map(int, index))
            raise ValueError(f"{name} must hold real numbers, got {element!r} at {place}") from None
    return array.astype(np.float64)


def _other_precision(name: str, found: np.dtype[Any], wanted: np.dtype[Any], owner: str) -> str:
    remedy = f"convert it with {name}.astype(np.{wanted})"
    if found in DTYPES and owner == "the layer":
        remedy += f", or make {owner} with dtype='{found}'"
    return f"{name} must have dtype {wanted}, as {owner} has, got {found}: {remedy}"


def _shape_error(name: str, expected: str, array: Array, hint: str = "") -> ValueError:
    return ValueError(f"{name} must have shape {expected}, got {array.shape}{hint}")


def columns(value: Any, name: str, rows: int, dtype: np.dtype[Any], owner: str = NETWORK) -> Array:
    """Return `value` as an array (rows, n) that holds an example in each column."""
    array = real_array(value, name, dtype, owner)
    if array.ndim == 2 and array.shape[0] == rows:
        return array
    expected = f"({rows}, n), a column per example"
    hint = ""
    if array.ndim == 1:
        hint = f": use {name}.reshape({'1, -1' if rows == 1 else '-1, 1'})"
    elif array.ndim == 2 and array.shape[1] == rows:
        hint = f": use {name}.T if its rows are the examples"
    raise _shape_error(name, expected, array, hint)


def exact(
    value: Any,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    owner: str = NETWORK,
) -> Array:
    """Return `value` as an array of exactly this shape: nothing is broadcast."""
    array = real_array(value, name, dtype, owner)
    if array.shape != shape:
        size = math.prod(shape)
        hint = f": use {name}.reshape{shape}" if array.ndim != len(shape) and array.size == size else ""
        raise _shape_error(name, str(shape), array, hint)
    return array


def matrix(value: Any, name: str, meaning: str) -> Array:
    """Return the first argument of a function as a matrix without an empty side, in its own precision."""
    array = real_array(value, name)
    if array.ndim != 2 or 0 in array.shape:
        raise _shape_error(name, meaning, array)
    return array


def logits(Z: Any) -> Array:
    """Return Z as a matrix with an example in each column, in its own precision."""
    array = real_array(Z, "Z")
    if array.ndim != 2 or not array.shape[0]:
        raise ValueError(f"Z must have shape (n_out, n), a column per example, got {array.shape}")
    return array


def finite(array: Array, name: str) -> Array:
    """Return a 2-D array; ValueError naming the first NaN or infinity in it, row by row."""
    if not engine.all_finite(array):
        raise not_finite(array, name)
    return array


def not_finite(array: Array, name: str) -> ValueError:
    """Return the error that names the first NaN or infinity in a 2-D array, row by row."""
    row, column, value = _first_not_finite(array)
    return ValueError(f"{name} must be finite, got {value} at [{row}, {column}]")


def _first_not_finite(array: Array) -> tuple[int, int, float]:
    for row, values in enumerate(array):
        for start in range(0, len(values), _BLOCK):
            bad = np.flatnonzero(~np.isfinite(values[start : start + _BLOCK]))
            if len(bad):
                column = start + int(bad[0])
                return row, column, float(values[column])
    raise ValueError("an array changed while it was being checked")


def in_unit_interval(array: Array, name: str, what: str) -> Array:
    """Return a 2-D array; ValueError if it holds NaN, infinities or anything outside [0, 1]."""
    if array.size <= _FEW and engine.all_in_unit_interval(array):
        return array
    finite(array, name)
    if array.size:
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 1:
            raise ValueError(f"{name} must hold {what} in [0, 1], got values from {low:g} to {high:g}")
    return array


def examples(X: Any, n_in: int, dtype: np.dtype[Any], *, at_least: int = 0) -> Array:
    """Return the input of a network, (n_in, n): finite, and with at least so many examples.

    A raw table, whose rows the core encodes, is as it is: what it becomes is finite.
    """
    if isinstance(X, engine.RawTable):
        if X.shape[0] != n_in or X.shape[1] < at_least:
            raise ValueError(f"X must have {n_in} features and at least one example, got shape {X.shape}")
        return cast("Array", X)  # nothing above the core looks into it
    array = finite(columns(X, "X", n_in, dtype), "X")
    if array.shape[1] < at_least:
        raise ValueError(f"X must have at least one example (a column), got shape {array.shape}")
    return array


def integer(value: Any, name: str, minimum: int = 1, below: int | None = None) -> int:
    """Return a whole number; TypeError for booleans and floats, ValueError outside its range."""
    if type(value) is int and value >= minimum and (below is None or value < below):
        return value  # the usual case, at once
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an int, got {shown(value)}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {shown(value)}") from None
    if number < minimum or (below is not None and number >= below):
        bounds = f"at least {minimum}" + ("" if below is None else f" and below {below}")
        raise ValueError(f"{name} must be {bounds}, got {number}")
    return number


def seed(value: Any, name: str = "seed") -> int:
    """Return a seed, 0 <= seed < 2**64."""
    return integer(value, name, 0, 2**64)


def number(
    value: Any,
    name: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
) -> float:
    """Return a finite number as a float; TypeError for what is no number, ValueError outside its range."""
    if type(value) is float:
        number = value
    elif isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {shown(value)}")
    else:
        try:
            number = float(value)
        except OverflowError:  # an int of more digits than a float can have
            number = math.inf
    if (
        not math.isfinite(number)
        or (above is not None and number <= above)
        or (at_least is not None and number < at_least)
        or (below is not None and number >= below)
    ):
        bounds = ["finite"]
        bounds += [f"greater than {above:g}"] if above is not None else []
        bounds += [f"at least {at_least:g}"] if at_least is not None else []
        bounds += [f"below {below:g}"] if below is not None else []
        listed = ", ".join(bounds[:-1]) + f" and {bounds[-1]}" if len(bounds) > 1 else bounds[0]
        raise ValueError(f"{name} must be {listed}, got {number:g}")
    return number


def rate(value: Any, name: str = "learning_rate") -> float:
    """Return a finite number > 0."""
    return number(value, name, above=0)


def warn(message: str) -> None:
    """Warn the user, naming the line that called into fastnet."""
    package, level, frame = os.path.dirname(__file__), 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def flag(value: Any, name: str) -> bool:
    """Return True or False; TypeError for anything else."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def choice(value: Any, name: str, names: Iterable[str]) -> str:
    """Return one of some names; TypeError for what is no text, ValueError for another name."""
    names = tuple(names)
    if not isinstance(value, str) or value not in names:
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(f"{name} must be one of {', '.join(map(repr, names))}, got {shown(value)}")
    return value


def activation(value: Any, name: str = "activation") -> str:
    """Return the name of an activation that the core has."""
    return choice(value, name, engine.ACTIVATIONS)


def chain(sizes: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Return the widths (n_in, ..., n_out) of layers of shapes (n_in, n_out) that feed each other."""
    for k, ((_, n_out), (n_in, _)) in enumerate(pairwise(sizes), start=1):
        if n_out != n_in:
            raise ValueError(
                f"layers must chain: layers[{k}].n_in must be {n_out}, layers[{k - 1}].n_out, got {n_in}"
            )
    return (sizes[0][0], *(n_out for _, n_out in sizes))


def items(value: Any, name: str, what: str) -> list[Any]:
    """Return what a list or its like holds; TypeError for texts, single numbers and what is no list."""
    scalar = isinstance(value, np.ndarray) and value.ndim == 0
    if isinstance(value, (str, bytes)) or scalar or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a list of {what}, got {shown(value)}")
    return value.tolist() if isinstance(value, np.ndarray) else list(value)


def contiguous(array: Array) -> Array:
    """Return the array in C order and aligned, copied only if it is not: for what is of a result's size."""
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    return array.copy(order="C")
