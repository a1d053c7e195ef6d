"""The curves of a training: loss, validation loss and metrics by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from fastnet.history import History
from fastnet.plot._axes import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LossCurveDisplay"]


class LossCurveDisplay:
    """The loss of a training by epoch, with its validation loss and metrics.

    Make one with `from_history`, in the manner of scikit-learn's displays.

    Parameters
    ----------
    history : History
        What `Network.fit` returned.

    Attributes
    ----------
    history : History
    ax_ : matplotlib.axes.Axes
        Where it was drawn last; its left scale.
    figure_ : matplotlib.figure.Figure
    lines_ : list of matplotlib.lines.Line2D
        All curves, with that of the best epoch.

    See Also
    --------
    fastnet.History.plot : The same as a method of what `fit` returns.

    Examples
    --------
    >>> from fastnet.plot import LossCurveDisplay
    >>> display = LossCurveDisplay.from_history(net.fit(X, T))  # doctest: +SKIP
    >>> display.figure_.savefig("loss.png")  # doctest: +SKIP
    """

    ax_: Axes
    figure_: Figure | Any
    lines_: list[Any]

    def __init__(self, history: History) -> None:
        if not isinstance(history, History):
            raise TypeError(f"history must be a History, got {type(history).__name__}")
        self.history = history

    @classmethod
    def from_history(cls, history: History, *, ax: Axes | None = None) -> Self:
        """Draw the curves of a training and return the display.

        Parameters
        ----------
        history : History
            What `Network.fit` returned.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default axes of a new figure of pyplot.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        TypeError
            If `history` is no History.
        ImportError
            If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.

        Examples
        --------
        >>> from fastnet.plot import LossCurveDisplay
        >>> LossCurveDisplay.from_history(net.fit(X, T)).ax_.set_title("loss")  # doctest: +SKIP
        """
        return cls(history).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the curves, and return this display.

        The loss and the validation loss have the left scale, which is logarithmic. Metrics have a scale of
        their own on the right. With early stopping a line marks the epoch whose weights the network was
        given.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default axes of a new figure of pyplot.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.
        """
        history = self.history
        ax = axes_or_new(ax)
        epochs = range(1, len(history.loss) + 1)
        lines = ax.plot(epochs, history.loss, label="loss")
        if history.validation_loss:
            lines += ax.plot(epochs, history.validation_loss, label="validation loss")
        if history.calibrated_loss:
            lines += ax.plot(epochs, history.calibrated_loss, label="calibrated loss")
        ax.set_yscale("log")
        ax.set_xlabel("epoch")
        ax.set_ylabel("mean cost" if history.validation_loss else "mean cost while training")
        ax.grid(True, which="both", alpha=0.3)
        best = history.best_epoch
        if best is not None and best <= len(history.loss):
            lines.append(ax.axvline(best, color="grey", linestyle=":", label=f"best epoch, {best}"))
        if history.metrics:
            right = ax.twinx()
            right.set_ylabel("metrics")
            for k, (name, values) in enumerate(history.metrics.items(), start=2):
                label = name.replace("_", " ")
                lines += right.plot(epochs, values, "--", color=f"C{k % 10}", label=label)
        if len(lines) > 1:
            # above, where there are two scales: matplotlib would look for room among the lines of one alone
            above: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2}
            ax.legend(handles=lines, **(above if history.metrics else {}))
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, lines
        return self
