"""Damaged files from tools/fuzz_files.py, checksums made right again: refused, or loaded as what they say."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
FILES = 1000  # of each kind; the script itself does as many as are asked for
MEASURED = 10  # one in so many is measured in memory, which takes longer


@pytest.fixture(scope="module")
def fuzz() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOOLS)
        yield importlib.import_module("fuzz_files")


@pytest.mark.parametrize("kind", ["safetensors", "npz", "checkpoint", "ensemble", "tabular"])
def test_damaged_files(fuzz: ModuleType, kind: str) -> None:
    rng, files = random.Random(5), fuzz.seeds(kind)
    assert all(fuzz.check(kind, file) for file in files)
    loaded = 0
    for number in range(FILES):
        file = fuzz.mutated(kind, rng.choice(files), rng)
        loaded += fuzz.check(kind, file, measure=number % MEASURED == 0)
    assert 0 < loaded < FILES / 2
