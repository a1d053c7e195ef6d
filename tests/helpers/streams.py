"""What the tests of streams share: networks, and fits of which the bits are compared."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import fastnet as fn

N, WIDTH = 5000, 6
SMALL = "60kB"  # some windows, whatever the dtype


def network(dtype: str = "float32", n_out: int = 1, last: str = "sigmoid", **options: Any) -> fn.Network:
    hidden = fn.Layer(WIDTH, 8, "tanh", **options)
    return fn.Network([hidden, fn.Layer(8, n_out, last)], dtype=dtype, seed=1)


def weights(net: fn.Network) -> list[bytes]:
    return [array.tobytes() for layer in net.layers for array in (layer.W, layer.b)]


def same_fits(one: tuple[Any, ...], other: tuple[Any, ...], **options: Any) -> None:
    """Two networks trained on these data have the same weights and losses."""
    made = {"dtype": options.pop("dtype", "float32"), "n_out": options.pop("n_out", 1)}
    made |= {"last": options.pop("last", "sigmoid"), "dropout": options.pop("dropout", 0.0)}
    options = {"epochs": 3, "optimizer": "adam", "batch_size": 64, **options}
    nets = network(**made), network(**made)
    histories = [net.fit(*data, **options) for net, data in zip(nets, (one, other), strict=True)]
    assert histories[0].loss == histories[1].loss
    assert weights(nets[0]) == weights(nets[1])


def blocks(X: Any, T: Any, size: int) -> Iterator[Any]:
    for start in range(0, len(X), size):
        yield X[start : start + size], T[start : start + size]


def check_nothing_is_lost(net: fn.Network, before: list[bytes]) -> None:
    assert weights(net) == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fastnet-stream")]
