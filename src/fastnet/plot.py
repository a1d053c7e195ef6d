"""Plots of a training. The only file that imports matplotlib, and only when something is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fastnet._optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastnet.history import History

__all__ = ["new_figure", "plot_history"]


def new_figure() -> Figure:
    """Return an empty matplotlib figure that opens no window, for saving to a file.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    figure: Figure = import_optional("matplotlib.figure", "drawing", extra="plot").Figure(
        layout="constrained"
    )
    return figure


def plot_history(history: History, ax: Axes | None = None) -> Axes:
    """Draw the loss of each epoch on a logarithmic scale, and return the axes.

    Parameters
    ----------
    history : History
        What `Network.fit` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of a new figure of pyplot.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.

    Examples
    --------
    >>> from fastnet.plot import plot_history
    >>> ax = plot_history(net.fit(X, T))  # doctest: +SKIP
    """
    if ax is None:
        pyplot = import_optional("matplotlib.pyplot", "drawing", extra="plot")
        ax = cast("Axes", pyplot.figure(layout="constrained").subplots())
    ax.plot(range(1, len(history.loss) + 1), history.loss)
    ax.set_yscale("log")
    ax.set_xlabel("epoch")
    ax.set_ylabel("mean cost while training")
    ax.grid(True, which="both", alpha=0.3)
    return ax
