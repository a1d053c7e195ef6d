"""Networks as ONNX operators: layers, activations, the mean of several networks, labels and probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnet.ensemble import Ensemble, Targets
from fastnet.network import Network
from fastnet.onnx._graph import Graph

__all__ = ["add_mean", "add_outputs"]

_OPERATORS = {
    "sigmoid": "Sigmoid",
    "logistic": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "elu": "Elu",
    "selu": "Selu",
    "softplus": "Softplus",
    "exp": "Exp",
}
_ATTRIBUTES: dict[str, dict[str, float]] = {"leaky_relu": {"alpha": 0.01}, "elu": {"alpha": 1.0}}
_GELU = {"half": 0.5, "one": 1.0, "root_half": 0.5**0.5}


def add_mean(graph: Graph, ensemble: Ensemble, X: str) -> str:
    """Add all networks and the mean of what they make of X, and return its name."""
    count = len(ensemble)
    if count == 1:
        return _add_network(graph, ensemble.networks[0], X, "")
    total = ""
    for k, network in enumerate(ensemble.networks):
        A = _add_network(graph, network, X, f"networks[{k}].")
        total = graph.add("Add", total, A) if total else A
    return graph.add("Div", total, graph.number("networks", count))


def _add_network(graph: Graph, network: Network, A: str, where: str) -> str:
    """Add a network; `where` is what its constants and errors begin with."""
    name = where.replace("[", ".").replace("]", "")
    if network.preprocessing is not None:
        mean, scale = network.preprocessing.mean.reshape(1, -1), network.preprocessing.scale.reshape(1, -1)
        A = graph.add("Sub", A, graph.weights(f"{name}mean", mean, f"{where}preprocessing.mean"))
        divisor = graph.weights(f"{name}scale", scale, f"{where}preprocessing.scale", above_0=True)
        A = graph.add("Div", A, divisor)
    for k, (W, b) in enumerate(zip(*network.weights(), strict=True)):
        constants = (
            graph.weights(f"{name}layers.{k}.weight", W, f"{where}layers[{k}].W"),
            graph.weights(f"{name}layers.{k}.bias", b.reshape(1, -1), f"{where}layers[{k}].b", flat=True),
        )
        A = _activated(graph, network.layers[k].activation, graph.add("Gemm", A, *constants, transB=1))
    return A


def _activated(graph: Graph, activation: str, Z: str) -> str:
    """Add an activation: one operator, or several where this opset has no operator for it."""
    if activation == "identity":
        return Z
    if activation == "softmax":
        return graph.add("Softmax", Z, axis=1)
    if activation == "silu":
        return graph.add("Mul", Z, graph.add("Sigmoid", Z))
    if activation == "mish":
        return graph.add("Mul", Z, graph.add("Tanh", graph.add("Softplus", Z)))
    if activation == "gelu":  # z/2 (1 + erf(z / sqrt 2))
        half, one, root = (graph.number(name, value) for name, value in _GELU.items())
        erf = graph.add("Erf", graph.add("Mul", Z, root))
        return graph.add("Mul", graph.add("Mul", Z, half), graph.add("Add", erf, one))
    return graph.add(_OPERATORS[activation], Z, **_ATTRIBUTES.get(activation, {}))


def add_outputs(graph: Graph, ensemble: Ensemble, A: str, labels: NDArray[Any] | None) -> None:
    """Add the outputs of the graph, with these labels of the classes or 0, 1, ..."""
    kind, n_out = ensemble.networks[0].output, ensemble.n_out
    if kind == "regression" and ensemble.targets is not None:
        graph.give("prediction", _targets(graph, ensemble.targets, A), graph.types.DOUBLE, n_out)
        return
    if kind == "regression":
        graph.give("prediction", A, graph.real, n_out)
        return
    over = "" if kind == "multiclass" else graph.add("Greater", A, graph.number("threshold", 0.5))
    if kind == "multilabel":
        graph.give("label", graph.add("Cast", over, to=graph.types.INT64), graph.types.INT64, n_out)
        graph.give("probabilities", A, graph.real, n_out)
        return
    classes = np.arange(max(2, n_out)) if labels is None else labels
    if kind == "multiclass":
        chosen = graph.add("ArgMax", A, axis=1, keepdims=0)
    else:
        A = graph.add("Concat", graph.add("Sub", graph.number("one", 1.0), A), A, axis=1)
        column = graph.add("Cast", over, to=graph.types.INT64)
        chosen = graph.add("Squeeze", column, graph.constant("last", np.array([1], np.int64)))
    named = graph.constant("classes", classes)
    graph.give("label", graph.add("Gather", named, chosen), graph.kind_of(named))
    graph.give("probabilities", A, graph.real, len(classes))


def _targets(graph: Graph, targets: Targets, A: str) -> str:
    """Add mean + scale · output, cut to [low, high], in float64."""
    mean, scale, low, high = (
        graph.constant(f"targets.{name}", getattr(targets, name)[None])
        for name in ("mean", "scale", "low", "high")
    )
    y = graph.add("Mul", scale, graph.add("Cast", A, to=graph.types.DOUBLE))
    return graph.add("Min", graph.add("Max", graph.add("Add", mean, y), low), high)
