"""Something that is done once in the middle of a fit, whether Python goes through the epochs or the core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fastnet._core import engine

__all__ = ["at_epoch"]


def at_epoch(monkeypatch: pytest.MonkeyPatch, number: int, action: Callable[[], None]) -> None:
    """Run an action once: when a fit asks for the order of an epoch, or for one more in the core."""
    shuffled, done = engine.permutation, []

    def maybe(epoch: int) -> None:
        if epoch == number and not done:
            done.append(epoch)
            action()

    def permutation(n: int, seed: int, epoch: int) -> Any:
        maybe(epoch)
        return shuffled(n, seed, epoch)

    class Queue(engine.TrainingQueue):  # type: ignore[misc]
        def help(self, seconds: float) -> bool:
            maybe(self.epochs_done)
            return super().help(0.0)  # so one epoch

    monkeypatch.setattr(engine, "permutation", permutation)
    monkeypatch.setattr(engine, "TrainingQueue", Queue)
