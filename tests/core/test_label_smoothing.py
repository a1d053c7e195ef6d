"""Label smoothing: epochs and gradients count smoothed labels, validation losses those that are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import rounding
from oracle import wide
from steps import bits, start

import fastnet as fn
from fastnet import reference
from fastnet._core import engine

KEEP = 0.8125  # 1 − label_smoothing


@pytest.mark.parametrize("shape", [(3, 5, 2), (7, 17, 5), (5, 9, 33), (4, 18)])
def test_epochs_and_gradients_against_the_reference(
    isa: str, dtype: Any, rng: Any, shape: tuple[int, ...]
) -> None:
    activations = [*["tanh"] * (len(shape) - 2), "softmax"]
    options: dict[str, Any] = {"loss": "cross_entropy", "loss_parameter": KEEP}
    for n, batch in [(9, 1), (80, 7), (70, 33), (200, 64), (1300, 1100)]:
        for weighted in (False, True):
            W, b, X, T, w = start(rng, shape, dtype, n, "cross_entropy")
            weights = w if weighted else None
            trainer = engine.TrainerCore(W, b, activations, batch, **options)
            twin = reference.Trainer(wide(*W), wide(*b), activations, batch, **options)
            Xw, Tw = wide(X, T)
            ww = wide(w)[0] if weighted else None
            bound = rounding(dtype.name, shape, n, X, steps=-(-n // batch))
            dW, db, cost = twin.gradients(Xw, Tw, ww)
            found = engine.TrainerCore(W, b, activations, n, **options).gradients(X, T, weights)
            assert abs(found[2] - cost) <= bound * n
            for ours, exact in zip([*found[0], *found[1]], [*dW, *db], strict=True):
                assert abs(ours - exact).max() <= bound * n
            order = engine.permutation(n, 1, 0)
            ours, exact = trainer.epoch(X, T, order, 0.1, weights), twin.epoch(Xw, Tw, order, 0.1, ww)
            assert abs(ours - exact) <= bound * abs(exact)
            for ours, exact in zip(
                [*trainer.weights()[0], *trainer.weights()[1]], [*twin.W, *twin.b], strict=True
            ):
                assert abs(ours - exact).max() <= bound
            assert abs(trainer.loss(X, T, weights) - twin.loss(Xw, Tw, ww)) <= bound * n


def test_smoothed_by_hand_or_by_the_core(isa: str, dtype: Any, rng: Any) -> None:
    """Targets that were smoothed before give the bits of those that the core smooths, on any threads."""
    W, b, X, T, _ = start(rng, (7, 17, 5), dtype, 300, "cross_entropy")
    by_hand = T * dtype.type(KEEP) + dtype.type(1 - KEEP) / dtype.type(5)
    order = engine.permutation(300, 2, 0)
    for batch in (4, 130, 300):
        plain = engine.TrainerCore(W, b, ["tanh", "softmax"], batch, loss="cross_entropy")
        plain.epoch(X, by_hand, order, 0.1)
        for threads in (1, 3):
            options = {"loss": "cross_entropy", "loss_parameter": KEEP}
            core = engine.TrainerCore(W, b, ["tanh", "softmax"], batch, threads, **options)
            core.epoch(X, T, order, 0.1)
            assert bits(core) == bits(plain)


def test_the_loss_of_training_is_smoothed_and_that_of_validation_is_not() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2, 400))
    labels = (X[0] > 0).astype(int) + (X[1] > 0)
    net = fn.Network([fn.Layer(2, 16, "tanh"), fn.Layer(16, 3, "softmax")], seed=1)
    history = net.fit(
        X, labels, loss=fn.losses.CrossEntropy(0.3), epochs=60, learning_rate=0.05, validation_fraction=0.2
    )
    floor = -(0.8 * np.log(0.8) + 0.2 * np.log(0.1))  # of what 1, 0, 0 becomes: 0.8, 0.1, 0.1
    assert floor < history.loss[-1] < floor + 0.2
    assert history.validation_loss[-1] < floor - 0.2
    Z = np.log(net.predict_proba(X))
    T = np.eye(3)[labels].T
    for module in (fn, reference):
        assert module.loss(Z, T, loss="cross_entropy") == pytest.approx(net.loss(X, labels))
        smoothed = module.loss(Z, T, loss=module.CrossEntropy(0.3) if module is reference else
                               fn.losses.CrossEntropy(0.3))  # fmt: skip
        assert smoothed == pytest.approx(net.loss(X, labels, loss=fn.losses.CrossEntropy(0.3)))
        assert smoothed > floor
    assert net.calibrate(X, labels) < 0.8  # it has learned to be less sure than it can be


def test_it_goes_with_softmax_and_is_kept_by_a_trainer(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="needs a last layer with the activation 'softmax'"):
        fn.Network([fn.Layer(2, 1)]).fit(np.ones((2, 3)), [[1, 0, 1]], loss=fn.losses.CrossEntropy(0.1))
    for wrong, error in ((1.0, ValueError), (-0.1, ValueError), ("a", TypeError)):
        with pytest.raises(error, match="label_smoothing"):
            fn.losses.CrossEntropy(wrong)
    X, T = np.eye(3), [0, 1, 2]
    nets = [fn.Network([fn.Layer(3, 3, "softmax")], seed=0) for _ in range(2)]
    trainers = [fn.Trainer(net, loss=fn.losses.CrossEntropy(0.7), batch_size=3) for net in nets]
    for trainer in trainers:
        trainer.fit(X, T, epochs=2)
    fn.save(trainers[0], tmp_path / "checkpoint.safetensors", checkpoint=True)
    again = fn.load_checkpoint(tmp_path / "checkpoint.safetensors")
    again.fit(X, T, epochs=2)
    trainers[1].fit(X, T, epochs=2)
    np.testing.assert_array_equal(again.network.layers[0].W, nets[1].layers[0].W)
