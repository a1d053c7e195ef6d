"""Every loss: its formula, its gradient by differences, its default, and that a fit lowers it."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from networks import DTYPES, data

import fastnet as fn


def outputs(activation: str, n_out: int = 1, dtype: str = "float64", hidden: str = "tanh") -> fn.Network:
    return fn.Network([fn.Layer(3, 5, hidden), fn.Layer(5, n_out, activation)], seed=1, dtype=dtype)


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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_weighted_mean_of_the_costs(kind: str, dtype: str) -> None:
    loss, activation, n_out = KINDS[kind]
    n = 1500  # more than a block
    X, _ = data(3, 1, n, dtype)
    T, net = targets(kind, n, dtype), outputs(activation, n_out, dtype)
    w = np.random.default_rng(4).uniform(0, 2, n)
    J = cost(kind, net.predict_proba(X), T)
    # the cost is a sum of a few terms of that size; they and the mean are rounded some times
    bound = 64 * float(np.finfo(dtype).eps) * (abs(J).max() + 8)
    assert abs(net.loss(X, T, loss=loss) - J.mean()) <= bound
    assert abs(net.loss(X, T, loss=loss, sample_weight=w) - np.average(J, weights=w)) <= bound
    zeros = np.where(np.arange(n) < 7, 1.0, 0.0)
    assert abs(net.loss(X, T, loss=loss, sample_weight=zeros) - J[:7].mean()) <= bound


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_against_central_differences(kind: str) -> None:
    loss, activation, n_out = KINDS[kind]
    X, _ = data(3, 1, 17, "float64")
    T, net = targets(kind, 17, "float64"), outputs(activation, n_out)
    w = np.random.default_rng(5).uniform(0.5, 2, 17)
    found = net.gradients(X, T, loss=loss, sample_weight=w)
    h = 1e-5  # the difference has an error of about h² J''' / 6 and of eps J / h, both below 1e-9 here
    for layer, gradients in zip(net.layers, found, strict=True):
        for array, gradient in zip((layer.W, layer.b), gradients, strict=True):
            for index in np.ndindex(array.shape):
                before = array[index]
                array[index] = before + h
                up = net.loss(X, T, loss=loss, sample_weight=w)
                array[index] = before - h
                down = net.loss(X, T, loss=loss, sample_weight=w)
                array[index] = before
                assert abs((up - down) / (2 * h) - gradient[index]) <= 1e-8


def test_the_last_activation_chooses_the_loss() -> None:
    X, _ = data(3, 1, 8, "float64")
    for kind in ("bce", "cross_entropy", "poisson", "squared_error"):
        loss, activation, n_out = KINDS[kind]
        T, net = targets(kind, 8, "float64"), outputs(activation, n_out)
        assert net.loss(X, T) == net.loss(X, T, loss=loss)
        Z = X[:n_out]
        assert fn.loss(Z, T, loss=loss) == fn.loss(Z, T, activation=activation)
        assert np.array_equal(
            fn.loss_backward(Z, T, loss=loss), fn.loss_backward(Z, T, activation=activation)
        )
    assert fn.loss(X[:1], X[:1] > 0) == fn.bce_loss(X[:1], X[:1] > 0)


def test_every_loss_is_lowered_by_every_optimiser() -> None:
    X, _ = data(3, 1, 120, "float32")
    for kind, optimizer in itertools.product(
        KINDS, ("sgd", "adam", "adamw", "rmsprop", fn.SGD(0.02, 0.9, True))
    ):
        loss, activation, n_out = KINDS[kind]
        T, net = targets(kind, 120, "float32"), outputs(activation, n_out, "float32")
        before = net.loss(X, T, loss=loss)
        with warnings.catch_warnings():  # these targets are noise: some losses hardly move
            warnings.filterwarnings("ignore", "the loss has hardly moved")
            history = net.fit(X, T, epochs=30, batch_size=16, optimizer=optimizer, loss=loss)
        assert net.loss(X, T, loss=loss) < before, (kind, optimizer)
        assert len(history.loss) == 30
