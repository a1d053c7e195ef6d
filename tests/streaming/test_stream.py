"""The arguments of `fastnet.stream`, and its statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streams import WIDTH, N, blocks, check_nothing_is_lost, network, weights

import fastnet as fn


def test_statistics_are_the_same_however_the_rows_come(rows: Any, files: Any) -> None:
    X = np.random.default_rng(0).normal(5.0, 3.0, (N, WIDTH))
    X[:, 2] = 4.0
    labels = rows[1][:, 0].astype(int)
    found = [
        fn.stream(source, targets).statistics()
        for source, targets in ((X, labels), (blocks(X, labels, 7), None), (blocks(X, labels, 4000), None))
    ]
    first = found[0]
    for other in found[1:]:
        assert other.standardize.mean.tobytes() == first.standardize.mean.tobytes()
        assert other.standardize.scale.tobytes() == first.standardize.scale.tobytes()
        assert other.labels == first.labels
    assert first.n_rows == N
    assert first.labels == {0: (labels == 0).sum(), 1: (labels == 1).sum()}
    expected = fn.Standardize.of(X.T)
    np.testing.assert_allclose(first.standardize.mean, expected.mean, rtol=1e-13)
    np.testing.assert_allclose(first.standardize.scale, expected.scale, rtol=1e-12)
    assert fn.stream(X, X[:, :1]).statistics().labels is None
    X[4321, 3] = np.inf
    with pytest.raises(ValueError, match=r"X must be finite, got inf in row 4321, column 3"):
        fn.stream(X, labels).statistics()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda X, T: fn.stream(X[:, :4], T),
            "source must have 6 numbers in each row, .* got 4",
        ),
        (lambda X, T: fn.stream(X), "targets must be given to fn.stream for a fit, got none"),
        (lambda X, T: fn.stream(X, X[:, :2]), "targets must have 1 numbers in each row, got 2"),
        (lambda X, T: fn.stream(X, T[:9]), "targets must be 5000, one for each row of source, got 9"),
        (lambda X, T: fn.stream(X, T, memory="1kB"), "memory must be at least .* bytes for batches of 200"),
        (lambda X, T: fn.stream(X, T, memory="much"), "memory must be a number of bytes or a text such as"),
        (lambda X, T: fn.stream(X[:0], T[:0]), "source must have at least one row, got none"),
        (lambda X, T: fn.stream(iter([])), "source must give at least one row, got none"),
        (lambda X, T: fn.stream(iter([(X, T[:8])])), "source must give as many rows of X as of T"),
        (lambda X, T: fn.stream(iter([(X, T), X])), "source must give .X, T. in each block or in none"),
        (
            lambda X, T: fn.stream(iter([(X, T), (X[:, :2], T)])),
            "source must give X with rows .6,. of",
        ),
        (lambda X, T: fn.stream(X[:, 0], T), "source must have an example in each row"),
        (lambda X, T: fn.stream(X.astype("c16"), T), "source must hold real numbers, got dtype complex128"),
        (lambda X, T: fn.stream(7, T), "source must be a .npy or .parquet file, an array, or an iterable"),
        (lambda X, T: fn.stream(iter([X]), T), "targets must come with X, as .X, T., from an iterable"),
        (lambda X, T: fn.stream(__file__, T), "source must be a .npy file, got "),
    ],
)
def test_bad_arguments(rows: Any, make: Any, message: str) -> None:
    net = network()
    before = weights(net)
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit(make(*rows), epochs=1)
    check_nothing_is_lost(net, before)


def test_what_a_stream_cannot_do(rows: Any, tmp_path: Path) -> None:
    net, stream = network(), fn.stream(*rows)
    for options, message in (
        ({"validation_fraction": 0.1}, "validation_fraction must not be given with a stream"),
        ({"class_weight": "balanced"}, "class_weight must not be given with a stream"),
        ({"metrics": ["accuracy"]}, "a stream must be trained on without LBFGS, and without metrics"),
        ({"optimizer": "lbfgs"}, "a stream must be trained on without LBFGS"),
    ):
        with pytest.raises(ValueError, match=message):
            net.fit(stream, **options)
    with pytest.raises(TypeError, match="T must be left out with a stream"):
        net.fit(stream, rows[1].T)
    with pytest.raises(ValueError, match="T must hold real numbers, got None"):
        net.fit(rows[0].T.astype("float32"))
    np.save(tmp_path / "F.npy", np.asfortranarray(rows[0]))
    with pytest.raises(ValueError, match="source must be in C order, an example in each row, got Fortran"):
        fn.stream(tmp_path / "F.npy")
    with pytest.raises(ValueError, match="source must have 6 numbers in each row, as the network, got 1"):
        net.predict_proba(fn.stream(rows[1]))
    assert repr(fn.stream(iter([]))) == "Stream of blocks, 64,000,000 bytes of memory"
    assert repr(fn.stream(*rows, memory="1kiB")) == "Stream of 5,000 rows of 6 float64, 1,024 bytes of memory"
