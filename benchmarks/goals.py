"""The goals that the speed was built to, and what a run says about each: docs/roofline.md shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.report import markdown_table
from benchmarks.workloads import GROUPS

__all__ = ["Verdict", "table", "verdicts"]

Results = dict[str, Any]

_ANY = ("scikit-learn", "torch", "torch-compiled", "jax", "jax-scan", "numpy", "numba")
_COMPILED = ("jax", "jax-scan", "numba")
_TIMES: tuple[
    tuple[str, tuple[str, ...], float], ...
] = (  # workload, peers of which the fastest counts, wanted
    ("tiny-32", ("scikit-learn",), 200),
    ("tiny-32", _COMPILED, 2.5),
    ("tiny-200", ("scikit-learn",), 50),
    ("tiny-200", _COMPILED, 3.5),
    ("small", ("scikit-learn",), 9.5),
    ("small", ("jax-scan",), 2.2),
    ("small-adam", ("scikit-learn",), 9.5),
    ("small-adam", ("jax-scan",), 2),
    ("medium-adam", ("scikit-learn",), 3.5),
    ("medium-adam", ("jax-scan",), 1.4),
    ("large", _ANY, 1.12),
    ("huge", _ANY, 1.07),
)
_SHARES = {
    "small": 0.52,
    "medium-adam": 0.80,
    "large": 0.87,
    "huge": 0.84,
    "small-f64": 0.48,
    "medium-f64": 0.77,
    "large-f64": 0.84,
    "huge-f64": 0.82,
}
_SHARES_V3 = {"medium-adam": 0.80, "large": 0.80, "huge": 0.80}
_TWO_THREADS = {"medium": 1.5, "medium-adam": 1.5, "large": 1.8, "huge": 1.8}  # and 0.95 wherever
_TORCH = ("torch", "torch-compiled")


@dataclass(frozen=True)
class Verdict:
    """A goal and what was measured: by least times, and by medians."""

    goal: str
    wanted: float
    least: float
    median: float

    @property
    def met(self) -> str:
        """Whether both reach what is wanted, or one, or none."""
        reached = (self.least >= self.wanted) + (self.median >= self.wanted)
        return ("no", "by one of the two", "yes")[reached]


def verdicts(results: Results) -> Iterator[Verdict]:
    """Yield a verdict on each goal that the results have data for."""
    for name, peers, wanted in _TIMES:
        yield from _nearest(results, "main", name, peers, wanted)
    shares = {(name, wanted, results["machine"]["isa"]) for name, wanted in _SHARES.items()}
    shares |= {(name, wanted, "v3") for name, wanted in _SHARES_V3.items()}
    for row in results["builds"]:
        measured = (row["workload"], row["isa"])
        for wanted in sorted(wanted for name, wanted, build in shares if (name, build) == measured):
            what = f"{_named(row['workload'])}, {row['isa']}: share of the FMA peak"
            yield Verdict(what, wanted, row["share"], row["share_median"])
    yield from _nearest(results, "busy", "huge", _TORCH, 1)
    for workload in GROUPS["widths"]:
        yield from _nearest(results, "widths", workload.name, _ANY, 1)
    for row in results.get("threads", []):
        if row.get("threads") == 2:
            wanted = _TWO_THREADS.get(row["workload"], 0.95)
            ratio = row["ratio"]
            yield Verdict(f"{_named(row['workload'])}: two threads", wanted, ratio["least"], ratio["median"])
    for row in results["inference"]:
        if row["peer"] == "onnxruntime" and row.get("rows") == 1_000_000:
            what = f"{row['network']}, predict {row['rows']:,} rows: times as fast as onnxruntime"
            yield Verdict(what, 1.6, row["ratio"]["least"], row["ratio"]["median"])


def _nearest(
    results: Results, group: str, name: str, peers: tuple[str, ...], wanted: float
) -> Iterator[Verdict]:
    """Yield the verdict against the fastest of these peers, if one was measured."""
    rows = [
        row
        for row in results["training"]
        if row["group"] == group and row["workload"] == name and row["peer"] in peers and "ratio" in row
    ]
    if rows:
        row = min(rows, key=lambda row: float(row["ratio"]["least"]))
        beside = ", beside a busy neighbour" if group == "busy" else ""
        what = f"{_named(name)}{beside}: times as fast as {row['peer']}"
        if len(peers) > 1:
            what += f" (the fastest of {len({row['peer'] for row in rows})} measured)"
        yield Verdict(what, wanted, row["ratio"]["least"], row["ratio"]["median"])


def _named(name: str) -> str:
    return next(str(w) for workloads in GROUPS.values() for w in workloads if w.name == name)


def table(results: Results) -> str:
    """Return all verdicts, those that are not met first."""
    order = ("no", "by one of the two", "yes")
    found = sorted(verdicts(results), key=lambda verdict: order.index(verdict.met))
    body = [[v.goal, f"{v.wanted:g}", f"{v.least:.3g} ({v.median:.3g})", v.met] for v in found]
    return markdown_table(["goal", "at least", "measured: least times (medians)", "met"], body)
