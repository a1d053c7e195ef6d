"""What a network of two features answers in the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastnet import _validate
from fastnet._validate import Array
from fastnet.plot._axes import axes_or_new
from fastnet.plot._network import checked_network

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DecisionBoundaryDisplay"]

_MARKERS = "xosD^vP*"
_MOST_CLASSES = 8  # each with a colour and a marker of its own


class DecisionBoundaryDisplay:
    """What a network of two features answers at each point of the plane, with the points of the data.

    For classes, an area of its own colour for each; for one sigmoid also the line at one half. For a
    regression, lines of equal value. Make one with `from_network`.

    Parameters
    ----------
    x0, x1 : ndarray, shape (grid, grid)
        The points of the plane, as `numpy.meshgrid` gives them.
    response : ndarray, shape (grid, grid)
        The number of the class, or for one sigmoid and regressions the output.
    output : {"binary", "multiclass", "regression"}
    labels : sequence of str
        Names of the classes; empty for a regression.
    names : (str, str)
        Names of the two features.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    surface_ : matplotlib.contour.QuadContourSet
    points_ : list
        What was drawn for the data.

    Examples
    --------
    >>> import fastnet as fn
    >>> from fastnet.plot import DecisionBoundaryDisplay
    >>> X = [[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]
    >>> net = fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)], seed=0)
    >>> history = net.fit(X, [0, 1, 1, 0], epochs=2000)
    >>> display = DecisionBoundaryDisplay.from_network(net, X, [0, 1, 1, 0])  # doctest: +SKIP
    """

    ax_: Axes
    figure_: Figure | Any
    surface_: Any
    points_: list[Any]

    def __init__(
        self,
        x0: Array,
        x1: Array,
        response: Array,
        *,
        output: str = "binary",
        labels: tuple[str, ...] = (),
        names: tuple[str, str] = ("feature 0", "feature 1"),
    ) -> None:
        self.x0, self.x1, self.response = x0, x1, response
        self.output, self.labels, self.names = output, labels, names

    @classmethod
    def from_network(
        cls,
        network: Any,
        X: ArrayLike,
        T: ArrayLike | None = None,
        *,
        grid_resolution: int = 100,
        margin: float = 0.1,
        ax: Axes | None = None,
    ) -> Self:
        """Draw what a network answers around the examples X, and return the display.

        Parameters
        ----------
        network : Network
            Of two features, and with one output or a softmax.
        X : array_like, shape (2, n)
            At least one example, one in each column. They say which part of the plane is drawn.
        T : array_like, optional
            Targets as for `Network.fit`: the examples are then drawn too, those of a class alike.
        grid_resolution : int
            Points along each side at which the network is asked.
        margin : float
            How far the plane goes beyond the examples, as a part of their range.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default axes of a new figure of pyplot.

        Returns
        -------
        DecisionBoundaryDisplay

        Raises
        ------
        ValueError, TypeError
            If the network has not two features or has several outputs that are no classes; if X or T do not
            fit it.
        ImportError
            If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.

        Examples
        --------
        >>> from fastnet.plot import DecisionBoundaryDisplay
        >>> DecisionBoundaryDisplay.from_network(net, X, T)  # doctest: +SKIP
        """
        sizes, output = checked_network(network).sizes, network.output
        if sizes[0] != 2:
            raise ValueError(f"network must have 2 features for a plane, got {sizes[0]}")
        if output == "multilabel" or (output == "regression" and sizes[-1] > 1):
            raise ValueError(f"network must have one output or a softmax, got {sizes[-1]} outputs: {output}")
        points, targets = _validate.examples(X, 2, network.dtype, at_least=1), None
        if T is not None:
            plain = network.layers[-1].activation == "logistic"  # which has no usual loss
            found = network.checked_targets(T, points.shape[1], "squared_error" if plain else None)
            targets = found.argmax(axis=0) if output == "multiclass" else found[0]
        count = _validate.integer(grid_resolution, "grid_resolution", 2)
        margin = _validate.number(margin, "margin", at_least=0)
        low, high = points.min(axis=1), points.max(axis=1)
        room = np.where(high > low, (high - low) * margin, 1.0)
        along = np.linspace(low - room, high + room, count)
        x0, x1 = np.meshgrid(along[:, 0], along[:, 1])
        A = network.predict_proba(np.stack([x0.ravel(), x1.ravel()]).astype(network.dtype))
        response = (A.argmax(axis=0) if output == "multiclass" else A[0]).reshape(x0.shape)
        labels: tuple[str, ...] = ()
        if output != "regression":
            classes = range(max(2, sizes[-1])) if network.classes is None else network.classes
            labels = tuple(map(str, classes))
        names = network.feature_names or ("feature 0", "feature 1")
        display = cls(x0, x1, response, output=output, labels=labels, names=names).plot(ax)
        if targets is not None:
            display.scatter(points, targets)
        return display

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the areas, without points, and return this display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default axes of a new figure of pyplot.

        Returns
        -------
        DecisionBoundaryDisplay

        Raises
        ------
        ImportError
            If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.
        """
        ax = axes_or_new(ax)
        x0, x1, response = self.x0, self.x1, self.response
        if self.output == "regression":
            self.surface_ = ax.contourf(x0, x1, response, 12, alpha=0.8)
            figure: Any = ax.figure
            figure.colorbar(self.surface_, ax=ax, label="output")
        elif self.output == "binary":
            levels, colors = [-np.inf, 0.5, np.inf], ["C0", "C1"]
            self.surface_ = ax.contourf(x0, x1, response, levels, colors=colors, alpha=0.25)
            if response.min() < 0.5 < response.max():
                ax.contour(x0, x1, response, [0.5], colors=[ax.xaxis.label.get_color()], linewidths=1.5)
        else:
            count = len(self.labels)
            colors = [f"C{k % 10}" for k in range(count)]
            levels = [k - 0.5 for k in range(count + 1)]
            self.surface_ = ax.contourf(x0, x1, response, levels, colors=colors, alpha=0.25)
        ax.set(xlabel=self.names[0], ylabel=self.names[1])
        self.ax_, self.figure_, self.points_ = ax, ax.figure, []
        return self

    def scatter(self, X: Array, T: Array) -> Self:
        """Add examples to the drawing: those of a class in one colour and shape.

        Parameters
        ----------
        X : ndarray, shape (2, n)
        T : ndarray, shape (n,)
            Numbers of classes, or the values of a regression.

        Returns
        -------
        DecisionBoundaryDisplay
        """
        if self.output == "regression":
            low, high = self.surface_.get_clim()
            self.points_.append(
                self.ax_.scatter(X[0], X[1], c=T, vmin=low, vmax=high, edgecolors="black", s=20)
            )
            return self
        for k, label in enumerate(self.labels):
            marker = _MARKERS[k % _MOST_CLASSES]
            own = X[:, k == T]
            self.points_ += self.ax_.plot(*own, marker, color=f"C{k % 10}", ms=4, label=label)
        self.ax_.legend()
        return self
