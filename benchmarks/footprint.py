"""What it takes up: bytes on disk with all it needs, and memory beyond the data while it works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import fastnet

__all__ = ["measure"]

_PEERS = ("scikit-learn", "torch", "jax", "numba", "onnxruntime")
_NAME = re.compile(r"[A-Za-z0-9._-]+")

# The peak of resident memory can be reset on Linux, so that it is that of the call alone.
_MEMORY = """
import json, pathlib
import numpy as np, fastnet as fn
def resident(field):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))
def growth(call):
    call(2000)
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    kept = call(None)
    return resident("VmHWM") - before - getattr(kept, "nbytes", 0)
rng = np.random.default_rng(0)
piece = rng.standard_normal((1000, {features}), dtype=np.float32)
X = np.empty(({rows}, {features}), np.float32, order={order!r})
for first in range(0, {rows}, 1000):
    X[first : first + 1000] = piece
T = (X[:, :1] > 0).astype(np.float32)
{call}
"""
_PREDICT = """
net = fn.Network([fn.Layer(100, 256), fn.Layer(256, 128), fn.Layer(128, 1)], dtype="float32")
print(growth(lambda n: net.predict_proba(X[:n].T)))
"""
_FIT = """
net = fn.Network([fn.Layer(256, 8), fn.Layer(8, 1)], dtype="float32")
print(growth(lambda n: net.fit(X[:n].T, T[:n].T, epochs=1)))
"""


def measure(quick: bool, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return sizes and memory in bytes; memory only where /proc tells it."""
    progress("installed size")
    sizes = {"fastnet": _tree(Path(fastnet.__file__).parent), "numpy": _installed("numpy")}
    found = {name: _installed(name) for name in _PEERS}
    sizes |= {f"{name} and what it needs": size for name, size in found.items() if size}
    results: dict[str, Any] = {"installed_bytes": sizes}
    if Path("/proc/self/clear_refs").exists():
        results["memory_bytes"] = memory = {}
        rows = 100_000 if quick else 1_000_000
        progress(f"memory of predicting {rows:,} rows")
        memory[f"predict_proba, {rows:,} rows of 100"] = _growth(_PREDICT, rows, 100, "C")
        rows = 200_000 if quick else 2_000_000
        for order in "CF":
            gigabytes = rows * 256 * 4 / 1e9
            progress(f"memory of a fit on {gigabytes:.1f} GB in {order} order")
            memory[f"fit, X of {gigabytes:.1f} GB in {order} order"] = _growth(_FIT, rows, 256, order)
    return results


def _growth(call: str, rows: int, features: int, order: str) -> int:
    program = _MEMORY.format(call=call, rows=rows, features=features, order=order)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return int(json.loads(ran.stdout))


def _tree(folder: Path) -> int:
    """Return the bytes of a package's folder without caches and sources: what its wheel installs."""
    left_out = (".pyc", ".c", ".pyx", ".pxi", ".pxd", ".h")
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if path.suffix not in left_out)


def _installed(name: str) -> int:
    """Return the bytes of a distribution and of all it requires, NumPy included; 0 if it is not installed."""
    waiting, seen, total = [name], set(), 0
    while waiting:
        try:
            distribution = metadata.distribution(waiting.pop())
        except metadata.PackageNotFoundError:
            continue
        if distribution.name.lower() in seen:
            continue
        seen.add(distribution.name.lower())
        total += sum(file.size or 0 for file in distribution.files or [])
        for requirement in distribution.requires or []:
            if "extra ==" not in requirement and (match := _NAME.match(requirement)):
                waiting.append(match[0])
    return total
