"""The promise of the same bits: between runs, builds, batches of prediction, modes the CPU was left in."""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet._core import engine

SHAPES = [(2, 3, 1), (30, 100, 1), (5, 1), (17, 33, 65, 1), (13, 70, 3), (9, 40, 20, 2), (3, 1100, 1030, 1)]
FUSED = [name for name in fn.isa.supported() if name in ("v3", "v4", "neon")]
SEPARATE = [name for name in fn.isa.supported() if name not in FUSED]


def trained(
    shape: tuple[int, ...], dtype: str, n: int, batch: int, epochs: int = 10
) -> tuple[list[bytes], list[float]]:
    rng = np.random.default_rng(5)
    X, T = rng.normal(size=(shape[0], n)).astype(dtype), rng.random((shape[-1], n)).astype(dtype)
    net = fn.Network([fn.Layer(*sizes) for sizes in pairwise(shape)], seed=1, dtype=dtype)
    history = net.fit(X, T, epochs=epochs, batch_size=batch, learning_rate=0.5)
    return [array.tobytes() for layer in net.layers for array in (layer.W, layer.b)], history.loss


@pytest.mark.parametrize("group", [FUSED, SEPARATE], ids=["fused", "separate"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_builds_agree(shape: tuple[int, ...], dtype: Any, group: list[str]) -> None:
    """Ten epochs, partial batches: the same weights and costs on all builds with fma, and on all without."""
    n, batch = (150, 64) if max(shape) < 1000 else (70, 40)
    if len(group) < 2:
        pytest.skip(f"only {group} here")
    results = []
    for name in group:
        with fn.isa.using(name):
            results.append(trained(shape, dtype.name, n, batch, epochs=10 if max(shape) < 1000 else 2))
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("group", [FUSED, SEPARATE], ids=["fused", "separate"])
def test_builds_agree_on_batches_of_several_blocks(dtype: Any, group: list[str]) -> None:
    block = engine.geometry(dtype)[2]
    if len(group) < 2:
        pytest.skip(f"only {group} here")
    results = []
    for name in group:
        with fn.isa.using(name):
            results.append(trained((4, 20, 1), dtype.name, 6 * block + 77, 5 * block + 3, epochs=3))
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("shape", SHAPES[:4], ids=str)
def test_two_runs_agree(isa: str, dtype: Any, shape: tuple[int, ...]) -> None:
    assert trained(shape, dtype.name, 150, 64) == trained(shape, dtype.name, 150, 64)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_example_alone_and_in_any_batch(isa: str, dtype: Any, rng: Any, shape: tuple[int, ...]) -> None:
    net = fn.Network([fn.Layer(*sizes) for sizes in pairwise(shape)], seed=1, dtype=dtype)
    X = rng.normal(size=(shape[0], 1100)).astype(dtype)
    whole = net.predict_proba(X)
    np.testing.assert_array_equal(net.forward(X), whole)
    for first, last in [(0, 1), (63, 64), (64, 129), (1024, 1025), (700, 1100)]:
        np.testing.assert_array_equal(net.predict_proba(X[:, first:last]), whole[:, first:last])


FE_UPWARD = {"x86_64": 0x800, "aarch64": 0x400000}.get(platform.machine())


@pytest.mark.skipif(FE_UPWARD is None, reason="the code of FE_UPWARD is known for x86-64 and aarch64")
@pytest.mark.filterwarnings("ignore:the loss has hardly moved")  # random targets
def test_another_rounding_mode_left_by_another_library_changes_nothing(
    isa: str, dtype: Any, rng: Any
) -> None:
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    z = rng.uniform(-5, 5, 1001).astype(dtype)
    X, T = rng.normal(size=(2, 50)).astype(dtype), rng.random((1, 50)).astype(dtype)
    first, second = (fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)], dtype=dtype) for _ in range(2))

    def results(net: fn.Network) -> list[Any]:
        net.fit(X, T, epochs=10, batch_size=20)
        return [fn.exp(z), fn.sigmoid(z), net.predict_proba(X), *(layer.W for layer in net.layers)]

    before = results(first)
    assert libm.fesetround(FE_UPWARD) == 0
    try:
        upward = np.float64(1) + np.float64(2.0**-60)
        after = results(second)
        still = libm.fegetround()
    finally:
        libm.fesetround(0)
    assert upward > 1, "the mode did not change: the test shows nothing"
    assert still == FE_UPWARD, "the caller's mode must come back"
    for x, y in zip(before, after, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_epochs_on_other_numbers_of_threads_change_nothing(
    isa: str, dtype: Any, rng: Any, optimizer: str
) -> None:
    X, T = rng.normal(size=(20, 700)).astype(dtype), rng.random((2, 700)).astype(dtype)
    found = []
    for most, numbers in ((1, (1, 1, 1, 1)), (3, (1, 3, 2, 7)), (2, (5, 1, 2, 1))):
        net = fn.Network([fn.Layer(20, 70, "tanh"), fn.Layer(70, 2)], seed=1, dtype=dtype)
        W, b = net.weights()
        core = engine.TrainerCore(W, b, ["tanh", "sigmoid"], 256, most, optimizer=optimizer)
        costs = []
        for n in numbers:
            core.use_threads(n)  # no more than `most` are there
            costs.append(core.epoch(X, T, None, 0.1))
        W, b = core.weights()
        found.append((costs, [array.tobytes() for array in (*W, *b)]))
    assert all(each == found[0] for each in found[1:])
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        core.use_threads(0)
