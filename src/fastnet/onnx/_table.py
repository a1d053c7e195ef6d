"""The encoding of a table as ONNX operators: raw columns in, the input of the networks out.

It works in float64, as `TableEncoder` does: a time in seconds needs 31 bits before the point. Only what is
finished becomes the dtype of the networks.
"""

from __future__ import annotations

import numpy as np

from fastnet.onnx._graph import OUTPUTS, Graph
from fastnet.tabular.columns import CLIP, FAR, CategoryColumn, NumberColumn, RawColumn
from fastnet.tabular.encoder import TableEncoder
from fastnet.tabular.reading import LARGEST
from fastnet.tabular.rows import RawRows

__all__ = ["add_encoder", "gap_text", "input_names"]

_ML = "ai.onnx.ml"
_ABOUT = {
    "number": "number, NaN where it is missing",
    "boolean": "0 or 1, NaN where it is missing",
    "datetime": "seconds since 1970 in UTC, NaN where it is missing",
    "empty": "not looked at",
}


def input_names(columns: list[RawColumn]) -> list[str]:
    """Return the names of the inputs: those of the columns, unless an output is called so.

    >>> input_names([RawColumn(name, "number", ()) for name in ("age", "label")])
    ['age', 'label_']
    """
    others = {*OUTPUTS, *(column.name for column in columns)}
    names: list[str] = []
    for column in columns:
        name = column.name
        while name in OUTPUTS or not name or (name != column.name and name in others):
            name += "_"
        names.append(name)
    return names


def gap_text(column: RawColumn) -> str:
    """Return the text that stands for a gap in a category: the shortest run of blanks that is no level."""
    levels = {level for part in column.encodings if isinstance(part, CategoryColumn) for level in part.levels}
    text = ""
    while text in levels:
        text += " "
    return text


def add_encoder(graph: Graph, encoder: TableEncoder) -> str:
    """Add the inputs and the encoding, and return the name of its result, (n, n_in)."""
    columns = encoder.used_columns()
    names = input_names(columns)
    for name, column in zip(names, columns, strict=True):
        if column.kind == "category":
            about = f"category, {gap_text(column)!r} where it is missing"
            graph.take(name, graph.types.STRING, 1, about)
        else:
            graph.take(name, graph.types.DOUBLE, 1, _ABOUT[column.kind])
    if not encoder.n_features_out_:  # a column of zeros: the networks have one input
        zeros = graph.add("ConstantOfShape", graph.add("Shape", names[0]))
        return graph.add("Cast", zeros, to=graph.real)
    parts: list[str] = []
    place, width = _Places(columns), 0
    numbers = [k for k, column in enumerate(columns) if column.kind in ("number", "datetime")]
    if numbers:
        found, width = _numbers(graph, [columns[k] for k in numbers], [names[k] for k in numbers], place)
        parts.append(found)
    for name, column in zip(names, columns, strict=True):
        encoded = column.encodings[0]
        if isinstance(encoded, CategoryColumn):
            add = _boolean if column.kind == "boolean" else _category
            parts.append(add(graph, name, encoded))
            place.put(column, 0, range(width, width + encoded.width))
            width += encoded.width
    order = place.order()
    E = graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    if order == list(range(len(order))):
        return E
    return graph.add("Gather", E, graph.constant("order", np.array(order, np.int64)), axis=1)


class _Places:
    """Where the parts of the columns stand in the matrix that is put together."""

    def __init__(self, columns: list[RawColumn]) -> None:
        self._places: dict[tuple[str, int], list[int]] = {
            (column.name, part): [] for column in columns for part in range(len(column.encodings))
        }

    def put(self, column: RawColumn, part: int, places: range | list[int]) -> None:
        """Add places of a part of a column."""
        self._places[column.name, part] += places

    def order(self) -> list[int]:
        return [place for places in self._places.values() for place in places]


def _numbers(graph: Graph, columns: list[RawColumn], names: list[str], place: _Places) -> tuple[str, int]:
    """Add the encoding of numbers and times; return its name and width."""
    raw = graph.add("Concat", *names, axis=1)
    missing = graph.add("IsNaN", raw)
    known = graph.add("Where", missing, _double(graph, "zero", 0.0), raw)
    known = _cut(graph, known, "largest", LARGEST)
    times = [k for k, column in enumerate(columns) if column.kind == "datetime"]
    if times:
        known = graph.add("Concat", known, *_times(graph, _gathered(graph, known, "times", times)), axis=1)
    # where the values of each part stand: times in `known`, and as NaN in `missing`
    sources: list[tuple[int, int, RawColumn, int, NumberColumn]] = []
    for k, column in enumerate(columns):
        for part, encoded in enumerate(column.encodings):
            if isinstance(encoded, NumberColumn):
                value = k if part == 0 else len(columns) + (part - 1) * len(times) + times.index(k)
                sources.append((value, k, column, part, encoded))
    encodings = [encoded for *_, encoded in sources]
    gaps = _gathered(graph, missing, "gaps of", [source for _, source, *_ in sources])
    centre, scale = (
        graph.constant(f"numbers.{name}", np.array([[getattr(one, name) for one in encodings]]))
        for name in ("centre", "scale")
    )
    x = graph.add(
        "Where", gaps, centre, _gathered(graph, known, "values of", [value for value, *_ in sources])
    )
    z = _cut(graph, graph.add("Div", graph.add("Sub", x, centre), scale), "far", FAR)
    third = graph.add("Div", z, _double(graph, "clip", CLIP))
    square = graph.add("Add", graph.add("Mul", third, third), _double(graph, "one", 1.0))
    parts = [graph.add("Div", z, graph.add("Sqrt", square))]
    order = list(range(len(sources)))  # of which source each input is
    with_gaps = [k for k, one in enumerate(encodings) if one.gaps]
    if with_gaps:
        of_gaps = _gathered(graph, gaps, "with gaps", with_gaps)
        parts.append(graph.add("Cast", of_gaps, to=graph.types.DOUBLE))
        order += with_gaps
    bins = [k for k, one in enumerate(encodings) for _ in one.low]
    if bins:
        parts.append(_bins(graph, _gathered(graph, x, "bins of", bins), encodings))
        order += bins
    repeated = [k for k, one in enumerate(encodings) for _ in one.values]
    if repeated:
        values = graph.constant("repeated values", np.array([[v for one in encodings for v in one.values]]))
        same = graph.add("Equal", _gathered(graph, x, "repeated of", repeated), values)
        parts.append(graph.add("Cast", same, to=graph.types.DOUBLE))
        order += repeated
    for position, of in enumerate(order):
        _, _, column, part, _ = sources[of]
        place.put(column, part, [position])
    E = graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    return graph.add("Cast", E, to=graph.real), len(order)


def _bins(graph: Graph, x: str, encodings: list[NumberColumn]) -> str:
    """Add 2 c − 1, c = (x − low)/(high − low) cut to [0, 1]."""
    low = np.array([[end for one in encodings for end in one.low]])
    high = np.array([[end for one in encodings for end in one.high]])
    from_low = graph.add("Sub", x, graph.constant("bins.low", low))
    c = graph.add("Div", from_low, graph.constant("bins.width", high - low))
    c = graph.add("Clip", c, _double(graph, "zero", 0.0), _double(graph, "one", 1.0))
    return graph.add("Sub", graph.add("Add", c, c), _double(graph, "one", 1.0))


def _times(graph: Graph, seconds: str) -> list[str]:
    """Add the month, weekday (Monday 0) and hour of seconds since 1970, each (n, times): see `time_parts`.

    The month counts from March in years of 365.2425 days: Hinnant 2013, "chrono-compatible low-level date
    algorithms". All numbers are whole ones of float64, and floor divides them.
    """

    def number(value: float) -> str:
        return _double(graph, f"{value:g}", value)

    def floor(x: str, by: float) -> str:
        return graph.add("Floor", graph.add("Div", x, number(by)))

    def minus(x: str, factor: float, y: str) -> str:
        return graph.add("Sub", x, graph.add("Mul", number(factor), y))

    days = floor(seconds, 86_400.0)
    hour = graph.add("Div", minus(seconds, 86_400.0, days), number(3600.0))
    since_monday = graph.add("Add", days, number(3.0))
    weekday = minus(since_monday, 7.0, floor(since_monday, 7.0))
    day = graph.add("Add", _cut(graph, days, "most days", 2.0**40), number(719_468.0))  # since 0000-03-01
    of_era = minus(day, 146_097.0, floor(day, 146_097.0))  # of 400 years
    leap = graph.add("Sub", floor(of_era, 1460.0), floor(of_era, 36_524.0))
    leap = graph.add("Add", leap, floor(of_era, 146_096.0))
    year = floor(graph.add("Sub", of_era, leap), 365.0)
    of_year = graph.add("Add", minus(of_era, 365.0, year), floor(year, 100.0))
    of_year = graph.add("Sub", of_year, floor(year, 4.0))
    five = graph.add("Add", graph.add("Mul", number(5.0), of_year), number(2.0))
    since_march = floor(five, 153.0)
    month = graph.add("Add", since_march, number(3.0))
    late = graph.add("Greater", month, number(12.0))
    month = graph.add("Where", late, graph.add("Sub", month, number(12.0)), month)
    return [month, weekday, hour]


def _category(graph: Graph, name: str, encoded: CategoryColumn) -> str:
    """Add an input per level, or one of ±1 for a pair; what is no level is 0."""
    levels = list(encoded.levels)
    if encoded.pair:
        code = graph.add(
            "LabelEncoder",
            name,
            domain=_ML,
            keys_strings=levels,
            values_floats=[-1.0, 1.0],
            default_float=0.0,
        )
        return graph.add("Cast", code, to=graph.real)
    one_hot = graph.add("OneHotEncoder", name, domain=_ML, cats_strings=levels, zeros=1)
    return graph.add("Cast", graph.add("Flatten", one_hot, axis=1), to=graph.real)


def _boolean(graph: Graph, name: str, encoded: CategoryColumn) -> str:
    """Add the encoding of 0 and 1 as the texts "False" and "True"."""
    rows = RawRows([encoded.codes(["False", "True"])], [encoded], 2).inputs().encoded("float64")
    values = [graph.number(f"level {k} of {name}", rows[k : k + 1]) for k in range(2)]
    no = graph.add("Equal", name, _double(graph, "zero", 0.0))
    found = graph.add("Where", no, *values)
    return graph.add("Where", graph.add("IsNaN", name), graph.number("no level", 0.0), found)


def _double(graph: Graph, name: str, value: float) -> str:
    """Add a number in float64."""
    return graph.constant(f"double {name}", np.array(value))


def _cut(graph: Graph, x: str, name: str, most: float) -> str:
    """Add the cut to ± a number."""
    return graph.add("Clip", x, _double(graph, f"-{name}", -most), _double(graph, name, most))


def _gathered(graph: Graph, x: str, name: str, columns: list[int]) -> str:
    """Add the choice of some columns."""
    return graph.add("Gather", x, graph.constant(name, np.array(columns, np.int64)), axis=1)
