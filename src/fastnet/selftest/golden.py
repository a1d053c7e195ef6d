"""Small trainings whose bits are known: `fastnet selftest` and the tests compare them.

A training has a name and gives hashes of its weights, predictions, history and file. The builds with fused
multiply-add (v3, v4, neon) share the group "fma"; those of x86-64 without it (portable, v2) share the group
"separate". Only public names are used, and all examples are exact in float32, so the bits depend on fastnet
alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Callable, Iterator
from importlib import resources
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastnet as fn

Array = NDArray[Any]
Hashes = dict[str, str]
Case = tuple[str, Callable[[], Hashes]]

FUSED = {"v3", "v4", "neon"} | ({"portable"} if platform.machine() in ("aarch64", "arm64") else set())
DTYPES = ("float32", "float64")
HIDDEN = (
    *("identity", "sigmoid", "logistic", "tanh", "relu", "leaky_relu", "elu", "selu", "silu", "gelu"),
    *("softplus", "mish"),
)
SIZES = (7, 19, 5)  # no multiple of a vector or of a panel


def group() -> str:
    """Return whose bits the active build has: "fma" or "separate"."""
    return "fma" if fn.isa.active() in FUSED else "separate"


def known() -> dict[str, str]:
    """Return the hash of each training that comes with the package, for the active build."""
    text = (resources.files("fastnet.data") / "golden.json").read_text()
    hashes: dict[str, dict[str, str]] = json.loads(text)
    return hashes[group()]


def digest(*parts: Any) -> str:
    """Return a short hash of arrays (dtype, shape and bytes), texts and numbers."""
    hasher = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            hasher.update(f"{part.dtype.str}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        else:
            hasher.update(repr(part).encode())
    return hasher.hexdigest()[:16]


def examples(n: int, dtype: str, seed: int = 1) -> Array:
    """Return X (7, n): multiples of 2^-8 in [-2, 2), from a generator that is frozen."""
    draws = np.random.RandomState(seed).randint(-512, 512, size=(SIZES[0], n))
    return np.asarray(draws / 256, dtype)


def targets(kind: str, n_out: int, X: Array) -> Array:
    """Return targets (n_out, n) in the range of a loss, or labels (n,), exact in both dtypes."""
    scores = np.stack([X[k] + X[k + 1] - X[k + 2] for k in range(n_out)])
    if kind == "labels":
        return np.asarray(scores.argmax(axis=0))
    if kind == "binary":
        return (scores > 0).astype(X.dtype)
    return abs(scores) if kind == "counts" else scores


def file_content(file: io.BytesIO) -> str:
    """Return a hash of a safetensors file without fastnet's version and the checksums over it."""
    content = file.getvalue()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    about = {name: text for name, text in header.pop("__metadata__").items() if "sha256" not in name}
    return digest(json.dumps(about).replace(f"fastnet {fn.__version__}", ""), header, content[end:])


def parameters(network: fn.Network) -> list[Array]:
    """Return W and b of every layer."""
    return [array for layer in network.layers for array in (layer.W, layer.b)]


def outcome(network: fn.Network, X: Array, history: fn.History) -> Hashes:
    """Return the hashes of all that a fit gave."""
    file = io.BytesIO()
    fn.save(network, file)
    told = (history.loss, history.validation_loss, history.learning_rate, history.metrics)
    return {
        "weights": digest(*parameters(network)),
        "predictions": digest(network.predict_proba(X), network.compile()(X[:, :3])),
        "history": digest(*told, history.best_epoch, history.stopped),
        "file": file_content(file),
    }


def fitted(
    dtype: str,
    hidden: str = "tanh",
    output: str = "identity",
    kind: str = "values",
    sizes: tuple[int, ...] = SIZES,
    n: int = 150,
    dropout: float = 0.0,
    weighted: bool = False,
    **options: Any,
) -> Hashes:
    """Train a small network and return the hashes of what came out."""
    layers = [fn.Layer(n_in, n_out, hidden, dropout=dropout) for n_in, n_out in pairwise(sizes[:-1])]
    layers.append(fn.Layer(sizes[-2], sizes[-1], output))
    network = fn.Network(layers, seed=3, dtype=dtype)
    X = examples(n, dtype)
    T = targets(kind, sizes[-1], X)
    if weighted:
        options["sample_weight"] = np.arange(n) % 4 / 2
    usual: dict[str, Any] = {
        "epochs": 6,
        "batch_size": 40,
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "seed": 5,
    }
    options = usual | options
    if options["learning_rate"] is None:
        del options["learning_rate"]
    return outcome(network, X, network.fit(X, T, **options))


def optimizers() -> dict[str, Any]:
    """Return the optimisers of the trainings, each with a name."""
    return {
        "sgd": fn.SGD(0.1),
        "momentum": fn.SGD(0.05, momentum=0.9),
        "nesterov": fn.SGD(0.05, momentum=0.9, nesterov=True),
        "adam": fn.Adam(0.01),
        "adamw": fn.AdamW(0.01, weight_decay=0.1),
        "rmsprop": fn.RMSProp(0.01),
        "rmsprop with momentum": fn.RMSProp(0.01, momentum=0.5),
    }


def schedules() -> dict[str, Any]:
    """Return the schedules of the trainings, each with a name."""
    return {
        "inverse_scaling": "inverse_scaling",
        "adaptive": fn.schedules.Adaptive(tol=0.5, patience=1),
        "step": fn.schedules.Step(2, 0.5),
        "cosine": "cosine",
        "one_cycle": "one_cycle",
    }


LOSSES = {
    "bce": ("sigmoid", "binary"),
    "cross_entropy": ("softmax", "labels"),
    "poisson": ("exp", "counts"),
    "squared_error": ("identity", "values"),
    "absolute_error": ("tanh", "values"),
    "huber": ("identity", "values"),
    "quantile": ("softplus", "values"),
}


def case(name: str, make: Callable[..., Hashes], *args: Any, **options: Any) -> Case:
    """Give a training its name; it runs when it is called."""
    return name, lambda: make(*args, **options)


def cases() -> Iterator[Case]:
    """Give each of the trainings a name that starts with its dtype."""
    for dtype in DTYPES:
        for name in HIDDEN:
            yield case(f"{dtype}: hidden {name}", fitted, dtype, hidden=name)
        for name, (output, kind) in LOSSES.items():
            yield case(f"{dtype}: loss {name}", fitted, dtype, output=output, kind=kind, loss=name)
        for name, (output, kind) in LOSSES.items():
            yield case(
                f"{dtype}: weighted {name}", fitted, dtype, "silu", output, kind, weighted=True, loss=name
            )
        for name, optimizer in optimizers().items():
            one = {"optimizer": optimizer, "learning_rate": None, "output": "softmax", "kind": "labels"}
            yield case(f"{dtype}: {name}", fitted, dtype, **one)
            yield case(f"{dtype}: {name}, l2, clip_norm", fitted, dtype, l2=0.01, clip_norm=0.5, **one)
        for name, schedule in schedules().items():
            yield case(f"{dtype}: schedule {name}", fitted, dtype, schedule=schedule)
        binary = {"output": "sigmoid", "kind": "binary", "sizes": (7, 33, 17, 1)}
        yield case(f"{dtype}: one output", fitted, dtype, "sigmoid", **binary)
        yield case(f"{dtype}: one output, relu, adam", fitted, dtype, "relu", optimizer="adam", **binary)
        yield case(f"{dtype}: 2-3-1", fitted, dtype, "sigmoid", "sigmoid", "binary", (7, 3, 1))
        yield case(f"{dtype}: several blocks", fitted, dtype, n=5000, batch_size=2500, epochs=2)
        yield case(f"{dtype}: several blocks, one output", fitted, dtype, n=5000, batch_size=5000, **binary)
        stopping = {"validation_fraction": 0.25, "early_stopping": True, "tol": 0.01, "patience": 2}
        others: dict[str, dict[str, Any]] = {
            "batch of 1": {"n": 60, "batch_size": 1, "epochs": 2, "optimizer": "adam"},
            "wide": {"hidden": "relu", "sizes": (7, 300, 280, 5), "n": 300, "epochs": 2},
            "wide, several blocks": {"sizes": (7, 1100, 5), "n": 1500, "batch_size": 1500},
            "dropout": {"dropout": 0.3},
            "dropout, several blocks": {"hidden": "relu", "dropout": 0.5, "n": 2100, "batch_size": 2100},
            "without shuffle": {"shuffle": False},
            "early stopping": {"epochs": 40, "learning_rate": 0.5, "metrics": ["r2"], **stopping},
            "class weights": {"output": "softmax", "kind": "labels", "class_weight": "balanced"},
        }
        for name, options in others.items():
            yield case(f"{dtype}: {name}", fitted, dtype, **options)
