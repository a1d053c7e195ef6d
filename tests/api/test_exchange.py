"""Networks from and to scikit-learn and torch, and through pickle and joblib: the same bits afterwards."""

from __future__ import annotations

import copy
import io
import itertools
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bounds import forward_error
from networks import bits

import fastnet as fn
from fastnet.files import description

HIDDEN = ["identity", "sigmoid", "tanh", "relu"]  # what scikit-learn has
OUTPUTS = [
    ("sigmoid", 1),
    ("sigmoid", 3),
    ("softmax", 4),
    ("identity", 1),
    ("identity", 3),
    ("exp", 2),
]
TORCH = ["identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "silu", "gelu", "softplus"]
TORCH += ["mish", "softmax"]


def made(
    hidden: str, output: str, n_out: int, dtype: str = "float64", widths: tuple[int, ...] = (6, 5)
) -> fn.Network:
    sizes = (4, *widths, n_out)
    layers = [fn.Layer(*pair, hidden) for pair in itertools.pairwise(sizes[:-1])]
    return fn.Network([*layers, fn.Layer(sizes[-2], n_out, output)], seed=1, dtype=dtype)


def rows(n: int, dtype: str = "float64") -> Any:
    return np.random.default_rng(5).normal(size=(n, 4)).astype(dtype)


def agree(ours: Any, theirs: Any, net: fn.Network, R: Any) -> None:
    """Compare outputs (n_out, n) for the examples in the rows of R with those of another library."""
    assert (abs(ours - theirs) <= forward_error(net, R.T)).all()


# ---- scikit-learn


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(("output", "n_out"), OUTPUTS)
def test_to_scikit_learn_and_back(hidden: str, output: str, n_out: int, dtype: np.dtype[Any]) -> None:
    pytest.importorskip("sklearn")
    net = made(hidden, output, n_out, str(dtype))
    estimator = fn.to_sklearn(net)
    again = fn.from_sklearn(estimator)
    R = rows(40, str(dtype))
    if (output, n_out) == ("softmax", 2):  # scikit-learn has one output for two classes
        assert again.sizes == (*net.sizes[:-1], 1)
        agree(again.predict_proba(R.T), net.predict_proba(R.T)[1:], net, R)
    else:
        assert bits(again) == bits(net)
        assert [layer.activation for layer in again.layers] == [layer.activation for layer in net.layers]
    P = net.predict_proba(R.T)
    if net.output == "regression":
        agree(P, estimator.predict(R).reshape(40, n_out).T, net, R)
        return
    theirs = estimator.predict_proba(R)
    agree(P, theirs.T[-n_out:], net, R)
    labels = estimator.predict(R)
    if net.output == "multiclass":
        assert np.array_equal(labels, theirs.argmax(axis=1))
    else:
        assert np.array_equal(labels, (P.T > 0.5).astype(int).reshape(labels.shape))


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("widths", [(), (6, 5)])
def test_a_softmax_of_two_outputs_becomes_one_logistic_output(widths: tuple[int, ...], hidden: str) -> None:
    """scikit-learn has one output for two classes; with two, its partial_fit and fastnet's raised."""
    pytest.importorskip("sklearn")
    sklearn_fastnet = pytest.importorskip("fastnet.sklearn")
    net = made(hidden, "softmax", 2, widths=widths)
    net.classes = ["no", "yes"]
    R = rows(40)
    for cls in (None, sklearn_fastnet.MLPClassifier):
        estimator = fn.to_sklearn(net, estimator=cls)
        assert (estimator.n_outputs_, estimator.out_activation_) == (1, "logistic")
        # one rounding for each difference of weights, which are at most twice as large as the weights
        np.testing.assert_allclose(estimator.predict_proba(R).T, net.predict_proba(R.T), rtol=1e-13)
        labels = np.array(["no", "yes"])[net.predict_proba(R.T).argmax(axis=0)]
        assert np.array_equal(estimator.predict(R), labels)
        before = estimator.coefs_[0].copy()
        estimator.partial_fit(R, labels)
        assert not np.array_equal(estimator.coefs_[0], before)


@pytest.mark.parametrize("widths", [(), (3,)])
def test_networks_without_hidden_layers_too(widths: tuple[int, ...]) -> None:
    pytest.importorskip("sklearn")
    net = made("tanh", "softmax", 3, widths=widths)
    net.classes, net.feature_names = ["a", "b", "c"], ["p", "q", "r", "s"]
    again = fn.from_sklearn(fn.to_sklearn(net))
    assert bits(again) == bits(net)
    assert (again.classes, again.feature_names) == (net.classes, net.feature_names)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regressor", "poisson", "one class"])
def test_what_scikit_learn_has_fitted(kind: str, dtype: np.dtype[Any]) -> None:
    neural = pytest.importorskip("sklearn.neural_network")
    R = rows(60, str(dtype))
    score = R[:, 0] + R[:, 1] ** 2
    y: Any = {
        "binary": np.where(score > 0.5, "high", "low"),
        "multiclass": np.digitize(score, [0, 1]) * 10,
        "multilabel": np.stack([score > 0, score > 1], axis=1).astype(int),
        "regressor": score,
        "poisson": np.exp(score / 4),
        "one class": np.full(60, 3),
    }[kind]
    settings: dict[str, Any] = {
        "hidden_layer_sizes": (7, 5),
        "activation": "tanh",
        "random_state": 0,
        "max_iter": 5,
    }
    if kind in ("regressor", "poisson"):
        estimator = neural.MLPRegressor("poisson" if kind == "poisson" else "squared_error", **settings)
    else:
        estimator = neural.MLPClassifier(**settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        estimator.fit(R, y)
    net = fn.from_sklearn(estimator)
    assert net.dtype == dtype
    P = net.predict_proba(R.T)
    if kind in ("regressor", "poisson"):
        agree(P, estimator.predict(R)[None], net, R)
        assert net.classes is None
    else:
        agree(P, estimator.predict_proba(R).T[-len(P) :], net, R)
        assert net.classes == (None if kind == "one class" else tuple(estimator.classes_.tolist()))
    if kind == "one class":
        return
    again = fn.to_sklearn(net)
    for ours, theirs in zip(
        [*again.coefs_, *again.intercepts_], [*estimator.coefs_, *estimator.intercepts_], strict=True
    ):
        assert ours.tobytes() == theirs.tobytes()
        assert ours.flags.c_contiguous
    assert np.array_equal(again.predict(R), estimator.predict(R))
    again.coefs_[0][:] = 0  # copies on the way there and back
    assert bits(fn.from_sklearn(estimator)) == bits(net)


@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.parametrize(("output", "n_out"), OUTPUTS)
def test_partial_fit_goes_on_with_every_output(output: str, n_out: int, ours: bool) -> None:
    pytest.importorskip("sklearn")
    from fastnet import sklearn

    net, R, rng = made("relu", output, n_out), rows(50), np.random.default_rng(2)
    classifier = output in ("sigmoid", "softmax")
    if output == "sigmoid":
        y: Any = rng.integers(0, 2, (50, n_out) if n_out > 1 else 50)
    else:
        y = rng.integers(0, n_out, 50) if classifier else rng.random((50, n_out) if n_out > 1 else 50)
    cls = (sklearn.MLPClassifier if classifier else sklearn.MLPRegressor) if ours else None
    estimator = fn.to_sklearn(net, estimator=cls)
    before = estimator.predict_proba(R) if classifier else estimator.predict(R)
    estimator.partial_fit(R, y)
    after = estimator.predict_proba(R) if classifier else estimator.predict(R)
    assert before.shape == after.shape
    assert not np.array_equal(before, after)


def test_what_scikit_learn_predicts_with_is_what_is_read() -> None:
    """It uses as many layers as `n_layers_` says, and a subclass may replace its forward pass."""
    neural = pytest.importorskip("sklearn.neural_network")
    estimator = fn.to_sklearn(made("tanh", "identity", 3))
    estimator.n_layers_ = 3
    estimator.coefs_[1], estimator.intercepts_[1] = estimator.coefs_[1][:, :1], estimator.intercepts_[1][:1]
    R = rows(20)
    assert np.allclose(fn.from_sklearn(estimator).predict_proba(R.T)[0], estimator.predict(R), rtol=1e-13)

    class Doubled(neural.MLPRegressor):
        def _forward_pass_fast(self, X: Any, **how: Any) -> Any:
            return 2 * super()._forward_pass_fast(X, **how)

    class Renamed(neural.MLPRegressor):
        pass

    with pytest.raises(ValueError, match="got Doubled with _forward_pass_fast of its own"):
        fn.from_sklearn(fn.to_sklearn(made("relu", "identity", 1), estimator=Doubled))
    assert fn.from_sklearn(fn.to_sklearn(made("relu", "identity", 1), estimator=Renamed)).sizes == (
        4,
        6,
        5,
        1,
    )


def test_training_goes_on_in_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    net = made("relu", "sigmoid", 1)
    net.classes = ["no", "yes"]
    estimator = fn.to_sklearn(net)
    R = rows(50)
    y = np.where(R[:, 0] > 0, "yes", "no")
    before = estimator.score(R, y)
    for _ in range(200):
        estimator.partial_fit(R, y)
    assert estimator.score(R, y) > max(0.9, before)


def test_a_scaler_becomes_preprocessing_and_back() -> None:
    pytest.importorskip("sklearn")
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    R = 3 * rows(50) + 10
    y = R[:, 0] > 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = make_pipeline(StandardScaler(), MLPClassifier((5,), max_iter=3, random_state=0)).fit(R, y)
    net = fn.from_sklearn(pipeline)
    assert net.preprocessing is not None
    assert net.preprocessing.mean.reshape(-1).tobytes() == pipeline[0].mean_.tobytes()
    assert net.preprocessing.scale.reshape(-1).tobytes() == pipeline[0].scale_.tobytes()
    again = fn.to_sklearn(net)
    assert again.predict_proba(R).tobytes() == pipeline.predict_proba(R).tobytes()
    assert bits(fn.from_sklearn(again)) == bits(net)
    for how in ({"with_mean": False}, {"with_std": False}):
        scaler = StandardScaler(**how).fit(R)
        got = fn.from_sklearn(make_pipeline(scaler, pipeline[1])).preprocessing
        assert got is not None
        assert np.array_equal((R - got.mean.T) / got.scale.T, scaler.transform(R))


def test_what_scikit_learn_cannot_have() -> None:
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    with pytest.raises(
        ValueError, match=r"identity, sigmoid, tanh, relu for all hidden layers, got 'gelu' in layers\[0\]"
    ):
        fn.to_sklearn(made("gelu", "sigmoid", 1))
    mixed = fn.Network([fn.Layer(2, 2, "relu"), fn.Layer(2, 2, "tanh"), fn.Layer(2, 1)])
    with pytest.raises(ValueError, match=r"for all hidden layers, got 'tanh' in layers\[1\]"):
        fn.to_sklearn(mixed)
    with pytest.raises(ValueError, match="sigmoid, softmax, identity or exp at the output, got 'tanh'"):
        fn.to_sklearn(made("relu", "tanh", 1))
    with pytest.raises(ValueError, match="softmax for at least two classes, got one output"):
        fn.to_sklearn(made("relu", "softmax", 1))
    net = made("relu", "sigmoid", 1)
    net.classes = ["yes", "no"]
    with pytest.raises(ValueError, match=r"classes in ascending order, got \('yes', 'no'\)"):
        fn.to_sklearn(net)
    net = made("relu", "sigmoid", 2)
    net.classes = ["a", "b"]
    with pytest.raises(ValueError, match="no names for labels of which many may hold"):
        fn.to_sklearn(net)
    with pytest.raises(ValueError, match="estimator must be fitted, got MLPClassifier"):
        fn.from_sklearn(MLPClassifier())
    with pytest.raises(ValueError, match="must be an MLPClassifier or MLPRegressor, got LogisticRegression"):
        fn.from_sklearn(LogisticRegression())
    fitted = fn.to_sklearn(made("relu", "sigmoid", 1))
    with pytest.raises(
        ValueError, match="a pipeline must be StandardScaler and an MLP, got MinMaxScaler, MLPClassifier"
    ):
        fn.from_sklearn(make_pipeline(MinMaxScaler(), fitted))
    foreign = type("StandardScaler", (MinMaxScaler,), {})().fit(rows(9))
    with pytest.raises(ValueError, match="a pipeline must be StandardScaler and an MLP, got StandardScaler"):
        fn.from_sklearn(make_pipeline(foreign, fitted))
    with pytest.raises(ValueError, match="must be fitted, got a StandardScaler that is not"):
        fn.from_sklearn(make_pipeline(StandardScaler(), fitted))


# ---- torch


@pytest.mark.parametrize("activation", TORCH)
def test_to_torch_and_back(activation: str, dtype: np.dtype[Any]) -> None:
    torch = pytest.importorskip("torch")
    hidden = "tanh" if activation == "softmax" else activation
    net = made(hidden, activation, 3, str(dtype))
    module = fn.to_torch(net)
    again = fn.from_torch(module)
    assert bits(again) == bits(net)
    assert [layer.activation for layer in again.layers] == [layer.activation for layer in net.layers]
    R = 4 * rows(30, str(dtype))
    with torch.no_grad():
        theirs = module(torch.from_numpy(R)).numpy()
    agree(net.predict_proba(R.T), theirs.T, net, R)
    assert not module.training
    with torch.no_grad():
        module[0].weight.zero_()
    assert bits(again) == bits(net)  # copies


def test_softplus_is_exact_where_torchs_default_is_not() -> None:
    torch = pytest.importorskip("torch")
    net = fn.Network([fn.Layer(1, 1, "softplus", W=[[1.0]])])
    z = np.linspace(-50, 50, 1001)
    with torch.no_grad():
        theirs = fn.to_torch(net)(torch.from_numpy(z[:, None])).numpy()[:, 0]
    assert (abs(theirs - net.predict_proba(z[None])[0]) <= 4 * np.spacing(theirs)).all()  # 3 ULP are ours


def test_modules_of_torch() -> None:
    nn = pytest.importorskip("torch.nn")
    inner = nn.Sequential(nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Dropout(0.25))
    net = fn.from_torch(nn.Sequential(inner, nn.Linear(3, 2), nn.Linear(2, 1), nn.Sigmoid()))
    assert [layer.activation for layer in net.layers] == ["relu", "identity", "sigmoid"]
    assert [layer.dropout for layer in net.layers] == [0.25, 0.0, 0.0]
    assert net.layers[0].b.tolist() == [[0.0]] * 3
    assert [type(part).__name__ for part in fn.to_torch(net)] == [
        "Linear",
        "ReLU",
        "Dropout",
        "Linear",
        "Linear",
        "Sigmoid",
    ]
    assert fn.from_torch(nn.Linear(2, 3)).sizes == (2, 3)


def test_what_torch_has_and_we_have_not() -> None:
    nn = pytest.importorskip("torch.nn")
    line = nn.Linear(2, 2)
    for parts, words in (
        (
            [line, nn.LeakyReLU(0.2)],
            r"module\[1\] must have negative_slope=0.01, as leaky_relu of fastnet, got 0.2",
        ),
        ([line, nn.ELU(0.5)], r"module\[1\] must have alpha=1.0"),
        ([line, nn.GELU("tanh")], r"module\[1\] must have approximate=none"),
        ([line, nn.Softmax(0)], r"module\[1\] must have dim="),
        (
            [line, nn.Tanh(), nn.Tanh()],
            r"module\[2\] must be Linear, or follow one as its activation .*, got Tanh",
        ),
        ([nn.ReLU(), line], r"module\[0\] must be Linear"),
        ([nn.Dropout(), line], r"module\[0\] must be Linear"),
        ([line, nn.Dropout(), nn.Tanh()], r"module\[2\] must be Linear"),
        ([line, nn.BatchNorm1d(2)], r"module\[1\] must be Linear, .* got BatchNorm1d"),
        ([line, nn.Sequential(nn.Conv1d(2, 2, 1))], r"module\[1\]\[0\] must be Linear, .* got Conv1d"),
        ([], "module must hold at least one Linear, got Sequential"),
        ([line, nn.Linear(3, 1)], "layers must chain"),
    ):
        with pytest.raises(ValueError, match=words):
            fn.from_torch(nn.Sequential(*parts))
    with pytest.raises(ValueError, match=r"torch has no module for 'exp', the activation of layers\[2\]"):
        fn.to_torch(made("relu", "exp", 1))
    net = made("relu", "sigmoid", 1)
    net.preprocessing = fn.Standardize([0.0] * 4, [1.0] * 4)
    with pytest.raises(ValueError, match="torch has no module that standardises"):
        fn.to_torch(net)


@pytest.fixture
def nn(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return `torch.nn`, or a stand-in where torch is not installed."""
    try:
        import torch
    except ImportError:
        import stand_in_torch

        for name in ("torch", "torch.nn"):
            monkeypatch.setitem(sys.modules, name, None)  # put back afterwards
        return stand_in_torch.install()
    return torch.nn


def test_a_module_that_occurs_twice_counts_twice(nn: Any) -> None:
    relu, line = nn.ReLU(), nn.Linear(3, 3)
    net = fn.from_torch(nn.Sequential(nn.Linear(4, 3), relu, line, relu, nn.Sequential(line, relu)))
    assert [layer.activation for layer in net.layers] == ["relu", "relu", "relu"]
    assert net.layers[1].W.tobytes() == net.layers[2].W.tobytes()
    assert not np.shares_memory(net.layers[1].W, net.layers[2].W)


def test_what_only_looks_like_a_module_of_torch(nn: Any) -> None:
    line = nn.Linear(2, 2)
    for cls, base in (("Linear", nn.Linear), ("Tanh", nn.Tanh)):
        foreign = type(cls, (base,), {"__module__": "elsewhere"})
        parts = [foreign(2, 2)] if cls == "Linear" else [line, foreign()]
        with pytest.raises(ValueError, match=rf"must be Linear, or follow .*, got {cls} of elsewhere"):
            fn.from_torch(nn.Sequential(*parts))
    subclass = type("Sequential", (nn.Sequential,), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match="got Sequential of elsewhere"):
        fn.from_torch(nn.Sequential(subclass(line)))
    for nothing in (None, 3, np.ones(2), fn.Layer(1, 1)):
        with pytest.raises(ValueError, match="module must be Linear, or follow one as its activation"):
            fn.from_torch(nothing)


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_and_replaced_methods_are_refused(nn: Any, register: str) -> None:
    for k in range(3):
        parts = [nn.Linear(2, 2), nn.Tanh()]
        module = nn.Sequential(*parts)
        getattr([module, *parts][k], register)(lambda *_: None)
        with pytest.raises(ValueError, match=r"module(\[\d\])? must compute what its class does, .* hook"):
            fn.from_torch(module)
    line = nn.Linear(2, 2)
    line.forward = lambda x: x
    with pytest.raises(ValueError, match=r"module\[0\] .*, got Linear with a forward method of its own"):
        fn.from_torch(nn.Sequential(line))


def test_precisions_that_we_have_not(nn: Any) -> None:
    with pytest.raises(TypeError, match=r"module\[0\].weight must have dtype .*, got torch.float16"):
        fn.from_torch(nn.Sequential(nn.Linear(2, 2)).half())


def test_weights_of_torch_that_cannot_be_read() -> None:
    nn = pytest.importorskip("torch.nn")
    with pytest.raises(ValueError, match=r"module\[0\].weight must be a dense tensor with values"):
        fn.from_torch(nn.Sequential(nn.Linear(2, 2, device="meta")))
    with pytest.raises(TypeError, match=r"module\[1\] must have dtype float32, as the first Linear has"):
        fn.from_torch(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()))
    broken = nn.Linear(2, 2)
    broken.weight.data[1, 0] = float("nan")
    with pytest.raises(ValueError, match=r"module.weight must be finite, got nan at \[1, 0\]"):
        fn.from_torch(broken)
    for part in (nn.LazyLinear(2), nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))):
        with pytest.raises(ValueError, match=r"module\[0\] must"):
            fn.from_torch(nn.Sequential(part))


# ---- pickle, joblib, copy

PLAIN = {"fastnet.network Network", "fastnet.layer Layer", "fastnet.metadata Standardize"}


def described() -> fn.Network:
    net = made("sigmoid", "sigmoid", 1, "float32")
    net.classes, net.feature_names = ["no", "yes"], list("abcd")
    net.preprocessing = fn.Standardize(range(4), [1.0, 2.0, 3.0, 4.0])
    return net


def same(one: fn.Network, two: fn.Network) -> bool:
    means = [net.preprocessing.mean.tobytes() for net in (one, two) if net.preprocessing is not None]
    return (
        bits(one) == bits(two)
        and description.describe_network(one) == description.describe_network(two)
        and len(set(means)) < 2
    )


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_holds_plain_arrays(protocol: int) -> None:
    net = described()
    net.fit(rows(20, "float32").T, np.zeros((1, 20), np.float32), epochs=1)
    net.forward(rows(20, "float32").T)  # what a layer keeps of it stays behind
    content = pickle.dumps(net, protocol)
    assert same(pickle.loads(content), net)
    assert len(content) < 6000
    named = set()

    class Recorder(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            named.add(f"{module} {name}")
            return super().find_class(module, name)

    Recorder(io.BytesIO(content)).load()
    assert {name for name in named if not name.startswith(("numpy", "copyreg", "_codecs"))} == PLAIN


def test_joblib_and_copies(tmp_path: Path) -> None:
    net = described()
    assert same(copy.deepcopy(net), net)
    joblib = pytest.importorskip("joblib")
    joblib.dump(net, tmp_path / "net.joblib")
    assert same(joblib.load(tmp_path / "net.joblib"), net)
    mapped = joblib.load(tmp_path / "net.joblib", mmap_mode="r")
    R = rows(9, "float32")
    assert mapped.predict_proba(R.T).tobytes() == net.predict_proba(R.T).tobytes()


# ---- what a network knows of its data


def test_descriptions_are_checked() -> None:
    net = made("sigmoid", "sigmoid", 1)
    for name, value, error, words in (
        ("classes", ["a"], ValueError, "classes must be 2 for a binary network of 1 outputs, got 1"),
        ("classes", "ab", TypeError, "classes must be a list of str, got 'ab'"),
        ("classes", 3, TypeError, "classes must be a list of str, got 3"),
        ("classes", ["a", "a"], ValueError, "classes must differ from one another"),
        ("classes", [1.0, float("nan")], ValueError, r"classes\[1\] must be finite"),
        ("classes", [1, 2**63], ValueError, r"classes\[1\] must fit 64 bits"),
        ("feature_names", ["a"], ValueError, "feature_names must be 4, one for each input, got 1"),
        ("feature_names", [1, 2, 3, 4], TypeError, r"feature_names\[0\] must be a str, got 1"),
        ("preprocessing", (0, 1), TypeError, "preprocessing must be a Standardize or None, got tuple"),
        (
            "preprocessing",
            fn.Standardize([1.0], [1.0]),
            ValueError,
            "preprocessing must be of 4 features, .* got 1",
        ),
    ):
        with pytest.raises(error, match=words):
            setattr(net, name, value)
        assert getattr(net, name) is None
    with pytest.raises(ValueError, match="classes must be None: the last activation makes a regression"):
        made("sigmoid", "identity", 1).classes = ["a", "b"]
    net.classes = ["a", "b"]
    net.classes = None
    assert net.classes is None


def test_standardize_is_checked() -> None:
    for mean, scale, words in (
        ([1.0], [0.0], "scale must be greater than 0, got 0.0 for feature 0"),
        ([1.0, 2.0], [1.0, -2.0], "scale must be greater than 0, got -2.0 for feature 1"),
        ([1.0, 2.0], [1.0], "mean and scale must have the same shape"),
        ([float("inf")], [1.0], "mean must be finite"),
        ([[1.0, 2.0]], [[1.0, 2.0]], r"mean must have shape \(n_in,\) or \(n_in, 1\), got \(1, 2\)"),
        ([], [], "mean must have shape"),
    ):
        with pytest.raises(ValueError, match=words):
            fn.Standardize(mean, scale)
    net = made("sigmoid", "sigmoid", 1, "float32")
    for tiny in (1e-300, 1e300):  # not a float32
        with pytest.raises(ValueError, match="scale must be"):
            net.preprocessing = fn.Standardize([0.0] * 4, [tiny] * 4)
    R = rows(100) * [1, 10, 100, 0] + 7
    how = fn.Standardize.of(R.T)
    scaled = (R.T - how.mean) / how.scale
    assert abs(scaled.mean(axis=1)).max() < 1e-13  # 100 terms of size up to 40, each rounded by eps
    assert abs(scaled[:3].std(axis=1) - 1).max() < 1e-13
    assert how.scale[3, 0] == 1
