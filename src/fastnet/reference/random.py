"""Random numbers, fixed for ever: SplitMix64 (Steele, Lea, Flood 2014) as a counter.

A seed and a stream make a key, and draw i of a key is a function of the two: nothing depends on what was
drawn before, by whom, or on which thread. Streams of a seed:

    epoch      the shuffle of that epoch, from 0
    2⁶² + k    dropout of layer k (from 0): itself the seed of a stream for each batch
    2⁶³ + k    the initial weights of layer k
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnet.reference.functions import Array
from fastnet.reference.normal import deviates

__all__ = ["INITS", "draws", "dropout_mask", "initial_weights", "key_of", "permutation", "uniform"]

GOLDEN = 0x9E3779B97F4A7C15
WORD = 2**64
DROPOUT = 2**62
WEIGHTS = 2**63
INITS = ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal")


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the bits of each z well mixed; arithmetic is modulo 2^64, as that of uint64 arrays is."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def key_of(seed: int, stream: int) -> int:
    """Return the key of a stream: mix(mix(seed + G) + (stream + 1) G), G the golden ratio times 2⁶⁴.

    >>> from fastnet.reference.random import key_of
    >>> hex(key_of(0, 0))
    '0xa706dd2f4d197e6f'
    """
    if not 0 <= seed < WORD:
        raise ValueError(f"seed must be at least 0 and below 2**64, got {seed}")
    key = _mix(np.array([(seed + GOLDEN) % WORD], dtype=np.uint64))
    return int(_mix(key + np.uint64((stream + 1) * GOLDEN % WORD))[0])


def draws(key: int, index: ArrayLike) -> NDArray[np.uint64]:
    """Return the draws of a key with these numbers, from 0: mix(key + (i + 1) G) for draw i.

    >>> from fastnet.reference.random import draws, key_of
    >>> draws(key_of(0, 0), [[0, 1], [1, 0]]).shape
    (2, 2)
    """
    counter = np.asarray(index, dtype=np.uint64) + np.uint64(1)
    return _mix(np.uint64(key) + counter * np.uint64(GOLDEN))


def uniform(seed: int, stream: int, count: int) -> NDArray[np.float64]:
    """Return `count` numbers in [0, 1): the upper 53 bits of each draw of the stream, times 2^-53.

    >>> uniform(0, 0, 2).shape
    (2,)
    """
    words = draws(key_of(seed, stream), np.arange(count, dtype=np.uint64))
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(n: int, seed: int, epoch: int) -> NDArray[np.intp]:
    """Return the order in which epoch number `epoch` (from 0) of a fit with this seed visits its n examples.

    Fisher-Yates from the top with the draws of stream `epoch`; the partner of place i, one of 0, ..., i, is
    drawn from 32 bits without bias by Lemire's multiplication and rejection (2019). n < 2^32.

    >>> sorted(permutation(5, seed=0, epoch=3).tolist())
    [0, 1, 2, 3, 4]
    """
    if not 0 <= n < 2**32:
        raise ValueError(f"n must be at least 0 and below 2**32, got {n}")
    order = list(range(n))
    words = _one_by_one(key_of(seed, epoch))
    for choices in range(n, 1, -1):
        product = (next(words) >> 32) * choices
        while product % 2**32 < (2**32 - choices) % choices:  # the surplus of 2^32 over a multiple
            product = (next(words) >> 32) * choices
        i, j = choices - 1, product >> 32
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.intp)


def _one_by_one(key: int) -> Iterator[int]:
    """Return the draws of a key one after the other, without end."""
    blocks = (draws(key, np.arange(first, first + 1024)).tolist() for first in itertools.count(0, 1024))
    return itertools.chain.from_iterable(blocks)


def initial_weights(
    n_in: int,
    n_out: int,
    activation: str,
    seed: int,
    index: int,
    dtype: DTypeLike,
    init: str = "glorot_uniform",
) -> tuple[Array, Array]:
    """Return W (n_out, n_in) and b (n_out, 1) of layer number `index` of a network, before any training.

    ==============  ====================================================================================
    glorot_uniform  uniform on (−B, B), B = √(2 / (n_in + n_out)) for the sigmoid and √(6 / (n_in + n_out))
                    otherwise, b as well (Glorot and Bengio 2010; the 2, and b, are scikit-learn's)
    glorot_normal   normal of variance 2 / (n_in + n_out), b = 0
    he_uniform      uniform on (−B, B), B = √(6 / n_in), b = 0 (He et al. 2015)
    he_normal       normal of variance 2 / n_in, b = 0
    ==============  ====================================================================================

    First W in C order, then b; drawn in float64, then cast. The normal ones are the deviates of the uniform
    ones: the core's own function for those agrees to some units in the last place of float64.

    >>> W, b = initial_weights(2, 3, "sigmoid", seed=0, index=0, dtype="float32")
    >>> W.shape, b.shape, W.dtype.name
    ((3, 2), (3, 1), 'float32')
    """
    if init not in INITS:
        raise ValueError(f"init must be one of {', '.join(INITS)}, got {init!r}")
    u = uniform(seed, WEIGHTS + index, n_out * n_in + n_out)
    fans = n_in + n_out if init.startswith("glorot") else n_in
    if init.endswith("normal"):
        values = deviates(u) * math.sqrt(2 / fans)
    else:
        factor = 2 if init == "glorot_uniform" and activation in ("sigmoid", "logistic") else 6
        values = (2 * u - 1) * math.sqrt(factor / fans)
    if init != "glorot_uniform":
        values[n_out * n_in :] = 0
    W, b = np.split(values.astype(dtype), [n_out * n_in])
    return W.reshape(n_out, n_in), b.reshape(n_out, 1)


def dropout_mask(
    rows: int, n: int, dropout: float, *, batch_size: int, seed: int, layer: int, step: int
) -> NDArray[np.float64]:
    """Return what the outputs (rows, n) of layer number `layer` are multiplied by in batch number `step`.

    Each is dropped with the probability q / 2¹⁶, q = ⌊2¹⁶ dropout + ½⌋, and otherwise multiplied by what
    keeps its mean, 2¹⁶ / (2¹⁶ − q). Unit r of the example at place n of the batch is dropped if u < q, where
    u is 16 bits of a draw, four examples a draw: piece n mod 4, from the low end, of draw number
    r ⌈batch_size / 4⌉ + ⌊n / 4⌋ of the stream `step` of the key of the stream 2⁶² + layer.

    >>> from fastnet.reference.random import dropout_mask
    >>> dropout_mask(2, 6, 0.5, batch_size=6, seed=1, layer=0, step=0)
    array([[0., 0., 0., 0., 0., 0.],
           [0., 2., 2., 2., 2., 0.]])
    """
    q = math.floor(2**16 * dropout + 0.5)
    key = key_of(key_of(seed, DROPOUT + layer), step)
    r, place = np.arange(rows)[:, None], np.arange(n)[None, :]
    words = draws(key, r * -(-batch_size // 4) + place // 4)
    u = (words >> (16 * (place % 4)).astype(np.uint64)) & np.uint64(0xFFFF)
    return np.where(u < q, 0.0, 2**16 / max(2**16 - q, 1))
