"""class_weight is a weight of the examples."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.utils.class_weight import compute_sample_weight
from sklearn_data import assert_same_weights, data, fitted

from fastnet.sklearn import MLPClassifier

pytestmark = pytest.mark.usefixtures("few_epochs")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", ["breast_cancer", "words", "several labels"])
def test_class_weight_is_a_weight_of_the_examples(kind: str, solver: str) -> None:
    _, X, y, _ = data(kind)
    balanced = fitted(kind, class_weight="balanced", solver=solver)
    w = compute_sample_weight("balanced", y)
    assert np.ptp(w) > 0.05
    by_hand = MLPClassifier((9, 6), max_iter=8, random_state=0, solver=solver).fit(X, y, w)
    assert_same_weights(balanced, by_hand)
    with pytest.raises(AssertionError):
        assert_same_weights(balanced, fitted(kind, solver=solver))


def test_class_weight_multiplies_sample_weight_and_goes_into_partial_fit() -> None:
    _, X, y, _ = data("words")
    shares = {"b": 5.0, "c": 0.0}
    w = np.linspace(0.5, 1, len(X))
    both = w * np.array([{"b": 5, "c": 0}.get(word, 1) for word in y])
    params = {"hidden_layer_sizes": 5, "max_iter": 3, "random_state": 0}
    assert_same_weights(
        MLPClassifier(class_weight=shares, **params).fit(X, y, w), MLPClassifier(**params).fit(X, y, both)
    )
    classes = np.unique(y)
    ours = MLPClassifier(class_weight=shares, **params).partial_fit(X, y, w, classes=classes)
    assert_same_weights(ours, MLPClassifier(**params).partial_fit(X, y, both, classes=classes))
    with pytest.raises(ValueError, match="class_weight must be a dict or None in partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=classes)
