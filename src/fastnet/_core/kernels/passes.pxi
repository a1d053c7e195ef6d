# The passes of one strip of examples through the network: forward, loss, backward.
# The formulas are those of the notes.

cdef void forward_layer(const worker* w, const layer* l, int activation, const real* A_in,
                        Py_ssize_t A_in_height, Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    """A = activation(W A_in + b), Z_jn = sum_i w_ji a_in + b_j, for n examples.

    A_in and l.A from panel 0 of the strip.
    """
    cdef product x
    cdef Py_ssize_t j, panels = ceil_div(n, PW)
    x.P = l.W
    x.Q = A_in
    x.C = l.A + first*l.n_out
    x.init = l.b
    x.A = NULL
    x.packed = w.packed if l.wide else NULL
    x.M = l.n_out
    x.N = n
    x.K = l.n_in
    x.Q_panel = A_in_height*PW
    x.Q_narrow = False
    x.end = END_STORE
    x.scale = 0
    product_rows(&x, 0, l.n_out, 0, panels)
    for j in range(panels):
        activate_panel(activation, x.C + j*l.n_out*PW, l.n_out, vectors_in_panel(n, j))


cdef void forward(const trainer* t, const worker* w, Py_ssize_t first, Py_ssize_t n,
                  bint training) noexcept nogil:
    """All layers on the n examples in w.X, which start at `first` of the block.

    When training, the layers' inputs are kept transposed, and the last layer stops at its logits Z.
    """
    cdef const real* A_in = w.X
    cdef Py_ssize_t height = t.X_height, j
    cdef layer* l
    cdef int k
    for k in range(t.n_layers):
        l = &t.layers[k]
        if k > 0 and training and l.AT != NULL:
            for j in range(ceil_div(n, PW)):
                transpose_panel(A_in + j*height*PW, height, vectors_in_panel(n, j), l.AT,
                                t.AT_panel_rows*PW, first + j*PW)
        forward_layer(w, l, ACTIVATION_IDENTITY if training and k == t.n_layers - 1 else l.activation,
                      A_in, height, first, n)
        A_in = l.A + first*l.n_out
        height = l.n_out


cdef void backward_layer(const worker* w, const layer* l, layer* below, Py_ssize_t first,
                         Py_ssize_t n) noexcept nogil:
    """dZ of the layer below: dA = W' dZ, dA_in = sum_j w_ji dZ_jn, times the slope of its activation."""
    cdef product x
    x.P = l.W
    x.Q = l.dZ + first*l.n_out
    x.C = below.dZ + first*below.n_out
    x.init = NULL
    x.A = below.A + first*below.n_out
    x.packed = w.packed if l.wide else NULL
    x.M = l.n_in
    x.N = n
    x.K = l.n_out
    x.Q_panel = l.n_out*PW
    x.Q_narrow = False
    x.end = END_SLOPE if below.activation == ACTIVATION_SIGMOID else END_STORE
    x.scale = 0
    product_cols(&x, 0, ceil_div(n, PW))


cdef void loss_and_output(const trainer* t, const worker* w, Py_ssize_t first, Py_ssize_t n,
                          bint alone) noexcept nogil:
    """Z of the last layer becomes dZ = a - t; the cost of each leaf goes to its 16 lanes.

    With one output unit, also dZ of the layer below and the sums of both gradients: alone, one total; in a
    team, a total for each leaf, added up later.
    """
    cdef layer* last = &t.layers[t.n_layers - 1]
    cdef layer* below = last - 1 if t.one_unit else last
    cdef real* cost
    cdef real* Z
    cdef output_unit u
    cdef Py_ssize_t s = 0, m, j
    u.w = last.W
    u.dW = t.output_sums
    u.leaf_dW = w.leaf_dW
    u.leaf_db = w.leaf_db
    u.F = last.n_in
    u.activation = below.activation
    while s < n:
        m = smaller(LEAF, n - s)
        cost = t.leaf_costs + (first + s)//LEAF*16
        memset(cost, 0, 16*sizeof(real))
        for j in range(ceil_div(m, PW)):
            Z = last.A + (first + s + j*PW)*last.n_out
            bce_rows(Z, w.T + (s + j*PW)*last.n_out, last.n_out, smaller(PW, m - j*PW), cost)
        if t.one_unit:
            if not alone:
                u.dW = t.output_sums + (first + s)//LEAF*2*t.sums_size
                memset(u.dW, 0, 2*t.sums_size*sizeof(real))
            u.db = u.dW + t.sums_size
            output_leaf(&u, m, last.dZ + first + s, below.A + (first + s)*below.n_out, below.n_out*PW)
        s += LEAF


cdef void gather_X(const trainer* t, const worker* w, const examples* data, Py_ssize_t position,
                   Py_ssize_t first, Py_ssize_t n, real* AT) noexcept nogil:
    """n examples from `position` of the order on into w.X and, from row `first` of the block on, into AT."""
    cdef Py_ssize_t j, F = t.layers[0].n_in
    if rows_are_contiguous(data.X):
        gather_rows(data.X, F, data.order, position, n, t.zeros, w.X, AT, t.AT_panel_rows*PW, first)
        return
    gather_elements(data.X, F, data.order, position, n, w.X, t.X_height)
    if AT != NULL:
        for j in range(ceil_div(n, PW)):
            transpose_panel(w.X + j*t.X_height*PW, F, vectors_in_panel(n, j), AT,
                            t.AT_panel_rows*PW, first + j*PW)


cdef inline Py_ssize_t share(Py_ssize_t count, int thread, int threads) noexcept nogil:
    """Where the share of a thread starts when `count` things are dealt out in order.

    The next thread's start is its end.
    """
    return count*thread//threads


cdef void block_passes(const trainer* t, const examples* data, Py_ssize_t position, Py_ssize_t n,
                       const team* together, int thread) noexcept nogil:
    """Forward, loss and backward for this thread's leaves of the n examples of a block, strip by strip.

    Leaves dZ and A' of every layer, the costs of leaves and the sums of the output unit.
    """
    cdef const worker* w = &t.workers[thread]
    cdef layer* last = &t.layers[t.n_layers - 1]
    cdef Py_ssize_t leaves = ceil_div(n, LEAF), first, end, m
    cdef bint alone = together.size == 1
    cdef int k
    if t.one_unit and alone:
        memset(t.output_sums, 0, 2*t.sums_size*sizeof(real))
    first = share(leaves, thread, together.size)*LEAF
    end = smaller(share(leaves, thread + 1, together.size)*LEAF, n)
    while first < end:
        m = smaller(t.strip, end - first)
        gather_X(t, w, data, position + first, first, m, t.layers[0].AT)
        gather_elements(data.T, last.n_out, data.order, position + first, m, w.T, last.n_out)
        forward(t, w, first, m, True)
        loss_and_output(t, w, first, m, alone)
        k = t.n_layers - (2 if t.one_unit else 1)  # one_unit: dZ of the layer below the last is there already
        while k > 0:
            backward_layer(w, &t.layers[k], &t.layers[k - 1], first, m)
            k -= 1
        first += m


cdef void block_cost(const trainer* t, Py_ssize_t n, real* cost) noexcept nogil:
    """The cost of a block of n examples: its leaves added in order, then the 16 lanes."""
    cdef real[16*VW] sums                          # fold_rows folds VW rows at once
    cdef real[VW] folded
    cdef Py_ssize_t leaf
    cdef int v
    memset(sums, 0, sizeof(sums))
    for leaf in range(ceil_div(n, LEAF)):
        for v in range(LV):
            v_store(sums + v*VW, v_add(v_load(sums + v*VW), v_load(t.leaf_costs + leaf*16 + v*VW)))
    fold_rows(sums, 1, folded)
    cost[0] = folded[0]
