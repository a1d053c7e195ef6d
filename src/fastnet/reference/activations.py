"""The activations A = f(Z) and their slopes f'(Z), one line of a table each.

A slope is worked out from Z and A, whichever says it more plainly; where an activation has a kink, at 0, its
slope there is that below 0. With σ the sigmoid, Φ and φ the distribution and the density of the normal:

    identity     z                      1
    sigmoid      σ(z)                   a (1 − a)                     logistic is the same, rounded otherwise
    tanh         tanh z                 1 − a²
    relu         max(z, 0)              1 above 0, else 0
    leaky_relu   z, 0.01 z below 0      1 above 0, else 0.01
    elu          z, eᶻ − 1 below 0      1 above 0, else eᶻ
    selu         s z, s α (eᶻ − 1)      s above 0, else s α eᶻ          s = 1.0507.., α = 1.6732..
    silu         z σ(z)                 σ(z) (1 + z (1 − σ(z)))
    gelu         z Φ(z)                 Φ(z) + z φ(z)
    softplus     log(1 + eᶻ)            σ(z)
    mish         z tanh(softplus z)     tanh(softplus z) + z σ(z) / cosh²(softplus z)
    exp          eᶻ                     a
    softmax      eᶻ / Σ eᶻ              (not element by element: `activation_backward`)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastnet.reference.functions import Array, exp, real, sigmoid
from fastnet.reference.normal import density, distribution

__all__ = ["ACTIVATIONS", "OUTPUT_ONLY", "Activation", "activate", "activation_backward"]

LEAK = 0.01
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017, in float64


def _relu(Z: Array) -> Array:
    return np.maximum(Z, 0)


def _leaky_relu(Z: Array) -> Array:
    return np.where(Z > 0, Z, LEAK * Z)


def _elu(Z: Array) -> Array:
    return np.asarray(
        np.where(Z > 0, Z, np.expm1(np.minimum(Z, 0)))
    )  # the minimum: no overflow where it is not used


def _elu_slope(Z: Array) -> Array:
    return exp(np.minimum(Z, 0))


def _selu(Z: Array) -> Array:
    return SELU_SCALE * np.where(Z > 0, Z, SELU_ALPHA * np.expm1(np.minimum(Z, 0)))


def _selu_slope(Z: Array) -> Array:
    return SELU_SCALE * np.where(Z > 0, 1, SELU_ALPHA * exp(np.minimum(Z, 0)))


def _silu_slope(Z: Array) -> Array:
    return np.asarray(sigmoid(Z) * (1 + Z * sigmoid(-Z)))  # 1 − σ(z) = σ(−z), which does not cancel


def _softplus(Z: Array) -> Array:
    return np.maximum(Z, 0) + np.log1p(exp(-np.abs(Z)))  # log(1 + eᶻ) = z + log(1 + e⁻ᶻ)


def _mish(Z: Array) -> Array:
    return Z * np.tanh(_softplus(Z))


def _mish_slope(Z: Array) -> Array:
    t = np.tanh(_softplus(Z))
    # the slope of softplus is σ, that of tanh 1 − tanh²
    return np.asarray(t + Z * sigmoid(Z) * (1 - t * t))


def _softmax(Z: Array) -> Array:
    E = exp(Z - Z.max(axis=0, initial=-np.inf))  # a common factor cancels: the largest is e⁰
    return np.asarray(E / E.sum(axis=0))


def _no_slope(Z: Array, A: Array) -> Array:
    raise ValueError("softmax has no slope element by element: use activation_backward")


class Activation(NamedTuple):
    """A function of Z, and its slope from Z and A.

    >>> from fastnet.reference.activations import ACTIVATIONS
    >>> Z = np.array([[-1.0, 2.0]])
    >>> A = ACTIVATIONS["relu"].function(Z)
    >>> A, ACTIVATIONS["relu"].slope(Z, A)
    (array([[0., 2.]]), array([[0., 1.]]))
    """

    function: Callable[[Array], Array]
    slope: Callable[[Array, Array], Array]


ACTIVATIONS = {
    "identity": Activation(lambda Z: Z, lambda Z, A: np.ones_like(Z)),
    "sigmoid": Activation(sigmoid, lambda Z, A: A * (1 - A)),
    "logistic": Activation(sigmoid, lambda Z, A: A * (1 - A)),
    "tanh": Activation(np.tanh, lambda Z, A: 1 - A * A),
    "relu": Activation(_relu, lambda Z, A: np.where(Z > 0, np.ones_like(Z), 0)),
    "leaky_relu": Activation(_leaky_relu, lambda Z, A: np.where(Z > 0, np.ones_like(Z), LEAK)),
    "elu": Activation(_elu, lambda Z, A: _elu_slope(Z)),
    "selu": Activation(_selu, lambda Z, A: _selu_slope(Z)),
    "silu": Activation(lambda Z: Z * sigmoid(Z), lambda Z, A: _silu_slope(Z)),
    "gelu": Activation(lambda Z: Z * distribution(Z), lambda Z, A: distribution(Z) + Z * density(Z)),
    "softplus": Activation(_softplus, lambda Z, A: sigmoid(Z)),
    "mish": Activation(_mish, lambda Z, A: _mish_slope(Z)),
    "exp": Activation(exp, lambda Z, A: A),
    "softmax": Activation(_softmax, _no_slope),
}
OUTPUT_ONLY = ("softmax", "exp")  # in no hidden layer


def activate(Z: ArrayLike, name: str) -> Array:
    """Return A = f(Z), element by element; softmax over each column.

    >>> activate([[-2.0, 3.0]], "leaky_relu")
    array([[-0.02,  3.  ]])
    >>> activate([[0.0, 1000.0], [0.0, 0.0]], "softmax")
    array([[0.5, 1. ],
           [0.5, 0. ]])
    """
    return np.asarray(_named(name).function(real(Z)))


def activation_backward(Z: ArrayLike, dA: ArrayLike, name: str) -> Array:
    """Return dZ = ∂J/∂Z from dA = ∂J/∂A, A = f(Z): dA times the slope.

    Each output of softmax depends on its whole column: ∂a_i/∂z_j = a_i ([i = j] − a_j), so
    dz_j = a_j (da_j − Σ_i da_i a_i).

    >>> activation_backward([[-2.0, 3.0]], [[1.0, 0.5]], "relu")
    array([[0. , 0.5]])
    """
    Z, dA = real(Z), real(dA)
    A = activate(Z, name)
    if name == "softmax":
        return np.asarray(A * (dA - (dA * A).sum(axis=0)))
    return np.asarray(dA * _named(name).slope(Z, A))


def _named(name: str) -> Activation:
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]
