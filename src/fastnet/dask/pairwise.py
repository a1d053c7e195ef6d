"""The sum of a vector that lies in pieces, with the bits of NumPy's sum over the whole of it.

NumPy adds a contiguous vector by halves: more than 128 numbers are the sum of the first half, cut to a
multiple of 8, and of the rest (`pairwise_sum` in its loops_utils.h.src). A node of that tree that lies in one
piece is summed where the piece is. Of one that lies across an edge and is no longer than 128, the numbers are
fetched.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastnet._validate import Array

__all__ = ["Request", "requests_for", "total"]

LEAF = 128  # NumPy's PW_BLOCKSIZE: so many numbers are summed without halving


class Request(NamedTuple):
    """Numbers [start, stop) of a piece: their sum is wanted, or they themselves."""

    piece: int
    start: int
    stop: int
    whole: bool

    def answer(self, vector: Array) -> Array:
        """Return what is asked for, from the piece."""
        numbers = vector[self.start : self.stop]
        return np.asarray(numbers.sum()) if self.whole else numbers


def requests_for(ends: list[int]) -> list[Request]:
    """Return what has to be asked of pieces that end at these numbers.

    Examples
    --------
    >>> from fastnet.dask.pairwise import requests_for
    >>> [tuple(request) for request in requests_for([128, 200])]
    [(0, 0, 96, True), (0, 96, 128, False), (1, 0, 72, False)]
    """
    found: list[Request] = []

    def visit(request: Request) -> Array:
        found.append(request)
        return np.empty(0)

    total(ends, visit)
    return found


def total(ends: list[int], ask: Callable[[Request], Array]) -> Array:
    """Return the sum of all pieces; `ask` is called for each of `requests_for`, in their order."""

    def node(start: int, stop: int) -> Array:
        first, last = bisect_right(ends, start), bisect_right(ends, stop - 1)
        if first == last:
            begin = ends[first - 1] if first else 0
            return ask(Request(first, start - begin, stop - begin, True))
        if stop - start <= LEAF:
            parts = []
            for piece in range(first, last + 1):
                begin = ends[piece - 1] if piece else 0
                here = max(start, begin), min(stop, ends[piece])
                parts.append(ask(Request(piece, here[0] - begin, here[1] - begin, False)))
            return np.asarray(np.concatenate(parts).sum())
        half = (stop - start) // 2
        half -= half % 8
        left = node(start, start + half)
        return np.add(left, node(start + half, stop))

    return node(0, ends[-1])
