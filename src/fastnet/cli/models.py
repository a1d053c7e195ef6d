"""The commands that work on model files: `fastnet info` and `fastnet export`."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from fastnet.cli.parser import Parser

__all__ = ["add_commands"]

_FORMATS = ("safetensors", "npz", "onnx", "c")
_MODEL = "a file that fastnet.save wrote, or a safetensors file with torch's names"


def add_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `info` and `export` to the commands of an argument parser.

    Examples
    --------
    >>> from fastnet.cli import models
    >>> from fastnet.cli.parser import Parser
    >>> parser = Parser()
    >>> models.add_commands(parser.add_subparsers())
    >>> parser.parse_args(["info", "model.safetensors"]).model
    'model.safetensors'
    """
    info = commands.add_parser(
        "info",
        help="show what a model file holds",
        description="Read a model file, check all of it, and say what it holds.",
    )
    info.add_argument("model", metavar="MODEL", help=_MODEL)
    info.add_argument("--json", action="store_true", help="print one JSON object instead of the report")
    info.set_defaults(run=_info)

    export = commands.add_parser(
        "export",
        help="convert a model file for other programs",
        description="Read a model file and write what it holds in another format.",
    )
    export.add_argument("model", metavar="MODEL", help=_MODEL)
    export.add_argument("-o", "--output", metavar="FILE", required=True, help="the file to write")
    export.add_argument("--to", choices=_FORMATS, help="format; by default the suffix of FILE says it")
    export.add_argument(
        "--activations",
        metavar="A,B",
        help="activation of each layer, for a file of another program, which does not say them",
    )
    export.set_defaults(run=_export)


def _info(arguments: argparse.Namespace) -> int:
    from fastnet import files

    facts = files.info(arguments.model)
    if arguments.json:
        print(json.dumps(facts))
        return 0
    print(_report(facts))
    return 0


def _report(facts: dict[str, Any]) -> str:
    """Return what `files.info` returned as lines of text."""
    from fastnet import files

    rows = [("file", f"{facts['file']}, {facts['bytes']:,} bytes")]
    about = facts["description"]
    if about is None:
        rows.append(("written by", "another program: no description, give activations to load it"))
    else:
        writer = about["networks"][0] if "networks" in about else about
        rows.append(("written by", f"{writer.get('writer', 'unknown')}, format version {about['version']}"))
    rows.append(("checksums", "agree" if facts["checksums"] else "none"))
    if about is None:
        return _lines(
            rows + [(name, f"{shape} {dtype}") for name, (shape, dtype) in facts["tensors"].items()]
        )
    model = files.load(facts["file"])
    if "networks" in about:
        return _report_several(rows, model)
    rows.append(("output", model.output))
    for name in ("classes", "feature_names"):
        values = getattr(model, name)
        if values is not None:
            rows.append((name.replace("_", " "), ", ".join(map(str, values))))
    if "checkpoint" in about:
        rows.append(("training", f"can go on after {about['checkpoint']['epochs_done']} epochs"))
    if model.preprocessing is not None:
        rows.append(("preprocessing", "standardise"))
    return f"{_lines(rows)}\n\n{model}"


def _report_several(rows: list[tuple[str, str]], model: Any) -> str:
    """Return the report of an ensemble, or of an estimator for tables around one."""
    ensemble = getattr(model, "ensemble_", model)
    rows.append(("holds", type(model).__name__))
    if (classes := getattr(model, "classes_", ensemble.classes)) is not None:
        rows.append(("classes", ", ".join(map(str, classes))))
    if ensemble.targets is not None:
        low, high = (getattr(ensemble.targets, name).tolist() for name in ("low", "high"))
        rows.append(("targets", ", ".join(f"{a:g} to {b:g}" for a, b in zip(low, high, strict=True))))
    parts = [_lines(rows), *map(str, ensemble.networks[:1])]
    if len(ensemble) > 1:
        parts[-1] += f"\n  and {len(ensemble) - 1} more of that kind; the prediction is their mean"
    if ensemble.encoder is not None:
        parts.append(str(ensemble.encoder))
    return "\n\n".join(parts)


def _lines(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {text}" for name, text in rows)


def _export(arguments: argparse.Namespace) -> int:
    from fastnet import Network, _validate, files

    kind = arguments.to or os.path.splitext(arguments.output)[1].removeprefix(".")
    _validate.choice(kind, "--to, or the suffix of --output,", _FORMATS)
    activations = None if arguments.activations is None else arguments.activations.split(",")
    network = files.load(arguments.model, activations=activations)
    if kind == "npz" and not isinstance(network, Network):
        name = type(network).__name__
        raise ValueError(f"{arguments.model} holds a {name}, which has no export to {kind}; a Network has")
    if kind == "onnx":
        from fastnet import onnx

        onnx.export(network, arguments.output)
    elif kind == "c":
        from fastnet import c_export

        c_export.export(network, arguments.output)
    else:
        files.save(network, arguments.output, kind=kind)
    return 0
