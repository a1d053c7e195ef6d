"""Model files: what goes in comes out, bit for bit, here and with the safetensors package; errors say why."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import assert_same, described, loaded, saved
from networks import bits, network

import fastnet as fn
from fastnet import c_export, files, onnx
from fastnet.files import container

V1 = Path(__file__).parents[1] / "data" / "model_v1.safetensors"


# ---- round trips


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_a_file_gives_back_every_bit(suffix: str, dtype: np.dtype[Any], tmp_path: Path) -> None:
    for number, net in enumerate(
        (described(str(dtype)), network((30, 100, 1), str(dtype)), network((1, 1), str(dtype)))
    ):
        path = tmp_path / f"{number}.{suffix}"
        fn.save(net, path)
        again = fn.load(str(path))
        assert_same(net, again)
        X = np.random.default_rng(number).normal(size=(net.sizes[0], 50)).astype(dtype)
        assert net.predict_proba(X).tobytes() == again.predict_proba(X).tobytes()
        assert saved(again, kind=suffix) == saved(net, kind=suffix) == path.read_bytes()
        again.layers[0].W[:] = 0  # its arrays are its own
        assert again.layers[0].W.flags.writeable
        assert_same(net, fn.load(path))


def test_weights_that_are_not_usual_numbers_survive() -> None:
    values = np.array([[0.0, -0.0, 5e-324, -1e-310, 1.7976931348623157e308]])
    net = fn.Network([fn.Layer(5, 1, W=values)])
    assert_same(net, loaded(saved(net)))
    assert_same(net, loaded(saved(net, kind="npz")))


@pytest.mark.parametrize(
    "classes", [["no", "yes"], [-1, 2**62], [False, True], [0.5, -1.5], np.array(["x", "y"])]
)
def test_classes_keep_their_type(classes: Any) -> None:
    net = network((2, 1))
    net.classes = classes
    again = loaded(saved(net)).classes
    assert again == tuple(np.asarray(classes).tolist())
    assert [type(item) for item in again] == [type(item) for item in np.asarray(classes).tolist()]


def test_the_file_is_the_same_on_every_run() -> None:
    assert saved(described()) == saved(described())
    assert hashlib.sha256(saved(described())).hexdigest() == hashlib.sha256(saved(described())).hexdigest()


def test_version_1_still_loads() -> None:
    """The file was written by the first version that wrote any."""
    net = fn.load(V1)
    assert [layer.activation for layer in net.layers] == ["sigmoid", "sigmoid"]
    assert net.layers[0].W.tolist() == [[1.0, -0.5], [0.25, 2.0], [-1.5, 0.0]]
    assert net.layers[0].b.tolist() == [[0.5], [-1.0], [0.0]]
    assert net.layers[1].W.tolist() == [[1.0, -2.0, 0.125]]
    assert net.dtype == np.float32
    assert net.classes == ("no", "yes")
    assert net.feature_names == ("width", "höhe")
    assert net.preprocessing is not None
    assert net.preprocessing.mean.tolist() == [[10.0], [-1.0]]
    assert net.preprocessing.scale.tolist() == [[2.0], [0.5]]


# ---- the format, with the package that defines it


def test_the_safetensors_package_reads_ours(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    path = tmp_path / "ours.safetensors"
    net = described()
    fn.save(net, path)
    with safetensors.safe_open(path, "np") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert sorted(tensors) == [
        "layers.0.bias",
        "layers.0.weight",
        "layers.1.bias",
        "layers.1.weight",
        "preprocessing.mean",
        "preprocessing.scale",
    ]
    assert np.array_equal(tensors["layers.0.weight"], net.layers[0].W)
    assert np.array_equal(tensors["layers.1.bias"], net.layers[1].b.reshape(-1))
    start = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    assert metadata["sha256"] == hashlib.sha256(path.read_bytes()[start:]).hexdigest()
    assert json.loads(metadata["fastnet"])["classes"] == ["left", "ríght"]


def test_we_read_what_the_safetensors_package_writes(tmp_path: Path) -> None:
    numpy_side = pytest.importorskip("safetensors.numpy")
    net, path = described("float64"), tmp_path / "theirs.safetensors"
    fn.save(net, path)
    tensors = numpy_side.load_file(path)
    header = container.read_header(io.BytesIO(path.read_bytes()), path.stat().st_size, "")
    numpy_side.save_file(tensors, path, header.metadata)  # with the checksums of ours: the bytes are the same
    assert_same(net, fn.load(path))
    plain = {name: array for name, array in tensors.items() if name.startswith("layers")}
    numpy_side.save_file(plain, path)
    again = fn.load(path, activations=["sigmoid", "identity"])
    assert bits(again) == bits(net)
    assert [layer.activation for layer in again.layers] == ["sigmoid", "identity"]


def test_every_dtype_lies_in_the_order_of_the_package(tmp_path: Path) -> None:
    numpy_side = pytest.importorskip("safetensors.numpy")
    rng = np.random.default_rng(0)
    names = ["?", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8"]
    tensors = {f"{name}{k}": rng.integers(0, 2, (2, k)).astype(name) for k in (1, 0, 3) for name in names}
    theirs = numpy_side.save(tensors)
    ours = io.BytesIO()
    container.write_safetensors(ours, tensors, {})
    headers = [container.read_header(io.BytesIO(file), len(file), "") for file in (theirs, ours.getvalue())]
    assert headers[0].entries == headers[1].entries
    assert theirs[headers[0].data :] == ours.getvalue()[headers[1].data :]


def test_files_under_torchs_names() -> None:
    torch_side = pytest.importorskip("safetensors.torch")
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Sigmoid(), torch.nn.Linear(4, 1, bias=False))
    net = loaded(torch_side.save(model.state_dict()), activations=["sigmoid", "identity"])
    assert net.sizes == (3, 4, 1)
    assert np.array_equal(net.layers[1].W, model[2].weight.detach().numpy())
    assert net.layers[1].b.tolist() == [[0.0]]
    half = torch_side.save({name: tensor.to(torch.bfloat16) for name, tensor in model.state_dict().items()})
    with pytest.raises(fn.FormatError, match=r"must have one of the dtypes BOOL, .*, got \"BF16\""):
        loaded(half, activations=["sigmoid", "identity"])


# ---- arguments, and what there is to know of a file


def test_arguments() -> None:
    with pytest.raises(TypeError, match=r"model must be a Network, a Trainer, .* got int"):
        fn.save(1, "x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="path must be a str, path-like or a binary file, got bytes"):
        fn.save(described(), b"x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="path must be a str, path-like or a binary file, got NoneType"):
        fn.load(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind must be one of 'safetensors', 'npz', got 'pickle'"):
        fn.save(described(), "x", kind="pickle")
    with pytest.raises(FileNotFoundError):
        fn.load("there is no such file")
    assert issubclass(fn.FormatError, ValueError)


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(described()))
    with pytest.raises(fn.FormatError):
        fn.load(path)


def test_info(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    fn.save(described(), path)
    facts = files.info(path)
    assert facts["bytes"] == path.stat().st_size
    assert facts["checksums"] is True
    assert facts["description"]["layers"][0]["activation"] == "sigmoid"
    assert facts["tensors"]["layers.0.weight"] == [[4, 3], "float32"]
    json.dumps(facts)


def test_what_the_loader_cannot_read_is_not_written() -> None:
    net = network((200_000, 1), "float32")
    net.feature_names = [f"feature number {k}" for k in range(200_000)]
    with pytest.raises(
        ValueError, match=r"the description must be shorter: its header of .* could not be read"
    ):
        fn.save(net, io.BytesIO())
    net.feature_names = None
    net = network((60_000, 1), "float32")
    net.feature_names = [f"feature {k}" for k in range(60_000)]
    assert loaded(saved(net)).feature_names == net.feature_names


# ---- what is no file, or no path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    program = f"import fastnet as fn\ntry: fn.load({str(path)!r})\nexcept OSError as error: print(error)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "can only read a regular file" in ran.stdout
    with pytest.raises(IsADirectoryError):
        fn.load(tmp_path)
    with pytest.raises(OSError, match="can only read a regular file"):
        fn.load("/dev/null")


def test_a_path_of_bytes_keeps_its_name(tmp_path: Path) -> None:
    class InBytes:
        def __fspath__(self) -> bytes:
            return os.fsencode(tmp_path / "model.npz")

    fn.save(described(), InBytes())
    assert os.listdir(tmp_path) == ["model.npz"]
    assert_same(fn.load(InBytes()), described())
    with open(os.fsencode(tmp_path / "model.npz"), "rb") as file:
        assert files.info(file)["file"] == str(tmp_path / "model.npz")
    for export in (onnx.export, c_export.export, fn.save):
        for bad in (b"x", 3, None):
            with pytest.raises(TypeError, match=r"path must be a str.*, got (bytes|int|NoneType)"):
                export(described(), bad)  # type: ignore[operator]


def test_text_files_are_refused(tmp_path: Path) -> None:
    fn.save(described(), tmp_path / "model")
    with open(tmp_path / "model", encoding="latin1") as file, pytest.raises(TypeError, match="a text file"):
        fn.load(file)  # type: ignore[arg-type]
    with open(tmp_path / "new", "w") as file, pytest.raises(TypeError, match="a text file"):
        fn.save(described(), file)  # type: ignore[arg-type]


def test_a_header_whose_length_begins_like_a_zip_file() -> None:
    """19280 is "PK" as the first two bytes of a length."""
    net = network((1, 1))
    for size in range(18_000, 19_280):
        net.feature_names = ["x" * size]
        file = saved(net)
        if file[:2] == b"PK":
            break
    assert file[:8] == b"PK" + bytes(6)
    assert_same(net, loaded(file))


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_names_that_no_file_can_hold_are_not_written(kind: str, tmp_path: Path) -> None:
    for name, values in (("feature_names", ["a", "b\ud800", "c"]), ("classes", ["a", "\udc00"])):
        net = described()
        setattr(net, name, values)
        with pytest.raises(ValueError, match=rf"{name}\[1\] must be Unicode text, got "):
            fn.save(net, tmp_path / "model", kind=kind)
        assert os.listdir(tmp_path) == []


def test_an_unknown_ending_is_an_error_that_names_the_known_ones(tmp_path: Path) -> None:
    net = described()
    for name in ("model.pkl", "model.h5", "model.safetensor"):
        with pytest.raises(ValueError, match=r"path must end with \.safetensors or \.npz, got '\.[a-z0-9]+'"):
            fn.save(net, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    fn.save(net, tmp_path / "model.bin", kind="safetensors")
    fn.save(net, tmp_path / "MODEL.NPZ")
    fn.save(net, tmp_path / "model")
    assert fn.load(tmp_path / "model.bin").sizes == fn.load(tmp_path / "MODEL.NPZ").sizes == net.sizes
