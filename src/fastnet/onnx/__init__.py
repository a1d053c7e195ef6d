"""Export networks, ensembles and estimators for tables to ONNX, for ONNX Runtime and other programs.

The graph takes any number of examples, one in each row, as is usual in ONNX. A classifier returns `label` and
`probabilities`, a regression returns `prediction`. Standardisation is part of the graph, and so is the
encoding of a table: then the graph takes the columns of the table as they are. It computes in float32 by
default, because the programs that run such files support float64 poorly.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastnet import _validate
from fastnet._core.float_mode import in_default_mode
from fastnet.ensemble import ensemble_of
from fastnet.files import atomic
from fastnet.onnx._graph import Graph
from fastnet.onnx._network import add_mean, add_outputs

__all__ = ["export", "inputs", "model"]


def export(network: Any, path: str | os.PathLike[str], *, dtype: DTypeLike = "float32") -> None:
    """Write a network as an ONNX file, checked by onnx. A file that is there is replaced as a whole.

    Parameters
    ----------
    network : Network, Ensemble, TabularClassifier or TabularRegressor
        An estimator must be fitted.
    path : str or path-like
    dtype : {"float32", "float64"}
        Of input, weights and probabilities. ONNX Runtime runs float64 for the activations identity, sigmoid,
        tanh, relu, silu, exp and softmax only.

    Raises
    ------
    ValueError
        If the weights are not finite, or too large for ``dtype``, or a scale too small for it; or an
        estimator is not fitted.
    TypeError
        If the network is something else.
    ImportError
        If onnx is missing; ``pip install "fastnet-mlp[onnx]"`` brings it.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import fastnet as fn
    >>> from fastnet import onnx
    >>> onnx.export(fn.Network([fn.Layer(2, 1)]), "model.onnx")  # doctest: +SKIP
    """
    content = model(network, dtype=dtype).SerializeToString()
    atomic.write_atomically(path, lambda stream: atomic.write_all(stream, content))


@in_default_mode
def model(network: Any, *, dtype: DTypeLike = "float32") -> Any:
    """Return a network as an ONNX model.

    Parameters
    ----------
    network : Network, Ensemble, TabularClassifier or TabularRegressor
    dtype : {"float32", "float64"}
        As for `export`.

    Returns
    -------
    onnx.ModelProto
        Opset 17, and ai.onnx.ml 3 for texts. Input `X` (n, n_in). With an encoder the inputs are the columns
        of the table that it uses, each (n, 1) and of the column's name: see `inputs`. Outputs: `label` (n,)
        with the network's classes, or 0, 1, ..., and `probabilities` (n, classes), both columns for one
        sigmoid; for several sigmoids `label` is 0 or 1 for each, (n, n_out); for a regression there is only
        `prediction` (n, n_out), in float64 if the ensemble has targets.

    Raises
    ------
    ValueError
        If the weights are not finite, or too large for ``dtype``, or a scale too small for it; or an
        estimator is not fitted.
    TypeError
        If the network is something else.
    ImportError
        If onnx is missing.

    Examples
    --------
    >>> import fastnet as fn
    >>> from fastnet import onnx
    >>> graph = onnx.model(fn.Network([fn.Layer(2, 1)])).graph  # doctest: +SKIP
    >>> [output.name for output in graph.output]  # doctest: +SKIP
    ['label', 'probabilities']
    """
    ensemble = ensemble_of(network)
    encoder, first = ensemble.encoder, ensemble.networks[0]
    real = _validate.real_dtype(dtype)
    about: dict[str, Any] = {"feature_names": first.feature_names, "classes": ensemble.classes}
    if encoder is None:
        graph = Graph(real, ["X"])
        X = graph.take("X", graph.real, ensemble.n_in)
    else:
        from fastnet.onnx._table import add_encoder, input_names

        columns = encoder.used_columns()
        graph = Graph(real, input_names(columns))
        X = add_encoder(graph, encoder)
        about["feature_names"] = [column.name for column in columns]
        about["kinds"] = [column.kind for column in columns]
    labels = getattr(network, "classes_", ensemble.classes)
    A = add_mean(graph, ensemble, X)
    add_outputs(graph, ensemble, A, None if labels is None else np.asarray(labels))
    return graph.finished(about)


@in_default_mode
def inputs(network: Any, table: Any) -> dict[str, NDArray[Any]]:
    """Return the columns of a table as the inputs of an exported model, to be given to ONNX Runtime.

    Parameters
    ----------
    network : Ensemble, TabularClassifier or TabularRegressor
        What was exported. An ensemble must have an encoder.
    table : data frame, sparse matrix or array_like, shape (n, columns)

    Returns
    -------
    dict of str to ndarray, shape (n, 1)
        By the name of the input: that of the column, of a table without names its number as text; with an
        underscore behind it if it is called like an output. Columns that the encoder leaves out are no
        inputs. Numbers, booleans (0 or 1) and times (seconds since 1970 in UTC) are float64, NaN where one is
        missing. Categories are texts: whole numbers without a point; where one is missing the empty text, or
        as many blanks as are no level. Any other text that is no level means the same.

    Raises
    ------
    ValueError, TypeError
        If the network has no encoder, or the table lacks a column, or one cannot be read as its kind.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnet import onnx
    >>> from fastnet.tabular import TabularRegressor
    >>> X = np.array([["red", 1.0], ["blue", None], ["green", 3.0], ["red", 4.0]], dtype=object)
    >>> model = TabularRegressor(1, epochs=1, random_state=0).fit(X, [1.0, 2.0, 3.0, 4.0])
    >>> for name, values in onnx.inputs(model, [[None, 2.0]]).items():
    ...     print(name, values.tolist())
    0 [['']]
    1 [[2.0]]
    """
    from fastnet.onnx._table import gap_text, input_names

    encoder = ensemble_of(network).encoder
    if encoder is None:
        raise ValueError("network must have an encoder: without one, the input X is the examples in rows")
    columns = encoder.used_columns()
    found: dict[str, NDArray[Any]] = {}
    for name, column, values in zip(input_names(columns), columns, encoder.used_values(table), strict=True):
        if isinstance(values, list) and column.kind == "category":
            gap = gap_text(column)
            values = np.array([gap if value is None else value for value in values], dtype=object)
        elif isinstance(values, list):
            values = np.full(len(values), np.nan)
        found[name] = np.asarray(values).reshape(-1, 1)
    return found
