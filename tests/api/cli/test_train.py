"""`fastnet train`: what it chooses and tells, what it writes, and wrong input in one line."""

from __future__ import annotations

import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_pinball_loss

import fastnet as fn
from fastnet import cli

FAST = ["--members", "1", "--epochs", "3", "--width", "8"]
Capture = pytest.CaptureFixture[str]


def train(path: Path | str, output: Path, *options: str) -> int:
    return cli.main(["train", str(path), "-o", str(output), *FAST, *options])


def test_it_tells_what_it_chose_and_why(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "model.safetensors"
    assert train(folder / "data.csv", output, "--target", "churn") == 0
    out, err = capsys.readouterr()
    assert out == ""
    for text in (
        "data.csv: 120 rows, 6 columns",
        "churn: classification into 2 classes",
        "because the values are texts",
        "96 to train, 24 held out to score",
        "city: category, 3 inputs, 3 levels",
        "since.month: datetime",
        "epoch",
        "held out   accuracy",
        "baseline   accuracy",
        "(always ",
        f"wrote      {output}, {output.stat().st_size:,} bytes",
    ):
        assert text in err, text
    model = fn.load(output)
    assert type(model).__name__ == "TabularClassifier"
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.verbose is False


def test_lines_of_json_and_the_score(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "model.safetensors"
    line = ["--target", "spent", "--log-json", "-", "--quiet", "--held-out", "0.25", "--drop", "churn"]
    line += ["--epochs", "40"]
    assert train(folder / "data.csv", output, *line) == 0
    out, err = capsys.readouterr()
    assert err == ""
    events = {event["event"]: event for event in map(json.loads, out.splitlines())}
    assert list(events) == [
        "data",
        "target",
        "rows",
        "column",
        "network",
        "trained",
        "score",
        "baseline",
        "saved",
    ]
    assert events["target"]["task"] == "regression"
    assert len(events["network"]["validation_loss"]) >= 1
    assert abs(events["baseline"]["R2"]) < 0.3
    assert events["score"]["RMSE"] > 0
    assert train(folder / "data.csv", output, *line) == 0
    again = {event["event"]: event for event in map(json.loads, capsys.readouterr().out.splitlines())}
    assert again["score"] == events["score"]  # the same bits
    model = fn.load(output)
    assert "churn" not in model.feature_names_in_
    assert type(model).__name__ == "TabularRegressor"


@pytest.mark.parametrize(
    ("values", "task", "why"),
    [
        ([0, 1, 2] * 10, "classification", "because there are 3 different whole numbers"),
        ([0.0, 1.0] * 15, "classification", "because there are 2 different whole numbers"),
        ([True, False] * 15, "classification", "because the values are true and false"),
        (list(range(30)), "regression", "because the values are numbers, more than 20 different"),
        ([0.5, 1.0] * 15, "regression", "because the values are numbers, not all whole"),
    ],
)
def test_the_task_is_found_from_the_target(
    values: list[float], task: str, why: str, tmp_path: Path, capsys: Capture
) -> None:
    pytest.importorskip("pyarrow")
    pd.DataFrame({"x": np.arange(30.0) % 7, "y": values}).to_csv(tmp_path / "data.csv", index=False)
    output = tmp_path / "model.safetensors"
    assert train(tmp_path / "data.csv", output, "--target", "y", "--held-out", "0") == 0
    err = capsys.readouterr().err
    assert f"y: {task}" in err
    assert why in err
    assert "none held out" in err
    assert hasattr(fn.load(output), "classes_") == (task == "classification")
    other = "regression" if task == "classification" else None
    if other:
        assert train(tmp_path / "data.csv", output, "--target", "y", "--task", other) == 0
        assert "as --task says" in capsys.readouterr().err
        assert not hasattr(fn.load(output), "classes_")


def test_a_quantile_of_the_target(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "model.safetensors"
    line = ["--target", "spent", "--log-json", "-", "--quiet", "--held-out", "0.5", "--epochs", "40"]
    assert train(folder / "data.csv", output, *line, "--quantile", "0.9") == 0
    events = {event["event"]: event for event in map(json.loads, capsys.readouterr().out.splitlines())}
    assert "as --quantile says" in events["target"]["text"]
    model = fn.load(output)
    assert model.quantile == 0.9
    table = pd.read_csv(folder / "data.csv")
    rest = np.setdiff1d(np.arange(120), cli.train._held_out(table["spent"].to_numpy(), 0.5, 0, "regression"))
    y = table["spent"].to_numpy()
    constant, others = np.quantile(y[rest], 0.9), np.delete(y, rest)
    assert events["baseline"]["targets below"] == (others <= constant).mean()
    assert events["baseline"]["pinball loss"] == pytest.approx(
        mean_pinball_loss(others, np.full(len(others), constant), alpha=0.9), rel=1e-12
    )
    assert 0 < events["score"]["pinball loss"] != events["baseline"]["pinball loss"]
    assert train(folder / "data.csv", output, *line, "--quantile", "0.9", "--task", "classification") == 1
    assert "--quantile must be left out for --task classification" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train(folder / "data.csv", output, *line, "--quantile", "1")
    assert "must be above 0 and below 1, got 1" in capsys.readouterr().err


def test_kinds_gaps_in_the_target_and_a_picture(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("matplotlib")
    text = "zip,y\n" + "".join(f"0{k % 3},{'ab'[k % 2] if k % 10 else ''}\n" for k in range(40))
    (tmp_path / "data.csv").write_text(text)
    output, picture = tmp_path / "model.safetensors", tmp_path / "loss.png"
    line = ["--target", "y", "--kind", "zip=category", "--plot", str(picture)]
    assert train(tmp_path / "data.csv", output, *line) == 0
    assert "4 rows without a target are left out" in capsys.readouterr().err
    assert picture.read_bytes()[:4] == b"\x89PNG"
    levels = fn.load(output).encoder_.to_dict()["columns"][0]["encoding"]["levels"]
    assert sorted(levels) == ["00", "01", "02"]


def test_standard_input(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "model.safetensors"
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO((folder / "data.csv").read_bytes())))
    assert train("-", output, "--target", "churn", "--quiet") == 0
    assert output.read_bytes() == (folder / "churn.safetensors").read_bytes()


def test_wrong_input_is_told_in_one_line(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "model.safetensors"
    files = {
        "empty.csv": b"",
        "blank.csv": b"\n\n",
        "binary.csv": bytes(range(256)) * 9,
        "head.csv": b"a,y\n",
        "one.csv": b"y\n1\n2\n",
        "ragged.csv": b"a,y\n1,2\n1,2,3\n",
        "twice.csv": b"a,a,y\n1,2,3\n",
        "latin.csv": "a,y\ncafé,1\n".encode("latin-1"),
        "semicolon.csv": b"a;y\n1;2\n",
        "gz.csv": b"\x1f\x8bnonsense",
        "pq.csv": b"PAR1nonsense",
        "constant.csv": b"a,y\n" + b"1,b\n" * 12,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    cases = [
        (["empty.csv"], "empty.csv: the file must hold a table, but it is empty"),
        (["blank.csv"], "it is empty"),
        (["binary.csv"], "but it is binary"),
        (["head.csv"], "--target 'y' must have a value in at least one row, got none"),
        (["one.csv"], "there must be a column besides the target 'y'"),
        (["ragged.csv"], "ragged.csv: CSV parse error"),
        (["twice.csv"], "columns must have different names, got 'a' twice"),
        (["latin.csv"], "column 'a' must be text in utf-8; --encoding latin-1"),
        (["semicolon.csv"], "the only column is 'a;y': give --separator"),
        (["gz.csv"], "gz.csv: the gzip file is damaged"),
        (["pq.csv"], "pq.csv: "),
        (["constant.csv"], "--target 'y' must have at least two classes, got only 'b'"),
        (["nothing.csv"], "No such file or directory: "),
        ([""], "Is a directory: "),
    ]
    for names, message in cases:
        assert train(tmp_path / names[0], output, "--target", "y") == 1
        out, err = capsys.readouterr()
        assert out == ""
        last = err.splitlines()[-1]
        assert last.startswith("fastnet: error: "), err
        assert message in last, err
        assert "Traceback" not in err
        assert not output.exists()
    data = folder / "data.csv"
    for options, message in (
        (["--target", "chrun"], "--target must be a column of "),
        (["--target", "chrun"], "got 'chrun'; did you mean 'churn'?"),
        (["--target", "churn", "--drop", "x"], "--drop must be a column of"),
        (["--target", "churn", "--kind", "x=number"], "--kind must be a column of"),
        (["--target", "churn", "--kind", "age=colour"], "--kind must be COLUMN=KIND"),
        (["--target", "churn", "--task", "regression"], "numbers for a regression, as --task says, got"),
        (["--target", "since"], "must hold numbers, texts or booleans, got datetime"),
        (["--target", "churn", "--encoding", "klingon"], "--encoding must be the name of an encoding"),
    ):
        assert train(data, output, *options) == 1
        assert message in capsys.readouterr().err.splitlines()[-1]
    for name, message in (
        ("model.npz", "--output must end with .safetensors"),
        ("no/m.safetensors", "No such folder"),
    ):
        assert train(data, tmp_path / name, "--target", "churn") == 1
        assert message in capsys.readouterr().err
    assert train(tmp_path / "latin.csv", output, "--target", "a", "--encoding", "latin-1") == 1
    assert "got only 'café'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [[], ["--target", "y", "--held-out", "1"], ["--target", "y", "--separator", "ab"]]
)
def test_a_wrong_command_line(options: list[str], tmp_path: Path, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        train("data.csv", tmp_path / "model.safetensors", *options)
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("fastnet train: error: ")
    assert len(err.splitlines()) == 1


def test_without_pyarrow(
    folder: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert train(folder / "data.csv", tmp_path / "m.safetensors", "--target", "churn") == 1
    assert 'needs pyarrow: pip install "fastnet-mlp[cli]"' in capsys.readouterr().err


def test_class_weights_are_named_by_the_labels(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    """A class that counts for little is less probable; numbers are labels too."""
    output = tmp_path / "model.safetensors"
    table = pd.read_csv(folder / "data.csv", parse_dates=["since"])
    longer = ["--epochs", "12"]
    assert train(folder / "data.csv", output, "--target", "churn", *longer) == 0
    plain = fn.load(output).predict_proba(table.drop(columns="churn"))[:, 1].mean()
    line = ["--target", "churn", "--class-weight", "yes=0.001", "--class-weight", "no=2", *longer]
    assert train(folder / "data.csv", output, *line) == 0
    model = fn.load(output)
    assert model.class_weight == {"no": 2.0, "yes": 0.001}
    assert model.predict_proba(table.drop(columns="churn"))[:, 1].mean() < 0.8 * plain
    table["churn"] = (table["churn"] == "yes").astype(int) + 1
    table.to_csv(tmp_path / "numbers.csv", index=False)
    line = ["--target", "churn", "--class-weight", "2=0.5", "--held-out", "0"]
    assert train(tmp_path / "numbers.csv", output, *line) == 0
    assert fn.load(output).class_weight == {2: 0.5}
    assert train(folder / "data.csv", output, "--target", "churn", "--class-weight", "balanced") == 0
    assert fn.load(output).class_weight == "balanced"
    capsys.readouterr()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--class-weight", "maybe=2"], "must name a class of the target, 'no', 'yes', got 'maybe'"),
        (
            ["--class-weight", "yes"],
            "must be balanced or CLASS=NUMBER with a number of at least 0, got 'yes'",
        ),
        (["--class-weight", "yes=-1"], "with a number of at least 0, got 'yes=-1'"),
        (["--class-weight", "yes=nan"], "with a number of at least 0, got 'yes=nan'"),
        (["--class-weight", "yes=2", "--class-weight", "balanced"], "got both"),
        (["--target", "spent", "--class-weight", "balanced"], "must be left out for a regression"),
    ],
)
def test_wrong_class_weights_are_one_line(
    options: list[str], message: str, folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    line = options if "--target" in options else ["--target", "churn", *options]
    assert train(folder / "data.csv", tmp_path / "model.safetensors", *line, "--quiet") == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
