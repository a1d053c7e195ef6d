# The passes of one strip of examples through the network: forward, loss, backward. The formulas are those of the notes.

cdef void forward_layer(const trainer* t, layer* l, int activation, const real* A_in, Py_ssize_t A_in_height,
                        Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    """A = activation(W A_in + b), Z_jn = sum_i w_ji a_in + b_j, for n examples; A_in and l.A from panel 0 of the strip."""
    cdef product x
    cdef Py_ssize_t j, panels = ceil_div(n, PW)
    x.P = l.W
    x.Q = A_in
    x.C = l.A + first*l.n_out
    x.init = l.b
    x.A = NULL
    x.packed = t.packed if l.wide else NULL
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


cdef void forward(const trainer* t, Py_ssize_t first, Py_ssize_t n, bint training) noexcept nogil:
    """All layers on the n examples in t.X, which start at `first` of the block. When training, the layers' inputs are kept
    transposed, and the last layer stops at its logits Z."""
    cdef const real* A_in = t.X
    cdef Py_ssize_t height = t.X_height, j
    cdef layer* l
    cdef int k
    for k in range(t.n_layers):
        l = &t.layers[k]
        if k > 0 and training and l.AT != NULL:
            for j in range(ceil_div(n, PW)):
                transpose_panel(A_in + j*height*PW, height, vectors_in_panel(n, j), l.AT, t.AT_panel_rows*PW, first + j*PW)
        forward_layer(t, l, ACTIVATION_IDENTITY if training and k == t.n_layers - 1 else l.activation, A_in, height, first, n)
        A_in = l.A + first*l.n_out
        height = l.n_out


cdef void backward_layer(const trainer* t, const layer* l, layer* below, Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    """dZ of the layer below: dA = W' dZ, dA_in = sum_j w_ji dZ_jn, times the slope of its activation."""
    cdef product x
    x.P = l.W
    x.Q = l.dZ + first*l.n_out
    x.C = below.dZ + first*below.n_out
    x.init = NULL
    x.A = below.A + first*below.n_out
    x.packed = t.packed if l.wide else NULL
    x.M = l.n_in
    x.N = n
    x.K = l.n_out
    x.Q_panel = l.n_out*PW
    x.Q_narrow = False
    x.end = END_SLOPE if below.activation == ACTIVATION_SIGMOID else END_STORE
    x.scale = 0
    product_cols(&x, 0, ceil_div(n, PW))


cdef void loss_and_output(const trainer* t, Py_ssize_t first, Py_ssize_t n, real* cost) noexcept nogil:
    """Z of the last layer becomes dZ = a - t; adds the cost to 16 lanes, leaf by leaf."""
    cdef layer* last = &t.layers[t.n_layers - 1]
    cdef layer* below = last - 1 if t.one_unit else last
    cdef real[16] leaf_cost
    cdef real* Z
    cdef output_unit u
    cdef Py_ssize_t s, m, j
    cdef int v
    u.w = last.W
    u.dW = t.sums
    u.db = t.sums + t.sums_size
    u.leaf_dW = t.sums + 2*t.sums_size
    u.leaf_db = t.sums + 3*t.sums_size
    u.F = last.n_in
    u.activation = below.activation
    s = 0
    while s < n:
        m = smaller(LEAF, n - s)
        for v in range(LV):
            v_store(leaf_cost + v*VW, v_zero())
        for j in range(ceil_div(m, PW)):
            Z = last.A + (first + s + j*PW)*last.n_out
            bce_rows(Z, t.T + (s + j*PW)*last.n_out, last.n_out, smaller(PW, m - j*PW), leaf_cost)
        for v in range(LV):
            v_store(cost + v*VW, v_add(v_load(cost + v*VW), v_load(leaf_cost + v*VW)))
        if t.one_unit:
            output_leaf(&u, m, last.dZ + first + s, below.A + (first + s)*below.n_out, below.n_out*PW)
        s += LEAF


cdef void gather_X(const trainer* t, const examples* data, Py_ssize_t position, Py_ssize_t first, Py_ssize_t n,
                   real* AT) noexcept nogil:
    """n examples from `position` of the order on into t.X and, from row `first` of the block on, into AT."""
    cdef Py_ssize_t j, F = t.layers[0].n_in
    if rows_are_contiguous(data.X):
        gather_rows(data.X, F, data.order, position, n, t.zeros, t.X, AT, t.AT_panel_rows*PW, first)
        return
    gather_elements(data.X, F, data.order, position, n, t.X, t.X_height)
    if AT != NULL:
        for j in range(ceil_div(n, PW)):
            transpose_panel(t.X + j*t.X_height*PW, F, vectors_in_panel(n, j), AT, t.AT_panel_rows*PW, first + j*PW)


cdef void block_passes(const trainer* t, const examples* data, Py_ssize_t position, Py_ssize_t n, real* cost) noexcept nogil:
    """Forward, loss and backward for the n examples of a block, strip by strip: leaves dZ and A' of every layer.

    cost: the block's summed cost, one number.
    """
    cdef layer* last = &t.layers[t.n_layers - 1]
    cdef real[16*VW] lanes_of_cost                 # fold_rows folds VW rows at once
    cdef real[VW] folded
    cdef Py_ssize_t first = 0, m
    cdef int k
    memset(lanes_of_cost, 0, sizeof(lanes_of_cost))
    if t.one_unit:
        memset(t.sums, 0, 2*t.sums_size*sizeof(real))
    while first < n:
        m = smaller(t.strip, n - first)
        gather_X(t, data, position + first, first, m, t.layers[0].AT)
        gather_elements(data.T, last.n_out, data.order, position + first, m, t.T, last.n_out)
        forward(t, first, m, True)
        loss_and_output(t, first, m, lanes_of_cost)
        k = t.n_layers - (2 if t.one_unit else 1)  # one_unit: dZ of the layer below the last is there already
        while k > 0:
            backward_layer(t, &t.layers[k], &t.layers[k - 1], first, m)
            k -= 1
        first += m
    fold_rows(lanes_of_cost, 1, folded)
    cost[0] = folded[0]
