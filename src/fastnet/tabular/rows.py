"""RawRows: the rows of a table as an encoder has read them, which the core encodes on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnet._core import engine
from fastnet.tabular.columns import CategoryColumn, Encoded, Piecewise, time_parts
from fastnet.tabular.reading import TEXTS, Reals, Source

__all__ = ["RawRows", "column_numbers", "column_texts", "raw_values"]


@dataclass(frozen=True)
class RawRows:
    """The columns of a table that are not left out: numbers as they are, and codes of categories.

    Attributes
    ----------
    values : list of ndarray, shape (n,)
        Of any of NumPy's dtypes of numbers. NaN is a gap; a code of −1 is a gap or a level that was not seen.
    columns : list of NumberColumn or CategoryColumn
        What each becomes.
    n : int
        How many rows there are.

    Examples
    --------
    >>> from fastnet.tabular import TableEncoder
    >>> rows = TableEncoder(bins=2).fit([["a", 1.0], ["b", 2.0], ["c", 4.0]]).read([["c", 2.5]])
    >>> rows.inputs().encoded("float64").round(2)
    array([[ 0.  ,  0.  ,  1.  ,  0.33,  1.  , -0.5 ]])
    """

    values: list[NDArray[Any]]
    columns: list[Encoded]
    n: int

    def __len__(self) -> int:
        return self.n

    def inputs(self, piecewise: Piecewise = "values", factor: float = 1.0) -> engine.RawTable:
        """Return the table as the core takes it in the place of a matrix of inputs.

        Nothing is copied. If no column tells anything there is one input, of zeros.

        Parameters
        ----------
        piecewise : bool or "values"
            Whether the bins of numbers are among the inputs, and with "values" also their repeated values.
        factor : float
            What all inputs are multiplied by.
        """
        if not self.columns:
            return engine.RawTable([np.full(self.n, -1, np.int8)], [("category", 1)], self.n)
        encodings = [column.encoding(piecewise) for column in self.columns]
        return engine.RawTable(self.values, encodings, self.n, factor)

    def followed_by(self, other: RawRows) -> RawRows:
        """Return the rows of both tables, one after the other: a copy."""
        values = [np.concatenate(pair) for pair in zip(self.values, other.values, strict=True)]
        return RawRows(values, self.columns, self.n + other.n)

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + sum(column.nbytes for column in self.values)


def column_numbers(source: Source, kind: str) -> dict[str, Reals]:
    """Return the numbers of a column; of a date, all that it is made into."""
    numbers = source.as_numbers()
    return {"": numbers} if kind == "number" else time_parts(numbers)


def column_texts(source: Source, kind: str) -> Iterator[str | None]:
    """Give the texts of a column that is a category, one after the other."""
    if kind != "boolean":
        return chain.from_iterable(source.text_blocks())  # no frame of Python's for each
    return _texts_of_booleans(source.as_numbers())


def _texts_of_booleans(numbers: Reals) -> Iterator[str | None]:
    for start in range(0, len(numbers), TEXTS):
        for value in numbers[start : start + TEXTS].tolist():
            yield None if value != value else str(value != 0)


def raw_values(source: Source, kind: str, encoded: Encoded | None) -> list[NDArray[Any]]:
    """Return a column as the core reads it; of a date, all that it is made into."""
    if isinstance(encoded, CategoryColumn):
        return [encoded.codes(column_texts(source, kind), source.length)]
    plain = source.where_they_lie() if kind == "number" else None
    if plain is not None:
        return [plain]
    return [_narrowed(values) for values in column_numbers(source, kind).values()]


def _narrowed(values: Reals) -> NDArray[Any]:
    """Return numbers in float32 if that is what they are: a copy need not be larger than it must."""
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return narrow if ((narrow == values) | np.isnan(values)).all() else values
