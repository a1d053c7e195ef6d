"""A process for each peer: threads fixed and the core chosen before anything is imported.

The parent calls `results`; the child is ``python -m benchmarks.jobs '<job as JSON>'``, which prints one line
of JSON per result. A peer that crashes takes nothing else with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["results"]

_ROOT = Path(__file__).resolve().parent.parent
_ONE = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMBA_NUM_THREADS",
        "TORCHINDUCTOR_COMPILE_THREADS",
    ),
    "1",
)
_ENVIRONMENT = {
    **_ONE,
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


def results(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Run a job in a process of its own and yield what it finds, as it comes; an error if it crashes."""
    command = [sys.executable, "-m", "benchmarks.jobs", json.dumps(job)]
    environment = {**os.environ, **_ENVIRONMENT}
    with subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        about = {"group": "", "workload": "the process", "peer": job.get("peer", "fastnet")}
        yield {**about, "error": f"ended with code {process.returncode}"}


def _work(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from benchmarks import inference, machine, scaling, training
    from benchmarks.workloads import chosen
    from fastnet import bench

    pace = training.Pace.of(job["quick"])
    core = bench.pin(job["core"]) if job["kind"] != "threads" else None
    if job["kind"] == "machine":
        yield {**machine.description(), "core": core, "limits": machine.limits(pace)}
    elif job["kind"] == "builds":
        workloads = [workload for _, workload in chosen(job["workloads"])]
        yield bench.run(workloads, rows=(), quick=job["quick"], progress=_progress)
    elif job["kind"] == "threads":
        for _, workload in chosen(job["workloads"]):
            _progress(f"{workload}: {' and '.join(map(str, scaling.counts()))} threads")
            yield from scaling.compare(workload, pace)
    elif job["kind"] == "training":
        for name in job["workloads"]:
            ((group, workload),) = chosen([name])
            _progress(f"{job['peer']}: {workload}")
            about = {"group": job.get("group", group), "workload": name, "peer": job["peer"]}
            yield {
                **about,
                **_attempt(training.compare, job["peer"], workload, pace),
                "threads": machine.threads(),
            }
    else:
        for rows in job["rows"]:
            _progress(f"{job['peer']}: predict {rows:,} rows")
            about = {"workload": f"predict {rows:,} rows", "peer": job["peer"]}
            yield {**about, **_attempt(inference.compare, job["peer"], rows, pace)}


def _attempt(compare: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    try:
        return compare(*arguments)
    except Exception as error:  # whatever goes wrong in a library, the run goes on and tells it
        return {"error": repr(error)}


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _main() -> None:
    job = json.loads(sys.argv[1])
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints goes to stderr
    for result in _work(job):
        print(json.dumps(result), file=results, flush=True)


if __name__ == "__main__":
    _main()
