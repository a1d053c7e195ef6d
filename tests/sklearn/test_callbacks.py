"""scikit-learn's callbacks (version 1.9) are called at every epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn_data import small, words

pytestmark = pytest.mark.usefixtures("few_epochs")


class Recorder:
    """A callback that notes what it is told, and stops after `last` tasks."""

    def __init__(self, last: int = 99) -> None:
        self.tasks: list[str] = []
        self.scores: list[float] = []
        self.last = last

    def setup(self, estimator: Any, context: Any) -> None:
        self.tasks.append("setup")

    def teardown(self, estimator: Any, context: Any) -> None:
        self.tasks.append("teardown")

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.tasks.append(f"begin {context.task_name}")

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, fitted_estimator: Any = None
    ) -> bool:
        self.tasks.append(f"end {context.task_name}")
        if context.task_name != "fit" and fitted_estimator is not None:
            self.scores.append(fitted_estimator.score(X, y))
        return len(self.scores) == self.last


@pytest.mark.parametrize(("solver", "task"), [("adam", "epoch"), ("adamw", "epoch"), ("lbfgs", "iteration")])
def test_callbacks(solver: str, task: str) -> None:
    pytest.importorskip("sklearn.callback")
    X, y = words()
    recorder = Recorder()
    est = small(solver=solver, max_iter=3).set_callbacks(recorder).fit(X, y)
    rounds = [f"begin {task}", f"end {task}"] * (
        4 if solver == "lbfgs" else 3
    )  # scipy: one begun and never run
    assert recorder.tasks == ["setup", "begin fit", *rounds, "end fit", "teardown"]
    np.testing.assert_array_equal(est.coefs_[0], small(solver=solver, max_iter=3).fit(X, y).coefs_[0])
    expected = [small(solver=solver, max_iter=n).fit(X, y).score(X, y) for n in (1, 2, 3)]
    assert recorder.scores == expected
    stopped = small(solver=solver).set_callbacks(Recorder(last=2)).fit(X, y)
    assert stopped.n_iter_ == 2
    assert not {"_fit_arguments", "_callback_fit_ctx"} & vars(est).keys()


def test_scikit_learns_callbacks() -> None:
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    X, y = words()
    monitor = callback.ScoringMonitor(scoring="accuracy")
    pipe = make_pipeline(StandardScaler(), small(max_iter=3).set_callbacks(monitor))
    pipe.set_callbacks(callback.ProgressBar()).fit(X, y)
    logs = monitor.get_logs().data
    assert [row["task_name"] for row in logs] == ["fit", "epoch", "epoch", "epoch"]
    assert logs[-1]["accuracy"] == logs[0]["accuracy"] == pipe.score(X, y)
