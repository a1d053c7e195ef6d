"""20 000 damaged and hostile files: each loads as what it says or raises FormatError, in little memory.

A file that loads is read a second time here, by a few lines that trust it, and must hold the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet.files import container

FILES = 20_000
ALLOWANCE = 16_000_000  # bytes beyond the file's size
ACTIVATIONS = ["sigmoid", "sigmoid"]
Rng = np.random.Generator


def ours(dtype: str) -> bytes:
    net = fn.Network([fn.Layer(3, 4), fn.Layer(4, 2)], dtype=dtype)
    net.classes, net.feature_names = ["left", "right"], ["a", "b", "c"]
    net.preprocessing = fn.Standardize([1.0, 2.0, 3.0], [1.0, 0.5, 2.0])
    file = io.BytesIO()
    fn.save(net, file)
    return file.getvalue()


def plain() -> bytes:
    rng = np.random.default_rng(1)
    shapes = {
        "layers.0.weight": (4, 3),
        "layers.0.bias": (4,),
        "layers.1.weight": (2, 4),
        "layers.1.bias": (2,),
    }
    file = io.BytesIO()
    container.write_safetensors(file, {name: rng.normal(size=shape) for name, shape in shapes.items()}, {})
    return file.getvalue()


BASES = [ours("float32"), ours("float64"), plain()]


def parts(file: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(file[:8], "little")
    return json.loads(file[8 : 8 + length]), file[8 + length :]


def joined(header: str, data: bytes) -> bytes:
    text = header.encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + data


# ---- mutations of bytes


def truncated(file: bytes, rng: Rng) -> bytes:
    return file[: rng.integers(len(file))]


def lengthened(file: bytes, rng: Rng) -> bytes:
    return file + rng.bytes(int(rng.integers(1, 20)))


def flipped(file: bytes, rng: Rng) -> bytes:
    changed = bytearray(file)
    for bit in rng.integers(8 * len(file), size=rng.integers(1, 4)):
        changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def overwritten(file: bytes, rng: Rng) -> bytes:
    start, size = rng.integers(len(file)), int(rng.integers(1, 12))
    return file[:start] + rng.bytes(size) + file[start + size :]


def cut_out(file: bytes, rng: Rng) -> bytes:
    start, size = rng.integers(len(file)), rng.integers(1, 30)
    return file[:start] + file[start + size :]


def repeated(file: bytes, rng: Rng) -> bytes:
    start, size = rng.integers(len(file)), rng.integers(1, 30)
    return file[: start + size] + file[start:]


def length_changed(file: bytes, rng: Rng) -> bytes:
    length = int.from_bytes(file[:8], "little")
    lengths = [length + int(rng.integers(-9, 10)), int(rng.integers(2**40)), 2**64 - 1, 0, 2, len(file) - 8]
    return (lengths[rng.integers(len(lengths))] % 2**64).to_bytes(8, "little") + file[8:]


# ---- mutations of the header, which stays JSON as far as possible

NUMBERS = [
    -1,
    0,
    1,
    2,
    8,
    2**31,
    2**32 + 1,
    2**62,
    2**63,
    10**30,
    1.0,
    1.5,
    True,
    None,
    "3",
    [],
    {},
    [1],
    float("nan"),
]
TEXTS = ["", "F64", "F32", "I64", "BOOL", "BF16", "float64", "sigmoid", "softmax", "layers.0.weight"]
TEXTS += ["\ud800", "a\x00b", "é"]


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where in nested JSON the lists, objects and leaves are."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += paths(inner, (*path, key))
    return found


def edited(content: Any, rng: Rng) -> Any:
    """Change, remove or copy one thing in nested JSON."""
    places = paths(content)
    *above, last = places[rng.integers(len(places))]
    owner = content
    for key in above:
        owner = owner[key]
    choice = rng.integers(5)
    if choice == 0:
        del owner[last]
    elif choice == 1:
        owner[last] = NUMBERS[rng.integers(len(NUMBERS))]
    elif choice == 2:
        owner[last] = TEXTS[rng.integers(len(TEXTS))]
    elif choice == 3 and type(owner[last]) is int:
        owner[last] += int(rng.integers(-8, 9))
    elif isinstance(owner, dict):
        owner[TEXTS[rng.integers(len(TEXTS))]] = owner[last]
    else:
        owner.append(owner[last])
    return content


def header_edited(file: bytes, rng: Rng) -> bytes:
    header, data = parts(file)
    for _ in range(rng.integers(1, 3)):
        header = edited(header, rng)
    return joined(json.dumps(header, ensure_ascii=bool(rng.integers(2))), data)


def swapped(file: bytes, rng: Rng) -> bytes:
    """Let two tensors change places, or lie over one another, or move together."""
    header, data = parts(file)
    names = [name for name in header if name != "__metadata__"]
    one, two = (names[k] for k in rng.permutation(len(names))[:2])
    choice = rng.integers(3)
    if choice == 0:
        header[one], header[two] = header[two], header[one]
    elif choice == 1:
        header[one]["data_offsets"] = header[two]["data_offsets"]
    else:
        for name in names:
            header[name]["data_offsets"] = [place + 4 for place in header[name]["data_offsets"]]
    return joined(json.dumps(header), data)


def key_twice(file: bytes, rng: Rng) -> bytes:
    header, data = parts(file)
    name = list(header)[rng.integers(len(header))]
    return joined(json.dumps(header)[:-1] + f", {json.dumps(name)}: {json.dumps(header[name])}}}", data)


def description_edited(file: bytes, rng: Rng) -> bytes:
    """Change the description and make the checksums right again, or leave them out."""
    header, data = parts(file)
    if "__metadata__" not in header:
        return flipped(file, rng)
    about = json.loads(header["__metadata__"]["fastnet"])
    for _ in range(rng.integers(1, 3)):
        about = edited(about, rng)
    header["__metadata__"] = {"fastnet": json.dumps(about)}
    if rng.integers(2):
        header["__metadata__"]["sha256"] = hashlib.sha256(data).hexdigest()
    return joined(json.dumps(header), data)


def hostile(file: bytes, rng: Rng) -> bytes:
    """Nest deeply, or put very many parts or much text into the header."""
    header, data = parts(file)
    size = int(10 ** rng.uniform(2, 5.3))
    piece = ["[", '{"a":', "[],", "{},", '"\\ud83d\\ude00",', "1,", '"x",', " ", "9", "é"][rng.integers(10)]
    if rng.integers(2) and "__metadata__" in header:
        header["__metadata__"] = {"fastnet": piece * size}
        return joined(json.dumps(header), data)
    return joined('{"x": ' + piece * size, data)


WEIGHTS: dict[Callable[[bytes, Rng], bytes], float] = {
    truncated: 8,
    lengthened: 4,
    flipped: 20,
    overwritten: 8,
    cut_out: 6,
    repeated: 6,
    length_changed: 6,
    header_edited: 20,
    swapped: 5,
    key_twice: 5,
    description_edited: 11,
    hostile: 1,
}
MUTATIONS = list(WEIGHTS)


def trusting(file: bytes) -> dict[str, Any]:
    """Read a file without any check."""
    header, data = parts(file)
    header.pop("__metadata__", None)
    dtypes = {"F32": "<f4", "F64": "<f8"}
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], dtypes[entry["dtype"]]).reshape(
            entry["shape"]
        )
        for name, entry in header.items()
    }


def bits(array: Any) -> bytes:
    return bytes(np.ascontiguousarray(array).tobytes())


def check(net: fn.Network, file: bytes) -> None:
    """Compare a network with the file it came from."""
    expected = trusting(file)
    for k, layer in enumerate(net.layers):
        assert bits(layer.W) == bits(expected[f"layers.{k}.weight"])
        assert bits(layer.b) == bits(expected[f"layers.{k}.bias"])
        assert layer.W.shape == expected[f"layers.{k}.weight"].shape
    text = parts(file)[0].get("__metadata__", {}).get("fastnet")
    if text is not None:
        about = json.loads(text)
        assert [layer.activation for layer in net.layers] == [row["activation"] for row in about["layers"]]
        assert list(net.classes or ()) == (about.get("classes") or [])
        assert list(net.feature_names or ()) == (about.get("feature_names") or [])


def load_or_none(file: bytes, has_description: bool) -> fn.Network | None:
    message = ""
    try:
        return fn.load(io.BytesIO(file), activations=None if has_description else ACTIVATIONS)
    except fn.FormatError as error:
        message = str(error)
    assert message.startswith("<BytesIO>: ")
    return None


def measured(file: bytes, has_description: bool = True) -> fn.Network | None:
    """Load a file and see how much memory that takes at most."""
    tracemalloc.start()
    try:
        net = load_or_none(file, has_description)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < len(file) + ALLOWANCE
    return net


def test_damaged_files_load_as_what_they_say_or_raise_our_error() -> None:
    rng = np.random.default_rng(7)
    weights = np.array(list(WEIGHTS.values()))
    choices = rng.choice(len(MUTATIONS), FILES, p=weights / weights.sum())
    loaded = np.zeros(len(MUTATIONS), int)
    for number, choice in enumerate(choices):
        mutation, has_description = MUTATIONS[choice], number % len(BASES) < 2
        file = mutation(BASES[number % len(BASES)], rng)
        load = measured if mutation is hostile or number % 20 == 0 else load_or_none
        net = load(file, has_description)
        if net is not None:
            check(net, file)
            loaded[choice] += 1
    assert (np.bincount(choices, minlength=len(MUTATIONS)) > 100).all()  # every kind took part
    assert (
        loaded.sum() > 500
    )  # and some files are not damaged in the end: bytes without a checksum, free text


PIECES = ["[],", "{},", '{"a":{}},', "0,", '"",', "1.5,", '["\\ud83d\\ude00"],']
CASES = [("header", piece) for piece in PIECES]
CASES += [(where, piece) for where in ("description", "escaped") for piece in PIECES[1:3]]


@pytest.mark.parametrize(("where", "piece"), CASES)
def test_the_largest_header_that_is_parsed_stays_within_the_allowance(where: str, piece: str) -> None:
    header, data = parts(BASES[0])
    if where == "escaped":
        piece = "".join(f"\\u{ord(character):04x}" for character in piece)
    elif where == "description":
        piece = json.dumps(piece)[1:-1]
    whole = "@" if where == "header" else json.dumps(header | {"__metadata__": {"fastnet": "[@1]"}})
    count = container.SPARE // container.memory_to_parse(piece.encode()) - 100
    text = whole.replace("@", f'{{"x":[{piece * count}1]}}' if where == "header" else piece * count)
    assert count > 5000
    assert container.memory_to_parse(text.encode()) <= len(text) + container.SPARE
    assert measured(joined(text, data)) is None


@pytest.mark.parametrize("piece", PIECES)
def test_beyond_it_nothing_is_parsed(piece: str) -> None:
    data = parts(BASES[0])[1]
    assert measured(joined(f'{{"x":[{piece * (4_000_000 // len(piece))}1]}}', data)) is None


@pytest.mark.parametrize("filler", ["x", "é", "\U0001f600", "\\u00e9", "\\ud83d\\ude00"])
def test_so_does_the_longest_text(filler: str) -> None:
    header, data = parts(BASES[2])
    size = (len(BASES[2]) + container.SPARE) // container._PER_BYTE // len(filler.encode()) - 200
    for name in ("fastnet", "note"):
        text = json.dumps(header | {"__metadata__": {name: "@"}}).replace("@", filler * size)
        net = measured(joined(text, data), False)
        assert (net is None) == (name == "fastnet")  # the other is a file without a description


def test_the_oracle_notices_a_wrong_network() -> None:
    net = fn.load(io.BytesIO(BASES[0]))
    net.layers[0].W[0, 0] += 1
    with pytest.raises(AssertionError):
        check(net, BASES[0])
