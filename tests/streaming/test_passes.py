"""Fits on streams and on maps of other dtypes: the shuffle, the bits, what an error leaves."""

from __future__ import annotations

import _thread
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streams import SMALL, WIDTH, N, check_nothing_is_lost, network, same_fits, weights

import fastnet as fn
from fastnet import _examples
from fastnet.streaming import passes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_window_has_the_bits_of_a_fit_in_memory(rows: Any, files: Any, dtype: str) -> None:
    X, T = (array.astype(dtype) for array in rows)
    same_fits((X.T, T.T), (fn.stream(*files),), dtype=dtype, schedule="one_cycle", dropout=0.2)


def test_weights_of_examples_go_with_their_rows(rows: Any) -> None:
    X, T = (array.astype("float32") for array in rows)
    w = np.random.default_rng(1).random(N)
    for shuffle, memory in ((True, "1GB"), (False, SMALL)):
        same_fits((X.T, T.T), (fn.stream(X, T, memory=memory),), sample_weight=w, shuffle=shuffle)


def test_class_labels(rows: Any) -> None:
    labels = rows[0][:, 0].astype("uint8")
    X, options = rows[0].astype("float32"), {"n_out": 9, "last": "softmax"}
    same_fits((X.T, labels), (fn.stream(X, labels),), **options)
    same_fits((X.T, labels), (fn.stream(X, labels, memory=SMALL),), shuffle=False, **options)


def test_validation_and_early_stopping(rows: Any) -> None:
    X, T = (array.astype("float32") for array in rows)
    options = {"validation": (X.T[:, :500], T.T[:, :500]), "early_stopping": True, "metrics": ["accuracy"]}
    net = network()
    history = net.fit(fn.stream(X, T), epochs=4, **options)
    assert list(history.metrics) == ["validation_accuracy"]
    same_fits((X.T, T.T), (fn.stream(X, T),), **options)


@pytest.mark.parametrize("dtype", ["uint8", "float64", ">f4"])
def test_maps_of_other_dtypes_are_converted_in_pieces(
    rows: Any, tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_examples, "CONVERTED_ROWS", 300)
    monkeypatch.setattr(passes, "PREDICTED_ROWS", 300)
    np.save(tmp_path / "X.npy", rows[0].astype(dtype))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    X, T = (array.astype("float32").T for array in rows)
    w = np.random.default_rng(1).random(N)
    same_fits((X, T), (mapped.T, T), sample_weight=w, schedule="one_cycle")
    same_fits((X, T), (mapped.T, T), shuffle=False, validation=(X[:, :9], T[:, :9]))
    net = network()
    assert np.array_equal(net.predict_proba(mapped.T), net.predict_proba(X))
    same_fits((X, T), (mapped.T, T), metrics=["accuracy"], validation_fraction=0.1)


def test_a_map_of_another_dtype_takes_little_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.ones((200_000, 40), "uint8"))  # 32 MB in float32
    mapped, T = np.load(tmp_path / "X.npy", mmap_mode="r"), np.ones((1, 200_000), "float32")
    net = fn.Network([fn.Layer(40, 1)], dtype="float32")
    tracemalloc.start()
    net.fit(mapped.T, T, epochs=1)
    net.predict_proba(mapped.T)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def visited(stream: Any, batch: int, epoch: int) -> tuple[list[int], list[int]]:
    """Return the rows of an epoch in the order in which they are trained on, and the lengths of pieces."""
    data, _ = passes.streamed_examples(stream, None, None, "bce", 1, 1, np.dtype("float64"), whole=False)
    found, lengths = [], []
    for piece in data.pieces(batch, epoch, 7):
        found += piece.X[0, piece.order].astype(int).tolist()
        assert np.array_equal(piece.T[0, piece.order], piece.X[0, piece.order] % 2)
        lengths.append(piece.n)
    return found, lengths


@pytest.mark.parametrize("batch", [1, 10, 64])
def test_every_row_is_visited_once_and_batches_are_whole(batch: int) -> None:
    X = np.arange(10_007.0)[:, None]
    stream = fn.stream(X, X % 2, memory="40kB")
    first, lengths = visited(stream, batch, 0)
    again, _ = visited(fn.stream(X, X % 2, memory="40kB"), batch, 0)
    other, _ = visited(stream, batch, 1)
    assert sorted(first) == sorted(other) == list(range(10_007))
    assert first == again != other
    assert len(lengths) > 5
    assert all(length % batch == 0 for length in lengths[:-1])
    if batch == 64:
        return  # little memory is left for a window
    window = np.asarray(first[: lengths[0]])
    assert np.abs(np.diff(window)).mean() > 2000  # from all over the source
    assert abs(window.mean() - 5000) < 1000


def test_sorted_rows_teach_as_well_as_shuffled_ones() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40_000, WIDTH)).astype("float32")
    p = 1 / (1 + np.exp(-(X[:, 0] + X[:, 1] * X[:, 2])))
    T = (rng.random(40_000) < p).astype("float32")[:, None]
    test, order = slice(30_000, None), np.argsort(T[:30_000, 0], kind="stable")
    losses = []
    for memory in ("1GB", "200kB"):
        net = network()
        data = fn.stream(X[order], T[order], memory=memory)
        net.fit(data, epochs=3, optimizer=fn.Adam(0.005), batch_size=100)
        losses.append(net.loss(X[test].T, T[test].T))
    assert losses[1] < losses[0] + 0.01


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_named_by_its_row(rows: Any, value: float) -> None:
    X, T = rows[0].copy(), rows[1]
    X[4001, 5] = value
    net = network()
    before = weights(net)
    for memory in (SMALL, "1GB"):
        with pytest.raises(ValueError, match=rf"X must be finite, got {value} in row 4001, column 5"):
            net.fit(fn.stream(X, T, memory=memory), epochs=2)
        with pytest.raises(ValueError, match=rf"X must be finite, got {value} in row 4001, column 5"):
            net.predict_proba(fn.stream(X, memory=memory))
    check_nothing_is_lost(net, before)


def test_a_wrong_target_is_named_by_its_rows(rows: Any) -> None:
    X, T = rows[0], rows[1].copy()
    T[4001] = 3
    net = network()
    for memory in (SMALL, "1GB"):
        with pytest.raises(ValueError, match=r"rows \d+ to \d+: T must hold targets in \[0, 1\]") as caught:
            net.fit(fn.stream(X, T, memory=memory), epochs=2)
        first, last = (int(word) for word in str(caught.value).split(":")[0].split() if word.isdigit())
        assert first <= 4001 <= last


def test_a_map_of_another_dtype_names_the_row(rows: Any, tmp_path: Path) -> None:
    X = rows[0].copy()
    X[4001, 5] = np.nan
    np.save(tmp_path / "X.npy", X)
    mapped, net = np.load(tmp_path / "X.npy", mmap_mode="r"), network()
    with pytest.raises(ValueError, match=r"X must be finite, got nan at \[5, 4001\]"):
        net.fit(mapped.T, rows[1].T.astype("float32"))


@pytest.mark.usefixtures("no_garbage_collector")
def test_an_interrupt_in_a_pass_keeps_the_weights_of_whole_batches(
    rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, net = fn.stream(*rows, memory=SMALL), network()
    before, reads = weights(net), 0
    source, _ = stream.rows()
    opened = source.open

    @contextmanager
    def interrupting() -> Any:
        with opened() as read:

            def reading(start: int, out: Any) -> None:
                nonlocal reads
                reads += 1
                if reads == 900:
                    _thread.interrupt_main()
                read(start, out)

            yield reading

    monkeypatch.setattr(source, "open", interrupting)
    with pytest.warns(UserWarning, match="fit interrupted"):
        history = net.fit(stream, epochs=10**6, batch_size=50)
    assert history.stopped.startswith("interrupted after")
    assert weights(net) != before
    check_nothing_is_lost(net, weights(net))
    assert len(net.fit(stream, epochs=2, batch_size=50).loss) == 2  # it can go on
