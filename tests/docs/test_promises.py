"""Each promise of docs/promises.md, and of SECURITY.md, names a test or a tool that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs/promises.md", ROOT / "SECURITY.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_holds_a_promise_exists(page: Path) -> None:
    if not (ROOT / "tools").exists() or not page.exists():
        pytest.skip("an installed package has neither the tools nor this page")
    named = set(re.findall(r"`((?:tests|tools)/[\w/]+\.py)`", page.read_text(encoding="utf-8")))
    assert len(named) >= 2
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def unheld(text: str) -> list[str]:
    """Return the rows of the tables "held by" whose last cell names no test and no tool."""
    found, held = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            held = False
        elif cells[-1] == "held by":
            held = True
        elif held and not set(line) <= set("| -") and not re.search(r"`(tests|tools)/[\w/]+\.py`", cells[-1]):
            found.append(line)
    return found


def test_every_promise_in_a_table_is_held() -> None:
    page = PAGES[0]
    if not page.exists():
        pytest.skip("an installed package has not this page")
    text = page.read_text(encoding="utf-8")
    assert text.count("held by |") >= 3
    assert unheld(text) == []
    assert unheld("| promise | held by |\n| --- | --- |\n| all is well | nobody |\n") == [
        "| all is well | nobody |"
    ]
