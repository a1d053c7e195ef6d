"""JAX: a compiled step called for every batch, and an epoch compiled as one scan over the batches.

CPU time of the process: XLA computes on threads of its own. The environment that ``benchmarks.jobs`` sets
keeps it to one at a time.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from benchmarks.peers.base import Array, Peer

_Parameters = list[tuple[jax.Array, jax.Array]]


def _cost(parameters: _Parameters, A: jax.Array, T: jax.Array, columns: bool) -> jax.Array:
    """Return the mean cost of a batch, worked out from the logits; an example is a row or a column."""

    def product(V: jax.Array, A: jax.Array) -> jax.Array:
        return V @ A if columns else A @ V

    for V, b in parameters[:-1]:
        A = jax.nn.sigmoid(product(V, A) + b)
    V, b = parameters[-1]
    Z = product(V, A) + b
    return jnp.mean(jnp.maximum(Z, 0) - Z * T + jnp.log1p(jnp.exp(-jnp.abs(Z))))


class _Jax(Peer):
    clock = staticmethod(time.process_time)
    columns = False  # whether a batch is turned so that an example is a column

    def own_order(self, order: NDArray[np.intp]) -> Any:
        return jnp.asarray(order.reshape(-1, self.batch).astype(np.int32))

    def prepare(self) -> None:
        jax.config.update("jax_enable_x64", self.problem.workload.dtype == "float64")
        self.X, self.T = jnp.asarray(self.problem.X), jnp.asarray(self.problem.T)
        pairs = zip(self.W, self.b, strict=True)
        if self.columns:
            self.parameters = [(jnp.array(W), jnp.array(b[:, None])) for W, b in pairs]
        else:
            self.parameters = [(jnp.array(W.T), jnp.array(b)) for W, b in pairs]

    def step(self, parameters: _Parameters, X: jax.Array, T: jax.Array, batch: jax.Array) -> _Parameters:
        A, targets = X[batch], T[batch]
        if self.columns:
            A, targets = A.T, targets.T
        gradients = jax.grad(_cost)(parameters, A, targets, self.columns)
        return jax.tree.map(lambda value, slope: value - self.learning_rate * slope, parameters, gradients)

    def finish(self) -> None:
        jax.block_until_ready(self.parameters)

    def weights(self) -> tuple[list[Array], list[Array]]:
        W = [np.asarray(V if self.columns else V.T) for V, _ in self.parameters]
        return W, [np.asarray(b).reshape(-1) for _, b in self.parameters]


class Steps(_Jax):
    """One call per batch; the old weights are given up to it (donated)."""

    def prepare(self) -> None:
        """Compile the step."""
        super().prepare()

        @partial(jax.jit, donate_argnums=0)
        def one(parameters: _Parameters, X: Any, T: Any, order: Any, k: int) -> _Parameters:
            return self.step(parameters, X, T, order[k])

        self.one = one

    def epoch(self, order: Any) -> None:
        """Call the step for each batch; it runs while the next is being called."""
        for k in range(len(order)):
            self.parameters = self.one(self.parameters, self.X, self.T, order, k)


class Scan(_Jax):
    """One call per epoch, in the layout that is faster here: rows, as people write it, or columns."""

    def prepare(self) -> None:
        """Time both layouts for a few epochs and keep the faster."""
        seconds = {}
        for self.columns in (False, True):
            self._compile()
            seconds[self.columns] = min(self.train(3) for _ in range(3))
        self.columns = seconds[True] < seconds[False]
        self._compile()

    def _compile(self) -> None:
        super().prepare()

        @partial(jax.jit, donate_argnums=0)
        def scan(parameters: _Parameters, X: Any, T: Any, order: Any) -> _Parameters:
            def body(now: _Parameters, batch: Any) -> tuple[_Parameters, None]:
                return self.step(now, X, T, batch), None

            return lax.scan(body, parameters, order)[0]

        self.scan = scan

    def epoch(self, order: Any) -> None:
        """Call the compiled epoch."""
        self.parameters = self.scan(self.parameters, self.X, self.T, order)
