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
    """Draw the curves of a training, and return the axes.

    The loss and the validation loss have the left scale, which is logarithmic. Metrics have a scale of their
    own on the right. With early stopping a line marks the epoch whose weights the network was given.

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

    See Also
    --------
    fastnet.History.plot : The same as a method.

    Examples
    --------
    >>> from fastnet.plot import plot_history
    >>> ax = plot_history(net.fit(X, T))  # doctest: +SKIP
    """
    if ax is None:
        pyplot = import_optional("matplotlib.pyplot", "drawing", extra="plot")
        ax = cast("Axes", pyplot.figure(layout="constrained").subplots())
    epochs = range(1, len(history.loss) + 1)
    lines = ax.plot(epochs, history.loss, label="loss")
    if history.validation_loss:
        lines += ax.plot(epochs, history.validation_loss, label="validation loss")
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
        ax.legend(handles=lines)
    return ax
