"""A neighbour who keeps another core busy and fights for the shared cache and for memory.

``python -m benchmarks.neighbour CORE`` copies through more memory than any shared cache until its standard
input ends, which happens also when whoever started it is gone; then it prints bytes and seconds.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["busy", "core_beside"]

_ROOT = Path(__file__).resolve().parent.parent
_BYTES = 256 * 2**20  # of each of two arrays


def core_beside(core: int | None) -> int:
    """Return another core that this process may use; ValueError if there is none."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if not (others := allowed - {core}):
        raise ValueError("--busy needs a second core for the neighbour, and this process may use one only")
    return min(others)


@contextmanager
def busy(core: int) -> Iterator[dict[str, Any]]:
    """Keep that core busy meanwhile; at the end the dict says how many bytes a second were copied."""
    about: dict[str, Any] = {"core": core, "bytes": 2 * _BYTES}
    command = [sys.executable, "-m", "benchmarks.neighbour", str(core)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=_ROOT, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        try:
            yield about
        finally:
            process.stdin.close()
            told = process.stdout.read().split()
    # 0 if it died: the rest of the run is not thrown away for it, and the table shows it
    about["bytes_per_second"] = float(told[0]) / float(told[1]) if len(told) == 2 else 0.0


def _main() -> None:
    import numpy as np

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(sys.argv[1])})
    source = np.ones(_BYTES // 8)
    target = np.zeros_like(source)
    print("busy", flush=True)
    copied, start = 0, time.perf_counter()
    while not copied or not select.select([sys.stdin], [], [], 0)[0]:
        np.copyto(target, source)
        copied += 2 * _BYTES
    print(copied, time.perf_counter() - start)


if __name__ == "__main__":
    _main()
