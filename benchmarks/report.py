"""Results as Markdown: for the terminal, the README's table, and the documentation's performance page."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.published import machine_name

__all__ = [
    "about",
    "markdown_table",
    "optimizer_of",
    "performance_page",
    "readme",
    "tables",
    "time_text",
    "write_between",
]

Results = dict[str, Any]


def tables(results: Results) -> str:
    """Return everything that was measured."""
    parts = [
        about(results),
        _training(results, ("main", "float64")),
        _busy(results),
        _threads(results),
        *(_sweep(results, group) for group in ("widths", "batches")),
        _builds(results),
        _inference(results),
        _beginning(results),
        _slower(results, whole_fits=True),
        _left_out(results),
    ]
    return "\n\n".join(part for part in parts if part)


README_WORKLOADS = ("tiny-32", "small", "medium", "large", "huge")
README_PEERS = {"scikit-learn": "scikit-learn", "torch": "PyTorch"}


def readme(machines: Sequence[Results]) -> str:
    """Return the README's table: a row for each of five networks, two columns for each machine."""
    named = [(machine_name(results), results) for results in machines]
    peers = " / ".join(README_PEERS.values())
    head = ["network, batch"]
    for name, _ in named:
        head += [f"{name}: one step", f"{peers} takes"]
    body = []
    for workload in README_WORKLOADS:
        cells = []
        for _, results in named:
            rows = [row for row in results["training"] if row["workload"] == workload and "ratio" in row]
            pairs = [row for row in rows if row["group"] == "main"]
            ratios = {row["peer"]: row["ratio"]["least"] for row in pairs}
            known = [f"{ratios[peer]:.3g} ×" if peer in ratios else "–" for peer in README_PEERS]
            cells += [time_text(_step(pairs)[0]), " / ".join(known)]
        body.append([f"{pairs[0]['network']}, {pairs[0]['batch']}", *cells])
    dates = "; ".join(f"{name}, {results['machine']['date']}" for name, results in named)
    return f"{markdown_table(head, body)}\n\nOne core, float32, plain SGD. {dates}."


def performance_page(machines: Sequence[Results]) -> str:
    """Return the tables of the performance page, a section for each machine."""
    sections = (f"## {machine_name(results)}\n\n{_machine_section(results)}" for results in machines)
    return "\n\n".join(sections)


def _machine_section(results: Results) -> str:
    """Return a machine's tables: main workloads, predictions, start, lost cases, and the command."""
    parts = [
        _training(results, ("main", "float64")),
        _busy(results),
        _threads(results),
        _inference(results),
        _beginning(results),
        _slower(results, whole_fits=False),
        about(results),
        results.get("note", ""),
        f"The command that repeats it:\n\n```sh\n{results['command']}\n```",
    ]
    return "\n\n".join(part for part in parts if part)


def write_between(path: Path, name: str, text: str) -> None:
    """Replace what stands between <!-- name --> and <!-- /name -->; ValueError unless both are there once."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    whole = path.read_text(encoding="utf-8")
    before, found, rest = whole.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed or begin in after or end in after:
        raise ValueError(f"{path} must have one {begin} and after it one {end}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def about(results: Results) -> str:
    """Return the machine, its limits, the versions and the date, in a few sentences."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    build = machine["isa"]
    peaks = [
        f"{peak['median'] * 1e-9:.0f} GFLOP/s in {dtype}"
        for dtype in ("float32", "float64")
        if (peak := machine["limits"]["flops"].get(f"{build} {dtype}"))
    ]
    return (
        f"One core (number {machine['core']}) of: {machine['cpu']}, {machine['system']}; fastnet's build "
        f"{build}. The core's multiply-adds reach {' and '.join(peaks)}, a large copy "
        f"{_rate(machine['limits']['bytes'])} (read and written together). {versions}. {machine['date']}."
    )


def _rate(summary: dict[str, float]) -> str:
    return f"{summary['median'] * 1e-9:.1f} GB/s"


def _rows_of(results: Results, groups: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the pairs of each workload that was measured."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in results["training"]:
        if row["group"] in groups and "ratio" in row:
            found.setdefault(row["workload"], []).append(row)
    yield from found.values()


def _step(pairs: list[dict[str, Any]], side: str = "fastnet") -> tuple[float, float]:
    """Return fastnet's least and median over all pairs of a workload."""
    return min(p[side]["least"] for p in pairs), statistics.median(p[side]["median"] for p in pairs)


def _shares(pairs: list[dict[str, Any]]) -> str:
    return f"{max(p['share'] for p in pairs):.0%} ({statistics.median(p['share_median'] for p in pairs):.0%})"


def _training(results: Results, groups: tuple[str, ...]) -> str:
    if not (table := _steps(results, groups)):
        return ""
    return (
        "**Training.** All layers are sigmoids, the loss is binary cross-entropy, and the rows are shuffled. "
        "`step` is the time of one batch within an epoch. `fit` is the time of a whole `Network.fit` divided "
        "by its batches. Both are CPU times: the least of all repeats, and the median in brackets. `of peak` "
        "compares the products with the multiply-adds that the core can do. Under the name of another "
        "library: how many times as long its step takes, measured in turns with fastnet's.\n\n"
        f"{table}"
    )


def _busy(results: Results) -> str:
    if not (table := _steps(results, ("busy",))):
        return ""
    busy = results["busy"]
    return (
        f"**Training beside a busy neighbour.** Meanwhile core {busy['core']} copies through "
        f"{busy['bytes'] * 1e-6:.0f} MB, {busy['bytes_per_second'] * 1e-9:.1f} GB/s read and written."
        f"\n\n{table}"
    )


def _threads(results: Results) -> str:
    """Return a row for each number of threads above one."""
    rows = [row for row in results.get("threads", []) if "ratio" in row]
    alone = {row["workload"]: row["seconds"] for row in rows if row["threads"] == 1}
    head = [
        "network",
        "batch",
        "dtype",
        "optimiser",
        "threads",
        "used",
        "one thread",
        "so many",
        "times as fast",
    ]
    body = [
        [
            row["network"],
            str(row["batch"]),
            row["dtype"],
            optimizer_of(row),
            str(row["threads"]),
            str(row["used"]),
            _pair(alone[row["workload"]]["least"], alone[row["workload"]]["median"]),
            _pair(row["seconds"]["least"], row["seconds"]["median"]),
            _ratio(row["ratio"]),
        ]
        for row in rows
        if row["threads"] > 1
    ]
    text = (
        "**Threads.** The wall time of one step. `threads` is the number allowed, and `used` the number that "
        "a fit takes: small work stays on one."
    )
    return f"{text}\n\n{markdown_table(head, body)}" if body else ""


def _steps(results: Results, groups: tuple[str, ...]) -> str:
    """Return the table of the main workloads in these groups."""
    rows = list(_rows_of(results, groups))
    if not rows:
        return ""
    peers = [name for name in results["peers"] if any(p["peer"] == name for pairs in rows for p in pairs)]
    head = ["network", "batch", "dtype", "optimiser", "step", "`fit`", "GFLOP/s", "of peak", *peers]
    body = []
    for pairs in rows:
        first = pairs[0]
        least, median = _step(pairs)
        fit, fit_median = _step(pairs, "fit")
        ratios = {p["peer"]: p["ratio"] for p in pairs}
        body.append(
            [
                first["network"],
                str(first["batch"]),
                first["dtype"],
                optimizer_of(first),
                _pair(least, median),
                _pair(fit, fit_median),
                f"{first['flops'] / least * 1e-9:.0f}",
                _shares(pairs),
                *(_ratio(ratios.get(name)) for name in peers),
            ]
        )
    return markdown_table(head, body)


def optimizer_of(row: dict[str, Any]) -> str:
    """Return the name of a row's optimiser as people write it."""
    return "Adam" if row.get("optimizer") == "adam" else "SGD"  # files before Adam do not say


def _sweep(results: Results, group: str) -> str:
    rows = list(_rows_of(results, (group,)))
    head = ["network", "batch", "step", "GFLOP/s", "of peak", "fastest peer", "times as long"]
    body = []
    for pairs in rows:
        least, median = _step(pairs)
        nearest = min(pairs, key=lambda p: p["ratio"]["least"])
        body.append(
            [
                pairs[0]["network"],
                str(pairs[0]["batch"]),
                _pair(least, median),
                f"{pairs[0]['flops'] / least * 1e-9:.1f}",
                _shares(pairs),
                nearest["peer"],
                _ratio(nearest["ratio"]),
            ]
        )
    return f"Sweep: {group}, float32.\n\n{markdown_table(head, body)}" if body else ""


def _builds(results: Results) -> str:
    rows = results["builds"]
    builds = list(dict.fromkeys(row["isa"] for row in rows))
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        text = f"{time_text(row['seconds']['least'])}, {row['share']:.0%} ({row['share_median']:.0%})"
        key = (row["network"], str(row["batch"]), row["dtype"], optimizer_of(row))
        cells.setdefault(key, {})[row["isa"]] = text
    body = [[*key, *(texts.get(build, "") for build in builds)] for key, texts in cells.items()]
    table = markdown_table(["network", "batch", "dtype", "optimiser", *builds], body)
    return (
        f"fastnet's builds: least time of a step, share of that build's own peak.\n\n{table}" if body else ""
    )


def _inference(results: Results) -> str:
    rows = results["inference"]
    head = ["network", "rows", "peer", "`predict_proba`", "GFLOP/s", "peer takes", "times as long"]
    body = [
        [
            row["network"],
            f"{row['rows']:,}",
            row["peer"],
            _pair(row["fastnet"]["least"], row["fastnet"]["median"]),
            f"{row['flops'] / row['fastnet']['least'] * 1e-9:.1f}",
            _pair(row["peer_seconds"]["least"], row["peer_seconds"]["median"]),
            _ratio(row["ratio"]),
        ]
        for row in rows
        if "ratio" in row
    ]
    return (
        "**Prediction**, in float32: one call of `predict_proba`, with all its checks.\n\n"
        f"{markdown_table(head, body)}"
        if body
        else ""
    )


def _beginning(results: Results) -> str:
    lines = []
    if startup := results.get("startup"):
        more = startup["import_more_than_numpy"]
        lines.append(
            f"`import fastnet` takes {1e3 * more['least']:.0f} ms longer than `import numpy` (medians "
            f"{1e3 * more['median']:.0f} ms)."
        )
        fits = startup["first_fit_seconds"].items()
        text = ", ".join(f"{name} {_pair(s['least'], s['median'])}" for name, s in fits)
        lines.append(f"Import and a first small fit in a fresh interpreter, wall time: {text}.")
    if footprint := results.get("footprint"):
        sizes = footprint["installed_bytes"].items()
        lines.append("Installed: " + ", ".join(f"{name} {size * 1e-6:.1f} MB" for name, size in sizes) + ".")
        memory = footprint.get("memory_bytes", {}).items()
        if memory:
            text = "; ".join(f"{name}: {size * 1e-6:.1f} MB" for name, size in memory)
            lines.append(f"Memory beyond input and output: {text}.")
    return "\n".join(lines)


def _slower(results: Results, whole_fits: bool) -> str:
    """Return every pair that fastnet loses, by least times or by medians."""
    steps, fits = [], []
    for row in [*results["training"], *results["inference"]]:
        if "ratio" not in row:
            continue
        ratio = row["ratio"]
        size = f"batch {row['batch']}" if "batch" in row else f"predict {row['rows']:,} rows"
        rule = ", Adam" if row.get("optimizer") == "adam" else ""
        beside = ", beside a busy neighbour" if row.get("group") == "busy" else ""
        what = f"- {row['network']}, {size}, {row['dtype']}{rule}{beside}: {row['peer']} takes"
        if min(ratio["least"], ratio["median"]) < 1:
            steps.append(f"{what} {_ratio(ratio)} as long")
        elif min(ratio.get("fit_least", 1), ratio.get("fit_median", 1)) < 1:
            fits.append(f"{what} {ratio['fit_least']:.3g} ({ratio['fit_median']:.3g}) as long")
    text = "Where fastnet is slower:\n\n" + "\n".join(steps)
    if not steps:
        text = "fastnet was slower than a peer in no case measured."
    if fits and whole_fits:
        few = "a fit of few steps: on the widest networks of one epoch"
        text += f"\n\nWhere only a whole `fit` is slower than a peer's bare steps ({few}):\n\n"
        text += "\n".join(fits)
    return text


def _left_out(results: Results) -> str:
    lines = [f"- {name}: not installed ({', '.join(what)})" for name, what in results["missing"].items()]
    for row in [*results["training"], *results["inference"]]:
        where = f"- {row['peer']}, {row['workload']}:"
        if reason := row.get("left_out") or row.get("error"):
            lines.append(f"{where} {reason}")
        elif not row["agreement"].get("agrees", True):
            found = row["agreement"]
            lines.append(
                f"{where} RESULTS DIFFER by {found['difference']:.1e}, more than {found['bound']:.1e}"
            )
    return "Left out, or not in order:\n\n" + "\n".join(lines) if lines else ""


def markdown_table(head: list[str], body: list[list[str]]) -> str:
    """Return the table, a line for each row."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def time_text(seconds: float) -> str:
    """Return a time with three digits and its unit."""
    for unit, factor in (("s", 1), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def _pair(least: float, median: float) -> str:
    return f"{time_text(least)} ({time_text(median)})"


def _ratio(ratio: dict[str, float] | None) -> str:
    return f"{ratio['least']:.3g} ({ratio['median']:.3g})" if ratio else ""
