"""scikit-learn's own tests of its MLP, and its checks of any estimator, on fastnet's classes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

import sklearn
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastnet.sklearn import MLPClassifier, MLPRegressor


def test_scikit_learns_own_tests_pass_and_every_fit_runs_on_the_kernels() -> None:
    pytest.importorskip("pandas")  # without it scikit-learn skips two of its tests
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "swap_plugin",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
    ]
    command += ["--pyargs", "sklearn.neural_network.tests.test_mlp"]
    # BLAS would start threads for tiny products; options of our tests are not for those, which are counted
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""}
    environment["LOKY_MAX_CPU_COUNT"] = "1"  # else joblib warns where it cannot count the cores
    run = subprocess.run(
        command,
        cwd=Path(__file__).parents[1] / "helpers",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    report = run.stdout + run.stderr
    assert run.returncode == 0, report
    outcome = re.search(r"^(\d+) passed in .*$", run.stdout, re.MULTILINE)
    assert outcome is not None, report
    if sklearn.__version__.startswith("1.9."):
        assert outcome[1] == "59"
    fits, on_kernels, calls = (int(n) for n in re.findall(r"^swap: .*: (\d+)$", run.stdout, re.MULTILINE))
    assert fits == on_kernels > 500
    assert calls > 5000


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)])
def test_estimator_checks(estimator: Any, check: Any) -> None:
    check(estimator)
