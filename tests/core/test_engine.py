"""What the engine checks before a kernel runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_sizes import memory_orders
from oracle import (
    LOSSES,
)
from steps import bits, names, start

from fastnet import reference
from fastnet._core import engine


def test_all_finite_sees_one_bad_number_anywhere(isa: str, dtype: Any) -> None:
    width, panel, _ = engine.geometry(dtype)
    for bad in (np.nan, np.inf, -np.inf):
        for rows, columns in [(1, 1), (1, 4 * width + 3), (3, panel + 1)]:
            A = np.full((rows, columns), np.finfo(dtype).max, dtype)
            for order in [A, *memory_orders(A)]:
                assert engine.all_finite(order)
                for row, column in [(0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)]:
                    before = order[row, column]
                    order[row, column] = bad
                    assert not engine.all_finite(order)
                    order[row, column] = before


def test_an_order_that_names_no_column_is_refused(dtype: Any, rng: Any) -> None:
    W, b, X, T, _ = start(rng, (3, 5, 1), dtype, 40)
    trainer = engine.TrainerCore(W, b, names((3, 5, 1)), 10)
    before = bits(trainer)
    for wrong in (-1, 40, 2**40, np.iinfo(np.intp).min, np.iinfo(np.intp).max):
        for place in (0, 17, 39):
            order = np.arange(40)
            order[place] = wrong
            with pytest.raises(ValueError, match=f"order must be columns 0 to 39, got {wrong}$"):
                trainer.epoch(X, T, order, 0.1)
    assert bits(trainer) == before


def test_losses_and_outputs_must_fit(dtype: Any) -> None:
    Z = np.zeros((2, 3), dtype)
    for loss, activation in [
        ("bce", "tanh"),
        ("cross_entropy", "sigmoid"),
        ("huber", "softmax"),
        ("poisson", "identity"),
    ]:
        with pytest.raises(ValueError, match=f"{loss}|{activation}"):
            engine.loss(loss, 1.0, activation, Z, Z)
    assert set(LOSSES) == set(reference.losses.LOSSES)


def test_what_is_read_by_inputs_is_the_same_and_transposed_in_memory() -> None:
    W, b = [np.ones((3, 5)), np.ones((2, 3))], [np.zeros((3, 1)), np.zeros((2, 1))]
    core = engine.TrainerCore(W, b, ["tanh", "sigmoid"], 4, optimizer="adam")
    X, T = np.random.default_rng(0).normal(size=(5, 9)), np.zeros((2, 9))
    core.epoch(X, T, None, 0.1)
    for plain, other in zip(core.weights()[0], core.weights(by_inputs=True)[0], strict=True):
        np.testing.assert_array_equal(plain, other)
        assert plain.flags.c_contiguous
        assert other.T.flags.c_contiguous
    plain, other = core.moments(), core.moments(by_inputs=True)
    for name, array in plain.items():
        np.testing.assert_array_equal(array, other[name])
        assert other[name].T.flags.c_contiguous


def test_numbers_from_0_to_1_are_told_from_others(dtype: Any) -> None:
    """Each number of a matrix is looked at, whatever its strides; NaN is outside."""
    inside = np.linspace(0, 1, 24).astype(dtype).reshape(4, 6)
    unaligned = np.frombuffer(b"." + inside.tobytes(), dtype, offset=1).reshape(4, 6)
    for view in (inside, inside.T, inside[::-1, ::2], inside[:, :0], np.asfortranarray(inside), unaligned):
        assert engine.all_in_unit_interval(view)
    for wrong in (-1e-30, np.nextafter(dtype.type(1), dtype.type(2)), np.nan, np.inf, -np.inf):
        for place in np.ndindex(4, 6):
            outside = inside.copy()
            outside[place] = wrong
            assert not engine.all_in_unit_interval(outside)
            assert not engine.all_in_unit_interval(outside.T)
    with pytest.raises(ValueError, match="x must be a matrix"):
        engine.all_in_unit_interval(inside[0])
