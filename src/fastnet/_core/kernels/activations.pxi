# The activations and their slopes, on vectors and on panels.
#
# An activation is a function of one vector, `name`(z, least, &slope) -> a, with a row in names.h. Its first
# line says the formula and how far a may be from it; slopes carry a few roundings more. NaN stays NaN. An
# exponential below the floor `least` is 0: see elementary.pxi.
# Uses: elementary

ctypedef void (*panel_function)(real*, real*, Py_ssize_t, int, real) noexcept nogil
ctypedef void (*array_function)(const real*, real*, real*, Py_ssize_t) noexcept nogil
ctypedef void (*loss_function)(real*, const real*, const real*, const real*, const real*, Py_ssize_t,
                               Py_ssize_t, real*) noexcept nogil

cdef extern from "choose.h" nogil:
    lanes activation_of(int code, lanes z, exp_floor least, lanes* slope)
    lanes loss_of(int code, lanes z, lanes t, lanes parameter, lanes* dz)
    const int* SLOPE_END
    const panel_function* ACTIVATE_PANEL
    const array_function* ACTIVATE_ARRAY
    const loss_function* LOSS_PANEL


# ---- the activations: a, and the slope da/dz

cdef inline lanes identity "fastnet_identity"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = z, exactly."""
    slope[0] = v_set(1)
    return z


cdef inline lanes sigmoid_of(lanes z, exp_floor least) noexcept nogil:
    """a = 1/(1 + e^-z), within 2 ULP.

    With e = e^-|z| and h = e/(1 + e), a = 1 - h for z >= 0 and e - e h below. The plain num/(1 + e) reaches
    2.4 ULP. A real division beat reciprocal estimates: it runs beside the fma units.
    """
    return sigmoid_from(z, exp_of_negative(v_negabs(z), least))


cdef inline lanes sigmoid_from(lanes z, lanes e) noexcept nogil:
    """The same from e = e^-|z|."""
    cdef lanes h = v_div(e, v_add(v_set(1), e))
    cdef lanes s = v_if_negative(z, e, v_set(1))
    return v_fnma(s, factor_of_one(h), s)


cdef inline lanes sigmoid "fastnet_sigmoid"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = 1/(1 + e^-z), within 2 ULP; a' = a (1 - a), rounded as a - a^2 with one fma."""
    cdef lanes a = sigmoid_of(z, least)
    slope[0] = v_fnma(a, a, a)
    return a


cdef inline lanes logistic "fastnet_logistic"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = 1/(1 + e^-z), within 2.5 ULP, as scikit-learn rounds it: 1/(1 + e) or e/(1 + e), e = e^-|z|.

    a' = a - a^2. On data that saturates it, a' lives on how a rounds near 1, and so does how like
    scikit-learn's a fit goes.
    """
    cdef lanes e = exp_of_negative(v_negabs(z), least)
    cdef lanes a = v_div(v_if_negative(z, e, v_set(1)), v_add(v_set(1), e))
    slope[0] = v_fnma(a, a, a)
    return a


cdef inline lanes tanh "fastnet_tanh"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = tanh z, within 4 ULP, as -m/(2 + m) with m = e^-2|z| - 1; a' = 1 - a^2."""
    cdef lanes m = expm1_of_negative(v_add(v_negabs(z), v_negabs(z)))
    cdef lanes a = v_div(m, v_add(v_set(2), m))                # of -|z|
    a = v_if_negative(z, a, v_sub(v_zero(), a))
    slope[0] = v_fnma(a, a, v_set(1))
    return a


cdef inline lanes relu "fastnet_relu"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = max(z, 0), exactly; a' = 1 for z > 0, and 0 at 0."""
    slope[0] = if_positive(z, v_set(1), v_zero())
    return v_max(v_zero(), z)


cdef inline lanes leaky_relu "fastnet_leaky_relu"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = z for z > 0, else 0.01 z, within 1 ULP (Maas, Hannun, Ng 2013)."""
    slope[0] = if_positive(z, v_set(1), v_set(<real>0.01))
    return v_mul(z, slope[0])


cdef inline lanes elu "fastnet_elu"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = z for z > 0, else e^z - 1, within 2 ULP (Clevert, Unterthiner, Hochreiter 2015)."""
    cdef lanes m = expm1_of_negative(v_min(v_zero(), z))
    slope[0] = if_positive(z, v_set(1), v_add(m, v_set(1)))
    return if_positive(z, z, m)


cdef inline lanes selu "fastnet_selu"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = SELU_SCALE z for z > 0, else SELU_LOW (e^z - 1), within 4 ULP (Klambauer and others 2017)."""
    cdef lanes m = expm1_of_negative(v_min(v_zero(), z))
    slope[0] = if_positive(z, v_set(SELU_SCALE), v_fma(v_set(SELU_LOW), m, v_set(SELU_LOW)))
    return v_mul(if_positive(z, v_set(SELU_SCALE), v_set(SELU_LOW)), if_positive(z, z, m))


cdef inline lanes silu "fastnet_silu"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = z s, within 3 ULP, with s = sigmoid z; a' = s + a (1 - s) (Elfwing, Uchibe, Doya 2018).

    Where s is denormal, within |z| of its spacing. Above 0, 1 - s is h = e/(1 + e): 1 less s would cancel.
    """
    cdef lanes e = exp_of_negative(v_negabs(z), least)
    cdef lanes h = v_div(e, v_add(v_set(1), e))
    cdef lanes s = sigmoid_of(z, least)
    cdef lanes a = v_mul(z, s)
    slope[0] = v_fma(a, v_if_negative(z, v_sub(v_set(1), s), h), s)
    return a


cdef inline lanes gelu "fastnet_gelu"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = z Phi(z), within 6 ULP, Phi the normal distribution; a' = Phi(z) + z phi(z).

    (Hendrycks, Gimpel 2016.) With x = |z|, Phi(-x) = e^(-x^2/2) q d, q a polynomial, d = 1/(x + c): see
    constants.h. a = max(z, 0) - x Phi(-x). What x^2 is rounded by goes into the exponent: without it the far
    tail is off by hundreds of ULP.
    """
    cdef lanes x = v_min(v_set(PHI_MOST), v_sub(v_zero(), v_negabs(z)))
    cdef lanes d = v_div(v_set(1), v_add(x, v_set(PHI_C)))
    cdef lanes w = v_mul(x, d)
    cdef lanes q = polynomial(PHI_Q, PHI_TERMS, v_sub(v_add(w, w), v_set(1)))
    cdef lanes square = v_mul(x, x), half = v_set(<real>0.5)
    cdef lanes rest = v_mul(half, v_square_rest(x, square))
    cdef lanes e = exp_with_tail(v_sub(v_zero(), v_mul(half, square)), True, rest, least)
    cdef lanes h = v_mul(v_fnma(x, v_set(PHI_DENSITY), v_mul(q, d)), e)   # Phi(-x) - x phi(x)
    slope[0] = v_if_negative(z, h, v_sub(v_set(1), h))
    return v_sub(v_max(v_zero(), z), v_mul(v_mul(w, q), e))


cdef inline lanes softplus "fastnet_softplus"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = log(1 + e^z), within 3 ULP, as max(z, 0) + log(1 + e^-|z|); a' = sigmoid z."""
    cdef lanes e = exp_of_negative(v_negabs(z), least)
    slope[0] = v_div(v_if_negative(z, e, v_set(1)), v_add(v_set(1), e))
    return v_add(v_max(v_zero(), z), log1p_of_fraction(e))


cdef inline lanes mish "fastnet_mish"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = z tanh(log(1 + e^z)), within 6 ULP (Misra 2019); a' = t + z (1 - t^2) sigmoid z, t the tanh.

    With e = e^-|z|, t = n/d: n = 1 + 2 e and d = n + 2 e^2 for z >= 0, n = e (2 + e) and d = n + 2 below.
    Where t is denormal, within |z| of its spacing. 1 - t^2 is (1 + t)(d - n)/d: 1 less t^2 would cancel.
    """
    cdef lanes e = exp_of_negative(v_negabs(z), least)
    cdef lanes n = v_if_negative(z, v_mul(e, v_add(v_set(2), e)), v_fma(v_set(2), e, v_set(1)))
    cdef lanes rest = v_if_negative(z, v_set(2), v_mul(v_add(e, e), v_zero_below(e, v_set(LINEAR), e)))
    cdef lanes d = v_add(n, rest)
    cdef lanes t = v_div(n, d)
    cdef lanes s = v_div(v_if_negative(z, e, v_set(1)), v_add(v_set(1), e))
    slope[0] = v_fma(v_mul(z, s), v_mul(v_add(v_set(1), t), v_div(rest, d)), t)
    return v_mul(z, t)


cdef inline lanes exp "fastnet_exp"(lanes z, exp_floor least, lanes* slope) noexcept nogil:
    """a = e^z, within 1.1 ULP; a' = a."""
    slope[0] = exp_of(z, least)
    return slope[0]


cdef inline lanes ended(const int end, lanes c, lanes a) noexcept nogil:
    """The sum dA times the slope of its activation, from a, or as it was kept: dZ. `end` is a literal.

    No constants here: gcc would keep them in registers that the tiles need for their sums.
    """
    if end == END_SIGMOID:
        return v_mul(c, v_fnma(a, a, a))
    if end == END_TANH:
        return v_fnma(v_mul(c, a), a, c)
    if end == END_RELU:
        return v_keep_positive(c, a)
    if end == END_KEPT:
        return v_mul(c, a)
    return c


# ---- on panels: rows x PW numbers, of which V vectors a row are in use

cdef inline void activate_four(const int code, real* Z, real* S, exp_floor least) noexcept nogil:
    """Four vectors at once: their chains of operations overlap."""
    cdef lanes[4] z
    cdef lanes[4] s
    cdef int i
    for i in range(4):
        z[i] = v_load(Z + i*VW)
    for i in range(4):
        z[i] = activation_of(code, z[i], least, &s[i])
    for i in range(4):
        v_store(Z + i*VW, z[i])
    if S != NULL:
        for i in range(4):
            v_store(S + i*VW, s[i])


cdef inline void activate_vectors "fastnet_activate_vectors"(const int code, real* Z, real* S,
                                                             Py_ssize_t rows, int V,
                                                             real log_least) noexcept nogil:
    """A = f(Z), in place, and unless NULL, S = f'(Z). `code` is a literal: see choose.h."""
    cdef Py_ssize_t i = 0, n = rows*PW, r
    cdef exp_floor least = floor_at(log_least)
    cdef lanes z, s
    cdef int v
    if V == PV:                                    # PW holds whole groups of four vectors
        if S == NULL:
            while i < n:
                activate_four(code, Z + i, NULL, least)
                i += 4*VW
        else:
            while i < n:
                activate_four(code, Z + i, S + i, least)
                i += 4*VW
        return
    for r in range(rows):
        for v in range(V):
            i = r*PW + v*VW
            z = activation_of(code, v_load(Z + i), least, &s)
            v_store(Z + i, z)
            if S != NULL:
                v_store(S + i, s)


cdef void softmax_panel(real* Z, Py_ssize_t rows, int V) noexcept nogil:
    """a_r = e^z_r / sum_k e^z_k in each column, in place; within (rows + 5) eps of a.

    Less the largest z of the column, so that no e overflows.
    """
    cdef exp_floor least = floor_at(LOG_LEAST)
    cdef lanes most, sum
    cdef Py_ssize_t r
    cdef int v
    for v in range(V):
        most = column_max(Z + v*VW, rows)
        sum = v_zero()
        for r in range(rows):
            v_store(Z + r*PW + v*VW, exp_of_negative(v_sub(v_load(Z + r*PW + v*VW), most), least))
            sum = v_add(sum, v_load(Z + r*PW + v*VW))
        sum = v_div(v_set(1), sum)
        for r in range(rows):
            v_store(Z + r*PW + v*VW, v_mul(v_load(Z + r*PW + v*VW), sum))


cdef inline lanes column_max(const real* Z, Py_ssize_t rows) noexcept nogil:
    """The largest number in each of the VW columns."""
    cdef lanes most = v_load(Z)
    cdef Py_ssize_t r
    for r in range(1, rows):
        most = v_max(most, v_load(Z + r*PW))
    return most


cdef inline void activate_panel(int code, real* Z, real* S, Py_ssize_t rows, int V,
                                real log_least) noexcept nogil:
    """A = activation(Z), in place; unless S is NULL, S = its slopes. log_least: LOG_TINY or LOG_LEAST."""
    if code == ACTIVATION_softmax:
        softmax_panel(Z, rows, V)
    elif code != ACTIVATION_identity or S != NULL:
        ACTIVATE_PANEL[code](Z, S, rows, V, log_least)


# ---- on n contiguous numbers

cdef inline void activate_numbers "fastnet_activate_numbers"(const int code, const real* x, real* out,
                                                             real* slope, Py_ssize_t n) noexcept nogil:
    """out = f(x) and, unless NULL, slope = f'(x). `code` is a literal."""
    cdef lanes a, s
    cdef int m
    while n > 0:
        m = <int>(n if n < VW else VW)
        a = activation_of(code, v_load_first(x, m), exact_floor(), &s)
        v_store_first(out, a, m)
        if slope != NULL:
            v_store_first(slope, s, m)
            slope += m
        x += m
        out += m
        n -= m


cdef void activate_array(int code, const void* x, void* out, void* slope, Py_ssize_t n) noexcept nogil:
    ACTIVATE_ARRAY[code](<const real*>x, <real*>out, <real*>slope, n)


cdef void sigmoid_backward_array(const void* dA, const void* A, void* out, Py_ssize_t n) noexcept nogil:
    """dZ = dA a (1 - a)"""
    cdef const real* p = <const real*>dA
    cdef const real* a = <const real*>A
    cdef real* q = <real*>out
    cdef lanes s
    while n >= VW:
        v_store(q, v_mul(v_load(p), v_fnma(v_load(a), v_load(a), v_load(a))))
        p += VW
        a += VW
        q += VW
        n -= VW
    if n > 0:
        s = v_load_first(a, <int>n)
        v_store_first(q, v_mul(v_load_first(p, <int>n), v_fnma(s, s, s)), <int>n)
