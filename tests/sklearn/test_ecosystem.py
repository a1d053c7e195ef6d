"""fastnet.sklearn among what scikit-learn's users have: searches, pickles, processes, frames, callbacks."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
import sklearn.neural_network
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import _get_feature_names
from sklearn_data import data

import fastnet.sklearn
from fastnet.sklearn import MLPClassifier, MLPRegressor, _base, _compat, _stochastic, _trainer


@pytest.fixture(autouse=True)
def no_word_of_convergence() -> Iterator[None]:
    """Few epochs are enough here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Stochastic Optimizer")
        warnings.filterwarnings("ignore", "lbfgs failed to converge")
        yield


def small(**params: Any) -> MLPClassifier:
    return MLPClassifier(**{"hidden_layer_sizes": 8, "max_iter": 10, "random_state": 0} | params)


def words() -> tuple[np.ndarray, np.ndarray]:
    _, X, y, _ = data("words")
    return X, y


# ---- meta-estimators


def test_meta_estimators() -> None:
    X, y = words()
    theirs = sklearn.neural_network.MLPClassifier(8, max_iter=10, random_state=0)
    for wrap in (
        lambda est: make_pipeline(StandardScaler(), est),
        lambda est: CalibratedClassifierCV(est, cv=2),
        lambda est: BaggingClassifier(est, 3, max_samples=0.5, random_state=1),
    ):
        a, b = (wrap(est).fit(X, y) for est in (theirs, small()))
        np.testing.assert_allclose(b.predict_proba(X), a.predict_proba(X), atol=1e-9)
    np.testing.assert_allclose(cross_val_score(small(), X, y, cv=3), cross_val_score(theirs, X, y, cv=3))


def test_as_a_transformer_in_a_pipeline() -> None:
    X, y = words()
    pipe = make_pipeline(small(), small(hidden_layer_sizes=())).fit(X, y)
    assert pipe[-1].coefs_[0].shape == (8, 10)
    pd = pytest.importorskip("pandas")
    frame = small().set_output(transform="pandas").fit_transform(X, y)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns)[-1] == "mlpclassifier7"


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_grid_search(backend: str) -> None:
    X, y = words()
    grid = {"alpha": [1e-4, 10.0], "hidden_layer_sizes": [(4,), (9,)], "solver": ["adam", "lbfgs"]}
    alone = GridSearchCV(small(), grid, cv=2).fit(X, y)
    with joblib.parallel_config(backend, n_jobs=2):
        together = GridSearchCV(small(), grid, cv=2).fit(X, y)
    np.testing.assert_array_equal(
        together.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )
    assert np.ptp(alone.cv_results_["mean_test_score"]) > 0.05


def test_clone_and_parameters() -> None:
    est = small(class_weight={"a": 2.0}, activation=["tanh"], n_threads=2, dropout=0.1, dtype="float32")
    again = clone(est)
    assert again.get_params() == est.get_params()
    assert repr(est).startswith("MLPClassifier(activation=['tanh'], class_weight={'a': 2.0}, dropout=0.1")
    theirs = sklearn.neural_network.MLPClassifier().get_params()
    assert theirs.items() <= MLPClassifier().get_params().items()
    assert sklearn.neural_network.MLPRegressor().get_params().items() <= MLPRegressor().get_params().items()
    assert is_classifier(est)
    assert isinstance(est, sklearn.neural_network.MLPClassifier)
    assert not hasattr(small(solver="lbfgs"), "partial_fit")
    assert hasattr(small(solver="rmsprop"), "partial_fit")


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "newton"},
        {"activation": "swish"},
        {"dropout": 1.0},
        {"weight_decay": -1},
        {"n_threads": 0},
        {"clip_norm": 0},
        {"dtype": "float16"},
        {"learning_rate": "fast"},
        {"class_weight": "even"},
    ],
    ids=str,
)
def test_wrong_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of MLPClassifier must be"):
        small(**params).fit(*words())


# ---- threads and processes


def test_threads_inside_joblib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNET_NUM_THREADS", "5")
    ask = joblib.delayed(_trainer.most_threads)
    assert _trainer.most_threads(None) == 5
    assert joblib.Parallel(2, backend="threading")(ask(n) for n in (None, 3)) == [1, 3]
    asked: list[int] = []
    thread = threading.Thread(target=lambda: asked.append(_trainer.most_threads(None)))
    thread.start()
    thread.join()
    assert asked == [5]  # a thread of the user's own


def test_threads_inside_worker_processes() -> None:
    """Here joblib says how many, in OMP_NUM_THREADS; the user's own variable would come first."""
    told = joblib.Parallel(2, backend="loky")(joblib.delayed(_trainer.most_threads)(None) for _ in range(2))
    expected = int(os.environ.get("FASTNET_NUM_THREADS") or max(1, joblib.cpu_count() // 2))
    assert told == [expected] * 2


def test_fits_in_threads_give_the_same_bits() -> None:
    X, y = words()
    alone = small().fit(X, y)
    fits = joblib.Parallel(4, backend="threading")(joblib.delayed(small().fit)(X, y) for _ in range(8))
    for fit in fits:
        np.testing.assert_array_equal(fit.coefs_[0], alone.coefs_[0])


# ---- pickles


@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop"])
def test_a_pickle_goes_on_where_it_was(solver: str, tmp_path: Any) -> None:
    X, y = words()
    est = small(solver=solver).fit(X, y)
    joblib.dump(est, tmp_path / "est.joblib")
    for again in (pickle.loads(pickle.dumps(est)), joblib.load(tmp_path / "est.joblib")):
        np.testing.assert_array_equal(again.predict_proba(X), est.predict_proba(X))
        expected = pickle.loads(pickle.dumps(est)).partial_fit(X, y)
        np.testing.assert_array_equal(again.partial_fit(X, y).coefs_[0], expected.coefs_[0])
        assert again.t_ == est.t_ + len(X)
    assert "_call" not in vars(est)


def test_a_pickle_in_another_process() -> None:
    X, y = words()
    est = small().fit(X, y)
    code = "import pickle, sys; est, X = pickle.load(sys.stdin.buffer); print(est.predict_proba(X)[0, 0])"
    given = pickle.dumps((est, X))
    run = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, check=True)
    assert float(run.stdout) == est.predict_proba(X)[0, 0]  # printed so that it reads back the same


# ---- data


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_frames(library: str, dtype: str) -> None:
    module = pytest.importorskip(library)
    X, y = words()
    X = X[:, :6].astype(dtype)
    columns = {f"pixel {k}": X[:, k] for k in range(6)}
    frame = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    est, plain = small().fit(frame, y), small().fit(X, y)
    named = _get_feature_names(frame) is not None  # before 1.9, scikit-learn sees no names in polars 2
    if named:
        assert list(est.feature_names_in_) == list(columns)
    assert est.coefs_[0].dtype == dtype  # polars' float32, too
    np.testing.assert_array_equal(est.coefs_[0], plain.coefs_[0])
    P = est.predict_proba(frame)
    assert P.dtype == dtype
    np.testing.assert_array_equal(P, plain.predict_proba(X))
    if named:
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            est.predict(X)


def test_layouts_and_dtypes_at_prediction() -> None:
    X, y = words()
    est, theirs = (
        small().fit(X, y),
        sklearn.neural_network.MLPClassifier(8, max_iter=10, random_state=0).fit(X, y),
    )
    P = est.predict_proba(X)
    for same in (np.asfortranarray(X), X[::-1][::-1], list(X), X.astype(object)):
        np.testing.assert_array_equal(est.predict_proba(same), P)
    for other in (X.astype(np.float32), (16 * X).astype(np.int8), X.astype(np.float16)):
        a, b = theirs.predict_proba(other), est.predict_proba(other)
        assert a.dtype == b.dtype
        np.testing.assert_allclose(b, a, atol=1e-9)


def test_prediction_checks_what_scikit_learn_checks() -> None:
    X, y = words()
    est = small().fit(X, y)
    for wrong, message in (
        (np.where(X >= 1, np.nan, X), "Input X contains NaN"),
        (np.where(X >= 1, np.inf, X), "Input X contains infinity"),
        (X[:, :5], "X has 5 features, but MLPClassifier is expecting 64 features"),
        (X[0], "Expected 2D array, got 1D array instead"),
        (X[:0], "Found array with 0 sample"),
        (X.astype(complex), "Complex data not supported"),
    ):
        with pytest.raises(ValueError, match=message):
            est.predict(wrong)


# ---- interrupts


def test_an_interrupt_keeps_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = words()
    epoch, done = _stochastic.Fit.epoch, []

    def interrupted(self: Any, state: Any) -> float:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(1)
        return epoch(self, state)

    monkeypatch.setattr(_stochastic.Fit, "epoch", interrupted)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
        est = small().fit(X, y)
    monkeypatch.undo()
    assert est.n_iter_ == len(est.loss_curve_) == 4
    np.testing.assert_array_equal(est.coefs_[0], small(max_iter=4).fit(X, y).coefs_[0])


# ---- callbacks (scikit-learn 1.9)


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
    assert not {"_call", "_problem", "_callback_fit_ctx"} & vars(est).keys()


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


# ---- an unknown scikit-learn


def test_the_installed_version_is_known() -> None:
    assert _base.UNKNOWN == ()


def test_changed_hooks_are_noticed() -> None:
    class Changed(sklearn.neural_network.MLPClassifier):
        def _fit(
            self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False, mode: Any = 1
        ) -> None: ...

        _unpack = None

    (fit, unpack) = _compat.unknown((Changed,))
    assert (
        fit == "Changed._fit takes (X y sample_weight incremental mode), not (X y sample_weight incremental)"
    )
    assert unpack == "Changed._unpack is gone"


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_an_unknown_scikit_learn_works_by_itself(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = words()
    for module in (_base, fastnet.sklearn._estimators):
        monkeypatch.setattr(module, "UNKNOWN", ("MLPClassifier._fit is gone",))
    monkeypatch.setattr(_base._stochastic, "fit", None)
    monkeypatch.setattr(_base._lbfgs, "fit", None)
    monkeypatch.setattr(_base._predict, "Network", None)
    with pytest.warns(UserWarning, match="fastnet does not know scikit-learn .* MLPClassifier._fit is gone"):
        est = small(solver=solver).fit(X, y)
    assert est.backend_ == "scikit-learn"
    theirs = sklearn.neural_network.MLPClassifier(8, max_iter=10, random_state=0, solver=solver).fit(X, y)
    np.testing.assert_array_equal(est.predict_proba(X), theirs.predict_proba(X))
    np.testing.assert_array_equal(est.predict(X), theirs.predict(X))
    for extra in (
        {"dropout": 0.1},
        {"solver": "adamw"},
        {"activation": "gelu"},
        {"class_weight": "balanced"},
    ):
        with pytest.raises(ValueError, match=next(iter(extra))):
            small(**extra).fit(X, y)
    with pytest.raises(ValueError, match="X_val: not with scikit-learn's own code"):
        small().fit(X, y, X_val=X, y_val=y)


# ---- patching


def test_patch() -> None:
    theirs = sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor
    fastnet.sklearn.patch()
    try:
        fastnet.sklearn.patch()
        from sklearn.neural_network import MLPClassifier as patched_in

        assert patched_in is MLPClassifier
        X, y = words()
        est = patched_in(8, max_iter=2).fit(X, y)
        assert est.backend_ == "fastnet"
        assert pickle.loads(pickle.dumps(est)).n_iter_ == 2
    finally:
        fastnet.sklearn.unpatch()
    assert (sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor) == theirs
    fastnet.sklearn.unpatch()
    with fastnet.sklearn.patched():
        assert sklearn.neural_network.MLPRegressor is MLPRegressor
        with pytest.raises(ZeroDivisionError), fastnet.sklearn.patched():
            raise ZeroDivisionError
        assert sklearn.neural_network.MLPRegressor is MLPRegressor
    assert (sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor) == theirs


def test_fastnet_alone_does_not_load_scikit_learn() -> None:
    code = "import sys, fastnet; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
