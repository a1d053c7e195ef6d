"""Read and write the safetensors format: the header's length in 8 bytes, a JSON header, the tensors' bytes.

Nothing in a file is trusted. The header is read only if the file is long enough for it, and parsed only if
that cannot take much more memory than the file has bytes. The dtype, shape and place of every tensor are
checked against the size of the file before anything is allocated for it. Tensors must fill the rest of the
file without a gap, an overlap or a rest. Nothing in a file can name code to run.

Files of the `safetensors` package are read, and it reads ours. We write tensors in its order (wide dtypes
first, then by name), so that it writes the same bytes of tensors when it saves a file of ours again.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from fastnet._validate import Array

__all__ = ["Entry", "FormatError", "Header", "parse_json", "read_header", "read_tensors", "write_safetensors"]

# The format's codes in its own order, which is that of the tensors in a file
_NAMES = {"BOOL": "?", "U8": "u1", "I8": "i1", "I16": "<i2", "U16": "<u2", "F16": "<f2"}
_NAMES |= {"I32": "<i4", "U32": "<u4", "F32": "<f4", "F64": "<f8", "I64": "<i8", "U64": "<u8"}
DTYPES = {code: np.dtype(name) for code, name in _NAMES.items()}
CODES = {dtype: code for code, dtype in DTYPES.items()}
RANKS = {code: rank for rank, code in enumerate(DTYPES)}
METADATA = "__metadata__"
_LENGTH = struct.Struct("<Q")
_DIMENSIONS = 8  # at most
SPARE = 14_000_000  # bytes that parsing a header may take beyond the size of the file
_PER_BYTE = 8  # memory for each byte of the header: copies of the text, at up to 4 bytes a character
_PER_ITEM = 100  # memory for each { [ and , in it: objects of Python


class FormatError(ValueError):
    """A model file that is damaged, of another kind, or too new. The message says which file and why.

    Examples
    --------
    >>> import io
    >>> import fastnet as fn
    >>> fn.load(io.BytesIO(b"not a model"))
    Traceback (most recent call last):
    fastnet.files.container.FormatError: <BytesIO>: the header must end within the file, ...
    """


@dataclass(frozen=True)
class Entry:
    """A tensor as the header describes it; `start` and `stop` count from the end of the header."""

    code: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """The checked header: `entries` in the order of the bytes, the free `metadata`, where the bytes start."""

    entries: dict[str, Entry]
    metadata: dict[str, str]
    data: int


def write_safetensors(stream: BinaryIO, tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write tensors, and text about them, as one file; ValueError if it could not be read again."""
    ordered = _ordered(tensors)
    content: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    for name, entry in _entries(ordered).items():
        content[name] = {"dtype": entry.code, "shape": entry.shape, "data_offsets": [entry.start, entry.stop]}
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors start at a multiple of 8
    size = _LENGTH.size + len(text) + sum(array.nbytes for array in ordered.values())
    if memory_to_parse(text) > size + SPARE:
        raise ValueError(
            f"the description must be shorter: its header of {len(text)} bytes could not be read"
        )
    stream.write(_LENGTH.pack(len(text)))
    stream.write(text)
    for array in ordered.values():
        stream.write(array.tobytes())


def checksums(tensors: Mapping[str, Array], about: str) -> tuple[str, str]:
    """Return the SHA-256 of the tensors' bytes in the order of the file, and of the header's content."""
    ordered = _ordered(tensors)
    digest = hashlib.sha256()
    for array in ordered.values():
        digest.update(array.tobytes())
    return digest.hexdigest(), header_checksum(_entries(ordered), about, digest.hexdigest())


def header_checksum(entries: Mapping[str, Entry], about: str, digest: str) -> str:
    """Return the SHA-256 of names, dtypes, shapes, places, the description and the checksum of the bytes."""
    table = [[name, e.code, *e.shape, e.start, e.stop] for name, e in entries.items()]
    return hashlib.sha256(json.dumps([about, digest, table]).encode()).hexdigest()


def _ordered(tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return the tensors in the order of the file, little-endian."""
    checked = {}
    for name, array in tensors.items():
        dtype = array.dtype.newbyteorder("<")
        if dtype not in CODES:
            raise TypeError(f"{name} must have one of the dtypes {', '.join(DTYPES)}, got {array.dtype}")
        checked[name] = array.astype(dtype, copy=False)
    return dict(sorted(checked.items(), key=lambda item: (-RANKS[CODES[item[1].dtype]], item[0])))


def _entries(ordered: Mapping[str, Array]) -> dict[str, Entry]:
    entries, start = {}, 0
    for name, array in ordered.items():
        entries[name] = Entry(CODES[array.dtype], array.shape, start, start + array.nbytes)
        start += array.nbytes
    return entries


def memory_to_parse(text: bytes) -> int:
    """Return an upper estimate of the bytes of memory that parsing a header takes."""
    return _PER_BYTE * len(text) + _PER_ITEM * sum(map(text.count, (b"{", b"[", b",")))


def read_header(stream: BinaryIO, size: int, where: str) -> Header:
    """Read and check the header of a file of so many bytes, and nothing else of it."""
    text = _header_text(stream, size, where)
    content = parse_json(text, f"{where}: the header")
    if not isinstance(content, dict):
        raise FormatError(f"{where}: the header must be a JSON object, got {_shown(content)}")
    metadata = content.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise FormatError(f"{where}: {METADATA} must hold texts by name, got {_shown(metadata)}")
    entries = {name: _entry(value, f"{where}: tensor {name!r}") for name, value in content.items()}
    data = _LENGTH.size + len(text)
    return Header(_in_place(entries, size - data, where), metadata, data)


def _header_text(stream: BinaryIO, size: int, where: str) -> bytes:
    """Return the text of the header, if it is in the file and not too large to parse."""
    start = stream.read(_LENGTH.size)
    if len(start) < _LENGTH.size:
        raise FormatError(f"{where}: the file must be at least {_LENGTH.size} bytes long, got {len(start)}")
    (length,) = _LENGTH.unpack(start)
    if length > size - _LENGTH.size:
        raise FormatError(
            f"{where}: the header must end within the file, of {size} bytes, got a header of {length} bytes; "
            "is it a safetensors file, and whole?"
        )
    text = stream.read(length)
    if len(text) < length:
        raise FormatError(f"{where}: the file must be {size} bytes long, got less while it was read")
    if text[:1] != b"{":
        raise FormatError(f"{where}: the header must start with '{{', got {text[:1]!r}")
    if memory_to_parse(text) > size + SPARE:
        raise FormatError(
            f"{where}: the header must be smaller in a file of {size} bytes, got {length} bytes"
        )
    return text


def parse_json(text: bytes | str, what: str) -> Any:
    """Parse strict JSON: UTF-8, no key twice, no NaN or infinity, no deep nesting; FormatError otherwise."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_refused, parse_float=_finite)
        if "\\u" in text:
            json.dumps(content, ensure_ascii=False).encode()  # an escape may be half a surrogate pair
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} must be valid JSON: {error}") from None
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        left = dict.fromkeys(content)
        twice = next(name for name, _ in pairs if left.pop(name, name) is not None)
        raise ValueError(f"the key {_shown(twice)} appears twice")
    return content


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{_shown(digits)} is not a finite float64")
    return number


def _entry(value: Any, what: str) -> Entry:
    """Return the entry of one tensor, after checking it."""
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"{what} must have dtype, shape and data_offsets, got {_shown(value)}")
    code, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise FormatError(f"{what} must have one of the dtypes {', '.join(DTYPES)}, got {_shown(code)}")
    if not _sizes(shape) or len(shape) > _DIMENSIONS:
        raise FormatError(f"{what} must have a shape of at most {_DIMENSIONS} sizes, got {_shown(shape)}")
    if not _sizes(offsets) or len(offsets) != 2:
        raise FormatError(f"{what} must have data_offsets [start, stop], got {_shown(offsets)}")
    if not numpy_can_hold(shape, DTYPES[code].itemsize):
        raise FormatError(f"{what} must have a shape that memory can hold, got {_shown(shape)}")
    start, stop = offsets
    need = math.prod(shape) * DTYPES[code].itemsize
    if stop - start != need:
        raise FormatError(
            f"{what} must have {_shown(need)} bytes for its shape and dtype, got {_shown(offsets)}"
        )
    return Entry(code, tuple(shape), start, stop)


def _sizes(value: Any) -> bool:
    """Tell whether a value is a list of whole numbers from 0 to 2⁶³ − 1."""
    return isinstance(value, list) and all(type(size) is int and 0 <= size < 2**63 for size in value)


def numpy_can_hold(shape: Sequence[int], itemsize: int) -> bool:
    """Tell whether NumPy can make an array of a shape, also one of zero elements.

    NumPy multiplies the sizes that are not zero: it refuses (0, 2⁶²) of eight bytes, empty as that is.
    """
    return math.prod(size for size in shape if size) * max(itemsize, 1) < 2**63


def _in_place(entries: dict[str, Entry], room: int, where: str) -> dict[str, Entry]:
    """Return the tensors in the order of their bytes; FormatError unless they fill the room exactly."""
    ordered = dict(sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)))
    end = 0
    for name, entry in ordered.items():
        if entry.start != end:
            kind = "overlaps" if entry.start < end else "leaves a gap after"
            raise FormatError(
                f"{where}: tensor {name!r} must start at {end}, got {entry.start}: it {kind} others"
            )
        end = entry.stop
    if end != room:
        raise FormatError(f"{where}: the tensors must fill the {room} bytes after the header, got {end}")
    return ordered


def read_tensors(stream: BinaryIO, header: Header, where: str) -> tuple[dict[str, Array], str]:
    """Read the tensors of a checked header; return them and the SHA-256 of their bytes."""
    tensors, digest = {}, hashlib.sha256()
    for name, entry in header.entries.items():
        array = np.empty(entry.shape, DTYPES[entry.code])
        if array.size:
            for piece in _filled(stream, array.data.cast("B"), f"{where}: tensor {name!r}"):
                digest.update(piece)
        tensors[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return tensors, digest.hexdigest()


def _filled(stream: BinaryIO, view: memoryview, what: str) -> Iterator[memoryview]:
    """Read into a buffer until it is full, and yield the pieces as they come."""
    done = 0
    while done < len(view):
        piece = stream.read(min(len(view) - done, 1 << 20))
        if not piece:
            raise FormatError(f"{what} must have {len(view)} bytes, got {done} before the file's end")
        view[done : done + len(piece)] = piece
        yield view[done : done + len(piece)]
        done += len(piece)


def _shown(value: Any) -> str:
    """Return a value for a message: in full if that is short."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
