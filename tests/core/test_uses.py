"""Each .pxi of the core says, in a line `# Uses: …`, which others it takes names from; here that is held to.

The files are included one after the other, so nothing but this tells what depends on what.
"""

import re
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[2] / "src" / "fastnet" / "_core"
pytestmark = pytest.mark.skipif(not CORE.is_dir(), reason="the sources are not here")

DEFINITION = re.compile(
    r"^cdef (?:(?:inline|const) )*(?:struct|class) (\w+)"  # a struct or a class
    r"|^(?:cdef|ctypedef) (?!struct|class|enum|extern|tuple\[)[^=(\n]*?(\w+)(?: \"\w+\")?(?:\(| = |$)"
    r"|^def (\w+)"
    r"|^([A-Z]\w+)(?:, [A-Z]\w+)* = "
    r"|^    ([A-Z][A-Z_]+) = "  # a member of an enum
    r"|^ctypedef \w+ \(\*(\w+)\)",
    re.MULTILINE,
)


def code(path: Path) -> str:
    """Return the text without its docstrings, strings and comments."""
    return re.sub(r'"""(?s:.*?)"""|"(?:[^"\n]|\\")*"|#.*', " ", path.read_text())


def definitions(text: str) -> set[str]:
    found = {name for groups in DEFINITION.findall(text) for name in groups if name}
    for block in re.findall(r"^cdef (?:extern from .*|enum):\n((?:    .*\n|\n)+)", text, re.MULTILINE):
        found |= set(re.findall(r"\b([A-Z]\w+)\b", block)) | set(re.findall(r"(\w+)\(", block))
    return found


@pytest.mark.parametrize("module", ["kernels", "engine"])
def test_what_a_file_uses_is_what_it_says(module: str) -> None:
    names = re.findall(r'^include "(.*)/(\w+)\.pxi"', (CORE / f"{module}.pyx").read_text(), re.MULTILINE)
    files = {
        name if folder == module else f"{folder}/{name}": CORE / folder / f"{name}.pxi"
        for folder, name in names
    }
    texts = {name: code(path) for name, path in files.items()}
    defined = {name: definitions(text) for name, text in texts.items()}
    assert set(files.values()) >= set((CORE / module).glob("*.pxi")), "a file is not included"
    before: set[str] = set()
    for name, text in texts.items():
        words = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", text)) - defined[name]
        used = sorted(other for other in files if other != name and words & defined[other])
        says = re.search(r"^# Uses: (.*)$", files[name].read_text(), re.MULTILINE)
        assert says, f"{name}.pxi has no line '# Uses: …'"
        reasons = {other: sorted(words & defined[other]) for other in used}
        assert says[1] == (", ".join(used) or "nothing"), f"{name}.pxi uses {reasons}"
        assert set(used) <= before, f"{name}.pxi is included before {sorted(set(used) - before)}"
        before.add(name)
