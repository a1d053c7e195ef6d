"""Measure the largest errors of the activations, on every float32 number and on a million of float64.

    python tools/ulp_sweep.py                          all activations on all 2^32 float32 numbers (an hour)
    python tools/ulp_sweep.py sigmoid tanh             these
    python tools/ulp_sweep.py exp --part 3/16          the third of sixteen parts, to share out the work
    python tools/ulp_sweep.py exp --step 1009          every 1009th number: a look, in a second or two
    python tools/ulp_sweep.py --slopes gelu mish       the slopes of these on all float32 numbers
    python tools/ulp_sweep.py --float64 exp tanh       a million float64 numbers beside mpmath (minutes)

The exact values of float32 come from `fastnet.reference` in float64, whose own error is below 2^-20 of a
float32 unit (for gelu from SciPy's erfc, if it is installed: as exact, and faster); those of float64 from
mpmath with 140 bits. An error is counted in units of the last place (ULP) just below the exact value, down to
the spacing of denormal numbers. Every NaN has to give a NaN. An error of a slope is counted in eps, 2^-23,
and as a share of the bound in tests/helpers/bounds.py; exp is its own slope. What the build in use computes
is measured (FASTNET_ISA chooses another one); builds with the same bits have the same errors.

Exit status: 0 every error is within the documented bound, 1 one is not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastnet as fn
from fastnet import reference
from fastnet._core import engine
from fastnet.reference.normal import density
from fastnet.selftest import ULP

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/helpers"))
from bounds import slope_bound

try:
    from scipy.special import erfc
except ImportError:
    erfc = None

CHUNK = 1 << 18  # what is made of a chunk stays in the cache; it has one sign and ascends or descends
SAMPLES = 1_000_000
MONOTONE = {"sigmoid", "logistic", "tanh", "elu", "selu", "softplus", "exp"}
NAMES = [name for name in ULP if name not in ("identity", "relu", "leaky_relu")]


def ulps(got: Any, exact: Any) -> Any:
    """Return |got - exact| in units of the spacing of numbers just below the exact value, away from 0.

    Where the exact value overflows, so must `got`, or be the largest number.
    """
    dtype = got.dtype.type
    largest = np.finfo(dtype).max
    right = np.minimum(abs(exact), largest).astype(dtype)
    spacing = right - np.nextafter(right, dtype(0))
    spacing = np.maximum(spacing, np.finfo(dtype).smallest_subnormal)
    error = abs(got - exact) / spacing
    return np.where(abs(exact) > largest, np.where(abs(got) >= largest, 0, np.inf), error)


def allowance(name: str, x: Any) -> Any:
    """Return what the bound leaves out: silu and mish multiply z by what is rounded to a denormal."""
    if name not in ("silu", "mish"):
        return 0
    return np.where(x < np.log(np.finfo(x.dtype).smallest_normal), abs(x), 0)


def activated(x: Any, name: str) -> Any:
    """Return the activation of float64 numbers, as exact as float64 can."""
    if name == "gelu" and erfc is not None:
        return x * (erfc(x * -np.sqrt(0.5)) / 2)
    return reference.activate(x[None], name)[0]


def slope_of(x: Any, name: str) -> Any:
    """Return the slope of the activation at float64 numbers."""
    if name == "gelu" and erfc is not None:
        return erfc(x * -np.sqrt(0.5)) / 2 + x * density(x)
    return reference.activation_backward(x[None], np.ones((1, x.size)), name)[0]


def every_float32(part: int, parts: int, step: int) -> Iterator[Any]:
    """Give a part of all bit patterns of float32, in chunks."""
    count = -(-(2**32) // step)
    first, last = (count * (part - 1)) // parts, (count * part) // parts
    for start in range(first, last, CHUNK):
        numbers = np.arange(start, min(start + CHUNK, last), dtype=np.uint64) * step
        yield numbers.astype(np.uint32).view(np.float32)


def sweep(name: str, part: int, parts: int, step: int) -> bool:
    """Measure one activation in float32, print a line, and tell whether the bound holds."""
    start, worst, at, count = time.perf_counter(), 0.0, 0.0, 0
    for chunk in every_float32(part, parts, step):
        nan = np.isnan(chunk)
        if nan.any():
            if not np.isnan(fn.activate(chunk[nan][None], name)).all():
                print(f"{name}: a NaN did not stay one")
                return False
            chunk = chunk[~nan]
        chunk = chunk[np.isfinite(chunk)]
        if not chunk.size:
            continue
        count += chunk.size
        got = fn.activate(chunk[None], name)[0]
        one_sign = np.signbit(chunk[0]) == np.signbit(chunk[-1])
        if name in MONOTONE and one_sign and got.min() == got.max():
            # Where the result is constant, the error is largest at one of the ends.
            chunk, got = chunk[[0, -1]], got[[0, -1]]
        with np.errstate(all="ignore"):
            exact = activated(chunk.astype(np.float64), name)
            error = ulps(got, exact) - allowance(name, chunk)
        largest = int(error.argmax())
        if error[largest] > worst:
            worst, at = float(error[largest]), float(chunk[largest])
    print(
        f"{name:11} float32  {fn.isa.active():8} max {worst:6.3f} ULP at {at:<14.9g} "
        f"bound {ULP[name]:3.1f}  of {count:,}  {time.perf_counter() - start:.0f} s",
        flush=True,
    )
    return worst <= ULP[name]


def sweep_slopes(name: str, part: int, parts: int, step: int) -> bool:
    """Measure one slope in float32, print a line, and tell whether the bound holds."""
    start, worst, at, share, count = time.perf_counter(), 0.0, 0.0, 0.0, 0
    eps, largest = float(np.finfo(np.float32).eps), np.finfo(np.float32).max
    for chunk in every_float32(part, parts, step):
        chunk = chunk[np.isfinite(chunk)]
        if not chunk.size:
            continue
        count += chunk.size
        got = engine.activation_backward(chunk[None], np.ones((1, chunk.size), np.float32), name)[0]
        size = abs(chunk[[0, -1]])
        if got.min() == got.max() and (size.max() < 0.5 or size.min() > 5):
            # Every slope ascends or descends here, so the error is largest at one of the ends.
            chunk, got = chunk[[0, -1]], got[[0, -1]]
        wide = chunk.astype(np.float64)
        with np.errstate(all="ignore"):
            exact = slope_of(wide, name)
            error = np.where(abs(exact) > largest, 0.0, abs(np.minimum(got, largest) - exact))
        if (off := float(error.max()) / eps) > worst:
            worst, at = off, float(chunk[error.argmax()])
        looked_at = np.nonzero(error > share * eps / 2)[0]  # others cannot be a larger share of their bound
        z = wide[looked_at]
        with np.errstate(all="ignore"):
            bound = slope_bound(name, z, activated(z, name), exact[looked_at], np.float32)
        share = max(share, float((error[looked_at] / bound).max(initial=0.0)))
    print(
        f"{name:11} slope, float32 {fn.isa.active():8} max {worst:6.3f} eps at {at:<14.9g} "
        f"{share:.2f} of the bound  of {count:,}  {time.perf_counter() - start:.0f} s",
        flush=True,
    )
    return share <= 1


# ---- float64


def exact_values() -> dict[str, Any]:
    """Return each activation in mpmath."""
    from mpmath import mp

    mp.prec = 140
    scale, alpha = mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.6732632423543772848170429916717")

    def sigmoid(x: Any) -> Any:
        return 1 / (1 + mp.exp(-x)) if x > 0 else mp.exp(x) / (1 + mp.exp(x))

    def softplus(x: Any) -> Any:
        return max(x, mp.mpf(0)) + mp.log1p(mp.exp(-abs(x)))

    return {
        "sigmoid": sigmoid,
        "logistic": sigmoid,
        "tanh": mp.tanh,
        "elu": lambda x: x if x > 0 else mp.expm1(x),
        "selu": lambda x: scale * (x if x > 0 else alpha * mp.expm1(x)),
        "silu": lambda x: x * sigmoid(x),
        "gelu": lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
        "softplus": softplus,
        "mish": lambda x: x * mp.tanh(softplus(x)),
        "exp": mp.exp,
    }


def samples(count: int) -> Any:
    """Return float64 numbers where activations vary: wide, in the middle, near 0, and of every size."""
    rng = np.random.default_rng(64)
    quarter = count // 4
    return np.concatenate([
        rng.uniform(-746, 709, quarter),
        rng.uniform(-40, 40, quarter),
        rng.uniform(-2, 2, quarter),
        rng.choice([-1, 1], count - 3 * quarter) * 10.0 ** rng.uniform(-300, 2.8, count - 3 * quarter),
    ])  # fmt: skip


def sample(name: str, count: int) -> bool:
    """Measure one activation in float64, print a line, and tell whether the bound holds."""
    from mpmath import mpf

    start, worst, at, function = time.perf_counter(), 0.0, 0.0, exact_values()[name]
    x = samples(count)
    got = fn.activate(x[None], name)[0]
    left_out = allowance(name, x) * np.ones(x.size)
    smallest, largest = float(np.finfo(float).smallest_subnormal), np.finfo(float).max
    for k, value in enumerate(x.tolist()):
        right = function(mpf(value))
        near = abs(float(right))
        if near > largest:
            error = 0.0 if abs(got[k]) >= largest else np.inf
        else:
            spacing = max(near - float(np.nextafter(near, 0)), smallest)
            error = float(abs(mpf(float(got[k])) - right) / spacing)
        error -= left_out[k]
        if error > worst:
            worst, at = error, value
    print(
        f"{name:11} float64  {fn.isa.active():8} max {worst:6.3f} ULP at {at:<23.17g} "
        f"bound {ULP[name]:3.1f}  of {x.size:,} samples  {time.perf_counter() - start:.0f} s",
        flush=True,
    )
    return worst <= ULP[name]


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="measure the K-th of N parts")
    parser.add_argument("--step", type=int, default=1, help="take every STEP-th float32 number only")
    parser.add_argument("--slopes", action="store_true", help="the slopes, in float32")
    parser.add_argument("--float64", action="store_true", help="samples beside mpmath")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="default: %(default)s")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(NAMES)):
        parser.error(f"names must be of {', '.join(NAMES)}, got {', '.join(unknown)}")
    names = arguments.names or [name for name in NAMES if name != "exp" or not arguments.slopes]
    part, parts = map(int, arguments.part.split("/"))
    if arguments.float64:
        return 0 if not [name for name in names if not sample(name, arguments.samples)] else 1
    measured = sweep_slopes if arguments.slopes else sweep
    return 0 if not [name for name in names if not measured(name, part, parts, arguments.step)] else 1


if __name__ == "__main__":
    sys.exit(main())
