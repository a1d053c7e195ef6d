"""Trainings whose bits are kept: their weights, predictions, histories, files and states, as hashes.

Run this file to see what changed, or with ``--write`` to keep the bits of now:

    python tests/helpers/golden.py [--isa NAME] [--write]

A line of `tests/data/golden.json` names a training and holds one hash for each thing that came out of it. The
builds with fused multiply-add (v3, v4, neon) share the lines "fma"; those of x86-64 without it (portable, v2)
share the lines "separate". Only public names are used, so the file outlives any move inside the package. Most
of the trainings are those of `fastnet selftest` (`selftest/golden.py`); what the package ships of them is one
hash of a line. ``--write`` writes both files.

L-BFGS runs in SciPy, whose sums depend on the BLAS library and the CPU. Its trainings are therefore only
printed by ``--all``, to compare two versions of fastnet on one machine.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastnet as fn
from fastnet.selftest import golden as small
from fastnet.selftest.golden import (
    DTYPES,
    SIZES,
    case,
    digest,
    examples,
    file_content,
    fitted,
    group,
    optimizers,
    outcome,
    schedules,
    targets,
)

FILE = Path(__file__).parents[1] / "data" / "golden.json"
SHIPPED = Path(fn.__file__).parent / "data" / "golden.json"


def resumed(dtype: str, optimizer: Any, **options: Any) -> dict[str, str]:
    """Return the hashes of a state, of the files without and with it, and of what is trained from there."""
    X = examples(150, dtype)
    T = targets("labels", SIZES[-1], X)

    def trainer() -> fn.Trainer:
        layers = [fn.Layer(7, 19, "relu", dropout=0.25), fn.Layer(19, 5, "softmax")]
        network = fn.Network(layers, seed=3, dtype=dtype)
        return fn.Trainer(network, optimizer=optimizer, batch_size=40, seed=5, **options)

    first, second = trainer(), trainer()
    first.fit(X, T, epochs=4, validation_fraction=0.2, early_stopping=True)
    state = first.state_dict()
    file, whole = io.BytesIO(), io.BytesIO()
    fn.save(first, file)
    fn.save(first, whole, checkpoint=True)
    second.load_state_dict(state)
    history = second.fit(X, T, epochs=3, validation_fraction=0.2, early_stopping=True)
    return {
        "state": digest(*(part for name in sorted(state) for part in (name, state[name]))),
        "checkpoint": file_content(file),  # of the network alone
        "checkpoint with the state": file_content(whole),
        **outcome(second.network, X, history),
    }


def estimator(kind: str, dtype: str, **options: Any) -> dict[str, str]:
    """Return the hashes of a fitted scikit-learn estimator."""
    import fastnet.sklearn

    X = examples(160, dtype).T
    y = targets("values", 1, X.T)[0] if kind == "MLPRegressor" else targets("labels", 3, X.T)
    options = {"hidden_layer_sizes": (11,), "max_iter": 8, "random_state": 7} | options
    model = getattr(fastnet.sklearn, kind)(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few epochs do not converge
        model.fit(X, y)
    return {
        "weights": digest(*model.coefs_, *model.intercepts_),
        "predictions": digest(
            model.predict(X), *([] if kind == "MLPRegressor" else [model.predict_proba(X)])
        ),
        "history": digest(list(map(float, getattr(model, "loss_curve_", ()))), model.n_iter_),
    }


def cases(*, everything: bool = False) -> Iterator[small.Case]:
    """Give each training a name; with `everything` those too whose bits depend on the machine."""
    yield from small.cases()
    for dtype in DTYPES:
        for name, optimizer in optimizers().items():
            yield case(f"{dtype}: {name}, resumed", resumed, dtype, optimizer)
        for name, schedule in schedules().items():
            yield case(f"{dtype}: schedule {name}, resumed", resumed, dtype, fn.Adam(0.01), schedule=schedule)
        for kind in ("MLPClassifier", "MLPRegressor"):
            for solver in ("sgd", "adam", "rmsprop"):
                yield case(f"{dtype}: {kind}, {solver}", estimator, kind, dtype, solver=solver)
            stopping = {"activation": "tanh", "early_stopping": True, "dropout": 0.2}
            yield case(f"{dtype}: {kind}, early stopping, dropout", estimator, kind, dtype, **stopping)
            if everything:
                yield case(f"{dtype}: {kind}, lbfgs", estimator, kind, dtype, solver="lbfgs")
        if everything:
            lbfgs = {"optimizer": fn.LBFGS(max_iter=5), "batch_size": None, "learning_rate": None}
            yield case(f"{dtype}: lbfgs", fitted, dtype, **lbfgs)


def kept() -> dict[str, dict[str, str]]:
    """Return the hashes in the file for the active build."""
    lines: dict[str, dict[str, str]] = json.loads(FILE.read_text())[group()]
    return lines


def shipped(lines: dict[str, dict[str, dict[str, str]]]) -> dict[str, dict[str, str]]:
    """Return what the package takes along of these lines: one hash for each training of its own."""
    names = [name for name, _ in small.cases()]
    return {
        which: {name: digest(sorted(trainings[name].items())) for name in names}
        for which, trainings in lines.items()
    }


def written(lines: Any) -> str:
    """Lay out a file of hashes."""
    return json.dumps(lines, indent=1, sort_keys=True) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the bits of now, of every build here")
    parser.add_argument("--isa", help="compare this build only")
    parser.add_argument("--all", action="store_true", help="print the hashes, those of L-BFGS too")
    arguments = parser.parse_args()
    if arguments.all:
        print(json.dumps({name: run() for name, run in cases(everything=True)}, indent=1))
        return 0
    lines: dict[str, dict[str, dict[str, str]]] = {}
    changed = 0
    for isa in [arguments.isa] if arguments.isa else fn.isa.supported():
        with fn.isa.using(isa):
            found = {name: run() for name, run in cases()}
            if arguments.write:
                if lines.setdefault(group(), found) != found:
                    print(f"{isa} does not agree with another build of its group", file=sys.stderr)
                    return 1
                continue
            before = kept()
            for name in sorted({*found, *before}):
                new, old = found.get(name, {}), before.get(name, {})
                if different := [part for part in sorted({*new, *old}) if new.get(part) != old.get(part)]:
                    print(f"{isa}: {name}: other {', '.join(different)}")
                    changed += 1
            print(f"{isa}: {len(found)} trainings compared")
    if arguments.write:
        lines = json.loads(FILE.read_text()) | lines  # a group that no build here belongs to stays as it is
        FILE.write_text(written(lines))
        SHIPPED.write_text(written(shipped(lines)))
        print(f"{FILE.name}: {[f'{name}: {len(trainings)}' for name, trainings in lines.items()]}")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
