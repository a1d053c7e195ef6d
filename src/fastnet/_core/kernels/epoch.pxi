# Blocks, batches, epochs. Every gradient is a sum over examples: dW_ji = sum_n dZ_jn a_in, db_j = sum_n dZ_jn.
#
# A batch of at most BLOCK examples is one chain for each sum. A deeper one is cut into blocks of BLOCK examples whose
# sums are the leaves of a fixed binary tree over the block's index, T(n) = T(p) + T(n - p) with p the largest power of
# two below n: whoever works a block out, the bits are the same.

cdef void sum_rows(const real* dZ, Py_ssize_t rows, Py_ssize_t n, real* sums, real* out) noexcept nogil:
    """out[r] = sum over n examples of dZ[r], in 16 virtual lanes."""
    cdef lanes[LV] s
    cdef Py_ssize_t r, j, full = n//PW
    cdef int v, V = vectors_in_panel(n, full) if full*PW < n else 0
    for r in range(rows):
        for v in range(LV):
            s[v] = v_zero()
        for j in range(full):
            for v in range(PV):
                s[v % LV] = v_add(s[v % LV], v_load(dZ + (j*rows + r)*PW + v*VW))
        for v in range(LV):
            v_store(sums + r*16 + v*VW, s[v])
        for v in range(V):
            v_store(sums + r*16 + v % LV*VW,
                    v_add(v_load(sums + r*16 + v % LV*VW), v_load(dZ + (full*rows + r)*PW + v*VW)))
    fold_rows(sums, rows, out)


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


cdef void block_gradients(const trainer* t, Py_ssize_t n, bint update, real scale, real* to) noexcept nogil:
    """dW and db of every layer from the block's dZ and A': into the gradient at `to`, or with update at once into W and b."""
    cdef product x
    cdef layer* l
    cdef real* dW
    cdef real* db
    cdef int k, last = t.n_layers - 1
    for k in range(last, -1, -1):
        l = &t.layers[k]
        dW = to + (l.dW - t.gradient)
        db = t.folded if update else to + (l.db - t.gradient)
        if t.one_unit and k == last:               # summed in losses.pxi; its W is one row of panels: contiguous
            fold_rows(t.sums, l.n_in, t.folded if update else dW)
            if update:
                step_weights(l.W, t.folded, l.n_in, scale)
        else:
            x.P = l.dZ
            x.Q = l.AT
            x.C = l.W if update else dW
            x.init = NULL
            x.A = NULL
            x.packed = t.packed if l.n_out*n > PACKED else NULL
            x.M = l.n_out
            x.N = l.n_in
            x.K = n
            x.Q_panel = t.AT_panel_rows*PW
            x.Q_narrow = True
            x.end = END_UPDATE if update else END_STORE
            x.scale = scale
            product_rows(&x, 0, l.n_out, 0, ceil_div(l.n_in, PW))
        if t.one_unit and k == last - 1:
            fold_rows(t.sums + t.sums_size, l.n_out, db)
        else:
            sum_rows(l.dZ, l.n_out, n, t.sums + 4*t.sums_size, db)
        if update:
            step_bias(l.b, db, l.n_out, scale)


cdef void add_gradient(real* left, const real* right, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0
    while i < n:
        v_store(left + i, v_add(v_load(left + i), v_load(right + i)))
        i += VW


cdef inline Py_ssize_t merge_twins(const trainer* t, Py_ssize_t top, Py_ssize_t blocks) noexcept nogil:
    """After so many blocks, with `top` subtrees in t.gradient: two finished ones of the same size become one."""
    while blocks % 2 == 0:
        top -= 1
        add_gradient(t.gradient + (top - 1)*t.gradient_size, t.gradient + top*t.gradient_size, t.gradient_size)
        blocks //= 2
    return top


cdef inline void merge_rest(const trainer* t, Py_ssize_t top) noexcept nogil:
    """After the last block: the smaller subtrees, from the right."""
    while top > 1:
        top -= 1
        add_gradient(t.gradient + (top - 1)*t.gradient_size, t.gradient + top*t.gradient_size, t.gradient_size)


cdef Py_ssize_t batch_gradient(const trainer* t, const examples* data, Py_ssize_t position, Py_ssize_t n, real* costs) noexcept nogil:
    """The summed gradient of n examples at t.gradient, by blocks and their tree. Returns the number of blocks."""
    cdef Py_ssize_t blocks = 0, first = 0, m, top = 0
    while first < n:
        m = smaller(t.block, n - first)
        block_passes(t, data, position + first, m, costs + blocks)
        block_gradients(t, m, False, 0, t.gradient + top*t.gradient_size)
        blocks += 1
        top = merge_twins(t, top + 1, blocks)
        first += m
    merge_rest(t, top)
    return blocks


cdef void train(void* arena, const examples* data, Py_ssize_t batch, Py_ssize_t first, Py_ssize_t last, double learning_rate,
                void* costs) noexcept nogil:
    """Batch after batch from position first up to last of the order: the last one may be smaller, and counts as it is."""
    cdef const trainer* t = <const trainer*>arena
    cdef real* cost = <real*>costs
    cdef Py_ssize_t n
    cdef real scale
    cdef int k
    while first < last:
        n = smaller(batch, last - first)
        scale = <real>(-learning_rate/n)
        if n <= t.block:
            block_passes(t, data, first, n, cost)
            block_gradients(t, n, True, scale, t.gradient)
            cost += 1
        else:
            cost += batch_gradient(t, data, first, n, cost)
            for k in range(t.n_layers):
                step_weights(t.layers[k].W, t.layers[k].dW, t.layers[k].n_out*round_up(t.layers[k].n_in, PW), scale)
                step_bias(t.layers[k].b, t.layers[k].db, t.layers[k].n_out, scale)
        first += n


cdef void gradients(void* arena, const examples* data, Py_ssize_t n, const layer_arrays* out, void* costs) noexcept nogil:
    """The summed gradients of n examples, to the user's arrays."""
    cdef const trainer* t = <const trainer*>arena
    cdef int k
    batch_gradient(t, data, 0, n, <real*>costs)
    for k in range(t.n_layers):
        unpack_weights(t.layers[k].dW, t.layers[k].n_out, t.layers[k].n_in, <real*>out[k].W)
        memcpy(out[k].b, t.layers[k].db, t.layers[k].n_out*sizeof(real))
