"""`fastnet demo`: train on real data and on the network of the notes, and compare with the NumPy reference.

`breast_cancer` trains on three quarters of the shipped data with `Network.fit`, and trains the reference on
the same batches from the same initial weights. `notes` shows every quantity of the notes for three examples.
Both return a plain dict, which is also what ``--json`` prints. `report` and `notes_report` turn it into text.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnet import data, functions, isa, reference
from fastnet._core import engine
from fastnet._validate import Array
from fastnet._version import __version__
from fastnet.history import History
from fastnet.layer import Layer
from fastnet.network import Network

__all__ = ["BREAST_CANCER", "NOTES", "Settings", "breast_cancer", "notes", "notes_report", "report"]

_SPLIT_EPOCH = 2**63 - 1  # a stream of random numbers that no epoch of a fit will reach
_TIMED_EPOCHS = 50

NOTES_X = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]]  # three examples side by side
NOTES_T = [[1.0, 0.0, 1.0]]


@dataclass(frozen=True)
class Settings:
    """The settings of a demo.

    The default dtype is float64, as in NumPy and `Network`: in it, agreement with the reference shows down to
    the last digits.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int = 0
    dtype: str = "float64"


BREAST_CANCER = Settings(epochs=100, batch_size=200, learning_rate=0.2)
NOTES = Settings(epochs=100, batch_size=3, learning_rate=0.5)


def breast_cancer(
    settings: Settings = BREAST_CANCER, progress: bool = False
) -> tuple[dict[str, Any], History]:
    """Train 30-100-1 on three quarters of the breast-cancer data, here and in the reference.

    Returns
    -------
    results : dict
        Numbers and strings only. `seconds_per_epoch` and `reference_seconds_per_epoch` are the least wall
        time of an epoch; that of the reference leaves its shuffle out, which is written in Python for
        reading.
    history : History
    """
    X, T, _ = data.load_breast_cancer()
    n = X.shape[1]
    order = engine.permutation(n, settings.seed, _SPLIT_EPOCH)
    held_out, training_part = order[: n // 4], order[n // 4 :]
    mean = X[:, training_part].mean(axis=1, keepdims=True)
    scale = X[:, training_part].std(axis=1, keepdims=True)
    X = ((X - mean) / scale).astype(settings.dtype)
    T = T.astype(settings.dtype)
    X_train, T_train, X_test, T_test = (
        X[:, training_part],
        T[:, training_part],
        X[:, held_out],
        T[:, held_out],
    )
    net = Network([Layer(30, 100), Layer(100, 1)], seed=settings.seed, dtype=settings.dtype)
    results, history = _compare(net, X_train, T_train, X_test, T_test, settings, progress)
    return {"data": "Breast Cancer Wisconsin (diagnostic)", "features": len(X), **results}, history


def notes(settings: Settings = NOTES, progress: bool = False) -> tuple[dict[str, Any], History]:
    """Work through the notes' 2-3-1 network for three examples, then train on them, here and in NumPy.

    Returns
    -------
    results : dict
        As of `breast_cancer` (here the examples trained on are also those judged); `given`, the data and the
        weights before the training; `quantities`, for each quantity of the notes its name, its value here and
        in the reference, and the largest difference.
    history : History
    """
    X, T = np.array(NOTES_X, settings.dtype), np.array(NOTES_T, settings.dtype)
    net = Network([Layer(2, 3), Layer(3, 1)], seed=settings.seed, dtype=settings.dtype)
    given: dict[str, Any] = {"X": X.tolist(), "T": T.tolist()}
    for k, layer in enumerate(net.layers, start=1):
        given |= {f"W{k}": layer.W.tolist(), f"b{k}": layer.b.tolist()}
    quantities = []
    twin = _reference_network(net, settings)
    for (name, ours), (_, theirs) in zip(_notes_here(net, X, T), _notes_in_numpy(twin, X, T), strict=True):
        ours, theirs = np.atleast_2d(ours), np.atleast_2d(theirs)
        difference = float(abs(ours.astype(float) - theirs.astype(float)).max())
        quantities.append(
            {
                "name": name,
                "fastnet": ours.tolist(),
                "reference": theirs.tolist(),
                "max_difference": difference,
            }
        )
    results, history = _compare(net, X, T, X, T, settings, progress)
    about = {"data": "three examples of the notes", "features": len(X)}
    return {**about, "given": given, "quantities": quantities, **results}, history


def _reference_network(net: Network, settings: Settings) -> reference.Network:
    layers = [reference.Layer(layer.n_in, layer.n_out, layer.activation) for layer in net.layers]
    return reference.Network(layers, seed=settings.seed, dtype=settings.dtype)


def _compare(
    net: Network, X: Array, T: Array, X_test: Array, T_test: Array, settings: Settings, progress: bool
) -> tuple[dict[str, Any], History]:
    """Train a network and the same one in the reference on the same batches, and compare the results."""
    twin, timed = _reference_network(net, settings), _reference_network(net, settings)
    chosen: dict[str, Any] = {"batch_size": min(settings.batch_size, X.shape[1])}
    chosen |= {"optimizer": "sgd", "learning_rate": settings.learning_rate}  # the rule of the notes
    history = net.fit(X, T, epochs=settings.epochs, seed=settings.seed, progress=progress, **chosen)
    start = time.perf_counter()
    twin.fit(X, T, epochs=settings.epochs, seed=settings.seed, **chosen)
    spent = time.perf_counter() - start
    numpy_seconds = timed.fit(
        X, T, epochs=min(settings.epochs, _TIMED_EPOCHS), shuffle=False, **chosen
    ).seconds
    P, P_twin = net.predict_proba(X_test), twin.predict_proba(X_test)
    pairs = [
        (ours, theirs)
        for layer, other in zip(net.layers, twin.layers, strict=True)
        for ours, theirs in ((layer.W, other.W), (layer.b, other.b))
    ]
    seconds, reference_seconds = min(history.seconds), min(numpy_seconds)
    return {
        "sizes": list(net.sizes),
        "n_train": X.shape[1],
        "n_test": X_test.shape[1],
        "epochs": settings.epochs,
        **chosen,
        "seed": settings.seed,
        "dtype": settings.dtype,
        "isa": isa.active(),
        "loss": history.loss[-1],
        "correct": int(((P > 0.5) == (T_test > 0.5)).sum()),
        "accuracy": float(((P > 0.5) == (T_test > 0.5)).mean()),
        "log_loss": net.loss(X_test, T_test),
        "max_weight_difference": max(float(abs(ours - theirs).max()) for ours, theirs in pairs),
        "max_prediction_difference": float(abs(P - P_twin).max()),
        "seconds_per_epoch": seconds,
        "reference_seconds_per_epoch": reference_seconds,
        "ratio": reference_seconds / seconds,
        "seconds_are": "least wall time of an epoch; the reference's without its shuffle",
        "seconds": sum(history.seconds),
        "reference_seconds": spent,
        "versions": {"fastnet": __version__, "numpy": np.__version__, "python": platform.python_version()},
    }, history


def _notes_here(net: Network, X: Array, T: Array) -> Iterator[tuple[str, Any]]:
    """Yield each quantity of the notes, computed by single calls of the kernels."""
    first, second = net.layers
    Z1 = functions.dense_forward(first.W, first.b, X)
    A1 = functions.sigmoid(Z1)
    Z2 = functions.dense_forward(second.W, second.b, A1)
    A2 = functions.sigmoid(Z2)
    dZ2 = functions.bce_backward(Z2, T)
    dA1, dW2, db2 = functions.dense_backward(second.W, A1, dZ2)
    dZ1 = functions.sigmoid_backward(dA1, A1)
    _, dW1, db1 = functions.dense_backward(first.W, X, dZ1)
    J = X.shape[1] * functions.bce_loss(Z2, T)
    values = (Z1, A1, Z2, A2, J, dZ2, dW2, db2, dA1, dZ1, dW1, db1)
    yield from zip(_NOTES, values, strict=True)


def _notes_in_numpy(net: reference.Network, X: Array, T: Array) -> Iterator[tuple[str, Any]]:
    """Yield the same quantities, computed by the NumPy reference."""
    first, second = net.layers
    Z1 = reference.dense_forward(first.W, first.b, X)
    A1 = reference.sigmoid(Z1)
    Z2 = reference.dense_forward(second.W, second.b, A1)
    A2 = reference.sigmoid(Z2)
    dZ2 = reference.bce_backward(Z2, T)
    dA1, dW2, db2 = reference.dense_backward(second.W, A1, dZ2)
    dZ1 = dA1 * A1 * (1 - A1)
    _, dW1, db1 = reference.dense_backward(first.W, X, dZ1)
    J = X.shape[1] * reference.bce_loss(Z2, T)
    values = (Z1, A1, Z2, A2, J, dZ2, dW2, db2, dA1, dZ1, dW1, db1)
    yield from zip(_NOTES, values, strict=True)


_NOTES = {
    "Z1": "W1 X + b1",
    "A1": "sigmoid(Z1)",
    "Z2": "W2 A1 + b2",
    "A2": "sigmoid(Z2), the prediction",
    "J": "sum over the examples of -t log a - (1 - t) log(1 - a); a fit takes the mean",
    "dJ/dZ2": "A2 - T",
    "dJ/dW2": "dJ/dZ2 A1^T",
    "dJ/db2": "sum of dJ/dZ2",
    "dJ/dA1": "W2^T dJ/dZ2",
    "dJ/dZ1": "dJ/dA1 * A1 (1 - A1)",
    "dJ/dW1": "dJ/dZ1 X^T",
    "dJ/db1": "sum of dJ/dZ1",
}


def report(results: dict[str, Any]) -> str:
    """Return the results of a training as text."""
    judged, apart = "held-out", f", {results['n_test']} held out"
    if "quantities" in results:  # of the notes, which hold nothing out
        judged, apart = "training", ""
    sizes, versions = "-".join(map(str, results["sizes"])), results["versions"]
    correct = f"{results['correct']} of {results['n_test']}"
    return f"""\
data       {results["data"]}: {results["features"]} features, {results["n_train"]} examples to train on{apart}
network    {sizes}, sigmoid, {results["dtype"]}
training   {results["epochs"]} epochs, batches of {results["batch_size"]}, \
learning rate {results["learning_rate"]:g}, seed {results["seed"]}
ran on     build {results["isa"]} of fastnet {versions["fastnet"]}, NumPy {versions["numpy"]}, \
Python {versions["python"]}

{judged} accuracy         {results["accuracy"]:.4f}  ({correct})
{judged} log loss         {results["log_loss"]:.4g}

largest difference from the NumPy reference, trained on the same batches
  of weights              {results["max_weight_difference"]:.2e}
  of predictions          {results["max_prediction_difference"]:.2e}

time per epoch (least wall time; the reference's without its shuffle)
  fastnet                 {_duration(results["seconds_per_epoch"])}
  NumPy reference         {_duration(results["reference_seconds_per_epoch"])}
  ratio                   {results["ratio"]:.1f}"""


def notes_report(results: dict[str, Any]) -> str:
    """Return every quantity of the notes beside the reference's as text, then the report of the training."""
    lines = ["The network of the notes, 2-3-1, for three examples; a column is an example.", ""]
    for name, rows in results["given"].items():
        lines += [f"{name if k == 0 else '':8}{_row(row)}" for k, row in enumerate(rows)]
    n = max(len(row) for quantity in results["quantities"] for row in quantity["fastnet"])
    width = len(_row([0.0] * n))
    lines += ["", f"{'':8}{'fastnet':>{width}}   {'NumPy reference':>{width}}   {'difference':>10}"]
    for quantity in results["quantities"]:
        name = quantity["name"]
        lines += ["", f"{name} = {_NOTES[name]}"]
        for k, (ours, theirs) in enumerate(zip(quantity["fastnet"], quantity["reference"], strict=True)):
            difference = "" if k else f"   {quantity['max_difference']:10.1e}"
            lines.append(f"{'':8}{_row(ours):{width}}   {_row(theirs):{width}}{difference}".rstrip())
    return "\n".join([*lines, "", "Then trained on these examples:", "", report(results)])


def _row(values: list[float]) -> str:
    return " ".join(f"{value:13.9f}" for value in values)


def _duration(seconds: float) -> str:
    return f"{1e6 * seconds:.1f} us" if seconds < 1e-3 else f"{1e3 * seconds:.2f} ms"
