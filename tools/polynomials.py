"""Derive the polynomial constants of the vector functions exp, log and Phi, and check them.

Use, from anywhere (needs mpmath and NumPy; some three minutes)::

    python tools/polynomials.py            # derive, print the constants as C/Cython literals, verify
    python tools/polynomials.py --no-check # derive and print only

What is derived, once for float32 and once for float64:

* ``exp(x) = 2^n exp(r)``, ``n = rint(x log2(e))``, ``r = (x - n LN2_HI) - n LN2_LO`` (Cody & Waite). On the
  interval of r, ``[-ln2/2, ln2/2]`` widened for the rounding of n, ``exp(r) = 1 + r + r^2 q(r)``.
* ``log1p(e)``, e in [0, 1]: with ``s = e/(2 + e)`` in [0, 1/3] and ``m = s^2``, ``log1p(e) = 2 atanh(s) =
  2 s (1 + m q(m))``. The same q serves ``log(f)`` for f in [sqrt(1/2), sqrt(2)], whose s is below 0.172.
* ``Phi(-x)``, x >= 0, the normal distribution: ``Phi(-x) = exp(-x^2/2) q(t) / (x + c)`` with ``t = (x - c)/
  (x + c)`` in [-1, 1), which makes the Mills ratio smooth to infinity (Shepherd & Laframboise 1981, whose
  factor 1 + 2x became x + c here, so that one division serves both). The c are those for which the fewest
  terms do.

How q is found is in `minimax.py`, how the functions are checked in `emulation.py`. Each constant is looked up
in ``_core/lanes/constants.h``, where the kernels read them.

Sources: W. J. Cody and W. Waite, "Software Manual for the Elementary Functions" (1980); J.-M. Muller,
"Elementary Functions", 3rd ed. (2016), on range reduction; M. M. Shepherd and J. G. Laframboise, "Chebyshev
approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < infinity", Math. Comp. 36 (1981).
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from emulation import verify32, verify64
from minimax import Problem, Real, fit, rounded
from mpmath import mp  # type: ignore[import-untyped]

WORK_BITS = 200
BITS = {"float32": 24, "float64": 53}
EXP_TERMS = {"float32": 5, "float64": 11}  # coefficients of q: exp has degree 6 and 12
LOG_TERMS = {"float32": 5, "float64": 11}
PHI_TERMS = {"float32": 9, "float64": 22}
PHI_C = {"float32": 3.765625, "float64": 5.5}
PHI_MOST = {"float32": 14.5, "float64": 38.75}  # e^(-x^2/2) is 0 from 14.42 and 38.61 on
# |n| <= 152 in float32 (exp(-104) is below half the smallest denormal), <= 1076 in float64. The error of
# x log2(e) before it is rounded to n is at most |n| 2^(1-bits), which moves |r| past ln2/2 by ln2 times that.
# Taken twice as large.
LARGEST_N = {"float32": 152, "float64": 1100}
# n * hi needs 8 or 11 bits more, at most 24 and 53 together, so it is exact.
LN2_HI_BITS = {"float32": 15, "float64": 42}
HEADER = Path(__file__).resolve().parents[1] / "src" / "fastnet" / "_core" / "lanes" / "constants.h"


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


def phi_problem(dtype: str) -> Problem:
    """Return the problem of q in Phi(-x) e^(x^2/2) (x + c) = q(t), t = (x - c)/(x + c), relative error."""
    c, most = mp.mpf(PHI_C[dtype]), mp.mpf(PHI_MOST[dtype])

    def target(t: Real) -> Real:
        x = c * (1 + t) / (1 - t)
        return mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) / 2 * (x + c)

    return Problem(mp.mpf(-1), (most - c) / (most + c), target, lambda t: 1 / target(t), points=301)


def constants(dtype: str) -> tuple[dict[str, list[float]], list[str]]:
    """Return the constants of one dtype by name, and lines that say how good they are."""
    bits = BITS[dtype]
    ln2_hi = mp.floor(mp.ln2 * 2 ** LN2_HI_BITS[dtype]) / 2 ** LN2_HI_BITS[dtype]
    ln2_lo = rounded(mp.ln2 - ln2_hi, bits)
    table = {
        "LOG2E": [float(rounded(1 / mp.ln2, bits))],
        "LN2_HI": [float(ln2_hi)],
        "LN2_LO": [float(ln2_lo)],
        "PHI_C": [PHI_C[dtype]],
        "PHI_MOST": [PHI_MOST[dtype]],
        "PHI_DENSITY": [float(rounded(1 / mp.sqrt(2 * mp.pi), bits))],
    }
    notes = [f"ln2 - hi - lo = {mp.nstr(mp.ln2 - ln2_hi - ln2_lo, 3)}; hi has {LN2_HI_BITS[dtype]} bits"]
    jobs = {
        "EXP": (exp_problem(dtype), EXP_TERMS[dtype]),
        "LOG": (log_problem(), LOG_TERMS[dtype]),
        "PHI": (phi_problem(dtype), PHI_TERMS[dtype]),
    }
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
            lines.append(f"{dtype} {label:<11} = {value!r:<24}  # {value.hex()}")
    return "\n".join(lines)


def in_header(dtype: str, table: dict[str, list[float]]) -> bool:
    """Print which constants `constants.h` lacks; return whether it has them all."""
    numbers = set(re.findall(r"-?[\d.]+(?:e[-+]?\d+)?f?", HEADER.read_text(encoding="utf-8")))
    suffix = "f" if dtype == "float32" else ""
    lacking = [
        f"{v!r}{suffix}" for values in table.values() for v in values if f"{v!r}{suffix}" not in numbers
    ]
    print(
        f"# {dtype}: {HEADER.name} " + (f"lacks {', '.join(lacking)}" if lacking else "has these constants")
    )
    return not lacking


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
