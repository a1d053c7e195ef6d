"""Bars of a benchmark: what was measured, how fast it is, and on which machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from fastnet.plot._axes import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BenchmarkDisplay"]


class BenchmarkDisplay:
    """Bars of a benchmark on a logarithmic scale, each with its number.

    `from_results` draws what ``fastnet bench --json`` prints.

    Parameters
    ----------
    labels : sequence of str
        What was measured.
    bars : mapping of str to sequence of float
        For each series, by its name in the legend, a number > 0 for each label.
    texts : mapping of str to sequence of str, optional
        What stands at the end of each bar; by default its number.
    xlabel, title : str

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    bars_ : list of matplotlib.container.BarContainer
        One for each series.

    Raises
    ------
    ValueError
        If a series has not a number > 0 for each label.

    Examples
    --------
    >>> from fastnet.plot import BenchmarkDisplay
    >>> display = BenchmarkDisplay(["2-3-1", "30-100-1"], {"times as fast": [520.0, 12.7]})
    >>> ax = display.plot().ax_  # doctest: +SKIP
    """

    ax_: Axes
    figure_: Figure | Any
    bars_: list[Any]

    def __init__(
        self,
        labels: Sequence[str],
        bars: Mapping[str, Sequence[float]],
        *,
        texts: Mapping[str, Sequence[str]] | None = None,
        xlabel: str = "",
        title: str = "",
    ) -> None:
        for name, values in bars.items():
            if len(values) != len(labels):
                raise ValueError(f"bars[{name!r}] must hold {len(labels)} numbers, got {len(values)}")
            if not all(value > 0 for value in values):
                raise ValueError(f"bars[{name!r}] must hold numbers greater than 0, got {min(values):g}")
        self.labels, self.bars, self.xlabel, self.title = list(labels), dict(bars), xlabel, title
        self.texts = dict(texts or {})

    @classmethod
    def from_results(
        cls, results: Mapping[str, Any], *, build: str | None = None, ax: Axes | None = None
    ) -> Self:
        """Draw how many training steps a second this machine does, by `fastnet.bench.run`.

        Parameters
        ----------
        results : dict
            From ``fastnet.bench.run()``, or what ``fastnet bench --json`` prints.
        build : str, optional
            Which build of the core; by default the one that was in use.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default axes of a new figure of pyplot.

        Returns
        -------
        BenchmarkDisplay

        Raises
        ------
        ValueError
            If the results hold nothing of that build.
        ImportError
            If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.

        Examples
        --------
        >>> from fastnet import bench
        >>> from fastnet.plot import BenchmarkDisplay
        >>> display = BenchmarkDisplay.from_results(bench.run(quick=True))  # doctest: +SKIP
        """
        build = results["isa"] if build is None else build
        rows = [row for row in results["training"] if row["isa"] == build]
        if not rows:
            known = ", ".join(dict.fromkeys(row["isa"] for row in results["training"])) or "none"
            raise ValueError(f"build must be one of those in the results, {known}, got {build!r}")
        labels, seconds = [], []
        for row in rows:
            rule = "" if row["optimizer"] == "sgd" else f", {row['optimizer']}"
            labels.append(f"{row['network']}, batch {row['batch']}{rule}")
            seconds.append(row["seconds"]["least"])
        name = f"fastnet {results['versions']['fastnet']}, build {build}"
        return cls(
            labels,
            {name: [1 / second for second in seconds]},
            texts={name: [_time(second) for second in seconds]},
            xlabel="training steps in a second (at the bar: the time of one)",
            title=f"One core of this machine, {rows[0]['dtype']}, {name}",
        ).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the bars, and return this display; the first label is at the top.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default axes of a new figure of pyplot.

        Returns
        -------
        BenchmarkDisplay

        Raises
        ------
        ImportError
            If matplotlib is missing; ``pip install "fastnet-mlp[plot]"`` brings it.
        """
        ax = axes_or_new(ax)
        self.bars_ = []
        width = 0.76 / max(1, len(self.bars))
        for k, (name, values) in enumerate(self.bars.items()):
            places = [place + width * (k - (len(self.bars) - 1) / 2) for place in range(len(values))]
            texts = self.texts.get(name) or [f"{v:.0f}" if v >= 10 else f"{v:.1f}" for v in values]
            self.bars_.append(ax.barh(places, values, 0.95 * width, label=name))
            ax.bar_label(self.bars_[-1], texts, padding=3, fontsize=8)
        ax.set_xscale("log")
        every = [value for values in self.bars.values() for value in values]
        if every:
            ax.set_xlim(min(every) / 4, max(every) * 8)  # the least bar is seen; room for the texts
        ax.set_yticks(range(len(self.labels)), self.labels, fontsize=8)
        ax.set_ylim(len(self.labels) - 0.5, -0.5)
        ax.set(xlabel=self.xlabel, title=self.title)
        if len(self.bars) > 1:
            ax.legend(fontsize=8)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _time(seconds: float) -> str:
    """Return a time with its unit.

    >>> _time(2.5e-6), _time(0.018)
    ('2.5 µs', '18 ms')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
