"""The scaling page shows the lines that are kept, and the lines say what falls short."""

import json
from pathlib import Path

import pytest

from benchmarks import lines, scale

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


def between(page: str, name: str) -> str:
    return (
        (GUIDES / page).read_text().partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0].strip()
    )


def test_the_pages_show_what_is_kept() -> None:
    kept = json.loads(scale.RESULTS.read_text())
    assert between("scaling.md", "scale") == scale.page_text(kept)
    assert between("big-data.md", "stream") == scale.stream_table(kept)


def test_a_second_run_replaces_its_lines_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "lines.json"
    first = [lines.line("b", "one", 1.0, goal=2), lines.line("c", "two", 3.0)]
    lines.add_to_file(path, {"versions": {"numpy": "1"}, "cpu": "x"}, first)
    lines.add_to_file(path, {"versions": {"torch": "2"}, "cpu": "y"}, [lines.line("b", "one", 5.0, goal=2)])
    kept = json.loads(path.read_text())
    assert kept["machine"] == {"versions": {"numpy": "1", "torch": "2"}, "cpu": "y"}
    assert [(each["key"], each["value"]) for each in kept["lines"]] == [("b", 5.0), ("c", 3.0)]


@pytest.mark.parametrize(
    ("value", "at_most", "short"), [(3, False, False), (1, False, True), (3, True, True)]
)
def test_the_table_marks_what_falls_short(value: float, at_most: bool, short: bool) -> None:
    found = lines.line("a", "a fit", value, goal=2, at_most=at_most)
    assert ("falls short" in lines.table([found])) is short


def test_a_line_that_is_measured() -> None:
    found = list(scale.one_row(scale.parser().parse_args(["--rounds", "1"])))
    assert [each["key"] for each in found] == ["06 one row"]
    assert found[0]["value"] > 0
