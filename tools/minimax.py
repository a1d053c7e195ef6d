"""The polynomial of smallest relative error with rounded coefficients: the exchange behind `polynomials.py`.

The polynomial whose largest weighted error is smallest is found by a one-point exchange (Remez 1934; in
Stiefel's form, which is the simplex method on the dual linear program and therefore also serves after some
coefficients are fixed, when the remaining powers are no Haar system any more). Then the coefficients are
rounded to the target type one by one, lowest power first, the others being optimised anew after each, so that
the higher powers make up for what the rounding of the lower ones cost.

Sources: E. Remez, "Sur le calcul effectif des polynomes d'approximation de Tchebichef", C. R. Acad. Sci. 199
(1934); E. Stiefel, "Ueber diskrete und lineare Tschebyscheff-Approximationen", Numer. Math. 1 (1959); J.-M.
Muller, "Elementary Functions", 3rd ed. (2016), on minimax polynomials with constrained coefficients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mpmath import mp  # type: ignore[import-untyped]

Real = Any  # an mpmath number: mpmath has no type information

FINE_GRID = 4001  # points on which the error of the result is measured


def rounded(x: Real, bits: int) -> Real:
    """Return x rounded to the nearest number with the given number of significant bits (ties to even)."""
    with mp.workprec(bits):
        return +x


@dataclass
class Problem:
    """Find q so that ``weight(x) * (target(x) - q(x))`` is as small as possible on [low, high]."""

    low: Real
    high: Real
    target: Callable[[Real], Real]
    weight: Callable[[Real], Real]
    points: int = 601  # of the grid on which the exchange works

    def grid(self, count: int) -> list[Real]:
        """Return Chebyshev points: dense at the ends, where the extremes crowd."""
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        return [middle - half * mp.cos(mp.pi * k / (count - 1)) for k in range(count)]

    def largest_error(self, q: list[Real]) -> Real:
        """Return the largest weighted error of the polynomial q (lowest power first) on a fine grid."""
        return max(abs(self.weight(x) * (self.target(x) - horner(q, x))) for x in self.grid(FINE_GRID))


def horner(q: list[Real], x: Real) -> Real:
    """Return q[0] + q[1] x + q[2] x^2 + ..."""
    total = mp.mpf(0)
    for coefficient in reversed(q):
        total = total * x + coefficient
    return total


def minimax(rows: list[list[Real]], values: list[Real]) -> list[Real]:
    """Return c that makes the largest ``|values[k] - sum_j c_j rows[k][j]|`` smallest (Stiefel's exchange).

    A reference of len(c) + 1 points with signs s_k determines c and the level h by ``sum_j c_j rows[k][j] +
    s_k h = values[k]``. The point of the largest error enters; the one that leaves is found by the ratio test
    of the simplex method, which keeps the multipliers positive and makes h grow.
    """
    size = len(rows[0])
    points = [round((len(rows) - 1) * (k + mp.mpf(1) / 2) / (size + 1)) for k in range(size + 1)]
    # Signs of a null vector of the reference (it is unique: its last entry is set to 1) make the start
    # feasible.
    left = mp.matrix([[rows[k][j] for k in points[:-1]] for j in range(size)])
    null = [*mp.lu_solve(left, mp.matrix([-v for v in rows[points[-1]]])), mp.mpf(1)]
    signs = [1 if v > 0 else -1 for v in null]
    for _ in range(1000):
        basis = mp.matrix(
            [[s * v for v in rows[k]] + [mp.mpf(1)] for k, s in zip(points, signs, strict=True)]
        )
        solved = mp.lu_solve(basis, mp.matrix([s * values[k] for k, s in zip(points, signs, strict=True)]))
        c, level = list(solved[:size]), solved[size]
        errors = [v - mp.fdot(c, row) for v, row in zip(values, rows, strict=True)]
        worst = max(range(len(rows)), key=lambda k: abs(errors[k]))
        if abs(errors[worst]) <= level * (1 + mp.mpf(2) ** -40):
            return c
        sign = 1 if errors[worst] > 0 else -1
        unit = mp.matrix([0] * size + [1])
        multipliers = mp.lu_solve(basis.T, unit)
        direction = mp.lu_solve(basis.T, mp.matrix([sign * v for v in rows[worst]] + [mp.mpf(1)]))
        ratios = [(multipliers[k] / direction[k], k) for k in range(size + 1) if direction[k] > 0]
        leaves = min(ratios)[1]
        points[leaves], signs[leaves] = worst, sign
    raise ArithmeticError("the exchange did not settle in 1000 steps")


def fit(problem: Problem, terms: int, bits: int) -> tuple[list[Real], Real, Real]:
    """Return q rounded to `bits`, and the largest relative error before and after the rounding."""
    # Where the weight is 0 (r = 0, m = 0) every polynomial is right: such a row says nothing and would be
    # singular.
    grid = [x for x in problem.grid(problem.points) if problem.weight(x) > mp.mpf(2) ** -80]
    weights = [problem.weight(x) for x in grid]
    rest = [w * problem.target(x) for w, x in zip(weights, grid, strict=True)]
    rows = [[w * x**j for j in range(terms)] for w, x in zip(weights, grid, strict=True)]
    fixed: list[Real] = []
    before = mp.mpf(0)
    while len(fixed) < terms:
        c = minimax(rows, rest)
        if not fixed:
            before = problem.largest_error(c)
        fixed.append(rounded(c[0], bits))
        rest = [v - fixed[-1] * row[0] for v, row in zip(rest, rows, strict=True)]
        rows = [row[1:] for row in rows]
    return fixed, before, problem.largest_error(fixed)
