"""NumPy's .npz as a model file: what is read, what is refused."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import assert_same, described, loaded, saved
from networks import bits, network

import fastnet as fn


def test_numpy_reads_our_npz(tmp_path: Path) -> None:
    net, path = described(), tmp_path / "model.npz"
    fn.save(net, path)
    with np.load(path, allow_pickle=False) as arrays:
        assert np.array_equal(arrays["layers.0.weight"], net.layers[0].W)
        assert json.loads(str(arrays["fastnet"]))["feature_names"] == list(net.feature_names or ())


def test_we_read_numpys_npz_without_a_description(tmp_path: Path) -> None:
    path = tmp_path / "plain.npz"
    W, b = np.asfortranarray(np.random.default_rng(0).normal(size=(3, 2))), np.arange(3.0).astype(">f8")
    np.savez(path, **{"0.weight": W, "0.bias": b})
    net = fn.load(path, activations=["sigmoid"])
    assert np.array_equal(net.layers[0].W, W)
    assert net.layers[0].b.reshape(-1).tolist() == [0.0, 1.0, 2.0]
    assert net.layers[0].W.flags.c_contiguous


def test_npz_files_that_are_refused(tmp_path: Path) -> None:
    W = np.ones((2, 3))

    def refused(words: str, write: Any = np.savez, **arrays: Any) -> None:
        file = io.BytesIO()
        write(file, **arrays)
        with pytest.raises(fn.FormatError, match=words):
            loaded(file.getvalue(), activations=["sigmoid"])

    refused(
        "array '0.weight' must be stored as it is, not compressed", np.savez_compressed, **{"0.weight": W}
    )
    refused("must hold plain numbers, got dtype .*O", **{"0.weight": np.array([{}])})
    refused("must hold plain numbers", **{"0.weight": np.array([(1,)], [("a", int)])})
    refused("array 'fastnet' must be one text", fastnet=np.ones(3))
    refused("the description must be valid JSON", fastnet=np.array("{"))
    refused("the description must be a JSON object", fastnet=np.array("[]"))

    file = io.BytesIO()  # an array of 8 TB, by its header
    with zipfile.ZipFile(file, "w") as archive:
        content = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            content, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
        )
        archive.writestr("0.weight.npy", content.getvalue())
    with pytest.raises(fn.FormatError, match=r"must have the bytes of shape \(1000000000000,\) .*, got 0"):
        loaded(file.getvalue(), activations=["sigmoid"])


def test_damaged_npz_files() -> None:
    file, rng = saved(described(), kind="npz"), np.random.default_rng(3)
    original = described()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy and zipfile, about the damage
        for _ in range(1500):
            changed = bytearray(file[: rng.integers(len(file))] if rng.integers(4) == 0 else file)
            for place in rng.integers(max(1, len(changed)), size=rng.integers(1, 4)):
                changed[place : place + 1] = rng.bytes(1)
            try:
                net = loaded(bytes(changed))
            except fn.FormatError:
                continue
            assert bits(net) == bits(original)


# ---- the zip file around the arrays


def written(net: fn.Network) -> bytes:
    return saved(net, kind="npz")


def test_bytes_that_do_not_belong_to_the_archive() -> None:
    file = written(described())
    other = written(network((1, 1)))
    for damaged in (file + b"x", b"x" + file, file + file, file[:-1], other + file, file[:30] + file):
        with pytest.raises(fn.FormatError):
            loaded(damaged)
    with_comment = io.BytesIO(file)
    with zipfile.ZipFile(with_comment, "a") as archive:
        archive.comment = b"hello"
    with pytest.raises(fn.FormatError, match=r"not a whole \.npz file"):
        loaded(with_comment.getvalue())


def test_archives_of_other_writers(tmp_path: Path) -> None:
    """Entries with 64-bit sizes, without them, written to a pipe; in any order of the directory."""
    net = described()
    with zipfile.ZipFile(io.BytesIO(written(net))) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    for streamed in (False, True):
        for wide in (False, True):
            file = io.BytesIO()
            sink: Any = Pipe(file) if streamed else file
            with zipfile.ZipFile(sink, "w") as archive:
                for name, content in entries.items():
                    with archive.open(name, "w", force_zip64=wide) as entry:
                        entry.write(content)
                archive.filelist.reverse()
            assert_same(net, loaded(file.getvalue()))


class Pipe:
    """A stream that can only be written."""

    def __init__(self, stream: io.BytesIO) -> None:
        self.write, self.flush = stream.write, stream.flush


def test_a_directory_of_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)  # as if there were more entries than 16 bits count
    assert_same(described(), loaded(written(described())))


def test_headers_of_arrays_that_are_refused() -> None:
    def entry(header: bytes, data: bytes = bytes(8), magic: bytes = b"\x93NUMPY\1\0") -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("0.weight.npy", magic + len(header).to_bytes(2, "little") + header + data)
        return file.getvalue()

    good = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), }"
    assert loaded(entry(good), activations=["tanh"]).sizes == (1, 1)
    assert loaded(entry(b"{ 'shape' : (1,1),'fortran_order':True,'descr':'>f8'}\n"), activations=["tanh"])
    for bad in (
        good.replace(b"<f8", b"<f9"),
        good.replace(b"<f8", b"|O"),
        good.replace(b"<f8", b"<U0"),
        good.replace(b"'<f8'", b"[('a', '<f8')]"),
        good.replace(b"(1, 1)", b"(1, -1)"),
        good.replace(b"(1, 1)", b"(1, 2)"),
        good.replace(b"(1, 1)", b"(1, 99999999999999999999)"),
        good.replace(b"(1, 1)", b"(9223372036854775807, 9223372036854775807)"),
        good.replace(b"(1, 1)", b"(,)"),
        good.replace(b"(1, 1)", b"(1 1)"),
        good.replace(b"False", b"0"),
        good[:-1],
        good[1:],
        b"{}",
        b"",
        b"(" * 3000,
        b"{'descr': '<f8', 'fortran_order': False}",
        good + b"x",
        "{'descr': '<f\u00b2', 'fortran_order': False, 'shape': (1, 1), }".encode("latin1"),
    ):
        with pytest.raises(fn.FormatError, match=r"^<BytesIO>: "):
            loaded(entry(bad), activations=["tanh"])
    for shape in (b"(0, 4611686018427387904)", b"(4611686018427387904, 0, 4)"):  # empty, and still too large
        for order in (b"False", b"True"):
            bad = good.replace(b"(1, 1)", shape).replace(b"False", order)
            with pytest.raises(fn.FormatError, match="must have a shape that memory can hold"):
                loaded(entry(bad, data=b""), activations=["tanh"])
    for magic in (b"\x93NUMPY\3\0", b"\x93NUMPY\0\0", b"\x93NUMPZ\1\0"):
        with pytest.raises(fn.FormatError, match=r"must be of \.npy version 1 or 2"):
            loaded(entry(good, magic=magic), activations=["tanh"])
    for cut in range(20):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(
                "0.weight.npy", (b"\x93NUMPY\1\0" + len(good).to_bytes(2, "little") + good)[:cut]
            )
        with pytest.raises(fn.FormatError):
            loaded(file.getvalue(), activations=["tanh"])


@pytest.mark.parametrize("text", ["\ud800", '{"a": "\ud800"}'])
def test_a_description_that_is_no_unicode(text: str) -> None:
    file = io.BytesIO()
    np.savez(file, fastnet=np.array(text))
    with pytest.raises(fn.FormatError, match="array 'fastnet' must be Unicode"):
        loaded(file.getvalue())
    content = np.array(["{}  "]).view(np.uint32) + np.uint32(0x110000)  # beyond the last character
    file = io.BytesIO()
    np.savez(file, fastnet=content.view("<U4").reshape(()))
    with pytest.raises(fn.FormatError):
        loaded(file.getvalue())
