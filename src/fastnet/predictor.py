"""Predictor: a network compiled for fast predictions, as `Network.compile` returns it.

A call for one row costs a fraction of a microsecond beyond the arithmetic, so little is done here before the
call into the core, which has the weights laid out for single rows and for blocks. What is wrong with a row is
found out after the core has refused it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastnet import _validate, threads
from fastnet._core import engine
from fastnet._validate import Array
from fastnet.metadata import Class

if TYPE_CHECKING:
    from fastnet.network import Network

__all__ = ["Predictor"]

_ndarray = np.ndarray
_SMALL_BATCH = engine.SMALL_BATCH_ROWS  # so many are checked and predicted in the core, which is quick


class Predictor:
    """A network as it was when it was compiled: predicts, with the same bits, and nothing else.

    Threads may call it at the same time, without a lock: each call has a scratch of its own, and the weights
    are only read. Blocks, and rows of networks that take more than some microseconds, are worked out without
    the GIL. It pickles as plain arrays.

    Parameters
    ----------
    network : Network

    Attributes
    ----------
    n_in, n_out : int
    dtype : numpy.dtype
    output : str
    classes, feature_names : tuple or None
        Those of the network.

    Raises
    ------
    ValueError
        If the weights are not finite.

    Examples
    --------
    >>> import fastnet as fn
    >>> predictor = fn.Network([fn.Layer(2, 1, W=[[1.0, -1.0]])]).compile()
    >>> predictor([3.0, 3.0])
    array([0.5])
    >>> predictor([[3.0, 1000.0], [3.0, 0.0]])
    array([[0.5, 1. ]])
    """

    def __init__(self, network: Network) -> None:
        if not hasattr(network, "core_arguments"):  # Network itself would be an import in a circle
            raise TypeError(f"network must be a Network, got {type(network).__name__}")
        W, b, activations, standardize = network.core_arguments()
        network.check_weights(W, b)
        self.output: str = network.output
        self.classes: tuple[Class, ...] | None = network.classes
        self.feature_names: tuple[str, ...] | None = network.feature_names
        W, b = ([array.copy() for array in arrays] for arrays in (W, b))
        self._parts = (W, b, activations, standardize)
        self._prepare()

    def _prepare(self) -> None:
        self.core = core = engine.PredictorCore(*self._parts)
        self.n_in, self.n_out = core.n_in, core.n_out
        self.dtype = np.dtype(core.dtype.char)  # the very object that arrays have, which is quick to compare
        self._one: Callable[..., Array] = core.one
        self._many: Callable[..., Array] = core.many
        self._flops = 2.0 * sum(w.size for w in self._parts[0])

    def __call__(self, x: ArrayLike, out: Array | None = None, *, n_threads: int | None = None) -> Array:
        """Return the outputs for one example, or for many in columns.

        Parameters
        ----------
        x : array_like, shape (n_in,) or (n_in, n)
            A NumPy array of the network's dtype is read where it lies, whatever its strides; so is anything
            with the buffer protocol.
        out : ndarray, shape (n_out,) or (n_out, n), optional
            Written to and returned, of the network's dtype and with any strides; a new array by default.
        n_threads : int, optional
            For many examples, at most so many threads (see `fastnet.threads`).

        Returns
        -------
        ndarray, shape (n_out,) or (n_out, n)
            The bits of `Network.predict_proba`, in any batch.

        Raises
        ------
        ValueError, TypeError
            If x has another shape or dtype, or holds NaN or infinities; if `out` does not fit.

        Examples
        --------
        >>> import fastnet as fn, numpy as np
        >>> predictor = fn.Network([fn.Layer(2, 1, W=[[1.0, -1.0]])]).compile()
        >>> out = np.empty(1)
        >>> predictor(np.array([3.0, 3.0]), out) is out
        True
        """
        if type(x) is _ndarray:
            try:
                if x.ndim == 1:
                    return self._one(x, out)
                n = x.shape[1]
                if n <= _SMALL_BATCH and (out is None or not np.may_share_memory(x, out)):
                    return self._many(x, out, threads.threads_for(self._flops * n, n_threads))
            except (ValueError, TypeError, IndexError):
                pass  # something does not fit
        return self._with_care(x, out, n_threads)

    def _with_care(self, x: Any, out: Any, n_threads: int | None) -> Array:
        """Check all there is to check, and call the core."""
        x = _validate.real_array(x, "x", self.dtype)
        single = x.ndim == 1
        if x.ndim not in (1, 2) or len(x) != self.n_in:
            expected = f"({self.n_in},), or ({self.n_in}, n) with a column per example"
            hint = ": use x.T if its rows are the examples" if x.shape[1:] == (self.n_in,) else ""
            raise ValueError(f"x must have shape {expected}, got {x.shape}{hint}")
        X = _validate.finite(x[:, None] if single else x, "x")
        if out is not None:
            self._check_out(out, (self.n_out, *x.shape[1:]))
            if np.may_share_memory(X, out):
                X = X.copy()
        target = out[:, None] if single and out is not None else out
        team = threads.threads_for(self._flops * X.shape[1], n_threads)
        try:
            A = self._many(X, target, team)
        except (ValueError, TypeError):  # another build of the core has become the active one
            self._prepare()
            A = self._many(X, target, team)
        return A.reshape(-1) if single and out is None else A if out is None else out

    def _check_out(self, out: Any, shape: tuple[int, ...]) -> None:
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out must be a numpy array, got {type(out).__name__}")
        if out.shape != shape:
            raise ValueError(f"out must have shape {shape}, got {out.shape}")
        if out.dtype != self.dtype:
            raise TypeError(f"out must have dtype {self.dtype}, as the network has, got {out.dtype}")
        if not out.flags.writeable:
            raise ValueError("out must be writable, got a read-only array")

    def __getstate__(self) -> dict[str, Any]:
        names = ("output", "classes", "feature_names", "_parts")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def __repr__(self) -> str:
        return f"Predictor {self.n_in} -> {self.n_out}, {self.dtype}, {self.output}"
