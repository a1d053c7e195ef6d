"""The lines of the scaling page: what each benchmark found, beside the goal that was set for it.

A line is a dict, so that it can be kept as JSON: `key`, `what`, `value`, `unit`, `goal`, `at_most`, `detail`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["Line", "add_to_file", "line", "meets_goal", "table", "text"]

Line = dict[str, Any]


def line(
    key: str,
    what: str,
    value: float,
    unit: str = "×",
    *,
    goal: float | None = None,
    at_most: bool = False,
    detail: str = "",
) -> Line:
    """Return one line of the table; `goal` is the least that was asked for, or the most with `at_most`."""
    found = {"key": key, "what": what, "value": float(f"{value:.4g}"), "unit": unit}
    return found | {"goal": goal, "at_most": at_most, "detail": detail}


def meets_goal(found: Line) -> bool:
    """Return whether a line is as good as was asked for.

    >>> meets_goal(line("a", "a fit", 1.84, goal=1.85))
    False
    >>> meets_goal(line("b", "a row", 5, "µs", goal=8, at_most=True))
    True
    """
    if found["goal"] is None:
        return True
    return bool(found["value"] <= found["goal"] if found["at_most"] else found["value"] >= found["goal"])


def text(value: float, unit: str) -> str:
    """Return a number with three digits and its unit.

    >>> text(4612.0, "×"), text(0.00071, ""), text(1.858, "×")
    ('4,610×', '+0.0007', '1.86×')
    """
    if not unit:
        return f"{value:+.4f}"
    number = f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return number + ("×" if unit == "×" else f" {unit}")


def table(found: list[Line], goals: bool = True) -> str:
    """Return the lines as a Markdown table; those that fall short of their goal are marked."""
    rows = [["", "measured", "goal", ""], ["---"] * 4]
    for each in found:
        sign = "≤" if each["at_most"] else "≥"
        goal = "" if each["goal"] is None else f"{sign} {text(each['goal'], each['unit'])}"
        short = "**falls short** " if goals and not meets_goal(each) else ""
        rows.append([each["what"], text(each["value"], each["unit"]), goal, short + each["detail"]])
    if not goals:
        rows = [[*row[:2], row[3]] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def add_to_file(path: Path, about: dict[str, Any], found: list[Line]) -> None:
    """Put lines into a JSON file; those with the same key that it has are replaced, the others stay.

    `about` says what they were measured on; versions of packages are added to those that are there.
    """
    kept: dict[str, Any] = {"machine": {}, "lines": []}
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
    versions = kept["machine"].get("versions", {}) | about["versions"]
    keys = {each["key"] for each in found}
    lines = [each for each in kept["lines"] if each["key"] not in keys] + found
    lines.sort(key=lambda each: each["key"])
    machine = json.dumps(kept["machine"] | about | {"versions": versions}, ensure_ascii=False)
    body = ",\n  ".join(json.dumps(each, ensure_ascii=False) for each in lines)
    path.write_text(f'{{\n "machine": {machine},\n "lines": [\n  {body}\n ]\n}}\n', encoding="utf-8")
