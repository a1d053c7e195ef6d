"""`fastnet demo`: what it shows on real data and for the network of the notes."""

from __future__ import annotations

import json
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
    expected = net.fit(X[:, training_part], T[:, training_part], 5, 64, 0.1, seed=3, optimizer="sgd")
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
