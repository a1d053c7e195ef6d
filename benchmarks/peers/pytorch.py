"""torch: eager as its tutorials write it, and a hand-written step compiled as one function.

CPU time of the process: torch may hand work to threads of its own, though it is told to use one.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.peers.base import Array, Peer
from fastnet.optimizers import Adam

torch.set_num_threads(1)
torch.set_num_interop_threads(1)


class _Torch(Peer):
    clock = staticmethod(time.process_time)

    def own_order(self, order: NDArray[np.intp]) -> Any:
        return torch.from_numpy(order).split(self.batch)

    def prepare(self) -> None:
        self.X, self.T = torch.from_numpy(self.problem.X), torch.from_numpy(self.problem.T)


class Eager(_Torch):
    """Linear and Sigmoid modules, loss from the logits, autograd, the optimiser in its fastest form.

    That is plain for SGD and fused for Adam, for small and middle networks in both dtypes.
    """

    def prepare(self) -> None:
        """Make the model, with the common weights in it."""
        super().prepare()
        modules: list[torch.nn.Module] = []
        for W, b in zip(self.W, self.b, strict=True):
            linear = torch.nn.utils.skip_init(torch.nn.Linear, W.shape[1], W.shape[0])
            linear.weight.data, linear.bias.data = torch.from_numpy(W), torch.from_numpy(b)
            modules += [linear, torch.nn.Sigmoid()]
        self.model = torch.nn.Sequential(*modules[:-1])
        self.cost = torch.nn.BCEWithLogitsLoss()
        self.optimizer: torch.optim.Optimizer
        if adam := self.adam:
            betas, epsilon = (adam.beta_1, adam.beta_2), adam.epsilon
            self.optimizer = torch.optim.Adam(
                self.model.parameters(), adam.learning_rate, betas, epsilon, fused=True
            )
        else:
            self.optimizer = torch.optim.SGD(self.model.parameters(), self.learning_rate, foreach=False)
        self.steps = 0

    def epoch(self, order: Any) -> None:
        """Train with the usual four calls for each batch."""
        for batch in order:
            self.optimizer.zero_grad(set_to_none=True)
            logits = self.model(self.X.index_select(0, batch))
            self.cost(logits, self.T.index_select(0, batch)).backward()
            if self.exact and self.adam:
                self._move_epsilon(self.adam)
            self.optimizer.step()

    def _move_epsilon(self, adam: Adam) -> None:
        """Torch adds epsilon after v is divided by 1 - beta_2^t; give it the one that comes to ours."""
        self.steps += 1
        epsilon = adam.epsilon / math.sqrt(1 - adam.beta_2**self.steps)
        self.optimizer.param_groups[0]["eps"] = epsilon

    def weights(self) -> tuple[list[Array], list[Array]]:
        """Return views of the model's parameters."""
        parameters = [p.detach().numpy() for p in self.model.parameters()]
        return parameters[::2], parameters[1::2]


class Compiled(_Torch):
    """Gather, forward, backward by hand and the update, in place, in one graph."""

    def prepare(self) -> None:
        """Make the parameters and the step, which compiles at its first call."""
        super().prepare()
        self.parameters = [
            torch.from_numpy(array) for pair in zip(self.W, self.b, strict=True) for array in pair
        ]
        self.moments = [[torch.zeros_like(p) for p in self.parameters] for _ in range(2)]
        self.rate = torch.zeros((), dtype=self.X.dtype)  # a number would be compiled in; Adam's changes
        self.steps = 0
        self.step = torch.compile(_step, fullgraph=True, dynamic=False)
        torch._dynamo.reset()  # one workload after the other in one process: each its own graph

    def epoch(self, order: Any) -> None:
        """Call the compiled step for each batch."""
        with torch.inference_mode():
            for batch in order:
                if self.adam is None:
                    rate: Any = self.learning_rate / self.batch
                else:
                    self.steps += 1
                    scale = math.sqrt(1 - self.adam.beta_2**self.steps) / (1 - self.adam.beta_1**self.steps)
                    rate = self.rate.fill_(self.learning_rate * scale)
                self.step(self.parameters, self.moments, self.X, self.T, batch, rate, self.adam)

    def weights(self) -> tuple[list[Array], list[Array]]:
        """Return views of the parameters."""
        parameters = [p.numpy() for p in self.parameters]
        return parameters[::2], parameters[1::2]


def _step(
    parameters: list[torch.Tensor],
    moments: list[list[torch.Tensor]],
    X: torch.Tensor,
    T: torch.Tensor,
    batch: torch.Tensor,
    rate: Any,
    adam: Adam | None,
) -> None:
    W, b = parameters[::2], parameters[1::2]
    A = [X.index_select(0, batch)]
    for V, c in zip(W, b, strict=True):
        A.append(torch.sigmoid(torch.addmm(c, A[-1], V.T)))
    D = A[-1] - T.index_select(0, batch)
    for k in reversed(range(len(W))):
        gradients = D.T @ A[k], D.sum(0)
        if k > 0:
            D = (D @ W[k]) * (A[k] * (1 - A[k]))
        for p, g in zip((2 * k, 2 * k + 1), gradients, strict=True):
            if adam is None:
                parameters[p].sub_(g, alpha=rate)
            else:
                g = g / len(batch)
                m = moments[0][p].mul_(adam.beta_1).add_(g, alpha=1 - adam.beta_1)
                v = moments[1][p].mul_(adam.beta_2).addcmul_(g, g, value=1 - adam.beta_2)
                parameters[p].sub_(rate * m / (v.sqrt() + adam.epsilon))
