"""Threads: the same bits for any number, how many are used, the pool across fork and from several callers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet import threads
from fastnet._core import engine

SHAPES = [
    (2, 3, 1),
    (30, 100, 1),
    (5, 4),
    (17, 33, 65, 1),
    (13, 70, 3),
    (600, 520, 510, 1),
    (3, 1100, 1030, 2),
]


def weights(shape: tuple[int, ...], dtype: Any) -> tuple[list[Any], list[Any], list[str]]:
    net = fn.Network([fn.Layer(*sizes) for sizes in pairwise(shape)], seed=1, dtype=dtype)
    return [layer.W for layer in net.layers], [layer.b for layer in net.layers], ["sigmoid"] * len(net.layers)


def everything(shape: tuple[int, ...], dtype: Any, n: int, batch: int, n_threads: int) -> list[bytes]:
    """Return the bits of all that threads take part in: two epochs, gradients, predictions and costs."""
    rng = np.random.default_rng(2)
    X, T = rng.normal(size=(n, shape[0])).astype(dtype).T, rng.random((shape[-1], n)).astype(dtype)
    W, b, activations = weights(shape, dtype)
    trainer = engine.TrainerCore(W, b, activations, batch, n_threads)
    costs = [trainer.epoch(X, T, engine.permutation(n, 3, epoch), 0.5) for epoch in range(2)]
    dW, db, cost = engine.TrainerCore(W, b, activations, n, n_threads).gradients(X, T)
    W, b = trainer.weights()
    P = engine.forward(W, b, activations, X, n_threads)
    return [array.tobytes() for array in [*W, *b, *dW, *db, P, np.array([*costs, cost])]]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_number_of_threads_gives_the_same_bits(isa: str, dtype: Any, shape: tuple[int, ...]) -> None:
    n, batch = (700, 300) if max(shape) < 1000 else (150, 130)
    alone = everything(shape, dtype, n, batch, 1)
    for n_threads in (2, 3, 8):
        assert everything(shape, dtype, n, batch, n_threads) == alone


def test_the_cost_of_an_epoch_does_not_depend_on_the_clock(isa: str, dtype: Any) -> None:
    """An epoch that takes long is several calls, of more or fewer batches; its cost is one sum in order."""
    shape, n, batch = (600, 520, 510, 1), 1500, 300
    rng = np.random.default_rng(2)
    X, T = rng.normal(size=(n, shape[0])).astype(dtype).T, rng.random((1, n)).astype(dtype)
    for _ in range(5):
        whole, by_batch = (engine.TrainerCore(*weights(shape, dtype), batch) for _ in range(2))
        total = 0.0
        for start in range(0, n, batch):
            total += by_batch.epoch(X, T, np.arange(start, start + batch), 0.5)
        assert whole.epoch(X, T, None, 0.5) == total


def test_batches_of_several_blocks_too(isa: str, dtype: Any) -> None:
    block = engine.geometry(dtype)[2]
    for shape in [(4, 20, 1), (4, 9, 3)]:
        alone = everything(shape, dtype, 7 * block + 77, 5 * block + 3, 1)
        for n_threads in (2, 3, 8):
            assert everything(shape, dtype, 7 * block + 77, 5 * block + 3, n_threads) == alone


def test_the_public_arguments_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "FLOPS_WORTH_A_THREAD", 1.0)
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(9, 500)), rng.random((1, 500))
    results = []
    for n_threads in (1, 2, 3):
        net = fn.Network([fn.Layer(9, 40), fn.Layer(40, 1)])
        net.fit(X, T, epochs=3, batch_size=128, n_threads=n_threads)
        P = net.predict_proba(X, n_threads=n_threads)
        results.append([net.layers[0].W.tobytes(), net.layers[1].b.tobytes(), P.tobytes()])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    "optimizer",
    [fn.SGD(0.1, momentum=0.9), fn.SGD(0.1, 0.9, True), fn.Adam(), fn.AdamW(), fn.RMSProp()],
    ids=repr,
)
def test_no_optimiser_tells_the_number_of_threads(optimizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "FLOPS_WORTH_A_THREAD", 1.0)
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(9, 500)), rng.integers(3, size=500)
    how: Any = {
        "optimizer": optimizer,
        "l2": 0.1,
        "clip_norm": 0.5,
        "schedule": "cosine",
        "validation_fraction": 0.2,
    }
    results = []
    for n_threads in (1, 2, 3):
        net = fn.Network([fn.Layer(9, 40, "relu", dropout=0.2), fn.Layer(40, 3, "softmax")])
        history = net.fit(X, labels, epochs=3, batch_size=128, n_threads=n_threads, **how)
        weights = [array.tobytes() for layer in net.layers for array in (layer.W, layer.b)]
        results.append((weights, history.loss, history.validation_loss))
    assert results[0] == results[1] == results[2]


def test_which_number_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    monkeypatch.setenv("FASTNET_NUM_THREADS", "7")
    assert threads.most(3) == 3
    assert threads.most() == 7
    monkeypatch.delenv("FASTNET_NUM_THREADS")
    assert threads.most() == 5
    monkeypatch.delenv("OMP_NUM_THREADS")
    if hasattr(os, "sched_getaffinity"):
        assert threads.most() == len(os.sched_getaffinity(0))


def test_small_work_stays_on_one_thread() -> None:
    assert threads.threads_for(1e6, 8) == 1
    assert threads.threads_for(2.5e7, 8) == 2
    assert threads.threads_for(1e12, 2) == 2


@pytest.mark.parametrize("value", ["0", "257", "two", "-1", "1.5", "9" * 5000, "nan", "²"])
def test_a_bad_environment_variable_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("FASTNET_NUM_THREADS", value)
    with pytest.raises(ValueError, match="FASTNET_NUM_THREADS must be a number of threads from 1"):
        threads.most()


@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (257, ValueError), (2.0, TypeError), (True, TypeError)]
)
def test_a_bad_argument_is_named(value: Any, error: type[Exception]) -> None:
    net = fn.Network([fn.Layer(1, 1)])
    with pytest.raises(error, match="n_threads"):
        net.predict_proba([[0.0]], n_threads=value)


FORK = """
import os, sys
import numpy as np
import fastnet as fn
from fastnet import threads
from fastnet._core import engine

threads.FLOPS_WORTH_A_THREAD = 1.0  # small work takes two threads too
rng = np.random.default_rng(0)
X, T = rng.normal(size=(20, 400)), rng.random((1, 400))
W = [rng.normal(size=(50, 20)), rng.normal(size=(1, 50))]
b = [np.zeros((50, 1)), np.zeros((1, 1))]

def work():
    trainer = engine.TrainerCore(W, b, ["sigmoid", "sigmoid"], 128, 2)
    cost = trainer.epoch(X, T, None, 0.1)
    net = fn.Network([fn.Layer(20, 50, "relu"), fn.Layer(50, 1)], seed=1)
    history = net.fit(X, T, epochs=2, batch_size=128, optimizer="adam", n_threads=2)
    P = net.predict_proba(X, n_threads=2).tobytes()
    return cost, history.loss, P, engine.forward(W, b, ["sigmoid", "sigmoid"], X, 2).tobytes()

def running():
    return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else None

expected, answered = work(), 0
assert running() in (2, None)  # the parent has used two threads
for child in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        alone = running() in (1, None)
        right = work() == expected and work() == expected
        os._exit(0 if alone and right and running() in (2, None) else 1)
    answered += os.waitpid(pid, 0)[1] == 0
    if child % 10 == 0:
        assert work() == expected  # the parent goes on with its own
print(answered, "of", sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_trains_and_predicts_after_its_parent_used_threads() -> None:
    """200 of 200 children, each with threads of its own, come to the parent's bits."""
    environment = {name: value for name, value in os.environ.items() if name not in threads.VARIABLES}
    result = subprocess.run(
        [sys.executable, "-c", FORK, "200"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment | {"OPENBLAS_NUM_THREADS": "1"},  # so that the threads counted are ours
    )
    assert result.stdout == "200 of 200\n", result.stderr


def test_calls_from_several_python_threads_share_the_pool() -> None:
    expected = everything((17, 33, 65, 1), np.dtype("float64"), 700, 300, 2)
    wrong: list[int] = []

    def work() -> None:
        for _ in range(10):
            if everything((17, 33, 65, 1), np.dtype("float64"), 700, 300, 2) != expected:
                wrong.append(1)

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=120)
    assert not any(caller.is_alive() for caller in callers)
    assert not wrong
