"""What it costs to begin: importing, and a first small fit in a fresh interpreter, next to peers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import util
from typing import Any

from fastnet.bench import Summary

__all__ = ["measure"]

# Each program prints the wall seconds of what comes after its first line.
_TIMED = "from time import perf_counter; start = perf_counter()\n{}\nprint(perf_counter() - start)"
_IMPORTS = {"numpy": "import numpy", "fastnet": "import fastnet"}
_FITS = {
    "fastnet": (
        "numpy",
        """
import numpy as np, fastnet as fn
X = np.arange(400.0).reshape(2, 200) % 7
fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)]).fit(X, (X.sum(axis=0) > 6)[None], epochs=10)
""",
    ),
    "scikit-learn": (
        "sklearn",
        """
import warnings; warnings.simplefilter("ignore")
import numpy as np
from sklearn.neural_network import MLPClassifier
X = np.arange(400.0).reshape(2, 200).T % 7
MLPClassifier((3,), activation="logistic", solver="sgd", max_iter=10).fit(X, X.sum(axis=1) > 6)
""",
    ),
    "torch": (
        "torch",
        """
import numpy as np, torch
X = torch.from_numpy(np.arange(400.0, dtype=np.float32).reshape(2, 200).T % 7)
T = (X.sum(1, keepdim=True) > 6).float()
net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Sigmoid(), torch.nn.Linear(3, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(10):
    optimizer.zero_grad()
    torch.nn.functional.binary_cross_entropy_with_logits(net(X), T).backward()
    optimizer.step()
""",
    ),
    "jax": (
        "jax",
        """
import numpy as np, jax, jax.numpy as jnp
X = jnp.asarray(np.arange(400.0, dtype=np.float32).reshape(2, 200).T % 7)
T = (X.sum(1, keepdims=True) > 6) * 1.0
def cost(p):
    Z = jax.nn.sigmoid(X @ p[0] + p[1]) @ p[2] + p[3]
    return jnp.mean(jnp.maximum(Z, 0) - Z * T + jnp.log1p(jnp.exp(-abs(Z))))
step = jax.jit(lambda p: jax.tree.map(lambda v, g: v - 0.1 * g, p, jax.grad(cost)(p)))
p = [jnp.ones((2, 3)), jnp.zeros(3), jnp.ones((3, 1)), jnp.zeros(1)]
for _ in range(10):
    p = step(p)
jax.block_until_ready(p)
""",
    ),
}


def measure(quick: bool, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run each program in interpreters of its own, the programs taking turns; wall seconds."""
    rounds = 7 if quick else 21
    progress("import time")
    imports = _in_turns(_IMPORTS, rounds)
    installed = {name: text for name, (package, text) in _FITS.items() if util.find_spec(package)}
    progress(f"cold start: {', '.join(installed)}")
    fits = _in_turns(installed, 7)
    more = imports["fastnet"], imports["numpy"]
    return {
        "import_seconds": {name: vars(summary) for name, summary in imports.items()},
        "import_more_than_numpy": {
            "least": more[0].least - more[1].least,
            "median": more[0].median - more[1].median,
        },
        "first_fit_seconds": {name: vars(summary) for name, summary in fits.items()},
    }


def _in_turns(programs: dict[str, str], rounds: int) -> dict[str, Summary]:
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for k in range(-1, rounds):  # the first time fills the system's file cache
        for name, text in programs.items():
            command = [sys.executable, "-c", _TIMED.format(text)]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            if k >= 0:
                seconds[name].append(float(printed))
    return {name: Summary.of(values) for name, values in seconds.items()}
