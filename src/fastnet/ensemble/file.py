"""Convert an ensemble to named arrays and a JSON description, and back; so is an estimator for tables kept.

The tensors of network k are those of a model file (see `fastnet.files.description`) with `networks.k.` before
their names; the vectors of the targets are `targets.mean` and so on. The description holds those of the
networks, and the encoder as plain values. From version 2 on it can hold an estimator: what
`TabularClassifier` or `TabularRegressor` has besides its ensemble. As in every model file, nothing that is
read is trusted.
"""

from __future__ import annotations

from typing import Any

from fastnet._validate import Array
from fastnet.ensemble import Ensemble, Targets, check_targets
from fastnet.files import description
from fastnet.files.container import FormatError

__all__ = ["check_version", "describe_ensemble", "ensemble_tensors", "rebuild_ensemble"]

VERSION = 2
_TARGETS = ("mean", "scale", "low", "high")
_KEYS = {"version", "networks", "encoder", "targets"}


def ensemble_tensors(ensemble: Ensemble) -> dict[str, Array]:
    """Return copies of the arrays of an ensemble by name; raise ValueError if one is not finite."""
    tensors: dict[str, Array] = {}
    for k, network in enumerate(ensemble.networks):
        own = description.network_tensors(network)
        tensors |= {f"networks.{k}.{name}": array for name, array in own.items()}
    if ensemble.targets is not None:
        tensors |= {f"targets.{name}": getattr(ensemble.targets, name) for name in _TARGETS}
    return tensors


def describe_ensemble(ensemble: Ensemble, estimator: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the description: all that the arrays do not say, and the estimator around the ensemble."""
    about: dict[str, Any] = {
        "version": 1,
        "networks": [description.describe_network(network) for network in ensemble.networks],
        "encoder": None if ensemble.encoder is None else ensemble.encoder.to_dict(),
        "targets": ensemble.targets is not None,
    }
    return about if estimator is None else about | {"version": VERSION, "estimator": estimator}


def check_version(about: Any, where: str) -> None:
    """Raise FormatError unless the description has a version that this program reads, and its keys."""
    version = about.get("version") if isinstance(about, dict) else None
    if type(version) is not int or not 1 <= version <= VERSION:
        raise FormatError(f"{where}: format version must be from 1 to {VERSION}, got {version!r:.60}")
    keys = _KEYS if version == 1 else _KEYS | {"estimator"}
    if about.keys() != keys or not isinstance(about["networks"], list) or not about["networks"]:
        raise FormatError(f"{where}: the description must be an object of {', '.join(sorted(keys))}")
    if version > 1 and not isinstance(about["estimator"], dict):
        raise FormatError(f"{where}: estimator must be a JSON object, got {about['estimator']!r:.60}")


def rebuild_ensemble(
    about: dict[str, Any], tensors: dict[str, Array], where: str, *, allow_nonfinite: bool = False
) -> Ensemble:
    """Return the ensemble of a description whose version was checked, and of its arrays; else FormatError."""
    own: dict[str, dict[str, Array]] = {}
    rest = {}
    for name, array in tensors.items():
        head, _, tail = name.removeprefix("networks.").partition(".")
        if name.startswith("networks.") and head.isdecimal() and tail:
            own.setdefault(head, {})[tail] = array
        else:
            rest[name] = array
    networks, targets, encoder = [], None, None
    for k, of_network in enumerate(about["networks"]):
        here = f"{where}: networks[{k}]"
        description.check_version(of_network, here)
        plain = own.pop(str(k), {})
        rebuilt = description.rebuild_network(of_network, plain, here, allow_nonfinite=allow_nonfinite)
        networks.append(rebuilt)
    try:
        if about["encoder"] is not None:
            from fastnet.tabular.encoder import TableEncoder

            encoder = TableEncoder.from_dict(about["encoder"], "encoder")
        if not isinstance(about["targets"], bool):
            raise ValueError(f"targets must be true or false, got {about['targets']!r:.60}")
        if about["targets"]:
            parts = [rest.pop(f"targets.{name}") for name in _TARGETS]
            targets = check_targets(Targets(*parts), networks[0].sizes[-1])
        further = [*rest, *(f"networks.{k}.{name}" for k, names in own.items() for name in names)]
        if further:
            raise ValueError(f"tensors must be those of the description, got {min(further)!r:.60}")
        return Ensemble(networks, encoder=encoder, targets=targets)
    except KeyError as error:
        raise FormatError(f"{where}: tensor {error} must be there, but is missing") from None
    except (ValueError, TypeError, IndexError) as error:
        raise FormatError(f"{where}: {error}") from None
