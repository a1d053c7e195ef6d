"""Shuffles and dropout of the compiled core, number by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import rounding
from steps import start

from fastnet import reference
from fastnet._core import engine
from fastnet.reference.normal import deviates

NORMAL = [  # what AS 241 gave in NumPy, operation by operation
    "-0x1.095b059d67c4cp+3",
    "-0x1.7fdc11f44b5a7p+2",
    "-0x1.29c5c4630ff0ep+1",
    "-0x1.7056dc6686c9ap+0",
    "-0x1.0c7e39582c5fap-1",
    "0x0.0p+0",
    "0x1.5956b87528a49p-1",
    "0x1.7056dc6686c9cp+0",
    "0x1.70b374817af50p+0",
    "0x1.06b48528cea51p+3",
]


@pytest.mark.parametrize("p", [0.1, 0.5, 2.0**-17, 1 - 2.0**-18])
def test_masks_are_those_of_the_reference(isa: str, dtype: Any, p: float) -> None:
    """Seen in the step of the layer above, whose weights are 0 and whose unit k only example k asks for.

    dW_kr = Σ_n dZ_kn a_rn = a_rk, and a_rk = 1 · mask; at the rate n it is subtracted as it is.
    """
    for rows, n, batch_size in [(1, 1, 1), (5, 7, 7), (3, 66, 70), (17, 130, 130), (2, 1100, 1100)]:
        W = [np.zeros((rows, 1), dtype), np.zeros((n, rows), dtype)]
        b = [np.ones((rows, 1), dtype), np.zeros((n, 1), dtype)]
        for seed, step in [(0, 0), (2**64 - 1, 70_000)]:
            options: dict[str, Any] = {"loss": "absolute_error", "dropout": [p, 0.0], "seed": seed}
            trainer = engine.TrainerCore(W, b, ["identity", "identity"], batch_size, 2, **options)
            trainer.step = step
            trainer.epoch(np.ones((1, n), dtype), -np.eye(n, dtype=dtype), None, float(n))
            mask = reference.dropout_mask(rows, n, p, batch_size=batch_size, seed=seed, layer=0, step=step)
            np.testing.assert_array_equal(-trainer.weights()[0][1].T, mask.astype(dtype))


def test_each_layer_and_batch_has_a_mask_of_its_own(isa: str, dtype: Any, rng: Any) -> None:
    W, b, X, T, _ = start(rng, (4, 12, 11, 1), dtype, 50)
    twins = [
        trainer(W, b, ["tanh", "relu", "sigmoid"], 16, loss="bce", dropout=[0.5, 0.25, 0.0], seed=3)
        for trainer in (engine.TrainerCore, reference.Trainer)
    ]
    costs = [[twin.epoch(X, T, None, 0.1) for _ in range(3)] for twin in twins]
    bound = rounding(dtype.name, (4, 12, 11, 1), 16, X, steps=12)
    np.testing.assert_allclose(costs[0], costs[1], rtol=bound)
    assert abs(twins[0].weights()[0][0] - twins[1].weights()[0][0]).max() <= bound
    without = engine.TrainerCore(W, b, ["tanh", "relu", "sigmoid"], 16)
    assert abs(without.epoch(X, T, None, 0.1) - costs[0][0]) > 0.01 * costs[0][0]


def test_permutations_are_those_of_the_reference_on_every_build(isa: str) -> None:
    """Below, at and above the draws that are made together; and so many that some draws are rejected."""
    for n in (0, 1, 2, 31, 32, 33, 34, 65, 66, 1000, 4097):
        for seed, epoch in [(0, 0), (2**64 - 1, 2**63 - 1)]:
            expected = reference.permutation(n, seed, epoch)
            np.testing.assert_array_equal(engine.permutation(n, seed, epoch), expected)
    n = 200_000  # each draw is rejected with a chance of about bound/2^32: 4.7 of these
    np.testing.assert_array_equal(engine.permutation(n, 5, 7), reference.permutation(n, 5, 7))


def test_orders_are_columns(isa: str, dtype: Any) -> None:
    """One number outside, wherever it stands."""
    core = engine.TrainerCore([np.zeros((1, 1), dtype)], [np.zeros((1, 1), dtype)], ["sigmoid"], 7)
    X = np.zeros((1, 50), dtype)
    for place in (0, 16, 31, 49):
        for wrong in (-1, 50, 2**62, -(2**63)):
            order = np.arange(50)
            order[place] = wrong
            with pytest.raises(ValueError, match=f"order must be columns 0 to 49, got {wrong}"):
                core.epoch(X, X, order, 0.1)
    core.epoch(X, X, np.arange(50), 0.1)


def test_normal_draws_are_the_inverse_of_the_distribution(rng: Any) -> None:
    tails = 2.0 ** -rng.uniform(1, 54, 1000)
    u = np.concatenate([rng.random(4000), tails, np.minimum(1 - tails, 1 - 2**-53)])
    u = np.concatenate([u, [0.0, 0.5, 0.075, 0.925, 1 - 2**-53]])  # 0.5 ± 0.425: where another formula begins
    exact = deviates(u)
    # both by AS 241; a dozen roundings in each polynomial, and what the logarithms differ by
    found = engine.normal(u.copy())
    assert (abs(found - exact) <= 16 * np.finfo(float).eps * abs(exact)).all()
    assert (np.diff(found[np.argsort(u, kind="stable")]) >= -1e-15).all()


def test_normal_draws_are_the_same_for_ever() -> None:
    u = np.array([0.0, 1e-9, 0.01, 0.0751, 0.3, 0.5, 0.75, 0.9249, 0.9251, 1 - 2**-53])
    expected = [float.fromhex(text) for text in NORMAL]
    assert engine.normal(u).tolist() == expected


def test_normal_draws_are_made_in_place_of_writable_float64() -> None:
    u = np.full(3, 0.25)
    assert engine.normal(u) is u
    for wrong in (np.full(3, 0.25, np.float32), np.full(6, 0.25)[::2]):
        with pytest.raises(ValueError, match="float64 in C order"):
            engine.normal(wrong)
