"""Many networks trained side by side on one data set: `train_many`."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnet import _examples, _validate, threads
from fastnet._core import engine
from fastnet._core.float_mode import in_default_mode
from fastnet.callbacks import Callback
from fastnet.history import DivergenceError, History
from fastnet.network import Network
from fastnet.training.queued import INTERRUPTED, LATE, PATIENCE, Display, ManyFit, QueuedFits, needs_python

if TYPE_CHECKING:
    from fastnet.progress import Bar
    from fastnet.training import Trainer

__all__ = ["FurtherFits", "ManyExamples", "train_fits", "train_many"]

# options of a fit that may be a list with one for each network
SINGLE = ("epochs", "batch_size", "learning_rate", "seed", "optimizer", "l2", "clip_norm", "max_seconds")
_MOVES = 0.1  # seconds between two looks at the bar
_MOST_SHARED = 4  # threads for one network: memory for each of them is taken for every network at work
MANY_ROWS = 100_000  # the numbers of the examples of a fit are 1.6 MB and more then
SMALL_FLOPS = 2e7  # of fits that one thread trains sooner than two, which wait for one another in Python


@in_default_mode
def train_many(
    networks: Sequence[Network],
    X: ArrayLike,
    T: ArrayLike,
    *,
    rows: Sequence[ArrayLike | None] | None = None,
    validation_rows: Sequence[ArrayLike | None] | None = None,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
    progress: bool | Bar | None = False,
    total_seconds: float | None = None,
    **options: Any,
) -> list[History | None]:
    """Train many networks on one data set, a thread for each, and return their histories.

    Each thread takes the next network with all its epochs. A network has the bits that it would have if it
    were trained alone by `Network.fit`, for any number of threads. Without metrics, schedule, callbacks and
    LBFGS, threads do all epochs of a network in one call of the core: then 256 small networks take a small
    part of the time of as many fits. Otherwise threads that find no further network help with those that are
    left. Networks with the same seed and as many rows share their shuffles.

    Parameters
    ----------
    networks : sequence of Network
        Of any shapes that fit the data.
    X : array_like, shape (n_in, n)
        The examples of all networks, one in each column.
    T : array_like, shape (n_out, n)
        Targets; class labels (n,) for "cross_entropy".
    rows : sequence of array_like of int or None, optional
        For each network the numbers of its examples, in any order and also repeatedly: folds, bootstraps.
        None, for one or for all: all examples.
    validation_rows : sequence of array_like of int or None, optional
        For each network the numbers of the examples that it is validated on.
    sample_weight : array_like, shape (n,), optional
        How much each example counts, in training and validation.
    n_threads : int, optional
        At most so many networks at a time; by default as many as `fastnet.threads` allows.
    progress : bool or Bar, optional
        Show how far all of them are; None: in notebooks and on terminals, if it takes longer than half a
        second. Or a bar of `fastnet.progress` that counts on.
    total_seconds : float, optional
        The time for all of them. Then no further network begins, and those that are being trained end after
        their epoch. The first network has at least one epoch.
    **options
        Those of `Network.fit`: one for all networks, or for epochs, batch_size, learning_rate, seed,
        optimizer, l2, clip_norm and max_seconds also a list with one for each.

    Returns
    -------
    list of History or None
        None for a network that has not begun, or whose training diverged: it is as it was. The others have
        their new weights.

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape or value.
    DivergenceError
        If the training of every network diverged.

    Warns
    -----
    UserWarning
        If the training of some networks diverged; if it was interrupted (Ctrl-C): the networks that are done
        keep what they learned, and the others keep it up to their last epoch.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnet as fn
    >>> X = np.linspace(-1.0, 1.0, 12).reshape(1, 12)
    >>> nets = [fn.Network([fn.Layer(1, 4, "tanh"), fn.Layer(4, 1)], seed=k) for k in range(3)]
    >>> folds = [np.arange(12)[np.arange(12) % 3 != k] for k in range(3)]
    >>> histories = fn.train_many(nets, X, X > 0, rows=folds, epochs=30, learning_rate=1.0, seed=[0, 1, 2])
    >>> [len(history.loss) for history in histories]
    [30, 30, 30]
    """
    data = ManyExamples(X, T, sample_weight)
    fits = _checked(networks, rows, validation_rows, data.X.shape[1], options)
    return train_fits(fits, data, threads.most(n_threads), progress, total_seconds)


def train_fits(
    fits: list[ManyFit],
    data: ManyExamples,
    n_threads: int,
    progress: bool | Bar | None,
    total_seconds: float | None,
    further: FurtherFits | None = None,
) -> list[History | None]:
    """Train what `train_many` has checked; the inputs of some fits may be others than those of all.

    `further` may add fits to the list meanwhile.
    """
    crowd: _Crowd | QueuedFits
    if isinstance(data.X, np.memmap) or any(
        fit.X is not None or needs_python(fit.options)
        for fit in {id(fit.options): fit for fit in fits}.values()
    ):
        crowd = _Crowd(fits, data, total_seconds, further)
    else:
        crowd = QueuedFits(fits, data.X, data.T, data.weights, total_seconds)
    with _progress_display(progress, fits) as display:
        crowd.run(n_threads, display)
    if crowd.diverged and all(history is None for history in crowd.histories):
        raise crowd.diverged[0]
    if crowd.stopped == INTERRUPTED:
        done = sum(history is not None and history.stopped != INTERRUPTED for history in crowd.histories)
        _validate.warn(f"training interrupted: {done} of {len(fits)} networks are done")
    if crowd.stuck:
        _validate.warn(f"{crowd.stuck} of {len(fits)} networks have hardly learned: {crowd.advice}")
    if crowd.diverged:
        _validate.warn(f"{len(crowd.diverged)} of {len(fits)} networks diverged: {crowd.diverged[0]}")
    return crowd.histories


class ManyExamples:
    """The examples of all networks."""

    def __init__(self, X: Any, T: Any, sample_weight: Any) -> None:
        self.X: Any = X if isinstance(X, (np.ndarray, engine.RawTable)) else np.asarray(X)
        self.T = T if isinstance(T, np.ndarray) else np.asarray(T)
        if len(self.X.shape) != 2 or self.T.ndim not in (1, 2) or self.T.shape[-1] != self.X.shape[1]:
            raise ValueError(
                f"X and T must hold an example in each column, got shapes {self.X.shape} and {self.T.shape}"
            )
        self.weights = None if sample_weight is None else np.asarray(sample_weight)
        if self.weights is not None and self.weights.shape != self.X.shape[1:]:
            raise ValueError(f"sample_weight must have shape {self.X.shape[1:]}, got {self.weights.shape}")


class FurtherFits(Protocol):
    """Tells which fits are to follow those that have begun, by what came out of them.

    Attributes
    ----------
    count : int
        How many fits there are at most, if none is dropped.
    dropped : set of int
        The numbers of fits that are not needed after all: they end after their epoch.
    """

    count: int
    dropped: set[int]

    def next(self, histories: list[History], done: list[bool], *, guess: bool) -> ManyFit | None:
        """Return another fit, or None if there is none as long as no other fit is done.

        The histories are those of all fits that have begun, as far as they are; that of one that has diverged
        is empty. `guess`: whether it may be one that may turn out to be of no use.
        """

    def look(self, histories: list[History], done: list[bool]) -> None:
        """Look at how far the fits are, after an epoch of one of them: some may be of no use any more."""


class _Crowd:
    """Fits that Python looks after: threads take one after the other, and all of them look for the end."""

    def __init__(
        self,
        fits: list[ManyFit],
        data: ManyExamples,
        total_seconds: float | None,
        further: FurtherFits | None = None,
    ) -> None:
        self.histories: list[History | None] = [None] * len(fits)
        self.diverged: list[DivergenceError] = []
        self.stuck = 0  # networks that have learned little, and what to tell the user of the first
        self.advice = ""
        self.stopped = ""
        self._fits = fits
        self._data = data
        self._further = further
        self._changed = threading.Condition()  # of all below, and told when a fit is done
        self._epochs = 0  # done, or no longer needed
        self._latest = History()
        self._so_far: list[History] = []  # of the fits that have begun
        self._done: list[bool] = []
        self._begin = threading.Event()
        self._threads, self._at_work = 1, 0  # how many, and those that train a network of their own now
        self._shared: set[int] = set()  # fits at work that another thread can help with
        self._deadline = math.inf
        if total_seconds is not None:
            self._deadline = time.perf_counter() + _validate.rate(total_seconds, "total_seconds")

    def run(self, n_threads: int, display: Display | None) -> None:
        """Train all networks; the main thread waits, so that an interrupt reaches it, and moves the bar."""
        # see _load_before_fork
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        self._threads = n_threads if max(map(self._flops, self._fits)) >= SMALL_FLOPS else 1
        count = min(self._threads, len(self._fits) if self._further is None else self._further.count)
        with ThreadPoolExecutor(count) as pool:
            try:
                # a future for each thread, not for each network: waking this one takes longer than a tiny fit
                waiting = {pool.submit(self._train_next) for _ in range(count)}
            except BaseException:
                self.stopped = INTERRUPTED
                self._begin.set()
                raise
            while waiting:
                try:
                    self._begin.set()  # no network begins before an interrupt is caught here
                    done, waiting = wait(waiting, PATIENCE if display is None else _MOVES, FIRST_COMPLETED)
                    for future in done:
                        future.result()
                    if display is not None:
                        display(self._epochs, self._latest)
                except KeyboardInterrupt:
                    self.stopped = INTERRUPTED
                except BaseException:
                    self.stopped = "an error in another network"
                    raise

    def _train_next(self) -> None:
        """Train the next network, and so on until there is none."""
        self._begin.wait()
        while (k := self._take()) is not None:
            try:
                self._train(k)
                if self._data.X.shape[1] >= MANY_ROWS:
                    engine.give_free_memory_back()
            finally:
                with self._changed:
                    self._done[k] = True
                    self._at_work -= 1
                    self._shared.discard(k)
                    self._changed.notify_all()

    def _take(self) -> int | None:
        """Return the number of the next network, None if there is none; wait if that is not known yet."""
        with self._changed:
            while not (self.stopped or (self._done and self._late())):
                k = len(self._done)
                if k == len(self._fits) and self._further is not None:
                    # to help is of use for certain: only if it is impossible, or another thread does, guess
                    guess = self._idle() > 1 or not self._shared
                    fit = self._further.next(self._so_far, self._done, guess=guess)
                    if fit is not None:
                        self._fits.append(fit)
                        self.histories.append(None)
                if k < len(self._fits):
                    self._so_far.append(History())
                    self._done.append(False)
                    self._at_work += 1
                    return k
                if self._further is None or all(self._done):
                    return None
                self._changed.wait(PATIENCE)
        return None

    def _train(self, k: int) -> None:
        fit, data, options = self._fits[k], self._data, dict(self._fits[k].options)
        options["seed"] = fit.seed
        watcher = _Watcher(self, k)
        callbacks = [*options.pop("callbacks", ()), watcher]
        try:
            self.histories[k] = fit.network.fit(
                *(data.X if fit.X is None else fit.X, data.T),
                rows=fit.rows,
                validation_rows=fit.validation_rows,
                sample_weight=data.weights,
                n_threads=min(self._threads, _MOST_SHARED),
                progress=False,
                callbacks=callbacks,
                **options,
            )
        except DivergenceError as error:
            with self._changed:
                self.diverged.append(error)
                self._so_far[k] = History()
        with self._changed:
            if self._is_dropped(k):
                self._epochs -= watcher.epochs
            else:  # it has no use for the rest
                self._epochs += max(0, fit.options.get("epochs", 100) - watcher.epochs)

    def _idle(self) -> int:
        """Return how many threads train no network of their own; for who holds the lock."""
        return self._threads - self._at_work

    def _is_dropped(self, k: int) -> bool:
        return self._further is not None and k in self._further.dropped

    def _flops(self, fit: ManyFit) -> float:
        """Return the flops of all epochs of a fit; infinity if that is not known."""
        rows = self._data.X.shape[1] if fit.rows is None else len(fit.rows)
        epochs = fit.options.get("epochs", 100)
        return fit.network.flops(rows) * epochs if isinstance(epochs, int) else math.inf

    def _late(self) -> bool:
        return time.perf_counter() >= self._deadline

    def note_advice(self, advice: str) -> None:
        """Count a network that has learned little."""
        with self._changed:
            self.stuck += 1
            self.advice = self.advice or advice

    def before_first_epoch(self, k: int, trainer: Trainer) -> None:
        """Let one thread begin, and note whether a second one can help with a network."""
        if trainer.use_threads(2) > 1:
            with self._changed:
                self._shared.add(k)
        trainer.use_threads(1)

    def after_epoch(self, k: int, trainer: Trainer) -> None:
        """Count an epoch of one network, and end its fit where all are to end, or where nobody needs it.

        Threads without a network of their own help with those that are left.
        """
        if self._late():
            trainer.stop(LATE)
        with self._changed:
            self._epochs += 1
            self._latest = self._so_far[k] = trainer.history
            if self._further is not None:
                self._further.look(self._so_far, self._done)
            idle = self._idle()
        if self.stopped or self._is_dropped(k):
            trainer.stop(self.stopped or "it is not needed")
        trainer.use_threads(1 + idle)


class _Watcher(Callback):
    """Tells the others how far one network is; its advice is told once for all networks."""

    def __init__(self, crowd: _Crowd, k: int) -> None:
        self._crowd = crowd
        self._k = k
        self.epochs = 0

    def on_train_begin(self, trainer: Trainer) -> None:
        self._crowd.before_first_epoch(self._k, trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        self.epochs += 1
        self._crowd.after_epoch(self._k, trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        if trainer.advice:
            self._crowd.note_advice(trainer.advice)
            trainer.advice = ""


@contextmanager
def _progress_display(progress: bool | Bar | None, fits: list[ManyFit]) -> Iterator[Display | None]:
    """Give a function that moves the progress bar; it is called (epochs done, history of one network)."""
    if progress is False:
        yield None
        return
    from fastnet.progress import Bar, curves, new_bar

    if isinstance(progress, Bar):
        bar: Bar | None = progress
    else:
        total = sum(fit.options.get("epochs", 100) for fit in fits)
        bar = new_bar(total, None if progress is None else _validate.flag(progress, "progress"))
    if bar is None:
        yield None
        return
    last = 0, History()

    def move(done: int, history: History) -> None:
        nonlocal last
        now, last = time.perf_counter(), (done, history)
        if now >= bar.due:
            bar.update(done, curves(history), now)

    try:
        yield move
    finally:
        bar.close(last[0], curves(last[1]))


def _checked(
    networks: Any, rows: Any, validation_rows: Any, n: int, options: dict[str, Any]
) -> list[ManyFit]:
    """Return what is to be done for each network."""
    networks = list(networks)
    count = len(networks)
    if not networks:
        raise ValueError("networks must hold at least one Network, got none")
    for k, network in enumerate(networks):
        if not isinstance(network, Network):
            raise TypeError(f"networks[{k}] must be a Network, got {type(network).__name__}")
    numbers = list(map(id, networks))
    if len(set(numbers)) < count:
        k = next(k for k in range(count) if numbers[k] in numbers[:k])
        raise ValueError(f"networks[{k}] must be another network than those before")
    for name in ("validation", "n_threads", "sample_weight", "warm_start"):
        if name in options:
            raise TypeError(f"{name} must not be given to train_many as an option of a fit")
    own_rows = _rows(rows, "rows", count, n)
    held_out = _rows(validation_rows, "validation_rows", count, n)
    single = {name: options[name] for name in SINGLE if isinstance(options.get(name), (list, tuple))}
    for name, values in single.items():
        if len(values) != count:
            raise ValueError(f"{name} must be one or {count} of them, got {len(values)}")
    common = {name: value for name, value in options.items() if name != "seed"}
    seeds = single.pop("seed", None)
    if seeds is None:
        seeds = [_validate.seed(options.get("seed", 0))] * count
    elif not all(type(seed) is int and 0 <= seed < 2**64 for seed in seeds):  # at once, as of many
        seeds = list(map(_validate.seed, seeds))
    same: dict[tuple[int, ...], dict[str, Any]] = {}  # one dict for fits with the same options
    shared = [common] * count
    for k in range(count if single else 0):
        own = {name: values[k] for name, values in single.items()}
        shared[k] = same.setdefault(tuple(map(id, own.values())), common | own)
    return list(map(ManyFit, networks, own_rows, held_out, seeds, shared))


def _rows(given: Any, name: str, count: int, n: int) -> list[NDArray[np.intp] | None]:
    """Return the row numbers of each network as index arrays."""
    if given is None:
        return [None] * count
    given = list(given)
    if len(given) != count:
        raise ValueError(f"{name} must be {count} arrays, one for each network, got {len(given)}")
    found: list[Any] = []
    for k, which in enumerate(given):
        if which is None:
            found.append(None)
            continue
        if isinstance(which, _examples.FoldRows):
            _examples.check_fold_rows(which, f"{name}[{k}]", n)
            found.append(which)
            continue
        checked = _examples.check_rows(which, f"{name}[{k}]", n)
        # an array of the caller's is enough until its fit begins, which makes one of 8 bytes a row
        found.append(checked if isinstance(which, (list, tuple)) else which)
    return found
