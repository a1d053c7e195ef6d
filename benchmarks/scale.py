"""Many networks at once, more data than memory, several workers: the lines of the scaling page.

    python -m benchmarks.scale [--only many,large,grid] [--rounds 5] [--before FOLDER] [--directory FOLDER]
        [--json FILE] [--write-page]

Each side takes its turn in one process, and least times of the rounds are compared. Peers (scikit-learn,
joblib, jax, torch, optuna, dask) take part where they are installed. `--before` names a folder with an older
package `fastnet`, which is measured too, in processes of its own. `--directory` is where the file of 20
million rows goes. `--json` puts the lines into a file, in place of those with the same key that it has, so
several runs can fill it; `--write-page` writes the file of `RESULTS` into the documentation and measures
nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import fastnet as fn
from benchmarks.lines import Line, add_to_file, line, table, text

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "2026-11-26-scale.json"
SIZES = ((2, 3, 1), (8, 16, 1), (30, 100, 1))  # of `many`
GOALS = (8, 5, 2.5)
PLAIN = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 200}  # as the peers train

Sides = dict[str, Callable[[], Any]]


def installed(name: str) -> bool:
    """Return whether a package can be imported."""
    return importlib.util.find_spec(name) is not None


def least(
    sides: Sides, rounds: int, prepare: Callable[[], None] = lambda: None, in_a_row: int = 1
) -> dict[str, float]:
    """Return the least seconds of each side; they take turns, and `prepare` comes before each run.

    A turn may be several runs `in_a_row`: a second core that others have used meanwhile is cold in the first.
    """
    found = dict.fromkeys(sides, float("inf"))
    for _ in range(rounds):
        for name, run in sides.items():
            for _ in range(in_a_row):
                prepare()
                start = time.perf_counter()
                run()
                found[name] = min(found[name], time.perf_counter() - start)
    return found


def data(rows: int, width: int, dtype: str = "float32") -> tuple[Any, Any]:
    """Return X (width, rows), contiguous by row, and binary targets."""
    X = np.random.default_rng(0).normal(size=(rows, width)).astype(dtype)
    return X.T, (X[:, :1] > 0).astype(dtype).T


def networks(sizes: tuple[int, ...], count: int, dtype: str = "float32") -> list[fn.Network]:
    """Return networks with tanh and one sigmoid."""
    return [
        fn.Network(
            [
                fn.Layer(n_in, n_out, "sigmoid" if k == len(sizes) - 2 else "tanh")
                for k, (n_in, n_out) in enumerate(pairwise(sizes))
            ],
            dtype=dtype,
            seed=seed,
        )
        for seed in range(count)
    ]


def before(given: argparse.Namespace, side: str, *arguments: Any) -> dict[str, float]:
    """Return what a side takes with the older package, in its own process; nothing without `--before`."""
    if given.before is None:
        return {}
    command = [sys.executable, "-m", "benchmarks.scale", "--side", json.dumps([side, *arguments])]
    environment = os.environ | {"PYTHONPATH": str(given.before.resolve())}
    done = subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def gradient(given: argparse.Namespace) -> Iterator[Line]:
    """Compare the gradient over 100 000 rows on two threads and on one."""
    from fastnet._core import engine

    for sizes in ((28, 16, 1), (28, 64, 1), (30, 100, 1)):
        for dtype in ("float32", "float64"):
            X, T = data(100_000, sizes[0], dtype)
            (net,) = networks(sizes, 1, dtype)
            W, b = [layer.W for layer in net.layers], [layer.b for layer in net.layers]
            cores = {n: engine.TrainerCore(W, b, ["tanh", "sigmoid"], X.shape[1], n) for n in (1, 2)}
            sides: Sides = {str(n): partial(core.gradients, X, T) for n, core in cores.items()}
            found = least(sides, given.rounds, in_a_row=5)
            name = "-".join(map(str, sizes))
            yield line(
                f"01 gradient {name} {dtype}",
                f"full-batch gradient, {name}, `{dtype}`, 100 000 rows: two threads against one",
                found["1"] / found["2"],
                goal=1.85,
                detail=f"{1e3 * found['2']:.2f} ms",
            )


def loops(sizes: tuple[int, ...], rounds: int, side: str = "") -> dict[str, float]:
    """Return seconds of 256 fits of 200 rows, 10 epochs: loops of `fit`, and what `side` names."""
    X, T = data(200, sizes[0])
    nets: list[fn.Network] = []

    def fit(k: int) -> None:
        nets[k].fit(X, T, 10, seed=k, n_threads=1, progress=False, **PLAIN)

    def threads() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(fit, range(256)))

    def prepare() -> None:
        nets[:] = networks(sizes, 256)

    def together() -> None:
        fn.train_many(nets, X, T, epochs=10, seed=list(range(256)), n_threads=2, **PLAIN)

    sides: Sides = {"loop": lambda: [fit(k) for k in range(256)], "threads": threads}
    if side:
        sides[side] = together
    return least(sides, rounds, prepare, in_a_row=3)


def many(given: argparse.Namespace) -> Iterator[Line]:
    """256 networks, 200 rows, 10 epochs: train_many on two threads against loops of fits, now and before."""
    for sizes, goal in zip(SIZES, GOALS, strict=True):
        older = before(given, "loops", sizes, given.rounds)
        found = loops(sizes, given.rounds, "ours")
        name = "-".join(map(str, sizes))
        ours = found.pop("ours")
        what = f"256 networks {name}, 200 rows, 10 epochs: `train_many` against the better of loops"
        for when, times in (("today", found), ("before", older)):
            if not times:
                continue
            better = min(times.values())
            yield line(
                f"04 many {sizes[0]:02} {when}",
                f"{what} of `fit`, {'as they are' if when == 'today' else 'as they were'}",
                better / ours,
                goal=goal,
                detail=f"{1e6 * better / 256:.0f} and {1e6 * ours / 256:.1f} µs a network",
            )


def large(given: argparse.Namespace) -> Iterator[Line]:
    """64 networks 30-100-1, 10 000 rows, 5 epochs: two threads against one and peers."""
    X, T = data(10_000, 30)
    rows, y = np.ascontiguousarray(X.T), T[0].astype(int)
    nets: list[fn.Network] = []

    def prepare() -> None:
        nets[:] = networks((30, 100, 1), 64)

    def ours(n_threads: int) -> None:
        fn.train_many(nets, X, T, epochs=5, seed=list(range(64)), n_threads=n_threads, **PLAIN)

    sides: Sides = {"ours": lambda: ours(2), "one thread": lambda: ours(1)}
    if installed("torch"):
        sides["torch, batched"] = torch_side(rows, T[0])
    if installed("jax"):
        sides["JAX, vmap"] = jax_side(rows, T[0])
    if installed("sklearn") and installed("joblib"):
        import joblib
        from sklearn.neural_network import MLPClassifier

        def fitted(seed: int) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                options = {"solver": "sgd", "momentum": 0, "max_iter": 5, "random_state": seed}
                return MLPClassifier((100,), activation="tanh", batch_size=200, **options).fit(rows, y)

        pool = joblib.Parallel(2)
        pool(joblib.delayed(abs)(k) for k in range(2))  # workers that are warm
        sides["scikit-learn, loky"] = lambda: pool(joblib.delayed(fitted)(k) for k in range(64))
    found = least(sides, given.rounds, prepare)
    two = found.pop("ours")
    goals = {"one thread": 1.9, "scikit-learn, loky": 17, "torch, batched": 3.4, "JAX, vmap": 3.4}
    for name, seconds in found.items():
        yield line(
            f"05 large {list(goals).index(name)}",
            f"64 networks 30-100-1, 10 000 rows, 5 epochs of SGD, two threads, against {name}",
            seconds / two,
            goal=goals[name],
            detail=f"{seconds:.2f} and {two:.3f} s",
        )


def jax_side(rows: Any, y: Any) -> Callable[[], Any]:
    """Return the training of 64 networks by `vmap` over a compiled epoch; NumPy draws the orders."""
    import jax
    import jax.numpy as jnp

    X, T = jnp.asarray(rows), jnp.asarray(y)

    def cost(p: Any, which: Any) -> Any:
        W, b, v, c = p
        z = jnp.tanh(X[which] @ W + b) @ v + c
        return jnp.mean(jax.nn.softplus(z) - T[which] * z)

    def epoch(p: Any, order: Any) -> Any:
        def step(p: Any, which: Any) -> Any:
            slopes = jax.grad(cost)(p, which)
            return [w - 0.1 * slope for w, slope in zip(p, slopes, strict=True)], None

        return jax.lax.scan(step, p, order.reshape(-1, 200))[0]

    compiled = jax.jit(jax.vmap(epoch))

    def run(epochs: int = 5) -> None:
        rng = np.random.default_rng(0)
        shapes = ((64, 30, 100), (64, 100), (64, 100), (64,))
        p = [jnp.asarray(0.1 * rng.normal(size=shape).astype("float32")) for shape in shapes]
        for _ in range(epochs):
            p = compiled(p, np.stack([rng.permutation(10_000) for _ in range(64)]).astype("int32"))
        jax.block_until_ready(p)

    run(1)  # compiles
    return run


def torch_side(rows: Any, y: Any) -> Callable[[], Any]:
    """Return the training of 64 networks as one of three dimensions in torch."""
    import torch

    torch.set_num_threads(2)
    X, T = torch.from_numpy(rows), torch.from_numpy(y.copy())

    def run() -> None:
        generator = torch.Generator().manual_seed(0)
        W = (torch.randn(64, 30, 100, generator=generator) * 0.1).requires_grad_()
        b, v, c = (torch.zeros(64, n, k) for n, k in ((1, 100), (100, 1), (1, 1)))
        v.normal_(std=0.1, generator=generator)
        parameters = [W, *(p.requires_grad_() for p in (b, v, c))]
        optimizer = torch.optim.SGD(parameters, lr=0.1)
        for _ in range(5):
            order = torch.stack([torch.randperm(10_000, generator=generator) for _ in range(64)])
            for start in range(0, 10_000, 200):
                which = order[:, start : start + 200]
                Z = torch.baddbmm(c, torch.tanh(torch.baddbmm(b, X[which], W)), v)[..., 0]
                loss = torch.nn.functional.binary_cross_entropy_with_logits(Z, T[which], reduction="none")
                optimizer.zero_grad()
                loss.mean(1).sum().backward()
                optimizer.step()

    return run


def one_row(given: argparse.Namespace) -> Iterator[Line]:
    """One row through an ensemble of 16 networks 30-100-1."""
    predictor = fn.Ensemble(networks((30, 100, 1), 16)).compile()
    x, repeats = np.ones(30, "float32"), 2000
    found = least({"ours": lambda: [predictor(x) for _ in range(repeats)]}, given.rounds)
    micros = found["ours"] / repeats * 1e6
    yield line("06 one row", "ensemble of 16 × 30-100-1, one row", micros, "µs", goal=8, at_most=True)


def partial_fit(given: argparse.Namespace) -> Iterator[Line]:
    """`partial_fit` of 1437 x 64 beyond the core's epoch."""
    from sklearn.datasets import load_digits

    from fastnet.sklearn import MLPClassifier

    X, y = load_digits(return_X_y=True)
    X, y = X[:1437], y[:1437]
    estimator = MLPClassifier(random_state=0).partial_fit(X, y, classes=np.arange(10))
    net = fn.Network([fn.Layer(64, 100, "relu"), fn.Layer(100, 10, "softmax")])
    trainer = fn.Trainer(net, optimizer="adam", n_threads=1)
    T = np.eye(10)[y].T
    sides: Sides = {
        "estimator": lambda: [estimator.partial_fit(X, y) for _ in range(20)],
        "core": lambda: [trainer.fit_one_epoch(X.T, T) for _ in range(20)],
    }
    found = {name: seconds / 20 * 1e3 for name, seconds in least(sides, given.rounds).items()}
    yield line(
        "02 partial_fit",
        "`partial_fit`, 1 437 × 64, ten classes, beyond `fit_one_epoch` of the same network",
        found["estimator"] - found["core"],
        "ms",
        goal=0.25,
        at_most=True,
        detail=f"{found['estimator']:.2f} ms in all",
    )


def stopping(given: argparse.Namespace) -> Iterator[Line]:
    """One epoch on a million binary rows, with early stopping and without."""
    from fastnet.sklearn import MLPClassifier

    X = np.random.default_rng(0).normal(size=(1_000_000, 10)).astype("float32")
    y = (X[:, 0] > 0).astype(int)

    def fit(early_stopping: bool) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {"max_iter": 1, "random_state": 0, "early_stopping": early_stopping}
            MLPClassifier((16,), **options).fit(X, y)

    found = least({"with": lambda: fit(True), "without": lambda: fit(False)}, given.rounds)
    yield line(
        "03 stopping",
        "early stopping, binary, 1 million rows, one epoch, against none",
        found["with"] / found["without"],
        goal=1.5,
        at_most=True,
        detail=f"{found['with']:.2f} and {found['without']:.2f} s",
    )


def study(estimator: Any, n_jobs: int) -> float:
    """Return the seconds of 96 trials of Optuna with 30 `partial_fit` each, `n_jobs` trials at a time."""
    import optuna as package
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    package.logging.set_verbosity(package.logging.WARNING)
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)

    def objective(trial: Any) -> float:
        rate, alpha = (trial.suggest_float(name, 1e-5, 1e-1, log=True) for name in ("rate", "alpha"))
        clf = estimator((64,), learning_rate_init=rate, alpha=alpha, random_state=0)
        for epoch in range(30):
            clf.partial_fit(X_train, y_train, classes=np.arange(10))
            if epoch % 10 == 9:
                trial.report(clf.score(X_test, y_test), epoch)
        return float(clf.score(X_test, y_test))

    sampler = package.samplers.TPESampler(seed=0)
    made = package.create_study(direction="maximize", sampler=sampler)
    start = time.perf_counter()
    made.optimize(objective, n_trials=96, n_jobs=n_jobs)
    return time.perf_counter() - start


def studies(estimator: Any, runs: int = 1) -> dict[str, float]:
    """Return the seconds of the study with one trial at a time, and with two in threads."""
    return {f"{n} at a time": min(study(estimator, n) for _ in range(runs)) for n in (1, 2)}


def own_studies() -> dict[str, float]:
    """Return the seconds of the studies with fastnet's classifier, once it has run."""
    from fastnet.sklearn import MLPClassifier

    return studies(MLPClassifier, runs=2)


def optuna(given: argparse.Namespace) -> Iterator[Line]:
    """Optuna: a study of 96 trials of 30 `partial_fit` each, ours now and before, and scikit-learn's.

    Each side has both cores, and the better of one trial at a time and two counts.
    """
    from sklearn.neural_network import MLPClassifier as Theirs

    older, ours = before(given, "study"), own_studies()
    best = min(ours.values())
    for name, found in {"before": older, "scikit-learn": studies(Theirs)}.items():
        if not found:
            continue
        one, two = found["1 at a time"], found["2 at a time"]
        yield line(
            f"07 optuna {name}",
            "Optuna, 96 trials of 30 `partial_fit` each, the better of one and two trials at a time, against "
            + ("fastnet as it was" if name == "before" else "scikit-learn's MLP"),
            min(one, two) / best,
            goal=4 if name == "before" else None,
            detail=f"one at a time {one:.2f} and {ours['1 at a time']:.2f} s, "
            f"two {two:.2f} and {ours['2 at a time']:.2f} s",
        )


def grid(given: argparse.Namespace) -> Iterator[Line]:
    """GridSearchCV, 96 x 5 on digits: ours in float32 on threads, scikit-learn's under loky."""
    import joblib
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV
    from sklearn.neural_network import MLPClassifier as Theirs

    from fastnet.sklearn import MLPClassifier as Ours

    X, y = load_digits(return_X_y=True)
    settings = {
        "hidden_layer_sizes": [(16,), (32,), (64,)],
        "alpha": [1e-5, 1e-3, 1e-1, 1.0],
        "learning_rate_init": [1e-3, 3e-3, 1e-2, 3e-2],
        "activation": ["relu", "tanh"],
    }
    best = {}

    def search(estimator: Any, backend: str) -> None:
        with joblib.parallel_config(backend, n_jobs=2), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = GridSearchCV(estimator(max_iter=50, random_state=0), settings, cv=5).fit(X32, y)
            best[estimator] = found.best_params_

    X32 = (X / 16).astype("float32")
    joblib.Parallel(2)(joblib.delayed(abs)(k) for k in range(2))
    ours = least({"ours": lambda: search(Ours, "threading")}, given.rounds)["ours"]
    theirs = least({"theirs": lambda: search(Theirs, "loky")}, 1)["theirs"]
    same = "the same best" if best[Ours] == best[Theirs] else f"other best: {best}"
    yield line(
        "08 grid",
        "`GridSearchCV`, 96 × 5 on digits, `float32`, threads, against scikit-learn's MLP under loky",
        theirs / ours,
        goal=14,
        detail=f"{theirs:.1f} and {ours:.2f} s, {same}",
    )


def stream(given: argparse.Namespace) -> Iterator[Line]:
    """Run benchmarks.stream: data larger than memory."""
    from benchmarks import stream as of_files

    if given.directory is None:
        raise ModuleNotFoundError("--directory says where the file goes")
    of_files.make(given.directory, given.rows)
    yield from of_files.warm(given.directory, "64MB", min(given.rounds, 3))
    yield from of_files.sorted_by_label(given.directory)
    yield from of_files.under_a_limit(given.directory, "64MB")


def dask(given: argparse.Namespace) -> Iterator[Line]:
    """Run benchmarks.dask_lbfgs: two workers against one, and a killed one."""
    from benchmarks import dask_lbfgs

    yield from dask_lbfgs.lines(dask_lbfgs.measure())


LINES = (gradient, partial_fit, stopping, many, large, one_row, optuna, grid, stream, dask)


def about() -> dict[str, Any]:
    """Return what the lines are measured on."""
    from importlib import metadata

    from benchmarks.machine import description

    found = description()
    for package in ("joblib", "optuna", "dask"):
        if installed(package):
            found["versions"][package] = metadata.version(package)
    return found


def write_page() -> None:
    """Write the lines that are kept between the marks of the scaling page and of the page on big data."""
    from benchmarks.report import write_between

    kept = json.loads(RESULTS.read_text(encoding="utf-8"))
    guides = ROOT / "docs" / "guides"
    write_between(guides / "scaling.md", "scale", page_text(kept))
    write_between(guides / "big-data.md", "stream", stream_table(kept))


def stream_table(kept: dict[str, Any]) -> str:
    """Return the lines of `stream` without their goals."""
    return table([each for each in kept["lines"] if " stream" in each["key"]], goals=False)


def page_text(kept: dict[str, Any]) -> str:
    """Return the table with what it was measured on."""
    machine = kept["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(machine["versions"].items()))
    return (
        f"Measured on {machine['date']} on two cores of an {machine['cpu']}, build `{machine['isa']}`, by "
        f"`python -m benchmarks.scale`. {machine.get('note', '')}\n\nVersions: {versions}.\n\n"
        + table(kept["lines"])
    )


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    made.add_argument("--only", default=",".join(each.__name__ for each in LINES))
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--rows", type=int, default=20_000_000, help="of the file of `stream`")
    made.add_argument("--before", type=Path)
    made.add_argument("--directory", type=Path)
    made.add_argument("--json", type=Path)
    made.add_argument("--note", default="", help="a sentence for the page: was the machine quiet?")
    made.add_argument("--write-page", action="store_true")
    made.add_argument("--side", help=argparse.SUPPRESS)
    return made


def main() -> None:
    """Print the lines that the command line asks for; those whose packages are missing are left out."""
    warnings.filterwarnings("ignore", ".*hardly")  # ten epochs of tiny networks
    given = parser().parse_args()
    if given.side:
        side, *arguments = json.loads(given.side)
        print(json.dumps({"loops": loops, "study": own_studies}[side](*arguments)))
        return
    if given.write_page:
        write_page()
        return
    for each in LINES:
        if each.__name__ not in given.only.split(","):
            continue
        found: list[Line] = []
        try:
            for one in each(given):
                found.append(one)
                print(f"{one['what']}: {text(one['value'], one['unit'])} ({one['detail']})", flush=True)
        except (ModuleNotFoundError, OSError) as error:
            print(f"{each.__name__}: left out, {error}")
        if given.json is not None and found:
            add_to_file(given.json, about() | ({"note": given.note} if given.note else {}), found)


if __name__ == "__main__":
    main()
