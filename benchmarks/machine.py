"""What the numbers were measured on: CPU, versions, and what this core can do at most."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

import fastnet
from benchmarks.training import Pace
from fastnet._core import engine
from fastnet.bench import Problem, Summary, Workload, alternate, calls, epochs, fma_rate

__all__ = ["caches", "description", "limits", "threads"]

_PACKAGES = ("numpy", "scikit-learn", "scipy", "torch", "jax", "jaxlib", "numba", "onnx", "onnxruntime")
_COPIED = 512 * 2**20  # bytes: more than a core's share of any cache
_LEVELS = {"L1": 0.75, "L2": 0.5, "L3": 0.25}  # how much of each cache the reading fills
_READ = 2**24  # bytes in one call
_NOTHING = Workload("nothing", (1, 1, 1), batch=1, steps=1000)
_WITH_SIGMOIDS = Workload("sigmoids", (30, 100, 1), batch=200, steps=20)


def description() -> dict[str, Any]:
    """Return the CPU, the system, the versions and the date."""
    versions = {"fastnet": fastnet.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "isa": fastnet.isa.active(),
        "versions": versions,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _cpu() -> str:
    """Return the model, and family, model and stepping as numbers: hypervisors like to hide the name."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in text.splitlines())
    facts = {key.strip(): value.strip() for key, _, value in pairs}
    numbers = [facts[key] for key in ("cpu family", "model", "stepping") if key in facts]
    name = facts.get("model name") or platform.machine()
    return f"{name} (family, model, stepping {'/'.join(numbers)})" if numbers else name


def limits(pace: Pace) -> dict[str, Any]:
    """Measure what one core can do at most: the ceilings of docs/roofline.md.

    Multiply-adds per second of each build and dtype; bytes per second of a large copy, and of reading from
    each level of the caches; seconds of a sigmoid per element, and of a step that has next to nothing to do.
    """
    peaks = {}
    for build in fastnet.isa.supported():
        with fastnet.isa.using(build):
            for dtype in ("float32", "float64"):
                side, unit = fma_rate(dtype)
                seconds = alternate({"peak": side}, pace.rounds, pace.slice_seconds)["peak"]
                peaks[f"{build} {dtype}"] = vars(Summary.of(unit / second for second in seconds))
    source = np.ones(_COPIED // 8)
    copy = calls(np.copyto, np.zeros_like(source), source)
    seconds = alternate({"copy": copy}, 7, pace.slice_seconds)["copy"]
    return {
        "flops": peaks,
        "bytes": vars(Summary.of(2 * _COPIED / second for second in seconds)),
        "levels": _levels(pace),
        "sigmoid": {dtype: _sigmoid(dtype, pace) for dtype in ("float32", "float64")},
        "step": _smallest_step(pace),
    }


def caches() -> dict[str, int]:
    """Return the bytes of the data caches of this core by name, "L1" to "L3"; nothing where nobody tells."""
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction" and size.endswith("K"):
            found[f"L{level}"] = 1024 * int(size[:-1])
    return found


def _levels(pace: Pace) -> dict[str, dict[str, float]]:
    """Measure how fast a dot product reads two vectors that together fill a part of each cache, or of none.

    BLAS reads them once for each row of a matrix product whose rows are all the same memory: a call of its
    own for each would cost more than the reading. The ceiling of L1 is therefore a little low.
    """
    sizes = {name: int(_LEVELS[name] * size) for name, size in caches().items() if name in _LEVELS}
    sizes["memory"] = 2 * _COPIED
    found = {}
    for name, size in sizes.items():
        count = size // 2 // 64 * 16
        rows = max(1, _READ // size)
        x, y = np.ones(count, np.float32), np.ones(count, np.float32)
        again_x, again_y = (as_strided(z, (rows, count), (0, z.itemsize), writeable=False) for z in (x, y))
        seconds = alternate({"read": calls(np.vecdot, again_x, again_y)}, 7, pace.slice_seconds)["read"]
        summary = Summary.of(rows * 8 * count / second for second in seconds)
        found[name] = {"cache": caches().get(name, 0), "read": 8 * count, **vars(summary)}
    return found


def _sigmoid(dtype: str, pace: Pace) -> dict[str, float]:
    """Measure what sigmoids add to a step, for each unit and example, over what it takes without them.

    Their slopes are in it. A call of `fastnet.sigmoid` takes longer: its numbers do not lie in panels.
    """
    problem = Problem(replace(_WITH_SIGMOIDS, dtype=dtype))
    layers = problem.network().layers
    W, b = [layer.W for layer in layers], [layer.b for layer in layers]
    sides = {
        name: epochs(problem, engine.TrainerCore(W, b, [name, "sigmoid"], problem.workload.batch))
        for name in ("sigmoid", "identity")
    }
    seconds = alternate(sides, 15, pace.slice_seconds)
    pairs = zip(seconds["sigmoid"], seconds["identity"], strict=True)
    units = problem.workload.n * problem.workload.sizes[1]
    return vars(Summary.of((with_them - without) / units for with_them, without in pairs))


def _smallest_step(pace: Pace) -> dict[str, float]:
    """Measure a step of 1-1-1 with one example: what every step costs before it has anything to do."""
    problem = Problem(_NOTHING)
    seconds = alternate({"step": epochs(problem, problem.trainer())}, 7, pace.slice_seconds)["step"]
    return vars(Summary.of(second / _NOTHING.steps for second in seconds))


def threads() -> int | None:
    """Return the largest number of threads that a BLAS or OpenMP in this process may use; None if unknown."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    return max((int(pool["num_threads"]) for pool in threadpool_info()), default=1)
