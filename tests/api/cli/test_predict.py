"""`fastnet predict`: the bits of the estimator, in every format, and wrong input in one line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fastnet as fn
from fastnet import c_export, cli
from fastnet import onnx as exporter

Capture = pytest.CaptureFixture[str]


def predict(folder: Path, model: str, data: str | Path, *options: str) -> int:
    return cli.main(["predict", str(folder / f"{model}.safetensors"), str(data), *options])


def test_the_bits_of_the_estimator(folder: Path, table: pd.DataFrame, capsys: Capture) -> None:
    assert predict(folder, "churn", folder / "data.csv", "--probabilities", "--keep", "age") == 0
    out, err = capsys.readouterr()
    assert err == ""
    got = pd.read_csv(io.StringIO(out))
    model = fn.load(folder / "churn.safetensors")
    assert list(got.columns) == ["age", "prediction", "probability no", "probability yes"]
    P = model.predict_proba(table[list(model.feature_names_in_)])
    np.testing.assert_array_equal(got[["probability no", "probability yes"]].to_numpy(), P)
    assert got["prediction"].tolist() == model.classes_[P.argmax(axis=1)].tolist()
    assert predict(folder, "spent", folder / "data.csv") == 0
    got = pd.read_csv(io.StringIO(capsys.readouterr().out))
    model = fn.load(folder / "spent.safetensors")
    np.testing.assert_array_equal(got["prediction"], model.predict(table[list(model.feature_names_in_)]))


def test_every_format_of_input_and_output_is_one_table(
    folder: Path, tmp_path: Path, table: pd.DataFrame
) -> None:
    table = table.assign(city=table["city"].astype(object))
    table.to_csv(tmp_path / "a.csv.gz", index=False)
    table.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    table.to_csv(tmp_path / "a.txt", index=False, sep=";")
    table.to_parquet(tmp_path / "a.parquet")
    table.to_feather(tmp_path / "a.arrow")
    table[table.columns[::-1]].to_csv(tmp_path / "reordered.csv", index=False)
    found = []
    for name, options in (
        ("a.csv.gz", []),
        ("a.tsv", []),
        ("a.txt", ["--separator", ";"]),
        ("a.parquet", []),
        ("a.arrow", []),
        ("reordered.csv", []),
    ):
        assert (
            predict(
                folder, "churn", tmp_path / name, "--probabilities", "-o", str(tmp_path / "out.csv"), *options
            )
            == 0
        )
        found.append((tmp_path / "out.csv").read_bytes())
    assert len(set(found)) == 1
    expected = pd.read_csv(tmp_path / "out.csv")
    for name, read in (
        ("out.csv.gz", pd.read_csv),
        ("out.parquet", pd.read_parquet),
        ("out.arrow", pd.read_feather),
        ("out.tsv", lambda path: pd.read_csv(path, sep="\t")),
    ):
        assert (
            predict(folder, "churn", tmp_path / "a.parquet", "--probabilities", "-o", str(tmp_path / name))
            == 0
        )
        pd.testing.assert_frame_equal(read(tmp_path / name), expected, check_dtype=False)


def test_a_category_that_was_not_seen_counts_as_a_gap(
    folder: Path, tmp_path: Path, table: pd.DataFrame, capsys: Capture
) -> None:
    found = []
    for city in ("Paris", None):
        table[:5].assign(city=city).to_csv(tmp_path / "new.csv", index=False)
        assert predict(folder, "churn", tmp_path / "new.csv", "--probabilities") == 0
        found.append(capsys.readouterr())
    assert found[0].out == found[1].out
    note = "column 'city': 5 values are none of the model's categories ('Paris') and count as gaps"
    assert note in found[0].err
    assert found[1].err == ""


def test_wrong_input_is_told_in_one_line(
    folder: Path, tmp_path: Path, table: pd.DataFrame, capsys: Capture
) -> None:
    table.drop(columns="city").to_csv(tmp_path / "missing.csv", index=False)
    table.assign(age="old").to_csv(tmp_path / "text.csv", index=False)
    table.assign(age="2020-01-01").to_csv(tmp_path / "dates.csv", index=False)
    table[:0].to_csv(tmp_path / "none.csv", index=False)
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "damaged.safetensors").write_bytes(b"nonsense")
    for data, options, message in (
        ("missing.csv", [], "missing.csv: the model's columns must be there, but 'city' is missing"),
        ("text.csv", [], "column 'age' must hold numbers, as in fit, got 'old' in row 0"),
        ("dates.csv", [], "column 'age' must hold numbers, as in training, got date"),
        ("none.csv", [], "there must be at least one row, got none"),
        ("empty.csv", [], "it is empty"),
        ("nothing.csv", [], "No such file or directory"),
        ("text.csv", ["--keep", "x"], "--keep must be a column of"),
        ("text.csv", ["-o", "out.xls"], "--output must end with one of .csv"),
    ):
        assert predict(folder, "churn", tmp_path / data, *options) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("fastnet: error: ")
        assert message in err
        assert len(err.splitlines()) == 1
    for model, message in (
        (tmp_path / "damaged", "is it a safetensors file"),
        (tmp_path / "no", "No such file"),
    ):
        assert cli.main(["predict", f"{model}.safetensors", str(folder / "data.csv")]) == 1
        assert message in capsys.readouterr().err


def test_a_network_takes_columns_of_numbers(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("pyarrow")
    network = fn.Network([fn.Layer(2, 1)], seed=0)
    network.feature_names, network.classes = ["a", "b"], ["no", "yes"]
    fn.save(network, tmp_path / "net.safetensors")
    (tmp_path / "data.csv").write_text("b,x,a\n1,z,2\n3,z,4.5\n")
    assert predict(tmp_path, "net", tmp_path / "data.csv", "--probabilities") == 0
    got = pd.read_csv(io.StringIO(capsys.readouterr().out))
    A = network.predict_proba([[2.0, 4.5], [1.0, 3.0]])
    np.testing.assert_array_equal(got["probability yes"], A[0])
    assert got["prediction"].tolist() == ["yes" if a > 0.5 else "no" for a in A[0]]
    (tmp_path / "data.csv").write_text("b,x,a\n1,z,\n3,z,4.5\n")
    assert predict(tmp_path, "net", tmp_path / "data.csv") == 1
    assert "column 'a' must hold finite numbers without gaps" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_and_a_closed_pipe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a buffered standard output fails only when it is flushed
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    line = [
        sys.executable,
        "-m",
        "fastnet",
        "predict",
        str(folder / "churn.safetensors"),
        str(folder / "data.csv"),
    ]
    with open("/dev/full", "w") as full:
        ran = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (ran.returncode, ran.stderr) == (1, "fastnet: error: No space left on device\n")
    with open("/dev/full", "w") as full:
        ran = subprocess.run([*line[:3], "isa"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (ran.returncode, ran.stderr) == (1, "fastnet: error: No space left on device\n")
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run([*line[:3], "isa"], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    message = "fastnet: error: standard output was closed before all was written\n"
    assert (ran.returncode, ran.stderr) == (1, message)


def test_info_and_export_of_such_a_file(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    model = folder / "churn.safetensors"
    assert cli.main(["info", str(model)]) == 0
    out = capsys.readouterr().out
    for text in ("TabularClassifier", "classes     no, yes", "city           category", "format version 2"):
        assert text in out
    assert cli.main(["export", str(model), "-o", str(tmp_path / "copy.safetensors")]) == 0
    assert (tmp_path / "copy.safetensors").read_bytes() == model.read_bytes()
    assert cli.main(["export", str(model), "-o", str(tmp_path / "model.npz")]) == 1
    assert "holds a TabularClassifier, which has no export to npz" in capsys.readouterr().err


def test_export_of_such_a_file_to_onnx(folder: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = folder / "churn.safetensors"
    assert cli.main(["export", str(model), "-o", str(tmp_path / "model.onnx")]) == 0
    written = onnx.load(tmp_path / "model.onnx")
    assert written.SerializeToString() == exporter.model(fn.load(model)).SerializeToString()
    assert "city" in {column.name for column in written.graph.input}


def test_export_of_such_a_file_to_c(folder: Path, tmp_path: Path) -> None:
    model = folder / "churn.safetensors"
    assert cli.main(["export", str(model), "-o", str(tmp_path / "model.c")]) == 0
    text = (tmp_path / "model.c").read_text()
    assert text == c_export.source(fn.load(model))
    assert '"city", code of a category, -1 where it is missing or none of these: 0 "' in text
