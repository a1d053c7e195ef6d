"""What an adapter is: the same problem, the same weights and the same batches, one library each."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastnet.bench import Problem, Workload
from fastnet.optimizers import Adam

Array = NDArray[Any]


class Peer(ABC):
    """A library that trains the network of a problem.

    The constructor prepares everything that an epoch then only uses: data and orders in the library's own
    arrays, weights, what the optimiser keeps, compiled functions. None of it is timed. With `exact` it is to
    be checked, not timed: it then does as fastnet even where the library's own rule differs a little.
    """

    clock: ClassVar[Callable[[], float]] = staticmethod(
        time.thread_time
    )  # or process_time: other threads work
    flops_limit: ClassVar[float] = float("inf")  # of a step; more would take minutes

    def __init__(self, problem: Problem, exact: bool = False) -> None:
        self.problem = problem
        self.exact = exact
        self.batch = problem.workload.batch
        self.learning_rate = problem.learning_rate
        self.adam = problem.optimizer if isinstance(problem.optimizer, Adam) else None
        layers = problem.network().layers
        self.W: list[Array] = [layer.W.copy() for layer in layers]  # (n_out, n_in)
        self.b: list[Array] = [layer.b[:, 0].copy() for layer in layers]
        self.orders = [self.own_order(order) for order in problem.orders]
        self.in_order = self.own_order(np.arange(problem.workload.n))
        self.prepare()

    @classmethod
    def refuses(cls, workload: Workload) -> str:
        """Return why this peer leaves a workload out, or nothing."""
        too_much = workload.flops > cls.flops_limit
        return f"more than {cls.flops_limit:.0e} flops a step would take too long" if too_much else ""

    def own_order(self, order: NDArray[np.intp]) -> Any:
        """Return an order of the rows as the library wants it."""
        return order

    @abstractmethod
    def prepare(self) -> None:
        """Make the library's own data, weights and functions."""

    @abstractmethod
    def epoch(self, order: Any) -> None:
        """Train one epoch: rows taken in this order, `batch` at a time, a step after each."""

    def learn(self, count: int) -> None:
        """Train that many epochs with the rows in order."""
        for _ in range(count):
            self.epoch(self.in_order)
        self.finish()

    def finish(self) -> None:  # noqa: B027 (most libraries have nothing to wait for)
        """Wait until what was started is done."""

    @abstractmethod
    def weights(self) -> tuple[list[Array], list[Array]]:
        """Return W (n_out, n_in) and b (n_out,) of each layer as they are now."""

    def train(self, count: int) -> float:
        """Train that many epochs, each in another order, and return the CPU seconds."""
        start = type(self).clock()
        for k in range(count):
            self.epoch(self.orders[k % len(self.orders)])
        self.finish()
        return type(self).clock() - start


class Predictor(ABC):
    """A library that predicts with a network: rows in, probabilities out."""

    clock: ClassVar[Callable[[], float]] = staticmethod(time.thread_time)

    @abstractmethod
    def __init__(self, W: list[Array], b: list[Array]) -> None:
        """Take over W (n_out, n_in) and b (n_out,) of each layer, all of them sigmoids."""

    @abstractmethod
    def predict(self, X: Array) -> Array:
        """Return (n, n_out) for the rows X (n, n_in)."""
