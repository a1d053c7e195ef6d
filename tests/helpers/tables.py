"""What the tests of tables share: a table of mixed columns, and equal arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd


def amounts(n, rng):
    """A column that is 0 mostly, often one of ten amounts, and sometimes another number."""
    often = np.round(100 * 1.7 ** np.arange(10), 2)
    kind = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    return np.choose(kind, [np.zeros(n), rng.choice(often, n), rng.integers(1, 5000, n)])


def mixed(n=300, seed=0):
    """A table of mixed columns with gaps, and targets that depend on all of them."""
    rng = np.random.default_rng(seed)
    number, colour = rng.normal(size=n), rng.choice(["red", "green", "blue"], n)
    table = pd.DataFrame({"number": number, "colour": colour, "flag": rng.random(n) < 0.5})
    table["time"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D")
    value = number + 2 * (colour == "red") - table["flag"] + 0.1 * rng.normal(size=n)
    table["amount"] = amounts(n, rng)
    table.loc[rng.random(n) < 0.1, "number"] = np.nan
    table.loc[rng.random(n) < 0.1, "colour"] = None
    return table, np.where(value > 0.3, "high", "low"), value.to_numpy()


def same(one, other):
    np.testing.assert_array_equal(one, other)
