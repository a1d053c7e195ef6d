"""The training of the members for a table: the choice of bins, interrupts, the time limit."""

from __future__ import annotations

import _thread
import threading
import time

import numpy as np
import pandas as pd
import pytest
from tables import mixed

from fastnet.tabular import TableEncoder, TabularClassifier, TabularRegressor, training
from fastnet.training import many


def test_bins_are_chosen_by_the_first_fold():
    rng = np.random.default_rng(0)
    X = rng.uniform(-3, 3, (800, 2))
    steps = np.floor(2 * X[:, 0]) % 2  # hard without bins
    found = TabularRegressor(3, epochs=20, random_state=0, encoder=TableEncoder(bins=24)).fit(X, steps)
    assert found.piecewise_ == [True, True, True]
    plain = TabularRegressor(3, epochs=20, random_state=0, piecewise=False).fit(X, steps)
    assert plain.piecewise_ == [False, False, False]
    assert found.score(X, steps) > plain.score(X, steps)


@pytest.mark.usefixtures("no_garbage_collector")
def test_an_interrupt_keeps_the_members_that_are_done(monkeypatch):
    table, y, _ = mixed()
    seen = []
    after = many._Crowd.after_epoch

    def counted(self, k, trainer):
        seen.append(trainer)
        if len(seen) == 14:  # the second member of 10 epochs
            _thread.interrupt_main()
            threading.Event().wait(0.6)
        after(self, k, trainer)

    monkeypatch.setattr(many._Crowd, "after_epoch", counted)
    model = TabularClassifier(3, epochs=10, random_state=0, n_threads=1, piecewise=True)
    with pytest.warns(UserWarning, match="training interrupted: 1 of 3 networks are done"):
        model.fit(table, y)
    assert len(model.ensemble_) == 1
    assert model.predict(table).shape == y.shape


def test_there_may_be_a_time_limit():
    table, y, _ = mixed()
    began = time.perf_counter()
    model = TabularClassifier(5, epochs=100_000, time_limit=0.3, random_state=0, piecewise=True, n_threads=1)
    model.fit(table, y)
    assert time.perf_counter() - began < 5
    assert 1 <= len(model.ensemble_) <= 5
    none = TabularClassifier(5, time_limit=1e-6, random_state=0).fit(table, y)
    assert len(none.histories_[0].loss) == 1


def test_members_are_tasks_where_joblibs_dask_backend_is_active(monkeypatch):
    distributed = pytest.importorskip("distributed")
    joblib = pytest.importorskip("joblib")
    table, y, _ = mixed()
    here = TabularClassifier(3, epochs=4, random_state=0, piecewise=True).fit(table, y)
    workers = []
    run_here = training.Job.run_here

    def noted(self, planned):
        workers.extend(
            (distributed.get_worker().address, k) for k, *_ in planned
        )  # an error outside of a task
        return run_here(self, planned)

    monkeypatch.setattr(training.Job, "run_here", noted)
    options = {"processes": False, "n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.Client(**options), joblib.parallel_config("dask"):
        spread = TabularClassifier(3, epochs=4, random_state=0, piecewise=True).fit(table, y)
        assert sorted(k for _, k in workers) == [0, 1, 2]
        late = TabularClassifier(3, epochs=4, random_state=0, piecewise=True, time_limit=1e-9).fit(table, y)
        monkeypatch.setattr(training, "_train_remotely", lambda *arguments: ([], None))
        with pytest.raises(RuntimeError, match="workers must run builds of fastnet"):
            TabularClassifier(2, epochs=1, piecewise=True).fit(table, y)
    assert len(late.histories_) == len(late.histories_[0].loss) == 1
    np.testing.assert_array_equal(spread.predict_proba(table), here.predict_proba(table))


def apart(n=400, seed=0):
    """Three classes, 6 standard deviations from one another."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    table = pd.DataFrame({"a": 6.0 * (y == 1) + rng.normal(size=n), "b": 6.0 * (y == 2) + rng.normal(size=n)})
    return table, y


def smoothing(monkeypatch):
    """Return a list of what each fit that begins is told: its number and whether labels are smoothed."""
    told = []
    fit = training.Job._fit

    def noted(self, k, piecewise, smoothed):
        told.append((k, smoothed))
        return fit(self, k, piecewise, smoothed)

    monkeypatch.setattr(training.Job, "_fit", noted)
    return told


@pytest.mark.parametrize("classes", ["far apart", "overlapping"])
def test_labels_are_smoothed_where_nearly_all_rows_are_told_apart(monkeypatch, classes):
    told = smoothing(monkeypatch)
    table, y = apart()
    if classes == "overlapping":
        y = np.random.default_rng(1).integers(0, 3, len(y))
    model = TabularClassifier(3, random_state=0, n_threads=1).fit(table, y)
    assert len(model.ensemble_) == 3 + (model.piecewise_[:2] == [False, True] and classes == "overlapping")
    assert told[:2] == [(0, False), (0, False)]
    if classes == "overlapping":
        assert told[2:] == [(1, False), (2, False)]
    else:
        assert told[2:] == [(0, True), (1, True), (2, True)]
        smoothed = model.histories_[-1]
        assert smoothed.loss[-1] > 0.28 > smoothed.validation_loss[-1]  # 0.933, 0.033, 0.033: 0.29 at least
        held_out, _ = apart(200, seed=1)
        assert model.predict_proba(held_out).max(axis=1).mean() > 0.97  # 0.933 at most if not calibrated


def test_any_number_of_threads_and_machines_smooths_the_same_members(monkeypatch):
    table, y = apart()
    fits = [TabularClassifier(4, random_state=0, n_threads=n).fit(table, y) for n in (1, 2, 5)]
    distributed = pytest.importorskip("distributed")
    joblib = pytest.importorskip("joblib")
    options = {"processes": False, "n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.Client(**options), joblib.parallel_config("dask"):
        fits.append(TabularClassifier(4, random_state=0).fit(table, y))
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.predict_proba(table), fits[0].predict_proba(table))


def test_the_first_member_is_there_if_the_time_ends_before_one_on_smoothed_labels():
    table, y = apart()
    model = TabularClassifier(3, random_state=0, n_threads=1, time_limit=1000)
    whole = TabularClassifier(3, random_state=0, n_threads=1).fit(table, y)
    assert len(whole.ensemble_) == 3
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(many._Crowd, "_late", lambda self: any(self._done[:2]) and all(self._done[:2]))
        model.fit(table, y)
    assert len(model.ensemble_) == 1
    assert model.score(table, y) > 0.9


def test_many_numbers_go_through_one_wide_layer():
    table, y = apart()
    table = pd.concat([table + 0.1 * k for k in range(20)], axis=1)
    table.columns = [f"x{k}" for k in range(40)]
    model = TabularClassifier(2, random_state=0, width=24).fit(table, y)
    assert [network.sizes[1:-1] for network in model.ensemble_.networks] == [(48,), (48,)]
    few = TabularClassifier(2, random_state=0, width=24).fit(table.iloc[:, :31], y)
    assert [network.sizes[1:-1] for network in few.ensemble_.networks] == [(24, 24), (24, 24)]
