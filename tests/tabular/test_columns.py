"""Columns of a table: the bits of the twin in plain Python, and the parts of dates."""

from __future__ import annotations

import datetime
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnet.reference import tables as twin
from fastnet.tabular import TableEncoder

NUMBERS = st.one_of(
    st.floats(-1e9, 1e9),
    st.sampled_from([0.0, -0.0, 1.0, 2.0, 2.0**-1070, 1e300, -1e300, math.nan]),
)


@settings(deadline=None)
@given(
    learned=st.lists(NUMBERS, min_size=1, max_size=60),
    others=st.lists(NUMBERS, min_size=1, max_size=10),
    bins=st.integers(0, 9),
    distinct_bins=st.integers(0, 5),
)
def test_numbers_have_the_bits_of_the_twin(learned, others, bins, distinct_bins):
    encoder = TableEncoder(bins=bins, distinct_bins=distinct_bins).fit(np.array(learned)[:, None])
    expected = twin.learn_number(learned, bins, distinct_bins)
    stored = encoder.to_dict()["columns"][0]["encoding"]
    assert stored == expected
    if expected is None:
        assert encoder.columns_[0].width == 0
        return
    rows = np.array([twin.encode_number(expected, x) for x in others])
    got = encoder.transform(np.array(others)[:, None], dtype="float64")
    np.testing.assert_array_equal(got, rows)
    np.testing.assert_array_equal(encoder.transform(np.array(others)[:, None]), rows.astype(np.float32))


@settings(deadline=None)
@given(
    others=st.lists(st.sampled_from([0.0, -0.0, 1.5, -3.0, 7.0, math.nan, *range(20)]), max_size=60),
    zeros=st.integers(0, 70),
    often=st.integers(0, 9),
    distinct_bins=st.integers(0, 5),
    max_values=st.integers(0, 6),
)
def test_repeated_values_have_the_bits_of_the_twin(others, zeros, often, distinct_bins, max_values):
    learned = [*others, *[0.0] * zeros, *[1.5] * often, 1e9]
    encoder = TableEncoder(bins=2, distinct_bins=distinct_bins, max_values=max_values)
    encoder.fit(np.array(learned)[:, None])
    expected = twin.learn_number(learned, 2, distinct_bins, max_values)
    assert encoder.to_dict()["columns"][0]["encoding"] == expected
    if expected is not None:
        rows = np.array([twin.encode_number(expected, x) for x in learned])
        np.testing.assert_array_equal(encoder.transform(np.array(learned)[:, None], dtype="float64"), rows)


def test_repeated_values_are_shown():
    amounts = [0.0] * 80 + [250.0] * 30 + [99.5] * 5 + list(range(1, 30))
    encoder = TableEncoder().fit(np.array(amounts)[:, None])
    assert encoder.columns_[0].note == "19 bins, 2 repeated values"
    assert encoder.get_feature_names_out()[-2:].tolist() == ["0 = 250", "0 = 99.5"]
    assert encoder.input_parts().tolist() == ["always"] + ["bins"] * 19 + ["values"] * 2
    assert TableEncoder(max_values=1).fit(np.array(amounts)[:, None]).n_features_out_ == 21
    assert TableEncoder(max_values=0).fit(np.array(amounts)[:, None]).n_features_out_ == 20


@settings(deadline=None)
@given(
    learned=st.lists(st.sampled_from([*"abcdefgh", "", None]), min_size=1, max_size=60),
    others=st.lists(st.sampled_from([*"abcdefghxyz", "", None]), min_size=1, max_size=10),
    max_levels=st.integers(1, 5),
    min_count=st.integers(1, 4),
)
def test_categories_have_the_bits_of_the_twin(learned, others, max_levels, min_count):
    encoder = TableEncoder(max_levels=max_levels, min_count=min_count, kinds={0: "category"})
    encoder.fit(np.array(learned, dtype=object)[:, None])
    expected = twin.learn_category(learned, max_levels, min_count)
    assert encoder.to_dict()["columns"][0]["encoding"] == expected
    if expected is None:
        assert "left out" in encoder.columns_[0].note
        return
    rows = np.array([twin.encode_category(expected, value) for value in others], np.float32)
    np.testing.assert_array_equal(encoder.transform(np.array(others, dtype=object)[:, None]), rows)


def test_dates_have_the_parts_of_the_calendar():
    moments = [datetime.datetime(1969, 12, 31, 23, 45), datetime.datetime(2024, 2, 29, 12, 30)]
    moments += [datetime.datetime(2000, 1, 1), datetime.datetime(2099, 11, 8, 1)]
    from fastnet.tabular.columns import time_parts
    from fastnet.tabular.reading import numbers_of

    parts = time_parts(numbers_of(moments, "column"))
    utc = [moment.replace(tzinfo=datetime.UTC) for moment in moments]
    assert parts[""].tolist() == [moment.timestamp() for moment in utc]
    assert parts["month"].tolist() == [moment.month for moment in moments]
    assert parts["weekday"].tolist() == [moment.weekday() for moment in moments]
    assert parts["hour"].tolist() == [moment.hour + moment.minute / 60 for moment in moments]
