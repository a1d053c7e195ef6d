"""What the parameters and attributes of the estimators mean, for the docstrings of all of them.

scikit-learn's own are described here too: `help` and the tooltips of notebooks look into the docstring of the
class alone. Each text begins without an indent; the lines after the first have that of a class's docstring.
"""

from __future__ import annotations

import re

__all__ = [
    "ATTRIBUTES",
    "CLASS_WEIGHT",
    "FASTNET",
    "LOSS",
    "OF_LOSS",
    "SCIKIT_LEARN",
    "chosen",
]

SCIKIT_LEARN = """hidden_layer_sizes : int or sequence of int, default=(100,)
        Units in each hidden layer.
    activation : str or list of str, default="relu"
        Of the hidden layers: identity, logistic, tanh, relu, and beyond scikit-learn's leaky_relu, elu, selu,
        silu, gelu, softplus and mish; a list has one for each hidden layer.
    solver : {"adam", "sgd", "lbfgs", "adamw", "rmsprop"}, default="adam"
        How the coefficients are changed: adam and sgd after each batch; lbfgs takes all examples at once and
        does well on small data. The last two are not scikit-learn's.
    alpha : float, default=0.0001
        The penalty: alpha / 2 times the squared coefficients, without the intercepts, is added to the sum of
        the losses.
    batch_size : int or "auto", default="auto"
        Examples in a batch; auto: min(200, n_samples). Not for lbfgs.
    learning_rate : str or Schedule, default="constant"
        How the rate changes. For sgd constant, invscaling or adaptive (a fifth of it whenever the loss has
        not fallen in two epochs running); and for all solvers but lbfgs the schedules of
        `fastnet.schedules`, by name or as an object.
    learning_rate_init : float, default=0.001
        The rate to begin with. Not for lbfgs.
    power_t : float, default=0.5
        The exponent of invscaling.
    max_iter : int, default=200
        At most so many epochs; for lbfgs iterations.
    shuffle : bool, default=True
        Visit the examples in another order in each epoch. Not for lbfgs.
    random_state : int, RandomState instance or None, default=None
        Of the initial coefficients, the order of the examples, what is held out and dropout.
    tol : float, default=0.0001
        Training ends when the loss, or with `early_stopping` the score, has not improved by this much in
        `n_iter_no_change` epochs running.
    verbose : bool or int, default=False
        Print the loss of each epoch.
    warm_start : bool, default=False
        Go on from the coefficients of the last fit.
    momentum : float, default=0.9
        For sgd: how much of the last step is taken again, 0 to 1.
    nesterovs_momentum : bool, default=True
        For sgd: Nesterov's momentum.
    early_stopping : bool, default=False
        Hold out a part of the examples, and end by their score. Not for lbfgs.
    validation_fraction : float, default=0.1
        Which part `early_stopping` holds out, above 0 and below 1.
    beta_1 : float, default=0.9
        For adam and adamw: the decay of the mean gradient, from 0 and below 1.
    beta_2 : float, default=0.999
        For adam and adamw: the decay of the mean squared gradient, from 0 and below 1.
    epsilon : float, default=1e-08
        For adam, adamw and rmsprop: added to what is divided by.
    n_iter_no_change : int, default=10
        Epochs without an improvement after which training ends. Not for lbfgs.
    max_fun : int, default=15000
        For lbfgs: at most so many evaluations of the loss."""

CLASS_WEIGHT = """class_weight : dict, "balanced" or None
        Weights of the classes, which multiply those of the examples; "balanced": as if each class had the
        same number of examples."""

LOSS = """loss : {"squared_error", "poisson", "absolute_error", "huber", "quantile"}, default="squared_error"
        What training makes small, summed over the outputs. (Of squared_error with several outputs `loss_` is
        the mean over them, but the gradient that of the sum, as in scikit-learn.) Absolute_error, huber and
        quantile are not scikit-learn's; their score for early stopping is the negative loss of the validation
        set."""

OF_LOSS = """delta : float, default=1
        For huber: the residual from which it is linear.
    quantile : float, default=0.5
        For quantile: which one, above 0 and below 1."""

FASTNET = """weight_decay : float, default=0.01
        For adamw: how much of each coefficient goes in each step, times the learning rate.
    rho : float, default=0.9
        For rmsprop: the decay of the mean square.
    clip_norm : float, optional
        The largest norm of a batch's gradient over all parameters; longer ones are scaled to it.
    dropout : float or list of float, default=0
        The share of each hidden layer's units left out at random in each step; a list has one for each.
    dtype : {"float32", "float64"}, optional
        The precision to work in; unless given, that of X, as in scikit-learn.
    n_threads : int, optional
        At most so many threads (see `fastnet.threads`), one unless given where joblib runs threads itself.
        The same bits for any number."""

ATTRIBUTES = """coefs_ : list of ndarray
        The coefficients of each layer, (n_in, n_out).
    intercepts_ : list of ndarray
        The intercepts of each layer, (n_out,).
    loss_ : float
        The loss of the last epoch.
    best_loss_ : float or None
        The lowest loss; None with `early_stopping`.
    loss_curve_ : list of float
        The loss of each epoch.
    validation_scores_ : list of float or None
        With `early_stopping`: accuracy or R² of what is held out, after each epoch.
    best_validation_score_ : float or None
        With `early_stopping`: the highest of them.
    validation_loss_curve_ : list of float or None
        The loss of the validation set after each epoch, without the penalty `alpha`; None without such a set.
    n_iter_ : int
        Epochs, or iterations of lbfgs.
    t_ : int
        Examples that were visited, each time counted.
    n_layers_ : int
        Layers, with the input.
    n_outputs_ : int
    out_activation_ : str
        The activation of the last layer.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X has names that are all texts.
    backend_ : str
        "fastnet"; "scikit-learn" if its own code trained the network, because its version is unknown or a
        subclass overrides a private method that fastnet does without."""


def chosen(text: str, *names: str) -> str:
    r"""Return the entries of these names from one of the texts above.

    >>> chosen(FASTNET, "rho")
    'rho : float, default=0.9\n        For rmsprop: the decay of the mean square.'
    """
    entries = re.split(r"\n    (?=\w)", text)
    return "\n    ".join(entry for entry in entries if entry.partition(" :")[0] in names)
