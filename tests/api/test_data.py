"""The data that ships with the package."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastnet.data import load_breast_cancer


def test_the_data_is_whole() -> None:
    X, T, names = load_breast_cancer()
    assert (X.shape, T.shape, len(names)) == ((30, 569), (1, 569), 30)
    assert (X.dtype, T.dtype) == (np.float64, np.float64)
    assert X.flags.f_contiguous
    assert int(T.sum()) == 357
    assert set(np.unique(T)) == {0.0, 1.0}
    assert X[:3, 0].tolist() == [17.99, 10.38, 122.8]
    assert X[-1, -1] == 0.07039
    assert (names[0], names[-1]) == ("mean radius", "worst fractal dimension")
    assert math.isclose(math.fsum(X.ravel()), 1056474.4596356, rel_tol=1e-12)


def test_the_data_is_that_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = datasets.load_breast_cancer()
    X, T, names = load_breast_cancer()
    assert np.array_equal(X.T, theirs.data)
    assert np.array_equal(T[0], theirs.target)
    assert names == list(theirs.feature_names)
