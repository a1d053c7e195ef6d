"""One row, and a few, through a network next to ONNX Runtime: python -m benchmarks.serving.

The whole public calls `predictor(x)` of a compiled network, `Network.predict_proba` and
`session.run(None, feed)`, in turns on one core with one thread; least and median CPU time of the thread.
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import pairwise

import numpy as np

import fastnet as fn
from benchmarks.peers.onnx_runtime import OnnxRuntime
from fastnet.bench import Summary, alternate, calls, pin

NETWORKS = ((30, 100, 1), (100, 256, 128, 1))
ROWS = (1, 2, 4, 8, 16, 17, 24, 32, 48, 64, 100, 128)


def compare(sizes: tuple[int, ...], rows: int) -> str:
    """Return a row of the table for float32."""
    net = fn.Network([fn.Layer(n_in, n_out) for n_in, n_out in pairwise(sizes)], dtype="float32")
    X = np.random.default_rng(0).standard_normal((rows, sizes[0]), dtype=np.float32)
    peer = OnnxRuntime([layer.W for layer in net.layers], [layer.b[:, 0] for layer in net.layers])
    predictor = net.compile()
    x = X[0] if rows == 1 else X.T
    off = float(abs(predictor(x).reshape(-1) - peer.predict(X).reshape(-1)).max())
    sides = {
        "compiled": calls(partial(predictor, n_threads=1), x),
        "network": calls(partial(net.predict_proba, n_threads=1), X.T),
        "peer": calls(peer.predict, X),
    }
    times = {name: Summary.of(seconds) for name, seconds in alternate(sides, 15, 0.02).items()}
    compiled, network, theirs = times["compiled"], times["network"], times["peer"]
    cells = [
        "-".join(map(str, sizes)),
        str(rows),
        *(f"{1e6 * side.least:.2f} µs ({1e6 * side.median:.2f} µs)" for side in (compiled, network, theirs)),
        *(
            f"{theirs.least / side.least:.2f} ({theirs.median / side.median:.2f})"
            for side in (compiled, network)
        ),
        f"{off:.0e}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--core", type=int, help="the core to run on; the last one allowed unless given")
    pin(parser.parse_args().core)
    print(
        "| network | rows | `predictor(x)` | `predict_proba` | ONNX Runtime "
        "| times `predictor(x)` | times `predict_proba` | largest difference |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for sizes in NETWORKS:
        for rows in ROWS:
            print(compare(sizes, rows), flush=True)


if __name__ == "__main__":
    main()
