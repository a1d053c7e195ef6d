"""The sum of pieces has the bits of NumPy's sum of the whole vector."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fastnet.dask.pairwise import requests_for, total


@pytest.mark.parametrize("n", [1, 7, 127, 128, 129, 1000, 5003, 131072, 200001])
def test_the_sum_has_numpys_bits(n: int, dtype: np.dtype, rng: np.random.Generator) -> None:
    vector = rng.uniform(0, 3, n).astype(dtype)
    for ends in ([n], [*range(1024, n, 1024), n], [*sorted({*rng.integers(1, n + 1, 5).tolist(), n})]):
        pieces = [vector[start:stop] for start, stop in pairwise([0, *ends])]
        asked = requests_for(ends)
        found = total(ends, lambda request, pieces=pieces: request.answer(pieces[request.piece]))
        assert found == vector.sum()
        assert found.dtype == dtype
        assert sum(request.stop - request.start for request in asked) == n
        fetched = sum(request.stop - request.start for request in asked if not request.whole)
        assert fetched <= 128 * (len(ends) - 1)
