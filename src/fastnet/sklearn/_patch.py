"""Replaces scikit-learn's classes by fastnet's, for code that cannot be changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sklearn.neural_network

from fastnet.sklearn._estimators import MLPClassifier, MLPRegressor

FASTNET = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}
SCIKIT_LEARN = {name: getattr(sklearn.neural_network, name) for name in FASTNET}


def _replace(classes: dict[str, type]) -> None:
    for name, kind in classes.items():
        setattr(sklearn.neural_network, name, kind)


def patch() -> None:
    """Make `sklearn.neural_network` hand out fastnet's MLPClassifier and MLPRegressor from now on.

    Whoever imported scikit-learn's classes before keeps them. A second call changes nothing.

    Examples
    --------
    >>> import fastnet.sklearn
    >>> fastnet.sklearn.patch()
    >>> from sklearn.neural_network import MLPClassifier
    >>> MLPClassifier is fastnet.sklearn.MLPClassifier
    True
    >>> fastnet.sklearn.unpatch()
    """
    _replace(FASTNET)


def unpatch() -> None:
    """Undo `patch`.

    Examples
    --------
    >>> import fastnet.sklearn
    >>> fastnet.sklearn.unpatch()
    >>> from sklearn.neural_network import MLPClassifier
    >>> MLPClassifier is fastnet.sklearn.MLPClassifier
    False
    """
    _replace(SCIKIT_LEARN)


@contextmanager
def patched() -> Iterator[None]:
    """`patch` inside a with block, or as a decorator; what was there before comes back at its end.

    Examples
    --------
    >>> import fastnet.sklearn
    >>> import sklearn.neural_network
    >>> with fastnet.sklearn.patched():
    ...     sklearn.neural_network.MLPRegressor is fastnet.sklearn.MLPRegressor
    True
    >>> sklearn.neural_network.MLPRegressor is fastnet.sklearn.MLPRegressor
    False
    """
    before = {name: getattr(sklearn.neural_network, name) for name in FASTNET}
    patch()
    try:
        yield
    finally:
        _replace(before)
