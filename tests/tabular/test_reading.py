"""Reading tables of any kind: zones, lists, sparse matrices, and what is refused."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from fastnet.tabular import TableEncoder
from fastnet.tabular.reading import TEXTS


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


def columns(gaps, n=60):
    """Return an Arrow table with a column of every common type, and gaps in all of them if asked for."""
    rng = np.random.default_rng(0)
    start, whole = datetime.datetime(2024, 1, 1, 3, 4, 5, 678), rng.integers(0, 3000, n).tolist()
    values = {
        "small": rng.integers(0, 50, n).tolist(),
        "large": rng.integers(2**60, 2**62, n).tolist(),  # not all of them are numbers of float64
        "real": rng.normal(size=n).tolist(),
        "flag": (rng.random(n) < 0.4).tolist(),
        "text": rng.choice(["a", "bé", "c"], n).tolist(),
        "time": [start + datetime.timedelta(hours=7 * k) for k in whole],
        "day": [start.date() + datetime.timedelta(days=k) for k in whole],
        "span": [datetime.timedelta(seconds=k) for k in whole],
    }
    if gaps:
        values = {
            name: [None if k % 7 == place else value for k, value in enumerate(column)]
            for place, (name, column) in enumerate(values.items())
        }
    table = pa.table(values)
    return table.append_column("level", pa.array(values["text"]).dictionary_encode())


FRAMES = {
    "polars": lambda table, frame: pl.from_arrow(table),
    "polars, other types": lambda table, frame: pl.from_arrow(table).with_columns(
        pl.col("level").cast(pl.String).cast(pl.Categorical),
        pl.col("text").cast(pl.Enum(["c", "bé", "a"])),
        pl.col("time").dt.cast_time_unit("ns"),
        pl.col("small").cast(pl.Int8),
    ),
    "pandas": lambda table, frame: frame.assign(large=table["large"].to_pylist()),  # Int64 or object: exact
    "pandas, nullable": lambda table, frame: table.to_pandas(
        types_mapper={
            pa.int64(): pd.Int64Dtype(),
            pa.float64(): pd.Float64Dtype(),
            pa.bool_(): pd.BooleanDtype(),
            pa.string(): pd.StringDtype(),
        }.get
    ),
    "pandas, Arrow": lambda table, frame: table.to_pandas(types_mapper=pd.ArrowDtype),
    "pandas, objects": lambda table, frame: pd.DataFrame(table.to_pydict(), dtype=object),
    "Arrow in pieces": lambda table, frame: pa.concat_tables([table.slice(0, 20), table.slice(20)]),
}


@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "gaps"])
@pytest.mark.parametrize("kind", FRAMES)
def test_a_column_of_any_package_and_type_gives_the_same_bits(kind, gaps):
    table = columns(gaps)
    frame = FRAMES[kind](table, table.to_pandas())
    encoder, other = TableEncoder().fit(table), TableEncoder().fit(frame)
    assert [column.kind for column in encoder.columns_[:6]] == [
        *("number", "number", "number", "boolean", "category", "datetime")
    ]
    assert encoder.to_dict() == other.to_dict()
    np.testing.assert_array_equal(encoder.transform(frame), other.transform(table))


@pytest.mark.parametrize("frame", [pa.table, pl.DataFrame, pd.DataFrame])
def test_whole_numbers_beyond_float64_are_rounded(frame):
    expected = TableEncoder().fit(np.array([[2.0**60], [2.0**61], [2.0**62]])).to_dict()["columns"]
    found = TableEncoder().fit(frame({"0": [2**60 + 1, 2**61 + 1, 2**62 + 1]}))
    assert found.to_dict()["columns"] == expected


@pytest.mark.parametrize("frame", [pa.table, pl.DataFrame, pd.DataFrame])
@pytest.mark.parametrize("n", [30, TEXTS + 30], ids=["one part", "two parts"])
def test_texts_after_many_gaps_are_found(frame, n):
    late = [None] * (n - 2) + ["a", "b"]
    table = {"late": pa.array(late), "empty": pa.array([None] * n, pa.string()), "x": pa.array(range(n))}
    frame_of = frame(table) if frame is pa.table else frame({k: v.to_pylist() for k, v in table.items()})
    if frame is pd.DataFrame:
        frame_of["empty"] = frame_of["empty"].astype(pd.StringDtype())
    encoder = TableEncoder().fit(frame_of)
    assert [(column.kind, column.width > 0) for column in encoder.columns_[:2]] == [
        ("category", True),
        ("empty", False),
    ]
    assert encoder.transform(frame_of)[-3:, 0].tolist() == [0, -1, 1]
