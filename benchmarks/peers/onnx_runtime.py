"""onnxruntime: the same network as a graph of Gemm and Sigmoid nodes, run by its CPU provider."""

from __future__ import annotations

import time

import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.peers.base import Array, Predictor


class OnnxRuntime(Predictor):
    """A session with one thread and all graph optimisations."""

    clock = staticmethod(time.process_time)

    def __init__(self, W: list[Array], b: list[Array]) -> None:
        nodes, constants, last = [], [], "A0"
        for k, (layer_W, layer_b) in enumerate(zip(W, b, strict=True)):
            constants += [
                numpy_helper.from_array(layer_W, f"W{k}"),
                numpy_helper.from_array(layer_b, f"b{k}"),
            ]
            nodes.append(helper.make_node("Gemm", [last, f"W{k}", f"b{k}"], [f"Z{k}"], transB=1))
            last = f"A{k + 1}"
            nodes.append(helper.make_node("Sigmoid", [f"Z{k}"], [last]))
        kind = helper.np_dtype_to_tensor_dtype(W[0].dtype)
        assert kind in (TensorProto.FLOAT, TensorProto.DOUBLE)
        into = helper.make_tensor_value_info("A0", kind, ["n", W[0].shape[1]])
        out = helper.make_tensor_value_info(last, kind, ["n", W[-1].shape[0]])
        graph = helper.make_graph(nodes, "network", [into], [out], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        serialized = model.SerializeToString()
        self.session = onnxruntime.InferenceSession(serialized, options, providers=["CPUExecutionProvider"])

    def predict(self, X: Array) -> Array:
        """Run the session."""
        found: Array = self.session.run(None, {"A0": X})[0]
        return found
