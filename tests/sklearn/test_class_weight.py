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


def test_class_weights_belong_to_the_classes_and_not_to_the_batch() -> None:
    """A dict is judged by `classes_`: a batch need not hold them all. Weights by hand give the same."""
    _, X, y, _ = data("words")
    shares = {"b": 5.0, "c": 0.5, "j": 2.0}
    w = np.array([shares.get(word, 1.0) for word in y])
    ours, by_hand = (
        MLPClassifier(5, random_state=0, class_weight=shares),
        MLPClassifier(5, random_state=0),
    )
    for rows in (y < "c", y == "c", y > "d", y == "j"):
        ours.partial_fit(X[rows], y[rows], classes=np.unique(y))
        by_hand.partial_fit(X[rows], y[rows], w[rows], classes=np.unique(y))
    assert_same_weights(ours, by_hand)
    with pytest.raises(ValueError, match="class_weight"):
        MLPClassifier(5, class_weight={"b": 2.0, "z": 1.0}).partial_fit(X, y, classes=np.unique(y))


def test_a_validation_set_has_the_class_weights_of_the_training_set() -> None:
    _, X, y, _ = data("words")
    part = y == "c"
    w = compute_sample_weight("balanced", y)
    params = {"hidden_layer_sizes": 5, "max_iter": 3, "random_state": 0}
    for solver in ("adam", "lbfgs"):
        for weight in ("balanced", dict(zip(y, w, strict=True))):
            est = MLPClassifier(class_weight=weight, solver=solver, **params)
            est.fit(X, y, X_val=X[part], y_val=y[part], sample_weight_val=np.linspace(0.5, 1, part.sum()))
            by_hand = MLPClassifier(solver=solver, **params).fit(
                X,
                y,
                w,
                X_val=X[part],
                y_val=y[part],
                sample_weight_val=w[part] * np.linspace(0.5, 1, part.sum()),
            )
            np.testing.assert_allclose(est.validation_loss_curve_, by_hand.validation_loss_curve_, rtol=1e-12)


def test_several_labels_have_balanced_weights_only() -> None:
    _, X, y, _ = data("several labels")
    with pytest.raises(ValueError, match="class_weight must be 'balanced' or None for several labels"):
        MLPClassifier(3, class_weight={0: 2.0}).fit(X, y)
