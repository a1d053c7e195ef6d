"""The oracle's optimisers: one weight, step by step, by hand.

Nothing here uses the compiled core.
"""

import math
from typing import Any

import numpy as np
import pytest

from fastnet import reference as ref

EPS = np.finfo(np.float64).eps


def stepped(optimizer: Any, gradients: list[float], rates: list[float], w: float = 1.0) -> list[float]:
    """Return the weight after each step."""
    weight, kept = np.array([w]), {name: np.zeros(1) for name in optimizer.moments}
    seen = []
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        optimizer.step(weight, np.array([g]), kept, rate, t)
        seen.append(weight.item())
    return seen


def test_sgd_by_hand() -> None:
    assert stepped(ref.SGD(), [0.5, -0.25], [0.125, 0.25]) == [0.9375, 1.0]
    # v = −1/8 · 1/2 = −1/16, then 1/2 · −1/16 + 1/4 · 1/4 = 1/32
    assert stepped(ref.SGD(momentum=0.5), [0.5, -0.25], [0.125, 0.25]) == [15 / 16, 15 / 16 + 1 / 32]
    # w + μ v − η g: 1 − 1/32 − 1/16, then + 1/64 + 1/16
    nesterov = ref.SGD(momentum=0.5, nesterov=True)
    assert stepped(nesterov, [0.5, -0.25], [0.125, 0.25]) == [29 / 32, 29 / 32 + 5 / 64]
    assert stepped(ref.SGD(nesterov=True), [0.5], [0.125]) == [0.9375]


def test_adam_by_hand() -> None:
    # β₁ = 1/2, β₂ = 3/4, ε = 1/8; g = 1: m = 1/2, v = 1/4: w − η √(1/4)/(1/2) · (1/2)/(1/2 + 1/8)
    adam = ref.Adam(beta_1=0.5, beta_2=0.75, epsilon=0.125)
    found = stepped(adam, [1.0, -2.0], [0.25, 0.5])
    assert found[0] == pytest.approx(1 - 0.25 * 0.8, rel=EPS)
    # then m = 1/4 − 1 = −3/4, v = 3/16 + 1 = 19/16
    second = found[0] + 0.5 * math.sqrt(7 / 16) / 0.75 * 0.75 / (math.sqrt(19) / 4 + 0.125)
    assert found[1] == pytest.approx(second, rel=4 * EPS)


def test_adam_in_the_bias_corrected_form() -> None:
    """m̂ / (√v̂ + ε̂) with ε̂ = ε / √(1 − β₂ᵗ): the paper's other way to write it."""
    gradients, rates = [0.3, -1.2, 0.7, 0.01], [0.1, 0.05, 0.2, 0.1]
    found = stepped(ref.Adam(epsilon=1e-3), gradients, rates)
    w, m, v = 1.0, 0.0, 0.0
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        corrected = math.sqrt(v / (1 - 0.999**t)) + 1e-3 / math.sqrt(1 - 0.999**t)
        w -= rate * (m / (1 - 0.9**t)) / corrected
        assert found[t - 1] == pytest.approx(w, rel=100 * EPS)  # 1 − 0.999 has a thousandth of its digits


def test_rmsprop_by_hand() -> None:
    # ρ = 3/4, ε = 1/2: v = 1/4, then 3/16 + 1 = 19/16; g / (√v + ε) = 1, then −2 / (√19/4 + 1/2)
    rmsprop, second = ref.RMSProp(rho=0.75, epsilon=0.5), -2 / (math.sqrt(19) / 4 + 0.5)
    found = stepped(rmsprop, [1.0, -2.0], [0.25, 0.5])
    assert found == pytest.approx([0.75, 0.75 - 0.5 * second], rel=4 * EPS)
    found = stepped(ref.RMSProp(rho=0.75, epsilon=0.5, momentum=0.5), [1.0, -2.0], [0.25, 0.5])
    assert found == pytest.approx([0.75, 0.75 - 0.5 * (0.5 + second)], rel=4 * EPS)


def test_adamw_shrinks_weights_but_not_biases() -> None:
    W, b = [np.array([[2.0]])], [np.array([[3.0]])]
    options: dict[str, Any] = {"loss": "squared_error", "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.125}
    plain, decayed = (
        ref.Trainer(W, b, ["identity"], 1, optimizer=name, weight_decay=0.25, **options)
        for name in ("adam", "adamw")
    )
    for trainer in (plain, decayed):
        trainer.epoch([[1.0]], [[4.0]], None, 0.5)  # a = 5: g = 1 for both
    step = 0.5 * 0.8  # as by hand above
    assert plain.W[0].item() == pytest.approx(2 - step, rel=EPS)
    assert decayed.W[0].item() == pytest.approx(2 * (1 - 0.5 * 0.25) - step, rel=EPS)
    assert plain.b[0].item() == decayed.b[0].item() == pytest.approx(3 - step, rel=EPS)
