"""Early stopping and the state of a training: what is noted, restored and gone on with."""

from __future__ import annotations

from typing import Any

import numpy as np
from networks import data, network

from fastnet.training.state import EarlyStopping, TrainingState


def test_early_stopping_without_validation_watches_the_loss() -> None:
    X, T = data(3, 1, 40, "float64")
    net = network((3, 4, 1))
    history = net.fit(X, T, epochs=500, learning_rate=1.0, early_stopping=True, patience=4, tol=1e-3)
    waited, best = 0, np.inf
    for epoch, loss in enumerate(history.loss, start=1):
        waited = waited + 1 if loss > best - 1e-3 else 0
        best = min(best, loss)
        assert (waited > 4) == (epoch == len(history.loss))
    assert history.stopped == "the loss did not fall by 0.001 in more than 4 epochs"
    assert history.best_epoch == int(np.argmin(history.loss)) + 1
    assert history.stopped in repr(history)
    assert f"best epoch {history.best_epoch}" in repr(history)


def test_patience_zero_and_one_and_a_warm_start_after_the_end() -> None:
    X, T = data(3, 1, 40, "float64")
    worse: Any = {"validation": (X, 1 - T), "early_stopping": True, "tol": 0}
    worse |= {"optimizer": "sgd", "learning_rate": 1.0}
    for patience in (0, 1, 3):
        net = network((3, 4, 1))
        history = net.fit(X, T, **worse, patience=patience)
        assert len(history.loss) == history.best_epoch + patience + 1 < 100
        again = net.fit(X, T, **worse, patience=patience, warm_start=True)
        assert len(again.loss) == patience + 1, "it waits anew"
        assert again.best_epoch == history.best_epoch


def test_a_copy_is_not_changed_by_later_epochs() -> None:
    state = TrainingState()
    state.schedule_memory["cuts"] = 1.0
    state.early_stopping.watch(2)
    state.early_stopping.plateau.update(0.5, 0.0)
    twin = state.copy()
    state.epochs_done += 1
    state.schedule_memory["cuts"] = 2.0
    state.early_stopping.plateau.update(0.25, 0.0)
    state.early_stopping.watch(1)
    assert (twin.epochs_done, twin.schedule_memory) == (0, {"cuts": 1.0})
    assert (twin.early_stopping.watched, twin.early_stopping.plateau.best) == (2, 0.5)


def test_early_stopping_forgets_the_loss_of_other_data() -> None:
    stopping = EarlyStopping()
    stopping.watch(1)
    stopping.plateau.update(0.5, 0.0)
    stopping.best_weights = [np.ones((1, 1))], [np.zeros((1, 1))]
    stopping.watch(1)
    assert stopping.plateau.best == 0.5
    assert stopping.best_are(stopping.copied_best())
    stopping.watch(2)
    assert stopping.plateau.best == np.inf
    assert not stopping.best_are(([np.ones((1, 1))], [np.zeros((1, 1))]))
