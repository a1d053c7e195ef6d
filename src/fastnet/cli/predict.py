"""The command `fastnet predict`: a model file applied to a table."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnet.cli import table_files
from fastnet.cli.parser import Parser, add_reading_options

__all__ = ["add_command"]


def add_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `predict` to the commands of a parser.

    Examples
    --------
    >>> from fastnet.cli.parser import Parser
    >>> from fastnet.cli import predict
    >>> parser = Parser()
    >>> predict.add_command(parser.add_subparsers())
    >>> parser.parse_args(["predict", "model.safetensors", "-"]).output
    '-'
    """
    predict = commands.add_parser(
        "predict",
        help="predict for the rows of a table",
        description="Write a prediction for each row of a table, in the order of the rows. Columns are found "
        "by their names. A category that was not seen in training counts as a gap.",
    )
    predict.add_argument("model", metavar="MODEL", help="a file that fastnet train or fastnet.save wrote")
    predict.add_argument(
        "data", metavar="DATA", help="CSV, TSV, Parquet or Arrow, also gzipped; - is standard input"
    )
    predict.add_argument(
        "-o", "--output", metavar="FILE", default="-", help="the table to write; default: -, standard output"
    )
    predict.add_argument(
        "--to", choices=table_files.FORMATS, help="format; by default the suffix of FILE says it, or csv"
    )
    predict.add_argument(
        "--probabilities", action="store_true", help="add a column with the probability of each class"
    )
    predict.add_argument(
        "--keep", metavar="COLUMN", action="append", default=[], help="copy a column; may be repeated"
    )
    add_reading_options(predict)
    predict.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace) -> int:
    from fastnet import files

    kind = table_files.check_output(arguments.output, arguments.to)
    model = files.load(arguments.model)
    encoder = getattr(model, "encoder_", None) or getattr(model, "encoder", None)
    found = {} if encoder is None else _kinds(encoder)
    texts = tuple(name for name, of in found.items() if of == "category")
    table = table_files.read(
        arguments.data, separator=arguments.separator, encoding=arguments.encoding, texts=texts
    )
    where = "standard input" if arguments.data == "-" else arguments.data
    kept = {name: table_files.column(table, name, where, "--keep") for name in arguments.keep}
    if encoder is None:
        columns = _of_numbers(model, table, where)
    else:
        rows = _selected(table, list(found) or table.column_names, where)
        _check_times(rows, found, where)
        _tell_new_levels(encoder, rows)
        columns = _of_tables(model, rows)
    if not arguments.probabilities:
        columns = {"prediction": columns["prediction"]} if "prediction" in columns else columns
    table_files.write(kept | columns, arguments.output, kind)
    return 0


def _kinds(encoder: Any) -> dict[str, str]:
    """Return the kind of each column of the table by name; empty if the columns had no names."""
    names = getattr(encoder, "feature_names_in_", None)
    kinds: dict[str, str] = {}
    for column in encoder.columns_:
        kinds.setdefault(column.name, column.kind)  # the parts of a date come after it
    return {} if names is None else {str(name): kinds[str(name)] for name in names}


def _selected(table: Any, names: list[str], where: str) -> Any:
    """Return the columns that the model takes, in its order; ValueError names those that are missing."""
    missing = [name for name in names if name not in table.column_names]
    if missing:
        shown = ", ".join(map(repr, missing[:10])) + (", ..." if len(missing) > 10 else "")
        verb = "is" if len(missing) == 1 else "are"
        near = table_files.closest(missing[0], table.column_names)
        raise ValueError(f"{where}: the model's columns must be there, but {shown} {verb} missing{near}")
    if not table.num_rows:
        raise ValueError(f"{where}: there must be at least one row, got none")
    return table.select(names)


def _check_times(table: Any, kinds: dict[str, str], where: str) -> None:
    """ValueError if numbers have become dates, or dates numbers: both are read as seconds without a word."""
    for name, kind in kinds.items():
        found = str(table.schema.field(name).type)
        date = found.startswith(("timestamp", "date"))
        plain = found.startswith(("int", "uint", "float", "double", "bool"))
        if (kind == "number" and date) or (kind == "datetime" and plain):
            wanted = "numbers" if kind == "number" else "dates"
            raise ValueError(f"{where}: column {name!r} must hold {wanted}, as in training, got {found}")


def _tell_new_levels(encoder: Any, table: Any) -> None:
    """Say on standard error which categories the model does not know: they count as gaps."""
    for column in encoder.to_dict()["columns"]:
        encoding, name = column["encoding"], column["name"]
        if column["kind"] != "category" or encoding is None or name not in table.column_names:
            continue
        known, values = set(encoding["levels"]), table.column(name).to_pylist()
        new = [str(value) for value in values if value is not None and str(value) not in known]
        if new:
            different = list(dict.fromkeys(new))
            shown = ", ".join(map(repr, different[:3])) + (", ..." if len(different) > 3 else "")
            print(
                f"fastnet: note: column {name!r}: {len(new):,} values are none of the model's categories "
                f"({shown}) and count as gaps",
                file=sys.stderr,
            )


def _of_tables(model: Any, table: Any) -> dict[str, Any]:
    """Return the predictions of an estimator, or of an ensemble with an encoder, as columns."""
    from fastnet.ensemble import Ensemble

    if isinstance(model, Ensemble):
        A = model.predict_proba(model.encode(table))
        return _columns(A, model.networks[0].output, model.classes, model.targets is not None)
    if hasattr(model, "classes_"):
        return _labelled(model.predict_proba(table).T, model.classes_.tolist())
    y = model.predict(table)
    return {"prediction": y} if y.ndim == 1 else {f"prediction {k}": y[:, k] for k in range(y.shape[1])}


def _of_numbers(model: Any, table: Any, where: str) -> dict[str, Any]:
    """Return the predictions of a network, or of an ensemble of networks, that takes numbers."""
    network = model.networks[0] if hasattr(model, "networks") else model
    names = network.feature_names or table.column_names
    n_in = network.sizes[0]
    if len(names) != n_in:
        raise ValueError(f"{where}: the table must have the {n_in} columns of the model, got {len(names)}")
    columns = []
    rows = _selected(table, list(names), where)
    for name in names:
        try:
            columns.append(np.asarray(rows.column(name).to_pylist(), dtype=np.float64))
        except (TypeError, ValueError):
            raise ValueError(f"{where}: column {name!r} must hold numbers, which this model takes") from None
        if not np.isfinite(columns[-1]).all():
            raise ValueError(f"{where}: column {name!r} must hold finite numbers without gaps for this model")
    A = model.predict_proba(np.stack(columns).astype(network.dtype))
    return _columns(A, network.output, model.classes, False)


def _columns(A: NDArray[Any], output: str, classes: Any, targets: bool) -> dict[str, Any]:
    """Return outputs (n_out, n) as columns."""
    if output == "binary":
        A, output = np.concatenate([1 - A, A]), "multiclass"
    if output == "multiclass" and not targets:
        return _labelled(A, list(range(len(A))) if classes is None else list(classes))
    names = ["prediction"] if len(A) == 1 else [f"prediction {k}" for k in classes or range(len(A))]
    return dict(zip(names, A, strict=True))


def _labelled(P: NDArray[Any], classes: list[Any]) -> dict[str, Any]:
    """Return the most probable label of each row, and the probability of each class."""
    labels = [classes[k] for k in P.argmax(axis=0)]
    return {"prediction": labels} | {f"probability {label}": p for label, p in zip(classes, P, strict=True)}
