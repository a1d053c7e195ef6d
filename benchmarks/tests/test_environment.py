"""Peers are measured with all that the CPU has, whatever is set for the machine."""

from __future__ import annotations

import os
import subprocess
import sys


def test_what_holds_blas_back_is_taken_out_before_numpy_is_loaded() -> None:
    program = (
        "import sys, os, benchmarks\n"
        "assert 'numpy' not in sys.modules\n"
        "import benchmarks.machine\n"
        "print(os.environ.get('OPENBLAS_CORETYPE'))"
    )
    environment = os.environ | {"OPENBLAS_CORETYPE": "Haswell"}
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout == "None\n"
