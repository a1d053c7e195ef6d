"""Activations and elementwise functions by themselves, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet import reference
from fastnet._core import engine


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


def test_empty_and_one_column() -> None:
    for name in ("relu", "softmax"):
        assert fn.activate(np.empty((3, 0), np.float32), name).shape == (3, 0)
        assert fn.activation_backward(np.empty((3, 0)), np.empty((3, 0)), name).shape == (3, 0)
    assert fn.activate([[1.0], [1.0]], "softmax").tolist() == [[0.5], [0.5]]


def test_elementwise_functions_keep_the_shape() -> None:
    Z = np.asfortranarray(np.linspace(-2, 2, 24).reshape(2, 3, 4))
    for ours, theirs in ((fn.exp, reference.exp), (fn.sigmoid, reference.sigmoid)):
        found = ours(Z)
        assert found.shape == (2, 3, 4)
        assert abs(found - theirs(Z)).max() <= 4 * np.finfo(float).eps * found.max()
        assert ours(Z[:, ::-1, ::2]).tobytes() == np.ascontiguousarray(found[:, ::-1, ::2]).tobytes()
        assert ours(np.empty((0, 3), np.float32)).shape == (0, 3)
        assert type(ours(0)) is np.float64
        assert type(ours(np.float32(0))) is np.float32


KINDS: dict[str, tuple[Any, str, int]] = {  # loss, last activation, outputs
    "bce": ("bce", "sigmoid", 2),
    "cross_entropy": ("cross_entropy", "softmax", 3),
    "poisson": ("poisson", "exp", 2),
    "squared_error": ("squared_error", "identity", 2),
    "squared error of a sigmoid": ("squared_error", "sigmoid", 1),
    "absolute_error": ("absolute_error", "identity", 1),
    "huber": (fn.losses.Huber(0.3), "identity", 2),
    "quantile": (fn.losses.Quantile(0.8), "softplus", 1),
}


def targets(kind: str, n: int, dtype: str) -> Any:
    _, _, n_out = KINDS[kind]
    rng = np.random.default_rng(3)
    if kind == "cross_entropy":
        return fn.one_hot(rng.integers(n_out, size=n), n_out, dtype=dtype)
    if kind == "poisson":
        return rng.poisson(2.0, size=(n_out, n)).astype(dtype)
    return rng.uniform(0, 1, size=(n_out, n)).astype(dtype)


def cost(kind: str, A: Any, T: Any) -> Any:
    """Return the cost of each example, by the formulas of the outputs, in float64."""
    A, T = A.astype(float), T.astype(float)
    r = A - T
    name = kind.split()[0]
    if name == "bce":
        J = -T * np.log(A) - (1 - T) * np.log1p(-A)
    elif name == "cross_entropy":
        J = -T * np.log(A)
    elif name == "poisson":
        J = np.where(T > 0, T * np.log(np.where(T > 0, T, 1) / A), 0) - T + A
    elif name in ("squared_error", "squared"):
        J = r**2 / 2
    elif name == "absolute_error":
        J = abs(r)
    elif name == "huber":
        J = np.where(abs(r) <= 0.3, r**2 / 2, 0.3 * (abs(r) - 0.15))
    else:
        J = np.where(r < 0, -0.8 * r, 0.2 * r)
    return J.sum(axis=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_function_and_its_gradient_are_those_of_a_layer(kind: str) -> None:
    loss, activation, n_out = KINDS[kind]
    T = targets(kind, 9, "float64")
    Z = np.random.default_rng(6).normal(size=(n_out, 9))
    w = np.linspace(0, 2, 9)
    found = fn.loss(Z, T, loss=loss, activation=activation, sample_weight=w)
    J = cost(kind, fn.activate(Z, activation), T)
    assert abs(found - np.average(J, weights=w)) <= 1e-13
    one = fn.Network([fn.Layer(n_out, n_out, activation, W=np.eye(n_out))])
    dZ = fn.loss_backward(Z, T, loss=loss, activation=activation, sample_weight=w)
    ((dW, db),) = one.gradients(Z, T, loss=loss, sample_weight=w)
    # sums over 9 examples, once by the core and once by NumPy
    assert abs(dZ @ Z.T / w.sum() - dW).max() <= 64 * np.finfo(float).eps
    assert abs(dZ.sum(axis=1, keepdims=True) / w.sum() - db).max() <= 64 * np.finfo(float).eps
