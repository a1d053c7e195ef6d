"""One step of every optimiser, from the core's own gradient, whose rounding is known elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracle import WIDER, wide
from steps import OPTIMIZERS, OTHERWISE, SHAPES, names, start

from fastnet import reference
from fastnet._core import engine


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
    one = [np.ones((1, 1))]
    return reference.Trainer(one, one, ["identity"], 1, **how).optimizer.moments


def test_float64_is_wider_than_what_it_checks(dtype: Any) -> None:
    """The bounds above mean nothing where longdouble is float64 again."""
    if np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:
        pytest.skip("no type wider than float64 here: the bounds have room for the oracle's own rounding")
    assert np.finfo(WIDER[dtype.name]).eps < np.finfo(dtype).eps / 1000


def test_what_is_kept_is_looked_through_for_infinities(isa: str, dtype: Any, rng: Any) -> None:
    W, b, X, T, _ = start(rng, (5, 19, 2), dtype, 30)
    for options in ({}, {"scale_rate": 2.0}):
        core = engine.TrainerCore(W, b, ["tanh", "sigmoid"], 7, optimizer="adam", **options)
        core.epoch(X, T, None, 0.01)
        moments = core.moments()
        assert core.moments_finite()
        for array in moments.values():
            kept = array.flat[-1]
            array.flat[-1] = np.inf
            core.load_moments(moments)
            assert not core.moments_finite()
            array.flat[-1] = kept
        core.load_moments(moments)
        assert core.moments_finite()
