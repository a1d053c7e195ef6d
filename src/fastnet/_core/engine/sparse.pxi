# SparseRows: examples as lists of what is not zero; predictions from them.
# Uses: arrays, calls

cdef class SparseRows:
    """The rows of a sparse matrix, an example each, read where they lie: SciPy's CSR of one dtype.

    Parameters
    ----------
    values : array (count,), float32 or float64
        What is not zero, row after row.
    features : array (count,) of int32
        Which features these are, ascending in a row.
    start : array (n + 1,) of intp
        Where in `values` each row starts, and the last one ends.
    n_features : int
        ValueError where a feature is not one of these, or a row not in order.
    """
    cdef sparse_rows rows
    cdef Py_ssize_t n, n_features
    cdef tuple kept
    cdef SparseRows by_feature      # once `transposed` has made it

    def __init__(self, cnp.ndarray values, cnp.ndarray features, cnp.ndarray start, Py_ssize_t n_features):
        cdef const kernel_table* table = table_for(values)
        cdef Py_ssize_t count = cnp.PyArray_SIZE(values), n = cnp.PyArray_SIZE(start) - 1, i, e, before
        cdef bint in_order
        self.rows.value = contiguous(values, table, count, "values")
        if (cnp.PyArray_TYPE(features) != cnp.NPY_INT32 or not cnp.PyArray_ISCARRAY_RO(features)
                or cnp.PyArray_SIZE(features) != count):
            raise ValueError(f"features must be {count} numbers of dtype int32 in C order, "
                             f"got {features.dtype} {np.shape(features)}")
        if cnp.PyArray_TYPE(start) != cnp.NPY_INTP or not cnp.PyArray_ISCARRAY_RO(start) or n < 0:
            raise ValueError("start must be a vector of dtype intp in C order, "
                             f"got {start.dtype} {np.shape(start)}")
        self.rows.feature = <const int*>cnp.PyArray_DATA(features)
        self.rows.start = <const Py_ssize_t*>cnp.PyArray_DATA(start)
        in_order = self.rows.start[0] >= 0 and self.rows.start[n] <= count
        for i in range(n):
            in_order &= self.rows.start[i] <= self.rows.start[i + 1]
        if not in_order:
            raise ValueError(f"start must ascend from 0 to at most {count}")
        for i in range(n):
            before = -1
            for e in range(self.rows.start[i], self.rows.start[i + 1]):
                in_order &= before < self.rows.feature[e]
                before = self.rows.feature[e]
            in_order &= before < n_features
            if not in_order:
                raise ValueError(f"features must ascend in each row from 0 to below {n_features}, "
                                 f"got others in row {i}")
        self.n = n
        self.n_features = n_features
        self.kept = (values, features, start)

    cdef SparseRows transposed(self):
        """The lists of the features: which examples have each, ascending. Made once; None for 2^31 rows."""
        cdef cnp.ndarray values, examples, start
        cdef Py_ssize_t count = self.rows.start[self.n], e, i, f, to
        cdef Py_ssize_t* at
        cdef int* example
        cdef char* value
        cdef size_t size = self.kept[0].dtype.itemsize
        if self.by_feature is not None or self.n >= 1 << 31:
            return self.by_feature
        count -= self.rows.start[0]
        values, examples = np.empty(count, self.kept[0].dtype), np.empty(count, np.int32)
        start = np.zeros(self.n_features + 1, np.intp)
        at = <Py_ssize_t*>cnp.PyArray_DATA(start)
        example = <int*>cnp.PyArray_DATA(examples)
        value = <char*>cnp.PyArray_DATA(values)
        with nogil:
            for e in range(self.rows.start[0], self.rows.start[self.n]):
                at[self.rows.feature[e] + 1] += 1
            for f in range(self.n_features):
                at[f + 1] += at[f]
            for i in range(self.n):                    # at[f] goes from the start of f to its end
                for e in range(self.rows.start[i], self.rows.start[i + 1]):
                    to = at[self.rows.feature[e]]
                    at[self.rows.feature[e]] += 1
                    example[to] = <int>i
                    memcpy(value + to*size, <const char*>self.rows.value + e*size, size)
            for f in range(self.n_features, 0, -1):
                at[f] = at[f - 1]
            at[0] = 0
        self.by_feature = SparseRows(values, examples, start, self.n)
        return self.by_feature

    @property
    def shape(self):
        """(features, examples), as of the matrix whose columns they are."""
        return self.n_features, self.n

    @property
    def dtype(self):
        """Of the numbers."""
        return self.kept[0].dtype


cdef struct sparse_layer_call:
    const kernel_table* table
    const layer_arrays* layer
    const sparse_rows* rows
    Py_ssize_t first, n
    void* scratch
    matrix out
    int last                # whether it is the last layer of the network
    thread_team team


cdef void run_sparse_layer(void* arguments, int thread) noexcept nogil:
    cdef sparse_layer_call* c = <sparse_layer_call*>arguments
    cdef fp_mode mode = fp_enter()
    c.table.sparse_layer(c.layer, c.rows, c.first, c.n, c.scratch, c.out, c.last, &c.team, thread)
    fp_leave(mode)


SPARSE_BLOCK_BYTES = 1 << 20    # of the first layer's outputs, for as many rows as are predicted together


def forward_sparse(list W, list b, list activations, SparseRows X, int n_threads=1, cnp.ndarray out=None):
    """A (n_out, n) of the last layer for sparse rows: the bits of `forward` for the same numbers.

    Fastest where W[0].T is C-contiguous; else it is copied so. Memory does not grow with the rows.
    """
    cdef Layers all_layers = Layers(W, b, activations), first
    cdef const kernel_table* table = all_layers.table
    cdef sparse_layer_call call
    cdef Py_ssize_t n_out = all_layers.arrays[all_layers.count - 1].n_out, units = all_layers.arrays[0].n_out
    cdef Py_ssize_t step, position
    cdef cnp.ndarray A
    cdef Arena scratch
    same_kind(X.kept[0], table, "X")
    if X.n_features != all_layers.arrays[0].n_in:
        raise ValueError(f"X must have {all_layers.arrays[0].n_in} features, got {X.n_features}")
    if not 1 <= n_threads <= MAX_THREADS:
        raise ValueError(f"n_threads must be 1 to {MAX_THREADS}, got {n_threads}")
    if out is None:
        out = np.empty((n_out, X.n), W[0].dtype)
    same_kind(out, table, "out")
    shape_is(out, n_out, X.n, "out")
    if not cnp.PyArray_ISWRITEABLE(out):
        raise ValueError("out must be a writable array")
    A = W[0].T
    if not cnp.PyArray_ISCARRAY_RO(A):
        A = np.require(A, None, ["C", "ALIGNED"])
    first = Layers([A.T], b[:1], activations[:1])
    scratch = Arena(table.sparse_layer_scratch(units, n_threads))
    call.table = table
    call.layer = first.arrays
    call.rows = &X.rows
    call.scratch = scratch.m.start
    call.last = all_layers.count == 1
    step = X.n
    if all_layers.count > 1:
        step = min(X.n, max(BLOCK, SPARSE_BLOCK_BYTES//(units*table.itemsize)))
        A = np.empty((step, units), W[0].dtype).T
    for position in range(0, X.n, max(step, 1)):
        call.first = position
        call.n = min(step, X.n - position)
        call.out = as_matrix(A if all_layers.count > 1 else out)
        with nogil:
            call.team = new_team(pool_enter(n_threads))
            pool_run(run_sparse_layer, &call, call.team.size)
        if all_layers.count > 1:
            forward(W[1:], b[1:], activations[1:], A[:, :call.n], n_threads,
                    out[:, position:position + call.n])
    return out
