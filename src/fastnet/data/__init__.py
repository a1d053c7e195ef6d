"""Data sets that ship with the package. README.md in this folder has their source and licence."""

from __future__ import annotations

import gzip
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = ["load_breast_cancer"]


def load_breast_cancer() -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Return the Breast Cancer Wisconsin (diagnostic) data, an example in each column.

    Returns
    -------
    X : ndarray, shape (30, 569), float64
        The features, unscaled. F order: each example lies contiguously, as in the file.
    T : ndarray, shape (1, 569), float64
        1 for a benign mass, 0 for a malignant one.
    names : list of str
        The 30 names of the features.

    Examples
    --------
    >>> from fastnet.data import load_breast_cancer
    >>> X, T, names = load_breast_cancer()
    >>> X.shape, int(T.sum()), names[0]
    ((30, 569), 357, 'mean radius')
    """
    packed = resources.files(__name__).joinpath("breast_cancer.csv.gz").read_bytes()
    header, *rows = gzip.decompress(packed).decode("ascii").splitlines()
    table = np.array([row.split(",") for row in rows], dtype=np.float64)
    return table[:, :-1].copy().T, table[:, -1:].T.copy(), header.split(",")[:-1]
