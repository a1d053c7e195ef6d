"""The oracle's normal distribution against exact arithmetic.

Nothing here uses the compiled core.
"""

from typing import Any

import numpy as np
import pytest
from exact import exactly
from mpmath import mp

from fastnet.reference.normal import density, deviates, distribution

PRECISIONS = [np.float64, np.longdouble]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_normal_distribution(precision: Any, rng: np.random.Generator) -> None:
    numbers = [*rng.uniform(-37, 37, 150), *rng.uniform(-2, 2, 150), -1.5, np.nextafter(-1.5, 0), -0.0, 1.0]
    Z = np.array(numbers, dtype=precision)
    eps = float(np.finfo(precision).eps)
    for z, whole, height in zip(Z, distribution(Z), density(Z), strict=True):
        with mp.workdps(60):
            below, at = mp.ncdf(exactly(z)), mp.npdf(exactly(z))
            # a longdouble of 113 bits, as on 64-bit ARM, is more precise than the sums of normal.py
            assert abs(exactly(whole) - below) <= 40 * max(eps, 2.0**-64) * below
            assert abs(exactly(height) - at) <= 4 * eps * at
    assert distribution([-np.inf, -1e200, -40.0, 40.0, np.inf]).tolist() == [
        0,
        0,
        distribution([-40.0])[0],
        1,
        1,
    ]


def test_normal_deviates() -> None:
    u = np.array([2.0**-53, 1e-9, 0.02, 0.3, 0.5, 0.7, 0.98, 1 - 2.0**-53])
    z = deviates(u)
    assert z[4] == 0
    np.testing.assert_array_equal(np.sign(z), np.sign(u - 0.5))
    # an error of z moves Φ(z) by φ(z) times that: 4 ULP of z, and what rounds Φ
    error = abs(distribution(z.astype(np.longdouble)) - u)
    assert np.all(error <= density(z) * 4 * np.spacing(abs(z)) + 2.0**-54 * u)
    assert deviates([0.0]) == deviates([2.0**-54])
