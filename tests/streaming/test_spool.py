"""Blocks that can be had only once: iterables, Arrow, Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streams import WIDTH, N, blocks, network, same_fits, weights

import fastnet as fn


@pytest.mark.parametrize("size", [1, 137, N])
def test_blocks_are_written_to_disk_and_read_as_often_as_needed(rows: Any, size: int, tmp_path: Path) -> None:
    X, T = rows[0][:999], rows[1][:999]
    stream = fn.stream(blocks(X, T, size), directory=tmp_path)
    in_memory = X.astype("float32").T, T.astype("float32").T
    for _ in range(2):
        same_fits(in_memory, (stream,))
    assert len(list(tmp_path.iterdir())) == 1
    del stream
    assert not list(tmp_path.iterdir())


def test_a_source_that_is_interrupted_goes_on_where_it_was(rows: Any) -> None:
    class Interrupting:
        """Blocks of which one cannot be had at the first try."""

        def __init__(self) -> None:
            self.start, self.is_first = 0, True

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            if self.start == 600 and self.is_first:
                self.is_first = False
                raise KeyboardInterrupt
            self.start += 100
            if self.start > 1000:
                raise StopIteration
            return rows[0][self.start - 100 : self.start], rows[1][self.start - 100 : self.start]

    stream, net = fn.stream(Interrupting()), network()
    before = weights(net)
    with pytest.raises(KeyboardInterrupt):
        net.fit(stream, epochs=1)
    assert weights(net) == before
    same_fits(tuple(array[:1000].astype("float32").T for array in rows), (stream,))


@pytest.mark.parametrize("kind", ["table", "scanner", "reader", "parquet"])
def test_arrow(rows: Any, tmp_path: Path, kind: str) -> None:
    pa = pytest.importorskip("pyarrow")
    dataset, parquet = pytest.importorskip("pyarrow.dataset"), pytest.importorskip("pyarrow.parquet")
    X = rows[0].astype("float32")
    columns = {f"f{k}": X[:, k] for k in range(WIDTH)} | {"label": rows[1][:, 0].astype("int8")}
    table = pa.table(columns)
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=700)
    sources = {
        "table": lambda: table,
        "scanner": lambda: dataset.dataset(tmp_path / "rows.parquet").scanner(batch_size=333),
        "reader": lambda: table.to_reader(512),
        "parquet": lambda: tmp_path / "rows.parquet",
    }
    stream = fn.stream(sources[kind](), "label")
    same_fits((X.T, rows[1].astype("float32").T), (stream,))
    assert stream.feature_names == [f"f{k}" for k in range(WIDTH)]


def test_arrow_errors(rows: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": [1.0, None], "b": [1, 2], "label": [0, 1]})
    with pytest.raises(ValueError, match=r"targets must be columns of the source, a, b, label, got 'y'"):
        fn.stream(table, "y")
    with pytest.raises(TypeError, match=r"source must hold numbers in each column, got string in 'c'"):
        fn.stream(pa.table({"c": ["x"], "label": [0]}), "label")
    with pytest.raises(ValueError, match=r"source must have columns besides the targets, got none"):
        fn.stream(table.select(["label"]), "label")
    net = fn.Network([fn.Layer(2, 1)])
    with pytest.raises(ValueError, match=r"X must be finite, got nan in row 1, column 'a'"):
        net.fit(fn.stream(table, "label"))
