"""The bits of 156 trainings stay what they were: see `helpers/golden.py`."""

from __future__ import annotations

import json

import golden
import pytest

CASES = dict(golden.cases())


@pytest.mark.parametrize("name", CASES)
def test_a_training_gives_the_bits_that_are_kept(name, isa):
    assert CASES[name]() == golden.kept()[name]


def test_every_line_of_the_file_is_a_training():
    assert set(golden.kept()) == set(CASES)


def test_what_the_package_ships_is_made_of_these_lines():
    assert golden.SHIPPED.read_text() == golden.written(golden.shipped(json.loads(golden.FILE.read_text())))
