"""The other libraries: one adapter per file, looked up by name, imported only in the process that runs it."""

from __future__ import annotations

from importlib import import_module, util

from benchmarks.peers.base import Peer, Predictor

__all__ = ["PREDICTORS", "TRAINERS", "missing", "predictor", "trainer"]

# name: (what must be installed, module here, class)
TRAINERS = {
    "scikit-learn": (("sklearn",), "scikit_learn", "ScikitLearn"),
    "torch": (("torch",), "pytorch", "Eager"),
    "torch-compiled": (("torch",), "pytorch", "Compiled"),
    "jax": (("jax",), "xla", "Steps"),
    "jax-scan": (("jax",), "xla", "Scan"),
    "numpy": (("numpy",), "by_hand_numpy", "NumPy"),
    "numba": (("numba",), "by_hand_numba", "Numba"),
}
PREDICTORS = {
    "onnxruntime": (("onnx", "onnxruntime"), "onnx_runtime", "OnnxRuntime"),
    "numpy": (("numpy",), "by_hand_numpy", "NumPyPredictor"),
}


def missing(name: str) -> list[str]:
    """Return the packages a peer needs that are not installed."""
    needed = {**PREDICTORS, **TRAINERS}[name][0]
    return [package for package in needed if util.find_spec(package) is None]


def trainer(name: str) -> type[Peer]:
    """Import the adapter that trains with this peer."""
    _, module, cls = TRAINERS[name]
    found: type[Peer] = getattr(import_module(f"benchmarks.peers.{module}"), cls)
    return found


def predictor(name: str) -> type[Predictor]:
    """Import the adapter that predicts with this peer."""
    _, module, cls = PREDICTORS[name]
    found: type[Predictor] = getattr(import_module(f"benchmarks.peers.{module}"), cls)
    return found
