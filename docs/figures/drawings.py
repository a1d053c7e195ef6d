"""The figures of the documentation, drawn by matplotlib when the site is built.

``python docs/figures/drawings.py overview light docs/images/overview.svg`` draws one. The README's picture is
kept in the repository, because it is read there without a build; the others are not.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import fastnet as fn
from fastnet.plot import NetworkDisplay


def published() -> Any:
    """Return the module of the benchmarks that says which results are shown."""
    path = Path(__file__).parents[2] / "benchmarks" / "published.py"
    spec = importlib.util.spec_from_file_location("published", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BLUE, ORANGE, GREEN, PURPLE = "#2f7fd0", "#d9772b", "#2e9e6b", "#9a6bd0"  # at least 3:1 on white and on black
STYLE = {
    "svg.fonttype": "none",  # text stays text: small files, read by screen readers and found by search
    "svg.hashsalt": "fastnet",  # the same file each time
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": mpl.cycler(color=[BLUE, ORANGE, GREEN, PURPLE]),
    "figure.constrained_layout.use": True,
    "lines.linewidth": 2,
}
INK = {"light": "#26323d", "dark": "#d5dde5"}
PAPER = {"light": "#ffffff", "dark": "#131416"}  # furo's own backgrounds


def ink() -> Any:
    """Return the colour of text and lines in the theme that is drawn now."""
    return mpl.rcParams["text.color"]


def paper() -> Any:
    """Return the colour behind the figure in the theme that is drawn now."""
    return mpl.rcParams["figure.facecolor"]


def circle_data() -> tuple[Any, Any]:
    """Return the README's example: two features of 1000 points, and whether each is inside a circle."""
    X = np.random.default_rng(0).normal(size=(2, 1000))
    return X, X[0:1] ** 2 + X[1:2] ** 2 < 1.4


def trained_circle() -> tuple[fn.Network, fn.History]:
    """Return the README's network, trained as there."""
    X, T = circle_data()
    net = fn.Network([fn.Layer(2, 8), fn.Layer(8, 1)], seed=0)
    return net, net.fit(X, T, progress=False)


def draw_points(ax: Any, X: Any, T: Any) -> None:
    """Draw the points of both classes, in two colours and two shapes."""
    inside = T[0].astype(bool)
    ax.plot(*X[:, ~inside], "x", color=ORANGE, ms=3.5, mew=1, label="outside")
    ax.plot(*X[:, inside], "o", color=BLUE, ms=3, mew=0, label="inside")
    ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xlabel="feature 1", ylabel="feature 2")


def draw_boundary(ax: Any, net: fn.Network) -> None:
    """Draw the line on which the network says one half."""
    grid = np.linspace(-3, 3, 121)
    XX, YY = np.meshgrid(grid, grid)
    P = net.predict_proba(np.stack([XX.ravel(), YY.ravel()])).reshape(XX.shape)
    ax.contourf(XX, YY, P, [0.5, 1], colors=[BLUE], alpha=0.18)
    ax.contour(XX, YY, P, [0.5], colors=[ink()], linewidths=1.5)


def circle() -> Figure:
    """Draw the data of the first example, what the network learned, and its loss."""
    X, T = circle_data()
    net, history = trained_circle()
    fig = Figure(figsize=(7.6, 3.5))
    left, right = fig.subplots(1, 2)
    draw_boundary(left, net)
    draw_points(left, X[:, :300], T[:, :300])
    left.set_title("points, and where the network says “inside”", fontsize=10)
    left.legend(loc="lower right", fontsize=8, framealpha=0.8)
    right.plot(range(1, len(history.loss) + 1), history.loss)
    right.set(xlabel="epoch", ylabel="mean cost", ylim=(0, None))
    right.set_title("the cost falls", fontsize=10)
    return fig


def notes_network() -> Figure:
    """Draw the 2-3-1 network of the notes."""
    fig = Figure(figsize=(7, 3.1))
    ax = fig.subplots()
    net = fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)], seed=0)
    labels = ("X = A⁽⁰⁾\n2 × n", "A⁽¹⁾ = σ(W⁽¹⁾X + b⁽¹⁾)\n3 × n", "A⁽²⁾ = σ(W⁽²⁾A⁽¹⁾ + b⁽²⁾)\n1 × n")
    NetworkDisplay(net).plot(ax, labels=labels)
    ax.text(1.5, -1.75, "W⁽¹⁾: 3 × 2, b⁽¹⁾: 3 × 1", ha="center")
    ax.text(4.5, -1.75, "W⁽²⁾: 1 × 3, b⁽²⁾: 1 × 1", ha="center")
    ax.set_ylim(-2.1, 2.9)
    return fig


def notes_sigmoid() -> Figure:
    """Draw the sigmoid and its slope."""
    fig = Figure(figsize=(6, 2.8))
    ax = fig.subplots()
    z = np.linspace(-6, 6, 201)
    a = 1 / (1 + np.exp(-z))
    ax.plot(z, a, label="σ(z) = 1 / (1 + e⁻ᶻ)")
    ax.plot(z, a * (1 - a), "--", label="its slope, σ (1 − σ)")
    ax.set(xlabel="z", ylim=(0, 1.02), xlim=(-6, 6))
    ax.legend(frameon=False, fontsize=9)
    return fig


def notes_cost() -> Figure:
    """Draw the cost of one example against its prediction."""
    fig = Figure(figsize=(6, 2.8))
    ax = fig.subplots()
    a = np.linspace(0.005, 0.995, 199)
    ax.plot(a, -np.log(a), label="target t = 1: −log a")
    ax.plot(a, -np.log(1 - a), "--", label="target t = 0: −log (1 − a)")
    ax.set(xlabel="prediction a", ylabel="cost J", xlim=(0, 1), ylim=(0, 5.4))
    ax.legend(frameon=False, fontsize=9, loc="upper center")
    return fig


def notes_training() -> Figure:
    """Draw the cost and the three predictions of the notes' network over 100 steps."""
    X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]])
    T = np.array([[1.0, 0.0, 1.0]])
    net = fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)], seed=0)
    trainer = fn.Trainer(net, optimizer="sgd", batch_size=3, learning_rate=0.5, shuffle=False)
    predictions = [net.predict_proba(X)[0]]
    history = trainer.fit(
        X, T, epochs=100, progress=False, callbacks=[lambda t: predictions.append(t.predict_proba(X)[0])]
    )
    fig = Figure(figsize=(7.6, 3))
    left, right = fig.subplots(1, 2)
    left.plot(range(100), history.loss)
    left.set(xlabel="steps done", ylabel="mean cost", ylim=(0, None))
    for n, style in enumerate(("-", "--", ":")):
        right.plot(np.array(predictions)[:, n], style, label=f"example {n + 1}, target {T[0, n]:.0f}")
    right.set(xlabel="steps done", ylabel="prediction", ylim=(0, 1))
    right.legend(frameon=False, fontsize=9, loc="center right")
    return fig


def schedules() -> Figure:
    """Draw the learning rate of each schedule over 60 epochs of a learning rate of 1."""
    from fastnet.schedules import Cosine, OneCycle, Position, Step

    chosen = {"Step(every=20)": Step(every=20), "Cosine()": Cosine(), "OneCycle()": OneCycle()}
    fig = Figure(figsize=(7, 3))
    ax = fig.subplots()
    epochs = range(60)
    for (name, schedule), style in zip(chosen.items(), ("-", "--", "-."), strict=True):
        rates = [
            np.mean(schedule.rates(1.0, Position(epoch=e, end=60, batches=10, examples_seen=2000 * e)))
            for e in epochs
        ]
        ax.plot(epochs, rates, style, label=name)
    ax.set(xlabel="epoch", ylabel="learning rate", ylim=(0, None))
    ax.legend(frameon=False, fontsize=9)
    return fig


def batch_way() -> Figure:
    """Draw the way of one batch: from the user's array to new weights."""
    steps = [
        ("your array X", "any strides, read where it lies", GREEN),
        ("fastnet._validate", "shape, dtype and values are checked once", PURPLE),
        ("engine", "pointers and strides; the GIL is released", PURPLE),
        ("kernels of the active build", "chosen by instruction set and dtype", PURPLE),
        ("gather", "the shuffled columns of the batch, into panels", BLUE),
        ("forward, layer by layer", "Z = W A + b, then A = activation(Z)", BLUE),
        ("loss", "cost J, and dZ of the output layer", BLUE),
        ("backward, layer by layer", "dW = dZ Aᵀ, db = Σ dZ, dA = Wᵀ dZ", BLUE),
        ("optimiser", "one step of W and b", BLUE),
        ("new W and b", "bound to the layers when the fit has ended", GREEN),
    ]
    fig = Figure(figsize=(7.6, 6.6))
    ax = fig.subplots()
    for k, (name, what, color) in enumerate(steps):
        y = -k
        ax.add_patch(
            mpl.patches.FancyBboxPatch(
                (0, y - 0.3), 10, 0.6, boxstyle="round,pad=0.06", fc="none", ec=color, lw=1.6
            )
        )
        ax.text(0.15, y, name, va="center", weight="bold", fontsize=9)
        ax.text(4.3, y, what, va="center", fontsize=9)
        if k:
            arrow = {"arrowstyle": "-|>", "color": ink(), "lw": 1.2}
            ax.annotate("", (5, y + 0.34), (5, y + 0.66), arrowprops=arrow)
    ax.plot([10.1, 10.7, 10.7], [-8, -8, -4], color=ORANGE, lw=1.6)
    ax.annotate("", (10.1, -4), (10.76, -4), arrowprops={"arrowstyle": "-|>", "color": ORANGE, "lw": 1.6})
    ax.text(10.9, -6, "next batch,\nwithin the\nsame call", color=ink(), va="center", fontsize=9)
    ax.set(xlim=(-0.2, 12.8), ylim=(-9.6, 0.5))
    ax.set_axis_off()
    return fig


def step_ratios(results: dict[str, Any], peer: str) -> list[tuple[str, float]]:
    """Return the workloads of SGD in float32 and how many times as long the peer takes for a step."""
    found = []
    for row in results["training"]:
        adam = row.get("optimizer") == "adam"
        if row["group"] == "main" and row["peer"] == peer and "ratio" in row and not adam:
            found.append((f"{row['network']}\nbatch {row['batch']}", row["ratio"]["least"]))
    return found


def draw_speed(ax: Any, peer: str) -> None:
    """Draw how many times as fast as the peer a training step is, on each machine."""
    colors = (BLUE, ORANGE)
    shown = published()
    for k, results in enumerate(shown.load(shown.README_MACHINES)):
        rows = step_ratios(results, peer)
        places = np.arange(len(rows)) + 0.38 * (k - 0.5)
        ax.barh(
            places, [ratio for _, ratio in rows], 0.36, color=colors[k], label=shown.machine_name(results)
        )
        for place, (_, ratio) in zip(places, rows, strict=True):
            ax.text(
                ratio * 1.06,
                place,
                f"{ratio:.0f} ×" if ratio >= 10 else f"{ratio:.1f} ×",
                va="center",
                fontsize=8,
            )
        ax.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    ax.set_xscale("log")
    ax.set_xlim(0.5, 3000)
    ax.axvline(1, color=ink(), lw=1, ls=":")
    ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    ax.set_ylim(len(rows) - 0.5, -0.5)  # the first row at the top


def speed() -> Figure:
    """Draw the training steps of two peers beside fastnet's, on two machines."""
    fig = Figure(figsize=(8.2, 4.2))
    axes = fig.subplots(1, 2, sharey=True)
    for ax, peer, name in zip(axes, ("scikit-learn", "torch"), ("scikit-learn", "PyTorch"), strict=True):
        draw_speed(ax, peer)
        ax.set_title(f"times as fast as {name}", fontsize=10)
        ax.set_xlabel("one training step, one core, float32")
    axes[1].legend(frameon=False, fontsize=8, loc="lower right")
    return fig


def overview() -> Figure:
    """Draw the README's picture: what its example learns, and how fast a step is."""
    X, T = circle_data()
    net, _ = trained_circle()
    fig = Figure(figsize=(8.6, 3.5))
    left, right = fig.subplots(1, 2, width_ratios=(1, 1.35))
    draw_boundary(left, net)
    draw_points(left, X[:, :300], T[:, :300])
    left.set_title("What the ten lines below learn", fontsize=10)
    draw_speed(right, "scikit-learn")
    right.set_title("Training: times as fast as scikit-learn's MLP", fontsize=10)
    right.set_xlabel("one training step on one core, float32")
    right.legend(frameon=False, fontsize=8, loc="lower right")
    return fig


DRAWINGS: dict[str, Callable[[], Figure]] = {
    draw.__name__: draw
    for draw in (
        circle,
        notes_network,
        notes_sigmoid,
        notes_cost,
        notes_training,
        schedules,
        batch_way,
        speed,
        overview,
    )
}


def save(name: str, theme: str, path: Path) -> None:
    """Draw a figure in the colours of a theme."""
    colors = dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK[theme]
    )
    faces = dict.fromkeys(
        ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor"), PAPER[theme]
    )
    with mpl.rc_context({**STYLE, **colors, **faces}):
        DRAWINGS[name]().savefig(path, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    save(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
