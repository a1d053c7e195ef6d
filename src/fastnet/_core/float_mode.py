"""Run Python functions in the default floating-point mode: round to nearest, no flush to zero.

Another library may have set another rounding or flush-to-zero for the thread, and with it other bits in every
number that NumPy or Python works out: initial weights, means and scales, learning rates, reported losses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from fastnet._core import engine

P = ParamSpec("P")
R = TypeVar("R")


def in_default_mode(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that computes in the default mode, and puts the caller's back when it ends.

    >>> in_default_mode(lambda x: x / 3)(1.0)
    0.3333333333333333
    """

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with engine.DefaultFloatMode():
            return function(*args, **kwargs)

    return wrapper
