"""The weights of one layer as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastnet import _validate
from fastnet._validate import Array
from fastnet.plot._axes import axes_or_new
from fastnet.plot._diagram import Described
from fastnet.plot._network import checked_network

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["WeightsDisplay"]

_MOST_NAMES = 30


class WeightsDisplay:
    """The weights of one layer: a row for each of its units, a column for each input, colours for the values.

    White is 0; red is positive and blue negative. Make one with `from_network`.

    Parameters
    ----------
    W : array_like, shape (n_out, n_in)
    feature_names : sequence of str, optional
        Of the columns.
    title : str, optional

    Attributes
    ----------
    W : ndarray, shape (n_out, n_in)
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    image_ : matplotlib.image.AxesImage

    Examples
    --------
    >>> import fastnet as fn
    >>> from fastnet.plot import WeightsDisplay
    >>> net = fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)])
    >>> display = WeightsDisplay.from_network(net)  # doctest: +SKIP
    """

    ax_: Axes
    figure_: Figure | Any
    image_: Any

    def __init__(
        self, W: ArrayLike, *, feature_names: tuple[str, ...] | None = None, title: str = ""
    ) -> None:
        self.W: Array = _validate.matrix(W, "W", "(n_out, n_in)")
        self.feature_names = feature_names
        self.title = title
        if feature_names is not None and len(feature_names) != self.W.shape[1]:
            raise ValueError(f"feature_names must be {self.W.shape[1]}, got {len(feature_names)}")

    @classmethod
    def from_network(cls, network: Described, layer: int = 0, *, ax: Axes | None = None) -> Self:
        """Draw the weights of one layer of a network, and return the display.

        Parameters
        ----------
        network : Network
        layer : int
            Its number from 0; negative ones count from the last.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default axes of a new figure of pyplot.

        Returns
        -------
        WeightsDisplay

        Raises
        ------
        ValueError, TypeError
            If there is no such layer, or `network` is no Network.
        ImportError
            If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.

        Examples
        --------
        >>> from fastnet.plot import WeightsDisplay
        >>> WeightsDisplay.from_network(net, layer=-1).ax_.set_title("output layer")  # doctest: +SKIP
        """
        count = len(checked_network(network).layers)
        number = _validate.integer(layer, "layer", -count, count) % count
        found = network.layers[number]
        names = network.feature_names if number == 0 else None
        return cls(found.W, feature_names=names, title=f"W of layer {number + 1}, {found.activation}").plot(
            ax
        )

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the weights, and return this display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default axes of a new figure of pyplot.

        Returns
        -------
        WeightsDisplay

        Raises
        ------
        ImportError
            If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.
        """
        ax = axes_or_new(ax)
        n_out, n_in = self.W.shape
        limit = float(np.abs(self.W).max()) or 1.0
        self.image_ = ax.imshow(
            self.W, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
        )
        ax.set(xlabel="input", ylabel="unit", title=self.title)
        if self.feature_names is not None and n_in <= _MOST_NAMES:
            ax.set_xticks(range(n_in), self.feature_names, rotation=90 if n_in > 5 else 0)
        elif n_in <= 10:
            ax.set_xticks(range(n_in))
        if n_out <= 10:
            ax.set_yticks(range(n_out))
        figure: Any = ax.figure
        figure.colorbar(self.image_, ax=ax)
        self.ax_, self.figure_ = ax, figure
        return self
