"""`fastnet info` and `fastnet export`: what they print and write, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from networks import bits, network

import fastnet as fn
from fastnet import c_export, cli
from fastnet.files import container


@pytest.fixture
def model(tmp_path: Path) -> Path:
    net = network((3, 4, 1), "float32")
    net.classes, net.feature_names = ["no", "yes"], ["a", "b", "c"]
    net.preprocessing = fn.Standardize([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])
    path = tmp_path / "model.safetensors"
    fn.save(net, path)
    return path


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    path = tmp_path / "foreign.safetensors"
    with path.open("wb") as file:
        container.write_safetensors(file, {"0.weight": np.ones((1, 2)), "0.bias": np.zeros(1)}, {})
    return path


def test_info(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(model)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    head, table = out.split("\n\n")
    assert f"{model}, {model.stat().st_size:,} bytes" in head
    for line in (
        "checksums      agree",
        "output         binary",
        "classes        no, yes",
        "feature names  a, b, c",
    ):
        assert line in head.splitlines()
    assert f"written by     fastnet {fn.__version__}, format version 1" in head
    assert "preprocessing  standardise" in head
    assert table.strip() == repr(fn.load(model))


def test_info_as_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", "--json", str(model)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["description"]["classes"] == ["no", "yes"]
    assert facts["tensors"]["layers.1.weight"] == [[1, 4], "float32"]


def test_info_on_a_file_of_another_program(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(foreign)]) == 0
    out = capsys.readouterr().out
    assert "another program" in out
    assert "checksums   none" in out
    assert "0.weight    [1, 2] float64" in out


def test_what_cannot_be_read(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    for arguments in (
        ["info", str(model)],
        ["export", str(model), "-o", str(model) + ".c"],
        ["info", "nothing"],
    ):
        assert cli.main(arguments) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("fastnet: error: ")
        assert ("damaged" in err) or ("No such file" in err)


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_export_to_files_of_ours(kind: str, model: Path, tmp_path: Path) -> None:
    for arguments, name in (([], f"out.{kind}"), (["--to", kind], "out")):
        assert cli.main(["export", str(model), *arguments, "-o", str(tmp_path / name)]) == 0
        again = fn.load(tmp_path / name)
        assert bits(again) == bits(fn.load(model))
        assert again.classes == ("no", "yes")
    assert (tmp_path / "out").read_bytes() == (tmp_path / f"out.{kind}").read_bytes()


def test_export_to_c(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(model), "--to", "c", "-o", str(tmp_path / "net.c")]) == 0
    assert capsys.readouterr() == ("", "")
    assert (tmp_path / "net.c").read_text() == c_export.source(fn.load(model))


def test_export_to_onnx(model: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    assert cli.main(["export", str(model), "-o", str(tmp_path / "net.onnx")]) == 0
    onnx.checker.check_model(onnx.load(tmp_path / "net.onnx"), full_check=True)


def test_export_of_a_file_of_another_program(
    foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.safetensors"
    assert cli.main(["export", str(foreign), "-o", str(out)]) == 1
    assert "give activations=" in capsys.readouterr().err
    assert cli.main(["export", str(foreign), "-o", str(out), "--activations", "identity"]) == 0
    assert fn.load(out).layers[0].activation == "identity"


def test_formats_that_there_are_not(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(model), "-o", "net.pkl"]) == 1
    assert (
        "--to, or the suffix of --output, must be one of 'safetensors', 'npz', 'onnx', 'c', got 'pkl'"
        in capsys.readouterr().err
    )
    with pytest.raises(SystemExit) as error:
        cli.main(["export", str(model), "--to", "pickle", "-o", "net.pkl"])
    assert error.value.code == 2


def test_without_onnx(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    assert cli.main(["export", str(model), "-o", "net.onnx"]) == 1
    assert 'needs onnx: pip install "fastnet-mlp[onnx]"' in capsys.readouterr().err
    assert not Path("net.onnx").exists()
