# Examples as the rows of a raw table: numbers as they are and categories as codes, encoded while a block of
# examples is gathered.
#
#     a number x      z/sqrt(1 + (z/3)^2), z = (x - centre)/scale; 1 in a gap, where x counts as the centre;
#                     and 2 c - 1 for each bin, c = (x - low)/(high - low) cut to [0, 1]; of a bin whose ends
#                     are one number, 1 where x is this number and 0 elsewhere
#     a category      1 for its level, 0 for the others; of two levels -1 or 1; 0 in a gap
#
# all times a factor. The formulas are those of fastnet.reference.tables, worked out in double and rounded
# once to the kernels' dtype: the bits are those of training on the matrix that TableEncoder.transform makes.
# The values of a column may lie anywhere and have any dtype of NumPy's numbers, so the user's own array is
# read where it lies.
# Uses: arena, elementary, panels, util

cdef inline double raw_value(const char* p, int dtype) noexcept nogil:
    """The number at p, aligned; of a boolean 0 or 1."""
    if dtype == RAW_FLOAT64:
        return (<const double*>p)[0]
    elif dtype == RAW_FLOAT32:
        return (<const float*>p)[0]
    elif dtype == RAW_INT8:
        return (<const int8_t*>p)[0]
    elif dtype == RAW_INT16:
        return (<const int16_t*>p)[0]
    elif dtype == RAW_INT32:
        return (<const int32_t*>p)[0]
    elif dtype == RAW_INT64:
        return <double>(<const int64_t*>p)[0]
    elif dtype == RAW_UINT8:
        return (<const uint8_t*>p)[0]
    elif dtype == RAW_UINT16:
        return (<const uint16_t*>p)[0]
    elif dtype == RAW_UINT32:
        return (<const uint32_t*>p)[0]
    return <double>(<const uint64_t*>p)[0]


cdef inline double raw_number(double x) noexcept nogil:
    """x cut to +-2^1020, so that differences stay finite; NaN stays."""
    x = 2.0**1020 if x > 2.0**1020 else x
    return -2.0**1020 if x < -2.0**1020 else x


cdef inline Py_ssize_t raw_code(double x, Py_ssize_t levels) noexcept nogil:
    """The level that a value names, -1 for what is none of them: nothing else may reach memory."""
    cdef Py_ssize_t code
    if not (x >= 0 and x < levels):
        return -1
    code = <Py_ssize_t>x
    return code if code == x else -1


cdef inline void load_literal(const int dtype, const raw_column* c, const Py_ssize_t* order, Py_ssize_t first,
                              Py_ssize_t m, double* x) noexcept nogil:
    """See load_values. dtype is a literal where the compiler is to know it."""
    cdef Py_ssize_t i
    if order != NULL:
        for i in range(m):
            x[i] = raw_value(c.start + order[first + i]*c.step, dtype)
    else:
        for i in range(m):
            x[i] = raw_value(c.start + (first + i)*c.step, dtype)


cdef void load_values(const raw_column* c, const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t m,
                      double* x) noexcept nogil:
    """The values of a column for m examples from `first` of the order on."""
    if c.dtype == RAW_FLOAT64:
        load_literal(RAW_FLOAT64, c, order, first, m, x)
    elif c.dtype == RAW_FLOAT32:
        load_literal(RAW_FLOAT32, c, order, first, m, x)
    elif c.dtype == RAW_INT8:
        load_literal(RAW_INT8, c, order, first, m, x)
    elif c.dtype == RAW_INT16:
        load_literal(RAW_INT16, c, order, first, m, x)
    else:
        load_literal(c.dtype, c, order, first, m, x)


cdef inline double clipped(double x, double centre, double scale) noexcept nogil:
    """z/sqrt(1 + (z/3)^2), z = (x - centre)/scale, which is cut to +-1e6 for the sake of its square."""
    cdef double z = (x - centre)/scale, third
    z = -1e6 if z < -1e6 else z
    z = 1e6 if z > 1e6 else z
    third = z/3.0
    return z/sqrt(1.0 + third*third)


cdef inline real bin_uncut(double x, double low, double high_minus_low) noexcept nogil:
    """2 c - 1 with c = (x - low)/(high - low), which is still to be cut to [-1, 1].

    Cutting c to [0, 1] first would give the same bits, but here vectors of `real` can do it.
    """
    return <real>(2.0*((x - low)/high_minus_low) - 1.0)


cdef void encode_numbers(const raw_column* c, real factor, const Py_ssize_t* order, Py_ssize_t first,
                         Py_ssize_t m, real* a) noexcept nogil:
    """The features of a column of numbers for m <= PW examples, a lane an example, into `width` rows at a."""
    cdef double[PW] x
    cdef double low, high_minus_low
    cdef real* row = a
    cdef lanes v, one = v_set(ONE), minus_one = v_set(-ONE), f = v_set(factor)
    cdef Py_ssize_t i
    cdef int k
    load_values(c, order, first, m, x)
    for i in range(m, PW):
        x[i] = 0
    if c.gaps:
        for i in range(PW):
            row[PW + i] = factor if x[i] != x[i] else <real>0
    for i in range(PW):
        x[i] = c.centre if x[i] != x[i] else raw_number(x[i])
    for i in range(PW):
        row[i] = <real>clipped(x[i], c.centre, c.scale)*factor
    row += 2*PW if c.gaps else PW
    for k in range(c.bins):
        low, high_minus_low = c.low[k], c.high_minus_low[k]
        if high_minus_low == 0:
            for i in range(PW):
                row[i] = factor if x[i] == low else <real>0
            row += PW
            continue
        for i in range(PW):
            row[i] = bin_uncut(x[i], low, high_minus_low)
        i = 0
        while i < PW:
            v = v_min(one, v_max(minus_one, v_load(row + i)))
            v_store(row + i, v_mul(f, v))
            i += VW
        row += PW


cdef void encode_codes(const raw_column* c, real factor, const Py_ssize_t* order, Py_ssize_t first,
                       Py_ssize_t m, real* a) noexcept nogil:
    """The features of a column of categories for m <= PW examples, as encode_numbers."""
    cdef double[PW] x
    cdef Py_ssize_t i, code
    load_values(c, order, first, m, x)
    memset(a, 0, c.width*PW*sizeof(real))
    for i in range(m):
        code = raw_code(x[i], 2 if c.kind == RAW_PAIR else c.width)
        if code < 0:
            continue
        if c.kind == RAW_PAIR:
            a[i] = factor if code == 1 else -factor
        else:
            a[code*PW + i] = factor


cdef void gather_raw(const raw_table* raw, const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t n, real* A,
                     Py_ssize_t height, real* AT, Py_ssize_t AT_panel, Py_ssize_t AT_first) noexcept nogil:
    """n examples from `first` of the order on into A and, if wanted, A', as gather_rows makes them.

    A: panels of `height` rows. Lanes past n hold what 0 becomes: any finite number will do, for their dZ is
    0. Features are transposed while they are in L1.
    """
    cdef const raw_column* c
    cdef real factor = <real>raw.factor
    cdef Py_ssize_t j, m, done, ready
    cdef real* a
    cdef int k, V
    for j in range(ceil_div(n, PW)):
        a = A + j*height*PW
        m = smaller(PW, n - j*PW)
        V = vectors_in_panel(n, j)
        done = 0
        for k in range(raw.count):
            c = &raw.columns[k]
            if c.kind == RAW_NUMBER:
                encode_numbers(c, factor, order, first + j*PW, m, a + c.first*PW)
            else:
                encode_codes(c, factor, order, first + j*PW, m, a + c.first*PW)
            ready = c.first + c.width
            if k + 1 < raw.count:
                ready = ready//VW*VW
            if AT != NULL and ready > done:
                transpose_panel(a, done, ready, raw.features, V, AT, AT_panel, AT_first + j*PW)
                done = ready


cdef inline Py_ssize_t start_pieces(const sparse_input* s, int* start, Py_ssize_t piece, Py_ssize_t feature,
                                    int count) noexcept nogil:
    """The pieces up to that of a feature start after so many numbers; `piece` is the first that has none."""
    while piece*PIECE <= feature:
        start[piece*s.examples] = count
        piece += 1
    return piece


cdef void gather_raw_lists(const sparse_input* s, const raw_table* raw, const Py_ssize_t* order,
                           Py_ssize_t position, Py_ssize_t n, Py_ssize_t first, real* numbers) noexcept nogil:
    """The lists of n examples (see sparse.pxi) from `position` of the order on.

    The first is number `first` of the block. numbers: room for a panel of the features of numbers.
    """
    cdef const raw_column* c
    cdef real factor = <real>raw.factor, x
    cdef Py_ssize_t j = 0, i, m, row, code, piece, f
    cdef real* a
    cdef real* value
    cdef int* feature
    cdef int* start
    cdef int k, count
    while j < n:
        m = smaller(PW, n - j)
        a = numbers
        for k in range(raw.count):
            c = &raw.columns[k]
            if c.kind == RAW_NUMBER:
                encode_numbers(c, factor, order, position + j, m, a)
                a += c.width*PW
        for i in range(m):
            row = order[position + j + i] if order != NULL else position + j + i
            s.at[first + j + i] = (first + j + i)*s.capacity
            value = <real*>s.value + s.at[first + j + i]
            feature = <int*>s.feature + s.at[first + j + i]
            start = s.start + first + j + i
            a = numbers + i
            count = 0
            piece = 0
            for k in range(raw.count):
                c = &raw.columns[k]
                if c.kind == RAW_NUMBER:
                    for f in range(c.first, c.first + c.width):
                        piece = start_pieces(s, start, piece, f, count)
                        value[count] = a[0]
                        feature[count] = <int>f
                        count += a[0] != 0
                        a += PW
                    continue
                code = raw_code(raw_value(c.start + row*c.step, c.dtype),
                                2 if c.kind == RAW_PAIR else c.width)
                if code < 0:
                    continue
                x = -factor if c.kind == RAW_PAIR and code == 0 else factor
                f = c.first if c.kind == RAW_PAIR else c.first + code
                piece = start_pieces(s, start, piece, f, count)
                value[count] = x
                feature[count] = <int>f
                count += 1
            start_pieces(s, start, piece, s.pieces*PIECE, count)
        j += PW


cdef void encode_row(const raw_table* raw, Py_ssize_t row, real* out) noexcept nogil:
    """The features of one example, side by side."""
    cdef const raw_column* c
    cdef real factor = <real>raw.factor, cut
    cdef Py_ssize_t code
    cdef double x
    cdef bint missing
    cdef int k, bin
    cdef real* to
    for k in range(raw.count):
        c = &raw.columns[k]
        to = out + c.first
        x = raw_value(c.start + row*c.step, c.dtype)
        if c.kind == RAW_NUMBER:
            missing = x != x
            x = c.centre if missing else raw_number(x)
            to[0] = <real>clipped(x, c.centre, c.scale)*factor
            to += 1
            if c.gaps:
                to[0] = factor if missing else <real>0
                to += 1
            for bin in range(c.bins):
                if c.high_minus_low[bin] == 0:
                    to[bin] = factor if x == c.low[bin] else <real>0
                    continue
                cut = bin_uncut(x, c.low[bin], c.high_minus_low[bin])
                cut = -ONE if cut < -ONE else cut
                to[bin] = (ONE if cut > ONE else cut)*factor
        elif c.kind == RAW_PAIR:
            code = raw_code(x, 2)
            to[0] = <real>0 if code < 0 else factor if code == 1 else -factor
        else:
            memset(to, 0, c.width*sizeof(real))
            code = raw_code(x, c.width)
            if code >= 0:
                to[code] = factor


cdef void encode_rows(const raw_table* raw, Py_ssize_t first, Py_ssize_t n, void* out,
                      const thread_team* team, int thread) noexcept nogil:
    """This thread's share of rows [first, first + n) to `out`, (n, features) in C order."""
    cdef Py_ssize_t i
    for i in range(share(n, thread, team.size), share(n, thread + 1, team.size)):
        encode_row(raw, first + i, <real*>out + i*raw.features)
