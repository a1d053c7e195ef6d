"""Check an installation on its machine: kernels, bits, threads, forks and files.

`run` trains, predicts and saves small networks on every build that this CPU runs, and compares with
`fastnet.reference` in a wider precision and with the bits that every machine must give. It needs NumPy alone
and takes some seconds. ``fastnet selftest`` prints its `report`, to be pasted into a bug report.
"""

from __future__ import annotations

import io
import os
import platform
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastnet as fn
from fastnet import reference
from fastnet.selftest import golden

__all__ = ["Check", "facts", "report", "run"]

Array = NDArray[Any]

WIDER: dict[str, Any] = {"float32": np.float64, "float64": np.longdouble}
# Largest error of each activation in units of the last place, as the docstrings of the kernels state it; and
# of longdouble where it is no wider than float64 (macOS on ARM, Windows): the reference's own few roundings
# on top.
ULP = {
    "identity": 0.0, "sigmoid": 2.0, "logistic": 2.5, "tanh": 4.0, "relu": 0.0, "leaky_relu": 1.0, "elu": 2.0,
    "selu": 4.0, "silu": 3.0, "gelu": 6.0, "softplus": 3.0, "mish": 6.0, "exp": 1.1,
}  # fmt: skip
NARROW_REFERENCE = 8.0
CHILD_SECONDS = 20
CPU_FLAGS = (  # those that decide which builds run
    *("sse4_2", "avx", "f16c", "fma", "avx2", "bmi2", "avx512f", "avx512bw", "avx512dq", "avx512vl"),
    *("asimd", "sve"),
)


class Mismatch(Exception):
    """A result is not what it has to be."""


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Examples
    --------
    >>> from fastnet.selftest import Check
    >>> Check("files", True, "3 kinds", 0.01).passed
    True
    """

    name: str
    passed: bool
    detail: str
    seconds: float


def run(progress: Callable[[Check], Any] | None = None) -> list[Check]:
    """Check this installation on every build that this CPU runs.

    Parameters
    ----------
    progress : callable, optional
        Called with each `Check` when it has ended.

    Returns
    -------
    list of Check

    Examples
    --------
    >>> from fastnet import selftest
    >>> checks = selftest.run()  # doctest: +SKIP
    >>> all(check.passed for check in checks)  # doctest: +SKIP
    True
    """
    done = []
    for name, check in _checks():
        start = time.perf_counter()
        try:
            passed, detail = True, check()
        except Exception as error:  # whatever goes wrong is a finding
            passed, detail = False, str(error) if isinstance(error, Mismatch) else repr(error)
        done.append(Check(name, passed, detail, time.perf_counter() - start))
        if progress is not None:
            progress(done[-1])
    return done


def _checks() -> Iterator[tuple[str, Callable[[], str]]]:
    for isa in fn.isa.supported():
        for dtype in golden.DTYPES:
            yield f"kernels, {isa}, {dtype}", _on(isa, _kernels, dtype)
        yield f"bits, {isa}", _on(isa, _bits)
    for dtype in golden.DTYPES:
        yield f"threads, {dtype}", lambda dtype=dtype: _threads(dtype)  # type: ignore[misc]
    yield "fork", _fork
    yield "files", _files


def _on(isa: str, check: Callable[..., str], *arguments: Any) -> Callable[[], str]:
    def wrapped() -> str:
        with fn.isa.using(isa):
            return check(*arguments)

    return wrapped


# ---- kernels beside the reference


def _kernels(dtype: str) -> str:
    """Compare products, activations and losses with the reference in a wider precision.

    A sum of k products, each fused or rounded, is off by at most about (k + 1) u Σ|terms|, u = eps/2 (Higham,
    Accuracy and Stability of Numerical Algorithms, 2002, section 3.1); one more rounding is allowed.
    """
    rng = np.random.default_rng(7)
    compared = 0
    for n_in, n_out, n in [(1, 1, 1), (3, 5, 7), (4, 16, 33), (17, 6, 64), (31, 33, 65), (130, 70, 129)]:
        W = rng.normal(size=(n_out, n_in)).astype(dtype)
        b = rng.normal(size=(n_out, 1)).astype(dtype)
        A = rng.normal(size=(n_in, n)).astype(dtype)
        dZ = rng.normal(size=(n_out, n)).astype(dtype)
        wide_W, wide_b, wide_A, wide_dZ = (array.astype(WIDER[dtype]) for array in (W, b, A, dZ))
        results = [fn.dense_forward(W, b, A), *fn.dense_backward(W, A, dZ)]
        exact = [
            reference.dense_forward(wide_W, wide_b, wide_A),
            *reference.dense_backward(wide_W, wide_A, wide_dZ),
        ]
        terms = [
            abs(wide_W) @ abs(wide_A) + abs(wide_b),
            abs(wide_W).T @ abs(wide_dZ),
            abs(wide_dZ) @ abs(wide_A).T,
            abs(wide_dZ).sum(axis=1, keepdims=True),
        ]
        names = ("Z", "dA", "dW", "db")
        for name, got, right, k, size in zip(names, results, exact, (n_in, n_out, n, n), terms, strict=True):
            _near(f"{name} of {n_in}-{n_out} on {n}", got, right, (k + 2) * np.finfo(dtype).eps / 2 * size)
            compared += got.size
    for name, ulp in ULP.items():
        z = np.concatenate([rng.uniform(-20, 20, 2000), rng.uniform(-1, 1, 1000), [0.0, -80.0, 80.0]])
        z = z.astype(dtype)
        if name == "exp" and dtype == "float32":
            z = np.minimum(z, np.float32(80))
        right = reference.activate(z.astype(WIDER[dtype])[None], name)[0]
        if np.finfo(WIDER[dtype]).eps == np.finfo(dtype).eps:
            ulp += NARROW_REFERENCE
        last_place = np.spacing(abs(right).astype(dtype)).astype(WIDER[dtype])
        _near(name, fn.activate(z[None], name)[0], right, ulp * last_place + np.finfo(dtype).tiny)
        compared += z.size
    for loss, (activation, kind) in golden.LOSSES.items():
        X = golden.examples(65, dtype)
        T = golden.targets(kind, 3, X)
        if kind == "labels":
            T = fn.one_hot(T, 3, dtype=dtype)
        Z = X[3:6]
        how = {"loss": loss, "activation": activation}
        got = np.array([fn.loss(Z, T, **how)])
        right = np.array([reference.loss(Z.astype(WIDER[dtype]), T.astype(WIDER[dtype]), **how)])
        # 195 terms are summed; each has an activation and a logarithm of a few roundings.
        _near(f"loss {loss}", got, right, (65 * 3 + 16) * np.finfo(dtype).eps * (1 + abs(right)))
        compared += 1
    return f"{compared:,} numbers within their bounds"


def _near(what: str, got: Any, right: Any, bound: Any) -> None:
    error = abs(got.astype(right.dtype) - right)
    if not np.all(error <= bound):  # a NaN is not within a bound
        worst = int(np.argmax(np.where(np.isnan(error), np.inf, error / np.where(bound > 0, bound, 1e-300))))
        raise Mismatch(
            f"{what}: got {got.ravel()[worst]!r} where {right.ravel()[worst]!r} is right, "
            f"allowed error {np.broadcast_to(bound, error.shape).ravel()[worst]:.2g}"
        )


# ---- bits


def _bits() -> str:
    """Train the small networks whose bits come with the package."""
    known = golden.known()
    other = [name for name, train in golden.cases() if golden.digest(sorted(train().items())) != known[name]]
    if other:
        raise Mismatch(f"{len(other)} of {len(known)} trainings gave other bits: {'; '.join(other[:5])}")
    return f"{len(known)} trainings, all bits as on every machine of group {golden.group()!r}"


def _trained(dtype: str, n_threads: int | None = None) -> str:
    """Train and use a network that is large enough for eight threads, and hash all of it."""
    rng = np.random.default_rng(3)
    X = rng.uniform(-1, 1, (64, 3000)).astype(dtype)
    labels = X[:10].argmax(axis=0)
    layers = [fn.Layer(64, 128, "relu", dropout=0.1), fn.Layer(128, 10, "softmax")]
    network = fn.Network(layers, seed=1, dtype=dtype)
    how: dict[str, Any] = {"epochs": 2, "batch_size": 1500, "optimizer": "adam", "n_threads": n_threads}
    history = network.fit(X, labels, **how)
    predictions = network.predict_proba(X, n_threads=n_threads)
    return golden.digest(*golden.parameters(network), history.loss, predictions)


def _threads(dtype: str) -> str:
    """Train with different numbers of threads."""
    alone = _trained(dtype, 1)
    for n_threads in (2, 3, 8):
        if _trained(dtype, n_threads) != alone:
            raise Mismatch(f"{n_threads} threads give other bits than 1")
    return "the same bits with 1, 2, 3 and 8"


def _fork() -> str:
    """Train in a child that was forked after its parent had used threads."""
    if not hasattr(os, "fork"):
        return "not tried: this system has no fork"
    right = _trained("float32", 2)
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of a fork beside threads, which is what is tried here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            os.write(theirs, _trained("float32", 2).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    import select

    ready, _, _ = select.select([ours], [], [], CHILD_SECONDS)
    answer = os.read(ours, 100).decode() if ready else ""
    os.close(ours)
    if not ready:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not ready:
        raise Mismatch(f"the child did not answer within {CHILD_SECONDS} seconds")
    if answer != right:
        raise Mismatch("the child came to other bits than its parent" if answer else "the child died")
    return "a child trained to the bits of its parent"


# ---- files


def _files() -> str:
    """Save and load a network and a checkpoint, and refuse a damaged file."""
    X = golden.examples(60, "float32")
    layers = [fn.Layer(7, 9, "tanh"), fn.Layer(9, 3, "softmax")]
    network = fn.Network(layers, seed=2, dtype="float32")
    trainer = fn.Trainer(network, optimizer="adam", seed=4)
    trainer.fit(X, golden.targets("labels", 3, X), epochs=2)
    right = golden.digest(*golden.parameters(network))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("network.safetensors", "network.npz"):
            path = Path(folder) / name
            fn.save(network, path)
            if golden.digest(*golden.parameters(fn.load(path))) != right:
                raise Mismatch(f"{name} was read back with other bits")
            damaged = bytearray(path.read_bytes())
            damaged[-len(damaged) // 3] ^= 1
            path.write_bytes(damaged)
            try:
                fn.load(path)
            except fn.FormatError:
                continue
            raise Mismatch(f"{name} with a flipped bit was loaded")
    file = io.BytesIO()
    fn.save(trainer, file, checkpoint=True)
    file.seek(0)
    resumed = fn.load_checkpoint(file)
    for one in (trainer, resumed):
        one.fit(X, golden.targets("labels", 3, X), epochs=2)
    if golden.digest(*golden.parameters(resumed.network)) != golden.digest(*golden.parameters(network)):
        raise Mismatch("training from a checkpoint gave other bits than going on")
    return "safetensors, npz and a checkpoint read back; damaged ones refused"


# ---- the report


def facts() -> dict[str, str]:
    """Return what a bug report should say about this machine and installation.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> from fastnet import selftest
    >>> selftest.facts()["fastnet"] == fn.__version__
    True
    """
    python = f"{platform.python_implementation()}, {platform.python_compiler()}"
    found = {
        "fastnet": fn.__version__,
        "Python": f"{platform.python_version()} ({python})",
        "NumPy": np.__version__,
        "system": f"{platform.platform()}, {platform.machine()}",
        "CPU": _cpu(),
        "builds": f"{' '.join(fn.isa.compiled())}; this CPU runs {' '.join(fn.isa.supported())}",
        "in use": f"{fn.isa.active()}, up to {fn.threads.most()} threads",
    }
    names = ("FASTNET_ISA", *fn.threads.VARIABLES)
    if chosen := [f"{name}={os.environ[name]}" for name in names if name in os.environ]:
        found["environment"] = ", ".join(chosen)
    return found


def _cpu() -> str:
    """Return the CPU's name and those of its flags that decide which builds run."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    pairs = [line.partition(":") for line in lines]
    about = {name.strip(): value.strip() for name, _, value in pairs}
    flags = about.get("flags", about.get("Features", "")).split()
    flags = [flag for flag in flags if flag in CPU_FLAGS]
    return f"{about.get('model name', platform.machine())} ({' '.join(flags)})"


def report(checks: list[Check]) -> str:
    """Lay out the outcome of the checks, with the facts about this machine above them.

    Examples
    --------
    >>> from fastnet import selftest
    >>> print(selftest.report([selftest.Check("files", True, "3 kinds", 0.01)]).splitlines()[-1])
    1 check passed
    """
    about = facts()
    width = max(map(len, [*about, *(check.name for check in checks)]))
    lines = [f"{name:{width}}  {text}" for name, text in about.items()]
    lines += ["", *(line(check, width) for check in checks), ""]
    failed = [check for check in checks if not check.passed]
    count = f"{len(checks)} check{'s' if len(checks) != 1 else ''}"
    lines.append(f"{len(failed)} of {count} FAILED" if failed else f"{count} passed")
    return "\n".join(lines)


def line(check: Check, width: int = 24) -> str:
    """Lay out one check.

    Examples
    --------
    >>> from fastnet import selftest
    >>> selftest.line(selftest.Check("files", True, "3 kinds", 0.01), 5)
    'files  ok      0.0 s  3 kinds'
    """
    passed = "ok    " if check.passed else "FAILED"
    return f"{check.name:{width}}  {passed} {check.seconds:4.1f} s  {check.detail}"


if __name__ == "__main__":
    outcomes = run()
    print(report(outcomes))
    sys.exit(not all(check.passed for check in outcomes))
