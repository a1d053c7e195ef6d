"""The score of early stopping."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")


from sklearn_data import fitted

pytestmark = pytest.mark.usefixtures("few_epochs")


def test_early_stopping_by_the_loss_where_it_is_no_square() -> None:
    est = fitted("diabetes", loss="quantile", quantile=0.9, early_stopping=True)
    np.testing.assert_array_equal(est.validation_scores_, np.negative(est.validation_loss_curve_))
