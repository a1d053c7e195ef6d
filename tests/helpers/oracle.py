"""What the tests of the kernels share: the reference in a wider precision, ULP, awkward sizes, networks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from fastnet._core import engine
from fastnet.reference.activations import OUTPUT_ONLY
from fastnet.reference.losses import default_loss

WIDER: dict[str, Any] = {"float32": np.float64, "float64": np.longdouble}
ELEMENTWISE = [name for name in engine.ACTIVATIONS if name != "softmax"]
HIDDEN = [name for name in engine.ACTIVATIONS if name not in OUTPUT_ONLY]
LOSSES = engine.LOSSES
OF_LOGITS = {default_loss(name): name for name in ("sigmoid", *OUTPUT_ONLY)}
PAIRS = [(loss, name) for loss in LOSSES for name in ([OF_LOGITS[loss]] if loss in OF_LOGITS else HIDDEN)]


def wide(*arrays: Any) -> list[Any]:
    return [a.astype(WIDER[a.dtype.name]) for a in arrays]


def ulps(got: Any, exact: Any) -> Any:
    """Return |got - exact| in units of the spacing of numbers just below the exact value, away from 0.

    Where the exact value overflows, so must `got`, or be the largest number.
    """
    dtype = got.dtype.type
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        right = np.minimum(abs(exact).astype(dtype), np.finfo(dtype).max)
        spacing = np.maximum(right - np.nextafter(right, dtype(0)), np.finfo(dtype).smallest_subnormal)
        error = abs(got.astype(exact.dtype) - exact) / spacing
    overflow = abs(exact) > np.finfo(dtype).max
    return np.where(overflow, np.where(abs(got) >= np.finfo(dtype).max, 0, np.inf), error)


def every_binade() -> Any:
    """Return float32 numbers of every exponent and both signs, 509 mantissas each."""
    mantissas = np.linspace(0, 2**23 - 1, 509).astype(np.uint32)
    exponents = np.arange(255, dtype=np.uint32) << 23
    x = (exponents[:, None] | mantissas[None, :]).ravel().view(np.float32)
    return np.concatenate([x, -x])


def awkward_sizes(dtype: Any) -> list[int]:
    """Return 1 and both neighbours of what the kernels cut by: a vector, a panel, a leaf of 64 examples."""
    width, panel, _ = engine.geometry(dtype)
    return sorted({1, 2, width - 1, width, width + 1, panel - 1, panel, panel + 1, 63, 64, 65} - {0})


def random_weights(rng: Any, sizes: tuple[int, ...], dtype: Any) -> tuple[list[Any], list[Any]]:
    """Return W and b of a network, such that no unit is far out."""
    W = [(rng.normal(size=(n_out, n_in)) / np.sqrt(n_in)).astype(dtype) for n_in, n_out in pairwise(sizes)]
    return W, [rng.normal(size=(n_out, 1)).astype(dtype) for n_out in sizes[1:]]


def random_targets(rng: Any, loss: str, shape: tuple[int, int], dtype: Any) -> Any:
    """Return targets that a loss may have."""
    T = rng.uniform(0, 1, shape)
    if loss == "cross_entropy":
        T /= T.sum(axis=0)
    elif loss not in ("bce", "poisson"):
        T = 3 * T - 1.5
    return T.astype(dtype)
