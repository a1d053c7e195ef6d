"""Rows and files of the tests of streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streams import WIDTH, N


@pytest.fixture(scope="module")
def rows() -> Any:
    """Rows of small whole numbers, which every dtype can hold, and targets of 0 and 1."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 9, (N, WIDTH)).astype("float64")
    return X, (X[:, :1] + rng.normal(size=(N, 1)) > X[:, 1:2]).astype("float64")


@pytest.fixture
def files(rows: Any, tmp_path: Path) -> tuple[str, str]:
    paths = str(tmp_path / "X.npy"), str(tmp_path / "T.npy")
    for path, array in zip(paths, rows, strict=True):
        np.save(path, array)
    return paths
