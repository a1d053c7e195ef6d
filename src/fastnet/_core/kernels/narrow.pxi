# Examples and targets of a few numbers each, and a first layer of a few features.
#
# Vectors along the features would be mostly padding. So the numbers are gathered one by one, X is kept for
# the whole block and no X' is made, and the gradient is one sum for each weight, a lane an example:
#
#     dW_ji = sum_n dZ_jn x_in    in 16 virtual lanes
#
# Z = W X + b takes the chains of the tiles without their calls. 2-3-1 on 200 examples: 2.5 -> 2.1 us by the
# gradient and the gathering, 1.5 -> 1.35 by the forward pass and by gathering four examples at once. With 8
# features in vectors of 8 nothing would be gained.
# Uses: panels, util

cdef enum:
    NARROW = 4                  # numbers, in every build: the bits of the gradient depend on it


cdef inline void gather_literal(const int F, const char* X, const Py_ssize_t stride,
                                const standardization* standardize, const Py_ssize_t* order, Py_ssize_t n,
                                real* A) noexcept nogil:
    """See gather_numbers. F is a literal, and so is stride where the examples are contiguous."""
    cdef const real* row
    cdef Py_ssize_t j, i, m
    cdef lanes mean, scale
    cdef real* a
    cdef int f, u
    for j in range(ceil_div(n, PW)):
        a = A + j*F*PW
        m = smaller(PW, n - j*PW)
        i = 0
        while i + 4 <= m:                          # gcc does not unroll by itself
            for u in range(4):
                row = <const real*>(X + (order[i + u] if order != NULL else j*PW + i + u)*stride)
                for f in range(F):
                    a[f*PW + i + u] = row[f]
            i += 4
        while i < m:
            row = <const real*>(X + (order[i] if order != NULL else j*PW + i)*stride)
            for f in range(F):
                a[f*PW + i] = row[f]
            i += 1
        if order != NULL:
            order += m
        if standardize.mean != NULL:
            for f in range(F):
                mean, scale = v_set(standardize.mean[f]), v_set(standardize.scale[f])
                for i in range(ceil_div(m, VW)):
                    v_store(a + f*PW + i*VW, v_div(v_sub(v_load(a + f*PW + i*VW), mean), scale))
        for i in range(m, round_up(m, VW)):
            for f in range(F):
                a[f*PW + i] = 0


cdef inline void gather_by_step(const int F, matrix X, const standardization* standardize,
                                const Py_ssize_t* order, Py_ssize_t first, Py_ssize_t n,
                                real* A) noexcept nogil:
    """See gather_numbers. F is a literal."""
    cdef const char* start = X.start
    if order != NULL:
        order += first
    else:
        start += first*X.column_step
    if X.column_step == F*<Py_ssize_t>sizeof(real):            # an address without a multiplication
        gather_literal(F, start, F*<Py_ssize_t>sizeof(real), standardize, order, n, A)
    else:
        gather_literal(F, start, X.column_step, standardize, order, n, A)


cdef void gather_numbers(matrix X, Py_ssize_t F, const standardization* standardize, const Py_ssize_t* order,
                         Py_ssize_t first, Py_ssize_t n, real* A) noexcept nogil:
    """n examples of F <= NARROW contiguous numbers into panels of F rows. Lanes past n become zero."""
    if F == 1:
        gather_by_step(1, X, standardize, order, first, n, A)
    elif F == 2:
        gather_by_step(2, X, standardize, order, first, n, A)
    elif F == 3:
        gather_by_step(3, X, standardize, order, first, n, A)
    else:
        gather_by_step(4, X, standardize, order, first, n, A)


cdef inline void forward_vectors(const int F, const int V, const real* W, const real* b_lanes,
                                 Py_ssize_t rows, const real* X, real* A) noexcept nogil:
    """V vectors of a panel. F and V are literals."""
    cdef lanes[PV] z
    cdef lanes b, w
    cdef Py_ssize_t r
    cdef int f, v
    for r in range(rows):
        b = v_load(b_lanes + r*VW)
        for v in range(V):
            z[v] = b
        for f in range(F):
            w = v_set(W[r*PW + f])
            for v in range(V):
                z[v] = v_fma(w, v_load(X + f*PW + v*VW), z[v])
        for v in range(V):
            v_store(A + r*PW + v*VW, z[v])


cdef inline void forward_literal(const int F, const real* W, const real* b_lanes, Py_ssize_t rows,
                                 const real* X, Py_ssize_t n, real* A) noexcept nogil:
    """See narrow_forward. F is a literal."""
    cdef Py_ssize_t j
    cdef int v, V
    for j in range(ceil_div(n, PW)):
        V = vectors_in_panel(n, j)
        if V == PV:
            forward_vectors(F, PV, W, b_lanes, rows, X + j*F*PW, A + j*rows*PW)
        else:
            for v in range(V):
                forward_vectors(F, 1, W, b_lanes, rows, X + j*F*PW + v*VW, A + j*rows*PW + v*VW)


cdef void narrow_forward(const real* W, const real* b_lanes, Py_ssize_t rows, const real* X, Py_ssize_t F,
                         Py_ssize_t n, real* A) noexcept nogil:
    """A (rows, n) = W X + b, X (F, n) with F <= NARROW: the chains of the tiles without their calls."""
    if F == 1:
        forward_literal(1, W, b_lanes, rows, X, n, A)
    elif F == 2:
        forward_literal(2, W, b_lanes, rows, X, n, A)
    elif F == 3:
        forward_literal(3, W, b_lanes, rows, X, n, A)
    else:
        forward_literal(4, W, b_lanes, rows, X, n, A)


cdef inline void unit_sums(const int F, const real* dZ, Py_ssize_t rows, const real* X, Py_ssize_t n,
                           real* sums) noexcept nogil:
    """sums[f] = the 16 lanes of sum_n dZ_n x_fn, for one unit of dZ (rows, n) and X (F, n). F: a literal."""
    cdef lanes[NARROW][LV] s
    cdef lanes d
    cdef Py_ssize_t j, full = n//PW, at
    cdef int f, v
    for f in range(F):
        for v in range(LV):
            s[f][v] = v_zero()
    for j in range(full):
        for v in range(PV):
            d = v_load(dZ + j*rows*PW + v*VW)
            for f in range(F):
                s[f][v % LV] = v_fma(d, v_load(X + (j*F + f)*PW + v*VW), s[f][v % LV])
    for f in range(F):
        for v in range(LV):
            v_store(sums + f*16 + v*VW, s[f][v])
    if full*PW < n:
        for v in range(vectors_in_panel(n, full)):
            d = v_load(dZ + full*rows*PW + v*VW)
            for f in range(F):
                at = f*16 + v % LV*VW
                v_store(sums + at, v_fma(d, v_load(X + (full*F + f)*PW + v*VW), v_load(sums + at)))


cdef inline void gradient_literal(const int F, const real* dZ, Py_ssize_t rows, Py_ssize_t r0, Py_ssize_t r1,
                                  const real* X, Py_ssize_t n, real* sums, real* dW) noexcept nogil:
    """See narrow_gradient. F is a literal."""
    cdef real[NARROW*VW] folded
    cdef Py_ssize_t r = r0, i, m
    cdef int f
    while r < r1:
        m = smaller(VW, r1 - r)
        for i in range(m):
            unit_sums(F, dZ + (r + i)*PW, rows, X, n, sums + i*F*16)
        fold_rows(sums, m*F, folded)
        for i in range(m):
            for f in range(F):
                dW[(r + i)*PW + f] = folded[i*F + f]
        r += m


cdef void narrow_gradient(const real* dZ, Py_ssize_t rows, Py_ssize_t r0, Py_ssize_t r1, const real* X,
                          Py_ssize_t F, Py_ssize_t n, real* sums, real* dW) noexcept nogil:
    """Rows [r0, r1) of dW = dZ X', dZ (rows, n), X (F, n) with F <= NARROW.

    sums: SCRATCH of 16 NARROW VW numbers.
    """
    if F == 1:
        gradient_literal(1, dZ, rows, r0, r1, X, n, sums, dW)
    elif F == 2:
        gradient_literal(2, dZ, rows, r0, r1, X, n, sums, dW)
    elif F == 3:
        gradient_literal(3, dZ, rows, r0, r1, X, n, sums, dW)
    else:
        gradient_literal(4, dZ, rows, r0, r1, X, n, sums, dW)
