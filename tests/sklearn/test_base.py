"""Subclasses that override scikit-learn's private methods get scikit-learn's own code, and are told so."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn_data import assert_same_weights, data, words

from fastnet.sklearn import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.usefixtures("few_epochs", "one_blas_thread"),
    pytest.mark.filterwarnings("ignore:.* replaces .* of scikit-learn"),
]
PARAMS = {"hidden_layer_sizes": (5, 4), "max_iter": 4, "random_state": 0}


class L1:
    def _compute_loss_grad(
        self: Any, layer: int, sw_sum: Any, activations: Any, deltas: Any, coef_grads: Any, *rest: Any
    ) -> None:
        super()._compute_loss_grad(layer, sw_sum, activations, deltas, coef_grads, *rest)  # type: ignore[misc]
        coef_grads[layer] += 0.1 * np.sign(self.coefs_[layer])


class FrozenFirstLayer:
    def _backprop(self: Any, *arguments: Any) -> Any:
        loss, coef_grads, intercept_grads = super()._backprop(*arguments)  # type: ignore[misc]
        coef_grads[0][:] = 0
        return loss, coef_grads, intercept_grads


class Noise:
    def _forward_pass(self: Any, activations: Any) -> Any:
        activations = super()._forward_pass(activations)  # type: ignore[misc]
        activations[1] *= 0.5
        return activations


class NeverStops:
    def _update_no_improvement_count(self: Any, *arguments: Any) -> None:
        super()._update_no_improvement_count(*arguments)  # type: ignore[misc]
        self._no_improvement_count = -1


class OwnScore:
    def _score(self: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        return 0.25


class Louder:
    def _forward_pass_fast(self: Any, X: Any, check_input: bool = True) -> Any:
        return super()._forward_pass_fast(X, check_input) ** 2  # type: ignore[misc]


class Fits:
    """An override that only adds to what fastnet does: nothing to fall back for."""

    def _fit_stochastic(self: Any, *arguments: Any) -> None:
        self.called_ = True
        super()._fit_stochastic(*arguments)  # type: ignore[misc]


def both(mixin: type, kind: str, **params: Any) -> tuple[Any, Any]:
    name, X, y, _ = data(kind)
    theirs, ours = (
        (TheirClassifier, MLPClassifier) if name == "MLPClassifier" else (TheirRegressor, MLPRegressor)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(type("Mine", (mixin, base), {})(**PARAMS | params).fit(X, y) for base in (theirs, ours))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("mixin", [L1, FrozenFirstLayer, Noise])
@pytest.mark.parametrize("kind", ["words", "diabetes"])
def test_an_override_in_training_counts(kind: str, mixin: type, solver: str) -> None:
    theirs, ours = both(mixin, kind, solver=solver)
    assert ours.backend_ == "scikit-learn"
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize(("mixin", "early"), [(NeverStops, False), (OwnScore, True), (Louder, True)])
def test_an_override_in_stopping_counts(mixin: type, early: bool) -> None:
    theirs, ours = both(mixin, "words", early_stopping=early, tol=10.0, n_iter_no_change=1, max_iter=7)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.validation_scores_ == theirs.validation_scores_
    assert ours.backend_ == "scikit-learn"
    assert_same_weights(ours, theirs)


def test_what_is_not_used_does_not_count() -> None:
    for mixin in (OwnScore, Fits, Louder):
        _, ours = both(mixin, "words")
        assert ours.backend_ == "fastnet"
    assert both(Fits, "words")[1].called_


@pytest.mark.parametrize("kind", ["words", "breast_cancer", "diabetes"])
def test_an_override_in_prediction_counts(kind: str) -> None:
    theirs, ours = both(Louder, kind)
    _, X, y, _ = data(kind)
    np.testing.assert_allclose(
        ours.predict(X[:9]) == theirs.predict(X[:9]), True
    ) if kind == "words" else None
    if kind == "diabetes":
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    else:
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
        assert ours.score(X, y) == theirs.score(X, y)


def test_one_warning_for_each_class() -> None:
    X, y = words()
    Mine = type("Mine", (L1, MLPClassifier), {})
    with pytest.warns(UserWarning, match="Mine replaces _compute_loss_grad of scikit-learn"):
        Mine(**PARAMS).fit(X, y)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Mine replaces")
        Mine(**PARAMS).fit(X, y)
    with pytest.warns(UserWarning, match="Yours replaces _compute_loss_grad"):
        type("Yours", (Mine,), {})(**PARAMS).fit(X, y)


def test_a_method_of_one_object_counts() -> None:
    X, y = words()
    est = MLPClassifier(**PARAMS)
    calls: list[int] = []
    original = est._backprop
    est._backprop = lambda *arguments: (calls.append(1), original(*arguments))[1]
    est.fit(X, y)
    assert len(calls) == PARAMS["max_iter"] * 2  # 400 rows, 200 a batch
    assert est.backend_ == "scikit-learn"


def test_another_subclass_among_the_bases_counts() -> None:
    class Their(TheirClassifier):
        def _fit_stochastic(self, *arguments: Any) -> None:
            self.theirs_ = True
            super()._fit_stochastic(*arguments)

        def predict(self, X: Any) -> Any:
            return np.zeros(len(X))

    X, y = words()
    both = type("Both", (MLPClassifier, Their), {})(**PARAMS).fit(X, y)
    assert both.theirs_
    assert both.backend_ == "scikit-learn"
    assert not both.predict(X).any()


def test_what_scikit_learn_has_not_is_refused_then() -> None:
    X, y = words()
    Mine = type("Mine", (L1, MLPClassifier), {})
    for extra in ({"dropout": 0.1}, {"class_weight": "balanced"}, {"clip_norm": 1.0}):
        with pytest.raises(ValueError, match=f"{next(iter(extra))} must not be given"):
            Mine(**PARAMS | extra).fit(X, y)
    assert Mine(**PARAMS, n_threads=2).fit(X, y).n_threads == 2


# ---- attributes that are set after fit


@pytest.mark.parametrize("kind", ["diabetes", "several targets"])
def test_the_number_of_layers_set_after_fit_counts(kind: str) -> None:
    """An autoencoder cut at its bottleneck, as sklearn2pmml's MLPTransformer does it."""
    _, X, y, _ = data(kind)
    for layers in (2, 3):
        predictions = []
        for cls in (TheirRegressor, MLPRegressor):
            est = cls(**PARAMS).fit(X, y)
            est.n_layers_ = layers
            predictions.append(est.predict(X))
        np.testing.assert_allclose(predictions[1], predictions[0], rtol=1e-9, atol=1e-12)
        assert predictions[1].shape == (len(X), 5 if layers == 2 else 4)
    est.n_layers_ = 9
    with pytest.raises(ValueError, match="n_layers_ must be at least 2 and at most 4, got 9"):
        est.predict(X)


def test_the_output_activation_and_the_number_of_outputs_set_after_fit_count() -> None:
    X, y = data("breast_cancer")[1:3]
    found = []
    for cls in (TheirClassifier, MLPClassifier):
        est = cls(**PARAMS).fit(X, y)
        est.out_activation_ = "identity"
        first = est.predict_proba(X)
        est.n_outputs_ = 2
        found.append((first, est.predict_proba(X)))
    for theirs, ours in zip(*found, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_transform_and_its_names_follow_the_number_of_layers() -> None:
    _, X, y, _ = data("diabetes")
    est = MLPRegressor(**PARAMS).fit(X, y)
    H = est.transform(X, layer=0)
    est.n_layers_ = 3
    np.testing.assert_array_equal(est.transform(X), H)
    assert len(est.get_feature_names_out()) == 5
