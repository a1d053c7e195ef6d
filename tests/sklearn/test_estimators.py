"""MLPClassifier and MLPRegressor as scikit-learn's users know them: clones, pickles, searches, pipelines."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
import sklearn
import sklearn.neural_network
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn_data import small, words

from fastnet.sklearn import MLPClassifier, MLPRegressor, _fast_validation

pytestmark = pytest.mark.usefixtures("few_epochs")


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
    assert "_fit_arguments" not in vars(est)


def test_a_pickle_in_another_process() -> None:
    X, y = words()
    est = small().fit(X, y)
    code = "import pickle, sys; est, X = pickle.load(sys.stdin.buffer); print(est.predict_proba(X)[0, 0])"
    given = pickle.dumps((est, X))
    run = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, check=True)
    assert float(run.stdout) == est.predict_proba(X)[0, 0]  # printed so that it reads back the same


def test_fastnet_alone_does_not_load_scikit_learn() -> None:
    code = "import sys, fastnet; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_parameters_of_each_class_are_its_own() -> None:
    class Mine(MLPClassifier):
        _parameter_constraints = {**MLPClassifier._parameter_constraints, "alpha": [None]}  # noqa: RUF012

        def __init__(self, alpha: Any = None, extra: int = 3) -> None:
            super().__init__(alpha=alpha)
            self.extra = extra

    names = list(inspect.signature(TheirClassifier).parameters)
    assert set(names) < set(MLPClassifier().get_params())
    assert Mine().get_params() == {"alpha": None, "extra": 3}
    assert clone(Mine(extra=4)).extra == 4
    assert _fast_validation.parameters_are_valid(Mine())
    assert not _fast_validation.parameters_are_valid(Mine(alpha=0.5))
    assert not _fast_validation.parameters_are_valid(MLPClassifier(alpha=None))


@pytest.mark.parametrize("dtype", [int, bool, np.float16, np.dtype("f2"), np.dtype(">f4"), object, "f4"])
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_only_two_dtypes_are_allowed(cls: Any, dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"The 'dtype' parameter of MLP.* must be"):
        cls(dtype=dtype).fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype(np.float32)])
def test_the_ways_to_write_a_dtype(dtype: Any) -> None:
    assert small(dtype=dtype).fit(*words()).coefs_[0].dtype == np.float32


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_of_any_hidden_layer(library: str) -> None:
    module = pytest.importorskip(library)
    X, y = words()
    est = small(hidden_layer_sizes=(5, 7, 3)).fit(X, y).set_output(transform=library)
    plain = clone(est).set_output(transform="default").fit(X, y)
    for layer, units in ((0, 5), (1, 7), (-3, 5), (2, 3), (-1, 3)):
        frame = est.transform(X, layer=layer)
        assert isinstance(frame, module.DataFrame)
        names = [f"mlpclassifier{k}" for k in range(units)]
        assert list(frame.columns) == names == list(est.get_feature_names_out(layer=layer))
        np.testing.assert_array_equal(frame.to_numpy(), plain.transform(X, layer=layer))
    assert list(est.transform(X, 0).columns) == list(est.get_feature_names_out(layer=0))
    assert len(est.get_feature_names_out()) == 3


@pytest.mark.parametrize("solver", ["adamw", "rmsprop"])
def test_the_solver_keeps_its_name_while_it_fits(solver: str) -> None:
    pytest.importorskip("sklearn.callback")
    X, y = words()
    seen: list[Any] = []

    class Watch:
        def setup(self, estimator: Any, context: Any) -> None: ...

        def teardown(self, estimator: Any, context: Any) -> None: ...

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
            seen.extend(
                [estimator.solver, clone(estimator).solver, solver if solver in repr(estimator) else ""]
            )

        def on_fit_task_end(
            self, estimator: Any, context: Any, *, X: Any = None, fitted_estimator: Any = None
        ) -> None:
            if fitted_estimator is not None:
                seen.append(fitted_estimator.solver)

    small(solver=solver, max_iter=2).set_callbacks(Watch()).fit(X, y)
    assert len(seen) > 6
    assert set(seen) == {solver}
