"""Report an error of `import fastnet` in one line when the command `fastnet` is what imports it."""

from __future__ import annotations

import os
import sys

__all__ = ["exit_if_command"]


def exit_if_command(error: Exception) -> None:
    """End the process with one line on standard error if it is `fastnet` or `python -m fastnet`.

    The command lies in the package, so an error of the import comes before `fastnet.cli.main` can catch it.
    """
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    if name == "-m":  # what sys.argv holds while Python looks for the module
        told = sys.orig_argv[sys.orig_argv.index("-m") + 1 :]
        name = told[0] if told else ""
    if name.removesuffix(".exe") == "fastnet":
        raise SystemExit(f"fastnet: error: {error}") from None
