"""train_many: each network has the bits of itself trained alone, and one's trouble is not the others'."""

from __future__ import annotations

import _thread
import threading
from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet.training import many
from fastnet.training.queued import ManyFit

N = 120
X = np.random.default_rng(0).normal(size=(4, N)).astype(np.float32)
T = (X[:1] * X[1:2] > 0).astype(np.float32)
OPTIONS: dict[str, Any] = {"epochs": 12, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01}


def networks(count: int = 5) -> list[fn.Network]:
    return [
        fn.Network([fn.Layer(4, 8 + k, "tanh", dropout=0.25), fn.Layer(8 + k, 1)], seed=k, dtype="float32")
        for k in range(count)
    ]


def bits(network: fn.Network) -> list[bytes]:
    return [array.tobytes() for layer in network.layers for array in (layer.W, layer.b)]


@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("held_out", [False, True, "calibrated"])
def test_each_has_the_bits_of_itself_alone(n_threads: int, held_out: Any) -> None:
    order = np.random.default_rng(1).integers(0, N, (5, 90))  # bootstraps: some columns twice, some never
    rows = [None, *order[1:]]
    weights = np.linspace(0.5, 1.5, N)
    seeds = [7, 0, 1, 2, 3]
    options = dict(OPTIONS)
    validation_rows = None
    if held_out:
        validation_rows = [np.arange(k, N, 5) for k in range(5)]
        options |= {"early_stopping": held_out, "patience": 2, "tol": 0.0}
    together, alone = networks(), networks()
    histories = fn.train_many(
        *(together, X, T),
        rows=rows,
        validation_rows=validation_rows,
        sample_weight=weights,
        n_threads=n_threads,
        seed=seeds,
        **options,
    )
    for k, (network, history) in enumerate(zip(alone, histories, strict=True)):
        which = np.arange(N) if rows[k] is None else rows[k]
        held = validation_rows and validation_rows[k]
        validation = None if held is None else (X[:, held], T[:, held], weights[held])
        expected = network.fit(
            *(X[:, which], T[:, which]),
            sample_weight=weights[which],
            validation=validation,
            seed=seeds[k],
            **options,
        )
        assert bits(network) == bits(together[k])
        assert history is not None
        assert history.loss == expected.loss
        assert history.validation_loss == expected.validation_loss


def test_class_labels_may_be_a_vector() -> None:
    labels = T[0].astype(int)
    nets = [fn.Network([fn.Layer(4, 2, "softmax")], seed=k, dtype="float32") for k in range(2)]
    histories = fn.train_many(nets, X, labels, rows=[np.arange(60), None], epochs=3)
    assert [len(history.loss) for history in histories] == [3, 3]


def test_one_that_diverges_leaves_the_others_alone() -> None:
    together, alone = networks(3), networks(3)
    before = bits(together[1])
    options = {**OPTIONS, "learning_rate": [0.01, 3e38, 0.01]}
    with pytest.warns(UserWarning, match="1 of 3 networks diverged: fit diverged"):
        histories = fn.train_many(together, X, T, **options)
    assert histories[1] is None
    assert bits(together[1]) == before
    for k in (0, 2):
        alone[k].fit(X, T, **OPTIONS)
        assert bits(alone[k]) == bits(together[k])
    with pytest.raises(fn.DivergenceError):
        fn.train_many(networks(2), X, T, **{**OPTIONS, "learning_rate": 3e38})


@pytest.mark.usefixtures("no_garbage_collector")
def test_an_interrupt_keeps_what_is_done() -> None:
    nets = networks(3)
    before = [bits(network) for network in nets]
    seen = []

    def interrupt(trainer: fn.Trainer) -> None:
        seen.append(trainer.network)
        if len(seen) == 15:  # the second network, with 12 epochs each
            _thread.interrupt_main()
            threading.Event().wait(0.6)

    with pytest.warns(UserWarning, match="training interrupted: 1 of 3 networks are done"):
        histories = fn.train_many(nets, X, T, n_threads=1, callbacks=[interrupt], **OPTIONS)
    assert len(histories[0].loss) == 12
    assert 3 <= len(histories[1].loss) < 12
    assert histories[1].stopped == "interrupted"
    assert histories[2] is None
    assert bits(nets[0]) != before[0]
    assert bits(nets[2]) == before[2]


def test_the_time_may_be_over() -> None:
    nets = networks(3)
    histories = fn.train_many(nets, X, T, n_threads=1, total_seconds=1e-9, **OPTIONS)
    assert len(histories[0].loss) == 1
    assert histories[1:] == [None, None]


def test_an_error_in_a_callback_comes_out() -> None:
    def fail(trainer: fn.Trainer) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        fn.train_many(networks(4), X, T, callbacks=[fail], **OPTIONS)


def test_progress_counts_the_epochs_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    fn.train_many(networks(2), X, T, progress=True, **OPTIONS)
    assert "24/24" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"networks": []}, ValueError, "at least one Network"),
        ({"networks": [1]}, TypeError, r"networks\[0\] must be a Network, got int"),
        ({"networks": networks(1) * 2}, ValueError, r"networks\[1\] must be another network"),
        ({"rows": [None]}, ValueError, "rows must be 2 arrays"),
        ({"rows": [None, [0.5]]}, ValueError, r"rows\[1\] must be a vector of at least one whole number"),
        ({"rows": [None, [0, N]]}, ValueError, r"rows\[1\] must be numbers of examples"),
        ({"validation_rows": [None, []]}, ValueError, r"validation_rows\[1\] must be a vector"),
        ({"seed": [1]}, ValueError, "seed must be one or 2 of them, got 1"),
        ({"validation": (X, T)}, TypeError, "validation must not be given"),
        ({"sample_weight": [1.0]}, ValueError, "sample_weight must have shape"),
        ({"T": T[:, :3]}, ValueError, "an example in each column"),
        ({"total_seconds": 0}, ValueError, "total_seconds must be"),
    ],
)
def test_what_it_refuses(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"networks": networks(2), "X": X, "T": T, "epochs": 1, **arguments}
    with pytest.raises(error, match=message):
        fn.train_many(given.pop("networks"), given.pop("X"), given.pop("T"), **given)


class Following:
    """Adds a third fit once the first is done, which also tells that the second is not needed."""

    count = 3

    def __init__(self, added: ManyFit) -> None:
        self.dropped: set[int] = set()
        self.looked = 0  # once for each epoch
        self._added: ManyFit | None = added

    def next(self, histories: list[fn.History], done: list[bool], *, guess: bool) -> ManyFit | None:
        if not done[0]:
            return None
        self.dropped = {1}
        added, self._added = self._added, None
        return added

    def look(self, histories: list[fn.History], done: list[bool]) -> None:
        assert len(histories) == len(done)
        self.looked += 1


def test_fits_may_follow_from_those_that_are_done_and_others_be_dropped() -> None:
    nets = networks(3)
    # the second one ends only because it is dropped; all are large enough for threads
    epochs = (700, 100_000, 9)
    options = {"batch_size": 16, "callbacks": []}
    fits = [ManyFit(nets[k], None, None, k, options | {"epochs": epochs[k]}, X) for k in range(3)]
    data = many.ManyExamples(X, T, None)
    following = Following(fits[2])
    first, second, third = many.train_fits(fits[:2], data, 2, False, None, following)
    assert first is not None
    assert second is not None
    assert third is not None
    assert (len(first.loss), len(third.loss)) == (700, 9)
    assert second.stopped == "it is not needed"
    assert following.looked == 700 + len(second.loss) + 9


@pytest.mark.filterwarnings("ignore:1 of 2 networks diverged")
def test_a_fit_that_has_diverged_has_an_empty_history() -> None:
    """Its losses of before must not speak for it."""
    nets = networks(2)
    seen: list[list[float]] = []

    def explode(trainer: fn.Trainer) -> None:
        seen.append(list(trainer.history.loss))
        if len(seen) == 3:
            raise fn.DivergenceError("as a fit would raise it")

    class Last(Following):
        def next(self, histories: list[fn.History], done: list[bool], *, guess: bool) -> ManyFit | None:
            if done == [True]:
                assert len(seen) == 3
                assert histories[0].loss == []
            return super().next(histories, done, guess=guess)

    options = {"batch_size": 16, "epochs": 5}
    first = ManyFit(nets[0], None, None, 0, options | {"callbacks": [explode]}, X)
    last = Last(ManyFit(nets[1], None, None, 1, options | {"callbacks": []}, X))
    last.count = 2
    histories = many.train_fits([first], many.ManyExamples(X, T, None), 1, False, None, last)
    assert histories[0] is None
    assert histories[1] is not None
    assert seen == [seen[2][:1], seen[2][:2], seen[2]]


@pytest.mark.parametrize(("count", "n_threads"), [(1, 2), (3, 2), (2, 5)])
def test_threads_without_a_network_help_with_those_that_are_left(
    count: int, n_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    use_threads = fn.Trainer.use_threads

    def noted(self: fn.Trainer, n: int) -> int:
        told.append(n)
        return use_threads(self, n)

    monkeypatch.setattr(fn.Trainer, "use_threads", noted)
    monkeypatch.setattr(many, "SMALL_FLOPS", 0)
    together = networks(count)
    options = {"batch_size": 16, "callbacks": [lambda trainer: None], "progress": False}
    # the last one is still at work when the others are done
    epochs = [3] * (count - 1) + [300]
    fn.train_many(together, X, T, epochs=epochs, seed=list(range(count)), n_threads=n_threads, **options)
    assert told.count(1) >= count  # each begins with a thread of its own
    assert told[-1] == n_threads
    alone = networks(count)
    for k, net in enumerate(alone):
        net.fit(X, T, epochs[k], seed=k, n_threads=1, **options)
    assert [bits(net) for net in together] == [bits(net) for net in alone]
