"""The drawing of a network: units as circles, weights as lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from fastnet import _validate
from fastnet.plot._axes import BLUE, ORANGE, axes_or_new
from fastnet.plot._diagram import GREEN, Described, captions, columns, drawn_weights, unit_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["NetworkDisplay", "checked_network"]

_ACROSS = 3.0  # from layer to layer, where units are 1 apart
_FEWEST = 3


def checked_network(network: Any) -> Any:
    """Return a network; TypeError for anything else."""
    # Network itself would be an import in a circle
    if not hasattr(network, "core_arguments") or isinstance(network, type):
        raise TypeError(f"network must be a Network, got {type(network).__name__}")
    return network


class NetworkDisplay:
    """A network as the notes draw it: a circle for each unit, a line for each weight.

    The thicker a line, the larger the weight beside the others of its layer; a negative one is dashed. Of a
    wide layer the first units and the last one are drawn. Make one with `from_network`.

    Parameters
    ----------
    network : Network
    most_units : int
        Of a layer, at least 3.

    Attributes
    ----------
    network : Network
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    lines_ : list of matplotlib.lines.Line2D
        A line for each weight that is drawn.

    Examples
    --------
    >>> import fastnet as fn
    >>> from fastnet.plot import NetworkDisplay
    >>> net = fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)])
    >>> display = NetworkDisplay.from_network(net)  # doctest: +SKIP
    """

    ax_: Axes
    figure_: Figure | Any
    lines_: list[Any]

    def __init__(self, network: Described, *, most_units: int = 10) -> None:
        self.network: Described = checked_network(network)
        self.most_units = _validate.integer(most_units, "most_units", _FEWEST)

    @classmethod
    def from_network(cls, network: Described, *, most_units: int = 10, ax: Axes | None = None) -> Self:
        """Draw a network and return the display.

        Parameters
        ----------
        network : Network
        most_units : int
            Of a layer, at least 3.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default axes of a new figure of pyplot.

        Returns
        -------
        NetworkDisplay

        Raises
        ------
        TypeError
            If `network` is no Network.
        ImportError
            If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.

        Examples
        --------
        >>> from fastnet.plot import NetworkDisplay
        >>> NetworkDisplay.from_network(net).figure_.savefig("net.svg")  # doctest: +SKIP
        """
        return cls(network, most_units=most_units).plot(ax)

    def plot(self, ax: Axes | None = None, *, labels: Sequence[str] | None = None) -> Self:
        """Draw the network, and return this display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default axes of a new figure of pyplot.
        labels : sequence of str, optional
            Texts above the input and each layer, in place of activation and shape.

        Returns
        -------
        NetworkDisplay

        Raises
        ------
        ValueError
            If there are not as many labels as columns.
        ImportError
            If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.
        """
        network = self.network
        places = columns(network.sizes, self.most_units)
        texts = ["\n".join(lines) for lines in captions(network)] if labels is None else list(labels)
        if len(texts) != len(places):
            raise ValueError(f"labels must be {len(places)}, for the input and each layer, got {len(texts)}")
        ax = axes_or_new(ax)
        ink = ax.xaxis.label.get_color()
        self.lines_ = []
        for weight in drawn_weights(network, places):
            ends = [_ACROSS * weight.k, _ACROSS * (weight.k + 1)]
            heights = [places[weight.k].heights[weight.start], places[weight.k + 1].heights[weight.end]]
            style = ("-", BLUE) if weight.value >= 0 else ("--", ORANGE)
            self.lines_ += ax.plot(
                ends, heights, style[0], color=style[1], lw=0.5 + 2 * weight.strength, alpha=0.8, zorder=1
            )
        names_in, names_out = unit_names(network)
        last, top = len(places) - 1, max(column.heights[0] for column in places)
        size = max(6.0, min(24.0, 120.0 / (top + 1)))  # points: circles of many units must not touch
        for k, column in enumerate(places):
            color = GREEN if k == 0 else ORANGE if k == last else BLUE
            x = [_ACROSS * k] * len(column.units)
            ax.plot(x, column.heights, "o", ms=size, color=color, mec=ink, mew=0.8, zorder=2)
            if column.gap is not None:
                ax.text(_ACROSS * k, column.gap, "⋮", ha="center", va="center")
            ax.text(_ACROSS * k, top + 0.75, texts[k], ha="center", va="bottom")
        for names, k, side, align in ((names_in, 0, -1, "right"), (names_out, last, 1, "left")):
            for unit, height in zip(places[k].units, places[k].heights, strict=True):
                beside: dict[str, Any] = {"textcoords": "offset points", "xytext": (side * (size / 2 + 4), 0)}
                ax.annotate(names[unit], (_ACROSS * k, height), ha=align, va="center", **beside)
        ax.set_axis_off()
        ax.set(xlim=(-1.8, _ACROSS * last + 1.8), ylim=(-top - 0.8, top + 2.0))
        self.ax_, self.figure_ = ax, ax.figure
        return self
