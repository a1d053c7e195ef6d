"""What the linker was told, read from the installed modules: an attacker's usual ways are shut (ELF only)."""

import re
import struct
from pathlib import Path

import pytest

from fastnet._core import engine

FOLDER = Path(engine.__file__).parent
MODULES = sorted(FOLDER.glob("*.so"))
IS_ELF = bool(MODULES) and all(path.read_bytes()[:6] == b"\x7fELF\x02\x01" for path in MODULES)
pytestmark = pytest.mark.skipif(not IS_ELF, reason="not ELF files of 64 bits, little-endian")
RELRO, STACK, DYNAMIC, LOAD = 0x6474E552, 0x6474E551, 2, 1  # types of segments (System V ABI, gABI ch. 5)
RPATH, FLAGS, RUNPATH, FLAGS_1 = 15, 30, 29, 0x6FFFFFFB  # tags of the dynamic segment


class Elf:
    """The segments of a file, and the tags of its dynamic one."""

    def __init__(self, content: bytes) -> None:
        at, size, count = *struct.unpack_from("<Q", content, 32), *struct.unpack_from("<HH", content, 54)
        self.segments = [struct.unpack_from("<IIQQQQ", content, at + k * size) for k in range(count)]
        _, _, offset, _, _, length = next(s for s in self.segments if s[0] == DYNAMIC)
        self.tags = dict(struct.iter_unpack("<QQ", content[offset : offset + length]))

    def faults(self) -> list[str]:
        """Return what is not as it should be."""
        kinds = {segment[0]: segment[1] for segment in self.segments}
        found = [] if RELRO in kinds else ["no RELRO"]
        found += [] if self.tags.get(FLAGS, 0) & 8 or self.tags.get(FLAGS_1, 0) & 1 else ["no BIND_NOW"]
        found += [] if STACK in kinds and not kinds[STACK] & 1 else ["a stack that can be executed"]
        both = [kind for kind, flags, *_ in self.segments if kind == LOAD and flags & 3 == 3]
        found += ["a segment both written and executed"] if both else []
        return found + [name for tag, name in ((RPATH, "RPATH"), (RUNPATH, "RUNPATH")) if tag in self.tags]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name.split(".")[0])
def test_the_linker_hardened_it(path: Path) -> None:
    content = path.read_bytes()
    assert Elf(content).faults() == []
    assert not re.search(rb"/(?:home|root|work|tmp|build)/[\w./-]+\.(?:pyx|pxi|c|h)\b", content), "a folder"


@pytest.mark.parametrize("name", ["engine", "cpu"])
def test_the_stack_is_protected(name: str) -> None:
    content = next(path.read_bytes() for path in MODULES if path.name.startswith(f"{name}."))
    if b".debug_info\0" not in content:  # FASTNET_DEBUG=1: sanitizers want it otherwise
        assert b"__stack_chk_fail" in content


def test_an_unhardened_file_is_seen() -> None:
    """The reader finds the faults of a file that was linked without any of it."""
    content = bytearray(MODULES[0].read_bytes())
    at, size, count = *struct.unpack_from("<Q", content, 32), *struct.unpack_from("<HH", content, 54)
    for k in range(count):
        kind, flags = struct.unpack_from("<II", content, at + k * size)
        if kind == RELRO:
            struct.pack_into("<I", content, at + k * size, 4)  # a note
        if kind == STACK:
            struct.pack_into("<I", content, at + k * size + 4, flags | 1)
    elf = Elf(bytes(content))
    elf.tags |= {FLAGS: 0, FLAGS_1: 0, RUNPATH: 1}
    assert elf.faults() == ["no RELRO", "no BIND_NOW", "a stack that can be executed", "RUNPATH"]
