"""Estimators for tables in a model file: the right class, all that was learned, the same bits."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from tables import mixed, same

import fastnet as fn
from fastnet.tabular import TableEncoder, TabularClassifier, TabularRegressor

FAST = {"epochs": 2, "width": 8, "random_state": 0}


def again(model):
    file = io.BytesIO()
    fn.save(model, file)
    file.seek(0)
    return fn.load(file)


@pytest.mark.parametrize(
    "label", [str, int, np.int8, np.float32, bool, object], ids=lambda label: label.__name__
)
def test_a_classifier_comes_back(label):
    table, y, _ = mixed(80)
    y = (y == "high").astype(label) if label not in (str, object) else y.astype(label)
    weights = {y[0]: 1.0, next(value for value in y if value != y[0]): 2.0}
    encoder = TableEncoder(bins=3, kinds={"flag": "category"})
    model = TabularClassifier(2, encoder=encoder, class_weight=weights, **FAST).fit(table, y)
    got = again(model)
    assert type(got) is TabularClassifier
    same(got.predict_proba(table), model.predict_proba(table))
    same(got.predict(table), model.predict(table))
    assert got.classes_.dtype == model.classes_.dtype
    assert got.feature_names_in_.tolist() == model.feature_names_in_.tolist()
    assert got.n_features_in_ == model.n_features_in_
    assert got.columns_ == model.columns_
    assert got.histories_ == [replace(history, seconds=[]) for history in model.histories_]
    assert got.piecewise_ == model.piecewise_
    wanted, parameters = model.get_params(), got.get_params()
    assert parameters.pop("encoder").get_params() == wanted.pop("encoder").get_params()
    assert parameters == wanted
    same(clone(got).fit(table, y).predict_proba(table), model.predict_proba(table))


@pytest.mark.parametrize("targets", [0, 1, 2])
def test_a_regressor_comes_back(targets):
    table, _, values = mixed(80)
    y = np.stack([values, -values], axis=1)[:, :targets] if targets else values
    model = TabularRegressor(2, time_limit=50.0, quantile=(None, 0.25)[targets % 2], **FAST).fit(table, y)
    got = again(model)
    assert type(got) is TabularRegressor
    same(got.predict(table), model.predict(table))
    assert got.get_params() == model.get_params()
    same(got.predict_spread(table), model.predict_spread(table))
    assert got.get_params() == model.get_params()


@pytest.mark.parametrize(
    "changed", [{"piecewise": "values"}, {"piecewise": False}, {"epochs": None}], ids=str
)
def test_parameters_come_back(changed):
    table, y, _ = mixed(60)
    model = TabularClassifier(1, **{**FAST, "time_limit": 0.05} | changed).fit(table, y)
    assert again(model).get_params() == model.get_params()


def test_files_without_calibrated_losses_are_read():
    """Those of versions that did not have any."""
    from fastnet.tabular.file import describe_estimator, rebuild_estimator

    table, y, _ = mixed(60)
    model = TabularClassifier(1, **FAST).fit(table, y)
    about = describe_estimator(model)
    del about["histories"][0]["calibrated_loss"]
    got = rebuild_estimator(about, model.ensemble_, "a file")
    (history,) = model.histories_
    assert got.histories_ == [replace(history, seconds=[], calibrated_loss=[])]


def test_a_training_gives_the_same_file_each_time():
    table, y, _ = mixed(60)
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        fn.save(TabularClassifier(1, **FAST).fit(table, y), file)
    assert files[0].getvalue() == files[1].getvalue()


def test_columns_without_names_and_a_generator():
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = TabularClassifier(1, epochs=1, random_state=np.random.RandomState(1)).fit(X, X[:, 0] > 0)
    got = again(model)
    assert not hasattr(got, "feature_names_in_")
    assert got.random_state is None
    same(got.predict_proba(X), model.predict_proba(X))


def test_what_no_file_can_hold(tmp_path):
    table, y, _ = mixed(60)
    with pytest.raises(NotFittedError):
        again(TabularClassifier())
    model = TabularClassifier(1, **FAST).fit(table, y == "high")
    model.classes_ = np.array(["2024-01-01", "2024-01-02"], "datetime64[D]")
    path = tmp_path / "model.safetensors"
    with pytest.raises(
        ValueError, match="classes_ must be numbers, texts or booleans in a file, got datetime"
    ):
        fn.save(model, path)
    assert not path.exists()
    with pytest.raises(ValueError, match=r"kind must be .*'safetensors', got 'npz'"):
        fn.save(TabularClassifier(1, **FAST).fit(table, y), tmp_path / "model.npz")

    class Own(TabularClassifier):
        pass

    with pytest.raises(TypeError, match="got its subclass Own"):
        again(Own(1, **FAST).fit(table, y))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("estimator", "name"), "Evil", "estimator.name must be one of TabularClassifier, TabularRegressor"),
        (("estimator", "name"), "TabularRegressor", "estimator must be an object of"),
        (("estimator", "piecewise"), [1], "piecewise must be true, false or 'values' for each network"),
        (("estimator", "parameters", "members"), 0, "members must be at least 1, got 0"),
        (("estimator", "parameters", "n_threads"), 2**31, "n_threads must be at least 1 and below"),
        (("estimator", "parameters", "time_limit"), -1, "time_limit must be"),
        (("estimator", "feature_names"), ["a"], "feature_names must be 5 texts"),
        (("estimator", "classes", "values"), ["a"], "classes must be a list of 2 labels"),
        (("estimator", "classes", "values"), ["a", "a"], "classes must be different"),
        (("estimator", "classes", "values"), ["a", ["b"]], "classes must be different numbers"),
        (("estimator", "classes", "values"), [1, 2], "classes must be of dtype str"),
        (("estimator", "classes", "dtype"), "U999999999", "classes must have one of the dtypes"),
        (("estimator", "histories"), [{}], r"histories\[0\] must be an object of"),
        (("encoder",), None, "estimator must have an encoder"),
        (("version",), 3, "format version must be from 1 to 2, got 3"),
    ],
)
def test_what_is_no_estimator_is_a_format_error(place, value, message):
    table, y, _ = mixed(60)
    file = io.BytesIO()
    fn.save(TabularClassifier(1, piecewise=True, **FAST).fit(table, y.astype(str)), file)
    content = file.getvalue()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header["__metadata__"]["fastnet.ensemble"])
    part = about
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    header["__metadata__"] = {"fastnet.ensemble": json.dumps(about)}  # the checksums may be left out
    text = json.dumps(header).encode()
    with pytest.raises(fn.FormatError, match=message):
        fn.load(io.BytesIO(len(text).to_bytes(8, "little") + text + content[8 + length :]))
