"""Data larger than memory: a stream of a file against the same rows in memory and against a memory map.

    python -m benchmarks.stream --directory DIR [--rows 20000000] [--only warm,limit,sorted]

The file has 28 features in float64, the network is 28-64-1 with Adam. Each side is a process of its own,
which says how long one epoch took and how much memory the process had at most. The lines under a limit of
memory need a control group (version 1 or 2) that this process may make, and drop the file from the page
cache first.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lines import Line, line, table

WIDTH = 28
LIMIT = 10**9
MAP_ROWS = 2000  # of the full shuffle under a limit: each comes from the disk by itself


def make(directory: Path, rows: int) -> None:
    """Write X.npy and T.npy, unless they are there: T depends on X, with noise."""
    paths = directory / "X.npy", directory / "T.npy"
    if all(path.exists() for path in paths) and np.load(paths[0], mmap_mode="r").shape == (rows, WIDTH):
        return
    X = np.lib.format.open_memmap(paths[0], mode="w+", dtype="float64", shape=(rows, WIDTH))
    T = np.lib.format.open_memmap(paths[1], mode="w+", dtype="float64", shape=(rows, 1))
    rng = np.random.default_rng(0)
    w = rng.normal(size=WIDTH)
    for start in range(0, rows, 1 << 19):
        x = rng.normal(size=(min(1 << 19, rows - start), WIDTH))
        X[start : start + len(x)] = x
        z = np.tanh(x @ w) + 0.5 * x[:, 0] * x[:, 1] + rng.normal(size=len(x))
        T[start : start + len(x), 0] = z > 0
    X.flush()
    T.flush()


def network(seed: int = 0) -> Any:
    """Return 28-64-1 in float64."""
    import fastnet as fn

    return fn.Network([fn.Layer(WIDTH, 64, "tanh"), fn.Layer(64, 1)], seed=seed)


def side(directory: Path, which: str, cpus: int, memory: str) -> dict[str, Any]:
    """Train for an epoch on one kind of data, in this process; return the time and the most memory."""
    import fastnet as fn

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cpus:])
    net = network()
    mode = "r" if which == "map" else None
    rows = 0
    if which in ("memory", "map"):
        X, T = (np.load(directory / name, mmap_mode=mode) for name in ("X.npy", "T.npy"))
        rows = len(X)
        start = time.perf_counter()
        net.fit(X.T, T.T, epochs=1, optimizer="adam", n_threads=1, progress=False)
    elif which == "map, some rows":  # of all of it: what a full shuffle reads first
        X, T = (np.load(directory / name, mmap_mode="r") for name in ("X.npy", "T.npy"))
        order = np.random.default_rng(0).permutation(len(X))[:MAP_ROWS]
        rows = MAP_ROWS
        start = time.perf_counter()
        for batch in np.split(order, 10):
            net.fit_one_epoch(X[batch].T, T[batch].T, optimizer="adam", n_threads=1)
    else:
        data = fn.stream(directory / "X.npy", directory / "T.npy", memory=memory)
        rows = data.rows()[0].n
        start = time.perf_counter()
        net.fit(data, epochs=1, optimizer="adam", n_threads=1, progress=False)
    seconds = time.perf_counter() - start
    return {"rows": rows, "seconds": seconds, "peak": peak_memory()}


def peak_memory() -> float:
    """Return the most memory of this process, in MB."""
    for row in Path("/proc/self/status").read_text().splitlines():
        if row.startswith("VmHWM"):
            return int(row.split()[1]) / 1000
    raise OSError("/proc/self/status has no VmHWM")


def in_a_process(directory: Path, which: str, cpus: int, memory: str, group: str = "") -> dict[str, Any]:
    """Run `side` in a process of its own, in a control group if one is named."""
    command = [sys.executable, "-m", "benchmarks.stream", "--directory", str(directory), "--side"]
    command += [json.dumps([which, cpus, memory, group])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextlib.contextmanager
def limited() -> Iterator[str]:
    """Give the folder of a control group that has a limit of memory, page cache included."""
    for root, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        folder = root / "fastnet-stream"
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)
            if (folder / limit).exists():
                (folder / limit).write_text(str(LIMIT))
                yield str(folder)
                folder.rmdir()
                return
            folder.rmdir()
    raise OSError("no control group with a limit of memory can be made here")


def drop_from_cache(*paths: Path) -> None:
    """Make the system forget what it has kept of the files."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def warm(directory: Path, memory: str, rounds: int) -> list[Line]:
    """Compare memory and stream while the file is in the page cache; return lines of the table."""
    sides = {"memory": ("memory", 1), "one core": ("stream", 1), "ahead": ("stream", 2)}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, (which, cpus) in sides.items():
            found[name].append(in_a_process(directory, which, cpus, memory))
    least = {name: min(run["seconds"] for run in runs) for name, runs in found.items()}
    peak = max(run["peak"] for name in ("one core", "ahead") for run in found[name])
    for name, seconds in least.items():
        print(f"  {name}: {seconds:.2f} s, at most {max(r['peak'] for r in found[name]):.0f} MB", flush=True)
    rows = found["memory"][0]["rows"]
    what = f"{rows:,} × {WIDTH} of float64 on disk, 28-64-1, an epoch of Adam, "
    times = {name: f"{least['memory']:.2f} and {least[name]:.2f} s" for name in ("one core", "ahead")}
    return [
        line(
            "09 stream 1 one core",
            what + "warm, against rows in memory, on one core",
            least["memory"] / least["one core"],
            goal=0.9,
            detail=times["one core"],
        ),
        line(
            "09 stream 2 ahead",
            what + "warm, against rows in memory, with read-ahead",
            least["memory"] / least["ahead"],
            goal=1.05,
            detail=times["ahead"],
        ),
        line(
            "09 stream 3 peak",
            "the same: peak memory of the process",
            peak,
            "MB",
            goal=120,
            at_most=True,
            detail=f"with the rows in memory {max(run['peak'] for run in found['memory']):,.0f} MB",
        ),
    ]


def under_a_limit(directory: Path, memory: str) -> list[Line]:
    """Compare a stream of the cold file with a full shuffle of its map, in a gigabyte."""
    paths = directory / "X.npy", directory / "T.npy"
    speed = {}
    with limited() as group:
        for which in ("stream", "map, some rows"):
            drop_from_cache(*paths)
            run = in_a_process(directory, which, 2, memory, group)
            speed[which] = run["rows"] / run["seconds"]
            print(f"  {which}: {speed[which]:,.0f} rows/s, at most {run['peak']:.0f} MB", flush=True)
    ratio = speed["stream"] / speed["map, some rows"]
    what = "the same, from the disk, with 1 GB of memory, against a full shuffle of the memory map"
    return [line("10 stream limit", what, ratio, goal=100, detail=f"{speed['stream']:,.0f} rows/s")]


def sorted_by_label(directory: Path, rows: int = 1_000_000, passes: int = 5) -> list[Line]:
    """Compare held-out losses after some passes: rows sorted by label, shuffled in full and as a stream."""
    import fastnet as fn

    X, T = (np.load(directory / name, mmap_mode="r") for name in ("X.npy", "T.npy"))
    held_out = slice(rows, rows + 200_000)
    order = np.argsort(T[:rows, 0], kind="stable")
    sorted_X, sorted_T = np.asarray(X[:rows])[order], np.asarray(T[:rows])[order]
    losses = {}
    for name, memory in (("full", "10GB"), ("stream", "64MB"), ("small stream", "8MB")):
        found = []
        for seed in range(3):
            net = network(seed)
            data = fn.stream(sorted_X, sorted_T, memory=memory)
            net.fit(data, epochs=passes, optimizer="adam", seed=seed, progress=False)
            found.append(net.loss(X[held_out].T, T[held_out].T))
        losses[name] = float(np.mean(found))
        print(f"  {name}: loss {losses[name]:.4f}, seeds {min(found):.4f} to {max(found):.4f}", flush=True)
    what = f"{rows:,} rows sorted by label, {passes} passes: held-out loss less that of a full shuffle"
    more = {name: losses[name] - losses["full"] for name in ("stream", "small stream")}
    return [
        line("11 stream sorted", what, more["stream"], "", goal=0.002, at_most=True),
        line("12 stream sorted, small", 'the same with `memory="8MB"`', more["small stream"], ""),
    ]


def main() -> None:
    """Run what the command line asks for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--memory", default="64MB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="warm,limit,sorted")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        which, cpus, memory, group = json.loads(given.side)
        if group:
            (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
        print(json.dumps(side(given.directory, which, cpus, memory)))
        return
    make(given.directory, given.rows)
    lines: list[Line] = []
    wanted = given.only.split(",")
    if "warm" in wanted:
        lines += warm(given.directory, given.memory, given.rounds)
    if "limit" in wanted:
        lines += under_a_limit(given.directory, given.memory)
    if "sorted" in wanted:
        lines += sorted_by_label(given.directory)
    print(table(lines, goals=False))


if __name__ == "__main__":
    main()
