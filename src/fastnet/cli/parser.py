"""The argument parser of the command: errors of one line, and what it takes to write completions."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any, NoReturn

__all__ = ["Parser", "add_reading_options", "positive_float", "positive_int", "seed"]


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that says in one line what is wrong, and remembers its options.

    Attributes
    ----------
    options : dict of str to list of str
        Each option (``--task``) and the values that it can have; no values if it takes any, or none.

    Examples
    --------
    >>> parser = Parser(prog="fastnet", add_help=False)
    >>> _ = parser.add_argument("--task", choices=("classification", "regression"))
    >>> parser.options
    {'--task': ['classification', 'regression']}
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.options: dict[str, list[str]] = {}
        super().__init__(*args, **kwargs)

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        """Add an argument as `argparse.ArgumentParser.add_argument` does."""
        for name in args:
            if isinstance(name, str) and name.startswith("-"):
                self.options[name] = list(map(str, kwargs.get("choices") or ()))
        return super().add_argument(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and exit with 2."""
        print(f"{self.prog}: error: {message}; usage: {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def positive_int(text: str) -> int:
    """Return a whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return number


def seed(text: str) -> int:
    """Return a whole number from 0 and below 2⁶⁴."""
    number = int(text)
    if not 0 <= number < 2**64:
        raise argparse.ArgumentTypeError(f"must be at least 0 and below 2**64, got {text}")
    return number


def positive_float(text: str) -> float:
    """Return a finite number greater than 0."""
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"must be finite and greater than 0, got {text}")
    return number


def add_reading_options(parser: Parser) -> None:
    """Add the options that say how a text is read."""
    parser.add_argument(
        "--separator",
        metavar="C",
        type=_separator,
        help="between the values of a CSV file, or the word tab; default: a comma, a tab for .tsv",
    )
    parser.add_argument("--encoding", metavar="NAME", default="utf-8", help="of a CSV file; default: utf-8")


def _separator(text: str) -> str:
    found = "\t" if text in ("tab", "\\t") else text
    if len(found) != 1 or not found.isascii():
        raise argparse.ArgumentTypeError(f"must be one character or the word tab, got {text!r}")
    return found
