"""NumPy's numbers in mpmath."""

from typing import Any

from mpmath import mpf


def exactly(x: Any) -> Any:
    """Return a NumPy number in mpmath, whatever its precision."""
    high = float(x)
    return mpf(high) + mpf(float(x - type(x)(high)))
