"""ONNX export of ensembles and estimators for tables: raw columns in, our probabilities and labels out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from raw_tables import every_kind, hard_rows
from sklearn.ensemble import BaggingClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnet as fn
from fastnet import onnx as exporter
from fastnet.ensemble import Targets
from fastnet.tabular import TableEncoder, TabularClassifier, TabularRegressor

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

BOUND = 1e-5  # what the export promises of probabilities; in units of the target's range for a regression


def in_onnx_runtime(model, feed):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feed), strict=True))


def in_onnx_reference(model, feed):
    from onnx.reference import ReferenceEvaluator

    session = ReferenceEvaluator(model)
    return dict(zip(session.output_names, session.run(None, feed), strict=True))


RUN = {"ONNX Runtime": in_onnx_runtime, "reference": in_onnx_reference}


def behind(encoder, dtype="float32"):
    """Return an ensemble whose output is the encoding itself."""
    n = max(1, encoder.n_features_out_)
    layer = fn.Layer(n, n, "identity", W=np.eye(n, dtype=dtype), dtype=dtype)
    return fn.Ensemble([fn.Network([layer], dtype=dtype)], encoder=encoder)


@pytest.fixture(scope="module")
def estimators():
    """Return estimators for each kind of target."""
    table, value = every_kind()
    three = np.digitize(value, [0, 1.5])
    how = {"members": 2, "epochs": 3, "random_state": 0, "piecewise": "values"}
    return {
        "texts": TabularClassifier(**how).fit(table, np.where(value > 0.5, "high", "low")),
        "numbers": TabularClassifier(**how).fit(table, three - 1),
        "large": TabularClassifier(**how).fit(table, (three > 1) * np.uint64(2**64 - 5)),
        "target": TabularRegressor(**how).fit(table, value * 1e6 + 2.0**40),
        "targets": TabularRegressor(**how).fit(table, np.c_[value, -3 * value]),
    }


@pytest.mark.parametrize("where", RUN)
@pytest.mark.parametrize("kind", ["texts", "numbers", "large", "target", "targets"])
def test_raw_columns_give_our_predictions(kind, where, estimators):
    model = estimators[kind]
    graph = exporter.model(model)
    onnx.checker.check_model(graph, full_check=True)
    for name, table in hard_rows(every_kind(60, 1)[0]).items():
        got = RUN[where](graph, exporter.inputs(model, table))
        if kind.startswith("target"):
            expected = model.predict(table).reshape(len(table), -1)
            span = model.ensemble_.targets.high - model.ensemble_.targets.low
            assert got["prediction"].dtype == np.float64
            assert (abs(got["prediction"] - expected) <= BOUND * span).all(), name
            continue
        P = model.predict_proba(table)
        assert abs(got["probabilities"] - P).max() <= BOUND, name
        sure = abs(np.diff(np.sort(P), axis=1)[:, -1]) > 2 * BOUND
        assert sure.mean() > 0.9
        assert got["label"].shape == (len(table),)
        assert (np.asarray(got["label"])[sure] == model.predict(table)[sure]).all(), name


@pytest.mark.parametrize("where", RUN)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_encoding_has_our_bits(dtype, where):
    encoder = TableEncoder(max_levels=20).fit(every_kind()[0])
    ensemble = behind(encoder, dtype)
    graph = exporter.model(ensemble, dtype=dtype)
    for name, table in hard_rows(every_kind(60, 1)[0]).items():
        got = RUN[where](graph, exporter.inputs(ensemble, table))["prediction"]
        expected = encoder.transform(table, dtype)
        assert got.shape == expected.shape
        wrong = np.flatnonzero((got != expected).any(axis=0))
        assert not len(wrong), (name, encoder.get_feature_names_out()[wrong])


def test_every_month_of_eight_centuries():
    starts = np.arange("1600-01", "2401-01", dtype="datetime64[M]").astype("datetime64[s]")
    second = np.timedelta64(1, "s")
    times = np.unique(np.concatenate([starts, starts - second, starts + 86_399 * second]))
    table = pd.DataFrame({"t": times})
    encoder = TableEncoder().fit(table)
    ensemble = behind(encoder)
    got = in_onnx_runtime(exporter.model(ensemble), exporter.inputs(ensemble, table))["prediction"]
    np.testing.assert_array_equal(got, encoder.transform(table))


@pytest.mark.parametrize(
    "X",
    [
        np.array([["a", 1.0], ["b", None], ["a", 3.0]], dtype=object),
        np.arange(12.0).reshape(4, 3),  # numbers alone, without names
        np.array([["a", "x"], ["b", "y"], ["c", "x"]]),  # texts alone
        np.array([[True, False], [False, True], [False, False]]),
        np.ones((3, 2)),  # nothing that tells anything
        np.full((3, 2), None),
        pd.DataFrame({"where_0": [1.0, 2.0, 4.0], "order": ["a", "b", "c"], "classes": [0.0, 1.0, None]}),
        pd.DataFrame(
            {"label": [1.0, 2.0, 4.0], "label_": [1.0, 5.0, 4.0], "double zero": [True, False, True]}
        ),
        pd.DataFrame(
            {"": ["ä", "\n", "日本"], "prediction": pd.to_datetime(["2020-01-01", None, "1960-02-29"])}
        ),
    ],
    ids=[
        "mixed",
        "numbers",
        "texts",
        "booleans",
        "constant",
        "empty",
        "names",
        "outputs' names",
        "odd texts",
    ],
)
def test_any_table(X):
    encoder = TableEncoder().fit(X)
    ensemble = behind(encoder)
    feed = exporter.inputs(ensemble, X)
    got = in_onnx_runtime(exporter.model(ensemble), feed)["prediction"]
    np.testing.assert_array_equal(got, ensemble.encode(X).T)


def test_what_the_graph_says():
    table, value = every_kind()
    model = TabularRegressor(1, epochs=1, random_state=0).fit(table, value)
    graph = exporter.model(model)
    about = {each.name: each.doc_string for each in graph.graph.input}
    assert list(about) == [
        *("size", "colour", "whole", "wide", "flag", "sometimes", "only", "label_", "time", "day", "amount"),
        "code",
    ]
    assert about["time"] == "seconds since 1970 in UTC, NaN where it is missing"
    assert about["colour"] == "category, '  ' where it is missing"  # "" and " " are levels
    assert about["label_"] == "category, '' where it is missing"
    properties = {entry.key: entry.value for entry in graph.metadata_props}
    assert properties["feature_names"].startswith('["size", "colour"')
    assert properties["kinds"].startswith('["number", "category", "number"')
    feed = exporter.inputs(model, table)
    assert {array.shape for array in feed.values()} == {(len(table), 1)}
    assert feed["time"].dtype == np.float64
    assert feed["time"][0, 0] == table["time"][0].timestamp()


def test_ensembles_without_an_encoder():
    X = np.random.default_rng(0).normal(size=(200, 6))
    y = np.array(["a", "b", "c"])[np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])]
    bagging = BaggingClassifier(
        make_pipeline(StandardScaler(), MLPClassifier((5,), max_iter=10)), 3, max_features=0.7, random_state=0
    )
    with pytest.warns(UserWarning, match="converge"):
        bagging.fit(X, y)
    ensemble = fn.Ensemble.from_sklearn(bagging)
    got = in_onnx_runtime(exporter.model(ensemble), {"X": X.astype(np.float32)})
    assert abs(got["probabilities"] - bagging.predict_proba(X)).max() <= 1e-6
    assert (got["label"] == bagging.predict(X)).mean() > 0.98
    with pytest.raises(ValueError, match="network must have an encoder"):
        exporter.inputs(ensemble, X)


@pytest.mark.parametrize(("activation", "n_out"), [("sigmoid", 1), ("sigmoid", 3), ("identity", 2)])
def test_the_mean_of_networks(activation, n_out):
    networks = [fn.Network([fn.Layer(4, n_out, activation)], seed=k, dtype="float32") for k in range(5)]
    R = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    got = in_onnx_runtime(exporter.model(fn.Ensemble(networks)), {"X": R})
    A = fn.Ensemble(networks).predict_proba(R.T).T
    found = got["prediction"] if activation == "identity" else got["probabilities"][:, -n_out:]
    assert abs(found - A).max() <= 1e-6
    networks[3].layers[0].W[0, 1] = np.nan
    with pytest.raises(ValueError, match=r"networks\[3\].layers\[0\].W must be finite"):
        exporter.model(fn.Ensemble(networks))


@pytest.mark.parametrize("where", RUN)
def test_targets_are_cut_to_their_range(where):
    targets = Targets(
        *(np.array(v) for v in ([5.0, 2.0**40], [2.0, 1.0], [3.0, 2.0**40 - 1], [6.0, 2.0**40 + 1]))
    )
    layer = fn.Layer(2, 2, "identity", W=np.eye(2, dtype=np.float32), dtype="float32")
    ensemble = fn.Ensemble([fn.Network([layer], dtype="float32")], targets=targets)
    R = np.array([[-9.0, 0.25], [9.0, -9.0], [0.25, 9.0]], np.float32)
    got = RUN[where](exporter.model(ensemble), {"X": R})["prediction"]
    np.testing.assert_array_equal(got, [[3, 2**40 + 0.25], [6, 2**40 - 1], [5.5, 2**40 + 1]])
    np.testing.assert_array_equal(got, ensemble.predict_proba(R.T).T)


def test_names_of_inputs_are_different():
    """An input never has the name of another one, of an output or of another column."""
    from fastnet.onnx._table import input_names
    from fastnet.tabular.columns import RawColumn

    names = ["label", "label_", "label__", "", "_", "x"]
    found = input_names([RawColumn(name, "number", ()) for name in names])
    assert len(set(found)) == len(found)
    assert [new for new, old in zip(found, names, strict=True) if new == old] == [
        "label_",
        "label__",
        "_",
        "x",
    ]
    assert all(one != other for one, other in pairwise(sorted(found)))


def test_arguments():
    with pytest.raises(ValueError, match="network must be fitted, got a TabularRegressor that is not"):
        exporter.model(TabularRegressor())
    with pytest.raises(TypeError, match=r"network must be a Network, an Ensemble, .* got TableEncoder"):
        exporter.model(TableEncoder())
    table, value = every_kind(60)
    model = TabularRegressor(1, epochs=1, random_state=0).fit(table, value)
    with pytest.raises(ValueError, match="colour"):
        exporter.inputs(model, table.drop(columns="colour"))
