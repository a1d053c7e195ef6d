"""Saturating trainings meet no denormal numbers, which make some processors several times as slow.

The processor keeps two flags: whether an operation has read a denormal number, and whether one has made a
number so small. They need no quiet machine and see every place, in registers too.

The portable build is C for one number, which the compiler turns into vectors: it computes both sides of
a choice, and raises flags for the one that it then drops. What it keeps is shown by equal bits instead: those
of v2, whose flags are read.
"""

import platform
from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet import reference
from fastnet._core import engine
from fastnet.reference.functions import least, without_tiny

X86 = platform.machine().lower() in ("x86_64", "amd64")
needs_flags = pytest.mark.skipif(not X86, reason="the flags are those of x86")

HIDDEN = [name for name in engine.ACTIVATIONS if name not in ("exp", "softmax")]
LOSSES = {  # output activation, learning rate
    "bce": ("sigmoid", 2.0),
    "cross_entropy": ("softmax", 2.0),
    "poisson": ("exp", 0.02),
    "squared_error": ("sigmoid", 5.0),
    "absolute_error": ("sigmoid", 2.0),
    "huber": ("tanh", 1.0),
    "quantile": ("softplus", 1.0),
}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"rate": 5.0},
    "sgd, l2": {"optimizer": "sgd", "rate": 0.5, "l2": 30.0},
    "sgd, clip_norm": {"optimizer": "sgd", "rate": 5.0, "clip_norm": 1.0},
    "momentum": {"optimizer": "sgd", "rate": 1.0, "momentum": 0.5},
    "adam": {"rate": 0.2},
    "adamw": {"rate": 0.2, "weight_decay": 4.0},
    "rmsprop": {"rate": 0.1, "beta_2": 0.5},
    "rmsprop, momentum": {"optimizer": "rmsprop", "rate": 0.05, "beta_2": 0.5, "momentum": 0.5},
}


def train(
    dtype: Any, hidden: str, loss: str, options: dict[str, Any], dropout: float = 0.0
) -> tuple[tuple[bool, bool], list[np.ndarray]]:
    """Train until it saturates; return the flags of 20 more epochs and predictions, and A, W, b."""
    output, rate = LOSSES[loss]
    options = {"rate": rate, **options}
    rate = options.pop("rate")
    rng = np.random.default_rng(0)
    X = np.asfortranarray(4 * rng.standard_normal((9, 400)), dtype)
    T = (X[:1] + X[1:2] > 0).astype(dtype)
    if output in ("softmax", "softplus"):
        T = np.concatenate([T, 1 - T])
    sizes = (9, 24, 12, len(T))
    layers = [fn.Layer(9, 24, hidden), fn.Layer(24, 12, hidden), fn.Layer(12, sizes[-1], output)]
    network = fn.Network(layers, seed=1, dtype=dtype)
    core = engine.TrainerCore(
        [layer.W for layer in network.layers],
        [layer.b for layer in network.layers],
        [layer.activation for layer in network.layers],
        100,
        loss=loss,
        dropout=[dropout, dropout, 0.0],
        **options,
    )
    for epoch in range(80):
        if epoch == 60:
            engine.denormals_seen()
        core.epoch(X, T, engine.permutation(400, 0, epoch), rate)
    A = [core.predict(X), core.predict(X[:, :5])]
    flags = engine.denormals_seen()
    W, b = core.weights()
    return flags, A + W + b


def check(isa: str, *case: Any, **options: Any) -> None:
    """No flag is raised late in a training on this build, or it has the bits of one where none is."""
    flags, arrays = train(*case, **options)
    if isa != "portable":
        assert flags == (False, False)
        return
    if "v2" not in engine.supported():
        pytest.skip("v2 is not compiled")
    with fn.isa.using("v2"):
        _, same = train(*case, **options)
    for array, other in zip(arrays, same, strict=True):
        np.testing.assert_array_equal(array, other)


@needs_flags
def test_the_flags_are_seen(isa: str, dtype: Any) -> None:
    if isa == "portable":
        pytest.skip("its flags are not read")
    engine.denormals_seen()
    engine.activate(np.full((33, 1), 0.5, dtype), "tanh")
    assert engine.denormals_seen() == (False, False)
    engine.activate(np.full((33, 1), np.log(np.finfo(dtype).tiny) - 5, dtype), "exp")
    assert engine.denormals_seen() == (False, True)
    engine.activate(np.full((33, 1), np.finfo(dtype).tiny / 8, dtype), "leaky_relu")
    assert engine.denormals_seen()[0]
    assert engine.denormals_seen() == (False, False)


@needs_flags
@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_activation(isa: str, dtype: Any, hidden: str) -> None:
    check(isa, dtype, hidden, "bce", {"optimizer": "adam", "rate": 0.2})


@needs_flags
@pytest.mark.parametrize("hidden", HIDDEN)
def test_dropout(isa: str, dtype: Any, hidden: str) -> None:
    options = {"optimizer": "adam", "rate": 0.1}
    check(isa, dtype, hidden, "bce", options, dropout=0.5)


@needs_flags
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", ["sigmoid", "gelu"])
def test_every_loss(isa: str, dtype: Any, hidden: str, loss: str) -> None:
    check(isa, dtype, hidden, loss, {})


@needs_flags
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("hidden", ["tanh", "silu"])
def test_every_optimizer(isa: str, dtype: Any, hidden: str, optimizer: str) -> None:
    options = {"optimizer": optimizer} | OPTIMIZERS[optimizer]
    check(isa, dtype, hidden, "bce", options)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [("sgd", {"l2": 50.0}), ("sgd", {"l2": 50.0, "momentum": 0.5}), ("adamw", {"weight_decay": 5.0})],
)
def test_weights_that_decay_end_at_the_threshold(
    isa: str, dtype: Any, optimizer: str, options: dict[str, Any]
) -> None:
    """Nothing but the decay moves W: X is 0. It ends at 0, or with momentum where the velocity is 0."""
    W = [np.full((3, 7), 0.5, dtype), np.full((1, 3), 0.25, dtype)]
    b = [np.zeros((3, 1), dtype), np.zeros((1, 1), dtype)]
    X, T = np.zeros((7, 100), dtype), np.full((1, 100), 0.5, dtype)
    steps = 100 if dtype == np.float32 else 2200
    for made in (engine.TrainerCore, reference.Trainer):
        core = made(W, b, ["tanh", "sigmoid"], 100, optimizer=optimizer, **options)
        for _ in range(steps):
            core.epoch(X, T, None, 1.0 if optimizer == "sgd" else 0.15)
        kept = [core.weights()[0], [array for name, array in core.moments().items() if "first" in name]]
        most = 4 * least(dtype)[0] if "momentum" in options else 0.0
        assert all(abs(array).max() <= most for arrays in kept for array in arrays)


def test_the_threshold(dtype: Any) -> None:
    tiny, _ = least(dtype)
    x = np.array([tiny, -tiny, np.nextafter(dtype.type(tiny), 0), -tiny / 2, 0, np.nan, np.inf], dtype)
    np.testing.assert_array_equal(without_tiny(x), np.array([tiny, -tiny, 0, 0, 0, np.nan, np.inf], dtype))


def test_hidden_outputs_below_the_threshold_are_0(isa: str, dtype: Any) -> None:
    """A hidden sigmoid of z a little above and far below it; the last layer shows what came through."""
    edge = 34.5 if dtype == np.float32 else 332.5
    scale = np.finfo(dtype).max / 1e6
    layers = [
        fn.Layer(1, 1, W=[[1.0]], dtype=dtype),
        fn.Layer(1, 1, "identity", W=[[scale]], dtype=dtype),
    ]
    X = np.array([[-edge + 0.25, -edge - 0.25] * 20], dtype)
    A = fn.Network(layers, dtype=dtype).predict_proba(X)
    assert (A[0, ::2] > 0).all()
    assert (A[0, 1::2] == 0).all()
    last = fn.Network(layers[:1], dtype=dtype).predict_proba(X)  # an output is no factor
    assert (last > 0).all()
