"""Parts of docstrings come out alike, whether Python has stripped the docstring's indent (3.13 on) or not."""

from __future__ import annotations

import inspect

import pytest

from fastnet._docstrings import describe

PART = "seed : int\n        Of the guess.\n    tries : int\n        At most."


@pytest.mark.parametrize("indent", ["    ", ""], ids=["as written", "stripped"])
def test_a_part_takes_the_indent_of_its_place(indent: str) -> None:
    class Estimator:
        pass

    Estimator.__doc__ = (
        f"Guesses.\n\n{indent}Parameters\n{indent}----------\n{indent}{{parameters}}\n{indent}"
    )
    describe(Estimator, parameters=PART)
    assert inspect.getdoc(Estimator) == (
        "Guesses.\n\nParameters\n----------\nseed : int\n    Of the guess.\ntries : int\n    At most."
    )


def test_without_a_docstring_there_is_nothing_to_do() -> None:
    class Estimator:
        pass

    describe(Estimator, parameters=PART)  # as under python -OO
    assert not Estimator.__doc__
