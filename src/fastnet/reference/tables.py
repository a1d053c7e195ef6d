"""The encoding of tables in plain Python: the twin of `fastnet.tabular.TableEncoder`.

A number x, NaN where it is missing, becomes

    z / √(1 + (z/3)²)    with z = (x − centre) / scale, the median of the training data in place of a gap
    1 in a gap, else 0   if there were gaps in the training data
    2 c − 1              for each bin, with c = (x − low)/(high − low) cut to [0, 1]
    1 if it is v, else 0 for each repeated value v

and a category a number for each level: 1 if it is this level and 0 if not; or, of two levels, −1 and 1. What
is no level is 0. Nothing but loops over Python's floats, which are float64: the core has the same bits, where
it encodes the rows of a table while it gathers them (`fastnet._core.engine.RawTable`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = [
    "encode_category",
    "encode_number",
    "encode_rows",
    "learn_category",
    "learn_number",
    "quantile",
    "repeated_values",
]


def quantile(ordered: Sequence[float], part: float) -> float:
    """Return a quantile of sorted numbers, on the line between the two nearest.

    >>> quantile([1.0, 2.0, 4.0], 0.75)
    3.0
    """
    place = part * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def learn_number(
    values: Sequence[float], bins: int = 8, distinct_bins: int = 16, max_values: int = 256
) -> dict[str, Any] | None:
    """Return what `encode_number` needs for a column; None if it tells nothing.

    >>> learn_number([1.0, 3.0, 2.0, float("nan")], bins=2, distinct_bins=0, max_values=0)
    {'centre': 2.0, 'scale': 1.0, 'gaps': True, 'low': [1.0, 2.0], 'high': [2.0, 3.0], 'values': []}
    """
    ordered = sorted(value for value in values if not math.isnan(value))
    gaps = len(ordered) < len(values)
    distinct = sorted(set(ordered))
    if not distinct or (len(distinct) == 1 and not gaps):
        return None
    centre, scale = quantile(ordered, 0.5), 1.0
    if len(distinct) > 1:
        scale = quantile(ordered, 0.75) - quantile(ordered, 0.25)
        if scale == 0:
            scale = 0.5 * (ordered[-1] - ordered[0])
    pairs: list[tuple[float, float]] = []
    if len(distinct) > 2:
        edges = [quantile(ordered, k / bins) for k in range(bins + 1)] if bins else []
        pairs = list(pairwise(edges))
        if distinct_bins:
            edges = distinct
            if len(distinct) > distinct_bins + 1:
                edges = [quantile(distinct, k / distinct_bins) for k in range(distinct_bins + 1)]
            pairs += pairwise(edges)
    low, high = [], []
    for k, (a, b) in enumerate(pairs):
        if a < b and (a, b) not in pairs[:k]:
            low.append(a)
            high.append(b)
    many = low and len(distinct) > distinct_bins + 1
    repeated = repeated_values(ordered, max_values) if many else []
    return {"centre": centre, "scale": scale, "gaps": gaps, "low": low, "high": high, "values": repeated}


def repeated_values(values: Sequence[float], most: int) -> list[float]:
    """Return the values of a column of amounts that are there twice or more, without the most frequent one.

    There are none unless one value is that of half the examples, and half of the others have a value that is
    there five times.

    >>> repeated_values([0.0] * 9 + [7.5] * 5 + [3.0, 2.0, 2.0, 1.0], 8)
    [7.5, 2.0]
    """
    counts: dict[float, int] = {}
    for value in sorted(values):
        counts[value] = counts.get(value, 0) + 1
    if not counts:
        return []
    first = max(counts, key=lambda value: (counts[value], -value))
    others = len(values) - counts[first]
    often = sum(count for value, count in counts.items() if count >= 5 and value != first)
    if counts[first] < others or 2 * often < others:
        return []
    repeated = [value for value, count in counts.items() if count >= 2 and value != first]
    return sorted(repeated, key=lambda value: (-counts[value], value))[:most]


def encode_number(learned: dict[str, Any], x: float) -> list[float]:
    """Return the inputs for one value.

    >>> encode_number({"centre": 2.0, "scale": 1.0, "gaps": True, "low": [1.0], "high": [2.0],
    ...                "values": [1.25]}, 1.25)
    [-0.7276068751089989, 0.0, -0.5, 1.0]
    """
    missing = math.isnan(x)
    if missing:
        x = learned["centre"]
    z = min(max((x - learned["centre"]) / learned["scale"], -1e6), 1e6)
    third = z / 3.0
    inputs = [z / math.sqrt(1.0 + third * third)]
    if learned["gaps"]:
        inputs.append(1.0 if missing else 0.0)
    for low, high in zip(learned["low"], learned["high"], strict=True):
        c = min(max((x - low) / (high - low), 0.0), 1.0)
        inputs.append(2.0 * c - 1.0)
    return inputs + [1.0 if x == value else 0.0 for value in learned["values"]]


def learn_category(
    values: Sequence[str | None], max_levels: int = 256, min_count: int = 1
) -> dict[str, Any] | None:
    """Return what `encode_category` needs for a column; None if it tells nothing.

    >>> learn_category(["b", "a", "b", None, "c", "c", "c"])
    {'levels': ['c', 'b', 'a'], 'pair': False}
    """
    counts: dict[str, int] = {}
    for value in values:
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    gaps = any(value is None for value in values)
    if len(counts) == 2 and min(counts.values()) >= min_count:
        return {"levels": sorted(counts), "pair": True}
    frequent = sorted(counts, key=lambda level: (-counts[level], level))
    kept = [level for level in frequent if counts[level] >= min_count][:max_levels]
    if not kept or (len(counts) == 1 and not gaps):
        return None
    return {"levels": kept, "pair": False}


def encode_category(learned: dict[str, Any], value: str | None) -> list[float]:
    """Return the inputs for one value.

    >>> encode_category({"levels": ["c", "b", "a"], "pair": False}, "b")
    [0.0, 1.0, 0.0]
    """
    levels = learned["levels"]
    if learned["pair"]:
        return [0.0 if value not in levels else -1.0 if value == levels[0] else 1.0]
    return [1.0 if value == level else 0.0 for level in levels]


def encode_rows(
    values: Sequence[Sequence[Any]],
    learned: Sequence[dict[str, Any]],
    dtype: DTypeLike = "float32",
    factor: float = 1.0,
) -> NDArray[Any]:
    """Return the inputs for the rows of a table, (n, inputs), from its columns: all times a factor.

    A column with levels holds their numbers, -1 in a gap. Each input is rounded to the dtype before it is
    multiplied, and once more after it.

    >>> number = {"centre": 2.0, "scale": 1.0, "gaps": False, "low": [1.0], "high": [2.0], "values": []}
    >>> colour = {"levels": ["red", "blue", "green"], "pair": False}
    >>> encode_rows([[2.0, 1.25], [1, -1]], [number, colour], "float64", factor=2.0).round(2).tolist()
    [[0.0, 2.0, 0.0, 2.0, 0.0], [-1.46, -1.0, 0.0, 0.0, 0.0]]
    """
    rows = []
    for row in zip(*values, strict=True):
        inputs: list[float] = []
        for value, about in zip(row, learned, strict=True):
            if "levels" in about:
                level = about["levels"][int(value)] if value >= 0 else None
                inputs += encode_category(about, level)
            else:
                inputs += encode_number(about, float(value))
        rows.append(inputs)
    encoded: NDArray[Any] = np.array(rows, dtype)
    encoded *= encoded.dtype.type(factor)
    return encoded
