"""Model files that are refused: each check by itself, and the words of its message."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import assert_same, described, loaded, saved
from networks import network

import fastnet as fn
from fastnet import files
from fastnet.files import container, description

# ---- what is refused, and the words


def rewritten(change: Any, checksums: bool = False) -> bytes:
    """Return a file whose header and description went through a function; by default without checksums."""
    file = saved(described())
    length = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + length])
    about = json.loads(header["__metadata__"]["fastnet"])
    change(header, about)
    kept = header["__metadata__"] if checksums else {}
    header["__metadata__"] = kept | {"fastnet": json.dumps(about)}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + file[8 + length :]


def with_value(place: Any, path: str, value: Any) -> None:
    *above, last = (int(key) if key.isdigit() else key for key in path.split("/"))
    for key in above:
        place = place[key]
    place[last] = value


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
# the same for the entry of layers.0.weight in the header
ENTRIES = [
    ("dtype", "F8_E4M3", "must have one of the dtypes"),
    ("dtype", "I32", "layers.0.weight must have shape .* got .*int32"),
    ("shape", [2**40, 2**40], r"must have 4835\d+ bytes for its shape and dtype"),
    ("shape", [-4, -3], "must have a shape of at most 8 sizes"),
    ("shape", [4.0, 3.0], "must have a shape of at most 8 sizes"),
    ("shape", [True, 12], "must have a shape of at most 8 sizes"),
    ("shape", [1] * 7 + [4, 3], "must have a shape of at most 8 sizes"),
    ("data_offsets", [0], r"must have data_offsets \[start, stop\], got \[0\]"),
    ("data_offsets", [10**6, 10**6 + 48], "must start at"),
    ("data_offsets", [0, 48], "overlaps others|leaves a gap after others"),
    ("more", 1, "must have dtype, shape and data_offsets"),
]


@pytest.mark.parametrize(("path", "value", "words"), DESCRIPTIONS)
def test_descriptions_that_are_refused_and_why(path: str, value: Any, words: str) -> None:
    file = rewritten(lambda _, about: with_value(about, path, value))
    with pytest.raises(fn.FormatError, match=f"<BytesIO>.*{words}"):
        loaded(file)


@pytest.mark.parametrize(("path", "value", "words"), ENTRIES)
def test_entries_that_are_refused_and_why(path: str, value: Any, words: str) -> None:
    file = rewritten(lambda header, _: with_value(header["layers.0.weight"], path, value))
    with pytest.raises(fn.FormatError, match=f"<BytesIO>.*{words}"):
        loaded(file)


def test_tensors_must_fill_the_file_once() -> None:
    def placed(weight: list[int], bias: list[int]) -> bytes:
        header = {
            "0.weight": {"dtype": "F64", "shape": [1, 2], "data_offsets": weight},
            "0.bias": {"dtype": "F64", "shape": [1], "data_offsets": bias},
        }
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + bytes(range(1, 25))

    assert loaded(placed([0, 16], [16, 24]), activations=["sigmoid"]).sizes == (2, 1)
    assert loaded(placed([8, 24], [0, 8]), activations=["sigmoid"]).sizes == (2, 1)
    for weight, bias, words in (
        ([8, 24], [8, 16], "overlaps|leaves a gap"),
        ([8, 24], [4, 12], "leaves a gap"),
        ([0, 16], [8, 16], "overlaps"),
        ([0, 24], [16, 24], "must have 16 bytes for its shape and dtype"),
        ([0, 8], [16, 24], "must have 16 bytes for its shape and dtype"),
        ([16, 0], [16, 24], "must have 16 bytes for its shape and dtype"),
        ([0, 16], [17, 25], "leaves a gap"),
    ):
        with pytest.raises(fn.FormatError, match=words):
            loaded(placed(weight, bias), activations=["sigmoid"])
    header = json.dumps(
        {
            "0.weight": {"dtype": "F64", "shape": [2, 1], "data_offsets": [0, 16]},
            "0.bias": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]},
        }
    ).encode()
    shared = len(header).to_bytes(8, "little") + header + bytes(16)  # fills the file, twice
    with pytest.raises(fn.FormatError, match="overlaps"):
        loaded(shared, activations=["sigmoid"])


def test_a_layer_too_few_or_too_many() -> None:
    with pytest.raises(
        fn.FormatError, match=r"tensors must be those of the description, got 'layers.1.bias'"
    ):
        loaded(rewritten(lambda _, about: about["layers"].pop()))
    with pytest.raises(fn.FormatError, match=r"tensor 'layers.2.bias' must be there, by the description"):
        loaded(rewritten(lambda _, about: about["layers"].append(about["layers"][1])))


@pytest.mark.parametrize("metadata", ["1", '{"n": 1}', '"text"', "[]"])
def test_metadata_that_is_no_text(metadata: str) -> None:
    content = f'{{"__metadata__": {metadata}}}'.encode()
    with pytest.raises(fn.FormatError, match="__metadata__ must hold texts by name"):
        loaded(len(content).to_bytes(8, "little") + content)


def test_an_unchanged_description_passes() -> None:
    assert_same(described(), loaded(rewritten(lambda *_: None)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": NaN}', "NaN is not a number of JSON"),
        ('{"a": -Infinity}', "-Infinity is not a number of JSON"),
        ('{"a": 1e400}', '"1e400" is not a finite float64'),
        ('{"a": 1, "b": 2, "a": 3}', 'the key "a" appears twice'),
        ('{"a": {"b": 1, "b": 1}}', 'the key "b" appears twice'),
        ('{"a": ' + "[" * 100_000, "recursion"),
        ('{"a": ' + "9" * 5000 + "}", "must be valid JSON"),
        ('{"\\ud800": 1}', "surrogates not allowed"),
        ("{", "must be valid JSON"),
        ("{} {}", "must be valid JSON"),
        ("[]", "the header must start with '{'"),
        (" {}", "the header must start with '{'"),
        ("\ufeff{}", "the header must start with '{'"),
    ],
)
def test_the_header_must_be_strict_json(text: str, words: str) -> None:
    content = text.encode()
    with pytest.raises(fn.FormatError, match=f"<BytesIO>: the header must .*{words}|{words}"):
        loaded(len(content).to_bytes(8, "little") + content)


def test_utf_8_only() -> None:
    for content in ('{"a": 1}'.encode("utf-16-le"), b'{"\xff": 1}'):
        with pytest.raises(fn.FormatError, match=r"valid JSON|must start"):
            loaded(len(content).to_bytes(8, "little") + content)


def test_length_of_file_and_header() -> None:
    file = saved(described())
    for cut in (b"", file[:7]):
        with pytest.raises(fn.FormatError, match=f"must be at least 8 bytes long, got {len(cut)}"):
            loaded(cut)
    with pytest.raises(
        fn.FormatError,
        match=r"header must end within the file, of \d+ bytes, got .* 18446744073709551615 bytes",
    ):
        loaded(b"\xff" * 8 + file[8:])
    with pytest.raises(
        fn.FormatError, match=r"the tensors must fill the \d+ bytes after the header, got \d+"
    ):
        loaded(file + b"\0")
    with pytest.raises(fn.FormatError, match="the tensors must fill"):
        loaded(file[:-1])


def test_a_flipped_bit_is_noticed_anywhere() -> None:
    file = saved(described())
    name = file.index(b'"sha256_header"')  # a file need not have it
    for place in {*range(len(file))} - {*range(name + 1, name + 14)}:
        changed = bytearray(file)
        changed[place] ^= 4
        with pytest.raises(fn.FormatError):
            loaded(bytes(changed))


def test_checksums_are_compared_when_they_are_there() -> None:
    def without(*names: str) -> Any:
        return lambda header, _: [header["__metadata__"].pop(name) for name in names]

    for change in (without("sha256_header"), without("sha256", "sha256_header")):
        assert_same(described(), loaded(rewritten(change, checksums=True)))
    with pytest.raises(fn.FormatError, match="damaged: its sha256_header must be"):
        loaded(rewritten(without("sha256"), checksums=True))
    changed = rewritten(without("sha256_header"), checksums=True)
    changed = changed[:-1] + bytes([changed[-1] ^ 1])
    with pytest.raises(fn.FormatError, match=r"damaged: its sha256 must be [0-9a-f]{64}, got [0-9a-f]{64}"):
        loaded(changed)


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    net = network((2, 3, 1))
    about = description.describe(net)
    tensors = description.arrays(net)
    tensors["layers.1.weight"][0, 2] = np.nan
    for kind in ("safetensors", "npz"):
        file = io.BytesIO()
        files._write(file, tensors, about, kind)
        with pytest.raises(fn.FormatError, match=r"layers.1.weight must be finite, got nan at \[0, 2\]"):
            loaded(file.getvalue())
        assert np.isnan(loaded(file.getvalue(), allow_nonfinite=True).layers[1].W[0, 2])


def test_plain_files() -> None:
    W = np.ones((2, 3), np.float32)

    def plain(**tensors: Any) -> bytes:
        file = io.BytesIO()
        container.write(file, tensors, {})
        return file.getvalue()

    with pytest.raises(fn.FormatError, match="without a description by fastnet: give activations="):
        loaded(plain(**{"0.weight": W}))
    with pytest.raises(
        fn.FormatError, match=r"activations must be 1, one for each layer, got \['sigmoid', 'sigmoid'\]"
    ):
        loaded(plain(**{"0.weight": W}), activations=["sigmoid", "sigmoid"])
    with pytest.raises(TypeError, match="activations must be a list of str, got 'sigmoid'"):
        loaded(plain(**{"0.weight": W}), activations="sigmoid")
    with pytest.raises(ValueError, match=r"activation must be one of .*'sigmoids'"):
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
