"""What Python sees of the core: arrays in, one call through the table of the active build, arrays out.

Everything that comes here has been checked by `fastnet._validate` and its callers; what is checked again is
only what would corrupt memory. No arithmetic happens here, and no array of examples is copied: their strides
go down with them.
"""
import importlib
import os

import numpy as np

from fastnet._core import cpu

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.limits cimport INT_MAX
from libc.math cimport INFINITY, NAN, floor, fmod, frexp, isfinite, log, log1p, sqrt
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from fastnet._core.table cimport *

cnp.import_array()

# Cython's own declaration would import numpy.random, which takes as long as all of fastnet.
cdef extern from "numpy/random/bitgen.h" nogil:
    ctypedef struct bitgen_t:
        void* state
        uint64_t (*next_uint64)(void* state) noexcept nogil
        uint32_t (*next_uint32)(void* state) noexcept nogil

cdef extern from "machine.h" nogil:
    ctypedef struct memory:
        void* start
        void* block
        size_t bytes
        int mapped
    bint memory_take(memory* m, size_t bytes, bint zeroed)
    bint memory_new(memory* m, size_t bytes, bint zeroed)
    void memory_free(memory* m)
    size_t memory_room(const memory* m)
    void memory_give_back(memory* m)
    void free_memory_to_system()
    ctypedef struct fp_mode:
        pass
    fp_mode fp_enter()
    void fp_leave(fp_mode mode)
    ctypedef struct library_mode:
        pass
    library_mode library_enter()
    void library_leave(library_mode mode)
    unsigned int fp_tiny_seen
    double now()
    void fetch(const void* place)
    Py_ssize_t cache_bytes(int level)

cdef extern from "pool.h" nogil:
    ctypedef void (*region)(void* arguments, int thread) noexcept nogil
    int pool_enter(int wanted)
    void pool_run(region run, void* arguments, int size)
    void fastnet_set_num_threads(int limit)
    int fastnet_get_num_threads()

cdef extern from "queue.h" nogil:
    ctypedef int shared_int
    int shared_get(const shared_int* number)
    void shared_set(shared_int* number, int value)
    int shared_add(shared_int* number, int value)
    int shared_take(shared_int* next, int end)
    void wait_a_little(int times)


# ---- the builds

ISAS = ("portable", "v2", "v3", "v4", "neon")       # slowest first
DTYPES = ("float32", "float64")

cdef const kernel_table* table32 = NULL
cdef const kernel_table* table64 = NULL
cdef str active_isa = ""


def compiled():
    """The builds in this installation, slowest first."""
    files = os.listdir(os.path.dirname(__file__))
    return tuple(isa for isa in ISAS if any(name.startswith(f"kernels_{isa}_float32.") for name in files))


def supported():
    """The builds in this installation that this CPU runs, slowest first."""
    runs = cpu.supported()
    return tuple(isa for isa in compiled() if isa in runs)


def active():
    """The build in use."""
    return active_isa


cdef const kernel_table* load(str isa, str dtype) except NULL:
    module = importlib.import_module(f"fastnet._core.kernels_{isa}_{dtype}")
    return <const kernel_table*>PyCapsule_GetPointer(module.table, "fastnet.kernels")


def switch_to(str name):
    """Use this build from now on, in the whole process."""
    global table32, table64, active_isa
    valid = supported()
    if name not in valid:
        why = "was not compiled" if name in ISAS and name not in compiled() else \
              "does not run on this CPU" if name in ISAS else "is unknown"
        raise ValueError(f"the instruction set must be one of {', '.join(valid)}, got {name!r}, which {why}")
    cdef const kernel_table* single = load(name, "float32")
    cdef const kernel_table* double_ = load(name, "float64")
    single.set_caches(cache_bytes(1), cache_bytes(2))
    double_.set_caches(cache_bytes(1), cache_bytes(2))
    table32, table64, active_isa = single, double_, name


def geometry(dtype):
    """Numbers in a vector, in a row of a panel, and examples in a block, of the active build.

    The sizes that tests aim at.
    """
    cdef const kernel_table* table = table_for(np.empty(0, dtype))
    return table.width, table.panel, BLOCK


cdef const kernel_table* table_for(cnp.ndarray a) except NULL:
    cdef int kind = cnp.PyArray_TYPE(a)
    if kind == cnp.NPY_FLOAT32:
        return table32
    if kind == cnp.NPY_FLOAT64:
        return table64
    raise TypeError(f"arrays must have dtype float32 or float64, got {a.dtype}")


def denormals_seen():
    """Whether a kernel on this thread has read, or made, a denormal number since the last call of this.

    A pair of bools, from the flags that an x86 processor keeps: for tests and benchmarks.
    """
    global fp_tiny_seen
    seen = fp_tiny_seen
    fp_tiny_seen = 0
    return bool(seen & 0x02), bool(seen & 0x10)


# ---- threads

def thread_limit():
    """How many threads any call may use; 0 if nobody has set a limit."""
    return fastnet_get_num_threads()


def limit_threads(int limit):
    """Let no call use more threads from now on, whatever it asks for; 0 takes the limit away."""
    fastnet_set_num_threads(limit)


# ---- the floating-point mode

cdef class DefaultFloatMode:
    """A context in which this thread rounds to nearest and keeps denormals; then the caller's mode is back.

    Another library may have set something else. The kernels see to it themselves; this is for arithmetic in
    Python, NumPy and SciPy. An object serves one `with` at a time.
    """
    cdef library_mode before

    def __enter__(self):
        self.before = library_enter()

    def __exit__(self, *_):
        library_leave(self.before)


include "engine/arrays.pxi"
include "kernels/random.pxi"
include "engine/random.pxi"
include "engine/normal.pxi"
include "engine/calls.pxi"
include "engine/sparse.pxi"
include "engine/raw.pxi"
include "engine/weights.pxi"
include "engine/trainer.pxi"
include "engine/queue.pxi"
include "engine/predictor.pxi"
include "engine/raw_predictor.pxi"


def choose(str wanted):
    """At import: the build that FASTNET_ISA names, or the fastest that this CPU runs."""
    builds = supported()
    if not builds:
        raise ImportError("this CPU runs none of the builds in this installation of fastnet: "
                          f"{', '.join(compiled()) or 'none'}")
    try:
        switch_to(wanted or max(builds, key=ISAS.index))
    except ValueError as error:
        raise ImportError(f"FASTNET_ISA: {error}") from None


choose(os.environ.get("FASTNET_ISA"))
