"""`fastnet bench`: measure the speed of the core on this machine, and its share of the machine's peak.

Needs nothing but fastnet. The suite in ``benchmarks/`` compares with other libraries. It takes the workloads,
the timing of a step and the statistics from here, so that a number means the same in both.

All times are CPU times of the thread. Time in which another process had the core is not counted, but another
process also slows this one through the caches that they share. So the sides of a comparison take turns in
many short slices, and the least time is reported beside the median.
"""

from __future__ import annotations

import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastnet import isa, threads
from fastnet._core import engine
from fastnet._validate import Array
from fastnet._version import __version__
from fastnet.layer import Layer
from fastnet.network import Network
from fastnet.optimizers import SGD, Adam

__all__ = [
    "ROWS",
    "WORKLOADS",
    "Problem",
    "Side",
    "Summary",
    "Workload",
    "alternate",
    "calls",
    "epochs",
    "fma_rate",
    "pin",
    "report",
    "run",
]

Side = Callable[[int], float]  # does its work so many times and returns the CPU seconds that took

_ORDERS = 4  # how many shuffled orders of its examples a problem holds
_NEUTRAL_BYTES = 8 << 20  # more than a core's own caches hold
_FMA_UNIT = 100_000  # iterations
_WARM_UP = 1_000_000  # iterations after which a core has settled in the frequency of its wide registers


@dataclass(frozen=True)
class Workload:
    """A network and how it is trained, for timing: sigmoids, binary cross-entropy, SGD or Adam."""

    name: str
    sizes: tuple[int, ...]
    batch: int
    steps: int  # in an epoch
    dtype: Literal["float32", "float64"] = "float32"
    optimizer: Literal["sgd", "adam"] = "sgd"

    @property
    def network(self) -> str:
        """The layer sizes as text, such as 30-100-1."""
        return "-".join(map(str, self.sizes))

    @property
    def weights(self) -> int:
        """The number of weights and biases."""
        return sum(n_out * (n_in + 1) for n_in, n_out in pairwise(self.sizes))

    def __str__(self) -> str:
        named = f"{self.network}, batch {self.batch}, {self.dtype}"
        return named if self.optimizer == "sgd" else f"{named}, {self.optimizer}"

    @property
    def n(self) -> int:
        """The number of examples."""
        return self.batch * self.steps

    @property
    def flops(self) -> int:
        """The flops of one step: two for each weight and example in Z = W A, dW = dZ Aᵀ, dA = Wᵀ dZ.

        There is no dA below the first layer. Sigmoids, loss and update are not counted: a share of the peak
        is the least that the products reach.
        """
        products = [n_in * n_out for n_in, n_out in pairwise(self.sizes)]
        return 2 * self.batch * (3 * sum(products) - products[0])

    @property
    def bytes(self) -> int:
        """The bytes of one step's examples, which it must read from memory."""
        return self.batch * (self.sizes[0] + self.sizes[-1]) * np.dtype(self.dtype).itemsize


WORKLOADS = (
    Workload("tiny-32", (2, 3, 1), batch=32, steps=100),
    Workload("tiny-200", (2, 3, 1), batch=200, steps=100),
    Workload("small", (30, 100, 1), batch=200, steps=20),
    Workload("small-adam", (30, 100, 1), batch=200, steps=20, optimizer="adam"),
    Workload("medium", (100, 256, 128, 1), batch=256, steps=10),
    Workload("medium-adam", (100, 256, 128, 1), batch=256, steps=10, optimizer="adam"),
    Workload("large", (784, 512, 512, 1), batch=512, steps=10),
    Workload("huge", (1024, 2048, 2048, 1), batch=1024, steps=4),
)
ROWS = (1, 100, 1_000_000)  # how many rows are predicted at once, through 100-256-128-1


class Problem:
    """A workload with data and an optimiser: the same for every side of a comparison.

    `epsilon` replaces Adam's own.
    """

    def __init__(self, workload: Workload, epsilon: float | None = None) -> None:
        rng = np.random.default_rng(0)
        self.workload = workload
        self.optimizer: SGD | Adam = SGD(min(0.2, 8 / max(workload.sizes)))  # wide layers diverge at 0.2
        if workload.optimizer == "adam":
            self.optimizer = Adam() if epsilon is None else Adam(epsilon=epsilon)
        self.learning_rate = self.optimizer.learning_rate
        n, n_in, n_out = workload.n, workload.sizes[0], workload.sizes[-1]
        self.X: Array = rng.standard_normal((n, n_in), dtype=workload.dtype)  # an example in each row
        likely = self.X @ rng.standard_normal((n_in, n_out), dtype=workload.dtype) / math.sqrt(n_in)
        self.T: Array = (likely > rng.standard_normal((n, n_out))).astype(workload.dtype)

    @cached_property
    def orders(self) -> list[NDArray[np.intp]]:
        """Shuffled orders of the rows, used one after the other."""
        return [engine.permutation(self.workload.n, 0, k) for k in range(_ORDERS)]

    def network(self) -> Network:
        """Return the network, with the initial weights that are the same for every side."""
        sizes = self.workload.sizes
        layers = [Layer(n_in, n_out) for n_in, n_out in pairwise(sizes)]
        return Network(layers, seed=0, dtype=self.workload.dtype)

    def threads(self, wanted: int) -> int:
        """Return how many threads `Network.fit` would use with this `n_threads`."""
        return threads.threads_for(self.network().flops(self.workload.batch), wanted)

    def trainer(self, n_threads: int = 1) -> engine.TrainerCore:
        """Return the core's trainer of that network on the active build, which does one epoch per call."""
        layers = self.network().layers
        return engine.TrainerCore(
            [layer.W for layer in layers],
            [layer.b for layer in layers],
            [layer.activation for layer in layers],
            self.workload.batch,
            n_threads,
            **self.optimizer.core_options(),
        )


@dataclass(frozen=True)
class Summary:
    """Least, median and quartiles of repeated measurements."""

    least: float
    median: float
    low: float  # a quarter is below
    high: float  # a quarter is above
    repeats: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Summary:
        """Return the summary of at least two values."""
        values = list(values)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(min(values), median, low, high, len(values))


def epochs(
    problem: Problem, trainer: engine.TrainerCore, clock: Callable[[], float] = time.thread_time
) -> Side:
    """Return a side that trains epochs, in orders drawn before, by the calls that `Network.fit` makes."""

    def side(count: int) -> float:
        start = clock()
        for k in range(count):
            trainer.epoch(problem.X.T, problem.T.T, problem.orders[k % _ORDERS], problem.learning_rate)
        return clock() - start

    return side


def calls(
    function: Callable[..., object], *arguments: Any, clock: Callable[[], float] = time.thread_time
) -> Side:
    """Return a side that calls a function so many times."""

    def side(count: int) -> float:
        start = clock()
        for _ in range(count):
            function(*arguments)
        return clock() - start

    return side


def fma_rate(dtype: str) -> tuple[Side, float]:
    """Return a side that only does multiply-adds in registers (the peak), and the flops of one count."""

    def side(count: int) -> float:
        engine.fma_flops(dtype, _WARM_UP)
        start = time.thread_time()
        engine.fma_flops(dtype, count * _FMA_UNIT)
        return time.thread_time() - start

    return side, engine.fma_flops(dtype, 1) * _FMA_UNIT


def alternate(
    sides: Mapping[str, Side], rounds: int, slice_seconds: float, budget: float = 10.0
) -> dict[str, list[float]]:
    """Time several sides in turns; return the seconds of one count of each side in each round.

    A side does as many counts in a slice as make about `slice_seconds`. Slow sides get fewer rounds, so that
    all is done in about `budget` seconds, but never fewer than 7.

    Every second round goes through the sides from the last to the first, so that a drift meets all alike.
    Something neutral comes before each round. Otherwise the side at the turn would follow itself, would find
    its data in the caches, and would be 1 to 2 % faster for it.
    """
    counts = {name: _count(side, slice_seconds) for name, side in sides.items()}
    neutral = np.zeros(_NEUTRAL_BYTES // 8)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    start = time.perf_counter()
    done = 0
    while done < min(rounds, 7) or (done < rounds and time.perf_counter() - start < budget):
        neutral += 1
        for name in list(sides)[:: 1 if done % 2 else -1]:
            seconds[name].append(sides[name](counts[name]) / counts[name])
        done += 1
    return seconds


def _count(side: Side, slice_seconds: float) -> int:
    """Return how many counts fill a slice of time, after a first call that warms the side up."""
    side(1)
    count = 1
    while (spent := side(count)) < slice_seconds / 2:
        count *= min(16, max(2, int(slice_seconds / max(spent, 1e-9))))
    return max(1, round(count * slice_seconds / spent))


def pin(core: int | None = None) -> int | None:
    """Keep this process, and the threads it makes, on one core: by default the last that it may use.

    Returns
    -------
    int or None
        The core; None where the system has no such call.
    """
    if sys.platform != "linux":
        return None
    chosen = max(os.sched_getaffinity(0)) if core is None else core
    os.sched_setaffinity(0, {chosen})
    return chosen


def run(
    workloads: Iterable[Workload] = WORKLOADS,
    *,
    builds: Iterable[str] | None = None,
    rows: Iterable[int] = ROWS,
    quick: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time training steps and predictions of fastnet alone.

    Parameters
    ----------
    workloads : iterable of Workload
    builds : iterable of str, optional
        Names of builds; by default all that this CPU runs, without the slow ones on large networks.
    rows : iterable of int
        How many rows to predict at once, with the active build.
    quick : bool
        Measure in fewer and shorter slices: less exact.
    progress : callable
        Gets a line before each piece of work.

    Returns
    -------
    dict
        Numbers, strings, lists and dicts only. Times are CPU seconds of the thread.
    """
    rounds, slice_seconds = (7, 0.005) if quick else (15, 0.02)
    training, prediction = [], []
    chosen = tuple(isa.supported() if builds is None else builds)
    for workload in workloads:
        for build in chosen:
            if builds is None and workload.flops > 1e9 and build in ("portable", "v2"):
                continue  # it would take minutes, for a number of little use
            progress(f"{workload}: build {build}")
            with isa.using(build):
                training.append(_steps(workload, build, rounds, slice_seconds))
    medium = Workload("rows", (100, 256, 128, 1), batch=1000, steps=1)
    for count in rows:
        progress(f"{medium.network}: predict {count:,} rows")
        prediction.append(_predictions(medium, count, rounds, slice_seconds))
    return {
        "training": training,
        "prediction": prediction,
        "isa": isa.active(),
        "versions": {"fastnet": __version__, "numpy": np.__version__, "python": platform.python_version()},
    }


def _steps(workload: Workload, build: str, rounds: int, slice_seconds: float) -> dict[str, Any]:
    problem = Problem(workload)
    peak, unit = fma_rate(workload.dtype)
    sides = {"peak": peak, "epoch": epochs(problem, problem.trainer())}
    seconds = alternate(sides, rounds, slice_seconds)
    step = Summary.of(second / workload.steps for second in seconds["epoch"])
    rate = Summary.of(unit / second for second in seconds["peak"])
    return {
        "workload": workload.name,
        "network": workload.network,
        "batch": workload.batch,
        "dtype": workload.dtype,
        "optimizer": workload.optimizer,
        "isa": build,
        "seconds": vars(step),
        "flops": workload.flops,
        "peak": rate.median,
        "share": workload.flops / step.least / rate.high,
        "share_median": workload.flops / step.median / rate.median,
    }


def _predictions(workload: Workload, rows: int, rounds: int, slice_seconds: float) -> dict[str, Any]:
    net = Problem(workload).network()
    X = np.random.default_rng(0).standard_normal((rows, workload.sizes[0]), dtype=workload.dtype)
    seconds = alternate(
        {"predict": calls(partial(net.predict_proba, n_threads=1), X.T)}, rounds, slice_seconds
    )
    summary = Summary.of(seconds["predict"])
    return {"network": workload.network, "dtype": workload.dtype, "rows": rows, "seconds": vars(summary)}


def report(results: dict[str, Any]) -> str:
    """Return the results of `run` as text."""
    head = f"{'network':16} {'batch':>5}  {'dtype':8} {'optimiser':9} {'build':9}"
    lines = [f"{head} {'step, least':>12} {'median':>12} {'GFLOP/s':>8} {'of peak':>8}"]
    for row in results["training"]:
        what = f"{row['network']:16} {row['batch']:5}  {row['dtype']:8} {row['optimizer']:9} {row['isa']:9}"
        least, median = row["seconds"]["least"], row["seconds"]["median"]
        rate = f"{row['flops'] / least * 1e-9:8.1f} {row['share']:8.1%}"
        lines.append(f"{what} {1e6 * least:9.2f} us {1e6 * median:9.2f} us {rate}")
    for row in results["prediction"]:
        least, median = row["seconds"]["least"], row["seconds"]["median"]
        what = f"{row['network']}, predict {row['rows']:,} rows, {row['dtype']}"
        lines.append(f"{what:51} {1e6 * least:9.2f} us {1e6 * median:9.2f} us")
    versions = results["versions"]
    lines.append(
        f"CPU time of one thread; fastnet {versions['fastnet']}, NumPy {versions['numpy']}, "
        f"Python {versions['python']}; build {results['isa']} unless named"
    )
    return "\n".join(lines)
