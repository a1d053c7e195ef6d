"""Every public argument, given what it is not: the message names the argument; nothing else comes out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import bits

import fastnet as fn

X = np.array([[0.5, -1.0, 2.0, 0.0], [1.5, 0.25, -0.5, 1.0]])
T = np.array([[1.0, 0.0, 1.0, 0.0]])
WRONG: dict[str, Any] = {
    "an array": np.arange(10.0).reshape(2, 5),
    "a vector": np.arange(3),
    "an array without dimensions": np.array(1.0),
    "an array of objects": np.array([None, "a"], dtype=object),
    "None": None,
    "text": "x",
    "no text": "",
    "bytes": b"x",
    "nan": float("nan"),
    "an object": object(),
    "a dict": {},
    "a list": [],
    "a number below 0": -1,
    "a type": int,
}


def net() -> fn.Network:
    return fn.Network([fn.Layer(2, 3, seed=1), fn.Layer(3, 1, seed=2)])


def used_layer() -> fn.Layer:
    layer = fn.Layer(2, 3, seed=1)
    layer.forward(X)
    return layer


STATE = fn.Trainer(net(), optimizer="adam").state_dict()
FIT: dict[str, Any] = {
    "X": X,
    "T": T,
    "epochs": 1,
    "batch_size": 2,
    "learning_rate": 0.1,
    "shuffle": True,
    "seed": 0,
    "progress": False,
    "n_threads": None,
    "optimizer": "sgd",
    "loss": None,
    "schedule": None,
    "l2": 0.0,
    "clip_norm": None,
    "sample_weight": None,
    "class_weight": None,
    "validation": None,
    "validation_fraction": 0.0,
    "early_stopping": False,
    "tol": 1e-4,
    "patience": 10,
    "metrics": (),
    "callbacks": (),
    "max_seconds": None,
    "warm_start": False,
}
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Layer": (
        fn.Layer,
        {"n_in": 2, "n_out": 3, "activation": "relu", "seed": None, "dtype": None, "dropout": 0.0}
        | {"init": "he_uniform", "W": None},
    ),
    "Network": (fn.Network, {"layers": [fn.Layer(2, 1)], "seed": 0, "dtype": "float64"}),
    "forward": (lambda **how: net().forward(**how), {"X": X}),
    "predict_proba": (lambda **how: net().predict_proba(**how), {"X": X, "n_threads": None}),
    "loss": (lambda **how: net().loss(**how), {"X": X, "T": T, "loss": None, "sample_weight": None}),
    "gradients": (lambda **how: net().gradients(**how), {"X": X, "T": T, "loss": None}),
    "fit": (lambda **how: net().fit(**how), FIT),
    "fit_one_epoch": (lambda **how: net().fit_one_epoch(**how), {"X": X, "T": T, "sample_weight": None}),
    "Trainer": (fn.Trainer, {"network": net(), "optimizer": "sgd", "schedule": None, "n_threads": None}),
    "load_state_dict": (
        lambda **how: fn.Trainer(net(), optimizer="adam").load_state_dict(**how),
        {"state": STATE, "strict": True},
    ),
    "from_state_dict": (fn.Trainer.from_state_dict, {"network": net(), "state": STATE}),
    "Predictor": (fn.Predictor, {"network": net()}),
    "predictor": (lambda **how: net().compile()(**how), {"x": X, "out": None, "n_threads": None}),
    "Standardize": (fn.Standardize, {"mean": [0.0, 1.0], "scale": [1.0, 1.0]}),
    "Standardize.of": (fn.Standardize.of, {"X": X}),
    "feature_names": (
        lambda feature_names: setattr(net(), "feature_names", feature_names),
        {"feature_names": 0},
    ),
    "classes": (lambda classes: setattr(net(), "classes", classes), {"classes": 0}),
    "preprocessing": (
        lambda preprocessing: setattr(net(), "preprocessing", preprocessing),
        {"preprocessing": 0},
    ),
    "W": (lambda W: setattr(fn.Layer(2, 3), "W", W), {"W": 0}),
    "Layer.forward": (lambda **how: used_layer().forward(**how), {"A": X}),
    "Layer.backward": (lambda **how: used_layer().backward(**how), {"dA": np.ones((3, 4))}),
    "SGD": (fn.SGD, {"learning_rate": 0.1, "momentum": 0.5, "nesterov": False}),
    "AdamW": (fn.AdamW, {"beta_1": 0.5, "beta_2": 0.5, "epsilon": 1e-8, "weight_decay": 0.1}),
    "RMSProp": (fn.RMSProp, {"rho": 0.5, "momentum": 0.1}),
    "LBFGS": (fn.LBFGS, {"max_iter": 3, "max_fun": 4, "tol": 0.1}),
    "Huber": (fn.losses.Huber, {"delta": 1.0}),
    "Quantile": (fn.losses.Quantile, {"quantile": 0.5}),
    "Adaptive": (fn.schedules.Adaptive, {"factor": 5.0, "patience": 10, "tol": 1e-4, "smallest": 1e-6}),
    "Cosine": (fn.schedules.Cosine, {"warmup": 0.0, "epochs": None, "final": 0.0}),
    "OneCycle": (fn.schedules.OneCycle, {"rise": 0.3, "start": 0.1, "final": 0.1}),
    "Step": (fn.schedules.Step, {"every": 3, "factor": 0.5}),
    "activate": (fn.activate, {"Z": X, "name": "relu"}),
    "exp": (fn.exp, {"Z": X}),
    "one_hot": (fn.one_hot, {"labels": [0, 1], "n_classes": 2, "dtype": "float64"}),
    "accuracy": (fn.metrics.accuracy, {"T": T, "A": T}),
    "binary_accuracy": (fn.metrics.binary_accuracy, {"T": T, "A": T}),
    "r2": (fn.metrics.r2, {"T": T, "A": T}),
    "mean_squared_error": (fn.metrics.mean_squared_error, {"T": T, "A": T}),
    "mean_absolute_error": (fn.metrics.mean_absolute_error, {"T": T, "A": T}),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_message_names_the_argument(call: str) -> None:
    function, arguments = CALLS[call]
    wrong = []
    refused = 0
    for argument in arguments:
        for kind, value in WRONG.items():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", RuntimeWarning)
                    function(**arguments | {argument: value})
            except (TypeError, ValueError) as error:
                refused += 1
                if argument not in str(error):
                    wrong.append(f"{argument}={kind}: {error}")
            except Exception as error:
                wrong.append(f"{argument}={kind}: {type(error).__name__}: {error}")
    assert wrong == []
    assert refused >= len(arguments)


DTYPES = [
    "flot32",
    "float16",
    "f2",
    "int64",
    int,
    bool,
    complex,
    object,
    None,
    "",
    "float32,float64",
    b"f4",
    ">f8",
]


@pytest.mark.parametrize("dtype", [*DTYPES, np.dtype("float16"), np.dtype(object), np.zeros(3), {}], ids=repr)
def test_a_dtype_is_float32_or_float64(dtype: Any) -> None:
    for make in (
        lambda: fn.Network([fn.Layer(2, 1)], dtype=dtype),
        lambda: fn.one_hot([0, 1], dtype=dtype),
        lambda: fn.Layer(2, 1, dtype="none" if dtype is None else dtype),
    ):
        with pytest.raises(TypeError, match="dtype must be float32 or float64, got"):
            make()


def test_every_way_to_name_a_dtype_that_there_is() -> None:
    for dtype in ("float32", "f4", "single", np.float32, np.dtype("float32"), "<f4"):
        assert fn.Network([fn.Layer(2, 1)], dtype=dtype).dtype == np.float32
    for dtype in ("float64", float, np.float64, np.dtype("float64"), "double"):
        assert fn.Network([fn.Layer(2, 1)], dtype=dtype).dtype == np.float64


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_a_layer_with_a_method_of_its_own_is_refused(method: str) -> None:
    own = type("Own", (fn.Layer,), {method: lambda self, A: A})
    plain = type("Plain", (fn.Layer,), {})
    with pytest.raises(TypeError, match=rf"layers\[1\] must be a Layer that keeps Layer\.{method}, got Own"):
        fn.Network([fn.Layer(2, 2), own(2, 1)])
    assert fn.Network([plain(2, 1)]).predict_proba(X).shape == (1, 4)


# ---- float32 overflows


def single() -> fn.Network:
    return fn.Network([fn.Layer(2, 3, "relu"), fn.Layer(3, 1, "identity")], seed=1, dtype="float32")


def test_scaling_that_overflows_gives_no_warning() -> None:
    network = single()
    network.preprocessing = fn.Standardize([0.0, 0.0], [1e-30, 1.0])
    big = np.full((2, 1), 1e20, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(network.forward(big), network.predict_proba(big), equal_nan=True)


HUGE: dict[str, dict[str, Any]] = {
    "X": {"validation": ([[1e40, 0.0], [0.0, 1.0]], [[1.0, 0.0]])},
    "T": {"validation": ([[1.0, 0.0], [0.0, 1.0]], [[1e40, 0.0]])},
    "weights": {"validation": ([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0]], [1e40, 1.0])},
    "sample_weight": {"sample_weight": [1e40, 1.0, 1.0, 1.0]},
    "validation": {"validation": (np.full((2, 2), 1e38, "f4"), np.zeros((1, 2), "f4"))},
}


@pytest.mark.parametrize("what", HUGE)
def test_what_overflows_in_float32_is_an_error(what: str) -> None:
    network = single()
    before = bits(network)
    with pytest.raises(ValueError, match=r"must be finite|finite sum|validation must have a finite loss"):
        network.fit(X.astype("f4"), T.astype("f4"), epochs=2, **HUGE[what])
    assert bits(network) == before


@pytest.mark.filterwarnings("ignore:the loss has hardly moved")
@pytest.mark.parametrize("optimizer", [fn.Adam(), fn.AdamW(), fn.RMSProp()], ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("epochs", [1, 3, 100])
def test_mean_squares_that_overflow_are_a_divergence(optimizer: Any, epochs: int) -> None:
    network = single()
    before = bits(network)
    inputs, targets = (X * 1e22).astype("f4"), T.astype("f4")  # a gradient of 1e22, and a loss as large
    how: Any = {"epochs": epochs, "optimizer": optimizer, "loss": "absolute_error"}
    with pytest.raises(
        fn.DivergenceError, match=r"fit diverged by epoch 1 of .* squares of gradients overflow"
    ):
        network.fit(inputs, targets, **how)
    assert bits(network) == before
    network.fit(inputs, targets, clip_norm=1.0, **how)  # as the message says


# ---- states


@pytest.mark.parametrize("name", ["epochs_done", "examples_seen", "step", "stopping.waited", "restored"])
def test_counters_that_no_training_reaches_are_refused(name: str) -> None:
    trainer = fn.Trainer(net(), optimizer="adam")
    for value in (2**63 - 1, -1):
        with pytest.raises(ValueError, match=rf"{name}: (must be from 0 to|-1 is below 0)"):
            trainer.load_state_dict(STATE | {name: np.array(value, np.int64)})


@pytest.mark.parametrize("value", [np.inf, -1.0, 0.5, 1e300])
@pytest.mark.parametrize("name", ["cuts", "waited"])
def test_schedule_memory_that_is_no_count_is_refused(name: str, value: float) -> None:
    trainer = fn.Trainer(net(), schedule="adaptive")
    trainer.fit(X, T, epochs=2)
    state = trainer.state_dict()
    with pytest.raises(ValueError, match=rf"schedule\.{name}: must be a whole number"):
        trainer.load_state_dict(state | {f"schedule.{name}": np.array(value)})
    trainer.load_state_dict(state)
    trainer.fit(X, T, epochs=2)
