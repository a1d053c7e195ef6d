"""What more threads bring: the same training on 1, 2, ... of them, taking turns in one process; wall time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.training import Pace
from fastnet.bench import Problem, Summary, Workload, alternate, epochs

__all__ = ["compare", "counts"]


def counts() -> list[int]:
    """Return the numbers of threads to try: powers of two, and all CPUs that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return sorted({2**k for k in range(allowed.bit_length())} | {allowed})


def compare(workload: Workload, pace: Pace) -> Iterator[dict[str, Any]]:
    """Yield what each number of threads takes for a step; nothing if there is one CPU.

    A fit that is allowed so many threads takes fewer where the work is too small to gain from them, and so
    does the side here: `used` says how many. It is measured all the same.
    """
    tried = counts()
    if len(tried) < 2:
        return
    problem = Problem(workload)
    used = {n: problem.threads(n) for n in tried}
    sides = {str(n): epochs(problem, problem.trainer(used[n]), time.perf_counter) for n in tried}
    seconds = alternate(sides, pace.rounds, pace.slice_seconds)
    steps = {n: np.array(seconds[str(n)]) / workload.steps for n in tried}
    summaries = {n: Summary.of(values.tolist()) for n, values in steps.items()}
    for n in tried:
        yield {
            "workload": workload.name,
            "network": workload.network,
            "batch": workload.batch,
            "dtype": workload.dtype,
            "optimizer": workload.optimizer,
            "threads": n,
            "used": used[n],
            "seconds": vars(summaries[n]),
            "ratio": {
                "least": summaries[1].least / summaries[n].least,
                "median": summaries[1].median / summaries[n].median,
                "rounds": vars(Summary.of((steps[1] / steps[n]).tolist())),
            },
        }
