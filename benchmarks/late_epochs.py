"""Whether training slows down once a network has learned its data, and prediction once it is saturated.

    python -m benchmarks.late_epochs [--quick] [--all] [--sizes 30,100,1]

Separable data let weights grow for as long as training goes on: outputs saturate, and a - t, slopes and
moments shrink towards 0. On the way they would pass through the denormal numbers, which cost some processors
a hundred cycles each, had they not been set to 0 before (`kernels/elementary.pxi`). Each line trains one
combination of activation, loss, optimiser and dtype: the time of its last epochs over that of its first, the
time of a prediction with the trained weights over that with the first, and in how many of the last epochs the
processor read or made a denormal number. (x86 keeps flags of both: that column needs no quiet machine.)
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import fastnet as fn
from fastnet._core import engine

HIDDEN = [name for name in engine.ACTIVATIONS if name not in ("exp", "softmax", "logistic")]
LOSSES = {  # the output activation, and a learning rate for plain gradient descent that saturates it
    "bce": ("sigmoid", 1.0),
    "cross_entropy": ("softmax", 1.0),
    "poisson": ("exp", 0.01),
    "squared_error": ("sigmoid", 2.0),
    "absolute_error": ("sigmoid", 1.0),
    "huber": ("tanh", 0.5),
    "quantile": ("softplus", 0.5),
}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "sgd, l2": {"optimizer": "sgd", "l2": 2.0},
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "adam": {"rate": 0.02},
    "adamw": {"rate": 0.02, "weight_decay": 0.5},
    "rmsprop": {"rate": 0.01},
    "rmsprop, momentum": {"optimizer": "rmsprop", "rate": 0.003, "momentum": 0.9},
}
DTYPES = ("float32", "float64")


class Case(NamedTuple):
    """What is trained: names of the tables above, and a dropout of the hidden layers."""

    hidden: str
    loss: str
    optimizer: str
    dtype: str
    dropout: float = 0.0

    def __str__(self) -> str:
        return f"{self.hidden:11} {self.loss:14} {self.optimizer:18} {self.dtype} {self.dropout or ''}"


class Found(NamedTuple):
    """Late over early, of an epoch and of a prediction; how many of the late epochs met denormals."""

    epoch: float
    predict: float
    read: int
    made: int
    of: int


def cases(quick: bool = False) -> Iterator[Case]:
    """Every combination, or with `quick` each name once with the others at their first."""
    for dtype in DTYPES:
        if quick:
            yield from (Case(hidden, "bce", "adam", dtype) for hidden in HIDDEN)
            yield from (Case("sigmoid", loss, "adam", dtype) for loss in LOSSES)
            yield from (Case("tanh", "bce", optimizer, dtype) for optimizer in OPTIMIZERS)
        else:
            for hidden in HIDDEN:
                for loss in LOSSES:
                    yield from (Case(hidden, loss, optimizer, dtype) for optimizer in OPTIMIZERS)
        yield from (Case(hidden, "bce", "adam", dtype, 0.5) for hidden in HIDDEN)


def separable(n: int, sizes: tuple[int, ...], case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return X (n_in, n), far from the plane that divides it, and T (n_out, n) of 0 and 1."""
    rng = np.random.default_rng(0)
    X = 2 * rng.standard_normal((sizes[0], n))
    direction = rng.standard_normal(sizes[0])
    direction /= np.linalg.norm(direction)
    scores = direction @ X
    X += np.outer(direction, np.sign(scores))
    T = np.tile(scores > 0, (sizes[-1], 1))
    T[1::2] = ~T[1::2]
    return X.astype(case.dtype), T.astype(case.dtype)


def trainer(case: Case, sizes: tuple[int, ...], batch: int) -> tuple[engine.TrainerCore, float]:
    """Return what trains a case, and its learning rate."""
    output, rate = LOSSES[case.loss]
    options = {"optimizer": case.optimizer} | OPTIMIZERS[case.optimizer]
    rate = options.pop("rate", rate)
    names = [case.hidden] * (len(sizes) - 2) + [output]
    layers = [fn.Layer(*shape, name) for shape, name in zip(pairwise(sizes), names, strict=True)]
    network = fn.Network(layers, seed=1, dtype=case.dtype)
    dropout = [case.dropout] * (len(sizes) - 2) + [0.0]
    W, b = [layer.W for layer in network.layers], [layer.b for layer in network.layers]
    return engine.TrainerCore(W, b, names, batch, loss=case.loss, dropout=dropout, **options), rate


def look(
    case: Case, sizes: tuple[int, ...], n: int = 4000, batch: int = 200, epochs: int = 100
) -> Found | None:
    """Train one case: the median of the first ten epochs, and of the last twenty; None if it diverged."""
    if case.loss == "cross_entropy" and sizes[-1] == 1:
        sizes = (*sizes[:-1], 3)
    X, T = separable(n, sizes, case)
    if case.loss == "cross_entropy":
        T[1:] = 0
        T[1] = 1 - T[0]
    core, rate = trainer(case, sizes, batch)
    X, T = np.asfortranarray(X), np.asfortranarray(T)
    seconds, read, made = [], 0, 0

    def predicted() -> float:
        started = time.thread_time()
        core.predict(X)
        return time.thread_time() - started

    fresh = min(predicted() for _ in range(5))
    for epoch in range(epochs):
        engine.denormals_seen()
        started = time.thread_time()
        core.epoch(X, T, engine.permutation(n, 0, epoch), rate)
        seconds.append(time.thread_time() - started)
        seen = engine.denormals_seen()
        if epoch >= epochs - 20:
            read, made = read + seen[0], made + seen[1]
    saturated = min(predicted() for _ in range(5))
    if not core.finite():
        return None
    late = float(np.median(seconds[-20:]) / np.median(seconds[:10]))
    return Found(late, saturated / fresh, read, made, 20)


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each case; return 1 if one took more than 1.1 times as long late as early."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="each name once instead of every combination")
    parser.add_argument("--sizes", default="30,100,1", help="units of each layer")
    parser.add_argument("--all", action="store_true", help="print the lines that are as they should be, too")
    options = parser.parse_args(arguments)
    sizes = tuple(map(int, options.sizes.split(",")))
    slow = denormal = diverged = count = 0
    for case in cases(options.quick):
        found = look(case, sizes)
        for _ in range(2):  # another process may have run meanwhile, but hardly each time
            if found is not None and (found.epoch > 1.1 or found.predict > 1.1):
                again = look(case, sizes)
                found = again and again._replace(
                    epoch=min(found.epoch, again.epoch), predict=min(found.predict, again.predict)
                )
        count += 1
        if found is None:
            diverged += 1
            continue
        slow += found.epoch > 1.1 or found.predict > 1.1
        denormal += found.read + found.made > 0
        if options.all or found.epoch > 1.1 or found.predict > 1.1 or found.read or found.made:
            print(
                f"{case}  epochs {found.epoch:5.2f}  predictions {found.predict:5.2f}  "
                f"denormals read in {found.read}, made in {found.made} of {found.of} epochs",
                flush=True,
            )
    print(
        f"{fn.isa.active()}: {count} cases, {slow} slower late than early, {denormal} met denormals late, "
        f"{diverged} diverged"
    )
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
