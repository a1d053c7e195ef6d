"""README.md and docs/: their Python blocks run and print what they say, their links lead somewhere."""

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
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = [path for path in TEXTS if path.exists() and "_build" not in path.parts]
PAGES = [path for path in TEXTS if "```python" in path.read_text(encoding="utf-8")]
OPTIONAL = {
    "sklearn": "sklearn",
    "pandas": "pandas",
    "fastnet.dask": "distributed",
    "fastnet.plot": "matplotlib",
    "fastnet.tabular": "narwhals",
}  # a word: what it needs


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


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


def broken_links(path: Path) -> list[str]:
    """Return the targets of a text's links and pictures that are no files of the repository."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)", text)
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    return [target for target in local if not (path.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_page_tells_the_truth(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.read_text(encoding="utf-8")
    for word, package in OPTIONAL.items():
        if word in text:
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)  # a page may write files
    monkeypatch.setenv("MPLBACKEND", "agg")
    assert differences(text) == []


def test_a_wrong_output_is_noticed() -> None:
    assert differences("```python\nprint(1)\n```\n\n```text\n2\n```\n") == [
        "print(1)\n--- printed\n1\n--- says\n2\n"
    ]


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_links_lead_to_files(path: Path) -> None:
    if not (ROOT / "src").exists():
        pytest.skip("not the whole repository")
    assert broken_links(path) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](no.md#part) [b](page.md) [c](https://example.org)", encoding="utf-8")
    assert broken_links(page) == ["no.md"]


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 160
    assert len(text.split()) <= 1500


@pytest.mark.parametrize(
    ("page", "writer", "machines"),
    [("README.md", "readme", "README_MACHINES"), ("docs/performance.md", "performance_page", None)],
)
def test_tables_are_what_the_benchmarks_write(
    page: str, writer: str, machines: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (ROOT / "benchmarks" / "results").exists():
        pytest.skip("not the whole repository")
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import published, report

    shown = published.load() if machines is None else published.load(getattr(published, machines))
    written = getattr(report, writer)(shown)
    assert f"<!-- benchmarks -->\n\n{written}\n\n<!-- /benchmarks -->" in (ROOT / page).read_text(
        encoding="utf-8"
    )
