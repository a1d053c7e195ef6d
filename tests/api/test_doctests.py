"""The examples in the docstrings, run on the installed package, and that every public thing has one."""

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType

import pytest

import fastnet

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = ["fastnet"] + [
    module.name
    for module in pkgutil.walk_packages(fastnet.__path__, "fastnet.")
    if not module.name.startswith("fastnet._core.") and not module.name.endswith("__main__")
]
if importlib.util.find_spec("sklearn") is None:  # the one package that imports it when it is loaded
    MODULES = [name for name in MODULES if not name.startswith("fastnet.sklearn")]
if not all(importlib.util.find_spec(name) for name in ("sklearn", "distributed", "pandas")):
    MODULES = [name for name in MODULES if not name.startswith("fastnet.dask")]


def examples_in(name: str) -> list[doctest.DocTest]:
    """Return the docstrings of a module that hold examples."""
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), name)
    return [test for test in found if test.examples]


def failures(test: doctest.DocTest) -> str:
    """Run one docstring and return what went otherwise than it says."""
    report: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(test, out=report.append)
    return "".join(report)


@pytest.mark.parametrize(
    "test", [test for name in MODULES for test in examples_in(name)], ids=lambda test: test.name
)
def test_docstring(test: doctest.DocTest) -> None:
    assert failures(test) == ""


def public_things() -> list[Callable[..., object]]:
    """Return the public functions and classes: those of fastnet and of the modules it makes public."""
    things = []
    for name in fastnet.__all__:
        thing = getattr(fastnet, name)
        within = vars(thing).items() if isinstance(thing, ModuleType) else [(name, thing)]
        home = thing.__name__ if isinstance(thing, ModuleType) else "fastnet."
        for inner, value in within:
            if callable(value) and not inner.startswith("_") and value.__module__.startswith(home):
                things.append(value)
    return [thing for thing in things if not (isinstance(thing, type) and issubclass(thing, Exception))]


@pytest.mark.parametrize("thing", public_things(), ids=lambda thing: f"{thing.__module__}.{thing.__name__}")
def test_every_public_thing_has_an_example(thing: Callable[..., object]) -> None:
    assert ">>>" in (inspect.getdoc(thing) or "")


def test_a_wrong_example_is_reported() -> None:
    parser = doctest.DocTestParser()
    right, wrong = (parser.get_doctest(f">>> 1 + 1\n{answer}\n", {}, answer, None, 0) for answer in "23")
    assert failures(right) == ""
    assert "Expected:\n    3" in failures(wrong)
