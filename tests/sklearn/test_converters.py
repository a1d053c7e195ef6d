"""skl2onnx, skops and to_sklearn know the estimators."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn.neural_network
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn_data import KINDS, data, fitted, small, words

import fastnet.sklearn
from fastnet.sklearn import MLPClassifier

pytestmark = pytest.mark.usefixtures("few_epochs")


# ---- skl2onnx


@pytest.mark.parametrize("activation", ["relu", "logistic", "tanh", "identity"])
@pytest.mark.parametrize("kind", ["digits", "words", "breast_cancer", "diabetes"])
def test_skl2onnx(kind: str, activation: str) -> None:
    skl2onnx = pytest.importorskip("skl2onnx")
    runtime = pytest.importorskip("onnxruntime")
    fastnet.sklearn.register_converters()
    fastnet.sklearn.register_converters()
    X = data(kind)[1].astype(np.float32)
    est = fitted(kind, activation=activation)
    model = make_pipeline(StandardScaler().fit(X), est)
    options = {id(est): {"zipmap": False}} if hasattr(est, "classes_") else None
    onnx = skl2onnx.to_onnx(model, X[:1], options=options)
    session = runtime.InferenceSession(onnx.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: X})
    expected = model.predict_proba(X) if hasattr(est, "classes_") else model.predict(X).reshape(-1, 1)
    np.testing.assert_allclose(found[-1], expected, rtol=1e-4, atol=1e-5)


def test_skl2onnx_is_not_given_what_it_cannot_write() -> None:
    skl2onnx = pytest.importorskip("skl2onnx")
    fastnet.sklearn.register_converters()
    X, y = words()
    for activation in ("gelu", ["tanh"]):
        with pytest.raises(ValueError, match=r"activation .*must be"):
            skl2onnx.to_onnx(small(activation=activation).fit(X, y), X[:1].astype(np.float32))


# ---- skops


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "adamw", "rmsprop"])
@pytest.mark.parametrize("kind", ["words", "diabetes"])
def test_skops(kind: str, solver: str) -> None:
    skops = pytest.importorskip("skops.io")
    est = fitted(kind, solver=solver)
    file = skops.dumps(est)
    assert set(skops.get_untrusted_types(data=file)) <= set(fastnet.sklearn.TRUSTED_TYPES)
    again = skops.loads(file, trusted=list(fastnet.sklearn.TRUSTED_TYPES))
    X = data(kind)[1]
    np.testing.assert_array_equal(again.predict(X), est.predict(X))
    if solver != "lbfgs":
        y = data(kind)[2]
        np.testing.assert_array_equal(again.partial_fit(X, y).coefs_[0], est.partial_fit(X, y).coefs_[0])


# ---- to_sklearn


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "adamw", "rmsprop"])
@pytest.mark.parametrize("kind", KINDS)
def test_to_sklearn(kind: str, solver: str) -> None:
    name, X, y, _ = data(kind)
    est = fitted(kind, solver=solver, dropout=0.1 if solver == "adamw" else 0.0)
    theirs = est.to_sklearn()
    assert type(theirs) is getattr(sklearn.neural_network, name)
    assert theirs.get_params().keys() == type(theirs)().get_params().keys()
    if name == "MLPClassifier":
        np.testing.assert_array_equal(theirs.predict(X), est.predict(X))
    else:
        np.testing.assert_allclose(theirs.predict(X), est.predict(X), rtol=1e-9)
    assert theirs.n_iter_ == est.n_iter_
    if solver != "lbfgs":
        before = est.coefs_[0].copy()
        theirs.partial_fit(X, y)
        np.testing.assert_array_equal(est.coefs_[0], before)
        if solver in ("adam", "sgd"):
            np.testing.assert_allclose(est.partial_fit(X, y).coefs_[0], theirs.coefs_[0], rtol=1e-9)


def test_the_pickle_of_to_sklearn_needs_no_fastnet() -> None:
    X, y = words()
    est = small(solver="adamw", activation=["relu"], learning_rate="cosine").fit(X, y)
    given = pickle.dumps((est.to_sklearn(), X))
    code = (
        "import pickle, sys; est, X = pickle.load(sys.stdin.buffer); "
        "print(est.predict_proba(X)[0, 0], 'fastnet' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, check=True)
    number, imported = run.stdout.split()
    np.testing.assert_allclose(float(number), est.predict_proba(X)[0, 0], rtol=1e-9)
    assert imported == b"False"


def test_to_sklearn_refuses_what_scikit_learn_has_not() -> None:
    X, y = words()
    for activation in ("gelu", ["tanh", "relu"]):
        est = MLPClassifier((3, 3), activation, max_iter=1).fit(X, y)
        with pytest.raises((ValueError, TypeError), match="activation must be one of"):
            est.to_sklearn()
    with pytest.raises(ValueError, match="loss must be one of 'squared_error', 'poisson', got 'huber'"):
        fitted("diabetes", loss="huber").to_sklearn()


# ---- pickles under patch()


def test_pickles_while_patched() -> None:
    """Old pickles of scikit-learn's estimators load as fastnet's; its own objects can still be pickled."""
    X, y = words()
    theirs: Any = sklearn.neural_network.MLPClassifier(5, max_iter=2, random_state=0).fit(X, y)

    class Sub(sklearn.neural_network.MLPClassifier): ...

    old = pickle.dumps(theirs)
    with fastnet.sklearn.patched():
        loaded = pickle.loads(old)
        assert type(loaded) is MLPClassifier
        assert loaded.get_params() == MLPClassifier(5, max_iter=2, random_state=0).get_params()
        np.testing.assert_allclose(loaded.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
        loaded.partial_fit(X, y)
        kept = pickle.loads(pickle.dumps(theirs))
        assert type(kept) is type(theirs)
        np.testing.assert_array_equal(kept.predict_proba(X), theirs.predict_proba(X))
    assert type(pickle.loads(old)) is type(theirs)
    assert pickle.dumps(theirs) == old
