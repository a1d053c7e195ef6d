"""Forward and backward through whole networks, against central differences."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import fastnet as fn


def test_gradients_of_a_network_against_central_differences(isa: str, rng: Any) -> None:
    for shape in [(2, 3, 1), (5, 4), (4, 9, 7, 3)]:
        net = fn.Network([fn.Layer(i, o) for i, o in pairwise(shape)], seed=3)
        X, T = rng.normal(size=(shape[0], 37)), rng.random((shape[-1], 37))
        for k, (dW, db) in enumerate(net.gradients(X, T)):
            for array, gradient in ((net.layers[k].W, dW), (net.layers[k].b, db)):
                numeric = np.empty_like(array)
                for i in np.ndindex(array.shape):
                    at, h = array[i], 1e-5  # truncation h² and rounding eps/h: both about 1e-10
                    array[i] = at + h
                    above = net.loss(X, T)
                    array[i] = at - h
                    numeric[i] = (above - net.loss(X, T)) / (2 * h)
                    array[i] = at
                assert abs(gradient - numeric).max() <= 1e-7 * abs(gradient).max()
