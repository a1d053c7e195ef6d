"""From scikit-learn's ensembles of networks, bagging and voting, to `Ensemble`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnet.ensemble import Ensemble
from fastnet.exchange import from_sklearn
from fastnet.layer import Layer
from fastnet.metadata import Standardize
from fastnet.network import Network

__all__ = ["ensemble_from_sklearn"]

KINDS = ("BaggingClassifier", "BaggingRegressor", "VotingClassifier", "VotingRegressor")


def ensemble_from_sklearn(estimator: Any) -> Ensemble:
    """Return the ensemble of a fitted bagging or voting estimator: see `Ensemble.from_sklearn`."""
    name = type(estimator).__name__
    if not any(cls.__name__ in KINDS for cls in type(estimator).__mro__):
        raise TypeError(f"estimator must be one of {', '.join(KINDS)}, got {name}")
    members = getattr(estimator, "estimators_", None)
    if members is None:
        raise ValueError(f"estimator must be fitted, got a {name} that is not")
    if getattr(estimator, "voting", "soft") != "soft":
        raise ValueError(
            f"estimator must have voting='soft', a mean of probabilities, got {estimator.voting!r}"
        )
    weights = getattr(estimator, "weights", None)
    if weights is not None and len(set(weights)) > 1:
        raise ValueError(f"estimator must weigh its members alike, got weights={weights!r:.80}")
    members = [member for member in members if member != "drop"]
    features = getattr(estimator, "estimators_features_", [None] * len(members))
    classes = getattr(estimator, "classes_", None)
    names = getattr(estimator, "feature_names_in_", None)
    networks = []
    for k, (member, columns) in enumerate(zip(members, features, strict=True)):
        try:
            network = from_sklearn(member)
        except (TypeError, ValueError) as error:
            raise type(error)(f"estimators_[{k}]: {error}") from None
        if classes is not None and len(member.classes_) != len(classes):
            raise ValueError(
                f"estimators_[{k}] must know all {len(classes)} classes, "
                f"got {len(member.classes_)} of them: its part of the rows had no others"
            )
        if columns is not None:
            network = _of_all_features(network, np.asarray(columns), estimator.n_features_in_)
        network.classes = None if classes is None else classes
        network.feature_names = names
        networks.append(network)
    return Ensemble(networks)


def _of_all_features(network: Network, columns: Any, n_features: int) -> Network:
    """Return a network of all features that uses those of `columns`, as one of only these does.

    Features that were drawn several times have the sum of their weights; those that were not have 0.
    """
    if np.array_equal(columns, np.arange(n_features)):
        return network
    scaling, (first, *others) = network.preprocessing, network.layers
    W = np.zeros((first.n_out, n_features), network.dtype)
    np.add.at(W.T, columns, first.W.T)
    layers = [Layer(n_features, first.n_out, first.activation, W=W, b=first.b)]
    layers += [Layer(each.n_in, each.n_out, each.activation, W=each.W, b=each.b) for each in others]
    found = Network(layers, dtype=network.dtype)
    if scaling is not None:
        mean, scale = np.zeros(n_features), np.ones(n_features)
        mean[columns], scale[columns] = scaling.mean[:, 0], scaling.scale[:, 0]
        found.preprocessing = Standardize(mean, scale)
    return found
