"""The oracle's exp and sigmoid at their ends.

Nothing here uses the compiled core.
"""

import numpy as np

from fastnet import reference as ref


def test_exp_and_sigmoid_at_the_ends() -> None:
    ends = [-np.inf, -1e308, -0.0, 0.0, 1e308, np.inf]
    np.testing.assert_array_equal(ref.exp(ends), [0, 0, 1, 1, np.inf, np.inf])
    np.testing.assert_array_equal(ref.sigmoid(ends), [0, 0, 0.5, 0.5, 1, 1])
    assert np.isnan(ref.exp(np.nan))
    assert np.isnan(ref.sigmoid(np.nan))
