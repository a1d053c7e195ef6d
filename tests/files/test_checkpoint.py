"""A training that is saved, loaded and gone on with is bit for bit the one that was never interrupted."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import bits, data

import fastnet as fn
from fastnet import files
from fastnet.files import container

OPTIMIZERS: dict[str, Any] = {
    "sgd": fn.SGD(0.2),
    "momentum": fn.SGD(0.1, momentum=0.9),
    "nesterov": fn.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": fn.Adam(0.01),
    "adamw": fn.AdamW(0.01, weight_decay=0.1),
    "rmsprop": fn.RMSProp(0.005),
    "rmsprop with momentum": fn.RMSProp(0.005, momentum=0.5),
}
SCHEDULES: dict[str, Any] = {
    "none": None,
    "adaptive": "adaptive",
    "inverse": fn.schedules.InverseScaling(power=0.7),
    "step": fn.schedules.Step(every=3, factor=0.5),
}


def trainer(dtype: str = "float64", **settings: Any) -> fn.Trainer:
    layers = [fn.Layer(4, 8, "tanh", dropout=0.25), fn.Layer(8, 1)]
    net = fn.Network(layers, seed=3, dtype=dtype)
    net.preprocessing = fn.Standardize([0.0, 1.0, 0.0, -1.0], [1.0, 2.0, 0.5, 1.0])
    net.classes = ["no", "yes"]
    return fn.Trainer(net, **({"batch_size": 7, "seed": 5, "l2": 1e-3, "clip_norm": 2.0} | settings))


def through_a_file(saved: fn.Trainer, kind: str = "safetensors", **how: Any) -> fn.Trainer:
    file = io.BytesIO()
    fn.save(saved, file, checkpoint=True, kind=kind)
    file.seek(0)
    return fn.load_checkpoint(file, **how)


def same_state(one: fn.Trainer, two: fn.Trainer) -> bool:
    ours, theirs = one.state_dict(), two.state_dict()
    return ours.keys() == theirs.keys() and all(
        np.array_equal(ours[name], theirs[name]) and ours[name].dtype == theirs[name].dtype for name in ours
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_50_epochs_are_20_and_30(optimizer: str, kind: str, dtype: np.dtype[Any]) -> None:
    X, T = data(4, 1, 40, str(dtype))
    whole = trainer(str(dtype), optimizer=OPTIMIZERS[optimizer])
    losses = whole.fit(X, T, epochs=50, progress=False).loss
    first = trainer(str(dtype), optimizer=OPTIMIZERS[optimizer])
    begun = first.fit(X, T, epochs=20, progress=False).loss
    second = through_a_file(first, kind)
    assert second.network is not first.network
    assert same_state(first, second)
    assert begun + second.fit(X, T, epochs=30, progress=False).loss == losses
    assert bits(second.network) == bits(whole.network)
    assert same_state(second, whole)
    assert second.network.classes == ("no", "yes")


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("loss", [None, fn.losses.Huber(0.5)])
def test_schedules_and_losses_go_on(schedule: str, loss: Any) -> None:
    X, T = data(4, 1, 40, "float64")
    settings = {"optimizer": "adam", "schedule": SCHEDULES[schedule], "loss": loss}
    whole, first = trainer(**settings), trainer(**settings)
    for _ in range(12):
        whole.fit_one_epoch(X, T)
    for _ in range(5):
        first.fit_one_epoch(X, T)
    second = through_a_file(first)
    for _ in range(7):
        second.fit_one_epoch(X, T)
    assert bits(second.network) == bits(whole.network)
    assert same_state(second, whole)


def test_one_that_has_not_begun() -> None:
    X, T = data(4, 1, 40, "float64")
    first = trainer(optimizer="adam")
    second = through_a_file(first)
    assert first.fit(X, T, epochs=5, progress=False).loss == second.fit(X, T, epochs=5, progress=False).loss


def test_the_best_epoch_and_the_last_both_survive() -> None:
    X, T = data(4, 1, 60, "float64")
    held = data(4, 1, 30, "float64", seed=9)
    settings: dict[str, Any] = {"validation": held, "early_stopping": True, "patience": 3, "progress": False}
    first = trainer(optimizer=fn.Adam(0.05))
    first.fit(X, T, epochs=60, **settings)
    second = through_a_file(first)
    assert same_state(first, second)
    assert int(first.state_dict()["restored"]) == 1  # network and trainer have different weights
    assert bits(first.network) == bits(second.network)
    assert first.fit(X, T, epochs=9, progress=False).loss == second.fit(X, T, epochs=9, progress=False).loss


def test_a_callback_saves_what_is_trained_so_far(tmp_path: Path) -> None:
    X, T = data(4, 1, 40, "float64")
    path = tmp_path / "training.safetensors"

    def save(running: fn.Trainer) -> None:
        if running.epochs_done == 20:
            fn.save(running, path, checkpoint=True)

    whole = trainer(optimizer="adam")
    losses = whole.fit(X, T, epochs=50, callbacks=[save], progress=False).loss
    second = fn.load_checkpoint(path)
    twenty = trainer(optimizer="adam")
    twenty.fit(X, T, epochs=20, progress=False)
    assert bits(fn.load(path)) == bits(second.network) == bits(twenty.network)
    assert second.fit(X, T, epochs=30, progress=False).loss == losses[20:]


def test_lbfgs() -> None:
    X, T = data(4, 1, 40, "float64")
    pytest.importorskip("scipy")
    net = fn.Network([fn.Layer(4, 3), fn.Layer(3, 1)])
    first = fn.Trainer(net, optimizer=fn.LBFGS(max_iter=5))
    first.fit(X, T, progress=False)
    assert same_state(first, through_a_file(first))


def test_a_file_of_a_training_is_a_model_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    X, T = data(4, 1, 40, "float64")
    first, path = trainer(optimizer="adam"), tmp_path / "training.safetensors"
    first.fit(X, T, epochs=4, progress=False)
    fn.save(first, path, checkpoint=True)
    assert bits(fn.load(path)) == bits(first.network)
    with_state = path.stat().st_size
    fn.save(first, path)
    assert path.stat().st_size < with_state / 2
    with pytest.raises(fn.FormatError, match="there is no training in this file: use load"):
        fn.load_checkpoint(path)
    with pytest.raises(TypeError, match="model must be a Trainer for a checkpoint, got a Network"):
        fn.save(first.network, path, checkpoint=True)
    assert "checkpoint" not in files.info(path)["description"]
    fn.save(first, path, checkpoint=True)
    from fastnet import cli

    assert cli.main(["info", str(path)]) == 0
    assert "can go on after 4 epochs" in capsys.readouterr().out


def test_a_trainer_that_differs_is_told_how() -> None:
    saved = trainer(optimizer="adam")
    other = trainer("float32", optimizer=fn.SGD(momentum=0.9), seed=6)
    before = bits(other.network)
    with pytest.raises(ValueError, match="state must fit the trainer") as error:
        through_a_file(saved, trainer=other)
    for name in ("dtype", "optimizer.name", "seed"):
        assert name in str(error.value)
    assert bits(other.network) == before


class Mine(fn.schedules.Schedule):
    def rates(self, learning_rate: float, at: Any) -> float:
        return learning_rate / (1 + at.epoch)


def test_a_schedule_of_ones_own_needs_a_trainer() -> None:
    X, T = data(4, 1, 40, "float64")
    first, whole = trainer(schedule=Mine()), trainer(schedule=Mine())
    first.fit(X, T, epochs=3, progress=False)
    with pytest.raises(fn.FormatError, match=r"<BytesIO>: .*'Mine' is none of"):
        through_a_file(first)
    second = through_a_file(first, trainer=trainer(schedule=Mine()))
    whole.fit(X, T, epochs=3, progress=False)
    assert whole.fit(X, T, epochs=3, progress=False).loss == second.fit(X, T, epochs=3, progress=False).loss


def test_damaged_states_load_as_they_are_or_raise_our_error() -> None:
    X, T = data(4, 1, 20, "float32")
    first = trainer("float32", optimizer="adam")
    first.fit(X, T, epochs=2, progress=False)
    file = io.BytesIO()
    fn.save(first, file, checkpoint=True)
    content, rng = file.getvalue(), np.random.default_rng(2)
    length = int.from_bytes(content[:8], "little")
    header, values = json.loads(content[8 : 8 + length]), content[8 + length :]
    header["__metadata__"] = {"fastnet": header["__metadata__"]["fastnet"]}  # nothing but the checks is left
    start, stop = header["trainer.config"]["data_offsets"]
    resumed = 0
    for number in range(1500):
        changed, entries = bytearray(values), json.loads(json.dumps(header))
        names = [name for name in entries if name != "__metadata__"]
        kind = number % 3
        if kind == 0:  # the configuration
            place = rng.integers(start, stop)
            changed[place] = int(
                rng.choice([48 + rng.integers(10), rng.integers(128), 0x22, 0x7B, 0x5D, 0x2C])
            )
        elif kind == 1:  # a number, or a bit of a weight
            place = rng.integers(len(values))
            changed[place] ^= 1 << rng.integers(8)
        else:  # names, shapes, dtypes
            one, two = rng.choice(names, 2)
            choice = rng.integers(4)
            if choice == 0:
                entries[one + "x"] = entries.pop(one)
            elif choice == 1 and one != two:
                entries[one], entries[two] = entries[two], entries[one]
            elif choice == 2:
                entries[one]["shape"] = [1, *entries[one]["shape"]]
            else:
                entries[one]["dtype"] = str(rng.choice(["F32", "I32", "I64", "U64", "F64"]))
        text = json.dumps(entries).encode()
        damaged = io.BytesIO(len(text).to_bytes(8, "little") + text + changed)
        try:
            second = fn.load_checkpoint(damaged)
        except fn.FormatError:
            continue
        resumed += 1
        state = second.state_dict()
        assert all(np.isfinite(state[name]).all() for name in state if name.endswith((".W", ".b")))
    assert 50 < resumed < 750


def test_a_state_cannot_make_the_reader_work_for_hours() -> None:
    first = trainer()
    file = io.BytesIO()
    fn.save(first, file, checkpoint=True)
    tensors, metadata = {}, ""
    header = container.read_header(io.BytesIO(file.getvalue()), len(file.getvalue()), "")
    file.seek(header.data)
    tensors, _ = container.read_tensors(file, header, "")
    metadata = header.metadata["fastnet"]
    doubled = tensors | {"trainer.weights.0.W": tensors["layers.0.weight"]}
    file = io.BytesIO()
    container.write_safetensors(file, doubled, {"fastnet": metadata})
    file.seek(0)
    with pytest.raises(
        fn.FormatError, match=r"'trainer.weights.0.W' must not be there besides 'layers.0.weight'"
    ):
        fn.load_checkpoint(file)
    for config in (b"[" * 10**6, b"[" + b"[]," * 10**6, b"\xff", b"[]", b'{"a": NaN}', b""):
        tensors["trainer.config"] = np.frombuffer(config, np.uint8)
        bad = io.BytesIO()
        container.write_safetensors(bad, tensors, {"fastnet": metadata})
        bad.seek(0)
        with pytest.raises(fn.FormatError, match="<BytesIO>: "):
            fn.load_checkpoint(bad)


class Watching(fn.schedules.Schedule):
    """A schedule of one's own that keeps what JSON cannot hold."""

    def __init__(self) -> None:
        self.best, self.worst, self.name = float("inf"), float("nan"), "\ud800"
        self.limits = {"low": float("-inf"), 3: [float("nan"), (1.5, None)]}

    def rates(self, learning_rate: float, at: Any) -> float:
        return learning_rate


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_settings_that_json_cannot_hold_are_read_back(kind: str) -> None:
    first = trainer(schedule=Watching())
    second = through_a_file(first, kind, trainer=trainer(schedule=Watching()))
    assert same_state(first, second)


def test_settings_too_large_to_be_read_are_not_written() -> None:
    schedule = Watching()
    schedule.limits = {str(k): [k] for k in range(100_000)}
    with pytest.raises(ValueError, match="a schedule of your own has a setting that a file cannot hold"):
        fn.save(trainer(schedule=schedule), io.BytesIO(), checkpoint=True)
