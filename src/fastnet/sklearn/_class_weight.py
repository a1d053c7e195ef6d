"""Turns class_weight into weights of the examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

__all__ = ["example_weights"]


def example_weights(class_weight: Any, label_binarizer: Any, y: Any, sample_weight: Any) -> Any:
    """Return the weights of the examples, each times the weight of its class.

    `y` (n, n_outputs) is what the binarizer made of the labels. Without `class_weight`, `sample_weight` is
    returned as it is.
    """
    if class_weight is None:
        return sample_weight
    labels = label_binarizer.inverse_transform(np.asarray(y, dtype=np.float64))
    weights = compute_sample_weight(class_weight, labels)
    return weights if sample_weight is None else weights * sample_weight
