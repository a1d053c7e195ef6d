"""The counts and roofs of the roofline, worked out by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks import roofline
from benchmarks.tests.made_up import results
from benchmarks.workloads import GROUPS
from fastnet.bench import Workload

ZEN3 = roofline.Machine("v3", L1=2**15, L2=2**19, L3=2**25)


def test_counts_by_hand() -> None:
    workload = Workload("one layer", (64, 96), batch=64, steps=1)
    # Two products of 96 x 64 x 64, by tiles of 3 rows and 32 columns: (3 + 32)/(3 * 32) numbers for each
    # multiply-add, and C once.
    in_L1 = 2 * (96 * 64 * 64 * 35 // 96 + 96 * 64)
    # From L2, P, Q and C once each: Q's panel (64 x 32) fills a quarter of L1, P with it all of it.
    # The examples, 64 + 96 numbers each, lie in L2 with all the rest.
    in_L2 = 2 * (96 * 64 + 64 * 64 + 96 * 64) + 64 * (64 + 96)
    expected = {"L1": 4 * in_L1, "L2": 4 * in_L2, "L3": 0, "memory": 0}
    assert roofline.counted(workload, ZEN3) == expected


def test_a_panel_that_L1_cannot_hold_is_read_again_for_each_tile() -> None:
    workload = Workload("deep", (512, 96), batch=32, steps=1)
    gradient = 96 * 32 + 32 * 512 + 96 * 512  # its panel, 32 x 32, stays
    data = 32 * (512 + 96)
    with_2_MB = roofline.Machine("v3", L1=2**15, L2=2**21, L3=2**25)  # k is cut by 1024, that is not at all
    forward = 96 * 512 + 512 * 32 * (96 // 3) + 96 * 32
    assert roofline.counted(workload, with_2_MB)["L2"] / 4 == forward + gradient + data
    forward = 96 * 512 + 512 * 32 + 96 * 32 * 7  # k is cut by 128: 4 blocks, C is read back for three
    assert roofline.counted(workload, ZEN3)["L2"] / 4 == forward + gradient + data


def test_every_level_counts_more_than_the_next() -> None:
    for workload in (w for group in ("main", "float64", "alone") for w in GROUPS[group]):
        found = list(roofline.counted(workload, ZEN3).values())
        # where L1 holds no panel, L1 and L2 give the same but for whole tiles at the edges: 1 %
        assert all(next_ <= 1.01 * this for this, next_ in pairwise(found)), workload


def test_the_roof_is_the_slowest_of_the_products_and_the_rest() -> None:
    (roof,) = roofline.roofs(results())
    flops = 200 * 2 * (3 * (3000 + 100) - 3000)
    assert roof["flops"] == flops
    assert roof["parts"]["FMA"] == flops / 1e11
    assert roof["parts"]["sigmoids"] == pytest.approx(200 * 101 * 1e-9)
    assert roof["roof"] == pytest.approx(flops / 1e11 + 200 * 101 * 1e-9 + 1e-6)
    assert roof["bound"] == ["FMA", "sigmoids"]  # 25 and 20 us: near each other
    row = next(line for line in roofline.page(results()).splitlines() if line.startswith("| 30-100-1"))
    assert "100 µs" in row
    assert "46%" in row


def test_no_roofline_without_levels() -> None:
    old = results()
    del old["machine"]["limits"]["levels"]
    with pytest.raises(ValueError, match="sizes of L1, L2 and L3"):
        roofline.page(old)
