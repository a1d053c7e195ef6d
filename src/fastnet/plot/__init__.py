"""Plots with matplotlib: loss curve, decision boundary, weights, network, benchmark.

Each is a display in the manner of scikit-learn's: ``from_…`` draws it and returns it, ``plot(ax)`` draws it
again, ``ax_`` and ``figure_`` are what it was drawn on. matplotlib is imported when something is drawn;
``pip install "fastnet-mlp[plot]"`` brings it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnet.plot._axes import new_figure
from fastnet.plot._benchmark import BenchmarkDisplay
from fastnet.plot._decision_boundary import DecisionBoundaryDisplay
from fastnet.plot._diagram import network_html as network_html  # for Network._repr_html_
from fastnet.plot._loss_curve import LossCurveDisplay
from fastnet.plot._network import NetworkDisplay
from fastnet.plot._weights import WeightsDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastnet.history import History

__all__ = [
    "BenchmarkDisplay",
    "DecisionBoundaryDisplay",
    "LossCurveDisplay",
    "NetworkDisplay",
    "WeightsDisplay",
    "new_figure",
    "plot_history",
]


def plot_history(history: History, ax: Axes | None = None) -> Axes:
    """Draw the curves of a training, and return the axes.

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
    TypeError
        If `history` is no History.
    ImportError
        If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.

    See Also
    --------
    LossCurveDisplay : What is drawn.
    fastnet.History.plot : The same as a method.

    Examples
    --------
    >>> from fastnet.plot import plot_history
    >>> ax = plot_history(net.fit(X, T))  # doctest: +SKIP
    """
    return LossCurveDisplay.from_history(history, ax=ax).ax_
