"""What the tests of training steps share: every optimiser, problems with weights, the bits of a training."""

from __future__ import annotations

from typing import Any

import numpy as np
from oracle import random_targets, random_weights

from fastnet._core import engine

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd"},
    "momentum": {"optimizer": "sgd", "momentum": 0.875},
    "nesterov": {"optimizer": "sgd", "momentum": 0.75, "nesterov": True},
    "adam": {"optimizer": "adam", "epsilon": 0.01},
    "adamw": {"optimizer": "adamw", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.05, "weight_decay": 0.1},
    "rmsprop": {"optimizer": "rmsprop", "beta_2": 0.9, "epsilon": 0.05},
    "rmsprop with momentum": {"optimizer": "rmsprop", "beta_2": 0.75, "epsilon": 0.05, "momentum": 0.5},
}
OTHERWISE: dict[str, dict[str, Any]] = {
    "plain": {},
    "l2": {"l2": 3.0},
    "clipped": {"clip_norm": 0.1},
    "both": {"l2": 3.0, "clip_norm": 0.1},
}
EVERYTHING = {"l2": 0.5, "clip_norm": 0.5, "seed": 11}
SHAPES = [(3, 5, 1), (5, 4), (7, 17, 33, 1), (9, 40, 3)]


def start(
    rng: Any, shape: tuple[int, ...], dtype: Any, n: int, loss: str = "bce"
) -> tuple[list[Any], list[Any], Any, Any, Any]:
    """Return W, b, X, T and weights of which some are 0."""
    W, b = random_weights(rng, shape, dtype)
    X, T = rng.normal(size=(shape[0], n)).astype(dtype), random_targets(rng, loss, (shape[-1], n), dtype)
    weights = rng.uniform(0, 2, n) * (rng.random(n) < 0.8)
    weights[0] = 1
    return W, b, X, T, weights.astype(dtype)


def names(shape: tuple[int, ...]) -> list[str]:
    return [*["tanh", "sigmoid", "tanh"][: len(shape) - 2], "sigmoid"]


def bits(trainer: Any) -> list[bytes]:
    W, b = trainer.weights()
    return [array.tobytes() for array in [*W, *b, *trainer.moments().values()]]


# ---- the same bits


def everything(
    optimizer: str, shape: tuple[int, ...], dtype: Any, n: int, batch: int, n_threads: int, loss: str = "bce"
) -> list[Any]:
    """Return the bits of two epochs with all there is."""
    rng = np.random.default_rng(7)
    W, b, X, T, w = start(rng, shape, dtype, n, loss)
    top = {"bce": "sigmoid", "cross_entropy": "softmax", "poisson": "exp"}.get(loss, "softplus")
    activations = [*["gelu", "relu", "mish"][: len(shape) - 2], top]
    dropout = [*[0.25, 0.5, 0.1][: len(shape) - 2], 0.0]
    options = OPTIMIZERS[optimizer] | EVERYTHING
    trainer = engine.TrainerCore(W, b, activations, batch, n_threads, loss=loss, dropout=dropout, **options)
    rates = np.linspace(0.3, 0.1, -(-n // batch))
    costs = [trainer.epoch(X, T, engine.permutation(n, 3, epoch), rates, w) for epoch in range(2)]
    dW, _, cost = engine.TrainerCore(*trainer.weights(), activations, n, n_threads, loss=loss).gradients(
        X, T, w
    )
    return [*costs, cost, trainer.loss(X, T, w), *bits(trainer), *(array.tobytes() for array in dW)]


SIZES = [((3, 5, 1), 300, 140), ((17, 33, 65, 1), 300, 140), ((9, 40, 3), 300, 140), ((4, 9, 2), 2700, 2500)]
