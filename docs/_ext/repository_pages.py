"""Files of the repository that are pages of the site too, and links to them.

A page such as ``docs/notes.md`` links to ``../CONTRIBUTING.md``, which works where the repository is read. On
the site, such a link leads to the page that shows that file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

PAGES = {  # page of the site: file of the repository
    "developers/contributing": "CONTRIBUTING.md",
    "developers/changelog": "CHANGELOG.md",
    "developers/benchmarks": "benchmarks/README.md",
    "developers/security": "SECURITY.md",
}
UNSEARCHED = ("developers/changelog", "developers/benchmarks")  # they have every word, and few answers
LINK = re.compile(r"\]\((?P<target>[^)#\s:]+\.md)(?P<anchor>#[^)\s]*)?\)")


def read_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the file of the repository in place of the stub, and turn links that leave docs/."""
    docs = Path(app.srcdir).resolve()
    root = docs.parent
    file = docs / f"{docname}.md"
    if docname in PAGES:
        file = root / PAGES[docname]
        source[0] = file.read_text(encoding="utf-8")
        if docname in UNSEARCHED:
            source[0] = f"---\nnosearch: true\n---\n\n{source[0]}"
        app.env.note_dependency(file)
    if file.suffix == ".md" and file.exists():
        page = docs / f"{docname}.md"
        shown = {(root / path).resolve(): docs / f"{name}.md" for name, path in PAGES.items()}

        def turned(match: re.Match[str]) -> str:
            target = (file.parent / match["target"]).resolve()
            target = shown.get(target, target)
            relative = os.path.relpath(target, page.parent)
            return f"]({relative}{match['anchor'] or ''})"

        source[0] = LINK.sub(turned, source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", read_page)
    return {"parallel_read_safe": True}
