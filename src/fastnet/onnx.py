"""Export networks to ONNX, for ONNX Runtime and other programs. The only file that imports onnx.

The graph takes any number of examples, one in each row, as is usual in ONNX. A classifier returns `label` and
`probabilities`, a regression returns `prediction`. Standardisation is part of the graph. It computes in
float32 by default, because the programs that run such files support float64 poorly.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastnet import _validate
from fastnet._core.float_mode import in_default_mode
from fastnet._optional import import_optional
from fastnet._validate import Array
from fastnet._version import __version__
from fastnet.files import atomic
from fastnet.network import Network

__all__ = ["export", "model"]

_OPSET, _IR = 17, 8  # both of 2022, which every current runtime reads
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


def export(network: Network, path: str | os.PathLike[str], *, dtype: DTypeLike = "float32") -> None:
    """Write a network as an ONNX file, checked by onnx. A file that is there is replaced as a whole.

    Parameters
    ----------
    network : Network
    path : str or path-like
    dtype : {"float32", "float64"}
        Of input, weights and probabilities. ONNX Runtime runs float64 for the activations identity, sigmoid,
        tanh, relu, silu, exp and softmax only.

    Raises
    ------
    ValueError
        If the weights are not finite, or too large for ``dtype``, or a scale too small for it.
    ImportError
        If onnx is missing; ``pip install "fastnet-mlp[onnx]"`` brings it.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import fastnet as fn
    >>> from fastnet import onnx
    >>> onnx.export(fn.Network([fn.Layer(2, 1)]), "model.onnx")  # doctest: +SKIP
    """
    content = model(network, dtype=dtype).SerializeToString()
    atomic.write_atomically(path, lambda stream: atomic.write_all(stream, content))


@in_default_mode
def model(network: Network, *, dtype: DTypeLike = "float32") -> Any:
    """Return a network as an ONNX model.

    Parameters
    ----------
    network : Network
    dtype : {"float32", "float64"}
        As for `export`.

    Returns
    -------
    onnx.ModelProto
        Opset 17. Input `X` (n, n_in). Outputs: `label` (n,) with the network's classes, or 0, 1, ..., and
        `probabilities` (n, classes), both columns for one sigmoid; for several sigmoids `label` is 0 or 1 for
        each, (n, n_out); for a regression there is only `prediction` (n, n_out).

    Raises
    ------
    ValueError
        If the weights are not finite, or too large for ``dtype``, or a scale too small for it.
    ImportError
        If onnx is missing.

    Examples
    --------
    >>> import fastnet as fn
    >>> from fastnet import onnx
    >>> graph = onnx.model(fn.Network([fn.Layer(2, 1)])).graph  # doctest: +SKIP
    >>> [output.name for output in graph.output]  # doctest: +SKIP
    ['label', 'probabilities']
    """
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, got {type(network).__name__}")
    graph = _Graph(_validate.real_dtype(dtype))
    A = "X"
    if network.preprocessing is not None:
        mean, scale = network.preprocessing.mean, network.preprocessing.scale
        shift = graph.weights("mean", mean.reshape(1, -1), "preprocessing.mean")
        A = graph.add("Sub", A, shift)
        A = graph.add(
            "Div", A, graph.weights("scale", scale.reshape(1, -1), "preprocessing.scale", above_0=True)
        )
    for k, (W, b) in enumerate(zip(*network.weights(), strict=True)):
        names = (
            graph.weights(f"layers.{k}.weight", W, f"layers[{k}].W"),
            graph.weights(f"layers.{k}.bias", b.reshape(1, -1), f"layers[{k}].b", flat=True),
        )
        A = _activated(graph, network.layers[k].activation, graph.add("Gemm", A, *names, transB=1))
    _outputs(graph, network, A)
    return graph.finished(network)


def _activated(graph: _Graph, activation: str, Z: str) -> str:
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


_GELU = {"half": 0.5, "one": 1.0, "root_half": 0.5**0.5}


def _outputs(graph: _Graph, network: Network, A: str) -> None:
    """Add the outputs of the graph."""
    kind, n_out = network.output, network.sizes[-1]
    if kind == "regression":
        graph.give("prediction", A, graph.real, n_out)
        return
    over = "" if kind == "multiclass" else graph.add("Greater", A, graph.number("threshold", 0.5))
    if kind == "multilabel":
        graph.give("label", graph.add("Cast", over, to=graph.types.INT64), graph.types.INT64, n_out)
        graph.give("probabilities", A, graph.real, n_out)
        return
    classes = np.array(network.classes if network.classes is not None else range(max(2, n_out)))
    if kind == "multiclass":
        chosen = graph.add("ArgMax", A, axis=1, keepdims=0)
    else:
        A = graph.add("Concat", graph.add("Sub", graph.number("one", 1.0), A), A, axis=1)
        column = graph.add("Cast", over, to=graph.types.INT64)
        chosen = graph.add("Squeeze", column, graph.constant("last", np.array([1], np.int64)))
    label = graph.add("Gather", graph.constant("classes", classes), chosen)
    graph.give("label", label, graph.kind_of("classes"))
    graph.give("probabilities", A, graph.real, len(classes))


class _Graph:
    """An ONNX graph that is being built: nodes, constants and outputs."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._onnx = import_optional("onnx", "the export to ONNX", extra="onnx")
        self._helper, self._numpy_helper = (
            import_optional("onnx.helper", ""),
            import_optional("onnx.numpy_helper", ""),
        )
        self._dtype = dtype
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._results: list[Any] = []
        self.types = self._onnx.TensorProto
        self.real = self._helper.np_dtype_to_tensor_dtype(dtype)

    def number(self, name: str, value: Any) -> str:
        """Add a constant in the graph's dtype."""
        return self.constant(name, np.array(value, self._dtype))

    def weights(
        self, name: str, array: Array, argument: str, *, flat: bool = False, above_0: bool = False
    ) -> str:
        """Add a matrix of the network as a constant; ValueError if the graph's dtype cannot hold it."""
        _validate.finite(array, argument)
        with np.errstate(over="ignore", under="ignore"):
            found = array.astype(self._dtype)
        wrong = ~np.isfinite(found) | ((found <= 0) if above_0 else False)
        if wrong.any():
            value, *place = array[wrong][0], *map(int, np.argwhere(wrong)[0])
            raise ValueError(
                f"{argument} must fit {self._dtype}, got {value} at {place}: export with dtype='float64'"
            )
        return self.number(name, found.reshape(-1) if flat else found)

    def constant(self, name: str, array: Any) -> str:
        """Add a constant array, unless there is one of this name, and return the name."""
        if name not in self._constants:
            if array.dtype.kind == "U":
                array = array.astype(object)
            self._constants[name] = self._numpy_helper.from_array(array, name)
        return name

    def kind_of(self, constant: str) -> int:
        return int(self._constants[constant].data_type)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def give(self, name: str, value: str, kind: int, *columns: int) -> None:
        """Add an output of the graph, of shape (n,) or (n, columns)."""
        self._nodes.append(self._helper.make_node("Identity", [value], [name], name))
        self._results.append(self._helper.make_tensor_value_info(name, kind, ["n", *columns]))

    def finished(self, network: Network) -> Any:
        """Return the checked model."""
        X = self._helper.make_tensor_value_info("X", self.real, ["n", network.sizes[0]])
        graph = self._helper.make_graph(
            self._nodes, "fastnet", [X], self._results, list(self._constants.values())
        )
        opset = self._helper.make_opsetid("", _OPSET)
        made = self._helper.make_model(graph, opset_imports=[opset], ir_version=_IR)
        made.producer_name, made.producer_version = "fastnet", __version__
        about = {"feature_names": network.feature_names, "classes": network.classes}
        texts = {name: json.dumps(value) for name, value in about.items() if value is not None}
        self._helper.set_model_props(made, texts)
        import_optional("onnx.checker", "").check_model(made, full_check=True)
        return made
