"""Kinds of columns: numbers, categories and unused ones, and how each is encoded.

Every class here learns from the values of a column (`learn`), tells the core what to make of them
(`encoding`), and is stored as plain values (`to_dict`). The formulas are those of `fastnet.reference.tables`;
the core works them out (`raw.pxi`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise, repeat
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastnet.tabular.reading import Reals

__all__ = [
    "PARTS_OF",
    "CategoryColumn",
    "Encoded",
    "NumberColumn",
    "Part",
    "Piecewise",
    "RawColumn",
    "time_parts",
]

Array = NDArray[Any]

# What an input of a column is: always there, a bin of a number, or a repeated value of a number
Part = Literal["always", "bins", "values"]
# Whether there are bins, and with "values" also the repeated values
Piecewise = bool | Literal["values"]
# Which parts there are then, besides those that always are
PARTS_OF: dict[Piecewise, tuple[Part, ...]] = {False: (), True: ("bins",), "values": ("bins", "values")}

CLIP = 3.0  # the smooth clip goes to ±3 (Holzmüller, Grinsztajn, Steinwart 2024, arXiv 2407.04491)
_OFTEN = 5  # times that a value is there: see `NumberColumn`
FAR = 1e6  # a scaled number further out than this is as good as infinite: its square must not overflow


@dataclass(frozen=True)
class NumberColumn:
    """A number x: clipped smoothly, an indicator of gaps, a piecewise linear encoding, repeated values.

    z = (x − centre) / scale becomes z / √(1 + (z/3)²), which is near z around 0 and never beyond ±3
    (Holzmüller, Grinsztajn, Steinwart 2024, arXiv 2407.04491). Each bin from `low` to `high` becomes 2 c − 1
    with c = (x − low)/(high − low) cut to [0, 1] (Gorishniy, Rubachev, Babenko 2022, arXiv 2203.05556, there
    without the step to [−1, 1]). A gap counts as the median; the
    indicator, 1 in a gap and 0 elsewhere, is there only if there were gaps while learning. A repeated value
    has an input that is 1 where the number is this value, and 0 elsewhere.

    Repeated values are learned of a column of amounts, such as capital gains: one value is that of at least
    half the examples, there are more distinct values than bins tell apart, and yet at least half of the other
    examples have a value that is there five times or more. What is there twice is one, but for the most
    frequent value.

    Attributes
    ----------
    centre : float
        The median.
    scale : float
        The distance of the quartiles, or half the range where that is 0.
    gaps : bool
        Whether there is an indicator.
    low, high : tuple of float
        The ends of the bins.
    values : tuple of float
        The repeated values, the most frequent first.
    """

    centre: float
    scale: float
    gaps: bool
    low: tuple[float, ...]
    high: tuple[float, ...]
    values: tuple[float, ...] = ()

    @classmethod
    def learn(cls, values: Reals, bins: int, distinct_bins: int, max_values: int = 0) -> NumberColumn | None:
        """Return the encoding of a column; None if it says nothing: all its values are one, without gaps."""
        present = np.sort(values[~np.isnan(values)]) + 0.0  # −0 becomes 0: two values that are equal
        gaps = len(present) < len(values)
        if not len(present):
            return None
        distinct = present[np.concatenate([[True], present[1:] != present[:-1]])]
        centre = _quantile(present, 0.5)
        if len(distinct) == 1:
            return cls(centre, 1.0, True, (), ()) if gaps else None
        scale = _quantile(present, 0.75) - _quantile(present, 0.25)
        if scale == 0:
            scale = 0.5 * (float(present[-1]) - float(present[0]))
        ends: list[tuple[float, float]] = []
        if len(distinct) > 2:  # with two values the number itself says all
            ends = _bins(_edges(present, bins)) if bins else []
            if distinct_bins:
                few = len(distinct) <= distinct_bins + 1
                ends += _bins(list(map(float, distinct)) if few else _edges(distinct, distinct_bins))
        ends = list(dict.fromkeys(ends))  # each bin once
        low, high = tuple(low for low, _ in ends), tuple(high for _, high in ends)
        repeated: tuple[float, ...] = ()
        if ends and len(distinct) > distinct_bins + 1 and max_values:
            repeated = _repeated(present, distinct, max_values)
        return cls(centre, scale, gaps, low, high, repeated)

    @property
    def width(self) -> int:
        """How many inputs of the network it takes."""
        return 1 + self.gaps + len(self.low) + len(self.values)

    def names(self, name: str) -> list[str]:
        """Return a name for each input."""
        bins = [f"{name} [{low:.6g}, {high:.6g}]" for low, high in zip(self.low, self.high, strict=True)]
        values = [f"{name} = {value:.6g}" for value in self.values]
        return [name, *([f"{name} missing"] if self.gaps else []), *bins, *values]

    def parts(self) -> list[Part]:
        """Return what each input is."""
        parts: list[Part] = ["always"] * (1 + self.gaps)
        return [*parts, *["bins"] * len(self.low), *["values"] * len(self.values)]  # type: ignore[list-item]

    def reduced(self, piecewise: Piecewise) -> NumberColumn:
        """Return the column with its bins or without, and only with "values" with its repeated values."""
        low, high = (self.low, self.high) if piecewise else ((), ())
        return replace(self, low=low, high=high, values=self.values if piecewise == "values" else ())

    def encoding(self, piecewise: Piecewise) -> tuple[Any, ...]:
        """Return what the core is told of the column (see `engine.RawTable`), with its bins or without."""
        some = self.reduced(piecewise)
        # a repeated value is a bin of no width
        return "number", some.centre, some.scale, some.gaps, some.low + some.values, some.high + some.values

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "centre": self.centre,
            "scale": self.scale,
            "gaps": self.gaps,
            "low": list(self.low),
            "high": list(self.high),
            "values": list(self.values),
        }

    @classmethod
    def from_dict(cls, state: Any, where: str) -> NumberColumn:
        """Return the column of plain values; ValueError names what is wrong with them."""
        check_keys(state, {"centre", "scale", "gaps", "low", "high", "values"}, where)
        centre, scale = (_real(state[key], f"{where}.{key}") for key in ("centre", "scale"))
        if scale <= 0:
            raise ValueError(f"{where}.scale must be greater than 0, got {scale:g}")
        if not isinstance(state["gaps"], bool):
            raise ValueError(f"{where}.gaps must be true or false, got {state['gaps']!r:.60}")
        for key in ("low", "high", "values"):
            if not isinstance(state[key], list):
                raise ValueError(f"{where}.{key} must be a list of numbers, got {state[key]!r:.60}")
        low, high, values = (
            tuple(_real(value, f"{where}.{key}") for value in state[key]) for key in ("low", "high", "values")
        )
        if len(low) != len(high) or any(a >= b for a, b in zip(low, high, strict=True)):
            raise ValueError(f"{where}.low and .high must be as many, and low below high")
        if len(set(values)) < len(values):
            raise ValueError(f"{where}.values must be different numbers, got {state['values']!r:.60}")
        return cls(centre, scale, state["gaps"], low, high, values)


@dataclass(frozen=True)
class CategoryColumn:
    """A category: an input per level, 1 in its examples and 0 elsewhere; two levels share one input of ±1.

    A level that was not seen while learning, or too rarely, is 0 in all of them, and so is a gap.

    Attributes
    ----------
    levels : tuple of str
        The most frequent first; equally frequent ones in the order of their texts.
    pair : bool
        Whether these two levels are all there is: the first is −1, the second 1.
    """

    levels: tuple[str, ...]
    pair: bool

    @classmethod
    def learn(cls, values: Iterable[str | None], max_levels: int, min_count: int) -> CategoryColumn | None:
        """Return the encoding of a column; None if no two of its values can be told apart."""
        counts = Counter(values)
        gaps = counts.pop(None, 0)
        texts = [(text, count) for text, count in counts.items() if text is not None]
        ordered = sorted(texts, key=lambda item: (-item[1], item[0]))
        if len(ordered) == 2 and ordered[1][1] >= min_count:
            return cls(tuple(sorted(text for text, _ in ordered)), True)
        kept = [text for text, count in ordered if count >= min_count][:max_levels]
        if not kept or (len(ordered) == 1 and not gaps):
            return None
        return cls(tuple(kept), False)

    @property
    def width(self) -> int:
        """How many inputs of the network it takes."""
        return 1 if self.pair else len(self.levels)

    def names(self, name: str) -> list[str]:
        """Return a name for each input."""
        return [f"{name} = {level}" for level in (self.levels[1:] if self.pair else self.levels)]

    def codes(self, values: Iterable[str | None], n: int = -1) -> Array:
        """Return the number of each value's level, −1 for a gap and for what was not seen.

        They are of the smallest dtype that has room for them. n: how many there are, if that is known.
        """
        table: dict[str | None, int] = {level: code for code, level in enumerate(self.levels)}
        found = map(table.get, values, repeat(-1))  # no frame of Python's for each, as a generator has
        return np.fromiter(found, np.min_scalar_type(-len(self.levels)), n)

    def parts(self) -> list[Part]:
        """Return what each input is, as `NumberColumn.parts`."""
        return ["always"] * self.width

    def reduced(self, piecewise: Piecewise) -> CategoryColumn:
        """Return the column: all of its inputs always are."""
        return self

    def encoding(self, piecewise: Piecewise) -> tuple[Any, ...]:
        """Return what the core is told of the column, as `NumberColumn.encoding`."""
        return ("pair",) if self.pair else ("category", len(self.levels))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"levels": list(self.levels), "pair": self.pair}

    @classmethod
    def from_dict(cls, state: Any, where: str) -> CategoryColumn:
        """Return the column of plain values; ValueError names what is wrong with them."""
        check_keys(state, {"levels", "pair"}, where)
        levels, pair = state["levels"], state["pair"]
        texts = isinstance(levels, list) and all(isinstance(level, str) for level in levels)
        if not texts or not levels or len(set(levels)) < len(levels):
            raise ValueError(f"{where}.levels must be a list of different texts, got {levels!r:.60}")
        if not isinstance(pair, bool) or (pair and len(levels) != 2):
            raise ValueError(f"{where}.pair must be true or false, and true only with two levels")
        return cls(tuple(levels), pair)


Encoded = NumberColumn | CategoryColumn


@dataclass(frozen=True)
class RawColumn:
    """A column of the table as it is given, and what it becomes; for who encodes without a `TableEncoder`.

    Attributes
    ----------
    name : str
        Of a table without names, the number of the column as text.
    kind : {"number", "category", "boolean", "datetime", "empty"}
        Numbers, booleans (0 or 1) and times (seconds since 1970 in UTC) are float64, NaN where one is
        missing; categories are texts. A boolean is encoded as the text "False" or "True".
    encodings : tuple of NumberColumn, CategoryColumn or None
        Of what the column is made into, one after the other in the network's input: of a time, the four of
        `time_parts`. None for what is left out.
    """

    name: str
    kind: str
    encodings: tuple[Encoded | None, ...]

    @property
    def used(self) -> bool:
        """Whether the network gets anything of it."""
        return any(encoded is not None for encoded in self.encodings)


def _quantile(ordered: Reals, part: float) -> float:
    """Return a quantile of sorted values, linear between its two neighbours (Hyndman and Fan's type 7)."""
    place = part * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    low, high = float(ordered[below]), float(ordered[above])
    return low + (high - low) * (place - below)


def _edges(ordered: Reals, bins: int) -> list[float]:
    return [_quantile(ordered, k / bins) for k in range(bins + 1)]


def _repeated(ordered: Reals, distinct: Reals, most: int) -> tuple[float, ...]:
    """Return the repeated values of sorted numbers, see `NumberColumn`: at most so many."""
    counts = np.diff(np.searchsorted(ordered, distinct), append=len(ordered))
    mode = int(counts.argmax())
    others = len(ordered) - counts[mode]
    if counts[mode] < others:
        return ()
    counts[mode] = 0
    if 2 * counts[counts >= _OFTEN].sum() < others:
        return ()
    frequent = np.argsort(-counts, kind="stable")[:most]  # of equal counts the smaller value first
    return tuple(map(float, distinct[frequent[counts[frequent] >= 2]]))


def _bins(edges: list[float]) -> list[tuple[float, float]]:
    """Return the bins between edges in ascending order, without those of no width."""
    return [(low, high) for low, high in pairwise(edges) if high > low]


def time_parts(seconds: Reals) -> dict[str, Reals]:
    """Return what times in seconds since 1970 are as numbers: themselves, month, weekday (Monday 0), hour.

    >>> {part: float(values[0]) for part, values in time_parts(np.array([5400.0])).items()}
    {'': 5400.0, 'month': 1.0, 'weekday': 3.0, 'hour': 1.5}
    """
    missing = np.isnan(seconds)
    known = np.where(missing, 0.0, seconds)
    days = np.floor(known / 86_400.0)
    whole = np.clip(days, -(2.0**40), 2.0**40).astype(np.int64)
    month = whole.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1.0
    parts = {"": known, "month": month, "weekday": (days + 3.0) % 7.0}
    parts["hour"] = (known - days * 86_400.0) / 3600.0
    return {part: np.where(missing, np.nan, values) for part, values in parts.items()}


def check_keys(state: Any, keys: set[str], where: str) -> None:
    """ValueError unless a part of a stored encoder is an object of these keys."""
    if not isinstance(state, dict) or state.keys() != keys:
        found = sorted(state) if isinstance(state, dict) else state
        raise ValueError(f"{where} must be an object of {', '.join(sorted(keys))}, got {found!r:.100}")


def _real(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{where} must be a finite number, got {value!r:.60}")
    return float(value)
