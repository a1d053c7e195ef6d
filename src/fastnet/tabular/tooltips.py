"""Notebooks show what each parameter of an estimator means, as they do for scikit-learn's own."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["DescribedEstimator"]


class DescribedEstimator(BaseEstimator):  # type: ignore[misc]
    """An estimator whose parameters and attributes are described in its HTML by its docstring.

    scikit-learn shows a description only where there is a link to a page, and has no page of other people's
    estimators: the link here stays on the page that is being read.

    Examples
    --------
    >>> from fastnet.tabular import TabularClassifier
    >>> "Networks whose predictions are averaged" in TabularClassifier()._repr_html_()
    True
    """

    def _get_params_html(self, *arguments: Any, **named: Any) -> Any:
        return super()._get_params_html(*_with_link(arguments), **_named(named))

    def _get_fitted_attr_html(self, *arguments: Any, **named: Any) -> Any:
        return super()._get_fitted_attr_html(*_with_link(arguments), **_named(named))


def _with_link(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return positional arguments, with an empty link made one to the page itself."""
    return tuple("#" if argument == "" else argument for argument in arguments)


def _named(named: dict[str, Any]) -> dict[str, Any]:
    return {name: value or "#" if name == "doc_link" else value for name, value in named.items()}
