"""What threadpoolctl is told of fastnet's threads; loaded by `fastnet.threads.register` alone."""

from __future__ import annotations

import os
from typing import Any

from fastnet import __version__, _optional, threads
from fastnet._core import engine

__all__ = ["register"]


class _Unlimited(int):
    """The number of threads while no limit is set.

    threadpoolctl notes what `get_num_threads` gives and sets it again at the end of a with block, also for
    libraries that the block did not limit: by its type this number is known then, and limits nothing.
    """


def _by_default() -> int:
    try:
        return threads.asked(None)
    except ValueError:  # of an environment variable, which the next call that needs it reports
        return os.cpu_count() or 1


def register() -> None:
    """Register; ImportError if threadpoolctl is missing or too old."""
    threadpoolctl = _optional.need("threadpoolctl", "threadpoolctl>=3.2", "fastnet.threads.register")
    if not hasattr(threadpoolctl, "register"):
        raise ImportError(
            f"fastnet.threads.register needs threadpoolctl 3.2 or later, got {threadpoolctl.__version__}"
        )

    class Controller(threadpoolctl.LibController):  # type: ignore[misc, name-defined]
        """The pool of the module that holds the engine."""

        user_api = "fastnet"
        internal_api = "fastnet"
        filename_prefixes = (os.path.basename(os.path.realpath(engine.__file__)).lower(),)
        check_symbols = ("fastnet_get_num_threads", "fastnet_set_num_threads")

        def get_num_threads(self) -> int:
            return engine.thread_limit() or _Unlimited(_by_default())

        def set_num_threads(self, num_threads: Any) -> None:
            engine.limit_threads(0 if isinstance(num_threads, _Unlimited) else max(1, int(num_threads)))

        def get_version(self) -> str:
            return __version__

    threadpoolctl.register(Controller)
