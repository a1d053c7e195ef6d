"""scikit-learn's MLPClassifier: its public `fit`, of which only the epochs are timed."""

from __future__ import annotations

import time
import warnings
from typing import Any
from unittest import mock

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, _multilayer_perceptron

from benchmarks.peers.base import Array, Peer


class _Timed(MLPClassifier):
    """Notes how long the loop over the epochs takes: without validation and encoding of labels."""

    def _fit_stochastic(self, *args: Any, **kwargs: Any) -> None:
        start = time.thread_time()
        super()._fit_stochastic(*args, **kwargs)
        self.epochs_seconds = time.thread_time() - start


class ScikitLearn(Peer):
    """`fit` goes on from the weights it has (warm_start) for the wanted number of epochs.

    It draws its orders itself, which no parameter switches off; `shuffle` of its module is replaced by one
    that hands out those every side gets. Its time gets smaller by that. Each `fit` makes a new optimiser:
    Adam's moments start at zero again.
    """

    def prepare(self) -> None:
        """Make the model by a first fit, then put the common weights in."""
        rows, sizes = self.problem.X, self.problem.workload.sizes
        self.labels = self.problem.T[:, 0].astype(int)
        self.model = _Timed(
            hidden_layer_sizes=sizes[1:-1],
            activation="logistic",
            solver=self.problem.workload.optimizer,
            alpha=0.0,
            batch_size=self.batch,
            learning_rate="constant",
            learning_rate_init=self.learning_rate,
            momentum=0.0,
            nesterovs_momentum=False,
            max_iter=1,
            tol=0.0,
            n_iter_no_change=10**9,
            warm_start=True,
            shuffle=True,
        )
        if adam := self.adam:
            self.model.set_params(beta_1=adam.beta_1, beta_2=adam.beta_2, epsilon=adam.epsilon)
        self._fit(rows, 1, [self.in_order])  # makes the arrays of weights, which then get their values
        for k, (W, b) in enumerate(zip(self.W, self.b, strict=True)):
            self.model.coefs_[k][:] = W.T
            self.model.intercepts_[k][:] = b

    def _fit(self, rows: Array, count: int, orders: list[Any]) -> None:
        turns = iter([orders[k % len(orders)] for k in range(count)])

        def next_order(*_: Any, **__: Any) -> Any:
            return next(turns)

        self.model.set_params(max_iter=count)
        with (
            mock.patch.object(_multilayer_perceptron, "shuffle", next_order),
            warnings.catch_warnings(action="ignore", category=ConvergenceWarning),  # "all epochs were done"
        ):
            self.model.fit(rows, self.labels)

    def learn(self, count: int) -> None:
        """Fit all epochs in one call, in which Adam goes on."""
        self._fit(self.problem.X, count, [self.in_order])

    def epoch(self, order: Any) -> None:
        """Fit one epoch."""
        self._fit(self.problem.X, 1, [order])

    def train(self, count: int) -> float:
        """Fit all epochs in one call; its loop over them has timed itself."""
        self._fit(self.problem.X, count, self.orders)
        return self.model.epochs_seconds

    def weights(self) -> tuple[list[Array], list[Array]]:
        """Return the weights turned back."""
        return [np.asarray(W.T) for W in self.model.coefs_], list(self.model.intercepts_)
