"""Files of ensembles: a damaged one is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from tables import mixed

import fastnet as fn
from fastnet.tabular import TabularClassifier


def test_a_damaged_file_is_refused():
    table, y, _ = mixed(60)
    file = io.BytesIO()
    TabularClassifier(2, epochs=1, random_state=0).fit(table, y).ensemble_.save(file)
    content = file.getvalue()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 200):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        with pytest.raises(fn.FormatError):
            fn.Ensemble.load(io.BytesIO(damaged))
    for length in rng.integers(0, len(content), 20):
        with pytest.raises(fn.FormatError):
            fn.Ensemble.load(io.BytesIO(content[:length]))
    plain = io.BytesIO()
    fn.save(fn.Network([fn.Layer(2, 1)]), plain)
    plain.seek(0)
    with pytest.raises(fn.FormatError, match="this is no ensemble: use load"):
        fn.Ensemble.load(plain)
