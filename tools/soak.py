"""Use the library for ten minutes from several threads: memory stays flat and the bits the same.

    python tools/soak.py                   ten minutes
    python tools/soak.py --seconds 60      a minute

Five Python threads work at once: one fits new networks with every optimiser and loss, one fits and predicts
with the same network again and again, one loads, compiles and predicts rows, one fits estimators (if
scikit-learn is installed), one forks children that train (where there is fork). The results of each round are
hashed. After a tenth of the time, when caches are warm, the resident memory is noted: at the end it may be 8
MB larger.

Exit status: 0 flat and the same, 1 not.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import fastnet as fn
from fastnet.selftest.golden import cases, digest, examples, parameters, targets

ALLOWED = 8_000_000
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident() -> int:
    """Return the bytes of memory that this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def trainings() -> Callable[[], str]:
    """Return a round that runs the next of the golden trainings; its hash is that of the name alone."""
    runs = [(name, run) for name, run in cases() if "wide" not in name]
    seen: dict[str, str] = {}
    number = 0

    def round_() -> str:
        nonlocal number
        name, run = runs[number % len(runs)]
        number += 1
        found = digest(sorted(run().items()))
        if seen.setdefault(name, found) != found:
            raise AssertionError(f"{name} gave other bits than before")
        return "trainings"

    return round_


def one_network() -> Callable[[], str]:
    """Return a round that fits the same network anew and predicts."""
    X = examples(400, "float32")
    labels = targets("labels", 5, X)
    network = fn.Network([fn.Layer(7, 64, "relu"), fn.Layer(64, 5, "softmax")], seed=1, dtype="float32")
    start = [(layer.W.copy(), layer.b.copy()) for layer in network.layers]

    def round_() -> str:
        for layer, (W, b) in zip(network.layers, start, strict=True):
            layer.W, layer.b = W.copy(), b.copy()
        network.fit(X, labels, epochs=3, batch_size=64, optimizer="adam")
        return digest(*parameters(network), network.predict_proba(X), network.predict_proba(X[:, :1]))

    return round_


def serving() -> Callable[[], str]:
    """Return a round of files, predictors and forks."""
    X = examples(50, "float64")
    made = fn.Network([fn.Layer(7, 20, "tanh"), fn.Layer(20, 1)], seed=3)
    file = io.BytesIO()
    fn.save(made, file)
    content = file.getvalue()

    def round_() -> str:
        loaded = fn.load(io.BytesIO(content))
        predict = loaded.compile()
        try:
            fn.load(io.BytesIO(content[:-1]))
        except fn.FormatError:
            pass
        else:
            raise AssertionError("a truncated file was loaded")
        return digest(predict(X), predict(X[:, :1]), *parameters(loaded))

    return round_


def estimators() -> Callable[[], str] | None:
    """Return a round that fits an estimator; None without scikit-learn."""
    try:
        from fastnet.sklearn import MLPClassifier
    except ImportError:
        return None
    X = examples(90, "float64").T
    y = targets("labels", 3, X.T)

    def round_() -> str:
        model = MLPClassifier(9, max_iter=4, random_state=1).fit(X, y)
        return digest(*model.coefs_, model.predict_proba(X))

    return round_


def children() -> Callable[[], str] | None:
    """Return a round that forks a child which trains; None where there is no fork."""
    if not hasattr(os, "fork"):
        return None
    train = dict(cases())["float32: 2-3-1"]

    def round_() -> str:
        time.sleep(0.2)
        child = os.fork()
        if child == 0:
            try:
                train()
                os._exit(7)
            finally:
                os._exit(1)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                if os.waitstatus_to_exitcode(status) != 7:
                    raise AssertionError(f"a child ended with status {status}")
                return "child"
            time.sleep(0.01)
        os.kill(child, 9)
        os.waitpid(child, 0)
        raise AssertionError("a child hung")

    return round_


def main() -> int:
    """Use the library for so long, then compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600, help="default: %(default)s")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    kinds: dict[str, Any] = {"trainings": trainings(), "one network": one_network(), "files": serving()}
    kinds |= {name: made for name, made in (("estimators", estimators()), ("forks", children())) if made}
    end = time.monotonic() + arguments.seconds
    rounds, failures = dict.fromkeys(kinds, 0), []

    def use(name: str, round_: Callable[[], str]) -> None:
        try:
            first = round_()
            while time.monotonic() < end and not failures:
                if round_() != first:
                    raise AssertionError(f"{name}: other bits in round {rounds[name]}")
                rounds[name] += 1
        except Exception as error:
            failures.append(f"{name}: {error!r}")

    workers = [threading.Thread(target=use, args=item) for item in kinds.items()]
    for worker in workers:
        worker.start()
    time.sleep(arguments.seconds / 10)
    gc.collect()
    early, readings = resident(), []
    while any(worker.is_alive() for worker in workers):
        time.sleep(min(1.0, arguments.seconds / 50))
        readings.append(resident())
    gc.collect()
    for worker in workers:
        worker.join()
    late = float(np.median(readings[-5:])) if readings else float(resident())
    print(f"rounds: {', '.join(f'{name} {count}' for name, count in rounds.items())}")
    print(f"memory: {early / 1e6:.1f} MB after a tenth of the time, {late / 1e6:.1f} MB at the end")
    if late > early + ALLOWED:
        failures.append(f"memory grew by {(late - early) / 1e6:.1f} MB")
    print("\n".join(failures) or "flat, and the same bits in every round")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
