"""Weights that are not finite are refused by whatever predicts, also where no output shows them."""

import io
import sys
import warnings

import numpy as np
import pytest
import stand_in_torch

import fastnet as fn
from fastnet import c_export, ensemble

ROWS = [1, 2, 16, 17, 300]  # one example, a small batch, several strips
PLACES = [
    (0, "W", (1, 2)),
    (0, "b", (3, 0)),
    (1, "W", (0, 4)),
    (1, "b", (1, 0)),
    (2, "W", (0, 0)),
    (2, "b", (0, 0)),
]


def broken(k: int, name: str, where: tuple[int, int], value: float, dtype: str, hidden: str) -> fn.Network:
    """Return a network whose weight number `where` of layer k was changed in place."""
    sizes, names = (5, 6, 2, 1), (hidden, hidden, "sigmoid")
    layers = [fn.Layer(sizes[i], sizes[i + 1], names[i], dtype=dtype) for i in range(3)]
    net = fn.Network(layers, seed=1, dtype=dtype)
    getattr(net.layers[k], name)[where] = value
    return net


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("hidden", ["relu", "sigmoid"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_predictions_name_the_weight(
    place: tuple[int, str, tuple[int, int]], value: float, hidden: str, dtype: str
) -> None:
    k, name, (row, column) = place
    net = broken(k, name, (row, column), value, dtype, hidden)
    message = rf"layers\[{k}\]\.{name} must be finite, got {value} at \[{row}, {column}\]"
    for n in ROWS:
        for X in (np.zeros((5, n), dtype), np.ones((n, 5), dtype).T):  # 0 times infinity is NaN
            for predict in (net.forward, net.predict_proba, fn.Trainer(net).predict_proba):
                with pytest.raises(ValueError, match=message):
                    predict(X)
            with pytest.raises(ValueError, match=message):
                net.loss(X, np.ones((1, n), dtype))
            with pytest.raises(ValueError, match=message):
                net.gradients(X, np.ones((1, n), dtype))
    for use in (fn.Network.compile, c_export.source, lambda net: fn.save(net, io.BytesIO())):
        with pytest.raises(ValueError, match=message):
            use(net)
    with pytest.raises(ValueError, match=rf"{name} must be finite, got {value} at \[{row}, {column}\]"):
        net.layers[k].forward(np.ones((net.sizes[k], 3), dtype))


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("n", ROWS)
def test_a_sum_that_overflows_is_no_reason_to_refuse(n: int, dtype: str) -> None:
    """Only the weights count: Z may overflow, and a sigmoid of it is 1."""
    huge = np.finfo(dtype).max
    net = fn.Network([fn.Layer(2, 1, W=np.full((1, 2), huge, dtype), b=np.zeros((1, 1), dtype))], dtype=dtype)
    X = np.full((2, n), 2, dtype)
    for predict in (net.forward, net.predict_proba, net.compile()):
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(predict(X), np.ones((1, n)))
    scaled = fn.Standardize(np.zeros(2, dtype), np.full(2, 1e-30, dtype))
    net.preprocessing = scaled
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(net.predict_proba(X), np.ones((1, n)))


def softmax_of_two(value: float, dtype: str) -> fn.Network:
    W = np.array([[value, 1.0], [-value, -1.0]], dtype)
    return fn.Network([fn.Layer(2, 2, "softmax", W=W, b=np.zeros((2, 1), dtype))], dtype=dtype)


def test_other_libraries_get_no_infinities(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = softmax_of_two(0.5, dtype)
    net.layers[0].W[0, 1] = np.inf
    monkeypatch.setitem(sys.modules, "torch", stand_in_torch)
    with pytest.raises(ValueError, match=r"layers\[0\].W must be finite, got inf at \[0, 1\]"):
        fn.to_torch(net)
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match=r"layers\[0\].W must be finite, got inf at \[0, 1\]"):
        fn.to_sklearn(net)
    net = softmax_of_two(float(np.finfo(dtype).max), dtype)  # scikit-learn gets the difference of the rows
    with pytest.raises(ValueError, match=r"layers\[0\].W must be finite, got -inf"):
        fn.to_sklearn(net)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_the_estimators_go_on_as_scikit_learn(value: float) -> None:
    pytest.importorskip("sklearn")
    from fastnet.sklearn import MLPRegressor

    X = np.arange(12.0).reshape(6, 2)
    ours = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ours.fit(X, X[:, 0]).to_sklearn()
        for estimator in (ours, theirs):
            estimator.coefs_[0][1, 0] = value
        for x in (X, X[:1], -X):
            np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))


def test_what_overflows_in_between_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="scale must be finite, got inf"):
            fn.Standardize.of([[1e308, -1e308]])
        targets = ensemble.Targets(*(np.array([v]) for v in (0.0, 1e308, -1e300, 1e300)))
        np.testing.assert_array_equal(targets.of(np.array([[-3.0, 3.0]])), [[-1e300, 1e300]])


@pytest.mark.parametrize("name", ["learning_rate", "clip_norm"])
def test_a_number_that_is_0_in_float32_is_refused(name: str) -> None:
    made = {dtype: fn.Network([fn.Layer(2, 1)], dtype=dtype) for dtype in ("float32", "float64")}
    with pytest.raises(ValueError, match=f"{name} must be a number that float32 tells from 0, got 1e-50"):
        made["float32"].fit(np.ones((2, 3), "float32"), [[0, 1, 0]], epochs=1, **{name: 1e-50})
    made["float64"].fit(np.ones((2, 3)), [[0, 1, 0]], epochs=1, **{name: 1e-50})
