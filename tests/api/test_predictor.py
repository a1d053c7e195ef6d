"""The compiled predictor: the bits of predict_proba for one row and for many, from any memory and thread."""

from __future__ import annotations

import array
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from networks import network

import fastnet as fn
from fastnet._core import engine

SIZES = [(30, 100, 1), (1, 1), (3, 7, 2), (20, 33, 65, 4)]


def rows(n: int, n_in: int, dtype: Any = "float64", seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, 2, (n, n_in)).astype(dtype)


def scaled(net: fn.Network) -> fn.Network:
    rng = np.random.default_rng(8)
    net.preprocessing = fn.Standardize(rng.normal(size=net.sizes[0]), rng.uniform(0.1, 3, net.sizes[0]))
    return net


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("standardised", [False, True])
def test_the_bits_of_predict_proba(
    isa: str, sizes: tuple[int, ...], standardised: bool, dtype: np.dtype[Any]
) -> None:
    net, R = network(sizes, str(dtype)), rows(40, sizes[0], dtype)
    if standardised:
        scaled(net)
    P = net.predict_proba(R.T)
    predictor = net.compile()
    for k, row in enumerate(R):
        assert np.array_equal(predictor(row), P[:, k])
    for n in range(41):
        assert np.array_equal(predictor(R[:n].T), P[:, :n])
    assert np.array_equal(predictor(R.T, n_threads=2), P)


def test_every_activation_for_one_row(dtype: np.dtype[Any]) -> None:
    for name in engine.ACTIVATIONS:
        hidden = "tanh" if name in ("softmax", "exp") else name
        net = fn.Network([fn.Layer(6, 9, hidden), fn.Layer(9, 5, name)], seed=1, dtype=dtype)
        R = rows(20, 6, dtype)
        P, predictor = net.predict_proba(R.T), net.compile()
        assert all(np.array_equal(predictor(row), P[:, k]) for k, row in enumerate(R))


def test_any_memory() -> None:
    net = network((4, 6, 2))
    predictor, R = net.compile(), rows(9, 4)
    P = net.predict_proba(R.T)
    wide = np.zeros((9, 12))
    wide[:, ::3] = R
    unaligned = np.frombuffer(b"x" + R.tobytes(), np.uint8)[1:].view(np.float64).reshape(9, 4)
    reverse = R[:, ::-1].copy()[:, ::-1]
    swapped, readonly = R.astype(">f8"), R.copy()
    readonly.flags.writeable = False
    for X in (wide[:, ::3], unaligned, reverse, np.asfortranarray(R), swapped, readonly, R.astype(object)):
        assert np.array_equal(predictor(X[3]), P[:, 3])
        assert np.array_equal(predictor(X.T), P)
    row = R[5]
    for x in (row.tolist(), tuple(row), array.array("d", row), memoryview(row.copy())):
        assert np.array_equal(predictor(x), P[:, 5])
    assert np.array_equal(predictor([1, 2, 3, 4]), predictor(np.arange(1.0, 5.0)))
    assert np.array_equal(predictor(np.float16([1, 2, 3, 4])), predictor([1, 2, 3, 4]))


def test_out() -> None:
    net = network((4, 6, 2))
    predictor, R = net.compile(), rows(50, 4)
    P = net.predict_proba(R.T)
    out = np.full((50, 4), np.nan)
    assert predictor(R[3], out[0, ::2]).base is out
    assert out[0, ::2].tolist() == P[:, 3].tolist()
    assert np.isnan(out[0, 1::2]).all()
    for n in (1, 5, 50):
        assert predictor(R[:n].T, out[:n, 1:3].T).base is out
        assert np.array_equal(out[:n, 1:3], P[:, :n].T)
    many = np.zeros((4000, 4))
    many[:2600] = rows(2600, 4)
    wanted = net.predict_proba(many[:2600].T.copy())
    assert np.array_equal(predictor(many[:2600].T, many[1100:3700, 1:3].T), wanted)  # reads before it writes
    one = R[7].copy()
    assert np.array_equal(predictor(one, one[1:3]), P[:, 7])
    for bad, error, words in (
        (np.empty(3), ValueError, r"out must have shape \(2,\), got \(3,\)"),
        (np.empty((2, 1)), ValueError, r"out must have shape \(2,\), got \(2, 1\)"),
        (np.empty(2, np.float32), TypeError, "out must have dtype float64, as the network has, got float32"),
        ([0.0, 0.0], TypeError, "out must be a numpy array, got list"),
        (np.broadcast_to(np.zeros(1), 2), ValueError, "out must be writable, got a read-only array"),
    ):
        with pytest.raises(error, match=words):
            predictor(R[0], bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"out must have shape \(2, 50\), got \(2, 49\)"):
        predictor(R.T, np.empty((2, 49)))


def test_bad_rows() -> None:
    predictor = network((4, 6, 2), "float32").compile()
    good = np.zeros(4, np.float32)
    for place, value in ((0, np.nan), (3, np.inf), (2, -np.inf)):
        bad = good.copy()
        bad[place] = value
        with pytest.raises(ValueError, match=rf"x must be finite, got {value} at \[{place}, 0\]"):
            predictor(bad)
        with pytest.raises(ValueError, match=rf"x must be finite, got {value} at \[{place}, 1\]"):
            predictor(np.stack([good, bad, good], axis=1))
    for x, error, words in (
        (
            good[:3],
            ValueError,
            r"x must have shape \(4,\), or \(4, n\) with a column per example, got \(3,\)",
        ),
        (np.zeros((5, 4), np.float32), ValueError, r"got \(5, 4\): use x.T if its rows are the examples"),
        (np.float32(1), ValueError, r"got \(\)"),
        (np.zeros((4, 1, 1), np.float32), ValueError, r"got \(4, 1, 1\)"),
        (np.zeros(4, "S1"), TypeError, "x must hold real numbers, got dtype"),
        (np.zeros(4, complex), ValueError, "x must hold real numbers, got complex"),
        (["a", "b", "c", "d"], TypeError, "x must hold real numbers"),
        (b"abcd", TypeError, "x must hold real numbers"),
        (None, ValueError, "x must hold real numbers"),
        ([1e39, 0.0, 0.0, 0.0], ValueError, r"x must be finite, got inf at \[0, 0\]"),
    ):
        with pytest.raises(error, match=words):
            predictor(x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_threads"):
        predictor(np.zeros((4, 3), np.float32), n_threads=0)


def test_it_is_frozen() -> None:
    net = scaled(network((4, 6, 2)))
    net.classes = ["a", "b"]
    predictor, R = net.compile(), rows(5, 4)
    before = predictor(R.T)
    net.layers[0].W[:] = 7
    net.layers[1].b = np.ones((2, 1))
    net.preprocessing, net.classes = None, None
    assert np.array_equal(predictor(R.T), before)
    assert np.array_equal(pickle.loads(pickle.dumps(predictor))(R.T), before)
    assert predictor.classes == ("a", "b")
    assert (predictor.n_in, predictor.n_out, predictor.dtype, predictor.output) == (
        4,
        2,
        np.float64,
        "multilabel",
    )
    assert repr(predictor) == "Predictor 4 -> 2, float64, multilabel"


def test_weights_must_be_finite() -> None:
    net = network((4, 6, 2))
    net.layers[1].W[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"layers\[1\].W must be finite, got nan at \[1, 2\]"):
        net.compile()


def test_pickles() -> None:
    predictor, R = scaled(network((4, 6, 2), "float32")).compile(), rows(5, 4, "float32")
    again = pickle.loads(pickle.dumps(predictor))
    assert np.array_equal(again(R.T), predictor(R.T))
    assert np.array_equal(again(R[0]), predictor(R[0]))
    assert (again.output, again.n_in) == (predictor.output, 4)


def test_another_build_may_become_active() -> None:
    predictor, R = network((4, 6, 2)).compile(), rows(5, 4)
    for isa in fn.isa.supported():
        with fn.isa.using(isa):
            P = network((4, 6, 2)).predict_proba(R.T)
            assert np.array_equal(predictor(R[1]), P[:, 1])
            assert np.array_equal(predictor(R.T), P)


def test_threads_need_no_lock() -> None:
    net = network((30, 100, 1), "float32")
    predictor, R = net.compile(), rows(200, 30, "float32")
    P = net.predict_proba(R.T)
    wrong: list[int] = []

    def ask(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(300):
            k, n = rng.integers(200), rng.integers(1, 40)
            if predictor(R[k])[0] != P[0, k] or not np.array_equal(predictor(R[:n].T), P[:, :n]):
                wrong.append(seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
