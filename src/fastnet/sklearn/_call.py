"""What one call of fit brings along: the validation set, the callbacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastnet.sklearn import _layout


@dataclass
class Call:
    """The arguments of a call of fit that scikit-learn's own code does not carry to where they are needed."""

    solver: str
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None
    report: Report | None = None
    incremental: bool = False


@dataclass
class Report:
    """Tells scikit-learn's callbacks (from 1.9 on) of the fit and of each epoch."""

    est: Any
    data: dict[str, Any]
    root: Any = None
    task: Any = None
    name: str = "epoch"

    @classmethod
    def of(cls, est: Any, X: Any, y: Any, sample_weight: Any) -> Report:
        """Begin the fit; its callbacks see the data as it was given."""
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        report = cls(est, {"estimator": est, "X": X, "y": y, "metadata": metadata})
        if est.solver == "lbfgs":
            report.name = "iteration"
        report.root = est._init_callback_context(max_subtasks=est.max_iter + 1)
        report.root.call_on_fit_task_begin(**report.data)
        return report

    def begin(self) -> None:
        """Begin an epoch."""
        self.task = self.root.subcontext(task_name=self.name)
        self.task.call_on_fit_task_begin(**self.data)

    def end(self, weights: Any) -> bool:
        """End an epoch, given a function that returns coefs_ and intercepts_; whether to stop."""

        def attributes() -> dict[str, Any]:
            coefs, intercepts = weights()
            curve = list(getattr(self.est, "loss_curve_", []))
            return {
                "coefs_": coefs,
                "intercepts_": intercepts,
                "loss_curve_": curve,
                "solver": self.est._call.solver,
            }

        task, self.task = self.task, None
        return bool(task.call_on_fit_task_end(**self.data, reconstruction_attributes=attributes))

    def close(self) -> None:
        """End an epoch that was begun and never ran."""
        if self.task is not None:
            self.task.call_on_fit_task_end(estimator=self.est)
            self.task = None

    def finish(self) -> None:
        """End the fit."""
        self.root.call_on_fit_task_end(**self.data, reconstruction_attributes=dict)


@dataclass
class Held:
    """Examples held out: scored, and their loss taken, after each epoch."""

    X: Any
    y: Any  # as the network has it: (n, n_outputs)
    weights: Any
    dtype: np.dtype[Any]
    T: Any = field(init=False)

    def __post_init__(self) -> None:
        self.X = _layout.dense_if_small(self.X, self.dtype)
        self.T = np.ascontiguousarray(self.y, self.dtype).T
        if self.weights is not None:
            self.weights = np.ascontiguousarray(self.weights, self.dtype)

    def outputs(self, trainer: Any) -> _layout.Array:
        """Return the output of the network, (n_outputs, n)."""
        parts = [trainer.predict(X) for _, X in _layout.blocks(self.X, self.dtype)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def loss(self, trainer: Any) -> float:
        """Return the weighted mean of the loss, without the penalty."""
        total = 0.0
        for rows, X in _layout.blocks(self.X, self.dtype):
            w = None if self.weights is None else self.weights[rows]
            total += trainer.loss(X, self.T[:, rows], w)
        return total / (
            self.T.shape[1] if self.weights is None else float(self.weights.sum(dtype=np.float64))
        )


def held_from_call(est: Any, call: Call, dtype: np.dtype[Any]) -> Held | None:
    """Return the validation set that fit was given, checked; None if there is none."""
    if call.X_val is None and call.y_val is None:
        if call.sample_weight_val is not None:
            raise ValueError("sample_weight_val: expected X_val and y_val with it, got neither")
        return None
    if call.X_val is None or call.y_val is None:
        given, missing = ("y_val", "X_val") if call.X_val is None else ("X_val", "y_val")
        raise ValueError(f"{missing}: expected it together with {given}, got None")
    X, y = validate_data(
        est,
        call.X_val,
        call.y_val,
        accept_sparse=["csr", "csc"],
        multi_output=True,
        y_numeric=not hasattr(est, "_label_binarizer"),
        dtype=(np.float64, np.float32),
        reset=False,
    )
    weights = call.sample_weight_val
    if weights is not None:
        weights = _check_sample_weight(weights, X)
    if hasattr(est, "_label_binarizer"):
        unseen = np.setdiff1d(y, est.classes_)
        if y.ndim == 1 and len(unseen):
            raise ValueError(f"y_val: expected classes of y, {est.classes_}, got {unseen} too")
        y = est._label_binarizer.transform(y)
    y = y.reshape(X.shape[0], -1)
    if y.shape[1] != est.n_outputs_:
        raise ValueError(f"y_val: expected {est.n_outputs_} outputs, as y has, got {y.shape[1]}")
    if est.class_weight is not None:
        weights = class_weights(est, y, weights)
    return Held(X, y, weights, dtype)


def class_weights(est: Any, y: Any, sample_weight: Any) -> Any:
    """Return the weights of the examples times those of their classes, y as the network has it."""
    labels = est._label_binarizer.inverse_transform(np.asarray(y, dtype=np.float64))
    weights = compute_sample_weight(est.class_weight, labels)
    return weights if sample_weight is None else weights * sample_weight
