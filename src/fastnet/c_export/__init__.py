"""Export a network as one C file: its weights and a function `predict`, for programs without Python.

The code does the operations of the core's builds with fused multiply-add, in the same order: each product is
a chain of fma that starts from the bias, and the activations are the core's own polynomials. So it gives the
core's bits. For float32, a machine without fma computes in double, which holds the product of two floats
exactly: about one sum in 10⁸ is then rounded the other way. float64 uses the C library's fma.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

import numpy as np

from fastnet import _validate
from fastnet._validate import Array
from fastnet._version import __version__
from fastnet.c_export import _templates
from fastnet.c_export._reserved import reserved
from fastnet.files import atomic
from fastnet.network import Network

__all__ = ["export", "source"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def export(network: Network, path: str | os.PathLike[str], *, name: str = "predict") -> None:
    """Write a network as a C file. A file that is there is replaced as a whole.

    Parameters
    ----------
    network : Network
    path : str or path-like
    name : str
        As for `source`.

    Raises
    ------
    ValueError, TypeError
        If the name is not one of C, or is taken (by C, its standard library or the file itself), or the
        weights are not finite.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import fastnet as fn
    >>> from fastnet import c_export
    >>> c_export.export(fn.Network([fn.Layer(2, 1)]), "net.c")  # doctest: +SKIP
    """
    content = source(network, name=name).encode("ascii")
    atomic.write_atomically(path, lambda stream: atomic.write_all(stream, content))


def source(network: Network, *, name: str = "predict") -> str:
    """Return the text of a C file that computes what a network does.

    Parameters
    ----------
    network : Network
    name : str
        The name of the C function.

    Returns
    -------
    str
        C99 that defines ``void predict(const float *x, float *y)``, with double in place of float for a
        float64 network. It reads one example from x, n_in numbers, and writes what `predict_proba` gives for
        it to y, n_out numbers; x and y must not overlap. It includes the network's `preprocessing`, keeps its
        intermediate results on the stack, has no state, and needs only the C library (link with -lm for fma).
        Inputs must be finite.

    Raises
    ------
    ValueError, TypeError
        If the name is not one of C, or is taken (by C, its standard library or the file itself), or the
        weights are not finite.

    Examples
    --------
    >>> import fastnet as fn
    >>> from fastnet import c_export
    >>> text = c_export.source(fn.Network([fn.Layer(2, 1)], dtype="float32"))
    >>> "void predict(const float *x, float *y)" in text
    True
    """
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, got {type(network).__name__}")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"name must be a name of C, got {name!r}")
    if reserved(name):
        raise ValueError(f"name must not be a keyword or a name of C's standard library, got {name!r}")
    arrays = list(zip(*network.weights(), strict=True))
    real = "float" if network.dtype == np.float32 else "double"
    parts = [_comment(network, name, real), "#include <math.h>\n#include <stdint.h>\n#include <string.h>\n"]
    parts.append(_templates.HEAD[str(network.dtype)])
    parts += _templates.c_functions([layer.activation for layer in network.layers], str(network.dtype))
    parts.append(_templates.DENSE)
    if network.preprocessing is not None:
        parts.append(
            _table("mean", network.preprocessing.mean) + _table("scale", network.preprocessing.scale)
        )
    for k, (W, b) in enumerate(arrays, start=1):
        _validate.finite(W, f"layers[{k - 1}].W")
        _validate.finite(b, f"layers[{k - 1}].b")
        parts.append(_table(f"W{k}", W) + _table(f"b{k}", b))
    used = set(re.findall(r"[A-Za-z_]\w*", "\n".join([*parts[1:], _predict(network, "", real)])))
    if name in used:
        raise ValueError(f"name must not be a name that the file uses itself, got {name!r}")
    parts.append(_predict(network, name, real))
    return "\n".join(parts)


def _comment(network: Network, name: str, real: str) -> str:
    """Return the comment at the head of the file; no name in it can end the comment."""
    about: dict[str, Any] = {"output": network.output, "sizes": network.sizes}
    about["activations"] = [layer.activation for layer in network.layers]
    about |= {"classes": network.classes, "feature_names": network.feature_names}
    lines = [f"{key}: {json.dumps(value)}" for key, value in about.items() if value is not None]
    description = "\n".join(lines).replace("/", "\\u002f")  # so no name begins or ends a comment
    n_in, n_out = network.sizes[0], network.sizes[-1]
    return f"""\
/* A network as C99, written by fastnet {__version__}; link with -lm.

void {name}(const {real} *x, {real} *y): x holds {n_in} numbers, y gets {n_out}.

{description} */
"""


def _table(name: str, array: Array) -> str:
    """Return a constant C array, with as many digits as give back the same numbers."""
    suffix = "f" if array.dtype == np.float32 else ""
    numbers = [f"{np.format_float_scientific(value, unique=True, trim='0')}{suffix}" for value in array.flat]
    lines = [", ".join(numbers[k : k + 6]) for k in range(0, len(numbers), 6)]
    return f"static const real {name}[{array.size}] = {{\n    " + ",\n    ".join(lines) + "};\n"


def _predict(network: Network, name: str, real: str) -> str:
    """Return the C function: each layer reads one of two buffers and writes the other, the last writes y."""
    sizes, standardise = network.sizes, network.preprocessing is not None
    widths = [sizes[0] if standardise else 0, *sizes[1:-1]]
    buffers = [max([0, *widths[side::2]]) for side in (0, 1)]
    lines = [f"real buffer_{side}[{width}];" for side, width in enumerate(buffers) if width]
    lines.append("int i;")
    given = "x"
    if standardise:
        lines.append(f"for (i = 0; i < {sizes[0]}; i++)")
        lines.append("    buffer_0[i] = (x[i] - mean[i]) / scale[i];")
        given = "buffer_0"
    for k, layer in enumerate(network.layers, start=1):
        target = "y" if k == len(network.layers) else f"buffer_{k % 2}"
        n_in, n_out, activation = layer.n_in, layer.n_out, layer.activation
        lines.append(f"dense(W{k}, b{k}, {given}, {target}, {n_out}, {n_in});")
        least = _templates.LOG_LEAST[str(network.dtype)][k == len(network.layers)]
        if activation == "softmax":
            lines.append(f"softmax({target}, {n_out}, {least});")
        elif activation != "identity":
            lines.append(f"for (i = 0; i < {n_out}; i++)")
            more = f", {least}" if _templates.takes_least(activation) else ""
            lines.append(f"    {target}[i] = act_{activation}({target}[i]{more});")
        given = target
    if not any(line.startswith("for") for line in lines):
        lines.remove("int i;")
    body = "\n".join(f"    {line}" for line in lines)
    prototype = f"void {name}(const {real} *x, {real} *y)"
    return f"{prototype};\n\n{prototype}\n{{\n{body}\n}}\n"
