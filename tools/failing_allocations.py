"""Let each allocation of the compiled core fail in turn, and see what is left.

    python tools/failing_allocations.py        about a minute; needs gcc and glibc

For each of some operations (fit, Trainer, predict, compile, save, load, gradients), the first allocation
fails, then the second, and so on until the operation comes to its end with none left to fail. Each time it
has to raise MemoryError, or to work all the same with the right bits (a thread that cannot be started, memory
that could not be kept for the next call). After that the network has the weights it had, and the operation,
tried again, succeeds.

Exit status: 0 so it was, 1 it was not, 77 there is no gcc here.
"""

from __future__ import annotations

import argparse
import ctypes
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

NOT_TRIED = 77
ARMED = "FASTNET_FAILING_ALLOCATIONS"
MOST = 3000  # allocations of one operation

# Compiled into a library for LD_PRELOAD.
INTERPOSER = r"""
/* An interposer for LD_PRELOAD that lets the n-th allocation of some modules fail.
 *
 * Counted are calls of malloc, calloc, realloc, mmap and pthread_create whose caller lies in a shared library
 * with "fastnet/_core" in its path. (Where an allocation of NumPy's own fails, NumPy may crash: a ufunc of
 * NumPy 2.4 did.)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

static long left = 0;  /* allocations until the one that fails; 0: none will */
static long failed = 0;
static __thread int inside = 0;  /* dladdr may allocate */

void fail_allocation(long n) { failed = 0; __atomic_store_n(&left, n, __ATOMIC_SEQ_CST); }
long failed_allocations(void) { return failed; }

static int fails(void *caller) {
    Dl_info info;
    if (__atomic_load_n(&left, __ATOMIC_RELAXED) <= 0 || inside) return 0;
    inside = 1;
    int counted = dladdr(caller, &info) && info.dli_fname &&
        strstr(info.dli_fname, "fastnet/_core");
    inside = 0;
    if (!counted || __atomic_sub_fetch(&left, 1, __ATOMIC_SEQ_CST) != 0) return 0;
    failed++;
    errno = ENOMEM;
    return 1;
}

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

void *malloc(size_t n) { return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n); }

void *mmap(void *start, size_t size, int protection, int flags, int file, off_t offset) {
    static void *(*next)(void *, size_t, int, int, int, off_t);
    if (fails(__builtin_return_address(0))) return MAP_FAILED;
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "mmap");
    return next(start, size, protection, flags, file, offset);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument) {
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (fails(__builtin_return_address(0))) return EAGAIN;
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    return next(thread, attributes, run, argument);
}
"""


def operations() -> dict[str, Callable[[], Any]]:
    """Return the operations; each makes what it needs, so that it can be repeated."""
    import fastnet as fn
    from fastnet.selftest.golden import digest, examples, parameters, targets

    X = examples(3000, "float32")
    labels = targets("labels", 5, X)

    def network() -> fn.Network:
        layers = [fn.Layer(7, 200, "relu", dropout=0.1), fn.Layer(200, 5, "softmax")]
        made = fn.Network(layers, seed=1, dtype="float32")
        made.preprocessing = fn.Standardize.of(X)
        return made

    trained, trainer = network(), fn.Trainer(network(), optimizer="adam", batch_size=1500)
    file = io.BytesIO()
    fn.save(trained, file)
    content = file.getvalue()
    before = digest(*parameters(trained))
    T = fn.one_hot(labels, dtype="float32")

    def unchanged() -> None:
        if digest(*parameters(trained)) != before:
            raise AssertionError("the weights of a network that was only used have changed")

    def fit(**how: Any) -> str:
        made = network()
        start = digest(*parameters(made))
        try:
            made.fit(X, labels, epochs=1, n_threads=2, **how)
        except MemoryError:
            if digest(*parameters(made)) != start:
                raise AssertionError("MemoryError, yet the weights are new") from None
            raise
        return digest(*parameters(made))

    def used(work: Callable[[], Any]) -> Callable[[], str]:
        def operation() -> str:
            try:
                return digest(work())
            finally:
                unchanged()

        return operation

    def train() -> str:
        start = digest(*parameters(trainer.network))
        state = trainer.epochs_done
        try:
            trainer.fit(X, labels, epochs=1)
        except MemoryError:
            if trainer.epochs_done == state and digest(*parameters(trainer.network)) != start:
                raise AssertionError("no epoch more, yet the weights are new") from None
            raise
        return "trained"

    def saved() -> Any:
        stream = io.BytesIO()
        fn.save(trained, stream)
        return len(stream.getvalue())

    return {
        "fit": lambda: fit(batch_size=1500),
        "fit, adam, l2, clip": lambda: fit(batch_size=600, optimizer="adam", l2=0.1, clip_norm=1.0),
        "fit, early stopping": lambda: fit(
            validation_fraction=0.2, early_stopping=True, metrics=["accuracy"]
        ),
        "Trainer.fit": train,
        "predict_proba": used(lambda: trained.predict_proba(X, n_threads=2)),
        "predict_proba of a row": used(lambda: trained.predict_proba(X[:, :1])),
        "compile": used(lambda: trained.compile()(X[:, :2])),
        "loss": used(lambda: trained.loss(X, T)),
        "gradients": used(lambda: trained.gradients(X, T)[0][0]),
        "save": used(saved),
        "load": lambda: digest(*parameters(fn.load(io.BytesIO(content)))),
        "fit of zeros": lambda: fit(sample_weight=labels * 1.0),
    }


def try_all() -> int:
    """Run inside the process that has the interposer loaded."""
    interposer = ctypes.CDLL(None)
    wrong = 0
    for name, operation in operations().items():
        right = operation()
        operation()  # caches are warm
        errors, number = 0, 0
        while number < MOST:
            number += 1
            interposer.fail_allocation(number)
            try:
                found = operation()
            except MemoryError:
                errors += 1
                found = right
            except Exception as error:
                print(f"{name}: allocation {number} failed: {error!r}")
                wrong += 1
                found = right
            finally:
                none_left = not interposer.failed_allocations()
                interposer.fail_allocation(0)
            if found != right:
                print(f"{name}: allocation {number} failed: other bits")
                wrong += 1
            if operation() != right:
                print(f"{name}: other bits in the call after allocation {number} failed")
                wrong += 1
            if none_left:
                break
        print(f"{name}: {number - 1} allocations failed in turn, {errors} MemoryErrors", flush=True)
    return 1 if wrong else 0


def main() -> int:
    """Compile the interposer and start a process with it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    if os.environ.get(ARMED):
        return try_all()
    if shutil.which("gcc") is None:
        print("not tried: no gcc here", file=sys.stderr)
        return NOT_TRIED
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "failing_allocations.so"
        source = Path(folder) / "failing_allocations.c"
        source.write_text(INTERPOSER)
        command = ["gcc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True)
        variables = {"LD_PRELOAD": str(library), "PYTHONMALLOC": "malloc", ARMED: "1"}
        ran = subprocess.run([sys.executable, __file__], env=os.environ | variables)
    if ran.returncode < 0:
        print(f"the process died of signal {-ran.returncode}", file=sys.stderr)
    return 1 if ran.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
