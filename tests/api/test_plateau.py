"""Plateau: scikit-learn's rule for a loss that no longer falls."""

from __future__ import annotations

import math

import pytest

from fastnet._plateau import Plateau


def test_waiting_counts_epochs_that_did_not_improve_by_the_tolerance() -> None:
    plateau, seen = Plateau(), []
    for loss in (1.0, 0.5, 0.45, 0.44, 0.2, 0.2):
        lower = plateau.update(loss, 0.1)
        seen.append((lower, plateau.best, plateau.waited))
    assert seen == [
        (True, 1.0, 0),
        (True, 0.5, 0),
        (True, 0.45, 1),  # lower, but not by the tolerance
        (True, 0.44, 2),
        (True, 0.2, 0),
        (False, 0.2, 1),
    ]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_what_is_no_number_is_no_improvement(loss: float) -> None:
    plateau = Plateau(best=1.0)
    assert not plateau.update(loss, 0.0)
    assert (plateau.best, plateau.waited) == (1.0, 1)


def test_an_equal_loss_is_an_improvement_without_tolerance_only() -> None:
    for tol, waited in ((0.0, 0), (1e-9, 1)):
        plateau = Plateau(best=1.0)
        assert not plateau.update(1.0, tol)
        assert plateau.waited == waited
