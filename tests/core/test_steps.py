"""The optimisers, weights of examples, clipping and dropout inside the compiled epoch.

A step is checked from the core's own gradient, whose rounding is known elsewhere; whole epochs against the
reference in a wider precision; masks bit by bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import rounding
from oracle import WIDER, random_targets, random_weights, wide

import fastnet as fn
from fastnet import reference
from fastnet._core import engine

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd"},
    "momentum": {"optimizer": "sgd", "momentum": 0.875},
    "nesterov": {"optimizer": "sgd", "momentum": 0.75, "nesterov": True},
    "adam": {"optimizer": "adam", "epsilon": 0.01},
    "adamw": {"optimizer": "adamw", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.05, "weight_decay": 0.1},
    "rmsprop": {"optimizer": "rmsprop", "beta_2": 0.9, "epsilon": 0.05},
    "rmsprop with momentum": {"optimizer": "rmsprop", "beta_2": 0.75, "epsilon": 0.05, "momentum": 0.5},
}
OTHERWISE: dict[str, dict[str, Any]] = {
    "plain": {},
    "l2": {"l2": 3.0},
    "clipped": {"clip_norm": 0.1},
    "both": {"l2": 3.0, "clip_norm": 0.1},
}
EVERYTHING = {"l2": 0.5, "clip_norm": 0.5, "seed": 11}
SHAPES = [(3, 5, 1), (5, 4), (7, 17, 33, 1), (9, 40, 3)]


def start(
    rng: Any, shape: tuple[int, ...], dtype: Any, n: int, loss: str = "bce"
) -> tuple[list[Any], list[Any], Any, Any, Any]:
    """Return W, b, X, T and weights of which some are 0."""
    W, b = random_weights(rng, shape, dtype)
    X, T = rng.normal(size=(shape[0], n)).astype(dtype), random_targets(rng, loss, (shape[-1], n), dtype)
    weights = rng.uniform(0, 2, n) * (rng.random(n) < 0.8)
    weights[0] = 1
    return W, b, X, T, weights.astype(dtype)


def names(shape: tuple[int, ...]) -> list[str]:
    return [*["tanh", "sigmoid", "tanh"][: len(shape) - 2], "sigmoid"]


# ---- one step, from the gradient as the core has it


def step_and_bound(
    how: dict[str, Any], g: Any, of_g: Any, w: Any, kept: Any, rate: float, t: int, eps: float, bias: bool
) -> Any:
    """Take the reference's step in place, and return what w, first and second may be off by.

    of_g is what g may be off by. Each product, sum, quotient and root rounds by at most eps/2 of its result,
    and so do the constants; an eps is allowed for each.
    """
    name, momentum, epsilon = how["optimizer"], how.get("momentum", 0.0), how.get("epsilon", 1e-8)
    first, before = kept.get("first", 0 * w).copy(), w.copy()
    trainer = reference.Trainer([w], [w], ["identity"], 1, **how)
    optimizer = trainer.optimizer
    if name == "adamw" and not bias:
        optimizer.decay(w, rate)  # type: ignore[union-attr]
    optimizer.step(w, g, kept, rate, t)
    if name == "sgd" and not momentum:
        return rate * (of_g + 3 * eps * abs(g)) + 2 * eps * abs(before), 0, 0
    if name == "sgd":
        terms = momentum * abs(first) + rate * abs(g)
        of_first = rate * of_g + 3 * eps * terms
        nesterov = how.get("nesterov", False)
        step = of_first * (1 + momentum) + 4 * eps * terms if nesterov else of_first
        return step + rate * of_g + eps * (abs(w) + abs(before)), of_first, 0
    beta = how.get("beta_2", 0.999)
    of_second = 4 * eps * kept["second"] + 2 * (1 - beta) * abs(g) * of_g
    root = np.sqrt(kept["second"])
    # √v: half of v's relative error, or the root of its absolute one where v is no larger
    of_root = np.minimum(of_second / np.maximum(root, 1e-30), np.sqrt(of_second)) + eps * root
    below = root + epsilon
    if name == "rmsprop":
        of_unit = of_g / below + abs(g) / below * (of_root / below + 3 * eps)
        of_first = of_unit + 2 * eps * (momentum * abs(first) + abs(g) / below)
        return (
            rate * (of_first + 2 * eps * abs(kept["first"])) + eps * (abs(w) + abs(before)),
            of_first,
            of_second,
        )
    beta = how.get("beta_1", 0.9)
    of_first = (1 - beta) * of_g + 3 * eps * (beta * abs(first) + (1 - beta) * abs(g))
    scale = rate * np.sqrt(1 - how.get("beta_2", 0.999) ** t) / (1 - beta**t)
    of_step = scale * (of_first / below + abs(kept["first"]) / below * (of_root / below + 4 * eps))
    return of_step + 3 * eps * (abs(w) + abs(before)), of_first, of_second


@pytest.mark.parametrize("also", OTHERWISE)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_from_the_gradient(isa: str, dtype: Any, rng: Any, optimizer: str, also: str) -> None:
    how, extra = OPTIMIZERS[optimizer], OTHERWISE[also]
    eps = float(np.finfo(dtype).eps)
    for shape, n, weighted in [
        (SHAPES[0], 1, True),
        (SHAPES[1], 65, False),
        (SHAPES[2], 130, True),
        (SHAPES[3], 1100, False),
    ]:
        W, b, X, T, w = start(rng, shape, dtype, n)
        weights = w if weighted else None
        trainer = engine.TrainerCore(W, b, names(shape), n, **how, **extra)
        total = float(w.sum(dtype=np.float64)) if weighted else float(n)
        of_total = (n / 16 + 8) * eps if weighted else eps
        for t, rate in enumerate((0.5, 0.125, 0.25), 1):
            W, b = trainer.weights()
            dW, db, _ = trainer.gradients(X, T, weights)
            moments = dict(zip(trainer.moments(), wide(*trainer.moments().values()), strict=True))
            trainer.epoch(X, T, None, rate, weights)
            assert trainer.step == t
            found_W, found_b = trainer.weights()
            after = trainer.moments()

            keys = [(k, letter) for k in range(len(W)) for letter in "Wb"]
            w_of = {(k, letter): wide((W if letter == "W" else b)[k])[0] for k, letter in keys}
            summed = {(k, letter): wide((dW if letter == "W" else db)[k])[0] for k, letter in keys}
            l2 = {key: extra.get("l2", 0.0) * w_of[key] if key[1] == "W" else 0 * w_of[key] for key in keys}
            g = {key: (summed[key] + l2[key]) / total for key in keys}
            of_g = {key: ((of_total + 2 * eps) * abs(g[key]) + eps * abs(l2[key]) / total) for key in keys}
            norm = np.sqrt(sum((g[key] ** 2).sum() for key in keys))
            if extra.get("clip_norm", np.inf) < norm:
                shrink = extra["clip_norm"] / norm
                of_norm = (
                    np.sqrt(sum((of_g[key] ** 2).sum() for key in keys)) / norm + (sum(shape) + 60) * eps
                )
                g = {key: value * shrink for key, value in g.items()}
                of_g = {key: of_g[key] * shrink + (of_norm + 2 * eps) * abs(g[key]) for key in keys}
            for k, letter in keys:
                kept = {m: moments[f"{m}.{k}.{letter}"] for m in ("first", "second") if f"{m}.0.W" in moments}
                right = w_of[k, letter].copy()
                of_w, of_first, of_second = step_and_bound(
                    how, g[k, letter], of_g[k, letter], right, kept, rate, t, eps, letter == "b"
                )
                got = (found_W if letter == "W" else found_b)[k]
                assert np.all(abs(got - right) <= of_w + 1e-37), (shape, t, k, letter)
                for moment, of_moment in (("first", of_first), ("second", of_second)):
                    if moment in kept:
                        off = abs(after[f"{moment}.{k}.{letter}"] - kept[moment])
                        assert np.all(off <= of_moment + 1e-37), (shape, t, k, letter, moment)
    assert list(after) == [
        f"{m}.{k}.{letter}" for m in trainer_moments(how) for k in (0, 1) for letter in "Wb"
    ]


def trainer_moments(how: dict[str, Any]) -> tuple[str, ...]:
    if how["optimizer"] == "sgd":
        return ("first",) if how.get("momentum") else ()
    return ("first", "second")


# ---- whole epochs against the reference


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("also", ["plain", "all"])
def test_epochs_against_the_reference(isa: str, dtype: Any, rng: Any, optimizer: str, also: str) -> None:
    """Batches of awkward sizes, the last one smaller; with all: weights, l2, clipping, dropout, rates."""
    for shape, n, batch in [
        (SHAPES[0], 10, 4),
        (SHAPES[2], 70, 33),
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


def bits(trainer: Any) -> list[bytes]:
    W, b = trainer.weights()
    return [array.tobytes() for array in [*W, *b, *trainer.moments().values()]]


# ---- dropout, bit by bit


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


# ---- the same bits


def everything(
    optimizer: str, shape: tuple[int, ...], dtype: Any, n: int, batch: int, n_threads: int, loss: str = "bce"
) -> list[Any]:
    """Return the bits of two epochs with all there is."""
    rng = np.random.default_rng(7)
    W, b, X, T, w = start(rng, shape, dtype, n, loss)
    top = {"bce": "sigmoid", "cross_entropy": "softmax", "poisson": "exp"}.get(loss, "softplus")
    activations = [*["gelu", "relu", "mish"][: len(shape) - 2], top]
    dropout = [*[0.25, 0.5, 0.1][: len(shape) - 2], 0.0]
    options = OPTIMIZERS[optimizer] | EVERYTHING
    trainer = engine.TrainerCore(W, b, activations, batch, n_threads, loss=loss, dropout=dropout, **options)
    rates = np.linspace(0.3, 0.1, -(-n // batch))
    costs = [trainer.epoch(X, T, engine.permutation(n, 3, epoch), rates, w) for epoch in range(2)]
    dW, _, cost = engine.TrainerCore(*trainer.weights(), activations, n, n_threads, loss=loss).gradients(
        X, T, w
    )
    return [*costs, cost, trainer.loss(X, T, w), *bits(trainer), *(array.tobytes() for array in dW)]


SIZES = [((3, 5, 1), 300, 140), ((17, 33, 65, 1), 300, 140), ((9, 40, 3), 300, 140), ((4, 9, 2), 2700, 2500)]


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


def test_an_order_that_names_no_column_is_refused(dtype: Any, rng: Any) -> None:
    W, b, X, T, _ = start(rng, (3, 5, 1), dtype, 40)
    trainer = engine.TrainerCore(W, b, names((3, 5, 1)), 10)
    before = bits(trainer)
    for wrong in (-1, 40, 2**40, np.iinfo(np.intp).min, np.iinfo(np.intp).max):
        for place in (0, 17, 39):
            order = np.arange(40)
            order[place] = wrong
            with pytest.raises(ValueError, match=f"order must be columns 0 to 39, got {wrong}$"):
                trainer.epoch(X, T, order, 0.1)
    assert bits(trainer) == before


def test_float64_is_wider_than_what_it_checks(dtype: Any) -> None:
    """The bounds above mean nothing where longdouble is float64 again."""
    if np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:
        pytest.skip("no type wider than float64 here: the bounds have room for the oracle's own rounding")
    assert np.finfo(WIDER[dtype.name]).eps < np.finfo(dtype).eps / 1000
