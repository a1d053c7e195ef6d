"""Workers that die, come late or give other bits; how the parts are shared."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("distributed")

import dask
import dask.array as da

from fastnet import isa
from fastnet.dask import MLPRegressor, gradients
from fastnet.dask.gradients import LostDataError, Parts, rows_of_a_part, shares

ROWS = 1501
SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 12, "random_state": 0}


def draw(k: int) -> np.ndarray:
    return np.random.default_rng(k).normal(size=(ROWS, 4))


def drawn_rows(count: int, source: Any = None) -> Any:
    """Return rows that a task can make again."""
    made = source or [dask.delayed(draw)(k) for k in range(count)]
    return da.concatenate([da.from_delayed(one, (ROWS, 4), float) for one in made])


def in_memory(count: int) -> np.ndarray:
    return np.concatenate([draw(k) for k in range(count)])


def watch(monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None]) -> None:
    """Call a function with the number of each evaluation before it."""
    evaluate, done = Parts.evaluate, [0]

    def watched(self: Parts, evaluation: Any) -> Any:
        before(done[0])
        done[0] += 1
        return evaluate(self, evaluation)

    monkeypatch.setattr(Parts, "evaluate", watched)


def assert_same_bits(est: Any, X: np.ndarray) -> None:
    local = est.to_local().set_params(warm_start=False).fit(X, X[:, 0] * X[:, 1])
    assert est.loss_ == local.loss_
    for ours, theirs in zip(est.coefs_ + est.intercepts_, local.coefs_ + local.intercepts_, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


def test_workers_killed_between_and_within_evaluations_change_no_bit(
    cluster_of: Callable[..., Any],
    worker_process: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Of three workers on odd chunks; the second dies with a part of its sums done, whatever the clock."""
    client = cluster_of(1, protocol="tcp://")
    here = set(client.nthreads())
    worker_process(client)
    worker_process(client)
    client.wait_for_workers(3)
    pids = {address: pid for address, pid in client.run(os.getpid).items() if address not in here}
    monkeypatch.setattr(gradients, "PATIENCE", 30.0)
    X = drawn_rows(8)
    this_process, dead, evaluate = os.getpid(), tmp_path / "dead", gradients.evaluate

    def dying(evaluation: Any, parts: list[Any]) -> Any:
        if os.getpid() != this_process:
            evaluate(evaluation, parts[:1])
            dead.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return evaluate(evaluation, parts)

    with monkeypatch.context() as patch:

        def before(evaluation: int) -> None:
            if evaluation == 3:
                os.kill(pids.popitem()[1], signal.SIGKILL)
            assert dead.exists() == (evaluation > 7)
            patch.setattr(gradients, "evaluate", dying if evaluation == 7 else evaluate)

        watch(patch, before)
        est = MLPRegressor(**SETTINGS).fit(X, X[:, 0] * X[:, 1])
    assert dead.exists()
    assert len(client.nthreads()) == 1
    assert_same_bits(est, in_memory(8))


def test_rows_that_nobody_can_make_again_are_named(
    cluster_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = cluster_of(2)
    first = client.cluster.workers[0]
    source = client.scatter([draw(0), draw(1)], workers=[first.address], hash=False)
    X = drawn_rows(2, source)

    def leave(evaluation: int) -> None:
        if evaluation == 2:
            client.sync(first.close, nanny=False, reason="test")

    with monkeypatch.context() as patch:
        watch(patch, leave)
        with pytest.raises(LostDataError, match=r"blocks? [012].* of 1024 rows"):
            MLPRegressor(**SETTINGS).fit(X, X[:, 0])


def test_a_worker_that_comes_during_the_fit_gets_its_share(
    cluster_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = cluster_of(1)
    X = drawn_rows(8)
    plans = []

    def before(evaluation: int) -> None:
        if evaluation == 2:
            client.cluster.scale(2)
            client.wait_for_workers(2)

    work = gradients.shares
    monkeypatch.setattr(gradients, "shares", lambda *given: plans.append(work(*given)) or plans[-1])
    watch(monkeypatch, before)
    est = MLPRegressor(**SETTINGS).fit(X, X[:, 0] * X[:, 1])
    assert [sorted(map(len, plan.values())) for plan in plans] == [[12], [12], [6, 6]]
    assert_same_bits(est, in_memory(8))


def test_a_worker_of_another_build_is_refused(
    cluster_of: Callable[..., Any], worker_process: Callable[..., None]
) -> None:
    other = next((name for name in isa.supported() if _fused(name) != isa.fused()), None)
    if other is None:
        pytest.skip("all builds of this machine give the same bits")
    client = cluster_of(1, protocol="tcp://")
    here = set(client.nthreads())
    worker_process(client, FASTNET_ISA=other)
    client.wait_for_workers(2)
    X = drawn_rows(1)
    (address,) = client.nthreads().keys() - here
    with pytest.raises(RuntimeError, match=f"build '{isa.active()}', got '{other}' on {address}.*ISA"):
        MLPRegressor(**SETTINGS).fit(X, X[:, 0])


def _fused(name: str) -> bool:
    with isa.using(name):
        return isa.fused()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"tcp://a": ("0.0.9", isa.active(), isa.fused())}, "got 0.0.9 on tcp://a"),
        ({}, "at least one worker"),
    ],
)
def test_workers_of_other_versions_and_none(answer: Any, message: str) -> None:
    class Stub:
        def run(self, function: Any) -> Any:
            return answer

    with pytest.raises(RuntimeError, match=message):
        gradients.check_workers(Stub())


def test_without_a_client() -> None:
    with pytest.raises(ValueError, match="client"):
        MLPRegressor(**SETTINGS).fit(drawn_rows(1), drawn_rows(1)[:, 0])


def test_no_worker_for_long(cluster_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    client = cluster_of(1)
    monkeypatch.setattr(gradients, "PATIENCE", 0.2)
    monkeypatch.setattr(gradients, "POLL", 0.1)
    X = drawn_rows(2)
    watch(monkeypatch, lambda evaluation: client.cluster.scale(0) if evaluation == 1 else None)
    with pytest.raises(RuntimeError, match=r"got none for 0\.2 seconds"):
        MLPRegressor(**SETTINGS).fit(X, X[:, 0])


def test_shares_follow_the_threads() -> None:
    plan = shares(10, {"a": 1, "b": 3, "c": 1}, [("c", "b")] * 5 + [()] * 5)
    assert {address: len(which) for address, which in plan.items()} == {"a": 2, "b": 6, "c": 2}
    assert sorted(k for which in plan.values() for k in which) == list(range(10))
    assert set(plan["c"]) <= set(range(5))  # it held them
    assert shares(6, {"a": 1, "b": 2}, [()] * 6) == {"a": [0, 1], "b": [2, 3, 4, 5]}  # runs
    assert shares(1, {"a": 1, "b": 1}, [("a",)]) in ({"a": [0]}, {"b": [0]})


def test_parts_are_powers_of_two_of_blocks_and_not_too_large() -> None:
    assert rows_of_a_part(1, 1, 8) == rows_of_a_part(16 * 1024, 1, 8) == 1024
    assert rows_of_a_part(10**9, 2, 240) == 1 << 18  # at most 64 MB
    assert rows_of_a_part(10**6, 100, 240) == 1024
