"""An ONNX graph that is being built. The only file that imports onnx."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import numpy as np

from fastnet import _validate
from fastnet._optional import import_optional
from fastnet._validate import Array
from fastnet._version import __version__

__all__ = ["OUTPUTS", "Graph"]

_OPSET, _ML_OPSET, _IR = 17, 3, 8  # all of 2022, which every current runtime reads
OUTPUTS = ("label", "probabilities", "prediction")


class Graph:
    """An ONNX graph that is being built: inputs, nodes, constants and outputs.

    Parameters
    ----------
    dtype : dtype
        Of the networks' weights: float32 or float64.
    taken : collection of str
        Names of inputs, which nodes and constants must not have.

    Attributes
    ----------
    types : TensorProto
        Its attributes are ONNX's numbers of the types: `types.INT64`.
    real : int
        ONNX's number of the dtype.
    """

    def __init__(self, dtype: np.dtype[Any], taken: Collection[str] = ()) -> None:
        self._onnx = import_optional("onnx", "the export to ONNX", extra="onnx")
        self._helper, self._numpy_helper = (
            import_optional("onnx.helper", ""),
            import_optional("onnx.numpy_helper", ""),
        )
        self._dtype = dtype
        self._taken = {*taken, *OUTPUTS}
        self._inputs: list[Any] = []
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._results: list[Any] = []
        self._domains = {"": _OPSET}
        self.types = self._onnx.TensorProto
        self.real = self._helper.np_dtype_to_tensor_dtype(dtype)

    def take(self, name: str, kind: int, columns: int, about: str = "") -> str:
        """Add an input of the graph, of shape (n, columns), and return its name."""
        shape = ["n", columns]
        self._inputs.append(self._helper.make_tensor_value_info(name, kind, shape, doc_string=about))
        return name

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
        """Add a constant array, unless there is one of this name, and return the name that it has."""
        name = self._free(name)
        if name not in self._constants:
            if array.dtype.kind == "U":
                array = array.astype(object)
            self._constants[name] = self._numpy_helper.from_array(array, name)
        return name

    def kind_of(self, constant: str) -> int:
        """Return ONNX's number of the type of a constant."""
        return int(self._constants[constant].data_type)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, with `domain` if the operator is not of ONNX's own, and return its output's name."""
        name = self._free(f"{operator.lower()}_{len(self._nodes)}")
        if "domain" in attributes:
            self._domains[attributes["domain"]] = _ML_OPSET
        self._nodes.append(self._helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def give(self, name: str, value: str, kind: int, *columns: int) -> None:
        """Add an output of the graph, of shape (n,) or (n, columns)."""
        self._nodes.append(self._helper.make_node("Identity", [value], [name], name))
        self._results.append(self._helper.make_tensor_value_info(name, kind, ["n", *columns]))

    def finished(self, about: dict[str, Any]) -> Any:
        """Return the checked model, with what is said about it as properties; None is left out."""
        graph = self._helper.make_graph(
            self._nodes, "fastnet", self._inputs, self._results, list(self._constants.values())
        )
        opsets = [self._helper.make_opsetid(*domain) for domain in self._domains.items()]
        made = self._helper.make_model(graph, opset_imports=opsets, ir_version=_IR)
        made.producer_name, made.producer_version = "fastnet", __version__
        texts = {name: json.dumps(value) for name, value in about.items() if value is not None}
        self._helper.set_model_props(made, texts)
        import_optional("onnx.checker", "").check_model(made, full_check=True)
        return made

    def _free(self, name: str) -> str:
        """Return a name that no input or output has."""
        while name in self._taken:
            name += "_"
        return name
