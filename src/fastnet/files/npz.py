"""Read and write NumPy's .npz as a model file: arrays by name, and the description as a text array `fastnet`.

`numpy.load` is not used for reading. Entries must be stored uncompressed, so that none is larger than the
file, and the header of an array is compared with the bytes of its entry before memory is allocated. No
pickles.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from fastnet._validate import Array
from fastnet.files.container import FormatError, parse_json

__all__ = ["read", "write"]

_ABOUT = "fastnet"
_SUFFIX = ".npy"


def write(stream: BinaryIO, tensors: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """Write arrays and a description as one .npz."""
    np.savez(stream, allow_pickle=False, **{_ABOUT: np.array(json.dumps(about))}, **tensors)


def read(stream: BinaryIO, size: int, where: str) -> tuple[dict[str, Array], Any]:
    """Read all arrays of a file of so many bytes, and the description or None."""
    tensors: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > size:
                raise FormatError(f"{where}: the arrays must be no larger than the file, of {size} bytes")
            for info in infos:
                name = info.filename.removesuffix(_SUFFIX)
                what = f"{where}: array {name!r:.60}"
                if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                    raise FormatError(f"{what} must be stored as it is, not compressed: use numpy.savez")
                if name == info.filename or name in tensors:
                    raise FormatError(f"{what} must be a .npy and appear once, got {info.filename!r:.60}")
                tensors[name] = _array(archive, info, what)
    except FormatError:
        raise
    except (ValueError, EOFError, OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise FormatError(f"{where}: not a whole .npz file: {error}") from None
    about = tensors.pop(_ABOUT, None)
    if about is None:
        return tensors, None
    if about.dtype.kind != "U" or about.shape != ():
        raise FormatError(
            f"{where}: array {_ABOUT!r} must be one text, got shape {about.shape}, dtype {about.dtype}"
        )
    return tensors, parse_json(str(about), f"{where}: the description")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, what: str) -> Array:
    """Read one array, whose bytes must be as many as its header says."""
    with archive.open(info) as entry:
        version = npy.read_magic(entry)
        if version == (1, 0):
            shape, fortran, dtype = npy.read_array_header_1_0(entry)
        elif version == (2, 0):
            shape, fortran, dtype = npy.read_array_header_2_0(entry)
        else:
            raise FormatError(f"{what} must be of .npy version 1 or 2, got {version}")
        if dtype.hasobject or dtype.kind not in "fiubU" or any(side < 0 for side in shape):
            raise FormatError(f"{what} must hold plain numbers, got shape {shape} and dtype {dtype}")
        data = entry.read()  # to the end: only then is the checksum compared
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise FormatError(f"{what} must have the bytes of shape {shape} and dtype {dtype}, got {len(data)}")
    array = np.frombuffer(bytearray(data), dtype) if data else np.empty(0, dtype)
    array = array.reshape(shape, order="F" if fortran else "C")
    return np.array(array, dtype.newbyteorder("="), order="C")
