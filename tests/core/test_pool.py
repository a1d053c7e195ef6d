"""The pool of threads alone, as C: each thread and each piece of work once, nobody early past a barrier."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import fastnet

PROGRAM = Path(__file__).parents[1] / "helpers" / "pool_test.c"
CORE = Path(fastnet.__file__).parent / "_core"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.skipif(not (CORE / "engine/pool.h").exists(), reason="the sources are not installed")
def test_regions_of_one_to_eight_threads(tmp_path: Path) -> None:
    program = tmp_path / "pool_test"
    folders = [f"-I{CORE / name}" for name in ("engine", "kernels")]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread"]
    subprocess.run(["cc", *flags, *folders, str(PROGRAM), "-o", str(program)], check=True)
    found = subprocess.run([str(program)], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout
    assert found.stdout == "500 regions on 1 to 8 threads; 2 where 2 are allowed\n"
