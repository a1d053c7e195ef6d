"""Five real programs with scikit-learn's MLP and with fastnet's: python -m benchmarks.programs.

Each is a few lines around a library that takes any estimator of scikit-learn. What changes is one import.
A program is run whole, in turns, in one process on one core, BLAS limited to one thread; a time is the least
CPU time. The time in `fit` of the MLPs is measured inside of the same runs, so that one sees what the rest of
the program, which is not ours, leaves of the ratio. Both results are shown.

It needs ``pip install econml imbalanced-learn mapie doubleml``; a program without its library is left out.
"""

from __future__ import annotations

import argparse
import functools
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from threadpoolctl import threadpool_limits

import fastnet.sklearn

Program = Callable[[Any], float]  # takes the module with the two estimators, and returns its main number


def grid_search(mlp: Any) -> float:
    """Choose layers and penalty for breast_cancer: 12 settings, 5 folds, a scaler in the pipeline."""
    X, y = load_breast_cancer(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), mlp.MLPClassifier(max_iter=100, random_state=0))
    settings = {
        "mlpclassifier__hidden_layer_sizes": [(16,), (64,), (32, 16)],
        "mlpclassifier__alpha": [1e-4, 1e-3, 1e-2, 1e-1],
    }
    return float(GridSearchCV(pipeline, settings, cv=5).fit(X, y).best_score_)


def imbalanced_learn(mlp: Any) -> float:
    """Over-sample the rare digit with SMOTE inside of a cross-validation."""
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline as make_imbalanced_pipeline

    X, y = load_digits(return_X_y=True)
    model = make_imbalanced_pipeline(
        StandardScaler(), SMOTE(random_state=0), mlp.MLPClassifier((50,), max_iter=60, random_state=0)
    )
    return float(cross_val_score(model, X, y == 8, cv=5, scoring="average_precision").mean())


def mapie(mlp: Any) -> float:
    """Find prediction intervals of diabetes by cross-conformal regression, and say how wide they are."""
    from mapie.regression import CrossConformalRegressor

    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X), scale(y)
    model = mlp.MLPRegressor(hidden_layer_sizes=(32,), max_iter=150, alpha=1.0, random_state=0)
    conformal = CrossConformalRegressor(model, confidence_level=0.9, cv=10, random_state=0)
    _, intervals = conformal.fit_conformalize(X[:300], y[:300]).predict_interval(X[300:])
    return float((intervals[:, 1] - intervals[:, 0]).mean())


def _treated(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return covariates, a treatment and an outcome, on which it has the effect 0.5."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 10))
    treatment = np.tanh(X[:, 0]) + 0.5 * X[:, 1] + rng.normal(size=n)
    outcome = 0.5 * treatment + np.sin(X[:, 0]) + X[:, 2] ** 2 / 4 + rng.normal(size=n)
    return X, treatment, outcome


def econml(mlp: Any) -> float:
    """Estimate the effect of a treatment by double machine learning."""
    from econml.dml import LinearDML

    X, treatment, outcome = _treated(2000)
    model = mlp.MLPRegressor(hidden_layer_sizes=(32,), max_iter=100, alpha=0.1, random_state=0)
    dml = LinearDML(model_y=model, model_t=model, cv=5, random_state=0)
    dml.fit(outcome, treatment, X=X[:, :1], W=X[:, 1:])
    return float(np.mean(dml.effect(X[:, :1])))


def doubleml(mlp: Any) -> float:
    """Estimate the same effect in a partially linear model, with two repetitions of five folds."""
    from doubleml import DoubleMLData, DoubleMLPLR

    X, treatment, outcome = _treated(2000)
    model = mlp.MLPRegressor(hidden_layer_sizes=(32,), max_iter=100, alpha=0.1, random_state=0)
    np.random.seed(0)  # noqa: NPY002  (doubleml draws its folds from this generator)
    plr = DoubleMLPLR(DoubleMLData.from_arrays(X, outcome, treatment), model, model, n_folds=5, n_rep=2)
    return float(plr.fit().coef[0])


PROGRAMS: dict[str, Program] = {
    "GridSearchCV, 12 settings, 5 folds": grid_search,
    "imbalanced-learn: SMOTE, 5 folds": imbalanced_learn,
    "mapie: cross-conformal intervals, 10 folds": mapie,
    "econml: LinearDML, 5 folds": econml,
    "doubleml: partially linear model, 2 x 5 folds": doubleml,
}
SIDES = {"scikit-learn": neural_network, "fastnet": fastnet.sklearn}


class FitTimes:
    """Adds up the CPU time in `fit` of both sides' estimators, while it is entered."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._running = False
        self._kept: list[tuple[type, Any]] = []

    def __enter__(self) -> FitTimes:
        for module in SIDES.values():
            for cls in (module.MLPClassifier, module.MLPRegressor):
                self._kept.append((cls, cls.__dict__.get("fit")))
                cls.fit = self._timed(cls.fit)
        return self

    def __exit__(self, *_: object) -> None:
        for cls, fit in self._kept:
            if fit is None:
                del cls.fit  # type: ignore[attr-defined]
            else:
                cls.fit = fit  # type: ignore[attr-defined]

    def _timed(self, fit: Any) -> Any:
        @functools.wraps(fit)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._running:  # fastnet's calls scikit-learn's
                return fit(*args, **kwargs)
            start, self._running = time.process_time(), True
            try:
                return fit(*args, **kwargs)
            finally:
                self._running = False
                self.seconds += time.process_time() - start

        return timed


def measure(program: Program, rounds: int) -> dict[str, dict[str, float]]:
    """Return for each side the least time of the whole program, that of its fits, and what it found."""
    found = {name: {"whole": np.inf, "fits": np.inf, "result": np.nan} for name in SIDES}
    for _ in range(rounds):
        for name, module in SIDES.items():
            with FitTimes() as fits:
                start = time.process_time()
                result = program(module)
                whole = time.process_time() - start
            best = found[name]
            found[name] = {
                "whole": min(best["whole"], whole),
                "fits": min(best["fits"], fits.seconds),
                "result": result,
            }
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="five real programs with scikit-learn's MLP and fastnet's")
    parser.add_argument("--rounds", type=int, default=2, help="how often each side takes its turn")
    parser.add_argument("--only", metavar="TEXT", default="", help="programs with this text in their names")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print("| program | scikit-learn, whole | fastnet, whole | whole: times faster | its fits | results |")
    print("| --- | --- | --- | --- | --- | --- |")
    with threadpool_limits(1):
        for name, program in PROGRAMS.items():
            if options.only not in name:
                continue
            try:
                found = measure(program, options.rounds)
            except ImportError as error:
                print(f"| {name} | left out: {error} | | | | |", flush=True)
                continue
            theirs, ours = found["scikit-learn"], found["fastnet"]
            print(
                f"| {name} | {theirs['whole']:.2f} s | {ours['whole']:.2f} s "
                f"| {theirs['whole'] / ours['whole']:.1f} | {theirs['fits'] / ours['fits']:.1f} "
                f"| {theirs['result']:.6g} and {ours['result']:.6g} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
