"""TableEncoder: its own promises, and bit for bit across packages."""

from __future__ import annotations

import datetime
import json
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fastnet.tabular import TableEncoder


def frames():
    """The same table from three packages, with every kind of column and gaps in each."""
    when = [datetime.datetime(2020, 1, 31, 23, 30), None, datetime.datetime(2021, 7, 4, 6)]
    columns = {
        "number": [0.1, None, 1e9],
        "whole": [3, 1, None],
        "text": ["red", None, "blue"],
        "level": ["low", "high", None],
        "yes": [True, None, False],
        "when": when,
        "day": [None if t is None else t.date() for t in when],
        "all": [7, 8, 9],
        "empty": pl.Series([None, None, None], dtype=pl.String),
        "same": ["x", "x", "x"],
    }
    base = pl.DataFrame({name: list(values) * 4 for name, values in columns.items()})
    base = base.with_columns(
        pl.col("level").cast(pl.Categorical), pl.col("empty").cast(pl.String), pl.col("whole").cast(pl.Int32)
    )
    plain = base.to_pandas()
    nullable = plain.copy()
    nullable["whole"] = plain["whole"].astype("Int64")
    nullable["yes"] = plain["yes"].astype("boolean")
    nullable["text"] = plain["text"].astype("category")
    arrow_backed = plain.convert_dtypes(dtype_backend="pyarrow")
    return {
        "polars": base,
        "arrow": base.to_arrow(),
        "pandas": plain,
        "pandas nullable": nullable,
        "pandas pyarrow": arrow_backed,
    }


@pytest.mark.parametrize("fitted", list(frames()))
def test_packages_give_the_same_bits(fitted):
    tables = frames()
    encoder = TableEncoder().fit(tables[fitted])
    reference = TableEncoder().fit(tables["polars"])
    assert encoder.to_dict() == reference.to_dict()
    expected = reference.transform(tables["polars"])
    assert np.isfinite(expected).all()
    for name, table in tables.items():
        np.testing.assert_array_equal(encoder.transform(table), expected, err_msg=name)


def test_kinds_are_found():
    encoder = TableEncoder().fit(frames()["pandas"])
    found = {column.name: column.kind for column in encoder.columns_}
    assert found == {
        "number": "number",
        "whole": "number",
        "text": "category",
        "level": "category",
        "yes": "boolean",
        "when": "datetime",
        "when.month": "datetime",
        "when.weekday": "datetime",
        "when.hour": "datetime",
        "day": "datetime",
        "day.month": "datetime",
        "day.weekday": "datetime",
        "day.hour": "datetime",
        "all": "number",
        "empty": "empty",
        "same": "category",
    }
    notes = {column.name: column.note for column in encoder.columns_}
    assert notes["empty"] == "left out: every value is missing"
    assert notes["same"] == "left out: every value is the same"
    assert encoder.n_features_in_ == 10
    assert len(encoder.get_feature_names_out()) == encoder.n_features_out_
    assert "text = " in " ".join(encoder.get_feature_names_out())


def test_what_was_not_there_in_fit():
    table = pd.DataFrame(
        {"n": [1.0, 2.0, 3.0, 4.0], "c": ["a", "b", "c", "a"], "b": [True, False, True, False]}
    )
    encoder = TableEncoder(distinct_bins=0).fit(table)
    names = list(encoder.get_feature_names_out())
    odd = pd.DataFrame(
        {"n": [np.nan, np.inf, -np.inf, 1e6], "c": ["z", None, "b", "c"], "b": [None, None, True, None]}
    )
    got = encoder.transform(odd)
    assert np.isfinite(got).all()
    median = encoder.transform(pd.DataFrame({"n": [2.5], "c": ["z"], "b": [None]}))[0]
    np.testing.assert_array_equal(got[0], median)  # the gap counts as the median, the level as none
    levels = [k for k, name in enumerate(names) if name.startswith("c = ")]
    assert not got[:2, levels].any()
    assert got[2, names.index("c = b")] == 1
    assert got[1, 0] == np.float32(3 / math.sqrt(1 + 9e-12)) == -got[2, 0]  # infinities: the ends of the clip
    assert got[:, names.index("b = True")].tolist() == [0, 0, 1, 0]


def test_columns_are_found_by_name():
    table = pd.DataFrame({"n": [1.0, 2.0, 3.0], "c": ["a", "b", "c"]})
    encoder = TableEncoder().fit(table)
    other = pl.DataFrame({"more": [1, 2, 3], "c": ["a", "b", "c"], "n": [1.0, 2.0, 3.0]})
    np.testing.assert_array_equal(encoder.transform(other), encoder.transform(table))
    with pytest.raises(ValueError, match=r"missing: \['n'\]"):
        encoder.transform(table[["c"]])
    with pytest.raises(ValueError, match="must have 2 columns, as in fit, got 3"):
        encoder.transform(np.zeros((4, 3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": ["one", "2", "3"]}, "column 'n' must hold numbers, as in fit, got 'one' in row 0"),
        ({"n": [1.0, 2.0, object()]}, "column 'n' must hold numbers, as in fit, got <object"),
    ],
)
def test_a_column_of_another_kind_is_named(change, message):
    table = pd.DataFrame({"n": [1.0, 2.0, 3.0], "c": ["a", "b", "c"]})
    encoder = TableEncoder().fit(table)
    with pytest.raises(ValueError, match=message):
        encoder.transform(table.assign(**{name: pd.Series(v, dtype=object) for name, v in change.items()}))


def test_kinds_can_be_told():
    table = pl.DataFrame({"zip": [10115, 20095, 10115], "price": ["1.5", "2", None], "on": [0, 1, 1]})
    encoder = TableEncoder(kinds={"zip": "category", "price": "number", "on": "boolean"}).fit(table)
    assert [column.kind for column in encoder.columns_] == ["category", "number", "boolean"]
    assert encoder.to_dict()["columns"][0]["encoding"]["levels"] == ["10115", "20095"]
    assert encoder.to_dict()["columns"][1]["encoding"]["centre"] == 1.75
    floats = pd.DataFrame({"zip": [10115.0, 20095.0], "price": [1.5, 2.0], "on": [0.0, 1.0]})
    np.testing.assert_array_equal(encoder.transform(floats), encoder.transform(table[:2]))
    with pytest.raises(ValueError, match=r"kinds\['none'\] must be a column of X"):
        TableEncoder(kinds={"none": "number"}).fit(table)
    with pytest.raises(ValueError, match=r"kinds\['zip'\] must be one of 'number', .* got 'float'"):
        TableEncoder(kinds={"zip": "float"}).fit(table)


def test_text_of_many_levels_keeps_the_most_frequent():
    values = [f"level {k:04}" for k in range(600) for _ in range(1 + k % 3)]
    encoder = TableEncoder(max_levels=100, min_count=2).fit(np.array(values, dtype=object)[:, None])
    levels = encoder.to_dict()["columns"][0]["encoding"]["levels"]
    assert levels == [f"level {k:04}" for k in range(2, 300, 3)][:100]


def test_blocks_of_rows_change_nothing():
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.normal(size=40_000), rng.integers(0, 5, 40_000)])
    encoder = TableEncoder(kinds={1: "category"}).fit(X)
    whole = encoder.transform(X)
    for row in (0, 16_383, 16_384, 39_999):
        np.testing.assert_array_equal(encoder.transform(X[row : row + 1])[0], whole[row])


def test_stored_and_read_back():
    table = frames()["polars"]
    encoder = TableEncoder(bins=3, min_count=2).fit(table)
    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again.to_dict() == encoder.to_dict()
    assert again.columns_ == encoder.columns_
    assert again.get_params() == encoder.get_params()
    np.testing.assert_array_equal(again.transform(table), encoder.transform(table))
    assert repr(again) == repr(encoder)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("version",), 99, r"state\.version must be 1, got 99"),
        (("names",), ["number", "number"], r"state\.names must be different texts"),
        (("columns",), [], r"state\.columns must be a list of at least one"),
        (("columns", 0, "kind"), "float", r"state\.columns\[0\] must have a name and a kind"),
        (("columns", 0, "encoding", "scale"), 0.0, r"columns\[0\]\.encoding\.scale must be greater than 0"),
        (
            ("columns", 0, "encoding", "centre"),
            "x",
            r"columns\[0\]\.encoding\.centre must be a finite number",
        ),
        (("columns", 0, "encoding", "low"), [5.0], r"columns\[0\]\.encoding\.low and \.high must be as many"),
        (("columns", 0, "encoding", "more"), 1, r"columns\[0\]\.encoding must be an object of"),
        (("columns", 2, "encoding", "levels"), ["a", "a"], r"columns\[2\]\.encoding\.levels must be a list"),
        (("columns", 2, "encoding", "pair"), 3, r"columns\[2\]\.encoding\.pair must be true or false"),
    ],
)
def test_a_stored_encoder_is_not_trusted(path, value, message):
    state = TableEncoder().fit(frames()["polars"]).to_dict()
    place = state
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=message):
        TableEncoder.from_dict(state)


def test_parameters_are_checked():
    for name, value in (("bins", -1), ("distinct_bins", -1), ("max_levels", 0), ("min_count", 0)):
        with pytest.raises(ValueError, match=f"{name} must be at least"):
            TableEncoder(**{name: value}).fit(np.eye(2))
    with pytest.raises(RuntimeError, match="fitted first"):
        TableEncoder().transform(np.eye(2))
    with pytest.raises(ValueError, match="parameters must be among"):
        TableEncoder().set_params(buckets=3)


def test_it_works_in_a_pipeline_and_is_cloned():
    from sklearn.base import clone
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    table = frames()["pandas"]
    encoder = TableEncoder(bins=2, kinds={"whole": "category"})
    assert clone(encoder).get_params() == encoder.get_params()
    pipeline = make_pipeline(encoder, LogisticRegression()).fit(table, [0, 1, 1] * 4)
    assert pipeline.score(table, [0, 1, 1] * 4) == 1.0


def test_it_shows_its_columns():
    encoder = TableEncoder(bins=2)
    assert repr(encoder) == "TableEncoder(bins=2)"
    page = encoder.fit(pd.DataFrame({"<b>": [1.0, 2.0, 3.0]}))._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "number" in page
