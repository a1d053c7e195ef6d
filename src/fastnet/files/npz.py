"""Read and write NumPy's .npz as a model file: arrays by name, and the description as a text array `fastnet`.

`numpy.load` is not used for reading. Entries must be stored uncompressed, so that none is larger than the
file. The header of an array is matched with a pattern, not evaluated, and compared with the bytes of its
entry before memory is allocated. The numbers are read into the array itself, in pieces. No pickles.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from fastnet._validate import Array
from fastnet.files.container import SPARE, FormatError, memory_to_parse, numpy_can_hold, parse_json
from fastnet.files.stored_zip import PER_ENTRY, EntryReader, read_directory

__all__ = ["read_npz", "write_npz"]

_ABOUT = "fastnet"
_SUFFIX = ".npy"
_PIECE = 1 << 20  # bytes read at a time
_HEADER_BYTES = 10_000  # at most, as in NumPy
_ITEM = re.compile(
    r" *(?:'descr' *: *'(?P<descr>[^'\\]{1,20})'"
    r"|'fortran_order' *: *(?P<fortran>True|False)"
    r"|'shape' *: *\((?P<shape>[0-9, ]*)\)) *(?:, *|$)",
    re.ASCII,
)
_DTYPE = re.compile(r"[<>=|]?[fiubU][0-9]{1,9}", re.ASCII)


def write_npz(stream: BinaryIO, tensors: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """Write arrays and a description as one .npz; ValueError if it could not be read again."""
    text = json.dumps(about)
    size = sum(array.nbytes for array in tensors.values()) + 4 * len(text)
    if PER_ENTRY * (len(tensors) + 1) > size + SPARE:
        raise ValueError(f"model must have fewer layers for .npz, got {len(tensors)} arrays")
    if memory_to_parse(text.encode()) > size + SPARE:
        raise ValueError(f"the description must be shorter: its {len(text)} bytes could not be read")
    np.savez(stream, allow_pickle=False, **{_ABOUT: np.array(text)}, **tensors)


def read_npz(stream: BinaryIO, size: int, where: str) -> tuple[dict[str, Array], Any]:
    """Read all arrays of a file of so many bytes, and the description or None."""
    base = stream.tell()
    tensors: dict[str, Array] = {}
    about = None
    for entry in read_directory(stream, size, where):
        name = entry.name.removesuffix(_SUFFIX)
        what = f"{where}: array {name!r:.60}"
        if name == entry.name or name in tensors or (name == _ABOUT and about is not None):
            raise FormatError(f"{what} must be a .npy and appear once, got {entry.name!r:.60}")
        array = _array(EntryReader(stream, base, entry, where), what)
        if name == _ABOUT:
            about = _description(array, size, where)
        else:
            tensors[name] = array
    return tensors, about


def _description(array: Array, size: int, where: str) -> Any:
    """Return the description in the array of that name."""
    if array.dtype.kind != "U" or array.shape != ():
        found = f"shape {array.shape}, dtype {array.dtype}"
        raise FormatError(f"{where}: array {_ABOUT!r} must be one text, got {found}")
    try:
        text = str(array).encode()
    except ValueError as error:  # a surrogate, or a number that is no character
        raise FormatError(f"{where}: array {_ABOUT!r} must be Unicode: {error}") from None
    if memory_to_parse(text) > size + SPARE:
        raise FormatError(f"{where}: the description must be smaller in a file of {size} bytes")
    return parse_json(text, f"{where}: the description")


def _array(entry: EntryReader, what: str) -> Array:
    """Read one array, whose bytes must be as many as its header says."""
    magic = entry.read(8)
    version = magic[6], magic[7]
    if magic[:6] != b"\x93NUMPY" or version not in ((1, 0), (2, 0)):
        raise FormatError(f"{what} must be of .npy version 1 or 2, got {magic!r}")
    length = int.from_bytes(entry.read(2 * version[0]), "little")
    if length > _HEADER_BYTES:
        raise FormatError(f"{what} must have a header of at most {_HEADER_BYTES} bytes, got {length}")
    shape, fortran, dtype = _header(entry.read(length).decode("latin1"), what)
    if entry.left != math.prod(shape) * dtype.itemsize:
        raise FormatError(f"{what} must have the bytes of shape {shape} and dtype {dtype}, got {entry.left}")
    array = np.empty(shape, dtype)
    _fill(array.T if fortran else array, entry)
    entry.finish()
    return array if dtype.isnative else array.byteswap(inplace=True).view(dtype.newbyteorder("="))


def _header(text: str, what: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return what the header of an array says: shape, whether it is in Fortran order, dtype."""
    fields: dict[str, str] = {}
    body = text.rstrip(" \n")
    place, end = 1, len(body) - 1
    if body[:1] == "{" and body[-1:] == "}":
        while place < end and (item := _ITEM.match(body, place, end)):
            fields |= {name: value for name, value in item.groupdict().items() if value is not None}
            place = item.end()
    if place != end or len(fields) < 3:
        raise FormatError(f"{what} must hold plain numbers, got the header {body!r:.80}")
    sides = [side.strip() for side in fields["shape"].split(",")]
    if sides[-1] == "":  # (3,) and ()
        sides.pop()
    if not all(side.isdigit() and len(side) <= 19 for side in sides) or len(sides) > 32:
        raise FormatError(f"{what} must have a shape of whole numbers, got ({fields['shape']:.60})")
    try:
        dtype = np.dtype(fields["descr"]) if _DTYPE.fullmatch(fields["descr"]) else None
    except (TypeError, ValueError):
        dtype = None
    if dtype is None or not dtype.itemsize:
        raise FormatError(f"{what} must hold plain numbers, got dtype {fields['descr']!r}")
    shape = tuple(map(int, sides))
    if not numpy_can_hold(shape, dtype.itemsize):
        raise FormatError(f"{what} must have a shape that memory can hold, got {shape}")
    return shape, fields["fortran"] == "True", dtype


def _fill(array: Array, entry: EntryReader) -> None:
    """Read the numbers of an array in its own order, whatever its strides, without a copy of it."""
    flat = array.reshape(-1) if array.flags.c_contiguous else array.flat
    step = max(1, _PIECE // array.itemsize)
    for start in range(0, array.size, step):
        count = min(step, array.size - start)
        flat[start : start + count] = np.frombuffer(entry.read(count * array.itemsize), array.dtype)
