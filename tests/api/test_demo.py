"""The command: what `fastnet demo` shows on real data and for the notes' network, and its exit codes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet import cli, demo
from fastnet.data import load_breast_cancer

WEIGHTS = {"float64": 1e-9, "float32": 1e-4}  # what the demo promises for a whole training
PREDICTIONS = {"float64": 1e-10, "float32": 1e-5}
PROMISED = {
    "accuracy",
    "log_loss",
    "max_weight_difference",
    "max_prediction_difference",
    "seconds_per_epoch",
    "reference_seconds_per_epoch",
    "isa",
    "dtype",
}


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert cli.main(["demo", "--json", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    results = json.loads(out)
    assert results.keys() >= PROMISED
    return dict(results)


def test_the_data_is_whole() -> None:
    X, T, names = load_breast_cancer()
    assert (X.shape, T.shape, len(names)) == ((30, 569), (1, 569), 30)
    assert (X.dtype, T.dtype) == (np.float64, np.float64)
    assert X.flags.f_contiguous
    assert int(T.sum()) == 357
    assert set(np.unique(T)) == {0.0, 1.0}
    assert X[:3, 0].tolist() == [17.99, 10.38, 122.8]
    assert X[-1, -1] == 0.07039
    assert (names[0], names[-1]) == ("mean radius", "worst fractal dimension")
    assert math.isclose(math.fsum(X.ravel()), 1056474.4596356, rel_tol=1e-12)


def test_the_data_is_that_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = datasets.load_breast_cancer()
    X, T, names = load_breast_cancer()
    assert np.array_equal(X.T, theirs.data)
    assert np.array_equal(T[0], theirs.target)
    assert names == list(theirs.feature_names)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_demo_is_accurate_and_agrees_with_the_reference(
    dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run_json(capsys, "--dtype", dtype)
    assert results["accuracy"] >= 0.95
    assert results["accuracy"] == results["correct"] / results["n_test"]
    assert 0 < results["log_loss"] < 0.2
    assert results["max_weight_difference"] <= WEIGHTS[dtype]
    assert results["max_prediction_difference"] <= PREDICTIONS[dtype]
    assert results["seconds_per_epoch"] > 0
    assert results["ratio"] == results["reference_seconds_per_epoch"] / results["seconds_per_epoch"]
    assert (results["dtype"], results["isa"]) == (dtype, fn.isa.active())
    assert (results["sizes"], results["n_train"], results["n_test"]) == ([30, 100, 1], 427, 142)
    assert results["versions"]["fastnet"] == fn.__version__


def test_the_numbers_are_those_of_the_training_described() -> None:
    X, T, _ = load_breast_cancer()
    order = fn.reference.permutation(569, seed=3, epoch=2**63 - 1)
    held_out, training_part = order[:142], order[142:]
    X = (X - X[:, training_part].mean(1, keepdims=True)) / X[:, training_part].std(1, keepdims=True)
    net = fn.Network([fn.Layer(30, 100), fn.Layer(100, 1)], seed=3)
    settings = demo.Settings(epochs=5, batch_size=64, learning_rate=0.1, seed=3)
    results, history = demo.breast_cancer(settings)
    expected = net.fit(X[:, training_part], T[:, training_part], 5, 64, 0.1, seed=3)
    assert history.loss == expected.loss
    assert results["loss"] == expected.loss[-1]
    assert results["log_loss"] == net.loss(X[:, held_out], T[:, held_out])
    assert results["seconds_per_epoch"] == min(history.seconds)


def test_a_difference_from_the_reference_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    forward, permutation = fn.reference.dense_forward, fn.reference.permutation
    monkeypatch.setattr(fn.reference.network, "permutation", lambda *arguments: permutation(*arguments)[::-1])
    results, _ = demo.breast_cancer(demo.Settings(epochs=2, batch_size=64, learning_rate=0.2))
    assert results["max_weight_difference"] > WEIGHTS["float32"]
    assert results["max_prediction_difference"] > PREDICTIONS["float32"]
    monkeypatch.setattr(fn.reference, "dense_forward", lambda *arguments: forward(*arguments) + 1)
    results, _ = demo.notes()
    assert results["quantities"][0]["max_difference"] > 0.5


@pytest.mark.parametrize("seed", range(1, 6))
def test_demo_is_accurate_for_other_splits(seed: int) -> None:
    results, _ = demo.breast_cancer(demo.Settings(epochs=100, batch_size=200, learning_rate=0.2, seed=seed))
    assert results["accuracy"] >= 0.95


def test_the_same_seed_repeats_and_the_options_arrive(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--epochs", "3", "--batch-size", "50", "--learning-rate", "0.3", "--seed", "4"]
    first, second = run_json(capsys, *options), run_json(capsys, *options)
    assert [first[key] for key in ("epochs", "batch_size", "learning_rate", "seed")] == [3, 50, 0.3, 4]
    same = ("loss", "accuracy", "log_loss", "max_weight_difference")
    assert [first[key] for key in same] == [second[key] for key in same]
    assert first["loss"] != run_json(capsys, *options[:-1], "5")["loss"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_notes_shows_each_quantity_next_to_the_reference(
    dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run_json(capsys, "--notes", "--dtype", dtype)
    quantities = {quantity["name"]: quantity for quantity in results["quantities"]}
    backward = ["dJ/dZ2", "dJ/dW2", "dJ/db2", "dJ/dA1", "dJ/dZ1", "dJ/dW1", "dJ/db1"]
    names = ["Z1", "A1", "Z2", "A2", "J", *backward]
    assert list(quantities) == names
    shapes = [np.shape(quantities[name]["fastnet"]) for name in names]
    assert shapes == [
        (3, 3),
        (3, 3),
        (1, 3),
        (1, 3),
        (1, 1),
        (1, 3),
        (1, 3),
        (1, 1),
        (3, 3),
        (3, 3),
        (3, 2),
        (3, 1),
    ]
    eps = float(np.finfo(dtype).eps)
    for quantity in quantities.values():  # sums of at most 3 products of numbers below 4, after two layers
        difference = abs(np.subtract(quantity["fastnet"], quantity["reference"])).max()
        assert difference == quantity["max_difference"] <= 64 * eps
    given = {name: np.array(rows) for name, rows in results["given"].items()}
    Z1 = given["W1"] @ given["X"] + given["b1"]
    assert abs(Z1 - quantities["Z1"]["fastnet"]).max() <= 16 * eps
    assert abs(quantities["A2"]["fastnet"] - given["T"] - quantities["dJ/dZ2"]["fastnet"]).max() <= 4 * eps
    assert results["max_weight_difference"] <= WEIGHTS[dtype]
    assert results["sizes"] == [2, 3, 1]


def test_the_reports_are_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--epochs", "2"]) == 0
    out, err = capsys.readouterr()
    for words in (
        "held-out accuracy",
        "held-out log loss",
        "of weights",
        "of predictions",
        "ratio",
        "30-100-1",
    ):
        assert words in out
    assert f"build {fn.isa.active()}" in out
    assert "2/2" in err, "progress goes to stderr"
    assert cli.main(["demo", "--notes"]) == 0
    out, _ = capsys.readouterr()
    for name in ("Z1 = W1 X + b1", "dJ/dZ2 = A2 - T", "dJ/dW1 = dJ/dZ1 X^T", "NumPy reference"):
        assert name in out
    assert max(map(len, out.splitlines())) <= 120


def test_isa_tells_the_builds(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["isa"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["compiled", *fn.isa.compiled()],
        ["supported", *fn.isa.supported()],
        ["active", fn.isa.active()],
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["demo", "--epochs", "0"],
        ["demo", "--epochs", "two"],
        ["demo", "--batch-size", "-1"],
        ["demo", "--learning-rate", "nan"],
        ["demo", "--learning-rate", "0"],
        ["demo", "--seed", "-1"],
        ["demo", "--dtype", "float16"],
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: fastnet" in capsys.readouterr().err


def test_a_failure_exits_with_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.main(["demo", "--dtype", "float32", "--learning-rate", "3e38", "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fastnet: error: fit diverged in epoch 1 of 100 with learning_rate=3e+38")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as if matplotlib were not installed
    assert cli.main(["demo", "--plot", "loss.png"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert 'pip install "fastnet[plot]"' in err


def test_plot_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    from fastnet.plot import new_figure, plot_history

    assert cli.main(["demo", "--epochs", "3", "--json", "--plot", str(tmp_path / "loss.png")]) == 0
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    ax = new_figure().subplots()
    assert plot_history(fn.History([0.5, 0.25], [1.0, 1.0]), ax=ax) is ax
    assert ax.lines[0].get_xydata().tolist() == [[1.0, 0.5], [2.0, 0.25]]


def test_python_m_fastnet_is_the_command() -> None:
    command = [sys.executable, "-m", "fastnet"]
    ran = subprocess.run(
        [*command, "demo", "--json", "--epochs", "5"],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert json.loads(ran.stdout).keys() >= PROMISED
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"fastnet {fn.__version__}\n"
    assert (
        subprocess.run([*command, "demo", "--epochs", "0"], capture_output=True, check=False).returncode == 2
    )
