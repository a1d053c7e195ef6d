# The losses, on vectors and on panels; and the output layer of one unit.
#
# A loss is a function of one vector, `name`(z, t, parameter, &dz) -> J, with a row in names.h: from the
# logits z where that says so, and dz is then dJ/dz; else from the outputs a, and dz is dJ/da. So nothing is
# divided by a rounded zero and no logarithm is taken of one.
# Uses: activations, elementary, panels, util

cdef inline lanes bce "fastnet_loss_bce"(lanes z, lanes t, lanes parameter, lanes* dz) noexcept nogil:
    """J = -t log a - (1 - t) log(1 - a), a = sigmoid z, as max(z, 0) - z t + log(1 + e^-|z|); dJ/dz = a - t.

    dJ/dz = dJ/da da/dz = (a - t)/(a (1 - a)) a (1 - a) = a - t: nothing is divided. Finite for every finite
    z.
    """
    cdef lanes e = exp_of_negative(v_negabs(z), floor_at(LOG_LEAST))
    dz[0] = v_sub(sigmoid_from(z, v_zero_below(v_negabs(z), v_set(LOG_TINY), e)), t)
    return v_add(v_fnma(z, t, v_max(z, v_zero())), log1p_of_fraction(e))


cdef inline lanes clipped_bce "fastnet_loss_clipped_bce"(lanes z, lanes t, lanes least,
                                                         lanes* dz) noexcept nogil:
    """bce whose J is that of a cut to [least, 1 - least], from a itself and 1 - a as they are rounded.

    What scikit-learn reports of a fit, and stops by; dJ/dz is that of bce.
    """
    cdef lanes e = exp_of_negative(v_negabs(z), floor_at(LOG_TINY))
    cdef lanes a = v_div(v_if_negative(z, e, v_set(1)), v_add(v_set(1), e))
    a = v_max(least, v_min(v_sub(v_set(1), least), a))
    dz[0] = v_sub(sigmoid_from(z, e), t)
    a = v_fma(v_sub(v_set(1), t), log_of(v_sub(v_set(1), a)), v_mul(t, log_of(a)))
    return v_sub(v_zero(), a)


cdef inline lanes poisson "fastnet_loss_poisson"(lanes z, lanes t, lanes parameter, lanes* dz) noexcept nogil:
    """J = t log(t/a) - t + a, a = e^z: half the deviance, as t (log t - z) + (a - t); dJ/dz = a - t."""
    cdef lanes log_t = if_positive(t, log_of(v_max(t, v_set(LEAST_NORMAL))), z)       # 0 log 0 = 0
    dz[0] = v_sub(exp_of(z, floor_at(LOG_TINY)), t)
    return v_fma(t, v_sub(log_t, z), dz[0])


cdef inline lanes squared_error "fastnet_loss_squared_error"(lanes a, lanes t, lanes parameter,
                                                             lanes* da) noexcept nogil:
    """J = (a - t)^2 / 2; dJ/da = a - t."""
    da[0] = v_sub(a, t)
    return v_mul(v_mul(da[0], v_set(<real>0.5)), da[0])


cdef inline lanes absolute_error "fastnet_loss_absolute_error"(lanes a, lanes t, lanes parameter,
                                                               lanes* da) noexcept nogil:
    """J = |a - t|; dJ/da = its sign, 0 at 0."""
    cdef lanes r = v_sub(a, t)
    da[0] = if_positive(r, v_set(1), v_if_negative(r, v_set(-1), v_zero()))
    return v_sub(v_zero(), v_negabs(r))


cdef inline lanes huber "fastnet_loss_huber"(lanes a, lanes t, lanes delta, lanes* da) noexcept nogil:
    """J = r^2/2 for |r| <= delta, else delta (|r| - delta/2), r = a - t; dJ/da = c = r cut to +-delta.

    J = c (r - c/2) is both (Huber 1964).
    """
    cdef lanes r = v_sub(a, t)
    da[0] = v_max(v_sub(v_zero(), delta), v_min(delta, r))
    return v_mul(da[0], v_fnma(v_set(<real>0.5), da[0], r))


cdef inline lanes quantile "fastnet_loss_quantile"(lanes a, lanes t, lanes q, lanes* da) noexcept nogil:
    """J = q (t - a) for a < t, else (1 - q)(a - t); dJ/da = -q, 1 - q, or 0 at 0 (Koenker, Bassett 1978)."""
    cdef lanes r = v_sub(a, t)
    da[0] = if_positive(r, v_sub(v_set(1), q), v_if_negative(r, v_sub(v_zero(), q), v_zero()))
    return v_mul(da[0], r)


# ---- on panels

cdef inline void add_cost(real* cost, int v, lanes J, Py_ssize_t left) noexcept nogil:
    """Adds vector v of a panel to the 16 lanes; lanes past the `left` examples that there are add nothing."""
    if left < VW:
        J = v_keep_first(J, <int>left)
    v_store(cost + v % LV*VW, v_add(v_load(cost + v % LV*VW), J))


cdef inline void loss_vectors "fastnet_loss_vectors"(const int code, real* Z, const real* T,
                                                     const real* weights, const real* S,
                                                     const real* constants, Py_ssize_t rows, Py_ssize_t n,
                                                     real* cost) noexcept nogil:
    """Z -> dZ in place for rows x n examples of one panel, and their cost added to 16 lanes.

    Both times the examples' weights. With S, Z holds A, and S the slopes of its activation. Lanes past n get
    dZ = 0. constants: the loss's parameter, and the least and the most that a cost counts. `code` is a
    literal: see choose.h.
    """
    cdef lanes J, dz, w, p = v_set(constants[0])
    cdef lanes least = v_set(constants[1]), most = v_set(constants[2])
    cdef Py_ssize_t r, i
    cdef int v, left, V = <int>ceil_div(n, VW)
    for v in range(V):      # examples outside, rows inside: the same order for any width of panel
        w = v_load(weights + v*VW)
        left = <int>n - v*VW
        for r in range(rows):
            i = r*PW + v*VW
            J = loss_of(code, v_load(Z + i), v_load(T + i), p, &dz)
            J = v_mul(w, v_min(most, v_max(least, J)))
            if S != NULL:
                dz = v_mul(dz, v_load(S + i))
            dz = without_tiny(v_mul(w, dz))
            v_store(Z + i, v_keep_first(dz, left) if left < VW else dz)
            add_cost(cost, v, J, left)


cdef void cross_entropy_panel(real* Z, const real* T, const real* weights, const real* constants,
                              Py_ssize_t rows, Py_ssize_t n, real* cost) noexcept nogil:
    """J = -sum_r t_r log a_r, a = softmax z, sum_r t_r = 1; dJ/dz_r = a_r - t_r. As loss_vectors.

    J = log sum_r e^y_r - sum_r t_r y_r, where y is z less the largest of its column: the sum is at least 1.
    """
    cdef lanes most, sum, inside, y, w, J
    cdef Py_ssize_t r, i
    cdef int v, left, V = <int>ceil_div(n, VW)
    for v in range(V):
        w = v_load(weights + v*VW)
        left = <int>n - v*VW
        most = column_max(Z + v*VW, rows)
        sum = v_zero()
        inside = v_zero()
        for r in range(rows):
            i = r*PW + v*VW
            y = v_sub(v_load(Z + i), most)
            inside = v_fma(v_load(T + i), y, inside)
            y = exp_of_negative(y, floor_at(LOG_TINY))
            sum = v_add(sum, y)
            v_store(Z + i, y)
        J = v_min(v_set(constants[2]), v_max(v_set(constants[1]), v_sub(log_of(sum), inside)))
        add_cost(cost, v, v_mul(w, J), left)
        sum = v_div(v_set(1), sum)
        for r in range(rows):
            i = r*PW + v*VW
            y = v_mul(w, v_sub(v_mul(v_load(Z + i), sum), v_load(T + i)))
            v_store(Z + i, v_keep_first(y, left) if left < VW else y)


cdef struct chunk_cost:          # of a chunk: in 16 virtual lanes, J + log(1 + odds)
    real[16] J
    real[16] odds               # 0, but for unit_bce


cdef inline lanes both_odds(lanes a, lanes b) noexcept nogil:
    """(1 + a)(1 + b) - 1 = b + a b + a, for a, b >= 0.

    Where multiply and add round apart, a b could be denormal alone. It is left out where it changes nothing:
    a below LINEAR or, with larger a, b below TINY LINEAR.
    """
    cdef lanes factor = b if FUSED else v_zero_below(b, v_set(TINY*LINEAR), b)
    return v_add(v_fma(factor_of_one(a), factor, b), a)


cdef inline void unit_bce_vector(real* Z, const real* T, int left, lanes* J, lanes* odds) noexcept nogil:
    """One vector of unit_bce, of which the first `left` lanes count."""
    cdef lanes z = v_load(Z), t = v_load(T)
    cdef lanes e = exp_of_negative(v_negabs(z), floor_at(LOG_LEAST))
    cdef lanes dz = v_sub(sigmoid_from(z, v_zero_below(v_negabs(z), v_set(LOG_TINY), e)), t)
    cdef lanes rest = v_fnma(z, t, v_max(z, v_zero()))
    if left < VW:
        e, dz, rest = v_keep_first(e, left), v_keep_first(dz, left), v_keep_first(rest, left)
    v_store(Z, dz)
    J[0] = v_add(J[0], rest)
    odds[0] = v_fma(e, v_add(odds[0], v_set(1)), odds[0])


cdef void unit_bce(real* Z, const real* T, Py_ssize_t n, chunk_cost* cost) noexcept nogil:
    """Z -> dZ in place, and the cost of a chunk of n examples, for one output unit and weights of 1: `bce`.

    sum_n log(1 + e_n) is the logarithm of a product, e_n = e^-|z_n|: one logarithm for a block of examples
    in place of one each. Kept is what the product exceeds 1 by, odds = (1 + odds)(1 + e) - 1, which sums
    numbers above 0 only: its relative error stays below that many roundings however small e is. A block
    makes at most 2^64 of it.
    """
    cdef lanes[LV] J
    cdef lanes[LV] odds
    cdef Py_ssize_t i = 0
    cdef int v
    for v in range(LV):
        J[v] = odds[v] = v_zero()
    while i + 16 <= n:
        for v in range(LV):
            unit_bce_vector(Z + i + v*VW, T + i + v*VW, VW, &J[v], &odds[v])
        i += 16
    for v in range(LV):
        if i + v*VW < n:
            unit_bce_vector(Z + i + v*VW, T + i + v*VW, <int>(n - i - v*VW), &J[v], &odds[v])
    for v in range(LV):
        v_store(cost.J + v*VW, J[v])
        v_store(cost.odds + v*VW, odds[v])


cdef inline void loss_panel(int code, real* Z, const real* T, const real* weights, const real* S,
                            const real* constants, Py_ssize_t rows, Py_ssize_t n, real* cost) noexcept nogil:
    """Z -> dZ and the cost of one panel, see loss_vectors."""
    if code == LOSS_cross_entropy:
        cross_entropy_panel(Z, T, weights, constants, rows, n, cost)
    else:
        LOSS_PANEL[code](Z, T, weights, S, constants, rows, n, cost)


# ---- the output layer of one unit: its gradient, and dZ of the layer below,
#      in one pass over A while that is in L1
#
#     dW[i] = sum_n dz[n] a[i, n]        db below [i] = sum_n dZ[i, n]
#     dZ[i, n] = w[i] dz[n] f'(z[i, n])
#
# Sums run in 16 virtual lanes over a chunk of 64 examples, and chunk after chunk is added to the total. A
# chunk is a whole number of panels in every build, and never shared between threads.

cdef struct output_unit:
    const real* w               # IN  (F)
    real* dW                    # SUM (F, 16)
    real* db                    # SUM (F, 16), of the layer below
    real* chunk_dW               # SCRATCH (F, 16)
    real* chunk_db               # SCRATCH (F, 16)
    Py_ssize_t F
    int end                     # how the slope of the layer below comes: END_... of tiles.h
    bint first_layer            # whether that is the first layer, whose dZ meets only X


cdef inline void output_vectors(const int V, const int end, const output_unit* u, int v0, bint first,
                                bint last, const real* dz, real* A, const real* S) noexcept nogil:
    """V vectors of a panel from vector v0 on. V is a literal: LV groups of lanes at once, or one vector.

    So is end; S is where slopes are, those of END_KEPT or A itself. first, last: whether these are the first
    and the last of the chunk that fall into their lanes.

    dz and slopes are at least TINY where they are not 0. Times a w that is not small, they are far from
    denormal, and so dZ of a first layer, which meets only X, is compared with TINY only where w is small.
    """
    cdef int groups = LV if V > 1 else 1
    cdef lanes[LV] dW
    cdef lanes[LV] db
    cdef lanes[PV] s
    cdef lanes a, d, w
    cdef Py_ssize_t i, at
    cdef int v
    cdef bint small
    for v in range(V):
        s[v] = v_load(dz + (v0 + v)*VW)
    for i in range(u.F):
        w = v_set(u.w[i])
        small = not u.first_layer or -SMALL_WEIGHT < u.w[i] < SMALL_WEIGHT
        at = i*16 + v0 % LV*VW
        for v in range(groups):
            dW[v] = v_zero() if first else v_load(u.chunk_dW + at + v*VW)
            db[v] = v_zero() if first else v_load(u.chunk_db + at + v*VW)
        for v in range(V):
            a = v_load(A + i*PW + (v0 + v)*VW)
            d = ended(end, v_mul(w, s[v]), v_load(S + i*PW + (v0 + v)*VW) if end == END_KEPT else a)
            if small:
                d = without_tiny(d)
            v_store(A + i*PW + (v0 + v)*VW, d)
            dW[v % LV] = v_fma(s[v], a, dW[v % LV])
            db[v % LV] = v_add(db[v % LV], d)
        for v in range(groups):
            if last:
                v_store(u.dW + at + v*VW, v_add(v_load(u.dW + at + v*VW), dW[v]))
                v_store(u.db + at + v*VW, v_add(v_load(u.db + at + v*VW), db[v]))
            else:
                v_store(u.chunk_dW + at + v*VW, dW[v])
                v_store(u.chunk_db + at + v*VW, db[v])


cdef inline void output_panel(const int end, const output_unit* u, Py_ssize_t j, Py_ssize_t n,
                              const real* dz, real* A, const real* S) noexcept nogil:
    """Panel j of a chunk with n examples in all; A (F, lanes) becomes dZ of its layer."""
    cdef Py_ssize_t vectors = ceil_div(n, VW)      # of the whole chunk
    cdef int v, V = vectors_in_panel(n, j)
    cdef Py_ssize_t here
    if V == PV and vectors % LV == 0:
        output_vectors(PV, end, u, 0, j == 0, (j + 1)*PV >= vectors, dz, A, S)
        return
    for v in range(V):
        here = j*PV + v
        output_vectors(1, end, u, v, here < LV, here + LV >= vectors, dz, A, S)


cdef void output_chunk(const output_unit* u, Py_ssize_t n, const real* dz, real* A, const real* S,
                       Py_ssize_t A_panel) noexcept nogil:
    """One chunk of n <= CHUNK examples: dz is one row of panels, A the activations of the layer below."""
    cdef Py_ssize_t j
    for j in range(ceil_div(n, PW)):
        if u.end == END_SIGMOID:
            output_panel(END_SIGMOID, u, j, n, dz + j*PW, A + j*A_panel, S + j*A_panel)
        elif u.end == END_TANH:
            output_panel(END_TANH, u, j, n, dz + j*PW, A + j*A_panel, S + j*A_panel)
        elif u.end == END_RELU:
            output_panel(END_RELU, u, j, n, dz + j*PW, A + j*A_panel, S + j*A_panel)
        elif u.end == END_KEPT:
            output_panel(END_KEPT, u, j, n, dz + j*PW, A + j*A_panel, S + j*A_panel)
        else:
            output_panel(END_IDENTITY, u, j, n, dz + j*PW, A + j*A_panel, S + j*A_panel)
