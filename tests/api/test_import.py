"""`import fastnet` loads nothing beyond NumPy and the standard library, and every public name is there."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from typing import Any

import pytest

import fastnet as fn

SHOW_NEW_MODULES = """
import json, sys
import numpy
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def new_modules(statement: str) -> list[str]:
    """Return the modules that a statement loads in a fresh interpreter which has NumPy already."""
    program = SHOW_NEW_MODULES.format(statement=statement)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return list(json.loads(ran.stdout))


def test_importing_loads_nothing_else() -> None:
    loaded = new_modules("import fastnet")
    roots = {name.split(".")[0] for name in loaded}
    assert "fastnet" in roots
    made_by_cython = {root for root in roots if root.startswith(("cython_runtime", "_cython_"))}  # not files
    assert roots - {"fastnet", "numpy"} - made_by_cython <= set(sys.stdlib_module_names)
    assert not roots & {"sklearn", "scipy", "matplotlib", "tqdm", "rich", "argparse", "gzip", "json"}
    assert "numpy.random" not in loaded  # NumPy loads it when asked to; it takes as long as fastnet
    lazy_ones = ("reference", "demo", "cli", "data", "plot", "files", "exchange", "onnx", "c_export")
    for lazy in (f"fastnet.{name}" for name in lazy_ones):
        assert lazy not in loaded


MODULES = ["cli", "plot", "demo", "reference", "files", "exchange", "onnx", "c_export"]
OPTIONAL = {"sklearn", "scipy", "matplotlib", "tqdm", "rich", "torch", "onnx", "safetensors", "joblib"}


@pytest.mark.parametrize("module", MODULES)
def test_optional_packages_wait_until_they_are_needed(module: str) -> None:
    roots = {name.split(".")[0] for name in new_modules(f"import fastnet.{module}")}
    assert not roots & OPTIONAL


def test_every_public_name_is_there() -> None:
    assert set(fn.__all__) <= set(dir(fn))
    for name in fn.__all__:
        assert getattr(fn, name) is not None
    assert fn.reference.Network is not fn.Network
    assert "fastnet.reference" in new_modules("import fastnet; fastnet.reference.Network")
    with pytest.raises(AttributeError, match="no attribute 'referense'"):
        fn.referense  # noqa: B018


def parameters(of: Any) -> list[tuple[str, Any, Any]]:
    found = inspect.signature(of).parameters.values()
    none = ("learning_rate", "progress", "T")  # None in one of the two, which takes it for what it has
    return [(p.name, p.kind, None if p.name in none else p.default) for p in found]


def test_the_reference_has_the_same_names_and_signatures() -> None:
    """Parameters of both are the same in the same order; the reference may lack some, at the end."""
    functions = ["dense_forward", "dense_backward", "exp", "sigmoid", "bce_loss", "bce_backward"]
    functions += [
        name for name in ("activate", "activation_backward", "loss", "loss_backward") if name in dir(fn)
    ]
    methods = [("Layer", "forward"), ("Layer", "backward")]
    methods += [("Network", name) for name in ("forward", "predict_proba", "loss", "gradients", "fit")]
    pairs = [(getattr(fn, name), getattr(fn.reference, name)) for name in ["Layer", "Network", *functions]]
    pairs += [
        tuple(getattr(getattr(package, owner), name) for package in (fn, fn.reference))
        for owner, name in methods
    ]
    for ours, theirs in pairs:
        names = {name for name, _, _ in parameters(ours)}
        shared = [parameter for parameter in parameters(theirs) if parameter[0] in names]
        assert parameters(ours)[: len(shared)] == shared, ours


def test_dir_shows_the_public_names_alone() -> None:
    assert {name for name in dir(fn) if not name.startswith("__")} <= set(fn.__all__)
