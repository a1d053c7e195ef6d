"""The part held out for early stopping: the rows that scikit-learn's train_test_split draws."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.model_selection import train_test_split

from fastnet.sklearn import MLPClassifier, _validation_set


def forbidden(*_: object, **__: object) -> None:
    raise AssertionError("train_test_split was called")


@pytest.mark.parametrize("n", [10, 11, 57, 5001])
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.61])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_a_binary_split_is_scikit_learns(
    monkeypatch: pytest.MonkeyPatch, n: int, fraction: float, share: float
) -> None:
    """The same rows in the same order, and what is drawn next is the same: also where class counts tie."""
    labels = np.zeros((n, 1), bool)
    labels[: round(share * n)] = True
    np.random.default_rng(n).shuffle(labels)
    ours, theirs = np.random.RandomState(3), np.random.RandomState(3)
    X = np.arange(n, dtype=np.float64)[:, None]
    refused = None
    try:
        rows, out = train_test_split(
            np.arange(n), stratify=labels[:, 0], test_size=fraction, random_state=theirs
        )
    except ValueError as error:
        refused = str(error)
    else:
        monkeypatch.setattr(_validation_set, "train_test_split", forbidden)
    est = MLPClassifier(validation_fraction=fraction)
    est.n_outputs_, est._random_state = 1, ours

    def split() -> tuple[np.ndarray, _validation_set.ValidationSet]:
        return _validation_set.split_off(est, X, labels, None, np.dtype(np.float64), sparse=False)

    if refused is not None:
        with pytest.raises(ValueError, match=r"number of classes|only 1 member"):
            split()
        return
    if len(out) < 2:
        with pytest.raises(ValueError, match="validation set is too small"):
            split()
        return
    our_rows, held_out = split()
    assert our_rows.tolist() == rows.tolist()
    assert held_out.X[:, 0].tolist() == out.tolist()
    assert ours.randint(1 << 30) == theirs.randint(1 << 30)
