"""scikit-learn's MLPClassifier and MLPRegressor, many times faster: one import changed.

>>> from fastnet.sklearn import MLPClassifier, MLPRegressor

They are subclasses of scikit-learn's (1.7 or later): its validation, its documentation, its errors and
warnings. What computes is replaced: training, the loss and gradient of L-BFGS, prediction. The random numbers
are drawn in the same order, so that the same `random_state` gives the same network up to rounding.

For code that cannot be changed, `patch` puts them into `sklearn.neural_network`, and `patched` does so inside
a with block.
"""

try:
    import sklearn.utils.validation

    sklearn.utils.validation.validate_data  # noqa: B018 - new in 1.6
except (ImportError, AttributeError) as error:
    from fastnet._optional import install_hint

    raise ImportError(
        f"fastnet.sklearn needs scikit-learn 1.7 or later: {install_hint('sklearn')} ({error})"
    ) from error

from fastnet import threads
from fastnet.sklearn._converters import TRUSTED_TYPES, register_converters
from fastnet.sklearn._estimators import MLPClassifier, MLPRegressor
from fastnet.sklearn._patch import patch, patched, unpatch

threads.register_if_loaded()  # which scikit-learn has loaded

__all__ = [
    "TRUSTED_TYPES",
    "MLPClassifier",
    "MLPRegressor",
    "patch",
    "patched",
    "register_converters",
    "unpatch",
]
