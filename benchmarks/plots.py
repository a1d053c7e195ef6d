"""Pictures of a run, one PNG each: peers, share of the peak, width, batch, threads, bounds, roofline."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import roofline

__all__ = ["draw"]

Results = dict[str, Any]


def draw(results: Results, folder: Path) -> list[Path]:
    """Write the pictures that the results have data for, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, picture, size in (
        ("peers", _peers, (11, 5)),
        ("share_of_peak", _share, (11, 5)),
        ("width", lambda results, ax: _sweep(results, ax, "widths"), (9, 5)),
        ("batch", lambda results, ax: _sweep(results, ax, "batches"), (9, 5)),
        ("threads", _threads, (11, 5)),
        ("bounds", _bounds, (11, 5)),
        ("roofline", _roofline, (9, 6)),
    ):
        figure = Figure(figsize=size, layout="constrained")
        if picture(results, figure.subplots()):
            machine = results["machine"]
            cores = "" if name == "threads" else ", one core"
            note = f"{machine['cpu']}{cores}, fastnet {machine['versions']['fastnet']}, {machine['date']}"
            figure.supxlabel(note, fontsize="x-small", color="gray")
            path = folder / f"{name}.png"
            figure.savefig(path, dpi=120)
            written.append(path)
    return written


def _rows(results: Results, group: str) -> list[dict[str, Any]]:
    return [row for row in results["training"] if row["group"] == group and "ratio" in row]


def _label(row: dict[str, Any]) -> str:
    rule = ", Adam" if row.get("optimizer") == "adam" else ""
    return f"{row['network']}\nbatch {row['batch']}{rule}"


def _peers(results: Results, ax: Axes) -> bool:
    """Bars: how many times as long a step of each peer takes; whiskers over half of the rounds."""
    rows = _rows(results, "main")
    labels = list(dict.fromkeys(map(_label, rows)))
    names = [name for name in results["peers"] if any(row["peer"] == name for row in rows)]
    for k, name in enumerate(names):
        own = [row for row in rows if row["peer"] == name]
        places = [labels.index(_label(row)) + (k - (len(names) - 1) / 2) * 0.8 / len(names) for row in own]
        rounds = [row["ratio"]["rounds"] for row in own]
        medians = [r["median"] for r in rounds]
        ends = [[r["median"] - r["low"] for r in rounds], [r["high"] - r["median"] for r in rounds]]
        ax.bar(places, medians, 0.8 / len(names), yerr=ends, label=name, error_kw={"lw": 0.8})
    ax.axhline(1, color="black", lw=1)
    ax.set_yscale("log")
    ax.set_xticks(range(len(labels)), labels, fontsize="small")
    ax.set_ylabel("time of a step, fastnet's = 1")
    ax.set_title("Training, float32, one core: how much longer the others take")
    if names:
        ax.legend(fontsize="small")
    return bool(rows)


def _share(results: Results, ax: Axes) -> bool:
    """Bars: share of each build's own peak, of the least time; a mark at the median."""
    rows = [row for row in results["builds"] if row["isa"] not in ("portable", "v2")]
    labels = list(dict.fromkeys(map(_label, rows)))
    series = sorted({(row["dtype"], row["isa"]) for row in rows})
    for k, (dtype, isa) in enumerate(series):
        own = [row for row in rows if (row["dtype"], row["isa"]) == (dtype, isa)]
        places = [labels.index(_label(row)) + (k - (len(series) - 1) / 2) * 0.8 / len(series) for row in own]
        ax.bar(places, [row["share"] for row in own], 0.8 / len(series), label=f"{isa}, {dtype}")
        ax.plot(places, [row["share_median"] for row in own], "k_", ms=8)
    ax.set_ylim(0, 1)
    ax.set_xticks(range(len(labels)), labels, fontsize="small")
    ax.set_ylabel("flops of the products / FMA peak of the build")
    ax.set_title("Share of the core's FMA peak in a whole training step (mark: median)")
    if rows:
        ax.legend(fontsize="small")
    return bool(rows)


def _sweep(results: Results, ax: Axes, group: str) -> bool:
    """Lines: GFLOP/s of fastnet and of each peer."""
    rows = _rows(results, group)
    along = "batch" if group == "batches" else "width"

    def place(row: dict[str, Any]) -> int:
        return int(row["batch"]) if along == "batch" else int(row["network"].split("-")[0])

    places = sorted(set(map(place, rows)))
    best = [max(r["flops"] / r["fastnet"]["least"] for r in rows if place(r) == p) for p in places]
    ax.plot(places, [rate * 1e-9 for rate in best], "k-o", lw=2, ms=4, label="fastnet")
    for name in [name for name in results["peers"] if any(row["peer"] == name for row in rows)]:
        own = [row for row in rows if row["peer"] == name]
        rates = [row["flops"] / row["peer_seconds"]["least"] * 1e-9 for row in own]
        ax.plot([place(row) for row in own], rates, "-o", ms=3, label=name)
    if rows:
        peak = max(row["peak"]["median"] for row in rows) * 1e-9
        ax.axhline(peak, color="gray", ls=":", label="FMA peak")
        ax.legend(fontsize="small")
    ax.set_xscale("log", base=2)
    if along == "batch":  # of widths the wide ones are near each other, and they decide
        ax.set_yscale("log")
    near = [q for p, q in pairwise(places) if q < 1.1 * p]  # 1000 and 1024: a label for both
    names = ["" if p in near else str(p) for p in places]
    ax.set_xticks(places, names, fontsize="small")
    network = "width-width-1, batch 256" if along == "width" else "30-100-1"
    ax.set_xlabel(along)
    ax.set_ylabel("GFLOP/s")
    ax.set_title(f"Training {network}, float32, one core")
    return bool(rows)


def _threads(results: Results, ax: Axes) -> bool:
    """Bars: how many times as fast with so many threads; whiskers over half of the rounds."""
    rows = [row for row in results.get("threads", []) if "ratio" in row]
    labels = list(dict.fromkeys(map(_label, rows)))
    counts = sorted({row["threads"] for row in rows} - {1})
    for k, count in enumerate(counts):
        own = [row for row in rows if row["threads"] == count]
        places = [labels.index(_label(row)) + (k - (len(counts) - 1) / 2) * 0.8 / len(counts) for row in own]
        rounds = [row["ratio"]["rounds"] for row in own]
        medians = [r["median"] for r in rounds]
        ends = [[r["median"] - r["low"] for r in rounds], [r["high"] - r["median"] for r in rounds]]
        width = min(0.8 / len(counts), 0.5)
        bars = ax.bar(places, medians, width, yerr=ends, label=f"{count} threads", error_kw={"lw": 0.8})
        used = ["" if row["used"] == count else f"{row['used']} used" for row in own]
        ax.bar_label(bars, used, label_type="center", fontsize="x-small", color="white")
        ax.axhline(count, color=bars.patches[0].get_facecolor(), lw=1, ls=":")
    ax.axhline(1, color="black", lw=1)
    ax.set_xticks(range(len(labels)), labels, fontsize="small")
    ax.set_ylabel("times as fast as one thread")
    ax.set_title("Training on several threads, float32, wall time (dotted: as many times as threads)")
    if counts:
        ax.legend(fontsize="small", loc="upper left")
    return bool(counts)


def _roofs(results: Results) -> list[dict[str, Any]]:
    """Return the roofs in float32; nothing where the results have no levels or their build no tile."""
    try:
        return [roof for roof in roofline.roofs(results) if roof["dtype"] == "float32"]
    except ValueError:
        return []


def _bounds(results: Results, ax: Axes) -> bool:
    """Bars: the time that each part of a step takes at its ceiling, as a share of what the step takes."""
    found = _roofs(results)
    names = list(found[0]["parts"]) if found else []
    for k, name in enumerate(names):
        places = [n + (k - (len(names) - 1) / 2) * 0.85 / len(names) for n in range(len(found))]
        shares = [roof["parts"][name] / roof["seconds"]["least"] for roof in found]
        ax.bar(places, shares, 0.85 / len(names), label=name)
    for n, roof in enumerate(found):
        roofs = roof["roof"] / roof["seconds"]["least"]
        ax.plot([n - 0.45, n + 0.45], [roofs, roofs], color="black", lw=1.5, label=None if n else "roof")
    ax.set_ylim(0, 1.2)  # room for the legend
    ax.set_xticks(range(len(found)), list(map(_label, found)), fontsize="small")
    ax.set_ylabel("time at the ceiling / time of the step")
    ax.set_title("What bounds a training step, float32 (roof: the slowest of FMA to memory, and the rest)")
    if found:
        ax.legend(fontsize="small", ncols=4, loc="upper left")
    return bool(found)


def _roofline(results: Results, ax: Axes) -> bool:
    """Lines: what the core and each level of the caches allow; points: where the workloads are, float32.

    A workload has a point for each level, all at the speed it reaches: flops over the bytes from that level.
    Each lies below the line of its colour; the one that comes nearest to its line, or to the top, binds.
    """
    found = [roof for roof in _roofs(results) if roof["optimizer"] == "sgd"]  # Adam's lie on top of them
    if not found:
        return False
    limits = results["machine"]["limits"]
    peak = max(roof["peak"] for roof in found) * 1e-9
    along = np.geomspace(0.1, 2e3, 200)
    lines = [ax.plot(along, np.full(200, peak), color="black", lw=1.5, label=f"FMA, {peak:.0f} GFLOP/s")[0]]
    for k, level in enumerate(roofline.LEVELS):
        rate = limits["levels"][level]["median"] * 1e-9
        speeds = np.minimum(peak, rate * along)
        lines += ax.plot(along, speeds, color=f"C{k}", lw=1.2, label=f"{level}, {rate:.0f} GB/s")
    shapes = []
    for roof, shape in zip(found, "osD^vPX", strict=False):
        speed = 1e-9 * roof["flops"] / roof["seconds"]["least"]
        x = {level: roof["flops"] / count for level, count in roof["bytes"].items() if count}
        ax.plot([min(x.values()), max(x.values())], [speed, speed], color="gray", lw=0.6, zorder=0)
        for level, place in x.items():
            ax.plot(place, speed, shape, color=f"C{roofline.LEVELS.index(level)}", ms=6)
        name = f"{roof['network']}, batch {roof['batch']}"
        shapes += ax.plot([], [], shape, color="gray", ms=6, label=name)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(along[0], along[-1])
    ax.set_ylim(1, peak * 1.6)
    ax.set_xlabel("flops of a step / bytes from the level")
    ax.set_ylabel("GFLOP/s")
    ax.set_title("Roofline: a training step in float32, SGD")
    ax.add_artist(ax.legend(handles=lines, fontsize="small", loc="lower right"))
    ax.legend(handles=shapes, fontsize="small", loc="lower right", bbox_to_anchor=(0.8, 0))
    return True
