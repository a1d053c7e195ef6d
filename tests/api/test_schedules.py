"""Learning rates: against their formulas, against scikit-learn's optimiser, and as a fit uses them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from networks import bits, data, network

import fastnet as fn
from fastnet.schedules import (
    Adaptive,
    Constant,
    Cosine,
    InverseScaling,
    OneCycle,
    Position,
    Schedule,
    Step,
    _half_cosine,
)


def all_rates(schedule: Schedule, epochs: int, batches: int, base: float = 1.0) -> np.ndarray:
    """Return the rates of all batches, as a fit of so many epochs asks for them."""
    at = Position(end=epochs, batches=batches)
    rates = []
    for epoch in range(epochs):
        at.epoch = epoch
        rates.append(np.broadcast_to(schedule.rates(base, at), batches))
    return np.concatenate(rates)


def test_half_a_cosine_is_one() -> None:
    u = np.linspace(-0.1, 1.1, 4001)
    exact = [(1 + math.cos(math.pi * min(max(x, 0.0), 1.0))) / 2 for x in u]
    # x = π (½ − u) has an error of 2 roundings, which the slope 1 hands on; then 2 more of numbers up to 2
    assert abs(_half_cosine(u) - exact).max() <= 4 * np.finfo(float).eps
    ends = _half_cosine(np.array([0.0, 1.0]))
    assert abs(ends - [1, 0]).max() <= 2 * np.finfo(float).eps


@pytest.mark.parametrize(("epochs", "batches", "warmup"), [(7, 5, 0), (7, 5, 2), (3, 1, 1), (9, 4097, 0.5)])
def test_cosine_with_warm_up(epochs: int, batches: int, warmup: float) -> None:
    found = all_rates(Cosine(warmup=warmup, final=0.1), epochs, batches, 0.3)
    rising = round(warmup * batches)
    for s in {*range(min(30, epochs * batches)), epochs * batches - 1, epochs * batches // 2}:
        if s < rising:
            expected = 0.3 * (s + 1) / rising
        else:
            u = (s - rising) / (epochs * batches - rising)
            expected = 0.3 * (0.1 + 0.9 * (1 + math.cos(math.pi * u)) / 2)
        assert abs(found[s] - expected) <= 8 * np.finfo(float).eps, s
    assert found.argmax() == max(0, rising - 1)


def test_a_cosine_ends_where_it_is_told_and_stays_there() -> None:
    given = all_rates(Cosine(epochs=4, final=0.25), 6, 3)
    assert given[:12].tolist() == all_rates(Cosine(final=0.25), 4, 3).tolist()
    assert np.allclose(given[12:], 0.25, rtol=0, atol=2 * np.finfo(float).eps)
    with pytest.raises(
        ValueError, match=r"Cosine must be told how many epochs there will be: Cosine\(epochs"
    ):
        Cosine().rates(1.0, Position())
    with pytest.raises(ValueError, match=r"OneCycle\(epochs"):
        fn.Trainer(network((2, 1)), schedule="one_cycle").fit_one_epoch([[1.0], [2.0]], [[1]])


def test_one_cycle() -> None:
    rates = all_rates(OneCycle(rise=0.25, start=0.1, final=0.01), 10, 8, 2.0)
    for s, rate in enumerate(rates):
        if s < 20:
            expected = 2 * (1 - 0.9 * (1 + math.cos(math.pi * s / 20)) / 2)
        else:
            expected = 2 * (0.01 + 0.99 * (1 + math.cos(math.pi * (s - 20) / 60)) / 2)
        assert abs(rate - expected) <= 16 * np.finfo(float).eps, s
    assert rates.argmax() == 20
    assert rates[20] == 2.0
    falling = all_rates(OneCycle(rise=0.0), 5, 2)
    assert falling[0] == falling.max() == 1.0
    assert all_rates(OneCycle(rise=1.0), 5, 2).argmax() == 9


def test_the_table_worked_out_ahead_changes_no_bit() -> None:
    for schedule in (Cosine(warmup=1.5), OneCycle()):
        one_by_one = [schedule.rates(0.7, Position(epoch=k, end=90, batches=100)) for k in range(90)]
        assert all_rates(schedule, 90, 100, 0.7).tobytes() == np.concatenate(one_by_one).tobytes()
    at = Position(epoch=3, end=10, batches=4)
    first = Cosine().rates(1.0, at)
    assert Cosine(final=0.5).rates(1.0, at).tolist() != first.tolist()
    at.end = 20
    assert Cosine().rates(1.0, at).tolist() != first.tolist()


def test_steps_and_inverse_scaling() -> None:
    assert all_rates(Step(3, 0.1), 7, 1, 2.0).tolist() == [2, 2, 2, 2 * 0.1, 2 * 0.1, 2 * 0.1, 2 * 0.1 * 0.1]
    assert InverseScaling(1.0).rates(3.0, Position(examples_seen=5)) == 0.5
    assert InverseScaling(0.0).rates(3.0, Position(examples_seen=5)) == 3.0
    assert InverseScaling(0.25).rates(3.0, Position(examples_seen=80)) == 1.0
    X, T = data(2, 1, 15, "float64")
    found = network((2, 1)).fit(X, T, epochs=3, learning_rate=1.0, schedule="inverse_scaling").learning_rate
    assert found == [1.0, 1 / math.sqrt(16), 1 / math.sqrt(31)]


def test_adaptive_and_inverse_scaling_follow_scikit_learn() -> None:
    optimizers = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")
    losses = [1.0, 0.5, 0.5, 0.49995, 0.6, 0.4, 0.4, 0.4, 0.4, 0.4, 0.3, *[0.3] * 60]
    theirs = optimizers.SGDOptimizer([], 0.1, "adaptive")
    ours, memory = Adaptive(patience=2), Position()
    best, waited = math.inf, 0
    left = iter(losses)
    for loss in left:
        assert ours.rates(0.1, memory) == theirs.learning_rate
        waited = waited + 1 if loss > best - 1e-4 else 0
        best = min(best, loss)
        stops = False
        if waited > 2:
            stops = theirs.trigger_stopping("", False)
            waited = 0
        ended = ours.after_epoch(loss, memory.memory)
        assert bool(ended) == stops
        if stops:
            break
    assert next(left, None) is not None
    assert "learning rate 2.56e-07 is at most 1e-06" in ended
    inverse = optimizers.SGDOptimizer([], 0.1, "invscaling", power_t=0.3)
    for seen in (0, 17, 5000):
        inverse.iteration_ends(seen)
        assert InverseScaling(0.3).rates(0.1, Position(examples_seen=seen)) == inverse.learning_rate


@pytest.mark.filterwarnings("ignore:the loss has hardly moved")
def test_adaptive_looks_at_the_validation_loss_if_there_is_one() -> None:
    X, T = data(3, 1, 60, "float64")
    rising: Any = (X, 1 - T)  # the better the training data are learned, the worse these
    how: Any = {"epochs": 30, "optimizer": "sgd", "learning_rate": 0.5, "batch_size": 60}
    how["schedule"] = Adaptive(patience=3, tol=0)
    alone = network((3, 4, 1)).fit(X, T, **how)
    watched = network((3, 4, 1)).fit(X, T, validation=rising, **how)
    assert set(alone.learning_rate) == {0.5}
    assert watched.validation_loss[-1] > watched.validation_loss[4]
    assert watched.learning_rate[-1] < 0.5


def test_a_rate_for_each_batch_is_the_batches_rate() -> None:
    X, T = data(3, 1, 50, "float64")
    scheduled, by_hand = network((3, 4, 1)), network((3, 4, 1))
    how: Any = {"epochs": 1, "shuffle": False, "optimizer": "sgd"}
    history = scheduled.fit(X, T, batch_size=20, schedule=OneCycle(rise=0.5), **how)
    rates = all_rates(OneCycle(rise=0.5), 1, 3, 0.1)
    for part, rate in zip((slice(0, 20), slice(20, 40), slice(40, 50)), rates, strict=True):
        by_hand.fit(X[:, part], T[:, part], learning_rate=float(rate), **how)
    assert bits(scheduled) == bits(by_hand)
    assert history.learning_rate == [rates[-1]]


def test_a_schedules_names() -> None:
    for name, kind in (("constant", type(None)), ("adaptive", Adaptive), ("cosine", Cosine)):
        assert type(fn.schedules.resolve(name)) is kind
    assert fn.schedules.resolve(Constant()) is None
    for wrong, error in (("linear", ValueError), (0.1, TypeError), (Step, TypeError)):
        with pytest.raises(error, match="schedule must be one of 'constant', 'inverse_scaling'"):
            fn.schedules.resolve(wrong)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Step(0), "every must be at least 1, got 0"),
        (lambda: Step(2.5), "every must be an int, got 2.5"),
        (lambda: Step(2, factor=0), "factor must be finite and greater than 0, got 0"),
        (lambda: InverseScaling(-1), "power must be finite and at least 0, got -1"),
        (lambda: Adaptive(factor=1), "factor must be finite and greater than 1, got 1"),
        (lambda: Adaptive(patience=0), "patience must be at least 1, got 0"),
        (lambda: Adaptive(tol=math.nan), "tol must be finite and at least 0, got nan"),
        (lambda: Adaptive(smallest=0), "smallest must be finite and greater than 0, got 0"),
        (lambda: Cosine(warmup=-1), "warmup must be finite and at least 0, got -1"),
        (lambda: Cosine(final=2), "final must be at most 1, got 2"),
        (lambda: Cosine(epochs=0), "epochs must be at least 1, got 0"),
        (lambda: OneCycle(rise=1.5), "rise must be at most 1, got 1.5"),
        (lambda: OneCycle(start="x"), "start must be a number, got 'x'"),
    ],
)
def test_bad_schedules(make: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    assert str(caught.value) == words
