"""How many threads a call uses.

The argument ``n_threads`` comes first, then the environment variables FASTNET_NUM_THREADS and
OMP_NUM_THREADS (which joblib sets in its workers), then the number of CPUs that this process may use. That
number is a maximum: a call uses fewer threads where its work is too small to gain from another one. The
number of threads changes no bit of any result, because no sum is ever split: threads share out examples, and
rows of gradients.

A limit set through threadpoolctl (``threadpool_limits(2)``, or with ``user_api="fastnet"``) takes precedence
over all of these, the argument included. It holds for the whole process, because the pool of threads does.
threadpoolctl only knows libraries that have registered with it. fastnet registers when it finds
threadpoolctl already loaded: on ``import fastnet``, on ``import fastnet.sklearn``, whenever a `Network` is
made, and whenever a call uses several threads. To set a limit before any of these, call `register` first.
fastnet never loads threadpoolctl by itself.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from fastnet import _optional, _validate
from fastnet._core import engine
from fastnet._version import __version__

__all__ = ["most", "register"]

VARIABLES = ("FASTNET_NUM_THREADS", "OMP_NUM_THREADS")

# Below about 100 us of work one thread is faster (measured: 30-100-1 with batches of 200 takes 28 us on one
# thread and 30 us on two). A core does some 1e11 float32 flops a second.
FLOPS_WORTH_A_THREAD = 1e7
MOST = 256

_registered = False


def register() -> None:
    """Make fastnet's threads known to threadpoolctl, which is loaded for it.

    Needed only for limits that are set before fastnet has found threadpoolctl loaded.

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
    if _registered:
        return
    threadpoolctl = _optional.import_optional(
        "threadpoolctl", "fastnet.threads.register", requirement="threadpoolctl>=3.2"
    )
    if not hasattr(threadpoolctl, "register"):
        raise ImportError(
            f"fastnet.threads.register needs threadpoolctl 3.2 or later, got {threadpoolctl.__version__}"
        )
    threadpoolctl.register(_controller(threadpoolctl))
    _registered = True


def register_if_loaded() -> None:
    """Call `register` if a threadpoolctl is loaded that other libraries can register with."""
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
    return min(limit, requested(n_threads)) if limit else requested(n_threads)


def requested(n_threads: int | None) -> int:
    """Return what `most` would return if no limit had been set through threadpoolctl."""
    if type(n_threads) is int and 0 < n_threads <= MOST:
        return n_threads
    if n_threads is not None:
        return _validate.integer(n_threads, "n_threads", 1, MOST + 1)
    for name in VARIABLES:
        if value := os.environ.get(name, "").strip():
            return _from_environment(name, value)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST)
    return min(os.cpu_count() or 1, MOST)


def _from_environment(name: str, value: str) -> int:
    """Return the number of threads that an environment variable asks for."""
    digits = value.partition(",")[0].strip()  # OpenMP allows a list, one number for each nesting level
    if digits.isascii() and digits.isdigit() and 1 <= float(digits) <= MOST:
        return int(digits)
    raise ValueError(f"{name} must be a number of threads from 1 to {MOST}, got {value!r}")


def threads_for(flops: float, n_threads: int | None = None) -> int:
    """Return how many threads to use for work of so many flops between two points where threads wait.

    Work too small for a second thread does not read the environment variables: that would take longer than
    the work of a small network.
    """
    if flops < 2 * FLOPS_WORTH_A_THREAD:
        if n_threads is not None:
            requested(n_threads)  # raises if it is not a number of threads
        return 1
    register_if_loaded()
    return min(most(n_threads), int(flops / FLOPS_WORTH_A_THREAD))


class _Unlimited(int):
    """The number of threads while no limit is set, as threadpoolctl is told it.

    At the end of a with block threadpoolctl sets the number that `get_num_threads` returned at its start,
    also for libraries that the block did not limit. This type tells `set_num_threads` that no limit was set
    then.
    """


def _controller(threadpoolctl: Any) -> type[Any]:
    """Return the class through which threadpoolctl finds, reads and limits fastnet's threads."""

    class Controller(threadpoolctl.LibController):  # type: ignore[misc]
        """The pool of threads of the compiled module `engine`."""

        user_api = "fastnet"
        internal_api = "fastnet"
        filename_prefixes = (os.path.basename(os.path.realpath(engine.__file__)).lower(),)
        check_symbols = ("fastnet_get_num_threads", "fastnet_set_num_threads")

        def get_num_threads(self) -> int:
            return engine.thread_limit() or _Unlimited(_default())

        def set_num_threads(self, num_threads: Any) -> None:
            engine.limit_threads(0 if isinstance(num_threads, _Unlimited) else max(1, int(num_threads)))

        def get_version(self) -> str:
            return __version__

    return Controller


def _default() -> int:
    """Return the number of threads without an argument; a wrong environment variable is left out."""
    try:
        return requested(None)
    except ValueError:  # the next call that needs the variable reports it
        return os.cpu_count() or 1
