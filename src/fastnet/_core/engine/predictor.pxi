# PredictorCore: a compiled network for serving, its weights laid out once.
# Uses: arrays, calls

SMALL_BATCH_ROWS = SMALL_BATCH

ctypedef fused real_or_double:
    float
    double


cdef class PredictorCore:
    """A network that only predicts; the same bits as `forward`.

    Calls from several threads do not disturb one another: each takes a scratch of its own, and the weights
    are only read. Up to SMALL_BATCH_ROWS examples are predicted together by small_batch.pxi, more of
    them in blocks by predict.pxi.

    Parameters
    ----------
    W, b, activations, standardize
        As in `TrainerCore`; copied.
    """
    cdef Layers layers
    cdef const kernel_table* table
    cdef Arena rows, blocks
    cdef Arena spare_rows, spare_blocks            # scratch that no call is using
    cdef readonly Py_ssize_t n_in, n_out
    cdef readonly object dtype
    cdef double products

    def __init__(self, list W, list b, list activations, standardize=None):
        cdef int k
        self.layers = Layers(W, b, activations, None, standardize)
        self.table = self.layers.table
        self.dtype = W[0].dtype.newbyteorder("=")
        self.n_in = self.layers.arrays[0].n_in
        self.n_out = self.layers.arrays[self.layers.count - 1].n_out
        for k in range(self.layers.count):
            self.products += <double>self.layers.arrays[k].n_in*self.layers.arrays[k].n_out
        self.rows = Arena(self.table.small_batch_packed_size(self.layers.arrays, self.layers.count))
        self.table.small_batch_pack(self.rows.m.start, self.layers.arrays, self.layers.count)
        self.blocks = self.block_scratch(1, NULL)

    cdef Arena block_scratch(self, int threads, const void* shared):
        cdef const layer_arrays* layers = self.layers.arrays
        cdef int count = self.layers.count
        cdef Arena arena = Arena(self.table.predict_size(layers, count, BLOCK, threads, shared), False)
        self.table.predict_prepare(arena.m.start, layers, count, BLOCK, threads, shared)
        return arena

    def one(self, cnp.ndarray x, cnp.ndarray out=None):
        """The outputs (n_out) for one example x (n_in), or into `out`. ValueError if x is not finite."""
        cdef matrix X, A
        if (table_for(x) is not self.table or cnp.PyArray_NDIM(x) != 1 or cnp.PyArray_DIM(x, 0) != self.n_in
                or not cnp.PyArray_ISNOTSWAPPED(x)):
            raise ValueError(f"x must be {self.n_in} numbers of dtype {self.dtype}, "
                             f"got {x.dtype} of shape {np.shape(x)}")
        if out is None:
            out = cnp.PyArray_EMPTY(1, <cnp.npy_intp*>&self.n_out, cnp.PyArray_TYPE(x), 0)
        elif (table_for(out) is not self.table or cnp.PyArray_NDIM(out) != 1
              or cnp.PyArray_DIM(out, 0) != self.n_out or not cnp.PyArray_ISWRITEABLE(out)
              or not cnp.PyArray_ISNOTSWAPPED(out)):
            raise ValueError(f"out must be {self.n_out} writable numbers of dtype {self.dtype}, "
                             f"got {out.dtype} of shape {np.shape(out)}")
        if (not self.table.all_finite(cnp.PyArray_DATA(x), self.n_in)
                if cnp.PyArray_STRIDE(x, 0) == self.table.itemsize and cnp.PyArray_ISALIGNED(x)
                else not np.isfinite(x).all()):
            raise ValueError("x must hold finite numbers, got NaN or an infinity")
        X.start = <char*>cnp.PyArray_DATA(x)
        X.row_step = cnp.PyArray_STRIDE(x, 0)
        X.column_step = 0
        A.start = <char*>cnp.PyArray_DATA(out)
        A.row_step = cnp.PyArray_STRIDE(out, 0)
        A.column_step = 0
        self.small_batch(X, 1, A)
        return out

    cdef int small_batch(self, matrix X, Py_ssize_t n, matrix out) except -1:
        cdef Arena scratch = self.spare_rows
        cdef size_t bytes = self.table.small_batch_scratch_packed(self.rows.m.start, n)
        cdef fp_mode mode
        self.spare_rows = None
        if scratch is None or scratch.bytes < bytes:
            scratch = Arena(bytes)
        if n*self.products < 1e5:                  # some microseconds: letting go of the GIL would cost more
            mode = fp_enter()
            self.table.small_batch_predict_packed(self.rows.m.start, scratch.m.start, X, n, out)
            fp_leave(mode)
        else:
            with nogil:
                mode = fp_enter()
                self.table.small_batch_predict_packed(self.rows.m.start, scratch.m.start, X, n, out)
                fp_leave(mode)
        self.spare_rows = scratch
        return 0

    def many(self, cnp.ndarray X, cnp.ndarray out=None, int n_threads=1):
        """The outputs (n_out, n) for X (n_in, n), any strides, or into `out`.

        ValueError if X is not finite, which is looked at for few examples only.
        """
        cdef Py_ssize_t n = X.shape[1], few
        cdef predict_call call
        if out is None:
            out = np.empty((self.n_out, n), self.dtype)
        if table_for(X) is not self.table:         # another dtype, or another build has become the active one
            raise TypeError(f"X must be of dtype {self.dtype} and for the build the predictor was made for, "
                            f"got {X.dtype}")
        shape_is(X, self.n_in, n, "X")
        if not cnp.PyArray_ISNOTSWAPPED(X):
            raise ValueError(f"X must have the machine's order of bytes, got {X.dtype}")
        same_kind(out, self.table, "out")
        shape_is(out, self.n_out, n, "out")
        if not cnp.PyArray_ISWRITEABLE(out):
            raise ValueError("out must be a writable array")
        call.X = as_matrix(X)
        call.out = as_matrix(out)
        if n == 0:
            return out
        if n <= SMALL_BATCH and not all_finite(X):
            raise ValueError("X must hold finite numbers, got NaN or an infinity")
        few = self.layers.small_batch(n, n_threads)
        call.n = n - few
        if call.n > 0:
            self.in_blocks(&call, n_threads)
        if few > 0:
            call.X.start += call.n*call.X.column_step
            call.out.start += call.n*call.out.column_step
            self.small_batch(call.X, few, call.out)
        return out

    cdef int in_blocks(self, predict_call* call, int n_threads) except -1:
        """Predict the examples of a call on at most so many threads."""
        cdef Arena scratch
        scratch = self.spare_blocks if n_threads == 1 else None
        if n_threads == 1:
            self.spare_blocks = None
        if scratch is None:
            scratch = self.block_scratch(n_threads, self.blocks.m.start)
        call.table = self.table
        call.arena = scratch.m.start
        call.check = False                         # `out` stays as it is where X is not finite
        with nogil:
            predict_together(call, n_threads)
        if n_threads == 1:
            self.spare_blocks = scratch
        return 0


cdef void add_and_divide(real_or_double* total, const real_or_double* part, Py_ssize_t n,
                         real_or_double count) noexcept nogil:
    """total += part; at the last part, when count is not 0, also total /= count."""
    cdef Py_ssize_t i
    for i in range(n):
        total[i] += part[i]
        if count != 0:
            total[i] /= count


def mean_of_one(list cores, cnp.ndarray x):
    """The mean of the outputs (n_out) of several predictors for one example, summed in their order.

    As `PredictorCore.one`, whose outputs must be as many for each.
    """
    cdef PredictorCore core = cores[0]
    cdef cnp.ndarray total = core.one(x), part
    cdef Py_ssize_t k, count = len(cores), n = core.n_out
    cdef fp_mode mode
    part = cnp.PyArray_EMPTY(1, <cnp.npy_intp*>&core.n_out, cnp.PyArray_TYPE(total), 0)
    for k in range(1, count):
        core = cores[k]
        core.one(x, part)
        mode = fp_enter()
        if cnp.PyArray_TYPE(total) == cnp.NPY_FLOAT32:
            add_and_divide(<float*>cnp.PyArray_DATA(total), <const float*>cnp.PyArray_DATA(part), n,
                           <float>(count if k == count - 1 else 0))
        else:
            add_and_divide(<double*>cnp.PyArray_DATA(total), <const double*>cnp.PyArray_DATA(part), n,
                           <double>(count if k == count - 1 else 0))
        fp_leave(mode)
    return total
