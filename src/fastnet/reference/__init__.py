"""The network of the notes in plain NumPy: the oracle that the compiled core is checked against.

It has the names and signatures of `fastnet` itself, needs nothing but NumPy and is written to be read next to
the notes, not to be fast. An example is a column: X = A⁽⁰⁾ is (n_in, n), and for every layer

    Z = W A + b,  i.e.  Z_jn = Σ_i w_ji a_in + b_j         A = f(Z)

until the cost J of the example's last Z and its target, and then back. Where to read on:

    functions     exp, σ
    activations   every f and its slope             normal     Φ and φ, for gelu
    dense         W A + b and its gradients
    losses        every J and ∂J/∂Z
    optimizers    how a gradient changes a weight
    trainer       one batch, one epoch: all of the above in order
    network       Layer, Network, fit
    random        the shuffle, the initial weights, what dropout drops

Of its input only the shapes are checked, and it works in the precision of its arrays: float32 stays float32,
and longdouble is there to check float64 with. `n_threads` is there for the signature: NumPy decides for
itself. Sums are NumPy's, so the core agrees within rounding, not bit for bit. What must agree exactly, the
shuffle, the uniform initial weights and the masks of dropout, is defined by `random`.
"""

from fastnet.reference.activations import activate, activation_backward
from fastnet.reference.dense import dense_backward, dense_forward
from fastnet.reference.functions import exp, sigmoid
from fastnet.reference.losses import (
    CrossEntropy,
    Huber,
    Quantile,
    bce_backward,
    bce_loss,
    calibrated_loss,
    loss,
    loss_backward,
)
from fastnet.reference.network import History, Layer, Network
from fastnet.reference.optimizers import SGD, Adam, AdamW, RMSProp
from fastnet.reference.random import dropout_mask, initial_weights, permutation, uniform
from fastnet.reference.trainer import Trainer

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CrossEntropy",
    "History",
    "Huber",
    "Layer",
    "Network",
    "Quantile",
    "RMSProp",
    "Trainer",
    "activate",
    "activation_backward",
    "bce_backward",
    "bce_loss",
    "calibrated_loss",
    "dense_backward",
    "dense_forward",
    "dropout_mask",
    "exp",
    "initial_weights",
    "loss",
    "loss_backward",
    "permutation",
    "sigmoid",
    "uniform",
]
