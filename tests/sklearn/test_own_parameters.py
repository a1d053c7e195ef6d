"""The parameters that fastnet adds, in subclasses with parameters of the same names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn_data import assert_same_weights, words

from fastnet.sklearn import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.usefixtures("few_epochs", "one_blas_thread"),
    pytest.mark.filterwarnings("ignore:.* replaces .* of scikit-learn"),
]


def test_a_parameter_of_the_same_name_in_a_subclass_is_its_own() -> None:
    X, y = words()

    class Mine(MLPClassifier):
        def __init__(self, hidden_layer_sizes: Any = 5, dtype: Any = "text", dropout: Any = None) -> None:
            super().__init__(hidden_layer_sizes, max_iter=3, random_state=0)
            self.dtype = dtype
            self.dropout = dropout

    expected = MLPClassifier(5, max_iter=3, random_state=0).fit(X, y)
    for given in ({}, {"dtype": "float32"}, {"dropout": 0.9}, {"dtype": np.float32, "dropout": "often"}):
        est = Mine(**given)
        assert_same_weights(est.fit(X, y), expected)
        assert_same_weights(est.set_params(**given).fit(X, y), expected)
        np.testing.assert_array_equal(est.predict_proba(X), expected.predict_proba(X))


def test_a_parameter_that_a_subclass_passes_on_is_fastnets() -> None:
    X, y = words()

    class Mine(MLPClassifier):
        def __init__(self, dtype: Any = None, dropout: float = 0.1, max_iter: int = 3) -> None:
            super().__init__(5, max_iter=max_iter, random_state=0, dtype=dtype, dropout=dropout, n_threads=2)

    class Later(Mine):
        def __init__(self, dtype: Any = "float32", dropout: Any = 0.1) -> None:
            MLPClassifier.__init__(self, 5, max_iter=3, random_state=0, dtype=dtype, dropout=float(dropout))

    for cls in (Mine, Later):
        est = cls(dtype="float32").fit(X, y)
        expected = MLPClassifier(5, max_iter=3, random_state=0, dtype="float32", dropout=0.1).fit(X, y)
        assert_same_weights(est, expected)
        with pytest.raises(ValueError, match="'dtype' parameter of"):
            est.set_params(dtype=int).fit(X, y)


def test_a_subclass_whose_constructor_sets_everything_itself() -> None:
    X, y = words()

    class Mine(MLPClassifier):
        def __init__(self, alpha: float = 1e-4) -> None:
            plain = TheirClassifier(5, max_iter=3, random_state=0, alpha=alpha)
            self.__dict__.update(vars(plain))

    expected = MLPClassifier(5, max_iter=3, random_state=0).fit(X, y)
    assert_same_weights(Mine().fit(X, y), expected)


def test_the_defaults_are_those_of_the_signatures() -> None:
    import inspect

    from fastnet.sklearn import _own_parameters

    found = {}
    for cls, plain in ((MLPClassifier, TheirClassifier), (MLPRegressor, TheirRegressor)):
        known = inspect.signature(plain).parameters
        found |= {n: p.default for n, p in inspect.signature(cls).parameters.items() if n not in known}
    assert found == _own_parameters.DEFAULTS
    assert found.keys() == _own_parameters.CONSTRAINTS.keys()
