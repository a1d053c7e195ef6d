"""The busy process on another core."""

from __future__ import annotations

import os

import pytest

from benchmarks import neighbour

needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no CPU affinity here")


@needs_affinity
def test_the_neighbour_needs_another_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 3})
    assert neighbour.core_beside(3) == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    with pytest.raises(ValueError, match="--busy needs a second core"):
        neighbour.core_beside(3)


@needs_affinity
def test_the_neighbour_copies_until_it_is_told_to_end() -> None:
    core = min(os.sched_getaffinity(0))
    with neighbour.busy(core) as about:
        assert "bytes_per_second" not in about
    assert about["core"] == core
    assert about["bytes_per_second"] > 0
