"""An ensemble as one safetensors file: its networks, the encoder in front of them, the targets behind them.

The tensors of network k are those of a model file (see `fastnet.files.description`) with `networks.k.` before
their names; the vectors of the targets are `targets.mean` and so on. The description holds those of the
networks, and the encoder as plain values. As in every model file, nothing that is read is trusted.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from fastnet._validate import Array
from fastnet.files import atomic, container, description
from fastnet.files.container import FormatError

if TYPE_CHECKING:
    from fastnet.ensemble import Ensemble
    from fastnet.files import Source

__all__ = ["read", "write"]

VERSION = 1
ABOUT, BYTES, HEADER = "fastnet.ensemble", "sha256", "sha256_header"
_TARGETS = ("mean", "scale", "low", "high")
_KEYS = {"version", "networks", "encoder", "targets"}


def write(ensemble: Ensemble, path: Source) -> None:
    """Write an ensemble; a file that is there is replaced as a whole."""
    tensors: dict[str, Array] = {}
    about: dict[str, Any] = {"version": VERSION, "networks": [], "encoder": None}
    for k, network in enumerate(ensemble.networks):
        about["networks"].append(description.describe_network(network))
        tensors |= {
            f"networks.{k}.{name}": array for name, array in description.network_tensors(network).items()
        }
    if ensemble.encoder is not None:
        about["encoder"] = ensemble.encoder.to_dict()
    about["targets"] = ensemble.targets is not None
    if ensemble.targets is not None:
        tensors |= {f"targets.{name}": getattr(ensemble.targets, name) for name in _TARGETS}
    text = json.dumps(about, separators=(",", ":"))
    digest, around = container.checksums(tensors, text)
    metadata = {ABOUT: text, BYTES: digest, HEADER: around}
    stream: Any = path if hasattr(path, "write") else None
    if stream is not None:
        container.write_safetensors(stream, tensors, metadata)
    else:
        atomic.write_atomically(str(path), lambda new: container.write_safetensors(new, tensors, metadata))


def read(path: Source) -> Ensemble:
    """Read an ensemble; FormatError for what is none."""
    from fastnet.ensemble import Ensemble, Targets, check_targets

    where, tensors, about = _content(path)
    networks, targets, encoder = [], None, None
    for k, of_network in enumerate(about["networks"]):
        here = f"{where}: networks[{k}]"
        description.check_version(of_network, here)
        own = {name: tensors.pop(name) for name in list(tensors) if name.startswith(f"networks.{k}.")}
        plain = {name.split(".", 2)[2]: array for name, array in own.items()}
        networks.append(description.rebuild_network(of_network, plain, here))
    try:
        if about["encoder"] is not None:
            from fastnet.tabular import TableEncoder

            encoder = TableEncoder.from_dict(about["encoder"], "encoder")
        if about["targets"]:
            parts = [tensors.pop(f"targets.{name}") for name in _TARGETS]
            targets = check_targets(Targets(*parts), networks[0].sizes[-1])
        if tensors:
            raise ValueError(f"tensors must be those of the description, got {sorted(tensors)[0]!r:.60}")
        return Ensemble(networks, encoder=encoder, targets=targets)
    except KeyError as error:
        raise FormatError(f"{where}: tensor {error} must be there, but is missing") from None
    except (ValueError, TypeError, IndexError) as error:
        raise FormatError(f"{where}: {error}") from None


def _content(path: Source) -> tuple[str, dict[str, Array], dict[str, Any]]:
    """Return the file's name, its tensors, and its description, of a version that is known."""
    stream: Any = path if hasattr(path, "read") else None
    where = str(path) if stream is None else str(getattr(path, "name", f"<{type(path).__name__}>"))
    with open(where, "rb") if stream is None else nullcontext(stream) as found:
        start = found.tell()
        size = found.seek(0, 2) - start
        found.seek(start)
        header = container.read_header(found, size, where)
        if ABOUT not in header.metadata:
            raise FormatError(f"{where}: this is no ensemble: use load for a network")
        text = header.metadata[ABOUT]
        about = container.parse_json(text, f"{where}: the description")
        tensors, digest = container.read_tensors(found, header, where)
    around = container.header_checksum(header.entries, text, header.metadata.get(BYTES, ""))
    for name, got in ((BYTES, digest), (HEADER, around)):
        if header.metadata.get(name) != got:
            raise FormatError(
                f"{where}: damaged: its {name} must be {header.metadata.get(name)!r:.70}, got {got}"
            )
    version = about.get("version") if isinstance(about, dict) else None
    if type(version) is not int or not 1 <= version <= VERSION:
        raise FormatError(f"{where}: format version must be from 1 to {VERSION}, got {version!r:.60}")
    if about.keys() != _KEYS or not isinstance(about["networks"], list) or not about["networks"]:
        raise FormatError(f"{where}: the description must be an object of {', '.join(sorted(_KEYS))}")
    return where, tensors, about
