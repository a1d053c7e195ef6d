"""fastnet.sklearn follows scikit-learn: the same weights, losses, stops and predictions for the same seed.

The two differ in the order of sums and in the last bits of exp and tanh: some 1e-16 a step in float64. What
is allowed is what the training makes of that in 20 epochs, well below what another draw or another formula
would give (1e-2). L-BFGS magnifies it most; in float32 it gets few iterations.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn_data import CLASSIFIER, KINDS, assert_alike, assert_predict_alike, both, data

pytestmark = pytest.mark.usefixtures("one_blas_thread")


TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
VALUES = {
    "kind": KINDS,
    "solver": ("adam", "sgd", "lbfgs"),
    "activation": ("relu", "tanh", "logistic", "identity"),
    "dtype": ("float64", "float32"),
    "batch_size": ("auto", 32),
    "early_stopping": (False, True),
    "weights": (False, True),
}


def cases() -> list[tuple[Any, ...]]:
    """Return few combinations in which any three values that go together do so at least once."""
    everything = [
        case
        for case in product(*VALUES.values())
        if case[1] != "lbfgs" or case[4:6] == ("auto", False)  # it knows neither batches nor early stopping
    ]
    triples = {case: set(combinations(enumerate(case), 3)) for case in everything}
    left, chosen = set().union(*triples.values()), []
    while left:
        chosen.append(max(everything, key=lambda case: len(triples[case] & left)))
        left -= triples[chosen[-1]]
    return chosen


@pytest.mark.parametrize(VALUES, cases(), ids=str)
def test_the_same_training(
    kind: str, solver: str, activation: str, dtype: str, batch_size: Any, early_stopping: bool, weights: bool
) -> None:
    if kind == "words" and early_stopping and sklearn.__version__.startswith(("1.7.", "1.8.")):
        pytest.skip("scikit-learn itself fails: its issue 33760")
    name, X, y, params = data(kind)
    X = X.astype(dtype)
    w = np.random.default_rng(1).uniform(0.1, 2, len(X)) if weights else None
    params = params | {
        "hidden_layer_sizes": (12, 7) if kind == "digits" else 12,
        "max_iter": 4 if (solver, dtype) == ("lbfgs", "float32") else 20,
        "learning_rate_init": 1e-3,
    }
    theirs, ours = both(
        name,
        X,
        y,
        w,
        solver=solver,
        activation=activation,
        batch_size=batch_size,
        early_stopping=early_stopping,
        random_state=3,
        **params,
    )
    assert_alike(theirs, ours, TOLERANCE[dtype])
    assert_predict_alike(theirs, ours, X, TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("activation", "dtype"),
    [("relu", "float64"), ("relu", "float32"), ("identity", "float32"), ("logistic", "float64")],
)
def test_unscaled_data(activation: str, dtype: str) -> None:
    """Logits of hundreds: what scikit-learn reports is the logarithm of rounded and clipped probabilities.

    (Where tanh saturates, and the logistic in float32, scikit-learn's gradient is made of NumPy's roundings.)
    """
    X, y = load_breast_cancer(return_X_y=True)
    theirs, ours = both(CLASSIFIER, X.astype(dtype), y, activation=activation, max_iter=20, random_state=0)
    assert theirs.loss_curve_[0] > 0.5  # some are far off
    assert_alike(theirs, ours, TOLERANCE[dtype])


def test_the_default_fit_to_its_end() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    theirs, ours = both(CLASSIFIER, X, y, random_state=0)
    assert 20 < theirs.n_iter_ < 200
    assert_alike(theirs, ours, 1e-8)
    assert_predict_alike(theirs, ours, X, 1e-8)


@pytest.mark.parametrize(
    "params",
    [
        {"learning_rate": "invscaling", "power_t": 0.3},
        {"learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 2, "max_iter": 40},
        {"momentum": 0.0},
        {"momentum": 0.5, "nesterovs_momentum": False},
        {"solver": "adam", "beta_1": 0.0, "beta_2": 0.9, "epsilon": 1e-3},
        {"solver": "adam", "alpha": 0.5, "batch_size": 7},
        {"solver": "adam", "shuffle": False},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (5, 4, 3)},
        {"tol": 0.1, "n_iter_no_change": 3, "max_iter": 100},
        {"n_iter_no_change": np.inf, "max_iter": 5},
        {"batch_size": 10_000},
        {"early_stopping": True, "validation_fraction": 0.5, "tol": 0.01, "n_iter_no_change": 2},
        {"solver": "lbfgs", "max_fun": 7},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["digits", "diabetes"])
def test_parameters(kind: str, params: dict[str, Any]) -> None:
    name, X, y, _ = data(kind)
    given = {"hidden_layer_sizes": 8, "solver": "sgd", "learning_rate_init": 0.01, "max_iter": 15} | params
    theirs, ours = both(name, X, y, random_state=5, **given)
    assert_alike(theirs, ours, 1e-9)
    if given["solver"] != "lbfgs":
        for moment in {"sgd": ("velocities",), "adam": ("ms", "vs")}[given["solver"]]:
            if given.get("momentum") == 0:
                continue  # scikit-learn keeps the last step, which nothing reads
            for a, b in zip(
                getattr(theirs._optimizer, moment), getattr(ours._optimizer, moment), strict=True
            ):
                np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)
