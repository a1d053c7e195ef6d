"""TabularClassifier and TabularRegressor: scikit-learn's checks, and what they promise beyond them."""

from __future__ import annotations

import _thread
import io
import pickle
import threading
import time

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastnet as fn
from fastnet.tabular import TableEncoder, TabularClassifier, TabularRegressor
from fastnet.training import many

NOT_KEPT = {
    "check_sample_weight_equivalence_on_dense_data": "folds, batches and bins go by rows: a row of weight 2 "
    "is not the same training as two rows",
    "check_sample_weight_equivalence_on_sparse_data": "as on dense data",
}


@parametrize_with_checks(
    [TabularClassifier(members=2, n_threads=1), TabularRegressor(members=2, n_threads=1)],
    expected_failed_checks=lambda estimator: NOT_KEPT,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def mixed(n=300, seed=0):
    """A table of mixed columns with gaps, and targets that depend on all of them."""
    rng = np.random.default_rng(seed)
    number, colour = rng.normal(size=n), rng.choice(["red", "green", "blue"], n)
    table = pd.DataFrame({"number": number, "colour": colour, "flag": rng.random(n) < 0.5})
    table["time"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D")
    value = number + 2 * (colour == "red") - table["flag"] + 0.1 * rng.normal(size=n)
    table.loc[rng.random(n) < 0.1, "number"] = np.nan
    table.loc[rng.random(n) < 0.1, "colour"] = None
    return table, np.where(value > 0.3, "high", "low"), value.to_numpy()


def same(one, other):
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_frames_of_any_package_give_the_same_bits(kind):
    table, classes, values = mixed()
    y = classes if kind is TabularClassifier else values
    found = []
    for given in (table, pl.from_pandas(table), pl.from_pandas(table).to_arrow()):
        model = kind(2, epochs=4, random_state=0).fit(given, y)
        found.append(model.predict(given))
        assert [column.kind for column in model.columns_[:3]] == ["number", "category", "boolean"]
    same(found[0], found[1])
    same(found[0], found[2])


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_no_bit(n_threads):
    table, y, _ = mixed()
    one = TabularClassifier(3, epochs=4, random_state=1, n_threads=1).fit(table, y)
    more = TabularClassifier(3, epochs=4, random_state=1, n_threads=n_threads).fit(table, y)
    same(one.predict_proba(table), more.predict_proba(table))


def test_it_is_good():
    X, y = load_breast_cancer(return_X_y=True)
    assert cross_val_score(TabularClassifier(random_state=0), X, y, cv=3).mean() > 0.96
    X, y = load_iris(return_X_y=True)
    assert cross_val_score(TabularClassifier(random_state=0), X, y, cv=3).mean() > 0.93
    X, y = load_diabetes(return_X_y=True)
    assert cross_val_score(TabularRegressor(random_state=0), X, y, cv=3).mean() > 0.44
    table, y, _ = mixed(1500)
    assert TabularClassifier(random_state=0).fit(table, y).score(*mixed(1000, 1)[:2]) > 0.85


def test_folds_hold_each_row_out_once():
    from fastnet.tabular.recipe import folds

    labels = np.repeat([0, 1, 2, 3], [50, 31, 7, 1])
    fold = folds(len(labels), 5, 3, labels)
    for label in range(3):
        sizes = np.bincount(fold[labels == label], minlength=5)
        assert sizes.max() - sizes.min() <= 1
    assert fold[labels == 3].tolist() == [-1]  # the only one of its class is always trained on
    assert sorted(np.bincount(folds(11, 3, 0, None)).tolist()) == [3, 4, 4]


def test_the_training_is_the_recipe():
    """One member by hand, from public parts: the same bits as the estimator's."""
    from fastnet.tabular.recipe import CLASSES, folds, member

    table, y, _ = mixed()
    model = TabularClassifier(2, epochs=5, piecewise=False, random_state=7, width=16).fit(table, y)
    seed = int(np.random.RandomState(7).randint(2**31))
    encoder = TableEncoder().fit(table)
    E = encoder.transform(table)[:, ~encoder.piecewise_inputs()]
    labels = np.unique(y, return_inverse=True)[1]
    fold = folds(len(y), 2, seed, labels)
    c = np.float32(np.sqrt(16 / E.shape[1]))
    network = member(CLASSES, (E.shape[1], 16, 16, 16, 2), "softmax", seed + 1)
    T = (labels == np.array([[0], [1]])).astype(np.float32)
    inside, outside = fold != 1, fold == 1
    options = CLASSES.options(16, int(inside.sum()), 5)
    X = (E * c).T
    network.fit(
        X[:, inside], T[:, inside], validation=(X[:, outside], T[:, outside]), seed=seed + 1, **options
    )
    kept = model.ensemble_.networks[1]
    same(kept.layers[0].W[:, ~encoder.piecewise_inputs()], network.layers[0].W * c)
    assert not kept.layers[0].W[:, encoder.piecewise_inputs()].any()
    for k in (1, 2, 3):
        same(kept.layers[k].W, network.layers[k].W)
        same(kept.layers[k].b, network.layers[k].b)


def test_bins_are_chosen_by_the_first_fold():
    rng = np.random.default_rng(0)
    X = rng.uniform(-3, 3, (800, 2))
    steps = np.floor(2 * X[:, 0]) % 2  # hard without bins
    found = TabularRegressor(3, epochs=20, random_state=0, encoder=TableEncoder(bins=24)).fit(X, steps)
    assert found.piecewise_ == [True, True, True]
    plain = TabularRegressor(3, epochs=20, random_state=0, piecewise=False).fit(X, steps)
    assert plain.piecewise_ == [False, False, False]
    assert found.score(X, steps) > plain.score(X, steps)


def test_weights_count():
    table, y, _ = mixed()
    weights = np.where(y == "high", 1.0, 0.0)
    weights[np.flatnonzero(y == "low")[:3]] = 1e-3
    model = TabularClassifier(2, epochs=30, random_state=0).fit(table, y, weights)
    assert (model.predict(table) == "high").mean() > 0.95
    balanced = TabularClassifier(2, epochs=20, random_state=0, class_weight={"high": 1000.0, "low": 1.0})
    assert (balanced.fit(table, y).predict(table) == "high").mean() > 0.9
    with pytest.raises(ValueError, match="at least two classes, got 1 class"):
        TabularClassifier(2).fit(table, y, (y == "high").astype(float))
    with pytest.raises(ValueError, match="at least one non-zero number"):
        TabularRegressor(2).fit(table, np.arange(len(y)), np.zeros(len(y)))


def test_rows_of_weight_zero_are_not_there():
    table, y, values = mixed()
    weights = np.ones(len(y))
    weights[::7] = 0
    changed = values.copy()
    changed[::7] = 1e6
    one = TabularRegressor(2, epochs=5, random_state=0).fit(table, values, weights)
    other = TabularRegressor(2, epochs=5, random_state=0).fit(table, changed, weights)
    same(one.predict(table), other.predict(table))


def test_own_validation_set():
    table, y, values = mixed()
    other, y_other, values_other = mixed(100, 1)
    model = TabularClassifier(3, epochs=6, random_state=0, piecewise=True)
    model.fit(table, y, eval_set=(other, y_other))
    T = (y_other == model.classes_[:, None]).astype(np.float32)
    for network, history in zip(model.ensemble_.networks, model.histories_, strict=True):
        loss = network.loss(model.ensemble_.encode(other), T)
        assert loss == pytest.approx(min(history.validation_loss), rel=1e-5)
    TabularRegressor(2, epochs=3).fit(table, values, eval_set=(other, values_other))
    with pytest.raises(ValueError, match="eval_set must hold classes of y"):
        model.fit(table, y, eval_set=(other, ["medium"] * 100))


def test_predictions_stay_in_the_range_of_fit():
    table, _, values = mixed()
    model = TabularRegressor(2, epochs=10, random_state=0).fit(table, values)
    far = table.assign(number=1e9)
    assert model.predict(far).max() <= values.max()
    assert model.predict(table.assign(number=-1e9)).min() >= values.min()
    spread = model.predict_spread(table)
    assert spread.shape == values.shape
    assert (spread > 0).all()


def test_large_offsets_of_the_target_are_kept():
    table, _, values = mixed()
    near = TabularRegressor(2, epochs=10, random_state=0).fit(table, values)
    far = TabularRegressor(2, epochs=10, random_state=0).fit(table, values + 2.0**40)
    np.testing.assert_allclose(far.predict(table) - 2.0**40, near.predict(table), atol=2e-3)


def test_an_interrupt_keeps_the_members_that_are_done(monkeypatch):
    table, y, _ = mixed()
    seen = []
    after = many._Crowd._after_epoch

    def counted(self, trainer, display):
        seen.append(trainer)
        if len(seen) == 14:  # the second member of 10 epochs
            _thread.interrupt_main()
            threading.Event().wait(0.6)
        after(self, trainer, display)

    monkeypatch.setattr(many._Crowd, "_after_epoch", counted)
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


def test_it_is_saved_in_one_file_and_pickled(tmp_path):
    table, y, values = mixed()
    for model in (
        TabularClassifier(2, epochs=3, random_state=0).fit(table, y),
        TabularRegressor(2, epochs=3, random_state=0).fit(table, values),
    ):
        model.ensemble_.save(tmp_path / "model.safetensors")
        ensemble = fn.Ensemble.load(tmp_path / "model.safetensors")
        got = ensemble.predict_proba(ensemble.encode(table))
        expected = model.ensemble_.predict_proba(model.ensemble_.encode(table))
        same(got, expected)
        again = pickle.loads(pickle.dumps(model))
        same(again.predict(table), model.predict(table))
        row = ensemble.encode(table[:1])[:, 0]
        same(ensemble.compile()(row), expected[:, 0])


def test_reordered_and_missing_columns_are_named():
    table, y, _ = mixed()
    model = TabularClassifier(2, epochs=2, random_state=0).fit(table, y)
    assert model.feature_names_in_.tolist() == table.columns.tolist()
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        model.predict(table[["colour", "number", "flag", "time"]])
    with pytest.raises(ValueError, match=r"(?s)seen at fit time, yet now missing.*colour"):
        model.predict(table.drop(columns="colour"))
    odd = table.assign(colour="never seen", number=np.nan)
    assert np.isfinite(model.predict_proba(odd)).all()


def test_it_is_searched_cloned_and_piped():
    table, y, _ = mixed(120)
    search = GridSearchCV(TabularClassifier(2, epochs=3, random_state=0), {"width": [8, 16]}, cv=2)
    assert search.fit(table, y).best_params_["width"] in (8, 16)
    model = TabularClassifier(3, encoder=TableEncoder(bins=2, kinds={"number": "number"}), random_state=0)
    copy = clone(model)
    assert copy.encoder.get_params() == model.encoder.get_params()
    assert copy.encoder is not model.encoder
    make_pipeline(FunctionTransformer(), model.set_params(epochs=2)).fit(table, y).predict(table)
    assert not hasattr(model.encoder, "columns_")  # the user's is not fitted


def test_sparse_matrices_and_columns_that_tell_nothing():
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(100, 5)) * (rng.random((100, 5)) < 0.3)
    y = dense.sum(axis=1)
    one = TabularRegressor(2, epochs=3, random_state=0).fit(dense, y)
    other = TabularRegressor(2, epochs=3, random_state=0).fit(scipy.sparse.csr_array(dense), y)
    same(one.predict(dense), other.predict(scipy.sparse.csr_array(dense)))
    constant = TabularRegressor(2, epochs=3, random_state=0).fit(np.ones((50, 2)), y[:50])
    assert np.isfinite(constant.predict(np.ones((3, 2)))).all()
    assert "left out" in constant.columns_[0].note


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"members": 0}, ValueError, "members must be at least 1"),
        ({"epochs": 1.5}, TypeError, "epochs must be an int"),
        ({"width": 0}, ValueError, "width must be at least 1"),
        ({"piecewise": "yes"}, ValueError, "piecewise must be True, False or 'auto', got 'yes'"),
        ({"time_limit": 0}, ValueError, "time_limit must be"),
    ],
)
def test_parameters_are_checked(arguments, error, message):
    table, y, _ = mixed(50)
    with pytest.raises(error, match=message):
        TabularClassifier(**arguments).fit(table, y)


def test_it_must_be_fitted():
    with pytest.raises(NotFittedError):
        TabularClassifier().predict([[1.0]])
    with pytest.raises(NotFittedError):
        _ = TabularRegressor().columns_


def test_progress_is_shown(capsys):
    table, y, _ = mixed(60)
    TabularClassifier(2, epochs=3, random_state=0, verbose=True, piecewise=True).fit(table, y)
    assert "/6" in capsys.readouterr().err


# ---- Ensemble


def test_an_ensemble_is_the_mean():
    X = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    networks = [
        fn.Network([fn.Layer(3, 5), fn.Layer(5, 2, "softmax")], seed=k, dtype="float32") for k in range(3)
    ]
    ensemble = fn.Ensemble(networks)
    each = np.stack([network.predict_proba(X) for network in networks])
    same(ensemble.predict_members(X), each)
    same(ensemble.predict_proba(X), (each[0] + each[1] + each[2]) / np.float32(3))
    same(ensemble.predict_proba(X), ensemble.compile()(X))
    same(ensemble.predict_proba(X)[:, 0], ensemble.compile()(X[:, 0]))
    np.testing.assert_allclose(ensemble.spread(X), each.std(axis=0), atol=1e-6)
    networks[0].classes = ["a", "b"]
    file = io.BytesIO()
    ensemble.save(file)
    file.seek(0)
    again = fn.Ensemble.load(file)
    assert again.classes == ("a", "b")
    same(again.predict_proba(X), ensemble.predict_proba(X))


def test_what_is_no_ensemble():
    one = fn.Network([fn.Layer(2, 1)])
    with pytest.raises(ValueError, match="at least one Network"):
        fn.Ensemble([])
    with pytest.raises(TypeError, match=r"networks\[1\] must be a Network, got int"):
        fn.Ensemble([one, 1])
    with pytest.raises(ValueError, match=r"networks\[1\] must be like networks\[0\], 2 inputs, 1 outputs"):
        fn.Ensemble([one, fn.Network([fn.Layer(3, 1)])])
    with pytest.raises(ValueError, match="has no encoder"):
        fn.Ensemble([one]).encode([[1.0, 2.0]])


def test_a_damaged_file_is_refused():
    table, y, _ = mixed(60)
    file = io.BytesIO()
    TabularClassifier(2, epochs=1, random_state=0).fit(table, y).ensemble_.save(file)
    content = file.getvalue()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 200):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        with pytest.raises(fn.FormatError):
            fn.Ensemble.load(io.BytesIO(damaged))
    for length in rng.integers(0, len(content), 20):
        with pytest.raises(fn.FormatError):
            fn.Ensemble.load(io.BytesIO(content[:length]))
    plain = io.BytesIO()
    fn.save(fn.Network([fn.Layer(2, 1)]), plain)
    plain.seek(0)
    with pytest.raises(fn.FormatError, match="this is no ensemble: use load"):
        fn.Ensemble.load(plain)
