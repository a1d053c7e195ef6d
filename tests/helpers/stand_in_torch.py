"""The few classes of torch that `from_torch` reads, for machines without torch: a stand-in for `torch.nn`.

`named_children` gives each object once, and hooks lie in dictionaries, as in torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np


class Tensor:
    def __init__(self, array: Any, dtype: str = "") -> None:
        self.array = np.array(array)
        self.dtype = f"torch.{dtype or self.array.dtype}"

    def detach(self) -> Tensor:
        return self

    cpu = detach

    def numpy(self) -> Any:
        return self.array


class Module:
    def __init__(self) -> None:
        self._forward_hooks: dict[int, Any] = {}
        self._forward_pre_hooks: dict[int, Any] = {}

    def register_forward_hook(self, hook: Callable[..., Any]) -> None:
        self._forward_hooks[len(self._forward_hooks)] = hook

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> None:
        self._forward_pre_hooks[len(self._forward_pre_hooks)] = hook


class Sequential(Module):
    def __init__(self, *parts: Module) -> None:
        super().__init__()
        self.parts = parts

    def __iter__(self) -> Iterator[Module]:
        return iter(self.parts)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        seen: list[Module] = []
        for k, part in enumerate(self.parts):
            if not any(part is other for other in seen):
                seen.append(part)
                yield str(k), part

    def half(self) -> Sequential:
        for part in self.parts:
            if isinstance(part, Linear):
                part.weight, part.bias = (Tensor(t.array, "float16") for t in (part.weight, part.bias))
        return self


class Linear(Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        rng = np.random.default_rng(n_in + 10 * n_out)
        self.weight = Tensor(rng.normal(size=(n_out, n_in)).astype(np.float32))
        self.bias = Tensor(rng.normal(size=n_out).astype(np.float32))


class ReLU(Module):
    pass


class Tanh(Module):
    pass


def install() -> Any:
    """Put the stand-in where `import torch` would look, and return its `nn`."""
    torch, nn = ModuleType("torch"), ModuleType("torch.nn")
    for cls in (Module, Sequential, Linear, ReLU, Tanh):
        setattr(nn, cls.__name__, cls)
    torch.nn = nn  # type: ignore[attr-defined]
    sys.modules["torch"], sys.modules["torch.nn"] = torch, nn
    return nn
