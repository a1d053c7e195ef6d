"""Steps of 1 to 16 examples next to a scan in JAX: python -m benchmarks.small_batches.

A step is a batch of an epoch in one call of the core; the peer's epoch is one call of a compiled
`jax.lax.scan`. In turns on one core with one thread; least and median CPU times.
"""

from __future__ import annotations

import argparse
import warnings

from benchmarks.training import Pace, compare
from fastnet.bench import Workload, pin

NETWORKS = ((2, 3, 1), (30, 100, 1), (100, 256, 128, 1))
BATCHES = (1, 2, 4, 8, 16)
EXAMPLES = 256


def row(sizes: tuple[int, ...], batch: int, optimizer: str, peer: str) -> str:
    """Return a row of the table for float32."""
    chosen = "adam" if optimizer == "adam" else "sgd"
    workload = Workload("small batch", sizes, batch, EXAMPLES // batch, optimizer=chosen)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # random targets: there is little to learn
        found = compare(peer, workload, Pace.of(quick=True))
    ours, theirs, ratio = found["fastnet"], found["peer_seconds"], found["ratio"]
    cells = [
        workload.network,
        "Adam" if chosen == "adam" else "SGD",
        str(batch),
        *(
            f"{1e6 * side['least']:.2f} µs ({1e6 * side['median']:.2f} µs)"
            for side in (ours, found["fit"], theirs)
        ),
        f"{ratio['least']:.2f} ({ratio['median']:.2f})",
        "yes" if found["agreement"]["agrees"] else "no",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_batches", description=__doc__)
    parser.add_argument("--core", type=int, help="the core to run on; the last one allowed unless given")
    parser.add_argument("--peer", default="jax-scan", help="the library to compare with")
    arguments = parser.parse_args()
    pin(arguments.core)
    print(f"| network | optimiser | batch | step | `fit` | {arguments.peer} | times as long | same weights |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for sizes in NETWORKS:
        for optimizer in ("sgd", "adam"):
            for batch in BATCHES:
                print(row(sizes, batch, optimizer, arguments.peer), flush=True)


if __name__ == "__main__":
    main()
