"""What a fit is: epochs, the history they leave, the progress they show, and when to give up.

No array arithmetic happens here. `run` drives a trainer of the core, which owns its copy of the weights; what
becomes of these afterwards is the caller's business, so a fit that fails has changed nothing.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastnet._core import engine
from fastnet._validate import Array

__all__ = ["DivergenceError", "History", "run"]

_UPDATES_PER_SECOND = 10


class DivergenceError(ValueError):
    """A fit whose weights or cost stopped being finite; the network keeps its weights of before that fit."""


@dataclass(repr=False)
class History:
    """What a fit went through, one entry per epoch.

    Attributes
    ----------
    loss : list of float
        Mean cost of the examples, each taken when its batch was visited: the weights change in between.
    seconds : list of float
        Wall time of the epoch, shuffle included.

    Examples
    --------
    >>> from fastnet import History
    >>> History(loss=[0.7, 0.5], seconds=[0.001, 0.001])
    History: 2 epochs in 0.002 s, loss 0.7 -> 0.5
    """

    loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __repr__(self) -> str:
        if not self.loss:
            return "History: no epochs"
        epochs = f"{len(self.loss)} epoch" + "s" * (len(self.loss) > 1)
        return (
            f"History: {epochs} in {sum(self.seconds):.3g} s, loss {self.loss[0]:.6g} -> {self.loss[-1]:.6g}"
        )


class Display(Protocol):
    """Shows how far a fit is; called once per epoch."""

    def update(self, done: int, loss: float) -> None: ...


def run(
    trainer: engine.Trainer,
    X: Array,
    T: Array,
    *,
    epochs: int,
    learning_rate: float,
    shuffle: bool,
    seed: int,
    progress: bool,
) -> History:
    """Train for some epochs and return their history.

    Parameters
    ----------
    trainer : engine.Trainer
        Holds the weights, which it changes.
    X : ndarray, shape (n_in, n)
    T : ndarray, shape (n_out, n)
    epochs : int
    learning_rate : float
        A batch changes the weights by −learning_rate times the gradient of its mean cost.
    shuffle : bool
        Visit the examples in an order drawn anew from (seed, epoch); otherwise from the first to the last.
    seed : int
    progress : bool
        Show a line on stderr.

    Returns
    -------
    History

    Raises
    ------
    DivergenceError
        After the first epoch that leaves a weight or the cost not finite.
    """
    n = X.shape[1]
    history = History()
    with _display(epochs, progress) as display:
        for epoch in range(epochs):
            start = time.perf_counter()
            order = engine.permutation(n, seed, epoch) if shuffle else None
            loss = trainer.epoch(X, T, order, learning_rate) / n
            history.seconds.append(time.perf_counter() - start)
            history.loss.append(loss)
            if not (math.isfinite(loss) and trainer.finite()):
                raise DivergenceError(
                    f"fit diverged in epoch {epoch + 1} of {epochs} with learning_rate={learning_rate:g}: "
                    "the weights or the cost are no longer finite. The network keeps its weights of before "
                    "this fit; try a smaller learning_rate or inputs scaled to a similar range"
                )
            if display is not None:
                display.update(epoch + 1, loss)
    return history


@contextmanager
def _display(epochs: int, progress: bool) -> Iterator[Display | None]:
    """Give the display of one fit, and leave the terminal on a line of its own however the fit ends."""
    if not progress:
        yield None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        lines = _Lines(epochs)
        try:
            yield lines
        finally:
            lines.close()
        return
    with tqdm(total=epochs, unit="epoch", mininterval=1 / _UPDATES_PER_SECOND, file=sys.stderr) as bar:
        yield _Bar(bar)


class _Bar:
    """A bar of tqdm, which spaces its own updates."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def update(self, done: int, loss: float) -> None:
        self._bar.set_postfix_str(f"loss {loss:.6g}", refresh=False)
        self._bar.update(done - self._bar.n)


class _Lines:
    """Plain text: one line that is rewritten on a terminal, or line after line in a file."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._start = time.monotonic()
        self._next = 0.0
        self._open = False
        self._rewrite = sys.stderr.isatty()

    def update(self, done: int, loss: float) -> None:
        now = time.monotonic()
        if now < self._next and done < self._epochs:
            return
        self._next = now + 1 / _UPDATES_PER_SECOND
        width = len(str(self._epochs))
        text = f"epoch {done:{width}}/{self._epochs}  loss {loss:<11.6g} {now - self._start:6.1f} s"
        print(
            f"\r{text}" if self._rewrite else text,
            end="" if self._rewrite else "\n",
            file=sys.stderr,
            flush=True,
        )
        self._open = self._rewrite

    def close(self) -> None:
        if self._open:
            print(file=sys.stderr, flush=True)
