"""`fastnet.bench`: what a workload counts, what a problem trains, how sides take turns, the report."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fastnet as fn
from fastnet import bench
from fastnet.bench import WORKLOADS, Problem, Summary, Workload

SMALL = Workload("s", (3, 4, 1), batch=5, steps=2)
ADAM = Workload("a", (3, 4, 1), batch=5, steps=2, dtype="float64", optimizer="adam")


def test_counts() -> None:
    assert SMALL.n == 10
    assert SMALL.weights == 4 * 3 + 4 + 4 + 1
    # Z and dW of both layers, dA of the second alone: 2 (2 (12 + 4) + 4) flops an example
    assert SMALL.flops == 5 * 2 * (12 + 4 + 12 + 4 + 4)
    assert str(ADAM) == "3-4-1, batch 5, float64, adam"
    assert str(SMALL) == "3-4-1, batch 5, float32"


def test_both_optimisers_are_among_the_workloads() -> None:
    assert {w.optimizer for w in WORKLOADS} == {"sgd", "adam"}
    assert len({w.name for w in WORKLOADS}) == len(WORKLOADS)


@pytest.mark.parametrize("workload", [SMALL, ADAM], ids=["sgd", "adam"])
def test_the_trainer_does_what_fit_does(workload: Workload) -> None:
    problem = Problem(workload)
    trainer = problem.trainer()
    for _ in range(3):
        trainer.epoch(problem.X.T, problem.T.T, None, problem.learning_rate)
    net = problem.network()
    rule = fn.Adam() if workload.optimizer == "adam" else fn.SGD(0.2)
    net.fit(problem.X.T, problem.T.T, epochs=3, batch_size=5, shuffle=False, optimizer=rule)
    for layer, W, b in zip(net.layers, *trainer.weights(), strict=True):
        assert np.array_equal(layer.W, W)
        assert np.array_equal(layer.b, b)


def test_epsilon_is_adams() -> None:
    assert Problem(ADAM).optimizer == fn.Adam()
    assert Problem(ADAM, epsilon=0.5).optimizer == fn.Adam(epsilon=0.5)
    assert Problem(SMALL, epsilon=0.5).optimizer == fn.SGD(0.2)


def test_threads_are_those_that_fit_would_use() -> None:
    assert Problem(SMALL).threads(4) == 1  # too small to gain
    assert Problem(Workload("w", (64, 256, 1), batch=1024, steps=1)).threads(2) == 2


def test_sides_take_turns_forwards_and_backwards() -> None:
    calls: list[str] = []

    def side(name: str) -> bench.Side:
        def work(count: int) -> float:
            calls.append(name)
            return 1.0 * count

        return work

    seconds = bench.alternate({"a": side("a"), "b": side("b")}, rounds=3, slice_seconds=1.0)
    assert seconds == {"a": [1.0] * 3, "b": [1.0] * 3}
    assert "".join(calls[-6:]) == "baabba"


def test_no_side_follows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever did would find its data in the caches; so something neutral comes between."""
    calls: list[str] = []

    class Neutral:
        def __iadd__(self, _: int) -> Neutral:
            calls.append("-")
            return self

    def side(name: str) -> bench.Side:
        def work(count: int) -> float:
            calls.append(name)
            return float(count)

        return work

    monkeypatch.setattr(bench.np, "zeros", lambda size: Neutral())
    bench.alternate({name: side(name) for name in "abc"}, rounds=4, slice_seconds=1.0)
    assert "".join(calls).endswith("-cba-abc-cba-abc")


def test_summary() -> None:
    assert Summary.of([4.0, 1.0, 2.0, 3.0, 5.0]) == Summary(1.0, 3.0, 2.0, 4.0, 5)


def test_run_and_report() -> None:
    build = fn.isa.active()
    results = bench.run([SMALL, ADAM], builds=[build], rows=[2], quick=True)
    assert json.loads(json.dumps(results)) == results
    assert [(row["optimizer"], row["isa"]) for row in results["training"]] == [
        ("sgd", build),
        ("adam", build),
    ]
    lines = bench.report(results).splitlines()
    assert [line.split()[3] for line in lines[:3]] == ["optimiser", "sgd", "adam"]
    assert "predict 2 rows" in lines[3]
