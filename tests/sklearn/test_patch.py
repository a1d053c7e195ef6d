"""patch, unpatch and patched replace scikit-learn's classes."""

from __future__ import annotations

import pickle

import pytest

pytest.importorskip("sklearn")

import sklearn
import sklearn.neural_network
from sklearn_data import words

import fastnet.sklearn
from fastnet.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.usefixtures("few_epochs")


def test_patch() -> None:
    theirs = sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor
    fastnet.sklearn.patch()
    try:
        fastnet.sklearn.patch()
        from sklearn.neural_network import MLPClassifier as patched_in

        assert patched_in is MLPClassifier
        X, y = words()
        est = patched_in(8, max_iter=2).fit(X, y)
        assert est.backend_ == "fastnet"
        assert pickle.loads(pickle.dumps(est)).n_iter_ == 2
    finally:
        fastnet.sklearn.unpatch()
    assert (sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor) == theirs
    fastnet.sklearn.unpatch()
    with fastnet.sklearn.patched():
        module = sklearn.neural_network._multilayer_perceptron
        assert (module.MLPClassifier, module.MLPRegressor) == (MLPClassifier, MLPRegressor)
        assert sklearn.neural_network.MLPRegressor is MLPRegressor
        with pytest.raises(ZeroDivisionError), fastnet.sklearn.patched():
            raise ZeroDivisionError
        assert sklearn.neural_network.MLPRegressor is MLPRegressor
    assert (sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor) == theirs
