"""fastnet: dense neural networks for the CPU, in the notation of the notes, one compiled call per epoch.

>>> import fastnet as fn
>>> net = fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)], seed=0, dtype="float32")
>>> net
Network 2-3-1, float32, 13 parameters
  layer  W      b      activation  parameters
  1      3 x 2  3 x 1  sigmoid              9
  2      1 x 3  1 x 1  sigmoid              4

An example is a column: X is (n_in, n), the targets T are (n_out, n). `fastnet.reference` is the same in plain
NumPy, `fastnet.isa` tells which build of the core runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnet import isa
from fastnet._version import __version__
from fastnet.functions import bce_backward, bce_loss, dense_backward, dense_forward, exp, sigmoid
from fastnet.layer import Layer
from fastnet.network import Network
from fastnet.training import DivergenceError, History

if TYPE_CHECKING:
    from fastnet import reference

__all__ = [
    "DivergenceError",
    "History",
    "Layer",
    "Network",
    "__version__",
    "bce_backward",
    "bce_loss",
    "dense_backward",
    "dense_forward",
    "exp",
    "isa",
    "reference",
    "sigmoid",
]


def __getattr__(name: str) -> Any:
    if name == "reference":  # for checking and reading: loaded when first asked for
        from importlib import import_module

        return import_module("fastnet.reference")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
