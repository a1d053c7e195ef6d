"""What a fit shows while it runs: nothing unless someone looks, then a few updates, and a clean end."""

from __future__ import annotations

import io
import itertools
import sys
from typing import Any

import pytest
from networks import data, network

import fastnet as fn
from fastnet.training import progress

CURSOR = "\x1b[?25h"  # shows it again


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return what stands for stderr from now on, a terminal."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return stream


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Make packages look as if they were not installed."""
    for package in packages:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)


def slow_clock(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """Let so many seconds pass between two looks at the clock."""
    ticks = itertools.count()
    monkeypatch.setattr("time.perf_counter", lambda: step * next(ticks))


def fit(epochs: int = 3, **chosen: Any) -> fn.History:
    X, T = data(2, 1, 10, "float64")
    return network((2, 1)).fit(X, T, epochs=epochs, batch_size=5, **chosen)


def test_silent_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_clock(monkeypatch, 10.0)
    fit()
    fit(progress=None)
    fit(progress=False)
    assert capsys.readouterr() == ("", "")
    fit(progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("epoch 3/3  loss 0.")


def test_no_stderr_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    fit(progress=True)
    fit()


def test_on_a_terminal_after_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    without(monkeypatch, "rich", "tqdm")
    fit()
    assert terminal.getvalue() == ""
    slow_clock(monkeypatch, 0.02)
    fit(epochs=60)
    assert "\repoch 60/60  loss 0." in terminal.getvalue()
    assert terminal.getvalue().endswith(" s\n")
    terminal.truncate(0)
    fit(epochs=60, progress=False)
    assert terminal.getvalue() == ""


def test_lines_in_a_file_are_few(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    slow_clock(monkeypatch, 0.005)  # an epoch looks twice
    X, T = data(2, 1, 4, "float64")
    network((2, 1)).fit(X, T, epochs=95, batch_size=4, progress=True, validation=(X, T))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("epoch  1/95  loss 0.")
    assert " validation loss 0." in lines[0]
    assert lines[-1].startswith("epoch 95/95  loss 0.")
    assert 9 <= len(lines) <= 12


@pytest.mark.parametrize("package", ["rich", "tqdm"])
def test_bars(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(package)
    terminal = on_terminal(monkeypatch)
    without(monkeypatch, *{"rich", "tqdm"} - {package})
    slow_clock(monkeypatch, 0.05)
    fit(epochs=40, progress=True)
    shown = terminal.getvalue()
    assert "40/40" in shown
    assert "loss 0." in shown
    assert shown.removesuffix(CURSOR).endswith("\n")
    assert shown.count("loss") <= 45


def test_rich_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    pytest.importorskip("tqdm")
    on_terminal(monkeypatch)
    style = progress._style(3)
    style.close()
    assert isinstance(style, progress._Rich)
    without(monkeypatch, "rich")
    style = progress._style(3)
    style.close()
    assert isinstance(style, progress._Tqdm)


@pytest.mark.parametrize("package", ["rich", "tqdm", ""])
def test_the_terminal_is_left_clean_by_an_error(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if package:
        pytest.importorskip(package)
    terminal = on_terminal(monkeypatch)
    without(monkeypatch, *{"rich", "tqdm"} - {package})
    slow_clock(monkeypatch, 0.05)

    def fail(trainer: fn.Trainer) -> None:
        if trainer.epochs_done == 5:
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        fit(epochs=9, progress=True, callbacks=[fail])
    shown = terminal.getvalue()
    assert shown.removesuffix(CURSOR).endswith("\n")
    assert shown.endswith(CURSOR) == (package == "rich"), "which hides it"
