# Training in batches of a few examples (at most SMALL_STEP): a lane is a unit.
#
#     forward    A (n, n_out)     = f(b' + A_in (n, n_in) W')
#     backward   dA_in (n, n_in)  = dZ (n, n_out) W
#     gradient   dW' (n_in, n_out) = A_in' dZ
#
# With a lane an example, a step of one example is one of 16 whose others are zero. Here examples are rows, as
# in small_batch.pxi, and the weights lie transposed from the first batch of a call to the last, with what the
# optimiser keeps for them; W for the way back comes from squares of W' that are transposed in registers. The
# one output unit keeps its W, a single row, and the loss has a lane an example everywhere. Every sum has the
# terms and the order of passes.pxi and epoch.pxi, and so the same bits: where those add 16 lanes, lane e is
# example e, and what an absent one adds is +0, which makes a -0 the +0 that `fold_examples` starts from.
# Uses: activations, arena, elementary, optimizers, panels, passes, product, util

cdef inline Py_ssize_t panel_of_units(const layer* l, Py_ssize_t p) noexcept nogil:
    """Where panel p of W' starts: the panels have whole vectors of rows, and the last one narrow rows."""
    return p*round_up(l.n_in, VW)*PW


cdef void transpose_to_units(const layer* l, const real* W, real* WT) noexcept nogil:
    cdef Py_ssize_t p
    for p in range(ceil_div(l.n_in, PW)):
        transpose_panel(W + p*l.n_out*PW, 0, l.n_out, l.n_out, vectors_in_panel(l.n_in, p), WT,
                        round_up(l.n_in, VW)*PW, p*PW)


cdef void transpose_from_units(const layer* l, const real* WT, real* W) noexcept nogil:
    cdef lanes[VW] t
    cdef Py_ssize_t i, j, w
    cdef const real* square
    cdef int k
    j = 0
    while j < l.n_out:
        w = row_width(l.n_out, j//PW)
        i = 0
        while i < l.n_in:
            square = WT + panel_of_units(l, j//PW) + i*w + j%PW
            for k in range(VW):
                t[k] = v_load(square + k*w)
            v_transpose(t)
            for k in range(VW):
                if j + k < l.n_out:
                    v_store(W + (i//PW*l.n_out + j + k)*PW + i%PW, t[k])
            i += VW
        j += VW


cdef inline bint lies_transposed(const trainer* t, int k) noexcept nogil:
    return not (t.one_unit and k == t.n_layers - 1)


cdef void begin_small_steps(const trainer* t) noexcept nogil:
    """W' of every layer, and what the optimiser keeps for it."""
    cdef const layer* l
    cdef int k, m
    for k in range(t.n_layers):
        l = &t.layers[k]
        if lies_transposed(t, k):
            transpose_to_units(l, l.W, l.WT)
            for m in range(MOMENTS_OF_OPTIMIZER[t.options.optimizer]):
                transpose_to_units(l, l.state[m], l.state_WT[m])


cdef void end_small_steps(const trainer* t) noexcept nogil:
    cdef const layer* l
    cdef int k, m
    for k in range(t.n_layers):
        l = &t.layers[k]
        spread_bias(l, 0, l.n_out)
        if lies_transposed(t, k):
            transpose_from_units(l, l.WT, l.W)
            for m in range(MOMENTS_OF_OPTIMIZER[t.options.optimizer]):
                transpose_from_units(l, l.state_WT[m], l.state[m])


cdef const real* gather_examples(const trainer* t, const examples* data, Py_ssize_t position,
                                 Py_ssize_t n) noexcept nogil:
    """n examples from `position` of the order on as the rows of a panel matrix; one is read where it lies."""
    cdef Py_ssize_t F = t.layers[0].n_in, e, p, f, m
    cdef bint contiguous = rows_are_contiguous(data.X)
    cdef const char* x
    cdef real* a
    if n == 1 and contiguous and t.standardize.mean == NULL:
        return <const real*>column(data.X, data.order, position, 0)
    for e in range(n):
        x = column(data.X, data.order, position, e)
        for p in range(ceil_div(F, PW)):
            m = smaller(PW, F - p*PW)
            a = t.X_rows + (p*n + e)*PW
            if contiguous:
                memcpy(a, x + p*PW*<Py_ssize_t>sizeof(real), m*sizeof(real))
            else:
                for f in range(m):
                    a[f] = element(x + (p*PW + f)*data.X.row_step)
            if t.standardize.mean != NULL:
                for f in range(m):
                    a[f] = (a[f] - t.standardize.mean[p*PW + f])/t.standardize.scale[p*PW + f]
    return t.X_rows


cdef inline void rows_forward(const layer* l, const real* A_in, Py_ssize_t n, bint activate) noexcept nogil:
    """Z = b' + A_in W', and A and the slopes where they are kept; of the last layer Z alone."""
    cdef Py_ssize_t p
    cdef span s
    s.P_panel = n*PW
    s.K = l.n_in
    s.end = END_STORE
    s.init_row = 0
    s.init_vector = VW
    for p in range(ceil_div(l.n_out, PW)):
        s.Q = l.WT + panel_of_units(l, p)
        s.Q_row = row_width(l.n_out, p)
        cross_panel(0, vectors_in_panel(l.n_out, p), &s, A_in, n, l.A_rows + p*n*PW, l.b + p*PW, l.A_rows,
                    NULL)
        if activate:
            activate_panel(l.activation, l.A_rows + p*n*PW, l.S_rows + p*n*PW if l.S != NULL else NULL, n,
                           vectors_in_panel(l.n_out, p), LOG_TINY)


cdef void unit_forward(const layer* l, const real* A_in, Py_ssize_t n) noexcept nogil:
    """Z of the one output unit, where a lane is an example: its W is a row, and four chains run at once."""
    cdef lanes[4] z
    cdef const real* a[4]
    cdef const real* w
    cdef lanes wk
    cdef Py_ssize_t e, p, k, four
    cdef int u
    for four in range(ceil_div(n, 4)):
        e = four*4
        for u in range(4):
            z[u] = v_set(l.b[0])
        for p in range(ceil_div(l.n_in, PW)):
            w = l.W + p*PW
            for u in range(4):
                a[u] = A_in + (p*n + smaller(e + u, n - 1))*PW
            for k in range(smaller(PW, l.n_in - p*PW)):
                wk = v_set(w[k])
                for u in range(4):
                    z[u] = v_fma(wk, v_set(a[u][k]), z[u])
        for u in range(4):
            if e + u < n:
                v_store_first(l.A + e + u, z[u], 1)


cdef void lanes_to_rows(const real* A, Py_ssize_t units, Py_ssize_t n, real* rows) noexcept nogil:
    """(units, n) with a lane an example to (n, units) with a lane a unit."""
    cdef lanes[VW] t
    cdef Py_ssize_t j, e, jv, ev
    cdef int k
    for jv in range(ceil_div(units, VW)):
        j = jv*VW
        for ev in range(ceil_div(n, VW)):
            e = ev*VW
            for k in range(VW):
                t[k] = v_load(A + (j + k)*PW + e) if j + k < units else v_zero()
            v_transpose(t)
            for k in range(VW):
                if e + k < n:
                    v_store(rows + (j//PW*n + e + k)*PW + j%PW, t[k])


cdef void rows_to_lanes(const real* rows, Py_ssize_t units, Py_ssize_t n, real* A) noexcept nogil:
    """The way back; lanes past n become zero."""
    cdef lanes[VW] t
    cdef Py_ssize_t j, e, jv, ev
    cdef int k
    for jv in range(ceil_div(units, VW)):
        j = jv*VW
        for ev in range(ceil_div(n, VW)):
            e = ev*VW
            for k in range(VW):
                t[k] = v_load(rows + (j//PW*n + e + k)*PW + j%PW) if e + k < n else v_zero()
            v_transpose(t)
            for k in range(VW):
                if j + k < units:
                    v_store(A + (j + k)*PW + e, t[k])


cdef inline lanes fold_examples(lanes* s, Py_ssize_t n) noexcept nogil:
    """The sum of n <= 8 terms by the tree of `fold_row`: e + e+4, then +2, +1; each starts as +0 plus it."""
    cdef int e
    for e in range(n):
        s[e] = v_add(v_zero(), s[e])
    for e in range(n - 4):
        s[e] = v_add(s[e], s[e + 4])
    if n > 2:
        s[0] = v_add(s[0], s[2])
    if n > 3:
        s[1] = v_add(s[1], s[3])
    return v_add(s[0], s[1]) if n > 1 else s[0]


cdef inline lanes rows_ended(int end, lanes c, const real* A, const real* S) noexcept nogil:
    """dA times the slope, from a or as it was kept."""
    if end == END_SIGMOID:
        return ended(END_SIGMOID, c, v_load(A))
    if end == END_TANH:
        return ended(END_TANH, c, v_load(A))
    if end == END_RELU:
        return ended(END_RELU, c, v_load(A))
    if end == END_KEPT:
        return ended(END_KEPT, c, v_load(S))
    return c


cdef void unit_backward(const trainer* t, const layer* l, const layer* below, Py_ssize_t n) noexcept nogil:
    """dW of the one output unit, and dZ and db of the layer below: `output_chunk`."""
    cdef lanes[SMALL_STEP] dW
    cdef lanes[SMALL_STEP] db
    cdef lanes[SMALL_STEP] dz
    cdef lanes w, d, less
    cdef bint first_layer = below == &t.layers[0]
    cdef Py_ssize_t i, at, iv
    cdef int e
    for e in range(n):
        dz[e] = v_set(l.A[e])
    for iv in range(ceil_div(l.n_in, VW)):
        i = iv*VW
        w = v_load(l.W + i)
        less = v_sub(v_abs(w), v_set(SMALL_WEIGHT)) if first_layer else v_set(-1)
        for e in range(n):
            at = (i//PW*n + e)*PW + i%PW
            d = rows_ended(below.end, v_mul(w, dz[e]), below.A_rows + at, below.S_rows + at)
            d = v_if_negative(less, without_tiny(d), d)
            v_store(below.dZ_rows + at, d)
            dW[e] = v_fma(dz[e], v_load(below.A_rows + at), v_zero())
            db[e] = d
        v_store(l.dW + i, fold_examples(dW, n))
        v_store(below.db + i, fold_examples(db, n))


cdef void rows_backward(const layer* l, const layer* below, Py_ssize_t n) noexcept nogil:
    """dZ of the layer below: dA = dZ W, a square of W' after the other, times the slope."""
    cdef lanes[VW] t
    cdef lanes[SMALL_STEP] c
    cdef lanes sum
    cdef Py_ssize_t i, j, w, at, iv, jv
    cdef const real* square
    cdef const real* dz
    cdef int e, k, units
    for iv in range(ceil_div(l.n_in, VW)):
        i = iv*VW
        for e in range(n):
            c[e] = v_zero()
        for jv in range(ceil_div(l.n_out, VW)):
            j = jv*VW
            w = row_width(l.n_out, j//PW)
            square = l.WT + panel_of_units(l, j//PW) + i*w + j%PW
            for k in range(VW):
                t[k] = v_load(square + k*w)
            v_transpose(t)
            units = <int>smaller(VW, l.n_out - j)
            for e in range(n):
                dz = l.dZ_rows + (j//PW*n + e)*PW + j%PW
                sum = c[e]
                if units == VW:
                    for k in range(VW):
                        sum = v_fma(t[k], v_set(dz[k]), sum)
                else:
                    for k in range(VW):
                        if k < units:
                            sum = v_fma(t[k], v_set(dz[k]), sum)
                c[e] = sum
        for e in range(n):
            at = (i//PW*n + e)*PW + i%PW
            v_store(below.dZ_rows + at,
                    without_tiny(rows_ended(below.end, c[e], below.A_rows + at, below.S_rows + at)))


cdef void rows_bias_gradient(const layer* l, Py_ssize_t n) noexcept nogil:
    """db = the sum of dZ over the examples."""
    cdef lanes[SMALL_STEP] d
    cdef Py_ssize_t j, jv
    cdef int e
    for jv in range(ceil_div(l.n_out, VW)):
        j = jv*VW
        for e in range(n):
            d[e] = v_load(l.dZ_rows + (j//PW*n + e)*PW + j%PW)
        v_store(l.db + j, fold_examples(d, n))


cdef inline void rows_gradient(const int V, const bint fused, const layer* l, const step_plan* s,
                               const real* A_in, Py_ssize_t n, Py_ssize_t p, Py_ssize_t v,
                               real* to) noexcept nogil:
    """V vectors of panel p of dW' from vector v on, to `to`, or a step of gradient descent at once.

    V and fused are literals. One chain over the examples.
    """
    cdef lanes[NV] c
    cdef lanes a
    cdef Py_ssize_t i, e, w = row_width(l.n_out, p)
    cdef const real* dZ = l.dZ_rows + p*n*PW + v*VW
    cdef const real* x
    cdef int u
    to += v*VW
    for i in range(l.n_in):
        x = A_in + i//PW*n*PW + i%PW
        for u in range(V):
            c[u] = v_zero()
        for e in range(n):
            a = v_set(x[e*PW])
            for u in range(V):
                c[u] = v_fma(v_load(dZ + e*PW + u*VW), a, c[u])
        for u in range(V):
            if fused:
                c[u] = v_fma(v_set(s.scale), c[u], v_mul(v_set(s.decay), v_load(to + u*VW)))
            v_store(to + u*VW, c[u])
        to += w


cdef void narrow_rows_gradient(const layer* l, const real* A_in, Py_ssize_t n, Py_ssize_t p,
                               real* to) noexcept nogil:
    """Panel p of dW' where few features have it summed in lanes: narrow.pxi."""
    cdef lanes[SMALL_STEP] c
    cdef Py_ssize_t i, v, w = row_width(l.n_out, p)
    cdef int e
    for i in range(l.n_in):
        for v in range(vectors_in_panel(l.n_out, p)):
            for e in range(n):
                c[e] = v_fma(v_load(l.dZ_rows + (p*n + e)*PW + v*VW), v_set(A_in[e*PW + i]), v_zero())
            v_store(to + i*w + v*VW, fold_examples(c, n))


cdef void rows_step(const trainer* t, const step_plan* s, const layer* l, const real* A_in, Py_ssize_t n,
                    bint narrow) noexcept nogil:
    """W' takes its step, panel by panel."""
    cdef Py_ssize_t p, v, V, at
    cdef bint fused = t.fused and not narrow
    cdef real* to
    for p in range(ceil_div(l.n_out, PW)):
        at = panel_of_units(l, p)
        V = vectors_in_panel(l.n_out, p)
        to = l.WT + at if fused else t.panel_gradient
        if narrow:
            narrow_rows_gradient(l, A_in, n, p, to)
        else:
            v = 0
            while v + NV <= V:
                if fused:
                    rows_gradient(NV, True, l, s, A_in, n, p, v, to)
                else:
                    rows_gradient(NV, False, l, s, A_in, n, p, v, to)
                v += NV
            while v < V:
                if fused:
                    rows_gradient(1, True, l, s, A_in, n, p, v, to)
                else:
                    rows_gradient(1, False, l, s, A_in, n, p, v, to)
                v += 1
        if not fused:
            STEP_ARRAY[t.options.optimizer](s, False, l.WT + at, to,
                                            l.state_WT[0] + at if l.state[0] != NULL else NULL,
                                            l.state_WT[1] + at if l.state[1] != NULL else NULL,
                                            1, l.n_in*V*VW)


cdef void small_step(const trainer* t, const examples* data, Py_ssize_t position, Py_ssize_t n,
                     const step_plan* s, real* cost) noexcept nogil:
    """A batch of n <= SMALL_STEP examples from `position` of the order on: forward, loss, backward, step."""
    cdef worker* w = &t.workers[0]
    cdef int k, last = t.n_layers - 1
    cdef layer* l
    cdef const real* X = gather_examples(t, data, position, n)
    cdef const real* A_in = X
    cdef real[16] dz
    cdef Py_ssize_t e, ev
    gather_T(t, w, data, position, n, True)
    for k in range(last):
        l = &t.layers[k]
        rows_forward(l, A_in, n, True)
        A_in = l.A_rows
    l = &t.layers[last]
    if t.one_unit:
        for ev in range(ceil_div(n, VW)):
            e = ev*VW
            v_store(l.A + e, v_zero())
        unit_forward(l, A_in, n)
    else:
        rows_forward(l, A_in, n, False)
        rows_to_lanes(l.A_rows, l.n_out, n, l.A)
    activate_layer(l, ACTIVATION_identity if t.logits else l.activation, l.S != NULL, 0, n, LOG_TINY)
    chunk_loss(t, w, 0, 0, n, True)
    block_cost(t, n, cost)
    if t.one_unit:
        unit_backward(t, l, l - 1, n)
        memset(dz, 0, sizeof(dz))
        for e in range(n):
            dz[e] += l.A[e]
        l.db[0] = fold_row(dz)
        step_numbers(t, s, l, False, 0, 1, l.n_in, l.dW)
        step_numbers(t, s, l, True, 0, 1, 1, l.db)
        last -= 1
    else:
        lanes_to_rows(l.A, l.n_out, n, l.dZ_rows)
    for k in range(last, -1, -1):
        l = &t.layers[k]
        if k > 0:
            rows_backward(l, l - 1, n)
        if not (t.one_unit and k == last):         # its db came with its dZ
            rows_bias_gradient(l, n)
        A_in = X
        if k > 0:
            A_in = (l - 1).A_rows
        rows_step(t, s, l, A_in, n, k == 0 and t.X != NULL)
        step_numbers(t, s, l, True, 0, 1, l.n_out, l.db)
