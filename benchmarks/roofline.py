"""What bounds each workload: the least time its flops and bytes take at the ceilings of the same run.

How flops and bytes are counted is told in docs/roofline.md, whose numbers `page` writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np

from benchmarks.report import about, markdown_table, optimizer_of, time_text
from benchmarks.workloads import chosen
from fastnet.bench import Workload

__all__ = ["Machine", "counted", "page", "roofs"]

Results = dict[str, Any]

LEVELS = ("L1", "L2", "L3", "memory")
_TILES = {"v4": (6, 64), "v3": (3, 32), "neon": (6, 16)}  # rows; bytes of a vector, of which a tile has four
_LEAF = 64  # examples that go through all layers together where the weights fit L2
_NEAR = 0.8  # what takes so much of the largest part is named beside it


@dataclass(frozen=True)
class Machine:
    """What the counts depend on: the build's tile, the caches, and the blocks of product.pxi."""

    isa: str
    L1: int
    L2: int
    L3: int

    @classmethod
    def of(cls, results: Results) -> Machine:
        """Take it from results; ValueError if they lack the caches, or the build has no tile in the table."""
        machine = results["machine"]
        levels = machine["limits"].get("levels", {})
        if machine["isa"] not in _TILES or not {"L1", "L2", "L3"} <= set(levels):
            raise ValueError(
                f"a roofline needs the sizes of L1, L2 and L3 and one of the builds {', '.join(_TILES)}; "
                f"the results have {', '.join(levels) or 'no levels'} and {machine['isa']}"
            )
        return cls(machine["isa"], *(int(levels[name]["cache"]) for name in ("L1", "L2", "L3")))

    @property
    def block_bytes(self) -> int:
        """Of a block of P, in L2."""
        return max(1 << 18, min(1 << 20, self.L2 // 2))

    @property
    def block_k(self) -> int:
        """The most rows of Q in a block."""
        return 1024 if self.L2 >= 3 << 19 else 128

    @property
    def block_rows(self) -> int:
        """The most rows of P in a block."""
        return 256 if self.L2 >= 3 << 19 else 512

    @property
    def packed_bytes(self) -> int:
        """A P of more than that is copied block by block, and a network of more goes through as a whole."""
        return self.block_bytes if self.L2 >= 3 << 19 else 1 << 22


@dataclass(frozen=True)
class _Product:
    """C (M, N) = P (M, K) Q (K, N)."""

    M: int
    N: int
    K: int
    strip: int  # how many columns are worked on before the next product

    @property
    def numbers(self) -> int:
        return self.M * self.K + self.K * self.N + self.M * self.N


def _products(workload: Workload, machine: Machine) -> Iterator[_Product]:
    batch = workload.batch
    item = np.dtype(workload.dtype).itemsize
    strip = min(batch, _LEAF) if workload.weights * item <= machine.packed_bytes else batch
    for k, (n_in, n_out) in enumerate(pairwise(workload.sizes)):
        yield _Product(n_out, batch, n_in, strip)
        if k > 0:
            yield _Product(n_in, batch, n_out, strip)
        yield _Product(n_out, n_in, batch, n_in)


def counted(workload: Workload, machine: Machine) -> dict[str, int]:
    """Return the bytes of one step that come from each level into the next smaller one, or go back."""
    item = np.dtype(workload.dtype).itemsize
    rows, vector = _TILES[machine.isa]
    kept = workload.weights * (3 if workload.optimizer == "adam" else 1)
    numbers = dict.fromkeys(LEVELS, 0.0)
    products = list(_products(workload, machine))
    working = kept + 3 * workload.batch * sum(workload.sizes)
    data = workload.n * (workload.sizes[0] + workload.sizes[-1])
    sizes = {"L1": machine.L1, "L2": machine.L2, "L3": machine.L3, "memory": float("inf")}
    home = next(level for level, size in sizes.items() if (working + data) * item <= size)
    for p in products:
        R, W = min(rows, p.M), min(max(16, 4 * vector // item), p.N)
        k = min(p.K, machine.block_k)
        blocks = ceil(p.K / k)
        packed = p.M * p.K * item > machine.packed_bytes
        height = min(p.M, machine.block_rows, machine.block_bytes // (k * item)) if packed else p.M
        C = p.M * p.N * (2 * blocks - 1)  # written after each block of k, read before each but the first
        numbers["L1"] += p.M * p.N * p.K * (1 / W + 1 / R) + C
        slab = k * W * item
        P = p.M * p.K * (1 if p.M * k * item + slab <= machine.L1 else ceil(p.N / W))
        Q = p.K * p.N * (ceil(p.M / height) if slab <= machine.L1 // 2 else ceil(p.M / R))
        if working * item > machine.L1:
            numbers["L2"] += P + Q + C
        if (p.M * p.K + p.strip * (p.M + p.K)) * item > machine.L2:
            numbers["L3"] += p.M * p.K + p.K * p.N * ceil(p.M / height) + C
        if working * item > machine.L3:
            numbers["memory"] += p.numbers
    numbers[home] += workload.batch * (workload.sizes[0] + workload.sizes[-1])
    if workload.optimizer == "adam":  # m, v and W are read and written, the gradient is written and read
        numbers["L3" if kept * item > machine.L2 else "L2"] += 8 * workload.weights
    return {level: round(numbers[level] * item) for level in LEVELS}


def roofs(results: Results) -> list[dict[str, Any]]:
    """Return what each part of a step takes at its ceiling, for each workload of the active build.

    The products can overlap with what they read, so the slowest of FMA and the levels counts; the activations
    and what a step costs in any case come on top. Their sum is the roof.
    """
    machine, limits = Machine.of(results), results["machine"]["limits"]
    found = []
    for row in results["builds"]:
        if row["isa"] != machine.isa:
            continue
        ((_, workload),) = chosen([row["workload"]])
        bytes_ = counted(workload, machine)
        parts = {"FMA": workload.flops / row["peak"]}
        parts |= {level: bytes_[level] / limits["levels"][level]["median"] for level in LEVELS}
        products = max(parts.values())
        units = workload.batch * sum(workload.sizes[1:])
        parts["sigmoids"] = units * limits["sigmoid"][workload.dtype]["median"]
        parts["fixed"] = limits["step"]["median"]
        most = max(parts.values())
        found.append(
            {
                **{key: row[key] for key in ("workload", "network", "batch", "dtype", "share")},
                "optimizer": workload.optimizer,
                "flops": workload.flops,
                "bytes": bytes_,
                "seconds": row["seconds"],
                "peak": row["peak"],
                "parts": parts,
                "roof": products + parts["sigmoids"] + parts["fixed"],
                "bound": [name for name, part in parts.items() if part >= _NEAR * most],
            }
        )
    return found


def page(results: Results) -> str:
    """Return the numbers of docs/roofline.md."""
    found = roofs(results)
    limits = results["machine"]["limits"]
    build = results["machine"]["isa"]
    ceilings = [
        [
            f"FMA, {dtype}",
            f"{limits['flops'][f'{build} {dtype}']['median'] * 1e-9:.1f} GFLOP/s",
            "in registers",
        ]
        for dtype in ("float32", "float64")
    ]
    for name, level in limits["levels"].items():
        size = f"a cache of {_size(level['cache'])}, " if level["cache"] else ""
        ceilings.append([name, f"{level['median'] * 1e-9:.1f} GB/s", f"{size}{_size(level['read'])} read"])
    for dtype, sigmoid in limits["sigmoid"].items():
        ceilings.append([f"sigmoids, {dtype}", f"{sigmoid['median'] * 1e9:.2f} ns", "for a unit and example"])
    ceilings.append(["fixed", f"{limits['step']['median'] * 1e6:.2f} µs", "for a step"])
    names = ["FMA", *LEVELS, "sigmoids", "fixed"]
    body = []
    for roof in found:
        step = roof["seconds"]["least"]
        body.append(
            [
                f"{roof['network']}, {roof['batch']}",
                f"{roof['dtype']}, {optimizer_of(roof)}",
                time_text(step),
                *(time_text(roof["parts"][name]) if roof["parts"][name] else "" for name in names),
                time_text(roof["roof"]),
                f"{roof['roof'] / step:.0%}",
                f"{roof['share']:.0%}",
                ", ".join(roof["bound"]),
            ]
        )
    head = ["network, batch", "", "step", *names, "roof", "of the roof", "of peak", "bound by"]
    return "\n\n".join(
        [
            markdown_table(["ceiling", "measured", ""], ceilings),
            "Least time of a step; beside it the time that each part would take at its ceiling.",
            markdown_table(head, body),
            about(results),
            f"```\n{results['command']}\n```",
        ]
    )


def _size(count: int) -> str:
    for unit, factor in (("GB", 2**30), ("MB", 2**20)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count / 2**10:.3g} KB"
