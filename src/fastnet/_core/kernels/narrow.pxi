# Examples and targets of a few numbers each, and a first layer of a few features.
#
# Vectors along the features would be mostly padding. So the numbers are gathered one by one, X is kept for
# the whole block and no X' is made, and the gradient is one sum for each weight, a lane an example:
#
#     dW_ji = sum_n dZ_jn x_in    in 16 virtual lanes
#
# 2-3-1 on 200 examples: 2.5 -> 2.1 us. With 8 features in vectors of 8 nothing would be gained.

cdef enum:
    NARROW = 4                  # numbers, in every build: the bits of the gradient depend on it


cdef inline void gather_literal(const int F, matrix X, const standard* by, const Py_ssize_t* order,
                                Py_ssize_t first, Py_ssize_t n, real* A) noexcept nogil:
    """See gather_numbers. F is a literal."""
    cdef const real* row
    cdef Py_ssize_t j, i, m
    cdef lanes mean, scale
    cdef real* a
    cdef int f
    for j in range(ceil_div(n, PW)):
        a = A + j*F*PW
        m = smaller(PW, n - j*PW)
        for i in range(m):
            row = <const real*>column(X, order, first, j*PW + i)
            for f in range(F):
                a[f*PW + i] = row[f]
        if by.mean != NULL:
            for f in range(F):
                mean, scale = v_set(by.mean[f]), v_set(by.scale[f])
                for i in range(ceil_div(m, VW)):
                    v_store(a + f*PW + i*VW, v_div(v_sub(v_load(a + f*PW + i*VW), mean), scale))
        for i in range(m, round_up(m, VW)):
            for f in range(F):
                a[f*PW + i] = 0


cdef void gather_numbers(matrix X, Py_ssize_t F, const standard* by, const Py_ssize_t* order,
                         Py_ssize_t first, Py_ssize_t n, real* A) noexcept nogil:
    """n examples of F <= NARROW contiguous numbers into panels of F rows. Lanes past n become zero."""
    if F == 1:
        gather_literal(1, X, by, order, first, n, A)
    elif F == 2:
        gather_literal(2, X, by, order, first, n, A)
    elif F == 3:
        gather_literal(3, X, by, order, first, n, A)
    else:
        gather_literal(4, X, by, order, first, n, A)


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
