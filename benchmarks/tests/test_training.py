"""The check of a peer's results passes rounding and notices every wrong rule: ``pytest benchmarks``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.peers.by_hand_numpy import NumPy
from benchmarks.training import agree, to_check
from benchmarks.workloads import GROUPS
from fastnet.bench import Problem, Workload
from fastnet.optimizers import Adam

SMALLER = [w for group in ("main", "float64") for w in GROUPS[group] if w.flops < 1e8]
ADAM = [w for w in SMALLER if w.optimizer == "adam"]
named = {"ids": lambda workload: workload.name}


class NoBias(NumPy):
    """Leaves the last layer's bias where it was."""

    def _update(self) -> None:
        self.db[-1][:] = 0
        super()._update()


class Faster(NumPy):
    """Takes steps that are 1 % longer."""

    def __init__(self, problem: Problem, exact: bool = False) -> None:
        super().__init__(problem, exact)
        self.learning_rate *= 1.01
        self.adam = self.adam and replace(self.adam, learning_rate=self.learning_rate)


class OtherBeta1(NumPy):
    """Has 0.91 in place of 0.9."""

    change = {"beta_1": 0.91}  # noqa: RUF012 (nobody changes it)

    def _update(self) -> None:
        assert self.adam is not None
        self._adam(replace(self.adam, **self.change))


class OtherBeta2(OtherBeta1):
    """Has 0.998 in place of 0.999."""

    change = {"beta_2": 0.998}  # noqa: RUF012


class OtherEpsilon(OtherBeta1):
    """Has another epsilon than it was told, by a tenth."""

    change = {"epsilon": 1.1e-3}  # noqa: RUF012


class Uncorrected(NumPy):
    """Does not divide the moments by 1 - βᵗ: as if t were large from the start."""

    def prepare(self) -> None:
        """Begin at step 10**6."""
        super().prepare()
        self.steps = 10**6


class NoRoot(NumPy):
    """Divides by v, not by its root."""

    def _adam(self, adam: Adam) -> None:
        super()._adam(adam)
        self.weight += self.scratch  # takes the step back, and another one
        self.scratch *= self.v**0.5 + adam.epsilon
        self.scratch /= self.v + adam.epsilon
        self.weight -= self.scratch


@pytest.mark.parametrize("workload", SMALLER, **named)
def test_numpy_agrees(workload: Workload) -> None:
    found = agree(to_check(NumPy, workload))
    assert found["agrees"]
    assert found["loss"] < found["loss_at_start"]  # otherwise there is nothing to compare


@pytest.mark.parametrize("workload", SMALLER, **named)
@pytest.mark.parametrize("broken", [NoBias, Faster])
def test_a_broken_step_is_noticed(broken: type[NumPy], workload: Workload) -> None:
    assert not agree(to_check(broken, workload))["agrees"]


@pytest.mark.parametrize("workload", ADAM, **named)
@pytest.mark.parametrize("broken", [OtherBeta1, OtherBeta2, OtherEpsilon, Uncorrected, NoRoot])
def test_a_broken_adam_is_noticed(broken: type[NumPy], workload: Workload) -> None:
    assert not agree(to_check(broken, workload))["agrees"]
