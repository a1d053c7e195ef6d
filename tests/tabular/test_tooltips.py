"""Notebooks describe the parameters of the tabular estimators; pipelines show them too."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn", minversion="1.8")
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet.tabular import TabularRegressor


def test_descriptions_are_shown_inside_a_pipeline() -> None:
    page = make_pipeline(StandardScaler(), TabularRegressor())._repr_html_()
    assert "Units in each of the hidden layers" in page


def test_a_link_is_put_in_however_scikit_learn_hands_it_over() -> None:
    model = TabularRegressor()
    assert model._get_params_html(False, "").doc_link == "#"
    assert model._get_params_html(doc_link="").doc_link == "#"
    assert model._get_params_html(doc_link="https://example.org").doc_link == "https://example.org"


def test_the_head_has_no_link_that_leads_nowhere() -> None:
    assert "Documentation for TabularRegressor" not in TabularRegressor()._repr_html_()
