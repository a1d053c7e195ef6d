# RawPredictorCore: compiled networks behind the encoding of a raw row, for serving.
# Uses: arrays, calls, predictor, raw

cdef class RawPredictorCore:
    """Networks that predict together from a row of numbers and codes, which is encoded on the way.

    Parameters
    ----------
    cores : list of PredictorCore
        Of one number of inputs and outputs, and one dtype.
    encodings : list of tuples
        What each value of a row becomes, as of a `RawTable`.
    targets : tuple of arrays (n_out,), optional
        mean, scale, low and high in float64: an output becomes mean + scale output, cut to [low, high].
    """
    cdef list cores
    cdef RawTable table
    cdef readonly Py_ssize_t n_values, n_out
    cdef readonly object dtype
    cdef cnp.ndarray targets
    cdef const kernel_table* build

    def __init__(self, list cores, list encodings, targets=None):
        cdef PredictorCore core = cores[0]
        self.cores = cores
        self.table = RawTable([np.zeros(1) for _ in encodings], encodings, 1)
        self.n_values = len(encodings)
        self.n_out = core.n_out
        self.dtype = core.dtype
        self.build = core.table
        for core in cores:
            if (core.n_in, core.n_out, core.dtype) != (self.table.table.features, self.n_out, self.dtype):
                raise ValueError(f"cores must have {self.table.table.features} inputs, {self.n_out} outputs "
                                 f"and dtype {self.dtype}, got {core.n_in}, {core.n_out} and {core.dtype}")
        if targets is not None:
            self.targets = np.array(targets, np.float64)
            shape_is(self.targets, 4, self.n_out, "targets")

    def one(self, cnp.ndarray x):
        """The mean of the outputs (n_out,) for a row x of float64 values, or with `targets` the targets.

        NaN is a gap. Targets are float64. ValueError for another shape or dtype, or if another build has
        become the active one.
        """
        cdef cnp.ndarray encoded, total, out
        cdef const double* rule
        cdef fp_mode mode
        cdef double value
        cdef Py_ssize_t i
        cdef int k
        if (cnp.PyArray_TYPE(x) != cnp.NPY_FLOAT64 or cnp.PyArray_NDIM(x) != 1
                or cnp.PyArray_DIM(x, 0) != self.n_values or not cnp.PyArray_ISNOTSWAPPED(x)
                or not cnp.PyArray_ISALIGNED(x)):
            raise ValueError(f"x must be {self.n_values} numbers of dtype float64, "
                             f"got {x.dtype} of shape {np.shape(x)}")
        encoded = cnp.PyArray_EMPTY(1, <cnp.npy_intp*>&self.table.table.features, self.dtype.num, 0)
        if table_for(encoded) is not self.build:
            raise ValueError("another build must not have become the active one")
        for k in range(self.n_values):             # the GIL is held: nobody else reads these meanwhile
            self.table.columns[k].start = <const char*>cnp.PyArray_DATA(x) + k*cnp.PyArray_STRIDE(x, 0)
        mode = fp_enter()
        self.build.encode_rows(&self.table.table, 0, 1, cnp.PyArray_DATA(encoded), &ALONE, 0)
        fp_leave(mode)
        total = mean_of_one(self.cores, encoded)
        if self.targets is None:
            return total
        out = cnp.PyArray_EMPTY(1, <cnp.npy_intp*>&self.n_out, cnp.NPY_FLOAT64, 0)
        rule = <const double*>cnp.PyArray_DATA(self.targets)
        mode = fp_enter()
        for i in range(self.n_out):
            value = rule[i] + rule[self.n_out + i]*number_of(total, i)
            value = max(value, rule[2*self.n_out + i])
            value = min(value, rule[3*self.n_out + i])
            (<double*>cnp.PyArray_DATA(out))[i] = value
        fp_leave(mode)
        return out


cdef thread_team ALONE = new_team(1)


cdef inline double number_of(cnp.ndarray a, Py_ssize_t i) noexcept:
    return reported(cnp.PyArray_DATA(a), i, cnp.PyArray_ITEMSIZE(a))
