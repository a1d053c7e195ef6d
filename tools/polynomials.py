"""Derive the polynomial constants of the vector functions exp, sigmoid and log1p, and check them.

Use, from anywhere (needs mpmath and NumPy; under a minute)::

    python tools/polynomials.py            # derive, print the constants as C/Cython literals, verify
    python tools/polynomials.py --no-check # derive and print only

What is derived, once for float32 and once for float64:

* ``exp(x) = 2^n exp(r)``, ``n = rint(x log2(e))``, ``r = (x - n LN2_HI) - n LN2_LO`` (Cody & Waite). On the
  interval of r, ``[-ln2/2, ln2/2]`` widened for the rounding of n, ``exp(r) = 1 + r + r^2 q(r)``.
* ``log1p(e)``, e in [0, 1]: with ``s = e/(2 + e)`` in [0, 1/3] and ``m = s^2``, ``log1p(e) = 2 atanh(s) =
  2 s (1 + m q(m))``.

Each q is the polynomial whose largest relative error (of the whole function) is smallest: a weighted minimax
problem, solved by a one-point exchange (Remez 1934; in Stiefel's form, which is the simplex method on the
dual linear program and therefore also serves after some coefficients are fixed, when the remaining powers are
no Haar system any more). Then the coefficients are rounded to the target type one by one, lowest power first,
the others being optimised anew after each, so that the higher powers make up for what the rounding of the
lower ones cost.

The check runs the float32 functions in NumPy with every operation rounded to float32 (a fused multiply-add is
done in float64, whose product of two float32 is exact, and rounded once more) and the float64 ones in mpmath
with 53 bits. Each constant is looked up in ``_core/lanes/constants.h``, where the kernels read them.

Sources: E. Remez, "Sur le calcul effectif des polynomes d'approximation de Tchebichef", C. R. Acad. Sci. 199
(1934); E. Stiefel, "Ueber diskrete und lineare Tschebyscheff-Approximationen", Numer. Math. 1 (1959); W. J.
Cody and W. Waite, "Software Manual for the Elementary Functions" (1980); J.-M. Muller, "Elementary
Functions", 3rd ed. (2016), on minimax polynomials with constrained coefficients and on range reduction.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mpmath import mp  # type: ignore[import-untyped]

Real = Any  # an mpmath number: mpmath has no type information
Floats = npt.NDArray[np.float32]

WORK_BITS = 200
GRID = 601  # points of the grid on which the exchange works
FINE_GRID = 4001  # points on which the error of the result is measured
BITS = {"float32": 24, "float64": 53}
EXP_TERMS = {"float32": 5, "float64": 11}  # coefficients of q: exp has degree 6 and 12
LOG_TERMS = {"float32": 5, "float64": 11}
# |n| <= 152 in float32 (exp(-104) is below half the smallest denormal), <= 1076 in float64. The error of
# x log2(e) before it is rounded to n is at most |n| 2^(1-bits), which moves |r| past ln2/2 by ln2 times that.
# Taken twice as large.
LARGEST_N = {"float32": 152, "float64": 1100}
# n * hi needs 8 or 11 bits more, at most 24 and 53 together, so it is exact.
LN2_HI_BITS = {"float32": 15, "float64": 42}
HEADER = Path(__file__).resolve().parents[1] / "src" / "fastnet" / "_core" / "lanes" / "constants.h"


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
    grid = [x for x in problem.grid(GRID) if problem.weight(x) > mp.mpf(2) ** -80]
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


def exp_problem(dtype: str) -> Problem:
    """Return the problem of q in exp(r) = 1 + r + r^2 q(r), relative error."""
    half = mp.ln2 / 2 + mp.ln2 * LARGEST_N[dtype] * mp.mpf(2) ** (2 - BITS[dtype])
    # (e^r - 1 - r) / r^2 as its series: the subtraction would cancel near 0.
    return Problem(
        -half,
        half,
        lambda r: mp.fsum(r**k / mp.factorial(k + 2) for k in range(45)),
        lambda r: r * r * mp.exp(-r),
    )


def log_problem() -> Problem:
    """Return the problem of q in 2 atanh(s) = 2 s (1 + m q(m)), m = s^2 in [0, 1/9], relative error."""
    series = 60  # 9^-60 is below 2^-190

    def target(m: Real) -> Real:
        return mp.fsum(m**k / (2 * k + 3) for k in range(series))

    return Problem(mp.mpf(0), mp.mpf(1) / 9, target, lambda m: m / (1 + m * target(m)))


def constants(dtype: str) -> tuple[dict[str, list[float]], list[str]]:
    """Return the constants of one dtype by name, and lines that say how good they are."""
    bits = BITS[dtype]
    ln2_hi = mp.floor(mp.ln2 * 2 ** LN2_HI_BITS[dtype]) / 2 ** LN2_HI_BITS[dtype]
    ln2_lo = rounded(mp.ln2 - ln2_hi, bits)
    table = {
        "LOG2E": [float(rounded(1 / mp.ln2, bits))],
        "LN2_HI": [float(ln2_hi)],
        "LN2_LO": [float(ln2_lo)],
    }
    notes = [f"ln2 - hi - lo = {mp.nstr(mp.ln2 - ln2_hi - ln2_lo, 3)}; hi has {LN2_HI_BITS[dtype]} bits"]
    jobs = {"EXP": (exp_problem(dtype), EXP_TERMS[dtype]), "LOG": (log_problem(), LOG_TERMS[dtype])}
    for name, (problem, terms) in jobs.items():
        q, before, after = fit(problem, terms, bits)
        table[name] = [float(v) for v in q]
        exponents = [mp.nstr(mp.log(v, 2), 6) for v in (before, after)]
        notes.append(
            f"{name}: {terms} coefficients, relative error 2^{exponents[0]}, rounded 2^{exponents[1]}"
        )
    return table, notes


def literals(dtype: str, table: dict[str, list[float]]) -> str:
    """Return the constants as one line each: name, decimal that reads back exactly, the same in hexadecimal.

    The decimals of float32 constants are those of the equal double, so that they may be read as either.
    """
    lines = []
    for name, values in table.items():
        for k, value in enumerate(values):
            label = name if len(values) == 1 else f"{name}_{k}"
            lines.append(f"{dtype} {label:<7} = {value!r:<24}  # {value.hex()}")
    return "\n".join(lines)


def in_header(dtype: str, table: dict[str, list[float]]) -> bool:
    """Print which constants `constants.h` lacks; return whether it has them all."""
    numbers = set(re.findall(r"[\d.]+(?:e[-+]?\d+)?f?", HEADER.read_text(encoding="utf-8")))
    suffix = "f" if dtype == "float32" else ""
    lacking = [
        f"{v!r}{suffix}" for values in table.values() for v in values if f"{v!r}{suffix}" not in numbers
    ]
    print(
        f"# {dtype}: {HEADER.name} " + (f"lacks {', '.join(lacking)}" if lacking else "has these constants")
    )
    return not lacking


# ---- verification ----------------------------------------------------------------------------------------


def fma32(a: Any, b: Any, c: Any) -> Floats:
    """Return a * b + c rounded to float32 (almost always once: the float64 sum is rounded first)."""
    wide = np.asarray(a, np.float64) * np.asarray(b, np.float64) + np.asarray(c, np.float64)
    return wide.astype(np.float32)


def muladd32(a: Any, b: Any, c: Any) -> Floats:
    """Return a * b + c with the product and the sum each rounded to float32."""
    return (np.asarray(a, np.float32) * np.asarray(b, np.float32) + np.asarray(c, np.float32)).astype(
        np.float32
    )


def exp32(x: Floats, table: dict[str, list[float]], mad: Callable[[Any, Any, Any], Floats]) -> Floats:
    """Return exp(x) as the float32 kernel computes it: 1 + (r + r^2 q), then the scaling by 2^n in two steps.

    Plain Horner to the end, 1 + r (1 + r q), is better with fma (0.89 ULP against 1.01 over 2e7 samples) and
    worse without (1.17 against 0.98): this order keeps both within 1.1.
    """
    n = np.rint(x * np.float32(table["LOG2E"][0]))
    r = mad(-n, table["LN2_HI"][0], x)
    r = mad(-n, table["LN2_LO"][0], r)
    q = np.full_like(x, table["EXP"][-1])
    for coefficient in table["EXP"][-2::-1]:
        q = mad(q, r, coefficient)
    p = mad(q, r * r, r) + np.float32(1)
    first = np.trunc(n / 2).astype(np.int32)
    return np.asarray(np.ldexp(np.ldexp(p, first), n.astype(np.int32) - first), np.float32)


def sigmoid32(x: Floats, table: dict[str, list[float]], mad: Callable[[Any, Any, Any], Floats]) -> Floats:
    """Return sigmoid(x) as the float32 kernel computes it."""
    e = exp32(-np.abs(x), table, mad)
    h = e / (np.float32(1) + e)
    return np.where(x >= 0, np.float32(1) - h, mad(-e, h, e))


def log1p32(e: Floats, table: dict[str, list[float]], mad: Callable[[Any, Any, Any], Floats]) -> Floats:
    """Return log1p(e), e in [0, 1], as the float32 kernel computes it: 2 s + (2 s m) q(m)."""
    s = e / (np.float32(2) + e)
    m = s * s
    q = np.full_like(e, table["LOG"][-1])
    for coefficient in table["LOG"][-2::-1]:
        q = mad(q, m, coefficient)
    twice = s + s
    return mad(twice * m, q, twice)


def ulps32(got: Floats, exact: npt.NDArray[np.float64]) -> float:
    """Return the largest distance from the float64 result, in units in the last place of float32."""
    exponent = np.maximum(np.frexp(exact)[1] - 24, -149)  # -149: the spacing of the denormals
    return float(np.max(np.abs(got.astype(np.float64) - exact) / np.ldexp(1.0, exponent)))


def exp64(x: Real, table: dict[str, list[float]], *, fused: bool) -> Real:
    """Return exp(x) as the float64 kernel computes it, in mpmath with 53 bits (no overflow, no denormals)."""

    def mad(a: Real, b: Real, c: Real) -> Real:
        return rounded(a * b + c, 53) if fused else rounded(rounded(a * b, 53) + c, 53)

    n = mp.nint(rounded(x * mp.mpf(table["LOG2E"][0]), 53))
    r = mad(-n, mp.mpf(table["LN2_HI"][0]), x)
    r = mad(-n, mp.mpf(table["LN2_LO"][0]), r)
    q = mp.mpf(table["EXP"][-1])
    for coefficient in table["EXP"][-2::-1]:
        q = mad(q, r, mp.mpf(coefficient))
    p = rounded(mad(q, rounded(r * r, 53), r) + 1, 53)
    return mp.ldexp(p, int(n))


def log1p64(e: Real, table: dict[str, list[float]], *, fused: bool) -> Real:
    """Return log1p(e) as the float64 kernel computes it, in mpmath with 53 bits."""

    def mad(a: Real, b: Real, c: Real) -> Real:
        return rounded(a * b + c, 53) if fused else rounded(rounded(a * b, 53) + c, 53)

    s = rounded(e / rounded(2 + e, 53), 53)
    m = rounded(s * s, 53)
    q = mp.mpf(table["LOG"][-1])
    for coefficient in table["LOG"][-2::-1]:
        q = mad(q, m, mp.mpf(coefficient))
    return mad(rounded(2 * s * m, 53), q, 2 * s)


def ulps64(got: Real, exact: Real) -> float:
    """Return the distance of got from exact in units in the last place of float64 (normal numbers)."""
    return float(abs(got - exact) / mp.mpf(2) ** (int(mp.floor(mp.log(abs(exact), 2))) - 52))


def verify32(table: dict[str, list[float]]) -> bool:
    """Print the largest errors of the float32 functions over samples; return whether all bounds hold."""
    rng = np.random.default_rng(3)
    wide = rng.uniform(-103.9, 88.7, 2_000_000)
    near = rng.uniform(-2, 2, 2_000_000)
    tiny = np.ldexp(rng.uniform(-1, 1, 100_000), rng.integers(-140, 0, 100_000))
    edges = np.array([0.0, -0.0, 88.72283, -87.33654, -103.97208, -103.2789])
    ties = (np.arange(-149, 128) + 0.5) * np.log(2)  # where n changes: the ends of the interval of r
    ties = (ties[:, None] + np.linspace(-1e-4, 1e-4, 2001)).ravel()
    x = np.concatenate([wide, near, tiny, edges, ties]).astype(np.float32)
    e = np.concatenate([rng.uniform(0, 1, 2_000_000), np.ldexp(1.0, -np.arange(0, 120)), np.abs(tiny)])
    e = e.astype(np.float32)
    ok = True
    for label, mad in (("mul+add", muladd32), ("fma", fma32)):
        wanted = np.exp(x.astype(np.float64))
        logistic = 1 / (1 + np.exp(-x.astype(np.float64)))
        found = {
            "exp": (ulps32(exp32(x, table, mad), wanted), 1.1),
            "sigmoid": (ulps32(sigmoid32(x, table, mad), logistic), 2.0),
            "log1p": (ulps32(log1p32(e, table, mad), np.log1p(e.astype(np.float64))), 2.0),
        }
        for name, (error, bound) in found.items():
            print(f"# float32 {name:<8} {label:<8} {error:.3f} ULP (bound {bound})")
            ok = ok and error <= bound
    return ok


def verify64(table: dict[str, list[float]], count: int = 3000) -> bool:
    """Print the largest errors of the float64 functions over samples; return whether all bounds hold."""
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.uniform(-708, 709, count), rng.uniform(-2, 2, count)])
    e = np.concatenate([rng.uniform(0, 1, count), np.ldexp(1.0, -np.arange(0, 1000, 10))])
    ok = True
    for label, fused in (("mul+add", False), ("fma", True)):
        worst_exp = max(ulps64(exp64(mp.mpf(v), table, fused=fused), mp.exp(mp.mpf(v))) for v in x)
        worst_log = max(ulps64(log1p64(mp.mpf(v), table, fused=fused), mp.log1p(mp.mpf(v))) for v in e)
        for name, error, bound in (("exp", worst_exp, 1.1), ("log1p", worst_log, 2.0)):
            print(f"# float64 {name:<8} {label:<8} {error:.3f} ULP (bound {bound})")
            ok = ok and error <= bound
    return ok


def main(arguments: list[str] | None = None) -> int:
    """Derive, print and check; return 0 when every bound holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--no-check", action="store_true", help="print the constants without verifying them")
    options = parser.parse_args(arguments)
    ok = True
    with mp.workprec(WORK_BITS):
        for dtype in ("float32", "float64"):
            table, notes = constants(dtype)
            print("\n".join(f"# {dtype}: {note}" for note in notes))
            print(literals(dtype, table), flush=True)
            ok = in_header(dtype, table) and ok
            if not options.no_check:
                ok = (verify32(table) if dtype == "float32" else verify64(table)) and ok
            print()
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
