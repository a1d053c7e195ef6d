"""What hostile files may cost: 1 MB of header at most a second, and memory of the file's size and 16 MB."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from model_files import described, loaded, saved
from networks import network

import fastnet as fn
from fastnet.files import container

SECONDS = 1.0
ALLOWANCE = 16_000_000  # bytes beyond the file's size


def refused(file: bytes, read: Callable[[io.BytesIO], Any] = fn.load) -> str:
    """Return the message of the FormatError, after checking the time and the memory that it took."""
    start = time.process_time()
    with pytest.raises(fn.FormatError) as error:
        read(io.BytesIO(file))
    assert time.process_time() - start < SECONDS
    tracemalloc.start()
    try:
        with pytest.raises(fn.FormatError):
            read(io.BytesIO(file))
        assert tracemalloc.get_traced_memory()[1] < len(file) + ALLOWANCE
    finally:
        tracemalloc.stop()
    return str(error.value)


def with_header(text: str) -> bytes:
    content = text.encode()
    return len(content).to_bytes(8, "little") + content


MILLION = 1_000_000
KEY = '"k{}":1,'
HEADERS = {
    "one key again and again": "{" + '"key":1,' * (MILLION // 8) + '"key":1}',
    "the last key twice": "{" + "".join(f'"k{k}":1,' for k in range(90_000)) + '"k89999":1}',
    "the same in an object inside": '{"a":{' + "".join(f'"k{k}":1,' for k in range(90_000)) + '"k1":1}}',
    "long numbers": "{" + ",".join(f'"k{k}":{"9" * 4000}' for k in range(240)) + "}",
    "long fractions": "{" + ",".join(f'"k{k}":0.{"9" * 4000}' for k in range(240)) + "}",
    "many fractions": '{"a":[' + "1.5," * 120_000 + "1]}",
    "tensors without bytes": "{"
    + ",".join(f'"{k}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for k in range(15_000))
    + "}",
    "one long name": '{"' + "1" * 990_000 + '":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
    "many sizes": '{"a":{"dtype":"F32","shape":[' + "1," * 60_000 + '1],"data_offsets":[0,4]}}',
    "deep lists": '{"a":' + "[" * 140_000,
    "escapes": '{"a":"' + "\\ud83d\\ude00" * 80_000 + '"}',
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_a_megabyte(name: str) -> None:
    refused(with_header(HEADERS[name]))
    metadata = json.dumps({"__metadata__": {"fastnet": HEADERS[name]}})
    refused(with_header(metadata))


@pytest.mark.parametrize("name", HEADERS)
def test_the_same_in_the_settings_of_a_checkpoint(name: str) -> None:
    trainer = fn.Trainer(network((3, 2)))
    file = io.BytesIO()
    fn.save(trainer, file, checkpoint=True)
    content = file.getvalue()
    header = container.read_header(io.BytesIO(content), len(content), "")
    stream = io.BytesIO(content)
    stream.seek(header.data)
    tensors, _ = container.read_tensors(stream, header, "")
    tensors["trainer.config"] = np.frombuffer(HEADERS[name].encode(), np.uint8)
    damaged = io.BytesIO()
    container.write_safetensors(damaged, tensors, {"fastnet": header.metadata["fastnet"]})
    refused(damaged.getvalue(), fn.load_checkpoint)


def test_very_many_layers() -> None:
    """About as many as can be written are read within a second for each megabyte."""
    count = 2000
    layers = [fn.Layer(1, 1, "tanh", W=[[1.0]]) for _ in range(count)]
    net = fn.Network(layers)
    file = saved(net)
    start = time.process_time()
    assert loaded(file).sizes == (1,) * (count + 1)
    assert time.process_time() - start < SECONDS * max(1, len(file) / MILLION)


def npz(entries: dict[str, bytes], **how: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **how) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def npy(header: str, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    text = header.encode("latin1")
    return b"\x93NUMPY" + version + len(text).to_bytes(2 * version[0], "little") + text + data


def test_npz_of_very_many_entries() -> None:
    content = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", b"\0\0\0\0")
    file = npz({f"{k}.npy": content for k in range(60_000)})
    assert "must have fewer arrays for its size, got 60000" in refused(file)
    refused(npz({f"{k}.npy": content for k in range(15_000)}))  # read, and then no network


@pytest.mark.parametrize(
    "header",
    [
        "[" * 9000,
        "[[[1]]]" * 9000,
        "{'descr': " + "[" * 60_000 + "('a', '<f4')" + "]" * 60_000,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 20_000 + ")}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 3000 + ")" * 3000 + "}",
        "{'descr': '<f4', 'descr': '<f4', 'shape': (1,)}",
    ],
    ids=lambda header: f"{header[:30]}... {len(header)}",
)
def test_npz_of_hostile_headers(header: str) -> None:
    for version in (b"\1\0", b"\2\0"):
        if version == b"\2\0" or len(header) < 65_536:
            refused(npz({"0.weight.npy": npy(header, version=version)}))


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_large_file_is_held_once(kind: str, order: str) -> None:
    W = np.asarray(np.random.default_rng(0).normal(size=(2000, 2000)), order=order)
    file = io.BytesIO()
    if kind == "npz":
        np.savez(file, **{"0.weight": W})
    else:
        container.write_safetensors(file, {"0.weight": W}, {})
    file.seek(0)
    tracemalloc.start()
    try:
        net = fn.load(file, activations=["identity"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(net.layers[0].W, W)
    assert peak < W.nbytes + ALLOWANCE


def test_what_can_be_written_can_be_read() -> None:
    """The reader's limits are the writer's: what would be refused is not written."""
    net = described()
    net.feature_names = ["x" * 1_000_000, "b", "c"]
    for kind in ("safetensors", "npz"):
        assert loaded(saved(net, kind=kind)).feature_names == net.feature_names
    net.feature_names = ["x" * 4_000_000, "b", "c"]
    for kind in ("safetensors", "npz"):
        with pytest.raises(ValueError, match="the description must be shorter"):
            saved(net, kind=kind)
