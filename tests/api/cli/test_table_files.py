"""Tables in files: what is read, and that a name does not matter where the content says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastnet.cli import table_files

pytest.importorskip("pyarrow")


def test_the_types_come_from_all_values(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a,b\n" + "1,x\n" * 400_000 + "1.5,NA\n")  # more than a block of pyarrow's reader
    table = table_files.read(str(path))
    assert [str(kind) for kind in table.schema.types] == ["double", "string"]
    assert table.column("b").null_count == 1


def test_a_parquet_file_by_any_name(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    table_files.write({"a": [1, 2], "b": ["x", None]}, str(path), "parquet")
    other = path.rename(tmp_path / "data.csv")
    assert table_files.read(str(other)).to_pydict() == {"a": [1, 2], "b": ["x", None]}


def test_quotes_line_ends_and_the_mark_of_the_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes('\ufeffa,"b, c"\r\n"x\ny","say ""hi"""\r\n'.encode())
    assert table_files.read(str(path)).to_pydict() == {"a": ["x\ny"], "b, c": ['say "hi"']}
    table_files.write({"a": ["x\ny", 'say "hi"', "plain"]}, str(path), "csv")
    assert table_files.read(str(path)).to_pydict() == {"a": ["x\ny", 'say "hi"', "plain"]}


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.csv.gz", "b.csv.gz"):
        table_files.write({"a": [0.1, 1e300]}, str(tmp_path / name), "csv")
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_the_format_of_the_output() -> None:
    assert table_files.check_output("-") == "csv"
    assert table_files.check_output("out.TSV.gz") == "tsv"
    assert table_files.check_output("out.txt", "arrow") == "arrow"
    with pytest.raises(ValueError, match=r"--output must end with one of \.csv"):
        table_files.check_output("out")
