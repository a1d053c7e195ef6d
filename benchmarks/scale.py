"""Many networks at once: the lines of the scaling page, each side in turns in one process.

    python -m benchmarks.scale [--only many,large,one_row,partial_fit,stopping,optuna,grid] [--rounds 5]

Peers (scikit-learn, joblib, jax, torch, optuna) take part where they are installed. Least times of the
rounds are compared. Data larger than memory: benchmarks.stream.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np

import fastnet as fn

Sides = dict[str, Callable[[], Any]]


def installed(name: str) -> bool:
    """Return whether a package can be imported."""
    return importlib.util.find_spec(name) is not None


def least(sides: Sides, rounds: int, prepare: Callable[[], None] = lambda: None) -> dict[str, float]:
    """Return the least seconds of each side; they take turns, and `prepare` comes before each."""
    found = dict.fromkeys(sides, float("inf"))
    for _ in range(rounds):
        for name, run in sides.items():
            prepare()
            start = time.perf_counter()
            run()
            found[name] = min(found[name], time.perf_counter() - start)
    return found


def data(rows: int, width: int, dtype: str = "float32") -> tuple[Any, Any]:
    """Return X (width, rows), contiguous by row, and binary targets."""
    X = np.random.default_rng(0).normal(size=(rows, width)).astype(dtype)
    return X.T, (X[:, :1] > 0).astype(dtype).T


def networks(sizes: tuple[int, ...], count: int) -> list[fn.Network]:
    """Return networks of float32 with tanh and one sigmoid."""
    return [
        fn.Network(
            [
                fn.Layer(n_in, n_out, "sigmoid" if k == len(sizes) - 2 else "tanh")
                for k, (n_in, n_out) in enumerate(pairwise(sizes))
            ],
            dtype="float32",
            seed=seed,
        )
        for seed in range(count)
    ]


def many(rounds: int) -> None:
    """256 networks, 200 rows, 10 epochs: train_many on two threads against loops of fits."""
    for sizes in ((2, 3, 1), (8, 16, 1), (30, 100, 1)):
        one_size(sizes, rounds)


def one_size(sizes: tuple[int, ...], rounds: int) -> None:
    """Print the line of `many` for one shape of network."""
    X, T = data(200, sizes[0])
    nets: list[fn.Network] = []

    def fit(k: int) -> None:
        nets[k].fit(X, T, 10, seed=k, n_threads=1, progress=False)

    def threads() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(fit, range(256)))

    def prepare() -> None:
        nets[:] = networks(sizes, 256)

    def ours() -> None:
        fn.train_many(nets, X, T, epochs=10, seed=list(range(256)), n_threads=2)

    sides: Sides = {
        "loop": lambda: [fit(k) for k in range(256)],
        "loop on threads": threads,
        "train_many": ours,
    }
    found = least(sides, rounds, prepare)
    better = min(found["loop"], found["loop on threads"])
    times = ", ".join(f"{name} {seconds / 256 * 1e6:.0f} us" for name, seconds in found.items())
    name = "-".join(map(str, sizes))
    print(f"256 networks {name}, 200 rows, 10 epochs: {better / found['train_many']:.2f}x ({times})")


def large(rounds: int) -> None:
    """64 networks 30-100-1, 10 000 rows, 5 epochs: two threads against one and peers."""
    X, T = data(10_000, 30)
    rows, y = np.ascontiguousarray(X.T), T[0].astype(int)
    nets: list[fn.Network] = []

    def prepare() -> None:
        nets[:] = networks((30, 100, 1), 64)

    def ours(n_threads: int) -> None:
        fn.train_many(nets, X, T, epochs=5, seed=list(range(64)), n_threads=n_threads)

    sides: Sides = {"train_many, two threads": lambda: ours(2), "one thread": lambda: ours(1)}
    if installed("torch"):
        sides["torch, batched"] = torch_side(rows, T[0])
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
    found = least(sides, rounds, prepare)
    first, *others = found
    for name in others:
        print(f"64 networks 30-100-1, 10 000 rows, against {name}: {found[name] / found[first]:.1f}x")


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


def one_row(rounds: int) -> None:
    """One row through an ensemble of 16 networks 30-100-1, and through scikit-learn's bagging."""
    predictor = fn.Ensemble(networks((30, 100, 1), 16)).compile()
    x, repeats = np.ones(30, "float32"), 2000
    found = least({"ours": lambda: [predictor(x) for _ in range(repeats)]}, rounds)
    print(f"ensemble of 16 x 30-100-1, one row: {found['ours'] / repeats * 1e6:.1f} us")


def partial_fit(rounds: int) -> None:
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
    found = {name: seconds / 20 * 1e3 for name, seconds in least(sides, rounds).items()}
    print(
        f"partial_fit, 1437 x 64: {found['estimator']:.2f} ms, {found['estimator'] - found['core']:.2f} ms "
        "beyond fit_one_epoch of the same network"
    )


def stopping(rounds: int) -> None:
    """One epoch on a million binary rows, with early stopping and without."""
    from fastnet.sklearn import MLPClassifier

    X = np.random.default_rng(0).normal(size=(1_000_000, 10)).astype("float32")
    y = (X[:, 0] > 0).astype(int)

    def fit(early_stopping: bool) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {"max_iter": 1, "random_state": 0, "early_stopping": early_stopping}
            MLPClassifier((16,), **options).fit(X, y)

    found = least({"with": lambda: fit(True), "without": lambda: fit(False)}, min(rounds, 3))
    ratio = found["with"] / found["without"]
    print(
        f"early stopping, binary, 1 000 000 rows, one epoch: {ratio:.2f}x of without ({found['with']:.2f} s)"
    )


def optuna(rounds: int) -> None:
    """Optuna: a study of 96 trials of 30 `partial_fit` each, ours and scikit-learn's."""
    import optuna as package
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier as Theirs

    from fastnet.sklearn import MLPClassifier as Ours

    package.logging.set_verbosity(package.logging.WARNING)
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)

    def study(estimator: Any) -> None:
        def objective(trial: Any) -> float:
            rate, alpha = (trial.suggest_float(name, 1e-5, 1e-1, log=True) for name in ("rate", "alpha"))
            clf = estimator((64,), learning_rate_init=rate, alpha=alpha, random_state=0)
            for epoch in range(30):
                clf.partial_fit(X_train, y_train, classes=np.arange(10))
                if epoch % 10 == 9:
                    trial.report(clf.score(X_test, y_test), epoch)
            return float(clf.score(X_test, y_test))

        sampler = package.samplers.TPESampler(seed=0)
        package.create_study(direction="maximize", sampler=sampler).optimize(objective, n_trials=96)

    found = least({"ours": lambda: study(Ours), "theirs": lambda: study(Theirs)}, 1)
    print(
        f"Optuna, 96 trials of 30 partial_fit: {found['theirs'] / found['ours']:.1f}x ({found['ours']:.1f} s)"
    )


def grid(rounds: int) -> None:
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
    best = []

    def search(estimator: Any, backend: str, X: Any) -> None:
        with joblib.parallel_config(backend, n_jobs=2), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = GridSearchCV(estimator(max_iter=50, random_state=0), settings, cv=5).fit(X, y)
            best.append(found.best_params_)

    X32 = (X / 16).astype("float32")
    joblib.Parallel(2)(joblib.delayed(abs)(k) for k in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = least(
            {
                "ours": lambda: search(Ours, "threading", X32),
                "theirs": lambda: search(Theirs, "loky", X32),
            },
            1,
        )
    same = "the same best" if best[0] == best[1] else f"other best: {best}"
    ratio = found["theirs"] / found["ours"]
    print(f"GridSearchCV, 96 x 5 on digits: {ratio:.1f}x ({found['ours']:.1f} s), {same}")


LINES = (many, large, one_row, partial_fit, stopping, optuna, grid)


def main() -> None:
    """Print the lines that the command line asks for; those whose packages are missing are left out."""
    names = [line.__name__ for line in LINES]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default=",".join(names))
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    for line in LINES:
        if line.__name__ not in given.only.split(","):
            continue
        try:
            line(given.rounds)
        except ModuleNotFoundError as error:
            print(f"{line.__name__}: left out, {error}")


if __name__ == "__main__":
    main()
