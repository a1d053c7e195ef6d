"""Let one fit of a network run at a time, without a lock that an interrupt or a fork could leave taken."""

from __future__ import annotations

import sys
from _thread import get_ident  # `threading` takes longer to load than the rest of fastnet's Python
from types import FrameType

__all__ = ["Claim", "OneAtATime"]


class Claim:
    """A call that has entered: its thread and its frame."""

    __slots__ = ("frame", "thread")

    def __init__(self, frame: FrameType) -> None:
        self.frame: FrameType | None = frame  # None once it is over: a frame and its claim hold each other
        self.thread = get_ident()

    def is_running(self) -> bool:
        """Return whether the call is still on the stack of its thread."""
        frame: FrameType | None = sys._current_frames().get(self.thread)
        while frame is not None and frame is not self.frame:
            frame = frame.f_back
        return frame is not None


class OneAtATime:
    """Lets one call run at a time and refuses the others.

    A call that enters is noted with its thread and its frame. It counts as running only while that frame is
    on the stack of that thread. So whatever ends the call ends its claim: an interrupt between any two steps,
    or a fork, whose child has none of the other threads.

    >>> fits = OneAtATime()
    >>> def fit():
    ...     claim = fits.enter()
    ...     return claim is not None, fits.enter() is not None
    >>> fit()
    (True, False)
    >>> fit()
    (True, False)
    """

    def __init__(self) -> None:
        self._claims: list[Claim] = []

    def enter(self, claim: Claim | None = None) -> Claim | None:
        """Return the claim of the function that calls this, to be left again; None if another is running.

        One function may enter several with one `claim`, which it has made of its frame.
        """
        if claim is None:
            claim = Claim(sys._getframe(1))
        self._claims.append(claim)  # one step of the interpreter: claims have one order, and the first wins
        while (first := self._claims[0]) is not claim:
            if first.is_running():
                self.leave(claim)
                return None
            self.leave(first)
        return claim

    def leave(self, claim: Claim | None) -> None:
        """Give a claim back, if there is one."""
        if claim is not None:
            claim.frame = None  # else each fit would leave a circle for the garbage collector
            try:  # noqa: SIM105  # suppress takes longer than all the rest
                self._claims.remove(claim)
            except ValueError:  # another thread has found it to be over
                pass
