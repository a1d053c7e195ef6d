"""Tables stay raw: read where they lie, encoded by the core, with the bits of the encoded matrix."""

from __future__ import annotations

import pickle
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from tables import mixed, same

import fastnet as fn
from fastnet.tabular import TableEncoder, TabularClassifier, TabularRegressor
from fastnet.tabular.recipe import CLASSES, input_factor, make_member


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "int16"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_are_read_where_they_lie(dtype, order):
    X = np.array(np.arange(60).reshape(20, 3) % 17, dtype, order=order)
    rows = TableEncoder().fit(X).read(X)
    assert all(np.shares_memory(column, X) for column in rows.values)
    frame = pd.DataFrame({"a": X[:, 0].astype(float), "b": X[:, 1].astype(float)})
    for column, name in zip(TableEncoder().fit(frame).read(frame).values, frame, strict=True):
        assert np.shares_memory(column, frame[name].to_numpy())


def test_what_the_core_cannot_read_is_copied_small():
    n = 300
    table = pd.DataFrame({"text": [f"level {k % 200}" for k in range(n)], "flag": np.arange(n) % 3 == 0})
    table["time"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n), unit="h")
    table["whole"] = pd.array([None, *range(1, n)], dtype="Int64")
    encoder = TableEncoder().fit(table)
    rows = encoder.read(table)
    assert [column.dtype.name for column in rows.values[:2]] == ["int16", "int8"]
    assert {column.dtype.name for column in rows.values[3:]} == {
        "float32"
    }  # parts of the time, whole numbers
    assert len(rows) == n
    same(rows.inputs().encoded("float32"), encoder.transform(table))
    assert sys.getsizeof(rows) > sum(
        column.nbytes for column in rows.values
    )  # Dask sends it once by its size
    again = pickle.loads(pickle.dumps(rows))
    same(again.inputs(False, 0.3).encoded("float64"), rows.inputs(False, 0.3).encoded("float64"))
    swapped = np.arange(40.0).reshape(10, 4).astype(">f4")
    same(TableEncoder().fit(swapped).transform(swapped), TableEncoder().fit_transform(swapped.astype("f4")))


def wide(n):
    """A mixed table that is mostly zeros once it is encoded, or not."""
    table, y, _ = mixed(n)
    return table, table.assign(code=[f"c{k * k % 151}" for k in range(n)]), y


@pytest.mark.filterwarnings("ignore:.*have hardly learned")
@pytest.mark.parametrize("piecewise", [True, False, "values"])
def test_members_have_the_bits_of_training_on_the_matrix(piecewise):
    for table in wide(240)[:2]:
        y = wide(240)[2]
        labels = np.unique(y, return_inverse=True)[1]
        encoder = TableEncoder().fit(table)
        left_out = {True: ["values"], False: ["bins", "values"], "values": []}[piecewise]
        E = encoder.transform(table)[:, ~np.isin(encoder.input_parts(), left_out)]
        factor = input_factor(E.shape[1], 16)
        X, T = (E * np.float32(factor)).T, (labels == np.array([[0], [1]])).astype(np.float32)
        fold = np.arange(240) % 3
        found = []
        for data, n_threads in (
            (X, 1),
            *((encoder.read(table).inputs(piecewise, factor), k) for k in (1, 2, 3, 8)),
        ):
            networks = [make_member(CLASSES, (len(X), 16, 16, 2), "softmax", k) for k in range(3)]
            histories = fn.train_many(
                networks,
                data,
                T,
                rows=[np.flatnonzero(fold != k) for k in range(3)],
                validation_rows=[np.flatnonzero(fold == k) for k in range(3)],
                n_threads=n_threads,
                seed=[4, 5, 6],
                **CLASSES.options(16, 160, 14) | {"patience": 2},
            )
            arrays = [layer.W for network in networks for layer in network.layers]
            found.append(
                [array.tobytes() for array in arrays] + [history.validation_loss for history in histories]
            )
        assert all(each == found[0] for each in found[1:])


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_predictions_are_those_of_the_encoded_table(kind):
    table, classes, values = mixed(3000)
    model = kind(2, epochs=2, random_state=0).fit(table, classes if kind is TabularClassifier else values)
    encoded = model.ensemble_.encode(table)
    expected = model.ensemble_.predict_proba(encoded).T  # more than one block
    if kind is TabularClassifier:
        same(model.predict_proba(table), expected)
    else:
        same(model.predict(table), expected[:, 0])
        same(model.predict_spread(table), model.ensemble_.spread(encoded)[0])


def test_a_fit_needs_no_memory_for_the_encoded_table():
    n = 40_000
    X = np.random.default_rng(0).standard_normal((n, 20))
    y = X[:, 0] + X[:, 1] > 0
    model = TabularClassifier(2, epochs=1, width=8, random_state=0, piecewise=True, n_threads=1)
    tracemalloc.start()
    model.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert model.encoder_.n_features_out_ == 500
    assert peak < 0.25 * 4 * 500 * n  # that of the matrix in float32 is four times this
    tracemalloc.start()
    model.predict(X)
    assert tracemalloc.get_traced_memory()[1] < 0.1 * 4 * 500 * n
    tracemalloc.stop()
