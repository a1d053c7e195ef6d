"""The product of a dense layer, forward and backward, at awkward sizes, against a wider reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_sizes import check_backward, check_forward, layer, sizes

import fastnet as fn
from fastnet._core import engine


def test_dense_at_every_size(isa: str, dtype: Any, rng: Any) -> None:
    for n_in in sizes(dtype):
        for n_out in sizes(dtype):
            n = int(rng.choice(sizes(dtype)))
            W, b, A = layer(rng, n_out, n_in, n, dtype)
            check_forward(W, b, A)
            check_backward(W, A, rng.normal(size=(n_out, n)).astype(dtype))


@pytest.mark.parametrize("blocks", [1, 2, 5, 7])
def test_dense_over_several_blocks_of_examples(isa: str, dtype: Any, rng: Any, blocks: int) -> None:
    n = blocks * engine.geometry(dtype)[2] + 1
    W, b, A = layer(rng, 3, 5, n, dtype)
    check_forward(W, b, A)
    check_backward(W, A, rng.normal(size=(3, n)).astype(dtype))


@pytest.mark.parametrize(("n_out", "n_in"), [(1500, 1100), (300, 2100), (5, 1025), (1025, 5)])
def test_dense_wider_than_the_blocks_of_the_product(
    isa: str, dtype: Any, rng: Any, n_out: int, n_in: int
) -> None:
    W, b, A = layer(rng, n_out, n_in, 70, dtype)
    check_forward(W, b, A)
    check_backward(W, A, rng.normal(size=(n_out, 70)).astype(dtype))


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 200), st.integers(0, 2**32))
def test_dense_at_any_size(isa: str, dtype: Any, n_out: int, n_in: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    W, b, A = layer(rng, n_out, n_in, n, dtype)
    check_forward(W, b, A)
    check_backward(W, A, rng.normal(size=(n_out, n)).astype(dtype))


def test_no_examples(isa: str, dtype: Any, rng: Any) -> None:
    W, b, A = layer(rng, 3, 2, 0, dtype)
    assert fn.dense_forward(W, b, A).shape == (3, 0)
    dA, dW, db = fn.dense_backward(W, A, np.zeros((3, 0), dtype))
    assert dA.shape == (2, 0)
    assert not dW.any()
    assert not db.any()
