"""The progress bar of a fit, on standard error: at most ten updates a second.

A bar by rich if that is installed, else by tqdm, else plain text; on what is no terminal always plain text,
line after line. By default (``progress=None``) a fit is silent there, and on a terminal it shows itself only
after half a second: most fits are over by then.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

from fastnet.history import History

__all__ = ["Display", "display"]

_EVERY = 0.1  # seconds
_AFTER = 0.5


class _Style(Protocol):
    def show(self, done: int, text: str) -> None: ...

    def close(self) -> None: ...


class Display:
    """Shows how far a fit is. `due` is when to call `update` again, on the clock of time.perf_counter.

    Parameters
    ----------
    epochs : int
    wait : float
        Seconds before anything is shown.
    """

    def __init__(self, epochs: int, wait: float) -> None:
        self._epochs = epochs
        self._style: _Style | None = None
        self.due = time.perf_counter() + wait

    def update(self, done: int, history: History, now: float) -> float:
        """Show that so many epochs are done, and return when to do so again."""
        if self._style is None:
            self._style = _style(self._epochs)
        self._style.show(done, _text(history))
        self.due = now + _EVERY
        return self.due

    def close(self, done: int, history: History) -> None:
        """Leave the terminal on a line of its own, after the last state; nothing if nothing was shown."""
        if self._style is not None:
            if history.loss:
                self._style.show(done, _text(history))
            self._style.close()


def display(epochs: int, progress: bool | None) -> Display | None:
    """Return the display of a fit, or None if it is to be silent."""
    if progress is False or sys.stderr is None:
        return None
    if progress is None:
        return Display(epochs, _AFTER) if sys.stderr.isatty() else None
    return Display(epochs, 0.0)


def _text(history: History) -> str:
    curves = {"loss": history.loss, "validation loss": history.validation_loss}
    return " ".join(f"{name} {values[-1]:<11.6g}" for name, values in curves.items() if values)


def _style(epochs: int) -> _Style:
    if sys.stderr.isatty():
        for style in (_Rich, _Tqdm):
            try:
                return style(epochs)
            except ImportError:
                continue
    return _Lines(epochs)


class _Rich:
    """A bar of rich, which is refreshed when we say so: no thread of its own."""

    def __init__(self, epochs: int) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("epoch"),
            progress.MofNCompleteColumn(),
            progress.BarColumn(),
            progress.TextColumn("{task.fields[text]}"),
            progress.TimeElapsedColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=epochs, text="")
        self._bar.start()

    def show(self, done: int, text: str) -> None:
        self._bar.update(self._task, completed=done, text=text, refresh=True)

    def close(self) -> None:
        self._bar.stop()


class _Tqdm:
    """A bar of tqdm, whose own spacing of updates is off."""

    def __init__(self, epochs: int) -> None:
        from tqdm import tqdm

        self._bar: Any = tqdm(total=epochs, unit="epoch", mininterval=0, miniters=0, file=sys.stderr)

    def show(self, done: int, text: str) -> None:
        self._bar.set_postfix_str(text.rstrip(), refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _Lines:
    """Plain text: one line that is rewritten on a terminal, or line after line in a file."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._start = time.perf_counter()
        self._last = ""
        self._rewrite = sys.stderr.isatty()

    def show(self, done: int, text: str) -> None:
        line = f"epoch {done:{len(str(self._epochs))}}/{self._epochs}  {text}"
        if line == self._last:  # the last state, shown already
            return
        self._last = line
        line += f" {time.perf_counter() - self._start:6.1f} s"
        print(
            f"\r{line}" if self._rewrite else line,
            end="" if self._rewrite else "\n",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        if self._rewrite and self._last:
            print(file=sys.stderr, flush=True)
