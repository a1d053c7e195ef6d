"""Every activation of the core against its stated bound, and its slope, on every build; and inside networks.

`fastnet.reference` in a wider precision is the oracle: float64 for float32, whose exp, tanh and so on are
good to 2⁻⁵⁰ and Φ to 2⁻⁴⁸; longdouble for float64.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from bounds import slope_bound
from oracle import (
    ELEMENTWISE,
    HIDDEN,
    awkward_sizes,
    every_binade,
    random_weights,
    ulps,
    wide,
)

import fastnet as fn
from fastnet import reference
from fastnet._core import engine

# What the docstrings of activations.pxi say.
ULP = {
    "identity": 0.0, "sigmoid": 2.0, "logistic": 2.5, "tanh": 4.0, "relu": 0.0, "leaky_relu": 1.0, "elu": 2.0,
    "selu": 4.0, "silu": 3.0, "gelu": 6.0, "softplus": 3.0, "mish": 6.0, "exp": 1.1,
}  # fmt: skip


@cache
def samples(dtype: str) -> Any:
    """Return where activations are looked at: all binades in float32, and densely where they vary."""
    rng = np.random.default_rng(4)
    count = 100_000 if dtype == "float32" else 20_000
    ranges = [rng.uniform(-22, 22, count), rng.uniform(-2.5, 2.5, count), rng.uniform(-110, 90, count // 2)]
    if dtype == "float32":
        ranges.append(every_binade())
    else:
        ranges += [rng.uniform(-746, 710, count // 2)]
        ranges += [rng.choice([-1, 1], count // 4) * 10.0 ** rng.uniform(-320, 308, count // 4)]
    ranges.append(np.array([0.0, -0.0, 88.72283, -103.97, 709.78, -745.1, 14.5, -14.4, 38.6, -38.6]))
    return np.concatenate(ranges).astype(dtype)


@cache
def exact(name: str, dtype: str) -> tuple[Any, Any]:
    """Return the activation and its slope at the samples."""
    (Z,) = wide(samples(dtype))
    with np.errstate(over="ignore", under="ignore"):
        return reference.activate(Z, name), reference.activation_backward(Z, np.ones_like(Z), name)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_within_the_stated_bound(isa: str, dtype: Any, name: str) -> None:
    z = samples(dtype.name)
    right, right_slope = exact(name, dtype.name)
    a = engine.activate(z[None], name)[0]
    error = ulps(a, right)
    if name in ("silu", "mish"):  # z times a number that is rounded to a denormal
        error -= np.where(z < np.log(np.finfo(dtype).smallest_normal), abs(z), 0)
    assert error.max() <= ULP[name], z[np.argmax(error)]
    slope = engine.activation_backward(z[None], np.ones_like(z)[None], name)[0]
    (wider,) = wide(z)
    largest = np.finfo(dtype).max
    overflows = abs(right_slope) > largest  # exp
    assert np.all(slope[overflows] >= largest)
    bound = slope_bound(name, wider, right, right_slope, dtype)
    off = abs(np.where(overflows, 0, np.minimum(slope, largest) - right_slope)) > bound
    assert not off.any(), z[off]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nan_stays_and_infinity_ends(isa: str, dtype: Any, name: str) -> None:
    z = np.array([[np.nan, np.inf, -np.inf] * 21], dtype)
    a = engine.activate(z, name)
    limit = {"sigmoid": 1.0, "logistic": 1.0, "tanh": 1.0}.get(name, np.inf)
    below = {"identity": -np.inf, "leaky_relu": -np.inf, "tanh": -1.0, "elu": -1.0}.get(name, 0.0)
    if name == "selu":
        below = -1.7580993408473769
    if name in ("silu", "mish"):
        below = np.nan  # −∞ times 0
    np.testing.assert_array_equal(a[:, :3].astype(np.float64), np.array([[np.nan, limit, dtype.type(below)]]))
    np.testing.assert_array_equal(a[:, :3], a[:, -3:])


def test_kinks_have_the_slope_below(isa: str, dtype: Any) -> None:
    z = np.array([[0.0, -0.0, np.finfo(dtype).smallest_subnormal, -1e-30]], dtype)
    for name, below, above in [("relu", 0, 1), ("leaky_relu", dtype.type(0.01), 1)]:
        slopes = engine.activation_backward(z, np.ones_like(z), name)
        assert slopes.tolist() == [[below, below, above, below]]


# ---- softmax


@pytest.mark.parametrize("rows", [1, 2, 3, 10, 67])
def test_softmax_at_every_size(isa: str, dtype: Any, rng: Any, rows: int) -> None:
    eps = float(np.finfo(dtype).eps)
    for n in awkward_sizes(dtype):
        Z = (rng.uniform(-20, 20, (rows, n)) * rng.choice([1e-3, 1, 10], n)).astype(dtype)
        dA = rng.normal(size=(rows, n)).astype(dtype)
        Zw, dAw = wide(Z, dA)
        right = reference.activate(Zw, "softmax")
        A = engine.activate(Z, "softmax")
        # exp of a rounded difference of up to 400: half an ULP of that; the sum of rows, and a few
        # an exponential below e^-83 (float32) or e^-700 is 0
        bound = (rows + 5 + abs(Zw - Zw.max(axis=0)) / 2) * eps * right
        bound += np.exp(np.float64(-83 if dtype == np.float32 else -700))
        assert np.all(abs(A - right) <= bound)
        assert np.all(abs(A.sum(axis=0, dtype=np.float64) - 1) <= (rows + 5) * eps)
        dZ = engine.activation_backward(Z, dA, "softmax")
        right = reference.activation_backward(Zw, dAw, "softmax")
        size = bound.max(axis=0) + (rows + 3) * eps  # of each term; there are rows + 1 terms
        assert np.all(abs(dZ - right) <= size * abs(dAw).sum(axis=0))


def test_softmax_of_far_logits(isa: str, dtype: Any) -> None:
    Z = np.array([[1e4, -1e30, 0.0], [0.0, 1e30, 0.0]], dtype)
    np.testing.assert_array_equal(engine.activate(Z, "softmax"), [[1, 0, 0.5], [0, 1, 0.5]])


# ---- inside a network: the same function on panels


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_network_has_the_same_bits(isa: str, dtype: Any, rng: Any, name: str) -> None:
    """W = 1 and b = 0 let Z through unchanged."""
    for rows, n in [(1, 1), (1, 300), (5, 33), (3, 64), (19, 7), (4, 1100)]:
        Z = rng.uniform(-9, 9, (rows, n)).astype(dtype)
        unit, zero = np.eye(rows, dtype=dtype), np.zeros((rows, 1), dtype)
        A = engine.forward([unit], [zero], [name], Z)
        np.testing.assert_array_equal(A, engine.activate(Z, name))
        trainer = engine.TrainerCore(
            [unit], [zero], [name], n, loss="squared_error" if name in HIDDEN else "poisson"
        )
        if name in ("sigmoid", *HIDDEN):
            np.testing.assert_array_equal(trainer.predict(Z), A)


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("n_out", [1, 3])
def test_the_way_back_through_a_layer(isa: str, dtype: Any, rng: Any, name: str, n_out: int) -> None:
    """db of the layer below is Σ dZ, dZ = (Wᵀ dZ above) f'(z): seen for one example, column by column.

    One output unit has a path of its own.
    """
    for hidden, n in [(1, 1), (5, 1), (17, 1), (33, 1), (7, 70), (20, 130)]:
        W, b = random_weights(rng, (3, hidden, n_out), dtype)
        X, T = rng.normal(size=(3, n)).astype(dtype), np.zeros((n_out, n), dtype)
        trainer = engine.TrainerCore(W, b, [name, "identity"], n, loss="absolute_error")
        dW, db, _ = trainer.gradients(X, T)
        Ww, bw, Xw, Tw = wide(*W), wide(*b), wide(X), wide(T)
        twin = reference.Trainer(Ww, bw, [name, "identity"], n, loss="absolute_error")
        right_W, right_b, _ = twin.gradients(*Xw, *Tw)
        # Z is a sum of 3 products, and slopes change by at most 1.3 per z; then dA and the sum
        eps = float(np.finfo(dtype).eps)
        Z = reference.dense_forward(Ww[0], bw[0], Xw[0])
        slope = slope_bound(name, Z, reference.activate(Z, name), 1.0, dtype) + 1.3 * 4 * eps * (1 + abs(Z))
        dA = abs(Ww[1]).sum(axis=0)[:, None] * np.ones((1, n))
        terms = (slope + (n_out + n + 4) * eps * 1.3) * dA
        assert np.all(abs(db[0] - right_b[0]) <= terms.sum(axis=1, keepdims=True))
        assert np.all(abs(dW[0] - right_W[0]) <= terms @ abs(Xw[0]).T * 1.01)
        assert np.all(abs(dW[1] - right_W[1]) <= (n + 60) * eps * (1 + abs(Z)).sum(axis=1))


@pytest.mark.parametrize("group", [("v3", "v4", "neon"), ("portable", "v2")], ids=["fused", "separate"])
@pytest.mark.parametrize("name", engine.ACTIVATIONS)
def test_builds_agree_on_activations(dtype: Any, rng: Any, group: tuple[str, ...], name: str) -> None:
    here = [build for build in fn.isa.supported() if build in group]
    if len(here) < 2:
        pytest.skip(f"only {here} here")
    Z = np.concatenate([rng.uniform(-30, 30, 3000), 10.0 ** rng.uniform(-44, 30, 2000), [0.0, -0.0]])
    Z = np.stack([Z, -Z]).astype(dtype)
    dA = rng.normal(size=Z.shape).astype(dtype)
    results = []
    for build in here:
        with fn.isa.using(build):
            A, dZ = engine.activate(Z, name), engine.activation_backward(Z, dA, name)
            results.append((A.tobytes(), dZ.tobytes()))
    assert all(result == results[0] for result in results)
