# Python's arrays down to pointers, and the memory that the kernels work in.

ACTIVATION_CODES = {"identity": ACTIVATION_IDENTITY, "sigmoid": ACTIVATION_SIGMOID}

cdef int same_kind(cnp.ndarray a, const kernel_table* table, str name) except -1:
    if table_for(a) is not table:
        raise TypeError(f"{name}: expected an array of {table.itemsize}-byte floats, got {a.dtype}")
    return 0


cdef int shape_is(cnp.ndarray a, Py_ssize_t rows, Py_ssize_t columns, str name) except -1:
    if cnp.PyArray_NDIM(a) != 2 or cnp.PyArray_DIM(a, 0) != rows or cnp.PyArray_DIM(a, 1) != columns:
        raise ValueError(f"{name}: expected shape ({rows}, {columns}), got {np.shape(a)}")
    return 0


cdef matrix as_matrix(cnp.ndarray a) noexcept:
    cdef matrix m
    m.start = <char*>cnp.PyArray_DATA(a)
    m.row_step = cnp.PyArray_STRIDE(a, 0)
    m.column_step = cnp.PyArray_STRIDE(a, 1)
    return m


cdef void* contiguous(cnp.ndarray a, const kernel_table* table, Py_ssize_t count, str name) except? NULL:
    same_kind(a, table, name)
    if not cnp.PyArray_ISCARRAY_RO(a) or cnp.PyArray_SIZE(a) != count:
        raise ValueError(f"{name}: expected {count} numbers in C order, got shape {np.shape(a)}")
    return cnp.PyArray_DATA(a)


cdef class Arena:
    """Zeroed memory that lives as long as this object."""
    cdef memory m

    def __cinit__(self, size_t bytes):
        if not memory_take(&self.m, bytes):
            raise MemoryError(f"fastnet needs {bytes:,} bytes for its buffers, and they are not to be had")

    def __dealloc__(self):
        memory_give_back(&self.m)


cdef class Layers:
    """The weights of a network as the kernels take them.

    Pointers into arrays that this object keeps alive.
    """
    cdef layer_arrays* arrays
    cdef int count
    cdef const kernel_table* table
    cdef object kept

    def __cinit__(self, list W, list b, list activations):
        cdef Py_ssize_t n_in, n_out
        cdef int k
        if not 0 < len(W) == len(b) == len(activations):
            raise ValueError("expected as many W as b and activations, "
                             f"got {len(W)}, {len(b)}, {len(activations)}")
        self.count = <int>len(W)
        self.table = table_for(W[0])
        self.kept = (list(W), list(b))
        self.arrays = <layer_arrays*>malloc(self.count*sizeof(layer_arrays))
        if self.arrays == NULL:
            raise MemoryError
        for k in range(self.count):
            n_out, n_in = W[k].shape
            self.arrays[k].n_in = n_in
            self.arrays[k].n_out = n_out
            self.arrays[k].activation = ACTIVATION_CODES[activations[k]]
            self.arrays[k].W = contiguous(W[k], self.table, n_in*n_out, f"W of layer {k}")
            self.arrays[k].b = contiguous(b[k], self.table, n_out, f"b of layer {k}")
            if k > 0 and n_in != self.arrays[k - 1].n_out:
                raise ValueError(f"layer {k}: expected {self.arrays[k - 1].n_out} inputs, got {n_in}")

    def __dealloc__(self):
        free(self.arrays)

    cdef tuple fresh(self):
        """New arrays of the same shapes: their Layers, and the lists of W and b."""
        W = [np.empty_like(w) for w in self.kept[0]]
        b = [np.empty_like(w) for w in self.kept[1]]
        return Layers(W, b, ["identity"]*self.count), W, b
