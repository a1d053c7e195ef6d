"""Checkpoints: the state of a `Trainer` in a model file, so that the training can go on.

The weights of the network are part of the state, and are stored once. The other arrays of the state are
tensors named `trainer.<name>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnet import _validate
from fastnet._validate import Array
from fastnet.files import container
from fastnet.files.container import FormatError
from fastnet.network import Network

if TYPE_CHECKING:
    from fastnet.training import Trainer

__all__ = ["PREFIX", "checkpoint_tensors", "resume_trainer"]

PREFIX = "trainer."


def checkpoint_tensors(trainer: Trainer) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays of a trainer's state as tensors of a file, and what the description says of it."""
    state = trainer.state_dict()
    _check_writable(state["config"])
    found: dict[str, Array] = {}
    for ours, in_state in _shared(state, len(trainer.network.layers)):
        array = state.pop(in_state)
        found[ours] = _validate.finite(array, in_state).reshape(-1 if ours.endswith("bias") else array.shape)
    found |= {PREFIX + name: array for name, array in state.items()}
    return found, {"epochs_done": int(state["epochs_done"])}


def resume_trainer(
    network: Network, found: Mapping[str, Array], size: int, where: str, trainer: Trainer | None
) -> Trainer:
    """Return a trainer with the state in a file, whose network and tensors are given."""
    from fastnet.training import Trainer

    state = {name.removeprefix(PREFIX): found[name] for name in found if name.startswith(PREFIX)}
    for ours, in_state in _shared(state, len(network.layers)):
        if in_state in state:
            raise FormatError(f"{where}: tensor {PREFIX + in_state!r} must not be there besides {ours!r}")
        state[in_state] = found[ours].reshape(-1, 1) if ours.endswith("bias") else found[ours]
    _check_config(state.get("config"), size, f"{where}: tensor {PREFIX + 'config'!r}")
    if trainer is not None:
        trainer.load_state_dict(state)
        return trainer
    try:
        return Trainer.from_state_dict(network, state)
    except (ValueError, TypeError) as error:
        raise FormatError(f"{where}: {error}") from None


def _check_writable(config: Array) -> None:
    """ValueError if the settings of a trainer would be refused when the file is read."""
    try:
        _check_config(config, 0, "trainer")
    except FormatError as error:
        raise ValueError(f"{error}: a schedule of your own has a setting that a file cannot hold") from None


def _check_config(config: Array | None, size: int, what: str) -> None:
    """FormatError unless the settings of a trainer are JSON that is not too large to parse."""
    if config is None or config.dtype != np.uint8 or config.ndim != 1:
        raise FormatError(f"{what} must be bytes, got {'none' if config is None else config.dtype}")
    text = config.tobytes()
    if container.memory_to_parse(text) > size + container.SPARE:
        raise FormatError(f"{what} must be smaller: it has too many parts for its file")
    container.parse_json(text, what)


def _shared(state: Mapping[str, Array], layers: int) -> Iterator[tuple[str, str]]:
    """Yield the names of the network's arrays in a file and in a state: of the best epoch if there is one."""
    restored = state.get("restored")
    source = "best" if restored is not None and restored.shape == () and restored != 0 else "weights"
    for k in range(layers):
        yield f"layers.{k}.weight", f"{source}.{k}.W"
        yield f"layers.{k}.bias", f"{source}.{k}.b"
