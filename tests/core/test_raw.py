"""Raw tables: encoded while they are gathered, they give the bits of the matrix that they stand for."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastnet._core import engine
from fastnet.reference import tables as twin

NUMBER = {
    "centre": 0.3,
    "scale": 0.7,
    "gaps": True,
    "low": [-1.0, 0.0, 0.5, -1.0],
    "high": [0.0, 0.5, 2, 0.5],
    "values": [0.5, 0.0, -1.0, 1e308],
}
PLAIN = {"centre": 0.0, "scale": 2.0**-1060, "gaps": False, "low": [], "high": [], "values": [2.0]}
TINY = {"centre": -1e300, "scale": 1e-300, "gaps": True, "low": [2.0**-1074], "high": [2.0**-1060]}
TINY["values"] = [-1e300, 2.0**-1074]  # the first one is also what a gap counts as
WHOLE = {"centre": 3.0, "scale": 2.5, "gaps": False, "low": [1.0, 4.0], "high": [4.0, 100.0]}
WHOLE["values"] = [1.0, 7.0, 150.0]
PAIR = {"levels": ["no", "yes"], "pair": True}
FEW = {"levels": ["a", "b", "c"], "pair": False}
MANY = {"levels": [str(k) for k in range(150)], "pair": False}
# where a wide category makes most features 0, where few are, fewer than 5 features, and one
TABLES: dict[str, list[dict[str, Any]]] = {
    "dense": [NUMBER, FEW, PLAIN, PAIR, WHOLE, NUMBER],
    "mostly zeros": [NUMBER, MANY, PAIR, WHOLE, FEW, TINY],
    "narrow": [PLAIN, FEW],
    "one": [PAIR],
    "wide": [NUMBER, FEW] * 12,
}
ODD = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 2.0**-1074, 0.5, -1.0, 2.0]


def columns(learned: list[dict[str, Any]], n: int) -> list[Any]:
    """Return values for each column, of many dtypes and strides."""
    rng = np.random.default_rng(5)
    found: list[Any] = []
    for k, about in enumerate(learned):
        if "levels" in about:
            dtype = ["int8", "int16", "float64", "int64", "float32"][k % 5]
            codes = rng.integers(-1, len(about["levels"]), (n, 2))
            found.append(codes.astype("int16" if len(about["levels"]) > 127 and k % 5 == 0 else dtype)[:, 1])
        elif about is WHOLE:
            found.append(
                rng.integers(0, 200, n).astype(["uint8", "uint16", "int32", "uint64", "bool"][k % 5])
            )
        else:
            x = rng.standard_normal((n, 3)).astype("float64" if k % 2 == 0 else "float32")
            with np.errstate(over="ignore"):
                x[: len(ODD), 2] = ODD
            x[rng.random(n) < 0.2, 2] = np.nan
            found.append(x[::-1, 2])
    return found


def encodings(learned: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return what the core is told of each column."""
    return [
        ("pair",) if about.get("pair") else ("category", len(about["levels"])) if "levels" in about else
        (
            *("number", about["centre"], about["scale"], about["gaps"]),
            *(about[ends] + about["values"] for ends in ("low", "high")),  # a value is a bin of no width
        )
        for about in learned
    ]  # fmt: skip


def raw(name: str, n: int, factor: float = 0.7) -> engine.RawTable:
    return engine.RawTable(columns(TABLES[name], n), encodings(TABLES[name]), n, factor)


def clipped(values: Any) -> Any:
    """Return a column as the twin takes it: what is further from 0 than 2^1020 is read as that."""
    return np.clip(values.astype(np.float64), -(2.0**1020), 2.0**1020)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_encoded_rows_have_the_bits_of_the_twin(isa: str, name: str, dtype: str) -> None:
    values = [clipped(column) for column in columns(TABLES[name], 50)]
    expected = twin.encode_rows(values, TABLES[name], dtype, 0.7)
    table = raw(name, 50)
    assert table.shape == expected.T.shape
    assert table.encoded(dtype).tobytes() == expected.tobytes()
    assert table.encoded(dtype, 7, 31, n_threads=3).tobytes() == expected[7:38].tobytes()


def trained(
    X: Any, T: Any, F: int, dtype: str, batch: int, threads: int, **how: Any
) -> tuple[list[bytes], list[float], bool]:
    """Two epochs, in the order of the rows and in another; gradients, costs and predictions of some rows."""
    rng = np.random.default_rng(8)
    n, units = T.shape[1], 24
    sizes = [F, units, len(T)]
    W = [(rng.standard_normal((o, i)) / i**0.5).astype(dtype) for i, o in pairwise(sizes)]
    b = [rng.standard_normal((o, 1)).astype(dtype) for o in sizes[1:]]
    weights = rng.random(n).astype(dtype)
    trainer = engine.TrainerCore(W, b, ["tanh", "sigmoid"], batch, threads, seed=3, **how)
    costs = [
        trainer.epoch(X, T, None, 1e-2),
        trainer.epoch(X, T, rng.permutation(n)[::2].copy(), 1e-2, weights),
    ]
    sparse = trainer.sparse
    some = rng.integers(0, n, batch)
    dW, db, cost = trainer.gradients(X, T, weights, some)
    costs += [cost, trainer.loss(X, T), trainer.loss(X, T, weights, some)]
    arrays = [*trainer.weights()[0], *trainer.weights()[1], *dW, *db, trainer.predict(X)]
    return [array.tobytes() for array in arrays], costs, sparse


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("batch", "outputs", "how"),
    [
        (50, 1, {}),
        (7, 2, {"optimizer": "adam", "dropout": [0.2, 0.0]}),
        (1100, 3, {"optimizer": "adamw", "scale_rate": 5.0}),  # more than a block
    ],
)
def test_a_raw_table_and_the_matrix_give_the_same_bits(
    isa: str, name: str, dtype: str, batch: int, outputs: int, how: dict[str, Any]
) -> None:
    n = 1203 if batch > 1000 else 171
    table = raw(name, n)
    E = table.encoded(dtype)
    T = (np.random.default_rng(4).random((outputs, n)) < 0.5).astype(dtype)
    costs_and_weights = trained(E.T, T, E.shape[1], dtype, batch, 1, **how)[:2]
    for threads in (1, 2, 3, 8):
        found = trained(table, T, E.shape[1], dtype, batch, threads, **how)
        assert found[:2] == costs_and_weights, threads
        assert found[2] == (name == "mostly zeros")


def test_codes_that_name_no_level_are_gaps() -> None:
    codes = np.array([0, 2, 3, -1, -7, 10**9])
    expected = [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert engine.RawTable([codes], [("category", 3)], 6).encoded("float32").tolist() == expected
    odd = np.array([1.0, 0.5, np.nan, np.inf, 1e300, -0.0])
    table = engine.RawTable([odd], [("category", 3)], 6)
    assert table.encoded("float32").tolist() == [[0, 1, 0], *[[0, 0, 0]] * 4, [1, 0, 0]]
    assert engine.RawTable([odd], [("pair",)], 6).encoded("float32")[:, 0].tolist() == [1, 0, 0, 0, 0, -1]


def test_arguments_are_checked() -> None:
    x = np.zeros(3)
    number = ("number", 0.0, 1.0, False, [], [])
    for values, about, error, message in [
        ([x], [], ValueError, "encodings must be 1"),
        ([x[:2]], [number], ValueError, r"values\[0\] must have shape \(3,\), got \(2,\)"),
        ([x.astype(">f8")], [number], TypeError, r"values\[0\] must be aligned numbers of this machine"),
        ([x.astype("float16")], [number], TypeError, "got float16"),
        ([x], [("text",)], ValueError, "must be a number, a category or a pair, got 'text'"),
        ([x], [("number", 0.0, 0.0, False, [], [])], ValueError, "a scale above 0"),
        ([x], [("number", 0.0, 1.0, False, [1.0], [0.5])], ValueError, "bins from low to high"),
        ([x], [("category", 0)], ValueError, "at least 1 and not too many levels, got 0"),
    ]:
        with pytest.raises(error, match=message):
            engine.RawTable(values, about, 3)
    table = engine.RawTable([x], [number], 3)
    with pytest.raises(ValueError, match="first and n must be rows of 3, got 2 and 2"):
        table.encoded("float32", 2, 2)
    W, b = [np.ones((1, 2), np.float32)], [np.ones((1, 1), np.float32)]
    core = engine.TrainerCore(W, b, ["sigmoid"], 2)
    with pytest.raises(ValueError, match="X must have 2 features, got 1"):
        core.epoch(table, np.zeros((1, 3), np.float32), None, 0.1)
    scaling = np.zeros(2, np.float32), np.ones(2, np.float32)
    core = engine.TrainerCore(W, b, ["sigmoid"], 2, standardize=scaling)
    two = engine.RawTable([x, x], [number, number], 3)
    with pytest.raises(ValueError, match="X must be an array where its features are standardised"):
        core.epoch(two, np.zeros((1, 3), np.float32), None, 0.1)
