"""Bad arguments of training: the exception names the argument, what was expected and what came."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import bits

import fastnet as fn
from fastnet import optimizers

X = np.array([[0.5, -1.0, 2.0, 0.0], [1.5, 0.25, -0.5, 1.0]])
T = np.array([[1.0, 0.0, 1.0, 0.0]])
LABELS = np.array([0, 2, 1, 0])


def net(activation: str = "sigmoid", n_out: int = 1, dtype: str = "float64") -> fn.Network:
    return fn.Network([fn.Layer(2, 3), fn.Layer(3, n_out, activation)], dtype=dtype)


OPTIMIZERS = ", ".join(map(repr, optimizers.BY_NAME))

# one argument of fit, beside those in test_errors: its value, the exception, the words
BAD_FIT: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"optimizer": "adm"},
        ValueError,
        f"optimizer must be one of {OPTIMIZERS}, got",
    ),
    (
        {"optimizer": fn.SGD},
        TypeError,
        f"optimizer must be one of {OPTIMIZERS} or an",
    ),
    ({"loss": "mse"}, ValueError, "loss must be one of 'bce', "),
    ({"loss": fn.losses.Huber}, TypeError, "loss must be one of 'bce', "),
    (
        {"loss": "cross_entropy"},
        ValueError,
        "'cross_entropy' needs a last layer with the activation 'softmax', got",
    ),
    (
        {"loss": "poisson"},
        ValueError,
        "the loss 'poisson' needs a last layer with the activation 'exp', got 'sigmoid'",
    ),
    ({"schedule": "linear"}, ValueError, "schedule must be one of 'constant', 'inverse_scaling', 'adaptive'"),
    ({"l2": -0.1}, ValueError, "l2 must be finite and at least 0, got -0.1"),
    ({"l2": 10**400}, ValueError, "l2 must be finite and at least 0, got inf"),
    ({"l2": "no"}, TypeError, "l2 must be a number, got 'no'"),
    ({"clip_norm": 0}, ValueError, "clip_norm must be finite and greater than 0, got 0"),
    ({"sample_weight": [1.0, 2.0]}, ValueError, "sample_weight must have shape (4,), got (2,)"),
    ({"sample_weight": np.ones((1, 4))}, ValueError, "sample_weight must have shape (4,), got (1, 4)"),
    (
        {"sample_weight": [1, 1, -2, 1]},
        ValueError,
        "sample_weight must be finite and at least 0, got -2 at [2]",
    ),
    (
        {"sample_weight": [1, math.nan, 0, 1]},
        ValueError,
        "sample_weight must be finite and at least 0, got nan at [1]",
    ),
    ({"sample_weight": [0, 0, 0, 0]}, ValueError, "sample_weight must have a finite sum above 0, got 0"),
    ({"sample_weight": "even"}, TypeError, "sample_weight must hold real numbers"),
    ({"class_weight": "even"}, ValueError, "class_weight must be a dict, 'balanced' or None, got 'even'"),
    ({"class_weight": [1, 2]}, TypeError, "class_weight must be a dict, 'balanced' or None, got [1, 2]"),
    ({"class_weight": {2: 1.0}}, ValueError, "a class in class_weight must be at least 0 and below 2, got 2"),
    ({"class_weight": {"yes": 1.0}}, TypeError, "a class in class_weight must be an int, got 'yes'"),
    ({"class_weight": {1: -1.0}}, ValueError, "class_weight[1] must be finite and at least 0, got -1"),
    ({"class_weight": {0: 0, 1: 0}}, ValueError, "sample_weight must have a finite sum above 0, got 0"),
    ({"validation": X}, TypeError, "validation must be (X, T) or (X, T, sample_weight), got ndarray"),
    ({"validation": (X,)}, TypeError, "validation must be (X, T) or (X, T, sample_weight), got tuple"),
    ({"validation": (X.T, T)}, ValueError, "validation: X must have shape (2, n)"),
    ({"validation": (X, 2 * T)}, ValueError, "validation: T must hold targets in [0, 1]"),
    ({"validation": (X[:, :0], T[:, :0])}, ValueError, "validation: X must have at least one example"),
    ({"validation": (X, T, [1])}, ValueError, "validation: sample_weight must have shape (4,), got (1,)"),
    (
        {"validation_fraction": 1.0},
        ValueError,
        "validation_fraction must be finite, at least 0 and below 1, got 1",
    ),
    (
        {"validation_fraction": -0.5},
        ValueError,
        "validation_fraction must be finite, at least 0 and below 1, got -0.5",
    ),
    (
        {"validation_fraction": 0.5, "validation": (X, T)},
        ValueError,
        "validation and validation_fraction were both",
    ),
    ({"early_stopping": 1}, TypeError, "early_stopping must be True, False or 'calibrated', got 1"),
    (
        {"early_stopping": "loss"},
        ValueError,
        "early_stopping must be True, False or 'calibrated', got 'loss'",
    ),
    ({"early_stopping": "calibrated"}, ValueError, "early_stopping='calibrated' needs validation data"),
    (
        {"early_stopping": "calibrated", "validation_fraction": 0.5, "loss": "huber"},
        ValueError,
        "early_stopping must be True or False with the loss 'huber'",
    ),
    ({"tol": -1e-9}, ValueError, "tol must be finite and at least 0, got -1e-09"),
    ({"patience": -1}, ValueError, "patience must be at least 0, got -1"),
    ({"patience": 2.5}, TypeError, "patience must be an int, got 2.5"),
    ({"metrics": "accuracy"}, TypeError, "metrics must be a list of names or functions, got 'accuracy'"),
    ({"metrics": ["acc"]}, ValueError, "metrics[0] must be one of 'accuracy', 'binary_accuracy'"),
    ({"metrics": [1]}, TypeError, "metrics[0] must be one of 'accuracy'"),
    ({"metrics": ["r2", "r2"]}, ValueError, "metrics[1] has the name 'r2' of one before it"),
    ({"metrics": [lambda T, A: "good"]}, TypeError, "the metric '<lambda>' must return a number, got 'good'"),
    (
        {"callbacks": fn.callbacks.Callback()},
        TypeError,
        "callbacks must be a list of Callback or functions, got",
    ),
    ({"callbacks": [None]}, TypeError, "callbacks[0] must be a Callback or a function, got None"),
    (
        {"callbacks": [fn.callbacks.Callback]},
        TypeError,
        "callbacks[0] must be a Callback or a function, got <class",
    ),
    ({"max_seconds": 0}, ValueError, "max_seconds must be finite and greater than 0, got 0"),
    ({"warm_start": "yes"}, TypeError, "warm_start must be True or False, got 'yes'"),
    ({"n_threads": 0}, ValueError, "n_threads must be at least 1 and below 257, got 0"),
]

CALLS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "momentum": (
        lambda: fn.SGD(momentum=1.0),
        ValueError,
        "momentum must be finite, at least 0 and below 1, got 1",
    ),
    "nesterov": (lambda: fn.SGD(nesterov=0), TypeError, "nesterov must be True or False, got 0"),  # type: ignore[arg-type]
    "rate": (lambda: fn.Adam(0), ValueError, "learning_rate must be finite and greater than 0, got 0"),
    "beta_1": (
        lambda: fn.Adam(beta_1=-0.1),
        ValueError,
        "beta_1 must be finite, at least 0 and below 1, got -0.1",
    ),
    "beta_2": (
        lambda: fn.AdamW(beta_2=1),
        ValueError,
        "beta_2 must be finite, at least 0 and below 1, got 1",
    ),
    "epsilon": (lambda: fn.AdamW(epsilon=0), ValueError, "epsilon must be finite and greater than 0, got 0"),
    "decay": (
        lambda: fn.AdamW(weight_decay=-1),
        ValueError,
        "weight_decay must be finite and at least 0, got -1",
    ),
    "rho": (lambda: fn.RMSProp(rho=2), ValueError, "rho must be finite, at least 0 and below 1, got 2"),
    "max_iter": (lambda: fn.LBFGS(max_iter=0), ValueError, "max_iter must be at least 1, got 0"),
    "gtol": (lambda: fn.LBFGS(tol=math.inf), ValueError, "tol must be finite and at least 0, got inf"),
    "delta": (lambda: fn.losses.Huber(0), ValueError, "delta must be finite and greater than 0, got 0"),
    "quantile": (
        lambda: fn.losses.Quantile(1),
        ValueError,
        "quantile must be finite, greater than 0 and below 1, got 1",
    ),
    "frozen": (lambda: setattr(fn.SGD(), "momentum", 0.5), AttributeError, "cannot assign"),
    "dropout": (
        lambda: fn.Layer(2, 1, dropout=1.0),
        ValueError,
        "dropout must be finite, at least 0 and below 0.999992, got 1",
    ),
    "init": (
        lambda: fn.Layer(2, 1, init="zeros"),
        ValueError,
        "init must be one of 'glorot_uniform', 'glorot_normal'",
    ),
    "dropout of the last": (
        lambda: fn.Network([fn.Layer(2, 1, dropout=0.5)]),
        ValueError,
        "layers[0].dropout must be 0 in the last layer, got 0.5",
    ),
    "softmax inside": (
        lambda: fn.Network([fn.Layer(2, 2, "softmax"), fn.Layer(2, 1)]),
        ValueError,
        "layers[0].activation must not be 'softmax': that is for the last layer only",
    ),
    "another network": (lambda: fn.Trainer([]), TypeError, "network must be a Network, got list"),  # type: ignore[arg-type]
    "squared error of softmax": (
        lambda: net("softmax", 3).loss(X, LABELS, loss="squared_error"),
        ValueError,
        "needs a last layer with another activation than 'softmax', which goes with the loss 'cross_entropy'",
    ),
    "logistic output": (
        lambda: net("logistic").loss(X, T),
        ValueError,
        "a last layer with the activation 'logistic' has no usual loss: make it 'sigmoid'",
    ),
    "too few labels": (
        lambda: net("softmax", 3).fit(X, LABELS[:3]),
        ValueError,
        "T must have a label for each of the 4 examples, got 3",
    ),
    "a label too large": (
        lambda: net("softmax", 2).fit(X, LABELS),
        ValueError,
        "T must hold class labels from 0 to 1, got 0 to 2",
    ),
    "a label below 0": (
        lambda: net("softmax", 3).fit(X, LABELS - 1),
        ValueError,
        "T must hold class labels from 0 to 2, got -1 to 1",
    ),
    "labels that are no whole numbers": (
        lambda: net("softmax", 3).fit(X, LABELS + 0.5),
        ValueError,
        "T must hold whole numbers as class labels, got 0.5",
    ),
    "columns that do not sum to 1": (
        lambda: net("softmax", 2).fit(X, [[1, 0.5, 0.5, 1], [0, 0.5, 0.25, 0]]),
        ValueError,
        "T must hold columns that sum to 1 for the loss 'cross_entropy', got 0.75 in column 2",
    ),
    "counts below 0": (
        lambda: net("exp").fit(X, -T),
        ValueError,
        "T must hold targets of at least 0 for the loss 'poisson', got -1",
    ),
    "targets that are not finite": (
        lambda: net("identity").fit(X, T - np.inf),
        ValueError,
        "T must be finite, got",
    ),
    "soft classes": (
        lambda: net().fit(X, T / 2, class_weight="balanced"),
        ValueError,
        "class_weight needs targets that are 0 or 1, got some between",
    ),
    "no classes": (
        lambda: net("identity").fit(X, T, class_weight="balanced"),
        ValueError,
        "'bce' with one output; got the loss 'squared_error'",
    ),
    "one example to split": (
        lambda: net().fit(X[:, :1], T[:, :1], validation_fraction=0.5),
        ValueError,
        "validation_fraction needs at least two examples, got 1",
    ),
    "options of one epoch": (lambda: net().fit_one_epoch(X, T, epochs=2), TypeError, "epochs"),
    "one_hot of floats": (lambda: fn.one_hot([0.5]), TypeError, "labels must be ints, got dtype float64"),
    "one_hot of columns": (lambda: fn.one_hot([[0]]), ValueError, "labels must have shape (n,), got (1, 1)"),
    "one_hot too few": (
        lambda: fn.one_hot([3], 3),
        ValueError,
        "labels must hold class labels from 0 to 2, got 3 to 3",
    ),
    "activate": (lambda: fn.activate(X, "relu6"), ValueError, "name must be one of 'identity', 'sigmoid'"),
    "activate a row": (lambda: fn.activate(X[0], "relu"), ValueError, "Z must have shape (n_out, n)"),
    "activation_backward": (
        lambda: fn.activation_backward(X, T, "relu"),
        ValueError,
        "dA must have shape (2, 4), got (1, 4)",
    ),
    "loss of a row": (
        lambda: fn.loss(X[0], X[0]),
        ValueError,
        "Z must have shape (n_out, n), a column per example",
    ),
    "loss of nothing": (lambda: fn.loss(X[:, :0], X[:, :0]), ValueError, "Z must have at least one example"),
    "loss of NaN": (lambda: fn.loss(X * np.nan, X > 0), ValueError, "Z must be finite, got nan at [0, 0]"),
    "loss of targets": (
        lambda: fn.loss(X, X),
        ValueError,
        "T must hold targets in [0, 1], got values from -1 to 2",
    ),
    "loss of another dtype": (
        lambda: fn.loss(X, T.astype(np.float32)),
        TypeError,
        "T must have dtype float64, as Z has, got float32",
    ),
}


def name_of(part: object) -> str:
    """Name a case the same in every process, whatever the addresses of its functions."""
    return re.sub(" at 0x[0-9a-f]+", "", str(part))


@pytest.mark.parametrize(("chosen", "exception", "words"), BAD_FIT, ids=name_of)
def test_bad_arguments_of_fit(chosen: dict[str, Any], exception: type[Exception], words: str) -> None:
    network = net()
    before = bits(network)
    with pytest.raises(exception) as caught:
        network.fit(X, T, **({"epochs": 1, "batch_size": 4} | chosen))
    assert type(caught.value) is exception
    assert words in str(caught.value)
    assert bits(network) == before
    network.fit(X, T, epochs=1, batch_size=2)
    assert bits(network) != before


@pytest.mark.parametrize("call", CALLS)
def test_bad_calls(call: str) -> None:
    action, exception, words = CALLS[call]
    with pytest.raises(exception) as caught:
        action()
    assert words in str(caught.value)


def test_weights_of_the_examples_may_be_of_any_precision() -> None:
    outcomes = []
    for dtype in (np.float32, np.float64, int):
        network = net(dtype="float32")
        network.fit(X.astype("f4"), T.astype("f4"), epochs=2, sample_weight=np.array([1, 2, 0, 1], dtype))
        outcomes.append(bits(network))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_nobody_is_warned_of_a_batch_size_that_is_chosen_for_them() -> None:
    trainer = fn.Trainer(net(), batch_size=50)
    with pytest.warns(UserWarning, match="batch_size=50 is more than the 4 examples: taken as 4") as caught:
        trainer.fit_one_epoch(X, T)
    assert caught[0].filename == __file__
    net().fit(X, T, epochs=1)


def test_settings_are_checked_once_and_cannot_be_changed() -> None:
    trainer = fn.Trainer(net(), optimizer="adam", learning_rate=0.5, schedule="constant", batch_size=3)
    assert trainer.settings.optimizer == fn.Adam(0.5)
    assert trainer.settings.loss.name == "bce"
    assert trainer.settings.schedule is None, "a constant rate needs none"
    assert [trainer.settings.batch(n) for n in (3, 9)] == [3, 3]
    with pytest.raises(dataclasses.FrozenInstanceError):
        trainer.settings.l2 = 1.0
