"""The kernels one by one, each build next to NumPy, grouped by kernel and dtype: ``pytest benchmarks``.

The calls are the public functions, so checks of the arguments and the allocation of the result are part of
the time. The arrays fit a core's second-level cache. Each result is compared with NumPy's in float64.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from fastnet import reference

pytestmark = pytest.mark.benchmark(timer=time.thread_time, min_rounds=7, max_time=0.2)

N_IN, N_OUT, N = 100, 256, 256  # the widest product of 100-256-128-1
LENGTH = 16384

Array = NDArray[Any]


@pytest.fixture(params=["float32", "float64"])
def draw(request: pytest.FixtureRequest) -> Callable[..., Array]:
    """Give a function that draws normal numbers of some shape, in each dtype."""
    rng = np.random.default_rng(0)
    return lambda *shape: rng.standard_normal(shape).astype(request.param)


def measure(benchmark: BenchmarkFixture, call: Callable[..., Any], *arguments: Array, **amount: int) -> Any:
    """Time a call in the group of its name and dtype; `amount` says what it works through."""
    benchmark.group = f"{call.__name__} {arguments[0].dtype}"
    benchmark.extra_info.update(amount)
    return benchmark(call, *arguments)


def in_double(arrays: tuple[Array, ...]) -> tuple[Array, ...]:
    return tuple(array.astype(np.float64) for array in arrays)


def close(found: Array, exact: Array, size_of_terms: Array | float, terms: int) -> None:
    """Compare sums: an eps of the terms' size may be lost at each term, and twice before."""
    bound = (terms + 2) * np.finfo(found.dtype).eps * size_of_terms
    assert (abs(found - exact) <= bound).all()


def test_dense_forward(benchmark: BenchmarkFixture, side: ModuleType, draw: Callable[..., Array]) -> None:
    W, b, A = arguments = draw(N_OUT, N_IN), draw(N_OUT, 1), draw(N_IN, N)
    found = measure(benchmark, side.dense_forward, *arguments, flops=2 * N_OUT * N_IN * N)
    exact = reference.dense_forward(*in_double(arguments))
    close(found, exact, abs(W) @ abs(A) + abs(b), N_IN)


def test_dense_backward(benchmark: BenchmarkFixture, side: ModuleType, draw: Callable[..., Array]) -> None:
    W, A, dZ = arguments = draw(N_OUT, N_IN), draw(N_IN, N), draw(N_OUT, N)
    found = measure(benchmark, side.dense_backward, *arguments, flops=4 * N_OUT * N_IN * N)
    sizes = abs(W).T @ abs(dZ), abs(dZ) @ abs(A).T, abs(dZ).sum(axis=1, keepdims=True)
    exact = reference.dense_backward(*in_double(arguments))
    for mine, theirs, size, terms in zip(found, exact, sizes, (N_OUT, N, N), strict=True):
        close(mine, theirs, size, terms)


@pytest.mark.parametrize("name", ["exp", "sigmoid"])
def test_elementwise(
    benchmark: BenchmarkFixture, side: ModuleType, draw: Callable[..., Array], name: str
) -> None:
    arguments = (draw(LENGTH),)
    found = measure(benchmark, getattr(side, name), *arguments, numbers=LENGTH)
    exact = getattr(reference, name)(*in_double(arguments))
    close(found, exact, exact, 2)


def test_bce_loss(benchmark: BenchmarkFixture, side: ModuleType, draw: Callable[..., Array]) -> None:
    arguments = draw(1, LENGTH), (draw(1, LENGTH) > 0).astype(draw(1).dtype)
    found = measure(benchmark, side.bce_loss, *arguments, numbers=LENGTH)
    exact = reference.bce_loss(*in_double(arguments))
    terms = 64  # of one chain: it is a sum of sums
    close(np.asarray(found, arguments[0].dtype), np.asarray(exact), exact, terms)


def test_bce_backward(benchmark: BenchmarkFixture, side: ModuleType, draw: Callable[..., Array]) -> None:
    arguments = draw(1, LENGTH), (draw(1, LENGTH) > 0).astype(draw(1).dtype)
    found = measure(benchmark, side.bce_backward, *arguments, numbers=LENGTH)
    close(found, reference.bce_backward(*in_double(arguments)), 1.0, 2)
