"""TableEncoder: encode the columns of a table as the numeric input of a network."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastnet import _validate
from fastnet._core.float_mode import in_default_mode
from fastnet.tabular.columns import (
    CategoryColumn,
    Encoded,
    NumberColumn,
    Piecewise,
    RawColumn,
    check_keys,
    time_parts,
)
from fastnet.tabular.reading import KINDS, Reals, Source, Texts, check_kinds, read_table
from fastnet.tabular.rows import RawRows, column_numbers, column_texts, raw_values

__all__ = ["Column", "TableEncoder"]

VERSION = 1  # of what `to_dict` gives; goes up with every change that an older reader would not notice
_DROPPED = {
    "empty": "every value is missing",
    "constant": "every value is the same",
    "rare": "no level is there often enough",
}


@dataclass(frozen=True)
class Column:
    """What an encoder does with one column of a table.

    Attributes
    ----------
    name : str
        Of a table without names, the number of the column as text.
    kind : {"number", "category", "boolean", "datetime", "empty"}
    width : int
        How many inputs of the network it takes; 0 if it is left out.
    note : str
        How many levels or bins there are, or why it is left out.
    """

    name: str
    kind: str
    width: int
    note: str


class TableEncoder:
    """Turn a table of numbers, texts, booleans and dates, with gaps, into the input of a network.

    Numbers are scaled by median and quartiles and clipped smoothly, and they are also encoded piecewise
    linearly (see `fastnet.tabular.columns.NumberColumn`). Texts become an input per level. The kinds of the
    columns are found by their types and values: ``columns_`` shows what was found, ``kinds`` can say it.

    Parameters
    ----------
    bins : int
        Bins of a number's piecewise linear encoding, between quantiles of its values; 0 for none.
    distinct_bins : int
        Further bins between quantiles of its distinct values: for columns that are mostly one number.
    max_levels : int
        At most so many levels of a category, the most frequent ones, have an input.
    min_count : int
        A level must be there so often to have an input.
    max_values : int
        At most so many repeated values of a number, the most frequent ones, have an input; 0 for none. Only
        columns of amounts have them (see `fastnet.tabular.columns.NumberColumn`).
    kinds : mapping of str or int to str, optional
        The kinds of some columns, by name, or by number where the table has no names: "number", "category",
        "boolean" or "datetime". Texts that are told to be numbers are read as such.

    Attributes
    ----------
    columns_ : list of Column
        What was found and what is done with it, in the order of the table.
    n_features_in_ : int
        How many columns the table has.
    feature_names_in_ : ndarray of str
        Their names, if it has any.
    n_features_out_ : int
        How many inputs the network needs.

    Raises
    ------
    ValueError, TypeError
        If a parameter or a kind is not in its range, or a column of ``kinds`` is not there.

    Notes
    -----
    What happens to values that were not there in `fit`: a new level is treated like a gap, and both are 0 in
    all inputs of the category. A gap in a number counts as the median, and the indicator of gaps is set if
    there were gaps in `fit`. A number outside the range of `fit` is cut to it in the piecewise linear
    encoding and clipped smoothly in the other; infinities are very large numbers. Columns of a data frame are
    found by name, whatever their order; further ones are not looked at; a missing one is an error.

    A date or time becomes four numbers: seconds since 1970 in UTC, month, weekday and hour. A column whose
    values are all missing or all the same is left out. Objects that are no numbers, texts, booleans or times
    are categories by their text.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnet.tabular import TableEncoder
    >>> X = np.array([["red", 1.0], ["blue", None], ["red", 3.0], ["blue", 4.0]], dtype=object)
    >>> encoder = TableEncoder().fit(X)
    >>> encoder
    TableEncoder: 2 columns, 13 inputs
      column  kind      inputs
      0       category       1  2 levels
      1       number        12  10 bins, gaps
    >>> encoder.transform([["green", 2.0], ["red", 9.0]])[:, :3].round(2)
    array([[ 0.  , -0.65,  0.  ],
           [ 1.  ,  2.4 ,  0.  ]], dtype=float32)
    """

    def __init__(
        self,
        *,
        bins: int = 8,
        distinct_bins: int = 16,
        max_levels: int = 256,
        min_count: int = 1,
        max_values: int = 256,
        kinds: Mapping[Any, str] | None = None,
    ) -> None:
        self.bins = bins
        self.distinct_bins = distinct_bins
        self.max_levels = max_levels
        self.min_count = min_count
        self.max_values = max_values
        self.kinds = kinds

    @in_default_mode
    def fit(self, X: Any, y: Any = None) -> TableEncoder:
        """Find the kinds of the columns and learn their scales, bins and levels.

        Parameters
        ----------
        X : data frame, sparse matrix or array_like, shape (n, columns)
            With at least one row, a row per example. Data frames need narwhals (``fastnet-mlp[tables]``).
        y : object
            Not looked at; for pipelines.

        Returns
        -------
        TableEncoder
            Itself.

        Raises
        ------
        ValueError, TypeError, ImportError
            If X is no table, or a column cannot be read as what it was told to be.
        """
        self._learn(*read_table(X))
        return self

    @in_default_mode
    def fit_read(self, X: Any) -> RawRows:
        """Learn from a table as `fit` does, and return it as `read` does: sooner than one after the other.

        Parameters
        ----------
        X : data frame, sparse matrix or array_like, shape (n, columns)
            As for `fit`. Its memory is used as it is where that is possible, as by `read`.

        Returns
        -------
        RawRows

        Raises
        ------
        ValueError, TypeError, ImportError
            As `fit`.

        Examples
        --------
        >>> from fastnet.tabular import TableEncoder
        >>> TableEncoder().fit_read([["a", 1], ["b", 2], ["a", 1], ["b", 4]]).values
        [array([0, 1, 0, 1], dtype=int8), array([1., 2., 1., 4.], dtype=float32)]
        """
        sources, names = read_table(X)
        self._learn(sources, names)
        return self._read(sources)

    @in_default_mode
    def transform(self, X: Any, dtype: DTypeLike = "float32") -> NDArray[Any]:
        """Return the input of the network for a table.

        Parameters
        ----------
        X : data frame, sparse matrix or array_like, shape (n, columns)
            With the columns of `fit`: by name if both have names, otherwise by their order.
        dtype : {"float32", "float64"}

        Returns
        -------
        ndarray, shape (n, n_features_out_)
            A row per example: a network takes its transpose, ``network.predict_proba(E.T)``.

        Raises
        ------
        ValueError
            If a column is missing, or holds what cannot be read as its kind: it is named.
        RuntimeError
            If `fit` was not called.
        """
        checked = _validate.real_dtype(dtype)
        return self._encoded(self.read(X), checked)

    def _encoded(self, table: RawRows, dtype: np.dtype[Any]) -> NDArray[Any]:
        if not self.n_features_out_:
            return np.zeros((len(table), 0), dtype)
        return table.inputs().encoded(dtype.name)

    @in_default_mode
    def read(self, X: Any) -> RawRows:
        """Return a table as the core reads it: numbers where they lie, and codes in place of texts.

        Parameters
        ----------
        X : data frame, sparse matrix or array_like, shape (n, columns)
            With the columns of `fit`, as for `transform`. Its memory is used as it is where that is possible,
            so it must not change while the result is in use.

        Returns
        -------
        RawRows
            Its rows are encoded while the core gathers them, with the bits of `transform`.

        Raises
        ------
        ValueError, RuntimeError
            As `transform`.

        Examples
        --------
        >>> from fastnet.tabular import TableEncoder
        >>> TableEncoder().fit([["a", 1], ["b", 2], ["c", 1]]).read([["b", 7], ["?", 8]]).values
        [array([ 1, -1], dtype=int8), array([7., 8.], dtype=float32)]
        """
        self._check_fitted()
        return self._read(self._sources(X))

    def _read(self, sources: list[Source]) -> RawRows:
        n = sources[0].length
        for source in sources:
            if source.length != n:
                raise ValueError(f"{source.name} must have {n} values, got {source.length}")
        values, columns = [], []
        for source, raw in zip(sources, self.raw_columns(), strict=True):
            if not raw.used:
                continue
            parts = raw_values(source, raw.kind, raw.encodings[0])
            for encoded, column in zip(raw.encodings, parts, strict=True):
                if encoded is not None:
                    values.append(column)
                    columns.append(encoded)
        return RawRows(values, columns, n)

    @in_default_mode
    def fit_transform(self, X: Any, y: Any = None) -> NDArray[Any]:
        """Return the input of the network for the table that is learned from."""
        return self._encoded(self.fit_read(X), np.dtype(np.float32))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return a name for each input of the network, as an array of objects.

        Examples
        --------
        >>> from fastnet.tabular import TableEncoder
        >>> TableEncoder().fit([["a", 1], ["b", 2], ["c", 1]]).get_feature_names_out()
        array(['0 = a', '0 = b', '0 = c', '1'], dtype=object)
        """
        self._check_fitted()
        names = [
            name
            for column, _, _, encoded in self._columns
            if encoded is not None
            for name in encoded.names(column)
        ]
        return np.array(names, dtype=object)

    def input_parts(self) -> NDArray[np.str_]:
        """Return what each input of the network is, (n_features_out_,): "always", "bins" or "values".

        These are bins of a number's piecewise linear encoding, and its repeated values; members of an
        estimator may do without the two. Any other input is always there.
        """
        self._check_fitted()
        columns = [encoded for _, _, _, encoded in self._columns if encoded is not None]
        return np.array([part for encoded in columns for part in encoded.parts()], "U6")

    def reduced(self, piecewise: Piecewise) -> TableEncoder:
        """Return an encoder that makes the same inputs but for bins and repeated values that are not wanted.

        Parameters
        ----------
        piecewise : bool or "values"
            Whether the bins of numbers are among the inputs, and with "values" also their repeated values.

        Examples
        --------
        >>> from fastnet.tabular import TableEncoder
        >>> encoder = TableEncoder(bins=2).fit([["a", 1], ["b", 2], ["c", 4]])
        >>> encoder.n_features_out_, encoder.reduced(False).n_features_out_
        (6, 4)
        """
        self._check_fitted()
        other = TableEncoder(**self.get_params())
        columns = [
            (name, kind, why, None if encoded is None else encoded.reduced(piecewise))
            for name, kind, why, encoded in self._columns
        ]
        names = getattr(self, "feature_names_in_", None)
        other._set_columns(columns, None if names is None else list(names))
        return other

    def raw_columns(self) -> list[RawColumn]:
        """Return the columns of the table with their encodings, for exports that encode by themselves.

        Examples
        --------
        >>> from fastnet.tabular import TableEncoder
        >>> TableEncoder().fit([["a", 1], ["b", 2], ["c", 1]]).raw_columns()[0]
        RawColumn(name='0', kind='category', encodings=(CategoryColumn(levels=('a', 'b', 'c'), pair=False),))
        """
        self._check_fitted()
        found, rows = [], iter(self._columns)
        for name, kind, _, encoded in rows:
            parts = [encoded]
            if kind == "datetime":
                parts += [next(rows)[3] for _ in _TIME_PARTS[1:]]
            found.append(RawColumn(name, kind, tuple(parts)))
        return found

    def used_columns(self) -> list[RawColumn]:
        """Return the columns that an exported model takes: those that are not left out, but one at least.

        Examples
        --------
        >>> from fastnet.tabular import TableEncoder
        >>> encoder = TableEncoder().fit([["a", 1], ["b", 1], ["c", 1]])
        >>> [column.name for column in encoder.used_columns()]
        ['0']
        """
        columns = self.raw_columns()
        return [column for column in columns if column.used] or columns[:1]

    @in_default_mode
    def used_values(self, X: Any) -> list[Reals | Texts]:
        """Return the values of a table's columns in the order of `used_columns`, before they are encoded.

        Parameters
        ----------
        X : data frame, sparse matrix or array_like, shape (n, columns)
            With the columns of `fit`, as for `transform`.

        Returns
        -------
        list of ndarray (n,) or list of str or None
            Numbers, booleans and times in float64 with NaN where one is missing; a column of texts with None.

        Raises
        ------
        ValueError, RuntimeError
            As `transform`.

        Examples
        --------
        >>> from fastnet.tabular import TableEncoder
        >>> TableEncoder().fit([["a", 1], ["b", 2], ["c", 1]]).used_values([["b", None]])
        [['b'], array([nan])]
        """
        used = {column.name for column in self.used_columns()}
        columns = self.raw_columns()
        values = [
            source.as_texts() if column.kind in ("category", "empty") else source.as_numbers()
            for source, column in zip(self._sources(X), columns, strict=True)
        ]
        return [found for column, found in zip(columns, values, strict=True) if column.name in used]

    @in_default_mode
    def numeric_rows(self, X: Any) -> NDArray[np.float64]:
        """Return a table as rows of numbers and codes: what a compiled predictor and exported C code take.

        Parameters
        ----------
        X : data frame, sparse matrix or array_like, shape (n, columns)
            With the columns of `fit`, as for `transform`.

        Returns
        -------
        ndarray, shape (n, columns)
            Of the columns in the order of `used_columns`: numbers, booleans (0 or 1) and times (seconds since
            1970 in UTC), NaN where one is missing; the codes of categories, -1 where one is missing or no
            level.

        Raises
        ------
        ValueError, RuntimeError
            As `transform`.

        Examples
        --------
        >>> from fastnet.tabular import TableEncoder
        >>> TableEncoder().fit([["a", 1], ["b", 2], ["c", 1]]).numeric_rows([["b", None], ["?", 7]])
        array([[ 1., nan],
               [-1.,  7.]])
        """
        found: list[NDArray[Any]] = []
        for column, values in zip(self.used_columns(), self.used_values(X), strict=True):
            level = column.encodings[0]
            if isinstance(values, list) and isinstance(level, CategoryColumn):
                found.append(level.codes(values))
            else:  # a column of texts without levels is there only if no column is used
                found.append(np.full(len(values), -1.0) if isinstance(values, list) else values)
        return np.column_stack(found).astype(np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return all that was learned as plain values: JSON holds them exactly.

        Examples
        --------
        >>> import json
        >>> from fastnet.tabular import TableEncoder
        >>> encoder = TableEncoder().fit([["a", 1], ["b", 2], ["c", 1]])
        >>> again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
        >>> again.transform([["b", 2]]).tolist() == encoder.transform([["b", 2]]).tolist()
        True
        """
        self._check_fitted()
        columns = []
        for name, kind, why, encoded in self._columns:
            row: dict[str, Any] = {"name": name, "kind": kind, "why": why}
            columns.append(row | {"encoding": None if encoded is None else encoded.to_dict()})
        names = [str(name) for name in self.feature_names_in_] if hasattr(self, "feature_names_in_") else None
        settings = {name: int(getattr(self, name)) for name in _SETTINGS if name != "kinds"}
        return {"version": VERSION, "settings": settings, "names": names, "columns": columns}

    @classmethod
    def from_dict(cls, state: Any, where: str = "state") -> TableEncoder:
        """Return the encoder of what `to_dict` gave; nothing in it is trusted.

        Raises
        ------
        ValueError
            If it is not what `to_dict` gives: the message names the place.
        """
        if isinstance(state, dict) and state.get("version") != VERSION:
            raise ValueError(f"{where}.version must be {VERSION}, got {state.get('version')!r:.60}")
        check_keys(state, {"version", "settings", "names", "columns"}, where)
        settings, names, rows = state["settings"], state["names"], state["columns"]
        check_keys(settings, set(_SETTINGS) - {"kinds"}, f"{where}.settings")
        texts = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if names is not None and (not texts or len(set(names)) < len(names)):
            raise ValueError(f"{where}.names must be different texts or null, got {names!r:.100}")
        if not isinstance(rows, list) or not rows:
            raise ValueError(f"{where}.columns must be a list of at least one, got {rows!r:.60}")
        checked: dict[str, Any] = {
            name: _validate.integer(value, f"{where}.settings.{name}", 0 if "bins" in name else 1)
            for name, value in settings.items()
        }
        encoder = cls(**checked)
        found: list[tuple[str, str, str, Encoded | None]] = []
        for k, row in enumerate(rows):
            here = f"{where}.columns[{k}]"
            check_keys(row, {"name", "kind", "why", "encoding"}, here)
            if not isinstance(row["name"], str) or row["kind"] not in (*KINDS, "empty"):
                raise ValueError(f"{here} must have a name and a kind, got {row!r:.100}")
            encoding, encoded = row["encoding"], None
            if encoding is not None:
                number = row["kind"] in ("number", "datetime")
                kind: Any = NumberColumn if number else CategoryColumn
                encoded = kind.from_dict(encoding, f"{here}.encoding")
            found.append((row["name"], row["kind"], str(row["why"]), encoded))
        encoder._set_columns(found, names)
        count = encoder.n_features_in_
        if names is not None and count != len(names):
            raise ValueError(f"{where}.columns must be those of its {len(names)} names, got {count}")
        return encoder

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, as scikit-learn's estimators do."""
        return {name: getattr(self, name) for name in _SETTINGS}

    def set_params(self, **params: Any) -> TableEncoder:
        """Set parameters by name, as scikit-learn's estimators do; ValueError for a name it has not."""
        for name, value in params.items():
            if name not in _SETTINGS:
                raise ValueError(f"parameters must be among {', '.join(_SETTINGS)}, got {name!r}")
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        takes = InputTags(sparse=True, categorical=True, string=True, allow_nan=True)
        makes = TransformerTags(preserves_dtype=[])
        return Tags(None, TargetTags(required=False), transformer_tags=makes, input_tags=takes)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_columns")

    def _check_fitted(self) -> None:
        if not hasattr(self, "_columns"):
            raise RuntimeError("the encoder must be fitted first: call fit")

    def _set_columns(
        self, found: list[tuple[str, str, str, Encoded | None]], names: list[str] | None
    ) -> None:
        """Store what fit learned: for each column its name, kind, the reason it is left out, and encoding."""
        self._columns = found
        self.feature_names_in_: NDArray[Any]
        self.columns_ = [
            Column(name, kind, 0 if encoded is None else encoded.width, _note(why, encoded))
            for name, kind, why, encoded in found
        ]
        self.n_features_out_ = sum(column.width for column in self.columns_)
        times = sum(kind == "datetime" for _, kind, _, _ in found)
        self.n_features_in_ = len(found) - times + times // len(_TIME_PARTS)
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)

    def _learn(self, sources: list[Source], names: list[str] | None) -> None:
        """Find what each column becomes."""
        bins = _validate.integer(self.bins, "bins", 0)
        distinct_bins = _validate.integer(self.distinct_bins, "distinct_bins", 0)
        max_levels = _validate.integer(self.max_levels, "max_levels")
        min_count = _validate.integer(self.min_count, "min_count")
        max_values = _validate.integer(self.max_values, "max_values", 0)
        told = check_kinds(self.kinds)
        shown = names if names is not None else list(map(str, range(len(sources))))
        for column in told:
            if column not in (shown if names is not None else range(len(sources))):
                raise ValueError(f"kinds[{column!r}] must be a column of X, got the columns {shown!r:.200}")
        found: list[tuple[str, str, str, Encoded | None]] = []
        for k, (source, name) in enumerate(zip(sources, shown, strict=True)):
            kind = told.get(name if names is not None else k, source.found)
            if not source.length:
                raise ValueError(_NO_ROWS)
            if kind not in ("number", "datetime"):
                texts = CategoryColumn.learn(column_texts(source, kind), max_levels, min_count)
                why = "" if texts is not None else _why_left_out(set(column_texts(source, kind)))
                found.append((name, kind, why, texts))
                continue
            for part, values in column_numbers(source, kind).items():
                number = NumberColumn.learn(values, bins, distinct_bins, max_values)
                why = "" if number is not None else "empty" if np.isnan(values).all() else "constant"
                found.append((f"{name}.{part}" if part else name, kind, why, number))
        self._set_columns(found, names)

    def _sources(self, X: Any) -> list[Source]:
        """Return the columns of a table in the order of fit."""
        sources, names = read_table(X)
        known = getattr(self, "feature_names_in_", None)
        if names is not None and known is not None:
            by_name = dict(zip(names, sources, strict=True))
            missing = [name for name in known if name not in by_name]
            if missing:
                raise ValueError(f"X must have the columns of fit, but these are missing: {missing!r:.200}")
            return [by_name[name] for name in known]
        if len(sources) != self.n_features_in_:
            raise ValueError(f"X must have {self.n_features_in_} columns, as in fit, got {len(sources)}")
        return sources

    def __repr__(self) -> str:
        if not hasattr(self, "_columns"):
            defaults = TableEncoder().get_params()
            told = {name: value for name, value in self.get_params().items() if value != defaults[name]}
            return f"TableEncoder({', '.join(f'{name}={value!r}' for name, value in told.items())})"
        head = ("column", "kind", "inputs", "")
        table = [head, *((c.name, c.kind, str(c.width), c.note) for c in self.columns_)]
        wide = [max(len(row[k]) for row in table) for k in range(3)]
        lines = [
            f"  {a[:40].ljust(min(wide[0], 40))}  {b.ljust(wide[1])}  {c.rjust(wide[2])}  {d}".rstrip()
            for a, b, c, d in table
        ]
        return "\n".join([self._head(), *lines])

    def _head(self) -> str:
        return f"TableEncoder: {self.n_features_in_} columns, {self.n_features_out_} inputs"

    def _repr_html_(self) -> str:
        if not hasattr(self, "_columns"):
            return f"<pre>{html.escape(repr(self))}</pre>"
        rows = "".join(
            f"<tr><td>{html.escape(c.name)}</td><td>{c.kind}</td><td>{c.width}</td>"
            f"<td>{html.escape(c.note)}</td></tr>"
            for c in self.columns_
        )
        head = "<tr><th>column</th><th>kind</th><th>inputs</th><th></th></tr>"
        return f"<table><caption>{self._head()}</caption>{head}{rows}</table>"


_SETTINGS = ("bins", "distinct_bins", "max_levels", "min_count", "max_values", "kinds")
_TIME_PARTS = tuple(time_parts(np.zeros(1)))
_NO_ROWS = "X must have at least one row, got 0 sample(s) while a minimum of 1 is required."


def _why_left_out(different: set[str | None]) -> str:
    return "empty" if different == {None} else "constant" if len(different) == 1 else "rare"


def _note(why: str, encoded: Encoded | None) -> str:
    if encoded is None:
        return "left out: " + _DROPPED.get(why, why)
    if isinstance(encoded, CategoryColumn):
        return f"{len(encoded.levels)} level{'s' if len(encoded.levels) > 1 else ''}"
    bins = f"{len(encoded.low)} bins" if encoded.low else "no bins"
    values = f", {len(encoded.values)} repeated values" if encoded.values else ""
    return bins + values + (", gaps" if encoded.gaps else "")
