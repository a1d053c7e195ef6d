"""The progress bar of fits, of many networks and of predictions block by block: at most ten updates a second.

In a notebook it is an HTML bar; on a terminal a bar by rich if that is installed, else by tqdm, else a line
of text that is rewritten; elsewhere plain text on standard error, line after line. By default
(``progress=None``) it is shown in notebooks and on terminals alone, and only after half a second: most fits
are over by then. Its clock starts with the work, and it moves within a long epoch.
"""

from __future__ import annotations

import sys
import time
from html import escape
from typing import Any, Protocol

from fastnet.history import History

__all__ = ["Bar", "curves", "new_bar"]

_EVERY = 0.1  # seconds
_AFTER = 0.5


class _Style(Protocol):
    def show(self, done: float, text: str, seconds: float) -> None: ...

    def close(self) -> None: ...


class Bar:
    """Shows how far some work is. `due` is when to call `update` again, on the clock of time.perf_counter.

    Parameters
    ----------
    total : int
        How many units there are to do.
    unit : str
        What they are, such as "epoch".
    wait : float
        Seconds before anything is shown.
    """

    def __init__(self, total: int, unit: str, wait: float) -> None:
        self._total, self._unit = total, unit
        self._style: _Style | None = None
        self._start = time.perf_counter()
        self.due = self._start + wait
        self.counts_on = False  # `close` then only notes what is done: other work follows under the same bar
        self._before = 0.0

    def update(self, done: float, text: str, now: float) -> float:
        """Show that so many units are done, and return when to do so again."""
        if self._style is None:
            self._style = _style(self._total, self._unit)
        self._style.show(self._before + done, text, now - self._start)
        self.due = now + _EVERY
        return self.due

    def close(self, done: float, text: str) -> None:
        """Leave the terminal on a line of its own, after the last state; nothing if nothing was shown."""
        if self.counts_on:
            self._before += done
        elif self._style is not None:
            if text:
                self._style.show(self._before + done, text, time.perf_counter() - self._start)
            self._style.close()
            self._style = None


def new_bar(total: int, progress: bool | None, unit: str = "epoch") -> Bar | None:
    """Return the bar of some work, or None if it is to be silent.

    Parameters
    ----------
    total : int
        How many units there are to do.
    progress : bool or None
        None: in notebooks and on terminals, after half a second.
    unit : str

    Examples
    --------
    >>> from fastnet.progress import new_bar
    >>> new_bar(10, progress=False) is None
    True
    """
    if progress is False or sys.stderr is None:
        return None
    if progress is None:
        return Bar(total, unit, _AFTER) if _in_notebook() or sys.stderr.isatty() else None
    return Bar(total, unit, 0.0)


def curves(history: History) -> str:
    """Return the last losses of a training.

    >>> from fastnet import History
    >>> curves(History([0.7, 0.5], [0.1, 0.1], validation_loss=[0.75, 0.25])).split()
    ['loss', '0.5', 'validation', 'loss', '0.25']
    """
    found = {"loss": history.loss, "validation loss": history.validation_loss}
    return " ".join(f"{name} {values[-1]:<11.6g}" for name, values in found.items() if values)


def _in_notebook() -> bool:
    """Return whether this is the kernel of a notebook: IPython is loaded, and its shell has a kernel."""
    shell: Any = sys.modules.get("IPython")
    return shell is not None and hasattr(shell.get_ipython(), "kernel")


def _style(total: int, unit: str) -> _Style:
    if _in_notebook():
        return _Notebook(total, unit)
    if sys.stderr.isatty():
        for style in (_Rich, _Tqdm):
            try:
                return style(total, unit)
            except ImportError:
                continue
    return _Lines(total, unit)


def _clock(seconds: float) -> str:
    """Return a time as people read it.

    >>> _clock(2.34), _clock(125.0), _clock(4000.0)
    ('2.3 s', '2:05', '1:06:40')
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Notebook:
    """A bar in HTML, which is replaced by the next one."""

    def __init__(self, total: int, unit: str) -> None:
        self._total, self._unit = total, unit
        self._handle: Any = None

    def show(self, done: float, text: str, seconds: float) -> None:
        from IPython.display import display

        shown = _Shown(self._total, self._unit, done, " ".join(text.split()), seconds)
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)

    def close(self) -> None:
        """Leave the last state in the cell."""


class _Shown:
    """One state of a bar in a notebook."""

    def __init__(self, total: int, unit: str, done: float, text: str, seconds: float) -> None:
        self._line = f"{unit} {int(done)}/{total}  {text}  {_clock(seconds)}"
        self._share = min(1.0, done / max(total, 1))
        self._name = f"{unit}s done"

    def __repr__(self) -> str:
        return self._line

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self._share:.4f}" max="1" aria-label="{escape(self._name)}"></progress>'
        return f"<div>{bar} {escape(self._line)}</div>"


class _Rich:
    """A bar of rich, which is refreshed when we say so: no thread of its own."""

    def __init__(self, total: int, unit: str) -> None:
        from rich import progress
        from rich.console import Console

        self._total = total
        self._bar = progress.Progress(
            progress.TextColumn(unit),
            progress.TextColumn("{task.fields[count]}"),
            progress.BarColumn(),
            progress.TextColumn("{task.fields[text]}"),
            progress.TextColumn("{task.fields[clock]}"),  # rich's own starts when the bar is first shown
            console=Console(stderr=True),
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=total, text="", count="", clock="")
        self._bar.start()

    def show(self, done: float, text: str, seconds: float) -> None:
        count = f"{int(done)}/{self._total}"
        self._bar.update(
            self._task, completed=done, text=text, count=count, clock=_clock(seconds), refresh=True
        )

    def close(self) -> None:
        self._bar.stop()


class _Tqdm:
    """A bar of tqdm without its own spacing of updates and its clock, which starts when it is first shown."""

    def __init__(self, total: int, unit: str) -> None:
        from tqdm import tqdm

        self._total, self._unit = total, unit
        self._bar: Any = tqdm(
            total=total, bar_format="{desc}|{bar}| {postfix}", mininterval=0, miniters=0, file=sys.stderr
        )

    def show(self, done: float, text: str, seconds: float) -> None:
        self._bar.set_description_str(f"{self._unit} {int(done)}/{self._total} ", refresh=False)
        self._bar.set_postfix_str(f"{text.rstrip()}  {_clock(seconds)}", refresh=False)
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()


class _Lines:
    """Plain text: one line that is rewritten on a terminal, or line after line in a file."""

    def __init__(self, total: int, unit: str) -> None:
        self._total, self._unit = total, unit
        self._last = ""
        self._width = 0
        self._rewrite = sys.stderr.isatty()

    def show(self, done: float, text: str, seconds: float) -> None:
        line = f"{self._unit} {int(done):{len(str(self._total))}}/{self._total}  {text}"
        if line == self._last and not (self._rewrite and done % 1):  # shown already; or a step of an epoch
            return
        self._last = line
        if done % 1:
            line += f" {done % 1:4.0%}" if self._rewrite else ""
        line += f" {_clock(seconds):>8}"
        if self._rewrite:
            print(f"\r{line:{self._width}}", end="", file=sys.stderr, flush=True)
            self._width = len(line)
        else:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._rewrite and self._last:
            print(file=sys.stderr, flush=True)
