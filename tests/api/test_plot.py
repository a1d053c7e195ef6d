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
