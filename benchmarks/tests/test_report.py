"""What is made of results: counts and roofs by hand, tables, the text between two marks."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks import goals, report, roofline
from benchmarks.workloads import GROUPS
from fastnet.bench import Workload

ZEN3 = roofline.Machine("v3", L1=2**15, L2=2**19, L3=2**25)


def summary(value: float) -> dict[str, Any]:
    return {"least": value, "median": value, "low": value, "high": value, "repeats": 7}


def results(seconds: float = 1e-4) -> dict[str, Any]:
    """Return what a run of `small` would have found, with round ceilings."""
    levels = {"L1": (2**15, 2e11), "L2": (2**19, 1e11), "L3": (2**25, 5e10), "memory": (0, 2e10)}
    limits = {
        "flops": {"v3 float32": summary(1e11), "v3 float64": summary(5e10)},
        "bytes": summary(2e10),
        "levels": {
            name: {"cache": size, "read": size, **summary(rate)} for name, (size, rate) in levels.items()
        },
        "sigmoid": {"float32": summary(1e-9), "float64": summary(2e-9)},
        "step": summary(1e-6),
    }
    about = {"workload": "small", "network": "30-100-1", "batch": 200, "dtype": "float32", "optimizer": "sgd"}
    ratio = {"least": 2.0, "median": 2.0, "rounds": summary(2.0), "fit_least": 2.0, "fit_median": 2.0}
    step = {"fastnet": summary(seconds), "fit": summary(seconds), "peer_seconds": summary(2 * seconds)}
    pair = {
        **about,
        **step,
        "ratio": ratio,
        "share": 0.5,
        "share_median": 0.5,
        "flops": 2_440_000,
        "peer": "numpy",
    }
    build = {
        **about,
        "isa": "v3",
        "seconds": summary(seconds),
        "share": 0.5,
        "share_median": 0.5,
        "peak": 1e11,
    }
    lost = {**pair, "group": "busy", "workload": "large", "ratio": {**ratio, "least": 0.9}}
    threads = [
        {**about, "threads": n, "used": n, "seconds": summary(seconds / n), "ratio": {**ratio, "least": n}}
        for n in (1, 2)
    ]
    machine = {
        "cpu": "a CPU",
        "system": "a system",
        "isa": "v3",
        "core": 1,
        "date": "today",
        "limits": limits,
    }
    return {
        "command": "python -m benchmarks",
        "machine": {**machine, "versions": {"fastnet": "0"}},
        "peers": ["numpy"],
        "missing": {},
        "training": [{**pair, "group": "main", "agreement": {}}, {**lost, "agreement": {}}],
        "builds": [build],
        "inference": [],
        "threads": threads,
        "busy": {"core": 0, "bytes": 5e8, "bytes_per_second": 2e10},
    }


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


def test_tables_name_threads_and_neighbour() -> None:
    text = report.tables(results())
    assert "| 30-100-1 | 200 | float32 | SGD | 2 | 2 | 100 µs (100 µs) | 50 µs (50 µs) | 2 (2) |" in text
    assert "core 0 copies through 500 MB, 20.0 GB/s" in text
    assert "beside a busy neighbour: numpy takes 0.9 (2) as long" in text


def test_goals_are_judged_by_least_times_and_medians() -> None:
    found = results()
    found["training"][0]["peer"] = "jax-scan"
    found["training"][0]["ratio"]["least"] = 2.5
    verdicts = {verdict.goal: verdict for verdict in goals.verdicts(found)}
    scan = verdicts["30-100-1, batch 200, float32: times as fast as jax-scan"]
    assert (scan.wanted, scan.least, scan.median, scan.met) == (2.2, 2.5, 2.0, "by one of the two")
    share = verdicts["30-100-1, batch 200, float32, v3: share of the FMA peak"]
    assert (share.wanted, share.met) == (0.52, "no")
    assert verdicts["30-100-1, batch 200, float32: two threads"].met == "yes"
    assert len(verdicts) == 3
    assert goals.table(found).splitlines()[-1].endswith("| yes |")


def test_all_pictures_that_there_are_results_for(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks import plots

    names = [path.stem for path in plots.draw(results(), tmp_path)]
    assert names == ["peers", "share_of_peak", "threads", "bounds", "roofline"]


def test_between_the_marks(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("a\n<!-- here -->\nold\n<!-- /here -->\nb\n", encoding="utf-8")
    report.write_between(path, "here", "new")
    assert path.read_text(encoding="utf-8") == "a\n<!-- here -->\n\nnew\n\n<!-- /here -->\nb\n"
    with pytest.raises(ValueError, match="must have one <!-- there -->"):
        report.write_between(path, "there", "new")
