"""The command `fastnet train`: an estimator for tables, trained on a file and scored on rows held out."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from fastnet import plot
from fastnet.cli import table_files
from fastnet.cli.parser import Parser, add_reading_options, positive_float, positive_int, seed

__all__ = ["add_command"]

_FEW = 20  # whole numbers of so many different values at most are taken for classes
_FEWEST = 10  # rows from which on some are held out


def add_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `train` to the commands of a parser.

    Examples
    --------
    >>> from fastnet.cli.parser import Parser
    >>> from fastnet.cli import train
    >>> parser = Parser()
    >>> train.add_command(parser.add_subparsers())
    >>> parser.parse_args(["train", "data.csv", "--target", "y", "-o", "model.safetensors"]).target
    'y'
    """
    train = commands.add_parser(
        "train",
        help="train on a table (CSV, Parquet, Arrow) and save the model",
        description="Train a TabularClassifier or TabularRegressor on a table with text, gaps, dates and "
        "numbers, score it on rows that were held out, and save it. What was chosen and why is told on "
        "standard error.",
    )
    train.add_argument(
        "data", metavar="DATA", help="CSV, TSV, Parquet or Arrow, also gzipped; - is standard input"
    )
    train.add_argument("--target", metavar="COLUMN", required=True, help="the column to predict")
    train.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the model file to write, .safetensors"
    )
    train.add_argument(
        "--task",
        choices=("classification", "regression"),
        help="by default found from the target's values, and told",
    )
    train.add_argument(
        "--quantile",
        metavar="Q",
        type=_quantile,
        help="predict this quantile of the target, above 0 and below 1, in place of its mean",
    )
    train.add_argument(
        "--drop", metavar="COLUMN", action="append", default=[], help="leave a column out; may be repeated"
    )
    train.add_argument(
        "--kind",
        metavar="COLUMN=KIND",
        action="append",
        default=[],
        help="read a column as number, category, boolean or datetime; may be repeated",
    )
    train.add_argument(
        "--class-weight",
        metavar="WEIGHT",
        action="append",
        default=[],
        help="balanced: as if each class had the same number of rows; or CLASS=NUMBER, which may be repeated",
    )
    train.add_argument(
        "--held-out",
        metavar="PART",
        type=_part,
        default=0.2,
        help="part of the rows that only score the model; 0 for none; default: 0.2",
    )
    train.add_argument("--members", type=positive_int, metavar="N", default=5, help="networks; default: 5")
    train.add_argument("--epochs", type=positive_int, metavar="N", default=64, help="at most; default: 64")
    train.add_argument("--width", type=positive_int, metavar="N", default=128, help="default: 128")
    train.add_argument("--time-limit", type=positive_float, metavar="SECONDS", help="of the training")
    train.add_argument("--seed", type=seed, metavar="N", default=0, help="of split and training; default: 0")
    train.add_argument("--threads", type=positive_int, metavar="N", help="at most; default: all cores")
    add_reading_options(train)
    train.add_argument(
        "--plot", metavar="FILE", help="save the loss of each network as a picture (matplotlib)"
    )
    train.add_argument(
        "--log-json", metavar="FILE", help="write what happened as lines of JSON; - is standard output"
    )
    train.add_argument("--quiet", action="store_true", help="no report and no progress")
    train.set_defaults(run=_train)


def _train(arguments: argparse.Namespace) -> int:
    from fastnet import files
    from fastnet.tabular import TableEncoder, TabularClassifier, TabularRegressor

    _check_writable(arguments.output)
    figure = None if arguments.plot is None else plot.new_figure()  # a missing matplotlib is told first
    kinds = _kinds(arguments.kind)
    with ExitStack() as stack:
        stream: TextIO | None = None
        if arguments.log_json is not None:
            to_file = arguments.log_json != "-"
            stream = stack.enter_context(open(arguments.log_json, "w")) if to_file else sys.stdout
        log = _Log(arguments.quiet, stream)
        texts = tuple(name for name, kind in kinds.items() if kind == "category")
        table = table_files.read(
            arguments.data, separator=arguments.separator, encoding=arguments.encoding, texts=texts
        )
        where = "standard input" if arguments.data == "-" else arguments.data
        log.tell("data", "read", f"{where}: {table.num_rows:,} rows, {table.num_columns} columns", file=where)
        values = table_files.column(table, arguments.target, where, "--target").to_pylist()
        for name in (*arguments.drop, *kinds):
            table_files.column(table, name, where, "--drop" if name in arguments.drop else "--kind")
        table = table.drop_columns([arguments.target, *dict.fromkeys(arguments.drop)])
        if not table.num_columns:
            raise ValueError(f"{where}: there must be a column besides the target {arguments.target!r}")
        known = [k for k, value in enumerate(values) if not _is_gap(value)]
        if len(known) < len(values):
            text = f"{len(values) - len(known):,} rows without a target are left out"
            log.tell("gaps", "", text, rows=len(values) - len(known))
            table, values = table.take(known), [values[k] for k in known]
        quantile = arguments.quantile
        if quantile is not None and arguments.task == "classification":
            raise ValueError("--quantile must be left out for --task classification")
        told = ("--task", arguments.task) if quantile is None else ("--quantile", "regression")
        y, task = _target(values, told, arguments.target, log)
        class_weight = _class_weight(arguments.class_weight, y, task)
        test = _held_out(y, arguments.held_out, arguments.seed, task)
        rest = np.setdiff1d(np.arange(len(y)), test)
        if not len(test):
            log.tell("rows", "rows", f"{len(rest):,} to train, none held out to score")
        else:
            log.tell("rows", "rows", f"{len(rest):,} to train, {len(test):,} held out to score")
        options: dict[str, Any] = {
            "members": arguments.members,
            "epochs": arguments.epochs,
            "width": arguments.width,
            "encoder": TableEncoder(kinds=kinds) if kinds else None,
            "time_limit": arguments.time_limit,
            "random_state": arguments.seed % 2**32,
            "n_threads": arguments.threads,
            "verbose": not arguments.quiet,
        }
        if class_weight is not None:
            options["class_weight"] = class_weight
        if quantile is not None:
            options["quantile"] = quantile
        model = (TabularClassifier if task == "classification" else TabularRegressor)(**options)
        start = time.perf_counter()
        model.fit(table.take(rest), y[rest])
        seconds = time.perf_counter() - start
        model.set_params(verbose=False)  # of the file: who loads it has not asked for progress
        _tell_model(model, seconds, log)
        if len(test):
            _tell_scores(model, table.take(test), y[rest], y[test], log)
        files.save(model, arguments.output)
        size = os.path.getsize(arguments.output)
        log.tell("saved", "wrote", f"{arguments.output}, {size:,} bytes", file=arguments.output, bytes=size)
    if figure is not None:
        ax = figure.subplots()
        for history in model.histories_:
            plot.plot_history(history, ax=ax)
        figure.savefig(arguments.plot)
    return 0


class _Log:
    """Tells what happens: lines of text on standard error, and lines of JSON where they were asked for."""

    def __init__(self, quiet: bool, stream: TextIO | None) -> None:
        self._quiet = quiet
        self._json = stream

    def tell(self, event: str, head: str, text: str, **facts: Any) -> None:
        """Tell one thing; `facts` are in the line of JSON."""
        if not self._quiet:
            print(f"{head:10} {text}".rstrip(), file=sys.stderr)
        if self._json is not None:
            print(json.dumps({"event": event, "text": text} | facts), file=self._json, flush=True)


def _target(
    values: list[Any], option: tuple[str, str | None], name: str, log: _Log
) -> tuple[NDArray[Any], str]:
    """Return the target as an array, and the task: what an option says, or what its values show."""
    by, told = option
    if not values:
        raise ValueError(f"--target {name!r} must have a value in at least one row, got none")
    booleans = all(isinstance(value, bool) for value in values)
    numbers = not booleans and all(isinstance(value, (int, float)) for value in values)
    whole = numbers and all(float(value).is_integer() for value in values)
    counts = Counter(values)
    few = len(counts) <= _FEW
    if not numbers and not all(isinstance(value, (str, bool)) for value in values):
        odd = next(value for value in values if not isinstance(value, (str, bool, int, float)))
        raise ValueError(f"--target {name!r} must hold numbers, texts or booleans, got {odd!r}")
    task = told or ("regression" if numbers and not (whole and few) else "classification")
    if told is not None:
        why = f"as {by} says"
    elif not numbers:
        why = "because the values are " + ("true and false" if booleans else "texts")
    elif task == "classification":
        why = f"because there are {len(counts)} different whole numbers; --task regression changes it"
    else:
        many = f"more than {_FEW} different" if whole else "not all whole"
        why = f"because the values are numbers, {many}; --task classification changes it"
    if task == "regression":
        if not numbers and not booleans:
            raise ValueError(
                f"--target {name!r} must hold numbers for a regression, {why}, got {values[0]!r}"
            )
        y = np.array(values, np.float64)
        if not np.isfinite(y).all():
            raise ValueError(f"--target {name!r} must hold finite numbers for a regression")
        text = f"{name}: regression, from {y.min():g} to {y.max():g}, {why}"
        log.tell("target", "target", text, task=task, low=float(y.min()), high=float(y.max()))
        return y, task
    if len(counts) < 2:
        raise ValueError(f"--target {name!r} must have at least two classes, got only {values[0]!r}")
    labels = [int(value) for value in values] if whole else values
    if not numbers and not booleans:
        labels = [str(value) for value in values]
    elif len(counts) > len(values) // 2 and len(values) >= _FEWEST:
        raise ValueError(
            f"--target {name!r} must have classes of several rows, got {len(counts)} in {len(values)}"
        )
    shown = ", ".join(f"{value} {count / len(values):.0%}" for value, count in counts.most_common(5))
    more = ", ..." if len(counts) > 5 else ""
    text = f"{name}: classification into {len(counts)} classes ({shown}{more}), {why}"
    log.tell("target", "target", text, task=task, classes={str(k): v for k, v in counts.items()})
    return np.array(labels, dtype=object if isinstance(labels[0], str) else None), task


def _held_out(y: NDArray[Any], part: float, random_seed: int, task: str) -> NDArray[np.intp]:
    """Return the rows that only score: a random part, of each class its share but never its only row."""
    if part == 0 or len(y) < _FEWEST:
        return np.empty(0, np.intp)
    rng = np.random.default_rng(random_seed)
    groups = [np.arange(len(y))]
    if task == "classification":
        codes = np.unique(y, return_inverse=True)[1]
        groups = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    taken, debt = [], 0.0
    for rows in groups:
        debt += part * len(rows)
        count = min(round(debt), len(rows) - 1)  # what rounding leaves goes to the next class
        debt -= count
        taken.append(rng.permutation(rows)[:count])
    return np.sort(np.concatenate(taken))


def _class_weight(told: list[str], y: NDArray[Any], task: str) -> str | dict[Any, float] | None:
    """Return the weights of classes as `TabularClassifier` takes them, None if there are none."""
    if not told:
        return None
    if task != "classification":
        raise ValueError("--class-weight must be left out for a regression, which has no classes")
    if "balanced" in told:
        if len(told) > 1:
            raise ValueError("--class-weight must be balanced, or CLASS=NUMBER for some classes, got both")
        return "balanced"
    labels = {str(label): label for label in np.unique(y).tolist()}
    found = {}
    for text in told:
        name, equals, number = text.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not equals or not (0 <= weight < math.inf):
            raise ValueError(
                f"--class-weight must be balanced or CLASS=NUMBER with a number of at least 0, got {text!r}"
            )
        if name not in labels:
            shown = ", ".join(map(repr, list(labels)[:10])) + (", ..." if len(labels) > 10 else "")
            raise ValueError(f"--class-weight must name a class of the target, {shown}, got {name!r}")
        found[labels[name]] = weight
    return found


def _tell_model(model: Any, seconds: float, log: _Log) -> None:
    for column in model.columns_:
        left = f"{column.width} inputs" if column.width else ""
        text = f"{column.name}: {column.kind}, " + ", ".join(part for part in (left, column.note) if part)
        log.tell("column", "column", text, name=column.name, kind=column.kind, inputs=column.width)
    for k, history in enumerate(model.histories_):
        loss = min(history.validation_loss)
        text = f"{k + 1}: {len(history.loss)} epochs, lowest validation loss {loss:.4g}"
        facts = {"loss": history.loss, "validation_loss": history.validation_loss, "stopped": history.stopped}
        log.tell("network", "network", text, **facts)
    sizes = "-".join(map(str, model.ensemble_.networks[0].sizes))
    text = f"{len(model.ensemble_)} networks {sizes} in {seconds:.1f} s; their mean is the prediction"
    log.tell("trained", "trained", text, seconds=seconds)


def _tell_scores(model: Any, table: Any, y: NDArray[Any], held_out: NDArray[Any], log: _Log) -> None:
    """Tell the score on rows held out, beside that of the most frequent class, of the mean or a quantile."""
    if hasattr(model, "classes_"):
        classes, counts = np.unique(y, return_counts=True)
        P = model.predict_proba(table)
        which = np.searchsorted(classes, held_out)
        ours = _classification(P, which)
        theirs = _classification(np.tile(counts / counts.sum(), (len(which), 1)), which)
        what = f"always {classes[counts.argmax()]}"
    elif model.quantile is not None:
        constant = float(np.quantile(y, model.quantile))
        ours = _of_quantile(model.predict(table), held_out, model.quantile)
        theirs = _of_quantile(np.full(len(held_out), constant), held_out, model.quantile)
        what = f"always the quantile, {constant:g}"
    else:
        error = model.predict(table) - held_out
        spread = held_out - held_out.mean()
        whole = float((spread**2).sum()) or 1.0
        ours, theirs = (
            {"RMSE": float(np.sqrt((e**2).mean())), "R2": 1.0 - float((e**2).sum()) / whole}
            for e in (error, y.mean() - held_out)
        )
        what = f"always the mean, {y.mean():g}"
    text = "; ".join(f"{name} {value:.4g}" for name, value in ours.items())
    log.tell("score", "held out", text, **ours)
    text = "; ".join(f"{name} {value:.4g}" for name, value in theirs.items())
    log.tell("baseline", "baseline", f"{text} ({what})", **theirs)
    first, *_ = ours
    better = ours[first] > theirs[first] if first == "accuracy" else ours[first] < theirs[first]
    if not better:
        log.tell(
            "warning", "warning", "the model is not better than the baseline: the columns may tell nothing"
        )


def _of_quantile(predicted: NDArray[Any], y: NDArray[Any], quantile: float) -> dict[str, float]:
    """Return the mean pinball loss, and which part of the targets is below: a quantile of 0.9 says 0.9."""
    above = y - predicted
    loss = np.maximum(quantile * above, (quantile - 1) * above)
    return {"pinball loss": float(loss.mean()), "targets below": float((above <= 0).mean())}


def _classification(P: NDArray[Any], which: NDArray[Any]) -> dict[str, float]:
    """Return accuracy and mean logarithmic loss of probabilities (n, classes)."""
    right = P[np.arange(len(which)), which].clip(1e-15, 1.0)
    return {"accuracy": float((P.argmax(axis=1) == which).mean()), "log loss": float(-np.log(right).mean())}


def _check_writable(path: str) -> None:
    """ValueError or OSError before the training, if the model could not be written after it."""
    folder = os.path.dirname(path) or "."
    if not path.endswith(".safetensors"):
        raise ValueError(f"--output must end with .safetensors, got {path!r}")
    if not os.path.isdir(folder):
        raise FileNotFoundError(2, "No such folder", folder)
    if not os.access(folder, os.W_OK):
        raise PermissionError(13, "Cannot write to the folder", folder)


def _kinds(told: list[str]) -> dict[str, str]:
    from fastnet.tabular.reading import KINDS

    kinds = {}
    for text in told:
        name, equals, kind = text.rpartition("=")
        if not equals or kind not in KINDS:
            raise ValueError(f"--kind must be COLUMN=KIND with one of {', '.join(KINDS)}, got {text!r}")
        kinds[name] = kind
    return kinds


def _is_gap(value: Any) -> bool:
    return value is None or value != value


def _quantile(text: str) -> float:
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and below 1, got {text}")
    return number


def _part(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 0 and below 1, got {text}")
    return number
