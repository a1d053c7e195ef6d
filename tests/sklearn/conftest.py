"""Fixtures of the tests of fastnet.sklearn."""

import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture
def few_epochs() -> Iterator[None]:
    """Silence the warnings that a fit of few epochs has not converged."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Stochastic Optimizer")
        warnings.filterwarnings("ignore", "lbfgs failed to converge")
        yield


@pytest.fixture
def one_blas_thread() -> Iterator[None]:
    """Small products on several threads make scikit-learn many times slower."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(1):
        yield
