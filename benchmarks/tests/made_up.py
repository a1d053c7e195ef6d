"""A made-up run of the benchmarks, with round numbers."""

from __future__ import annotations

from typing import Any


def summary(value: float) -> dict[str, Any]:
    return {"least": value, "median": value, "low": value, "high": value, "repeats": 7}


def results(seconds: float = 1e-4) -> dict[str, Any]:
    """Return what a run of `small` would have found, with round ceilings."""
    levels = {"L1": (2**15, 2e11), "L2": (2**19, 1e11), "L3": (2**25, 5e10), "memory": (0, 2e10)}
    limits = {
        "flops": {"v3 float32": summary(1e11), "v3 float64": summary(5e10)},
        "bytes": summary(2e10),
        "levels": {
            name: {"cache": size, "read": size, **summary(rate)} for name, (size, rate) in levels.items()
        },
        "sigmoid": {"float32": summary(1e-9), "float64": summary(2e-9)},
        "step": summary(1e-6),
    }
    about = {"workload": "small", "network": "30-100-1", "batch": 200, "dtype": "float32", "optimizer": "sgd"}
    ratio = {"least": 2.0, "median": 2.0, "rounds": summary(2.0), "fit_least": 2.0, "fit_median": 2.0}
    step = {"fastnet": summary(seconds), "fit": summary(seconds), "peer_seconds": summary(2 * seconds)}
    pair = {
        **about,
        **step,
        "ratio": ratio,
        "share": 0.5,
        "share_median": 0.5,
        "flops": 2_440_000,
        "peer": "numpy",
    }
    build = {
        **about,
        "isa": "v3",
        "seconds": summary(seconds),
        "share": 0.5,
        "share_median": 0.5,
        "peak": 1e11,
    }
    lost = {**pair, "group": "busy", "workload": "large", "ratio": {**ratio, "least": 0.9}}
    threads = [
        {**about, "threads": n, "used": n, "seconds": summary(seconds / n), "ratio": {**ratio, "least": n}}
        for n in (1, 2)
    ]
    machine = {
        "cpu": "a CPU",
        "system": "a system",
        "isa": "v3",
        "core": 1,
        "date": "today",
        "limits": limits,
    }
    return {
        "command": "python -m benchmarks",
        "machine": {**machine, "versions": {"fastnet": "0"}},
        "peers": ["numpy"],
        "missing": {},
        "training": [{**pair, "group": "main", "agreement": {}}, {**lost, "agreement": {}}],
        "builds": [build],
        "inference": [],
        "threads": threads,
        "busy": {"core": 0, "bytes": 5e8, "bytes_per_second": 2e10},
    }
