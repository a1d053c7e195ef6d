"""What a fit shows while it runs: nothing unless someone looks, then a few updates, and a clean end."""

from __future__ import annotations

import io
import itertools
import re
import sys
import types
from typing import Any

import numpy as np
import pytest
from networks import data, network

import fastnet as fn
from fastnet import progress

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
    """Let so many seconds pass between two looks at the clock, of which there is one in each epoch."""
    ticks = itertools.count()
    monkeypatch.setattr("fastnet.training.loop.SLICE", 0.0)
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
    slow_clock(monkeypatch, 0.01)
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
    style = progress._style(3, "epoch")
    style.close()
    assert isinstance(style, progress._Rich)
    without(monkeypatch, "rich")
    style = progress._style(3, "epoch")
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


# ---- within an epoch, the clock, notebooks, many networks, predictions


def test_the_bar_moves_within_a_long_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """An epoch of some tenths of a second: the core tells after each of its pieces how far it is."""
    terminal = on_terminal(monkeypatch)
    without(monkeypatch, "rich", "tqdm")
    X = np.random.default_rng(0).normal(size=(200, 30_000)).astype("float32")
    net = fn.Network([fn.Layer(200, 150, "relu"), fn.Layer(150, 1)], dtype="float32")
    net.fit(X, X[:1] > 0, epochs=1, progress=True, n_threads=1)
    shares = re.findall(r"epoch 0/1 +(\d+)%", terminal.getvalue())
    assert shares
    assert all(0 < int(share) < 100 for share in shares)
    assert list(map(int, shares)) == sorted(map(int, shares))
    assert "epoch 1/1  loss 0." in terminal.getvalue()


def test_ticks_change_no_bit() -> None:
    X, T = data(2, 1, 2000, "float64")
    core_calls = []
    silent, shown = network((2, 1)), network((2, 1))
    silent.fit(X, T, epochs=3, batch_size=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress.Bar, "update", lambda self, done, text, now: core_calls.append(done) or now)
        shown.fit(X, T, epochs=3, batch_size=10, progress=True)
    assert core_calls
    assert all(np.array_equal(a.W, b.W) for a, b in zip(silent.layers, shown.layers, strict=True))


def test_the_clock_starts_with_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    without(monkeypatch, "rich", "tqdm")
    monkeypatch.setattr("time.perf_counter", lambda: 50.0)
    bar = progress.new_bar(10, None)
    assert bar is not None
    assert bar.due == 50.5
    bar.update(3, "loss 0.5", 52.0)
    assert "epoch  3/10  loss 0.5    2.0 s" in terminal.getvalue()


class Shell:
    """What stands for the shell of a notebook's kernel, and for its display."""

    kernel = None

    def __init__(self) -> None:
        self.shown: list[Any] = []
        self.first = 0

    def display(self, what: Any, display_id: bool) -> Shell:
        assert display_id
        self.first += 1
        self.shown.append(what)
        return self

    def update(self, what: Any) -> None:
        self.shown.append(what)


def in_notebook(monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = Shell()
    package, part = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    package.get_ipython, part.display = lambda: shell, shell.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", part)
    return shell


def test_a_notebook_has_one_bar_which_is_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = in_notebook(monkeypatch)
    fit()
    assert not shell.shown  # it is over before half a second
    slow_clock(monkeypatch, 0.05)
    fit(epochs=40)
    assert shell.first == 1
    assert len(shell.shown) > 5
    last = shell.shown[-1]
    assert 'value="1.0000"' in last._repr_html_()
    assert 'aria-label="epochs done"' in last._repr_html_()
    assert repr(last).startswith("epoch 40/40  loss 0.")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_of_ipython_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    package = types.ModuleType("IPython")
    package.get_ipython = lambda: object()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    assert progress.new_bar(3, None) is None


def test_many_networks_have_one_bar(capsys: pytest.CaptureFixture[str]) -> None:
    X, T = data(2, 1, 40, "float64")
    for options in ({}, {"metrics": ["accuracy"]}):  # trained by a queue of the core, and by Python
        nets = [network((2, 1)) for _ in range(3)]
        fn.train_many(
            nets, X, T, epochs=20, early_stopping=True, patience=1, tol=1.0, progress=True, **options
        )
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("epoch 60/60  loss 0.")  # though early stopping ended them


def test_work_in_several_parts_counts_on(capsys: pytest.CaptureFixture[str]) -> None:
    bar = progress.new_bar(4, True)
    assert bar is not None
    X, T = data(2, 1, 40, "float64")
    bar.counts_on = True
    for _ in range(2):
        fn.train_many([network((2, 1))], X, T, epochs=2, progress=bar)
    bar.counts_on = False
    bar.update(0, "all", 0.0)
    bar.close(0, "all")
    assert capsys.readouterr().err.splitlines()[-1].startswith("epoch 4/4  all")


def test_predictions_block_by_block_have_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastnet.streaming import passes

    monkeypatch.setattr(passes, "PREDICTED_ROWS", 10)
    rows = np.ones((35, 2))
    network((2, 1)).predict_proba(fn.stream(rows), progress=True)
    assert capsys.readouterr().err.splitlines()[-1].startswith("row 35/35  predicted")
    network((2, 1)).predict_proba(fn.stream(rows))
    assert capsys.readouterr().err == ""
