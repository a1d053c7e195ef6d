"""Convert what an estimator for tables has besides its ensemble to plain values, and back.

The values are part of the model file of its ensemble (see `fastnet.ensemble.file`): parameters, classes,
names of the columns and histories. JSON holds them exactly. Nothing that is read is trusted.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from fastnet import _validate, threads
from fastnet.ensemble import Ensemble
from fastnet.files.container import FormatError
from fastnet.history import History
from fastnet.tabular.columns import check_keys
from fastnet.tabular.encoder import TableEncoder
from fastnet.tabular.estimators import TabularClassifier, TabularRegressor
from fastnet.tabular.reading import check_kinds

__all__ = ["describe_estimator", "rebuild_estimator"]

_ESTIMATORS: dict[str, Any] = {"TabularClassifier": TabularClassifier, "TabularRegressor": TabularRegressor}
_KEYS = {"name", "parameters", "feature_names", "piecewise", "histories"}
_SETTINGS = {"bins": 0, "distinct_bins": 0, "max_levels": 1, "min_count": 1}  # the least value of each
_LISTS = ("loss", "validation_loss", "learning_rate")  # no seconds: a training gives the same file each time
# dtypes of labels: texts, objects that are texts, numbers or booleans, and the plain ones
_PLAIN = ("bool", "float16", "float32", "float64")
_WHOLE = tuple(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))
_LABELS = ("str", "object", *_PLAIN, *_WHOLE)
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def describe_estimator(model: TabularClassifier | TabularRegressor) -> dict[str, Any]:
    """Return plain values: all that the ensemble of a fitted estimator does not say.

    Raises
    ------
    ValueError
        If it is not fitted, or its labels are neither numbers, texts nor booleans.
    """
    check_is_fitted(model)
    names = getattr(model, "feature_names_in_", None)
    about: dict[str, Any] = {
        "name": type(model).__name__,
        "parameters": _parameters(model),
        "feature_names": None if names is None else [str(name) for name in names],
        "piecewise": [used if used == "values" else bool(used) for used in model.piecewise_],
        "histories": [_history(history) for history in model.histories_],
    }
    if about["name"] not in _ESTIMATORS:
        raise TypeError(f"model must be one of {', '.join(_ESTIMATORS)}, got its subclass {about['name']}")
    if isinstance(model, TabularClassifier):
        return about | {"classes": _labels(model.classes_)}
    return about | {"vector": model.vector_target_}


def rebuild_estimator(about: Any, ensemble: Ensemble, where: str) -> TabularClassifier | TabularRegressor:
    """Return the estimator of plain values and of its ensemble; FormatError for what it cannot be."""
    try:
        model: TabularClassifier | TabularRegressor = _rebuilt(about, ensemble)
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"{where}: {error}") from None
    return model


def _rebuilt(about: Any, ensemble: Ensemble) -> Any:
    name = about.get("name") if isinstance(about, dict) else None
    if not isinstance(name, str) or name not in _ESTIMATORS:
        raise ValueError(f"estimator.name must be one of {', '.join(_ESTIMATORS)}, got {name!r:.60}")
    classifier = name == "TabularClassifier"
    check_keys(about, _KEYS | {"classes" if classifier else "vector"}, "estimator")
    model: Any = _ESTIMATORS[name](**_checked_parameters(about["parameters"], classifier))
    encoder, count = ensemble.encoder, len(ensemble)
    if encoder is None or (ensemble.targets is None) != classifier:
        raise ValueError("estimator must have an encoder, and targets if it is a TabularRegressor")
    piecewise, histories = about["piecewise"], about["histories"]
    ways = isinstance(piecewise, list) and all(isinstance(k, bool) or k == "values" for k in piecewise)
    if not ways or len(piecewise) != count:
        raise ValueError(
            f"estimator.piecewise must be true, false or 'values' for each network, got {piecewise!r:.60}"
        )
    if not isinstance(histories, list) or len(histories) != count:
        raise ValueError(f"estimator.histories must be a list of {count}, got {histories!r:.60}")
    model.ensemble_, model.encoder_, model.piecewise_ = ensemble, encoder, piecewise
    model.histories_ = [_checked_history(one, f"estimator.histories[{k}]") for k, one in enumerate(histories)]
    model.n_features_in_ = encoder.n_features_in_
    names = about["feature_names"]
    if names is not None:
        if not _list_of(names, str) or len(names) != encoder.n_features_in_:
            raise ValueError(
                f"estimator.feature_names must be {encoder.n_features_in_} texts, got {names!r:.60}"
            )
        model.feature_names_in_ = np.array(names, dtype=object)
    if classifier:
        model.classes_ = _checked_labels(about["classes"], ensemble.n_out)
    else:
        if not isinstance(about["vector"], bool) or (about["vector"] and ensemble.n_out != 1):
            raise ValueError("estimator.vector must be true or false, and true only with one target")
        model.vector_target_ = about["vector"]
    return model


def _parameters(model: Any) -> dict[str, Any]:
    """Return the parameters as JSON can hold them; a generator of random numbers becomes None."""
    found: dict[str, Any] = {
        "members": int(model.members),
        "epochs": None if model.epochs is None else int(model.epochs),
        "width": int(model.width),
        "piecewise": model.piecewise if isinstance(model.piecewise, str) else bool(model.piecewise),
        "encoder": None if model.encoder is None else _encoder(model.encoder),
        "time_limit": None if model.time_limit is None else float(model.time_limit),
        "random_state": int(model.random_state) if _is_whole(model.random_state) else None,
        "n_threads": None if model.n_threads is None else int(model.n_threads),
        "verbose": bool(model.verbose),
    }
    if isinstance(model, TabularClassifier):
        weights = model.class_weight
        if weights is not None and not isinstance(weights, str):
            weights = [_labels(np.array(list(weights), dtype=object)), [float(w) for w in weights.values()]]
        found["class_weight"] = weights
    else:
        found["quantile"] = None if model.quantile is None else float(model.quantile)
    return found


def _checked_parameters(found: Any, classifier: bool) -> dict[str, Any]:
    keys = {"members", "epochs", "width", "piecewise", "encoder", "time_limit", "random_state", "n_threads"}
    where = "estimator.parameters"
    check_keys(found, keys | {"verbose", "class_weight" if classifier else "quantile"}, where)
    checked: dict[str, Any] = {
        name: _validate.integer(found[name], f"{where}.{name}") for name in ("members", "width")
    }
    optional = {"epochs": (), "random_state": (0, 2**32), "n_threads": (1, threads.MOST + 1)}
    for name, bounds in optional.items():
        value = found[name]
        checked[name] = None if value is None else _validate.integer(value, f"{where}.{name}", *bounds)
    piecewise, limit = found["piecewise"], found["time_limit"]
    if not isinstance(piecewise, bool) and piecewise not in ("auto", "values"):
        raise ValueError(f"{where}.piecewise must be true, false, 'values' or 'auto', got {piecewise!r:.60}")
    checked["piecewise"] = piecewise
    checked["time_limit"] = None if limit is None else _validate.rate(limit, f"{where}.time_limit")
    checked["verbose"] = _validate.flag(found["verbose"], f"{where}.verbose")
    checked["encoder"] = None if found["encoder"] is None else _checked_encoder(found["encoder"], where)
    if classifier:
        checked["class_weight"] = _checked_weights(found["class_weight"], f"{where}.class_weight")
    elif found["quantile"] is not None:
        level = _validate.number(found["quantile"], f"{where}.quantile", above=0, below=1)
        checked["quantile"] = level
    return checked


def _checked_weights(weights: Any, where: str) -> Any:
    if weights is None or weights == "balanced":
        return weights
    if not isinstance(weights, list) or len(weights) != 2 or not isinstance(weights[1], list):
        raise ValueError(
            f"{where} must be null, 'balanced', or labels and their weights, got {weights!r:.60}"
        )
    labels = _checked_labels(weights[0], len(weights[1]))
    numbers = [_number(weight, where) for weight in weights[1]]
    return dict(zip(labels.tolist(), numbers, strict=True))


def _encoder(encoder: TableEncoder) -> dict[str, Any]:
    found: dict[str, Any] = {name: int(getattr(encoder, name)) for name in _SETTINGS}
    kinds = check_kinds(encoder.kinds)
    found["kinds"] = [[int(key) if _is_whole(key) else str(key), kind] for key, kind in kinds.items()]
    return found


def _checked_encoder(found: Any, where: str) -> TableEncoder:
    check_keys(found, {*_SETTINGS, "kinds"}, f"{where}.encoder")
    settings = {
        name: _validate.integer(found[name], f"{where}.encoder.{name}", low)
        for name, low in _SETTINGS.items()
    }
    kinds = found["kinds"]
    if not isinstance(kinds, list) or not all(
        isinstance(row, list) and len(row) == 2 and (isinstance(row[0], str) or type(row[0]) is int)
        for row in kinds
    ):
        raise ValueError(f"{where}.encoder.kinds must be a list of columns and kinds, got {kinds!r:.60}")
    told = check_kinds(dict(kinds))
    return TableEncoder(**settings, kinds=told or None)


def _labels(labels: NDArray[Any]) -> dict[str, Any]:
    """Return labels and their dtype; ValueError if they are something that JSON cannot hold."""
    kind = {"U": "str", "O": "object"}.get(labels.dtype.kind, labels.dtype.name)
    values = [value.item() if isinstance(value, np.generic) else value for value in labels.tolist()]
    odd = next((value for value in values if not isinstance(value, (bool, int, float, str))), None)
    if odd is not None or kind not in _LABELS:
        got = kind if odd is None else repr(odd)
        raise ValueError(f"classes_ must be numbers, texts or booleans in a file, got {got:.60}")
    return {"dtype": kind, "values": values}


def _checked_labels(found: Any, count: int) -> NDArray[Any]:
    """Return the labels of plain values, so many and all different."""
    check_keys(found, {"dtype", "values"}, "classes")
    values, kind = found["values"], found["dtype"]
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"classes must be a list of {count} labels, got {values!r:.60}")
    if kind not in _LABELS:
        raise ValueError(f"classes must have one of the dtypes {', '.join(_LABELS)}, got {kind!r:.20}")
    if not all(isinstance(value, (bool, int, float, str)) for value in values) or len(set(values)) < count:
        raise ValueError(f"classes must be different numbers, texts or booleans, got {values!r:.60}")
    if kind == "object":
        labels = np.empty(count, object)
        labels[:] = values
        return labels
    labels = np.array(values)
    wanted = {"str": "U", "bool": "b", "float": "f", "int": "iu", "uint": "iu"}[kind.rstrip("0123456789")]
    if labels.dtype.kind in wanted:
        labels = labels.astype(str if kind == "str" else kind)
    if labels.dtype.kind not in wanted or labels.tolist() != values:
        raise ValueError(f"classes must be of dtype {kind}, got {values!r:.60}")
    return labels


def _history(history: History) -> dict[str, Any]:
    lists = {name: getattr(history, name) for name in _LISTS}
    if history.calibrated_loss:
        lists["calibrated_loss"] = history.calibrated_loss
    found: dict[str, Any] = {name: [_plain(value) for value in values] for name, values in lists.items()}
    return found | {"best_epoch": history.best_epoch, "stopped": history.stopped}


def _checked_history(found: Any, where: str) -> History:
    calibrated = ("calibrated_loss",) if isinstance(found, dict) and "calibrated_loss" in found else ()
    check_keys(found, {*_LISTS, *calibrated, "best_epoch", "stopped"}, where)
    lists: dict[str, Any] = {}
    for name in (*_LISTS, *calibrated):
        if not isinstance(found[name], list):
            raise ValueError(f"{where}.{name} must be a list of numbers, got {found[name]!r:.60}")
        lists[name] = [_number(value, f"{where}.{name}") for value in found[name]]
    best, stopped = found["best_epoch"], found["stopped"]
    if not isinstance(stopped, str) or not (best is None or type(best) is int):
        raise ValueError(f"{where} must have a whole best_epoch or null, and a text stopped")
    return History(**lists, best_epoch=best, stopped=stopped)


def _plain(value: float) -> float | str:
    """Return a number as JSON can hold it: what is not finite is a text."""
    return float(value) if math.isfinite(value) else repr(float(value))


def _number(value: Any, where: str) -> float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if type(value) not in (int, float):
        raise ValueError(f"{where} must hold numbers, got {value!r:.60}")
    return float(value)


def _list_of(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
