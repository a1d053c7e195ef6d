"""The directive ``command-help``: what each command prints with ``--help``."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def help_of(*command: str) -> str:
    """Return what the command prints with ``--help``, in lines of 80 columns without colours."""
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    line = [sys.executable, "-m", "fastnet", *command, "--help"]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout


def commands() -> list[str]:
    """Return the names of all commands, in the order of the help."""
    _, _, listed = help_of().partition("positional arguments:")
    return re.findall(r"^    (\w[\w-]*)", listed, re.MULTILINE)


class CommandHelp(SphinxDirective):
    """A block for the command itself, and a heading and a block for each of its commands."""

    def run(self) -> list[nodes.Node]:
        """Return the blocks."""
        found: list[nodes.Node] = []
        for name in ["", *commands()]:
            text = help_of(*name.split())
            block = nodes.literal_block(text, text, language="text")
            title = f"fastnet {name}".strip()
            section = nodes.section(ids=[nodes.make_id(title)], names=[title])
            section += [nodes.title("", "", nodes.literal("", title)), block]
            found.append(section)
        return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
