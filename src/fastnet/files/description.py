"""Convert a network to named arrays and a JSON description, and back: the common part of all file formats.

The arrays have torch's names: `layers.0.weight` (n_out, n_in) and `layers.0.bias` (n_out,), counted from 0,
and `preprocessing.mean` and `preprocessing.scale` (n_in,) where the network has them. The description is a
dictionary that JSON can hold. `VERSION` goes up with every change that an older reader would not notice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastnet import _validate
from fastnet._validate import Array
from fastnet._version import __version__
from fastnet.files.container import FormatError
from fastnet.layer import Layer
from fastnet.metadata import Standardize, output_kind
from fastnet.network import Network

__all__ = [
    "VERSION",
    "check_version",
    "describe_network",
    "network_tensors",
    "rebuild_network",
    "rebuild_undescribed_network",
]

VERSION = 1
_MEAN, _SCALE = "preprocessing.mean", "preprocessing.scale"
_REQUIRED = {"version", "dtype", "layers", "output"}
_OPTIONAL = {"writer", "feature_names", "classes", "preprocessing", "checkpoint"}
_LAYER_REQUIRED, _LAYER_OPTIONAL = {"n_in", "n_out", "activation"}, {"dropout", "init"}
_PLAIN = re.compile(r"(.*?)(\d{1,9})\.(weight|bias)", re.DOTALL)


def network_tensors(network: Network) -> dict[str, Array]:
    """Return copies of a network's arrays by name; raise ValueError if one is not finite."""
    found: dict[str, Array] = {}
    for k, (W, b) in enumerate(zip(*network.weights(), strict=True)):
        found[f"layers.{k}.weight"] = _validate.finite(np.array(W, order="C"), f"layers[{k}].W")
        found[f"layers.{k}.bias"] = _validate.finite(np.array(b), f"layers[{k}].b").reshape(-1)
    how = network.preprocessing
    if how is not None:
        found |= {_MEAN: how.mean.reshape(-1).copy(), _SCALE: how.scale.reshape(-1).copy()}
    return found


def describe_network(network: Network) -> dict[str, Any]:
    """Return the description: all that the arrays of a network do not say."""
    _check_text(network.feature_names or (), "feature_names")
    _check_text(network.classes or (), "classes")
    rows = []
    for layer in network.layers:
        row: dict[str, Any] = {"n_in": layer.n_in, "n_out": layer.n_out, "activation": layer.activation}
        rows.append(row | {"dropout": layer.dropout, "init": layer.init})
    about: dict[str, Any] = {"version": VERSION, "writer": f"fastnet {__version__}"}
    about |= {"dtype": str(network.dtype), "layers": rows, "output": network.output}
    if network.feature_names is not None:
        about["feature_names"] = list(network.feature_names)
    if network.classes is not None:
        about["classes"] = list(network.classes)
    if network.preprocessing is not None:
        about["preprocessing"] = "standardize"
    return about


def _check_text(values: Sequence[Any], name: str) -> None:
    """ValueError for a text with half a surrogate pair, which no file of UTF-8 can hold."""
    for k, value in enumerate(values):
        try:
            str(value).encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name}[{k}] must be Unicode text, got {value!r}") from None


def check_version(about: Any, where: str) -> None:
    """Raise FormatError unless the description has a version that this program reads."""
    if not isinstance(about, dict):
        raise FormatError(f"{where}: the description must be a JSON object, got {about!r:.60}")
    version = about.get("version")
    if type(version) is not int or version < 1:
        raise FormatError(f"{where}: version must be a whole number from 1, got {version!r:.60}")
    if version > VERSION:
        writer = about.get("writer", "a newer fastnet")
        raise FormatError(
            f"{where}: format version must be at most {VERSION}, got {version}: the file was written by "
            f"{writer!r:.60}, this is fastnet {__version__}"
        )


def rebuild_network(
    about: dict[str, Any], tensors: Mapping[str, Array], where: str, *, allow_nonfinite: bool = False
) -> Network:
    """Return the network of a description and its arrays, which are not copied."""
    _check_keys(about, _REQUIRED, _OPTIONAL, f"{where}: the description")
    rows, how = about["layers"], about.get("preprocessing")
    if not isinstance(rows, list) or not rows:
        raise FormatError(f"{where}: layers must be a list of at least one layer, got {rows!r:.60}")
    for k, row in enumerate(rows):
        _check_keys(row, _LAYER_REQUIRED, _LAYER_OPTIONAL, f"{where}: layers[{k}]")
    if "checkpoint" in about:
        _check_keys(about["checkpoint"], {"epochs_done"}, set(), f"{where}: checkpoint")
    if how not in (None, "standardize"):
        raise FormatError(f"{where}: preprocessing must be 'standardize' or null, got {how!r:.60}")
    names = [f"layers.{k}.{part}" for k in range(len(rows)) for part in ("weight", "bias")]
    _check_names({*names, *(() if how is None else (_MEAN, _SCALE))}, tensors, where)
    try:
        dtype = _validate.real_dtype(about["dtype"])
        layers = [_layer(row, k, tensors, dtype, allow_nonfinite) for k, row in enumerate(rows)]
        network = Network(layers, dtype=dtype)
        if about["output"] != network.output:
            raise ValueError(f"output must be {network.output!r}, by the layers, got {about['output']!r:.60}")
        network.feature_names = about.get("feature_names")
        network.classes = about.get("classes")
        if how is not None:
            shape = (network.sizes[0],)
            mean, scale = (_exact(tensors, name, shape, dtype) for name in (_MEAN, _SCALE))
            network.preprocessing = Standardize(mean, scale)
    except (ValueError, TypeError) as error:
        raise FormatError(f"{where}: {error}") from None
    return network


def rebuild_undescribed_network(
    tensors: Mapping[str, Array], activations: Sequence[str], where: str, *, allow_nonfinite: bool = False
) -> Network:
    """Return the network of arrays with torch's names and no description: "0.weight", "model.layers.2.bias".

    The numbers may leave gaps (torch counts activations too); a layer without bias gets zeros.
    """
    parts: dict[int, dict[str, Array]] = {}
    prefixes = set()
    for name, array in tensors.items():
        found = _PLAIN.fullmatch(name)
        if found is None:
            raise FormatError(f"{where}: tensors must be named <prefix><k>.weight or .bias, got {name!r:.60}")
        prefixes.add(found[1])
        parts.setdefault(int(found[2]), {})[found[3]] = array
    if len(prefixes) != 1 or sum(map(len, parts.values())) != len(tensors):
        listed = ", ".join(map(repr, sorted(tensors)))
        raise FormatError(f"{where}: tensors must be those of one row of layers, got {listed or 'none':.200}")
    if len(activations) != len(parts):
        raise FormatError(
            f"{where}: activations must be {len(parts)}, one for each layer, got {activations!r}"
        )
    rows: list[dict[str, Any]] = []
    renamed: dict[str, Array] = {}
    for k, (number, layer) in enumerate(sorted(parts.items())):
        W = layer.get("weight", np.empty(0))
        if W.ndim != 2:
            raise FormatError(f"{where}: the weight of layer {number} must have shape (n_out, n_in)")
        activation = _validate.activation(activations[k], f"activations[{k}]")
        rows.append({"n_in": W.shape[1], "n_out": W.shape[0], "activation": activation})
        renamed[f"layers.{k}.weight"] = W
        renamed[f"layers.{k}.bias"] = layer.get("bias", np.zeros(len(W), W.dtype))
    about = {"version": VERSION, "dtype": str(renamed["layers.0.weight"].dtype), "layers": rows}
    about["output"] = output_kind(rows[-1]["activation"], rows[-1]["n_out"])
    return rebuild_network(about, renamed, where, allow_nonfinite=allow_nonfinite)


def _check_keys(value: Any, required: set[str], optional: set[str], what: str) -> None:
    if not isinstance(value, dict):
        raise FormatError(f"{what} must be a JSON object, got {value!r:.60}")
    for name in sorted(required - value.keys()):
        raise FormatError(f"{what} must have {name!r}, which is missing")
    for name in sorted(value.keys() - required - optional):
        raise FormatError(f"{what} must hold what this version knows, got {name!r:.60}")


def _check_names(expected: set[str], tensors: Mapping[str, Array], where: str) -> None:
    for name in sorted(expected - tensors.keys()):
        raise FormatError(f"{where}: tensor {name!r} must be there, by the description, but is missing")
    for name in sorted(tensors.keys() - expected):
        raise FormatError(f"{where}: tensors must be those of the description, got {name!r:.60} besides")


def _layer(
    row: dict[str, Any], k: int, tensors: Mapping[str, Array], dtype: np.dtype[Any], allow_nonfinite: bool
) -> Layer:
    """Return one layer that holds its arrays, checked against its description."""
    n_in, n_out = (_validate.integer(row[name], f"layers[{k}].{name}") for name in ("n_in", "n_out"))
    W = _exact(tensors, f"layers.{k}.weight", (n_out, n_in), dtype)
    b = _exact(tensors, f"layers.{k}.bias", (n_out,), dtype).reshape(-1, 1)
    if not allow_nonfinite:
        _validate.finite(W, f"layers.{k}.weight")
        _validate.finite(b, f"layers.{k}.bias")
    settings = {name: row[name] for name in _LAYER_OPTIONAL if name in row}
    return Layer.with_arrays(W, b, row["activation"], **settings)


def _exact(tensors: Mapping[str, Array], name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    array = tensors[name]
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{name} must have shape {shape} and dtype {dtype}, got {array.shape} and {array.dtype}"
        )
    return array
