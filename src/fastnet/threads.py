"""How many threads a call uses.

The argument ``n_threads`` comes first, then the environment variables FASTNET_NUM_THREADS and
OMP_NUM_THREADS (which joblib sets in its workers), then the CPUs that this process may use. That is the most:
a call uses fewer where its work is too small to gain from another thread. The number changes no bit of any
result, because no sum is ever split: threads share out examples, and rows of gradients.
"""

from __future__ import annotations

import os

from fastnet import _validate

__all__ = ["most"]

VARIABLES = ("FASTNET_NUM_THREADS", "OMP_NUM_THREADS")

# Below about 100 us of work one thread is faster (measured: 30-100-1 with batches of 200 takes 28 us on one
# thread and 30 us on two). A core does some 1e11 float32 flops a second.
FLOPS_WORTH_A_THREAD = 1e7
MOST = 256


def most(n_threads: int | None = None) -> int:
    """Return how many threads a call may use at most.

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
    if flops < 2 * FLOPS_WORTH_A_THREAD and n_threads is None:
        return 1
    return max(1, min(most(n_threads), int(flops / FLOPS_WORTH_A_THREAD)))


def _in_range(value: int, name: str) -> int:
    if not 1 <= value <= MOST:
        raise ValueError(f"{name}: expected a number of threads, 1 to {MOST}, got {value}")
    return value
