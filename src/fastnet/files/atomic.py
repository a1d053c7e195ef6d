"""Replace a file as a whole: at every moment its name leads to all of the old one or all of the new one."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

__all__ = ["replace", "write_all"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def replace(path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    """Let `write` fill a new file and put it in the place of `path`, flushed to the disk first.

    A new file gets the permissions that the umask says, a replaced one those it had; a symbolic link stays
    and its target is replaced. If anything fails the old file is as it was and the new one is removed. Only
    a killed process can leave a file behind, named .fastnet-*.tmp, in the same folder.

    Raises
    ------
    OSError
        If the folder or the disk refuse; if `path` is something other than a file.
    """
    target = os.path.realpath(os.fspath(path))
    folder = os.path.dirname(target)
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "can only replace a file, and this is none", str(path))
    temporary = os.path.join(folder, f".fastnet-{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, _NEW, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
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


def write_all(stream: BinaryIO, content: bytes) -> None:
    """Write everything; for `replace`, whose functions return nothing."""
    stream.write(content)


def _flush_folder(folder: str) -> None:
    """Make the new name last through a power failure, where folders can be flushed."""
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
