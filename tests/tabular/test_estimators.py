"""TabularClassifier and TabularRegressor: scikit-learn's checks, and what they promise beyond them."""

from __future__ import annotations

import pickle

import numpy as np
import polars as pl
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from tables import mixed, same

import fastnet as fn
from fastnet.tabular import TableEncoder, TabularClassifier, TabularRegressor

NOT_KEPT = {
    "check_sample_weight_equivalence_on_dense_data": "folds, batches and bins go by rows: a row of weight 2 "
    "is not the same training as two rows",
    "check_sample_weight_equivalence_on_sparse_data": "as on dense data",
}


@parametrize_with_checks(
    [
        TabularClassifier(members=2, n_threads=1),
        TabularRegressor(members=2, n_threads=1),
        TabularRegressor(members=2, n_threads=1, quantile=0.5),
    ],
    expected_failed_checks=lambda estimator: NOT_KEPT,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


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


@pytest.mark.parametrize("labels", [["low", "high"], [7, 3], [True, False], [2.0, -1.0]], ids=str)
def test_the_ensemble_gives_the_labels_of_the_classifier(labels):
    table, y, _ = mixed(120)
    y = np.array(labels)[(y == "high").astype(int)]
    model = TabularClassifier(2, epochs=3, random_state=0).fit(table, y)
    assert model.ensemble_.classes == tuple(model.classes_.tolist())
    same(model.ensemble_.predict(model.ensemble_.encode(table)), model.predict(table))


def test_labels_that_no_network_holds():
    table, y, _ = mixed(60)
    y = np.where(y == "high", np.uint64(2**64 - 1), np.uint64(3))
    model = TabularClassifier(2, epochs=3, random_state=0).fit(table, y)
    assert model.ensemble_.classes is None
    assert set(model.predict(table)) <= {2**64 - 1, 3}


def test_class_weights_are_by_label():
    """A label is no number of a class: with the labels 1 and 0 in other words, the same bits."""
    table, y, _ = mixed(120)
    found = []
    for labels in (["a", "b"], [1, 2], [-1, 0], [False, True]):
        named = np.array(labels)[(y == "high").astype(int)]
        weights = {labels[0]: 0.2, labels[1]: 3.0}
        model = TabularClassifier(2, epochs=4, random_state=0, class_weight=weights).fit(table, named)
        found.append(model.predict_proba(table))
    for other in found[1:]:
        same(found[0], other)
    assert (
        found[0] != TabularClassifier(2, epochs=4, random_state=0).fit(table, y).predict_proba(table)
    ).any()


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_metadata_is_routed(kind):
    """Weights go through a pipeline in a search to the fits, and through the search to the scores."""
    table, classes, values = mixed(120)
    y = classes if kind is TabularClassifier else values
    weights = np.random.default_rng(1).uniform(0.1, 3.0, len(y))
    model = kind(2, epochs=3, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(make_pipeline(FunctionTransformer(), routed), {}, cv=2)
        search.fit(table, y, sample_weight=weights)
    by_hand = clone(model).fit(table, y, sample_weight=weights)
    same(search.predict(table), by_hand.predict(table))
    assert by_hand.histories_[0].loss != clone(model).fit(table, y).histories_[0].loss
    half = np.arange(len(y)) < len(y) // 2
    if kind is TabularRegressor:  # its folds are the halves
        one = clone(model).fit(table[~half], y[~half], sample_weight=weights[~half])
        score = one.score(table[half], y[half], sample_weight=weights[half])
        assert search.cv_results_["split0_test_score"][0] == score
    with sklearn.config_context(enable_metadata_routing=True):
        routed = clone(model).set_fit_request(eval_set=True)
        kept = make_pipeline(FunctionTransformer(), routed).fit(table, y, eval_set=(table[half], y[half]))
    same(kept.predict(table), clone(model).fit(table, y, eval_set=(table[half], y[half])).predict(table))


def test_predictions_out_of_folds():
    table, y, _ = mixed(120)
    model = TabularClassifier(2, epochs=3, random_state=0)
    P = cross_val_predict(model, table, y, cv=3, method="predict_proba")
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-6)
    names = clone(model).fit(table, y).feature_names_in_
    assert names.dtype == object
    assert names.tolist() == table.columns.tolist()


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


@pytest.mark.parametrize("given", ["pandas", "polars", "arrow", "objects", "list", "sparse"])
def test_rows_of_weight_zero_are_not_there(given):
    """They change no bin, level, fold or scale of the target: the model is that of the other rows."""
    table, y, values = mixed()
    out = np.arange(len(y)) % 7 == 0
    weights = np.where(out, 0.0, np.where(y == "high", 2.0, 1.0))
    odd = table.copy()
    odd.loc[out, "number"], odd.loc[out, "colour"] = 1e6, "nowhere"
    make = {
        "pandas": lambda frame: frame,
        "polars": pl.from_pandas,
        "arrow": lambda frame: pl.from_pandas(frame).to_arrow(),
        "objects": lambda frame: frame.to_numpy(),
        "list": lambda frame: frame.to_numpy().tolist(),
        "sparse": lambda frame: scipy.sparse.coo_array(frame[["number", "flag"]].fillna(0).to_numpy(float)),
    }[given]
    how = {"members": 2, "epochs": 4, "random_state": 0}
    changed = np.where(out, 1e6, values)
    one = TabularRegressor(**how).fit(make(odd), changed, weights)
    other = TabularRegressor(**how).fit(make(table[~out]), values[~out], weights[~out])
    same(one.predict(make(table)), other.predict(make(table)))
    assert one.encoder_.to_dict() == other.encoder_.to_dict()
    assert "nowhere" not in str(one.encoder_.to_dict())
    changed = np.where(out, "high", y)
    one = TabularClassifier(**how, class_weight="balanced").fit(make(odd), changed, weights)
    other = TabularClassifier(**how, class_weight="balanced").fit(make(table[~out]), y[~out], weights[~out])
    same(one.predict_proba(make(table)), other.predict_proba(make(table)))


def test_own_validation_set():
    table, y, values = mixed()
    other, y_other, values_other = mixed(100, 1)
    model = TabularClassifier(3, epochs=6, random_state=0, piecewise=True)
    model.fit(table, y, eval_set=(other, y_other))
    T = (y_other == model.classes_[:, None]).astype(np.float32)
    for network, history in zip(model.ensemble_.networks, model.histories_, strict=True):
        loss = network.loss(model.ensemble_.encode(other), T)
        best = int(np.argmin(history.calibrated_loss))
        assert loss == pytest.approx(history.validation_loss[best], rel=1e-5)
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


def uneven(n, seed):
    """Return rows, and targets whose spread is four times as large in some rows as in others."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2.0, 2.0, (n, 3))
    return X, X[:, 0] + (0.2 + 0.5 * abs(X[:, 1])) * rng.normal(size=n)


def test_quantiles_hold_their_part_of_new_targets():
    """Of all rows and of those with a small and with a large spread, from 8 000 rows.

    The quantile q of n targets itself is off by √(q (1 − q) / n) in what it holds: 0.002 for 0.05, and
    0.006 for the median.
    """
    X, y = uneven(8000, 0)
    new, y_new = uneven(10_000, 1)
    large = abs(new[:, 1]) > 1
    found = {}
    for q in (0.05, 0.5, 0.95):
        model = TabularRegressor(quantile=q, random_state=0).fit(X, y)
        found[q] = model.predict(new)
        below = y_new <= found[q]
        assert below.mean() == pytest.approx(q, abs=0.02)
        assert below[large].mean() == pytest.approx(q, abs=0.035)
        assert below[~large].mean() == pytest.approx(q, abs=0.035)
        loss, constant = (
            mean_pinball_loss(y_new, p, alpha=q) for p in (found[q], np.full(10_000, np.quantile(y_new, q)))
        )
        assert model.score(new, y_new) == pytest.approx(1 - loss / constant)
        assert model.score(new, y_new) > 0.3
    assert (found[0.05] < found[0.5]).mean() > 0.999
    assert (found[0.5] < found[0.95]).mean() > 0.999


@pytest.mark.parametrize("q", [0, 1, -0.5, np.nan])
def test_a_quantile_is_above_0_and_below_1(q):
    with pytest.raises(ValueError, match="quantile must be"):
        TabularRegressor(2, quantile=q).fit(np.zeros((4, 1)), np.arange(4))


def test_it_is_saved_in_one_file_and_pickled(tmp_path):
    table, y, values = mixed()
    for model in (
        TabularClassifier(2, epochs=3, random_state=0).fit(table, y),
        TabularRegressor(2, epochs=3, random_state=0).fit(table, values),
    ):
        fn.save(model.ensemble_, tmp_path / "model.safetensors")
        ensemble = fn.load(tmp_path / "model.safetensors")
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
        model.predict(table[["colour", "number", "flag", "time", "amount"]])
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
        ({"piecewise": "yes"}, ValueError, "piecewise must be True, False, 'values' or 'auto', got 'yes'"),
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
