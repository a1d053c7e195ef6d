# Convert NumPy arrays to pointers and strides; allocate the memory that the kernels work in.
# Uses: nothing

cdef tuple names_of(const char** names, int count):
    return tuple([names[i].decode() for i in range(count)])


# The rows of names.h: names, and what fits what.
ACTIVATIONS = names_of(<const char**>ACTIVATION_NAMES, ACTIVATION_COUNT)
ELEMENTWISE = ACTIVATIONS[:ACTIVATION_COUNT - 1]                   # all but softmax
OUTPUT_ONLY = tuple([name for i, name in enumerate(ACTIVATIONS) if LAYERS_OF_ACTIVATION[i] == LAST_LAYER])

cdef tuple loss_names = names_of(<const char**>LOSS_NAMES, LOSS_COUNT)
cdef tuple optimizer_names = names_of(<const char**>OPTIMIZER_NAMES, OPTIMIZER_COUNT)
# for users: without what `cost_clip` and `momentum` of TrainerCore stand for
LOSSES = tuple([name for name in loss_names if name != "clipped_bce"])
OPTIMIZERS = tuple([name for name in optimizer_names if name != "momentum"])

TARGETS = ("any", "unit interval", "non-negative", "distribution")      # in the order of names.h
LOSS_ACTIVATION = {                                # the one it goes with; None: any that is not OUTPUT_ONLY
    name: None if ACTIVATION_OF_LOSS[i] == FROM_OUTPUTS else ACTIVATIONS[ACTIVATION_OF_LOSS[i]]
    for i, name in enumerate(loss_names)
}
LOSS_TARGETS = {name: TARGETS[TARGETS_OF_LOSS[i]] for i, name in enumerate(loss_names)}
OPTIMIZER_MOMENTS = {name: MOMENTS_OF_OPTIMIZER[i] for i, name in enumerate(optimizer_names)}
OPTIMIZER_PARAMETERS = {name: tuple(PARAMETERS_OF_OPTIMIZER[i].decode().split())
                        for i, name in enumerate(optimizer_names)}


cdef int code_of(object name, tuple names, str what) except -1:
    if name not in names:
        raise ValueError(f"{what} must be one of {', '.join(names)}, got {name!r}")
    return names.index(name)


cdef str of_layer(str name, int layer):
    """What an error calls an argument; put together only once there is one."""
    return name if layer < 0 else f"{name} of layer {layer}"


cdef int same_kind(cnp.ndarray a, const kernel_table* table, str name, int layer=-1) except -1:
    cdef const kernel_table* active = table_for(a)
    # another build may have become the active one since `table` was chosen: arrays look the same to both
    if active is not table and active.itemsize != table.itemsize:
        raise TypeError(f"{of_layer(name, layer)} must be an array of {table.itemsize}-byte floats, "
                        f"got {a.dtype}")
    return 0


cdef int shape_is(cnp.ndarray a, Py_ssize_t rows, Py_ssize_t columns, str name) except -1:
    if cnp.PyArray_NDIM(a) != 2 or cnp.PyArray_DIM(a, 0) != rows or cnp.PyArray_DIM(a, 1) != columns:
        raise ValueError(f"{name} must have shape ({rows}, {columns}), got {np.shape(a)}")
    return 0


cdef matrix as_matrix(cnp.ndarray a) noexcept:
    cdef matrix m
    m.start = <char*>cnp.PyArray_DATA(a)
    m.row_step = cnp.PyArray_STRIDE(a, 0)
    if cnp.PyArray_DIM(a, 0) == 1:                 # no next row: as good as next to it
        m.row_step = cnp.PyArray_ITEMSIZE(a)
    m.column_step = cnp.PyArray_STRIDE(a, 1)
    return m


cdef void* contiguous(cnp.ndarray a, const kernel_table* table, Py_ssize_t count, str name,
                      int layer=-1) except? NULL:
    same_kind(a, table, name, layer)
    if not cnp.PyArray_ISCARRAY_RO(a) or cnp.PyArray_SIZE(a) != count:
        raise ValueError(f"{of_layer(name, layer)} must be {count} numbers in C order, "
                         f"got shape {np.shape(a)}")
    return cnp.PyArray_DATA(a)


def all_finite(cnp.ndarray x):
    """Whether a matrix of any strides holds no infinity and no NaN; without a temporary of its size."""
    cdef const kernel_table* table = table_for(x)
    if cnp.PyArray_NDIM(x) != 2:
        raise ValueError(f"x must be a matrix, got shape {np.shape(x)}")
    cdef Py_ssize_t rows = x.shape[0], columns = x.shape[1], i
    cdef bint finite = True
    if (not cnp.PyArray_ISALIGNED(x)
            or columns > 1 and abs(cnp.PyArray_STRIDE(x, 1)) > abs(cnp.PyArray_STRIDE(x, 0))):
        x, rows, columns = x.T, columns, rows                 # the closer numbers along a row
    cdef char* p = <char*>cnp.PyArray_DATA(x)
    cdef Py_ssize_t step = cnp.PyArray_STRIDE(x, 0) if rows > 0 else 0
    if cnp.PyArray_ISCARRAY_RO(x):
        with nogil:
            finite = table.all_finite(p, rows*columns)
    elif cnp.PyArray_ISALIGNED(x) and columns > 0 and cnp.PyArray_STRIDE(x, 1) == table.itemsize:
        with nogil:
            for i in range(rows):
                if not table.all_finite(p + i*step, columns):
                    finite = False
                    break
    else:                                                     # strided both ways: a piece at a time
        i = max(1, 65536//max(columns, 1))
        finite = all(np.isfinite(x[k:k + i, c:c + 65536]).all()
                     for k in range(0, rows, i) for c in range(0, columns, 65536))
    return bool(finite)


def all_in_unit_interval(cnp.ndarray x):
    """Whether all numbers of a matrix of any strides are from 0 to 1: for few, one by one."""
    table_for(x)                                   # float32 or float64
    if cnp.PyArray_NDIM(x) != 2:
        raise ValueError(f"x must be a matrix, got shape {np.shape(x)}")
    cdef bint single = cnp.PyArray_ITEMSIZE(x) == sizeof(float), inside = True
    cdef const char* row = cnp.PyArray_BYTES(x)
    cdef const char* p
    cdef Py_ssize_t i, j
    cdef float narrow
    cdef double wide
    for i in range(cnp.PyArray_DIM(x, 0)):
        p = row
        for j in range(cnp.PyArray_DIM(x, 1)):     # memcpy: they may be unaligned
            if single:
                memcpy(&narrow, p, sizeof(float))
                wide = narrow
            else:
                memcpy(&wide, p, sizeof(double))
            inside &= wide >= 0 and wide <= 1
            p += cnp.PyArray_STRIDE(x, 1)
        row += cnp.PyArray_STRIDE(x, 0)
    return inside


cdef class Arena:
    """Memory that lives as long as this object: zeroed, unless who uses it clears what must be 0."""
    cdef memory m
    cdef size_t bytes

    def __cinit__(self, size_t bytes, bint zeroed=True):
        self.bytes = bytes
        if not memory_take(&self.m, bytes, zeroed):
            raise MemoryError(f"cannot allocate {bytes:,} bytes")

    def __dealloc__(self):
        memory_give_back(&self.m)


cdef enum:
    MAX_KEPT_LAYERS = 32        # of a network whose arena for predictions is kept for the next call
    ALWAYS_SMALL = 16           # so few examples are predicted with a lane a unit, whatever the network


cdef cnp.ndarray empty_like(cnp.ndarray a):
    """A new array of this shape and dtype, in C order; numpy.empty_like takes longer than to fill it."""
    return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), cnp.PyArray_TYPE(a), 0)


cdef cnp.ndarray empty(Py_ssize_t n, const kernel_table* table):
    """A new vector in the dtype of a table."""
    cdef cnp.npy_intp[1] shape = [n]
    cdef int kind = cnp.NPY_FLOAT32 if table.itemsize == sizeof(float) else cnp.NPY_FLOAT64
    return cnp.PyArray_EMPTY(1, shape, kind, 0)


cdef class Layers:
    """The weights of a network as the kernels take them.

    Pointers into arrays that this object keeps alive. Without `activations`, all are the identity.
    """
    cdef layer_arrays* arrays
    cdef int count
    cdef const kernel_table* table
    cdef object kept

    def __cinit__(self, list W, list b, list activations=None, list dropout=None, standardize=None):
        cdef Py_ssize_t n_in, n_out
        cdef cnp.ndarray w
        cdef int k
        if not 0 < len(W) == len(b) == (len(W) if activations is None else len(activations)):
            raise ValueError("W, b and activations must be lists of one length, at least 1, "
                             f"got {len(W)}, {len(b)}, {len(W if activations is None else activations)}")
        self.count = <int>len(W)
        self.table = table_for(W[0])
        self.kept = (list(W), list(b))
        self.arrays = <layer_arrays*>malloc(self.count*sizeof(layer_arrays))
        if self.arrays == NULL:
            raise MemoryError
        if dropout is not None and len(dropout) != self.count:
            raise ValueError(f"dropout must be {self.count} numbers, got {len(dropout)}")
        for k in range(self.count):
            w = W[k]
            same_kind(w, self.table, "W", k)
            if cnp.PyArray_NDIM(w) != 2:
                raise ValueError(f"W of layer {k} must be a matrix, got shape {np.shape(w)}")
            n_out, n_in = cnp.PyArray_DIM(w, 0), cnp.PyArray_DIM(w, 1)
            self.arrays[k].n_in = n_in
            self.arrays[k].n_out = n_out
            self.arrays[k].activation = ACTIVATION_identity
            if activations is not None:
                self.arrays[k].activation = code_of(activations[k], ACTIVATIONS, "activation")
            self.arrays[k].mean = self.arrays[k].scale = NULL
            self.arrays[k].dropout = 0.0 if dropout is None else dropout[k]
            if not 0 <= self.arrays[k].dropout < 1:
                raise ValueError(f"dropout must be numbers in [0, 1), got {dropout[k]}")
            self.arrays[k].W = as_matrix(w)
            self.arrays[k].b = contiguous(b[k], self.table, n_out, "b", k)
            if k < self.count - 1 and self.arrays[k].activation == ACTIVATION_softmax:
                raise ValueError(f"softmax must be in the last layer only, got it in layer {k}")
            if k > 0 and n_in != self.arrays[k - 1].n_out:
                raise ValueError(f"layer {k} must have {self.arrays[k - 1].n_out} inputs, got {n_in}")

        if standardize is not None:
            mean, scale = standardize
            n_in = self.arrays[0].n_in
            self.arrays[0].mean = contiguous(mean, self.table, n_in, "mean")
            self.arrays[0].scale = contiguous(scale, self.table, n_in, "scale")
            self.kept += (mean, scale)

    def __dealloc__(self):
        free(self.arrays)

    cdef tuple fresh(self):
        """New arrays of the same shapes: their Layers, and the lists of W and b."""
        W, b = [empty_like(w) for w in self.kept[0]], [empty_like(w) for w in self.kept[1]]
        return Layers(W, b), W, b

    @property
    def weights(self):
        """The lists of W and b."""
        return self.kept[:2]

    @property
    def current(self):
        """Whether the arrays lie where they lay and the build is the active one: the pointers are right."""
        cdef cnp.ndarray w
        cdef matrix now
        cdef int k
        for k in range(self.count):
            w = self.kept[0][k]
            now = as_matrix(w)
            if (cnp.PyArray_NDIM(w) != 2 or cnp.PyArray_DIM(w, 0) != self.arrays[k].n_out
                    or cnp.PyArray_DIM(w, 1) != self.arrays[k].n_in or table_for(w) is not self.table
                    or now.start != self.arrays[k].W.start or now.row_step != self.arrays[k].W.row_step
                    or now.column_step != self.arrays[k].W.column_step):
                return False
            w = self.kept[1][k]
            if (cnp.PyArray_DATA(w) != self.arrays[k].b or cnp.PyArray_SIZE(w) != self.arrays[k].n_out
                    or not cnp.PyArray_ISCARRAY_RO(w)):
                return False
        return True

    cdef bint finite(self):
        """Whether every weight is finite."""
        cdef int k
        for k in range(self.count):
            if not (all_finite(self.kept[0][k]) and self.table.all_finite(self.arrays[k].b,
                                                                          self.arrays[k].n_out)):
                return False
        return True

    cdef Py_ssize_t small_batch(self, Py_ssize_t n, int threads) noexcept:
        """How many of n examples, the last ones, small_batch.pxi predicts sooner than predict.pxi.

        That is all of few, and of many those that are left after whole chunks. Where a lane is an example,
        the last vector of examples is filled up; where it is a unit, that of each layer's units: compared is
        how many vectors are multiplied. What is left of many reads the weights once more, in the time of
        4 examples if they stay in L2 (100-256-128-1 on Zen 5).
        """
        cdef Py_ssize_t few = n, weights = 0, vectors = 0, width = self.table.width
        cdef int k
        if n <= ALWAYS_SMALL:
            return n
        for k in range(self.count):
            weights += self.arrays[k].n_in*self.arrays[k].n_out
            vectors += self.arrays[k].n_in*((self.arrays[k].n_out + width - 1)//width)
        if n > (SMALL_BATCH if threads == 1 else CHUNK):
            few = n % CHUNK
            if threads > 1 or weights*self.table.itemsize > 1 << 20:
                return 0
        return few if max(few, 4)*vectors <= (few + width - 1)//width*weights else 0

    cdef bytes shape(self, int threads):
        """What an arena for predictions depends on, as bytes that can be compared."""
        cdef Py_ssize_t[3 + 3*MAX_KEPT_LAYERS] numbers
        cdef int k
        numbers[0] = <Py_ssize_t>self.table
        numbers[1] = threads
        numbers[2] = self.arrays[0].mean != NULL
        for k in range(self.count):
            numbers[3 + 3*k] = self.arrays[k].n_in
            numbers[4 + 3*k] = self.arrays[k].n_out
            numbers[5 + 3*k] = self.arrays[k].activation
        return (<char*>numbers)[:(3 + 3*self.count)*sizeof(Py_ssize_t)]

    cdef Layers like(self, list W, list b):
        """Arrays of the same shapes that somebody hands in; ValueError for others."""
        cdef Layers other = Layers(W, b)
        cdef int k
        if other.count != self.count:
            raise ValueError(f"W must have {self.count} layers, got {other.count}")
        if other.table.itemsize != self.table.itemsize:
            raise TypeError(f"W must be arrays of {self.table.itemsize}-byte floats, got {W[0].dtype}")
        for k in range(self.count):
            shape_is(W[k], self.arrays[k].n_out, self.arrays[k].n_in, f"W of layer {k}")
        return other


def give_free_memory_back():
    """Give the system what this process has freed, and the C library keeps for its threads: some ms."""
    with nogil:
        free_memory_to_system()
