"""threadpoolctl lists fastnet's pool and limits it; without threadpoolctl nothing is missing."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import threadpoolctl

import fastnet as fn
from fastnet import threads
from fastnet._core import engine


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    threads.register()
    yield
    assert engine.thread_limit() == 0


def ours(info: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return the one entry of fastnet."""
    info = threadpoolctl.threadpool_info() if info is None else info
    (entry,) = (entry for entry in info if entry["user_api"] == "fastnet")
    return entry


def run(program: str, *arguments: str) -> Any:
    """Return what a program in a fresh interpreter prints as JSON."""
    command = [sys.executable, "-c", program, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_it_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNET_NUM_THREADS", "3")
    entry = ours()
    assert entry["num_threads"] == 3
    assert entry["internal_api"] == "fastnet"
    assert entry["version"] == fn.__version__
    assert os.path.samefile(entry["filepath"], engine.__file__)
    assert json.loads(json.dumps(entry))["num_threads"] == 3


@pytest.mark.parametrize("how", [{}, {"user_api": "fastnet"}], ids=str)
def test_limits_stand_above_all_else(how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNET_NUM_THREADS", "4")
    with threadpoolctl.threadpool_limits(limits=3, **how):
        assert (threads.most(), threads.most(8), threads.most(2)) == (3, 3, 2)
        assert threads.threads_for(1e12, 8) == 3
        assert ours()["num_threads"] == 3
        with threadpoolctl.threadpool_limits(limits=1, **how):
            assert (threads.most(), threads.most(8)) == (1, 1)
        assert threads.most(8) == 3
    assert (threads.most(), threads.most(8)) == (4, 8)


def test_what_limits_others_only_leaves_no_limit_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sets what it found, the default number, which must not become a limit."""
    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        assert threads.most(200) == 200
    assert engine.thread_limit() == 0
    with threadpoolctl.threadpool_limits(limits=2):
        with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
            pass
        assert threads.most(200) == 2
    threadpoolctl.ThreadpoolController().info(debugging_info=True)
    assert engine.thread_limit() == 0


def test_limits_of_other_kinds() -> None:
    entry = ours()
    with threadpoolctl.threadpool_limits(limits={"fastnet": 5}):
        assert threads.most(200) == 5
    with threadpoolctl.threadpool_limits(limits=[{**entry, "num_threads": 6}]):
        assert threads.most(200) == 6
    with threadpoolctl.threadpool_limits(limits=0):  # OpenMP leaves that open: here as few as there can be
        assert threads.most(200) == 1


def test_an_environment_variable_that_is_wrong_does_not_break_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FASTNET_NUM_THREADS", "two")
    assert ours()["num_threads"] == os.cpu_count()


def test_a_trainer_made_under_a_limit_forgets_it() -> None:
    with threadpoolctl.threadpool_limits(limits=1):
        trainer = fn.Trainer(fn.Network([fn.Layer(1, 1)]), n_threads=3)
    assert trainer.settings.n_threads == 3


def test_registering_twice_lists_it_once() -> None:
    threads.register()
    assert ours()


def test_the_functions_seen_from_outside() -> None:
    library = ctypes.CDLL(engine.__file__)
    library.fastnet_set_num_threads(3)
    try:
        assert engine.thread_limit() == library.fastnet_get_num_threads() == 3
        library.fastnet_set_num_threads(-1)
        assert engine.thread_limit() == 0
        library.fastnet_set_num_threads(10_000)
        assert engine.thread_limit() == 256
    finally:
        library.fastnet_set_num_threads(0)
    assert not hasattr(library, "pool_enter")


COUNT = """
import json, os
import numpy as np
import threadpoolctl
import fastnet as fn
from fastnet._core import engine

def count():
    return len(os.listdir("/proc/self/task"))

W, b, X = [np.ones((50, 20))], [np.zeros((50, 1))], np.ones((20, 4000))
before = count()
with threadpoolctl.threadpool_limits(1, user_api="fastnet"):  # the others' threads would be counted too
    engine.forward(W, b, ["tanh"], X, 8)
    engine.TrainerCore(W, b, ["sigmoid"], 1000, 8).epoch(X, np.ones((50, 4000)), None, 0.1)
limited = count()
with threadpoolctl.threadpool_limits(2, user_api="fastnet"):
    engine.forward(W, b, ["tanh"], X, 8)
two = count()
engine.forward(W, b, ["tanh"], X, 4)
print(json.dumps([n - before for n in (limited, two, count())]))
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads in /proc")
def test_the_pool_itself_is_limited_whatever_a_call_asks_for() -> None:
    assert run(COUNT) == [0, 1, 3]


FIRST = """
import json, sys
import fastnet as fn
assert "threadpoolctl" not in sys.modules
{then}
import threadpoolctl
{made}
print(json.dumps([info["user_api"] for info in threadpoolctl.threadpool_info()].count("fastnet")))
"""


@pytest.mark.parametrize(
    ("then", "made", "listed"),
    [
        ("", "", 0),  # nothing has told it so far
        ("", "fn.Network([fn.Layer(1, 1)])", 1),
        ("", "fn.threads.register()", 1),
        ("net = fn.Network([fn.Layer(1, 1)])", "import pickle; pickle.loads(pickle.dumps(net))", 1),
        ("net = fn.Network([fn.Layer(99, 999)])", "net.predict_proba([[0]*999]*99, n_threads=2)", 1),
        ("import fastnet.sklearn", "", 1),
        ("fn.threads.register()", "", 1),
    ],
)
def test_fastnet_imported_first(then: str, made: str, listed: int) -> None:
    assert run(FIRST.format(then=then, made=made)) == listed


def test_threadpoolctl_imported_first() -> None:
    listed = "print(sum(info['user_api'] == 'fastnet' for info in threadpoolctl.threadpool_info()))"
    assert run(f"import threadpoolctl, fastnet; {listed}") == 1


WITHOUT = """
import sys
sys.modules["threadpoolctl"] = {stand_in}
import fastnet as fn
fn.Network([fn.Layer(2, 1)]).predict_proba([[0.0], [0.0]])
try:
    fn.threads.register()
except ImportError as error:
    print('"' + str(error).replace('"', "'") + '"')
"""


def test_without_threadpoolctl_and_with_an_old_one() -> None:
    said = run(WITHOUT.format(stand_in="None"))
    assert said == "fastnet.threads.register needs threadpoolctl: pip install 'threadpoolctl>=3.2'"
    old = "type(sys)('threadpoolctl'); sys.modules['threadpoolctl'].__version__ = '3.1.0'"
    said = run(WITHOUT.format(stand_in=old))
    assert said == "fastnet.threads.register needs threadpoolctl 3.2 or later, got 3.1.0"
