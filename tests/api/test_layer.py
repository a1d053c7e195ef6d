"""Activations of single layers, their way back, and the weights they start with."""

from __future__ import annotations

import math

import numpy as np
import pytest
from networks import DTYPES, bits, data

import fastnet as fn
from fastnet import reference
from fastnet._core import engine


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


# ---- initial weights


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


def test_an_identity_layer_passes_its_gradient_on() -> None:
    layer = fn.Layer(2, 2, "identity", W=[[1.0, 2.0], [3.0, 4.0]])
    assert layer.forward([[1.0], [10.0]]).tolist() == [[21.0], [43.0]]
    dA, dW, db = layer.backward([[1.0], [-1.0]])
    assert dA.tolist() == [[-2.0], [-2.0]]
    assert dW.tolist() == [[1.0, 10.0], [-1.0, -10.0]]
    assert db.tolist() == [[1.0], [-1.0]]


@pytest.mark.parametrize("activation", ["sigmoid", "identity"])
def test_a_layer_on_its_own_draws_like_the_first_of_a_network(activation: str) -> None:
    layer = fn.Layer(4, 3, activation, seed=9)
    W, b = reference.initial_weights(4, 3, activation, 9, 0, "float64")
    assert (layer.W.tobytes(), layer.b.tobytes()) == (W.tobytes(), b.tobytes())
    bound = math.sqrt((2 if activation == "sigmoid" else 6) / 7)
    assert bound / 2 < abs(layer.W).max() <= bound


def test_weights_are_changed_in_place_and_copied_when_assigned() -> None:
    layer = fn.Layer(2, 1)
    array = layer.W
    layer.W -= 0.5 * np.ones((1, 2))
    assert layer.W is array
    mine = np.asfortranarray(np.arange(2.0).reshape(1, 2))
    layer.W = mine
    mine[:] = 7
    assert layer.W.tolist() == [[0.0, 1.0]]
    assert layer.W.flags.c_contiguous
    assert layer.W.flags.writeable
    layer.b = [[2]]
    assert layer.b.tolist() == [[2.0]]
    for name, value in (("W", np.ones((2, 1))), ("W", 1.0), ("b", [1.0]), ("b", [[np.nan]])):
        with pytest.raises(ValueError, match=f"{name} must"):
            setattr(layer, name, value)
    with pytest.raises(TypeError, match=r"W\.astype\(np\.float64\)"):
        layer.W = np.ones((1, 2), np.float32)
    assert layer.W.tolist() == [[0.0, 1.0]]
