"""Which members get the bins of numbers."""

from __future__ import annotations

import numpy as np
import pytest
from tables import mixed

from fastnet.history import History
from fastnet.tabular import TabularClassifier, TabularRegressor
from fastnet.tabular.bins import BinsChoice


def history(*losses):
    found = History()
    found.validation_loss = list(losses)
    return found


def choice(members=5, squared=False):
    return BinsChoice(members, lambda k, piecewise: (k, piecewise), squared=squared)


def drain(found, histories, done=(True, True)):
    """Return all fits that follow."""
    fits = []
    while (fit := found.next(histories, list(done), guess=True)) is not None:
        fits.append(fit)
    return fits


@pytest.mark.parametrize(
    ("with_bins", "without", "ways", "dropped"),
    [
        (0.5, 0.6, [True] * 4, {1}),
        (0.6, 0.5, [False] * 4, {0}),
        (0.5, 0.51, [False, True, False, True], set()),
        (0.51, 0.5, [True, False, True, False], set()),
    ],
)
def test_others_go_the_better_way_or_take_turns(with_bins, without, ways, dropped):
    found = choice()
    assert drain(found, [history(0.9, with_bins), history(without, 0.9)]) == list(enumerate(ways, start=1))
    assert found.dropped == dropped
    assert found.planned == [(0, True), (0, False), *enumerate(ways, start=1)]


def test_squared_errors_are_compared_by_their_roots():
    pair = [history(1.0), history(1.05)]  # roots: 2.4 % apart
    assert drain(choice(3), pair) == [(1, True), (2, True)]
    assert drain(choice(3, squared=True), pair) == [(1, False), (2, True)]


def test_nothing_is_guessed_where_a_thread_can_help():
    pair = [history(0.5), history(0.6, 0.4)]
    assert choice().next(pair, [False, True], guess=False) is None
    assert choice().next(pair, [True, True], guess=False) == (1, False)


def test_nothing_is_guessed_before_a_thread_would_wait():
    found = choice()
    assert found.next([history(0.5), history(0.6)], [False, False], guess=True) is None
    nothing_to_compare_with = [history(), history(0.6)]
    assert found.next(nothing_to_compare_with, [False, True], guess=True) is None


def test_a_member_that_was_guessed_right_is_kept():
    found = choice(3)
    pair = [history(0.5), history(0.6, 0.4)]  # of as many epochs: bins are better
    assert found.next(pair, [False, True], guess=True) == (1, True)
    pair = [history(0.5, 0.3), history(0.6, 0.4)]
    assert drain(found, pair) == [(2, True)]
    assert found.dropped == {1}


def test_a_member_that_was_guessed_wrong_is_dropped_and_trained_the_other_way():
    found = choice(3)
    assert found.next([history(0.9), history(0.6, 0.5)], [False, True], guess=True) == (1, False)
    assert drain(found, [history(0.9, 0.3), history(0.6, 0.5)]) == [(1, True), (2, True)]
    assert found.dropped == {1, 2}


@pytest.mark.parametrize("way", [True, False])
def test_others_go_on_where_one_of_the_two_diverged(way):
    found = choice(3)
    pair = [history(0.5), history()] if way else [history(), history(0.5)]
    assert drain(found, pair) == [(1, way), (2, way)]


@pytest.mark.parametrize("estimator", [TabularClassifier, TabularRegressor])
def test_any_number_of_threads_gives_the_same_members(estimator):
    table, y, _ = mixed()
    y = y if estimator is TabularClassifier else np.arange(len(y)) % 7.0
    fits = [estimator(4, epochs=6, random_state=0, n_threads=n).fit(table, y) for n in (1, 2, 5)]
    for fit in fits[1:]:
        assert fit.piecewise_ == fits[0].piecewise_
        outputs = fit.ensemble_.predict_proba(fit.encoder_.read(table).inputs())
        np.testing.assert_array_equal(
            outputs, fits[0].ensemble_.predict_proba(fits[0].encoder_.read(table).inputs())
        )


@pytest.mark.parametrize(
    ("losses", "ways", "dropped"),
    [
        ((0.5, 0.6, 0.48), ["values"] * 3, {0, 1}),
        ((0.5, 0.6, 0.49), [True] * 3, {1, 2}),  # 2 % are not enough
        ((0.5, 0.5, None), [False, True, False], {2}),
        ((None, None, 0.5), ["values"] * 3, {0, 1}),
    ],
)
def test_repeated_values_must_be_clearly_better(losses, ways, dropped):
    found = BinsChoice(4, lambda k, piecewise: (k, piecewise), values=True, squared=False)
    assert found.count == 6
    first = [history() if loss is None else history(loss) for loss in losses]
    assert found.next([*first[:2], history()], [True, True, False], guess=True) is None
    assert drain(found, first, [True] * 3) == list(enumerate(ways, start=1))
    assert found.dropped == dropped


def test_amounts_are_found_by_their_values():
    rng = np.random.default_rng(3)
    n = 5000
    often = np.sort(rng.uniform(100, 9000, 60)).round(2)
    X = np.where(rng.random((n, 1)) < 0.5, 0.0, rng.choice(often, (n, 1)))
    y = np.isin(X[:, 0], often[::2])  # neighbours differ: few bins cannot tell
    model = TabularClassifier(3, random_state=0, width=32, n_threads=2).fit(X, y)
    assert model.piecewise_ == ["values"] * 3
    assert model.score(X, y) > 0.99
    plain = TabularClassifier(3, random_state=0, width=32, piecewise=True).fit(X, y)
    assert plain.piecewise_ == [True] * 3
    assert plain.score(X, y) < 0.97
