"""Weights that are not finite are refused by whatever predicts, also where no output shows them."""

import numpy as np
import pytest

import fastnet as fn

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
            for predict in (net.forward, net.predict_proba):
                with pytest.raises(ValueError, match=message):
                    predict(X)
            with pytest.raises(ValueError, match=message):
                net.loss(X, np.ones((1, n), dtype))
            with pytest.raises(ValueError, match=message):
                net.gradients(X, np.ones((1, n), dtype))
    with pytest.raises(ValueError, match=message):
        net.compile()
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
