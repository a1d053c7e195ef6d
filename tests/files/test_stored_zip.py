"""The strict reader of zip files against Python's zipfile, and bytes that belong to no entry."""

import io
import zipfile

import pytest

import fastnet as fn
from fastnet.files.container import FormatError
from fastnet.files.stored_zip import EntryReader, is_zip, read_directory

ENTRIES = {"a.npy": b"one", "b/c.npy": b"", "ü.npy": bytes(range(256)) * 5}


def archive(entries: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as writer:
        for name, content in entries.items():
            writer.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("before", [0, 17])
def test_the_directory_is_that_of_zipfile(before: int) -> None:
    content = archive(ENTRIES)
    stream = io.BytesIO(b"x" * before + content)
    stream.seek(before)
    found = read_directory(stream, len(content), "file")
    assert {entry.name: entry.size for entry in found} == {name: len(x) for name, x in ENTRIES.items()}
    with zipfile.ZipFile(io.BytesIO(content)) as reader:
        infos = [(info.filename, info.header_offset, info.CRC) for info in reader.infolist()]
    assert [(entry.name, entry.start, entry.crc) for entry in found] == infos
    assert [entry.stop for entry in found[:-1]] == [entry.start for entry in found[1:]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x" + archive(ENTRIES), "bytes before it"),
        (archive(ENTRIES) + b"x", "no end record at its end"),
        (archive(ENTRIES)[:-1], "no end record at its end"),
        (archive(ENTRIES) * 2, "bytes before it"),
        (archive({"a.npy": b"0" * 99}, zipfile.ZIP_DEFLATED), "must be stored as it is, not compressed"),
    ],
)
def test_what_does_not_fill_the_file_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_directory(io.BytesIO(content), len(content), "file")


def test_a_zip_file_is_told_by_its_first_bytes() -> None:
    assert is_zip(archive(ENTRIES)[:8])
    assert is_zip(archive({})[:8])
    assert not is_zip((2**20).to_bytes(8, "little"))  # the length of a header of safetensors
    assert not is_zip(b"")


def test_an_empty_archive_is_a_file_without_weights() -> None:
    assert read_directory(io.BytesIO(archive({})), len(archive({})), "file") == []
    with pytest.raises(FormatError):
        fn.load(io.BytesIO(archive({})))


def test_a_changed_byte_of_an_entry_is_found_by_its_checksum() -> None:
    content = bytearray(archive(ENTRIES))
    content[content.index(b"one")] ^= 1
    stream = io.BytesIO(content)
    entry = read_directory(stream, len(content), "file")[0]
    reader = EntryReader(stream, 0, entry, "file")
    reader.read(entry.size)
    with pytest.raises(FormatError, match="CRC"):
        reader.finish()
