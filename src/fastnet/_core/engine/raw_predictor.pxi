# RawPredictorCore: compiled networks behind the encoding of a raw row, for serving.
# Uses: arrays, calls, predictor, raw

cdef enum:                      # how an encoded column is made from a value of the row
    AS_IT_IS, TRUTH, MONTH, WEEKDAY, HOUR

cdef dict how_made = {"value": AS_IT_IS, "month": MONTH, "weekday": WEEKDAY, "hour": HOUR}

cdef struct value_source:
    Py_ssize_t place            # of the value in a row
    int how
    double no, yes              # what a boolean becomes


cdef double time_part(double seconds, int how) noexcept nogil:
    """Month, weekday (Monday 0) or hour of seconds since 1970, with the bits of `time_parts`; NaN stays.

    The month counts from March, in eras of 400 years (Hinnant 2013).
    """
    cdef double days, day, of_era, year, of_year, march
    if seconds != seconds:
        return seconds
    seconds = min(max(seconds, -2.0**1020), 2.0**1020)
    days = floor(seconds/86400.0)
    if how == HOUR:
        return (seconds - days*86400.0)/3600.0
    if how == WEEKDAY:
        day = fmod(days + 3.0, 7.0)
        return day + (7.0 if day < 0 else 0.0)
    day = min(max(days, -2.0**40), 2.0**40) + 719468.0
    of_era = day - 146097.0*floor(day/146097.0)
    year = floor((of_era - floor(of_era/1460.0) + floor(of_era/36524.0) - floor(of_era/146096.0))/365.0)
    of_year = of_era - (365.0*year + floor(year/4.0) - floor(year/100.0))
    march = floor((5.0*of_year + 2.0)/153.0)
    return march + 3.0 if march < 10 else march - 9.0


cdef class RawPredictorCore:
    """Networks that predict together from a row of numbers and codes, which is encoded on the way.

    Parameters
    ----------
    cores : list of PredictorCore
        Of one number of inputs and outputs, and one dtype.
    encodings : list of tuples
        What the values of a row become, as of a `RawTable`: one or more for each value.
    sources : list of tuples
        For each encoding the place of its value in a row, and what of it is encoded: ``(place, "value")``,
        ``"month"``, ``"weekday"`` or ``"hour"`` of seconds since 1970 in UTC, or ``(place, no, yes)``: one
        code where the value is 0, the other where it is another number.
    targets : tuple of arrays (n_out,), optional
        mean, scale, low and high in float64: an output becomes mean + scale output, cut to [low, high].
    """
    cdef list cores
    cdef RawTable table
    cdef readonly Py_ssize_t n_values, n_out
    cdef readonly object dtype
    cdef cnp.ndarray targets, sources, made
    cdef const kernel_table* build

    def __init__(self, list cores, list encodings, list sources, targets=None):
        cdef PredictorCore core = cores[0]
        cdef value_source* source
        cdef int k
        if len(sources) != len(encodings):
            raise ValueError(f"sources must be {len(encodings)}, one for each encoding, got {len(sources)}")
        self.cores = cores
        self.table = RawTable([np.zeros(1) for _ in encodings], encodings, 1)
        self.made = np.zeros(len(encodings))
        self.sources = np.zeros(len(encodings)*sizeof(value_source), np.uint8)
        for k in range(len(sources)):
            source = <value_source*>cnp.PyArray_DATA(self.sources) + k
            source.place = sources[k][0]
            if source.place < 0:
                raise ValueError(f"sources[{k}] must have a place of at least 0, got {source.place}")
            if len(sources[k]) == 3:
                _, source.no, source.yes = sources[k]
                source.how = TRUTH
            else:
                source.how = how_made[sources[k][1]]
            self.n_values = max(self.n_values, source.place + 1)
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
        cdef const value_source* source
        cdef const char* at
        cdef double* made = <double*>cnp.PyArray_DATA(self.made)
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
        mode = fp_enter()
        for k in range(self.table.table.count):    # the GIL is held: nobody else reads these meanwhile
            source = <const value_source*>cnp.PyArray_DATA(self.sources) + k
            at = <const char*>cnp.PyArray_DATA(x) + source.place*cnp.PyArray_STRIDE(x, 0)
            if source.how != AS_IT_IS:
                value = (<const double*>at)[0]
                if source.how == TRUTH:
                    made[k] = value if value != value else source.no if value == 0 else source.yes
                else:
                    made[k] = time_part(value, source.how)
                at = <const char*>&made[k]
            self.table.columns[k].start = at
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
