"""``python -m benchmarks``: run fastnet against the installed peers and lay out what came of it."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import footprint, goals, jobs, neighbour, published, report, roofline, startup
from benchmarks.peers import PREDICTORS, TRAINERS, missing
from benchmarks.workloads import GROUPS, ROWS, chosen
from fastnet import bench

_OTHER = ("threads", "inference", "startup", "footprint")
_LARGE = [workload.name for workload in GROUPS["main"] if workload.flops > 1e9]  # what --busy measures again
_ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        if arguments.write_readme or arguments.write_performance:
            _write_pages(arguments)
            if arguments.load is None:
                return 0
        if arguments.load is None:
            results = _measure(arguments)
        else:
            results = json.loads(arguments.load.read_text(encoding="utf-8"))
        _give(results, arguments)
    except (ValueError, ImportError, OSError) as error:
        parser.error(str(error))
    rows = [*results["training"], *results["inference"], *results.get("threads", [])]
    return int(any("error" in row or not row.get("agreement", {}).get("agrees", True) for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    groups = ", ".join([*GROUPS, *_OTHER])
    add = parser.add_argument
    add("--workloads", nargs="+", default=[*GROUPS, *_OTHER], metavar="NAME",
        help=f"groups ({groups}) or single workloads; default: all")  # fmt: skip
    add("--peers", nargs="+", default=list({**TRAINERS, **PREDICTORS}), metavar="NAME",
        help=f"some of {', '.join({**TRAINERS, **PREDICTORS})}; default: those installed")  # fmt: skip
    add("--quick", action="store_true", help="short slices and few of them: for a look, not to publish")
    add("--busy", action="store_true",
        help=f"measure {' and '.join(_LARGE)} once more, another process busy on another core")  # fmt: skip
    add("--core", type=int, metavar="N", help="run on this core; default: the last one allowed")
    add("--load", type=Path, metavar="FILE", help="measure nothing: take the results of --json from a file")
    add("--json", type=Path, metavar="FILE", help="write all results as JSON")
    add("--plots", type=Path, metavar="DIR", help="write pictures (needs matplotlib)")
    add("--table", action="store_true", help="print Markdown tables; also done if nothing else is asked for")
    add("--write-readme", action="store_true",
        help="put the published results' table between the marks in README.md; measures nothing")  # fmt: skip
    add("--write-performance", action="store_true",
        help="the same with all of their tables in docs/performance.md")  # fmt: skip
    add("--write-roofline", action="store_true", help="put the numbers between the marks in docs/roofline.md")
    return parser


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure what was asked for, each peer in a process of its own."""
    if unknown := set(arguments.peers) - {*TRAINERS, *PREDICTORS}:
        raise ValueError(f"unknown peers {sorted(unknown)}: expected some of {[*TRAINERS, *PREDICTORS]}")
    pairs = chosen([name for name in arguments.workloads if name not in _OTHER])
    absent = {name: what for name in arguments.peers if (what := missing(name))}
    for name, what in absent.items():
        _say(f"{name} is left out: {', '.join(what)} not installed")
    present = [name for name in arguments.peers if name not in absent]
    again = [workload.name for _, workload in pairs if workload.name in _LARGE] if arguments.busy else []
    if arguments.busy and not again:
        raise ValueError(f"--busy needs {' or '.join(_LARGE)} among --workloads, got {arguments.workloads}")
    common = {"core": arguments.core, "quick": arguments.quick}

    _say("the machine")
    (machine,) = jobs.results({"kind": "machine", **common})
    if "error" in machine:
        raise ValueError(f"measuring the machine failed: {machine['error']}")
    beside = neighbour.core_beside(machine["core"]) if again else -1
    results: dict[str, Any] = {
        "command": _command(arguments),
        "quick": arguments.quick,
        "machine": machine,
        "peers": present,
        "missing": absent,
        "training": [],
        "builds": [],
        "inference": [],
    }
    alone = [workload.name for group, workload in pairs if group in ("main", "float64", "alone")]
    if alone:
        (found,) = jobs.results({"kind": "builds", "workloads": alone, **common})
        results["builds"] = found.get("training", [])
    names = [workload.name for group, workload in pairs if group != "alone"]
    for peer in present:
        if peer in TRAINERS and names:
            job = {"kind": "training", "peer": peer, "workloads": names, **common}
            results["training"] += jobs.results(job)
        if peer in TRAINERS and again:
            with neighbour.busy(beside) as results["busy"]:
                job = {"kind": "training", "group": "busy", "peer": peer, "workloads": again, **common}
                results["training"] += jobs.results(job)
        if peer in PREDICTORS and "inference" in arguments.workloads:
            job = {"kind": "inference", "peer": peer, "rows": ROWS, **common}
            results["inference"] += jobs.results(job)
    if "threads" in arguments.workloads:
        job = {"kind": "threads", "workloads": ["main"], **common}
        results["threads"] = list(jobs.results(job))
    bench.pin(machine["core"])
    if "startup" in arguments.workloads:
        results["startup"] = startup.measure(arguments.quick, _say)
    if "footprint" in arguments.workloads:
        results["footprint"] = footprint.measure(arguments.quick, _say)
    return results


def _write_pages(arguments: argparse.Namespace) -> None:
    """Write the results that `published` names into the README and the performance page."""
    if arguments.write_readme:
        shown = published.load(published.README_MACHINES)
        report.write_between(_ROOT / "README.md", "benchmarks", report.readme(shown))
    if arguments.write_performance:
        page = _ROOT / "docs" / "performance.md"
        report.write_between(page, "benchmarks", report.performance_page(published.load()))


def _give(results: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(_json(results), encoding="utf-8")
    if arguments.plots is not None:
        from benchmarks import plots  # matplotlib only where it is asked for

        for path in plots.draw(results, arguments.plots):
            _say(f"wrote {path}")
    if arguments.write_roofline:
        page = _ROOT / "docs" / "roofline.md"
        report.write_between(page, "roofline", roofline.page(results))
        report.write_between(page, "goals", goals.table(results))
    written = arguments.write_readme or arguments.write_performance or arguments.write_roofline
    silent = arguments.json or arguments.plots or written
    if arguments.table or not silent:
        print(report.tables(results))


def _json(results: dict[str, Any]) -> str:
    """Return JSON with a measurement on each line, so that two runs can be compared with diff."""
    parts = []
    for key, value in _rounded(results).items():
        text = json.dumps(value)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            text = "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]"
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _rounded(value: Any) -> Any:
    """Return the same with six digits of each float: more than a measurement has, half the file."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value


def _command(arguments: argparse.Namespace) -> str:
    """Return the command that measures this again: without where the results went."""
    defaults = _parser().parse_args([])
    parts = ["python", "-m", "benchmarks"]
    for name in ("workloads", "peers"):
        if getattr(arguments, name) != getattr(defaults, name):
            parts += [f"--{name}", *getattr(arguments, name)]
    parts += ["--busy"] if arguments.busy else []
    parts += ["--quick"] if arguments.quick else []
    parts += ["--core", str(arguments.core)] if arguments.core is not None else []
    return shlex.join(parts)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
