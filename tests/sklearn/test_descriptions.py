"""What `help` and notebooks say of the estimators: every parameter is described."""

from __future__ import annotations

import html
import inspect
import re
from importlib import import_module
from typing import Any

import pytest

pytest.importorskip("sklearn")
from sklearn.datasets import load_iris
from sklearn.externals._numpydoc.docscrape import NumpyDocString

import fastnet.sklearn
from fastnet.sklearn import _descriptions
from fastnet.tabular import TableEncoder, TabularClassifier, TabularRegressor


def estimators() -> list[type]:
    found = [fastnet.sklearn.MLPClassifier, fastnet.sklearn.MLPRegressor]
    found += [TabularClassifier, TabularRegressor, TableEncoder]
    try:
        dask = import_module("fastnet.dask")
    except ImportError:
        return found
    return [*found, dask.MLPClassifier, dask.MLPRegressor]


def described(cls: type, section: str) -> list[str]:
    return [entry.name for entry in NumpyDocString(inspect.getdoc(cls))[section] if any(entry.desc)]


@pytest.mark.parametrize("cls", estimators(), ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_every_parameter_is_described(cls: type) -> None:
    assert "{" not in re.sub(r"\{[^{}]*[\"'][^{}]*\}", "", cls.__doc__ or "")  # no place was left unfilled
    assert sorted(described(cls, "Parameters")) == sorted(inspect.signature(cls).parameters)


def test_every_attribute_of_scikit_learn_is_described() -> None:
    for name in ("MLPClassifier", "MLPRegressor"):
        ours, theirs = getattr(fastnet.sklearn, name), import_module("sklearn.neural_network").__dict__[name]
        entries = [NumpyDocString(inspect.getdoc(cls))["Attributes"] for cls in (theirs, ours)]
        theirs_names, ours_names = ({entry.name for entry in found} for found in entries)
        assert theirs_names <= ours_names


def tooltips(page: str) -> dict[str, tuple[str, str]]:
    """Return the description and the link of each parameter in scikit-learn's HTML."""
    link = r'<a class="param-doc-link"\s.*?href="([^"]*)">\s*(\w+)\s*'
    pattern = link + r'<span class="param-doc-description".*?>(.*?)</span>'
    return {name: (html.unescape(text), link) for link, name, text in re.findall(pattern, page, re.DOTALL)}


def test_notebooks_show_what_a_parameter_means() -> None:
    sklearn = pytest.importorskip("sklearn", minversion="1.8")
    version = ".".join(sklearn.__version__.split(".")[:2])
    clf: Any = fastnet.sklearn.MLPClassifier((3,), max_iter=2)
    for state in ("unfitted", "fitted"):
        found = tooltips(clf._repr_html_())
        assert set(inspect.signature(type(clf)).parameters) <= set(found), state
        text, link = found["dropout"]
        assert "units left out at random" in text
        page = (
            f"https://scikit-learn.org/{version}/modules/generated/sklearn.neural_network.MLPClassifier.html"
        )
        assert link.startswith(page)
        with pytest.warns(UserWarning, match="Maximum iterations"):
            clf.fit(*load_iris(return_X_y=True))


def test_notebooks_show_what_a_parameter_of_tables_means() -> None:
    pytest.importorskip("sklearn", minversion="1.8")
    found = tooltips(TabularClassifier(members=2)._repr_html_())
    assert set(inspect.signature(TabularClassifier).parameters) <= set(found)
    assert "Networks whose predictions are averaged" in found["members"][0]
    assert found["members"][1].startswith("#")  # to no other page


def test_entries_are_chosen_by_name() -> None:
    text = _descriptions.chosen(_descriptions.FASTNET, "rho", "dtype")
    assert re.findall(r"^ *(\w+) : ", text, re.MULTILINE) == ["rho", "dtype"]
    assert "clip" not in text
