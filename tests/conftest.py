"""Fixtures of the whole suite.

Tests that take ``isa`` run once on every build in the installation; all others run on the active one.
``FASTNET_ISA=v2 pytest`` runs all of them on that build alone.

``rng`` and hypothesis do not mix: draw a seed with hypothesis and make the generator in the test.
"""

import gc
import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import fastnet
from fastnet._core import cpu

# The examples are the same in every run, so that a failure comes from a change and can be repeated;
# `pytest --hypothesis-profile=explore` looks further. ``isa`` needs no reset between the examples of a test.
# Examples take long to draw on a busy machine and under an emulator.
settings.register_profile(
    "fastnet",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("explore", settings.get_profile("fastnet"), derandomize=False, max_examples=2000)
settings.load_profile("fastnet")


# A shell that starts a command in the background makes it ignore Ctrl-C, and Python then leaves it ignored.
# The tests of interrupts send the signal to themselves, and expect Python's usual KeyboardInterrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


BUILDS = (fastnet.isa.active(),) if os.environ.get("FASTNET_ISA") else fastnet.isa.compiled()


@pytest.fixture(params=BUILDS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each build of the installation, active during the test; one that this CPU has must load."""
    if request.param not in cpu.supported():
        pytest.skip(f"this CPU cannot run the {request.param} build")
    with fastnet.isa.using(request.param):
        yield request.param


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> np.dtype:
    """Both precisions."""
    return np.dtype(request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator that starts the same way in every test."""
    return np.random.default_rng(20240229)


@pytest.fixture
def no_garbage_collector() -> Iterator[None]:
    """Keep the garbage collector off in a test that interrupts itself.

    hypothesis has the collector call a function, and Python drops an exception that a signal raises there:
    the interrupt would be lost, which has nothing to do with the fit.
    """
    gc.disable()
    yield
    gc.enable()
