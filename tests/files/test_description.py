"""Descriptions of networks that are refused, and the words of the messages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import assert_same, described, loaded, rewritten, saved, with_value
from networks import network

import fastnet as fn
from fastnet import files
from fastnet.files import container, description

# what is changed in the description, to what, and words of the message
DESCRIPTIONS = [
    ("version", 2, r"format version must be at most 1, got 2: .* 'fastnet .*fastnet "),
    ("version", None, "version must be a whole number from 1, got None"),
    ("version", 1.0, "version must be a whole number"),
    ("version", True, "version must be a whole number"),
    ("extra", 1, "the description must hold what this version knows, got 'extra'"),
    ("layers/1/extra", 1, r"layers\[1\] must hold what this version knows, got 'extra'"),
    ("layers", [], "layers must be a list of at least one layer"),
    ("layers", {"0": 1}, "layers must be a list"),
    ("layers/0", 3, r"layers\[0\] must be a JSON object, got 3"),
    ("layers/0/activation", "os.system", "activation must be one of .*'os.system'"),
    ("layers/0/activation", ["tanh"], "activation must be one of"),
    ("layers/0/n_in", 4, r"layers.0.weight must have shape \(4, 4\) .*got \(4, 3\)"),
    ("layers/0/n_in", 0, r"layers\[0\].n_in must be at least 1, got 0"),
    ("layers/0/n_in", 1e9, r"layers\[0\].n_in must be an int"),
    ("layers/1/n_out", 2**62, "layers.1.weight must have shape"),
    ("layers/1/n_in", 3, r"layers.1.weight must have shape \(2, 3\)"),
    ("dtype", "float16", "dtype must be float32 or float64, got 'float16'"),
    ("dtype", "float64", "layers.0.weight must have shape .* dtype float64, got .*float32"),
    ("output", "binary", "output must be 'multilabel', by the layers, got 'binary'"),
    ("classes", ["a"], "classes must be 2 for a multilabel network"),
    ("classes", ["a", 1], "classes must be all str, all int"),
    ("classes", [[1], [2]], "classes must be all str, all int"),
    ("feature_names", ["a"], "feature_names must be 3, one for each input, got 1"),
    ("feature_names", ["a", 1, "c"], r"feature_names\[1\] must be a str, got 1"),
    ("preprocessing", "exec", "preprocessing must be 'standardize' or null, got 'exec'"),
    ("preprocessing", None, "got 'preprocessing.mean' besides"),
]


@pytest.mark.parametrize(("path", "value", "words"), DESCRIPTIONS)
def test_descriptions_that_are_refused_and_why(path: str, value: Any, words: str) -> None:
    file = rewritten(lambda _, about: with_value(about, path, value))
    with pytest.raises(fn.FormatError, match=f"<BytesIO>.*{words}"):
        loaded(file)


def test_a_layer_too_few_or_too_many() -> None:
    with pytest.raises(
        fn.FormatError, match=r"tensors must be those of the description, got 'layers.1.bias'"
    ):
        loaded(rewritten(lambda _, about: about["layers"].pop()))
    with pytest.raises(fn.FormatError, match=r"tensor 'layers.2.bias' must be there, by the description"):
        loaded(rewritten(lambda _, about: about["layers"].append(about["layers"][1])))


def test_an_unchanged_description_passes() -> None:
    assert_same(described(), loaded(rewritten(lambda *_: None)))


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    net = network((2, 3, 1))
    about = description.describe_network(net)
    tensors = description.network_tensors(net)
    tensors["layers.1.weight"][0, 2] = np.nan
    for kind in ("safetensors", "npz"):
        file = io.BytesIO()
        files._write(file, tensors, about, files.NETWORK, kind)
        with pytest.raises(fn.FormatError, match=r"layers.1.weight must be finite, got nan at \[0, 2\]"):
            loaded(file.getvalue())
        assert np.isnan(loaded(file.getvalue(), allow_nonfinite=True).layers[1].W[0, 2])


def test_plain_files() -> None:
    W = np.ones((2, 3), np.float32)

    def plain(**tensors: Any) -> bytes:
        file = io.BytesIO()
        container.write_safetensors(file, tensors, {})
        return file.getvalue()

    with pytest.raises(fn.FormatError, match="without a description by fastnet: give activations="):
        loaded(plain(**{"0.weight": W}))
    with pytest.raises(
        fn.FormatError, match=r"activations must be 1, one for each layer, got \['sigmoid', 'sigmoid'\]"
    ):
        loaded(plain(**{"0.weight": W}), activations=["sigmoid", "sigmoid"])
    with pytest.raises(TypeError, match="activations must be a list of str, got 'sigmoid'"):
        loaded(plain(**{"0.weight": W}), activations="sigmoid")
    with pytest.raises(ValueError, match=r"activations\[0\] must be one of .*'sigmoids'"):
        loaded(plain(**{"0.weight": W}), activations=["sigmoids"])
    with pytest.raises(ValueError, match="activations must not be given: <BytesIO> has a description"):
        loaded(saved(described()), activations=["sigmoid", "sigmoid"])
    bad: list[tuple[dict[str, Any], int]] = [
        ({}, 0),
        ({"weight": W}, 1),
        ({"a.0.weight": W, "b.1.weight": W}, 2),
        ({"a.0.weight": W, "a.00.weight": W}, 1),
        ({"0.weight": W[0]}, 1),
        ({"0.bias": W[0]}, 1),
        ({"0.weight": W, "0.bias": W[0]}, 1),
        ({"0.weight": W, "1.weight": W}, 2),
        ({"0.weight": W, "1.weight": np.ones((1, 2))}, 2),
        ({"0.weight": W.astype(int)}, 1),
        ({"0.weight": W.astype(np.float16)}, 1),
        ({"0.weight": W[:0]}, 1),
    ]
    for tensors, layers in bad:
        with pytest.raises(fn.FormatError, match="<BytesIO>"):
            loaded(plain(**tensors), activations=["sigmoid"] * layers)
