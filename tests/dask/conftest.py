"""Clusters: threads of this process where that is enough, as processes take seconds to start."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
distributed = pytest.importorskip("distributed")


@pytest.fixture
def cluster_of() -> Iterator[Callable[..., Any]]:
    """Return a function that starts workers as threads of this process, and returns their client."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # they report what the tests provoke
    with ExitStack() as stack:

        def start(n_workers: int, **options: Any) -> Any:
            settings = {"processes": False, "threads_per_worker": 1, "dashboard_address": ":0"} | options
            cluster = stack.enter_context(distributed.LocalCluster(n_workers=n_workers, **settings))
            return stack.enter_context(distributed.Client(cluster))

        yield start


@pytest.fixture
def worker_process() -> Iterator[Callable[..., None]]:
    """Return a function that starts a worker as a process of its own, which nobody starts again."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-nanny", "--nthreads", "1"]
    begun = []

    def start(client: Any, **environment: str) -> None:
        begun.append(
            subprocess.Popen(
                [*command, "--no-dashboard", client.scheduler.address],
                env=os.environ | environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    yield start
    for process in begun:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Two workers for all tests of a module."""
    with distributed.Client(
        processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as client:
        yield client


@pytest.fixture(autouse=True)
def few_iterations() -> Iterator[None]:
    """Silence the warning that a fit of few iterations has not converged."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "lbfgs failed to converge")
        yield
