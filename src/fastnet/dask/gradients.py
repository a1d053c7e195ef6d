"""The loss and gradient of rows that lie on the workers of a Dask cluster.

The rows are kept as parts of whole blocks. An evaluation is one task for each worker: it takes the parts that
lie there and returns the roots of subtrees of the core's fixed tree, which are finished here. So no bit shows
how many workers there are, nor which part lay where (`fastnet.training.subtrees`).

A part is the result of a task, and evaluations are tasks too. So Dask works out again what a dead worker
held.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnet import isa
from fastnet._core import engine
from fastnet._optional import import_optional
from fastnet._validate import Array
from fastnet._version import __version__
from fastnet.dask import pairwise
from fastnet.dask.data import PURPOSE, DaskData, Part, Preparation
from fastnet.sklearn import _own_parameters, _threads
from fastnet.sklearn._lbfgs import LossAndGradient
from fastnet.training import subtrees
from fastnet.training.subtrees import BLOCK_ROWS, Subtree

__all__ = ["DaskLoss", "Evaluation", "LostDataError", "Parts", "check_workers", "rows_of_a_part", "shares"]

PARTS_OF_A_WORKER = 16  # so that a share is met within 1/16, and a lost part is a small one
PART_BYTES = 64 << 20
PATIENCE = 60.0  # seconds that a fit waits for a worker when there is none
POLL = 2.0  # seconds after which it is looked whether there are still workers


class LostDataError(RuntimeError):
    """Rows that a dead worker held cannot be computed again: their source is lost too."""


@dataclass(frozen=True)
class Evaluation:
    """What the task of one worker is told: the weights, and how to make a core.

    Attributes
    ----------
    W, b : list of ndarray
    activations : list of str
    loss : dict
        Arguments of the core.
    batch : int
        Rows of the largest part, at least a block.
    n_threads : int, optional
        By default those of the worker.
    flops : float
        Of an example.
    """

    W: list[Array]
    b: list[Array]
    activations: list[str]
    loss: dict[str, Any]
    batch: int
    n_threads: int | None
    flops: float

    def core(self, n_threads: int) -> engine.TrainerCore:
        """Return a core with the weights."""
        return engine.TrainerCore(self.W, self.b, self.activations, self.batch, n_threads, **self.loss)


def evaluate(evaluation: Evaluation, parts: list[Part]) -> tuple[list[Subtree], tuple[str, bool]]:
    """Return the roots of the subtrees of some parts, with the address and the arithmetic of this worker."""
    worker = import_optional("distributed", PURPOSE, extra="dask").get_worker()
    n_threads = evaluation.n_threads or worker.state.nthreads
    core = evaluation.core(_threads.threads_for(n_threads, evaluation.flops * evaluation.batch))
    found = [
        tree
        for part in parts
        for tree in subtrees.gradients(core, part.X.T, part.T.T, part.weights, first_row=part.first_row)
    ]
    return subtrees.merge(found), (worker.address, isa.fused())


def answers(part: Part, requests: list[pairwise.Request]) -> list[Array]:
    """Return what is asked of the weights of a part."""
    if part.weights is None:
        raise AssertionError("only weights are asked for")
    return [request.answer(part.weights) for request in requests]


def same(part: Part) -> Part:
    """Return a part; the task moves it to the worker that it runs on."""
    return part


def about_this_process() -> tuple[str, str, bool]:
    """Return what has to agree between processes whose sums are put together."""
    return __version__, isa.active(), isa.fused()


def check_workers(client: Any) -> None:
    """Raise if the workers do not all give the bits of this process.

    Raises
    ------
    RuntimeError
        If there is no worker, or one has another version of fastnet, or a build with another arithmetic.
    """
    found = client.run(about_this_process)
    if not found:
        raise RuntimeError("client must have at least one worker, got none")
    version, build, fused = about_this_process()
    for address, (other_version, other_build, other_fused) in found.items():
        if other_version != version:
            raise RuntimeError(
                f"workers must have fastnet {version}, as this process has, got {other_version} on {address}"
            )
        if other_fused != fused:
            raise RuntimeError(_other_arithmetic(address, other_build, build))


def _other_arithmetic(address: str, theirs: str, ours: str) -> str:
    return (
        f"workers must run builds that give the bits of this process's build {ours!r}, got {theirs!r} on "
        f"{address}: start all with the same environment variable FASTNET_ISA"
    )


def rows_of_a_part(n_rows: int, n_workers: int, row_bytes: int) -> int:
    """Return how many rows a part has: a power of two of blocks.

    Examples
    --------
    >>> from fastnet.dask.gradients import rows_of_a_part
    >>> rows_of_a_part(2_000_000, 2, 29 * 8), rows_of_a_part(5000, 2, 8)
    (32768, 1024)
    """
    most = min(n_rows / (PARTS_OF_A_WORKER * n_workers), PART_BYTES / row_bytes) / BLOCK_ROWS
    return BLOCK_ROWS * (1 << max(0, int(most).bit_length() - 1))


def shares(count: int, threads: dict[str, int], holders: list[tuple[str, ...]]) -> dict[str, list[int]]:
    """Return which parts each worker takes: by its threads, and where it can be those that it holds.

    Examples
    --------
    >>> from fastnet.dask.gradients import shares
    >>> shares(4, {"a": 1, "b": 1}, [("a",), ("a",), ("a",), ("b",)])
    {'a': [0, 1], 'b': [2, 3]}
    """
    total, edge, left = sum(threads.values()), 0, {}
    so_far = 0
    for address, n in threads.items():
        so_far += n
        left[address] = round(count * so_far / total) - edge
        edge += left[address]
    plan: dict[str, list[int]] = {address: [] for address in threads}
    homeless = []
    for k, having in enumerate(holders):
        home = next((address for address in having if left.get(address)), None)
        if home is None:
            homeless.append(k)
            continue
        plan[home].append(k)
        left[home] -= 1
    for k in homeless:  # runs as long as can be: their subtrees merge
        home = next(address for address in left if left[address])
        plan[home].append(k)
        left[home] -= 1
    return {address: sorted(which) for address, which in plan.items() if which}


def present_workers(client: Any) -> dict[str, int]:
    """Return the threads of each worker; wait for one if there is none.

    Raises
    ------
    RuntimeError
        If there is still none after a minute.
    """
    deadline = time.monotonic() + PATIENCE
    while not (threads := dict(client.nthreads())):
        if time.monotonic() > deadline:
            raise RuntimeError(f"client must have at least one worker, got none for {PATIENCE:g} seconds")
        time.sleep(0.1)
    return threads


class Parts:
    """The parts of the rows on the workers, and who works on which."""

    def __init__(self, client: Any, delayed: list[Any], rows: int) -> None:
        self.client = client
        self.rows = rows
        self._futures = client.compute(delayed)
        self._threads: dict[str, int] = {}
        self._plan: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._futures)

    def ask(self, function: Any, arguments: list[Any]) -> list[Any]:
        """Return function(part, argument) of each part."""
        pairs = zip(self._futures, arguments, strict=True)
        with self._naming_what_is_lost():
            return self._results([self.client.submit(function, *pair, pure=False) for pair in pairs])

    def evaluate(self, evaluation: Evaluation) -> list[Subtree]:
        """Return the roots of subtrees of all parts.

        Raises
        ------
        LostDataError
            If parts cannot be computed again.
        RuntimeError
            If a worker that has come meanwhile gives other bits, or there is none.
        """
        with self._naming_what_is_lost():
            self._share()
            tasks = [
                self.client.submit(
                    evaluate,
                    evaluation,
                    [self._futures[k] for k in which],
                    workers=[address],
                    allow_other_workers=True,
                    pure=False,
                )
                for address, which in self._plan.items()
            ]
            results = self._results(tasks)
        found: list[Subtree] = []
        for trees, (address, fused) in results:
            if fused != isa.fused():
                raise RuntimeError(_other_arithmetic(address, "another", isa.active()))
            found += trees
        return found

    def release(self) -> None:
        """Let the workers forget the parts."""
        self._futures = []

    def _share(self) -> None:
        """Share the parts among the workers there are now, if these have changed."""
        threads = present_workers(self.client)
        if threads == self._threads:
            return
        if not self._threads:
            self._results(self._futures, gather=False)
        held = self.client.who_has(self._futures)
        holders = [tuple(held.get(future.key, ())) for future in self._futures]
        self._plan, self._threads = shares(len(self), threads, holders), threads
        for address, which in self._plan.items():
            for k in which:
                if address not in holders[k]:
                    self._futures[k] = self.client.submit(
                        same, self._futures[k], workers=[address], allow_other_workers=True, pure=False
                    )

    def _results(self, futures: list[Any], *, gather: bool = True) -> list[Any]:
        """Wait for futures and return what they hold."""
        wait = import_optional("distributed", PURPOSE, extra="dask").wait
        while True:
            try:
                wait(futures, POLL)
                break
            except TimeoutError:
                present_workers(self.client)
        if gather:
            return list(self.client.gather(futures))
        for future in futures:
            if future.status == "error":
                future.result()
        return []

    @contextmanager
    def _naming_what_is_lost(self) -> Iterator[None]:
        """Raise LostDataError if Dask says that it has forgotten a future."""
        cancelled = import_optional("distributed", PURPOSE, extra="dask").CancelledError
        try:
            yield
        except cancelled as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> LostDataError:
        gone = [k for k, future in enumerate(self._futures) if future.status in ("cancelled", "lost")]
        if not gone:
            return LostDataError(f"the data of the fit are lost: {error}")
        blocks = self.rows // BLOCK_ROWS
        named = ", ".join(
            f"{k * blocks} to {(k + 1) * blocks - 1}" if blocks > 1 else str(k) for k in gone[:10]
        )
        more = " and others" if len(gone) > 10 else ""
        return LostDataError(
            f"the blocks {named}{more} of {BLOCK_ROWS} rows were on a worker that is gone, and cannot be "
            "computed again, because what they were made of is lost too (scattered data are): read or make "
            "the data by tasks"
        )


class DaskLoss(LossAndGradient):
    """The loss over the rows of dask collections, with the bits of the loss over the same rows in memory."""

    def __init__(
        self, est: Any, X: Any, y: Any, weights: Any, dtype: np.dtype[Any], *, client: Any, data: DaskData
    ) -> None:
        super().__init__(est, X, y, weights, dtype)
        own = _own_parameters.own_parameter
        self._n_rows = data.n_rows
        self._n_threads = own(est, "n_threads")
        class_weight = own(est, "class_weight") if data.classify else None
        preparation = Preparation(
            estimator=type(est).__name__,
            columns=data.columns,
            found_dtype=data.dtype,
            asked_dtype=own(est, "dtype"),
            dtype=dtype,
            classes=est.classes_ if data.classify and not data.several_labels else None,
            several_labels=data.several_labels,
            class_weights=data.class_weights(class_weight, getattr(est, "classes_", None)),
            number_weight=data.number_weight,
        )
        row_bytes = (data.n_features + est.n_outputs_ + 1) * dtype.itemsize
        threads = present_workers(client)
        rows = rows_of_a_part(data.n_rows, len(threads), row_bytes)
        count = -(-data.n_rows // rows)
        plan = shares(count, threads, [()] * count)
        homes = {k: address for address, which in plan.items() for k in which}
        self._parts = Parts(client, data.parts(preparation, rows, [homes[k] for k in range(count)]), rows)
        weighted = weights is not None or class_weight is not None
        self.weight_sum = self._sum_of_weights() if weighted else float(data.n_rows)
        self._driver: engine.TrainerCore | None = None

    def _sum_of_weights(self) -> float:
        ends = [min(self._n_rows, (k + 1) * self._parts.rows) for k in range(len(self._parts))]
        asked: list[list[pairwise.Request]] = [[] for _ in ends]
        for request in pairwise.requests_for(ends):
            asked[request.piece].append(request)
        replies = self._parts.ask(answers, asked)
        known = {
            request: value
            for requests, values in zip(asked, replies, strict=True)
            for request, value in zip(requests, values, strict=True)
        }
        return float(pairwise.total(ends, known.__getitem__))

    def total(self, W: list[Array], b: list[Array], into: tuple[list[Array], list[Array]]) -> float:
        """Write dW and db, summed over all rows, into arrays, and return the summed cost."""
        batch = max(BLOCK_ROWS, min(self._parts.rows, self._n_rows))
        evaluation = Evaluation(W, b, self.activations, self.loss, batch, self._n_threads, self.flops)
        if self._driver is None:
            self._driver = evaluation.core(1)
        dW, db, cost = subtrees.combine(self._parts.evaluate(evaluation), self._n_rows, self._driver)
        for arrays, found in zip(into, (dW, db), strict=True):
            for array, sums in zip(arrays, found, strict=True):
                array[...] = sums
        return cost

    def release(self) -> None:
        """Let the workers forget the data."""
        self._parts.release()
