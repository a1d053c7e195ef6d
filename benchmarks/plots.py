"""Pictures of a run, one PNG each: against the peers, share of the peak, along the width, along the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["draw"]

Results = dict[str, Any]


def draw(results: Results, folder: Path) -> list[Path]:
    """Write the pictures that the results have data for, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, picture in (
        ("peers", _peers),
        ("share_of_peak", _share),
        ("width", lambda results, ax: _sweep(results, ax, "widths")),
        ("batch", lambda results, ax: _sweep(results, ax, "batches")),
    ):
        figure = Figure(figsize=(9, 5), layout="constrained")
        if picture(results, figure.subplots()):
            machine = results["machine"]
            note = f"{machine['cpu']}, one core, fastnet {machine['versions']['fastnet']}, {machine['date']}"
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
    ax.set_title("Share of the core's peak in a whole training step (mark: median)")
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
    ax.set_yscale("log")
    ax.set_xticks(places, [str(p) for p in places], fontsize="small")
    network = "width-width-1, batch 256" if along == "width" else "30-100-1"
    ax.set_xlabel(along)
    ax.set_ylabel("GFLOP/s")
    ax.set_title(f"Training {network}, float32, one core")
    return bool(rows)
