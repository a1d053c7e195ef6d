"""Batches of a few examples, where a lane is a unit: the bits of the steps where it is an example.

A trainer for two threads takes those: its arena has no room for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernel_sizes import memory_orders
from oracle import HIDDEN, PAIRS, random_targets, random_weights
from steps import OPTIMIZERS, bits, names

from fastnet._core import engine

# the last of these batches is smaller; there are at least 8 of each, or it would not be worth it
N = 75
SHAPES = [(30, 100, 1), (2, 37, 1), (17, 33, 65, 1), (13, 70, 3), (4, 40, 20, 2), (5, 64), (64, 64, 64, 10)]


def trained(
    shape: tuple[int, ...],
    dtype: Any,
    batch: int,
    n_threads: int,
    activations: list[str] | None = None,
    loss: str = "bce",
    far: float = 1.0,
    layout: int | None = None,
    rate: float = 0.05,
    prepare: Callable[..., None] = lambda W, b, X, T: None,
    **options: Any,
) -> list[Any]:
    """Return the costs of three epochs, and the bits of the weights and moments they end at."""
    rng = np.random.default_rng(7)
    W, b = random_weights(rng, shape, dtype)
    X = far * rng.normal(size=(N, shape[0])).astype(dtype).T
    T = random_targets(rng, loss, (shape[-1], N), dtype)
    prepare(W, b, X, T)
    if layout is not None:
        X = memory_orders(X)[layout]
    trainer = engine.TrainerCore(W, b, activations or names(shape), batch, n_threads, loss=loss, **options)
    costs = [trainer.epoch(X, T, engine.permutation(N, 2, epoch), rate / far**2) for epoch in range(3)]
    assert np.isfinite(costs).all()
    return [*costs, *bits(trainer)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_optimiser_and_number_of_examples(isa: str, dtype: Any, shape: tuple[int, ...]) -> None:
    for batch in range(1, 10):  # 9 are no longer few
        optimizer = list(OPTIMIZERS)[(batch + len(shape)) % len(OPTIMIZERS)]
        for options in (OPTIMIZERS["sgd"], OPTIMIZERS[optimizer]):
            few = trained(shape, dtype, batch, 1, **options)
            assert few == trained(shape, dtype, batch, 2, **options), (batch, options)


@pytest.mark.parametrize("far", [1.0, 300.0])
def test_every_activation(isa: str, dtype: Any, far: float) -> None:
    for hidden in HIDDEN:
        for shape, batch in (((9, 33, 18, 1), 7), ((9, 33, 1), 3), ((6, 40, 3), 5)):
            activations = [hidden] * (len(shape) - 2) + ["sigmoid"]
            few = trained(shape, dtype, batch, 1, activations, far=far)
            assert few == trained(shape, dtype, batch, 2, activations, far=far), (hidden, shape, batch)


@pytest.mark.parametrize("shape", [(9, 33, 1), (9, 33, 18, 1), (6, 40, 3)], ids=str)
def test_what_is_so_small_that_it_becomes_zero(isa: str, dtype: Any, shape: tuple[int, ...]) -> None:
    """dZ of about TINY, times a rate that leaves W as it is: biases that start at 0 show what was kept."""
    tiny, rate = (2.0**-50, 1e-20) if dtype == np.float32 else (2.0**-480, 1e-155)

    def small_weights(W: Any, b: Any, X: Any, T: Any) -> None:
        W[-1] *= tiny * 8
        for hidden in b[:-1]:
            hidden[:] = 0

    for batch in (1, 4):
        few = trained(shape, dtype, batch, 1, rate=rate, prepare=small_weights)
        assert few == trained(shape, dtype, batch, 2, rate=rate, prepare=small_weights), batch


@pytest.mark.parametrize("shape", [(9, 33, 1), (9, 33, 18, 1)], ids=str)
def test_what_is_so_small_and_kept(isa: str, dtype: Any, shape: tuple[int, ...]) -> None:
    """Below one output unit, dZ of a first layer is compared with TINY only where the weight is small."""
    log_tiny = 35 if dtype == np.float32 else 330

    def saturated(W: Any, b: Any, X: Any, T: Any) -> None:
        np.abs(X, out=X)
        W[-2][:] = -abs(W[-2]) * (0.7 * log_tiny / 3)
        W[-1][0, ::2] *= 1e-9  # the others are not small
        b[-2][:], b[-1][:], T[:] = 0, -0.7 * log_tiny, 0

    names = ["sigmoid"] * (len(shape) - 1)
    for batch in (1, 4):
        few = trained(shape, dtype, batch, 1, names, rate=1e-14, prepare=saturated)
        assert few == trained(shape, dtype, batch, 2, names, rate=1e-14, prepare=saturated), batch


def test_every_loss(isa: str, dtype: Any) -> None:
    for loss, last in PAIRS:
        for n_out in (1, 4) if last != "softmax" else (4,):
            shape, activations = (11, 20, n_out), ["tanh", last]
            few = trained(shape, dtype, 3, 1, activations, loss)
            assert few == trained(shape, dtype, 3, 2, activations, loss), (loss, last, n_out)


def test_any_memory_and_standardised(isa: str, dtype: Any, rng: Any) -> None:
    for n_in in (3, 70):
        scaling = (rng.normal(size=n_in).astype(dtype), rng.uniform(0.5, 2, n_in).astype(dtype))
        for batch in (1, 4):
            expected = trained((n_in, 40, 1), dtype, batch, 2, standardize=scaling)
            for layout in (None, 0, 1, 2, 3):
                few = trained((n_in, 40, 1), dtype, batch, 1, layout=layout, standardize=scaling)
                assert few == expected, (n_in, batch, layout)
