"""What is run: a network for each kind of use, and sweeps along width and batch."""

from __future__ import annotations

from dataclasses import replace

from fastnet.bench import ROWS, WORKLOADS, Workload

__all__ = ["GROUPS", "PREDICTION", "ROWS", "chosen"]

_WIDTHS = (8, 16, 32, 64, 100, 128, 256, 512, 1000, 1024, 2048, 4096)  # 100 and 1000 fill no register evenly
_BATCHES = (1, 2, 4, 8, 16, 32, 128, 512, 2048)

PREDICTION = Workload("predict", (100, 256, 128, 1), batch=1000, steps=1)  # only its network matters

_DOUBLE = [replace(w, name=f"{w.name}-f64", dtype="float64") for w in WORKLOADS]

GROUPS: dict[str, tuple[Workload, ...]] = {
    "main": WORKLOADS,
    "float64": tuple(_DOUBLE[:-1]),
    "alone": (_DOUBLE[-1],),  # huge, without a peer: a step takes a second
    "widths": tuple(Workload(f"width-{w}", (w, w, 1), batch=256, steps=4) for w in _WIDTHS),
    "batches": tuple(Workload(f"batch-{b}", (30, 100, 1), batch=b, steps=4096 // b) for b in _BATCHES),
}


def chosen(names: list[str]) -> list[tuple[str, Workload]]:
    """Return (group, workload) for each name of a group or a workload; ValueError for any other name."""
    found: list[tuple[str, Workload]] = []
    for name in names:
        pairs = [(group, w) for group, ws in GROUPS.items() for w in ws if name in (group, w.name)]
        if not pairs:
            known = ", ".join([*GROUPS, *(w.name for ws in GROUPS.values() for w in ws)])
            raise ValueError(f"unknown workload {name!r}: expected some of {known}")
        found += [pair for pair in pairs if pair not in found]
    return found
