# exp, the activations and their slopes, on vectors and on panels.

cdef extern from "constants.h" nogil:
    const real LOG2E, LN2_HI, LN2_LO, EXP_LEAST, EXP_MOST, ROUND, BIAS, UNBIAS, BIAS_UP
    enum: EXP_TERMS, LOG_TERMS
    const real* EXP_Q
    const real* LOG_Q


cdef inline lanes polynomial(const real* c, const int n, lanes x) noexcept nogil:
    """c[0] + c[1] x + ... + c[n-1] x^(n-1), by Horner. n is a literal."""
    cdef lanes y = v_set(c[n - 1])
    cdef int i
    for i in range(1, n):
        y = v_fma(y, x, v_set(c[n - 1 - i]))
    return y


cdef inline lanes exp_scaled(lanes x, lanes bias, lanes unbias) noexcept nogil:
    """e^x for EXP_LEAST <= x <= EXP_MOST (or NaN); 2^(n + bias) must be in range. See constants.h."""
    cdef lanes shift = v_add(v_set(ROUND), bias)               # exact
    cdef lanes t = v_fma(x, v_set(LOG2E), shift)
    cdef lanes n = v_sub(t, shift)                             # round(x log2 e)
    cdef lanes r = v_fnma(n, v_set(LN2_LO), v_fnma(n, v_set(LN2_HI), x))
    # 1 + (r + r^2 q) rather than Horner to the end:
    # 0.9 ULP instead of 1.15 where multiply and add round apart
    cdef lanes p = v_add(v_fma(polynomial(EXP_Q, EXP_TERMS, r), v_mul(r, r), r), v_set(1))
    return v_scale(p, n, t, unbias)


cdef inline lanes exp_of_negative(lanes x) noexcept nogil:
    """e^x for x <= 0, within 1.1 ULP (float32: all binades; float64: samples). NaN stays NaN."""
    return exp_scaled(v_max(v_set(EXP_LEAST), x), v_set(BIAS), v_set(UNBIAS))


cdef inline lanes exp_of(lanes x) noexcept nogil:
    """e^x for any x, within 1.1 ULP; 0, denormal and infinite results included."""
    x = v_min(v_set(EXP_MOST), v_max(v_set(EXP_LEAST), x))
    return exp_scaled(x, v_if_negative(x, v_set(BIAS), v_set(-BIAS)),
                      v_if_negative(x, v_set(UNBIAS), v_set(BIAS_UP)))


cdef inline lanes sigmoid_of(lanes z) noexcept nogil:
    """a = 1/(1 + e^-z), within 2 ULP.

    With e = e^-|z| and h = e/(1 + e), a = 1 - h for z >= 0 and e - e h below. The plain num/(1 + e) reaches
    2.4 ULP. A real division beat reciprocal estimates: it runs beside the fma units.
    """
    cdef lanes e = exp_of_negative(v_negabs(z))
    cdef lanes h = v_div(e, v_add(v_set(1), e))
    cdef lanes s = v_if_negative(z, e, v_set(1))
    return v_fnma(s, h, s)


cdef inline lanes slope_of(const int activation, lanes a) noexcept nogil:
    """da/dz from a itself: a (1 - a) for the sigmoid, rounded as a - a^2 with one fma."""
    if activation == ACTIVATION_SIGMOID:
        return v_fnma(a, a, a)
    return v_set(1)


# ---- on panels: rows x PW numbers, of which V vectors a row are in use

cdef inline void sigmoid_4(real* z, const int step) noexcept nogil:
    """Four vectors at once: their chains of operations overlap."""
    cdef lanes z0 = v_load(z), z1 = v_load(z + step), z2 = v_load(z + 2*step), z3 = v_load(z + 3*step)
    v_store(z, sigmoid_of(z0))
    v_store(z + step, sigmoid_of(z1))
    v_store(z + 2*step, sigmoid_of(z2))
    v_store(z + 3*step, sigmoid_of(z3))


cdef void sigmoid_panel(real* Z, Py_ssize_t rows, int V) noexcept nogil:
    """A = sigmoid(Z), in place."""
    cdef Py_ssize_t i = 0, n = rows*PW
    cdef int v
    if V == PV:
        while i + 4*VW <= n:
            sigmoid_4(Z + i, VW)
            i += 4*VW
        return                                     # PW holds whole groups of four vectors
    for v in range(V):
        i = 0
        while i + 4 <= rows:
            sigmoid_4(Z + i*PW + v*VW, PW)
            i += 4
        while i < rows:
            v_store(Z + i*PW + v*VW, sigmoid_of(v_load(Z + i*PW + v*VW)))
            i += 1


cdef inline void activate_panel(int activation, real* Z, Py_ssize_t rows, int V) noexcept nogil:
    """A = activation(Z), in place."""
    if activation == ACTIVATION_SIGMOID:
        sigmoid_panel(Z, rows, V)


# ---- on n contiguous numbers

cdef void exp_array(const void* x, void* out, Py_ssize_t n) noexcept nogil:
    cdef const real* p = <const real*>x
    cdef real* q = <real*>out
    while n >= VW:
        v_store(q, exp_of(v_load(p)))
        p += VW
        q += VW
        n -= VW
    if n > 0:
        v_store_first(q, exp_of(v_load_first(p, <int>n)), <int>n)


cdef void sigmoid_array(const void* z, void* out, Py_ssize_t n) noexcept nogil:
    cdef const real* p = <const real*>z
    cdef real* q = <real*>out
    while n >= VW:
        v_store(q, sigmoid_of(v_load(p)))
        p += VW
        q += VW
        n -= VW
    if n > 0:
        v_store_first(q, sigmoid_of(v_load_first(p, <int>n)), <int>n)


cdef void sigmoid_backward_array(const void* dA, const void* A, void* out, Py_ssize_t n) noexcept nogil:
    """dZ = dA a (1 - a)"""
    cdef const real* p = <const real*>dA
    cdef const real* a = <const real*>A
    cdef real* q = <real*>out
    while n >= VW:
        v_store(q, v_mul(v_load(p), slope_of(ACTIVATION_SIGMOID, v_load(a))))
        p += VW
        a += VW
        q += VW
        n -= VW
    if n > 0:
        v_store_first(q, v_mul(v_load_first(p, <int>n),
                               slope_of(ACTIVATION_SIGMOID, v_load_first(a, <int>n))), <int>n)


cdef int all_finite_array(const void* x, Py_ssize_t n) noexcept nogil:
    """Whether no number is infinite or NaN: 0 x is 0 for the others, and a NaN stays in the sum."""
    cdef const real* p = <const real*>x
    cdef lanes s0 = v_zero(), s1 = v_zero(), s2 = v_zero(), s3 = v_zero()
    cdef real[VW] sums
    cdef int i
    while n >= 4*VW:
        s0 = v_fma(v_load(p), v_zero(), s0)
        s1 = v_fma(v_load(p + VW), v_zero(), s1)
        s2 = v_fma(v_load(p + 2*VW), v_zero(), s2)
        s3 = v_fma(v_load(p + 3*VW), v_zero(), s3)
        p += 4*VW
        n -= 4*VW
    while n > 0:
        i = <int>smaller(n, VW)
        s0 = v_fma(v_load_first(p, i), v_zero(), s0)
        p += i
        n -= i
    v_store(sums, v_add(v_add(s0, s1), v_add(s2, s3)))
    for i in range(VW):
        if sums[i] != 0:
            return 0
    return 1
