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

import os
import sys
from typing import TYPE_CHECKING, Any

try:
    from fastnet import isa, threads
except ImportError as error:  # FASTNET_ISA names a build that is not here
    from fastnet._core.import_error import exit_if_command

    exit_if_command(error)
    raise
from fastnet._version import __version__
from fastnet.layer import Layer
from fastnet.metadata import Standardize
from fastnet.network import Network

if TYPE_CHECKING:
    from fastnet import callbacks, losses, metrics, reference, schedules
    from fastnet.ensemble import Ensemble
    from fastnet.exchange import from_sklearn, from_torch, to_sklearn, to_torch
    from fastnet.files import FormatError, load, load_checkpoint, save
    from fastnet.functions import (
        activate,
        activation_backward,
        bce_backward,
        bce_loss,
        dense_backward,
        dense_forward,
        exp,
        loss,
        loss_backward,
        one_hot,
        sigmoid,
    )
    from fastnet.history import DivergenceError, History
    from fastnet.optimizers import LBFGS, SGD, Adam, AdamW, RMSProp
    from fastnet.predictor import Predictor
    from fastnet.training import Trainer
    from fastnet.training.many import train_many

_LATER = {  # what a program may never need is loaded when first asked for: a module, or a name in one
    "Adam": "optimizers",
    "AdamW": "optimizers",
    "DivergenceError": "history",
    "Ensemble": "ensemble",
    "FormatError": "files",
    "History": "history",
    "LBFGS": "optimizers",
    "Predictor": "predictor",
    "RMSProp": "optimizers",
    "SGD": "optimizers",
    "Trainer": "training",
    "activate": "functions",
    "activation_backward": "functions",
    "bce_backward": "functions",
    "bce_loss": "functions",
    "callbacks": "",
    "dense_backward": "functions",
    "dense_forward": "functions",
    "exp": "functions",
    "functions": "",
    "from_sklearn": "exchange",
    "from_torch": "exchange",
    "load": "files",
    "load_checkpoint": "files",
    "loss": "functions",
    "loss_backward": "functions",
    "losses": "",
    "metrics": "",
    "one_hot": "functions",
    "reference": "",
    "save": "files",
    "schedules": "",
    "sigmoid": "functions",
    "stream": "streaming",
    "to_sklearn": "exchange",
    "to_torch": "exchange",
    "train_many": "training.many",
}

__all__ = [
    "LBFGS",
    "SGD",
    "Adam",
    "AdamW",
    "DivergenceError",
    "Ensemble",
    "FormatError",
    "History",
    "Layer",
    "Network",
    "Predictor",
    "RMSProp",
    "Standardize",
    "Trainer",
    "__version__",
    "activate",
    "activation_backward",
    "bce_backward",
    "bce_loss",
    "callbacks",
    "dense_backward",
    "dense_forward",
    "exp",
    "from_sklearn",
    "from_torch",
    "isa",
    "load",
    "load_checkpoint",
    "loss",
    "loss_backward",
    "losses",
    "metrics",
    "one_hot",
    "reference",
    "save",
    "schedules",
    "sigmoid",
    "stream",
    "to_sklearn",
    "to_torch",
    "train_many",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"fastnet.{_LATER[name] or name}")
    found = getattr(module, name) if _LATER[name] else module
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


def _load_before_fork() -> None:
    """Load what waits for its first use, if other threads run: one of them may be loading it.

    A child would inherit the lock of that import, with nobody to release it. None of these modules may load
    one that has to release a lock after a fork (logging, concurrent.futures.thread): it would not hold it.
    """
    if len(sys._current_frames()) > 1:
        from importlib import import_module

        waiting = {module or name for name, module in _LATER.items()}
        further = {
            "c_export",
            "ensemble.file",
            "onnx",
            "streaming.passes",
            "training.lbfgs",
            "progress",
        }
        for name in sorted(waiting | further):
            import_module(f"fastnet.{name}")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_load_before_fork)
threads.register_if_loaded()
