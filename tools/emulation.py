"""The vector functions as the kernels compute them, operation by operation, and their largest errors.

The float32 functions run in NumPy with every operation rounded to float32 (a fused multiply-add is done in
float64, whose product of two float32 is exact, and rounded once more), the float64 ones in mpmath with 53
bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from minimax import Real, rounded
from mpmath import mp  # type: ignore[import-untyped]

Floats = npt.NDArray[np.float32]
Wide = npt.NDArray[np.float64]
Table = dict[str, list[float]]
Mad32 = Callable[[Any, Any, Any], Floats]
Mad64 = Callable[[Real, Real, Real], Real]

# "gelu -" is z Phi(z) for z < 0, "gelu +" for z > 0. The slope of gelu, Phi(z) + z phi(z), is a difference
# for z < 0 and has a zero there: its unit is the last place of Phi(-|z|) + |z| phi(z).
BOUNDS = {"exp": 1.1, "expm1": 1.5, "sigmoid": 2.0, "log1p": 2.0, "log": 2.0, "Phi": 5.0, "slope": 6.0}
BOUNDS |= {"gelu -": 5.0, "gelu +": 5.0}


# ---- float32


def fma32(a: Any, b: Any, c: Any) -> Floats:
    """Return a * b + c rounded to float32 (almost always once: the float64 sum is rounded first)."""
    wide = np.asarray(a, np.float64) * np.asarray(b, np.float64) + np.asarray(c, np.float64)
    return wide.astype(np.float32)


def muladd32(a: Any, b: Any, c: Any) -> Floats:
    """Return a * b + c with the product and the sum each rounded to float32."""
    return (np.asarray(a, np.float32) * np.asarray(b, np.float32) + np.asarray(c, np.float32)).astype(
        np.float32
    )


def polynomial32(q: list[float], x: Floats, mad: Mad32) -> Floats:
    """Return q[0] + q[1] x + ..., even and odd powers each by Horner."""
    square = x * x
    y, z = np.full_like(x, q[::2][-1]), np.full_like(x, q[1::2][-1])
    for coefficient in q[::2][-2::-1]:
        y = mad(y, square, coefficient)
    for coefficient in q[1::2][-2::-1]:
        z = mad(z, square, coefficient)
    return mad(z, x, y)


def reduced32(x: Floats, table: Table, mad: Mad32, tail: Floats | float = 0.0) -> tuple[Floats, Floats]:
    """Return n and p = e^r - 1 of e^(x + tail) = 2^n e^r: p = r + r^2 q."""
    n = np.rint(x * np.float32(table["LOG2E"][0]))
    r = mad(-n, table["LN2_HI"][0], x)
    r = mad(-n, table["LN2_LO"][0], r) + np.float32(tail)
    return n, mad(polynomial32(table["EXP"], r, mad), r * r, r)


def exp32(x: Floats, table: Table, mad: Mad32, tail: Floats | float = 0.0) -> Floats:
    """Return exp(x + tail) as the float32 kernel computes it: 1 + (r + r^2 q), scaled by 2^n in two steps.

    Plain Horner to the end, 1 + r (1 + r q), is better with fma (0.89 ULP against 1.01 over 2e7 samples) and
    worse without (1.17 against 0.98): this order keeps both within 1.1.
    """
    n, p = reduced32(x, table, mad, tail)
    first = np.trunc(n / 2).astype(np.int32)
    return np.asarray(np.ldexp(np.ldexp(p + np.float32(1), first), n.astype(np.int32) - first), np.float32)


def expm1_32(x: Floats, table: Table, mad: Mad32) -> Floats:
    """Return exp(x) - 1 for x <= 0: 2^n p + (2^n - 1)."""
    n, p = reduced32(x, table, mad)
    power = np.ldexp(np.float32(1), n.astype(np.int32)).astype(np.float32)
    return mad(power, p, power - np.float32(1))


def sigmoid32(x: Floats, table: Table, mad: Mad32) -> Floats:
    """Return sigmoid(x) as the float32 kernel computes it."""
    e = exp32(-np.abs(x), table, mad)
    h = e / (np.float32(1) + e)
    return np.where(x >= 0, np.float32(1) - h, mad(-e, h, e))


def atanh32(s: Floats, table: Table, mad: Mad32) -> Floats:
    """Return 2 atanh(s) = log((1 + s)/(1 - s)): 2 s + (2 s m) q(m)."""
    m = s * s
    twice = s + s
    return mad(twice * m, polynomial32(table["LOG"], m, mad), twice)


def log1p32(e: Floats, table: Table, mad: Mad32) -> Floats:
    """Return log1p(e), e in [0, 1], as the float32 kernel computes it."""
    return atanh32(e / (np.float32(2) + e), table, mad)


def log32(x: Floats, table: Table, mad: Mad32) -> Floats:
    """Return log(x) of positive normal x = 2^e f, sqrt(1/2) <= f < sqrt(2): e ln 2 in two parts + log f."""
    f, e = np.frexp(x)
    low = f < np.float32(np.sqrt(0.5))
    f, e = np.where(low, f + f, f), (e - low).astype(np.float32)
    one = np.float32(1)
    return mad(e, table["LN2_HI"][0], mad(e, table["LN2_LO"][0], atanh32((f - one) / (f + one), table, mad)))


def normal32(x: Floats, table: Table, mad: Mad32) -> dict[str, Floats]:
    """Return Phi(-x), x Phi(-x) and Phi(-x) - x phi(x) for 0 <= x <= PHI_MOST.

    x^2 is kept in two parts: near the end, its rounding would change e^(-x^2/2) by 50 ULP.
    """
    d = np.float32(1) / (x + np.float32(table["PHI_C"][0]))
    w = x * d
    q = polynomial32(table["PHI"], (w + w) - np.float32(1), mad)
    high = x * x
    low = (x.astype(np.float64) ** 2 - high).astype(np.float32)  # exact
    e = exp32(np.float32(-0.5) * high, table, mad, np.float32(-0.5) * low)
    mills = q * d
    density = np.float32(table["PHI_DENSITY"][0])
    return {"Phi": mills * e, "product": (w * q) * e, "slope": mad(-x, density, mills) * e}


def ulps32(got: Floats, exact: Wide) -> float:
    """Return the largest distance from the float64 result, in units in the last place of float32."""
    exponent = np.maximum(np.frexp(exact)[1] - 24, -149)  # -149: the spacing of the denormals
    return float(np.max(np.abs(got.astype(np.float64) - exact) / np.ldexp(1.0, exponent)))


# ---- float64


def mad64(*, fused: bool) -> Mad64:
    """Return the function a * b + c, rounded once or after each operation."""

    def mad(a: Real, b: Real, c: Real) -> Real:
        return rounded(a * b + c, 53) if fused else rounded(rounded(a * b, 53) + c, 53)

    return mad


def polynomial64(q: list[float], x: Real, mad: Mad64) -> Real:
    """Return q[0] + q[1] x + ..., even and odd powers each by Horner."""
    square = rounded(x * x, 53)
    y, z = mp.mpf(q[::2][-1]), mp.mpf(q[1::2][-1])
    for coefficient in q[::2][-2::-1]:
        y = mad(y, square, mp.mpf(coefficient))
    for coefficient in q[1::2][-2::-1]:
        z = mad(z, square, mp.mpf(coefficient))
    return mad(z, x, y)


def reduced64(x: Real, table: Table, mad: Mad64, tail: Real = 0) -> tuple[int, Real]:
    """Return n and p = e^r - 1 of e^(x + tail) = 2^n e^r: p = r + r^2 q."""
    n = mp.nint(rounded(x * mp.mpf(table["LOG2E"][0]), 53))
    r = mad(-n, mp.mpf(table["LN2_HI"][0]), x)
    r = rounded(mad(-n, mp.mpf(table["LN2_LO"][0]), r) + tail, 53)
    return int(n), mad(polynomial64(table["EXP"], r, mad), rounded(r * r, 53), r)


def exp64(x: Real, table: Table, mad: Mad64, tail: Real = 0) -> Real:
    """Return exp(x + tail) as the float64 kernel computes it (no overflow, no denormals)."""
    n, p = reduced64(x, table, mad, tail)
    return mp.ldexp(rounded(p + 1, 53), n)


def expm1_64(x: Real, table: Table, mad: Mad64) -> Real:
    """Return exp(x) - 1 for x <= 0."""
    n, p = reduced64(x, table, mad)
    power = mp.ldexp(mp.mpf(1), n)
    return mad(power, p, rounded(power - 1, 53))


def atanh64(s: Real, table: Table, mad: Mad64) -> Real:
    """Return 2 atanh(s)."""
    m = rounded(s * s, 53)
    return mad(rounded(2 * s * m, 53), polynomial64(table["LOG"], m, mad), 2 * s)


def log1p64(e: Real, table: Table, mad: Mad64) -> Real:
    """Return log1p(e), e in [0, 1], as the float64 kernel computes it."""
    return atanh64(rounded(e / rounded(2 + e, 53), 53), table, mad)


def log64(x: Real, table: Table, mad: Mad64) -> Real:
    """Return log(x) of positive normal x."""
    f, e = mp.frexp(x)
    if f < rounded(mp.sqrt(0.5), 53):
        f, e = 2 * f, e - 1
    log_f = atanh64(rounded((f - 1) / rounded(f + 1, 53), 53), table, mad)
    return mad(mp.mpf(e), mp.mpf(table["LN2_HI"][0]), mad(mp.mpf(e), mp.mpf(table["LN2_LO"][0]), log_f))


def normal64(x: Real, table: Table, mad: Mad64) -> dict[str, Real]:
    """Return Phi(-x), x Phi(-x) and Phi(-x) - x phi(x), as `normal32` does."""
    d = rounded(1 / rounded(x + mp.mpf(table["PHI_C"][0]), 53), 53)
    w = rounded(x * d, 53)
    q = polynomial64(table["PHI"], rounded(2 * w - 1, 53), mad)
    high = rounded(x * x, 53)
    e = exp64(-high / 2, table, mad, (high - x * x) / 2)
    mills = rounded(q * d, 53)
    slope = mad(-x, mp.mpf(table["PHI_DENSITY"][0]), mills)
    return {
        "Phi": rounded(mills * e, 53),
        "product": rounded(rounded(w * q, 53) * e, 53),
        "slope": rounded(slope * e, 53),
    }


def ulps64(got: Real, exact: Real) -> float:
    """Return the distance of got from exact in units in the last place of float64 (normal numbers)."""
    if exact == 0:
        return 0.0 if got == 0 else float("inf")
    return float(abs(got - exact) / mp.mpf(2) ** (int(mp.floor(mp.log(abs(exact), 2))) - 52))


# ---- the largest errors


def report(dtype: str, label: str, found: dict[str, float]) -> bool:
    """Print the errors by name; return whether all bounds hold."""
    for name, error in found.items():
        print(f"# {dtype} {name:<8} {label:<8} {error:.3f} ULP (bound {BOUNDS[name]})")
    return all(error <= BOUNDS[name] for name, error in found.items())


def verify32(table: Table) -> bool:
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
    positive = np.concatenate([rng.uniform(0.5, 2.5, 2_000_000), np.exp(rng.uniform(-87, 88, 1_000_000))])
    positive = positive.astype(np.float32)
    deviates = np.abs(np.concatenate([rng.uniform(0, 14.5, 400_000), near[:400_000], tiny]))
    deviates = deviates.astype(np.float32)
    exact = exact_normal32(deviates)
    ok = True
    for label, mad in (("mul+add", muladd32), ("fma", fma32)):
        wanted = np.exp(x.astype(np.float64))
        logistic = 1 / (1 + np.exp(-x.astype(np.float64)))
        below = x[x <= 0]
        normal = normal32(deviates, table, mad)
        gelu = deviates - normal["product"]
        slopes = np.abs(normal["slope"] - exact["slope"]) / np.spacing(exact["scale"])
        found = {
            "exp": ulps32(exp32(x, table, mad), wanted),
            "expm1": ulps32(expm1_32(below, table, mad), np.expm1(below.astype(np.float64))),
            "sigmoid": ulps32(sigmoid32(x, table, mad), logistic),
            "log1p": ulps32(log1p32(e, table, mad), np.log1p(e.astype(np.float64))),
            "log": ulps32(log32(positive, table, mad), np.log(positive.astype(np.float64))),
            "Phi": ulps32(normal["Phi"], exact["Phi"]),
            "gelu -": ulps32(normal["product"], exact["product"]),
            "gelu +": ulps32(gelu, deviates - exact["product"]),
            "slope": float(slopes.max()),
        }
        ok = report("float32", label, found) and ok
    return ok


def exact_normal32(x: Floats) -> dict[str, Wide]:
    """Return what `normal32` should, in float64, and the size of the terms of its slope."""
    wide = x.astype(np.float64)
    below = np.array([math.erfc(v) for v in (wide / math.sqrt(2)).tolist()]) / 2
    density = wide * np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)
    return {
        "Phi": below,
        "product": wide * below,
        "slope": below - density,
        "scale": (below + density).astype(np.float32),
    }


def verify64(table: Table, count: int = 3000) -> bool:
    """Print the largest errors of the float64 functions over samples; return whether all bounds hold."""
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.uniform(-708, 709, count), rng.uniform(-2, 2, count)])
    e = np.concatenate([rng.uniform(0, 1, count), np.ldexp(1.0, -np.arange(0, 1000, 10))])
    positive = np.concatenate([rng.uniform(0.5, 2.5, count), np.exp(rng.uniform(-700, 700, count))])
    deviates = np.concatenate([rng.uniform(0, 37.5, count), rng.uniform(0, 2, count)])  # no denormals
    ok = True
    for label, fused in (("mul+add", False), ("fma", True)):
        mad = mad64(fused=fused)
        found = {
            "exp": worst64(x, mp.exp, exp64, table, mad),
            "expm1": worst64(-np.abs(x), mp.expm1, expm1_64, table, mad),
            "log1p": worst64(e, mp.log1p, log1p64, table, mad),
            "log": worst64(positive, mp.log, log64, table, mad),
        }
        found |= worst_normal64(deviates, table, mad)
        ok = report("float64", label, found) and ok
    return ok


def worst64(
    x: Wide, exact: Callable[[Real], Real], kernel: Callable[..., Real], table: Table, mad: Mad64
) -> float:
    """Return the largest error of a float64 function over the samples x."""
    return max(ulps64(kernel(v, table, mad), exact(v)) for v in map(mp.mpf, x.tolist()))


def worst_normal64(deviates: Wide, table: Table, mad: Mad64) -> dict[str, float]:
    """Return the largest errors of what `normal64` computes."""
    errors: dict[str, list[float]] = {"Phi": [], "gelu -": [], "gelu +": [], "slope": []}
    for x in map(mp.mpf, deviates.tolist()):
        got = normal64(x, table, mad)
        below, density = mp.erfc(x / mp.sqrt(2)) / 2, x * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
        errors["Phi"].append(ulps64(got["Phi"], below))
        errors["gelu -"].append(ulps64(got["product"], x * below))
        errors["gelu +"].append(ulps64(rounded(x - got["product"], 53), x * (1 - below)))
        unit = mp.mpf(2) ** (int(mp.floor(mp.log(below + density, 2))) - 52)
        errors["slope"].append(float(abs(got["slope"] - (below - density)) / unit))
    return {name: max(values) for name, values in errors.items()}
