"""One pair that predicts: the public calls of both sides, rows in and probabilities out, taking turns."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.peers import predictor
from benchmarks.training import Pace
from benchmarks.workloads import PREDICTION
from fastnet.bench import Problem, Summary, alternate, calls

__all__ = ["compare"]


def compare(peer_name: str, rows: int, pace: Pace) -> dict[str, Any]:
    """Measure `Network.predict_proba`, checks of its input included, against a peer."""
    cls = predictor(peer_name)
    clock = cls.clock
    net = Problem(PREDICTION).network()
    peer = cls([layer.W for layer in net.layers], [layer.b[:, 0] for layer in net.layers])
    X = np.random.default_rng(0).standard_normal((rows, PREDICTION.sizes[0]), dtype=PREDICTION.dtype)
    difference = float(abs(net.predict_proba(X.T).T - peer.predict(X)).max())
    # each side loses at most an eps at each term of the sums; sigmoids make no error larger
    bound = 2 * float(np.finfo(X.dtype).eps) * sum(PREDICTION.sizes)

    sides = {
        "fastnet": calls(partial(net.predict_proba, n_threads=1), X.T),
        "peer": calls(peer.predict, X, clock=clock),
    }
    seconds = alternate(sides, pace.rounds, pace.slice_seconds)
    step = {name: Summary.of(values) for name, values in seconds.items()}
    sizes = PREDICTION.sizes
    return {
        "network": PREDICTION.network,
        "dtype": PREDICTION.dtype,
        "rows": rows,
        "clock": "thread" if clock.__name__ == "thread_time" else "process",
        "flops": 2 * rows * sum(n_in * n_out for n_in, n_out in pairwise(sizes)),
        "bytes": rows * (sizes[0] + sizes[-1]) * X.itemsize,
        "fastnet": vars(step["fastnet"]),
        "peer_seconds": vars(step["peer"]),
        "ratio": {
            "least": step["peer"].least / step["fastnet"].least,
            "median": step["peer"].median / step["fastnet"].median,
        },
        "agreement": {"difference": difference, "bound": bound, "agrees": difference <= bound},
    }
