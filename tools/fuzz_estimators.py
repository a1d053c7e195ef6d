"""Fit random estimators beside scikit-learn's, and random networks beside the reference, and compare.

    python tools/fuzz_estimators.py                     15 seconds of each; what .ci/run calls
    python tools/fuzz_estimators.py --seconds 300       five minutes of each
    python tools/fuzz_estimators.py estimators --runs 500 --seed 7
    python tools/fuzz_estimators.py networks --only 123 the one case 123, with what differs

A case is a function of the seed and its number alone: data, sizes, dtype, solver and every parameter. Both
sides fit, then weights, losses, epochs, stops and predictions are compared; where a parameter is illegal,
both have to raise the same kind of error. The two sides differ in the order of sums and in the last bits of
exp and tanh, some 1e-16 for each step in float64: the tolerances below are what few epochs make of that, far
below what another formula or another draw would give.

Exit status: 0 all cases agree, 1 one does not: its number and parameters are printed.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import fastnet as fn
from fastnet import reference

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/helpers"))

TOLERANCE = {"float64": 1e-7, "float32": 2e-3}
HIDDEN = (
    "identity",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "silu",
    "gelu",
    "softplus",
    "mish",
)
Rng = np.random.Generator


class Different(Exception):
    """The two sides do not agree."""


# ---- estimators beside scikit-learn


def choose(rng: Rng, *values: Any) -> Any:
    """Return one of the values."""
    return values[rng.integers(len(values))]


def parameters(rng: Rng) -> dict[str, Any]:
    """Draw what both estimators know; now and then something illegal."""
    solver = choose(rng, "adam", "adam", "sgd", "sgd", "lbfgs")
    drawn: dict[str, Any] = {
        "hidden_layer_sizes": tuple(int(size) for size in rng.integers(1, 24, rng.integers(0, 4))),
        "activation": choose(rng, "relu", "tanh", "logistic", "identity"),
        "solver": solver,
        "alpha": float(choose(rng, 0.0, 1e-4, 0.1, 1.0)),
        "batch_size": choose(rng, "auto", 1, int(rng.integers(2, 70)), 1000),
        "learning_rate": choose(rng, "constant", "invscaling", "adaptive"),
        "learning_rate_init": float(10 ** rng.uniform(-4, -2)),
        "power_t": float(rng.uniform(0.1, 0.9)),
        "max_iter": int(rng.integers(1, 9)),
        "shuffle": bool(rng.integers(2)),
        "random_state": int(rng.integers(1000)),
        "tol": float(choose(rng, 1e-4, 1e-2, 0.3)),
        "momentum": float(choose(rng, 0.0, 0.5, 0.9)),
        "nesterovs_momentum": bool(rng.integers(2)),
        "early_stopping": bool(rng.integers(4) == 0) and solver != "lbfgs",
        "validation_fraction": float(rng.uniform(0.15, 0.5)),
        "beta_1": float(choose(rng, 0.0, 0.8, 0.9)),
        "beta_2": float(choose(rng, 0.9, 0.999)),
        "epsilon": float(choose(rng, 1e-8, 1e-3)),
        "n_iter_no_change": int(rng.integers(1, 4)),
    }
    if rng.random() < 0.1:
        illegal = {
            "alpha": (-1.0, "x", float("nan")),
            "batch_size": (0, -3, 1.5, "x"),
            "solver": ("sag", None),
            "activation": ("sofplus", 3),
            "max_iter": (0, 2.5),
            "momentum": (1.5, -0.1),
            "hidden_layer_sizes": ((0,), (3, -1), "x"),
            "validation_fraction": (1.0, -0.1),
            "beta_1": (1.0,),
            "tol": (-1.0,),
            "learning_rate": ("cosin",),
        }
        name = choose(rng, *illegal)
        drawn[name] = choose(rng, *illegal[name])
    return drawn


def problem(rng: Rng) -> tuple[str, Any, Any, Any]:
    """Draw the estimator's name, X, y and weights of examples."""
    n, n_in = int(rng.integers(12, 90)), int(rng.integers(1, 12))
    dtype = choose(rng, "float64", "float64", "float32")
    X = rng.normal(size=(n, n_in)).astype(dtype)
    score = X @ rng.normal(size=n_in) / np.sqrt(n_in) + 0.3 * rng.normal(size=n)
    kind = rng.integers(6)
    if kind < 2:
        classes = int(rng.integers(2, 5))
        y: Any = np.argsort(np.argsort(score)) * classes // n
        y = choose(rng, y, np.array(list("pqrst"))[y], y - 7)
    elif kind == 2:
        y = np.stack([score > 0, X[:, 0] > 0.2, X[:, -1] < 0.1], axis=1).astype(int)
    elif kind < 5:
        y = score
    else:
        y = np.stack([score, X[:, 0] ** 2], axis=1)
    w = rng.uniform(0.1, 2, n) if rng.random() < 0.3 and kind != 2 else None
    if rng.random() < 0.1:
        from scipy import sparse

        X = sparse.csr_array(np.where(rng.random(X.shape) < 0.2, X, 0).astype(dtype))
    elif rng.random() < 0.2:
        X = np.asfortranarray(X)
    return ("MLPClassifier" if kind < 3 else "MLPRegressor"), X, y, w


def fit_both(name: str, given: dict[str, Any], X: Any, y: Any, w: Any) -> tuple[list[Any], list[Any]]:
    """Return the two fitted estimators, and the two errors where one could not be fitted."""
    from sklearn import neural_network

    import fastnet.sklearn

    fitted, errors = [], []
    for package in (neural_network, fastnet.sklearn):
        try:
            fitted.append(getattr(package, name)(**given).fit(X, y, w))
            errors.append(None)
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            errors.append(error)
    return fitted, errors


def distance(one: Any, other: Any) -> float:
    """Return how far the weights of two fitted estimators are apart; infinite after unlike epochs."""
    if one.n_iter_ != other.n_iter_:
        return float("inf")
    pairs = zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    return max(float(abs(a - b).max()) for a, b in pairs)


def parts_from_itself(
    name: str, given: dict[str, Any], X: Any, y: Any, w: Any, theirs: Any, ours: Any
) -> bool:
    """Return whether scikit-learn, its rates and X changed in their last bits, goes about as far from itself.

    Some trainings are chaotic: Adam by large steps on weights that only alpha moves, batches of one example.
    """
    spread = 0.0
    for k in (-4, -3, -2, -1, 1, 2, 3, 4):
        factor = 1 + k * float(np.finfo(X.dtype).eps)
        moved = given | {key: given[key] * factor for key in ("alpha", "learning_rate_init")}
        spread = max(spread, distance(theirs, fit_both(name, moved, X * X.dtype.type(factor), y, w)[0][0]))
    return distance(theirs, ours) <= 10 * spread


def estimators(rng: Rng) -> str:
    """Fit one random estimator on both sides, compare, and return what was fitted."""
    from sklearn_data import assert_alike, assert_predict_alike

    name, X, y, w = problem(rng)
    given = parameters(rng)
    tolerance = TOLERANCE[str(X.dtype)] * (100 if given["solver"] == "lbfgs" else 1)
    told = f"{name} of {X.shape} {X.dtype}, {'weighted, ' if w is not None else ''}{given}"
    fitted, errors = fit_both(name, given, X, y, w)
    if type(errors[0]) is not type(errors[1]):
        raise Different(f"scikit-learn: {errors[0]!r}; fastnet: {errors[1]!r}; {told}")
    if fitted and given["solver"] == "lbfgs" and X.dtype == np.float32:
        # It ends where the loss no longer falls in its last bits: rounding says which iteration that is.
        common = min(one.n_iter_ for one in fitted)
        if common < max(one.n_iter_ for one in fitted):
            fitted, errors = fit_both(name, given | {"max_iter": common}, X, y, w)
    if fitted:
        theirs, ours = fitted
        try:
            assert_alike(theirs, ours, tolerance)
            if len(np.shape(y)) == 1 and name == "MLPClassifier":
                P = theirs.predict_proba(X)
                P.sort(axis=1)
                if (P[:, -1] - P[:, -2]).min() < 10 * tolerance:
                    return told  # two classes tie: rounding may choose
            elif name == "MLPClassifier" and abs(theirs.predict_proba(X) - 0.5).min() < 10 * tolerance:
                return told
            assert_predict_alike(theirs, ours, X, tolerance)
        except AssertionError as error:
            if not parts_from_itself(name, given, X, y, w, theirs, ours):
                raise Different(f"{told}: {error}") from error
    return told


# ---- networks beside the reference


def networks(rng: Rng) -> str:
    """Fit one random network on both sides, compare, and return what was fitted."""
    dtype = choose(rng, "float64", "float32")
    n = int(choose(rng, 1, int(rng.integers(2, 40)), int(rng.integers(40, 300)), 1100))
    sizes = [int(size) for size in rng.integers(1, 40, rng.integers(2, 5))]
    loss, last = choose(
        rng,
        ("bce", "sigmoid"),
        ("cross_entropy", "softmax"),
        ("poisson", "exp"),
        ("squared_error", "identity"),
        ("squared_error", "tanh"),
        ("squared_error", "sigmoid"),
    )
    if loss == "cross_entropy":
        sizes[-1] = max(sizes[-1], 2)
    hidden, init = choose(rng, *HIDDEN), choose(rng, "glorot_uniform", "he_uniform")
    dropout = float(choose(rng, 0.0, 0.0, 0.2, 0.5))
    X = rng.uniform(-1, 1, (sizes[0], n)).astype(dtype)
    T = rng.uniform(0, 1, (sizes[-1], n)).astype(dtype)
    if loss == "cross_entropy":
        T = fn.one_hot(rng.integers(sizes[-1], size=n), sizes[-1], dtype=dtype)
    kind, rates = choose(
        rng,
        ("SGD", {"momentum": 0.0}),
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"momentum": 0.8, "nesterov": True}),
        ("Adam", {"epsilon": 1e-3}),
        ("AdamW", {"epsilon": 1e-3, "weight_decay": 0.1}),
        ("RMSProp", {"epsilon": 1e-3}),
    )
    rates = rates | {"learning_rate": float(10 ** rng.uniform(-3, -1.5))}
    batch = int(choose(rng, n, max(1, n // 2), int(rng.integers(1, n + 1))))
    batch = max(batch, -(-n // 20))  # at most twenty steps an epoch
    how: dict[str, Any] = {
        "epochs": int(rng.integers(1, 4)),
        "batch_size": batch,
        "shuffle": bool(rng.integers(2)),
        "seed": int(rng.integers(2**32)),
        "l2": float(choose(rng, 0.0, 0.01, 0.5)),
        "clip_norm": choose(rng, None, None, 0.3),
        "loss": loss,
        "sample_weight": rng.uniform(0, 2, n) if rng.random() < 0.3 else None,
    }
    told = f"{'-'.join(map(str, sizes))} {dtype} {hidden} {last} {init} dropout {dropout} on {n}, "
    told += f"{kind} {rates}, {how}"
    sides, diverged = [], []
    for package in (fn, reference):
        layers: list[Any] = [
            package.Layer(n_in, n_out, hidden, dropout=dropout, init=init)
            for n_in, n_out in pairwise(sizes[:-1])
        ]
        layers.append(package.Layer(sizes[-2], sizes[-1], last))
        made = package.Network(layers, seed=3, dtype=dtype)
        try:
            history = made.fit(X, T, optimizer=getattr(package, kind)(**rates), **how)
        except ValueError as error:
            if "diverged" not in str(error):
                raise
            diverged.append(package.__name__)
            continue
        sides.append((made, history, made.predict_proba(X), made.loss(X, T, loss=loss)))
    if len(diverged) == 1:
        raise Different(f"only {diverged[0]} diverged: {told}")
    if diverged:
        return told
    (ours, mine, P, J), (theirs, its, Q, K) = sides
    tolerance = TOLERANCE[dtype]
    pairs = [
        (f"W of layer {k}", a.W, b.W) for k, (a, b) in enumerate(zip(ours.layers, theirs.layers, strict=True))
    ]
    pairs += [
        (f"b of layer {k}", a.b, b.b) for k, (a, b) in enumerate(zip(ours.layers, theirs.layers, strict=True))
    ]
    pairs += [("predictions", P, Q), ("history", np.array(mine.loss), np.array(its.loss))]
    pairs += [("loss", np.array(J), np.array(K))]
    for what, a, b in pairs:
        error = np.max(abs(a - b) / np.maximum(1, abs(b)))
        if not error <= tolerance:
            raise Different(f"{what} differs by {error:.3g}, allowed {tolerance:.3g}: {told}")
    return told


FUZZERS: dict[str, Callable[[Rng], str]] = {"estimators": estimators, "networks": networks}


def fuzz(name: str, arguments: argparse.Namespace) -> bool:
    """Run cases of one kind; print the first that differs, and tell whether none did."""
    start, number = time.monotonic(), 0
    while True:
        if arguments.runs is not None and number >= arguments.runs:
            break
        if arguments.runs is None and time.monotonic() - start >= arguments.seconds:
            break
        case = number if arguments.only is None else arguments.only
        rng = np.random.default_rng([arguments.seed, case, len(name)])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                told = FUZZERS[name](rng)
        except Exception as error:
            if not isinstance(error, Different):
                traceback.print_exc()
            print(f"{name}, seed {arguments.seed}, case {case}: {error}", file=sys.stderr)
            return False
        number += 1
        if arguments.only is not None:
            print(f"{name}, case {case} agrees: {told}")
            return True
    seconds = time.monotonic() - start
    print(f"{name}: {number} cases from seed {arguments.seed} agree ({seconds:.0f} s)", flush=True)
    return True


def main() -> int:
    """Compare what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="estimators, networks; default: both")
    parser.add_argument("--seconds", type=float, default=15, help="for each kind; default: %(default)s")
    parser.add_argument("--runs", type=int, help="try so many cases instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="run one case")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.kinds) - set(FUZZERS)):
        parser.error(f"KIND must be one of {', '.join(FUZZERS)}, got {', '.join(unknown)}")
    return 0 if all(fuzz(name, arguments) for name in arguments.kinds or FUZZERS) else 1


if __name__ == "__main__":
    sys.exit(main())
