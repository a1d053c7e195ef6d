"""How many threads a fit or a prediction uses."""

from __future__ import annotations

import os
import sys
import threading as python_threads

from fastnet import threads

__all__ = ["most_threads", "threads_for"]


def most_threads(n_threads: int | None) -> int:
    """Return how many threads a call may use: `n_threads`, or one where joblib runs several calls at once.

    In its own worker processes joblib sets OMP_NUM_THREADS, which `fastnet.threads` obeys.
    """
    if n_threads is None and _inside_joblib():
        told = any(os.environ.get(name) for name in threads.VARIABLES)
        if not told or python_threads.current_thread() is not python_threads.main_thread():
            return 1
    return threads.most(n_threads)


def _inside_joblib() -> bool:
    parallel = sys.modules.get("joblib.parallel")
    return parallel is not None and (parallel.get_active_backend()[0].nesting_level or 0) > 0


def threads_for(n_threads: int | None, flops: float) -> int:
    """Return how many threads to use for so many floating-point operations between two barriers."""
    if flops < 2 * threads.FLOPS_WORTH_A_THREAD and n_threads is None:
        return 1
    return threads.threads_for(flops, most_threads(n_threads))
