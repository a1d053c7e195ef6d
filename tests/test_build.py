"""setup.py makes only what has changed: in a tree with three tiny sources, and with a compiler of our own."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMPILER = """#!/bin/sh
# a compiler for tests: notes the call, and makes an object of the command line and of its sources
if [ "$1" = --version ]; then echo "fake 1.0 $FAKE_VERSION"; exit 0; fi
out=; sources=; before=
for word; do
    if [ "$before" = -o ]; then out=$word
    else case "$word" in *.c|*.o) sources="$sources $word";; esac
    fi
    before=$word
done
echo "$out" >> calls.txt
[ -n "$FAKE_SLOW" ] && sleep 0.3
{ echo "$@"; cat $sources; } > "$out"
"""

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not (ROOT / "setup.py").exists(),
    reason="needs Linux and setup.py",
)
pytest.importorskip("Cython")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    core = tmp_path / "src" / "fastnet" / "_core"
    core.mkdir(parents=True)
    for name in ("cpu", "engine", "kernels"):
        (core / f"{name}.pyx").write_text("cdef int one = 1\n")
    (core / "names.h").write_text("#define ONE 1\n")
    shutil.copy(ROOT / "setup.py", tmp_path)
    project = '[project]\nname = "tiny"\nversion = "0"\n[tool.setuptools.packages.find]\nwhere = ["src"]\n'
    (tmp_path / "pyproject.toml").write_text(project)
    for folder in (core, core.parent):
        (folder / "__init__.py").touch()
    compiler = tmp_path / "fakecc"
    compiler.write_text(COMPILER)
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def start(tree: Path, *options: str, **variables: str) -> subprocess.Popen[str]:
    compiler = str(tree / "fakecc")
    environment = os.environ | {
        "FASTNET_BUILD_ISAS": "portable",
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
    }
    (tree / "calls.txt").unlink(missing_ok=True)
    return subprocess.Popen(
        [sys.executable, "setup.py", "build_ext", *(options or ("--build-lib", "build/lib"))],
        cwd=tree,
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def build(tree: Path, *options: str, **variables: str) -> tuple[set[str], str]:
    """Build, and return the names of the modules that were compiled, and the output."""
    process = start(tree, *options, **variables)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    calls = tree / "calls.txt"
    made = calls.read_text().split() if calls.exists() else []
    return {Path(name).stem.partition(".")[0] for name in made if name.endswith(".o")}, output


ALL = {"cpu", "engine", "portable_float32", "portable_float64"}


def modules(names: set[str]) -> set[str]:
    return {name.removeprefix("kernels_") for name in names}


def test_only_what_has_changed_is_compiled(tree: Path) -> None:
    made, output = build(tree)
    assert modules(made) == ALL
    assert "fastnet: translating the core to C" in output
    assert "fastnet: compiling fastnet._core.engine" in output

    for path in tree.rglob(
        "*"
    ):  # as after `git checkout` or in another environment: new dates, the same content
        if path.is_file() and "build" not in path.parts:
            os.utime(path)
    shutil.rmtree(tree / "build" / "lib")
    made, output = build(tree)
    assert made == set()
    assert "translating" not in output
    assert "fastnet._core.engine is there already" in output
    libraries = sorted(path.name.partition(".")[0] for path in (tree / "build" / "lib").rglob("*.so"))
    assert modules(set(libraries)) == ALL

    source = tree / "src" / "fastnet" / "_core" / "engine.pyx"
    old = source.read_text()
    source.write_text(old + "cdef int two = 2\n")
    assert build(tree)[0] == {"engine"}
    source.write_text(old)  # what it was before is kept too
    assert build(tree)[0] == set()
    (tree / "src" / "fastnet" / "_core" / "names.h").write_text("#define ONE 2\n")
    assert modules(build(tree)[0]) == ALL


def test_another_compiler_and_other_flags_compile_again(tree: Path) -> None:
    build(tree)
    assert modules(build(tree, FAKE_VERSION="2")[0]) == ALL
    assert modules(build(tree, CFLAGS="-O1")[0]) == ALL
    assert modules(build(tree, LDFLAGS="-Wl,-O1")[0]) == ALL
    assert modules(build(tree, "--inplace")[0]) == ALL  # keeps its symbols
    assert modules(build(tree, "--force", "--build-lib", "build/lib")[0]) == ALL
    kept = [path.name.partition("-")[0] for path in (tree / "build" / "modules").iterdir()]
    assert {name: kept.count(name) for name in kept} == dict.fromkeys(set(kept), 4)
    made = set(kept)
    assert modules(made) == ALL


def test_two_builds_at_once(tree: Path) -> None:
    both = [start(tree, FAKE_SLOW="1"), start(tree, FAKE_SLOW="1")]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sorted(output.count("fastnet: compiling") for output in outputs) == [0, 4], outputs


def test_without_a_compiler_one_line_says_what_brings_it(tree: Path) -> None:
    process = start(tree, CC="no-such-cc", LDSHARED="no-such-cc -shared")
    output = process.communicate()[0]
    assert process.returncode == 1
    last = output.strip().splitlines()[-1]
    assert "apt install build-essential python3-dev" in last
    assert "xcode-select --install" in last
    assert "no-such-cc is not there" in last
    assert "Traceback" not in output
