# Binary cross-entropy from the logits, and the output layer of one unit.

cdef inline lanes log1p_of_fraction(lanes e) noexcept nogil:
    """log(1 + e) for 0 <= e <= 1, within 2 ULP, as 2 atanh(s), s = e/(2 + e)."""
    cdef lanes s = v_div(e, v_add(e, v_set(2)))
    cdef lanes m = v_mul(s, s)
    cdef lanes s2 = v_add(s, s)
    return v_fma(v_mul(s2, m), polynomial(LOG_Q, LOG_TERMS, m), s2)


cdef inline lanes bce_of(lanes z, lanes t) noexcept nogil:
    """-t log a - (1 - t) log(1 - a) with a = sigmoid(z): finite for every finite z.

    As max(z, 0) - z t + log(1 + e^-|z|).
    """
    return v_add(v_fnma(z, t, v_max(z, v_zero())), log1p_of_fraction(exp_of_negative(v_negabs(z))))


cdef void bce_rows(real* Z, const real* T, Py_ssize_t rows, Py_ssize_t n, real* cost) noexcept nogil:
    """Z -> dZ = a - t in place for rows x n examples of one panel. Adds the cost to 16 lanes.

    Lanes past n get dZ = 0. dJ/dz = dJ/da da/dz = (a - t)/(a (1 - a)) a (1 - a) = a - t: nothing is divided.
    """
    cdef lanes z, t, J, dz
    cdef Py_ssize_t r
    cdef int v, left, V = <int>ceil_div(n, VW)
    for v in range(V):      # examples outside, rows inside: the same order for any width of panel
        for r in range(rows):
            z = v_load(Z + r*PW + v*VW)
            t = v_load(T + r*PW + v*VW)
            J = bce_of(z, t)
            dz = v_sub(sigmoid_of(z), t)
            left = <int>n - v*VW
            if left < VW:
                J = v_keep_first(J, left)
                dz = v_keep_first(dz, left)
            v_store(Z + r*PW + v*VW, dz)
            v_store(cost + v % LV*VW, v_add(v_load(cost + v % LV*VW), J))


# ---- the output layer of one unit: its gradient, and dZ of the layer below,
#      in one pass over A while that is in L1
#
#     dW[i] = sum_n dz[n] a[i, n]        db below [i] = sum_n dZ[i, n]
#     dZ[i, n] = w[i] dz[n] a[i, n] (1 - a[i, n])
#
# Sums run in 16 virtual lanes over a leaf of 64 examples, and leaf after leaf is added to the total. A leaf
# is a whole number of panels in every build, and never shared between threads.

cdef enum:
    LEAF = 64                   # examples
    LEAF_PANELS = 4             # at most; LEAF//PW in this build


cdef struct output_unit:
    const real* w               # IN  (F)
    real* dW                    # SUM (F, 16)
    real* db                    # SUM (F, 16), of the layer below
    real* leaf_dW               # SCRATCH (F, 16)
    real* leaf_db               # SCRATCH (F, 16)
    Py_ssize_t F
    int activation              # of the layer below


cdef inline void output_vectors(const int V, const int activation, const output_unit* u, int v0,
                                bint first, bint last, const real* dz, real* A) noexcept nogil:
    """V vectors of a panel from vector v0 on. V is a literal: LV groups of lanes at once, or one vector.

    first, last: whether these are the first and the last of the leaf that fall into their lanes.
    """
    cdef int groups = LV if V > 1 else 1
    cdef lanes[LV] dW
    cdef lanes[LV] db
    cdef lanes[PV] s
    cdef lanes a, d, w
    cdef Py_ssize_t i, at
    cdef int v
    for v in range(V):
        s[v] = v_load(dz + (v0 + v)*VW)
    for i in range(u.F):
        w = v_set(u.w[i])
        at = i*16 + v0 % LV*VW
        for v in range(groups):
            dW[v] = v_zero() if first else v_load(u.leaf_dW + at + v*VW)
            db[v] = v_zero() if first else v_load(u.leaf_db + at + v*VW)
        for v in range(V):
            a = v_load(A + i*PW + (v0 + v)*VW)
            d = v_mul(w, s[v])
            if activation == ACTIVATION_SIGMOID:
                d = v_mul(d, slope_of(ACTIVATION_SIGMOID, a))
            v_store(A + i*PW + (v0 + v)*VW, d)
            dW[v % LV] = v_fma(s[v], a, dW[v % LV])
            db[v % LV] = v_add(db[v % LV], d)
        for v in range(groups):
            if last:
                v_store(u.dW + at + v*VW, v_add(v_load(u.dW + at + v*VW), dW[v]))
                v_store(u.db + at + v*VW, v_add(v_load(u.db + at + v*VW), db[v]))
            else:
                v_store(u.leaf_dW + at + v*VW, dW[v])
                v_store(u.leaf_db + at + v*VW, db[v])


cdef inline void output_panel(const int activation, const output_unit* u, Py_ssize_t j, Py_ssize_t n,
                              const real* dz, real* A) noexcept nogil:
    """Panel j of a leaf with n examples in all; A (F, lanes) becomes dZ of its layer."""
    cdef Py_ssize_t vectors = ceil_div(n, VW)      # of the whole leaf
    cdef int v, V = vectors_in_panel(n, j)
    cdef Py_ssize_t here
    if V == PV and vectors % LV == 0:
        output_vectors(PV, activation, u, 0, j == 0, (j + 1)*PV >= vectors, dz, A)
        return
    for v in range(V):
        here = j*PV + v
        output_vectors(1, activation, u, v, here < LV, here + LV >= vectors, dz, A)


cdef void output_leaf(const output_unit* u, Py_ssize_t n, const real* dz, real* A,
                      Py_ssize_t A_panel) noexcept nogil:
    """One leaf of n <= LEAF examples: dz is one row of panels, A the activations of the layer below."""
    cdef Py_ssize_t j
    for j in range(ceil_div(n, PW)):
        if u.activation == ACTIVATION_SIGMOID:
            output_panel(ACTIVATION_SIGMOID, u, j, n, dz + j*PW, A + j*A_panel)
        else:
            output_panel(ACTIVATION_IDENTITY, u, j, n, dz + j*PW, A + j*A_panel)
