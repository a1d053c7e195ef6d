"""Files of ensembles: a damaged one is refused."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from tables import mixed

import fastnet as fn
from fastnet.files import container
from fastnet.tabular import TabularClassifier


def test_a_damaged_file_is_refused():
    table, y, _ = mixed(60)
    file = io.BytesIO()
    fn.save(TabularClassifier(2, epochs=1, random_state=0).fit(table, y).ensemble_, file)
    content = file.getvalue()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 200):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        with pytest.raises(fn.FormatError):
            fn.load(io.BytesIO(damaged))
    for length in rng.integers(0, len(content), 20):
        with pytest.raises(fn.FormatError):
            fn.load(io.BytesIO(content[:length]))


def test_a_file_of_the_first_version_loads():
    """Such a file has no key for an estimator; here it is held to its bytes."""
    networks = [fn.Network([fn.Layer(2, 1)], seed=k) for k in range(2)]
    file = io.BytesIO()
    fn.save(fn.Ensemble(networks), file)
    length = int.from_bytes(file.getvalue()[:8], "little")
    metadata = json.loads(file.getvalue()[8 : 8 + length])["__metadata__"]
    about = json.loads(metadata["fastnet.ensemble"])
    assert about["version"] == 1
    assert sorted(about) == ["encoder", "networks", "targets", "version"]
    file.seek(0)
    again = fn.load(file)
    assert isinstance(again, fn.Ensemble)
    X = np.ones((2, 3))
    np.testing.assert_array_equal(again.predict_proba(X), fn.Ensemble(networks).predict_proba(X))


def test_an_ensemble_is_no_checkpoint_and_no_npz(tmp_path):
    ensemble = fn.Ensemble([fn.Network([fn.Layer(2, 1)])])
    with pytest.raises(TypeError, match="model must be a Trainer for a checkpoint, got a Ensemble"):
        fn.save(ensemble, tmp_path / "model.safetensors", checkpoint=True)
    with pytest.raises(ValueError, match=r"kind must be .*'safetensors', got 'npz'"):
        fn.save(ensemble, tmp_path / "model.npz")
    fn.save(ensemble, tmp_path / "model.safetensors")
    with pytest.raises(fn.FormatError, match="there is no training in this file"):
        fn.load_checkpoint(tmp_path / "model.safetensors")


def test_two_descriptions_are_refused():
    file = io.BytesIO()
    container.write_safetensors(file, {}, {"fastnet": "{}", "fastnet.ensemble": "{}"})
    file.seek(0)
    with pytest.raises(fn.FormatError, match="the metadata must have one description"):
        fn.load(file)
