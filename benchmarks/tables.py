"""fastnet's tabular estimators beside boosting and other networks, on tables as they come.

    python -m benchmarks.tables --methods fastnet lightgbm --sets development --splits 5 --out tables.json
    python -m benchmarks.tables --picture tables.png tables.json
    python -m benchmarks.tables --summary tables.json
    python -m benchmarks.tables --threads 2 --sets development fresh
    python -m benchmarks.tables --single-rows --sets development fresh

Each set is cut to at most --rows rows and split 75/25, both by a seed that is the split's number; all methods
get the same rows, one thread and their defaults. What is noted: the loss (log loss or RMSE), the error
(1 − accuracy or RMSE), the calibration error of probabilities, the CPU and wall seconds of a fit and of a
prediction. A run goes on where its --out file ended. It needs the packages of `table_sets` and those of the
methods that are asked for. With --threads nothing is written: fastnet is fitted with one thread and with
more, one after the other, on the first split of each set. Nor is it with --single-rows: what a call of the
compiled estimator for one raw row takes, row after row of that split's test.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

from benchmarks import table_sets  # noqa: E402

LEVELS = 254  # HistGradientBoosting takes no more of a category


def split(table: table_sets.Table, number: int, rows: int) -> tuple[Any, np.ndarray, Any, np.ndarray]:
    """Return X, y of training and of test."""
    order = np.random.default_rng(1000 + number).permutation(len(table.y))[:rows]
    cut = round(0.75 * len(order))
    first, rest = order[:cut], order[cut:]
    X = table.X
    return (
        X.iloc[first].reset_index(drop=True),
        table.y[first],
        X.iloc[rest].reset_index(drop=True),
        table.y[rest],
    )


# ---- the methods: each makes an estimator for a frame; categories are columns that are not numbers


def _categories(X: Any) -> list[str]:
    return [column for column in X.columns if X[column].dtype.kind not in "fiu"]


class _Typed:
    """Gives an estimator pandas categories in place of text, the rarest beyond `LEVELS` as missing."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def _typed(self, X: Any, learn: bool) -> Any:
        import pandas as pd

        X = X.copy()
        if learn:
            self.levels = {c: X[c].astype(str).value_counts().index[:LEVELS] for c in _categories(X)}
        for column, levels in self.levels.items():
            text = X[column].astype(str).where(X[column].notna(), None)
            X[column] = pd.Categorical(text, categories=[v for v in levels if v not in ("nan", "None")])
        return X

    def fit(self, X: Any, y: Any) -> _Typed:
        self.model.fit(self._typed(X, True), y)
        return self

    @property
    def classes_(self) -> Any:
        return self.model.classes_

    def predict(self, X: Any) -> Any:
        return self.model.predict(self._typed(X, False))

    def predict_proba(self, X: Any) -> Any:
        return self.model.predict_proba(self._typed(X, False))


class _Labels:
    """Gives an estimator classes 0, 1, ... in place of text."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, X: Any, y: Any) -> _Labels:
        self.classes_, labels = np.unique(y, return_inverse=True)
        self.model.fit(X, labels)
        return self

    def predict_proba(self, X: Any) -> Any:
        return self.model.predict_proba(X)


class _Filled:
    """Gives an estimator a text in place of a gap in text, and the median in place of one in numbers.

    categories: how the estimator's `fit` calls the columns of text. numbers: whether it takes no gaps in
    numbers; they stay otherwise.
    """

    def __init__(self, model: Any, categories: str, *, numbers: bool = False) -> None:
        self.model = model
        self.categories = categories
        self.numbers = numbers

    def _filled(self, X: Any) -> Any:
        X = X.copy()
        text = _categories(X)
        for column in X.columns:
            if column in text:
                X[column] = X[column].astype(object).where(X[column].notna(), "missing").astype(str)
            elif self.numbers:
                X[column] = X[column].astype(float).fillna(self.medians[column])
        return X

    def fit(self, X: Any, y: Any) -> _Filled:
        text = _categories(X)
        if self.numbers:
            self.medians = X.drop(columns=text).median()
        self.model.fit(self._filled(X), y, **{self.categories: text})
        return self

    @property
    def classes_(self) -> Any:
        return self.model.classes_

    def predict(self, X: Any) -> Any:
        return self.model.predict(self._filled(X))

    def predict_proba(self, X: Any) -> Any:
        return self.model.predict_proba(self._filled(X))


def _fastnet(classes: bool, X: Any, seed: int) -> Any:
    from fastnet.tabular import TabularClassifier, TabularRegressor

    return (TabularClassifier if classes else TabularRegressor)(random_state=seed, n_threads=1)


def _pipeline(classes: bool, X: Any, classifier: Any, regressor: Any, seed: int) -> Any:
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    text = _categories(X)
    numbers = [column for column in X.columns if column not in text]
    encode = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), text),
        ]
    )
    if classes:
        return make_pipeline(encode, classifier(random_state=seed))
    model = make_pipeline(encode, regressor(random_state=seed))
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def _sklearn_mlp(classes: bool, X: Any, seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    return _pipeline(classes, X, MLPClassifier, MLPRegressor, seed)


def _drop_in(classes: bool, X: Any, seed: int) -> Any:
    from fastnet.sklearn import MLPClassifier, MLPRegressor

    return _pipeline(classes, X, MLPClassifier, MLPRegressor, seed)


def _histgb(classes: bool, X: Any, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return _Typed(kind(random_state=seed))


def _lightgbm(classes: bool, X: Any, seed: int) -> Any:
    import lightgbm

    kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
    return _Typed(kind(random_state=seed, n_jobs=1, verbose=-1))


def _xgboost(classes: bool, X: Any, seed: int) -> Any:
    import xgboost

    kind = xgboost.XGBClassifier if classes else xgboost.XGBRegressor
    model = _Typed(kind(random_state=seed, n_jobs=1, enable_categorical=True))
    return _Labels(model) if classes else model


def _catboost(classes: bool, X: Any, seed: int) -> Any:
    import catboost

    kind = catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor
    model = kind(random_seed=seed, thread_count=1, verbose=0, allow_writing_files=False)
    return _Filled(model, "cat_features")


def _pytabkit(name: str) -> Callable[[bool, Any, int], Any]:
    def made(classes: bool, X: Any, seed: int) -> Any:
        import pytabkit

        kind = getattr(pytabkit, f"{name}_{'Classifier' if classes else 'Regressor'}")
        return _Filled(kind(random_state=seed, device="cpu", n_threads=1), "cat_col_names", numbers=True)

    return made


METHODS: dict[str, Callable[[bool, Any, int], Any]] = {
    "fastnet": _fastnet,
    "drop-in": _drop_in,
    "sklearn-mlp": _sklearn_mlp,
    "histgb": _histgb,
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "catboost": _catboost,
    "realmlp-td-s": _pytabkit("RealMLP_TD_S"),
    "realmlp-td": _pytabkit("RealMLP_TD"),
}


def measure(method: str, name: str, table: table_sets.Table, number: int, rows: int) -> dict[str, Any]:
    """Fit and predict once, and return what came of it."""
    X, y, X_test, y_test = split(table, number, rows)
    model = METHODS[method](table.classes, X, number)
    cpu, wall = time.process_time(), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
        fit_cpu, fit_wall = time.process_time() - cpu, time.perf_counter() - wall
        wall = time.perf_counter()
        answer = model.predict_proba(X_test) if table.classes else np.ravel(model.predict(X_test))
    row: dict[str, Any] = {"method": method, "set": name, "split": number, "rows": len(y)}
    row |= {"fit_cpu": fit_cpu, "fit_wall": fit_wall, "predict_wall": time.perf_counter() - wall}
    if table.classes:
        # CatBoost puts "10" after "9"; of a class that training has not seen the probability is 0
        places = {str(label): place for place, label in enumerate(model.classes_)}
        right = np.array([places.get(label, -1) for label in y_test])
        p = np.column_stack([np.asarray(answer, np.float64), np.zeros(len(y_test))])
        chosen = np.clip(p[np.arange(len(right)), right], 1e-15, 1)
        correct = p.argmax(axis=1) == right
        row |= {"loss": float(-np.log(chosen).mean()), "error": float(1 - correct.mean())}
        row["calibration"] = _calibration(p.max(axis=1), correct)
    else:
        row["loss"] = row["error"] = float(np.sqrt(((answer - y_test) ** 2).mean()))
        row["r2"] = float(1 - row["loss"] ** 2 / y_test.var())
    return row


def _calibration(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Return the expected calibration error: |confidence − accuracy| over ten bins, weighted by examples."""
    which = np.minimum((10 * confidence).astype(int), 9)
    return float(
        sum(
            abs(confidence[which == k].mean() - correct[which == k].mean()) * (which == k).mean()
            for k in np.unique(which)
        )
    )


def speedup(table: table_sets.Table, threads: int, rows: int, repeats: int) -> tuple[float, float]:
    """Return the wall seconds of a fit of fastnet with one thread and with more: the best of each."""
    X, y = split(table, 0, rows)[:2]
    best = {1: math.inf, threads: math.inf}
    for _ in range(repeats):
        for count in best:
            model = _fastnet(table.classes, X, 0).set_params(n_threads=count)
            began = time.perf_counter()
            model.fit(X, y)
            best[count] = min(best[count], time.perf_counter() - began)
    return best[1], best[threads]


def single_rows(table: table_sets.Table, rows: int, repeats: int) -> tuple[float, int, int]:
    """Return the seconds of a compiled estimator for one raw row, the inputs, and the members.

    The best mean over 200 different rows, as they come in an application.
    """
    X, y, X_test, _ = split(table, 0, rows)
    model = _fastnet(table.classes, X, 0).fit(X, y)
    predictor = model.compile()
    single = list(predictor.rows(X_test)[:200])
    best = math.inf
    for _ in range(repeats):
        began = time.perf_counter()
        for row in single:
            predictor(row)
        best = min(best, (time.perf_counter() - began) / len(single))
    return best, model.encoder_.n_features_out_, len(model.ensemble_)


# ---- what is made of the rows


def means(rows: list[dict[str, Any]], field: str) -> dict[tuple[str, str], dict[int, float]]:
    """Return a field by (method, set) and split."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        if field in row:
            found.setdefault((row["method"], row["set"]), {})[row["split"]] = row[field]
    return found


def ratio(rows: list[dict[str, Any]], ours: str, theirs: str, field: str) -> tuple[float, int, int, int, int]:
    """Return the geometric mean over the sets of ours/theirs, the number of sets, wins, ties and losses.

    Of each set the means over the splits that both have; a tie is within 0.5 %. A set without any error of
    one of them is won, tied or lost, but has no part in the mean.
    """
    values = means(rows, field)
    ratios, logs = [], []
    for method, name in sorted(values):
        if method != ours or (theirs, name) not in values:
            continue
        mine, other = values[ours, name], values[theirs, name]
        both = sorted(mine.keys() & other.keys())
        if both:
            a, b = sum(mine[k] for k in both), sum(other[k] for k in both)
            ratios.append(a / b if b else math.inf if a else 1.0)
            if a and b:
                logs.append(math.log(a / b))
    wins = sum(one < 0.995 for one in ratios)
    losses = sum(one > 1.005 for one in ratios)
    mean = math.exp(sum(logs) / len(logs)) if logs else math.nan
    return mean, len(ratios), wins, len(ratios) - wins - losses, losses


def summary(rows: list[dict[str, Any]], ours: str = "fastnet") -> str:
    """Return a table in Markdown: ours against each method, and each set."""
    methods = [m for m in METHODS if m != ours and any(row["method"] == m for row in rows)]
    lines = [
        f"| {ours} against | sets | error | wins / ties / losses | loss | CPU seconds of a fit |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for method in methods:
        error, sets, *counts = ratio(rows, ours, method, "error")
        loss = ratio(rows, ours, method, "loss")[0]
        seconds = ratio(rows, ours, method, "fit_cpu")[0]
        listed = " / ".join(map(str, counts))
        lines.append(f"| {method} | {sets} | {error:.3f} | {listed} | {loss:.3f} | {seconds:.3g} |")
    shown = [m for m in METHODS if any(row["method"] == m for row in rows)]
    lines += ["", f"| set: error | {' | '.join(shown)} |", f"| --- |{' --- |' * len(shown)}"]
    for field in ("error", "loss", "fit_cpu"):
        values = means(rows, field)
        if field != "error":
            lines += ["", f"| set: {field} | {' | '.join(shown)} |", f"| --- |{' --- |' * len(shown)}"]
        for name in dict.fromkeys(row["set"] for row in rows):
            cells = []
            for method in shown:
                of_splits = values.get((method, name))
                cells.append(f"{sum(of_splits.values()) / len(of_splits):.4g}" if of_splits else "")
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(rows: list[dict[str, Any]], path: str) -> None:
    """Draw loss against the time of a fit: geometric means over the sets, of the loss over the best one."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    losses, seconds = means(rows, "loss"), means(rows, "fit_cpu")
    shown = [m for m in METHODS if any(row["method"] == m for row in rows)]
    sets = [
        name
        for name in dict.fromkeys(row["set"] for row in rows)
        if all((method, name) in losses for method in shown)
    ]
    figure, axes = pyplot.subplots(figsize=(6.5, 4.2))
    common = {
        name: sorted(set.intersection(*(set(losses[method, name]) for method in shown))) for name in sets
    }
    for method in shown:
        loss, time_of = 0.0, 0.0
        for name in sets:
            of = {m: np.mean([losses[m, name][k] for k in common[name]]) for m in shown}
            loss += math.log(of[method] / min(of.values()))
            time_of += math.log(np.mean([seconds[method, name][k] for k in common[name]]))
        x, y = math.exp(time_of / len(sets)), math.exp(loss / len(sets))
        axes.plot(x, y, "o", color="C3" if method == "fastnet" else "C0")
        axes.annotate(method, (x, y), textcoords="offset points", xytext=(0, 7), ha="center")
    axes.set_xscale("log")
    axes.margins(0.12)
    axes.set_xlabel("CPU seconds of a fit, one core")
    axes.set_ylabel("loss, times the best method's")
    axes.set_title(f"Geometric means over {len(sets)} sets of at most 10 000 rows")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="*", help="JSON files of earlier runs, for --summary and --picture")
    parser.add_argument("--methods", nargs="+", default=["fastnet", "histgb"], choices=METHODS)
    parser.add_argument("--sets", nargs="+", default=["development"])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--out", default="tables.json")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--picture")
    parser.add_argument("--threads", type=int, help="how much sooner a fit of fastnet ends with so many")
    parser.add_argument("--single-rows", action="store_true", help="how long one row takes, compiled")
    parser.add_argument("--repeats", type=int, default=5, help="fits of each kind for --threads, or rounds")
    asked = parser.parse_args()
    if asked.summary or asked.picture:
        rows = [row for file in asked.files for row in json.loads(Path(file).read_text())]
        if asked.picture:
            picture(rows, asked.picture)
        if asked.summary:
            print(summary(rows))
        return
    names = [name for given in asked.sets for name in table_sets.GROUPS.get(given, [given])]
    tables = _loaded(names)
    if asked.threads:
        _compare_threads(tables, asked.threads, asked.rows, asked.repeats)
    elif asked.single_rows:
        for name, table in tables:
            seconds, inputs, members = single_rows(table, asked.rows, asked.repeats)
            print(f"{name}: {seconds * 1e6:.1f} µs a row, {inputs} inputs, {members} members", flush=True)
    else:
        _compare_methods(tables, asked.methods, asked.splits, asked.rows, Path(asked.out))


def _loaded(names: list[str]) -> Iterator[tuple[str, table_sets.Table]]:
    """Give each set that is installed."""
    for name in names:
        try:
            table = table_sets.load(name)
        except ModuleNotFoundError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        yield name, table


def _compare_threads(
    tables: Iterable[tuple[str, table_sets.Table]], threads: int, rows: int, repeats: int
) -> None:
    logs = []
    for name, table in tables:
        one, more = speedup(table, threads, rows, repeats)
        logs.append(math.log(one / more))
        print(f"{name}: {one:.3f} s, {threads} threads {more:.3f} s, {one / more:.2f} times", flush=True)
    if logs:
        print(f"geometric mean of {len(logs)}: {math.exp(sum(logs) / len(logs)):.3f} times")


def _compare_methods(
    tables: Iterable[tuple[str, table_sets.Table]], methods: list[str], splits: int, rows: int, out: Path
) -> None:
    found = json.loads(out.read_text()) if out.exists() else []
    done = {(row["method"], row["set"], row["split"]) for row in found}
    for name, table in tables:
        for number in range(splits):
            for method in methods:
                if (method, name, number) in done:
                    continue
                row = measure(method, name, table, number, rows)
                found.append(row)
                out.write_text(json.dumps(found, indent=0))
                print(
                    f"{name} {number} {method}: error {row['error']:.5g}, loss {row['loss']:.5g}, "
                    f"{row['fit_cpu']:.2f} s CPU",
                    flush=True,
                )


if __name__ == "__main__":
    main()
