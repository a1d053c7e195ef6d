"""Callbacks for fit: functions and objects that are called once per epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastnet import _validate

if TYPE_CHECKING:
    from fastnet.training.trainer import Trainer

__all__ = ["Callback", "CallbackList"]


class Callback:
    """Something to be told how a fit goes; override what you need.

    While a fit runs the network keeps the weights of before. The trainer has the current ones: see its
    `history`, `epochs_done`, `weights`, `predict_proba`, `state_dict`, and `stop`. A plain function of the
    trainer does where `on_epoch_end` is all that is needed. An exception ends the fit like any other error:
    the network and the trainer are as before it.

    Examples
    --------
    >>> import fastnet as fn
    >>> class GoodEnough(fn.callbacks.Callback):
    ...     def on_epoch_end(self, trainer):
    ...         if trainer.history.loss[-1] < 0.4:
    ...             trainer.stop("good enough")
    >>> net = fn.Network([fn.Layer(1, 1, seed=0)])
    >>> history = net.fit([[-1.0, 1.0]], [[0.0, 1.0]], epochs=10_000, callbacks=[GoodEnough()])
    >>> history.stopped, 0.39 < history.loss[-1] < 0.4
    ('good enough', True)
    """

    def on_train_begin(self, trainer: Trainer) -> None:
        """Do what is to be done once, before the first epoch."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Look at an epoch when the history has its numbers; `trainer.stop` makes it the last."""

    def on_train_end(self, trainer: Trainer) -> None:
        """Do what is to be done once the fit has ended, by an error too.

        ``trainer.history.stopped`` says why. After a fit that ended well the network has its new weights.
        """


class _Function(Callback):
    """A plain function, called after each epoch."""

    def __init__(self, function: Callable[[Trainer], Any]) -> None:
        self._function = function

    def on_epoch_end(self, trainer: Trainer) -> None:
        self._function(trainer)


class CallbackList:
    """The callbacks of one fit, called one after the other with its trainer.

    >>> CallbackList([print], "the trainer").on_epoch_end
    <bound method CallbackList.on_epoch_end of ...>
    """

    def __init__(self, callbacks: Any, trainer: Trainer) -> None:
        self._callbacks = resolve(callbacks)
        self._trainer = trainer

    def on_train_begin(self) -> None:
        """Call all before the first epoch."""
        for callback in self._callbacks:
            callback.on_train_begin(self._trainer)

    def on_epoch_end(self) -> str:
        """Call all after an epoch; return why one of them asks the fit to end, or ""."""
        for callback in self._callbacks:
            callback.on_epoch_end(self._trainer)
        return self._trainer.stop_reason

    def on_train_end(self) -> None:
        """Call all once the fit has ended."""
        for callback in self._callbacks:
            callback.on_train_end(self._trainer)


def resolve(callbacks: Any) -> list[Callback]:
    """Return callbacks as a list of `Callback`; TypeError for what is neither one nor a function.

    >>> [isinstance(callback, Callback) for callback in resolve([Callback(), print])]
    [True, True]
    """
    found = []
    for k, callback in enumerate(_validate.items(callbacks, "callbacks", "Callback or functions")):
        if isinstance(callback, Callback):
            found.append(callback)
        elif callable(callback) and not isinstance(callback, type):
            found.append(_Function(callback))
        else:
            raise TypeError(
                f"callbacks[{k}] must be a Callback or a function, got {_validate.shown(callback)}"
            )
    return found
