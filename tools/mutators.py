"""Damage model files: byte by byte, and part by part with checksums made right again.

`mutated(kind, file, rng)` is what tools/fuzz_files.py calls. The kinds are those of that tool.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import random
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["mutated"]

# Each of these takes bytes, or what they say, and a generator.


def mutated_bytes(file: bytes, rng: random.Random) -> bytes:
    """Flip, overwrite, cut, repeat, truncate or lengthen."""
    start, size = rng.randrange(len(file) + 1), rng.randint(1, 40)
    choice = rng.randrange(7)
    if choice == 0:
        return file[:start]
    if choice == 1:
        return file + rng.randbytes(size)
    if choice == 2:
        return file[:start] + file[start + size :]
    if choice == 3:
        return file[: start + size] + file[start:]
    if choice == 4:
        return file[:start] + rng.randbytes(size) + file[start + size :]
    if choice == 5:
        return rng.randbytes(size) + file
    changed = bytearray(file or b"x")
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


VALUES: list[Any] = [
    *(-1, 0, 1, 2, 7, 255, 2**31, 2**32 + 1, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63)),
    *(0.5, 1.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), True, None, "", "3", "F64", "float64"),
    *("sigmoid", "softmax", "exp", "adam", "step", "\ud800", "a\x00b", "é", [], {}, [1], [[[]]], {"a": 1}),
]


def mutated_json(value: Any, rng: random.Random) -> Any:
    """Change, remove or copy one thing in nested lists and dictionaries."""
    places: list[tuple[Any, Any]] = []

    def look(owner: Any) -> None:
        items = (
            owner.items() if isinstance(owner, dict) else enumerate(owner) if isinstance(owner, list) else ()
        )
        for key, inner in items:
            places.append((owner, key))
            look(inner)

    look(value)
    if not places:
        return rng.choice(VALUES)
    owner, key = rng.choice(places)
    choice = rng.randrange(6)
    if choice == 0:
        del owner[key]
    elif choice == 5 and isinstance(owner, dict) and "shape" in owner:
        owner["shape"] = [rng.choice([0, 1, 2, 2**31, 2**62, 2**63 - 1]) for _ in range(rng.randrange(5))]
        owner["data_offsets"] = [rng.choice([0, 48, 96])] * 2
    elif choice == 1 and type(owner[key]) is int:
        owner[key] += rng.randint(-8, 8)
    elif choice == 2 and isinstance(owner, dict):
        owner[rng.choice([str(key) + "x", "shape", "dtype", "version", "", "é"])] = owner[key]
    elif choice == 3 and isinstance(owner, list):
        owner.extend(owner[key : key + 1] * rng.choice([1, 2, 50]))
    else:
        owner[key] = rng.choice(VALUES)
    return value


def mutated_array(array: Any, rng: random.Random) -> Any:
    """Change numbers, the shape or the dtype of an array."""
    array = np.array(array)
    choice = rng.randrange(5)
    if choice == 0:
        return array.astype(rng.choice(["<f4", "<f8", "<i8", "<u8", "u1", "?", "<i4", "<f2"]), copy=False)
    if choice == 1:
        return array.reshape(-1) if array.ndim != 1 else array.reshape(1, -1)
    if choice == 2 and array.ndim:
        return array[: rng.randrange(len(array) + 1)]
    if choice == 3 and array.ndim:
        return np.concatenate([array, array])
    value = rng.choice([value for value in VALUES if type(value) in (int, float)])
    with np.errstate(all="ignore"):
        try:
            if array.ndim and array.size:
                array.reshape(-1)[rng.randrange(array.size)] = value
            else:
                array = np.array(value, array.dtype)
        except (OverflowError, ValueError):
            array = np.array(value) if type(value) is float or abs(value) < 2**63 else np.array(0)
    return array


CODES = {
    "F32": "<f4",
    "F64": "<f8",
    "I64": "<i8",
    "U64": "<u8",
    "U8": "u1",
    "BOOL": "?",
    "I32": "<i4",
    "F16": "<f2",
}
NAMES = {np.dtype(name): code for code, name in CODES.items()}


def opened(file: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the bytes after it."""
    length = int.from_bytes(file[:8], "little")
    return json.loads(file[8 : 8 + length]), file[8 + length :]


def joined(header: Any, data: bytes, *, ascii_only: bool = True) -> bytes:
    """Make a safetensors file of a header and bytes."""
    text = json.dumps(header, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + data


def mutated_safetensors(file: bytes, rng: random.Random) -> bytes:
    """Change the header, the description or a tensor; leave the checksums out, or make one right again."""
    try:
        header, data = opened(file)
    except (ValueError, RecursionError):
        return mutated_bytes(file, rng)
    about = header.get("__metadata__") if isinstance(header, dict) else None
    choice = rng.randrange(4)
    key = next(
        (key for key in ("fastnet", "fastnet.ensemble") if isinstance(about, dict) and key in about), None
    )
    if choice == 0 or key is None:
        return joined(mutated_json(header, rng), data, ascii_only=rng.random() < 0.5)
    if choice == 1:
        try:
            description = json.loads(about[key])
        except (ValueError, TypeError, RecursionError):
            return mutated_bytes(file, rng)
        about = {key: json.dumps(mutated_json(description, rng))}
        if rng.random() < 0.5:
            about["sha256"] = hashlib.sha256(data).hexdigest()
        return joined({**header, "__metadata__": about}, data)
    # Change a tensor and write the file anew around it.
    tensors = {}
    try:
        for name, entry in header.items():
            if name != "__metadata__":
                part = data[slice(*entry["data_offsets"])]
                tensors[name] = np.frombuffer(part, CODES[entry["dtype"]]).reshape(entry["shape"])
    except (ValueError, KeyError, TypeError):
        return mutated_bytes(file, rng)
    if not tensors:
        return mutated_bytes(file, rng)
    name = rng.choice(list(tensors))
    if rng.random() < 0.15:
        tensors[name + rng.choice(["x", ".0", "é"])] = tensors[name]
    elif rng.random() < 0.15:
        del tensors[name]
    elif name.endswith("config"):
        try:
            config = json.dumps(mutated_json(json.loads(tensors[name].tobytes()), rng))
        except (ValueError, RecursionError):
            return mutated_bytes(file, rng)
        tensors[name] = np.frombuffer(config.encode("utf-8", "surrogatepass"), "u1")
    else:
        tensors[name] = mutated_array(tensors[name], rng)
    tensors = {name: array for name, array in tensors.items() if array.dtype in NAMES}
    header, data = {"__metadata__": {key: about[key]}}, b""
    for name, array in tensors.items():
        part = array.tobytes()
        place = [len(data), len(data) + len(part)]
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": place}
        data += part
    return joined(header, data)


def mutated_npz(file: bytes, rng: random.Random) -> bytes:
    """Change an entry of a zip file, or its directory; the checksums are those of the changed bytes."""
    try:
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            entries = {info.filename: archive.read(info) for info in archive.infolist()}
    except Exception:  # a damaged file is damaged further
        return mutated_bytes(file, rng)
    if not entries:
        return mutated_bytes(file, rng)
    name = rng.choice(list(entries))
    choice = rng.randrange(9)
    if choice == 0:
        return file + file if rng.random() < 0.5 else rng.randbytes(rng.randint(1, 30)) + file
    if choice == 1:
        entries[name] = mutated_bytes(entries[name], rng)
    elif choice == 2:
        del entries[name]
    elif choice == 3:
        entries[rng.choice([name + "x", "x/" + name, "../" + name, name.upper(), "é.npy", "a.npy"])] = (
            entries[name]
        )
    elif choice == 4:
        # A thousand entries take fifty times as long as the rest: seldom, or most of the time goes to them.
        (copies,) = rng.choices([1, 10, 1000], [20, 20, 1])
        entries |= {f"{number}.npy": entries[name] for number in range(copies)}
    elif choice == 5 and "fastnet.npy" in entries:
        about = np.load(io.BytesIO(entries["fastnet.npy"]))
        text = json.dumps(mutated_json(json.loads(str(about)), rng)) if about.dtype.kind == "U" else "x"
        stream = io.BytesIO()
        np.save(stream, np.array(rng.choice([text, text * 2, "[" * rng.choice([5, 10_000]), "[],[" * 9999])))
        entries["fastnet.npy"] = stream.getvalue()
    elif choice == 6:
        stream = io.BytesIO()
        np.save(
            stream, mutated_array(np.load(io.BytesIO(entries[name])), rng)
        ) if name != "fastnet.npy" else None
        entries[name] = stream.getvalue()
    else:
        entries[name] = mutated_npy(entries[name], rng)
    stream = io.BytesIO()
    compression = zipfile.ZIP_DEFLATED if rng.random() < 0.05 else zipfile.ZIP_STORED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name twice
        with zipfile.ZipFile(stream, "w", compression) as archive:
            for entry, content in entries.items():
                archive.writestr(entry, content)
            if rng.random() < 0.03:
                archive.writestr(name, entries[name])
    return stream.getvalue()


def mutated_npy(entry: bytes, rng: random.Random) -> bytes:
    """Change the header of one array."""
    if len(entry) < 12:
        return entry
    length = int.from_bytes(entry[8:10], "little")
    text = entry[10 : 10 + length].decode("latin1")
    try:
        header: Any = dict(ast.literal_eval(text.strip()))
    except (ValueError, SyntaxError, TypeError):
        header = {}
    choice = rng.randrange(7)
    if choice == 0:
        header["shape"] = tuple(
            rng.choice([-1, 0, 1, 3, 2**31, 2**62, 2**63]) for _ in range(rng.randrange(4))
        )
    elif choice == 1:
        header["descr"] = rng.choice(
            ["<f4", ">f8", "|O", "<U99999", "<i8", "|V8", "", "x", [("a", "<f4")], 3, None]
        )
    elif choice == 2:
        header["fortran_order"] = rng.choice([True, False, 1, None, "x"])
    elif choice == 3:
        header = mutated_json(header, rng)
    text = repr(header)
    if choice == 4:
        text = mutated_bytes(text.encode(), rng).decode("latin1")
    elif choice == 5:
        pieces = ["(", "[", "{'a':", "-", "'", "\\", "1,", "()+", "\x00", "#", "é", "\n", "'descr': "]
        text = text[: rng.randrange(len(text))] + rng.choice(pieces) * rng.choice([1, 3, 200, 9000])
    version = entry[6:8] if rng.random() < 0.9 else bytes([rng.randrange(5), rng.randrange(2)])
    encoded = text.encode("utf-8", "surrogatepass")[:65_000]
    return entry[:6] + version + len(encoded).to_bytes(2, "little") + encoded + entry[10 + length :]


PARTWISE: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "safetensors": mutated_safetensors,
    "npz": mutated_npz,
    "checkpoint": mutated_safetensors,
    "ensemble": mutated_safetensors,
    "tabular": mutated_safetensors,
}


def mutated(kind: str, file: bytes, rng: random.Random) -> bytes:
    """Damage a file once or a few times."""
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                file = (mutated_bytes if rng.random() < 0.3 else PARTWISE[kind])(file, rng)
        except Exception:  # too damaged by the mutation before to be taken apart
            file = mutated_bytes(file, rng)
    return file
