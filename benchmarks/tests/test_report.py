"""Tables, and the text between two marks of a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.tests.made_up import results


def test_tables_name_threads_and_neighbour() -> None:
    text = report.tables(results())
    assert "| 30-100-1 | 200 | float32 | SGD | 2 | 2 | 100 µs (100 µs) | 50 µs (50 µs) | 2 (2) |" in text
    assert "core 0 copies through 500 MB, 20.0 GB/s" in text
    assert "beside a busy neighbour: numpy takes 0.9 (2) as long" in text


def test_between_the_marks(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("a\n<!-- here -->\nold\n<!-- /here -->\nb\n", encoding="utf-8")
    report.write_between(path, "here", "new")
    assert path.read_text(encoding="utf-8") == "a\n<!-- here -->\n\nnew\n\n<!-- /here -->\nb\n"
    with pytest.raises(ValueError, match="must have one <!-- there -->"):
        report.write_between(path, "there", "new")
