"""Docstrings that share parts: each part is written once, and put in where its name stands in braces."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["describe"]


def describe(estimator: Any, **parts: str) -> None:
    r"""Put texts into the docstring of a class, each in the place of its name in braces.

    A text begins without an indent, and its other lines have that of a class's docstring. They get the indent
    of the place: from Python 3.13 on a docstring has lost its own.

    >>> import inspect
    >>> class Estimator:
    ...     '''Guesses.
    ...
    ...     {parameters}
    ...     '''
    >>> describe(Estimator, parameters="seed : int\n        Of the guess.")
    >>> print(inspect.getdoc(Estimator))
    Guesses.
    <BLANKLINE>
    seed : int
        Of the guess.
    """
    text = estimator.__doc__ or ""  # none under python -OO
    for name, part in parts.items():
        place = f"{{{name}}}"
        indent = re.search(rf"^ *(?={re.escape(place)})", text, re.MULTILINE)
        text = text.replace(place, part.replace("\n    ", f"\n{indent[0]}") if indent else part)
    estimator.__doc__ = text
