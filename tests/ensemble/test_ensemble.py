"""Ensemble: the mean of its networks, and what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from tables import same

import fastnet as fn
from fastnet.ensemble import Targets


def test_an_ensemble_is_the_mean():
    X = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    networks = [
        fn.Network([fn.Layer(3, 5), fn.Layer(5, 2, "softmax")], seed=k, dtype="float32") for k in range(3)
    ]
    ensemble = fn.Ensemble(networks)
    each = np.stack([network.predict_proba(X) for network in networks])
    same(ensemble.predict_members(X), each)
    same(ensemble.predict_proba(X), (each[0] + each[1] + each[2]) / np.float32(3))
    same(ensemble.predict_proba(X), ensemble.compile()(X))
    same(ensemble.predict_proba(X)[:, 0], ensemble.compile()(X[:, 0]))
    np.testing.assert_allclose(ensemble.spread(X), each.std(axis=0), atol=1e-6)
    networks[0].classes = ["a", "b"]
    file = io.BytesIO()
    fn.save(ensemble, file)
    file.seek(0)
    again = fn.load(file)
    assert again.classes == ("a", "b")
    same(again.predict_proba(X), ensemble.predict_proba(X))


def test_what_is_no_ensemble():
    one = fn.Network([fn.Layer(2, 1)])
    with pytest.raises(ValueError, match="at least one Network"):
        fn.Ensemble([])
    with pytest.raises(TypeError, match=r"networks\[1\] must be a Network, got int"):
        fn.Ensemble([one, 1])
    with pytest.raises(ValueError, match=r"networks\[1\] must be like networks\[0\], 2 inputs, 1 outputs"):
        fn.Ensemble([one, fn.Network([fn.Layer(3, 1)])])
    with pytest.raises(ValueError, match="has no encoder"):
        fn.Ensemble([one]).encode([[1.0, 2.0]])


def test_the_answer_is_that_of_a_network_with_the_mean_outputs():
    X = np.random.default_rng(0).normal(size=(3, 40))
    for activation, n_out in (("sigmoid", 1), ("sigmoid", 2), ("softmax", 3), ("identity", 1), ("tanh", 2)):
        networks = [fn.Network([fn.Layer(3, n_out, activation)], seed=k) for k in range(2)]
        A = (networks[0].predict_proba(X) + networks[1].predict_proba(X)) / 2
        got = fn.Ensemble(networks).predict(X)
        if networks[0].output == "binary":
            same(got, (A[0] > 0.5).astype(int))
            networks[0].classes = [True, False]
            same(fn.Ensemble(networks).predict(X), A[0] <= 0.5)
        elif networks[0].output == "multilabel":
            same(got, (A > 0.5).astype(int))
        elif networks[0].output == "multiclass":
            same(got, A.argmax(axis=0))
            networks[0].classes = ["c", "a", "b"]
            same(fn.Ensemble(networks).predict(X), np.array(["c", "a", "b"])[A.argmax(axis=0)])
        else:
            same(got, A[0] if n_out == 1 else A)
    targets = Targets(*(np.array([v]) for v in (3.0, 2.0, 2.5, 3.5)))
    ensemble = fn.Ensemble([fn.Network([fn.Layer(3, 1, "identity")])], targets=targets)
    same(ensemble.predict(X), ensemble.predict_proba(X)[0])
