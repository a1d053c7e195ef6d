"""TablePredictor: the bits of the estimator from rows of numbers and codes."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from tables import mixed, same

import fastnet as fn
from fastnet import c_export
from fastnet.tabular import TableEncoder, TablePredictor, TabularClassifier, TabularRegressor


@pytest.fixture(scope="module")
def table():
    return mixed(200)


@pytest.fixture(scope="module")
def classifier(table):
    return TabularClassifier(3, epochs=3, random_state=0, width=16, piecewise="values").fit(*table[:2])


def test_rows_have_the_bits_of_the_model(isa, table, classifier):
    regressor = TabularRegressor(2, epochs=3, random_state=0, width=16, piecewise="values").fit(
        table[0], table[2]
    )
    pairs = (classifier, classifier.predict_proba), (regressor, lambda X: regressor.predict(X)[:, None])
    odd, _, _ = mixed(40, 3)
    odd.loc[:5, "number"] = [np.nan, 1e300, -1e300, 0.0, -0.0, np.inf]
    odd.loc[3:9, "colour"] = "never seen"
    for model, expected in pairs:
        predictor = model.compile()
        for given in (table[0], odd):
            rows = predictor.rows(given)
            assert rows.dtype == np.float64
            assert rows.shape == (len(given), len(predictor.columns))
            same(np.stack([predictor(row) for row in rows]), expected(given))
            same(predictor(rows), expected(given))
            same(predictor(rows[::-1][3].tolist()), expected(given)[-4])
        same(predictor(np.repeat(rows, 60, axis=0)), np.repeat(expected(odd), 60, axis=0))
        assert predictor(rows[:0]).shape == (0, predictor.n_out)


@pytest.mark.parametrize("piecewise", [False, True, "values", "auto"])
def test_bins_that_no_member_uses_are_left_out(isa, table, piecewise):
    model = TabularClassifier(3, epochs=8, random_state=0, width=24, piecewise=piecewise).fit(*table[:2])
    predictor = pickle.loads(pickle.dumps(model.compile()))
    rows = predictor.rows(table[0])
    same(np.stack([predictor(row) for row in rows]), model.predict_proba(table[0]))
    same(predictor(rows), model.predict_proba(table[0]))
    parts, ways = set(model.encoder_.input_parts()), set(model.piecewise_)
    assert ("bins" in parts) == (ways != {False})
    assert ("values" in parts) == ("values" in ways)
    assert predictor._predictor.cores()[0].n_in == model.encoder_.n_features_out_ == model.ensemble_.n_in
    assert any(network.layers[0].W[:, -1].any() for network in model.ensemble_.networks)
    whole = TableEncoder().fit(table[0])  # the estimator's without what it does not need
    kept = [
        name
        for name, part in zip(whole.get_feature_names_out(), whole.input_parts(), strict=True)
        if part == "always" or part in parts
    ]
    assert model.encoder_.get_feature_names_out().tolist() == kept
    numbers = [column for column in model.columns_ if column.kind == "number"]
    assert all(("no bins" in column.note) == (ways == {False}) for column in numbers)


def test_columns_and_codes_say_what_a_row_is(table, classifier):
    predictor = classifier.compile()
    assert predictor.columns == ("number", "colour", "flag", "time", "amount")
    assert sorted(predictor.codes["colour"]) == ["blue", "green", "red"]
    assert predictor.codes["flag"] == {"False": 0, "True": 1}
    assert predictor.classes == ("high", "low")
    row = predictor.rows(table[0][7:8])[0]
    row[predictor.columns.index("colour")] = predictor.codes["colour"]["green"]
    same(predictor(row), classifier.predict_proba(table[0][7:8].assign(colour="green"))[0])
    for gap in (np.nan, -1.0, 3.0, 0.5):
        row[predictor.columns.index("colour")] = gap
        same(predictor(row), classifier.predict_proba(table[0][7:8].assign(colour="violet"))[0])
    lines = repr(predictor).splitlines()
    assert lines[0] == "TablePredictor of 3 networks for rows of 5 values"
    assert lines[1].split() == ["number", "number"]
    assert [line.split(maxsplit=1) for line in lines[2:]][1:] == [
        ["flag", "0 = 'False', 1 = 'True'"],
        ["time", "seconds since 1970"],
        ["amount", "number"],
    ]


def test_it_is_frozen_and_pickled_and_follows_the_build(table, classifier):
    model = pickle.loads(pickle.dumps(classifier))
    predictor = model.compile()
    row = predictor.rows(table[0])[5]
    expected = predictor(row)
    for network in model.ensemble_.networks:
        network.layers[0].W *= 2
    same(predictor(row), expected)
    again = pickle.loads(pickle.dumps(predictor))
    same(again(row), expected)
    assert again.codes == predictor.codes
    before = fn.isa.active()
    for build in fn.isa.compiled():
        if build in fn.isa.supported():
            with fn.isa.using(build):
                np.testing.assert_allclose(predictor(row), expected, rtol=1e-4)
                same(predictor(row), again(row))
    assert fn.isa.active() == before
    same(predictor(row), expected)


def test_a_row_is_what_exported_c_code_takes():
    """A date is one number, a boolean 0 or 1 also where one of the two has no level of its own."""
    n = 420
    flag = np.where(np.arange(n) % 3 == 0, None, True)
    months = np.arange("1600-01", "2400-01", dtype="datetime64[M]").astype("datetime64[s]")
    seconds = np.arange(n) * 86_400.0
    table = pd.DataFrame({"flag": pd.array(flag, dtype="boolean"), "time": months[:: len(months) // n][:n]})
    model = TabularRegressor(2, epochs=3, random_state=0, width=16).fit(table, np.sin(np.arange(n)))
    predictor = model.compile()
    assert predictor.columns == ("flag", "time")
    assert predictor.codes == {"flag": {"False": 0, "True": 1}}
    assert model.columns_[0].note == "1 level"
    times = np.r_[months, months - np.timedelta64(1, "s"), months + np.timedelta64(12_345, "s")]
    other = pd.DataFrame({"flag": pd.array(np.resize([True, False, None], len(times)), dtype="boolean")})
    other["time"] = times
    other.loc[::11, "time"] = None
    rows = predictor.rows(other)
    same(rows, c_export.inputs(model, other))
    assert rows[1, 1] == times[1].astype(np.int64)
    same(np.unique(rows[:, 0]), [0.0, 1.0, np.nan])
    same(predictor(rows)[:, 0], model.predict(other))
    same(np.stack([predictor(row) for row in rows])[:, 0], model.predict(other))
    far = np.array([[1.0, t] for t in (np.inf, -np.inf, 1e300, -1e300, 2.0**62, -1.0, -0.0, np.nan)])
    same(np.stack([predictor(row) for row in far]), predictor(far))
    assert len(np.unique(predictor(np.c_[np.ones(n), seconds]))) > 7


def test_bad_rows_are_named(classifier):
    predictor = classifier.compile()
    with pytest.raises(ValueError, match=r"row must have shape \(5,\) or \(n, 5\), got \(6,\)"):
        predictor(np.zeros(6))
    with pytest.raises(ValueError, match=r"got \(2, 3, 5\)"):
        predictor(np.zeros((2, 3, 5)))
    with pytest.raises((TypeError, ValueError), match="row"):
        predictor(["red"] * 5)
    assert predictor(np.zeros(10)[::2]).shape == predictor([0, 1, 0, 1, 0]).shape == (2,)


def test_there_must_be_an_encoder_and_a_column():
    ensemble = fn.Ensemble([fn.Network([fn.Layer(1, 1)])])
    with pytest.raises(ValueError, match="ensemble must have an encoder"):
        TablePredictor(ensemble)
    constant = TabularRegressor(1, epochs=1).fit(np.ones((30, 2)), np.arange(30.0))
    with pytest.raises(ValueError, match="a column that tells something"):
        constant.compile()
