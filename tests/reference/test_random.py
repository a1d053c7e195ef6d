"""The oracle's random numbers: against SplitMix64 in integers, one draw after the other, and counts.

Nothing here uses the compiled core.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnet import reference as ref
from fastnet.reference.normal import distribution
from fastnet.reference.random import INITS

EPS = np.finfo(np.float64).eps


def mix(z: int) -> int:
    z %= 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


GOLDEN = 0x9E3779B97F4A7C15


def key(seed: int, stream: int) -> int:
    return mix(mix(seed + GOLDEN) + (stream + 1) * GOLDEN)


def words(seed: int, stream: int) -> Iterator[int]:
    state = key(seed, stream)
    while True:
        state += GOLDEN
        yield mix(state)


def shuffled(n: int, seed: int, epoch: int) -> tuple[list[int], int]:
    """Return the permutation, and how many draws were rejected."""
    order, draws, rejected = list(range(n)), words(seed, epoch), 0
    for i in range(n - 1, 0, -1):
        while (product := (next(draws) >> 32) * (i + 1)) % 2**32 < 2**32 % (i + 1):
            rejected += 1
        j = product // 2**32
        order[i], order[j] = order[j], order[i]
    return order, rejected


def test_mixing_is_that_of_splitmix64() -> None:
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]  # the first three for seed 0
    assert [mix(k * GOLDEN) for k in (1, 2, 3)] == published


def test_permutation_pinned() -> None:
    assert ref.permutation(10, 0, 0).tolist() == [4, 7, 0, 5, 9, 3, 6, 2, 8, 1]
    assert ref.permutation(10, 0, 1).tolist() == [7, 8, 4, 0, 9, 2, 6, 3, 5, 1]
    assert ref.permutation(10, 1, 0).tolist() == [1, 9, 0, 7, 4, 2, 5, 3, 8, 6]
    assert ref.permutation(5, 2**64 - 1, 2**63 - 1).tolist() == [2, 1, 3, 0, 4]
    assert ref.permutation(569, 7, 3)[:8].tolist() == [362, 78, 232, 177, 104, 360, 155, 50]
    assert ref.permutation(0, 0, 0).tolist() == []
    assert ref.permutation(1, 0, 0).dtype == np.intp


@given(n=st.integers(0, 3000), seed=st.integers(0, 2**64 - 1), epoch=st.integers(0, 2**63 - 1))
def test_permutation_against_one_draw_after_the_other(n: int, seed: int, epoch: int) -> None:
    order = ref.permutation(n, seed, epoch)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    assert order.tolist() == shuffled(n, seed, epoch)[0]


def test_permutation_with_a_rejected_draw() -> None:
    order, rejected = shuffled(30_000, 5, 0)
    assert rejected == 1  # else the test says nothing
    assert order[:4] == [9387, 10110, 27183, 17386]
    assert ref.permutation(30_000, 5, 0).tolist() == order


def chi_square(counts: np.ndarray) -> float:
    """Return how many standard deviations Pearson's statistic of equally likely cells is above its mean."""
    expected = counts.sum() / counts.size
    freedom = counts.size - 1
    return float((((counts - expected) ** 2 / expected).sum() - freedom) / math.sqrt(2 * freedom))


def test_permutations_are_equally_frequent() -> None:
    index = {order: k for k, order in enumerate(itertools.permutations(range(4)))}
    over_epochs = [index[tuple(ref.permutation(4, 11, epoch).tolist())] for epoch in range(2400)]
    over_seeds = [index[tuple(ref.permutation(4, seed, 0).tolist())] for seed in range(2400)]
    assert abs(chi_square(np.bincount(over_epochs, minlength=24))) < 4
    assert abs(chi_square(np.bincount(over_seeds, minlength=24))) < 4


def test_every_place_is_equally_frequent() -> None:
    places = np.array([np.argsort(ref.permutation(40, 0, epoch)) for epoch in range(2000)])
    for example in (0, 1, 20, 39):
        assert abs(chi_square(np.bincount(places[:, example], minlength=40))) < 4


def test_uniform() -> None:
    assert ref.uniform(0, 0, 3).tolist() == [0.13870941014555427, 0.9711020828012883, 0.2778328726049074]
    pinned = [0.5900177397059914, 0.3846689303015145, 0.49806552538630944]
    assert ref.uniform(42, 2**63 + 1, 3).tolist() == pinned
    many = ref.uniform(9, 4, 20_000)
    assert many.tolist() == [(word >> 11) / 2**53 for word in itertools.islice(words(9, 4), 20_000)]
    assert 0 <= many.min() < many.max() < 1
    assert abs(chi_square(np.histogram(many, bins=50, range=(0, 1))[0])) < 4
    assert abs(np.corrcoef(many[:-1], many[1:])[0, 1]) < 4 / math.sqrt(20_000)


@pytest.mark.parametrize(("activation", "factor"), [("sigmoid", 2), ("logistic", 2), ("identity", 6)])
def test_initial_weights(activation: str, factor: int) -> None:
    bound = math.sqrt(factor / (30 + 20))
    draws = [(2 * u - 1) * bound for u in ref.uniform(5, 2**63 + 2, 30 * 20 + 20)]
    W, b = ref.initial_weights(30, 20, activation, 5, 2, "float64")
    assert W.tolist() == [draws[30 * row : 30 * row + 30] for row in range(20)]
    assert b.tolist() == [[draw] for draw in draws[600:]]
    assert 0.99 * bound < np.abs(W).max() < bound
    narrow = ref.initial_weights(30, 20, activation, 5, 2, np.float32)
    np.testing.assert_array_equal(narrow[0], W.astype(np.float32))
    np.testing.assert_array_equal(narrow[1], b.astype(np.float32))


# ---- dropout: the masks, bit by bit


def masks(shape: tuple[int, int], p: float, batch_size: int, seed: int, layer: int, step: int) -> Any:
    """Return the mask of a layer in a batch, number by number, in integers."""
    q, of_batch = int(65536 * p + 0.5), key(key(seed, 2**62 + layer), step)
    mask = np.zeros(shape)
    for r, n in np.ndindex(shape):
        draw = r * math.ceil(batch_size / 4) + n // 4
        piece = mix(of_batch + (draw + 1) * GOLDEN) >> (16 * (n % 4)) & 0xFFFF
        mask[r, n] = 0 if piece < q else 65536 / (65536 - q)
    return mask


@pytest.mark.parametrize("p", [0.1, 0.5, 0.97])
@pytest.mark.parametrize(("rows", "n", "batch_size"), [(3, 13, 13), (4, 3, 14), (1, 64, 1000)])
def test_masks_against_one_number_after_the_other(p: float, rows: int, n: int, batch_size: int) -> None:
    for seed, layer, step in [(0, 0, 0), (2**64 - 1, 3, 77)]:
        found = ref.dropout_mask(rows, n, p, batch_size=batch_size, seed=seed, layer=layer, step=step)
        np.testing.assert_array_equal(found, masks((rows, n), p, batch_size, seed, layer, step))


def test_masks_are_pinned() -> None:
    mask = ref.dropout_mask(3, 9, 0.3, batch_size=12, seed=42, layer=1, step=7)
    assert ["".join("01"[kept] for kept in row) for row in (mask > 0).tolist()] == [
        "101111111",
        "111010011",
        "101010111",
    ]
    assert mask.max() == 65536 / (65536 - 19661)


def test_masks_drop_as_often_as_they_should() -> None:
    mask = ref.dropout_mask(100, 1000, 0.3, batch_size=1000, seed=1, layer=0, step=0) > 0
    deviation = math.sqrt(0.3 * 0.7 / mask.size)
    assert abs(mask.mean() - 0.7) < 4 * deviation
    for axis, count in ((0, 100), (1, 1000)):  # each unit and each example
        assert abs(mask.mean(axis=axis) - 0.7).max() < 5 * math.sqrt(0.3 * 0.7 / count)
    other = [
        ref.dropout_mask(100, 1000, 0.3, batch_size=1000, seed=1, layer=k, step=s)
        for k, s in [(1, 0), (0, 1)]
    ]
    for mask_2 in other:  # independent: both keep a unit with probability 0.49
        assert abs((mask & (mask_2 > 0)).mean() - 0.49) < 4 * deviation


# ---- initial weights


@pytest.mark.parametrize("init", INITS)
def test_initial_weights_of_every_kind(init: str) -> None:
    W, b = ref.initial_weights(60, 90, "relu", 5, 2, "float64", init)
    u = ref.uniform(5, 2**63 + 2, 60 * 90)
    fans = 150 if init.startswith("glorot") else 60
    if init.endswith("uniform"):
        right = (2 * u - 1) * math.sqrt(6 / fans)
        np.testing.assert_array_equal(W.ravel(), right)
    else:  # Φ of what it would be with variance 1 is u
        error = abs(distribution(W.ravel() / math.sqrt(2 / fans)) - u)
        assert error.max() <= 8 * EPS
    assert W.var() == pytest.approx(2 / fans, rel=4 * math.sqrt(2 / W.size))  # of either kind
    assert b.any() == (init == "glorot_uniform")
    layer = ref.Layer(60, 90, "relu", init=init)
    net = ref.Network([ref.Layer(3, 60, "relu"), layer], seed=5)
    np.testing.assert_array_equal(
        net.layers[1].W, ref.initial_weights(60, 90, "relu", 5, 1, "float64", init)[0]
    )
