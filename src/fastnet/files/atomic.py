"""Replace a file atomically: whoever opens it finds all of the old content or all of the new one."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

__all__ = ["naming", "path_name", "write_all", "write_atomically"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    """Let `write` fill a temporary file, flush it to the disk, and rename it to `path`.

    A new file gets the permissions of the umask, a replaced one keeps those it had. A symbolic link stays,
    and its target is replaced. If anything fails, the old file is unchanged and the temporary one is removed.
    Only a killed process can leave a file behind, named .fastnet-*.tmp, in the same folder.

    Raises
    ------
    OSError
        If the folder or the disk refuse; if `path` is something other than a file.
    TypeError
        If `path` is no path.
    """
    target = os.path.realpath(path_name(path))
    folder = os.path.dirname(target)
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "can only replace a regular file", str(path))
    temporary = os.path.join(folder, f".fastnet-{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, _NEW, 0o666)
    try:
        with naming(str(path)), os.fdopen(descriptor, "wb") as stream:
            write(stream)
            stream.flush()
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(stream.fileno(), stat.S_IMODE(mode))
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _flush_folder(folder)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Let an OSError that names no file name this one: those of reading, seeking and writing name none."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = path
        raise


def path_name(path: object, expected: str = "a str or path-like") -> str:
    """Return a path as a str; TypeError for anything else, bytes too (but a path-like may hold bytes)."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be {expected}, got {type(path).__name__}")
    return os.fsdecode(path)


def write_all(stream: BinaryIO, content: bytes) -> None:
    """Write content to a stream; as an argument of `replace`, whose functions return nothing."""
    stream.write(content)


def _flush_folder(folder: str) -> None:
    """Flush a folder, so that a new name in it survives a power failure, where the system can do that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # this file system cannot
            raise
    finally:
        os.close(descriptor)
