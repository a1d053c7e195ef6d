"""Each bad input raises the right exception, which names the argument, what was expected and what came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnet as fn

X = np.array([[0.5, -1.0, 2.0, 0.0], [1.5, 0.25, -0.5, 1.0]])
T = np.array([[1.0, 0.0, 1.0, 0.0]])
W, b = np.ones((3, 2)), np.zeros((3, 1))


def net(dtype: str = "float64") -> fn.Network:
    return fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)], dtype=dtype)


def changed(array: Any, value: float, at: tuple[int, int] = (0, 1), dtype: Any = float) -> Any:
    array = array.astype(dtype)
    array[at] = value
    return array


class Sparse:
    """What a sparse matrix shows of itself."""

    shape, ndim, nnz = (2, 4), 2, 3

    def toarray(self) -> Any:
        return X


def single(array: Any) -> Any:
    return array.astype(np.float32)


# argument X of every method of Network: what is wrong, exception, words of the message
BAD_X: dict[str, tuple[Any, type[Exception], list[str]]] = {
    "0-d": (1.0, ValueError, ["X must have shape (2, n)", "column per example", "got ()"]),
    "1-d": (X[:, 0], ValueError, ["X must have shape (2, n)", "got (2,)", "X.reshape(-1, 1)"]),
    "3-d": (X[None], ValueError, ["X must have shape (2, n)", "got (1, 2, 4)"]),
    "transposed": (X.T, ValueError, ["X must have shape (2, n)", "got (4, 2)", "use X.T"]),
    "more features": (np.ones((5, 4)), ValueError, ["X must have shape (2, n)", "got (5, 4)"]),
    "ragged": ([[1.0, 2.0], [3.0]], ValueError, ["X must be a rectangular array"]),
    "NaN": (changed(X, np.nan), ValueError, ["X must be finite", "nan", "[0, 1]"]),
    "inf": (changed(X, -np.inf, (1, 3)), ValueError, ["X must be finite", "-inf", "[1, 3]"]),
    "first of many": (np.full((2, 4), np.inf), ValueError, ["X must be finite", "inf at [0, 0]"]),
    "complex": (X.astype(complex), ValueError, ["X must hold real numbers", "complex"]),
    "strings": (X.astype(str), TypeError, ["X must hold real numbers", "<U"]),
    "list of strings": ([["a"], ["b"]], TypeError, ["X must hold real numbers"]),
    "None": (None, ValueError, ["X must hold real numbers", "None"]),
    "objects with None": (
        changed(X, None, (1, 2), object),
        ValueError,
        ["X must hold real", "None at [1, 2]"],
    ),
    "objects with text": (
        changed(X, "1.5", (0, 3), object),
        ValueError,
        ["X must hold real", "'1.5' at [0, 3]"],
    ),
    "objects too large": (changed(X, 10**400, (0, 0), object), ValueError, ["X must hold real", "[0, 0]"]),
    "dates": (np.zeros((2, 4), "M8[s]"), TypeError, ["X must hold real numbers", "datetime64"]),
    "masked": (np.ma.masked_greater(X, 1), ValueError, ["X must have no missing values", "2 of them"]),
    "sparse": (Sparse(), TypeError, ["X must be a dense array", "got Sparse", "X.toarray()"]),
}

USES_OF_X: dict[str, Callable[[fn.Network, Any], Any]] = {
    "forward": lambda network, X: network.forward(X),
    "predict_proba": lambda network, X: network.predict_proba(X),
    "loss": lambda network, X: network.loss(X, T),
    "gradients": lambda network, X: network.gradients(X, T),
    "fit": lambda network, X: network.fit(X, T, batch_size=2),
}

# argument T where X has four examples and the network one output
BAD_T: dict[str, tuple[Any, type[Exception], list[str]]] = {
    "1-d": (T[0, :3], ValueError, ["T must have shape (1, 4)", "got (3,)"]),
    "a column": (T.T, ValueError, ["T must have shape (1, 4)", "got (4, 1)"]),
    "a number": (1.0, ValueError, ["T must have shape (1, 4)", "got ()"]),
    "one target for all": (
        T[:, :1],
        ValueError,
        ["T must have a column for each of the 4 examples", "got shape (1, 1)"],
    ),
    "fewer": (T[:, :3], ValueError, ["T must have a column for each of the 4 examples", "got shape (1, 3)"]),
    "more outputs": (np.zeros((2, 4)), ValueError, ["T must have shape (1, 4)", "got (2, 4)"]),
    "above 1": (changed(T, 1.5), ValueError, ["T must hold targets in [0, 1]", "from 0 to 1.5"]),
    "below 0": (changed(T, -0.25), ValueError, ["T must hold targets in [0, 1]", "from -0.25 to 1"]),
    "NaN": (changed(T, np.nan), ValueError, ["T must be finite", "nan at [0, 1]"]),
    "inf": (changed(T, np.inf), ValueError, ["T must be finite", "inf at [0, 1]"]),
    "labels": (
        np.array([["yes", "no", "maybe", "no"]]),
        ValueError,
        ["T must hold 2 different labels", "got 3"],
    ),
    "None": (None, ValueError, ["T must hold real numbers"]),
}

USES_OF_T: dict[str, Callable[[fn.Network, Any], Any]] = {
    "loss": lambda network, T: network.loss(X, T),
    "gradients": lambda network, T: network.gradients(X, T),
    "fit": lambda network, T: network.fit(X, T, batch_size=2),
}

# the other arguments of fit
BAD_FIT: list[tuple[str, Any, type[Exception], str]] = [
    ("epochs", 0, ValueError, "epochs must be at least 1, got 0"),
    ("epochs", 2.0, TypeError, "epochs must be an int, got 2.0"),
    ("batch_size", 0, ValueError, "batch_size must be at least 1, got 0"),
    ("batch_size", -3, ValueError, "batch_size must be at least 1, got -3"),
    ("batch_size", True, TypeError, "batch_size must be an int, got True"),
    ("batch_size", np.True_, TypeError, "batch_size must be an int, got np.True_"),
    ("batch_size", "all", TypeError, "batch_size must be an int, got 'all'"),
    ("learning_rate", 0, ValueError, "learning_rate must be finite and greater than 0, got 0"),
    ("learning_rate", -0.1, ValueError, "learning_rate must be finite and greater than 0, got -0.1"),
    ("learning_rate", np.nan, ValueError, "learning_rate must be finite and greater than 0, got nan"),
    ("learning_rate", np.inf, ValueError, "learning_rate must be finite and greater than 0, got inf"),
    ("learning_rate", "0.1", TypeError, "learning_rate must be a number, got '0.1'"),
    ("learning_rate", True, TypeError, "learning_rate must be a number, got True"),
    ("shuffle", 1, TypeError, "shuffle must be True or False, got 1"),
    ("progress", "yes", TypeError, "progress must be True or False, got 'yes'"),
    ("seed", -1, ValueError, "seed must be at least 0 and below 18446744073709551616, got -1"),
    ("seed", 2**64, ValueError, "seed must be at least 0 and below"),
    ("seed", None, TypeError, "seed must be an int, got None"),
]

# everything else: a call, the exception, the words
BAD_CALLS: dict[str, tuple[Callable[[], Any], type[Exception], list[str]]] = {
    "no examples in loss": (
        lambda: net().loss(X[:, :0], T[:, :0]),
        ValueError,
        ["X", "at least one example", "(2, 0)"],
    ),
    "no examples in gradients": (
        lambda: net().gradients(X[:, :0], T[:, :0]),
        ValueError,
        ["X", "at least one example"],
    ),
    "no examples in fit": (lambda: net().fit(X[:, :0], T[:, :0]), ValueError, ["X", "at least one example"]),
    "overflow in the cast": (
        lambda: net("float32").forward([[1e39], [0]]),
        ValueError,
        ["X", "inf at [0, 0]"],
    ),
    "n_in 0": (lambda: fn.Layer(0, 2), ValueError, ["n_in must be at least 1, got 0"]),
    "n_out negative": (lambda: fn.Layer(2, -1), ValueError, ["n_out must be at least 1, got -1"]),
    "n_in float": (lambda: fn.Layer(2.0, 1), TypeError, ["n_in must be an int, got 2.0"]),  # type: ignore[arg-type]
    "n_out bool": (lambda: fn.Layer(2, True), TypeError, ["n_out must be an int, got True"]),
    "activation unknown": (
        lambda: fn.Layer(2, 1, "relu6"),
        ValueError,
        ["activation", "'sigmoid'", "'relu6'"],
    ),
    "activation no name": (lambda: fn.Layer(2, 1, len), TypeError, ["activation", "'sigmoid'"]),  # type: ignore[arg-type]
    "layer dtype": (
        lambda: fn.Layer(2, 1, dtype="float16"),
        TypeError,
        ["dtype must be float32 or float64", "float16"],
    ),
    "layer seed": (lambda: fn.Layer(2, 1, seed=1.5), TypeError, ["seed must be an int"]),  # type: ignore[arg-type]
    "W and seed": (lambda: fn.Layer(2, 3, W=W, seed=1), ValueError, ["W and seed"]),
    "b alone": (lambda: fn.Layer(2, 3, b=b), ValueError, ["b was given without W"]),
    "W transposed": (lambda: fn.Layer(2, 3, W=W.T), ValueError, ["W must have shape (3, 2), got (2, 3)"]),
    "b a row": (lambda: fn.Layer(2, 3, W=W, b=b.T), ValueError, ["b must have shape (3, 1), got (1, 3)"]),
    "b flat": (
        lambda: fn.Layer(2, 3, W=W, b=b[:, 0]),
        ValueError,
        ["b must have shape (3, 1)", "b.reshape(3, 1)"],
    ),
    "b float32": (
        lambda: fn.Layer(2, 3, W=W, b=single(b)),
        TypeError,
        ["b must have dtype float64", "got float32"],
    ),
    "W NaN": (lambda: fn.Layer(2, 3, W=W * np.nan), ValueError, ["W must be finite", "nan at [0, 0]"]),
    "W of huge size": (lambda: fn.Layer(2**40, 2**40), MemoryError, ["bytes"]),
    "layer input": (
        lambda: fn.Layer(2, 3).forward(W),
        ValueError,
        ["A must have shape (2, n)", "got (3, 2)", "A.T"],
    ),
    "layer input dtype": (
        lambda: fn.Layer(2, 3).forward(single(X)),
        TypeError,
        ["A", "A.astype(np.float64)"],
    ),
    "backward first": (lambda: fn.Layer(2, 3).backward(X), RuntimeError, ["forward(A) first"]),
    "no layers": (lambda: fn.Network([]), ValueError, ["layers must hold at least one Layer"]),
    "one layer, no list": (
        lambda: fn.Network(fn.Layer(2, 1)),
        TypeError,
        ["layers must be a list of Layer, got Layer"],
    ),  # type: ignore[arg-type]
    "no layer": (lambda: fn.Network([fn.Layer(2, 1), 3]), TypeError, ["layers[1] must be a Layer, got int"]),  # type: ignore[list-item]
    "a layer twice": (lambda: fn.Network([fn.Layer(2, 2)] * 2), ValueError, ["layers[1]", "appears before"]),
    "no chain": (
        lambda: fn.Network([fn.Layer(2, 3), fn.Layer(4, 1)]),
        ValueError,
        ["layers must chain: layers[1].n_in must be 3, layers[0].n_out, got 4"],
    ),
    "network dtype": (
        lambda: fn.Network([fn.Layer(2, 1)], dtype=int),
        TypeError,
        ["dtype must be float32 or float64"],
    ),
    "network dtype None": (
        lambda: fn.Network([fn.Layer(2, 1)], dtype=None),
        TypeError,
        ["dtype must be", "None"],
    ),
    "network seed": (lambda: fn.Network([fn.Layer(2, 1)], seed=-1), ValueError, ["seed must be at least 0"]),
    "dense_forward W": (
        lambda: fn.dense_forward(W[0], b, X),
        ValueError,
        ["W must have shape (n_out, n_in)", "(2,)"],
    ),
    "dense_forward W empty": (
        lambda: fn.dense_forward(W[:, :0], b, X),
        ValueError,
        ["W must have shape", "(3, 0)"],
    ),
    "dense_forward b": (
        lambda: fn.dense_forward(W, b[:2], X),
        ValueError,
        ["b must have shape (3, 1), got (2, 1)"],
    ),
    "dense_forward A": (
        lambda: fn.dense_forward(W, b, T),
        ValueError,
        ["A must have shape (2, n)", "got (1, 4)"],
    ),
    "dense_forward dtype": (
        lambda: fn.dense_forward(W, b, single(X)),
        TypeError,
        ["A must have dtype float64, as W has, got float32", "A.astype(np.float64)"],
    ),
    "dense_forward activation": (
        lambda: fn.dense_forward(W, b, X, "tan"),
        ValueError,
        ["activation", "'tan'"],
    ),
    "dense_backward dZ": (
        lambda: fn.dense_backward(W, X, T),
        ValueError,
        ["dZ must have shape (3, 4), got (1, 4)"],
    ),
    "exp of text": (lambda: fn.exp("a"), TypeError, ["Z must hold real numbers"]),
    "sigmoid of complex": (lambda: fn.sigmoid(1j), ValueError, ["Z must hold real numbers", "complex"]),  # type: ignore[arg-type]
    "bce_loss shapes": (
        lambda: fn.bce_loss(T, T[:, :1]),
        ValueError,
        ["T must have shape (1, 4), got (1, 1)"],
    ),
    "bce_loss 1-d": (lambda: fn.bce_loss(T[0], T[0]), ValueError, ["Z must have shape (n_out, n)", "(4,)"]),
    "bce_loss empty": (lambda: fn.bce_loss(T[:, :0], T[:, :0]), ValueError, ["Z", "at least one example"]),
    "bce_loss dtype": (lambda: fn.bce_loss(T, single(T)), TypeError, ["T must have dtype float64, as Z has"]),
    "bce_loss targets": (
        lambda: fn.bce_loss(T, 2 * T),
        ValueError,
        ["T must hold targets in [0, 1]", "from 0 to 2"],
    ),
    "bce_loss outputs": (
        lambda: fn.bce_loss(T - 1, T, from_logits=False),
        ValueError,
        ["Z must hold outputs in [0, 1]", "from -1 to 0"],
    ),
    "bce_loss NaN": (lambda: fn.bce_loss(T * np.nan, T), ValueError, ["Z must be finite", "nan at [0, 0]"]),
    "bce_backward flag": (
        lambda: fn.bce_backward(T, T, from_logits="no"),  # type: ignore[arg-type]
        TypeError,
        ["from_logits must be True or False, got 'no'"],
    ),
    "bce_backward targets": (lambda: fn.bce_backward(T, -T), ValueError, ["T must hold targets in [0, 1]"]),
}


def state(network: fn.Network) -> list[bytes]:
    return [array.tobytes() for layer in network.layers for array in (layer.W, layer.b)]


def check(
    call: Callable[[], Any], exception: type[Exception], words: list[str], network: fn.Network | None = None
) -> None:
    before = None if network is None else state(network)
    with pytest.raises(exception) as caught:
        call()
    assert type(caught.value) is exception
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
    if network is not None:
        assert state(network) == before
        network.fit(X, T, epochs=1, batch_size=4)  # an error leaves it usable
        assert state(network) != before


@pytest.mark.parametrize("use", USES_OF_X)
@pytest.mark.parametrize("wrong", BAD_X)
def test_bad_x(wrong: str, use: str) -> None:
    value, exception, words = BAD_X[wrong]
    network = net()
    check(lambda: USES_OF_X[use](network, value), exception, words, network)


@pytest.mark.parametrize("use", USES_OF_T)
@pytest.mark.parametrize("wrong", BAD_T)
def test_bad_targets(wrong: str, use: str) -> None:
    value, exception, words = BAD_T[wrong]
    network = net()
    check(lambda: USES_OF_T[use](network, value), exception, words, network)


@pytest.mark.parametrize(("argument", "value", "exception", "message"), BAD_FIT)
def test_bad_arguments_of_fit(argument: str, value: Any, exception: type[Exception], message: str) -> None:
    network = net()
    arguments: dict[str, Any] = {"epochs": 1, "batch_size": 4} | {argument: value}
    check(lambda: network.fit(X, T, **arguments), exception, [message], network)


@pytest.mark.parametrize("call", BAD_CALLS)
def test_bad_calls(call: str) -> None:
    check(*BAD_CALLS[call])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("at", [(0, 0), (1, 65_535), (1, 65_536), (0, 199_999)])
def test_the_first_bad_value_of_much_data_is_found(order: str, at: tuple[int, int]) -> None:
    many = np.zeros((2, 200_000), order=order)  # type: ignore[call-overload]
    many[at] = np.nan
    many[1, 199_999] = np.inf
    row, column = at
    check(lambda: net().forward(many), ValueError, [f"X must be finite, got nan at [{row}, {column}]"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_divergence_names_epoch_and_rate_and_leaves_the_weights(dtype: str) -> None:
    rate = float(np.finfo(dtype).max) / 8  # one step is finite, the next batch's products are not
    network = fn.Network([fn.Layer(2, 3, "identity"), fn.Layer(3, 1)], dtype=dtype)
    examples = X.astype(dtype), T.astype(dtype)
    before = state(network)
    with pytest.raises(fn.DivergenceError) as caught:
        network.fit(*examples, epochs=7, batch_size=2, learning_rate=rate)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).startswith(f"fit diverged in epoch 1 of 7 with learning_rate={rate:g}: ")
    assert "weights of before this fit" in str(caught.value)
    assert state(network) == before
    network.fit(*examples, epochs=1, batch_size=2)
    assert state(network) != before


def test_weights_set_to_nan_are_named() -> None:
    uses: list[Callable[[fn.Network], Any]] = [
        lambda network: network.forward(X),
        lambda network: network.predict_proba(X),
        lambda network: network.loss(X, T),
        lambda network: network.gradients(X, T),
        lambda network: network.fit(X, T, batch_size=2),
    ]
    for use in uses:
        network = net()
        network.layers[1].W[0, 2] = np.nan
        with pytest.raises(ValueError, match=r"layers\[1\]\.W must be finite, got nan at \[0, 2\]"):
            use(network)


def test_the_functions_and_layers_let_nan_and_infinities_pass() -> None:
    strange = np.array([[np.nan, np.inf, -np.inf]])
    assert np.array_equal(fn.exp(strange), [[np.nan, np.inf, 0]], equal_nan=True)
    assert np.array_equal(fn.sigmoid(strange), [[np.nan, 1, 0]], equal_nan=True)
    assert np.array_equal(fn.dense_forward([[1.0]], [[0.0]], strange), strange, equal_nan=True)
    assert np.array_equal(fn.Layer(1, 1, W=[[1.0]]).forward(strange), [[np.nan, 1, 0]], equal_nan=True)
    assert np.isnan(fn.dense_backward([[1.0]], strange, strange)[1]).all()
