"""A pytest plugin that runs scikit-learn's own tests of its MLP on fastnet's classes.

    python -m pytest -p swap_plugin --pyargs sklearn.neural_network.tests.test_mlp

Every fit is counted, and whether the kernels did it; scikit-learn's own backpropagation is made to fail, for
an estimator that overrode nothing would pass those tests too.
"""

from __future__ import annotations

from typing import Any

import sklearn.neural_network
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron

import fastnet.sklearn
from fastnet._core import engine
from fastnet.sklearn import _base

counts = {"fits": 0, "fits on the kernels": 0, "calls of the kernels": 0}


class CountingTrainer(engine.TrainerCore):
    """The core's trainer, which counts what it is asked to do."""

    def epoch(self, *args: Any, **kwargs: Any) -> Any:
        counts["calls of the kernels"] += 1
        return super().epoch(*args, **kwargs)

    def gradients(self, *args: Any, **kwargs: Any) -> Any:
        counts["calls of the kernels"] += 1
        return super().gradients(*args, **kwargs)


class CountingQueue(engine.TrainingQueue):
    """The core's queue, which counts the fits that it is asked to do whole."""

    def add(self, *args: Any, **kwargs: Any) -> Any:
        counts["calls of the kernels"] += 1
        return super().add(*args, **kwargs)


def _not_to_be_called(self: Any, *args: Any) -> None:
    raise AssertionError("scikit-learn's own backpropagation was called")


def pytest_configure() -> None:
    engine.TrainerCore = CountingTrainer  # type: ignore[misc]
    engine.TrainingQueue = CountingQueue  # type: ignore[misc]
    BaseMultilayerPerceptron._backprop = _not_to_be_called
    fit = _base.FastnetMLPMixin._fit

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = counts["calls of the kernels"]
        result = fit(self, *args, **kwargs)
        counts["fits"] += 1
        counts["fits on the kernels"] += (
            counts["calls of the kernels"] > before and self.backend_ == "fastnet"
        )
        return result

    _base.FastnetMLPMixin._fit = counted
    fastnet.sklearn.patch()
    assert sklearn.neural_network.MLPClassifier is fastnet.sklearn.MLPClassifier


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for what, count in counts.items():
        terminalreporter.write_line(f"swap: {what}: {count}")
