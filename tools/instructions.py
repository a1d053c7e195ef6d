"""Count the processor's instructions of nine calls of the core, and compare them with the numbers kept.

    python tools/instructions.py            compare (half a minute): what .ci/run calls
    python tools/instructions.py --write    keep the numbers of now, for the compiler of now

Times need a quiet machine; how many instructions the v3 build executes does not, and valgrind shows every
program the same processor, caches too. A number that is more than 3 % above the one kept fails, and so does
one as far below it: `--write` keeps what has become better. Counted are the instructions inside the kernel
modules, by valgrind's callgrind: neither Python nor NumPy, so their versions do not matter. The compiler's
does: tools/instructions.json has numbers for each, by the name that it has left in the modules.

Exit status: 0 all numbers are the same within 3 %, 1 some are not, 2 valgrind ended with an error, 77 nothing
was compared: no numbers for this compiler, no v3 build in this installation, or no valgrind and no apt to
fetch it with.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import fastnet as fn
from fastnet._core import engine

KEPT = Path(__file__).with_suffix(".json")
NOT_TRIED = 77
ALLOWED = 0.03
MODULES = "kernels_v3_"  # of which instructions are counted
MARKER = "getppid"  # callgrind writes down its counts before a call of this function of the C library

# ---- the calls: what is counted, and how many times it is done in one count

Call = tuple[Callable[[], Any], int]


def arrays(sizes: list[int], n: int, dtype: str, density: float = 1.0) -> tuple[Any, Any, Any, Any]:
    """Return W, b, X (features, n) and T (outputs, n) from a seed."""
    rng = np.random.default_rng(0)
    W = [(rng.standard_normal((o, i)) / np.sqrt(i)).astype(dtype) for i, o in pairwise(sizes)]
    b = [np.zeros((o, 1), dtype) for o in sizes[1:]]
    X = rng.standard_normal((n, sizes[0])) * (rng.random((n, sizes[0])) < density)
    T = np.zeros((n, sizes[-1]))
    T[np.arange(n), rng.integers(0, sizes[-1], n)] = rng.random(n) < 0.5 if sizes[-1] == 1 else 1
    return W, b, X.astype(dtype).T, T.astype(dtype).T


def epoch(sizes: list[int], batch: int, names: list[str], dtype: str, **options: Any) -> Call:
    """Return an epoch of four batches; a step is one batch."""
    W, b, X, T = arrays(sizes, 4 * batch, dtype, options.pop("density", 1.0))
    core = engine.TrainerCore(W, b, names, batch, **options)
    return lambda: core.epoch(X, T, None, 1e-3), 4


def prediction(sizes: list[int], n: int, names: list[str], dtype: str) -> Call:
    """Return a prediction of n examples by a network; a step is all of them."""
    W, b, X, _ = arrays(sizes, n, dtype)
    return lambda: engine.forward(W, b, names, X), 1


def row_of_predictor(sizes: list[int], names: list[str], dtype: str, density: float = 1.0) -> Call:
    """Return the prediction of one row by a compiled predictor."""
    W, b, X, _ = arrays(sizes, 1, dtype, density)
    core = engine.PredictorCore(W, b, names)
    x = np.ascontiguousarray(X[:, 0])
    return lambda: core.one(x), 1


def sparse_gradient(sizes: list[int], n: int, names: list[str], dtype: str, density: float) -> Call:
    """Return the loss and gradient that L-BFGS asks for, over sparse rows."""
    W, b, X, T = arrays(sizes, n, dtype, density)
    start = np.concatenate([[0], np.cumsum((X.T != 0).sum(axis=1))]).astype(np.intp)
    rows = engine.SparseRows(X.T[X.T != 0], np.nonzero(X.T)[1].astype(np.int32), start, sizes[0])
    core = engine.TrainerCore(W, b, names, n, sparse=True)
    return lambda: core.gradients_at(W, b, rows, T), 1


def calls() -> dict[str, Call]:
    """Return the nine calls by name."""
    tanh, relu, silu = ["tanh", "sigmoid"], ["relu", "relu", "sigmoid"], ["silu", "softmax"]
    adam: dict[str, Any] = {"optimizer": "adam"}
    softmax: dict[str, Any] = {"optimizer": "adam", "loss": "cross_entropy"}
    return {
        "2-3-1, batch 32, float32, sgd": epoch([2, 3, 1], 32, tanh, "float32"),
        "30-100-1, batch 200, float32, sgd": epoch([30, 100, 1], 200, tanh, "float32"),
        "100-256-128-1, batch 256, float32, adam": epoch([100, 256, 128, 1], 256, relu, "float32", **adam),
        "64-100-10, batch 200, float64, adam": epoch([64, 100, 10], 200, silu, "float64", **softmax),
        "784-64-10, mostly zeros, batch 100, float32, adam": epoch(
            [784, 64, 10], 100, silu, "float32", density=0.1, **softmax
        ),
        "sparse gradient 2000-50-1, 300 rows, float64": sparse_gradient(
            [2000, 50, 1], 300, tanh, "float64", 0.01
        ),
        "predict 1000 rows, 64-100-10, float32": prediction([64, 100, 10], 1000, silu, "float32"),
        "predictor, 1 row, 100-256-128-1, float32": row_of_predictor([100, 256, 128, 1], relu, "float32"),
        "predictor, 1 row, mostly zeros, 784-64-10, float32": row_of_predictor(
            [784, 64, 10], silu, "float32", 0.2
        ),
    }


def run_calls() -> None:
    """Make each call once, and then between two markers."""
    if fn.isa.active() != "v3":
        raise RuntimeError(f"the v3 build must be active, got {fn.isa.active()}")
    for call, _ in calls().values():
        call()  # the first one touches memory, and may choose another way
        os.getppid()
        call()
        os.getppid()


# ---- the counts


def find_valgrind() -> tuple[str, dict[str, str]] | None:
    """Return the program and its environment; fetched by apt and unpacked where it is not installed."""
    if found := shutil.which("valgrind"):
        return found, {}
    if missing := [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]:
        print(f"not tried: no valgrind here, and no {missing[0]} to fetch it with", file=sys.stderr)
        return None
    from aarch64 import default_cache, fetch_packages

    cache = default_cache().with_name("fastnet-valgrind")
    folder = cache / "host"
    try:
        fetch_packages(cache, "amd64", ["valgrind"], folder, alone=False)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"not tried: valgrind could not be fetched: {error}", file=sys.stderr)
        return None
    return str(folder / "usr/bin/valgrind"), {"VALGRIND_LIB": str(folder / "usr/libexec/valgrind")}


def instructions_of(path: Path) -> int:
    """Return how many instructions a file of callgrind counts inside the kernel modules.

    It has lines "ob=FILE" for what follows, "calls=..." and then a line with what the called function took,
    which is counted where that one stands, and lines "LINE COUNT".
    """
    total, inside, called = 0, False, False
    with path.open() as file:
        for line in file:
            if line.startswith("ob="):
                inside = MODULES in line
            elif line.startswith("calls="):
                called = True
            elif line[0].isdigit():
                if inside and not called:
                    total += int(line.split()[1])
                called = False
    return total


def count(valgrind: str, variables: dict[str, str]) -> dict[str, float]:
    """Run the calls under callgrind and return the instructions of a step of each."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = [valgrind, "-q", "--tool=callgrind", f"--dump-before={MARKER}", "--dump-line=no"]
        command += ["--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={out}"]
        environment = os.environ | variables | {"FASTNET_ISA": "v3", "FASTNET_NUM_THREADS": "1"}
        subprocess.run([*command, sys.executable, __file__, "--run"], check=True, env=environment)
        return {
            name: instructions_of(out.with_suffix(f".{2 * number}")) / steps
            for number, (name, (_, steps)) in enumerate(calls().items(), 1)
        }


def compiler() -> str | None:
    """Return what compiled the v3 build, as "gcc 12.2.0"; None if it is not there."""
    modules = sorted(Path(engine.__file__).parent.glob(f"{MODULES}float32*"))
    if not modules:
        return None
    content = modules[0].read_bytes()
    if found := re.search(rb"GCC: \([^)]*\) (\d+\.\d+\.\d+)", content):
        return f"gcc {found[1].decode()}"
    found = re.search(rb"clang version (\d+\.\d+\.\d+)", content)
    return f"clang {found[1].decode()}" if found else "unknown"


def main() -> int:
    """Count, compare or keep, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="keep the numbers of now")
    parser.add_argument("--run", action="store_true", help=argparse.SUPPRESS)  # under callgrind
    arguments = parser.parse_args()
    if arguments.run:
        run_calls()
        return 0
    version, kept = compiler(), json.loads(KEPT.read_text())
    if version is None:
        print("not tried: this installation has no v3 build", file=sys.stderr)
        return NOT_TRIED
    if version not in kept and not arguments.write:
        print(
            f"not compared: {KEPT.name} has numbers for {', '.join(kept)}, and {version} compiled this",
            file=sys.stderr,
        )
        return NOT_TRIED
    found = find_valgrind()
    if found is None:
        return NOT_TRIED
    try:
        counts = count(*found)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"valgrind: {error}", file=sys.stderr)
        return 2
    before, wrong = kept.get(version, {}), []
    for name, number in counts.items():
        ratio = number / before[name] if name in before else float("nan")
        print(f"{name:50} {number:12,.0f} instructions a step, {ratio:6.3f} of those kept")
        if not abs(ratio - 1) <= ALLOWED:
            wrong.append(name)
    if arguments.write:
        rounded = {name: round(number) for name, number in counts.items()}
        KEPT.write_text(json.dumps({**kept, version: rounded}, indent=1) + "\n")
        print(f"kept for {version}")
        return 0
    print("\n".join(f"not within 3 %: {name}" for name in wrong) or f"within 3 %, {version}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
