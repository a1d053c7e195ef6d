"""Initial weights: how they are distributed, and from which stream each layer draws."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from networks import DTYPES, bits

import fastnet as fn
from fastnet import reference

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
