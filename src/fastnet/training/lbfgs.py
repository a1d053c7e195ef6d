"""L-BFGS: SciPy's optimiser around one call of the core for cost and gradient.

All weights and biases lie in one vector of float64, and what the core reads are views into it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnet._core import engine
from fastnet._examples import ConvertedExamples, Examples
from fastnet._optional import import_optional
from fastnet._validate import Array
from fastnet.optimizers import LBFGS
from fastnet.training import subtrees

__all__ = ["minimize", "total_loss"]


class Flat:
    """A vector with room for all W and b, and views of the layers' shapes into it."""

    def __init__(self, W: list[Array], b: list[Array]) -> None:
        self.vector = np.empty(sum(array.size for array in (*W, *b)))
        self.W: list[Array] = []
        self.b: list[Array] = []
        start = 0
        for views, arrays in ((self.W, W), (self.b, b)):
            for array in arrays:
                views.append(self.vector[start : start + array.size].reshape(array.shape))
                start += array.size
        self.fill(W, b)

    def fill(self, W: list[Array], b: list[Array]) -> None:
        """Copy arrays of the layers into the vector."""
        for view, array in zip((*self.W, *self.b), (*W, *b), strict=True):
            view[...] = array


def minimize(
    core: engine.TrainerCore,
    data: Examples | ConvertedExamples,
    l2: float,
    settings: LBFGS,
    after_iteration: Callable[[float], str],
) -> str:
    """Lower the mean cost of all examples, and return why it ended.

    Parameters
    ----------
    core : engine.TrainerCore
        In float64, its batch all the examples; it has the weights of the last iteration afterwards.
    data : Examples or ConvertedExamples
        In float64, or converted to it block by block in each evaluation: the same bits.
    l2 : float
    settings : LBFGS
    after_iteration : callable
        Gets the cost and returns why the fit ends, or "". The core has the iteration's weights meanwhile.

    Raises
    ------
    ImportError
        If SciPy is missing.
    """
    optimize = import_optional("scipy.optimize", "the optimizer LBFGS", extra="lbfgs")
    weights, gradient = Flat(*core.weights()), Flat(*core.weights())
    reached = weights.vector.copy()
    count = data.total_weight()
    reason = ""

    def cost_and_gradient(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights.vector[:] = theta
        core.load_weights(weights.W, weights.b)
        dW, db, cost = _gradients(core, data)
        gradient.fill(dW, db)
        if l2:
            for slope, W in zip(gradient.W, weights.W, strict=True):
                slope += l2 * W
                cost += l2 / 2 * float(np.vdot(W, W))
        return cost / count, gradient.vector / count

    def note(intermediate_result: Any) -> None:  # SciPy looks at the name of the argument
        nonlocal reason
        reached[:] = weights.vector[:] = intermediate_result.x
        core.load_weights(weights.W, weights.b)
        reason = after_iteration(float(intermediate_result.fun))
        if reason:
            raise StopIteration

    options = {"maxiter": settings.max_iter, "maxfun": settings.max_fun, "gtol": settings.tol}
    try:
        result = optimize.minimize(
            cost_and_gradient, reached.copy(), method="L-BFGS-B", jac=True, callback=note, options=options
        )
    finally:  # after an interrupt too: what was tried since then is no iteration
        weights.vector[:] = reached
        core.load_weights(weights.W, weights.b)
    return reason or _words(result, settings)


def _gradients(
    core: engine.TrainerCore, data: Examples | ConvertedExamples
) -> tuple[list[Array], list[Array], float]:
    """Return the gradients and the cost, summed over all examples."""
    if isinstance(data, Examples):
        return core.gradients(*data)
    parts: list[subtrees.Subtree] = []
    done = 0
    for X, T, _, weights, n in data.pieces(subtrees.BLOCK_ROWS, 0, None):
        parts = subtrees.merge([*parts, *subtrees.gradients(core, X, T, weights, first_row=done)])
        done += n
    return subtrees.combine(parts, data.n, core)


def total_loss(core: engine.TrainerCore, data: Examples | ConvertedExamples) -> float:
    """Return the cost by the weights that the core has, summed over all examples."""
    if isinstance(data, Examples):
        return core.loss(*data)
    return sum(core.loss(X, T, weights) for X, T, _, weights, _ in data.pieces(subtrees.BLOCK_ROWS, 0, None))


def _words(result: Any, settings: LBFGS) -> str:
    if result.status == 0:
        return "converged"
    if result.nit >= settings.max_iter:
        return f"max_iter={settings.max_iter} iterations done"
    if result.nfev >= settings.max_fun:
        return f"max_fun={settings.max_fun} evaluations done"
    return f"L-BFGS found no lower cost: {result.message}"
