"""What the tests of the commands for tables share: a table in a file, and a model of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fastnet import cli

FAST = ["--members", "1", "--epochs", "3", "--width", "8"]


def made(n: int = 120, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {"age": rng.normal(50, 15, n).round(1), "city": rng.choice(["Rome", "Oslo", "Lima"], n)}
    )
    table["since"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D")
    table["member"] = rng.random(n) < 0.5
    table["spent"] = (2 * table["age"] + 30 * (table["city"] == "Oslo")).round(2)
    table["churn"] = np.where(table["age"] > 50, "yes", "no")
    table.loc[::17, "age"] = np.nan
    table.loc[::23, "city"] = None
    return table


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    return made()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame) -> Path:
    """A folder with data.csv, and with the models churn (classes) and spent (numbers) trained on it."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("tables")
    table.to_csv(folder / "data.csv", index=False)
    for target in ("churn", "spent"):
        model = str(folder / f"{target}.safetensors")
        line = ["train", str(folder / "data.csv"), "--target", target, "-o", model, "--quiet", *FAST]
        assert cli.main(line) == 0
    return folder
