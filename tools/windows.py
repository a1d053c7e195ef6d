"""Compile the pool of threads for Windows with mingw-w64, and run it under Wine.

    python tools/windows.py         a minute; the first time, 160 MB are fetched

It is the pool alone, with the program that tests/core/test_pool.py runs on this machine: no Python for
Windows, no kernels, and not Microsoft's compiler, with which wheels are made. mingw-w64 and Wine are fetched
by apt and unpacked into a cache folder; nothing is installed, no root is needed.

Exit status: 0 every region ran as it should, 1 one did not, 2 it could not be compiled, 77 what it needs
could not be fetched.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from aarch64 import NOT_TRIED, ROOT, default_cache, fetch_packages

PACKAGES = ["gcc-mingw-w64-x86-64-posix", "wine64", "libwine", "libz-mingw-w64"]


def make_wine_findable(host: Path) -> tuple[Path, dict[str, str]]:
    """Return Wine's program and its environment, from the folder that its packages are unpacked in.

    It looks for its server beside itself, where Debian has a script for an installed one, and for zlib among
    its own libraries.
    """
    programs, libraries = host / "usr/lib/wine", host / "usr/lib/x86_64-linux-gnu"
    shutil.copy2(programs / "wineserver64", programs / "wineserver")
    shutil.copy2(host / "usr/x86_64-w64-mingw32/lib/zlib1.dll", libraries / "wine/x86_64-windows")
    return programs / "wine64", {"LD_LIBRARY_PATH": str(libraries), "WINEDEBUG": "-all"}


def main() -> int:
    """Fetch, compile, run, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=default_cache().with_name("fastnet-windows"))
    cache = parser.parse_args().cache.resolve()
    host = cache / "host"
    try:
        fetch_packages(cache, "amd64", PACKAGES, host, alone=False)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"not tried: mingw-w64 and Wine could not be fetched: {error}", file=sys.stderr)
        return NOT_TRIED
    wine, variables = make_wine_findable(host)
    environment = os.environ | variables | {"PATH": f"{host / 'usr/bin'}{os.pathsep}{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as folder:
        environment["WINEPREFIX"] = f"{folder}/prefix"
        program = f"{folder}/pool_test.exe"
        core = ROOT / "src/fastnet/_core"
        command = ["x86_64-w64-mingw32-gcc-posix", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"]
        command += [f"-I{core / 'engine'}", f"-I{core / 'kernels'}"]
        command += [str(ROOT / "tests/helpers/pool_test.c"), "-o", program]
        if subprocess.run(command, env=environment).returncode:
            return 2
        quiet = subprocess.DEVNULL
        subprocess.run([wine, "wineboot", "-i"], env=environment, stdout=quiet, stderr=quiet, timeout=300)
        status = subprocess.run([wine, program], env=environment, timeout=300).returncode
        subprocess.run([wine.with_name("wineserver"), "-k"], env=environment)
    return min(status, 1)


if __name__ == "__main__":
    sys.exit(main())
