"""Training data: targets checked for their loss, weights of the examples, the part held out for validation.

The targets of each loss have their own range; class labels become columns with a single 1. Class weights are
folded into the weights of the examples, which is all the core knows of.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fastnet import _validate
from fastnet._core import engine
from fastnet._validate import Array

__all__ = [
    "Examples",
    "FoldRows",
    "Piece",
    "TrainingData",
    "check_fold_rows",
    "check_rows",
    "check_targets",
    "check_validation",
    "choose_examples",
    "one_hot",
    "prepare_fit_data",
    "sample_weights",
    "to_double",
    "usable_weights",
]

CONVERTED_ROWS, CONVERTED_BYTES = 1 << 14, 1 << 24  # at most, at once
SPLIT_STREAM = 2**61  # of the seed: the epochs' shuffles are far below, dropout and weights above


class Piece(NamedTuple):
    """Examples that are trained on by one call of the core: columns of X and T by `order`, and how many.

    weights are those of the columns; order None: all columns as they lie.
    """

    X: Array
    T: Array
    order: NDArray[np.intp] | None
    weights: Array | None
    n: int


class TrainingData(Protocol):
    """What a fit trains on: `Examples` in memory, or rows that come in pieces (`fastnet.streaming`)."""

    @property
    def n(self) -> int:
        """How many examples there are."""

    @property
    def in_memory(self) -> Examples | None:
        """The examples if all of them are in memory, in the network's dtype."""

    def predicted(self, predict: Callable[[Array], Array]) -> tuple[Array, Array] | None:
        """Return the targets, and the outputs that go with them; None where they are not all at hand."""

    def pieces(self, batch: int, epoch: int, seed: int | None) -> Generator[Piece]:
        """Give what an epoch trains on, in pieces of whole batches, but for the last.

        seed: of the shuffle, or None for no shuffle.
        """


class Examples(NamedTuple):
    """Input (n_in, n), targets (n_out, n) and weights (n,) or None for all 1.

    With `which`, only these columns of them count, in that order.
    """

    X: Array
    T: Array
    weights: Array | None
    which: NDArray[np.intp] | None = None

    @property
    def n(self) -> int:
        """How many there are."""
        return self.X.shape[1] if self.which is None else len(self.which)

    def total_weight(self) -> float:
        """Return the sum of the weights: what a mean over the examples divides by."""
        if self.weights is None:
            return float(self.n)
        return float(take_rows(self.weights, self.which).sum(dtype=np.float64))

    def targets_in_a_row(self) -> tuple[Array, Array | None]:
        """Return the targets and weights of those that count, in C order."""
        weights = None if self.weights is None else take_rows(self.weights, self.which)
        return np.ascontiguousarray(take_rows(self.T.T, self.which).T), weights

    def outcome(self, A: Array) -> tuple[Array, Array]:
        """Return the targets, and of the outputs A for all of X those that go with them."""
        return take_rows(self.T.T, self.which).T, A if self.which is None else A.take(self.which, axis=1)

    @property
    def in_memory(self) -> Examples | None:
        """These."""
        return self

    def predicted(self, predict: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Return the targets, and the outputs that go with them."""
        return self.outcome(predict(self.X))

    def pieces(self, batch: int, epoch: int, seed: int | None) -> Generator[Piece]:
        """Give all at once."""
        X, T, weights, order = self
        n = self.n
        if seed is not None:
            shuffled = engine.permutation(n, seed, epoch)
            order = shuffled if order is None else np.take(order, shuffled, out=shuffled, mode="clip")
        yield Piece(X, T, order, weights, n)

    def in_double(self) -> Examples:
        """Return the same in float64, those that count copied whole if they are not."""
        if self.X.dtype == np.float64:
            return self
        X, T, weights, _ = self if self.which is None else _columns(self, self.which)
        if weights is not None:
            weights = weights.astype(np.float64)
        return Examples(X.astype(np.float64), T.astype(np.float64), weights)


class FoldRows:
    """The numbers of the examples in a fold, or of those in all others: an array once somebody asks for it.

    Arrays for many fits would take 8 bytes for each fit and example.

    Parameters
    ----------
    fold : ndarray, shape (n,)
        Of each example: from 0, or −1 for one that is never held out.
    k : int
        The fold.
    held_out : bool
        Whether the examples in the fold are meant.

    Examples
    --------
    >>> import numpy as np
    >>> fold = np.array([0, 1, -1, 0, 1], np.int8)
    >>> np.array(FoldRows(fold, 1, held_out=True)), np.array(FoldRows(fold, 1, held_out=False))
    (array([1, 4]), array([0, 2, 3]))
    """

    def __init__(self, fold: Array, k: int, *, held_out: bool) -> None:
        self.n = len(fold)
        self._fold, self._k, self._held_out = fold, k, held_out

    def _blocks(self) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Give the number of an example, and whether it and those after it are meant: some at a time.

        What is freed of a large temporary array stays with the thread's allocator, so it would count.
        """
        for first in range(0, self.n, CONVERTED_ROWS):
            inside = self._fold[first : first + CONVERTED_ROWS] == self._k
            yield first, inside if self._held_out else ~inside

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        found, done = np.empty(len(self), np.intp), 0
        for first, meant in self._blocks():
            numbers = np.flatnonzero(meant)
            np.add(numbers, first, out=found[done : done + len(numbers)])
            done += len(numbers)
        return found if dtype is None else found.astype(dtype, copy=False)

    def __len__(self) -> int:
        return sum(int(np.count_nonzero(meant)) for _, meant in self._blocks())


class ConvertedExamples:
    """Examples of another dtype, in a large array or a memory map: converted some batches at a time.

    Parameters
    ----------
    data : Examples
        X in its own dtype, everything else in the one that X is converted to.
    network_dtype : dtype, optional
        X is rounded to this one first, as a copy of all of it would be; by default to that of the targets.
    """

    in_memory = None

    def __init__(self, data: Examples, network_dtype: np.dtype[Any] | None = None) -> None:
        self.n = data.n
        self._data = data
        self._network_dtype = data.T.dtype if network_dtype is None else network_dtype

    def _block(self, which: NDArray[np.intp] | slice) -> Array:
        """Return columns of X in the dtype of the targets; those that are gathered are contiguous each."""
        X, T = self._data[:2]
        return converted(X.T[which], self._network_dtype, which).astype(T.dtype, copy=False).T

    def total_weight(self) -> float:
        """Return the sum of the weights."""
        return self._data.total_weight()

    def in_double(self) -> ConvertedExamples:
        """Return the same, to be converted to float64."""
        X, T, weights, which = self._data
        weights = None if weights is None else weights.astype(np.float64)
        return ConvertedExamples(Examples(X, T.astype(np.float64), weights, which), self._network_dtype)

    def predicted(self, predict: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Return the targets, and the outputs that go with them."""
        A = np.empty((len(self._data.T), self.n), self._data.T.dtype)
        rows = block_rows(self._data.X)
        done = 0
        for X, _, _, _, n in self.pieces(rows, 0, None):
            A[:, done : done + n] = predict(X)
            done += n
        return take_rows(self._data.T.T, self._data.which).T, A

    def pieces(self, batch: int, epoch: int, seed: int | None) -> Generator[Piece]:
        """Give some batches at a time, converted, in the order of a fit in memory."""
        X, T, weights, order = self._data
        if seed is not None:
            shuffled = engine.permutation(self.n, seed, epoch)
            order = shuffled if order is None else order[shuffled]
        at_once = max(1, block_rows(X) // batch) * batch
        for first in range(0, self.n, at_once):
            last = min(first + at_once, self.n)
            which = slice(first, last) if order is None else order[first:last]
            part = None if weights is None else weights[which]
            yield Piece(self._block(which), T.T[which].T, None, part, last - first)


def block_rows(X: Array) -> int:
    """Return how many examples of X are converted at once."""
    return max(1, min(CONVERTED_ROWS, CONVERTED_BYTES // (8 * max(1, len(X)))))


def converted(rows: Array, dtype: np.dtype[Any], which: NDArray[np.intp] | slice) -> Array:
    """Return some rows in another dtype; ValueError naming the first that is not finite.

    which: their numbers, for the message.
    """
    with np.errstate(over="ignore"), engine.DefaultFloatMode():
        found: Array = rows.astype(dtype)
    if rows.dtype.kind == "f" and not engine.all_finite(found):
        row, column = map(int, np.argwhere(~np.isfinite(found))[0])
        number = which.start + row if isinstance(which, slice) else which[row]
        raise ValueError(f"X must be finite, got {found[row, column]} at [{column}, {number}]")
    return found


def prepare_fit_data(
    X: Any,
    T: Any,
    weights: Any,
    loss: str,
    n_in: int,
    n_out: int,
    dtype: np.dtype[Any],
    *,
    class_weight: Any = None,
    validation: Any = None,
    fraction: Any = 0.0,
    seed: int = 0,
    rows: Any = None,
    validation_rows: Any = None,
) -> tuple[Examples | ConvertedExamples, Examples | None]:
    """Return what a fit trains on and what it holds out, both checked.

    Large examples of another dtype are converted piece by piece; those that are held out are converted here.
    """
    if not _validate.is_converted_in_pieces(X, dtype):
        data = check_examples(X, T, weights, loss, n_in, n_out, dtype)
    else:
        n = _validate.columns(np.broadcast_to(dtype.type(0), X.shape), "X", n_in, dtype).shape[1]  # its shape
        data = Examples(X, check_targets(T, loss, n_out, n, dtype), sample_weights(weights, n))
    held_out = None if validation is None else check_validation(validation, loss, n_in, n_out, dtype)
    data, held_out = choose_examples(
        *(data, held_out, loss, dtype),
        class_weight=class_weight,
        fraction=fraction,
        seed=seed,
        rows=rows,
        validation_rows=validation_rows,
    )
    return data if _is_taken_as(data.X, dtype) else ConvertedExamples(data), held_out


def to_double(data: Examples | ConvertedExamples) -> Examples | ConvertedExamples:
    """Return examples to train on in float64; large ones are converted block by block, in each pass."""
    if isinstance(data, Examples) and _validate.is_converted_in_pieces(data.X, np.dtype(np.float64)):
        data = ConvertedExamples(data)
    return data.in_double()


def _is_taken_as(X: Any, dtype: np.dtype[Any]) -> bool:
    """Return whether the core takes X as it is: an array of the dtype, or a raw table, which it encodes."""
    return isinstance(X, engine.RawTable) or X.dtype == dtype


def choose_examples(
    data: Examples,
    held_out: Examples | None,
    loss: str,
    dtype: np.dtype[Any],
    *,
    class_weight: Any = None,
    fraction: Any = 0.0,
    seed: int = 0,
    rows: Any = None,
    validation_rows: Any = None,
) -> tuple[Examples, Examples | None]:
    """Return what a fit trains on and what it holds out, of checked examples with weights in float64.

    X of another dtype than the network's stays so, but for what is held out.
    """
    given = (
        held_out is not None or class_weight is not None or rows is not None or validation_rows is not None
    )
    plain = data.weights is None and data.which is None and type(fraction) is float and fraction == 0
    if plain and not given:
        return data, None  # the usual case, at once
    fraction = _validate.number(fraction, "validation_fraction", at_least=0, below=1)
    if fraction and held_out is not None:
        raise ValueError("validation and validation_fraction were both given: give one of them")
    if validation_rows is not None and (fraction or held_out is not None):
        other = "validation_fraction" if fraction else "validation"
        raise ValueError(f"validation_rows and {other} were both given: give one of them")
    if validation_rows is not None:
        held_out = data._replace(which=check_rows(validation_rows, "validation_rows", data.X.shape[1]))
    if rows is not None:
        data = data._replace(which=check_rows(rows, "rows", data.X.shape[1]))
    if fraction:
        kept, others = split_validation(data.n, fraction, seed)
        if data.which is None and isinstance(data.X, np.ndarray) and data.X.dtype == dtype:
            data, held_out = _part(data, kept), _part(data, others)
        elif data.which is None:
            data, held_out = data._replace(which=kept), data._replace(which=others)
        else:
            data, held_out = (data._replace(which=data.which[part]) for part in (kept, others))
    X, T, weights, which = data
    if class_weight is not None:
        by_class = np.ones(X.shape[1])
        by_class[... if which is None else which] = _class_weights(
            class_weight, take_rows(T.T, which).T, loss
        )
        weights = by_class if weights is None else weights * by_class
    if held_out is not None:
        if not _is_taken_as(held_out.X, dtype):
            held_out = _converted_part(held_out)
        held_out = held_out._replace(weights=usable_weights(held_out.weights, dtype, held_out.which))
    return Examples(X, T, usable_weights(weights, dtype, which), which), held_out


def check_examples(
    X: Any, T: Any, weights: Any, loss: str, n_in: int, n_out: int, dtype: np.dtype[Any]
) -> Examples:
    """Return the examples of a network, with weights in float64."""
    X = _validate.examples(X, n_in, dtype, at_least=1)
    T = check_targets(T, loss, n_out, X.shape[1], dtype)
    return Examples(X, T, sample_weights(weights, X.shape[1]))


def check_validation(validation: Any, loss: str, n_in: int, n_out: int, dtype: np.dtype[Any]) -> Examples:
    """Return validation data that a user gave, as (X, T) or (X, T, sample_weight)."""
    if not isinstance(validation, Sequence) or len(validation) not in (2, 3):
        raise TypeError(
            f"validation must be (X, T) or (X, T, sample_weight), got {type(validation).__name__}"
        )
    try:
        X, T, *weights = validation
        return check_examples(X, T, weights[0] if weights else None, loss, n_in, n_out, dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation: {error}") from None


def check_fold_rows(rows: FoldRows, name: str, n: int) -> None:
    """ValueError unless `check_rows` would take them; no array is made."""
    if not len(rows) or rows.n > n:
        raise ValueError(f"{name} must be at least one of {n} examples, got {len(rows)} of {rows.n}")


def check_rows(rows: Any, name: str, n: int) -> NDArray[np.intp]:
    """Return numbers of examples as the core takes them: at least one, each from 0 to n - 1."""
    found = rows if type(rows) is np.ndarray else _validate.to_array(rows, name)
    if found.ndim != 1 or found.dtype.kind not in "iu" or not found.size:
        raise ValueError(f"{name} must be a vector of at least one whole number, got {_validate.shown(rows)}")
    lowest, highest = int(found.min()), int(found.max())
    if lowest < 0 or highest >= n:
        wrong = lowest if lowest < 0 else highest
        raise ValueError(f"{name} must be numbers of examples, 0 to {n - 1}, got {wrong}")
    return np.ascontiguousarray(found, np.intp)


def split_validation(n: int, fraction: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the columns to train on and those held out, both ascending: drawn from the seed alone."""
    if n < 2:
        raise ValueError(f"validation_fraction needs at least two examples, got {n}")
    count = min(n - 1, max(1, round(fraction * n)))
    kept = np.ones(n, bool)
    kept[engine.permutation(n, seed, SPLIT_STREAM)[:count]] = False
    return np.flatnonzero(kept), np.flatnonzero(~kept)


def _part(data: Examples, which: NDArray[np.intp]) -> Examples:
    """Return some of the examples: where they lie, if each is contiguous.

    Others are copied, so that they are: gathering scattered numbers in each epoch takes up to twice as long.
    """
    if data.X.strides[0] == data.X.itemsize or len(data.X) == 1:
        return data._replace(which=which)
    return _columns(data, which)


def _converted_part(data: Examples) -> Examples:
    """Return some of the examples, copied in the dtype of the targets."""
    X, T, weights, which = data
    assert which is not None
    return Examples(
        converted(X.T[which], T.dtype, which).T, T.T[which].T, None if weights is None else weights[which]
    )


def take_rows(array: Array, which: NDArray[np.intp] | None) -> Array:
    """Return some entries of an array, along its first axis, or all."""
    return array if which is None else array[which]


def _columns(data: Examples, which: NDArray[np.intp]) -> Examples:
    """Return some of the examples, copied so that each is contiguous."""
    X, T, weights, _ = data
    X, T = X.T.take(which, axis=0).T, T.T.take(which, axis=0).T  # in a quarter of the time of X.T[which]
    return Examples(X, T, None if weights is None else weights[which])


# ---- targets


def check_targets(
    T: Any, loss: str, n_out: int, n: int, dtype: np.dtype[Any], owner: str = "the network"
) -> Array:
    """Return the targets of a network, (n_out, n): in the range of the loss, a column for each example."""
    kind = engine.LOSS_TARGETS[loss]
    if kind == "distribution":
        labels = T if type(T) is np.ndarray else _validate.to_array(T, "T")
        if labels.ndim == 1 and labels.dtype.kind in "iubf":
            if len(labels) != n:
                raise ValueError(f"T must have a label for each of the {n} examples, got {len(labels)}")
            return one_hot(_whole(labels), n_out, dtype, "T")
    array = _validate.real_array(T, "T", dtype, owner)
    if n_out == 1 and array.shape == (n,):
        array = array.reshape(1, n)
    if owner == "the network" and array.ndim == 2 and array.shape[0] == n_out and array.shape[1] != n:
        raise ValueError(f"T must have a column for each of the {n} examples of X, got shape {array.shape}")
    array = _validate.exact(array, "T", (n_out, n), dtype, owner)
    if kind in ("unit interval", "distribution"):
        _validate.in_unit_interval(array, "T", "targets")
    else:
        _validate.finite(array, "T")
    if kind == "distribution" and array.size:
        _check_sums(array, loss)
    if kind == "non-negative" and array.size and array.min() < 0:
        raise ValueError(f"T must hold targets of at least 0 for the loss {loss!r}, got {array.min():g}")
    return array


def _whole(labels: Array) -> Array:
    """Return labels that are booleans or whole floats as whole numbers; ValueError for 0.5."""
    if labels.dtype.kind == "f":
        fraction = labels != np.floor(labels)  # also where it is not finite: inf - inf is not looked at
        if (fraction | ~np.isfinite(labels)).any():
            wrong = labels[fraction | ~np.isfinite(labels)][0]
            raise ValueError(f"T must hold whole numbers as class labels, got {wrong:g}")
    return labels if labels.dtype.kind in "iu" else labels.astype(np.intp)


def _check_sums(T: Array, loss: str) -> None:
    """ValueError unless each column sums to 1.

    Targets may have been float32 before: then each may be off by a rounding, and their sum by one for each
    term.
    """
    largest = (4 + len(T)) * np.finfo(np.float32).eps
    for first in range(0, T.shape[1], CONVERTED_ROWS):  # two numbers a column take more memory than T may
        off = abs(T[:, first : first + CONVERTED_ROWS].sum(axis=0, dtype=np.float64) - 1)
        if off.max() > largest:
            column = first + int(off.argmax())
            raise ValueError(
                f"T must hold columns that sum to 1 for the loss {loss!r}, "
                f"got {T[:, column].sum():g} in column {column}"
            )


def one_hot(labels: Array, n_classes: int, dtype: np.dtype[Any], name: str) -> Array:
    """Return (n_classes, n) with a single 1 in each column, at the label; ValueError for a label outside."""
    if labels.size and (labels.min() < 0 or labels.max() >= n_classes):
        raise ValueError(
            f"{name} must hold class labels from 0 to {n_classes - 1}, got {labels.min()} to {labels.max()}"
        )
    rows = np.zeros((len(labels), n_classes), dtype)
    rows[np.arange(len(labels)), labels] = 1
    return rows.T


# ---- weights of the examples


def sample_weights(sample_weight: Any, n: int) -> NDArray[np.float64] | None:
    """Return the weights that a user gave, (n,), in float64: finite and at least 0."""
    if sample_weight is None:
        return None
    given = _validate.real_array(sample_weight, "sample_weight")
    weights = np.asarray(_validate.exact(given, "sample_weight", (n,), given.dtype), np.float64)
    if n and not (np.isfinite(weights).all() and weights.min() >= 0):
        k = int(np.argmin(np.isfinite(weights) & (weights >= 0)))
        raise ValueError(f"sample_weight must be finite and at least 0, got {weights[k]:g} at [{k}]")
    return weights


def usable_weights(
    weights: Array | None, dtype: np.dtype[Any], which: NDArray[np.intp] | None = None
) -> Array | None:
    """Return weights as the core takes them: contiguous, in the network's dtype, with a sum above 0.

    The sum is of those that count.
    """
    if weights is None:
        return None
    with np.errstate(over="ignore"):
        weights = np.ascontiguousarray(weights, dtype)
    total = take_rows(weights, which).sum(dtype=np.float64)
    if not (0 < total < np.inf):
        raise ValueError(f"sample_weight must have a finite sum above 0, got {total:g}")
    return weights


def _class_weights(class_weight: Any, T: Array, loss: str) -> NDArray[np.float64]:
    """Return the weight of each example's class."""
    n_classes = max(2, len(T))
    if isinstance(class_weight, Mapping):
        table = np.ones(n_classes)
        for label, weight in class_weight.items():
            k = _validate.integer(label, "a class in class_weight", 0, n_classes)
            table[k] = _validate.number(weight, f"class_weight[{k}]", at_least=0)
    elif not isinstance(class_weight, str) or class_weight != "balanced":
        kind = ValueError if isinstance(class_weight, str) else TypeError
        raise kind(f"class_weight must be a dict, 'balanced' or None, got {_validate.shown(class_weight)}")
    if not (loss == "cross_entropy" or (loss == "bce" and len(T) == 1)):
        raise ValueError(
            "class_weight needs classes: the loss 'cross_entropy', or 'bce' with one output; "
            f"got the loss {loss!r} with {len(T)} outputs"
        )
    highest = T.max(axis=0)
    if not np.isin(highest, (0, 1) if len(T) == 1 else (1,)).all():
        raise ValueError("class_weight needs targets that are 0 or 1, got some between")
    classes = T.argmax(axis=0) if len(T) > 1 else highest.astype(np.intp)
    if isinstance(class_weight, str):
        counts = np.bincount(classes, minlength=n_classes)
        table = len(classes) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.asarray(table[classes], np.float64)
