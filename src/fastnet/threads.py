"""How many threads a call uses.

The argument ``n_threads`` comes first, then the environment variables FASTNET_NUM_THREADS and
OMP_NUM_THREADS (which joblib sets in its workers), then the CPUs that this process may use. That is the most:
a call uses fewer where its work is too small to gain from another thread. The number changes no bit of any
result, because no sum is ever split: threads share out examples, and rows of gradients.

A limit set through threadpoolctl (``threadpool_limits(2)``, or with ``user_api="fastnet"``) stands above all
of these, the argument included, and is of the whole process, as the pool is. threadpoolctl finds what has
been registered with it: fastnet does that when it meets threadpoolctl loaded, on ``import fastnet`` and
``import fastnet.sklearn`` and whenever a `Network` is made or a call uses several threads. Where a limit is
to be set before any of that, call `register`. fastnet never loads threadpoolctl by itself.
"""

from __future__ import annotations

import os
import sys

from fastnet import _validate
from fastnet._core import engine

__all__ = ["most", "register"]

VARIABLES = ("FASTNET_NUM_THREADS", "OMP_NUM_THREADS")

# Below about 100 us of work one thread is faster (measured: 30-100-1 with batches of 200 takes 28 us on one
# thread and 30 us on two). A core does some 1e11 float32 flops a second.
FLOPS_WORTH_A_THREAD = 1e7
MOST = 256

_registered = False


def register() -> None:
    """Make fastnet's threads known to threadpoolctl, which is loaded for it.

    Needed only for limits that are set before fastnet has met threadpoolctl.

    Raises
    ------
    ImportError
        If threadpoolctl (3.2 or later) is not installed.

    Examples
    --------
    >>> import threadpoolctl
    >>> from fastnet import threads
    >>> threads.register()
    >>> with threadpoolctl.threadpool_limits(1, user_api="fastnet"):
    ...     threads.most(8)
    1
    """
    global _registered
    if not _registered:
        from fastnet import _threadpoolctl

        _threadpoolctl.register()
        _registered = True


def meet() -> None:
    """Register if threadpoolctl is loaded, and one that others can register with."""
    if not _registered and hasattr(sys.modules.get("threadpoolctl"), "register"):
        register()


def most(n_threads: int | None = None) -> int:
    """Return how many threads a call may use at most now.

    Parameters
    ----------
    n_threads : int, optional
        The argument of the call, 1 to 256.

    Returns
    -------
    int

    Raises
    ------
    ValueError, TypeError
        If ``n_threads``, or else the environment variable that is used in its place, is not such a number.

    Examples
    --------
    >>> from fastnet import threads
    >>> threads.most(2)
    2
    """
    limit = engine.thread_limit()
    return min(limit, asked(n_threads)) if limit else asked(n_threads)


def asked(n_threads: int | None) -> int:
    """Return `most` as if no limit had been set through threadpoolctl."""
    if type(n_threads) is int and 0 < n_threads <= MOST:
        return n_threads
    if n_threads is not None:
        return _in_range(_validate.integer(n_threads, "n_threads"), "n_threads")
    for name in VARIABLES:
        if value := os.environ.get(name, "").strip():
            value = value.partition(",")[0]  # OpenMP allows a list, one number for each level
            if not value.isascii() or not value.isdigit():
                raise ValueError(f"{name}: expected a number of threads, 1 to {MOST}, got {value!r}")
            return _in_range(int(value), name)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST)
    return min(os.cpu_count() or 1, MOST)


def worth(n_threads: int | None, flops: float) -> int:
    """Return how many threads to use for a piece of work between two barriers, of so many flops.

    Work too small for a second thread does not ask the environment how many there could be: that would take
    longer than a small network.
    """
    if flops < 2 * FLOPS_WORTH_A_THREAD:
        if n_threads is not None:
            asked(n_threads)  # is it a number of threads?
        return 1
    meet()
    return min(most(n_threads), int(flops / FLOPS_WORTH_A_THREAD))


def _in_range(value: int, name: str) -> int:
    if not 1 <= value <= MOST:
        raise ValueError(f"{name}: expected a number of threads, 1 to {MOST}, got {value}")
    return value
