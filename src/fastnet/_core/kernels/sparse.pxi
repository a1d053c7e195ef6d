# A first layer whose inputs are mostly zeros (images, one-hot columns, counts of words): zeros cost nothing.
#
#     Z_jn = b_j + sum over the f with x_fn != 0 of w_jf x_fn,  f ascending        a lane is a unit
#     dW_jf = sum over the n with x_fn != 0 of dZ_jn x_fn,      n ascending
#
# fma(w, 0, sum) is sum, so these chains have the bits of the dense ones, and whether to come here is decided
# anew for each call, from a sample. (A sum that is -0 could become +0 in the dense chain, and a weight that
# is infinite or NaN meets fewer zeros: after the first the fit goes on alike, the second ends it.)
#
# The examples are kept as lists: values and features of example n from n*capacity on, and where in them each
# piece of PIECE features starts. All examples go by such a piece of W' or dW' while it is in L1, a few
# vectors of units at once. Sparse rows (SciPy's CSR) are such lists already, and are read where they lie.
#
# Times as fast as dense, steps of 784-64-10 with Adam on Zen 3: 1.5 on pictures of digits, a fifth of which
# is not 0; on made-up data 1.2 at a quarter, 1.9 at a tenth, 2.9 at a fiftieth; with 512 units up to 1.6.
# Uses: arena, panels, util

cdef enum:
    SAMPLED = 32                # examples, and features of each, that are looked at
    UNITS_AT_ONCE = 8           # vectors of units


cdef bint mostly_zeros(const trainer* t, const examples* data, Py_ssize_t first,
                       Py_ssize_t last) noexcept nogil:
    """Whether to train on these examples here: at most a quarter of a sample of their features are not 0."""
    cdef Py_ssize_t F = t.layers[0].n_in, n = last - first, i, k
    cdef const real* row
    cdef int nonzero = 0
    if t.options.sparse:
        return True
    if data.raw != NULL:
        return t.sparse.feature != NULL and data.raw.mostly_zeros
    if t.sparse.feature == NULL or t.standardize.mean != NULL or not rows_are_contiguous(data.X):
        return False
    for i in range(SAMPLED):
        row = <const real*>column(data.X, data.order, first, i*n//SAMPLED)
        for k in range(SAMPLED):
            nonzero += row[(k*F + i*F//SAMPLED)//SAMPLED] != 0
    return 4*nonzero <= SAMPLED*SAMPLED


cdef void gather_sparse(const sparse_input* s, matrix X, Py_ssize_t F, const Py_ssize_t* order,
                        Py_ssize_t position, Py_ssize_t n, Py_ssize_t first) noexcept nogil:
    """The lists of n examples from `position` of the order on; the first is number `first` of the block."""
    cdef Py_ssize_t i, f
    cdef const real* x
    cdef const real* coming
    cdef real* value
    cdef int* feature
    cdef int* start
    cdef int count
    for i in range(n):
        x = <const real*>column(X, order, position, i)
        coming = <const real*>column(X, order, position, smaller(i + 2, n - 1))
        s.at[first + i] = (first + i)*s.capacity
        value = <real*>s.value + s.at[first + i]
        feature = <int*>s.feature + s.at[first + i]
        start = s.start + first + i
        count = 0
        f = 0
        while f < F:
            if f % PIECE == 0:
                start[f//PIECE*s.examples] = count
            if f % LINE == 0:                      # shuffled rows come from anywhere
                v_prefetch(coming + f)
            count += v_pack(x + f, <int>smaller(VW, F - f), <int>f, value + count, feature + count)
            f += VW
        start[s.pieces*s.examples] = count


cdef inline bint by_pieces(const sparse_input* s, Py_ssize_t n, Py_ssize_t numbers) noexcept nogil:
    """Whether n examples with so many numbers would use much of a piece of W' again while it is in L1."""
    return numbers >= n*s.pieces


cdef void find_rows(const trainer* t, const Py_ssize_t* order, Py_ssize_t position, Py_ssize_t n,
                    Py_ssize_t first) noexcept nogil:
    """Find where the lists of n examples, from `position` of the order on, and their pieces lie."""
    cdef const sparse_input* s = &t.sparse
    cdef Py_ssize_t i, row, piece, count, e, numbers = 0
    cdef const int* feature
    cdef int* start
    for i in range(n):
        row = order[position + i] if order != NULL else position + i
        s.at[first + i] = t.rows.start[row]
        feature = s.feature + t.rows.start[row]
        count = t.rows.start[row + 1] - t.rows.start[row]
        numbers += count
        start = s.start + first + i
        start[0] = 0
        start[s.pieces*s.examples] = <int>count
    if s.all_dZT != NULL and not by_pieces(s, n, numbers):  # the forward pass alone reads the lists
        return
    for i in range(n):
        start = s.start + first + i
        feature = s.feature + s.at[first + i]
        count = start[s.pieces*s.examples]
        e = 0
        for piece in range(s.pieces):
            while e < count and feature[e] < piece*PIECE:
                e += 1
            start[piece*s.examples] = <int>e


cdef inline void transpose_square(const real* S, Py_ssize_t S_row, real* D, Py_ssize_t D_row,
                                  Py_ssize_t D_rows) noexcept nogil:
    """VW x VW numbers transposed, of which the first D_rows rows are stored."""
    cdef lanes[VW] t
    cdef int i
    for i in range(VW):
        t[i] = v_load(S + i*S_row)
    v_transpose(t)
    for i in range(VW):
        if i < D_rows:
            v_store(D + i*D_row, t[i])


cdef void transpose_first_weights(const trainer* t, Py_ssize_t p0, Py_ssize_t p1) noexcept nogil:
    """WT from W, for the panels [p0, p1) of features."""
    cdef const layer* l = &t.layers[0]
    cdef Py_ssize_t p, r, f, U = t.sparse.U
    for p in range(p0, p1):
        r = 0
        while r < l.n_out:
            f = 0
            while f < row_width(l.n_in, p):
                transpose_vectors(l.W + (p*l.n_out + r)*PW + f, l.n_out - r,
                                  t.sparse.WT + (p*PW + f)*U + r, U)
                f += VW
            r += VW


cdef inline void forward_pieces(const int V, int m, const sparse_input* s, Py_ssize_t piece,
                                Py_ssize_t pieces, Py_ssize_t u, Py_ssize_t first, Py_ssize_t n,
                                real* z) noexcept nogil:
    """z (n, V vectors of units) gains what the features of so many pieces add. V is a literal.

    V = 0: one vector, of which only m numbers may be read.
    """
    cdef lanes[UNITS_AT_ONCE] c
    cdef lanes x
    cdef const real* w
    cdef const int* start
    cdef const real* value = s.value               # once: for all gcc knows, a store to z changes it
    cdef const int* feature = s.feature
    cdef const real* W = s.weights + u
    cdef Py_ssize_t i, e, end, row = s.row
    cdef int v
    for i in range(n):
        start = s.start + piece*s.examples + first + i
        e = s.at[first + i] + start[0]
        end = s.at[first + i] + start[pieces*s.examples]
        if e == end:
            continue
        if V == 0:
            c[0] = v_load(z + i*VW)
            while e < end:
                c[0] = v_fma(v_set(value[e]), v_load_first(W + feature[e]*row, m), c[0])
                e += 1
            v_store(z + i*VW, c[0])
            continue
        for v in range(V):
            c[v] = v_load(z + (i*V + v)*VW)
        while e < end:
            x = v_set(value[e])
            w = W + feature[e]*row
            for v in range(V):
                c[v] = v_fma(x, v_load(w + v*VW), c[v])
            e += 1
        for v in range(V):
            v_store(z + (i*V + v)*VW, c[v])


cdef inline void forward_units_literal(const int V, const trainer* t, Py_ssize_t u, real* A, Py_ssize_t first,
                                       Py_ssize_t n, real* z) noexcept nogil:
    """V vectors of units from unit u on, for n <= CHUNK examples, into the panels at A. V is a literal.

    V = 0: the last units, fewer than a vector, whose weights the user's follow.
    """
    cdef const layer* l = &t.layers[0]
    cdef const sparse_input* s = &t.sparse
    cdef Py_ssize_t i, m = 0, piece, padded = round_up(n, VW), numbers = 0, vectors = V if V > 0 else 1
    cdef int v, last = <int>(l.n_out - u)
    for i in range(n):
        numbers += s.start[s.pieces*s.examples + first + i]
    for i in range(padded):
        for v in range(vectors):
            v_store(z + (i*vectors + v)*VW, v_load(l.b + u + v*VW))
    if not by_pieces(s, n, numbers):
        forward_pieces(V, last, s, 0, s.pieces, u, first, n, z)
    else:
        for piece in range(s.pieces):
            forward_pieces(V, last, s, piece, 1, u, first, n, z)
    while m < padded:
        for v in range(vectors):
            transpose_square(z + (m*vectors + v)*VW, vectors*VW, A + (m//PW*l.n_out + u + v*VW)*PW + m % PW,
                             PW, l.n_out - u - v*VW)
        m += VW


cdef void forward_units(int V, const trainer* t, Py_ssize_t u, real* A, Py_ssize_t first, Py_ssize_t n,
                        real* z) noexcept nogil:
    if V == 8:
        forward_units_literal(8, t, u, A, first, n, z)
    elif V == 7:
        forward_units_literal(7, t, u, A, first, n, z)
    elif V == 6:
        forward_units_literal(6, t, u, A, first, n, z)
    elif V == 5:
        forward_units_literal(5, t, u, A, first, n, z)
    elif V == 4:
        forward_units_literal(4, t, u, A, first, n, z)
    elif V == 3:
        forward_units_literal(3, t, u, A, first, n, z)
    elif V == 2:
        forward_units_literal(2, t, u, A, first, n, z)
    elif V == 1:
        forward_units_literal(1, t, u, A, first, n, z)
    else:
        forward_units_literal(0, t, u, A, first, n, z)


cdef inline int units_next(Py_ssize_t left) noexcept nogil:
    """How many of the vectors that are left to take at once: all alike, and at most UNITS_AT_ONCE."""
    return <int>ceil_div(left, ceil_div(left, UNITS_AT_ONCE))


cdef void sparse_forward(const trainer* t, const worker* w, real* A, Py_ssize_t first,
                         Py_ssize_t n) noexcept nogil:
    """Z of the first layer for the n examples of a strip, into the panels at A."""
    cdef Py_ssize_t m = 0, u
    cdef int V
    while m < n:
        u = 0
        while u < t.sparse.whole:
            V = units_next((t.sparse.whole - u)//VW)
            forward_units(V, t, u, A + m*t.layers[0].n_out, first + m, smaller(CHUNK, n - m), w.transposed)
            u += V*VW
        if u < t.sparse.U:
            forward_units(0, t, u, A + m*t.layers[0].n_out, first + m, smaller(CHUNK, n - m), w.transposed)
        m += CHUNK


cdef void transpose_first_dZ(const trainer* t, Py_ssize_t first, Py_ssize_t n,
                             Py_ssize_t in_batch) noexcept nogil:
    """dZT from dZ of the first layer, for the n examples of a strip. in_batch: where the block starts."""
    cdef const layer* l = &t.layers[0]
    cdef Py_ssize_t m = 0, r, U = t.sparse.U
    cdef real* to = t.sparse.dZT if t.sparse.all_dZT == NULL else t.sparse.all_dZT + in_batch*U
    while m < n:
        r = 0
        while r < l.n_out:
            transpose_vectors(l.dZ + first*l.n_out + (m//PW*l.n_out + r)*PW + m % PW, l.n_out - r,
                              to + (first + m)*U + r, U)
            r += VW
        m += VW


cdef inline void backward_units_literal(const int V, const trainer* t, Py_ssize_t piece, Py_ssize_t u,
                                        Py_ssize_t n, real* dWT, real* dW) noexcept nogil:
    """V vectors of units from unit u on of a piece of dW, over n examples. V is a literal."""
    cdef const layer* l = &t.layers[0]
    cdef const sparse_input* s = &t.sparse
    cdef lanes[UNITS_AT_ONCE] d
    cdef lanes x
    cdef const real* value = s.value
    cdef const int* feature = s.feature
    cdef Py_ssize_t i, e, end, f, p
    cdef const int* start
    cdef real* to
    cdef int v
    memset(dWT, 0, PIECE*V*VW*sizeof(real))
    for i in range(n):
        start = s.start + piece*s.examples + i
        e = s.at[i] + start[0]
        end = s.at[i] + start[s.examples]
        if e == end:
            continue
        for v in range(V):
            d[v] = v_load(s.dZT + i*s.U + u + v*VW)
        while e < end:
            x = v_set(value[e])
            to = dWT + (feature[e] - piece*PIECE)*V*VW
            for v in range(V):
                v_store(to + v*VW, v_fma(d[v], x, v_load(to + v*VW)))
            e += 1
    f = 0
    while f < smaller(PIECE, l.n_in - piece*PIECE):
        p = (piece*PIECE + f)//PW
        for v in range(V):
            transpose_square(dWT + f*V*VW + v*VW, V*VW, dW + (p*l.n_out + u + v*VW)*PW + f % PW, PW,
                             l.n_out - u - v*VW)
        f += VW


cdef void backward_units(int V, const trainer* t, Py_ssize_t piece, Py_ssize_t u, Py_ssize_t n, real* dWT,
                         real* dW) noexcept nogil:
    if V == 8:
        backward_units_literal(8, t, piece, u, n, dWT, dW)
    elif V == 7:
        backward_units_literal(7, t, piece, u, n, dWT, dW)
    elif V == 6:
        backward_units_literal(6, t, piece, u, n, dWT, dW)
    elif V == 5:
        backward_units_literal(5, t, piece, u, n, dWT, dW)
    elif V == 4:
        backward_units_literal(4, t, piece, u, n, dWT, dW)
    elif V == 3:
        backward_units_literal(3, t, piece, u, n, dWT, dW)
    elif V == 2:
        backward_units_literal(2, t, piece, u, n, dWT, dW)
    else:
        backward_units_literal(1, t, piece, u, n, dWT, dW)


cdef void sparse_gradient(const trainer* t, const worker* w, Py_ssize_t piece, Py_ssize_t n,
                          real* dW) noexcept nogil:
    """A piece of dW of the first layer over the n examples of a block."""
    cdef Py_ssize_t u = 0, U = t.sparse.U
    cdef int V
    while u < U:
        V = units_next((U - u)//VW)
        backward_units(V, t, piece, u, n, w.transposed, dW)
        u += V*VW
