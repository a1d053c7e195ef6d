"""Optional packages: imported by the functions that need them, when they are called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["DISTRIBUTION", "import_optional", "install_hint"]

DISTRIBUTION = "fastnet-mlp"  # on the package index `fastnet` is a project of other people


def install_hint(extra: str) -> str:
    """Return the command that installs what an extra of this package needs.

    Examples
    --------
    >>> from fastnet._optional import install_hint
    >>> install_hint("plot")
    'pip install "fastnet-mlp[plot]"'
    """
    return f'pip install "{DISTRIBUTION}[{extra}]"'


def import_optional(module: str, purpose: str, *, extra: str = "", requirement: str = "") -> Any:
    """Return a module; if its package is missing, raise ImportError that says how to install it.

    Parameters
    ----------
    module : str
    purpose : str
        What needs it: the subject of the message.
    extra : str
        The extra of this package that brings it.
    requirement : str
        What to install where there is no such extra.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] != package:
            raise  # the package is installed, but misses a package of its own
        command = install_hint(extra) if extra else f'pip install "{requirement}"'
        raise ImportError(f"{purpose} needs {package}: {command}") from error
