"""Which results the README and the documentation show, and what a reader calls the machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["FILES", "README_MACHINES", "load", "machine_name"]

_RESULTS = Path(__file__).parent / "results"
FILES = (  # the newest complete run on each machine
    _RESULTS / "2026-11-25-zen3.json",
    _RESULTS / "2026-11-26-zen5.json",
    _RESULTS / "2026-11-24-xeon-6-207.json",
)
README_MACHINES = 2  # of them, which the README and the pictures show: one with AVX2, one with AVX-512
_INSTRUCTIONS = {"v3": "AVX2", "v4": "AVX-512", "neon": "NEON"}


def load(machines: int = len(FILES)) -> list[dict[str, Any]]:
    """Return the results of all machines, or of the first ones."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in FILES[:machines]]


def machine_name(results: dict[str, Any]) -> str:
    """Return the instruction set and the maker's name of a machine, such as ``AVX2 (AMD EPYC)``.

    >>> machine_name({"machine": {"isa": "v3", "cpu": "AMD EPYC (family, model, stepping 25/1/1)"}})
    'AVX2 (AMD EPYC)'
    """
    machine = results["machine"]
    maker = machine["cpu"].partition(" (family")[0].replace("(R)", "").replace(" Processor", "")
    return f"{_INSTRUCTIONS.get(machine['isa'], machine['isa'])} ({maker})"
