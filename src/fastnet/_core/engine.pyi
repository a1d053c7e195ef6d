from collections.abc import Callable
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

_Real: TypeAlias = NDArray[Any]  # float32 or float64
_Columns: TypeAlias = tuple[_Real, _Real, _Real | None, NDArray[np.intp] | None]  # X, T, weights, order
_Best: TypeAlias = tuple[float, int, int, list[_Real], list[_Real]]
_Trained: TypeAlias = tuple[list[_Real], list[_Real], int, float]  # W, b, steps, cost
QueuedResult: TypeAlias = tuple[
    int, str, list[float], list[float], list[float], dict[str, _Real], _Best | None, _Trained | None
]

ISAS: tuple[str, ...]
DTYPES: tuple[str, ...]
SMALL_BATCH_ROWS: int
BLOCK_ROWS: int
SPARSE_BLOCK_BYTES: int
RAW_BLOCK_BYTES: int
RAW_DTYPES: tuple[str, ...]
SPARSE_FEATURES: int
ACTIVATIONS: tuple[str, ...]
ELEMENTWISE: tuple[str, ...]
OUTPUT_ONLY: tuple[str, ...]
LOSSES: tuple[str, ...]
LOSS_ACTIVATION: dict[str, str | None]
LOSS_TARGETS: dict[str, str]
TARGETS: tuple[str, ...]
OPTIMIZERS: tuple[str, ...]
OPTIMIZER_MOMENTS: dict[str, int]
OPTIMIZER_PARAMETERS: dict[str, tuple[str, ...]]

def compiled() -> tuple[str, ...]: ...
def supported() -> tuple[str, ...]: ...
def active() -> str: ...
def switch_to(name: str) -> None: ...
def thread_limit() -> int: ...
def denormals_seen() -> tuple[bool, bool]: ...
def limit_threads(limit: int) -> None: ...
def geometry(dtype: Any) -> tuple[int, int, int]: ...

class DefaultFloatMode:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...

@overload
def forward(
    W: list[_Real],
    b: list[_Real],
    activations: list[str],
    X: _Real,
    n_threads: int = 1,
    out: _Real | None = None,
    standardize: tuple[_Real, _Real] | None = None,
    check: Literal[False] = False,
) -> _Real: ...
@overload
def forward(
    W: list[_Real],
    b: list[_Real],
    activations: list[str],
    X: _Real,
    n_threads: int = 1,
    out: _Real | None = None,
    standardize: tuple[_Real, _Real] | None = None,
    *,
    check: Literal[True],
) -> _Real | None: ...

class Layers:
    def __new__(
        cls,
        W: list[_Real],
        b: list[_Real],
        activations: list[str],
        dropout: list[float] | None = None,
        standardize: tuple[_Real, _Real] | None = None,
    ) -> Layers: ...
    @property
    def weights(self) -> tuple[list[_Real], list[_Real]]: ...
    @property
    def current(self) -> bool: ...

def forward_through(
    layers: Layers, X: _Real, n_threads: int = 1, out: _Real | None = None, check: bool = False
) -> _Real | None: ...
def dense_backward(W: _Real, A: _Real, dZ: _Real) -> tuple[_Real, _Real, _Real]: ...
def elementwise(x: _Real, name: str) -> _Real: ...
def sigmoid_backward(dA: _Real, A: _Real) -> _Real: ...
def activate(Z: _Real, name: str) -> _Real: ...
def activation_backward(Z: _Real, dA: _Real, name: str) -> _Real: ...
def loss(
    name: str, parameter: float, activation: str, Z: _Real, T: _Real, weights: _Real | None = None
) -> tuple[float, _Real]: ...
def calibrated_loss(name: str, Z: _Real, T: _Real, weights: _Real | None = None) -> tuple[float, float]: ...
def bce_cost_of_a(A: _Real, T: _Real) -> float: ...
def subtract(A: _Real, T: _Real) -> _Real: ...
def permutation(n: int, seed: int, epoch: int) -> NDArray[np.intp]: ...
def shuffle(bit_generator: Any, order: NDArray[np.intp]) -> None: ...
def normal(u: NDArray[np.float64]) -> NDArray[np.float64]: ...
def uniform(seed: int, stream: int, count: int) -> NDArray[np.float64]: ...
def all_in_unit_interval(x: _Real) -> bool: ...
def all_finite(x: _Real) -> bool: ...
def give_free_memory_back() -> None: ...
def fma_flops(dtype: str, iterations: int) -> float: ...

class SparseRows:
    def __init__(
        self, values: _Real, features: NDArray[np.int32], start: NDArray[np.intp], n_features: int
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...

def forward_sparse(
    W: list[_Real],
    b: list[_Real],
    activations: list[str],
    X: SparseRows,
    n_threads: int = 1,
    out: _Real | None = None,
) -> _Real: ...

class Publication:
    def __init__(self, done: bool = False) -> None: ...
    @property
    def done(self) -> bool: ...

class LayerWeights:
    W: NDArray[Any]
    b: NDArray[Any]
    version: object
    def __init__(
        self, W: NDArray[Any], b: NDArray[Any], publication: Publication, before: LayerWeights | None = None
    ) -> None: ...
    @property
    def publication(self) -> Publication: ...
    @property
    def before(self) -> LayerWeights | None: ...

def valid_weights(latest: LayerWeights) -> LayerWeights: ...
def weights_of(
    layers: tuple[Any, ...],
) -> tuple[list[object], list[NDArray[Any]], list[NDArray[Any]]]: ...
def publish(layers: tuple[Any, ...], W: list[Any], b: list[Any]) -> None: ...

QUEUE_ENDS: tuple[str, ...]

class QueuedFit:
    def __init__(
        self,
        core: TrainerCore,
        data: _Columns,
        learning_rate: float,
        seed: int | None,
        first_epoch: int,
        epochs: int,
        check_moments: bool,
        max_seconds: float | None = None,
        held_out: _Columns | None = None,
        held_out_weight: float = 1.0,
        early_stopping: tuple[float, int, float, int] | None = None,
        keep_best: bool = True,
        bit_generator: Any = None,
        *,
        moments: bool = True,
        weight: float = 1.0,
        look: tuple[int, float] | None = None,
    ) -> None: ...

class TrainingQueue:
    def __new__(cls, count: int, examples: int, seconds: float = ...) -> TrainingQueue: ...
    @property
    def epochs_done(self) -> int: ...
    @property
    def orders_drawn(self) -> int: ...
    @property
    def pending(self) -> int: ...
    def add(self, fit: QueuedFit) -> None: ...
    def add_network(self, fit: QueuedFit, W: list[_Real], b: list[_Real], seed: int) -> None: ...
    def close(self) -> None: ...
    def stop(self) -> None: ...
    def wait_for_threads(self, count: int, seconds: float) -> None: ...
    def wait_until_left(self, seconds: float) -> bool: ...
    def wait_for_finished(self, seconds: float) -> None: ...
    def work(self) -> None: ...
    def help(self, seconds: float) -> bool: ...
    def losses_of(self, k: int) -> tuple[list[float], list[float]]: ...
    def finished(self) -> QueuedResult | None: ...
    def forget(self, k: int) -> None: ...

class RawTable:
    def __init__(
        self,
        values: list[NDArray[Any]],
        encodings: list[tuple[Any, ...]],
        n: int,
        factor: float = 1.0,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    def encoded(self, dtype: str, first: int = 0, n: int | None = None, n_threads: int = 1) -> _Real: ...

def forward_raw(
    W: list[_Real],
    b: list[_Real],
    activations: list[str],
    X: RawTable,
    n_threads: int = 1,
    out: _Real | None = None,
) -> _Real: ...

class TrainerCore:
    def __init__(
        self,
        W: list[_Real],
        b: list[_Real],
        activations: list[str],
        batch_size: int,
        n_threads: int = 1,
        *,
        loss: str = "bce",
        loss_parameter: float = 1.0,
        optimizer: str = "sgd",
        momentum: float = 0.0,
        nesterov: bool = False,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        l2: float = 0.0,
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
        scale_rate: float = 0.0,
        dropout: list[float] | None = None,
        seed: int = 0,
        cost_clip: float = 0.0,
        cost_scale: float = 1.0,
        standardize: tuple[_Real, _Real] | None = None,
        sparse: bool = False,
        prepared: bool = True,
    ) -> None: ...
    @property
    def step(self) -> int: ...
    @step.setter
    def step(self, value: int) -> None: ...
    @property
    def examples_done(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def use_threads(self, n: int) -> int: ...
    def trains_at_once(self, n: int) -> bool: ...
    def epoch(
        self,
        X: _Real | SparseRows | RawTable,
        T: _Real,
        order: NDArray[np.intp] | None,
        learning_rate: float | NDArray[np.float64],
        weights: _Real | None = None,
        total: float = 0.0,
        tick: Callable[[int], object] | None = None,
    ) -> float: ...
    def gradients(
        self,
        X: _Real | SparseRows | RawTable,
        T: _Real,
        weights: _Real | None = None,
        order: NDArray[np.intp] | None = None,
        into: tuple[list[_Real], list[_Real]] | None = None,
    ) -> tuple[list[_Real], list[_Real], float]: ...
    def gradients_at(
        self,
        W: list[_Real],
        b: list[_Real],
        X: SparseRows,
        T: _Real,
        weights: _Real | None = None,
        into: tuple[list[_Real], list[_Real]] | None = None,
    ) -> tuple[list[_Real], list[_Real], float]: ...
    def block_gradients(
        self,
        X: _Real | SparseRows | RawTable,
        T: _Real,
        weights: _Real | None = None,
        order: NDArray[np.intp] | None = None,
        into: tuple[list[_Real], list[_Real]] | None = None,
    ) -> tuple[list[_Real], list[_Real], _Real]: ...
    def total_cost(self, costs: _Real) -> float: ...
    def loss(
        self,
        X: _Real | SparseRows | RawTable,
        T: _Real,
        weights: _Real | None = None,
        order: NDArray[np.intp] | None = None,
        logits: _Real | None = None,
    ) -> float: ...
    def predict(self, X: _Real | SparseRows | RawTable, out: _Real | None = None) -> _Real: ...
    def weights(self, *, by_inputs: bool = False) -> tuple[list[_Real], list[_Real]]: ...
    def load_weights(self, W: list[_Real], b: list[_Real]) -> None: ...
    def moments(self, *, by_inputs: bool = False) -> dict[str, _Real]: ...
    def load_moments(self, moments: dict[str, _Real]) -> None: ...
    @property
    def sparse(self) -> bool: ...
    def finite(self) -> bool: ...
    def moments_finite(self) -> bool: ...

def mean_of_one(cores: list[PredictorCore], x: _Real) -> _Real: ...

class PredictorCore:
    def __init__(
        self,
        W: list[_Real],
        b: list[_Real],
        activations: list[str],
        standardize: tuple[_Real, _Real] | None = None,
    ) -> None: ...
    @property
    def n_in(self) -> int: ...
    @property
    def n_out(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def one(self, x: _Real, out: _Real | None = None) -> _Real: ...
    def many(self, X: _Real, out: _Real | None = None, n_threads: int = 1) -> _Real: ...

class RawPredictorCore:
    def __init__(
        self,
        cores: list[PredictorCore],
        encodings: list[tuple[Any, ...]],
        sources: list[tuple[Any, ...]],
        targets: tuple[NDArray[np.float64], ...] | None = None,
    ) -> None: ...
    @property
    def n_values(self) -> int: ...
    @property
    def n_out(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def one(self, x: NDArray[np.float64]) -> _Real: ...
