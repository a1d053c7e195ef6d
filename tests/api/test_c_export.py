"""The C file: compiles without a warning, and gives the bits of our fused builds."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bounds import forward_error

import fastnet as fn
from fastnet import c_export
from fastnet._core import cpu, engine
from fastnet.data import load_breast_cancer
from fastnet.selftest.golden import FUSED

CC = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
FLAGS = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
BUILDS = [isa for isa in fn.isa.compiled() if isa in cpu.supported() and isa in FUSED]

pytestmark = pytest.mark.skipif(CC is None or os.name != "posix", reason="needs a C compiler")


def library(folder: Path, networks: dict[str, fn.Network], *flags: str) -> ctypes.CDLL:
    """Compile networks, each with a function of its own name, to one library."""
    for name, net in networks.items():
        c_export.export(net, folder / f"{name}.c", name=name)
    files = [str(folder / f"{name}.c") for name in networks]
    command = [str(CC), *FLAGS, *flags, "-shared", "-fPIC", *files, "-o", str(folder / "nets.so"), "-lm"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ctypes.CDLL(str(folder / "nets.so"))


def call(function: Any, net: fn.Network, X: Any) -> Any:
    """Return the outputs (n_out, n) of a C function for examples X (n_in, n), one after the other."""
    R = np.ascontiguousarray(X.T)
    Y = np.full((len(R), net.sizes[-1]), np.nan, net.dtype)
    for x, y in zip(R, Y, strict=True):
        function(x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p))
    return Y.T


def ours(net: fn.Network, X: Any) -> Any:
    """Predict on a fused build where there is one."""
    with fn.isa.using(BUILDS[-1] if BUILDS else fn.isa.active()):
        return net.predict_proba(X)


def assert_same(net: fn.Network, C: Any, X: Any) -> None:
    P = ours(net, X)
    if BUILDS:
        assert np.array_equal(C, P)
    else:
        assert (abs(C - P) <= forward_error(net, X)).all()


def test_every_activation(tmp_path: Path) -> None:
    """Also where the compiler may make one operation of a product and a sum, which gnu17 lets gcc do."""
    networks, rng = {}, np.random.default_rng(0)
    for name in engine.ACTIVATIONS:
        hidden = "identity" if name in ("softmax", "exp") else name
        for dtype in engine.DTYPES:
            layers = [fn.Layer(5, 33, hidden), fn.Layer(33, 7, hidden), fn.Layer(7, 4, name)]
            networks[f"{name}_{dtype}"] = fn.Network(layers, seed=1, dtype=dtype)
    functions = library(tmp_path, networks, "-std=gnu17", "-march=native")
    for name, net in networks.items():
        X = (10 ** rng.uniform(-3, 1.5, (5, 400)) * rng.choice([-1, 1], (5, 400))).astype(net.dtype)
        assert_same(net, call(getattr(functions, name), net, X), X)


def test_the_whole_range_of_every_activation(tmp_path: Path) -> None:
    """One unit with the weight 1: what the function itself does, from denormal to huge."""
    networks = {
        f"{name}_{dtype}": fn.Network([fn.Layer(1, 1, name, W=[[1.0]], dtype=dtype)], dtype=dtype)
        for name in engine.ACTIVATIONS
        for dtype in engine.DTYPES
    }
    functions = library(tmp_path, networks)
    for name, net in networks.items():
        limits = np.finfo(net.dtype)
        z = np.concatenate(
            [np.geomspace(limits.smallest_subnormal * 4, 1e-3, 300), np.geomspace(1e-3, 1e3, 1500)]
        )
        z = np.concatenate([z, [0.0, -0.0, float(limits.max)]])
        X = np.concatenate([z, -z])[None].astype(net.dtype)
        if name.startswith("exp"):
            X = X[:, X[0] < 80]
        assert_same(net, call(getattr(functions, name), net, X), X)


def demo_network(dtype: str) -> tuple[fn.Network, Any]:
    """Return the network of `fastnet demo`, trained, and 1000 examples: those of its data, and near them."""
    X, T, _ = load_breast_cancer()
    X = ((X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)).astype(dtype)
    net = fn.Network([fn.Layer(30, 100), fn.Layer(100, 1)], dtype=dtype)
    net.fit(X, T.astype(dtype), epochs=100, batch_size=200, learning_rate=0.2)
    rng = np.random.default_rng(1)
    near = X[:, rng.integers(X.shape[1], size=431)] + rng.normal(0, 0.1, (30, 431))
    return net, np.hstack([X, near.astype(dtype)])


@pytest.mark.parametrize("flags", [(), ("-O3", "-march=native"), ("-O0",)], ids=" ".join)
def test_the_network_of_the_demo(flags: tuple[str, ...], tmp_path: Path) -> None:
    """Promised are 2 ULP for each of its 2 layers; on fused builds there is no difference at all."""
    pairs = {dtype: demo_network(dtype) for dtype in ("float32", "float64")}
    functions = library(tmp_path, {f"predict_{dtype}": net for dtype, (net, _) in pairs.items()}, *flags)
    for dtype, (net, X) in pairs.items():
        assert X.shape == (30, 1000)
        C = call(getattr(functions, f"predict_{dtype}"), net, X)
        assert_same(net, C, X)
        if BUILDS:
            P = ours(net, X)
            assert (abs(C - P) <= 2 * len(net.layers) * np.spacing(P)).all()


def test_raw_rows_are_standardised(tmp_path: Path) -> None:
    rng, networks = np.random.default_rng(2), {}
    for dtype in engine.DTYPES:
        net = fn.Network([fn.Layer(6, 9), fn.Layer(9, 2)], dtype=dtype)
        net.preprocessing = fn.Standardize(rng.normal(size=6), 10 ** rng.uniform(-2, 2, 6))
        networks[f"net_{dtype}"] = net
    functions = library(tmp_path, networks)
    for name, net in networks.items():
        X = (100 * rng.normal(size=(6, 200))).astype(net.dtype)
        plain = fn.Network([fn.Layer(6, 9), fn.Layer(9, 2)], dtype=net.dtype)
        how = net.preprocessing
        assert how is not None
        assert_same(plain, call(getattr(functions, name), net, X), (X - how.mean) / how.scale)


@pytest.mark.parametrize("sizes", [(1, 1), (3, 2), (2, 70, 3), (4, 5, 6, 7, 8)])
def test_any_depth(sizes: tuple[int, ...], tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(sizes[0], 20)).astype(np.float32)
    plain, scaled = (
        fn.Network([fn.Layer(*pair, "tanh") for pair in pairwise(sizes)], dtype="float32") for _ in range(2)
    )
    scaled.preprocessing = fn.Standardize([0.0] * sizes[0], [1.0] * sizes[0])
    functions = library(tmp_path, {"plain": plain, "scaled": scaled})
    assert_same(plain, call(functions.plain, plain, X), X)
    assert_same(plain, call(functions.scaled, scaled, X), X)


def test_names_cannot_leave_the_comment(tmp_path: Path) -> None:
    net = fn.Network([fn.Layer(3, 2, "softmax")])
    net.feature_names = ["*/ #error out", "/* in", "??/\n??'\\"]
    net.classes = ["*/", "//"]
    library(tmp_path, {"predict": net})
    assert "#error" in (tmp_path / "predict.c").read_text(encoding="ascii")


@pytest.mark.parametrize(
    "name", ["int", "dense", "W1", "b1", "exp", "main", "real", "FMA", "memcpy", "sinf", "NAN"]
)
def test_names_that_are_taken(name: str) -> None:
    net = fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)])
    with pytest.raises(ValueError, match=f"name must not be .*, got '{name}'"):
        c_export.source(net, name=name)


def names_of_headers() -> set[str]:
    """Return all identifiers that the compiler sees in headers of the standard library, and its macros."""
    headers = ["math.h", "stdint.h", "string.h", "stdlib.h", "stdio.h", "ctype.h", "time.h", "wchar.h"]
    found: set[str] = set()
    for flags, count in ((["-E"], None), (["-E", "-dM"], 3)):  # macros of what the file includes
        included = "".join(f"#include <{header}>\n" for header in headers[:count])
        command = [str(CC), "-std=gnu17", *flags, "-"]
        text = subprocess.run(command, input=included, capture_output=True, text=True, check=True).stdout
        found |= set(re.findall(r"\b[A-Za-z]\w*", re.sub(r'"[^"]*"|^# .*', "", text, flags=re.MULTILINE)))
    return found


def test_every_name_of_the_headers_is_refused_or_compiles(tmp_path: Path) -> None:
    net = fn.Network([fn.Layer(3, 2, "gelu"), fn.Layer(2, 2, "softmax")], dtype="float32")
    net.preprocessing = fn.Standardize([0.0] * 3, [1.0] * 3)
    code = c_export.source(net)
    found = names_of_headers() | set(re.findall(r"\b[A-Za-z]\w*", code[code.index("#include") :]))
    files = []
    for name in sorted(found - {"predict"}):
        try:
            code = c_export.source(net, name=name)
        except ValueError:
            continue
        files.append(tmp_path / f"{name}.c")
        files[-1].write_text(code)
    assert 10 < len(files) < len(found) / 2
    command = [str(CC), "-std=gnu17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *map(str, files)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[:3000]


def test_arguments() -> None:
    net = fn.Network([fn.Layer(2, 1)])
    for name in ("", "1a", "a b", "a;b", "é", 3):
        with pytest.raises(ValueError, match="name must be a name of C, got"):
            c_export.source(net, name=name)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="network must be a Network"):
        c_export.source("net")  # type: ignore[arg-type]
    net.layers[0].W[0, 1] = np.nan
    with pytest.raises(ValueError, match=r"layers\[0\].W must be finite"):
        c_export.source(net)
