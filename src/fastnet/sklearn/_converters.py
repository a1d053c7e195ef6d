"""Register the estimators with skl2onnx, and list what skops may trust."""

from __future__ import annotations

from typing import Any

from fastnet import _validate
from fastnet._optional import import_optional
from fastnet.sklearn import _compat
from fastnet.sklearn._estimators import MLPClassifier, MLPRegressor

__all__ = ["TRUSTED_TYPES", "register_converters"]

TRUSTED_TYPES = (
    "fastnet.sklearn._estimators.MLPClassifier",
    "fastnet.sklearn._estimators.MLPRegressor",
    "fastnet.sklearn._optimizer_state.AdamWOptimizer",
    "fastnet.sklearn._optimizer_state.RMSPropOptimizer",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)


def register_converters() -> None:
    """Make skl2onnx convert fastnet's MLPClassifier and MLPRegressor, alone or inside a Pipeline.

    skl2onnx looks for the exact class of an estimator, so it has to be told of each. The graph is the one of
    scikit-learn's estimator with the same weights. A second call changes nothing.

    Raises
    ------
    ImportError
        If skl2onnx is missing.

    Examples
    --------
    >>> import fastnet.sklearn
    >>> fastnet.sklearn.register_converters()  # doctest: +SKIP
    >>> skl2onnx.to_onnx(classifier, X[:1])  # doctest: +SKIP
    """
    skl2onnx = import_optional("skl2onnx", "register_converters", requirement="skl2onnx")
    shapes = import_optional(
        "skl2onnx.common.shape_calculator", "register_converters", requirement="skl2onnx"
    )
    converters = import_optional(
        "skl2onnx.operator_converters.multilayer_perceptron", "register_converters", requirement="skl2onnx"
    )
    skl2onnx.update_registered_converter(
        MLPClassifier,
        "FastnetMLPClassifier",
        shapes.calculate_linear_classifier_output_shapes,
        _checked(converters.convert_sklearn_mlp_classifier),
        options={
            "zipmap": [True, False, "columns"],
            "output_class_labels": [False, True],
            "nocl": [True, False],
        },
    )
    skl2onnx.update_registered_converter(
        MLPRegressor,
        "FastnetMLPRegressor",
        shapes.calculate_linear_regressor_output_shapes,
        _checked(converters.convert_sklearn_mlp_regressor),
    )


def _checked(convert: Any) -> Any:
    """Return a converter that refuses the activations which scikit-learn's estimators do not have."""

    def converter(scope: Any, operator: Any, container: Any) -> None:
        activation = operator.raw_operator.activation
        if isinstance(activation, str):
            _validate.choice(activation, "activation (for skl2onnx)", _compat.ACTIVATIONS)
        else:
            raise ValueError(
                f"activation must be one name for skl2onnx, got {activation!r}: "
                "fastnet.onnx.export writes networks with several"
            )
        convert(scope, operator, container)

    return converter
