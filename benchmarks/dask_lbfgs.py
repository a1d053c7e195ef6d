"""L-BFGS over a Dask cluster: two workers against one, the same bits as in one process, and a killed worker.

``python -m benchmarks.dask_lbfgs`` starts workers as processes on this machine, one thread each, on data that
tasks draw. Times are wall seconds of an evaluation: loss and gradient over all rows. It takes about a minute.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import time
import warnings
from typing import Any

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

from benchmarks.lines import Line, line
from fastnet.dask import MLPClassifier
from fastnet.dask.gradients import Parts
from fastnet.sklearn import MLPClassifier as LocalClassifier

__all__ = ["lines", "main", "measure"]

CHUNK = 77_777  # odd on purpose: no part has the rows of one chunk
FEATURES = 28


def draw(number: int, rows: int) -> np.ndarray:
    """Return one chunk of rows, the same whoever draws it."""
    return np.random.default_rng(number).normal(size=(rows, FEATURES))


def data(rows: int) -> tuple[Any, Any]:
    """Return X and y as lazy dask arrays."""
    sizes = [min(CHUNK, rows - start) for start in range(0, rows, CHUNK)]
    chunks = [
        da.from_delayed(dask.delayed(draw)(k, size), (size, FEATURES), np.float64)
        for k, size in enumerate(sizes)
    ]
    X = da.concatenate(chunks)
    return X, (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(np.int8)


class Watch:
    """Notes the seconds of each evaluation, and kills a worker before one of them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.kill_before = -1
        self._evaluate = Parts.evaluate
        watch = self

        def evaluate(parts: Parts, evaluation: Any) -> Any:
            begin = time.perf_counter()
            if len(watch.seconds) == watch.kill_before:
                os.kill(next(iter(parts.client.run(os.getpid).values())), signal.SIGKILL)
            found = watch._evaluate(parts, evaluation)
            watch.seconds.append(time.perf_counter() - begin)
            return found

        Parts.evaluate = evaluate  # type: ignore[method-assign]

    def fit(self, client: Client, X: Any, y: Any, settings: dict[str, Any], kill_before: int = -1) -> Any:
        """Return the fitted estimator; `seconds` has the times of its evaluations."""
        self.seconds, self.kill_before = [], kill_before
        return MLPClassifier(**settings, client=client).fit(X, y)


def equal(one: Any, other: Any) -> bool:
    """Return whether two estimators have the same bits."""
    pairs = zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    return one.loss_ == other.loss_ and all(np.array_equal(a, b) for a, b in pairs)


def measure(
    rows: int = 2_000_000, width: int = 64, iterations: int = 10, local: bool = True
) -> dict[str, Any]:
    """Return seconds of an evaluation on one worker and on two, of a recovery, and whether the bits agree."""
    warnings.filterwarnings("ignore", "lbfgs failed to converge")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    settings = {"hidden_layer_sizes": (width,), "max_iter": iterations, "random_state": 0}
    X, y = data(rows)
    watch = Watch()
    found: dict[str, Any] = {"rows": rows, "network": f"{FEATURES}-{width}-1"}
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": 0}
    fitted: dict[Any, Any] = {}
    for n_workers in (1, 2):
        with LocalCluster(n_workers=n_workers, **options) as cluster, Client(cluster) as client:
            fitted[n_workers] = watch.fit(client, X, y, settings)
            usual = watch.seconds[1:]  # the first waits for the data
            found[f"evaluation_{n_workers}"] = {"least": min(usual), "median": float(np.median(usual))}
            if n_workers == 2:
                fitted["killed"] = watch.fit(client, X, y, settings, kill_before=3)
                found["recovery_seconds"] = watch.seconds[3] - float(np.median(usual))
    found["speedup"] = {
        which: found["evaluation_1"][which] / found["evaluation_2"][which] for which in ("least", "median")
    }
    found["same_bits"] = {
        "1 and 2": equal(fitted[1], fitted[2]),
        "killed": equal(fitted[1], fitted["killed"]),
    }
    if local:
        one = LocalClassifier(solver="lbfgs", **settings).fit(*dask.compute(X, y, scheduler="synchronous"))
        found["same_bits"]["one process"] = equal(fitted[1], one)
    return found


def lines(found: dict[str, Any]) -> list[Line]:
    """Return the lines of the scaling page."""
    one, two = (1e3 * found[f"evaluation_{n}"]["least"] for n in (1, 2))
    same = all(found["same_bits"].values())
    bits = "the bits of one process" if same else f"OTHER BITS: {found['same_bits']}"
    what = f"L-BFGS on Dask, {found['network']}, {found['rows']:,} rows"
    seconds = found["recovery_seconds"]
    return [
        line(
            "13 dask 1 speed",
            f"{what}: two workers against one",
            found["speedup"]["least"],
            goal=1.75,
            detail=f"{one:.0f} and {two:.0f} ms an evaluation; {bits}",
        ),
        line("13 dask 2 kill", f"{what}: recovery after a kill", seconds, "s", goal=2, at_most=True),
    ]


def main(arguments: list[str] | None = None) -> None:
    """Measure and print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--no-local", action="store_true", help="do not compare with one process")
    given = parser.parse_args(arguments)
    print(json.dumps(measure(given.rows, given.width, given.iterations, not given.no_local), indent=1))


if __name__ == "__main__":
    main()
