"""Few examples at once, where a lane is a unit: the bits of the same examples in a large batch."""

from __future__ import annotations

from typing import Any

import pytest
from oracle import random_weights

from fastnet._core import engine


@pytest.mark.parametrize("shape", [(1, 1), (3, 5, 1), (30, 17, 33, 2), (65, 64, 10)], ids=str)
def test_each_number_of_examples_up_to_the_first_large_batch(
    isa: str, dtype: Any, rng: Any, shape: tuple[int, ...]
) -> None:
    W, b = random_weights(rng, shape, dtype)
    names = [*["tanh", "relu"][: len(shape) - 2], "sigmoid"]
    X = rng.normal(size=(shape[0], 300)).astype(dtype)
    whole = engine.forward(W, b, names, X, 1)
    for n in range(1, 20):  # 16 is the largest small batch
        for first in (0, 7):
            part = engine.forward(W, b, names, X[:, first : first + n], 1)
            assert part.tobytes() == whole[:, first : first + n].tobytes(), (n, first)
