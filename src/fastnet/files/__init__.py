"""Save and load models: `save`, `load` and `load_checkpoint`.

A model file is a safetensors file (see `container`). It holds the weights under torch's names, a JSON
description in the metadata (see `description`), and SHA-256 checksums of both. It is written to a temporary
file, flushed and renamed (see `atomic`), so a crash or a full disk leaves the old file. Reading runs no code,
allocates little more than the size of the file, and raises `FormatError` for what it does not know.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from fastnet import _validate
from fastnet._optional import import_optional
from fastnet._validate import Array
from fastnet.files import atomic, container, description, npz, stored_zip
from fastnet.files import checkpoint as training
from fastnet.files.container import FormatError
from fastnet.network import Network

if TYPE_CHECKING:
    from fastnet.ensemble import Ensemble
    from fastnet.tabular import TabularClassifier, TabularRegressor
    from fastnet.training import Trainer

    Model: TypeAlias = Network | Trainer | Ensemble | TabularClassifier | TabularRegressor

__all__ = ["FormatError", "info", "load", "load_checkpoint", "save"]

Source: TypeAlias = str | os.PathLike[str] | BinaryIO
NETWORK, ENSEMBLE = "fastnet", "fastnet.ensemble"  # where the metadata has the description
DATA_CHECKSUM, HEADER_CHECKSUM = "sha256", "sha256_header"


def save(model: Model, path: Source, *, checkpoint: bool = False, kind: str | None = None) -> None:
    """Write a model to one file that `load` reads, safetensors or NumPy's .npz.

    Parameters
    ----------
    model : Network, Trainer, Ensemble, TabularClassifier or TabularRegressor
        Of a trainer, its network. An estimator must be fitted; its labels must be numbers, texts or booleans,
        and a generator as its ``random_state`` is not kept.
    path : str, path-like, or a binary file open for writing
        A file that is there is replaced as a whole when the new one is safely on the disk, and keeps its
        permissions; whatever goes wrong, it is never half written. (An open file is just written to.)
    checkpoint : bool
        Write the trainer's state as well, for `load_checkpoint`: optimiser, generator and position. The
        network is then the one as trained so far, also in a callback.
    kind : {"safetensors", "npz"}, optional
        By default as the path ends, .safetensors or .npz; "safetensors", the only one for several networks,
        where it has no ending, and for open files.

    Raises
    ------
    ValueError, TypeError
        If the weights are not finite, the path has an unknown ending, or an argument is none of these.
    OSError
        If it cannot be written; what was there before is untouched.

    Examples
    --------
    >>> import fastnet as fn, tempfile, os
    >>> net = fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)])
    >>> net.classes = ["no", "yes"]
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> fn.save(net, path)
    >>> fn.load(path).classes
    ('no', 'yes')
    """
    checkpoint = _validate.flag(checkpoint, "checkpoint")
    tensors, about, key = _described(model, checkpoint)
    name, stream = _opened(path)
    if kind is None:
        kind = "safetensors" if stream is not None else _kind_of(name)
    _validate.choice(kind, "kind", ("safetensors", "npz") if key == NETWORK else ("safetensors",))
    if stream is None:
        atomic.write_atomically(name, lambda new: _write(new, tensors, about, key, kind))
    else:
        _write(stream, tensors, about, key, kind)


def _kind_of(name: str) -> str:
    """Return the kind of file that a name ends with; ValueError for another ending than the known ones."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in ("", ".npz", ".safetensors"):
        raise ValueError(
            f"path must end with .safetensors or .npz, got {suffix!r}: kind='safetensors' allows any name"
        )
    return "npz" if suffix == ".npz" else "safetensors"


def _described(model: Any, checkpoint: bool) -> tuple[dict[str, Array], dict[str, Any], str]:
    """Return the arrays of a model, its description, and where the metadata of a file has that."""
    from fastnet.training import Trainer

    if isinstance(model, Trainer):
        tensors = description.network_tensors(model.network)
        about = description.describe_network(model.network)
        if checkpoint:
            state, about["checkpoint"] = training.checkpoint_tensors(model)
            tensors |= state
        return tensors, about, NETWORK
    if checkpoint:
        raise TypeError(f"model must be a Trainer for a checkpoint, got a {type(model).__name__}")
    if isinstance(model, Network):
        return description.network_tensors(model), description.describe_network(model), NETWORK
    from fastnet.ensemble import Ensemble, file

    if isinstance(model, Ensemble):
        return file.ensemble_tensors(model), file.describe_ensemble(model), ENSEMBLE
    if not hasattr(model, "piecewise"):  # scikit-learn need not be there
        kinds = "a Network, a Trainer, an Ensemble, a TabularClassifier or a TabularRegressor"
        raise TypeError(f"model must be {kinds}, got {type(model).__name__}")
    from fastnet.tabular.file import describe_estimator

    estimator = describe_estimator(model)
    ensemble = model.ensemble_
    return file.ensemble_tensors(ensemble), file.describe_ensemble(ensemble, estimator), ENSEMBLE


def _write(stream: BinaryIO, tensors: dict[str, Array], about: dict[str, Any], key: str, kind: str) -> None:
    if kind == "npz":
        npz.write_npz(stream, tensors, about)
        return
    text = json.dumps(about, separators=(",", ":"))
    digest, header_digest = container.checksums(tensors, text)
    container.write_safetensors(
        stream, tensors, {key: text, DATA_CHECKSUM: digest, HEADER_CHECKSUM: header_digest}
    )


def load(path: Source, *, activations: Sequence[str] | None = None, allow_nonfinite: bool = False) -> Any:
    """Read a model from a file that `save` wrote, or a network from one with torch's names.

    Parameters
    ----------
    path : str, path-like, or a binary file open for reading, at its start
    activations : sequence of str, optional
        One for each layer: for a file without our description, which does not say them. Its tensors must be
        named like torch's, `<prefix><k>.weight` (n_out, n_in) and `<prefix><k>.bias` (n_out,), and be float32
        or float64.
    allow_nonfinite : bool
        Take weights that are NaN or infinite; by default they are refused.

    Returns
    -------
    Network, Ensemble, TabularClassifier or TabularRegressor
        What was saved. It predicts the same bits.

    Raises
    ------
    FormatError
        If the file is damaged, of another kind or newer than this program, or if it needs as many
        `activations` as it has layers. Nothing in it is trusted, and no more memory is taken than its size
        and 16 MB.
    ValueError, TypeError
        If `activations` are given where they are not needed, or are none that fastnet has.
    ImportError
        If it is an estimator, and scikit-learn is missing.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import fastnet as fn, io
    >>> file = io.BytesIO()
    >>> fn.save(fn.Network([fn.Layer(2, 1)], seed=3), file)
    >>> _ = file.seek(0)
    >>> fn.load(file)
    Network 2-1, float64, 3 parameters
      layer  W      b      activation  parameters
      1      1 x 2  1 x 1  sigmoid              3
    """
    allow_nonfinite = _validate.flag(allow_nonfinite, "allow_nonfinite")
    content = _read(path)
    if content.about is not None:
        if activations is not None:
            raise ValueError(
                f"activations must not be given: {content.where} has a description that says them"
            )
        if content.key == NETWORK:
            return _network(content, allow_nonfinite)
        return _several(content, allow_nonfinite)
    if activations is None:
        raise FormatError(
            f"{content.where}: a file without a description by fastnet: give activations=, one for each layer"
        )
    if isinstance(activations, str) or not hasattr(activations, "__len__"):
        raise TypeError(f"activations must be a list of str, got {activations!r}")
    return description.rebuild_undescribed_network(
        content.tensors, activations, content.where, allow_nonfinite=allow_nonfinite
    )


def load_checkpoint(path: Source, trainer: Trainer | None = None) -> Trainer:
    """Read a training from a file that `save` wrote with `checkpoint=True`, ready to go on.

    Parameters
    ----------
    path : str, path-like, or a binary file open for reading, at its start
    trainer : Trainer, optional
        To go on with: of the same kind of network, and with the same settings. By default one is made, with
        the network and the settings of the file; a schedule of your own making needs one that has it.

    Returns
    -------
    Trainer
        What is trained from here on is bit for bit what the saved trainer would have trained.

    Raises
    ------
    FormatError
        As for `load`; if there is no training in the file.
    ValueError
        If `trainer` is given and differs: every difference is listed, and it is as before.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import fastnet as fn, tempfile, os
    >>> trainer = fn.Trainer(fn.Network([fn.Layer(1, 1)]), optimizer="adam")
    >>> X, T = [[-1.0, 1.0]], [[0, 1]]
    >>> history = trainer.fit(X, T, epochs=20)
    >>> path = os.path.join(tempfile.mkdtemp(), "training.safetensors")
    >>> fn.save(trainer, path, checkpoint=True)
    >>> resumed = fn.load_checkpoint(path)
    >>> resumed.epochs_done, resumed.fit(X, T, epochs=30).loss == trainer.fit(X, T, epochs=30).loss
    (20, True)
    """
    content = _read(path)
    if content.about is None or content.key != NETWORK or "checkpoint" not in content.about:
        raise FormatError(f"{content.where}: there is no training in this file: use load")
    network = _network(content, False)
    return training.resume_trainer(network, content.tensors, content.size, content.where, trainer)


def _network(content: _Content, allow_nonfinite: bool) -> Network:
    """Return the network of a file with a description."""
    about, tensors = content.about, content.tensors
    assert about is not None
    if "checkpoint" in about:
        tensors = {name: tensors[name] for name in tensors if not name.startswith(training.PREFIX)}
    return description.rebuild_network(about, tensors, content.where, allow_nonfinite=allow_nonfinite)


def _several(content: _Content, allow_nonfinite: bool) -> Ensemble | TabularClassifier | TabularRegressor:
    """Return the ensemble of a file with its description, or the estimator."""
    from fastnet.ensemble import file

    about = content.about
    assert about is not None
    estimator = about.get("estimator")
    if estimator is not None:
        import_optional("sklearn", f"{content.where}, an estimator,", extra="sklearn,tables")
    ensemble = file.rebuild_ensemble(about, content.tensors, content.where, allow_nonfinite=allow_nonfinite)
    if estimator is None:
        return ensemble
    from fastnet.tabular.file import rebuild_estimator

    return rebuild_estimator(estimator, ensemble, content.where)


def info(path: Source) -> dict[str, Any]:
    """Return a description of a model file, after reading and checking all of it.

    Parameters
    ----------
    path : str, path-like, or a binary file open for reading, at its start

    Returns
    -------
    dict
        ``file``, ``bytes``, ``tensors`` (shape and dtype by name), ``checksums`` (whether it has any; they
        agree), and ``description``, or None for a file of another program. Plain values: JSON can hold them.

    Raises
    ------
    FormatError
        If the file is damaged, of another kind or newer than this program.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import fastnet as fn, io
    >>> from fastnet import files
    >>> file = io.BytesIO()
    >>> fn.save(fn.Network([fn.Layer(2, 1)]), file)
    >>> _ = file.seek(0)
    >>> files.info(file)["tensors"]
    {'layers.0.bias': [[1], 'float64'], 'layers.0.weight': [[1, 2], 'float64']}
    """
    content = _read(path)
    tensors = {name: [list(array.shape), str(array.dtype)] for name, array in content.tensors.items()}
    return {
        "file": content.where,
        "bytes": content.size,
        "checksums": content.checked,
        "description": content.about,
        "tensors": dict(sorted(tensors.items())),
    }


@dataclass(frozen=True)
class _Content:
    """What was read from a model file."""

    where: str
    size: int
    about: dict[str, Any] | None  # of a version that is known, otherwise unchecked
    key: str  # NETWORK or ENSEMBLE: whose description it is
    tensors: dict[str, Array]
    checked: bool  # whether the file has checksums; if it has, they agreed


def _read(path: Source) -> _Content:
    """Read a file of either format, and check everything but the description of the network."""
    where, stream = _opened(path)
    with (
        atomic.naming(where),
        open(where, "rb", opener=_open_regular) if stream is None else nullcontext(stream) as stream,
    ):
        start = stream.tell()
        size = stream.seek(0, os.SEEK_END) - start
        stream.seek(start)
        head = stream.read(8)
        if not isinstance(head, bytes):
            raise TypeError(f"path must be a binary file, got {type(stream).__name__}, a text file")
        stream.seek(start)
        if stored_zip.is_zip(head):
            tensors, about = npz.read_npz(stream, size, where)
            key, checked = NETWORK, True  # every entry of a zip file has a checksum
        else:
            tensors, about, key, checked = _read_safetensors(stream, size, where)
    if about is not None:
        if key == NETWORK:
            description.check_version(about, where)
        else:
            from fastnet.ensemble import file

            file.check_version(about, where)
    return _Content(where, size, about, key, tensors, checked)


def _read_safetensors(stream: BinaryIO, size: int, where: str) -> tuple[dict[str, Array], Any, str, bool]:
    header = container.read_header(stream, size, where)
    key = ENSEMBLE if ENSEMBLE in header.metadata else NETWORK
    if header.metadata.keys() >= {ENSEMBLE, NETWORK}:
        raise FormatError(f"{where}: the metadata must have one description, got {NETWORK} and {ENSEMBLE}")
    text = header.metadata.get(key)
    about = None if text is None else container.parse_json(text, f"{where}: the description")
    tensors, digest = container.read_tensors(stream, header, where)
    header_digest = container.header_checksum(
        header.entries, text or "", header.metadata.get(DATA_CHECKSUM, "")
    )
    checked = False
    for name, found in ((DATA_CHECKSUM, digest), (HEADER_CHECKSUM, header_digest)):
        expected = header.metadata.get(name)
        if expected is not None and expected != found:
            raise FormatError(f"{where}: damaged: its {name} must be {expected:.64}, got {found}")
        checked = checked or expected is not None
    return tensors, about, key, checked


def _opened(path: Any) -> tuple[str, BinaryIO | None]:
    """Return the name of a path or of an open file, and the open file or None."""
    if hasattr(path, "read") or hasattr(path, "write"):
        if isinstance(path, io.TextIOBase):
            raise TypeError(f"path must be a binary file, got {type(path).__name__}, a text file")
        name = getattr(path, "name", f"<{type(path).__name__}>")
        return os.fsdecode(name) if isinstance(name, bytes) else str(name), path
    return atomic.path_name(path, "a str, path-like or a binary file"), None


def _open_regular(path: str, flags: int) -> int:
    """Open a file as `open` does; OSError for a pipe or a device, without waiting for a pipe's writer."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # `open` refuses a folder by itself
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "can only read a regular file", path)
