"""The Python blocks of README.md and docs/ run, and print what the text block after each says."""

from __future__ import annotations

import contextlib
import io
import re
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/notes.md", "docs/models.md", "docs/scikit-learn.md"]


def differences(text: str) -> list[str]:
    """Run the blocks in one namespace; return what was printed and what the page says, where they differ."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    space: dict[str, Any] = {}
    found = []
    options = np.get_printoptions()  # a page may set them
    for (kind, body), (next_kind, next_body) in zip_longest(blocks, blocks[1:], fillvalue=("", "")):
        if kind != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(body, space)
        says = next_body if next_kind == "text" else ""
        if printed.getvalue() != says:
            found.append(f"{body}--- printed\n{printed.getvalue()}--- says\n{says}")
    np.set_printoptions(**options)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_the_page_tells_the_truth(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    if "sklearn" in text:
        pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)  # a page may write files
    assert "```python" in text
    assert differences(text) == []


def test_a_wrong_output_is_noticed() -> None:
    assert differences("```python\nprint(1)\n```\n\n```text\n2\n```\n") == [
        "print(1)\n--- printed\n1\n--- says\n2\n"
    ]
