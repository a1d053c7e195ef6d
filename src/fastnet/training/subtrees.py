"""Gradients of parts of the rows, and their sum with the bits of one call over all rows.

The core cuts the rows into blocks of 1024 and adds the gradients of the blocks by a fixed binary tree over
their numbers, T(n) = T(p) + T(n - p) with p the largest power of two below n. Whoever has a run of whole
blocks can work out the roots of the subtrees that lie inside it (`gradients`); whoever has all roots finishes
the tree (`combine`). So rows may lie on several machines, and no bit shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from fastnet._core import engine
from fastnet._core.float_mode import in_default_mode
from fastnet._validate import Array

__all__ = ["BLOCK_ROWS", "Subtree", "combine", "gradients", "merge", "spans"]

BLOCK_ROWS = engine.BLOCK_ROWS


class Subtree(NamedTuple):
    """The summed gradients of the blocks [first, stop), and the cost of each of them.

    Plain arrays: it can be pickled and sent.
    """

    first: int
    stop: int
    dW: list[Array]
    db: list[Array]
    costs: Array


def spans(first: int, stop: int) -> list[tuple[int, int]]:
    """Return the largest whole subtrees inside the blocks [first, stop), as pairs of blocks.

    Each has a power of two blocks, and begins at a multiple of that.

    Examples
    --------
    >>> from fastnet.training import subtrees
    >>> subtrees.spans(3, 9)
    [(3, 4), (4, 8), (8, 9)]
    """
    found = []
    while first < stop:
        size = 1
        while first % (2 * size) == 0 and first + 2 * size <= stop:
            size *= 2
        found.append((first, first + size))
        first += size
    return found


def gradients(
    core: engine.TrainerCore, X: Array, T: Array, weights: Array | None = None, *, first_row: int = 0
) -> list[Subtree]:
    """Return the roots of the subtrees of some rows, by the weights that the core has.

    Parameters
    ----------
    core : engine.TrainerCore
        Its batch is at least 1024 and at least the number of these rows, or all rows there are.
    X, T : ndarray, shapes (n_in, n) and (n_out, n)
        A run of rows, each in a column: whole blocks, only the last block of all rows may be smaller.
    weights : ndarray, shape (n,), optional
        Of the examples.
    first_row : int
        Where in all rows they begin, a multiple of 1024.

    Returns
    -------
    list of Subtree

    Raises
    ------
    ValueError
        If the run begins inside a block.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnet._core import engine
    >>> from fastnet.training import subtrees
    >>> X, T = np.ones((1, 3000)), np.ones((1, 3000))
    >>> core = engine.TrainerCore([np.ones((1, 1))], [np.ones((1, 1))], ["sigmoid"], 3000)
    >>> parts = [subtrees.gradients(core, X[:, rows], T[:, rows], first_row=rows.start)
    ...          for rows in (slice(0, 1024), slice(1024, 3000))]
    >>> dW, db, cost = subtrees.combine([*parts[0], *parts[1]], 3000, core)
    >>> cost == core.gradients(X, T)[2]
    True
    """
    if first_row % BLOCK_ROWS:
        raise ValueError(f"first_row must be a multiple of {BLOCK_ROWS}, got {first_row}")
    offset, n = first_row // BLOCK_ROWS, X.shape[1]
    found = []
    for first, stop in spans(offset, offset + -(-n // BLOCK_ROWS)):
        rows = slice((first - offset) * BLOCK_ROWS, min(n, (stop - offset) * BLOCK_ROWS))
        part = None if weights is None else weights[rows]
        found.append(Subtree(first, stop, *core.block_gradients(X[:, rows], T[:, rows], part)))
    return found


@in_default_mode
def combine(
    parts: Iterable[Subtree], n_rows: int, core: engine.TrainerCore
) -> tuple[list[Array], list[Array], float]:
    """Return what `core.gradients` gives of all rows, from the subtrees of all of them, in any order.

    Parameters
    ----------
    parts : iterable of Subtree
        Their arrays are used up: sums are written into them.
    n_rows : int
        All rows there are.
    core : engine.TrainerCore
        Any with the loss of the others: it says how costs of blocks become one.

    Raises
    ------
    ValueError
        If blocks are missing or there twice; they are named.
    """
    stack: list[Subtree] = []
    wanted, blocks = 0, -(-n_rows // BLOCK_ROWS)
    for part in merge(parts):
        if part.first != wanted:
            what = f"blocks {wanted} to {part.first - 1} are missing" if part.first > wanted else "some twice"
            raise ValueError(f"parts must hold each of {blocks} blocks once, got {what}")
        wanted = part.stop
        stack.append(part)
    if wanted != blocks:
        raise ValueError(f"parts must hold each of {blocks} blocks once, got those below {wanted}")
    costs = np.concatenate([part.costs for part in stack])
    while len(stack) > 1:  # the smaller subtrees at the end, from the right
        stack[-2:] = [_sum(*stack[-2:])]
    return stack[0].dW, stack[0].db, core.total_cost(costs)


@in_default_mode
def merge(parts: Iterable[Subtree]) -> list[Subtree]:
    """Return fewer subtrees, in the order of their blocks: each two that make up a larger one are added.

    Parameters
    ----------
    parts : iterable of Subtree
        In any order. Their arrays are used up: sums are written into them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnet.training import subtrees
    >>> parts = [subtrees.Subtree(k, k + 1, [np.ones((1, 1))], [], np.ones(1)) for k in (3, 2, 4)]
    >>> [(part.first, part.stop, part.dW[0].item()) for part in subtrees.merge(parts)]
    [(2, 4, 2.0), (4, 5, 1.0)]
    """
    stack: list[Subtree] = []
    for part in sorted(parts, key=lambda part: part.first):
        stack.append(part)
        while len(stack) > 1 and _are_twins(*stack[-2:]):
            stack[-2:] = [_sum(*stack[-2:])]
    return stack


def _are_twins(left: Subtree, right: Subtree) -> bool:
    size = left.stop - left.first
    return right.first == left.stop and size == right.stop - right.first and left.first % (2 * size) == 0


def _sum(left: Subtree, right: Subtree) -> Subtree:
    for a, b in zip((*left.dW, *left.db), (*right.dW, *right.db), strict=True):
        np.add(a, b, out=a)
    return left._replace(stop=right.stop, costs=np.concatenate([left.costs, right.costs]))
