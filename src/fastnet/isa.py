"""Which build of the kernels runs: for AVX-512, AVX2, and so on.

fastnet holds its kernels several times, once for each instruction set: on x86-64 "portable" (plain C), "v2"
(SSE), "v3" (AVX2 with FMA) and "v4" (AVX-512), on 64-bit ARM "portable" and "neon". The fastest that this CPU
runs is chosen when fastnet is imported. The environment variable ``FASTNET_ISA`` chooses another one; a name
that is unknown or that this CPU cannot run makes the import fail. "v3", "v4" and "neon" give the same bits.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from fastnet._core import engine

__all__ = ["active", "compiled", "fused", "supported", "using"]


def compiled() -> tuple[str, ...]:
    """Return the builds that this installation holds, slowest first.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> import fastnet
    >>> set(fastnet.isa.supported()) <= set(fastnet.isa.compiled())
    True
    """
    return engine.compiled()


def supported() -> tuple[str, ...]:
    """Return the builds of this installation that this CPU can run, slowest first.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> import fastnet
    >>> fastnet.isa.active() in fastnet.isa.supported()
    True
    """
    return engine.supported()


def active() -> str:
    """Return the name of the build in use.

    Returns
    -------
    str

    Examples
    --------
    >>> import fastnet
    >>> with fastnet.isa.using(fastnet.isa.supported()[0]):
    ...     fastnet.isa.active() == fastnet.isa.supported()[0]
    True
    """
    return engine.active()


def fused() -> bool:
    """Return whether the build in use multiplies and adds with one rounding (FMA).

    All builds that do give the same bits, and so do all that don't. Asked is the arithmetic, not the name:
    "portable" does on machines where every C program may.

    Returns
    -------
    bool

    Examples
    --------
    >>> import fastnet
    >>> fastnet.isa.fused() or fastnet.isa.active() in ("portable", "v2")
    True
    """
    # (1 + e)(1 + e) - (1 + 2e) is e * e, which is lost if the product is rounded on its own
    above_one = 1 + np.finfo(np.float64).eps
    W, x, b = np.array([[above_one]]), np.array([[above_one]]), np.array([[1 - 2 * above_one]])
    return bool(engine.forward([W], [b], ["identity"], x)[0, 0] != 0)


@contextmanager
def using(name: str) -> Iterator[None]:
    """Run the body of a ``with`` statement on another build, then return to the one before.

    For tests and benchmarks. The choice is the whole process's: its other threads change over too.

    Parameters
    ----------
    name : str
        One of `supported`.

    Raises
    ------
    ValueError
        If ``name`` is not one of them; the message lists them.

    Examples
    --------
    >>> import fastnet
    >>> for name in fastnet.isa.supported():
    ...     with fastnet.isa.using(name):
    ...         assert fastnet.sigmoid(0.0) == 0.5
    """
    previous = active()
    engine.switch_to(name)
    try:
        yield
    finally:
        engine.switch_to(previous)
