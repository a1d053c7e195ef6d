"""Activations of single layers, their way back, and the weights they start with."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest
from networks import DTYPES, bits, data

import fastnet as fn
from fastnet import _initializers, reference
from fastnet._core import engine

KINKS = ("relu", "leaky_relu")  # no slope at 0, so no differences across it


def smooth(rng: np.random.Generator, shape: tuple[int, int]) -> Any:
    Z = rng.normal(size=shape) * 2
    return Z + np.where(abs(Z) < 0.01, 0.1, 0)


@pytest.mark.parametrize("name", engine.ACTIVATIONS)
def test_slopes_against_central_differences(name: str, rng: np.random.Generator) -> None:
    Z, dA = smooth(rng, (4, 50)), rng.normal(size=(4, 50))
    found = fn.activation_backward(Z, dA, name)
    h = 1e-5
    for j in range(4):  # of softmax too, where each output depends on all of its column
        step = np.zeros_like(Z)
        step[j] = h
        slope = (dA * (fn.activate(Z + step, name) - fn.activate(Z - step, name))).sum(axis=0) / (2 * h)
        # h² times the third derivative, and the roundings of a over h, relative to a up to e⁸
        assert (abs(found[j] - slope) <= 1e-9 * (1 + np.exp(Z.max(axis=0)) * (name == "exp"))).all()


@pytest.mark.parametrize("name", engine.ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_layer_is_its_steps(name: str, dtype: str) -> None:
    X, dA = data(3, 4, 37, dtype)
    layer = fn.Layer(3, 4, name, seed=2, dtype=dtype)
    Z = fn.dense_forward(layer.W, layer.b, X)
    assert layer.forward(X[:, ::-1][:, ::-1]).tobytes() == fn.activate(Z, name).tobytes()
    dZ = fn.activation_backward(Z, dA, name)
    found, expected = layer.backward(np.asfortranarray(dA)), fn.dense_backward(layer.W, X, dZ)
    assert [array.tobytes() for array in found] == [array.tobytes() for array in expected]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in engine.ACTIVATIONS if name not in ("softmax", "exp")])
def test_step_by_step_has_the_bits_of_the_whole(name: str, dtype: str) -> None:
    X, _ = data(5, 1, 70, dtype)
    for last in (name, "softmax", "exp"):
        net = fn.Network([fn.Layer(5, 7, name), fn.Layer(7, 3, last)], seed=3, dtype=dtype)
        assert net.forward(X).tobytes() == net.predict_proba(X).tobytes()


def test_empty_and_one_column() -> None:
    for name in ("relu", "softmax"):
        assert fn.activate(np.empty((3, 0), np.float32), name).shape == (3, 0)
        assert fn.activation_backward(np.empty((3, 0)), np.empty((3, 0)), name).shape == (3, 0)
    assert fn.activate([[1.0], [1.0]], "softmax").tolist() == [[0.5], [0.5]]


# ---- initial weights


def test_the_normal_deviates_are_the_inverse_of_the_distribution() -> None:
    rng = np.random.default_rng(0)
    u = np.concatenate(
        [rng.random(4000), 2.0 ** -rng.uniform(1, 54, 1000), [0.0, 0.5, 0.075, 0.925, 1 - 2**-53]]
    )
    exact = np.array([statistics.NormalDist().inv_cdf(max(x, 2.0**-54)) for x in u])
    # both by AS 241; a dozen roundings in each polynomial, and what the logarithms differ by
    assert (abs(_initializers.normal(u) - exact) <= 16 * np.finfo(float).eps * abs(exact)).all()


def test_the_logarithm() -> None:
    x = np.concatenate([2.0 ** -np.linspace(0, 54, 3000), np.linspace(0.5, 1, 500)])
    exact = np.log(x)
    assert (abs(_initializers._log(x) - exact) <= 4 * np.finfo(float).eps * abs(exact)).all()


SPREAD = {  # variance of the weights of a layer 30-40
    "glorot_uniform": (6 / 70) / 3,
    "glorot_normal": 2 / 70,
    "he_uniform": (6 / 30) / 3,
    "he_normal": 2 / 30,
}


@pytest.mark.parametrize("init", SPREAD)
@pytest.mark.parametrize("dtype", DTYPES)
def test_how_wide_the_weights_are_drawn(init: str, dtype: str) -> None:
    layers = [fn.Layer(30, 40, "relu", init=init, seed=seed, dtype=dtype) for seed in range(20)]
    W = np.array([layer.W for layer in layers], float)
    count = W.size  # 24 000: the mean has a deviation of sigma / 155, the variance of at most a part in 109
    sigma = math.sqrt(SPREAD[init])
    assert abs(W.mean()) <= 5 * sigma / math.sqrt(count)
    assert abs(W.var() / SPREAD[init] - 1) <= 5 * math.sqrt(2 / count)
    largest = abs(W).max() / sigma
    if init.endswith("uniform"):
        assert 1.7 < largest <= math.sqrt(3) * (1 + 1e-6)
        assert abs((W**4).mean() / SPREAD[init] ** 2 - 1.8) < 0.1
    else:
        assert 3.5 < largest < 6  # of 24 000
        assert abs((W**4).mean() / SPREAD[init] ** 2 - 3) < 0.25
    b = np.array([layer.b for layer in layers])
    assert b.any() == (init == "glorot_uniform")
    assert len({layer.W.tobytes() for layer in layers}) == 20


@pytest.mark.parametrize("init", SPREAD)
def test_a_network_draws_each_layer_from_a_stream_of_its_own(init: str) -> None:
    layers = [fn.Layer(4, 4, "relu", init=init) for _ in range(2)]
    net = fn.Network([*layers, fn.Layer(4, 1, init=init)], seed=5)
    assert not np.array_equal(layers[0].W, layers[1].W)
    again = fn.Network(
        [*(fn.Layer(4, 4, "relu", init=init) for _ in range(2)), fn.Layer(4, 1, init=init)], seed=5
    )
    assert bits(net) == bits(again)
    assert np.array_equal(layers[0].W, fn.Layer(4, 4, "relu", init=init, seed=5).W)


def test_a_normal_draw_by_hand() -> None:
    u = reference.uniform(7, 2**63, 6)
    expected = np.array([statistics.NormalDist().inv_cdf(x) for x in u]).reshape(2, 3) * math.sqrt(2 / 3)
    found = fn.Layer(3, 2, "relu", init="he_normal", seed=7).W
    assert abs(found - expected).max() <= 64 * np.finfo(float).eps


def test_dropout_is_of_the_training_alone() -> None:
    X, T = data(3, 1, 200, "float32")
    layers = [fn.Layer(3, 20, "tanh", dropout=0.5), fn.Layer(20, 1)]
    net = fn.Network(layers, dtype="float32")
    twin = fn.Network(
        [
            fn.Layer(3, 20, "tanh", W=layers[0].W, b=layers[0].b),
            fn.Layer(20, 1, W=layers[1].W, b=layers[1].b),
        ],
        dtype="float32",
    )
    assert net.predict_proba(X).tobytes() == twin.predict_proba(X).tobytes()
    assert net.forward(X).tobytes() == twin.forward(X).tobytes()
    assert net.loss(X, T) == twin.loss(X, T)
    for mine, its in zip(net.gradients(X, T), twin.gradients(X, T), strict=True):
        assert [array.tobytes() for array in mine] == [array.tobytes() for array in its]
    net.fit(X, T, epochs=1)
    twin.fit(X, T, epochs=1)
    assert bits(net) != bits(twin)
    assert repr(net.layers[0]) == "Layer(3, 20, 'tanh', dtype='float32', dropout=0.5)"
