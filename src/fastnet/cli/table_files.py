"""Read and write tables: CSV and TSV, also gzipped, Parquet and Arrow, through pyarrow.

What a file is shows in its first bytes, not in its name: gzip, Parquet and Arrow begin with a signature, and
the rest is text. A name that ends with .tsv or .tab, before a .gz, makes tabs the separator. "-" is standard
input or output.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, BinaryIO

from fastnet._optional import import_optional
from fastnet.files import atomic

__all__ = ["FORMATS", "check_output", "closest", "column", "read", "write"]

FORMATS = ("csv", "tsv", "parquet", "arrow")
_PURPOSE = "reading and writing tables"
_MOST = 2**31 - 1  # bytes of a block of pyarrow's reader of CSV
_SUFFIXES = {".csv": "csv", ".txt": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet"}
_SUFFIXES |= {".pq": "parquet", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"}


def read(
    path: str,
    *,
    separator: str | None = None,
    encoding: str = "utf-8",
    texts: tuple[str, ...] = (),
) -> Any:
    """Return the table of a file as a `pyarrow.Table`.

    Parameters
    ----------
    path : str
        "-" for standard input.
    separator : str, optional
        Of a text: one character. By default a tab where the name says so, otherwise a comma.
    encoding : str
        Of a text.
    texts : tuple of str
        Columns that are texts whatever they look like.

    Raises
    ------
    ValueError
        If it is empty, no table, or a column's values do not go together. The message begins with the file.
    OSError
        If it cannot be read.
    ImportError
        If pyarrow is missing.
    """
    arrow = import_optional("pyarrow", _PURPOSE, extra="cli")
    where = "standard input" if path == "-" else path
    if path == "-":
        content = sys.stdin.buffer.read()
    else:
        with atomic.naming(path), open(path, "rb") as file:
            content = file.read()
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{where}: the gzip file is damaged: {error}") from None
    if not content.strip():
        raise ValueError(f"{where}: the file must hold a table, but it is empty")
    try:
        if content[:4] == b"PAR1":
            parquet = import_optional("pyarrow.parquet", _PURPOSE, extra="cli")
            table = parquet.read_table(arrow.BufferReader(content))
        elif content[:6] == b"ARROW1":
            table = arrow.ipc.open_file(arrow.BufferReader(content)).read_all()
        elif content[:4] == b"\xff\xff\xff\xff":
            table = arrow.ipc.open_stream(arrow.BufferReader(content)).read_all()
        else:
            table = _read_text(content, where, separator or _separator(path), encoding, texts)
        names = table.column_names
    except (arrow.ArrowException, UnicodeError) as error:
        raise ValueError(f"{where}: {_first_line(error)}") from None
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice is not None:
        raise ValueError(f"{where}: columns must have different names, got {twice!r} twice")
    return table


def _read_text(content: bytes, where: str, separator: str, encoding: str, texts: tuple[str, ...]) -> Any:
    if encoding.lower().replace("-", "") == "utf8" and b"\0" in content[: 1 << 16]:
        raise ValueError(
            f"{where}: the file must be a table (CSV, TSV, Parquet or Arrow), but it is binary; "
            "--encoding utf-16 reads texts of that kind"
        )
    arrow = import_optional("pyarrow", _PURPOSE, extra="cli")
    csv = import_optional("pyarrow.csv", _PURPOSE, extra="cli")
    try:
        table = csv.read_csv(
            arrow.BufferReader(content),
            # one block: the types of columns come from all values, not from those of the first megabyte
            read_options=csv.ReadOptions(block_size=min(len(content) + 1, _MOST), encoding=encoding),
            parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                strings_can_be_null=True, column_types={name: arrow.string() for name in texts}
            ),
        )
    except LookupError:
        raise ValueError(f"--encoding must be the name of an encoding, got {encoding!r}") from None
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        if arrow.types.is_binary(kind):
            raise ValueError(
                f"{where}: column {name!r} must be text in {encoding}; --encoding latin-1 reads older files"
            )
    return table


def check_output(path: str, told: str | None = None) -> str:
    """Return the format to write: what was told, or what the suffix says; ValueError if neither does."""
    if told is not None:
        return told
    if path == "-":
        return "csv"
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    found = _SUFFIXES.get(suffixes[-1]) if suffixes else None
    if found is None:
        raise ValueError(f"--output must end with one of {', '.join(_SUFFIXES)}, got {path!r}; or give --to")
    return found


def write(columns: Mapping[str, Any], path: str, kind: str) -> None:
    """Write columns as one table; a file that is there is replaced as a whole. "-" is standard output."""
    arrow = import_optional("pyarrow", _PURPOSE, extra="cli")
    table = arrow.table(dict(columns))

    def fill(stream: BinaryIO) -> None:
        sink = arrow.BufferOutputStream()
        if kind == "parquet":
            import_optional("pyarrow.parquet", _PURPOSE, extra="cli").write_table(table, sink)
        elif kind == "arrow":
            with arrow.ipc.new_file(sink, table.schema) as file:
                file.write_table(table)
        else:
            csv = import_optional("pyarrow.csv", _PURPOSE, extra="cli")
            options = csv.WriteOptions(delimiter="\t" if kind == "tsv" else ",", quoting_style="needed")
            csv.write_csv(table, sink, options)
        content = sink.getvalue().to_pybytes()
        # no date in a gzip file: the same table gives the same bytes
        stream.write(gzip.compress(content, mtime=0) if path.endswith(".gz") else content)

    if path == "-":
        fill(sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        atomic.write_atomically(path, fill)


def column(table: Any, name: str, where: str, option: str) -> Any:
    """Return a column of a table; ValueError with the names that there are."""
    if name not in table.column_names:
        raise ValueError(
            f"{option} must be a column of {where}, got {name!r}{closest(name, table.column_names)}"
        )
    return table.column(name)


def closest(name: str, names: list[str]) -> str:
    """Return what a user may have meant, as the end of a sentence.

    >>> closest("aeg", ["age", "city"])
    "; did you mean 'age'?"
    """
    from difflib import get_close_matches

    near = get_close_matches(name, names, 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    shown = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        return f"; the only column is {shown}: give --separator"
    return f"; the columns are {shown}"


def _separator(path: str) -> str:
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return "\t" if suffixes and _SUFFIXES.get(suffixes[-1]) == "tsv" else ","


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
