"""The recipe for tables: folds, and one member by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tables import mixed, same

from fastnet.history import History
from fastnet.tabular import TableEncoder, TabularClassifier
from fastnet.tabular.recipe import CLASSES, NUMBERS, Patience


def test_folds_hold_each_row_out_once():
    from fastnet.tabular.recipe import folds

    labels = np.repeat([0, 1, 2, 3], [50, 31, 7, 1])
    fold = folds(len(labels), 5, 3, labels)
    for label in range(3):
        sizes = np.bincount(fold[labels == label], minlength=5)
        assert sizes.max() - sizes.min() <= 1
    assert fold[labels == 3].tolist() == [-1]  # the only one of its class is always trained on
    assert sorted(np.bincount(folds(11, 3, 0, None)).tolist()) == [3, 4, 4]


def test_few_numbers_are_trained_in_small_batches():
    sizes = {n: NUMBERS.options(128, n, 64)["batch_size"] for n in (40, 500, 2047, 2048, 4095, 4096, 10**6)}
    assert sizes == {40: 40, 500: 64, 2047: 64, 2048: 128, 4095: 128, 4096: 256, 10**6: 256}
    assert [CLASSES.options(128, n, 64)["batch_size"] for n in (40, 500, 4096)] == [40, 256, 256]


@pytest.mark.parametrize(
    ("losses", "ends"),
    [
        ([0.5, 0.6, 0.6], False),
        ([0.5, 0.6, 0.6, 0.6], True),  # 2 + 0.5 · 1 epochs after the first
        ([0.8, 0.7, 0.6, 0.5, 0.9, 0.9, 0.9, 0.9], False),
        ([0.8, 0.7, 0.6, 0.5, 0.9, 0.9, 0.9, 0.9, 0.9], True),  # 2 + 0.5 · 4
        ([0.8, 0.7, 0.6, 0.5, 0.9, 0.9, 0.9, 0.9, 0.4], False),
    ],
)
def test_patience_grows_with_the_best_epoch(losses, ends):
    class Noted:
        history = History(validation_loss=[9.0] * len(losses), calibrated_loss=losses)
        reason = ""

        def stop(self, reason):
            self.reason = reason

    for least, later in ((0, False), (len(losses) - 1, True)):
        trainer = Noted()
        Patience(2, 0.5, least).on_epoch_end(trainer)
        assert bool(trainer.reason) is (ends and not later)


def test_members_on_few_rows_wait_for_sixteen_steps():
    def epochs(recipe, n):
        (patience,) = recipe.options(128, n, 64)["callbacks"]
        return patience.least

    assert [epochs(CLASSES, n) for n in (100, 500, 2000, 10**5)] == [16, 8, 2, 16 / 391]
    assert [epochs(NUMBERS, n) for n in (50, 500)] == [16, 2]


def test_a_member_ends_by_its_patience():
    table, y, _ = mixed()
    model = TabularClassifier(2, epochs=300, random_state=0, width=16, piecewise=False).fit(table, y)
    for history in model.histories_:
        waited = len(history.loss) - history.best_epoch
        assert waited == int(CLASSES.patience.epochs + CLASSES.patience.share * history.best_epoch) + 1
        assert history.stopped == f"the calibrated loss did not fall in {waited} epochs"


def test_many_examples_have_fewer_epochs():
    assert [CLASSES.most_epochs(n) for n in (1, 8000, 9984, 12_000, 10**6)] == [128, 128, 128, 106, 40]


def test_more_than_two_outputs_have_a_third_hidden_layer():
    X = np.random.default_rng(0).normal(size=(120, 3))
    for classes, layers in ((2, 3), (3, 4)):
        model = TabularClassifier(1, epochs=1, width=8).fit(X, np.arange(120) % classes)
        assert len(model.ensemble_.networks[0].layers) == layers


def test_the_training_is_the_recipe():
    """One member by hand, from public parts: the same bits as the estimator's."""
    from fastnet.tabular.recipe import folds, make_member

    table, y, _ = mixed()
    model = TabularClassifier(2, epochs=5, piecewise=False, random_state=7, width=16).fit(table, y)
    seed = int(np.random.RandomState(7).randint(2**31))
    E = TableEncoder().fit(table).reduced(False).transform(table)
    labels = np.unique(y, return_inverse=True)[1]
    fold = folds(len(y), 2, seed, labels)
    c = np.float32(np.sqrt(16 / E.shape[1]))
    network = make_member(CLASSES, (E.shape[1], 16, 16, 2), "softmax", seed + 1)
    T = (labels == np.array([[0], [1]])).astype(np.float32)
    inside, outside = fold != 1, fold == 1
    options = CLASSES.options(16, int(inside.sum()), 5)
    X = (E * c).T
    network.fit(
        X[:, inside], T[:, inside], validation=(X[:, outside], T[:, outside]), seed=seed + 1, **options
    )
    kept = model.ensemble_.networks[1]
    same(kept.layers[0].W, network.layers[0].W * c)
    for k in (1, 2):
        same(kept.layers[k].W, network.layers[k].W)
        same(kept.layers[k].b, network.layers[k].b)
