"""Convert networks from and to scikit-learn and torch; the weights keep their bits.

Reading an estimator or a module imports neither library: only the attributes of the object are read. Both
libraries have an example in each row, and scikit-learn stores W transposed. All arrays are copied, so nothing
is shared afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastnet._optional import need
from fastnet._validate import Array
from fastnet.layer import Layer
from fastnet.metadata import Standardize
from fastnet.network import Network

__all__ = ["from_sklearn", "from_torch", "to_sklearn", "to_torch"]

_SKLEARN = {"sigmoid": "logistic"} | {name: name for name in ("identity", "logistic", "tanh", "relu")}

# class of torch: our activation, and the values its settings must have
_TORCH: dict[str, tuple[str, dict[str, Any]]] = {
    "Identity": ("identity", {}),
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "ReLU": ("relu", {}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": 0.01}),
    "ELU": ("elu", {"alpha": 1.0}),
    "SELU": ("selu", {}),
    "SiLU": ("silu", {}),
    "GELU": ("gelu", {"approximate": "none"}),
    "Softplus": ("softplus", {"beta": 1.0}),
    "Mish": ("mish", {}),
    "Softmax": ("softmax", {"dim": (1, -1)}),
}
# torch replaces softplus(z) by z above this threshold; at its default, 20, float64 shows the difference
_TORCH_SETTINGS: dict[str, dict[str, Any]] = {"Softplus": {"threshold": 40.0}, "Softmax": {"dim": 1}}


def from_sklearn(estimator: Any) -> Network:
    """Return the network of a fitted MLPClassifier or MLPRegressor, also behind a StandardScaler.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, or a Pipeline of StandardScaler and one of them
        Fitted; scikit-learn's or fastnet's.

    Returns
    -------
    Network
        With copies of the weights in their dtype, the classes and the names of the features. A scaler becomes
        its `preprocessing`.

    Raises
    ------
    ValueError, TypeError
        If it is not fitted, of another kind, or has an activation that fastnet has not.

    Examples
    --------
    >>> import fastnet as fn
    >>> from sklearn.neural_network import MLPClassifier  # doctest: +SKIP
    >>> net = fn.from_sklearn(MLPClassifier().fit(rows, labels))  # doctest: +SKIP
    """
    scaler, estimator = _steps(estimator)
    name = type(estimator).__name__
    if not hasattr(estimator, "coefs_"):
        kind = "fitted" if hasattr(estimator, "hidden_layer_sizes") else "an MLPClassifier or MLPRegressor"
        raise ValueError(f"estimator must be {kind}, got {name}")
    hidden = len(estimator.coefs_) - 1
    given = estimator.activation
    names = [*([given] * hidden if isinstance(given, str) else given), estimator.out_activation_]
    if not type(estimator).__module__.startswith("fastnet."):  # ours computes with "logistic"
        names[:-1] = ["sigmoid" if name == "logistic" else name for name in names[:-1]]
    names[-1] = "sigmoid" if names[-1] == "logistic" else names[-1]
    dtype = np.result_type(*estimator.coefs_, *estimator.intercepts_)
    layers = []
    for coef, intercept, activation in zip(estimator.coefs_, estimator.intercepts_, names, strict=True):
        n_in, n_out = coef.shape
        W, b = np.array(coef.T, dtype, order="C"), np.array(intercept, dtype).reshape(-1, 1)
        layers.append(Layer(n_in, n_out, activation, W=W, b=b))
    network = Network(layers, dtype=dtype)
    classes = getattr(estimator, "classes_", None)
    if classes is not None and len(classes) == max(2, network.sizes[-1]):  # not if fitted on one class
        network.classes = classes
    network.feature_names = getattr(estimator if scaler is None else scaler, "feature_names_in_", None)
    if scaler is not None:
        n_in = network.sizes[0]
        mean = np.zeros(n_in) if scaler.mean_ is None or not scaler.with_mean else scaler.mean_
        network.preprocessing = Standardize(mean, np.ones(n_in) if scaler.scale_ is None else scaler.scale_)
    return network


def _steps(estimator: Any) -> tuple[Any, Any]:
    """Return the scaler (or None) and the estimator of a pipeline of these two, or of a bare estimator."""
    if not hasattr(estimator, "steps"):
        return None, estimator
    steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
    scalers, last = steps[:-1], steps[-1]
    if len(scalers) > 1 or any(type(step).__name__ != "StandardScaler" for step in scalers):
        names = ", ".join(type(step).__name__ for step in steps)
        raise ValueError(f"a pipeline must be StandardScaler and an MLP, got {names}")
    for scaler in scalers:
        if not hasattr(scaler, "scale_"):
            raise ValueError("estimator must be fitted, got a StandardScaler that is not")
    return (scalers[0] if scalers else None), last


def to_sklearn(network: Network, *, estimator: type[Any] | None = None) -> Any:
    """Return a fitted MLPClassifier or MLPRegressor that computes what the network does.

    Parameters
    ----------
    network : Network
        Its hidden layers have one activation that scikit-learn has (identity, sigmoid, tanh or relu); the
        last is sigmoid or softmax for a classifier, identity or exp for a regressor.
    estimator : type, optional
        The class to make, by default that of scikit-learn; another takes the same parameters.

    Returns
    -------
    MLPClassifier, MLPRegressor, or a Pipeline of StandardScaler and one of them
        The latter if the network has `preprocessing`. Its classes are those of the network, or 0, 1, ...;
        `partial_fit` goes on from here. A softmax of two outputs becomes the one logistic output that
        scikit-learn has for two classes, with the same probabilities up to rounding.

    Raises
    ------
    ValueError
        If scikit-learn cannot have this network; the message says what it has not.
    ImportError
        If scikit-learn is missing.

    Examples
    --------
    >>> import fastnet as fn
    >>> net = fn.Network([fn.Layer(2, 3, "identity"), fn.Layer(3, 1)])
    >>> fn.to_sklearn(net).predict_proba([[0.0, 1.0]]).shape  # doctest: +SKIP
    (1, 2)
    """
    *inner, last = (layer.activation for layer in network.layers)
    for k, activation in enumerate(inner):
        if activation not in _SKLEARN or activation != inner[0]:
            has = "one of identity, sigmoid, tanh, relu for all hidden layers"
            raise ValueError(f"scikit-learn has {has}, got {activation!r} in layers[{k}]")
    if last not in ("sigmoid", "logistic", "softmax", "identity", "exp"):
        raise ValueError(f"scikit-learn has sigmoid, softmax, identity or exp at the output, got {last!r}")
    neural = need("sklearn.neural_network", "scikit-learn", "to_sklearn")
    regression = network.output == "regression"
    settings: dict[str, Any] = {"hidden_layer_sizes": network.sizes[1:-1]}
    settings["activation"] = _SKLEARN[inner[0]] if inner else "identity"
    if regression:
        settings["loss"] = "poisson" if last == "exp" else "squared_error"
    made = (estimator or (neural.MLPRegressor if regression else neural.MLPClassifier))(**settings)
    made.out_activation_ = {"sigmoid": "logistic"}.get(last, last)
    made.coefs_ = [np.array(layer.W.T, order="C") for layer in network.layers]
    made.intercepts_ = [layer.b.reshape(-1).copy() for layer in network.layers]
    if last == "softmax" and network.sizes[-1] == 2:
        # scikit-learn has one output for two classes: softmax(z)_1 = sigmoid(z_1 - z_0)
        made.out_activation_ = "logistic"
        made.coefs_[-1] = np.array(made.coefs_[-1][:, 1:] - made.coefs_[-1][:, :1], order="C")
        made.intercepts_[-1] = made.intercepts_[-1][1:] - made.intercepts_[-1][:1]
    made.n_features_in_, made.n_outputs_ = network.sizes[0], made.coefs_[-1].shape[1]
    made.n_layers_ = len(network.sizes)
    made.n_iter_ = made.t_ = made._no_improvement_count = 0
    made.loss_curve_, made.best_loss_ = [], np.inf
    if not regression:
        binarizer = need("sklearn.preprocessing", "scikit-learn", "to_sklearn").LabelBinarizer()
        made._label_binarizer = binarizer.fit(_labels(network))
        made.classes_ = binarizer.classes_
    names = network.feature_names
    if network.preprocessing is None:
        _name_features(made, names)
        return made
    pipeline = need("sklearn.pipeline", "scikit-learn", "to_sklearn").make_pipeline
    return pipeline(_scaler(network.preprocessing, names), made)


def _labels(network: Network) -> Array:
    """Return the labels that the LabelBinarizer of a classifier is fitted on."""
    n_out, classes = network.sizes[-1], network.classes
    if network.output == "multilabel":
        if classes not in (None, tuple(range(n_out))):
            raise ValueError(f"scikit-learn has no names for labels of which many may hold, got {classes}")
        return np.eye(n_out, dtype=int)
    if classes is None:
        return np.arange(max(2, n_out))
    if list(classes) != sorted(classes):
        raise ValueError(f"scikit-learn has classes in ascending order, got {classes}")
    return np.array(classes)


def _scaler(how: Standardize, names: tuple[str, ...] | None) -> Any:
    scaler = need("sklearn.preprocessing", "scikit-learn", "to_sklearn").StandardScaler()
    scaler.mean_, scaler.scale_ = how.mean.reshape(-1).copy(), how.scale.reshape(-1).copy()
    scaler.var_ = scaler.scale_**2
    scaler.n_features_in_ = len(how.mean)
    scaler.n_samples_seen_ = 1  # unknown; it weighs the features seen so far in a partial_fit
    _name_features(scaler, names)
    return scaler


def _name_features(estimator: Any, names: tuple[str, ...] | None) -> None:
    if names is not None:
        estimator.feature_names_in_ = np.array(names, dtype=object)


def from_torch(module: Any) -> Network:
    """Return the network of a torch `nn.Sequential` of Linear and activations.

    Parameters
    ----------
    module : torch.nn.Sequential
        Also nested; Linear, each followed by at most one activation and one Dropout, which becomes the
        layer's. Softplus may have torch's default threshold, though ours has none: they differ by 2e-9 there.

    Returns
    -------
    Network
        With copies of the weights in their dtype; zeros for a Linear without bias.

    Raises
    ------
    ValueError
        If it holds anything else, or an activation with settings that fastnet has not.

    Examples
    --------
    >>> import fastnet as fn
    >>> from torch import nn  # doctest: +SKIP
    >>> fn.from_torch(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))  # doctest: +SKIP
    """
    found: list[dict[str, Any]] = []
    bare = False  # whether the last part was a Linear
    for path, part in _parts(module, "module"):
        kind = type(part).__name__
        if kind == "Linear":
            W = _to_numpy(part.weight)
            b = np.zeros((len(W), 1), W.dtype) if part.bias is None else _to_numpy(part.bias).reshape(-1, 1)
            found.append({"W": W, "b": b, "activation": "identity"})
            bare = True
        elif kind in _TORCH and bare:
            found[-1]["activation"] = _activation(part, path)
            bare = False
        elif kind == "Dropout" and found and "dropout" not in found[-1]:
            found[-1]["dropout"] = float(part.p)
            bare = False
        else:
            raise ValueError(f"{path} must be Linear, or follow one as its activation or Dropout, got {kind}")
    if not found:
        raise ValueError(f"module must hold at least one Linear, got {type(module).__name__}")
    dtype = found[0]["W"].dtype
    layers = []
    for row in found:
        n_out, n_in = row["W"].shape
        layers.append(Layer(n_in, n_out, **row))
    return Network(layers, dtype=dtype)


def _parts(module: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the modules of nested Sequentials in order, each with its place."""
    if type(module).__name__ != "Sequential":
        yield path, module
        return
    for name, child in module.named_children():
        yield from _parts(child, f"{path}[{name}]")


def _activation(part: Any, path: str) -> str:
    name, settings = _TORCH[type(part).__name__]
    for setting, wanted in settings.items():
        value = getattr(part, setting)
        if value != wanted and value not in (wanted if isinstance(wanted, tuple) else ()):
            raise ValueError(f"{path} must have {setting}={wanted}, as {name} of fastnet, got {value!r}")
    return name


def _to_numpy(tensor: Any) -> Array:
    return np.array(tensor.detach().cpu().numpy(), order="C")


def to_torch(network: Network) -> Any:
    """Return a torch `nn.Sequential` of Linear and activations with the weights of the network.

    Parameters
    ----------
    network : Network
        Without `preprocessing`, for which torch has no module, nor `exp` as an activation.

    Returns
    -------
    torch.nn.Sequential
        In the network's dtype, in evaluation mode. It takes an example in each row.

    Raises
    ------
    ValueError
        If torch cannot have this network.
    ImportError
        If torch is missing.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.to_torch(fn.Network([fn.Layer(2, 1)]))  # doctest: +SKIP
    Sequential(
      (0): Linear(in_features=2, out_features=1, bias=True)
      (1): Sigmoid()
    )
    """
    if network.preprocessing is not None:
        raise ValueError(
            "torch has no module that standardises: set network.preprocessing to None, do it before"
        )
    names = {ours: name for name, (ours, _) in _TORCH.items()} | {"logistic": "Sigmoid"}
    for k, layer in enumerate(network.layers):
        if layer.activation not in names:
            raise ValueError(f"torch has no module for {layer.activation!r}, the activation of layers[{k}]")
    torch = need("torch", "torch", "to_torch")
    parts = []
    for layer in network.layers:
        linear = torch.nn.utils.skip_init(
            torch.nn.Linear, layer.n_in, layer.n_out, dtype=getattr(torch, str(network.dtype))
        )
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.W.copy()))
            linear.bias.copy_(torch.from_numpy(layer.b.reshape(-1).copy()))
        parts.append(linear)
        name = names[layer.activation]
        if name != "Identity":
            make: Callable[..., Any] = getattr(torch.nn, name)
            parts.append(make(**_TORCH_SETTINGS.get(name, {})))
        if layer.dropout:
            parts.append(torch.nn.Dropout(layer.dropout))
    return torch.nn.Sequential(*parts).eval()
