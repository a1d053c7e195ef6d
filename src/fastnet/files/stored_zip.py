"""Read zip files of uncompressed entries, strictly: every byte of the file must belong to the archive.

Python's `zipfile` reads more than this: archives with bytes before or after them, or joined with others, and
it makes an object for each entry before anything can be checked. Here the end record must end the file, the
directory must end where that record begins, and the entries must fill the file up to the directory. No more
than the directory is read before all of that is known. Records of 64 bits and entries written to a pipe (with
a data descriptor) are understood, because NumPy writes them.

The layout of the records is that of PKWARE's APPNOTE.TXT, sections 4.3.7 to 4.3.16 and 4.5.3.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from typing import BinaryIO

from fastnet.files.container import SPARE, FormatError

__all__ = ["PER_ENTRY", "Entry", "EntryReader", "is_zip", "read_directory"]

PER_ENTRY = 600  # bytes of memory that the array of an entry and its name take at most, beyond its numbers

# The records, little-endian; the numbers are those of the sections of APPNOTE.TXT.
_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7, before each entry
_CENTRAL = struct.Struct("<4s6H3L5H2L")  # 4.3.12, one for each entry
_END = struct.Struct("<4s4H2LH")  # 4.3.16
_END_64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15, where the one before is
_STREAMED, _UTF_8 = 0x8, 0x800  # flags of 4.4.4: the sizes follow the data; the name is UTF-8
_ALL = 0xFFFFFFFF  # says that the number is in an extra field, of 64 bits


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the archive, as its directory says; all that belongs to it lies from `start` to `stop`."""

    name: str
    raw_name: bytes
    flags: int
    crc: int
    size: int
    start: int
    stop: int


def is_zip(start: bytes) -> bool:
    """Tell whether a file with these first 8 bytes is a zip file with an entry, or an empty one.

    The first 8 bytes of a safetensors file are a number below the size of the file. In a zip file bytes 4 and
    5 are the version needed to extract, which is never 0, so the same number would be above 2**32.
    """
    return start[:4] in (b"PK\3\4", b"PK\5\6") and (start[4:6] != b"\0\0" or start[:4] == b"PK\5\6")


def read_directory(stream: BinaryIO, size: int, where: str) -> list[Entry]:
    """Return the entries of a zip file that starts here and has `size` bytes, in the order of their bytes."""
    base = stream.tell()
    count, start, stop = _end(stream, base, size, where)
    if count * _CENTRAL.size > stop - start:
        raise _damaged(where, f"a directory of {stop - start} bytes cannot have {count} entries")
    if count * PER_ENTRY > size + SPARE:
        raise FormatError(f"{where}: the file must have fewer arrays for its size, got {count}")
    stream.seek(base + start)
    directory = stream.read(stop - start)
    if len(directory) < stop - start:
        raise _damaged(where, "it became shorter while it was read")
    found, place = [], 0
    for _ in range(count):
        entry, place = _central(directory, place, where)
        found.append(entry)
    if place != len(directory):
        raise _damaged(where, f"the directory has {len(directory) - place} bytes after its {count} entries")
    return _in_place(found, start, where)


def _end(stream: BinaryIO, base: int, size: int, where: str) -> tuple[int, int, int]:
    """Return the number of entries, and where the directory starts and stops, from the records at the end."""
    tail = b""
    if size >= _END.size:
        length = min(size, _END.size + _LOCATOR.size)
        stream.seek(base + size - length)
        tail = stream.read(length)
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\5\6":
        raise _damaged(where, "there is no end record at its end")
    _, disk, first_disk, here, count, length, start, comment = _END.unpack(tail[-_END.size :])
    stop = size - _END.size
    if tail[: -_END.size][:4] == b"PK\6\7":
        _, disk_64, end_64, _ = _LOCATOR.unpack(tail[: -_END.size])
        stop -= _LOCATOR.size + _END_64.size
        if end_64 != stop or disk_64:
            raise _damaged(where, "the end record of 64 bits is not where it must be")
        stream.seek(base + stop)
        record = stream.read(_END_64.size)
        if len(record) < _END_64.size or record[:4] != b"PK\6\6":
            raise _damaged(where, "there is no end record of 64 bits")
        _, rest, _, _, disk, first_disk, here, count, length, start = _END_64.unpack(record)
        if rest != _END_64.size - 12:
            raise _damaged(where, "the end record of 64 bits has another length")
    if disk or first_disk or here != count or comment:
        raise _damaged(where, "it is in several parts, or has a comment")
    if start + length != stop:
        raise _damaged(where, "there are bytes before it, after it, or between its parts")
    return count, start, stop


def _central(directory: bytes, place: int, where: str) -> tuple[Entry, int]:
    """Return the entry that a place of the directory describes, and the place after it."""
    if len(directory) - place < _CENTRAL.size or directory[place : place + 4] != b"PK\1\2":
        raise _damaged(where, "an entry of the directory is cut off, or is none")
    record = _CENTRAL.unpack_from(directory, place)
    flags, method, crc, packed, size = record[3], record[4], *record[7:10]
    name_length, extra_length, comment_length, disk = record[10:14]
    start = record[16]
    place += _CENTRAL.size
    raw_name, extra = directory[place : place + name_length], directory[place + name_length :][:extra_length]
    after = place + name_length + extra_length + comment_length
    if after > len(directory):
        raise _damaged(where, "an entry of the directory is cut off")
    name = _name(raw_name, flags, where)
    if method or flags & ~(_STREAMED | _UTF_8):
        raise FormatError(
            f"{where}: array {name.removesuffix('.npy')!r:.60} must be stored as it is, not compressed: use "
            "numpy.savez"
        )
    wide = _wide(extra, [value == _ALL for value in (size, packed, start)], where)
    size, packed, start = (wide.pop(0) if value == _ALL else value for value in (size, packed, start))
    if packed != size or disk:
        raise _damaged(where, f"entry {name!r:.60} has two sizes, or is in another part")
    return Entry(name, raw_name, flags, crc, size, start, 0), after


def _name(raw: bytes, flags: int, where: str) -> str:
    try:
        return raw.decode("utf-8" if flags & _UTF_8 else "cp437")
    except UnicodeDecodeError:
        raise _damaged(where, f"the name {raw!r:.60} is not UTF-8") from None


def _wide(extra: bytes, wanted: list[bool], where: str) -> list[int]:
    """Return the numbers of 64 bits in an extra field (4.5.3), as many as are wanted."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        if kind == 1 and length >= 8 * sum(wanted) and place + 4 + length <= len(extra):
            return list(struct.unpack_from(f"<{sum(wanted)}Q", extra, place + 4))
        place += 4 + length
    if any(wanted):
        raise _damaged(where, "a number of 64 bits is missing")
    return []


def _in_place(entries: list[Entry], room: int, where: str) -> list[Entry]:
    """Return the entries in the order of their bytes: each stops where the next starts."""
    entries = sorted(entries, key=lambda entry: entry.start)
    stops = [*(entry.start for entry in entries[1:]), room][: len(entries)]
    if (entries[0].start if entries else room) != 0:
        raise _damaged(where, "its first entry is not at its start")
    placed = []
    for entry, stop in zip(entries, stops, strict=True):
        if stop - entry.start < _LOCAL.size + entry.size:
            raise _damaged(where, f"entry {entry.name!r:.60} overlaps another")
        placed.append(replace(entry, stop=stop))
    return placed


class EntryReader:
    """Read the bytes of one entry, and nothing beyond them.

    Parameters
    ----------
    stream : binary file
    base : int
        Where the zip file starts in it.
    entry : Entry
    where : str
        The name of the file, for messages.
    """

    def __init__(self, stream: BinaryIO, base: int, entry: Entry, where: str) -> None:
        self._stream, self._entry, self._where = stream, entry, where
        self.left = entry.size
        self._crc = 0
        stream.seek(base + entry.start)
        header = stream.read(_LOCAL.size)
        if len(header) < _LOCAL.size or header[:4] != b"PK\3\4":
            raise _damaged(where, f"entry {entry.name!r:.60} has no header")
        _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(header)
        rest = stream.read(name_length + extra_length)
        same = rest[:name_length] == entry.raw_name and flags == entry.flags and not method
        if not flags & _STREAMED:
            wide = _wide(rest[name_length:], [size == _ALL, packed == _ALL], where)
            sizes = [wide.pop(0) if value == _ALL else value for value in (size, packed)]
            same &= crc == entry.crc and sizes == [entry.size, entry.size]
        used = _LOCAL.size + name_length + extra_length + entry.size
        # nothing follows the data but, if the sizes were not known before it, a data descriptor (4.3.9)
        may_follow = (12, 16, 20, 24) if flags & _STREAMED else (0,)
        if not same or entry.stop - entry.start - used not in may_follow:
            raise _damaged(where, f"entry {entry.name!r:.60} is not what the directory says")

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes; FormatError if the entry has fewer."""
        if count > self.left:
            raise _damaged(self._where, f"entry {self._entry.name!r:.60} has too few bytes")
        content = self._stream.read(count)
        if len(content) < count:
            raise _damaged(self._where, "it became shorter while it was read")
        self.left -= count
        self._crc = zlib.crc32(content, self._crc)
        return content

    def finish(self) -> None:
        """Check, after the last byte, that the checksum is that of the directory."""
        if self.left or self._crc != self._entry.crc:
            raise _damaged(self._where, f"Bad CRC-32 for entry {self._entry.name!r:.60}")


def _damaged(where: str, reason: str) -> FormatError:
    return FormatError(f"{where}: not a whole .npz file: {reason}")
