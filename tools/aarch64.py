"""Compile fastnet for 64-bit ARM and run it under an emulator, to compare its bits with those of x86-64.

    python tools/aarch64.py                      the golden bits on the neon build (about 4 minutes)
    python tools/aarch64.py --isa portable       the same on the portable build
    python tools/aarch64.py --tests tests/core   pytest there, with these arguments (an hour for all)
    python tools/aarch64.py --python FILE ...    any Python file there, with its arguments

The compiled modules are made by this tree's setup.py with a cross compiler, so that the flags are those of a
wheel, and run by qemu in user mode: an ordinary process whose instructions are translated. Nothing is
installed into the system. Debian's packages (the cross compiler, qemu, an ARM Python) are unpacked, and
NumPy's and scikit-learn's ARM wheels installed, into a cache folder; no root is needed. The next run finds
them there. The cross compiler, the emulator and the wheels take about 1.1 GB there and 1 to 2 minutes to
fetch.

Exit status: 0 the bits are equal, 1 they differ (or a test fails), 2 it could not be compiled, 77 what it
needs could not be fetched (there is no apt here, or no network), so nothing was tried.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOT_TRIED = 77  # what automake's test runner takes for "skipped"
HOST_PACKAGES = ["gcc-aarch64-linux-gnu", "qemu-user-static"]
ARM_PACKAGES = ["python3-minimal", "libpython3-dev", "libpython3-stdlib", "libstdc++6", "zlib1g"]
GOLDEN_WHEELS = ["numpy", "scipy", "scikit-learn"]
# Not onnxruntime: its import dies under qemu. The tests that need it skip.
TEST_WHEELS = [
    *("pytest", "pytest-benchmark", "pytest-timeout", "pytest-xdist", "hypothesis", "mpmath", "safetensors"),
    *(
        "threadpoolctl",
        "tqdm",
        "rich",
        "pandas",
        "polars",
        "pyarrow",
        "onnx",
        "matplotlib",
        "fastapi",
    ),
    *("uvicorn", "setuptools"),
]


DESELECTED = [
    # It counts the threads of the process; qemu has one of its own.
    "tests/api/test_threads.py::test_a_forked_child_trains_and_predicts_after_its_parent_used_threads",
    # A batch alone takes longer than that in an emulator.
    "tests/training/test_interrupts.py::test_a_long_epoch_notices_it_within_a_fifth_of_a_second",
    # So does a file of 15 000 arrays than its second.
    "tests/files/test_limits.py::test_npz_of_very_many_entries",
]


def default_cache() -> Path:
    """Return the user's cache folder for this tool."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastnet-aarch64"


def call(*command: str | Path, **options: Any) -> None:
    """Run a command; its output goes to stderr, so that what the tests print stands alone."""
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr, **options)


# ---- what has to be there


def fetch_packages(cache: Path, architecture: str, packages: list[str], into: Path, *, alone: bool) -> None:
    """Download Debian packages and all they depend on by apt, and unpack them into a folder.

    apt is given folders of its own, so it needs no root and changes nothing. With `alone` it counts nothing
    as installed; otherwise what this machine has is not fetched again.
    """
    done = into / ".complete"
    wanted = " ".join(packages)
    if done.exists() and done.read_text() == wanted:
        return
    state = cache / f"apt-{architecture}"
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "",
        "Dir::State": str(state),
        "Dir::State::lists": str(state / "lists"),
        "Dir::State::status": str(state / "status") if alone else "/var/lib/dpkg/status",
        "Dir::Cache": str(state),
        "Dir::Cache::archives": str(state / "archives"),
        "Debug::NoLocking": "1",
    }
    # Other sources of this machine may have nothing for the other architecture; then apt warns and goes on.
    flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    call("apt-get", "-q", *flags, "update")
    call("apt-get", "-q", "-y", *flags, "--no-install-recommends", "--download-only", "install", *packages)
    into.mkdir(parents=True, exist_ok=True)
    for package in sorted((state / "archives").glob("*.deb")):
        call("dpkg-deb", "-x", package, into)
    done.write_text(wanted)


def relative_links(root: Path) -> None:
    """Make absolute links point inside the unpacked system."""
    for link in root.rglob("*"):
        if link.is_symlink() and os.readlink(link).startswith("/"):
            target = root / os.readlink(link)[1:]
            link.unlink()
            link.symlink_to(os.path.relpath(target, link.parent))


class Emulated:
    """A cross compiler, an emulator and an ARM Python in a cache folder."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.host, self.arm = cache, cache / "host", cache / "arm"
        fetch_packages(cache, "amd64", HOST_PACKAGES, self.host, alone=False)
        fetch_packages(cache, "arm64", ARM_PACKAGES, self.arm, alone=True)
        relative_links(self.arm)
        binaries = self.arm / "usr/bin"
        self.version = max(
            (path.name.removeprefix("python") for path in binaries.glob("python3.[0-9]*")),
            key=lambda text: int(text.split(".")[1]),
        )
        qemu = self.host / "usr/bin/qemu-aarch64-static"
        # A script of this machine stands for Python, so that a test that starts sys.executable starts qemu.
        self.python = binaries / "python-emulated"
        self.python.write_text(
            f'#!/bin/sh\nexec "{qemu}" -L "{self.arm}" -0 "$0" "{binaries}/python{self.version}" "$@"\n'
        )
        self.python.chmod(0o755)

    def compiler(self) -> tuple[str, dict[str, str]]:
        """Return the cross compiler and the environment it runs in."""
        libraries = [self.host / "usr/lib/x86_64-linux-gnu", self.host / "lib/x86_64-linux-gnu"]
        gcc = max((self.host / "usr/bin").glob("aarch64-linux-gnu-gcc-[0-9]*"))
        path = f"{self.host / 'usr/bin'}{os.pathsep}{os.environ['PATH']}"
        return str(gcc), {"LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)), "PATH": path}

    def wheels(self, name: str, packages: list[str]) -> Path:
        """Install wheels for the ARM Python into a folder, by this machine's pip."""
        into = self.cache / f"wheels-{name}-{self.version}"
        done = into / ".complete"
        if not (done.exists() and done.read_text() == " ".join(packages)):
            shutil.rmtree(into, ignore_errors=True)
            platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(17, 37)] + [
                "manylinux2014_aarch64"
            ]
            flags = [part for platform in platforms for part in ("--platform", platform)]
            call(
                *(sys.executable, "-m", "pip", "install", "--quiet", "--target", into, "--only-binary=:all:"),
                *("--python-version", self.version, *flags, *packages),
            )
            done.write_text(" ".join(packages))
        return into

    def run(self, *arguments: str | Path, folders: list[Path], cwd: Path, **variables: str) -> int:
        """Run the ARM Python with these folders on its path, and return its exit status."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FASTNET_")}
        environment |= {"PYTHONPATH": os.pathsep.join(map(str, folders)), "PYTHONDONTWRITEBYTECODE": "1"}
        # The compiler and objdump of this machine are for another one: tests that look for them shall skip.
        environment["PATH"] = str(self.python.parent)
        command = [str(self.python), *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=environment | variables).returncode


# ---- what is tried


def build(emulated: Emulated, isas: str) -> Path:
    """Cross-compile the package of this tree by its setup.py and return the folder to import it from."""
    source, built = emulated.cache / "source", emulated.cache / "built"
    for folder in (source, built):
        shutil.rmtree(folder, ignore_errors=True)
    ignore = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", source / "src", ignore=ignore)
    for name in ("tests", "docs", "examples", "benchmarks", "tools"):
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, source)
    gcc, environment = emulated.compiler()
    numpy = emulated.wheels("golden", GOLDEN_WHEELS) / "numpy/_core/include"
    python = emulated.arm / f"usr/include/python{emulated.version}"
    tag = f"cpython-{emulated.version.replace('.', '')}-aarch64-linux-gnu"
    # Debian's pyconfig.h includes <aarch64-linux-gnu/python3.x/pyconfig.h>.
    includes = f"--sysroot={emulated.arm} -I{numpy} -I{python}"
    environment |= {
        "_PYTHON_HOST_PLATFORM": "linux-aarch64",  # what sysconfig.get_platform() says to setup.py
        "SETUPTOOLS_EXT_SUFFIX": f".{tag}.so",
        "CC": gcc,
        "LDSHARED": f"{gcc} --sysroot={emulated.arm} -shared",
        "CFLAGS": f"{includes} -ffile-prefix-map={emulated.cache}=.",  # as setup.py does it for its folder
        "FASTNET_BUILD_ISAS": isas,
    }
    call(
        *(sys.executable, "setup.py", "-q", "build", "--build-base", source / "build", "--build-lib", built),
        cwd=source,
        env=os.environ | environment,
    )
    return built


def main() -> int:
    """Fetch what is missing, compile, run, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--isa", default="neon", help="which build: neon (default) or portable")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="default: %(default)s")
    parser.add_argument("--no-build", action="store_true", help="run what the last call compiled")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--tests", nargs=argparse.REMAINDER, metavar="ARG", help="run pytest with these arguments"
    )
    what.add_argument(
        "--python", nargs=argparse.REMAINDER, metavar="ARG", help="run Python with these arguments"
    )
    arguments = parser.parse_args()
    if missing := [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]:
        print(
            f"not tried: no {' and no '.join(missing)} here to fetch a cross compiler with", file=sys.stderr
        )
        return NOT_TRIED
    start = time.monotonic()

    def said(what: str) -> None:
        print(f"aarch64: {what} ({time.monotonic() - start:.0f} s)", file=sys.stderr, flush=True)

    try:
        emulated = Emulated(arguments.cache.resolve())
        folders = [emulated.wheels("golden", GOLDEN_WHEELS)]
        if arguments.tests is not None:
            folders.append(emulated.wheels("tests", TEST_WHEELS))
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"not tried: what it needs could not be fetched: {error}", file=sys.stderr)
        return NOT_TRIED
    said(f"cross compiler, qemu, Python {emulated.version} and NumPy are there")
    built = emulated.cache / "built"
    try:
        if not arguments.no_build:
            built = build(emulated, ",".join(dict.fromkeys(["portable", arguments.isa])))
            said("compiled")
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"aarch64: it could not be compiled: {error}", file=sys.stderr)
        return 2
    source = emulated.cache / "source"  # a copy, so that the tree may change meanwhile
    golden = source / "tests/helpers/golden.py"
    command: list[str | Path] = [golden, "--isa", arguments.isa]
    if arguments.tests is not None:
        command = ["-m", "pytest", *arguments.tests]
        command += [f"--deselect={test}" for test in DESELECTED]
    elif arguments.python is not None:
        command = list(arguments.python)
    status = emulated.run(*command, folders=[built, *folders], cwd=source, FASTNET_ISA=arguments.isa)
    said("finished")
    if status and arguments.tests is None and arguments.python is None:
        print(f"aarch64: the {arguments.isa} build does not give the bits in tests/data", file=sys.stderr)
    return min(status, 1)


if __name__ == "__main__":
    sys.exit(main())
