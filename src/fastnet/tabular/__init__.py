"""Tables as people have them: text, gaps, dates and numbers of odd scales, encoded for a network.

>>> import numpy as np
>>> from fastnet.tabular import TableEncoder
>>> X = np.array([["red", 1.0], ["blue", None], ["green", 3.0], ["red", 4.0]], dtype=object)
>>> TableEncoder(bins=0, distinct_bins=0).fit_transform(X).round(1)
array([[ 1. ,  0. ,  0. , -1.2,  0. ],
       [ 0. ,  1. ,  0. ,  0. ,  1. ],
       [ 0. ,  0. ,  1. ,  0. ,  0. ],
       [ 1. ,  0. ,  0. ,  0.7,  0. ]], dtype=float32)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnet.tabular.encoder import Column, TableEncoder
from fastnet.tabular.rows import RawRows

if TYPE_CHECKING:
    from fastnet.tabular.estimators import TabularClassifier, TabularRegressor
    from fastnet.tabular.predictor import TablePredictor

__all__ = ["Column", "RawRows", "TableEncoder", "TablePredictor", "TabularClassifier", "TabularRegressor"]


def __getattr__(name: str) -> Any:
    if name == "TablePredictor":
        from fastnet.tabular.predictor import TablePredictor

        return TablePredictor
    if name not in ("TabularClassifier", "TabularRegressor"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fastnet._optional import import_optional

    import_optional("sklearn", f"fastnet.tabular.{name}", extra="sklearn,tables")
    from fastnet.tabular import estimators

    return getattr(estimators, name)
