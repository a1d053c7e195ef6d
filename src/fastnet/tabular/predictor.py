"""TablePredictor: a model for tables compiled for fast predictions of single rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnet import _validate
from fastnet._core import engine
from fastnet._core.float_mode import in_default_mode
from fastnet.ensemble import Ensemble
from fastnet.tabular.columns import CategoryColumn, Encoded, time_parts
from fastnet.tabular.reading import LARGEST
from fastnet.tabular.rows import RawRows

__all__ = ["TablePredictor"]

Array = NDArray[Any]

_PARTS = ("value", "month", "weekday", "hour")  # of a time, as `time_parts` gives them; others have the first


class TablePredictor:
    """A model for tables as it was when it was compiled: predicts rows of numbers and codes.

    A row holds a number for each of `columns`, as the rows of an exported C function do (`fastnet.c_export`):
    the value of a number; 0 or 1 for a boolean; the seconds since 1970 in UTC for a date or time; for a
    category the number of its level, see `codes`. NaN is a gap; a number that names no level is one too.
    `rows` makes such rows from a table. One call of the core encodes a row and averages the outputs of all
    networks.

    Threads may call it at the same time, without a lock. It pickles as plain arrays.

    Parameters
    ----------
    ensemble : Ensemble
        With an encoder that makes at least one input.

    Attributes
    ----------
    columns : tuple of str
        What the values of a row are, in order. Columns that the model does not use are left out.
    codes : dict
        For each column that is a category or a boolean its levels and their numbers.
    classes : tuple or None
        Of a classifier, the labels in the order of the outputs.
    n_out : int
        How many outputs there are.

    Raises
    ------
    ValueError
        If the ensemble has no encoder, or no column tells anything.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnet.tabular import TabularClassifier
    >>> X = np.array([["red", 1.0], ["blue", None], ["red", 3.0], ["blue", 4.0]] * 20, dtype=object)
    >>> model = TabularClassifier(members=2, random_state=0).fit(X, X[:, 0] == "red")
    >>> predictor = model.compile()
    >>> predictor.codes
    {'0': {'blue': 0, 'red': 1}}
    >>> predictor(np.array([1.0, 2.5])).round()
    array([0., 1.], dtype=float32)
    """

    def __init__(self, ensemble: Ensemble) -> None:
        encoder = ensemble.encoder
        if encoder is None:
            raise ValueError("ensemble must have an encoder, got one that takes inputs")
        self._used = encoder.used_columns()
        if not self._used[0].used:
            raise ValueError("ensemble must have a column that tells something, got none")
        self.columns: tuple[str, ...] = tuple(column.name for column in self._used)
        self.codes: dict[str, dict[str, int]] = {}
        for column in self._used:
            encoded = column.encodings[0]
            if isinstance(encoded, CategoryColumn):
                levels = ("False", "True") if column.kind == "boolean" else encoded.levels
                self.codes[column.name] = {level: code for code, level in enumerate(levels)}
        self.classes = ensemble.classes
        self.n_out = ensemble.n_out
        self._encoder = encoder
        self._targets = ensemble.targets
        self._predictor = ensemble.compile()
        self._prepare()

    def _prepare(self) -> None:
        targets = self._targets
        sources: list[tuple[Any, ...]] = []
        self._encoded: list[Encoded] = []
        for place, column in enumerate(self._used):
            for part, encoded in zip(_PARTS, column.encodings, strict=False):
                if encoded is None:
                    continue
                self._encoded.append(encoded)
                sources.append((place, part))
                if column.kind == "boolean" and isinstance(encoded, CategoryColumn):
                    sources[-1] = place, *encoded.codes(["False", "True"]).tolist()
        self._core = engine.RawPredictorCore(
            self._predictor.cores(),
            [encoded.encoding("values") for encoded in self._encoded],
            sources,
            None if targets is None else (targets.mean, targets.scale, targets.low, targets.high),
        )

    def __call__(self, row: ArrayLike) -> Array:
        """Return the outputs for one row, or for many.

        Parameters
        ----------
        row : array_like, shape (columns,) or (n, columns)
            Fastest for one row in a NumPy array of float64.

        Returns
        -------
        ndarray, shape (n_out,) or (n, n_out)
            Probabilities of the classes in float32, or targets in float64: the bits of the model's
            `predict_proba` or `predict`.

        Raises
        ------
        ValueError, TypeError
            If the row has another shape, or does not hold numbers.
        """
        if type(row) is np.ndarray and row.ndim == 1:
            try:
                return self._core.one(row)
            except ValueError:
                pass  # something does not fit, or another build of the core has become the active one
        return self._with_care(row)

    @in_default_mode
    def _with_care(self, row: Any) -> Array:
        values = np.asarray(_validate.real_array(row, "row"), np.float64)
        if values.ndim not in (1, 2) or values.shape[-1] != len(self.columns):
            count = len(self.columns)
            raise ValueError(f"row must have shape ({count},) or (n, {count}), got {values.shape}")
        values = np.require(values, None, "A")
        if values.ndim == 2:
            return self._predict_many(values)
        try:
            return self._core.one(values)
        except ValueError:  # another build of the core has become the active one
            found: Array = self._predict_many(values[None])[0]
            self._prepare()
            return found

    def _predict_many(self, values: NDArray[np.float64]) -> Array:
        """Return the outputs for rows (n, columns), (n, n_out); a block of them is encoded at a time."""
        parts: list[Array] = []
        for column, numbers in zip(self._used, values.T, strict=True):
            first = column.encodings[0]
            if column.kind == "datetime":
                made = time_parts(numbers.clip(-LARGEST, LARGEST)).values()
                parts += [part for part, encoded in zip(made, column.encodings, strict=True) if encoded]
            elif column.kind == "boolean" and isinstance(first, CategoryColumn):
                no, yes = first.codes(["False", "True"]).tolist()
                parts.append(np.where(np.isnan(numbers), numbers, np.where(numbers == 0, no, yes)))
            else:
                parts.append(numbers)
        rows = RawRows(parts, self._encoded, len(values)).inputs()
        dtype = self._core.dtype
        step = max(engine.BLOCK_ROWS, engine.RAW_BLOCK_BYTES // (rows.shape[0] * dtype.itemsize))
        found = [
            self._predictor(rows.encoded(dtype.name, first, min(step, len(values) - first)).T).T
            for first in range(0, max(len(values), 1), step)
        ]
        return np.ascontiguousarray(np.concatenate(found))

    def rows(self, X: Any) -> NDArray[np.float64]:
        """Return the rows of a table as numbers and codes, (n, columns).

        Parameters
        ----------
        X : data frame, sparse matrix or array_like, shape (n, columns of the table)
            As for the model's `predict`.

        Raises
        ------
        ValueError
            If a column is missing, or holds what cannot be read as its kind: it is named.

        Examples
        --------
        >>> from fastnet.tabular import TabularRegressor
        >>> X = [["red", 1.0], ["blue", 2.0], ["green", 4.0]] * 20
        >>> TabularRegressor(1, epochs=1).fit(X, range(60)).compile().rows([["green", 2.5], ["?", None]])
        array([[ 1. ,  2.5],
               [-1. ,  nan]])
        """
        return self._encoder.numeric_rows(X)

    def __repr__(self) -> str:
        count = len(self._predictor)
        wide = min(max(map(len, self.columns)), 40)
        networks = f"{count} network{'s' if count > 1 else ''}"
        lines = [f"TablePredictor of {networks} for rows of {len(self.columns)} values"]
        kinds = {c.name: "seconds since 1970" if c.kind == "datetime" else "number" for c in self._used}
        for name in self.columns:
            levels = self.codes.get(name)
            shown = kinds[name]
            if levels is not None:
                few = [f"{code} = {level!r:.30}" for level, code in list(levels.items())[:4]]
                shown = ", ".join(few) + (f", ... {len(levels)} levels" if len(levels) > 4 else "")
            lines.append(f"  {name[:40].ljust(wide)}  {shown}")
        return "\n".join(lines)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_core"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()
