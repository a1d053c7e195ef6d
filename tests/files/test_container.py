"""The safetensors format: what the reader refuses, and the words of its messages."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from model_files import assert_same, described, loaded, rewritten, saved, with_value

import fastnet as fn

# the same for the entry of layers.0.weight in the header
ENTRIES = [
    ("dtype", "F8_E4M3", "must have one of the dtypes"),
    ("dtype", "I32", "layers.0.weight must have shape .* got .*int32"),
    ("shape", [2**40, 2**40], "must have a shape that memory can hold"),
    ("shape", [2**30, 2**10], r"must have 4398\d+ bytes for its shape and dtype"),
    ("shape", [-4, -3], "must have a shape of at most 8 sizes"),
    ("shape", [4.0, 3.0], "must have a shape of at most 8 sizes"),
    ("shape", [True, 12], "must have a shape of at most 8 sizes"),
    ("shape", [1] * 7 + [4, 3], "must have a shape of at most 8 sizes"),
    ("data_offsets", [0], r"must have data_offsets \[start, stop\], got \[0\]"),
    ("data_offsets", [10**6, 10**6 + 48], "must start at"),
    ("data_offsets", [0, 48], "overlaps others|leaves a gap after others"),
    ("more", 1, "must have dtype, shape and data_offsets"),
]


@pytest.mark.parametrize(("path", "value", "words"), ENTRIES)
def test_entries_that_are_refused_and_why(path: str, value: Any, words: str) -> None:
    file = rewritten(lambda header, _: with_value(header["layers.0.weight"], path, value))
    with pytest.raises(fn.FormatError, match=f"<BytesIO>.*{words}"):
        loaded(file)


@pytest.mark.parametrize("shape", [[0, 2**62], [2**31, 0, 2**31], [0, 2**63 - 1], [2**61, 2**61, 0]])
def test_empty_tensors_that_numpy_cannot_make(shape: list[int]) -> None:
    """NumPy multiplies the sizes that are not zero, and refuses the array (found by a fuzzer)."""

    def emptied(header: Any, _: Any) -> None:
        header["0.extra"] = {"dtype": "F64", "shape": shape, "data_offsets": [0, 0]}

    with pytest.raises(fn.FormatError, match="must have a shape that memory can hold"):
        loaded(rewritten(emptied))


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


@pytest.mark.parametrize("metadata", ["1", '{"n": 1}', '"text"', "[]"])
def test_metadata_that_is_no_text(metadata: str) -> None:
    content = f'{{"__metadata__": {metadata}}}'.encode()
    with pytest.raises(fn.FormatError, match="__metadata__ must hold texts by name"):
        loaded(len(content).to_bytes(8, "little") + content)


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

    for change, has_any in ((without("sha256_header"), True), (without("sha256", "sha256_header"), False)):
        file = rewritten(change, checksums=True)
        assert_same(described(), loaded(file))
        assert fn.files.info(io.BytesIO(file))["checksums"] is has_any
    with pytest.raises(fn.FormatError, match="damaged: its sha256_header must be"):
        loaded(rewritten(without("sha256"), checksums=True))
    changed = rewritten(without("sha256_header"), checksums=True)
    changed = changed[:-1] + bytes([changed[-1] ^ 1])
    with pytest.raises(fn.FormatError, match=r"damaged: its sha256 must be [0-9a-f]{64}, got [0-9a-f]{64}"):
        loaded(changed)
