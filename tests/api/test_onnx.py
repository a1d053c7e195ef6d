"""ONNX export: the checker accepts it in full, and ONNX Runtime gives our probabilities and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bounds import forward_error

import fastnet as fn
from fastnet import onnx as exporter
from fastnet._core import engine

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

ELEMENTWISE = [name for name in engine.ACTIVATIONS if name not in ("softmax", "exp")]
# the last layer: activation, width; among them are the partners of all losses
OUTPUTS = [
    ("sigmoid", 1),
    ("sigmoid", 3),
    ("softmax", 2),
    ("softmax", 5),
    ("exp", 1),
    ("identity", 2),
    ("tanh", 1),
]
BOUND = 1e-6  # what the export promises in float32


def network(hidden: str, output: str, n_out: int, dtype: str = "float32") -> fn.Network:
    layers = [fn.Layer(30, 100, hidden), fn.Layer(100, 16, hidden), fn.Layer(16, n_out, output)]
    return fn.Network(layers, seed=2, dtype=dtype)


def rows(n: int, dtype: str = "float32") -> Any:
    return np.random.default_rng(3).normal(size=(n, 30)).astype(dtype)


def run(model: Any, R: Any) -> dict[str, Any]:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(
        zip([output.name for output in session.get_outputs()], session.run(None, {"X": R}), strict=True)
    )


def expected(net: fn.Network, R: Any) -> dict[str, Any]:
    """Return what the outputs should be, from our own predictions."""
    P = net.predict_proba(R.T).T
    if net.output == "regression":
        return {"prediction": P}
    if net.output == "multilabel":
        return {"label": (P > 0.5).astype(np.int64), "probabilities": P}
    if net.output == "binary":
        P = np.hstack([1 - P, P])
        chosen = (P[:, 1] > 0.5).astype(int)
    else:
        chosen = P.argmax(axis=1)
    return {"label": np.array(net.classes or range(P.shape[1]))[chosen], "probabilities": P}


def check(net: fn.Network, R: Any, bound: float = BOUND, dtype: str = "float32") -> None:
    model = exporter.model(net, dtype=dtype)
    onnx.checker.check_model(model, full_check=True)
    got, wanted = run(model, R), expected(net, R)
    assert got.keys() == wanted.keys()
    for name, array in wanted.items():
        assert got[name].shape == array.shape
        if name == "label":
            assert np.array_equal(got[name], array)
        else:
            assert got[name].dtype == dtype
            limit = (
                forward_error(net, R.T).T if name == "prediction" else bound
            )  # of any size: what rounding may
            assert (abs(got[name] - array) <= limit).all()


@pytest.mark.parametrize("hidden", ELEMENTWISE)
@pytest.mark.parametrize(("output", "n_out"), OUTPUTS)
def test_onnx_runtime_gives_what_we_give(hidden: str, output: str, n_out: int) -> None:
    check(network(hidden, output, n_out), rows(200))


@pytest.mark.parametrize("output", ELEMENTWISE)
def test_every_activation_at_the_output(output: str) -> None:
    check(network("tanh", output, 3), 4 * rows(200))


@pytest.mark.parametrize("hidden", ["identity", "sigmoid", "tanh", "relu", "silu"])
@pytest.mark.parametrize(("output", "n_out"), OUTPUTS)
def test_float64(hidden: str, output: str, n_out: int) -> None:
    check(network(hidden, output, n_out, "float64"), rows(50, "float64"), 1e-13, "float64")


@pytest.mark.parametrize("n", [1, 2, 17])
def test_any_number_of_rows(n: int) -> None:
    check(network("relu", "softmax", 5), rows(n))


@pytest.mark.parametrize("classes", [["no", "yes"], [-5, 2**40], [True, False], [0.5, 2.5], ["", "ü\n"]])
def test_labels_are_the_classes(classes: list[Any]) -> None:
    for output, n_out in (("sigmoid", 1), ("softmax", 2)):
        net = network("relu", output, n_out)
        net.classes = classes
        check(net, rows(50))
        label = run(exporter.model(net), rows(50))["label"]
        assert {type(item) for item in label.tolist()} == {type(classes[0])}


@pytest.mark.parametrize(("output", "n_out"), OUTPUTS)
def test_raw_rows_are_standardised(output: str, n_out: int) -> None:
    net = network("tanh", output, n_out)
    rng = np.random.default_rng(0)
    mean, scale = rng.normal(size=30), 10 ** rng.uniform(-2, 2, 30)
    with_it = network("tanh", output, n_out)
    with_it.preprocessing = fn.Standardize(mean, scale)
    how = with_it.preprocessing
    raw = (rows(100) * scale + mean).astype(np.float32)
    scaled = ((raw.T - how.mean) / how.scale).T
    got, wanted = run(exporter.model(with_it), raw), expected(net, scaled)
    for name, array in wanted.items():
        assert abs(got[name] - array).max() <= BOUND * max(1, abs(array).max())


def test_what_the_file_says(tmp_path: Path) -> None:
    net = network("relu", "sigmoid", 1)
    net.classes, net.feature_names = ["a", "b"], [f"x{k}" for k in range(30)]
    exporter.export(net, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    assert model.producer_name == "fastnet"
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["classes"] == '["a", "b"]'
    assert properties["feature_names"].startswith('["x0", "x1"')
    [X] = model.graph.input
    assert [side.dim_param or side.dim_value for side in X.type.tensor_type.shape.dim] == ["n", 30]


@pytest.mark.parametrize("value", [1e39, -1e300])
def test_numbers_that_float32_cannot_hold(value: float) -> None:
    for part, place in (("W", [1, 2]), ("b", [0, 1])):
        net = fn.Network([fn.Layer(3, 2, "identity")])
        getattr(net.layers[0], part).reshape(2, -1)[1, -1] = value
        with pytest.raises(
            ValueError, match=r"layers\[0\]." + part + " must fit float32, got .*export with dtype="
        ) as error:
            exporter.model(net)
        assert f"got {value} at {place}" in str(error.value)
        exporter.model(net, dtype="float64")
    for part in ("mean", "scale"):
        net = fn.Network([fn.Layer(3, 2, "identity")])
        settings = {"mean": [0.0] * 3, "scale": [1.0] * 3} | {part: [1.0, abs(value), 1.0]}
        net.preprocessing = fn.Standardize(**settings)
        with pytest.raises(ValueError, match=rf"preprocessing.{part} must fit float32, got .* at \[0, 1\]"):
            exporter.model(net)
    net.preprocessing = fn.Standardize(
        [0.0] * 3, [1.0, 1.0, 1e-60]
    )  # 0 in float32: everything would be divided by 0
    with pytest.raises(ValueError, match=r"preprocessing.scale must fit float32, got 1e-60 at \[0, 2\]"):
        exporter.model(net)


def test_a_bias_that_is_not_finite() -> None:
    net = network("relu", "sigmoid", 1)
    net.layers[0].b[3, 0] = np.nan
    with pytest.raises(ValueError, match=r"layers\[0\].b must be finite, got nan"):
        exporter.model(net)


def test_arguments() -> None:
    for dtype in ("flot32", None, int, bool):
        with pytest.raises(TypeError, match="dtype must be float32 or float64"):
            exporter.model(network("relu", "sigmoid", 1), dtype=dtype)
    with pytest.raises(TypeError, match=r"network must be a Network, an Ensemble, .* got str"):
        exporter.model("net")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="dtype must be float32 or float64"):
        exporter.model(network("relu", "sigmoid", 1), dtype="float16")
    net = network("relu", "sigmoid", 1)
    net.layers[1].W[0, 0] = np.inf
    with pytest.raises(ValueError, match=r"layers\[1\].W must be finite"):
        exporter.model(net)
