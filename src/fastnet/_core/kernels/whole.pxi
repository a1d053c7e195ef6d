# Whole calls outside training: prediction in strips, one layer backwards, and elementwise losses.

cdef size_t predict_size(const layer_arrays* arrays, int n_layers, Py_ssize_t n, int threads) noexcept nogil:
    return lay_out(NULL, arrays, n_layers, n, threads, False)


cdef void predict_prepare(void* arena, const layer_arrays* arrays, int n_layers, Py_ssize_t n,
                          int threads) noexcept nogil:
    lay_out(<char*>arena, arrays, n_layers, n, threads, False)
    load_weights(<trainer*>arena, arrays)


cdef void predict(const void* arena, matrix X, Py_ssize_t n, matrix out, const team* together,
                  int thread) noexcept nogil:
    """A of the last layer for this thread's share of n examples, strip by strip.

    Memory does not grow with n.
    """
    cdef const trainer* t = <const trainer*>arena
    cdef const worker* w = &t.workers[thread]
    cdef const layer* last = &t.layers[t.n_layers - 1]
    cdef examples data
    cdef Py_ssize_t strip = round_up(t.strip, PW), strips = ceil_div(n, t.strip), m
    cdef Py_ssize_t first = share(strips, thread, together.size)*t.strip
    cdef Py_ssize_t end = smaller(share(strips, thread + 1, together.size)*t.strip, n)
    data.X = X
    data.order = NULL
    while first < end:
        m = smaller(t.strip, end - first)
        gather_X(t, w, &data, first, 0, m, NULL)
        forward(t, w, thread*strip, m, False)
        scatter(last.A + thread*strip*last.n_out, last.n_out, last.n_out, m, out, first)
        first += m


cdef size_t dense_backward_size(Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t n) noexcept nogil:
    cdef layer_arrays arrays
    arrays.n_in = n_in
    arrays.n_out = n_out
    arrays.activation = ACTIVATION_IDENTITY
    return lay_out(NULL, &arrays, 1, n, 1, True) + (n_in*round_up(smaller(n, BLOCK), PW) + 16)*sizeof(real)


cdef void dense_backward(void* arena, const layer_arrays* arrays, matrix A, matrix dZ, Py_ssize_t n,
                         matrix dA, void* dW, void* db) noexcept nogil:
    """dA = W' dZ, dW = dZ A', db = sum of dZ: the layer alone, by the blocks and the tree of a batch of n."""
    cdef trainer* t = <trainer*>arena
    cdef size_t used = lay_out(<char*>arena, arrays, 1, n, 1, True)
    cdef team alone = new_team(1)
    cdef worker* w
    cdef layer* l = &t.layers[0]
    cdef layer below
    cdef examples data
    cdef Py_ssize_t first = 0, m, s, k, blocks = 0, top = 0
    w = &t.workers[0]
    load_weights(t, arrays)
    below.n_out = l.n_in
    below.activation = ACTIVATION_IDENTITY
    below.dZ = take(<char*>arena, &used, l.n_in*round_up(t.block, PW))
    below.A = below.dZ
    data.X = A
    data.order = NULL
    while first < n:
        m = smaller(t.block, n - first)
        gather_elements(dZ, l.n_out, NULL, first, m, l.dZ, l.n_out)
        s = 0
        while s < m:
            k = smaller(t.strip, m - s)
            gather_X(t, w, &data, first + s, s, k, l.AT)
            backward_layer(w, l, &below, s, k)
            s += k
        scatter(below.dZ, l.n_in, l.n_in, m, dA, first)
        block_gradients(t, m, False, 0, t.gradient + top*t.gradient_size, &alone, 0)
        blocks += 1
        top = merge_twins(t, top + 1, blocks, &alone, 0)
        first += m
    merge_rest(t, top, &alone, 0)
    unpack_weights(l.dW, l.n_out, l.n_in, <real*>dW)
    memcpy(db, l.db, l.n_out*sizeof(real))


cdef void bce_cost(const void* Z, const void* T, Py_ssize_t n, int from_logits, void* sums) noexcept nogil:
    """The summed cost of each BLOCK of n contiguous numbers, in 16 virtual lanes.

    From a, not z: by the C library's log.
    """
    cdef const real* z = <const real*>Z
    cdef const real* t = <const real*>T
    cdef real* out = <real*>sums
    cdef real[16*VW] cost
    cdef real[VW] folded
    cdef Py_ssize_t left, i
    cdef int v, m
    while n > 0:
        memset(cost, 0, sizeof(cost))
        left = smaller(n, BLOCK)
        n -= left
        v = 0
        while left > 0:
            m = <int>smaller(left, VW)
            if from_logits:
                v_store(cost + v*VW, v_add(v_load(cost + v*VW),
                                           v_keep_first(bce_of(v_load_first(z, m), v_load_first(t, m)), m)))
            else:
                for i in range(m):
                    cost[v*VW + i] += bce_of_a(z[i], t[i])
            v = (v + 1) % LV
            z += m
            t += m
            left -= m
        fold_rows(cost, 1, folded)
        out[0] = folded[0]
        out += 1


cdef inline real bce_of_a(real a, real t) noexcept nogil:
    """-t log a - (1 - t) log(1 - a), a term of weight 0 left out: 0 log 0 = 0."""
    cdef real one = 1, J = 0                       # a bare 1 would make the sum double
    if t > J:
        J -= t*real_log(a)
    if t < one:
        J -= (one - t)*real_log1p(-a)
    return J


cdef void bce_backward(const void* Z, const void* T, void* out, Py_ssize_t n, int from_logits) noexcept nogil:
    """dZ = a - t"""
    cdef const real* z = <const real*>Z
    cdef const real* t = <const real*>T
    cdef real* dz = <real*>out
    cdef lanes a
    cdef int m
    while n > 0:
        m = <int>smaller(n, VW)
        a = v_load_first(z, m)
        if from_logits:
            a = sigmoid_of(a)
        v_store_first(dz, v_sub(a, v_load_first(t, m)), m)
        z += m
        t += m
        dz += m
        n -= m


cdef double fma_flops(Py_ssize_t iterations) noexcept nogil:
    """Twelve independent chains of fma in registers: what a core can do at most.

    Returns the number of flops done.
    """
    cdef lanes[12] c
    cdef lanes m = v_set(<real>0.999), d = v_set(<real>1e-3)
    cdef real[VW] sink
    cdef Py_ssize_t k
    cdef int i
    for i in range(12):
        c[i] = v_set(i)
    for k in range(iterations):
        for i in range(12):
            c[i] = v_fma(c[i], m, d)
    for i in range(1, 12):
        c[0] = v_add(c[0], c[i])
    v_store(sink, c[0])
    return 24.0*VW*iterations if sink[0] != -1 else 0.0
