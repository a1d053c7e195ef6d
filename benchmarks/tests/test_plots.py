"""The pictures of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.tests.made_up import results


def test_all_pictures_that_there_are_results_for(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks import plots

    names = [path.stem for path in plots.draw(results(), tmp_path)]
    assert names == ["peers", "share_of_peak", "threads", "bounds", "roofline"]
