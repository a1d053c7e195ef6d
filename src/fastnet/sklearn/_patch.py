"""Replaces scikit-learn's classes by fastnet's, for code that cannot be changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import sklearn.neural_network
import sklearn.neural_network._multilayer_perceptron as scikit_learn_module

from fastnet.sklearn._estimators import MLPClassifier, MLPRegressor

# Users import the classes from the package; some programs import them from the module that defines them.
MODULES: tuple[ModuleType, ...] = (sklearn.neural_network, scikit_learn_module)
FASTNET: dict[str, Any] = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}
SCIKIT_LEARN: dict[str, Any] = {name: getattr(scikit_learn_module, name) for name in FASTNET}


def _replace(found: list[dict[str, Any]]) -> None:
    for module, classes in zip(MODULES, found, strict=True):
        for name, kind in classes.items():
            setattr(module, name, kind)
    for name, kind in SCIKIT_LEARN.items():
        if getattr(scikit_learn_module, name) is kind:
            if "__reduce_ex__" in vars(kind):
                del kind.__reduce_ex__
        else:
            kind.__reduce_ex__ = _reduce


def _reduce(est: Any, protocol: int) -> Any:
    """Pickle an object of scikit-learn's class while its name in scikit-learn's module means fastnet's."""
    found = object.__reduce_ex__(est, protocol)
    name = type(est).__name__
    if type(est) is not SCIKIT_LEARN.get(name):
        return found  # a subclass, which is found by its own name
    return (_new_scikit_learn, (name,), *found[2:])


def _new_scikit_learn(name: str) -> Any:
    return SCIKIT_LEARN[name].__new__(SCIKIT_LEARN[name])


def patch() -> None:
    """Make `sklearn.neural_network` contain fastnet's MLPClassifier and MLPRegressor from now on.

    So does the module that defines them, `sklearn.neural_network._multilayer_perceptron`. Whoever imported
    scikit-learn's classes before keeps them. A second call changes nothing.

    Pickles of the estimators that are made so need fastnet where they are loaded. `to_sklearn` of an
    estimator returns one that does not. Pickles of scikit-learn's own estimators load as fastnet's.

    Examples
    --------
    >>> import fastnet.sklearn
    >>> fastnet.sklearn.patch()
    >>> from sklearn.neural_network import MLPClassifier
    >>> MLPClassifier is fastnet.sklearn.MLPClassifier
    True
    >>> fastnet.sklearn.unpatch()
    """
    _replace([FASTNET] * len(MODULES))


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
    _replace([SCIKIT_LEARN] * len(MODULES))


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
    before = [{name: getattr(module, name) for name in FASTNET} for module in MODULES]
    patch()
    try:
        yield
    finally:
        _replace(before)
