"""One epoch of each smaller workload, each build next to NumPy, grouped by workload: ``pytest benchmarks``.

Both sides are the public `Network.fit` for one epoch with the rows in order: the reference shuffles in
Python, for reading. What is timed is the whole call with its checks. Larger networks are left to
``python -m benchmarks``.
"""

from __future__ import annotations

import time
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastnet
from benchmarks.workloads import GROUPS
from fastnet.bench import Problem, Workload

pytestmark = pytest.mark.benchmark(timer=time.thread_time, min_rounds=7, max_time=0.3)

SMALLER = [w for group in ("main", "float64") for w in GROUPS[group] if w.flops < 1e8]


def network(side: ModuleType, workload: Workload) -> Any:
    layers = [side.Layer(n_in, n_out) for n_in, n_out in pairwise(workload.sizes)]
    return side.Network(layers, seed=0, dtype=workload.dtype)


@pytest.mark.parametrize("workload", SMALLER, ids=lambda workload: workload.name)
def test_epoch(benchmark: BenchmarkFixture, side: ModuleType, workload: Workload) -> None:
    problem = Problem(workload)
    X, T = problem.X.T, problem.T.T
    how: dict[str, Any] = {"epochs": 1, "batch_size": workload.batch, "shuffle": False}
    rule, rate = type(problem.optimizer).__name__, problem.learning_rate
    how["optimizer"] = getattr(side, rule)(rate)
    found = network(side, workload).fit(X, T, **how).loss[0]
    reference_how = {**how, "optimizer": getattr(fastnet.reference, rule)(rate)}
    exact = network(fastnet.reference, workload).fit(X, T, **reference_how).loss[0]
    errors = workload.steps * (sum(workload.sizes) + workload.batch) ** 0.5
    assert abs(found - exact) <= 2 * np.finfo(workload.dtype).eps * errors

    benchmark.group = f"epoch of {workload}"
    benchmark.extra_info.update(flops=workload.flops * workload.steps, steps=workload.steps)
    benchmark(network(side, workload).fit, X, T, **how)
