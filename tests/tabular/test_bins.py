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
    return BinsChoice(members, lambda k, piecewise, smoothed: (k, piecewise), squared=squared)


def drain(found, histories, done=(True, True)):
    """Return all fits that follow."""
    fits = []
    while (fit := found.next(histories, list(done), guess=True)) is not None:
        fits.append(fit)
    return fits


@pytest.mark.parametrize(
    ("without", "with_bins", "ways", "dropped"),
    [
        (0.6, 0.5, [True] * 4, {0}),
        (0.5, 0.6, [False] * 4, {1}),
        (0.51, 0.5, [False, True, False, True], set()),
        (0.5, 0.51, [True, False, True, False], set()),
    ],
)
def test_others_go_the_better_way_or_take_turns(without, with_bins, ways, dropped):
    found = choice()
    assert drain(found, [history(without, 0.9), history(0.9, with_bins)]) == list(enumerate(ways, start=1))
    assert found.dropped == dropped
    assert [one[:2] for one in found.planned] == [(0, False), (0, True), *enumerate(ways, start=1)]


def test_squared_errors_are_compared_by_their_roots():
    pair = [history(1.05), history(1.0)]  # roots: 2.4 % apart
    assert drain(choice(3), pair) == [(1, True), (2, True)]
    assert drain(choice(3, squared=True), pair) == [(1, False), (2, True)]


def test_nothing_is_guessed_where_a_thread_can_help():
    pair = [history(0.6, 0.4), history(0.5)]
    assert choice().next(pair, [True, False], guess=False) is None
    assert choice().next(pair, [True, True], guess=False) == (1, False)


def test_nothing_is_guessed_before_a_thread_would_wait():
    found = choice()
    assert found.next([history(0.6), history(0.5)], [False, False], guess=True) is None
    nothing_to_compare_with = [history(0.6), history()]
    assert found.next(nothing_to_compare_with, [True, False], guess=True) is None


def test_a_member_that_was_guessed_right_is_kept():
    found = choice(3)
    pair = [history(0.6, 0.4), history(0.5)]  # of as many epochs: bins are better
    assert found.next(pair, [True, False], guess=True) == (1, True)
    pair = [history(0.6, 0.4), history(0.5, 0.3)]
    assert drain(found, pair) == [(2, True)]
    assert found.dropped == {0}


def test_a_member_that_was_guessed_wrong_is_dropped_and_trained_the_other_way():
    found = choice(3)
    assert found.next([history(0.6, 0.5), history(0.9)], [True, False], guess=True) == (1, False)
    assert drain(found, [history(0.6, 0.5), history(0.9, 0.3)]) == [(1, True), (2, True)]
    assert found.dropped == {0, 2}


@pytest.mark.parametrize("way", [True, False])
def test_others_go_on_where_one_of_the_two_diverged(way):
    found = choice(3)
    pair = [history(), history(0.5)] if way else [history(0.5), history()]
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
        ((0.6, 0.5, 0.49), [True] * 3, {0, 2}),  # 2 % are not enough
        ((0.5, 0.5, None), [False, True, False], {2}),
        ((None, None, 0.5), ["values"] * 3, {0, 1}),
    ],
)
def test_repeated_values_must_be_clearly_better(losses, ways, dropped):
    found = BinsChoice(4, lambda k, piecewise, smoothed: (k, piecewise), values=True, squared=False)
    assert found.count == 6
    first = [history() if loss is None else history(loss) for loss in losses]
    assert found.next([*first[:2], history()], [True, True, False], guess=True) is None
    assert drain(found, first, [True] * 3) == list(enumerate(ways, start=1))
    assert found.dropped == dropped


SLOW = [0.8, 0.7, 0.6, 0.5, 0.5, 0.5, 0.3]  # the fifth epoch is the first that counts
FAST = [0.7, 0.6, 0.5, 0.4, 0.4, 0.4, 0.4]


def given_up(done, *curves, values=False):
    found = BinsChoice(3, lambda *_: None, values=values, squared=False)
    found.look([history(*losses) for losses in curves], done)
    return found.dropped


def test_a_way_that_is_worse_after_five_epochs_is_given_up():
    assert given_up([True, False], FAST, SLOW[:4]) == set()
    assert given_up([True, False], FAST, SLOW[:5]) == {1}
    assert given_up([True, False], FAST, [loss - 0.09 for loss in SLOW[:5]]) == set()  # 2.5 % worse
    assert given_up([True, False], [0.4], SLOW[:5]) == {1}  # the other one ended at its best
    found = choice()
    assert drain(found, [history(*FAST), history(*SLOW)]) == [(k, False) for k in range(1, 5)]
    assert found.dropped == {1}  # though it was better in the end


def test_others_begin_once_one_way_is_left():
    found = choice(3)
    found.look([history(*FAST[:6]), history(*SLOW[:5])], [False, False])
    pair = [history(*FAST[:6]), history(*SLOW[:5])]
    assert found.next(pair, [False, True], guess=False) == (1, False)
    # the one that is left diverges, though it was the better one
    assert drain(found, [history(), history(*SLOW[:5])]) == [(1, True), (2, True)]
    assert found.dropped == {0, 2}


def test_the_first_way_is_never_given_up():
    found = choice()
    assert drain(found, [history(*SLOW), history(*FAST)]) == [(k, False) for k in range(1, 5)]


def test_what_is_given_up_does_not_depend_on_which_is_ahead():
    """Whenever two or three ways are looked at, what is dropped is dropped in the end as well."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        curves = [list(np.cumprod(1 - 0.2 * rng.random(12))) for _ in range(rng.integers(2, 4))]
        in_the_end = given_up([True] * len(curves), *curves, values=len(curves) == 3)
        at = [0] * len(curves)
        while at != [12] * len(curves):
            at[rng.integers(len(curves))] += 1
            at = [min(epochs, 12) for epochs in at]
            known = given_up(
                [epochs == 12 for epochs in at],
                *(curve[:epochs] for curve, epochs in zip(curves, at, strict=True)),
                values=len(curves) == 3,
            )
            assert known <= in_the_end


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


@pytest.mark.parametrize(
    ("without", "with_bins", "smoothed"),
    [(0.02, 0.5, True), (0.5, 0.02, True), (0.06, 0.5, False), (0.0501, 0.05, False), (0.049, 0.0492, True)],
)
def test_labels_are_smoothed_where_the_first_member_tells_examples_apart(without, with_bins, smoothed):
    found = BinsChoice(3, lambda *member: member, squared=False, smooth_below=0.05)
    members = drain(found, [history(without, 0.9), history(0.9, with_bins)])
    assert [one[0] for one in members] == ([0, 1, 2] if smoothed else [1, 2])
    assert {one[2] for one in members} == {smoothed}
    assert ({0, 1} <= found.dropped) is smoothed  # of the first one: it is trained once more


def test_a_member_that_was_begun_before_labels_were_to_be_smoothed_is_dropped():
    found = BinsChoice(3, lambda *member: member, squared=False, smooth_below=0.05)
    assert found.next([history(0.3), history(0.9)], [False, True], guess=True) == (1, False, False)
    assert drain(found, [history(0.3, 0.01), history(0.9)]) == [(k, False, True) for k in range(3)]
    assert found.dropped == {0, 1, 2}


def test_nothing_is_guessed_while_it_may_turn_out_that_labels_are_smoothed():
    found = BinsChoice(3, lambda *member: member, squared=False, smooth_below=0.05)
    five = [0.9] * 5
    worse = history(*five, 0.95)
    for loss, member in ((0.2, (1, False, False)), (0.1, None), (0.04, (1, False, True))):
        found = BinsChoice(3, lambda *member: member, squared=False, smooth_below=0.05)
        first = [history(0.5, 0.4, 0.3, 0.3, loss), worse]
        found.look(first, [False, False])
        assert found.dropped == {1}
        assert found.next(first, [False, True], guess=True) == member
