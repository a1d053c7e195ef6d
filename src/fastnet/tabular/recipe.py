"""The recipe of the tabular estimators: layers, initial weights, optimiser and schedule of a member.

The recipe is that of RealMLP (Holzmüller, Grinsztajn, Steinwart 2024, arXiv 2407.04491) where nothing else is
said; what each part brings was measured, see docs/tables.md.

**Neural tangent parametrisation.** With z = w x / √fan_in + b and one rate η for all w, a step of Adam
changes a weight W = w/√fan_in of the network by about η/√fan_in. Hidden layers of H units all have the rate
η/√H. The first layer, of d inputs, gets it too, as it is trained on x √(H/d): its steps count like η/√d. What
it has learned is multiplied by √(H/d) in the end, so that the network takes x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastnet._core import engine
from fastnet.callbacks import Callback
from fastnet.layer import Layer
from fastnet.network import Network
from fastnet.optimizers import AdamW
from fastnet.schedules import Cosine

if TYPE_CHECKING:
    from fastnet.training import Trainer

__all__ = ["Patience", "Recipe", "folds", "input_factor", "make_member", "with_all_inputs"]

Array = NDArray[Any]

# Of an epoch: 8 to 2 with batches of 256 lost 2 to 5 % on regressions of 500 to 1 000 rows. And that a member
# waits at least: the loss is 9 % lower so on 25 tables of 150 to 1 000 rows, whose epochs have 1 to 4 steps.
FEWEST_STEPS = 16
# Of a training. On 20 000 rows of letter 104 epochs have nearly the error of 128 (0.0201 and 0.0189, three
# splits) in 0.8 of the time; on 54 000 rows of diamonds 40 epochs have that of 128 (535 and 538).
MOST_EPOCHS, FEWEST_EPOCHS, MOST_STEPS = 128, 40, 5000
_BIAS_STREAM = 2**63 + 2**32  # of a member's seed: the streams of its weights are just above 2**63
_FOLD_STREAM = 2**61 + 1


@dataclass(frozen=True)
class Patience(Callback):
    """Ends a fit that has waited for a lower validation loss for more than e + share · b epochs.

    b is the number of the best epoch up to now. A network that is at its best early is not trained for long
    in vain, and one that learns slowly has time. In any case it waits for `least` epochs.
    """

    epochs: float
    share: float
    least: float = 0.0

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Look at the losses up to now."""
        losses = trainer.history.watched
        best = 1 + int(np.argmin(losses))
        if len(losses) - best > max(self.epochs + self.share * best, self.least):
            which = "calibrated" if trainer.history.calibrated_loss else "validation"
            trainer.stop(f"the {which} loss did not fall in {len(losses) - best} epochs")


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training that are not the user's to choose.

    Attributes
    ----------
    learning_rate : float
        η, at the start of the cosine.
    activation : str
        Of the hidden layers.
    layers, layers_of_many : int
        Hidden ones; with more than two outputs there are `layers_of_many`.
    wide_from : int
        With so many columns of numbers or more, one hidden layer of twice the width takes their place.
    label_smoothing : float
        See `losses.CrossEntropy`.
    dropout : float
    weight_decay : float
        Of a weight w, as torch has it: w shrinks by η · weight_decay in each step. (The prototype's .02 went
        with the rate η/√H: with 128 units that is this number.)
    scale_rate : float
        The rate of the inputs' learned scales over η.
    beta_2 : float
    batch_size, smallest_batch : int
        With few examples a batch is halved as long as an epoch has fewer than `FEWEST_STEPS` steps, but not
        below the smallest one.
    patience : Patience
        How long a member waits for a lower validation loss.
    early_stopping : bool or "calibrated"
        Which loss that is: see `Network.fit`.
    """

    learning_rate: float
    activation: str = "mish"
    layers: int = 2
    layers_of_many: int = 3
    wide_from: float = math.inf
    label_smoothing: float = 0.0
    dropout: float = 0.15
    weight_decay: float = 0.0018
    scale_rate: float = 6.0
    beta_2: float = 0.95
    batch_size: int = 256
    smallest_batch: int = 256
    patience: Patience = Patience(4, 0.25)
    early_stopping: bool | Literal["calibrated"] = True

    def hidden_layers(self, width: int, outputs: int, numbers: int) -> tuple[int, ...]:
        """Return the units of each hidden layer of a network for so many outputs and columns of numbers.

        A third one lowered the loss on sets of many classes (letter by 7 %), and on no others.
        """
        if numbers >= self.wide_from:
            return (2 * width,)
        return (width,) * (self.layers_of_many if outputs > 2 else self.layers)

    def most_epochs(self, n: int) -> int:
        """Return after how many epochs a training on n examples ends at the latest.

        With many examples an epoch has many steps, and fewer epochs do.
        """
        steps = math.ceil(n / self.batch_size)
        return min(MOST_EPOCHS, max(FEWEST_EPOCHS, MOST_STEPS // steps))

    def options(self, width: int, n: int, epochs: int) -> dict[str, Any]:
        """Return the options of a member's fit on n examples."""
        root = math.sqrt(width)
        optimizer = AdamW(
            learning_rate=self.learning_rate / root,
            beta_1=0.9,
            beta_2=self.beta_2,
            weight_decay=self.weight_decay * root,  # the core multiplies it by the rate, which is η/√H
            scale_rate=self.scale_rate * root,
        )
        batch = self.batch_size
        while batch > self.smallest_batch and n < FEWEST_STEPS * batch:
            batch //= 2
        waited = FEWEST_STEPS / math.ceil(n / batch)
        return {
            "epochs": epochs,
            "batch_size": min(batch, n),
            "optimizer": optimizer,
            "schedule": Cosine(),
            "early_stopping": self.early_stopping,
            "tol": 0.0,
            "patience": epochs,  # the callback ends a fit sooner
            "callbacks": [replace(self.patience, least=waited)],
        }


CLASSES = Recipe(0.03, patience=Patience(1, 0.5), early_stopping="calibrated")
# Where nearly all examples are told apart, as images of digits are: there one wide layer is better than three
TOLD_APART = replace(CLASSES, layers_of_many=2, wide_from=32, dropout=0.05, label_smoothing=0.1)
NUMBERS = Recipe(0.02, smallest_batch=64)


def input_factor(inputs: int, width: int) -> float:
    """Return √(H/d): what the input is multiplied by while a member is trained."""
    return math.sqrt(width / inputs)


def make_member(recipe: Recipe, sizes: tuple[int, ...], last: str, seed: int) -> Network:
    """Return a network as a training begins: W of N(0, 1/H), biases of N(0, 1), the last layer 0.

    The first layer too, of d inputs, is N(0, 1/H) where its input is multiplied by √(H/d): N(0, 1/d) in all.
    """
    layers = []
    width = sizes[1]
    biases = engine.normal(engine.uniform(seed, _BIAS_STREAM, sum(sizes[1:-1])))
    place = 0
    for k, (n_in, n_out) in enumerate(pairwise(sizes)):
        if k == len(sizes) - 2:
            W = np.zeros((n_out, n_in), np.float32)
            layers.append(Layer(n_in, n_out, last, W=W, b=np.zeros((n_out, 1), np.float32)))
            break
        draws = engine.normal(engine.uniform(seed, 2**63 + k, n_out * n_in))
        draws /= math.sqrt(width)
        W = draws.reshape(n_out, n_in).astype(np.float32)
        b = biases[place : place + n_out].reshape(-1, 1).astype(np.float32)
        place += n_out
        layers.append(Layer(n_in, n_out, recipe.activation, W=W, b=b, dropout=recipe.dropout))
    return Network(layers, dtype="float32")


def with_all_inputs(network: Network, factor: float, used: NDArray[np.intp], inputs: int) -> Network:
    """Return a member that was trained on `factor` times the inputs `used` as a network of all inputs."""
    first, *others = network.layers
    W = np.zeros((first.n_out, inputs), np.float32)
    W[:, used] = first.W * np.float32(factor)
    whole = Layer(inputs, first.n_out, first.activation, W=W, b=first.b, dropout=first.dropout)
    rest = [Layer(k.n_in, k.n_out, k.activation, W=k.W, b=k.b, dropout=k.dropout) for k in others]
    return Network([whole, *rest], dtype="float32")


def folds(n: int, count: int, seed: int, classes: NDArray[np.intp] | None) -> NDArray[np.intp]:
    """Return the fold of each example, 0 to count − 1, or −1 for the only one of its class.

    Examples are dealt out in a random order, those of one class after the other: no fold has more than one
    example of a class more than another.

    >>> folds(6, 2, 0, np.array([0, 0, 1, 1, 1, 1])).tolist()
    [0, 1, 0, 1, 0, 1]
    """
    order = engine.permutation(n, seed, _FOLD_STREAM)
    fold = np.empty(n, np.intp)
    if classes is None:
        fold[order] = np.arange(n) % count
        return fold
    order = order[np.argsort(classes[order], kind="stable")]
    fold[order] = np.arange(n) % count
    alone = np.bincount(classes)[classes] == 1
    fold[alone] = -1
    return fold
