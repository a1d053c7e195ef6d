"""Whole compiled epochs: against the reference, without weight, resumed, and bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import rounding
from oracle import wide
from steps import EVERYTHING, OPTIMIZERS, OTHERWISE, SHAPES, SIZES, bits, everything, names, start

import fastnet as fn
from fastnet import reference
from fastnet._core import engine
from fastnet.reference.trainer import Trainer

# ---- whole epochs against the reference


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("also", ["plain", "all"])
def test_epochs_against_the_reference(isa: str, dtype: Any, rng: Any, optimizer: str, also: str) -> None:
    """Batches of awkward sizes, the last one smaller; with all: weights, l2, clipping, dropout, rates."""
    for shape, n, batch in [
        (SHAPES[0], 10, 4),
        (SHAPES[2], 70, 33),
        (SHAPES[2], 50, 6),
        (SHAPES[3], 11, 1),
        (SHAPES[3], 150, 64),
        ((3, 6, 2), 2500, 1100),
    ]:
        W, b, X, T, w = start(rng, shape, dtype, n)
        options = dict(OPTIMIZERS[optimizer])
        batches = -(-n // batch)
        rates: Any = 0.05
        weights = None
        if also == "all":
            options |= EVERYTHING | {"dropout": [0.25, 0.5, 0.0][-len(W) :]}
            rates, weights = rng.uniform(0.02, 0.05, batches), w
            weights[: 2 * batch : 2] = 0
        trainer = engine.TrainerCore(W, b, names(shape), batch, **options)
        twin = reference.Trainer(wide(*W), wide(*b), names(shape), batch, **options)
        Xw, Tw = wide(X, T)
        for epoch in range(2):
            order = engine.permutation(n, 1, epoch)
            cost = trainer.epoch(X, T, order, rates, weights)
            right = twin.epoch(Xw, Tw, order, rates, None if weights is None else wide(weights)[0])
            # rate/ε is at most 5: what a step makes of the rounding of a gradient, whose mean is over `batch`
            bound = 5 * rounding(dtype.name, shape, batch, X, steps=batches * (epoch + 1))
            assert abs(cost - right) <= bound * abs(right)
            for found, exact in zip(
                [*trainer.weights()[0], *trainer.weights()[1]], [*twin.W, *twin.b], strict=True
            ):
                assert abs(found - exact).max() <= bound
            for name, moment in trainer.moments().items():
                assert abs(moment - twin.moments()[name]).max() <= bound * max(1, abs(moment).max())
        assert (trainer.step, trainer.examples_done) == (2 * batches, n)
        assert abs(trainer.loss(X, T, weights) - twin.loss(Xw, Tw, weights)) <= bound * n
        assert abs(trainer.predict(X) - twin.predict(Xw)).max() <= bound


def test_logits_are_what_the_loss_starts_from(isa: str, dtype: Any, rng: Any) -> None:
    """Copied on the way to the loss: the same loss, for any order and memory."""
    for shape, n, batch in [(SHAPES[0], 10, 4), (SHAPES[2], 70, 33), ((3, 6, 2), 2500, 1100)]:
        W, b, X, T, weights = start(rng, shape, dtype, n)
        core = engine.TrainerCore(W, b, names(shape), batch)
        order = rng.permutation(n)[: n - 2]
        into = np.full((len(T), 2 * n), np.nan, dtype)
        Z = into[:, ::2][:, : n - 2]
        assert core.loss(X, T, weights, order, Z) == core.loss(X, T, weights, order)
        np.testing.assert_array_equal(engine.activate(np.ascontiguousarray(Z), names(shape)[-1]),
                                      core.predict(X)[:, order])  # fmt: skip
        assert np.isnan(into[:, 1::2]).all()
        assert np.isnan(into[:, 2 * n - 4 :]).all()
        with pytest.raises(ValueError, match="logits must have shape"):
            core.loss(X, T, weights, None, Z)


def test_standardised_examples(isa: str, dtype: Any, rng: Any) -> None:
    """(x − mean)/scale, rounded twice, is what the first layer sees: the same bits as if done beforehand."""
    for shape, n, batch in [(SHAPES[0], 10, 4), (SHAPES[2], 70, 33), ((40, 6, 2), 300, 100)]:
        W, b, X, T, _ = start(rng, shape, dtype, n)
        mean, scale = rng.normal(size=shape[0]).astype(dtype), rng.uniform(0.5, 2, shape[0]).astype(dtype)
        before = (X - mean[:, None]) / scale[:, None]
        results = []
        for examples, by in [(X, (mean, scale)), (np.asfortranarray(X), (mean, scale)), (before, None)]:
            trainer = engine.TrainerCore(W, b, names(shape), batch, standardize=by)
            cost = trainer.epoch(examples, T, None, 0.5)
            arrays = [*trainer.weights()[0], *trainer.weights()[1], trainer.predict(examples)]
            results.append([cost, trainer.loss(examples, T), *(array.tobytes() for array in arrays)])
        assert results[0] == results[1] == results[2]


# ---- batches without weight


@pytest.mark.parametrize("also", ["plain", "both"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_batches_without_weight_change_nothing_but_count(
    isa: str, dtype: Any, rng: Any, optimizer: str, also: str
) -> None:
    for shape, batch in [(SHAPES[0], 7), (SHAPES[3], 40), ((3, 6, 2), 1050)]:
        W, b, X, T, w = start(rng, shape, dtype, 3 * batch)
        w[batch:] = 0
        trainer = engine.TrainerCore(W, b, names(shape), batch, **OPTIMIZERS[optimizer], **OTHERWISE[also])
        cost = trainer.epoch(X, T, None, 0.25, w)
        once = engine.TrainerCore(W, b, names(shape), batch, **OPTIMIZERS[optimizer], **OTHERWISE[also])
        assert once.epoch(X[:, :batch], T[:, :batch], None, 0.25, w[:batch]) == cost
        assert (trainer.step, once.step) == (3, 1)
        assert bits(trainer) == bits(once)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_any_number_of_threads_gives_the_same_bits(isa: str, dtype: Any, optimizer: str) -> None:
    for shape, n, batch in SIZES:
        alone = everything(optimizer, shape, dtype, n, batch, 1)
        for n_threads in (2, 3):
            assert everything(optimizer, shape, dtype, n, batch, n_threads) == alone


@pytest.mark.parametrize("group", [("v3", "v4", "neon"), ("portable", "v2")], ids=["fused", "separate"])
@pytest.mark.parametrize("loss", engine.LOSSES)
def test_builds_agree(dtype: Any, group: tuple[str, ...], loss: str) -> None:
    here = [name for name in fn.isa.supported() if name in group]
    if len(here) < 2:
        pytest.skip(f"only {here} here")
    for optimizer in OPTIMIZERS if loss in ("bce", "cross_entropy") else ["adam"]:
        for shape, n, batch in SIZES[1:]:
            results = []
            for name in here:
                with fn.isa.using(name):
                    results.append(everything(optimizer, shape, dtype, n, batch, 1, loss))
            assert all(result == results[0] for result in results)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_going_on_gives_the_same_bits(isa: str, dtype: Any, rng: Any, optimizer: str) -> None:
    for shape in SHAPES[:3:2]:
        W, b, X, T, w = start(rng, shape, dtype, 100)
        options = OPTIMIZERS[optimizer] | EVERYTHING | {"dropout": [0.25, 0.5, 0.0][-len(W) :]}
        whole, first, second = (engine.TrainerCore(W, b, names(shape), 32, **options) for _ in range(3))
        costs = [whole.epoch(X, T, engine.permutation(100, 0, epoch), 0.1, w) for epoch in range(5)]
        again = [first.epoch(X, T, engine.permutation(100, 0, epoch), 0.1, w) for epoch in range(2)]
        second.load_weights(*first.weights())
        second.load_moments(first.moments())
        second.step = first.step
        again += [second.epoch(X, T, engine.permutation(100, 0, epoch), 0.1, w) for epoch in range(2, 5)]
        assert again == costs
        assert bits(second) == bits(whole)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("n_out", [1, 3])
def test_a_negative_sum_of_weights(isa: str, optimizer: str, n_out: int) -> None:
    rng = np.random.default_rng(5)
    X, T = rng.normal(size=(4, 96)), rng.normal(size=(n_out, 96))
    W, b = [rng.normal(size=(n_out, 4))], [np.zeros((n_out, 1))]
    weights = np.repeat([1.0, -2.0, 0.0], 32)
    weights[:32:5] = -1.0
    args = ([w.copy() for w in W], [c.copy() for c in b], ["identity"], 32)
    options = {"loss": "squared_error", "optimizer": optimizer, "l2": 0.01}
    core = engine.TrainerCore(*args, 1, **options)
    cost = core.epoch(X, T, np.arange(96), 0.01, weights)
    reference = Trainer(*args, **options)
    expected = reference.epoch(X, T, np.arange(96), 0.01, weights)
    np.testing.assert_allclose(core.weights()[0][0], reference.weights()[0][0], rtol=1e-12)
    np.testing.assert_allclose(cost, expected, rtol=1e-12)
    assert core.step == reference.step == 3
