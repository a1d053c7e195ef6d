"""Optional packages: imported by the functions that need them, when they are called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["need"]


def need(module: str, extra: str, purpose: str) -> Any:
    """Return a module; if its package is missing, raise ImportError that says how to install it."""
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] != package:
            raise  # the package is installed, but misses a package of its own
        raise ImportError(f'{purpose} needs {package}: pip install "{extra}"') from error
