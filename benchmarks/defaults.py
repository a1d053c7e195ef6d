"""What `fit` learns without any setting, beside the best of many settings: 10 seeds on eleven data sets.

    python -m benchmarks.defaults               # the default beside SGD and the best of 24 settings
    python -m benchmarks.defaults --candidates  # the default beside other defaults that were thought of

The circle is the README's first example, scored on its own data. The others are scikit-learn's data sets and
generators, a sine and a product of two features. A quarter of each is held out (another one for each seed).
Features are standardised, and the targets of regressions too. "tuned" is the best setting of a grid of
learning rates, batch sizes and epochs, by the mean score over the same seeds: what a search finds that may
look at the answer, so an upper bound. The page of questions has both tables, and says what follows from them.
"""

from __future__ import annotations

import sys
import warnings
from functools import cache
from itertools import product
from typing import Any

import numpy as np

import fastnet as fn

SEEDS = range(10)
HIDDEN = {
    "circle": 8,
    "breast_cancer": 30,
    "digits": 50,
    "diabetes": 20,
    "friedman1": 20,
    "product": 20,
    "sine": 20,
    "moons": 16,
    "wine": 16,
    "iris": 16,
    "friedman1, 10 000 rows": 32,
}
CLASSES = {
    "circle": 2,
    "breast_cancer": 2,
    "digits": 10,
    "moons": 2,
    "wine": 3,
    "iris": 3,
}  # others: regression
GRID: list[dict[str, Any]] = [
    {"optimizer": fn.Adam(rate), "batch_size": batch, "epochs": epochs}
    for rate, batch, epochs in product((0.001, 0.003, 0.01, 0.03), (32, 200), (50, 100, 200))
]
SMALL = {"batch_size": 32, "schedule": "cosine"}
CANDIDATES: dict[str, dict[str, Any]] = {  # a function gets the number of examples
    "default": {},
    "50 epochs": {"epochs": 50},
    "rate 0.003": {"optimizer": fn.Adam(0.003)},
    "cosine": {"schedule": "cosine"},
    "batches of 32": {"batch_size": 32},
    "batches of 32, cosine": SMALL,
    "batches of 1000": {"batch_size": 1000},
    "epsilon 0.01": {"optimizer": fn.Adam(epsilon=0.01)},
    "l2 0.1": {"l2": 0.1},
    "AdamW, decay 0.3": {"optimizer": fn.AdamW(weight_decay=0.3)},
    "AdamW, decay 1": {"optimizer": fn.AdamW(weight_decay=1)},
    "AdamW, decay 300 / n": {"optimizer": lambda n: fn.AdamW(weight_decay=min(1, 300 / n))},
    "AdamW 0.01, 0.3, 32, cosine": {"optimizer": fn.AdamW(0.01, weight_decay=0.3)} | SMALL,
    "AdamW 0.03, 0.3, 32, cosine": {"optimizer": fn.AdamW(0.03, weight_decay=0.3)} | SMALL,
    "stopping on a tenth": {"validation_fraction": 0.1, "early_stopping": True},
}


def _rows(name: str, seed: int) -> tuple[Any, Any]:
    """Return the examples, one a row, and what is to be predicted."""
    from sklearn import datasets

    rng = np.random.default_rng(seed)
    if name.startswith("friedman1"):
        n = 600 if name == "friedman1" else 13_333
        return datasets.make_friedman1(n, noise=1, random_state=seed)  # type: ignore[no-any-return]
    if name == "moons":
        return datasets.make_moons(600, noise=0.25, random_state=seed)  # type: ignore[no-any-return]
    if name == "sine":
        X = rng.uniform(-3, 3, (600, 1))
        return X, np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=600)
    if name == "product":
        X = rng.normal(size=(600, 2))
        return X, X[:, 0] * X[:, 1]
    return getattr(datasets, f"load_{name}")(return_X_y=True)  # type: ignore[no-any-return]


@cache
def data(name: str, seed: int) -> tuple[Any, Any, Any, Any]:
    """Return X and T to train on, and X and T to score on: an example in each column."""
    if name == "circle":
        X = np.random.default_rng(seed).normal(size=(2, 1000))
        T = (X[0] ** 2 + X[1] ** 2 < 1.4).astype(int)
        return X, T, X, T
    from sklearn.model_selection import train_test_split

    rows, y = _rows(name, seed)
    classes = y if name in CLASSES else None
    X, V, T, U = train_test_split(rows, y, test_size=0.25, stratify=classes, random_state=seed)
    if classes is None:
        mean, scale = T.mean(), T.std()
        T, U = (T - mean) / scale, (U - mean) / scale
    how = fn.Standardize.of(X.T)
    return (X.T - how.mean) / how.scale, T, (V.T - how.mean) / how.scale, U


def score(name: str, activation: str, seed: int, **options: Any) -> float:
    """Return the accuracy, or R², of one fit."""
    X, T, V, U = data(name, seed)
    options = {key: value(X.shape[1]) if callable(value) else value for key, value in options.items()}
    width, classes = HIDDEN[name], CLASSES.get(name)
    last = "identity" if classes is None else "sigmoid" if classes == 2 else "softmax"
    outputs = classes or 1 if last == "softmax" else 1
    net = fn.Network([fn.Layer(len(X), width, activation), fn.Layer(width, outputs, last)], seed=seed)
    net.fit(X, T, seed=seed, progress=False, **options)
    P = net.predict_proba(V)
    if classes is None:
        return float(1 - ((P[0] - U) ** 2).sum() / ((U - U.mean()) ** 2).sum())
    found = P.argmax(axis=0) if last == "softmax" else P[0] > 0.5
    return float((found == U).mean())


def mean_score(name: str, activation: str, **options: Any) -> float:
    """Return the mean over the seeds."""
    return float(np.mean([score(name, activation, seed, **options) for seed in SEEDS]))


def beside_tuned(name: str, activation: str) -> None:
    """Print the default, its lowest seed, SGD and the best of the grid."""
    default = [score(name, activation, seed) for seed in SEEDS]
    sgd = mean_score(name, activation, optimizer="sgd")
    means = [mean_score(name, activation, **how) for how in GRID]
    best = int(np.argmax(means))
    how = GRID[best]
    text = f"rate {how['optimizer'].learning_rate:g}, batches of {how['batch_size']}, {how['epochs']} epochs"
    numbers = (np.mean(default), min(default), sgd, means[best])
    print(f"{name:22} {activation:8}", *(f"{number:8.3f}" for number in numbers), f" {text}", flush=True)


def main(arguments: list[str]) -> None:
    """Print a line for each data set and hidden activation, or with `--candidates` for each candidate."""
    cases = list(product(HIDDEN, ("sigmoid", "relu")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "--candidates" not in arguments:
            print(f"{'data':22} {'hidden':8} {'default':>8} {'lowest':>8} {'SGD':>8} {'tuned':>8}  setting")
            for case in cases:
                beside_tuned(*case)
            return
        print(f"{'':28}", *(f"{name[:7]}/{activation[0]}" for name, activation in cases))
        for text, how in CANDIDATES.items():
            print(f"{text:28}", *(f"{mean_score(*case, **how):9.3f}" for case in cases), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
