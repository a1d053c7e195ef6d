"""A training as plain arrays: what `Trainer.state_dict` gives, and how it is read.

All arrays of a state are numbers, so any format can hold them: weights and moments in the network's dtype,
counters as int64, and what kind of training it is as JSON in an array of bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from fastnet import losses, optimizers
from fastnet._plateau import Plateau
from fastnet._validate import Array
from fastnet.schedules import Schedule
from fastnet.training.settings import Settings
from fastnet.training.state import EarlyStopping, TrainingState, Weights

__all__ = ["from_arrays", "setting_differences", "to_arrays", "trainer_arguments", "trainer_config"]

FORMAT = 1
# Without these the arrays of a state mean nothing to a trainer; other settings may be changed on purpose.
STRUCTURE = ("format", "sizes", "activations", "dtype", "loss", "optimizer.name", "moments")
SCALES = ("scale", "first.scale", "second.scale")  # of the inputs, and what the optimiser keeps of them
COUNTERS = (
    *("epochs_done", "examples_seen", "restored", "step"),
    *("stopping.best_epoch", "stopping.waited", "stopping.watched"),
)
LARGEST = {"restored": 1, "stopping.watched": 3}  # of the counters; others count epochs, batches or examples


def trainer_config(structure: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return all that the bits of a training depend on, but for its data and state, as JSON can hold it."""
    return {
        "format": FORMAT,
        **structure,
        "loss": list(settings.loss),
        "optimizer": _described(settings.optimizer),
        "moments": list(settings.optimizer.moments),
        "schedule": _described(settings.schedule),
        "batch_size": settings.batch_size,
        "l2": settings.l2,
        "clip_norm": settings.clip_norm,
        "shuffle": settings.shuffle,
        "seed": settings.seed,
    }


def _described(thing: Any) -> dict[str, Any]:
    """Return the name and the settings of an optimiser or a schedule, as JSON can hold them."""
    if thing is None:
        return {"name": "Constant"}
    settings = asdict(thing) if is_dataclass(thing) and not isinstance(thing, type) else vars(thing)
    settings = {name: value for name, value in settings.items() if name != "scale_rate" or value}
    # no scale_rate: as states were before there was one
    return {"name": type(thing).__name__} | {str(name): _plain(value) for name, value in settings.items()}


def _plain(value: Any) -> Any:
    """Return a setting as strict JSON can hold it: infinities, NaN and half surrogate pairs become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {str(_plain(name)): _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def to_arrays(config: Mapping[str, Any], state: TrainingState, weights: Weights) -> dict[str, Array]:
    """Return a state_dict: the configuration, the state, and the weights that training goes on from."""
    text = json.dumps(config, default=repr)
    stopping = state.early_stopping
    counters = {
        "epochs_done": state.epochs_done,
        "examples_seen": state.examples_seen,
        "step": state.step,
        "restored": int(state.last_weights is not None),
        "stopping.best_epoch": stopping.best_epoch,
        "stopping.waited": stopping.plateau.waited,
        "stopping.watched": stopping.watched,
    }
    floats = {"stopping.best": stopping.plateau.best}
    floats |= {f"schedule.{name}": value for name, value in state.schedule_memory.items()}
    arrays: dict[str, Array] = {"config": np.frombuffer(text.encode(), np.uint8).copy()}
    arrays |= {name: np.array(value, np.int64) for name, value in counters.items()}
    arrays |= {name: np.array(value, np.float64) for name, value in floats.items()}
    arrays |= _named("weights", weights)
    if stopping.best_weights is not None:
        arrays |= _named("best", stopping.best_weights)
    return arrays | {f"moments.{name}": array.copy() for name, array in state.moments.items()}


def from_arrays(
    arrays: Mapping[str, Any], config: Mapping[str, Any], strict: bool, schedule: Schedule | None = None
) -> tuple[TrainingState, Weights]:
    """Return what a state_dict holds; ValueError, with all that does not fit, unless it fits the config."""
    wrong = setting_differences(_config(arrays), config, strict, "in the state", "in the trainer")
    if wrong := wrong or _wrong_arrays(arrays, config):
        raise ValueError("state must fit the trainer:\n  " + "\n  ".join(wrong))
    memory = _starting("schedule.", arrays, float)
    if schedule is not None and (error := schedule.memory_error(memory)):
        raise ValueError(f"state must fit the trainer:\n  {error}")
    layers = len(config["sizes"]) - 1
    weights = _lists("weights", arrays, layers)
    number = {name: int(arrays[name]) for name in COUNTERS}
    best = _lists("best", arrays, layers) if "best.0.W" in arrays else None
    plateau = Plateau(float(arrays["stopping.best"]), number["stopping.waited"])
    state = TrainingState()
    state.epochs_done, state.examples_seen = number["epochs_done"], number["examples_seen"]
    state.step = number["step"]
    state.moments = _starting("moments.", arrays, np.array)
    state.schedule_memory = memory
    state.early_stopping = EarlyStopping(
        plateau, number["stopping.watched"], best, number["stopping.best_epoch"]
    )
    state.last_weights = weights if number["restored"] and best is not None else None
    return state, weights


def _starting(prefix: str, arrays: Mapping[str, Any], read: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the arrays whose names start so, under the rest of their names."""
    found = ((name.removeprefix(prefix), array) for name, array in arrays.items() if name.startswith(prefix))
    return {name: read(array) for name, array in found}


def _config(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in a state; ValueError if there are none to be read."""
    if not isinstance(state, Mapping):
        got = type(state).__name__
        raise TypeError(f"state must be a mapping of str to arrays, as Trainer.state_dict gives, got {got}")
    if odd := [name for name in state if not isinstance(name, str)]:
        raise TypeError(f"state must have names that are str, got {odd[0]!r}")
    try:
        config = json.loads(np.asarray(state["config"], np.uint8).tobytes())
        if not isinstance(config, dict):
            raise ValueError(f"it is {type(config).__name__}")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"state must be what Trainer.state_dict gave, got no 'config': {error}") from None
    return config


def trainer_arguments(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the trainer that a state is from; ValueError if they cannot be told from it."""
    from fastnet import schedules

    config = _config(state)
    names = ("batch_size", "l2", "clip_norm", "shuffle", "seed")
    if missing := {*names, "loss", "optimizer", "schedule"} - set(config):
        raise ValueError(f"its config has no {', '.join(sorted(missing))}")
    loss, parameter = config["loss"]
    return {
        **{name: config[name] for name in names},
        "loss": losses.named(loss, parameter),
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


def setting_differences(
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
    if begun and config["optimizer"].get("scale_rate", 0) > 0:
        expected |= {f"moments.{name}": ((sizes[0],), dtype) for name in SCALES}
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
        elif name in COUNTERS and array > LARGEST.get(name, 2**53):
            wrong.append(f"{name}: must be from 0 to {LARGEST.get(name, 2**53)}, got {array}")
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
