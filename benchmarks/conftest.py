"""What the pytest-benchmark part has in common: one core, one thread, and the sides that it compares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from types import ModuleType

import pytest

import fastnet
from fastnet import bench

NUMPY = "numpy"


@pytest.fixture(scope="session", autouse=True)
def one_core() -> Iterator[None]:
    """Keep the run on the last core allowed (``taskset -c 0 pytest`` chooses) and BLAS on one thread."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    bench.pin()
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        limit = nullcontext()
    else:
        limit = threadpool_limits(1, user_api="blas")  # not fastnet's, which some tests share out
    with limit:
        yield
    if allowed:
        os.sched_setaffinity(0, allowed)


@pytest.fixture(params=[*fastnet.isa.supported(), NUMPY])
def side(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """Give fastnet with each build this CPU runs, then its reference in NumPy: the same names in both."""
    if request.param == NUMPY:
        yield fastnet.reference
        return
    with fastnet.isa.using(request.param):
        yield fastnet
