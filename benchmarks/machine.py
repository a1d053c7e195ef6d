"""What the numbers were measured on: CPU, versions, and what this core can do at most."""

from __future__ import annotations

import os
import platform
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import fastnet
from benchmarks.training import Pace
from fastnet.bench import Summary, alternate, fma_rate

__all__ = ["description", "limits", "threads"]

_PACKAGES = ("numpy", "scikit-learn", "scipy", "torch", "jax", "jaxlib", "numba", "onnx", "onnxruntime")
_COPIED = 512 * 2**20  # bytes: more than a core's share of any cache


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
    """Measure multiply-adds per second of each build and dtype, and bytes per second of a large copy."""
    peaks = {}
    for build in fastnet.isa.supported():
        with fastnet.isa.using(build):
            for dtype in ("float32", "float64"):
                side, unit = fma_rate(dtype)
                seconds = alternate({"peak": side}, pace.rounds, pace.slice_seconds)["peak"]
                peaks[f"{build} {dtype}"] = vars(Summary.of(unit / second for second in seconds))
    source = np.ones(_COPIED // 8)
    target = np.zeros_like(source)

    def copy(count: int) -> float:
        start = time.thread_time()
        for _ in range(count):
            np.copyto(target, source)
        return time.thread_time() - start

    seconds = alternate({"copy": copy}, 7, pace.slice_seconds)["copy"]
    return {"flops": peaks, "bytes": vars(Summary.of(2 * _COPIED / second for second in seconds))}


def threads() -> int | None:
    """Return the largest number of threads that a BLAS or OpenMP in this process may use; None if unknown."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    return max((int(pool["num_threads"]) for pool in threadpool_info()), default=1)
