"""What is made of the rows that `benchmarks.tables` measures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from benchmarks import table_sets, tables

pandas = pytest.importorskip("pandas")


def row(method: str, name: str, split: int, error: float) -> dict[str, Any]:
    return {"method": method, "set": name, "split": split, "error": error, "loss": error, "fit_cpu": 1.0}


def test_a_ratio_is_of_the_splits_that_both_have() -> None:
    rows = [row("fastnet", "a", 0, 1.0), row("fastnet", "a", 1, 50.0), row("histgb", "a", 0, 2.0)]
    rows += [row("fastnet", "b", 0, 8.0), row("histgb", "b", 0, 1.0), row("fastnet", "alone", 0, 1.0)]
    rows += [row("fastnet", "c", 0, 1.001), row("histgb", "c", 0, 1.0)]
    mean, *counts = tables.ratio(rows, "fastnet", "histgb", "error")
    assert mean == pytest.approx((0.5 * 8 * 1.001) ** (1 / 3))
    assert counts == [3, 1, 1, 1]  # sets, wins, ties, losses
    assert math.isnan(tables.ratio(rows, "fastnet", "catboost", "error")[0])
    assert "| histgb | 3 | 1.588 | 1 / 1 / 1 |" in tables.summary(rows)


def test_a_set_without_an_error_counts_but_has_no_part_in_the_mean() -> None:
    rows = [row("fastnet", "a", 0, 1.0), row("histgb", "a", 0, 2.0)]
    for name, mine, other in [("both", 0.0, 0.0), ("ours", 0.0, 0.1), ("theirs", 0.1, 0.0)]:
        rows += [row("fastnet", name, 0, mine), row("histgb", name, 0, other)]
    assert tables.ratio(rows, "fastnet", "histgb", "error") == (0.5, 4, 2, 1, 1)


class InNumericOrder:
    """Knows the answers; its classes are in another order than as texts."""

    classes_ = np.array(["2", "10"])

    def fit(self, X: Any, y: Any) -> None:
        """Learn nothing."""

    def predict_proba(self, X: Any) -> Any:
        """Return nine tenths for the right one."""
        return np.where(X[["x"]].to_numpy() % 2 == 0, [0.9, 0.1], [0.1, 0.9])


def test_classes_are_found_in_any_order_and_one_that_was_not_seen_is_wrong(monkeypatch: Any) -> None:
    n = 40
    y = np.where(np.arange(n) % 2 == 0, "2", "10").astype("<U4")
    table = table_sets.Table(pandas.DataFrame({"x": np.arange(n)}), y, True)
    monkeypatch.setitem(tables.METHODS, "known", lambda *arguments: InNumericOrder())
    found = tables.measure("known", "made up", table, 0, n)
    assert found["error"] == 0
    assert found["loss"] == pytest.approx(-math.log(0.9))
    y[:] = "new"
    found = tables.measure("known", "made up", table, 0, n)
    assert found["error"] == 1
    assert found["loss"] == pytest.approx(-math.log(1e-15))


def test_rows_of_training_and_test_are_of_the_table_and_apart() -> None:
    n = 50
    table = table_sets.Table(pandas.DataFrame({"x": np.arange(n)}), np.arange(n) * 10, True)
    X, y, X_test, y_test = tables.split(table, 3, 40)
    assert (len(X), len(X_test)) == (30, 10)
    assert (10 * X["x"] == y).all()
    assert (10 * X_test["x"] == y_test).all()
    assert not set(y) & set(y_test)


def test_a_speedup_is_of_the_best_fits() -> None:
    pytest.importorskip("narwhals")
    x = np.linspace(-1, 1, 60)
    table = table_sets.Table(pandas.DataFrame({"x": x}), (x > 0).astype(str), True)
    one, two = tables.speedup(table, 2, 60, 1)
    assert 0 < one < 60
    assert 0 < two < 60


def test_the_time_of_a_row_is_that_of_one() -> None:
    pytest.importorskip("narwhals")
    x = np.linspace(-1, 1, 60)
    table = table_sets.Table(pandas.DataFrame({"x": x}), 3 * x, False)
    seconds, inputs, members = tables.single_rows(table, 60, 2)
    assert 0 < seconds < 0.1
    assert inputs >= 1
    assert members >= 5
