"""One pair: fastnet and a peer train the same network on the same batches, taking turns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers import trainer
from benchmarks.peers.base import Array, Peer
from fastnet.bench import Problem, Side, Summary, Workload, alternate, epochs, fma_rate
from fastnet.optimizers import SGD, Adam

__all__ = ["Pace", "agree", "compare", "to_check"]

_CHECK_EPOCHS = 2
_CHECK_ROWS = 4096
_CHECK_EPSILON = 1e-3  # Adam's: see agree


@dataclass(frozen=True)
class Pace:
    """How long and how often to measure."""

    rounds: int
    slice_seconds: float

    @classmethod
    def of(cls, quick: bool) -> Pace:
        """Return the pace of a look or of a run to publish: at least 7 rounds in both."""
        return cls(7, 0.005) if quick else cls(15, 0.02)


def compare(peer_name: str, workload: Workload, pace: Pace) -> dict[str, Any]:
    """Measure one pair; numbers and strings only.

    In each round come a slice of plain multiply-adds, one of `Trainer.epoch` in orders drawn before, one of a
    whole `Network.fit` (checks, drawing the orders, publishing the weights) and one of the peer, in turns
    forwards and backwards.
    """
    cls = trainer(peer_name)
    if reason := cls.refuses(workload):
        return {"left_out": reason}
    problem = Problem(workload)
    peer = cls(problem)
    agreement = agree(peer if workload.optimizer == "sgd" else to_check(cls, workload))
    peak, unit = fma_rate(workload.dtype)
    sides = {
        "peak": peak,
        "fastnet": epochs(problem, problem.trainer()),
        "fit": _fits(problem),
        "peer": peer.train,
    }
    seconds = alternate(sides, pace.rounds, pace.slice_seconds)
    steps = {name: np.array(seconds[name]) / workload.steps for name in ("fastnet", "fit", "peer")}
    rate = Summary.of(unit / second for second in seconds["peak"])
    step = {name: Summary.of(values.tolist()) for name, values in steps.items()}
    return {
        "network": workload.network,
        "batch": workload.batch,
        "dtype": workload.dtype,
        "optimizer": workload.optimizer,
        "clock": "thread" if cls.clock.__name__ == "thread_time" else "process",
        "flops": workload.flops,
        "bytes": workload.bytes,
        "peak": vars(rate),
        "fastnet": vars(step["fastnet"]),
        "fit": vars(step["fit"]),
        "peer_seconds": vars(step["peer"]),
        "share": workload.flops / step["fastnet"].least / rate.high,
        "share_median": workload.flops / step["fastnet"].median / rate.median,
        "ratio": {
            "least": step["peer"].least / step["fastnet"].least,
            "median": step["peer"].median / step["fastnet"].median,
            "rounds": vars(Summary.of((steps["peer"] / steps["fastnet"]).tolist())),
            "fit_least": step["peer"].least / step["fit"].least,
            "fit_median": step["peer"].median / step["fit"].median,
        },
        "agreement": agreement,
    }


def _fits(problem: Problem) -> Side:
    """Return a side that does all of its epochs in one public `Network.fit`."""
    net = problem.network()

    def side(count: int) -> float:
        start = time.thread_time()
        net.fit(
            problem.X.T,
            problem.T.T,
            epochs=count,
            batch_size=problem.workload.batch,
            optimizer=problem.optimizer,
        )
        return time.thread_time() - start

    return side


def to_check(cls: type[Peer], workload: Workload) -> Peer:
    """Return a peer for `agree`: with Adam it has an epsilon of its own."""
    return cls(Problem(workload, _CHECK_EPSILON), exact=True)


def agree(peer: Peer) -> dict[str, Any]:
    """Train both from the same weights, rows in order, and compare the weights and the loss they end at.

    Each step rounds every weight it stores, and adds what the optimiser makes of a mean gradient whose sums,
    over widths and over the batch, are off by about d = sqrt(k) eps for k terms. Gradient descent makes
    rate d of it. Adam's W -= rate sqrt(q)/p m/(sqrt v + epsilon), with p = 1 - beta_1^t and
    q = 1 - beta_2^t, makes at most rate sqrt(q)/epsilon (1 + r/4) d of it:

    - m is off by p d and sqrt v by sqrt(q) d, as both are means of the gradients so far;
    - |m|/p is at most r sqrt(v/q) (Cauchy and Schwarz; r is worked out in `_ratio`), and
      sqrt v/(sqrt v + epsilon)^2 at most 1/(4 epsilon).

    So Adam is compared with an epsilon of a thousandth, with which it is a smooth function of the gradient;
    with 1e-8, rounding decides the sign of whole steps where a gradient is near zero. Betas, bias
    corrections, the root and epsilon still show: test_training.py breaks them one by one.

    The errors of the steps are independent. Four times what they add up to is the bound: rounding stays far
    below, any update that is left out or scaled wrongly passes it, in the weights if not in the loss.
    """
    problem, workload = peer.problem, peer.problem.workload
    ours = problem.trainer()
    for _ in range(_CHECK_EPOCHS):
        ours.epoch(problem.X.T, problem.T.T, None, problem.learning_rate)
    peer.learn(_CHECK_EPOCHS)
    W, columns = ours.weights()
    b = [column[:, 0] for column in columns]
    peer_W, peer_b = peer.weights()
    layers = problem.network().layers
    at_start = _loss(problem, [layer.W for layer in layers], [layer.b[:, 0] for layer in layers])
    loss, peer_loss = _loss(problem, W, b), _loss(problem, peer_W, peer_b)
    pairs = zip([*W, *b], [*peer_W, *peer_b], strict=True)
    difference = max(float(abs(mine - theirs).max()) for mine, theirs in pairs)
    steps = _CHECK_EPOCHS * workload.steps
    stored = max(float(abs(array).max()) for array in (*W, *b))
    added = _slope(problem.optimizer, steps) * (sum(workload.sizes) + workload.batch) ** 0.5
    bound = 4 * float(np.finfo(workload.dtype).eps) * steps**0.5 * (stored + added)
    return {
        "steps": steps,
        "loss_at_start": at_start,
        "loss": loss,
        "peer_loss": peer_loss,
        "loss_difference": abs(loss - peer_loss),
        "difference": difference,
        "bound": bound,
        "agrees": max(difference, abs(loss - peer_loss)) <= bound,
    }


def _slope(optimizer: SGD | Adam, steps: int) -> float:
    """Return how much more a step may become when the gradients so far are more by 1: see `agree`."""
    rate = optimizer.learning_rate
    if isinstance(optimizer, SGD):
        return rate
    q = 1 - optimizer.beta_2**steps
    return float(rate * q**0.5 / optimizer.epsilon * (1 + _ratio(optimizer, steps) / 4))


def _ratio(adam: Adam, steps: int) -> float:
    """Return the most that |m|/p can be of sqrt(v/q) after so many steps.

    m = sum a_s g_s and v = sum b_s g_s^2, so |m| is at most sqrt(sum a_s^2/b_s) sqrt v.
    """
    beta_1, beta_2 = adam.beta_1, adam.beta_2
    ratios = ((1 - beta_1) ** 2 / (1 - beta_2) * (beta_1**2 / beta_2) ** s for s in range(steps))
    return float((sum(ratios) * (1 - beta_2**steps)) ** 0.5 / (1 - beta_1**steps))


def _loss(problem: Problem, W: list[Array], b: list[Array]) -> float:
    """Return the mean cost over the first rows, in float64 with NumPy whoever trained the weights."""
    A = problem.X[:_CHECK_ROWS].astype(np.float64)
    T = problem.T[:_CHECK_ROWS].astype(np.float64)
    for V, c in zip(W, b, strict=True):
        Z = A @ V.T.astype(np.float64) + c
        A = 1 / (1 + np.exp(-Z))
    return float(np.mean(np.maximum(Z, 0) - Z * T + np.log1p(np.exp(-np.abs(Z)))))
