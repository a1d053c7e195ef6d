"""JAX: a compiled step called for every batch, and an epoch compiled as one scan over the batches.

CPU time of the process: XLA computes on threads of its own. The environment that ``benchmarks.jobs`` sets
keeps it to one at a time.
"""

from __future__ import annotations

import math
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
_State = tuple[_Parameters, Any]  # weights, and what the optimiser keeps: Adam's (m, v, t)


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
            parameters = [(jnp.array(W), jnp.array(b[:, None])) for W, b in pairs]
        else:
            parameters = [(jnp.array(W.T), jnp.array(b)) for W, b in pairs]
        kept: Any = ()
        if self.adam is not None:
            kept = (*(jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)), jnp.int32(0))
        self.state: _State = (parameters, kept)

    def step(self, state: _State, X: jax.Array, T: jax.Array, batch: jax.Array) -> _State:
        parameters, kept = state
        A, targets = X[batch], T[batch]
        if self.columns:
            A, targets = A.T, targets.T
        gradients = jax.grad(_cost)(parameters, A, targets, self.columns)
        if adam := self.adam:
            m, v, t = kept
            m = jax.tree.map(lambda m, g: adam.beta_1 * m + (1 - adam.beta_1) * g, m, gradients)
            v = jax.tree.map(lambda v, g: adam.beta_2 * v + (1 - adam.beta_2) * g * g, v, gradients)
            t += 1
            rest_1, rest_2 = (-jnp.expm1(t * math.log(beta)) for beta in (adam.beta_1, adam.beta_2))
            rate = adam.learning_rate * jnp.sqrt(rest_2) / rest_1  # 1 - beta^t without what float32 loses
            weights = jax.tree.map(
                lambda w, m, v: w - rate * m / (jnp.sqrt(v) + adam.epsilon), parameters, m, v
            )
            return weights, (m, v, t)
        return jax.tree.map(lambda w, g: w - self.learning_rate * g, parameters, gradients), ()

    def finish(self) -> None:
        jax.block_until_ready(self.state)

    def weights(self) -> tuple[list[Array], list[Array]]:
        parameters = self.state[0]
        W = [np.asarray(V if self.columns else V.T) for V, _ in parameters]
        return W, [np.asarray(b).reshape(-1) for _, b in parameters]


class Steps(_Jax):
    """One call per batch; the old state is given up to it (donated)."""

    def prepare(self) -> None:
        """Compile the step."""
        super().prepare()

        @partial(jax.jit, donate_argnums=0)
        def one(state: _State, X: Any, T: Any, order: Any, k: int) -> _State:
            return self.step(state, X, T, order[k])

        self.one = one

    def epoch(self, order: Any) -> None:
        """Call the step for each batch; it runs while the next is being called."""
        for k in range(len(order)):
            self.state = self.one(self.state, self.X, self.T, order, k)


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
        def scan(state: _State, X: Any, T: Any, order: Any) -> _State:
            def body(now: _State, batch: Any) -> tuple[_State, None]:
                return self.step(now, X, T, batch), None

            return lax.scan(body, state, order)[0]

        self.scan = scan

    def epoch(self, order: Any) -> None:
        """Call the compiled epoch."""
        self.state = self.scan(self.state, self.X, self.T, order)
