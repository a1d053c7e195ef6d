"""The C code that encodes a row of a table: numbers and codes in, the input of the networks out.

It works in double, as `TableEncoder` does, operation by operation, and rounds what is finished to the
networks' type. `tests/api/test_c_export_table.py` compares the bits.
"""

from __future__ import annotations

import json

import numpy as np

from fastnet.tabular.columns import CLIP, FAR, CategoryColumn, NumberColumn, RawColumn
from fastnet.tabular.reading import LARGEST

__all__ = ["code_function", "column_texts", "encoder_code", "tables"]

_TIMES = "time_parts"

# name: what it needs, and its text
_FUNCTIONS = {
    "number": f"""\
/* NaN stays */
static double within(double x, double most)
{{
    return x > most ? most : x < -most ? -most : x;
}}

/* z = (x - centre) / scale, as z / sqrt(1 + (z/3)^2); 1 in a gap; 2 c - 1 for each bin, c in [0, 1], or of
   a bin from a number to itself, 1 where x is this number and 0 elsewhere */
static void number(double x, const double *scaling, int gaps, const double *bins, int n_bins, real *e)
{{
    const int missing = x != x;
    const double known = missing ? scaling[0] : within(x, {LARGEST!r});
    const double z = within((known - scaling[0]) / scaling[1], {FAR!r});
    const double third = z / {CLIP!r};
    int i;
    *e++ = (real)(z / sqrt(1 + third * third));
    if (gaps)
        *e++ = (real)missing;
    for (i = 0; i < n_bins; i++) {{
        double c = (known - bins[0]) / (bins[1] - bins[0]);
        c = c < 0 ? 0 : c > 1 ? 1 : c;
        e[i] = bins[0] == bins[1] ? (real)(known == bins[0]) : (real)(c + c - 1);
        bins += 2;
    }}
}}
""",
    _TIMES: f"""\
/* seconds since 1970: themselves, month, weekday (Monday 0), hour; the month counts from March, in eras of
   400 years (Hinnant 2013) */
static void time_parts(double x, double *parts)
{{
    const double seconds = within(x, {LARGEST!r});
    const double days = floor(seconds / 86400), weekday = fmod(days + 3, 7);
    const double day = within(days, 1099511627776.0) + 719468;
    const double of_era = day - 146097 * floor(day / 146097);
    const double leap = floor(of_era / 1460) - floor(of_era / 36524) + floor(of_era / 146096);
    const double year = floor((of_era - leap) / 365);
    const double of_year = of_era - 365 * year - floor(year / 4) + floor(year / 100);
    const double march = floor((5 * of_year + 2) / 153);
    parts[0] = x;
    parts[1] = march < 10 ? march + 3 : march - 9;
    parts[2] = weekday + (weekday < 0 ? 7 : 0);
    parts[3] = (seconds - 86400 * days) / 3600;
    if (x != x)
        parts[1] = parts[2] = parts[3] = x;
}}
""",
    "category": """\
/* 1 for the level of this code, 0 for the others; what is no code has none */
static void category(double code, int n_levels, real *e)
{
    int i;
    for (i = 0; i < n_levels; i++)
        e[i] = (real)(code == i);
}
""",
    "pair": """\
/* -1 for the first of two levels, 1 for the second, 0 for neither */
static void pair(double code, real *e)
{
    *e = (real)((code == 1) - (code == 0));
}
""",
    "find": """\
static int find(const char *text, const char *const *levels, int n_levels)
{
    int i;
    for (i = 0; i < n_levels; i++)
        if (levels[i] && strcmp(text, levels[i]) == 0)
            return i;
    return -1;
}
""",
}


def column_texts(columns: list[RawColumn]) -> list[str]:
    """Return what is said of each column: x[0], its name, what it holds, the codes of a category."""
    about = {
        "number": "number, NAN where it is missing",
        "boolean": "0 or 1, NAN where it is missing",
        "datetime": "seconds since 1970 in UTC, NAN where it is missing",
        "empty": "not looked at",
    }
    found = []
    for k, column in enumerate(columns):
        encoded, text = column.encodings[0], about.get(column.kind, "")
        if column.kind == "category" and isinstance(encoded, CategoryColumn):
            codes = ", ".join(f"{code} {json.dumps(level)}" for code, level in enumerate(encoded.levels))
            text = f"code of a category, -1 where it is missing or none of these: {codes}"
        found.append(f"x[{k}]: {json.dumps(column.name)}, {text or 'not looked at'}")
    return found


def tables(columns: list[RawColumn]) -> str:
    """Return the constant arrays: scaling and bins of numbers, levels of categories."""
    lines = []
    for k, column in enumerate(columns):
        for part, encoded in enumerate(column.encodings):
            if isinstance(encoded, NumberColumn):
                lines.append(_doubles(f"scaling_{k}_{part}", [encoded.centre, encoded.scale]))
                ends = [end for both in zip(encoded.low, encoded.high, strict=True) for end in both]
                ends += [end for value in encoded.values for end in (value, value)]
                if ends:
                    lines.append(_doubles(f"bins_{k}_{part}", ends))
            elif isinstance(encoded, CategoryColumn) and column.kind == "category":
                texts = ",\n    ".join(map(_literal, encoded.levels))
                lines.append(
                    f"static const char *const levels_{k}[{len(encoded.levels)}] = {{\n    {texts}}};\n"
                )
    return "".join(lines)


def encoder_code(columns: list[RawColumn], inputs: int) -> tuple[str, list[str]]:
    """Return the functions that are needed, and the lines that write x as the inputs e[0], e[1], ..."""
    needed: list[str] = []
    lines: list[str] = []
    place = 0
    if any(column.kind == "datetime" and column.used for column in columns):
        needed += ["number", _TIMES]
        lines.append("double parts[4];")
    if not inputs:
        lines += ["(void)x;", "e[0] = 0;"]
    for k, column in enumerate(columns):
        value = f"x[{k}]"
        if column.kind == "datetime" and column.used:
            lines.append(f"time_parts({value}, parts);")
        for part, encoded in enumerate(column.encodings):
            if encoded is None:
                continue
            if column.kind == "datetime":
                value = f"parts[{part}]"
            if column.kind == "boolean" and isinstance(encoded, CategoryColumn):
                no, yes = encoded.codes(["False", "True"])
                value = f"x[{k}] != x[{k}] ? -1 : x[{k}] == 0 ? {no} : {yes}"
            to = f"e + {place}"
            if isinstance(encoded, NumberColumn):
                count = len(encoded.low) + len(encoded.values)
                bins = f"bins_{k}_{part}, {count}" if count else "0, 0"
                lines.append(f"number({value}, scaling_{k}_{part}, {int(encoded.gaps)}, {bins}, {to});")
                needed.append("number")
            elif encoded.pair:
                lines.append(f"pair({value}, {to});")
                needed.append("pair")
            else:
                lines.append(f"category({value}, {len(encoded.levels)}, {to});")
                needed.append("category")
            place += encoded.width
    return "\n".join(_FUNCTIONS[name] for name in _FUNCTIONS if name in needed), lines


def code_function(columns: list[RawColumn], name: str) -> str:
    """Return the C function that finds the code of a text; nothing if there are no categories."""
    cases = [
        f"    case {k}: return find(text, levels_{k}, {len(encoded.levels)});"
        for k, column in enumerate(columns)
        if column.kind == "category" and isinstance(encoded := column.encodings[0], CategoryColumn)
    ]
    if not cases:
        return ""
    prototype = f"int {name}(int column, const char *text)"
    body = "\n".join([*cases, "    default: return -1;"])
    return (
        f"{_FUNCTIONS['find']}\n{prototype};\n\n{prototype}\n{{\n    switch (column) {{\n{body}\n    }}\n}}\n"
    )


def _doubles(name: str, values: list[float]) -> str:
    numbers = [np.format_float_scientific(value, unique=True, trim="0") for value in values]
    rows = [", ".join(numbers[k : k + 4]) for k in range(0, len(numbers), 4)]
    return f"static const double {name}[{len(values)}] = {{\n    " + ",\n    ".join(rows) + "};\n"


def _literal(text: str) -> str:
    """Return a text as a C string in UTF-8; the null pointer for what no C string can hold."""
    if "\0" in text:
        return "0"
    plain = {ord(letter) for letter in map(chr, range(32, 127))} - set(b'"\\?')  # "??" begins a trigraph
    return '"' + "".join(chr(c) if c in plain else f"\\{c:03o}" for c in text.encode()) + '"'
