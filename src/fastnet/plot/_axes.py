"""The axes that a plot is drawn on: matplotlib is imported here alone, and only when something is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fastnet._optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BLUE", "ORANGE", "axes_or_new", "new_figure"]

BLUE, ORANGE = "#2f7fd0", "#d9772b"  # at least 3:1 on white and on black (WCAG 2.2, 1.4.11)


def new_figure(figsize: tuple[float, float] | None = None) -> Figure:
    """Return an empty matplotlib figure that opens no window, for saving to a file.

    Parameters
    ----------
    figsize : (float, float), optional
        Width and height in inches; matplotlib's own by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.

    Examples
    --------
    >>> from fastnet.plot import new_figure
    >>> ax = new_figure().subplots()  # doctest: +SKIP
    """
    figure: Figure = import_optional("matplotlib.figure", "drawing", extra="plot").Figure(
        figsize=figsize, layout="constrained"
    )
    return figure


def axes_or_new(ax: Any) -> Axes:
    """Return the axes that were given, or those of a new figure of pyplot."""
    if ax is not None:
        return cast("Axes", ax)
    pyplot = import_optional("matplotlib.pyplot", "drawing", extra="plot")
    return cast("Axes", pyplot.figure(layout="constrained").subplots())
