"""History: loss, time and metrics of each epoch of a fit, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["DivergenceError", "History"]

DONE = "all epochs done"


class DivergenceError(ValueError):
    """A fit whose weights or cost stopped being finite; the network keeps its weights of before that fit."""


@dataclass(repr=False)
class History:
    """What a fit went through, one entry per epoch.

    Attributes
    ----------
    loss : list of float
        Mean cost of the examples, each taken when its batch was visited: the weights change in between, and
        dropout and `l2` have their part in it.
    seconds : list of float
        Wall time of the epoch, shuffle included; without validation, metrics and callbacks.
    validation_loss : list of float
        Mean cost of the validation data after the epoch, nothing dropped and no `l2`; empty without such
        data.
    learning_rate : list of float
        That of the epoch's last batch; empty with L-BFGS.
    metrics : dict of str to list of float
        Each metric asked for, after the epoch, on the data trained on; with validation data also on those,
        as ``"validation_" + name``.
    best_epoch : int or None
        With early stopping the epoch, from 1 and over all fits of the trainer, whose weights the network was
        given.
    stopped : str
        Why the fit ended.
    calibrated_loss : list of float
        With ``early_stopping="calibrated"`` the validation loss after the best temperature.

    Examples
    --------
    >>> from fastnet import History
    >>> History(loss=[0.7, 0.5], seconds=[0.001, 0.001])
    History: 2 epochs in 0.002 s, loss 0.7 -> 0.5
    """

    loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int | None = None
    stopped: str = ""
    calibrated_loss: list[float] = field(default_factory=list)

    def __repr__(self) -> str:
        if not self.loss:
            return "History: no epochs" + (f"; {self.stopped}" if self.stopped else "")
        epochs = f"{len(self.loss)} epoch" + "s" * (len(self.loss) > 1)
        curves = {"loss": self.loss, "validation loss": self.validation_loss}
        curves["calibrated loss"] = self.calibrated_loss
        curves |= {name.replace("_", " "): values for name, values in self.metrics.items()}
        parts = [f"{name} {values[0]:.6g} -> {values[-1]:.6g}" for name, values in curves.items() if values]
        if self.best_epoch is not None:
            parts.append(f"best epoch {self.best_epoch}")
        text = f"History: {epochs} in {sum(self.seconds):.3g} s, {', '.join(parts)}"
        return text if self.stopped in ("", DONE) else f"{text}; {self.stopped}"

    @property
    def watched(self) -> list[float]:
        """The loss that early stopping watches."""
        return self.calibrated_loss or self.validation_loss or self.loss

    def plot(self, ax: Any = None) -> Any:
        """Draw loss, validation loss and metrics by epoch with matplotlib, and return the axes.

        Parameters
        ----------
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
        >>> ax = net.fit(X, T, metrics=["accuracy"]).plot()  # doctest: +SKIP
        """
        from fastnet.plot import plot_history

        return plot_history(self, ax)

    def trim(self) -> None:
        """Make all lists as long as the shortest: an interrupt may come between two entries."""
        curves = [self.loss, self.seconds]
        others = (
            *(self.learning_rate, self.validation_loss, self.calibrated_loss),
            *self.metrics.values(),
        )
        curves += [values for values in others if values]
        shortest = min(map(len, curves))
        for values in curves:
            del values[shortest:]
