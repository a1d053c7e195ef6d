# RawTable: examples as the rows of a raw table, encoded on the way; predictions from them.
# Uses: arrays, calls

cdef dict raw_dtypes = {
    "f8": RAW_FLOAT64, "f4": RAW_FLOAT32, "i1": RAW_INT8, "i2": RAW_INT16, "i4": RAW_INT32, "i8": RAW_INT64,
    "b1": RAW_UINT8, "u1": RAW_UINT8, "u2": RAW_UINT16, "u4": RAW_UINT32, "u8": RAW_UINT64,
}
RAW_DTYPES = tuple(raw_dtypes)  # that a column may have, as in dtype.str
RAW_BLOCK_BYTES = 1 << 20       # of encoded rows that are predicted together


cdef class RawTable:
    """A table as it is, numbers and codes of categories, whose rows the core encodes while it gathers them.

    Parameters
    ----------
    values : list of arrays (n,)
        The columns, read where they lie: any strides, of one of NumPy's whole numbers, booleans, float32 or
        float64. NaN is a gap. What is no level of a category counts as a gap.
    encodings : list of tuples
        What each column becomes: ``("number", centre, scale, gaps, low, high)`` with the ends of its bins
        as arrays (a bin of no width is 1 where the number is this one and 0 elsewhere),
        ``("category", levels)`` or ``("pair",)``. The formulas are in raw.pxi.
    n : int
        How many rows there are.
    factor : float
        Multiplies every feature, after it has been rounded to the dtype of the network.

    Raises
    ------
    ValueError, TypeError
        If an array has another shape, dtype or alignment, or an encoding is none.
    """
    cdef raw_table table
    cdef raw_column* columns
    cdef Py_ssize_t n
    cdef tuple kept

    def __init__(self, list values, list encodings, Py_ssize_t n, double factor=1.0):
        cdef raw_column* c
        cdef cnp.ndarray column
        cdef Py_ssize_t place = 0, used = 0, bins
        cdef int k
        if len(values) != len(encodings):
            raise ValueError(f"encodings must be {len(values)}, one for each column, got {len(encodings)}")
        free(self.columns)
        self.table.count = 0
        self.columns = <raw_column*>malloc((len(values) + 1)*sizeof(raw_column))
        if self.columns == NULL:
            raise MemoryError
        numbers = []
        for k in range(len(values)):
            column, c = values[k], &self.columns[k]
            self.take_column(column, c, n, k)
            kind = encodings[k][0]
            c.first, c.gaps, c.bins = place, 0, 0
            if kind == "number":
                _, c.centre, c.scale, c.gaps, low, high = encodings[k]
                c.kind = RAW_NUMBER
                low, high = [np.array(ends, np.float64) for ends in (low, high)]
                if low.ndim != 1 or low.shape != high.shape or not (low <= high).all() or not c.scale > 0:
                    raise ValueError(f"encodings[{k}] must have a scale above 0, and bins from low to high")
                c.gaps = bool(c.gaps)
                c.bins = <int>low.size
                numbers.append((k, low, high - low))
                c.width = 1 + c.gaps + c.bins
                used += c.width
            elif kind in ("category", "pair"):
                c.kind = RAW_PAIR if kind == "pair" else RAW_CATEGORY
                c.width = 1 if kind == "pair" else encodings[k][1]
                used += 1
            else:
                raise ValueError(f"encodings[{k}] must be a number, a category or a pair, got {kind!r}")
            if c.width < 1 or c.width > (1 << 30) - place:
                raise ValueError(f"encodings[{k}] must have at least 1 and not too many levels, "
                                 f"got {c.width}")
            place += c.width
        for k, low, width in numbers:              # these arrays live as long as this object
            self.columns[k].low = <const double*>cnp.PyArray_DATA(low)
            self.columns[k].high_minus_low = <const double*>cnp.PyArray_DATA(width)
        self.n = n
        self.table.columns = self.columns
        self.table.count = <int>len(values)
        self.table.features = place
        self.table.mostly_zeros = 4*used <= place
        self.table.factor = factor
        self.kept = (list(values), numbers)

    cdef int take_column(self, cnp.ndarray column, raw_column* c, Py_ssize_t n, int k) except -1:
        dtype = raw_dtypes.get(column.dtype.str[1:])
        if dtype is None or not cnp.PyArray_ISALIGNED(column) or not cnp.PyArray_ISNOTSWAPPED(column):
            raise TypeError(f"values[{k}] must be aligned numbers of this machine, got {column.dtype}")
        if cnp.PyArray_NDIM(column) != 1 or cnp.PyArray_SIZE(column) != n:
            raise ValueError(f"values[{k}] must have shape ({n},), got {np.shape(column)}")
        c.dtype = dtype
        c.start = <const char*>cnp.PyArray_DATA(column)
        c.step = cnp.PyArray_STRIDE(column, 0)
        return 0

    def __dealloc__(self):
        free(self.columns)

    @property
    def shape(self):
        """(features, examples), as of the matrix whose columns they become."""
        return self.table.features, self.n

    def encoded(self, str dtype, Py_ssize_t first=0, n=None, int n_threads=1):
        """Rows [first, first + n), or all after `first`, as the matrix (n, features) that they stand for."""
        cdef Py_ssize_t count = self.n - first if n is None else n
        if not 0 <= first <= self.n or not 0 <= count <= self.n - first:
            raise ValueError(f"first and n must be rows of {self.n}, got {first} and {count}")
        cdef cnp.ndarray out = np.empty((count, self.table.features), dtype)
        self.encode_to(out, first, count, n_threads)
        return out

    cdef int encode_to(self, cnp.ndarray out, Py_ssize_t first, Py_ssize_t n, int n_threads) except -1:
        """Rows [first, first + n) to the start of `out`, of their size at least and in C order."""
        cdef encode_call call
        if not 1 <= n_threads <= MAX_THREADS:
            raise ValueError(f"n_threads must be 1 to {MAX_THREADS}, got {n_threads}")
        call.table = table_for(out)
        call.raw = &self.table
        call.first = first
        call.n = n
        call.out = cnp.PyArray_DATA(out)
        with nogil:
            call.team = new_team(pool_enter(n_threads))
            pool_run(run_encode, &call, call.team.size)
        return 0


cdef struct encode_call:
    const kernel_table* table
    const raw_table* raw
    Py_ssize_t first, n
    void* out
    thread_team team


cdef void run_encode(void* arguments, int thread) noexcept nogil:
    cdef encode_call* c = <encode_call*>arguments
    cdef fp_mode mode = fp_enter()
    c.table.encode_rows(c.raw, c.first, c.n, c.out, &c.team, thread)
    fp_leave(mode)


def forward_raw(list W, list b, list activations, RawTable X, int n_threads=1, cnp.ndarray out=None):
    """A (n_out, n) of the last layer for a raw table: the bits of `forward` for its encoded rows.

    Memory does not grow with the rows, but for that of the outputs.
    """
    cdef Py_ssize_t first, n, step
    cdef cnp.ndarray rows
    dtype = W[0].dtype.newbyteorder("=")
    if X.table.features != W[0].shape[1]:
        raise ValueError(f"X must have {W[0].shape[1]} features, got {X.table.features}")
    if out is None:
        out = np.empty((W[len(W) - 1].shape[0], X.n), dtype)
    shape_is(out, W[len(W) - 1].shape[0], X.n, "out")
    step = max(BLOCK, RAW_BLOCK_BYTES//max(1, X.table.features*dtype.itemsize))
    rows = np.empty((min(step, X.n), X.table.features), dtype)
    for first in range(0, X.n, step):
        n = min(step, X.n - first)
        X.encode_to(rows, first, n, n_threads)
        forward(W, b, activations, rows[:n].T, n_threads, out[:, first:first + n])
    return out
