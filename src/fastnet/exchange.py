"""Convert networks from and to scikit-learn and torch; the weights keep their bits.

Reading an estimator or a module imports neither library: only the attributes of the object are read. Both
libraries have an example in each row, and scikit-learn stores W transposed. All arrays are copied, so nothing
is shared afterwards.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastnet import _validate
from fastnet._core.float_mode import in_default_mode
from fastnet._optional import import_optional
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
    if (replaced := _own_forward(estimator)) is not None:
        raise ValueError(f"estimator must compute what an MLP does, got {name} with {replaced} of its own")
    count = estimator.n_layers_ - 1  # scikit-learn predicts with so many, though there may be more
    coefs, intercepts, given = estimator.coefs_[:count], estimator.intercepts_[:count], estimator.activation
    hidden = [given] * (count - 1) if isinstance(given, str) else list(given)[: count - 1]
    names = [*hidden, estimator.out_activation_]
    if not type(estimator).__module__.startswith("fastnet."):  # ours computes with "logistic"
        names[:-1] = ["sigmoid" if name == "logistic" else name for name in names[:-1]]
    names[-1] = "sigmoid" if names[-1] == "logistic" else names[-1]
    dtype = np.result_type(*coefs, *intercepts)
    layers = []
    for coef, intercept, activation in zip(coefs, intercepts, names, strict=True):
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


def _own_forward(estimator: Any) -> str | None:
    """Return the name of a method of the forward pass that a subclass has replaced, or None."""
    for cls in type(estimator).__mro__:
        if cls.__module__.partition(".")[0] in ("sklearn", "fastnet"):
            return None
        for name in ("_forward_pass", "_forward_pass_fast"):
            if name in vars(cls):
                return name
    return None


def _steps(estimator: Any) -> tuple[Any, Any]:
    """Return the scaler (or None) and the estimator of a pipeline of these two, or of a bare estimator."""
    if not hasattr(estimator, "steps"):
        return None, estimator
    steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
    scalers, last = steps[:-1], steps[-1]
    if len(scalers) > 1 or not all(map(_is_standard_scaler, scalers)):
        names = ", ".join(type(step).__name__ for step in steps)
        raise ValueError(f"a pipeline must be StandardScaler and an MLP, got {names}")
    for scaler in scalers:
        if not hasattr(scaler, "scale_"):
            raise ValueError("estimator must be fitted, got a StandardScaler that is not")
    return (scalers[0] if scalers else None), last


def _is_standard_scaler(step: Any) -> bool:
    """Tell whether a step is scikit-learn's StandardScaler, not a subclass or another class of that name."""
    return type(step).__name__ == "StandardScaler" and type(step).__module__.startswith("sklearn.")


@in_default_mode
def to_sklearn(network: Network, *, estimator: type[Any] | None = None) -> Any:
    """Return a fitted MLPClassifier or MLPRegressor that computes what the network does.

    Parameters
    ----------
    network : Network
        Its hidden layers have one activation that scikit-learn has (identity, sigmoid, tanh or relu); the
        last is sigmoid or softmax for a classifier, identity or exp for a regressor. Its dropout, which
        predictions do not use, is left out.
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
        If scikit-learn cannot have this network; the message says what it has not. If the weights are not
        finite.
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
    if last == "softmax" and network.sizes[-1] < 2:
        raise ValueError("scikit-learn has softmax for at least two classes, got one output")
    neural = import_optional("sklearn.neural_network", "to_sklearn", extra="sklearn")
    regression = network.output == "regression"
    settings: dict[str, Any] = {"hidden_layer_sizes": network.sizes[1:-1]}
    settings["activation"] = _SKLEARN[inner[0]] if inner else "identity"
    if regression:
        settings["loss"] = "poisson" if last == "exp" else "squared_error"
    made = (estimator or (neural.MLPRegressor if regression else neural.MLPClassifier))(**settings)
    all_W, all_b = network.weights()
    network.check_weights(all_W, all_b)
    W, b = [np.array(w) for w in all_W], [np.array(v) for v in all_b]
    if last == "softmax" and len(W[-1]) == 2:  # a_2 = e^z2 / (e^z1 + e^z2) = sigmoid(z2 - z1)
        with np.errstate(over="ignore"):
            W[-1], b[-1], last = W[-1][1:] - W[-1][:1], b[-1][1:] - b[-1][:1], "sigmoid"
        network.check_weights(W, b)  # a difference may be too large for the dtype
    made.out_activation_ = {"sigmoid": "logistic"}.get(last, last)
    made.coefs_ = [np.array(w.T, order="C") for w in W]
    made.intercepts_ = [v.reshape(-1) for v in b]
    made.n_features_in_, made.n_outputs_ = network.sizes[0], len(W[-1])
    made.n_layers_ = len(network.sizes)
    made.n_iter_ = made.t_ = made._no_improvement_count = 0
    made.loss_curve_, made.best_loss_ = [], np.inf
    if not regression:
        binarizer = import_optional("sklearn.preprocessing", "to_sklearn", extra="sklearn").LabelBinarizer()
        made._label_binarizer = binarizer.fit(_labels(network))
        made.classes_ = binarizer.classes_
    names = network.feature_names
    if network.preprocessing is None:
        _name_features(made, names)
        return made
    pipeline = import_optional("sklearn.pipeline", "to_sklearn", extra="sklearn").make_pipeline
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
    scaler = import_optional("sklearn.preprocessing", "to_sklearn", extra="sklearn").StandardScaler()
    scaler.mean_, scaler.scale_ = how.mean.reshape(-1).copy(), how.scale.reshape(-1).copy()
    with np.errstate(over="ignore", under="ignore"):  # only partial_fit reads it
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
        layer's. A module that occurs several times counts each time; each layer gets its own copy of the
        weights. Softplus may have torch's default threshold, though ours has none: they differ by 2e-9 there.

    Returns
    -------
    Network
        With copies of the weights in their dtype; zeros for a Linear without bias.

    Raises
    ------
    ValueError
        If it holds anything else (a subclass too, or a module of the same name from elsewhere), an activation
        with settings that fastnet does not have, or a module whose forward pass was replaced or has hooks.
    TypeError
        If the weights are not all float32, or all float64.

    Examples
    --------
    >>> import fastnet as fn
    >>> from torch import nn  # doctest: +SKIP
    >>> fn.from_torch(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))  # doctest: +SKIP
    """
    found: list[dict[str, Any]] = []
    bare = False  # whether the last module was a Linear
    for path, part in _parts(module, "module"):
        kind = _torch_class(part)
        if kind == "Linear":
            W = _to_numpy(part.weight, f"{path}.weight")
            b = None if part.bias is None else _to_numpy(part.bias, f"{path}.bias").reshape(-1, 1)
            found.append({"W": W, "b": np.zeros((len(W), 1), W.dtype) if b is None else b, "path": path})
            bare = True
        elif kind in _TORCH and bare:
            found[-1]["activation"] = _activation(part, path)
            bare = False
        elif kind == "Dropout" and found and "dropout" not in found[-1]:
            found[-1]["dropout"] = float(part.p)
            bare = False
        else:
            name = kind or f"{type(part).__name__} of {type(part).__module__}"
            raise ValueError(f"{path} must be Linear, or follow one as its activation or Dropout, got {name}")
    if not found:
        raise ValueError(f"module must hold at least one Linear, got {type(module).__name__}")
    dtype = found[0]["W"].dtype
    layers = []
    for row in found:
        path = row.pop("path")
        if not row["W"].dtype == row["b"].dtype == dtype:
            first = found[0]["W"].dtype
            raise TypeError(f"{path} must have dtype {first}, as the first Linear has, got {row['W'].dtype}")
        n_out, n_in = row["W"].shape
        layers.append(Layer(n_in, n_out, **{"activation": "identity", **row}))
    return Network(layers, dtype=dtype)


def _parts(module: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the modules of nested Sequentials in order, each with its place; ValueError if one has hooks."""
    # torch has no public name for the hooks of a module. Backward hooks do not change what it computes.
    hooks = [name for name in ("_forward_hooks", "_forward_pre_hooks") if getattr(module, name, None)]
    if hooks or "forward" in getattr(module, "__dict__", ()):
        what = "a forward hook" if hooks else "a forward method of its own"
        raise ValueError(f"{path} must compute what its class does, got {type(module).__name__} with {what}")
    if _torch_class(module) != "Sequential":
        yield path, module
        return
    for k, child in enumerate(module):  # named_children() would leave out an object that it has given before
        yield from _parts(child, f"{path}[{k}]")


def _torch_class(part: Any) -> str | None:
    """Return the name of a module's class if that is one of torch.nn itself, or None."""
    nn = getattr(sys.modules.get("torch"), "nn", None)
    name = type(part).__name__
    return name if nn is not None and getattr(nn, name, None) is type(part) else None


def _activation(part: Any, path: str) -> str:
    name, settings = _TORCH[type(part).__name__]
    for setting, wanted in settings.items():
        value = getattr(part, setting)
        if value != wanted and value not in (wanted if isinstance(wanted, tuple) else ()):
            raise ValueError(f"{path} must have {setting}={wanted}, as {name} of fastnet, got {value!r}")
    return name


def _to_numpy(tensor: Any, path: str) -> Array:
    """Return a parameter of torch as an array that is a copy."""
    if str(tensor.dtype) not in ("torch.float32", "torch.float64"):
        raise TypeError(
            f"{path} must have dtype float32 or float64, got {tensor.dtype}: use module.float() before"
        )
    try:
        array = np.array(tensor.detach().cpu().numpy(), order="C")
    except (RuntimeError, TypeError, NotImplementedError) as error:  # on the meta device, sparse
        raise ValueError(f"{path} must be a dense tensor with values: {error}") from None
    return _validate.finite(array if array.ndim == 2 else array.reshape(1, -1), path).reshape(array.shape)


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
        If torch cannot have this network, or its weights are not finite.
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
    torch = import_optional("torch", "to_torch", requirement="torch")
    all_W, all_b = network.weights()
    network.check_weights(all_W, all_b)
    parts = []
    for layer, W, b in zip(network.layers, all_W, all_b, strict=True):
        linear = torch.nn.utils.skip_init(
            torch.nn.Linear, layer.n_in, layer.n_out, dtype=getattr(torch, str(network.dtype))
        )
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.copy()))
            linear.bias.copy_(torch.from_numpy(b.reshape(-1).copy()))
        parts.append(linear)
        name = names[layer.activation]
        if name != "Identity":
            make: Callable[..., Any] = getattr(torch.nn, name)
            parts.append(make(**_TORCH_SETTINGS.get(name, {})))
        if layer.dropout:
            parts.append(torch.nn.Dropout(layer.dropout))
    return torch.nn.Sequential(*parts).eval()
