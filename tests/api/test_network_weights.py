"""Predictions see the weights as they are now, though memory that they are laid out in is kept."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet import reference, threads
from fastnet._core import engine

ROWS = [1, 5, 40, 1100]  # a few are predicted otherwise than blocks are


def network(sizes: tuple[int, ...], dtype: Any, seed: int = 0, hidden: str = "tanh") -> fn.Network:
    return fn.Network([fn.Layer(*pair, hidden) for pair in pairwise(sizes)], seed=seed, dtype=dtype)


def fresh(net: fn.Network, X: Any) -> bytes:
    """Return what a network that has never been called predicts with these weights."""
    layers = [
        fn.Layer(layer.n_in, layer.n_out, layer.activation, W=layer.W, b=layer.b) for layer in net.layers
    ]
    twin = fn.Network(layers, dtype=net.dtype)
    twin.preprocessing = net.preprocessing
    return twin.compile()(X).tobytes()


@pytest.mark.parametrize("rows", ROWS)
def test_weights_changed_in_any_way(isa: str, dtype: Any, rows: int, rng: Any) -> None:
    net = network((7, 20, 3), dtype)
    X = rng.normal(size=(7, rows)).astype(dtype)
    seen = {net.predict_proba(X).tobytes()}

    def changed() -> None:
        P = net.predict_proba(X).tobytes()
        assert P == fresh(net, X) == net.forward(X).tobytes()
        assert P not in seen
        seen.add(P)

    net.layers[0].W[3, 4] += 1
    changed()
    net.layers[1].b *= 2
    net.layers[1].b[0] += 1
    changed()
    net.layers[1].W = rng.normal(size=(3, 20)).astype(dtype)
    changed()
    net.layers[0].W[:] = rng.normal(size=(7, 20)).astype(dtype).T
    changed()
    net.layers[0].activation = "relu"
    changed()
    net.preprocessing = fn.Standardize(rng.normal(size=7), rng.random(7) + 0.5)
    assert net.predict_proba(X).tobytes() == fresh(net, X)
    net.preprocessing.mean[2] += 1
    assert net.predict_proba(X).tobytes() == fresh(net, X)
    net.preprocessing = fn.Standardize(rng.normal(size=7), rng.random(7) + 0.5)
    assert net.predict_proba(X).tobytes() == fresh(net, X)
    net.preprocessing = None
    changed_back = net.predict_proba(X).tobytes()
    assert changed_back == fresh(net, X)
    net.fit(X, np.zeros((3, rows), dtype), epochs=1, batch_size=rows, optimizer="sgd")
    changed()


@pytest.mark.parametrize("rows", ROWS)
def test_networks_of_one_shape_do_not_mix(isa: str, dtype: Any, rows: int, rng: Any) -> None:
    """Also where the shapes differ only in what follows the first numbers, or in the activation."""
    nets = [network((6, 9, 2), dtype, seed) for seed in range(2)]
    nets += [network((6, 9, 2), dtype, 0, "relu"), network((6, 9, 3), dtype), network((6, 8, 2), dtype)]
    nets += [network((6, 9, 2), other) for other in (np.float32, np.float64)]
    Xs = [rng.normal(size=(6, rows)).astype(net.dtype) for net in nets]
    expected = [net.compile()(X).tobytes() for net, X in zip(nets, Xs, strict=True)]
    for _ in range(3):
        got = [net.predict_proba(X).tobytes() for net, X in zip(nets, Xs, strict=True)]
        assert got == expected


def test_another_number_of_threads_or_examples(dtype: Any, monkeypatch: pytest.MonkeyPatch, rng: Any) -> None:
    monkeypatch.setattr(threads, "FLOPS_WORTH_A_THREAD", 1.0)
    net = network((30, 40, 2), dtype)
    X = rng.normal(size=(30, 3000)).astype(dtype)
    expected = net.compile()(X)
    for n_threads, rows in [(1, 20), (2, 3000), (1, 3000), (3, 700), (2, 17), (1, 1)]:
        assert np.array_equal(net.predict_proba(X[:, :rows], n_threads=n_threads), expected[:, :rows])


@pytest.mark.parametrize("name", ["W", "b"])
def test_an_array_whose_memory_has_moved(name: str, rng: Any) -> None:
    """What was handed to the core for the last prediction is not read again."""
    net = network((6, 9, 2), "float64")
    X = rng.normal(size=(6, 1))
    net.predict_proba(X)
    array = getattr(net.layers[1], name)
    array.resize(1000 * len(array), array.shape[1], refcheck=False)
    with pytest.raises(ValueError, match="b of layer 1 must be"):
        net.predict_proba(X)


def test_what_is_kept_for_the_next_prediction_is_not_in_a_copy(rng: Any) -> None:
    net = network((6, 9, 2), "float64")
    before = len(pickle.dumps(net))
    X = rng.normal(size=(6, 1))
    net.predict_proba(X)
    assert len(pickle.dumps(net)) == before
    twin = copy.deepcopy(net)
    twin.layers[0].W += 1
    assert twin.predict_proba(X).tobytes() == fresh(twin, X) != net.predict_proba(X).tobytes()


def test_layers_of_two_networks(rng: Any) -> None:
    first = network((6, 9, 2), "float64")
    second = fn.Network(first.layers)
    X = rng.normal(size=(6, 1))
    for net in (first, second, first):
        before = first.predict_proba(X)
        net.fit(X, np.zeros((2, 1)), epochs=1)
        assert first.predict_proba(X).tobytes() == second.predict_proba(X).tobytes() == fresh(net, X)
        assert (first.predict_proba(X) != before).any()


def test_a_network_too_large_to_keep(rng: Any) -> None:
    net = network((600, 1100, 700, 1), "float64")
    X = rng.normal(size=(600, 40))
    for _ in range(2):
        assert net.predict_proba(X).tobytes() == fresh(net, X)
        net.layers[1].W[0] += 1


def test_a_network_of_many_layers(rng: Any) -> None:
    net = network((3,) * 40, "float64")
    X = rng.normal(size=(3, 40))
    for _ in range(2):
        assert net.predict_proba(X).tobytes() == fresh(net, X)
        net.layers[-1].W[0] += 1


def test_the_active_build_may_change(rng: Any) -> None:
    net = network((6, 9, 2), "float32")
    X = rng.normal(size=(6, 40)).astype("float32")
    for isa in (*fn.isa.supported(), *fn.isa.supported()):
        with fn.isa.using(isa):
            assert net.predict_proba(X).tobytes() == fresh(net, X)


def test_callers_do_not_share_an_arena(rng: Any) -> None:
    """Networks of one shape, each in a thread of its own, so that calls overlap."""
    nets = [network((50, 200, 1), "float64", seed) for seed in range(4)]
    X = rng.normal(size=(50, 400))
    expected = [net.compile()(X).tobytes() for net in nets]
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(50):
            if nets[k].predict_proba(X).tobytes() != expected[k]:
                wrong.append(k)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        callers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(timeout=120)
    finally:
        sys.setswitchinterval(before)
    assert not any(caller.is_alive() for caller in callers)
    assert not wrong


def test_the_reference_agrees_after_a_change(rng: Any) -> None:
    net = network((5, 8, 1), "float64")
    X = rng.normal(size=(5, 30))
    net.predict_proba(X)
    net.layers[0].W[2] = 0.25
    layers = [reference.Layer(k.n_in, k.n_out, k.activation, W=k.W, b=k.b) for k in net.layers]
    expected = reference.Network(layers).predict_proba(X)
    bound = 8 * np.finfo(float).eps * (5 + 8)  # roundings of the chains and of tanh, of values below 1
    assert abs(net.predict_proba(X) - expected).max() <= bound


def test_wrong_shapes_are_refused_before_memory_is_touched() -> None:
    good, bias = np.ones((3, 2)), np.zeros((3, 1))
    X = np.ones((2, 20))
    with pytest.raises(ValueError, match="W of layer 0 must be a matrix"):
        engine.forward([np.ones(6)], [bias], ["tanh"], X)
    with pytest.raises(ValueError, match="b of layer 0 must be 3 numbers"):
        engine.forward([good], [np.zeros((2, 1))], ["tanh"], X)
    with pytest.raises(TypeError, match="W of layer 1 must be an array of 8-byte floats"):
        engine.forward([good, np.ones((1, 3), "f4")], [bias, np.zeros((1, 1))], ["tanh"] * 2, X)
