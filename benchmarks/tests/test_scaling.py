"""Different numbers of threads taking turns: what is reported, not how fast."""

from __future__ import annotations

import os

import pytest

from benchmarks import scaling
from benchmarks.training import Pace
from fastnet.bench import Workload

needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no CPU affinity here")


@needs_affinity
@pytest.mark.parametrize(
    ("allowed", "expected"),
    [({5}, [1]), ({0, 1}, [1, 2]), (set(range(6)), [1, 2, 4, 6]), (set(range(8)), [1, 2, 4, 8])],
)
def test_counts(allowed: set[int], expected: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed)
    assert scaling.counts() == expected


def test_a_row_for_each_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "counts", lambda: [1, 2])
    wide = Workload("wide", (64, 128, 1), batch=512, steps=1, optimizer="adam")
    small = Workload("little", (3, 4, 1), batch=5, steps=2)
    rows = [row for w in (wide, small) for row in scaling.compare(w, Pace(7, 1e-4))]
    assert [(row["workload"], row["threads"], row["used"]) for row in rows] == [
        ("wide", 1, 1),
        ("wide", 2, 2),
        ("little", 1, 1),
        ("little", 2, 1),
    ]
    assert [row["ratio"]["least"] for row in rows[::2]] == [1.0, 1.0]


def test_one_cpu_has_nothing_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "counts", lambda: [1])
    assert not list(scaling.compare(Workload("little", (3, 4, 1), batch=5, steps=2), Pace(7, 1e-4)))
