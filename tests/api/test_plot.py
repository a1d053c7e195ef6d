"""Pictures of a training."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastnet as fn
from fastnet import cli


def test_plot_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    from fastnet.plot import new_figure, plot_history

    assert cli.main(["demo", "--epochs", "3", "--json", "--plot", str(tmp_path / "loss.png")]) == 0
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    ax = new_figure().subplots()
    assert plot_history(fn.History([0.5, 0.25], [1.0, 1.0]), ax=ax) is ax
    assert ax.lines[0].get_xydata().tolist() == [[1.0, 0.5], [2.0, 0.25]]


def test_history_plot_draws_validation_metrics_and_the_best_epoch() -> None:
    pytest.importorskip("matplotlib")
    from fastnet.plot import new_figure

    metrics = {"accuracy": [0.5, 0.75], "validation_accuracy": [0.25, 0.5]}
    history = fn.History([0.5, 0.25], [1.0, 1.0], validation_loss=[0.75, 1.0], metrics=metrics, best_epoch=1)
    figure = new_figure()
    ax = history.plot(figure.subplots())
    left, right = figure.axes
    assert left is ax
    assert [line.get_label() for line in left.lines] == ["loss", "validation loss", "best epoch, 1"]
    assert left.lines[1].get_ydata().tolist() == [0.75, 1.0]
    assert [line.get_label() for line in right.lines] == ["accuracy", "validation accuracy"]
    assert right.lines[1].get_ydata().tolist() == [0.25, 0.5]
    assert len(left.get_legend().get_texts()) == 5
