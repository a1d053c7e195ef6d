"""What the rest of the package has for each row of names.h: a missing place is named here."""

import re
from pathlib import Path

import numpy as np
import pytest

import fastnet as fn
from fastnet import _examples, _validate, exchange, losses, onnx, optimizers, reference
from fastnet._core import engine
from fastnet.c_export import _templates
from fastnet.reference import activations as reference_activations
from fastnet.reference import losses as reference_losses
from fastnet.reference import optimizers as reference_optimizers

SOURCES = Path(_validate.__file__).parent
# (quantile: also the parameter of the estimators of dask, and the best constant in training/advice.py.)
# Files under src/fastnet that hold a name in quotes or as an identifier of the core. Only ever lower these.
CEILINGS = {"gelu": 13, "rmsprop": 13, "quantile": 15}
TABLES = {"tabular", "tables.py", "train.py"}  # where quantiles are no loss


def test_activations() -> None:
    assert set(reference_activations.ACTIVATIONS) == set(engine.ACTIVATIONS), "reference/activations.py"
    assert set(reference_activations.OUTPUT_ONLY) == set(engine.OUTPUT_ONLY), "reference/activations.py"
    assert set(_validate.OUTPUT_ONLY) == set(engine.OUTPUT_ONLY), "_validate.py"


def test_activations_of_estimators() -> None:
    base = pytest.importorskip("fastnet.sklearn")._base
    names = {name for name in engine.ACTIVATIONS if name not in engine.OUTPUT_ONLY and name != "sigmoid"}
    assert set(base.HIDDEN) == names, "sklearn/_base.py: HIDDEN (its sigmoid is called logistic)"


def test_exports() -> None:
    """C and torch have each activation, or it is named here as one that they have not."""
    elementwise = set(engine.ACTIVATIONS) - {"softmax", "identity"}
    assert elementwise <= set(_templates.FUNCTIONS), "c_export/_templates.py: FUNCTIONS"
    torch = {ours for ours, _ in exchange._TORCH.values()} | {"logistic"}
    assert torch == set(engine.ACTIVATIONS) - {"exp"}, "exchange.py: _TORCH, or the exception here"


@pytest.mark.parametrize("name", engine.ACTIVATIONS)
def test_onnx_can_be_written(name: str) -> None:
    pytest.importorskip("onnx")
    network = fn.Network([fn.Layer(2, 3, name)], seed=0)
    try:
        onnx.model(network)
    except Exception as error:
        pytest.fail(f"onnx/_network.py: _OPERATORS or _activated has no {name}: {error!r}")


@pytest.mark.parametrize("loss", engine.LOSSES)
def test_targets_are_held_to_their_kind(loss: str) -> None:
    """What a loss's row says of its targets is checked before a training."""
    kind, dtype = engine.LOSS_TARGETS[loss], np.dtype(np.float64)
    good = np.array([[0.25, 1.0], [0.75, 0.0]])
    assert _examples.check_targets(good, loss, 2, 2, dtype).tolist() == good.tolist()
    allowed = {"any": "-1 2 1/2", "unit interval": "1/2", "non-negative": "2 1/2", "distribution": ""}
    assert kind in allowed, f"_examples.py: targets does not check {kind!r}, the targets of {loss}"
    for text, value in (("-1", -1.0), ("2", 2.0), ("1/2", 0.5)):
        T = np.full((2, 2), value)
        T[1] = 0
        if text in allowed[kind].split():
            assert _examples.check_targets(T, loss, 2, 2, dtype).tolist() == T.tolist()
        else:
            with pytest.raises(ValueError, match="T must"):
                _examples.check_targets(T, loss, 2, 2, dtype)


def test_losses() -> None:
    assert set(reference_losses.LOSSES) == set(engine.LOSSES), "reference/losses.py"
    for name in engine.LOSSES:
        activation = engine.LOSS_ACTIVATION[name]
        assert losses.NEEDS.get(name) == activation, f"losses.py: NEEDS of {name}"
        if activation is not None:
            assert reference_losses.default_loss(activation) == name, f"reference/losses.py: {name}"
        assert f"\n{name} " in (losses.__doc__ or ""), f"the table in losses.py has no {name}"
        assert engine.LOSS_TARGETS[name] in engine.TARGETS


def test_optimizers() -> None:
    for name in engine.OPTIMIZERS:
        kind = optimizers.resolve(name)
        twin = reference_optimizers.BY_NAME.get(name)
        assert twin is not None, f"reference/optimizers.py: BY_NAME has no {name}"
        assert getattr(reference, type(kind).__name__, None) is twin, f"reference/__init__.py: {name}"
        assert getattr(fn, type(kind).__name__, None) is type(kind), f"fastnet/__init__.py: {name}"
        assert len(kind.moments) == engine.OPTIMIZER_MOMENTS[name], f"optimizers.py: moments of {name}"
        assert len(twin().moments) == engine.OPTIMIZER_MOMENTS[name], f"reference: moments of {name}"
        options = set(kind.core_options()) - {"optimizer", "momentum", "nesterov"}
        assert options >= set(engine.OPTIMIZER_PARAMETERS[name]) - {"momentum"}, f"core_options of {name}"
    assert len(optimizers.SGD(momentum=0.5).moments) == engine.OPTIMIZER_MOMENTS["momentum"]


@pytest.mark.parametrize("name", CEILINGS)
def test_so_many_files_name_it_at_most(name: str) -> None:
    """One more file is one more place to touch for the next activation, optimiser or loss."""
    suffixes = (".py", ".pxi", ".pyx", ".h")
    files = [
        p
        for p in SOURCES.rglob("*")
        if p.suffix in suffixes and re.search(rf"\b{name}\b", p.read_text(encoding="utf-8"))
    ]
    files = [p for p in files if not TABLES & set(p.parts)]
    assert len(files) <= CEILINGS[name], sorted(str(p.relative_to(SOURCES)) for p in files)
