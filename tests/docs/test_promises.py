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
