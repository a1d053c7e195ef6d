"""Damage model files in every way, and see that each is refused with FormatError or read rightly.

    python tools/fuzz_files.py                        20 seconds for each kind of file; what .ci/run calls
    python tools/fuzz_files.py npz --seconds 600      ten minutes for one kind
    python tools/fuzz_files.py --runs 200000          so many files of each kind, whatever time that takes
    python tools/fuzz_files.py --engine mutator       without atheris, from a seed: the same files every time

The kinds are safetensors, npz, checkpoint, ensemble and tabular. Files are damaged byte by byte and, with
checksums made right again, part by part: headers, descriptions, arrays, the directory of the zip file. With
atheris (pip install atheris), which watches what code of fastnet.files each file reaches and goes on from
those that reach more, this is fuzzing guided by coverage; without it, the mutations come from a seeded
generator alone, and the first line says so.

What a file may do: raise FormatError, or load. Then what was loaded, saved and loaded again, has the same
bits, and a checkpoint can go on training or refuses with ValueError. It may take a second of processor time,
and memory of its own size and 16 MB (measured by the mutator for every file).

Exit status: 0 nothing was found, 1 a file was: it is written to the folder of --keep, and its traceback
shown.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from mutators import mutated

try:
    import atheris
except ImportError:
    atheris = None
if atheris is not None and os.environ.get("FUZZ_FILES_GUIDED"):
    watched = ["fastnet.files", "fastnet.training.state_dict", "fastnet.ensemble", "fastnet.tabular"]
    with atheris.instrument_imports(include=watched):
        import fastnet as fn
        import fastnet.ensemble.file
        import fastnet.files
        import fastnet.tabular.file
        import fastnet.training
else:
    import fastnet as fn

SECONDS = 1.0
ALLOWANCE = 16_000_000  # bytes beyond the file's size
X = np.random.RandomState(1).randint(-8, 8, size=(3, 12)) / 4.0
T = np.arange(12) % 2
KINDS = ("safetensors", "npz", "checkpoint", "ensemble", "tabular")


class Finding(Exception):
    """A file did what no file may do."""


# ---- files to start from


def network(dtype: str, *, described: bool = True) -> fn.Network:
    """Return a small network with all that a file can hold."""
    made = fn.Network([fn.Layer(3, 4, "tanh"), fn.Layer(4, 2, "softmax")], seed=1, dtype=dtype)
    if described:
        made.classes, made.feature_names = ["left", "right"], ["a", "b", "c"]
        made.preprocessing = fn.Standardize([1.0, 2.0, 3.0], [1.0, 0.5, 2.0])
    return made


def estimators() -> list[Any]:
    """Return small estimators of both kinds, with columns of all kinds."""
    from fastnet.tabular import TableEncoder, TabularClassifier, TabularRegressor

    table = np.array(
        [["a", 1.0, True], ["b", None, False], ["c", 3.0, None], ["a", 4.5, True]] * 5, dtype=object
    )
    encoder = TableEncoder(bins=2, distinct_bins=1, kinds={1: "number"})
    options = {"epochs": 1, "width": 3, "random_state": 0}
    weights = {"x": 1.0, "y": 2.0}
    return [
        TabularClassifier(2, encoder=encoder, class_weight=weights, **options).fit(
            table, ["x", "y", "y", "x"] * 5
        ),
        TabularClassifier(1, **options).fit(table[:, 1:], [1, 2, 3, 1] * 5),
        TabularRegressor(2, time_limit=60.0, **options).fit(table, np.arange(20.0)),
    ]


def seeds(kind: str) -> list[bytes]:
    """Return whole files of a kind."""
    files = []
    if kind in ("ensemble", "tabular"):
        models = estimators()
        for model in models if kind == "tabular" else [made.ensemble_ for made in models]:
            file = io.BytesIO()
            fn.save(model, file)
            files.append(file.getvalue())
        return files
    for dtype in ("float32", "float64"):
        for described in (True, False):
            file = io.BytesIO()
            made = network(dtype, described=described)
            if kind == "checkpoint":
                schedule = "adaptive" if described else "one_cycle"
                trainer = fn.Trainer(made, optimizer="adam", schedule=schedule, batch_size=5, seed=2)
                trainer.fit(X.astype(dtype), T, epochs=3, validation_fraction=0.25, early_stopping=described)
                fn.save(trainer, file, checkpoint=True)
            else:
                fn.save(made, file, kind=kind)
            files.append(file.getvalue())
    return files


# ---- what a file may do


def contents(made: Any) -> list[Any]:
    """Return all that a model is, its bits first."""
    if isinstance(made, fn.Network):
        return [array.tobytes() for layer in made.layers for array in (layer.W, layer.b)]
    if isinstance(made, fn.Ensemble):
        targets = None if made.targets is None else [v.tobytes() for v in vars(made.targets).values()]
        encoder = None if made.encoder is None else made.encoder.to_dict()
        return [*(contents(network) for network in made.networks), targets, encoder]
    learned = {name: repr(value) for name, value in sorted(vars(made).items()) if name != "ensemble_"}
    return [type(made), learned, contents(made.ensemble_)]


def read(kind: str, file: bytes) -> Any:
    """Load a file; None if it was refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return (fn.load_checkpoint if kind == "checkpoint" else fn.load)(io.BytesIO(file))
    except fn.FormatError as error:
        if not str(error).startswith("<BytesIO>: "):
            raise Finding(f"a message that does not name the file: {error}") from error
        return None


def check(kind: str, file: bytes, *, measure: bool = False) -> bool:
    """Load one file, tell whether it could be loaded, and raise what it may not do."""
    start = time.process_time()
    if measure:
        tracemalloc.start()
    try:
        loaded = read(kind, file)
        peak = tracemalloc.get_traced_memory()[1] if measure else 0
    finally:
        tracemalloc.stop()
    if (seconds := time.process_time() - start) > SECONDS:
        raise Finding(f"a file of {len(file)} bytes took {seconds:.1f} s")
    if peak > len(file) + ALLOWANCE:
        raise Finding(f"a file of {len(file)} bytes took {peak} bytes")
    if loaded is None:
        return False
    made = loaded.network if kind == "checkpoint" else loaded
    again = io.BytesIO()
    fn.save(made, again)
    again.seek(0)
    if contents(fn.load(again)) != contents(made):
        raise Finding("what was loaded does not survive being saved")
    if kind == "tabular" and not isinstance(made, fn.Ensemble):  # without its part of the file it is one
        made.predict(np.full((2, made.n_features_in_), None, object))
    if kind == "checkpoint" and made.sizes[0] == len(X):
        # Weights may be any finite numbers, and targets may not fit the loss: it may refuse or diverge.
        with contextlib.suppress(ValueError, FloatingPointError, fn.DivergenceError):
            loaded.fit(X.astype(made.dtype), T, epochs=1)
    return True


# ---- engines


def kept(kind: str, file: bytes, folder: Path) -> Path:
    """Write a file that did what it may not."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}-{hashlib.sha256(file).hexdigest()[:12]}"
    path.write_bytes(file)
    return path


def by_seed(kind: str, arguments: argparse.Namespace) -> int:
    """Damage files from a seeded generator."""
    rng, files = random.Random(arguments.seed), seeds(kind)
    for file in files:
        if not check(kind, file):
            raise Finding("a whole file was refused")
    start, tried, loaded = time.monotonic(), 0, 0
    while tried < arguments.runs if arguments.runs else time.monotonic() - start < arguments.seconds:
        file = mutated(kind, rng.choice(files), rng)
        try:
            loaded += check(kind, file, measure=True)
        except Exception:
            traceback.print_exc()
            print(f"{kind}: {kept(kind, file, arguments.keep)}", file=sys.stderr)
            return 1
        tried += 1
    seconds = time.monotonic() - start
    print(
        f"{kind}: {tried:,} files, {loaded:,} of them loaded, nothing found ({seconds:.0f} s, seeded mutator)"
    )
    return 0


def by_coverage(kind: str, arguments: argparse.Namespace) -> int:
    """Damage files with atheris, in a process of its own that it may end."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, file in enumerate(seeds(kind)):
            (Path(corpus) / str(number)).write_bytes(file)
        budget = f"-runs={arguments.runs}" if arguments.runs else f"-max_total_time={arguments.seconds:.0f}"
        flags = [
            budget,
            f"-seed={arguments.seed + 1}",
            "-max_len=100000",
            "-timeout=30",
            "-rss_limit_mb=2048",
        ]
        arguments.keep.mkdir(parents=True, exist_ok=True)
        ran = subprocess.run(
            [
                sys.executable,
                __file__,
                "--guided",
                kind,
                *flags,
                f"-artifact_prefix={arguments.keep}/{kind}-",
                corpus,
            ],
            env=os.environ | {"FUZZ_FILES_GUIDED": "1"},
            stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE,
            text=True,
        )
        reached = len(os.listdir(corpus))
    lines = ran.stdout.splitlines()
    if ran.returncode:
        print("\n".join(lines[-60:]), file=sys.stderr)
        return 1
    done = next((line for line in reversed(lines) if line.startswith("Done")), "Done")
    coverage = [line.split("cov: ")[1].split()[0] for line in lines if "cov: " in line]
    print(
        f"{kind}: {done.removeprefix('Done ')}, {coverage[-1] if coverage else '?'} branches reached, "
        f"{reached} files that reached more than others, nothing found (atheris)"
    )
    return 0


def guided(kind: str, flags: list[str]) -> None:
    """Let atheris call the check; it ends the process."""

    def one(file: bytes) -> None:
        check(kind, file)

    def mutator(file: bytes, size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.3:
            return bytes(atheris.Mutate(file, size))
        return mutated(kind, file, rng)[:size]

    atheris.Setup([sys.argv[0], *flags], one, custom_mutator=mutator)
    atheris.Fuzz()


def main() -> int:
    """Fuzz the kinds of files that were asked for."""
    if sys.argv[1:2] == ["--guided"]:
        guided(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--seconds", type=float, default=20, help="for each kind; default: %(default)s")
    parser.add_argument("--runs", type=int, help="try so many files instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--engine", choices=("atheris", "mutator"), help="default: atheris if it is installed"
    )
    parser.add_argument(
        "--keep", type=Path, default=Path("build/fuzz"), help="where files that were found go"
    )
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.kinds) - set(KINDS)):
        parser.error(f"KIND must be one of {', '.join(KINDS)}, got {', '.join(unknown)}")
    engine = arguments.engine or ("mutator" if atheris is None else "atheris")
    print(
        "guided by coverage, with atheris"
        if engine == "atheris"
        else f"not guided by coverage: seeded mutations, seed {arguments.seed}"
    )
    run = by_coverage if engine == "atheris" else by_seed
    return max(run(kind, arguments) for kind in arguments.kinds or KINDS)


if __name__ == "__main__":
    sys.exit(main())
