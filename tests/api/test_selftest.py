"""`fastnet selftest` passes here, needs NumPy alone, and fails when something is broken."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet import cli, selftest
from fastnet.selftest import golden

WITHOUT_OTHERS = """
import sys
for name in ("sklearn", "scipy", "pytest", "hypothesis", "mpmath", "rich", "tqdm"):
    sys.modules[name] = None
from fastnet.cli import main
sys.exit(main(["selftest"]))
"""


def failed() -> set[str]:
    return {check.name for check in selftest.run() if not check.passed}


def test_it_passes_with_numpy_alone_and_says_what_a_bug_report_needs() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT_OTHERS], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for isa in fn.isa.supported():
        assert f"bits, {isa}" in ran.stdout
    for fact in (fn.__version__, np.__version__, fn.isa.active(), "threads", "fork", "files"):
        assert fact in ran.stdout
    assert ran.stdout.endswith(" checks passed\n")


def test_another_bit_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    known = golden.known()
    monkeypatch.setattr(golden, "known", lambda: known | {"float32: hidden tanh": "0" * 16})
    assert cli.main(["selftest"]) == 1
    report = capsys.readouterr().out
    assert "1 of 116 trainings gave other bits: float32: hidden tanh" in report
    assert f"{len(fn.isa.supported())} of " in report.splitlines()[-1]


def test_a_kernel_that_is_off_by_more_than_its_bound_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = fn.activate

    def wrong(Z: Any, name: str) -> Any:
        A = right(Z, name)
        return A * (1 + 8 * np.finfo(A.dtype).eps) if name == "sigmoid" else A

    monkeypatch.setattr(fn, "activate", wrong)
    kernels = {f"kernels, {isa}, {dtype}" for isa in fn.isa.supported() for dtype in ("float32", "float64")}
    assert failed() == kernels


def test_a_sum_that_depends_on_the_threads_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = fn.Network.fit

    def wrong(self: fn.Network, X: Any, T: Any, *args: Any, n_threads: int | None = None, **how: Any) -> Any:
        return fit(self, X * (1 + 1e-3 * (n_threads == 3)), T, *args, n_threads=n_threads, **how)

    monkeypatch.setattr(fn.Network, "fit", wrong)
    assert failed() == {"threads, float32", "threads, float64"}


def test_a_child_that_hangs_is_ended_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import time

    monkeypatch.setattr(selftest, "CHILD_SECONDS", 0.2)
    monkeypatch.setattr(os, "write", lambda file, text: time.sleep(60))
    checks = {check.name: check for check in selftest.run()}
    assert checks["fork"].detail == "the child did not answer within 0.2 seconds"


def test_a_reader_that_takes_damaged_files_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    good = fn.Network([fn.Layer(7, 9, "tanh"), fn.Layer(9, 3, "softmax")], seed=2, dtype="float32")
    monkeypatch.setattr(fn, "load", lambda path: good)
    assert "files" in failed()
