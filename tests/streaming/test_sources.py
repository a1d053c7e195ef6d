"""Files, memory maps and arrays whose rows a stream reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streams import SMALL, check_nothing_is_lost, network, same_fits, weights

import fastnet as fn


@pytest.mark.parametrize("stored", ["uint8", "int64", "float16", "float32", "float64", ">f8", "bool"])
@pytest.mark.parametrize("kind", ["file", "array", "map", "part of a map"])
def test_without_shuffle_windows_have_the_bits_of_a_fit_in_memory(
    rows: Any, tmp_path: Path, stored: str, kind: str
) -> None:
    X, T = rows[0].astype(stored), rows[1]
    np.save(tmp_path / "X.npy", X)
    source: Any = {"file": tmp_path / "X.npy", "array": X}.get(kind)
    if source is None:
        source = np.load(tmp_path / "X.npy", mmap_mode="r")
    if kind == "part of a map":
        X, T, source = X[77:], T[77:], source[77:]
    stream = fn.stream(source, T.astype("uint8"), memory=SMALL)
    in_memory = X.astype("float32").T, T.astype("float32").T
    same_fits(in_memory, (stream,), shuffle=False, schedule="one_cycle", dropout=0.2)


def test_a_file_that_is_cut_off(files: Any) -> None:
    size = os.path.getsize(files[0])
    stream, net = fn.stream(*files, memory=SMALL), network()
    before = weights(net)
    os.truncate(files[0], size - 1)
    with pytest.raises(ValueError, match=r"source must be a whole file, got \d+ bytes of \d+"):
        fn.stream(*files)
    with pytest.raises(ValueError, match=r"source must stay as it is in use, got a changed file"):
        net.fit(stream)
    check_nothing_is_lost(net, before)


def test_a_file_that_changes_between_epochs(files: Any) -> None:
    net = network()
    before = weights(net)

    def change(trainer: Any) -> None:
        with open(files[0], "ab") as file:
            file.write(b"more")

    with pytest.raises(ValueError, match=r"source must stay as it is in use, got a changed file"):
        net.fit(fn.stream(*files, memory=SMALL), callbacks=[change])
    check_nothing_is_lost(net, before)


def test_predictions_are_those_of_rows_in_memory(files: Any, rows: Any) -> None:
    net = network()
    expected = net.predict_proba(rows[0].astype("float32").T)
    for source in (files[0], rows[0], np.load(files[0], mmap_mode="r")):
        for memory in ("1GB", "1kB"):
            assert np.array_equal(net.predict_proba(fn.stream(source, memory=memory)), expected)
