"""How a network is drawn: where its units are, and the drawing as SVG or a table for HTML pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastnet.plot._axes import BLUE, ORANGE

__all__ = [
    "Column",
    "Described",
    "Weight",
    "captions",
    "columns",
    "drawn_weights",
    "is_small",
    "network_html",
    "unit_names",
]

MOST_UNITS, MOST_LAYERS, MOST_WEIGHTS = 10, 5, 120  # of a network that HTML shows as a drawing
GREEN = "#2e9e6b"
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
LONGEST = 14  # letters of a name beside a unit
DASHES = "5 3"  # of a negative weight, which is not told by its colour alone


class Described(Protocol):
    """What a drawing needs to know of a `fastnet.Network`."""

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layers, each with W, n_in, n_out and activation."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Width of the input and of each layer's output."""

    @property
    def output(self) -> str:
        """What comes out: "binary", "multilabel", "multiclass" or "regression"."""

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the inputs, or None."""

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """What the outputs stand for, or None."""


class Column(NamedTuple):
    """The units of one layer: the numbers of those that are drawn, and how high each is; 0 is the middle."""

    units: list[int]
    heights: list[float]
    gap: float | None  # the height of the sign for units that are left out


class Weight(NamedTuple):
    """One line of a drawing: from unit `start` of layer `k` (0: the input) to unit `end` of the next."""

    k: int
    start: int
    end: int
    value: float
    strength: float  # its size as a part of the layer's largest


def columns(sizes: Sequence[int], most: int = MOST_UNITS) -> list[Column]:
    """Return where the units of each layer are; of wide layers the first ones and the last one.

    >>> columns((2, 1))
    [Column(units=[0, 1], heights=[0.5, -0.5], gap=None), Column(units=[0], heights=[0.0], gap=None)]
    """
    found = []
    for n in sizes:
        if n <= most:
            found.append(Column(list(range(n)), [(n - 1) / 2 - j for j in range(n)], None))
            continue
        top = (most - 1) / 2
        heights = [top - j for j in range(most - 2)]
        found.append(Column([*range(most - 2), n - 1], [*heights, -top], 1 - top))
    return found


def drawn_weights(network: Described, places: Sequence[Column]) -> Iterator[Weight]:
    """Give the weights between the units that are drawn, layer by layer."""
    for k, (layer, (before, after)) in enumerate(zip(network.layers, pairwise(places), strict=True)):
        W = np.asarray(layer.W, np.float64)
        largest = float(np.abs(W).max()) or 1.0
        for i, start in enumerate(before.units):
            for j, end in enumerate(after.units):
                value = float(W[end, start])
                yield Weight(k, i, j, value, abs(value) / largest)


def captions(network: Described) -> list[tuple[str, str]]:
    """Return two lines of text for each column: its name with the activation, and the shape."""
    found = [("X", f"{network.sizes[0]} × n")]
    for k, layer in enumerate(network.layers, start=1):
        found.append((f"A⁽{str(k).translate(RAISED)}⁾, {layer.activation}", f"{layer.n_out} × n"))
    return found


def unit_names(network: Described) -> tuple[list[str], list[str]]:
    """Return the names of the inputs and of the outputs; empty where a unit has none."""
    n_in, n_out = network.sizes[0], network.sizes[-1]
    features = network.feature_names or tuple(f"x{str(k + 1).translate(LOWERED)}" for k in range(n_in))
    outputs = [""] * n_out
    if network.classes is not None and network.output in ("multiclass", "multilabel"):
        outputs = [str(label) for label in network.classes]
    return [_short(name) for name in features], [_short(name) for name in outputs]


def is_small(sizes: Sequence[int]) -> bool:
    """Return whether a network is small enough for HTML to show it as a drawing."""
    weights = sum(n_in * n_out for n_in, n_out in pairwise(sizes))
    return len(sizes) <= MOST_LAYERS and max(sizes) <= MOST_UNITS and weights <= MOST_WEIGHTS


def network_html(network: Described, title: str, table: Sequence[Sequence[str]]) -> str:
    """Return a network for notebooks and pages: a drawing if it is small, and a table of its layers.

    Parameters
    ----------
    network : Network
    title : str
        One line on all of it.
    table : sequence of rows
        A head, and a row for each layer.

    Returns
    -------
    str
        HTML that needs no script and no style of its own: text and lines have the colour of the page's text,
        light or dark. All names are escaped.
    """
    head, *rows = ([escape(cell) for cell in row] for row in table)
    lines = [f"<caption>{escape(title)}</caption>"]
    lines.append("<thead><tr>" + "".join(f'<th scope="col">{cell}</th>' for cell in head) + "</tr></thead>")
    lines += ["<tbody>", *("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)]
    text = "\n".join(["<table>", *lines, "</tbody></table>"])
    if not is_small(network.sizes):
        return text
    return f"{_svg(network, title)}\n<details><summary>Layers</summary>\n{text}\n</details>"


ACROSS, DOWN, RADIUS, MARGIN, HEAD = 160, 44, 16, 60, 64  # pixels


def _svg(network: Described, title: str) -> str:
    """Return the drawing of a small network as an inline SVG."""
    places = columns(network.sizes)
    names_in, names_out = unit_names(network)
    width = 2 * MARGIN + ACROSS * (len(places) - 1)
    if any(names_out):
        width += MARGIN
    left = MARGIN
    if network.feature_names is not None:
        left, width = left + MARGIN, width + MARGIN
    height = HEAD + DOWN * max(map(len, (place.units for place in places))) + 24
    middle = HEAD + (height - 24 - HEAD) / 2

    def at(k: int, unit: int) -> tuple[float, float]:
        return left + ACROSS * k, middle - DOWN * places[k].heights[unit]

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" width="{width}" '
        'style="max-width: 100%; height: auto; background: none" fill="currentColor" '
        'font-family="sans-serif" font-size="13" text-anchor="middle">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(_description(network))}</desc>",
    ]
    for weight in drawn_weights(network, places):
        (x1, y1), (x2, y2) = at(weight.k, weight.start), at(weight.k + 1, weight.end)
        color = BLUE if weight.value >= 0 else ORANGE
        dashes = "" if weight.value >= 0 else f' stroke-dasharray="{DASHES}"'
        raised = str(weight.k + 1).translate(RAISED)
        told = f"W⁽{raised}⁾[{weight.end}, {weight.start}] = {weight.value:.4g}"
        lines.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{color}"{dashes} '
            f'stroke-width="{0.6 + 2.4 * weight.strength:.2f}"><title>{told}</title></line>'
        )
    last = len(places) - 1
    for k, (column, caption) in enumerate(zip(places, captions(network), strict=True)):
        color = GREEN if k == 0 else ORANGE if k == last else BLUE
        for unit in range(len(column.units)):
            x, y = at(k, unit)
            lines.append(f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS}" fill="{color}" stroke="currentColor"/>')
        x = left + ACROSS * k
        for row, part in enumerate(caption):
            lines.append(f'<text x="{x}" y="{20 + 18 * row}">{escape(part)}</text>')
        if k < last:
            layer = network.layers[k]
            raised = str(k + 1).translate(RAISED)
            told = f"W⁽{raised}⁾ {layer.n_out} × {layer.n_in}"
            lines.append(f'<text x="{x + ACROSS / 2:g}" y="{height - 8}" font-size="12">{told}</text>')
    for unit, name in enumerate(names_in):
        x, y = at(0, unit)
        place = f'x="{x - RADIUS - 6:g}" text-anchor="end"' if network.feature_names else f'x="{x:g}"'
        color = "" if network.feature_names else ' fill="#000"'
        lines.append(f'<text {place} y="{y + 4.5:g}"{color}>{escape(name)}</text>')
    for unit, name in enumerate(names_out):
        x, y = at(last, unit)
        if name:
            lines.append(
                f'<text x="{x + RADIUS + 6:g}" y="{y + 4.5:g}" text-anchor="start">{escape(name)}</text>'
            )
    return "\n".join([*lines, "</svg>"])


def _description(network: Described) -> str:
    """Return what someone who does not see the drawing should know."""
    units = ", ".join(
        f"{layer.n_out} {layer.activation} unit{'s' * (layer.n_out > 1)}" for layer in network.layers
    )
    n_in = network.sizes[0]
    return (
        f"{n_in} input{'s' * (n_in > 1)}, then layers of {units}. A line for each weight: the thicker, the "
        "larger; dashed and orange where it is negative."
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
