# The passes of one strip of examples through the network: forward, loss, backward.
# The formulas are those of the notes.
# Uses: activations, arena, elementary, losses, narrow, panels, product, random, raw, sparse, util

cdef enum:                      # what a forward pass is for
    PREDICTING                  # nothing is kept
    COSTING                     # up to the loss
    GRADIENT                    # A' and the slopes are kept for the backward pass
    TRAINING                    # and outputs dropped


cdef void forward_layer(worker* w, const layer* l, const real* A_in, Py_ssize_t A_in_height,
                        Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    """Z = W A_in + b, Z_jn = sum_i w_ji a_in + b_j, for n examples, to where A will be.

    A_in from panel 0 of the strip.
    """
    cdef product x
    if l.n_in <= NARROW:
        narrow_forward(l.W, l.b_lanes, l.n_out, A_in, l.n_in, n, l.A + first*l.n_out)
        return
    x.P = l.W
    x.Q = A_in
    x.C = l.A + first*l.n_out
    x.partial = x.C
    x.partial_of_block = False
    x.init = l.b_lanes
    x.A = NULL
    x.packed = w.packed if l.wide else NULL
    x.M = l.n_out
    x.N = n
    x.K = l.n_in
    x.Q_panel = A_in_height*PW
    x.Q_narrow = False
    x.end = END_STORE
    product_rows_fetching(&x, 0, l.n_out, 0, ceil_div(n, PW), &w.ahead)


cdef bint vectors_finite(const real* Z, Py_ssize_t rows) noexcept nogil:
    """Whether the first vector of each row of a panel is finite."""
    cdef lanes sum = v_zero()
    cdef real[VW] sums
    cdef Py_ssize_t r
    for r in range(rows):
        sum = v_fma(v_load(Z + r*PW), v_zero(), sum)
    v_store(sums, sum)
    return all_finite_array(sums, VW)


cdef void activate_layer(const layer* l, int activation, bint keep, Py_ssize_t first, Py_ssize_t n,
                         real log_least) noexcept nogil:
    """Z becomes A = activation(Z), for n examples; keep: the slopes too, in S."""
    cdef Py_ssize_t j, at
    for j in range(ceil_div(n, PW)):
        at = (first + j*PW)*l.n_out
        activate_panel(activation, l.A + at, l.S + at if keep else NULL, l.n_out, vectors_in_panel(n, j),
                       log_least)


cdef void drop(const trainer* t, const layer* l, uint64_t key, Py_ssize_t in_batch, Py_ssize_t first,
               Py_ssize_t n) noexcept nogil:
    """Each output of a layer and its slope become 0, with the layer's probability, or are scaled up for it.

    (Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014.) Unit r and example m of the batch have
    the 16 bits number m % 4 of draw r*ceil(batch/4) + m//4, whatever the strip and the thread. in_batch:
    where in the batch the n examples start, first: where in the block.
    """
    cdef Py_ssize_t j, r, m, i, at, V, draws = ceil_div(t.batch, 4)
    cdef real keep = <real>(65536.0/(65536 - l.dropout))
    cdef real[PW] factor
    cdef lanes f
    cdef uint64_t u
    cdef int v, piece
    for j in range(ceil_div(n, PW)):
        V = vectors_in_panel(n, j)
        for r in range(l.n_out):
            m = (in_batch + j*PW)//4
            for i in range(ceil_div(V*VW, 4)):
                u = mix(key + <uint64_t>(r*draws + m + i + 1)*G)
                for piece in range(4):
                    factor[4*i + piece] = 0 if (u >> 16*piece & 65535) < l.dropout else keep
            at = (first + j*PW)*l.n_out + r*PW
            for v in range(<int>V):
                f = v_load(factor + v*VW)
                v_store(l.A + at + v*VW, v_mul(f, v_load(l.A + at + v*VW)))
                v_store(l.S + at + v*VW, v_mul(f, v_load(l.S + at + v*VW)))


cdef void forward(const trainer* t, worker* w, Py_ssize_t first, Py_ssize_t n, int purpose,
                  Py_ssize_t in_batch, uint64_t step_number, bint sparse) noexcept nogil:
    """All layers on the n examples in w.X, which start at `first` of the block and at in_batch of the batch.

    Unless predicting, the last layer stops at its logits Z where the loss starts from them; for a backward
    pass, the layers' inputs are kept transposed.
    """
    cdef const real* A_in = w.X
    cdef Py_ssize_t height = t.X_height, j
    cdef layer* l
    cdef int k, activation
    for k in range(t.n_layers):
        l = &t.layers[k]
        if k > 0 and purpose >= GRADIENT and l.AT != NULL:
            for j in range(ceil_div(n, PW)):
                transpose_panel(A_in + j*height*PW, 0, height, height, vectors_in_panel(n, j), l.AT,
                                t.AT_panel_rows*PW, first + j*PW)
        activation = l.activation
        if purpose != PREDICTING and k == t.n_layers - 1 and t.logits:
            activation = ACTIVATION_identity
        if k == 0 and sparse:
            sparse_forward(t, w, l.A + first*l.n_out, first, n)
        else:
            forward_layer(w, l, A_in, height, first, n)
        if purpose == PREDICTING and w.check_Z:
            w.Z_finite = w.Z_finite and vectors_finite(l.A + first*l.n_out, l.n_out)
        activate_layer(l, activation, purpose >= GRADIENT and l.S != NULL, first, n,
                       LOG_LEAST if purpose == PREDICTING and k == t.n_layers - 1 else LOG_TINY)
        if purpose == TRAINING and l.dropout > 0:
            drop(t, l, key_of(key_of(t.options.seed, (<uint64_t>1 << 62) + k), step_number), in_batch, first,
                 n)
        A_in = l.A + first*l.n_out
        height = l.n_out


cdef void backward_layer(const worker* w, const layer* l, layer* below, Py_ssize_t first,
                         Py_ssize_t n) noexcept nogil:
    """dZ of the layer below: dA = W' dZ, dA_in = sum_j w_ji dZ_jn, times the slope of its activation."""
    cdef const real* slopes = below.S if below.end == END_KEPT else below.A
    cdef product x
    x.P = l.W
    x.Q = l.dZ + first*l.n_out
    x.C = below.dZ + first*below.n_out
    x.partial = x.C
    x.partial_of_block = False
    x.init = NULL
    x.A = slopes + first*below.n_out
    x.packed = w.packed if l.wide else NULL
    x.M = l.n_in
    x.N = n
    x.K = l.n_out
    x.Q_panel = l.n_out*PW
    x.Q_narrow = False
    x.end = below.end
    product_cols(&x, 0, ceil_div(n, PW))


cdef inline void chunk_loss(const trainer* t, const worker* w, Py_ssize_t first, Py_ssize_t s, Py_ssize_t m,
                            bint backward) noexcept nogil:
    """Z of the last layer becomes dZ for m examples, a chunk from s of the strip; their cost to 16 lanes."""
    cdef layer* last = &t.layers[t.n_layers - 1]
    cdef chunk_cost* cost = t.chunk_costs + (first + s)//CHUNK
    cdef Py_ssize_t j, at
    if t.unit_bce and w.plain:
        unit_bce(last.A + first + s, w.T + s, m, cost)
        return
    memset(cost, 0, sizeof(chunk_cost))
    for j in range(ceil_div(m, PW)):
        at = (first + s + j*PW)*last.n_out
        loss_panel(t.options.loss, last.A + at, w.T + (s + j*PW)*t.T_height, w.weights + s + j*PW,
                   NULL if t.logits or not backward else last.S + at, t.loss_constants, last.n_out,
                   smaller(PW, m - j*PW), cost.J)


cdef void loss_and_output(const trainer* t, const worker* w, Py_ssize_t first, Py_ssize_t n, bint backward,
                          bint alone) noexcept nogil:
    """Z of the last layer becomes dZ; the cost of each chunk goes to its 16 lanes.

    With one output unit, and unless the cost is all that is wanted, also dZ of the layer below and the sums
    of both gradients: alone, one total; in a team, a total for each chunk, added up later.
    """
    cdef layer* last = &t.layers[t.n_layers - 1]
    cdef layer* below = last - 1 if t.one_unit else last
    cdef const real* slopes = below.S if below.end == END_KEPT else below.A
    cdef output_unit u
    cdef Py_ssize_t s = 0, m, at
    u.w = last.W
    u.dW = t.output_sums
    u.chunk_dW = w.chunk_dW
    u.chunk_db = w.chunk_db
    u.F = last.n_in
    u.end = below.end
    u.first_layer = below == &t.layers[0]
    while s < n:
        m = smaller(CHUNK, n - s)
        chunk_loss(t, w, first, s, m, backward)
        if t.one_unit and backward:
            if not alone:
                u.dW = t.output_sums + (first + s)//CHUNK*2*t.sums_size
                memset(u.dW, 0, 2*t.sums_size*sizeof(real))
            u.db = u.dW + t.sums_size
            at = (first + s)*below.n_out
            output_chunk(&u, m, last.dZ + first + s, below.A + at, slopes + at, below.n_out*PW)
        s += CHUNK


cdef void gather_X(const trainer* t, const worker* w, const examples* data, Py_ssize_t position,
                   Py_ssize_t first, Py_ssize_t n, real* AT) noexcept nogil:
    """n examples from `position` of the order on into w.X and, from row `first` of the block on, into AT."""
    cdef Py_ssize_t j, F = t.layers[0].n_in
    cdef bint in_rows = data.raw == NULL and rows_are_contiguous(data.X)
    if F <= NARROW and in_rows:
        gather_numbers(data.X, F, &t.standardize, data.order, position, n, w.X)
        return
    if in_rows:
        gather_rows(data.X, F, &t.standardize, data.order, position, n, t.zeros, w.X, AT, t.AT_panel_rows*PW,
                    first)
        return
    if data.raw != NULL:
        gather_raw(data.raw, data.order, position, n, w.X, t.X_height, AT, t.AT_panel_rows*PW, first)
        return
    gather_elements(data.X, F, &t.standardize, data.order, position, n, w.X, t.X_height)
    if AT != NULL:
        for j in range(ceil_div(n, PW)):
            transpose_panel(w.X + j*t.X_height*PW, 0, F, F, vectors_in_panel(n, j), AT,
                            t.AT_panel_rows*PW, first + j*PW)


cdef void smooth_labels(const trainer* t, real* T, Py_ssize_t n) noexcept nogil:
    """t becomes keep t + (1 - keep)/C, of the C classes of n examples (Szegedy and others 2016)."""
    cdef Py_ssize_t j, r, at, classes = t.layers[t.n_layers - 1].n_out
    cdef real keep = t.loss_constants[0], of_each = (ONE - keep)/<real>classes
    cdef int v
    for j in range(ceil_div(n, PW)):
        for r in range(classes):
            at = (j*t.T_height + r)*PW
            for v in range(vectors_in_panel(n, j)):
                v_store(T + at + v*VW, v_add(v_mul(v_load(T + at + v*VW), v_set(keep)), v_set(of_each)))


cdef void gather_T(const trainer* t, worker* w, const examples* data, Py_ssize_t position,
                   Py_ssize_t n, bint training) noexcept nogil:
    """The targets and the weights of n examples from `position` of the order on into w.T and w.weights.

    training: the labels of cross_entropy are smoothed.
    """
    cdef Py_ssize_t i, outputs = t.layers[t.n_layers - 1].n_out
    cdef const real* weights = <const real*>data.weights
    if outputs <= NARROW and rows_are_contiguous(data.T):
        gather_numbers(data.T, outputs, &AS_IT_IS, data.order, position, n, w.T)
    elif rows_are_contiguous(data.T):
        gather_rows(data.T, outputs, &AS_IT_IS, data.order, position, n, t.zeros, w.T, NULL, 0, 0)
    else:
        gather_elements(data.T, outputs, &AS_IT_IS, data.order, position, n, w.T, t.T_height)
    if training and t.options.loss == LOSS_cross_entropy and t.loss_constants[0] != 1:
        smooth_labels(t, w.T, n)
    if weights != NULL:
        w.plain = False
        for i in range(n):
            w.weights[i] = weights[data.order[position + i] if data.order != NULL else position + i]
    elif not w.plain:
        w.plain = True
        for i in range(t.strip):
            w.weights[i] = ONE


cdef void block_passes(const trainer* t, const examples* data, Py_ssize_t position, Py_ssize_t n, int purpose,
                       Py_ssize_t in_batch, uint64_t step_number, bint sparse, const matrix* logits,
                       const thread_team* team, int thread) noexcept nogil:
    """Forward, loss and backward for this thread's chunks of the n examples of a block, strip by strip.

    Makes dZ and A' of every layer, the costs of chunks and the sums of the output unit; with the purpose of
    COSTING, the costs only. in_batch: where in the batch the block starts. logits: NULL, or where what the
    loss starts from is copied to, the example at `position` to that column.
    """
    cdef const layer* last = &t.layers[t.n_layers - 1]
    cdef worker* w = &t.workers[thread]
    cdef Py_ssize_t chunks = ceil_div(n, CHUNK), first, end, m
    cdef bint alone = team.size == 1
    cdef int k
    if t.one_unit and alone:
        memset(t.output_sums, 0, 2*t.sums_size*sizeof(real))
    first = share(chunks, thread, team.size)*CHUNK
    end = smaller(share(chunks, thread + 1, team.size)*CHUNK, n)
    while first < end:
        m = smaller(t.strip, end - first)
        if t.X != NULL:
            w.X = t.X + first*t.X_height
        if t.options.sparse:
            find_rows(t, data.order, position + first, m, first)
        elif sparse and data.raw != NULL:
            gather_raw_lists(&t.sparse, data.raw, data.order, position + first, m, first, w.X)
        elif sparse:
            gather_sparse(&t.sparse, data.X, t.layers[0].n_in, data.order, position + first, m, first)
        else:
            gather_X(t, w, data, position + first, first, m,
                     t.layers[0].AT if purpose >= GRADIENT else NULL)
        gather_T(t, w, data, position + first, m, purpose >= GRADIENT)
        forward(t, w, first, m, purpose, in_batch + first, step_number, sparse)
        if logits != NULL:
            scatter(last.A + first*last.n_out, last.n_out, last.n_out, m, logits[0], position + first)
        loss_and_output(t, w, first, m, purpose >= GRADIENT, alone)
        k = t.n_layers - (2 if t.one_unit else 1)  # one_unit: dZ of the layer below the last is there already
        while k > 0 and purpose >= GRADIENT:
            backward_layer(w, &t.layers[k], &t.layers[k - 1], first, m)
            k -= 1
        if sparse and purpose >= GRADIENT:
            transpose_first_dZ(t, first, m, in_batch)
        first += m


cdef void block_cost(const trainer* t, Py_ssize_t n, real* cost) noexcept nogil:
    """The cost of a block of n examples: its chunks added in order, then the 16 lanes."""
    cdef const chunk_cost* chunk = t.chunk_costs
    cdef real[16] sums
    cdef lanes J, odds, o
    cdef Py_ssize_t i, chunks = ceil_div(n, CHUNK)
    cdef int v
    for v in range(LV):
        J = v_load(chunk.J + v*VW)
        odds = v_load(chunk.odds + v*VW)
        for i in range(1, chunks):
            J = v_add(J, v_load(chunk[i].J + v*VW))
            o = v_load(chunk[i].odds + v*VW)
            odds = both_odds(o, odds)
        v_store(sums + v*VW, v_add(J, log1p_of(odds)) if t.unit_bce else J)
    cost[0] = fold_row(sums)


cdef real batch_weight(const examples* data, Py_ssize_t position, Py_ssize_t n) noexcept nogil:
    """The sum of the weights of n examples from `position` of the order on, in 16 virtual lanes."""
    cdef const real* weights = <const real*>data.weights
    cdef real[16] sums
    cdef Py_ssize_t i
    if weights == NULL:
        return <real>n
    memset(sums, 0, sizeof(sums))
    for i in range(n):
        sums[i % 16] += weights[data.order[position + i] if data.order != NULL else position + i]
    return fold_row(sums)
