"""The learned scales of inputs (scale_rate): against the twin, and the same bits whoever does the work."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet import isa, reference
from fastnet._core import engine

# inputs below and above a vector and a panel, mostly zeros, and few enough for the path of narrow.pxi
SHAPES = [(5, 7, 3), (70, 40, 3), (130, 33, 1), (300, 9, 2), (3, 4, 1), (2, 3)]
HOW = {"loss": "squared_error", "optimizer": "adamw", "weight_decay": 0.02, "scale_rate": 6.0}


def wide(array: Any) -> Any:
    return array.astype(np.longdouble)


def start(shape: tuple[int, ...], dtype: Any, n: int) -> tuple[list[Any], list[Any], list[str], Any, Any]:
    rng = np.random.default_rng(0)
    W = [rng.normal(size=(o, i)) / np.sqrt(i) for i, o in pairwise(shape)]
    b = [rng.normal(size=(o, 1)) for o in shape[1:]]
    X, T = rng.normal(size=(shape[0], n)), rng.normal(size=(shape[-1], n))
    if shape[0] == 300:
        X *= rng.random(X.shape) < 0.1  # the way of sparse.pxi
    names = ["tanh"] * (len(shape) - 2) + ["identity"]
    return [w.astype(dtype) for w in W], [w.astype(dtype) for w in b], names, X.astype(dtype), T.astype(dtype)


def everything(core: Any) -> list[Any]:
    W, b = core.weights()
    return [*W, *b, *core.moments().values()]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("batch", "clip_norm"), [(32, 0.0), (32, 0.1), (2500, 0.0)])
def test_it_follows_the_twin(shape: tuple[int, ...], batch: int, clip_norm: float) -> None:
    W, b, names, X, T = start(shape, np.float64, max(batch, 100))
    how = {**HOW, "clip_norm": clip_norm}
    core = engine.TrainerCore(W, b, names, batch, 1, **how)
    twin = reference.Trainer([wide(w) for w in W], [wide(w) for w in b], names, batch, **how)
    for _ in range(3):
        cost = core.epoch(X, T, None, 0.01)
        expected = twin.epoch(wide(X), wide(T), None, 0.01)
        assert cost == pytest.approx(float(expected), rel=1e-12)
    # Adam divides by √v: twelve steps carry the rounding of a sum, some eps, on to a thousand eps
    close = 1000 * np.finfo(np.float64).eps
    np.testing.assert_allclose(core.moments()["scale"], twin.scale.astype(float), rtol=0, atol=close)
    for got, wanted in zip(core.weights()[0], twin.W, strict=True):
        np.testing.assert_allclose(got, wanted.astype(float), rtol=0, atol=close)
    assert abs(core.moments()["scale"] - 1).max() > 0.1  # they did move


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [32, 2500])
def test_threads_and_builds_give_the_same_bits(shape: tuple[int, ...], dtype: Any, batch: int) -> None:
    W, b, names, X, T = start(shape, dtype, max(batch, 100))
    found = {}
    for build in isa.compiled():
        if build not in isa.supported():
            continue
        with isa.using(build):
            for n_threads in (1, 2, 3):
                core = engine.TrainerCore(W, b, names, batch, n_threads, **HOW)
                for _ in range(2):
                    core.epoch(X, T, None, 0.01)
                fused = build not in ("v2", "portable")
                found.setdefault(fused, []).append(everything(core))
    for same in found.values():
        for others in same[1:]:
            for one, other in zip(same[0], others, strict=True):
                np.testing.assert_array_equal(one, other)


def test_moments_carry_the_scales() -> None:
    W, b, names, X, T = start((70, 9, 3), np.float32, 100)
    whole = engine.TrainerCore(W, b, names, 32, 1, **HOW)
    whole.epoch(X, T, None, 0.01)
    resumed = engine.TrainerCore(*whole.weights(), names, 32, 1, **HOW)
    resumed.load_moments(whole.moments())
    resumed.step = whole.step
    assert resumed.epoch(X, T, None, 0.01) == whole.epoch(X, T, None, 0.01)
    for one, other in zip(everything(resumed), everything(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="moments must have scale"):
        resumed.load_moments({name: m for name, m in whole.moments().items() if name != "scale"})


def test_an_input_that_matters_gets_a_larger_scale() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(40, 2000)).astype(np.float32)
    T = np.sin(2 * X[:1])
    network = fn.Network([fn.Layer(40, 32, "tanh"), fn.Layer(32, 1, "identity")], dtype="float32")
    trainer = fn.Trainer(network, optimizer=fn.AdamW(learning_rate=0.003, scale_rate=10), batch_size=50)
    trainer.fit(X, T, epochs=10)
    scales = abs(trainer.state_dict()["moments.scale"])
    assert scales[0] > 3 * scales[1:].max()


def test_a_training_is_resumed_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(9, 80)), rng.normal(size=(1, 80))

    def trainer() -> fn.Trainer:
        network = fn.Network([fn.Layer(9, 5, "tanh"), fn.Layer(5, 1, "identity")], seed=2)
        return fn.Trainer(network, optimizer=fn.AdamW(scale_rate=4.0), batch_size=16)

    whole, resumed = trainer(), trainer()
    whole.fit(X, T, epochs=3)
    resumed.load_state_dict(whole.state_dict())
    assert whole.fit(X, T, epochs=3).loss == resumed.fit(X, T, epochs=3).loss
    state = whole.state_dict()
    del state["moments.scale"]
    with pytest.raises(ValueError, match=r"moments\.scale: missing"):
        resumed.load_state_dict(state)


def test_what_does_not_go_together_is_refused() -> None:
    network = fn.Network([fn.Layer(2, 1)])
    with pytest.raises(ValueError, match="scale_rate"):
        network.fit([[1.0], [2.0]], [[1]], epochs=1, optimizer=fn.AdamW(scale_rate=1.0), l2=0.1)
    with pytest.raises(ValueError, match="scale_rate must be"):
        fn.AdamW(scale_rate=-1)
