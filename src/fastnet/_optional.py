"""Packages that only some functions need: imported when one of these is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["need"]


def need(module: str, extra: str, purpose: str) -> Any:
    """Return a module; ImportError that says how to get its package if it is missing."""
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] != package:
            raise  # it is there and misses something itself
        raise ImportError(f'{purpose} needs {package}: pip install "{extra}"') from error
