"""Where a training stands as plain arrays, and what it takes to go on from them.

All arrays of a state are numbers, so any format can hold them: weights and moments in the network's dtype,
counters as int64, and what kind of training it is as JSON in an array of bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnet import losses, optimizers
from fastnet._plateau import Plateau
from fastnet._validate import Array
from fastnet.training.state import Standing, Stopping, Weights

if TYPE_CHECKING:
    from fastnet.training import Trainer

__all__ = ["arguments", "differences", "from_arrays", "settings", "to_arrays"]

FORMAT = 1
# Without these the arrays of a state mean nothing to a trainer; other settings may be changed on purpose.
STRUCTURE = ("format", "sizes", "activations", "dtype", "loss", "optimizer.name", "moments")
COUNTERS = (
    *("epochs_done", "examples_seen", "restored", "step"),
    *("stopping.best_epoch", "stopping.waited", "stopping.watched"),
)


def settings(trainer: Trainer) -> dict[str, Any]:
    """Return all that the bits of a training depend on, but for its data and where it stands."""
    network = trainer.network
    return {
        "format": FORMAT,
        "sizes": list(network.sizes),
        "activations": network._activations(),
        "dropout": network._dropout(),
        "dtype": str(network.dtype),
        "loss": list(trainer._loss),
        "optimizer": _described(trainer._optimizer),
        "moments": list(trainer._optimizer.moments),
        "schedule": _described(trainer._schedule),
        "batch_size": trainer._batch_size,
        "l2": trainer._l2,
        "clip_norm": trainer._clip_norm,
        "shuffle": trainer._shuffle,
        "seed": trainer._seed,
    }


def _described(thing: Any) -> dict[str, Any]:
    """Return the name and the settings of an optimiser or a schedule, as JSON can hold them."""
    if thing is None:
        return {"name": "Constant"}
    settings = asdict(thing) if is_dataclass(thing) and not isinstance(thing, type) else vars(thing)
    return {"name": type(thing).__name__, **settings}


def to_arrays(config: Mapping[str, Any], at: Standing, weights: Weights) -> dict[str, Array]:
    """Return a state: the configuration, where the training stands, and the weights it goes on from."""
    text = json.dumps(config, default=repr)
    stopping = at.stopping
    counters = {
        "epochs_done": at.epochs_done,
        "examples_seen": at.examples_seen,
        "step": at.step,
        "restored": int(at.going_on is not None),
        "stopping.best_epoch": stopping.best_epoch,
        "stopping.waited": stopping.plateau.waited,
        "stopping.watched": stopping.watched,
    }
    floats = {"stopping.best": stopping.plateau.best}
    floats |= {f"schedule.{name}": value for name, value in at.memory.items()}
    state: dict[str, Array] = {"config": np.frombuffer(text.encode(), np.uint8).copy()}
    state |= {name: np.array(value, np.int64) for name, value in counters.items()}
    state |= {name: np.array(value, np.float64) for name, value in floats.items()}
    state |= _named("weights", weights)
    if stopping.best is not None:
        state |= _named("best", stopping.best)
    return state | {f"moments.{name}": array.copy() for name, array in at.moments.items()}


def from_arrays(
    state: Mapping[str, Any], config: Mapping[str, Any], strict: bool
) -> tuple[Standing, Weights]:
    """Return what a state holds; ValueError, with all that does not fit, unless it fits the configuration."""
    wrong = differences(_config(state), config, strict, "in the state", "in the trainer")
    if wrong := wrong or _wrong_arrays(state, config):
        raise ValueError("state must fit the trainer:\n  " + "\n  ".join(wrong))
    layers = len(config["sizes"]) - 1
    weights = _lists("weights", state, layers)
    number = {name: int(state[name]) for name in COUNTERS}
    best = _lists("best", state, layers) if "best.0.W" in state else None
    plateau = Plateau(float(state["stopping.best"]), number["stopping.waited"])
    at = Standing()
    at.epochs_done, at.examples_seen = number["epochs_done"], number["examples_seen"]
    at.step = number["step"]
    at.moments = {name[8:]: np.array(array) for name, array in state.items() if name.startswith("moments.")}
    at.memory = {name[9:]: float(value) for name, value in state.items() if name.startswith("schedule.")}
    at.stopping = Stopping(plateau, number["stopping.watched"], best, number["stopping.best_epoch"])
    at.going_on = weights if number["restored"] and best is not None else None
    return at, weights


def _config(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in a state; ValueError if there are none to be read."""
    try:
        config = json.loads(np.asarray(state["config"], np.uint8).tobytes())
        if not isinstance(config, dict):
            raise ValueError(f"it is {type(config).__name__}")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"state must be what Trainer.state_dict gave, got no 'config': {error}") from None
    return config


def arguments(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the trainer that a state is from; ValueError if they cannot be told from it."""
    from fastnet import schedules

    config, named = _config(state), {"huber": losses.Huber, "quantile": losses.Quantile}
    names = ("batch_size", "l2", "clip_norm", "shuffle", "seed")
    if missing := {*names, "loss", "optimizer", "schedule"} - set(config):
        raise ValueError(f"its config has no {', '.join(sorted(missing))}")
    loss, parameter = config["loss"]
    return {
        **{name: config[name] for name in names},
        "loss": named[loss](parameter) if loss in named else loss,
        "optimizer": _made(config["optimizer"], optimizers.BY_NAME.values()),
        "schedule": _made(config["schedule"], [*schedules.BY_NAME.values(), schedules.Step]),
    }


def _made(described: dict[str, Any], kinds: Iterable[type[Any]]) -> Any:
    """Return the optimiser or schedule of a description, if it is one of ours."""
    known = {kind.__name__: kind for kind in kinds}
    fields = dict(described)
    name = fields.pop("name", None)
    if name not in known:
        raise ValueError(f"{name!r} is none of {', '.join(known)}: make the Trainer and use load_state_dict")
    return known[name](**fields)


def differences(
    theirs: Mapping[str, Any], ours: Mapping[str, Any], strict: bool, there: str, here: str
) -> list[str]:
    """Return the settings that differ, in words: all of them with `strict`, else the structural ones."""
    theirs, ours = _flat(theirs), _flat(json.loads(json.dumps(ours, default=repr)))
    return [
        f"{name}: {theirs.get(name)!r} {there}, {ours.get(name)!r} {here}"
        for name in (sorted({*ours, *theirs}) if strict else STRUCTURE)
        if ours.get(name) != theirs.get(name)
    ]


def _wrong_arrays(state: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Return what is missing, unknown, of another shape or dtype, or out of range."""
    sizes, dtype = config["sizes"], np.dtype(config["dtype"])
    begun = np.any(state.get("step", 0))  # before the first batch nothing is kept
    prefixes = ["weights", *(f"moments.{moment}" for moment in config["moments"] if begun)]
    prefixes += ["best"] if any(name.startswith("best.") for name in state) else []
    expected: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {"config": ((-1,), np.dtype(np.uint8))}
    for prefix in prefixes:
        for k, n_out in enumerate(sizes[1:]):
            expected[f"{prefix}.{k}.W"] = (n_out, sizes[k]), dtype
            expected[f"{prefix}.{k}.b"] = (n_out, 1), dtype
    floats = ["stopping.best", *(name for name in state if name.startswith("schedule."))]
    expected |= {name: ((), np.dtype(np.int64)) for name in COUNTERS}
    expected |= {name: ((), np.dtype(np.float64)) for name in floats}
    wrong = [f"{name}: missing" for name in expected if name not in state]
    wrong += [f"{name}: unknown" for name in state if name not in expected]
    for name, (shape, kind) in expected.items():
        if name not in state or name == "config":
            continue
        array = np.asarray(state[name])
        if array.shape != shape or array.dtype != kind:
            wrong.append(f"{name}: {array.dtype} {array.shape} in the state, {kind} {shape} in the trainer")
        elif name in COUNTERS and array < 0:
            wrong.append(f"{name}: {array} is below 0")
        elif kind == dtype and shape and not np.isfinite(array).all():
            wrong.append(f"{name}: not finite")
        elif not shape and math.isnan(array):
            wrong.append(f"{name}: not a number")
    return wrong


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": setting for inner, setting in value.items()}
        else:
            flat[name] = value
    return flat


def _named(prefix: str, weights: Weights) -> dict[str, Array]:
    """Return copies of the arrays of all layers under their names in a state."""
    named = {}
    for k, (W, b) in enumerate(zip(*weights, strict=True)):
        named[f"{prefix}.{k}.W"], named[f"{prefix}.{k}.b"] = W.copy(), b.copy()
    return named


def _lists(prefix: str, state: Mapping[str, Any], layers: int) -> Weights:
    """Return copies of the arrays of all layers: lists of W and b."""
    W, b = ([np.array(state[f"{prefix}.{k}.{name}"], order="C") for k in range(layers)] for name in "Wb")
    return W, b
