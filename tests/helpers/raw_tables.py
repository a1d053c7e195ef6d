"""Tables with every kind of column, for exported models, and rows that are hard to encode."""

from __future__ import annotations

import numpy as np
import pandas as pd
from tables import amounts


def every_kind(n=240, seed=0):
    """Return a table with a column of every kind and case, and a number that depends on many of them."""
    rng = np.random.default_rng(seed)
    sizes, colours = rng.normal(size=n), rng.choice(["red", "green", "blue", "", " "], n)
    table = pd.DataFrame({"size": sizes, "colour": colours})
    table["whole"] = rng.integers(0, 3, n).astype(float)  # few distinct values
    table["wide"] = 10.0 ** rng.uniform(-8, 8, n) * rng.choice([-1, 1], n)
    table["flag"] = rng.random(n) < 0.5
    table["sometimes"] = np.where(rng.random(n) < 0.2, None, rng.random(n) < 0.5)  # a boolean with gaps
    table["only"] = np.where(rng.random(n) < 0.5, None, True)  # one level and gaps
    table["label"] = rng.choice(["yes", "no"], n)  # a pair, called like an output
    table["time"] = pd.Timestamp("2021-11-03 05:06:07") + pd.to_timedelta(rng.integers(0, 9**8, n), unit="s")
    table["day"] = pd.Timestamp("1969-01-01") + pd.to_timedelta(rng.integers(0, 800, n), unit="D")
    table["amount"] = amounts(n, rng)
    table["constant"] = 3.0
    table["empty"] = np.full(n, np.nan)
    table["code"] = pd.Series(rng.integers(0, 30, n)).astype("category")
    value = (
        sizes + 2 * (colours == "red") - table["flag"] + (table["label"] == "yes") + rng.normal(size=n) / 9
    )
    for k, name in enumerate(("size", "colour", "time", "label", "code")):
        table.loc[rng.random(n) < 0.05 * (k + 1), name] = None
    return table, value.to_numpy(float)


def hard_rows(table):
    """Return tables of the same columns: gaps everywhere, new levels, far numbers and dates, one row."""
    n = len(table)
    far = table.assign(
        size=np.resize([np.inf, -np.inf, 1e300, -1e-300], n), wide=np.resize([0.0, -0.0, 1e18], n)
    )
    return {
        "as it is": table,
        "gaps": pd.DataFrame({name: [None] * n for name in table}).astype(
            {name: kind for name, kind in table.dtypes.items() if kind.kind in "fM"}
        ),
        "new levels": table.assign(colour="violet", label="", code="3.5", sometimes=None, empty=5.0),
        "far": far,
        "old": table.assign(time=pd.date_range("1700-01-31", "2200-01-31", n).astype("datetime64[us]")),
        "one row": table[7:8],
    }
