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
from model_files import described, loaded, saved
from networks import bits

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
    refused("must hold plain numbers, got .*object", **{"0.weight": np.array([{}])})
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
