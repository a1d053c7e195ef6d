"""The directive ``drawn``: a figure of ``docs/figures/drawings.py``, once for each of the site's two themes.

:::{drawn} sigmoid
:alt: What a reader who does not see the figure should know.

The caption.
:::
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FOLDER = "figures/drawn"  # below docs/, not in the repository


def drawings() -> Any:
    """Return the module that draws."""
    path = Path(__file__).parents[1] / "figures" / "drawings.py"
    spec = importlib.util.spec_from_file_location("drawings", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Drawn(SphinxDirective):
    """A figure in the colours of the light theme and of the dark one; the style sheet shows one of them."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the figure: two images and the caption."""
        name = self.arguments[0]
        if not self.options.get("alt"):
            raise self.error(f"the figure {name!r} must have an alternative text, got none")
        figure = nodes.figure(classes=["drawn"])
        for theme in ("light", "dark"):
            image = nodes.image(
                uri=f"/{FOLDER}/{name}-{theme}.svg", alt=self.options["alt"], classes=[f"only-{theme}"]
            )
            self.set_source_info(image)
            figure += image
        if self.content:
            caption = nodes.caption()
            inline, messages = self.parse_inline("\n".join(self.content), lineno=self.content_offset + 1)
            caption += inline
            figure += caption
            return [figure, *messages]
        return [figure]


def draw_all(app: Sphinx) -> None:
    """Draw what is not there yet, or is older than the module that draws."""
    module = drawings()
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    changed = Path(module.__file__).stat().st_mtime
    for name in module.DRAWINGS:
        for theme in ("light", "dark"):
            path = folder / f"{name}-{theme}.svg"
            if not path.exists() or path.stat().st_mtime < changed:
                module.save(name, theme, path)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("drawn", Drawn)
    app.connect("builder-inited", draw_all)
    return {"parallel_read_safe": True}
