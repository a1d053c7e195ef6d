"""Trainings whose bits are kept: their weights, predictions, histories, files and states, as hashes.

Run this file to see what changed, or with ``--write`` to keep the bits of now:

    python tests/helpers/golden.py [--write]

A line of `tests/data/golden.json` names a training and holds one hash for each thing that came out of it. The
builds with fused multiply-add (v3, v4, neon) share the lines "fma"; those of x86-64 without it (portable, v2)
share the lines "separate". Only public names are used, so the file outlives any move inside the package.

L-BFGS runs in SciPy, whose sums depend on the BLAS library and the CPU. Its trainings are therefore only
printed by ``--all``, to compare two versions of fastnet on one machine.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import fastnet as fn

FILE = Path(__file__).parents[1] / "data" / "golden.json"
FUSED = {"v3", "v4", "neon"} | ({"portable"} if platform.machine() in ("aarch64", "arm64") else set())
DTYPES = ("float32", "float64")
HIDDEN = (
    *("identity", "sigmoid", "logistic", "tanh", "relu", "leaky_relu", "elu", "selu", "silu", "gelu"),
    *("softplus", "mish"),
)
SIZES = (7, 19, 5)  # no multiple of a vector or of a panel

Case = Callable[[], dict[str, str]]


def digest(*parts: Any) -> str:
    """Return a short hash of arrays (dtype, shape and bytes), texts and numbers."""
    hasher = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            hasher.update(f"{part.dtype.str}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        else:
            hasher.update(repr(part).encode())
    return hasher.hexdigest()[:16]


def examples(n: int, dtype: str, seed: int = 1) -> np.ndarray:
    """Return X (7, n): multiples of 2^-8 in [-2, 2), from a generator that is frozen."""
    draws = np.random.RandomState(seed).randint(-512, 512, size=(SIZES[0], n))
    return (draws / 256).astype(dtype)


def targets(kind: str, n_out: int, X: np.ndarray) -> np.ndarray:
    """Return targets (n_out, n) in the range of a loss, or labels (n,), exact in both dtypes."""
    scores = np.stack([X[k] + X[k + 1] - X[k + 2] for k in range(n_out)])
    if kind == "labels":
        return scores.argmax(axis=0)
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


def bits(network: fn.Network) -> list[np.ndarray]:
    return [array for layer in network.layers for array in (layer.W, layer.b)]


def outcome(network: fn.Network, X: np.ndarray, history: Any) -> dict[str, str]:
    """Return the hashes of all that a fit gave."""
    file = io.BytesIO()
    fn.save(network, file)
    told = (history.loss, history.validation_loss, history.learning_rate, history.metrics)
    return {
        "weights": digest(*bits(network)),
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
) -> dict[str, str]:
    """Train a small network and return the hashes of what came out."""
    layers = [fn.Layer(n_in, n_out, hidden, dropout=dropout) for n_in, n_out in pairwise(sizes[:-1])]
    layers.append(fn.Layer(sizes[-2], sizes[-1], output))
    network = fn.Network(layers, seed=3, dtype=dtype)
    X = examples(n, dtype)
    T = targets(kind, sizes[-1], X)
    if weighted:
        options["sample_weight"] = np.arange(n) % 4 / 2
    options = {"epochs": 6, "batch_size": 40, "learning_rate": 0.05, "seed": 5} | options
    if options["learning_rate"] is None:
        del options["learning_rate"]
    return outcome(network, X, network.fit(X, T, **options))


def resumed(dtype: str, optimizer: Any, **options: Any) -> dict[str, str]:
    """Return the hashes of a state, of its checkpoint file, and of what is trained from there."""
    X = examples(150, dtype)
    T = targets("labels", SIZES[-1], X)

    def trainer() -> fn.Trainer:
        layers = [fn.Layer(7, 19, "relu", dropout=0.25), fn.Layer(19, 5, "softmax")]
        network = fn.Network(layers, seed=3, dtype=dtype)
        return fn.Trainer(network, optimizer=optimizer, batch_size=40, seed=5, **options)

    first, second = trainer(), trainer()
    first.fit(X, T, epochs=4, validation_fraction=0.2, early_stopping=True)
    state = first.state_dict()
    file = io.BytesIO()
    fn.save(first, file)
    second.load_state_dict(state)
    history = second.fit(X, T, epochs=3, validation_fraction=0.2, early_stopping=True)
    return {
        "state": digest(*(part for name in sorted(state) for part in (name, state[name]))),
        "checkpoint": file_content(file),
        **outcome(second.network, X, history),
    }


def estimator(kind: str, dtype: str, **options: Any) -> dict[str, str]:
    """Return the hashes of a fitted scikit-learn estimator."""
    import fastnet.sklearn

    X = examples(160, dtype).T
    y = targets("values", 1, X.T)[0] if kind == "MLPRegressor" else targets("labels", 3, X.T)
    options = {"hidden_layer_sizes": (11,), "max_iter": 8, "random_state": 7} | options
    model = getattr(fastnet.sklearn, kind)(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few epochs do not converge
        model.fit(X, y)
    return {
        "weights": digest(*model.coefs_, *model.intercepts_),
        "predictions": digest(
            model.predict(X), *([] if kind == "MLPRegressor" else [model.predict_proba(X)])
        ),
        "history": digest(list(map(float, getattr(model, "loss_curve_", ()))), model.n_iter_),
    }


def cases(*, everything: bool = False) -> Iterator[tuple[str, Case]]:
    """Give each training a name; with `everything` those too whose bits depend on the machine."""

    def case(name: str, make: Callable[..., dict[str, str]], *args: Any, **options: Any) -> tuple[str, Case]:
        return name, lambda: make(*args, **options)

    optimizers = {
        "sgd": fn.SGD(0.1),
        "momentum": fn.SGD(0.05, momentum=0.9),
        "nesterov": fn.SGD(0.05, momentum=0.9, nesterov=True),
        "adam": fn.Adam(0.01),
        "adamw": fn.AdamW(0.01, weight_decay=0.1),
        "rmsprop": fn.RMSProp(0.01),
        "rmsprop with momentum": fn.RMSProp(0.01, momentum=0.5),
    }
    losses = {
        "bce": ("sigmoid", "binary"),
        "cross_entropy": ("softmax", "labels"),
        "poisson": ("exp", "counts"),
        "squared_error": ("identity", "values"),
        "absolute_error": ("tanh", "values"),
        "huber": ("identity", "values"),
        "quantile": ("softplus", "values"),
    }
    schedules = {
        "inverse_scaling": "inverse_scaling",
        "adaptive": fn.schedules.Adaptive(tol=0.5, patience=1),
        "step": fn.schedules.Step(2, 0.5),
        "cosine": "cosine",
        "one_cycle": "one_cycle",
    }
    for dtype in DTYPES:
        for name in HIDDEN:
            yield case(f"{dtype}: hidden {name}", fitted, dtype, hidden=name)
        for name, (output, kind) in losses.items():
            yield case(f"{dtype}: loss {name}", fitted, dtype, output=output, kind=kind, loss=name)
        for name, (output, kind) in losses.items():
            yield case(
                f"{dtype}: weighted {name}", fitted, dtype, "silu", output, kind, weighted=True, loss=name
            )
        for name, optimizer in optimizers.items():
            one = {"optimizer": optimizer, "learning_rate": None, "output": "softmax", "kind": "labels"}
            yield case(f"{dtype}: {name}", fitted, dtype, **one)
            yield case(f"{dtype}: {name}, l2, clip_norm", fitted, dtype, l2=0.01, clip_norm=0.5, **one)
            yield case(f"{dtype}: {name}, resumed", resumed, dtype, optimizer)
        for name, schedule in schedules.items():
            yield case(f"{dtype}: schedule {name}", fitted, dtype, schedule=schedule)
            yield case(f"{dtype}: schedule {name}, resumed", resumed, dtype, fn.Adam(0.01), schedule=schedule)
        binary = {"output": "sigmoid", "kind": "binary", "sizes": (7, 33, 17, 1)}
        yield case(f"{dtype}: one output", fitted, dtype, "sigmoid", **binary)
        yield case(f"{dtype}: one output, relu, adam", fitted, dtype, "relu", optimizer="adam", **binary)
        yield case(f"{dtype}: 2-3-1", fitted, dtype, "sigmoid", "sigmoid", "binary", (7, 3, 1))
        yield case(f"{dtype}: several blocks", fitted, dtype, n=5000, batch_size=2500, epochs=2)
        yield case(f"{dtype}: several blocks, one output", fitted, dtype, n=5000, batch_size=5000, **binary)
        stopping = {"validation_fraction": 0.25, "early_stopping": True, "tol": 0.01, "patience": 2}
        for name, options in {
            "batch of 1": {"n": 60, "batch_size": 1, "epochs": 2, "optimizer": "adam"},
            "wide": {"hidden": "relu", "sizes": (7, 300, 280, 5), "n": 300, "epochs": 2},
            "wide, several blocks": {"sizes": (7, 1100, 5), "n": 1500, "batch_size": 1500},
            "dropout": {"dropout": 0.3},
            "dropout, several blocks": {"hidden": "relu", "dropout": 0.5, "n": 2100, "batch_size": 2100},
            "without shuffle": {"shuffle": False},
            "early stopping": {"epochs": 40, "learning_rate": 0.5, "metrics": ["r2"], **stopping},
            "class weights": {"output": "softmax", "kind": "labels", "class_weight": "balanced"},
        }.items():
            yield case(f"{dtype}: {name}", fitted, dtype, **options)
        for kind in ("MLPClassifier", "MLPRegressor"):
            for solver in ("sgd", "adam", "rmsprop"):
                yield case(f"{dtype}: {kind}, {solver}", estimator, kind, dtype, solver=solver)
            yield case(
                f"{dtype}: {kind}, early stopping, dropout",
                estimator,
                kind,
                dtype,
                activation="tanh",
                early_stopping=True,
                dropout=0.2,
            )
            if everything:
                yield case(f"{dtype}: {kind}, lbfgs", estimator, kind, dtype, solver="lbfgs")
        if everything:
            lbfgs = {"optimizer": fn.LBFGS(max_iter=5), "batch_size": None, "learning_rate": None}
            yield case(f"{dtype}: lbfgs", fitted, dtype, **lbfgs)


def group() -> str:
    """Return whose bits the active build has."""
    return "fma" if fn.isa.active() in FUSED else "separate"


def kept() -> dict[str, dict[str, str]]:
    """Return the hashes in the file for the active build."""
    return json.loads(FILE.read_text())[group()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep the bits of now, of every build here")
    parser.add_argument("--all", action="store_true", help="print the hashes, those of L-BFGS too")
    arguments = parser.parse_args()
    if arguments.all:
        print(json.dumps({name: run() for name, run in cases(everything=True)}, indent=1))
        return 0
    written: dict[str, dict[str, dict[str, str]]] = {}
    changed = 0
    for isa in fn.isa.supported():
        with fn.isa.using(isa):
            found = {name: run() for name, run in cases()}
            if arguments.write:
                if written.setdefault(group(), found) != found:
                    print(f"{isa} does not agree with another build of its group", file=sys.stderr)
                    return 1
                continue
            before = kept()
            for name in sorted({*found, *before}):
                new, old = found.get(name, {}), before.get(name, {})
                if different := [part for part in sorted({*new, *old}) if new.get(part) != old.get(part)]:
                    print(f"{isa}: {name}: other {', '.join(different)}")
                    changed += 1
            print(f"{isa}: {len(found)} trainings compared")
    if arguments.write:
        FILE.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n")
        print(f"{FILE.name}: {[f'{name}: {len(lines)}' for name, lines in written.items()]}")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
