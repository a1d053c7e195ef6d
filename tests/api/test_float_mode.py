"""A floating-point mode that another library has left changes no number, nor those that Python works out."""

import ctypes
import ctypes.util
import dataclasses
import platform
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet._core import engine
from fastnet._initializers import NAMES as INITS
from fastnet.ensemble import Targets

MACHINE = platform.machine()
# fesetround's codes for downward, upward and to zero; and where fenv_t holds flush-to-zero (x86-64: MXCSR,
# with denormals-are-zero; aarch64: FPCR).
ROUNDINGS = {"x86_64": (0x400, 0x800, 0xC00), "aarch64": (0x800000, 0x400000, 0xC00000)}.get(MACHINE, ())
FLUSH = {"x86_64": (28, 0x8040), "aarch64": (0, 1 << 24)}.get(MACHINE)
MODES = [*ROUNDINGS, "flush"] if FLUSH else []
pytestmark = pytest.mark.skipif(not MODES, reason="the codes are known for x86-64 and aarch64")


@contextmanager
def mode(code: int | str) -> Iterator[None]:
    """Compute in another mode; it must still be there at the end."""
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    before, inside, after = (ctypes.create_string_buffer(64) for _ in range(3))
    libm.fegetenv(before)
    if isinstance(code, int):
        assert libm.fesetround(code) == 0
    else:
        at, bits = FLUSH or (0, 0)
        changed = ctypes.create_string_buffer(before.raw, 64)
        struct.pack_into("<I", changed, at, struct.unpack_from("<I", before.raw, at)[0] | bits)
        assert libm.fesetenv(changed) == 0
    libm.fegetenv(inside)
    try:
        yield
        libm.fegetenv(after)
    finally:
        libm.fesetenv(before)
    if MACHINE == "x86_64":  # the flags of exceptions apart
        control = [struct.unpack_from("<I", env.raw, 28)[0] & ~0x3F for env in (inside, after)]
        assert control[0] == control[1], "the caller's mode must come back"


X = np.random.default_rng(3).normal(size=(5, 300)) * 1e3
T = (X.sum(axis=0, keepdims=True) > 0).astype(float)
SMALL, WEIGHTS = X / 3e3, np.linspace(0.1, 1, 300)  # here, where the mode is the default one
XS = {"float32": X.astype("float32"), "float64": X}
TS = {"float32": T.astype("float32"), "float64": T}
TINY = np.random.default_rng(4).random((5, 300)) * 1e-310  # denormal


DENORMAL = np.float32(1e-40)
SMALL32 = SMALL.T.astype("f4")
OUTPUTS = np.random.default_rng(5).normal(size=(7, 300))


def network(dtype: str = "float32", **options: Any) -> fn.Network:
    return fn.Network([fn.Layer(5, 7, "tanh", **options), fn.Layer(7, 1)], seed=11, dtype=dtype)


def weights(net: fn.Network) -> list[Any]:
    return [array.tobytes() for layer in net.layers for array in (layer.W, layer.b)]


def prepared(dtype: str) -> fn.Network:
    net = network(dtype)
    net.preprocessing = fn.Standardize.of(X)
    return net


def fitted(dtype: str = "float32", **options: Any) -> list[Any]:
    net = network(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = net.fit(XS[dtype], TS[dtype], epochs=4, batch_size=64, progress=False, **options)
    return [repr(history.loss), repr(history.metrics), *weights(net)]


def estimator() -> list[Any]:
    sklearn = pytest.importorskip("fastnet.sklearn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        est = sklearn.MLPClassifier((4,), max_iter=3, random_state=0).fit(SMALL.T, T[0])
    return [repr(est.loss_curve_), *(array.tobytes() for array in est.coefs_)]


def estimators_predict() -> list[Any]:
    sklearn = pytest.importorskip("fastnet.sklearn")
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for solver in ("sgd", "lbfgs"):
            est = sklearn.MLPRegressor(hidden_layer_sizes=(4,), solver=solver, max_iter=3, random_state=0)
            found.append(est.fit(SMALL.T, WEIGHTS).predict(SMALL32).tobytes())
        est = sklearn.MLPClassifier((4,), max_iter=3, random_state=0)
        for _ in range(2):
            est.partial_fit(SMALL.T, T[0], classes=[0.0, 1.0])
        found += [est.predict_proba(SMALL.T).tobytes(), est.predict_log_proba(SMALL.T).tobytes()]
        found += [est.transform(SMALL.T).tobytes(), est.predict(SMALL.T).tobytes()]
    return found


def tables(name: str, y: Any) -> list[Any]:
    tabular = pytest.importorskip("fastnet.tabular")
    times = np.datetime64("2024-02-28T23:59:59.7") + np.arange(300) * np.timedelta64(77777777, "ms")
    table = {"number": SMALL[0], "time": times, "kind": np.array(list("abc") * 100)}
    table = pytest.importorskip("pandas").DataFrame(table)
    model = getattr(tabular, name)(members=2, epochs=2, width=4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(table, y, sample_weight=WEIGHTS)
    found = [tabular.TableEncoder().fit(table).transform(table).tobytes(), model.predict(table).tobytes()]
    if name == "TabularRegressor":
        return [*found, model.predict_spread(table).tobytes()]
    return [*found, model.predict_proba(table).tobytes(), model.predict_log_proba(table).tobytes()]


def many() -> list[Any]:
    nets = [network(), network()]
    histories = fn.train_many(nets, XS["float32"], TS["float32"], epochs=2, seed=[1, 2], n_threads=2)
    return [repr([history and history.loss for history in histories]), *map(weights, nets)]


def ensemble(targets: Any = None) -> list[Any]:
    together = fn.Ensemble([prepared("float32") for _ in range(3)], targets=targets)
    x, predictor = XS["float32"][:, :7], together.compile()
    found = [together.predict_proba(x), together.spread(x), predictor(x), predictor(x[:, 0])]
    return [array.tobytes() for array in found]


def trainer_predicts() -> bytes:
    trainer = fn.Trainer(prepared("float32"))
    return trainer.predict_proba([[0.3], [0.1], [0.7], [2**25 + 1], [1e-40]]).tobytes()


def layers() -> list[Any]:
    layer = fn.Layer(5, 7, "tanh", init="he_uniform")
    A = layer.forward(SMALL)
    return [A.tobytes(), *(array.tobytes() for array in layer.backward(OUTPUTS))]


def exported() -> str:
    from fastnet import c_export

    net = prepared("float32")
    net.layers[0].W[0, 0] = DENORMAL
    return c_export.source(net)


def to_sklearn() -> bytes:
    pytest.importorskip("sklearn")
    from fastnet import exchange

    return exchange.to_sklearn(prepared("float64"))[0].var_.tobytes()


def to_onnx() -> bytes:
    pytest.importorskip("onnx")
    from fastnet import onnx

    return onnx.model(prepared("float64")).SerializeToString()


AT = fn.schedules.Position(epoch=5, end=9, batches=7, examples_seen=1234, memory={"cuts": 2.0})
SCHEDULES = {
    "inverse scaling": fn.schedules.InverseScaling(),
    "inverse scaling, another power": fn.schedules.InverseScaling(0.3),
    "adaptive": fn.schedules.Adaptive(),
    "step": fn.schedules.Step(2, 0.3),
    "cosine": fn.schedules.Cosine(warmup=7),
    "one cycle": fn.schedules.OneCycle(),
}
METRICS = ("accuracy", "binary_accuracy", "r2", "mean_squared_error", "root_mean_squared_error")
METRICS += ("mean_absolute_error",)
TARGETS = Targets(*(np.array([v]) for v in (0.3, 1.7, -1e9, 1e9)))
CASES: dict[str, Callable[[], Any]] = {
    "train_many": many,
    "ensemble": ensemble,
    "ensemble with targets": lambda: ensemble(TARGETS),
    "Trainer.predict_proba": trainer_predicts,
    "layers": layers,
    "c_export": exported,
    "onnx": to_onnx,
    "to_sklearn": to_sklearn,
    "the estimators predict": estimators_predict,
    "TabularClassifier": lambda: tables("TabularClassifier", T[0]),
    "TabularRegressor": lambda: tables("TabularRegressor", SMALL[1]),
    **{f"metric {name}": lambda name=name: repr(getattr(fn.metrics, name)(T, SMALL[:1])) for name in METRICS},
    **{
        f"schedule {name}": lambda one=one: np.asarray(
            one.rates(0.1, dataclasses.replace(AT, memory=dict(AT.memory)))
        ).tobytes()
        for name, one in SCHEDULES.items()
    },
    **{f"weights, {init}": lambda init=init: weights(network(init=init)) for init in INITS},
    "Standardize.of": lambda: [fn.Standardize.of(X).mean.tobytes(), fn.Standardize.of(X).scale.tobytes()],
    "Standardize.of denormals": lambda: fn.Standardize.of(TINY).mean.tobytes(),
    "Standardize in float32": lambda: prepared("float32").preprocessing.scale.tobytes(),  # type: ignore[union-attr]
    "forward": lambda: prepared("float32").forward(XS["float32"]).tobytes(),
    "predict_proba": lambda: prepared("float32").predict_proba(XS["float32"]).tobytes(),
    "numbers to float32": lambda: (
        network().predict_proba([[0.3], [0.1], [0.7], [2**25 + 1], [1e-40]]).tobytes()
    ),
    "loss": lambda: repr(prepared("float64").loss(X, T)),
    "gradients": lambda: [g.tobytes() for pair in prepared("float64").gradients(X, T) for g in pair],
    "fit": fitted,
    "fit with weights": lambda: fitted(sample_weight=WEIGHTS),
    "fit with classes' weights": lambda: fitted(class_weight={0: 0.3, 1: 1.7}),
    "fit with adam": lambda: fitted("float64", optimizer="adam", l2=0.01),
    "fit with a schedule": lambda: fitted(
        "float64", optimizer=fn.Adam(0.003), schedule=fn.schedules.Cosine(warmup=2)
    ),
    "fit with metrics": lambda: fitted(validation_fraction=0.2, metrics=("mean_squared_error",)),
    "fn.loss": lambda: repr(fn.loss(X[:1], T)),
    "fn.loss_backward": lambda: fn.loss_backward(X[:1], T, sample_weight=WEIGHTS).tobytes(),
    "fn.bce_loss": lambda: repr(fn.bce_loss(SMALL[:1], T)),
    "the estimators": estimator,
    "powers of beta": lambda: core_steps(1000),
    "costs that are cut": lambda: core_steps(0, cost_clip=0.01, cost_scale=1 / 3),
}


def core_steps(step: int, **options: Any) -> list[Any]:
    """Return weights and loss of an epoch of the core's Adam that starts at batch number `step`."""
    W, b = [np.full((1, 5), 0.25)], [np.zeros((1, 1))]
    core = engine.TrainerCore(
        W, b, ["sigmoid"], 7, optimizer="adam", beta_1=0.99, loss_parameter=0.1, **options
    )
    core.step = step
    loss = core.epoch(SMALL, T, None, 0.25)
    return [repr(loss), core.weights()[0][0].tobytes()]


@pytest.mark.parametrize("code", MODES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_the_mode_changes_nothing(case: str, code: int | str) -> None:
    right = CASES[case]()
    with mode(code):
        found = CASES[case]()
    assert found == right


@pytest.mark.parametrize("code", MODES, ids=str)
def test_the_modes_differ(code: int | str) -> None:
    """What the tests set does change Python's arithmetic."""
    numbers = np.array([1.0, 5.0, -1.0, 1e-310])
    right = (numbers / 3).tobytes()
    with mode(code):
        assert (numbers / 3).tobytes() != right
        with engine.DefaultFloatMode():
            assert (numbers / 3).tobytes() == right
        assert (numbers / 3).tobytes() != right


@pytest.mark.parametrize(
    ("module", "name", "methods"),
    [
        ("sklearn", "MLPClassifier", ["predict", "predict_proba", "predict_log_proba", "score", "transform"]),
        ("sklearn", "MLPRegressor", ["predict", "score", "transform"]),
        ("tabular", "TabularClassifier", ["fit", "predict_log_proba", "score"]),
        ("tabular", "TabularRegressor", ["fit", "score"]),
    ],
)
def test_no_estimator_inherits_arithmetic_in_the_callers_mode(
    module: str, name: str, methods: list[str]
) -> None:
    """NumPy's log for AVX-512 rounds in a mode of its own, so there its bits do not show the caller's."""
    estimator = getattr(pytest.importorskip(f"fastnet.{module}"), name)
    assert [method for method in methods if not hasattr(getattr(estimator, method), "__wrapped__")] == []
