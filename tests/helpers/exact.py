"""NumPy's numbers in mpmath."""

from typing import Any

from mpmath import mpf


def exactly(x: Any) -> Any:
    """Return a finite NumPy number in mpmath, in whose precision it has to fit.

    Two floats would not hold it everywhere: longdouble has 113 bits on 64-bit ARM.
    """
    numerator, denominator = x.as_integer_ratio()
    return mpf(numerator) / denominator
