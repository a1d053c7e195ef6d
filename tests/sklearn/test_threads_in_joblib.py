"""How many threads are used, alone and inside joblib, and that the bits do not depend on it."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn_data import assert_same_weights, fitted, small, words

from fastnet.sklearn import _threads

pytestmark = pytest.mark.usefixtures("few_epochs")


def test_threads_inside_joblib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNET_NUM_THREADS", "5")
    ask = joblib.delayed(_threads.most_threads)
    assert _threads.most_threads(None) == 5
    assert joblib.Parallel(2, backend="threading")(ask(n) for n in (None, 3)) == [1, 3]
    asked: list[int] = []
    thread = threading.Thread(target=lambda: asked.append(_threads.most_threads(None)))
    thread.start()
    thread.join()
    assert asked == [5]  # a thread of the user's own


def test_threads_inside_worker_processes() -> None:
    """Here joblib says how many, in OMP_NUM_THREADS; the user's own variable would come first."""
    told = joblib.Parallel(2, backend="loky")(joblib.delayed(_threads.most_threads)(None) for _ in range(2))
    expected = int(os.environ.get("FASTNET_NUM_THREADS") or max(1, joblib.cpu_count() // 2))
    assert told == [expected] * 2


def test_fits_in_threads_give_the_same_bits() -> None:
    X, y = words()
    alone = small().fit(X, y)
    fits = joblib.Parallel(4, backend="threading")(joblib.delayed(small().fit)(X, y) for _ in range(8))
    for fit in fits:
        np.testing.assert_array_equal(fit.coefs_[0], alone.coefs_[0])


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_the_same_bits_on_any_number_of_threads(solver: str) -> None:
    one = fitted("digits", n_threads=1, solver=solver, hidden_layer_sizes=64)
    assert_same_weights(one, fitted("digits", n_threads=2, solver=solver, hidden_layer_sizes=64))
