"""Export as one C file, with a function `predict`: a network, an ensemble, or a model of a table.

The code does the operations of the core's builds with fused multiply-add, in the same order: each product is
a chain of fma that starts from the bias, and the activations are the core's own polynomials. So it gives the
core's bits. For float32, a machine without fma computes in double, which holds the product of two floats
exactly: about one sum in 10⁸ is then rounded the other way. float64 uses the C library's fma.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnet import _validate
from fastnet._core.float_mode import in_default_mode
from fastnet._validate import Array
from fastnet._version import __version__
from fastnet.c_export import _templates
from fastnet.c_export._reserved import reserved
from fastnet.ensemble import Ensemble, ensemble_of
from fastnet.files import atomic
from fastnet.network import Network

if TYPE_CHECKING:
    from fastnet.tabular.columns import RawColumn

__all__ = ["export", "inputs", "source"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def export(network: Any, path: str | os.PathLike[str], *, name: str = "predict") -> None:
    """Write a network as a C file. A file that is there is replaced as a whole.

    Parameters
    ----------
    network : Network, Ensemble, TabularClassifier or TabularRegressor
        An estimator must be fitted.
    path : str or path-like
    name : str
        As for `source`.

    Raises
    ------
    ValueError, TypeError
        If the name is not one of C, or is taken (by C, its standard library or the file itself), or the
        weights are not finite, or an estimator is not fitted.
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


def source(network: Any, *, name: str = "predict") -> str:
    """Return the text of a C file that computes what a network, an ensemble or a model of a table does.

    Parameters
    ----------
    network : Network, Ensemble, TabularClassifier or TabularRegressor
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

        With an encoder it is ``void predict(const double *x, float *y)``, and x holds a row of the table: the
        comment at the head of the file says which columns, and the codes of the categories. Where there are
        categories, ``int predict_code(int column, const char *text)`` gives the code of a text, or -1 if it
        is no level. Numbers may be NAN or infinite. The outputs of a regression with targets are double.

    Raises
    ------
    ValueError, TypeError
        If the name is not one of C, or is taken (by C, its standard library or the file itself), or the
        weights are not finite, or an estimator is not fitted.

    Examples
    --------
    >>> import fastnet as fn
    >>> from fastnet import c_export
    >>> text = c_export.source(fn.Network([fn.Layer(2, 1)], dtype="float32"))
    >>> "void predict(const float *x, float *y)" in text
    True
    """
    ensemble = ensemble_of(network)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"name must be a name of C, got {name!r}")
    if reserved(name):
        raise ValueError(f"name must not be a keyword or a name of C's standard library, got {name!r}")
    networks = ensemble.networks
    dtype = str(networks[0].dtype)
    columns = _columns(ensemble)
    labels = getattr(network, "classes_", ensemble.classes)
    parts = [_comment(ensemble, name, columns, labels)]
    parts += ["#include <math.h>\n#include <stdint.h>\n#include <string.h>\n"]
    parts += [_templates.CONTRACT_OFF, _templates.HEAD[dtype]]
    parts += _templates.c_functions([layer.activation for one in networks for layer in one.layers], dtype)
    parts.append(_templates.DENSE)
    several = len(networks) > 1 or columns is not None or ensemble.targets is not None
    for k, one in enumerate(networks, start=1):
        prefix = f"n{k}_" if several else ""
        parts.append(_weights(one, prefix, f"networks[{k - 1}]." if len(networks) > 1 else ""))
        if several:  # a function of its own
            parts.append(_function(f"static void n{k}_predict(const real *x, real *y)", _layers(one, prefix)))
    last, code = _layers(networks[0], ""), ""
    if several:
        last = _mean(ensemble, "x" if columns is None else "e")
    if ensemble.targets is not None:
        for which in ("mean", "scale", "low", "high"):
            parts.append(_array(f"target_{which}", getattr(ensemble.targets, which), "double"))
    if columns is not None:
        from fastnet.c_export import _encoding

        functions, lines = _encoding.encoder_code(columns, ensemble.encoder.n_features_out_)  # type: ignore[union-attr]
        parts += [functions, _encoding.tables(columns)]
        last = [f"real e[{ensemble.n_in}];", *lines, *last]
        code = _encoding.code_function(columns, f"{name}_code")
    prototype = f"void @(const {_type_of_x(ensemble)} *x, {_type_of_y(ensemble)} *y)"
    text = _function(prototype.replace("@", ""), last)
    used = set(re.findall(r"[A-Za-z_]\w*", "\n".join([*parts[1:], code.replace(f"{name}_code", ""), text])))
    if name in used or (code and f"{name}_code" in used):
        raise ValueError(f"name must not be a name that the file uses itself, got {name!r}")
    prototype = prototype.replace("@", name)
    parts += [*([code] if code else []), f"{prototype};\n", _function(prototype, last)]
    return "\n".join(parts)


@in_default_mode
def inputs(network: Any, table: Any) -> NDArray[np.float64]:
    """Return the columns of a table as the rows that an exported C function takes.

    Parameters
    ----------
    network : Ensemble, TabularClassifier or TabularRegressor
        What was exported. An ensemble must have an encoder.
    table : data frame, sparse matrix or array_like, shape (n, columns)

    Returns
    -------
    ndarray, shape (n, columns that are used)
        Numbers, booleans (0 or 1) and times (seconds since 1970 in UTC), NaN where one is missing; the codes
        of categories, -1 where one is missing or no level.

    Raises
    ------
    ValueError, TypeError
        If the network has no encoder, or the table lacks a column, or one cannot be read as its kind.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnet import c_export
    >>> from fastnet.tabular import TabularRegressor
    >>> X = np.array([["red", 1.0], ["blue", None], ["green", 3.0], ["red", 4.0]], dtype=object)
    >>> model = TabularRegressor(1, epochs=1, random_state=0).fit(X, [1.0, 2.0, 3.0, 4.0])
    >>> c_export.inputs(model, [["green", 2.0], [None, None]])
    array([[ 2.,  2.],
           [-1., nan]])
    """
    encoder = ensemble_of(network).encoder
    if encoder is None:
        raise ValueError("network must have an encoder: without one, x is an example")
    return encoder.numeric_rows(table)


def _columns(ensemble: Ensemble) -> list[RawColumn] | None:
    """Return the columns of the table that the C function takes, if there is an encoder."""
    return None if ensemble.encoder is None else ensemble.encoder.used_columns()


def _real(ensemble: Ensemble) -> str:
    return "float" if ensemble.networks[0].dtype == np.float32 else "double"


def _type_of_x(ensemble: Ensemble) -> str:
    return "double" if ensemble.encoder is not None else _real(ensemble)


def _type_of_y(ensemble: Ensemble) -> str:
    return "double" if ensemble.targets is not None else _real(ensemble)


def _comment(ensemble: Ensemble, name: str, columns: list[RawColumn] | None, labels: Any) -> str:
    """Return the comment at the head of the file; no name in it can end the comment."""
    networks, first = ensemble.networks, ensemble.networks[0]
    about: dict[str, Any] = {"output": first.output, "sizes": first.sizes}
    about["activations"] = [layer.activation for layer in first.layers]
    if len(networks) > 1:
        about["sizes"] = [network.sizes for network in networks]
        about["activations"] = [[layer.activation for layer in one.layers] for one in networks]
    about["classes"] = None if labels is None else np.asarray(labels).tolist()
    about["feature_names"] = first.feature_names
    lines = [f"{key}: {json.dumps(value)}" for key, value in about.items() if value is not None]
    if columns is not None:
        from fastnet.c_export import _encoding

        lines += _encoding.column_texts(columns)
    description = "\n".join(lines).replace("/", "\\u002f")  # so no name begins or ends a comment
    what = "A network" if len(networks) == 1 else f"The mean of {len(networks)} networks"
    n_in, n_out = ensemble.n_in if columns is None else len(columns), ensemble.n_out
    kinds = _type_of_x(ensemble), _type_of_y(ensemble)
    return f"""\
/* {what} as C99, written by fastnet {__version__}; link with -lm.

void {name}(const {kinds[0]} *x, {kinds[1]} *y): x holds {n_in} numbers, y gets {n_out}.

{description} */
"""


def _array(name: str, array: Array, kind: str = "real") -> str:
    """Return a constant C array, with as many digits as give back the same numbers."""
    suffix = "f" if array.dtype == np.float32 else ""
    numbers = [f"{np.format_float_scientific(value, unique=True, trim='0')}{suffix}" for value in array.flat]
    lines = [", ".join(numbers[k : k + 6]) for k in range(0, len(numbers), 6)]
    return f"static const {kind} {name}[{array.size}] = {{\n    " + ",\n    ".join(lines) + "};\n"


def _weights(network: Network, prefix: str, where: str) -> str:
    """Return the weights of a network as C arrays; `where` begins the errors."""
    how, text = network.preprocessing, ""
    if how is not None:
        text = _array(f"{prefix}mean", how.mean) + _array(f"{prefix}scale", how.scale)
    for k, (W, b) in enumerate(zip(*network.weights(), strict=True), start=1):
        _validate.finite(W, f"{where}layers[{k - 1}].W")
        _validate.finite(b, f"{where}layers[{k - 1}].b")
        text += _array(f"{prefix}W{k}", W) + _array(f"{prefix}b{k}", b)
    return text


def _layers(network: Network, prefix: str) -> list[str]:
    """Return the lines of a network: each layer reads one of two buffers and writes the other, the last y."""
    sizes, standardise = network.sizes, network.preprocessing is not None
    widths = [sizes[0] if standardise else 0, *sizes[1:-1]]
    buffers = [max([0, *widths[side::2]]) for side in (0, 1)]
    lines = [f"real buffer_{side}[{width}];" for side, width in enumerate(buffers) if width]
    lines.append("int i;")
    given = "x"
    if standardise:
        lines.append(f"for (i = 0; i < {sizes[0]}; i++)")
        lines.append(f"    buffer_0[i] = (x[i] - {prefix}mean[i]) / {prefix}scale[i];")
        given = "buffer_0"
    for k, layer in enumerate(network.layers, start=1):
        target = "y" if k == len(network.layers) else f"buffer_{k % 2}"
        n_in, n_out, activation = layer.n_in, layer.n_out, layer.activation
        lines.append(f"dense({prefix}W{k}, {prefix}b{k}, {given}, {target}, {n_out}, {n_in});")
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
    return lines


def _mean(ensemble: Ensemble, given: str) -> list[str]:
    """Return the lines that sum what all networks make, divide by their number, and make targets of it."""
    count, n_out = len(ensemble), ensemble.n_out
    loop = f"for (i = 0; i < {n_out}; i++)"
    lines = [f"real sum[{n_out}];", "int i;", f"n1_predict({given}, sum);"]
    if count > 1:
        lines.insert(1, f"real a[{n_out}];")
    for k in range(2, count + 1):
        lines += [f"n{k}_predict({given}, a);", loop, "    sum[i] += a[i];"]
    lines.append(f"{loop} {{")
    if ensemble.targets is None:
        lines.append(f"    y[i] = sum[i] / {count};")
    else:
        lines.append(f"    const double part = target_scale[i] * (double)(real)(sum[i] / {count});")
        lines.append(
            "    const double t = target_mean[i] + part, low = target_low[i], high = target_high[i];"
        )
        lines.append("    y[i] = t < low ? low : t > high ? high : t;")
    return [*lines, "}"]


def _function(prototype: str, lines: list[str]) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"{prototype}\n{{\n{body}\n}}\n"
