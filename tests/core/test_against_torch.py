"""The reference and the core against torch: autograd for gradients, torch.optim for steps; in float64.

Not where torch is not installed. Where its convention is another one, the same numbers are put into its form.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from oracle import LOSSES, OF_LOGITS, random_targets

from fastnet import reference
from fastnet._core import engine

torch = pytest.importorskip("torch")
functional = torch.nn.functional

EPS = float(np.finfo(np.float64).eps)
ACTIVATIONS: dict[str, Any] = {
    "identity": torch.nn.Identity(),
    "sigmoid": torch.sigmoid,
    "logistic": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": lambda z: functional.leaky_relu(z, 0.01),
    "elu": functional.elu,
    "selu": torch.selu,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "softplus": functional.softplus,
    "mish": functional.mish,
    "exp": torch.exp,
    "softmax": lambda z: torch.softmax(z, dim=1),
}
SHAPE = (4, 9, 7, 3)
N = 30


def cost_of(loss: str, Z: Any, A: Any, T: Any) -> Any:
    """Return the costs of the examples (rows in torch), from torch's own losses."""
    none: dict[str, Any] = {"reduction": "none"}
    costs = {
        "bce": lambda: functional.binary_cross_entropy_with_logits(Z, T, **none),
        "cross_entropy": lambda: functional.cross_entropy(Z, T, **none)[:, None],
        # torch leaves t log t − t out
        "poisson": lambda: functional.poisson_nll_loss(Z, T, **none) + torch.xlogy(T, T) - T,
        "squared_error": lambda: functional.mse_loss(A, T, **none) / 2,
        "absolute_error": lambda: functional.l1_loss(A, T, **none),
        "huber": lambda: functional.huber_loss(A, T, delta=0.75, **none),
        "quantile": lambda: torch.maximum(0.3 * (T - A), 0.7 * (A - T)),
    }
    return costs[loss]().sum(dim=1)


def parameter_of(loss: str) -> float:
    return {"huber": 0.75, "quantile": 0.3}.get(loss, 1.0)


class Torch:
    """The same network in torch: its weights, and the gradient of its cost by autograd."""

    def __init__(self, W: list[Any], b: list[Any], activations: list[str], loss: str) -> None:
        self.W = [torch.tensor(array, requires_grad=True) for array in W]
        self.b = [torch.tensor(array[:, 0], requires_grad=True) for array in b]
        self.activations, self.loss = activations, loss

    def cost(self, X: Any, T: Any, weights: Any) -> Any:
        """Return Σ w J."""
        A = torch.tensor(np.ascontiguousarray(X.T))
        for W, b, activation in zip(self.W, self.b, self.activations, strict=True):
            Z = functional.linear(A, W, b)
            A = ACTIVATIONS[activation](Z)
        costs = cost_of(self.loss, Z, A, torch.tensor(np.ascontiguousarray(T.T)))
        return (torch.tensor(weights) * costs).sum()

    def gradients(self, X: Any, T: Any, weights: Any) -> tuple[list[Any], list[Any], float]:
        cost = self.cost(X, T, weights)
        cost.backward()
        return [W.grad.numpy() for W in self.W], [b.grad.numpy()[:, None] for b in self.b], cost.item()


def start(rng: Any, loss: str) -> tuple[list[Any], list[Any], Any, Any, Any]:
    W = [rng.normal(size=(n_out, n_in)) / np.sqrt(n_in) for n_in, n_out in pairwise(SHAPE)]
    b = [rng.normal(size=(n_out, 1)) for n_out in SHAPE[1:]]
    X, T = rng.normal(size=(SHAPE[0], N)), random_targets(rng, loss, (SHAPE[-1], N), np.float64)
    return W, b, X, T, rng.uniform(0, 2, N)


def networks() -> list[tuple[list[str], str]]:
    hidden = [name for name in engine.ACTIVATIONS if name not in ("exp", "softmax")]
    found = [([name, name, "identity"], "squared_error") for name in hidden]
    found += [(["tanh", "gelu", OF_LOGITS.get(loss, "softplus")], loss) for loss in LOSSES]
    return found + [(["tanh", "gelu", name], "huber") for name in hidden]


def trainer_of(package: Any) -> Any:
    return package.TrainerCore if package is engine else package.Trainer


@pytest.mark.parametrize("package", [reference, engine], ids=["reference", "core"])
@pytest.mark.parametrize(("activations", "loss"), networks(), ids=str)
def test_gradients_against_autograd(package: Any, activations: list[str], loss: str, rng: Any) -> None:
    W, b, X, T, w = start(rng, loss)
    trainer = trainer_of(package)(W, b, activations, N, loss=loss, loss_parameter=parameter_of(loss))
    dW, db, cost = trainer.gradients(X, T, w)
    right_W, right_b, right = Torch(W, b, activations, loss).gradients(X, T, w)
    # sums of up to 30 terms in three layers, and torch's own 1 + erf in gelu, which loses digits below 0
    assert cost == pytest.approx(right, rel=200 * EPS)
    largest = max(abs(g).max() for g in [*right_W, *right_b])
    for found, gradient in zip([*dW, *db], [*right_W, *right_b], strict=True):
        assert abs(found - gradient).max() <= 400 * EPS * largest


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_against_torch(name: str, rng: Any) -> None:
    Z, dA = rng.uniform(-6, 6, (5, 200)), rng.normal(size=(5, 200))
    z = torch.tensor(np.ascontiguousarray(Z.T), requires_grad=True)
    a = ACTIVATIONS[name](z)
    a.backward(torch.tensor(np.ascontiguousarray(dA.T)))
    size = np.maximum(abs(Z), 1) * (np.exp(6) if name == "exp" else 1)
    for A, dZ in (
        (reference.activate(Z, name), reference.activation_backward(Z, dA, name)),
        (engine.activate(Z, name), engine.activation_backward(Z, dA, name)),
    ):
        assert np.all(abs(A - a.detach().numpy().T) <= 16 * EPS * size)
        assert np.all(abs(dZ - z.grad.numpy().T) <= 32 * EPS * size * abs(dA).max(axis=0))


# ---- the optimisers

TINY = 1e-30  # torch adds ε to √v̂ where scikit-learn adds it to √v: with none to speak of they are the same


def torch_optimizer(name: str, weights: list[Any], biases: list[Any], rate: float) -> Any:
    decayed = [{"params": weights, "weight_decay": 0.125}, {"params": biases, "weight_decay": 0.0}]
    optim, both = torch.optim, [*weights, *biases]
    return {
        "sgd": lambda: optim.SGD(both, rate),
        "momentum": lambda: optim.SGD(both, rate, momentum=0.75),
        "nesterov": lambda: optim.SGD(both, rate, momentum=0.75, nesterov=True),
        "adam": lambda: optim.Adam(both, rate, betas=(0.75, 0.9), eps=TINY),
        "adamw": lambda: optim.AdamW(decayed, rate, betas=(0.75, 0.9), eps=TINY),
        "rmsprop": lambda: optim.RMSprop(both, rate, alpha=0.9, eps=0.01),
        "rmsprop with momentum": lambda: optim.RMSprop(both, rate, alpha=0.9, eps=0.01, momentum=0.5),
    }[name]()


OURS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd"},
    "momentum": {"optimizer": "sgd", "momentum": 0.75},
    "nesterov": {"optimizer": "sgd", "momentum": 0.75, "nesterov": True},
    "adam": {"optimizer": "adam", "beta_1": 0.75, "beta_2": 0.9, "epsilon": TINY},
    "adamw": {"optimizer": "adamw", "beta_1": 0.75, "beta_2": 0.9, "epsilon": TINY, "weight_decay": 0.125},
    "rmsprop": {"optimizer": "rmsprop", "beta_2": 0.9, "epsilon": 0.01},
    "rmsprop with momentum": {"optimizer": "rmsprop", "beta_2": 0.9, "epsilon": 0.01, "momentum": 0.5},
}


@pytest.mark.parametrize("package", [reference, engine], ids=["reference", "core"])
@pytest.mark.parametrize(
    "also", [{}, {"l2": 0.5}, {"clip_norm": 0.05}, {"l2": 0.5, "clip_norm": 0.05}], ids=str
)
@pytest.mark.parametrize("name", OURS)
def test_steps_against_torch_optim(package: Any, name: str, also: dict[str, float], rng: Any) -> None:
    W, b, X, T, w = start(rng, "cross_entropy")
    activations = ["tanh", "silu", "softmax"]
    ours = trainer_of(package)(W, b, activations, 12, loss="cross_entropy", **OURS[name], **also)
    theirs = Torch(W, b, activations, "cross_entropy")
    optimizer = torch_optimizer(name, theirs.W, theirs.b, 0.0625)
    for _ in range(3):
        ours.epoch(X, T, None, 0.0625, w)
        for first in range(0, N, 12):
            part = slice(first, first + 12)
            cost = theirs.cost(X[:, part], T[:, part], w[part])
            cost = cost + also.get("l2", 0.0) / 2 * sum((array**2).sum() for array in theirs.W)
            optimizer.zero_grad()
            (cost / w[part].sum()).backward()
            if "clip_norm" in also:  # torch.nn.utils.clip_grad_norm_ adds 1e-6 to the norm
                norm = torch.sqrt(sum((array.grad**2).sum() for array in [*theirs.W, *theirs.b]))
                for array in [*theirs.W, *theirs.b]:
                    array.grad *= min(1.0, also["clip_norm"] / norm.item())
            optimizer.step()
    # Adam without ε divides a gradient by its own size: it loses what it has lost in its sum, ever anew
    bound = 9 * 400 * EPS * (100 if name.startswith("adam") else 10)
    found_W, found_b = ours.weights()
    for found, array in zip([*found_W, *found_b], [*theirs.W, *theirs.b], strict=True):
        right = array.detach().numpy().reshape(found.shape)
        assert abs(found - right).max() <= bound
        assert abs(found - right).max() < 1e-6 * abs(right).max()
    assert max(abs(found - before).max() for found, before in zip(found_W, W, strict=True)) > 1e-3
