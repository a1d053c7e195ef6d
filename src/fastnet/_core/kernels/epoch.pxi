# Blocks, batches, epochs. Every gradient is a sum over examples:
# dW_ji = sum_n dZ_jn a_in, db_j = sum_n dZ_jn.
#
# A batch of at most BLOCK examples is one chain for each sum. A deeper one is cut into blocks of BLOCK
# examples whose sums are the leaves of a fixed binary tree over the block's index, T(n) = T(p) + T(n - p)
# with p the largest power of two below n: whoever works a block out, the bits are the same.

cdef void sum_rows(const real* dZ, Py_ssize_t rows, Py_ssize_t r0, Py_ssize_t r1, Py_ssize_t n, real* sums,
                   real* out) noexcept nogil:
    """out[r - r0] = the sum over n examples of row r of dZ (rows, n), for rows [r0, r1).

    In 16 virtual lanes.
    """
    cdef lanes[LV] s
    cdef Py_ssize_t r, j, full = n//PW
    cdef int v, V = vectors_in_panel(n, full) if full*PW < n else 0
    for r in range(r0, r1):
        for v in range(LV):
            s[v] = v_zero()
        for j in range(full):
            for v in range(PV):
                s[v % LV] = v_add(s[v % LV], v_load(dZ + (j*rows + r)*PW + v*VW))
        for v in range(LV):
            v_store(sums + (r - r0)*16 + v*VW, s[v])
        for v in range(V):
            v_store(sums + (r - r0)*16 + v % LV*VW,
                    v_add(v_load(sums + (r - r0)*16 + v % LV*VW), v_load(dZ + (full*rows + r)*PW + v*VW)))
    fold_rows(sums, r1 - r0, out)


cdef void add_leaves(const trainer* t, Py_ssize_t leaves, Py_ssize_t r0, Py_ssize_t r1,
                     real* sums) noexcept nogil:
    """Rows [r0, r1) of the output unit's sums, leaf by leaf in order.

    `sums` is that of the first leaf, in t.output_sums.
    """
    cdef Py_ssize_t leaf, i
    for leaf in range(1, leaves):
        i = r0*16
        while i < r1*16:
            v_store(sums + i, v_add(v_load(sums + i), v_load(sums + leaf*2*t.sums_size + i)))
            i += VW


cdef inline void step_weights(real* W, const real* dW, Py_ssize_t n, real scale) noexcept nogil:
    """W += scale dW, with scale = -learning_rate/n: stochastic gradient descent."""
    cdef Py_ssize_t i = 0
    while i < n:
        v_store(W + i, v_fma(v_set(scale), v_load(dW + i), v_load(W + i)))
        i += VW


cdef inline void step_bias(real* b, const real* db, Py_ssize_t n, real scale) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        v_store(b + i*VW, v_fma(v_set(scale), v_set(db[i]), v_load(b + i*VW)))


cdef void output_gradients(const trainer* t, real* sums, Py_ssize_t n, bint alone,
                           Py_ssize_t r0, Py_ssize_t r1, real* out) noexcept nogil:
    """out[r - r0] = rows [r0, r1) of the output unit's sums over n examples, folded."""
    if not alone:
        add_leaves(t, ceil_div(n, LEAF), r0, r1, sums)
    fold_rows(sums + r0*16, r1 - r0, out)


cdef void block_gradients(const trainer* t, Py_ssize_t n, bint update, real scale, real* to,
                          const team* together, int thread) noexcept nogil:
    """This thread's rows of dW and db of every layer, from the block's dZ and A'.

    Into the gradient at `to`, or with update at once into W and b.
    """
    cdef const worker* w = &t.workers[thread]
    cdef product x
    cdef layer* l
    cdef real* dW
    cdef Py_ssize_t r0, r1, i0, i1
    cdef int k, last = t.n_layers - 1
    cdef bint alone = together.size == 1
    for k in range(last, -1, -1):
        l = &t.layers[k]
        dW = to + (l.dW - t.gradient)
        r0 = share(l.n_out, thread, together.size)
        r1 = share(l.n_out, thread + 1, together.size)
        if t.one_unit and k == last:  # its W is one row of panels: contiguous, dealt out by whole vectors
            i0 = share(ceil_div(l.n_in, VW), thread, together.size)*VW
            i1 = smaller(share(ceil_div(l.n_in, VW), thread + 1, together.size)*VW, l.n_in)
            if i1 > i0:
                output_gradients(t, t.output_sums, n, alone, i0, i1, w.folded if update else dW + i0)
            if update:
                step_weights(l.W + i0, w.folded, i1 - i0, scale)
        elif r1 > r0:
            x.P = l.dZ
            x.Q = l.AT
            x.C = l.W if update else dW
            x.init = NULL
            x.A = NULL
            x.packed = w.packed if l.n_out*n > PACKED else NULL
            x.M = l.n_out
            x.N = l.n_in
            x.K = n
            x.Q_panel = t.AT_panel_rows*PW
            x.Q_narrow = True
            x.end = END_UPDATE if update else END_STORE
            x.scale = scale
            product_rows(&x, r0, r1, 0, ceil_div(l.n_in, PW))
        if r1 > r0:
            if t.one_unit and k == last - 1:
                output_gradients(t, t.output_sums + t.sums_size, n, alone, r0, r1, w.folded)
            else:
                sum_rows(l.dZ, l.n_out, r0, r1, n, w.sums, w.folded)
            if update:
                step_bias(l.b + r0*VW, w.folded, r1 - r0, scale)
            else:
                memcpy(to + (l.db - t.gradient) + r0, w.folded, (r1 - r0)*sizeof(real))


cdef void add_gradient(const trainer* t, Py_ssize_t left, const team* together, int thread) noexcept nogil:
    """This thread's part of the sum of two subtrees' gradients.

    The one at `left` and the next, into the one at `left`.
    """
    cdef real* g = t.gradient + left*t.gradient_size
    cdef Py_ssize_t lines = t.gradient_size//LINE
    cdef Py_ssize_t i = share(lines, thread, together.size)*LINE
    cdef Py_ssize_t end = share(lines, thread + 1, together.size)*LINE
    while i < end:
        v_store(g + i, v_add(v_load(g + i), v_load(g + t.gradient_size + i)))
        i += VW


cdef inline Py_ssize_t merge_twins(const trainer* t, Py_ssize_t top, Py_ssize_t blocks, team* together,
                                   int thread) noexcept nogil:
    """After so many blocks, two finished subtrees of the same size become one.

    `top` is the number of subtrees in t.gradient.
    """
    while blocks % 2 == 0:
        top -= 1
        add_gradient(t, top - 1, together, thread)
        team_wait(together)
        blocks //= 2
    return top


cdef inline void merge_rest(const trainer* t, Py_ssize_t top, team* together, int thread) noexcept nogil:
    """After the last block: the smaller subtrees, from the right."""
    while top > 1:
        top -= 1
        add_gradient(t, top - 1, together, thread)
        team_wait(together)


cdef Py_ssize_t batch_gradient(const trainer* t, const examples* data, Py_ssize_t position, Py_ssize_t n,
                               real* costs, team* together, int thread) noexcept nogil:
    """The summed gradient of n examples at t.gradient, by blocks and their tree.

    Returns the number of blocks.
    """
    cdef Py_ssize_t blocks = 0, first = 0, m, top = 0
    while first < n:
        m = smaller(t.block, n - first)
        block_passes(t, data, position + first, m, together, thread)
        team_wait(together)
        if thread == 0:
            block_cost(t, m, costs + blocks)
        block_gradients(t, m, False, 0, t.gradient + top*t.gradient_size, together, thread)
        team_wait(together)
        blocks += 1
        top = merge_twins(t, top + 1, blocks, together, thread)
        first += m
    merge_rest(t, top, together, thread)
    return blocks


cdef void train(void* arena, const examples* data, Py_ssize_t batch, Py_ssize_t first, Py_ssize_t last,
                double learning_rate, void* costs, team* together, int thread) noexcept nogil:
    """Batch after batch from position first up to last of the order.

    The last one may be smaller, and counts as it is.
    """
    cdef const trainer* t = <const trainer*>arena
    cdef real* cost = <real*>costs
    cdef layer* l
    cdef Py_ssize_t n, r0, r1, size
    cdef real scale
    cdef int k
    while first < last:
        n = smaller(batch, last - first)
        scale = <real>(-learning_rate/n)
        if n <= t.block:
            block_passes(t, data, first, n, together, thread)
            team_wait(together)                    # all dZ and A' are there
            if thread == 0:
                block_cost(t, n, cost)
            block_gradients(t, n, True, scale, t.gradient, together, thread)
            cost += 1
        else:
            cost += batch_gradient(t, data, first, n, cost, together, thread)
            for k in range(t.n_layers):
                l = &t.layers[k]
                size = l.n_out*round_up(l.n_in, PW)//LINE
                r0 = share(size, thread, together.size)*LINE
                r1 = share(size, thread + 1, together.size)*LINE
                step_weights(l.W + r0, l.dW + r0, r1 - r0, scale)
                r0 = share(l.n_out, thread, together.size)
                r1 = share(l.n_out, thread + 1, together.size)
                step_bias(l.b + r0*VW, l.db + r0, r1 - r0, scale)
        team_wait(together)                        # all weights are there
        first += n


cdef void gradients(void* arena, const examples* data, Py_ssize_t n, const layer_arrays* out, void* costs,
                    team* together, int thread) noexcept nogil:
    """The summed gradients of n examples, to the user's arrays."""
    cdef const trainer* t = <const trainer*>arena
    cdef int k
    batch_gradient(t, data, 0, n, <real*>costs, together, thread)
    if thread > 0:
        return
    for k in range(t.n_layers):
        unpack_weights(t.layers[k].dW, t.layers[k].n_out, t.layers[k].n_in, <real*>out[k].W)
        memcpy(out[k].b, t.layers[k].db, t.layers[k].n_out*sizeof(real))
