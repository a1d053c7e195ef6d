"""Pictures: displays of a training, a network and a benchmark, and how notebooks show a network."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import fastnet as fn
from fastnet import cli, plot

SVG = "{http://www.w3.org/2000/svg}"
XOR = [[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]


@pytest.fixture
def ax() -> Any:
    pytest.importorskip("matplotlib")
    return plot.new_figure().subplots()


def svg_of(net: fn.Network) -> ElementTree.Element:
    """Return the drawing that a notebook shows; it must be well formed."""
    return ElementTree.fromstring(re.search(r"<svg.*?</svg>", net._repr_html_(), re.DOTALL)[0])  # type: ignore[index]


# ---- loss curve


def test_plot_writes_a_picture(tmp_path: Path, ax: Any) -> None:
    assert cli.main(["demo", "--epochs", "3", "--json", "--plot", str(tmp_path / "loss.png")]) == 0
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert plot.plot_history(fn.History([0.5, 0.25], [1.0, 1.0]), ax=ax) is ax
    assert ax.lines[0].get_xydata().tolist() == [[1.0, 0.5], [2.0, 0.25]]


def test_history_plot_draws_validation_metrics_and_the_best_epoch(ax: Any) -> None:
    metrics = {"accuracy": [0.5, 0.75], "validation_accuracy": [0.25, 0.5]}
    history = fn.History([0.5, 0.25], [1.0, 1.0], validation_loss=[0.75, 1.0], metrics=metrics, best_epoch=1)
    assert history.plot(ax) is ax
    left, right = ax.figure.axes
    assert left is ax
    assert [line.get_label() for line in left.lines] == ["loss", "validation loss", "best epoch, 1"]
    assert left.lines[1].get_ydata().tolist() == [0.75, 1.0]
    assert [line.get_label() for line in right.lines] == ["accuracy", "validation accuracy"]
    assert right.lines[1].get_ydata().tolist() == [0.25, 0.5]
    assert len(left.get_legend().get_texts()) == 5


def test_a_display_draws_again_elsewhere(ax: Any) -> None:
    display = plot.LossCurveDisplay.from_history(fn.History([0.5, 0.25], [1.0, 1.0]), ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    other = plot.new_figure().subplots()
    assert display.plot(other) is display
    assert display.ax_ is other
    assert len(ax.lines) == len(other.lines) == 1


# ---- decision boundary


def trained_xor() -> fn.Network:
    net = fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)], seed=0)
    net.fit(XOR, [0, 1, 1, 0], epochs=2000)
    return net


def test_decision_boundary_asks_the_network_on_a_grid(ax: Any) -> None:
    net = trained_xor()
    net.feature_names = ["a", "b"]
    display = plot.DecisionBoundaryDisplay.from_network(
        net, XOR, [0, 1, 1, 0], grid_resolution=5, margin=0.5, ax=ax
    )
    assert display.x0[0].tolist() == [-0.5, 0.0, 0.5, 1.0, 1.5]
    middle = net.predict_proba([[0.5], [0.0]])[0, 0]
    assert display.response[1, 2] == middle
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")
    assert [line.get_xdata().tolist() for line in display.points_] == [[0.0, 1.0], [0.0, 1.0]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1"]


def test_decision_boundary_of_several_classes_and_of_a_regression(ax: Any) -> None:
    X = np.random.default_rng(0).normal(size=(2, 60))
    labels = np.array(["low", "middle", "high"])[(X[0] > -0.5).astype(int) + (X[0] > 0.5)]
    net = fn.Network([fn.Layer(2, 8, "tanh"), fn.Layer(8, 3, "softmax")])
    net.fit(X, labels)
    display = plot.DecisionBoundaryDisplay.from_network(net, X, labels, grid_resolution=9, ax=ax)
    assert set(display.response.ravel()) == {0, 1, 2}
    assert display.labels == ("high", "low", "middle")
    assert sum(len(line.get_xdata()) for line in display.points_) == 60
    line = fn.Network([fn.Layer(2, 1, "identity", W=[[1.0, 2.0]])])
    display = plot.DecisionBoundaryDisplay.from_network(line, X, X[0], ax=plot.new_figure().subplots())
    assert np.allclose(display.response, display.x0 + 2 * display.x1)
    assert len(display.figure_.axes) == 2  # with the scale of its colours


def test_decision_boundary_refuses_what_is_no_plane() -> None:
    net = fn.Network([fn.Layer(3, 1)])
    with pytest.raises(ValueError, match="network must have 2 features for a plane, got 3"):
        plot.DecisionBoundaryDisplay.from_network(net, np.zeros((3, 1)))
    net = fn.Network([fn.Layer(2, 2)])
    with pytest.raises(ValueError, match="one output or a softmax, got 2 outputs: multilabel"):
        plot.DecisionBoundaryDisplay.from_network(net, XOR)
    with pytest.raises(TypeError, match="network must be a Network, got str"):
        plot.DecisionBoundaryDisplay.from_network("net", XOR)


# ---- weights, network, benchmark


def test_weights_have_a_scale_around_zero(ax: Any) -> None:
    net = fn.Network([fn.Layer(2, 3, W=[[1.0, -3.0], [0.0, 0.5], [2.0, 0.0]]), fn.Layer(3, 1)])
    net.feature_names = ["a", "b"]
    display = plot.WeightsDisplay.from_network(net, ax=ax)
    assert display.image_.get_array().tolist() == net.layers[0].W.tolist()
    assert display.image_.get_clim() == (-3.0, 3.0)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b"]
    last = plot.WeightsDisplay.from_network(net, layer=-1, ax=plot.new_figure().subplots())
    assert last.W.shape == (1, 3)
    with pytest.raises(ValueError, match="layer must be at least -2 and below 2, got 2"):
        plot.WeightsDisplay.from_network(net, layer=2)


def test_network_is_drawn_with_a_line_for_each_weight(ax: Any) -> None:
    net = fn.Network([fn.Layer(2, 3, W=[[1.0, -3.0], [0.0, 0.5], [2.0, 0.0]]), fn.Layer(3, 1)])
    display = plot.NetworkDisplay.from_network(net, ax=ax)
    assert len(display.lines_) == 2 * 3 + 3
    thickest = max(display.lines_[:6], key=lambda line: line.get_linewidth())
    assert thickest.get_linestyle() == "--"  # W[0, 1] = -3
    assert "A⁽¹⁾, sigmoid\n3 × n" in [text.get_text() for text in ax.texts]
    wide = fn.Network([fn.Layer(100, 50), fn.Layer(50, 1)])
    display = plot.NetworkDisplay.from_network(wide, most_units=4, ax=plot.new_figure().subplots())
    assert len(display.lines_) == 3 * 3 + 3
    with pytest.raises(ValueError, match="labels must be 3"):
        display.plot(labels=["one"])


def test_benchmark_draws_the_build_in_use(ax: Any, tmp_path: Path) -> None:
    def row(isa: str, least: float) -> dict[str, Any]:
        named = {"network": "2-3-1", "batch": 32, "dtype": "float32", "optimizer": "adam", "isa": isa}
        return {**named, "seconds": {"least": least}}

    results = {"training": [row("v3", 2e-6), row("v4", 1e-6)], "isa": "v4", "versions": {"fastnet": "1"}}
    display = plot.BenchmarkDisplay.from_results(results, ax=ax)
    assert [bar.get_width() for bar in display.bars_[0]] == [1e6]
    assert [text.get_text() for text in ax.texts] == ["1 µs"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["2-3-1, batch 32, adam"]
    with pytest.raises(ValueError, match="build must be one of those in the results, v3, v4, got 'v2'"):
        plot.BenchmarkDisplay.from_results(results, build="v2")
    with pytest.raises(ValueError, match="must hold numbers greater than 0, got 0"):
        plot.BenchmarkDisplay(["a"], {"x": [0.0]})


def test_displays_refuse_other_objects() -> None:
    with pytest.raises(TypeError, match="history must be a History, got list"):
        plot.LossCurveDisplay([0.5])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="network must be a Network, got type"):
        plot.NetworkDisplay(fn.Network)  # type: ignore[arg-type]


# ---- what notebooks show


class Texts(HTMLParser):
    """The tags of a page, and the texts in them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_small_network_is_a_drawing_with_a_title_and_a_description() -> None:
    net = fn.Network([fn.Layer(2, 3, W=[[1.0, -3.0], [0.0, 0.5], [2.0, 0.0]]), fn.Layer(3, 1)])
    svg = svg_of(net)
    assert svg.get("role") == "img"
    assert svg.find(f"{SVG}title").text == "Network 2-3-1, float64, 13 parameters"  # type: ignore[union-attr]
    assert svg.find(f"{SVG}desc").text.startswith("2 inputs, then layers of 3 sigmoid units")  # type: ignore[union-attr]
    lines = svg.findall(f"{SVG}line")
    assert len(lines) == 9
    assert len(svg.findall(f"{SVG}circle")) == 6
    dashed = [line.find(f"{SVG}title").text for line in lines[:6] if line.get("stroke-dasharray")]  # type: ignore[union-attr]
    assert dashed == ["W⁽¹⁾[0, 1] = -3"]
    assert svg.get("fill") == "currentColor"  # of the page, light or dark


def test_names_are_escaped() -> None:
    net = fn.Network([fn.Layer(2, 3), fn.Layer(3, 2, "softmax")])
    net.feature_names = ["<script>", "a & b"]
    net.classes = ["</svg>", '"quoted"']
    texts = [text.text for text in svg_of(net).findall(f"{SVG}text")]
    assert {"<script>", "a & b", "</svg>", '"quoted"'} <= set(texts)
    assert "<script" not in net._repr_html_()


def test_a_large_network_is_a_table() -> None:
    page = Texts()
    page.feed(fn.Network([fn.Layer(784, 100, "relu"), fn.Layer(100, 10, "softmax")])._repr_html_())
    assert "svg" not in page.tags
    assert page.tags.count("th") == 5
    assert {"Network 784-100-10, float64, 79,510 parameters", "100 x 784", "relu", "78,500"} <= {*page.texts}


def test_no_drawing_is_wider_than_its_page() -> None:
    svg = svg_of(fn.Network([fn.Layer(4, 4) for _ in range(4)]))
    _, _, width, height = map(float, svg.get("viewBox", "").split())
    assert "max-width: 100%" in svg.get("style", "")
    for circle in svg.findall(f"{SVG}circle"):
        assert 16 < float(circle.get("cx", "nan")) < width - 16
        assert 16 < float(circle.get("cy", "nan")) < height - 16
