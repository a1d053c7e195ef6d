"""Rows of dask collections, cut into parts."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest

from fastnet.dask.data import is_frame, overlaps, summary_of_labels, summary_of_numbers


def test_parts_of_partitions_cover_the_rows(rng: np.random.Generator) -> None:
    sizes = [*rng.integers(0, 50, 30).tolist(), 0, 7]
    ends = list(accumulate(sizes))
    rows = [(k, row) for k, size in enumerate(sizes) for row in range(size)]
    for start, stop in ((0, len(rows)), (0, 1), (17, 18), (100, 333), (len(rows) - 1, len(rows))):
        found = [(k, row) for k, first, last in overlaps(ends, start, stop) for row in range(first, last)]
        assert found == rows[start:stop]


def test_what_is_known_of_targets() -> None:
    labels = summary_of_labels(np.array(["b", "a", "b"]))
    assert (labels.rows, labels.columns, labels.values.tolist(), labels.counts.tolist()) == (
        3,
        None,
        ["a", "b"],
        [1, 2],
    )
    several = summary_of_labels(np.array([[0, 1], [1, 1]]))
    assert (several.columns, several.values.tolist(), several.counts.tolist()) == (2, [0, 1], [1, 2])
    numbers = summary_of_numbers(np.array([[1.0], [-2.0]]))
    assert (numbers.columns, numbers.values.tolist()) == (None, [-2.0, 1.0])
    assert summary_of_numbers(np.empty((0, 2))).rows == 0
    with pytest.raises(TypeError, match="y must hold real numbers"):
        summary_of_numbers(np.array(["2020-01-01"], "datetime64[s]"))


def test_frames_and_arrays_are_told_apart() -> None:
    da = pytest.importorskip("dask.array")
    dd = pytest.importorskip("dask.dataframe")
    pd = pytest.importorskip("pandas")
    frame = dd.from_pandas(pd.DataFrame({"a": [1.0, 2.0]}), npartitions=1)
    assert [is_frame(one) for one in (frame, frame["a"], da.zeros(3))] == [True, True, False]
