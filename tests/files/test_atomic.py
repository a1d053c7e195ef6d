"""Whatever happens while a model is saved, its file is afterwards whole: the old network or the new one."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

import fastnet as fn
from fastnet import cli
from fastnet.files import atomic

KILLS = 200


def network(value: float) -> fn.Network:
    W = np.full((40, 30), value, np.float32)
    return fn.Network(
        [fn.Layer(30, 40, W=W), fn.Layer(40, 1, W=W[:1, :1].repeat(40, axis=1))], dtype="float32"
    )


def value_of(path: Path) -> float:
    """Return the number that a network of `network` holds everywhere: loading has compared its checksum."""
    return float(fn.load(path).layers[0].W[0, 0])


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".tmp")]


# One process that forks: a child saves again and again until it is killed at a random moment.
FOLDERS = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "helpers")]
KILLED = """
import os, random, signal, sys, time
import fastnet as fn
sys.path[:0] = {tests!r}
from test_atomic import network, value_of

path, random_number = {path!r}, random.Random(1)
models = [network(float(value)) for value in range(4)]
fn.save(models[0], path)
start = time.perf_counter()
for model in models:
    fn.save(model, path)
one = (time.perf_counter() - start) / len(models)
seen = set()
for _ in range({kills}):
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        os.write(tell, b"x")
        while True:
            for model in models:
                fn.save(model, path)
    os.read(ready, 1)
    time.sleep(random_number.uniform(0, 2 * one))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    os.close(ready), os.close(tell)
    seen.add(value_of(path))
    for name in os.listdir(os.path.dirname(path)):
        if name.endswith(".tmp"):
            seen.add("interrupted")
            os.unlink(os.path.join(os.path.dirname(path), name))
print(sorted(map(str, seen)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killing_the_process_while_it_saves_never_loses_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / "model.safetensors")
    program = KILLED.format(tests=FOLDERS, path=path, kills=KILLS)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    # it was hit in the middle of writing, and different networks were found
    assert "interrupted" in ran.stdout
    assert ran.stdout.count(".0") >= 2


class Killed(BaseException):
    """Stands for the end of the process."""


STEPS = [name for name in ("open", "fchmod", "fsync", "replace") if hasattr(os, name)]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), Killed()], ids=["full", "killed"]
)
@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_leaves_the_old_file(
    step: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    fn.save(network(1.0), path)

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(atomic.os, step, fail)
        with pytest.raises(type(error)):
            fn.save(network(2.0), path)
    assert value_of(path) == 1.0
    assert leftovers(tmp_path) == []
    fn.save(network(3.0), path)
    assert value_of(path) == 3.0


def test_a_failure_at_any_byte_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    fn.save(network(1.0), path)
    fdopen = os.fdopen
    for room in (0, 7, 8, 300, 5000):

        def limited(*arguments: Any, room: int = room) -> Any:
            stream = fdopen(*arguments)
            write, left = stream.write, [room]

            class Full:
                def __enter__(self) -> Any:
                    return self

                def __exit__(self, *_: object) -> None:
                    stream.close()

                def write(self, content: bytes) -> int:
                    write(content[: left[0]])
                    if len(content) > left[0]:
                        raise OSError(errno.ENOSPC, "No space left on device")
                    left[0] -= len(content)
                    return len(content)

            return Full()

        with monkeypatch.context() as patched:
            patched.setattr(atomic.os, "fdopen", limited)
            with pytest.raises(OSError, match="No space left"):
                fn.save(network(2.0), path)
        assert value_of(path) == 1.0
        assert leftovers(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
def test_a_real_limit_of_the_system_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    fn.save(network(1.0), path)
    program = f"""
import resource, sys
import fastnet as fn
sys.path[:0] = {FOLDERS!r}
from test_atomic import network
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    fn.save(network(2.0), {str(path)!r})
except OSError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert os.strerror(errno.EFBIG) in ran.stdout, ran.stderr
    assert value_of(path) == 1.0
    assert leftovers(tmp_path) == []


def test_what_cannot_be_saved_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    fn.save(network(1.0), path)
    bad = network(2.0)
    bad.layers[1].W[0, 3] = np.nan
    with pytest.raises(ValueError, match=r"layers\[1\].W must be finite, got nan at \[0, 3\]"):
        fn.save(bad, path)
    assert value_of(path) == 1.0
    with pytest.raises(FileNotFoundError):
        fn.save(network(2.0), tmp_path / "no folder" / "model.safetensors")
    with pytest.raises(OSError, match="can only replace a regular file"):
        fn.save(network(2.0), tmp_path)
    if os.path.exists("/dev/null"):
        with pytest.raises(OSError, match="can only replace a regular file"):
            fn.save(network(2.0), "/dev/null")
    assert leftovers(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="permissions and links of POSIX")
def test_permissions_and_links_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "model.safetensors", tmp_path / "current"
    before = os.umask(0o027)
    try:
        fn.save(network(1.0), path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    link.symlink_to("model.safetensors")
    fn.save(network(2.0), link)
    assert link.is_symlink()
    assert value_of(path) == 2.0
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_a_full_disk_is_told_with_the_file(tmp_path: Path) -> None:
    def write(stream: BinaryIO) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "model.safetensors"
    with pytest.raises(OSError, match="No space") as caught:
        atomic.write_atomically(path, write)
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that opens and cannot be read")
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The address 0 of a process is nothing that can be read, nor has the file an end."""
    with pytest.raises(OSError, match="'/proc/self/mem'"):
        fn.load("/proc/self/mem")
    assert cli.main(["info", "/proc/self/mem"]) == 1
    assert capsys.readouterr().err.endswith(": /proc/self/mem\n")
    pytest.importorskip("pyarrow")
    assert cli.main(["train", "/proc/self/mem", "--target", "y", "-o", str(tmp_path / "m.safetensors")]) == 1
    assert capsys.readouterr().err.endswith(": /proc/self/mem\n")
