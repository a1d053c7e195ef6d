"""C export of ensembles and of models of tables: raw rows in, the bits of our fused builds out."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from bounds import forward_error
from raw_tables import every_kind, hard_rows
from sklearn.ensemble import BaggingClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnet as fn
from fastnet import c_export
from fastnet._core import cpu
from fastnet.ensemble import Targets, ensemble_of
from fastnet.selftest.golden import FUSED
from fastnet.tabular import TableEncoder, TabularClassifier, TabularRegressor

CC = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
FLAGS = ["-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
BUILDS = [isa for isa in fn.isa.compiled() if isa in cpu.supported() and isa in FUSED]

pytestmark = pytest.mark.skipif(CC is None or os.name != "posix", reason="needs a C compiler")


def library(folder, models, *flags):
    """Compile models, each with a function of its own name, to one library."""
    for name, model in models.items():
        c_export.export(model, folder / f"{name}.c", name=name)
    files = [str(folder / f"{name}.c") for name in models]
    command = [str(CC), *FLAGS, *(flags or ["-std=c99"]), "-shared", "-fPIC", *files]
    ran = subprocess.run([*command, "-o", str(folder / "all.so"), "-lm"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ctypes.CDLL(str(folder / "all.so"))


def call(function, R, n_out, dtype):
    """Return the outputs (n, n_out) of a C function for the rows of R."""
    Y = np.full((len(R), n_out), np.nan, dtype)
    R = np.ascontiguousarray(R)
    for x, y in zip(R, Y, strict=True):
        function(x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p))
    return Y


def assert_same(found, ensemble, X):
    """Compare (n, n_out) with what an ensemble makes of its inputs, on a fused build where there is one."""
    with fn.isa.using(BUILDS[-1] if BUILDS else fn.isa.active()):
        expected = ensemble.predict_proba(X).T
    if BUILDS:
        np.testing.assert_array_equal(found, expected)
    else:
        scale = 1.0 if ensemble.targets is None else ensemble.targets.scale
        limits = sum(forward_error(network, X) for network in ensemble.networks).T
        assert (abs(found - expected) <= limits * scale).all()


def behind(encoder, dtype="float32"):
    """Return an ensemble whose output is the encoding itself."""
    n = max(1, encoder.n_features_out_)
    layer = fn.Layer(n, n, "identity", W=np.eye(n, dtype=dtype), dtype=dtype)
    return fn.Ensemble([fn.Network([layer], dtype=dtype)], encoder=encoder)


@pytest.mark.parametrize("flags", [("-std=c99",), ("-std=gnu17", "-O3", "-march=native")], ids=" ".join)
def test_rows_of_a_table_give_our_bits(flags, tmp_path):
    """Also where the compiler may make one operation of a product and a sum."""
    table, value = every_kind()
    how = {"members": 3, "epochs": 2, "random_state": 0, "piecewise": "values", "width": 24}
    models = {
        "texts": TabularClassifier(**how).fit(table, np.where(value > 0.5, "high", "low")),
        "three": TabularClassifier(**how).fit(table, np.digitize(value, [0, 1.5])),
        "target": TabularRegressor(**how).fit(table, value * 1e6 + 2.0**40),
        "targets": TabularRegressor(**how).fit(table, np.c_[value, -3 * value]),
    }
    functions = library(tmp_path, models, *flags)
    for name, model in models.items():
        ensemble = ensemble_of(model)
        dtype = np.float32 if ensemble.targets is None else np.float64
        for rows in hard_rows(every_kind(60, 1)[0]).values():
            found = call(getattr(functions, name), c_export.inputs(model, rows), ensemble.n_out, dtype)
            assert_same(found, ensemble, ensemble.encode(rows))


TABLES = {
    "all": every_kind()[0],
    "mixed": np.array([["a", 1.0], ["b", None], ["a", 3.0]], dtype=object),
    "numbers": np.arange(12.0).reshape(4, 3),
    "booleans": np.array([[True, False], [False, True], [False, False]]),
    "constant": np.ones((3, 2)),
    "empty": np.full((3, 2), None),
    "odd": pd.DataFrame({"*/": ["ä??/", '"\\', "\n", "x\0y"] * 2, "x": ["/*", "日本", None, "x"] * 2}),
    "times": pd.DataFrame(
        {"t": np.arange("1600-01", "2401-01", dtype="datetime64[M]").astype("datetime64[s]")}
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_encoding_has_our_bits(dtype, tmp_path):
    encoders = {name: TableEncoder().fit(table) for name, table in TABLES.items()}
    ensembles = {f"{name}_{dtype}": behind(encoder, dtype) for name, encoder in encoders.items()}
    functions = library(tmp_path, ensembles)
    for (name, ensemble), table in zip(ensembles.items(), TABLES.values(), strict=True):
        found = call(getattr(functions, name), c_export.inputs(ensemble, table), ensemble.n_out, dtype)
        np.testing.assert_array_equal(found, ensemble.encode(table).T)
    last_days = pd.DataFrame({"t": TABLES["times"]["t"] - pd.Timedelta(1, "s")})
    ensemble = ensembles[f"times_{dtype}"]
    found = call(functions[f"times_{dtype}"], c_export.inputs(ensemble, last_days), ensemble.n_out, dtype)
    np.testing.assert_array_equal(found, ensemble.encode(last_days).T)


def test_codes_of_texts(tmp_path):
    table, value = every_kind()
    models = {
        "predict": TabularRegressor(1, epochs=1, random_state=0).fit(table, value),
        "odd": behind(TableEncoder().fit(TABLES["odd"])),
    }
    functions = library(tmp_path, models)
    for name, frame, first in (
        ("predict", table, ["colour", "label", "code"]),
        ("odd", TABLES["odd"], ["*/", "x"]),
    ):
        code = getattr(functions, f"{name}_code")
        rows = c_export.inputs(models[name], frame)
        encoder = ensemble_of(models[name]).encoder
        used = [column.name for column in encoder.raw_columns() if column.used]
        for column in first:
            place = used.index(column)
            for text, expected in zip(frame[column].astype(object), rows[:, place], strict=True):
                if text == text and text is not None and "\0" not in str(text):
                    assert code(place, str(text).encode()) == expected
            assert code(place, b"no level") == -1
        assert code(len(used), b"red") == -1
    assert functions.odd_code(0, b"x") == -1  # a level begins so, but no text of C ends in it


def test_what_the_file_says():
    table, value = every_kind()
    model = TabularClassifier(2, epochs=1, random_state=0).fit(table, np.where(value > 0.5, "high", "low"))
    text = c_export.source(model)
    assert "void predict(const double *x, float *y): x holds 12 numbers, y gets 2." in text
    assert 'classes: ["high", "low"]' in text
    assert 'x[0]: "size", number, NAN where it is missing\n' in text
    assert 'x[8]: "time", seconds since 1970 in UTC, NAN where it is missing\n' in text
    assert (
        'x[7]: "label", code of a category, -1 where it is missing or none of these: 0 "no", 1 "yes"\n'
        in text
    )
    regressor = TabularRegressor(1, epochs=1).fit(table[["size"]], value)
    assert "void predict(const double *x, double *y)" in c_export.source(regressor)
    assert "predict_code" not in c_export.source(regressor)


def test_ensembles_without_an_encoder(tmp_path):
    X = np.random.default_rng(0).normal(size=(200, 6))
    y = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
    member = make_pipeline(StandardScaler(), MLPClassifier((5,), max_iter=10))
    bagging = BaggingClassifier(member, 3, max_features=0.7, random_state=0)
    with pytest.warns(UserWarning, match="converge"):
        bagging.fit(X, y)
    ensembles = {"bagging": fn.Ensemble.from_sklearn(bagging)}
    for activation, n_out in (("sigmoid", 1), ("softmax", 3), ("identity", 2)):
        for dtype in ("float32", "float64"):
            networks = [
                fn.Network(
                    [fn.Layer(6, 9 - k, "tanh"), fn.Layer(9 - k, n_out, activation)], seed=k, dtype=dtype
                )
                for k in range(4)
            ]
            ensembles[f"{activation}_{dtype}"] = fn.Ensemble(networks)
    targets = Targets(*(np.array([v, -v]) for v in (3.0, 2.0)), np.array([2.9, -9.0]), np.array([3.1, -3.0]))
    cut = fn.Ensemble(ensembles["identity_float32"].networks, targets=targets)
    functions = library(tmp_path, ensembles | {"cut": cut})
    for name, ensemble in (ensembles | {"cut": cut}).items():
        R = X.astype(ensemble.networks[0].dtype)
        found = call(getattr(functions, name), R, ensemble.n_out, np.float64 if name == "cut" else R.dtype)
        assert_same(found, ensemble, R.T)
    assert (found[:, 0] == 2.9).any()
    assert (found[:, 0] == 3.1).any()


def test_names_that_are_taken():
    table, value = every_kind(60)
    model = TabularClassifier(2, epochs=1, random_state=0, width=3).fit(table, value > 0)
    ensemble = fn.Ensemble([fn.Network([fn.Layer(2, 1)])] * 2)
    for one, name in (
        *(
            (model, name)
            for name in ("number", "levels_1", "n1_W1", "find", "time_parts", "within", "x", "e")
        ),
        *((ensemble, name) for name in ("n2_predict", "sum", "n1_b1")),
    ):
        with pytest.raises(
            ValueError, match=f"name must not be a name that the file uses itself, got '{name}'"
        ):
            c_export.source(one, name=name)


def test_arguments():
    with pytest.raises(ValueError, match="network must be fitted, got a TabularClassifier that is not"):
        c_export.source(TabularClassifier())
    networks = [fn.Network([fn.Layer(2, 1)]) for _ in range(3)]
    with pytest.raises(ValueError, match="network must have an encoder"):
        c_export.inputs(fn.Ensemble(networks), [[1.0, 2.0]])
    networks[2].layers[0].b[0, 0] = np.inf
    with pytest.raises(ValueError, match=r"networks\[2\].layers\[0\].b must be finite"):
        c_export.source(fn.Ensemble(networks))
