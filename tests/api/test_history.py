"""History: its curves and its line for a person."""

from __future__ import annotations

from typing import Any

import pytest
from networks import bits, data, network


def test_all_curves_of_an_interrupted_history_are_of_one_length() -> None:
    X, T = data(3, 1, 40, "float64")
    net, expected = network((3, 4, 1)), network((3, 4, 1))
    expected.fit(X, T, epochs=3)

    def interrupted(T: Any, A: Any) -> float:
        if len(lengths) == 4:  # of the training data in the third epoch
            raise KeyboardInterrupt
        lengths.append(1)
        return 0.0

    lengths: list[int] = []
    with pytest.warns(UserWarning, match="after 3 of 9 epochs"):
        history = net.fit(X, T, epochs=9, validation=(X, T), metrics=[interrupted])
    curves = [history.loss, history.seconds, history.learning_rate, history.validation_loss]
    assert [len(curve) for curve in (*curves, *history.metrics.values())] == [2] * 6
    assert bits(net) == bits(expected), "the epoch itself was whole"
