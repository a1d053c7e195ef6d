"""What the solver lbfgs records."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn_data import data

from fastnet.sklearn import MLPClassifier

pytestmark = pytest.mark.usefixtures("few_epochs")


def test_lbfgs_records_the_validation_loss_of_each_iteration() -> None:
    _, X, y, _ = data("breast_cancer")
    est = MLPClassifier(9, solver="lbfgs", max_iter=6, random_state=0, alpha=0.0)
    est.fit(X, y, X_val=X, y_val=y)
    assert len(est.validation_loss_curve_) == est.n_iter_ == 6
    np.testing.assert_allclose(est.validation_loss_curve_[-1], est.loss_, rtol=1e-12)
