"""train_many without anything for Python between epochs: each network as if it were trained alone."""

from __future__ import annotations

import _thread
import threading
import warnings
from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet._core import engine
from fastnet.training import many, queued

N = 150
X = np.random.default_rng(0).normal(size=(4, N)).astype(np.float32)
T = (X[:1] * X[1:2] > 0).astype(np.float32)
LABELS = np.where(T[0] > 0, "yes", "no")


def networks(count: int = 4, dtype: str = "float32") -> list[fn.Network]:
    made = [
        fn.Network([fn.Layer(4, 6 + k, "tanh", dropout=0.1), fn.Layer(6 + k, 1)], seed=k, dtype=dtype)
        for k in range(count)
    ]
    made[-1].preprocessing = fn.Standardize.of(X.astype(dtype))
    return made


def bits(network: fn.Network) -> list[bytes]:
    return [array.tobytes() for layer in network.layers for array in (layer.W, layer.b)]


def told(history: fn.History) -> dict[str, Any]:
    """What a history says but for the time it took."""
    return {name: value for name, value in vars(history).items() if name != "seconds"}


@pytest.fixture
def no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way through Python is not there."""
    monkeypatch.setattr(many, "_Crowd", None)


def test_fits_with_one_seed_share_their_shuffles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where rows, epochs, or the room for orders differ; the bits are those of each alone."""
    queues: list[Any] = []

    class Queue(engine.TrainingQueue):  # type: ignore[misc]
        def __init__(self, *_: Any) -> None:
            queues.append(self)

    monkeypatch.setattr(engine, "TrainingQueue", Queue)
    few, repeated = np.arange(100)[::-1], np.repeat(np.arange(50), 2)
    rows = [None, None, few, repeated, repeated, None, None]
    seeds, epochs = [3, 3, 3, 3, 3, 3, 4], [4, 9, 6, 1400, 1400, 5, 3]
    together, alone = networks(7), networks(7)
    fn.train_many(together, X, T, rows=rows, seed=seeds, epochs=epochs, batch_size=40, n_threads=1)
    (queue,) = queues
    room = (1 << 17) // 100  # for orders of 100 rows, fewer than epochs
    assert queue.orders_drawn == 9 + 1400 + (1400 - room) + 5 + 3
    for k, network in enumerate(alone):
        network.fit(
            *(X, T, epochs[k]), rows=rows[k], seed=seeds[k], batch_size=40, n_threads=1, progress=False
        )
        assert bits(together[k]) == bits(network)


@pytest.mark.usefixtures("no_python")
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "shuffle": False},
        {"optimizer": fn.SGD(0.1, momentum=0.9, nesterov=True), "l2": 1e-3},
        {"optimizer": fn.AdamW(0.01, weight_decay=0.1), "clip_norm": 0.5},
        {"optimizer": ["adam", "rmsprop", "sgd", fn.RMSProp(0.02)], "learning_rate": None},
        {"class_weight": "balanced", "batch_size": [10, 20, 30, 200], "epochs": [1, 2, 3, 7]},
        {"validation_fraction": 0.2},
        {"validation_fraction": 0.3, "early_stopping": True, "patience": 0, "tol": 0.05, "epochs": 40},
        {"early_stopping": True, "patience": 1, "tol": 0.01, "epochs": 60},
    ],
    ids=lambda options: " ".join(options),
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore:.*batch_size=200")
def test_each_as_if_it_were_alone(options: dict[str, Any], dtype: str) -> None:
    """Weights, history, and what a fit that goes on from there does."""
    options = {"epochs": 9, "batch_size": 16, "optimizer": "adam", **options}
    rows = [None, np.arange(140), np.arange(N)[::-2], None]
    weights = np.linspace(0.5, 2, N)
    together, alone = networks(dtype=dtype), networks(dtype=dtype)
    histories = fn.train_many(
        *(together, X.astype(dtype), LABELS),
        rows=rows,
        sample_weight=weights,
        n_threads=2,
        seed=[3, 3, 1, 2],
        **options,
    )
    for k, history in enumerate(histories):
        own = {name: value[k] if isinstance(value, list) else value for name, value in options.items()}
        own |= {"rows": rows[k], "seed": (3, 3, 1, 2)[k], "sample_weight": weights, "n_threads": 1}
        expected = alone[k].fit(X.astype(dtype), LABELS, **own)
        assert bits(together[k]) == bits(alone[k])
        assert told(history) == told(expected)
        assert together[k].classes == ("no", "yes")
        own |= {"epochs": 2, "warm_start": True}
        assert told(together[k].fit(X.astype(dtype), LABELS, **own)) == told(
            alone[k].fit(X.astype(dtype), LABELS, **own)
        )
        assert bits(together[k]) == bits(alone[k])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 3e38, "optimizer": "sgd"}, "diverged in epoch"),
        ({"learning_rate": 1e-3, "scale": 1e25}, "squares of gradients overflow"),
        ({"learning_rate": 1e-3, "held_out": 3e38}, "validation must have a finite loss"),
    ],
    ids=lambda value: next(reversed(value)) if isinstance(value, dict) else "",
)
@pytest.mark.usefixtures("no_python")
def test_it_diverges_with_the_words_of_a_fit(options: dict[str, Any], message: str) -> None:
    options = dict(options)
    x = X * np.float32(options.pop("scale", 1))
    last = "identity" if "held_out" in options else "sigmoid"
    targets = T.copy()
    targets[:, 100:] = np.float32(options.pop("held_out", 0))
    options |= {"epochs": 5, "batch_size": 20}
    training, held_out = np.arange(100), np.arange(100, N)
    together, alone = (
        [fn.Network([fn.Layer(4, 1, last)], seed=k, dtype="float32") for k in range(2)] for _ in range(2)
    )
    before = bits(together[0])
    with pytest.raises(fn.DivergenceError, match=message) as expected:
        alone[0].fit(x, targets, rows=training, validation_rows=held_out, **options)
    with pytest.raises(fn.DivergenceError) as found:
        fn.train_many(*(together, x, targets), rows=[training] * 2, validation_rows=[held_out] * 2, **options)
    assert str(found.value) == str(expected.value)
    assert bits(together[0]) == before


def test_what_only_python_can_do() -> None:
    fits = {"metrics": ["accuracy"], "schedule": "cosine", "callbacks": [print], "optimizer": fn.LBFGS()}
    assert [queued.needs_python({name: value}) for name, value in fits.items()] == [True] * 4
    assert queued.needs_python({"epochs": 10**9})
    assert not queued.needs_python({"epochs": 5, "optimizer": "sgd", "schedule": None, "metrics": ()})


@pytest.mark.usefixtures("no_python", "no_garbage_collector")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_interrupt_keeps_what_is_done(n_threads: int) -> None:
    """Two short fits, then two that would take minutes."""
    nets = networks(5)
    before = bits(nets[4])
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    with pytest.warns(UserWarning, match="training interrupted: 2 of 5 networks are done"):
        histories = fn.train_many(
            *(nets, X, T), n_threads=n_threads, epochs=[3, 2, 99_999, 99_999, 99_999], batch_size=1
        )
    timer.join()
    assert [len(history.loss) for history in histories[:2]] == [3, 2]
    assert histories[2].stopped == "interrupted"
    assert 0 < len(histories[2].loss) < 99_999
    assert (histories[3] is None) == (n_threads == 1)
    assert histories[4] is None
    assert bits(nets[4]) == before
    alone = networks(5)[2]
    alone.fit(X, T, epochs=len(histories[2].loss), batch_size=1, n_threads=1)
    assert bits(alone) == bits(nets[2])


@pytest.mark.usefixtures("no_python")
def test_each_may_have_a_time_of_its_own() -> None:
    histories = fn.train_many(networks(2), X, T, epochs=99_999, max_seconds=[0.02, 0.03])
    for history, seconds in zip(histories, (0.02, 0.03), strict=True):
        assert history.stopped == f"max_seconds={seconds:g} are over"
        assert 0 < len(history.loss) < 99_999


@pytest.mark.usefixtures("no_python")
def test_more_networks_than_are_prepared_at_once() -> None:
    """Long ones among short ones, on more threads than there are cores."""
    count = 40
    together, alone = networks(count), networks(count)
    epochs = [300 if k % 9 == 1 else 2 for k in range(count)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fn.train_many(together, X, T, epochs=epochs, seed=list(range(count)), n_threads=5)
        for k in (0, 1, 9, 39):
            alone[k].fit(X, T, epochs[k], seed=k, n_threads=1)
            assert bits(alone[k]) == bits(together[k])


@pytest.mark.usefixtures("no_python")
def test_no_other_fit_of_a_network_may_run() -> None:
    nets = networks(3)
    busy, over = threading.Event(), threading.Event()

    def fit() -> None:
        def wait(trainer: fn.Trainer) -> None:
            busy.set()
            if over.wait(0.01):
                trainer.stop()

        nets[2].fit(X, T, 10**6, callbacks=[wait])

    thread = threading.Thread(target=fit)
    thread.start()
    busy.wait()
    try:
        with pytest.raises(RuntimeError, match="another fit of this network is running"):
            fn.train_many(nets, X, T, epochs=2)
    finally:
        over.set()
        thread.join()
    assert [len(history.loss) for history in fn.train_many(nets, X, T, epochs=2)] == [2, 2, 2]


@pytest.mark.usefixtures("no_python")
def test_a_thread_trains_networks_of_all_sizes_in_its_memory() -> None:
    """Nothing of one is left for the next: small after large, and some of more than 4 MB."""

    def made() -> list[fn.Network]:
        sizes = (3, 900, 5, 3, 900, 40)
        return [fn.Network([fn.Layer(4, n, "relu"), fn.Layer(n, n), fn.Layer(n, 1)], seed=1) for n in sizes]

    together, alone = made(), made()
    x, t = X.astype(float), T.astype(float)
    fn.train_many(together, x, t, epochs=2, n_threads=1)
    for network, other in zip(alone, together, strict=True):
        network.fit(x, t, epochs=2, n_threads=1)
        assert bits(network) == bits(other)
        assert network.fit_one_epoch(x, t) == other.fit_one_epoch(x, t)


@pytest.mark.usefixtures("no_python")
def test_weights_that_are_not_finite_are_named() -> None:
    nets = networks(2)
    nets[1].layers[0].W[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"layers\[0\].W"):
        fn.train_many(nets, X, T, epochs=2)


def test_the_queue_refuses_what_would_go_beyond_its_memory() -> None:
    net = networks(1)[0]
    core = net.trainer_core(16, 1, {"optimizer": "sgd"}, net.weights(), net.dtype)
    fit = engine.QueuedFit(core, (X, T, None, None), 0.1, 0, 0, 3, False)
    queue = engine.TrainingQueue(1, N - 1)
    with pytest.raises(ValueError, match=f"at most {N - 1} examples, got {N}"):
        queue.add(fit)
    queue = engine.TrainingQueue(1, N)
    queue.add(fit)
    with pytest.raises(ValueError, match="at most 1 fits"):
        queue.add(fit)
    for k in (0, 1, -1):
        with pytest.raises(ValueError, match=f"a fit that has ended, got {k}"):
            queue.forget(k)
    assert queue.finished() is None
    queue.close()
    assert queue.help(60)
    assert not queue.help(60)
    k, end, losses, *_ = queue.finished()
    assert (k, end, len(losses), queue.pending, queue.epochs_done) == (0, "done", 3, 1, 3)
    queue.forget(0)
    assert (queue.finished(), queue.pending) == (None, 0)
