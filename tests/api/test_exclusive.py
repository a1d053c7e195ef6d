"""OneAtATime: one call at a time, however the last one ended."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from fastnet._exclusive import OneAtATime


def enters(one: OneAtATime) -> bool:
    claim = one.enter()
    one.leave(claim)
    return claim is not None


def test_one_call_at_a_time() -> None:
    one = OneAtATime()
    claim = one.enter()
    assert claim is not None
    assert one.enter() is None
    assert not enters(one), "a call inside is another call"
    one.leave(claim)
    one.leave(claim)  # once is enough
    assert enters(one)


def test_a_claim_ends_with_its_call() -> None:
    one, claims = OneAtATime(), []

    def interrupted() -> None:
        claims.append(one.enter())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert enters(one), "the frame is over, though the traceback still holds it"


def test_another_thread_is_refused_while_the_call_runs_and_not_after() -> None:
    one, inside, go_on = OneAtATime(), threading.Event(), threading.Event()

    def work() -> None:
        one.enter()  # and never leaves
        inside.set()
        go_on.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(60)
    assert not enters(one)
    go_on.set()
    thread.join(60)
    assert enters(one)


def test_of_many_threads_one_gets_in() -> None:
    one, start, got_in = OneAtATime(), threading.Barrier(8), []
    all_tried = threading.Barrier(8)

    def work() -> None:
        start.wait(60)
        claim = one.enter()
        if claim is not None:
            got_in.append(claim)
        all_tried.wait(60)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(got_in) == 1
    assert enters(one)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_has_none_of_the_other_threads() -> None:
    one, inside, go_on = OneAtATime(), threading.Event(), threading.Event()

    def work() -> None:
        one.enter()
        inside.set()
        go_on.wait(60)

    thread: Any = threading.Thread(target=work)
    thread.start()
    inside.wait(60)
    child = os.fork()
    if child == 0:
        os._exit(0 if enters(one) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    go_on.set()
    thread.join(60)
