"""Reading tables of any kind: zones, lists, sparse matrices, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from fastnet.tabular import TableEncoder


def test_times_with_a_zone_are_taken_in_utc():
    zone = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=9, freq="7h", tz="US/Eastern")})
    utc = pd.DataFrame({"t": zone["t"].dt.tz_convert("UTC")})
    encoder = TableEncoder().fit(zone)
    assert encoder.to_dict() == TableEncoder().fit(utc).to_dict()
    np.testing.assert_array_equal(encoder.transform(zone), encoder.transform(utc))


def test_sparse_and_dense_matrices_give_the_same_bits():
    dense = np.random.default_rng(0).normal(size=(50, 6)).round(1)
    dense[dense < 0.5] = 0
    expected = TableEncoder().fit_transform(dense)
    for kind in (scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_array):
        np.testing.assert_array_equal(TableEncoder().fit_transform(kind(dense)), expected)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros(3), ValueError, "Reshape your data"),
        (np.zeros((0, 2)), ValueError, "at least one row"),
        (np.zeros((2, 0)), ValueError, "at least one column"),
        (np.zeros((2, 2), complex), ValueError, "Complex data not supported"),
        (pd.DataFrame(np.zeros((2, 2)), columns=["a", "a"]), ValueError, r"different names:[\s\S]*'a'"),
        (pd.DataFrame(np.zeros((2, 2)), columns=["1", 1]), ValueError, "different names, got '1' twice"),
        (pl.LazyFrame({"a": [1]}), TypeError, "a data frame in memory"),
    ],
)
def test_what_is_no_table_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        TableEncoder().fit(X)


def test_mixed_objects_and_lists():
    rows = [["a", 1, True], ["b", None, False], [None, 2.5, None], ["a", 3, True]]
    encoder = TableEncoder().fit(rows)
    assert [column.kind for column in encoder.columns_] == ["category", "number", "boolean"]
    frame = pl.DataFrame(rows, schema=["0", "1", "2"], orient="row", strict=False)
    np.testing.assert_array_equal(encoder.transform(rows), TableEncoder().fit_transform(frame))
    arrow = pa.table({"x": pa.array([1, 2, None], pa.decimal128(5, 1))})
    assert TableEncoder().fit(arrow).to_dict()["columns"][0]["encoding"]["centre"] == 1.5
