# Single calls on arrays, outside a fit: one layer backwards, the losses, elementwise arithmetic.
# Uses: activations, arena, elementary, epoch, losses, panels, passes, util

cdef size_t dense_backward_size(Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t n) noexcept nogil:
    cdef layer_arrays arrays
    cdef fit_options options
    memset(&arrays, 0, sizeof(layer_arrays))
    memset(&options, 0, sizeof(fit_options))
    arrays.n_in = n_in
    arrays.n_out = n_out
    return (lay_out(NULL, &arrays, 1, n, 1, &options, NULL)
            + (n_in*round_up(smaller(n, BLOCK), PW) + 16)*sizeof(real))


cdef void dense_backward(void* arena, const layer_arrays* arrays, matrix A, matrix dZ, Py_ssize_t n,
                         matrix dA, matrix dW, void* db) noexcept nogil:
    """dA = W' dZ, dW = dZ A', db = sum of dZ: the layer alone, by the blocks and the tree of a batch of n."""
    cdef trainer* t = <trainer*>arena
    cdef fit_options options
    cdef size_t used
    cdef thread_team alone = new_team(1)
    cdef worker* w
    cdef layer* l
    cdef layer below
    cdef examples data
    cdef Py_ssize_t first = 0, m, s, k, blocks = 0, top = 0
    memset(&options, 0, sizeof(fit_options))
    used = lay_out(<char*>arena, arrays, 1, n, 1, &options, NULL)
    l = &t.layers[0]
    w = &t.workers[0]
    load_weights(t, arrays)
    below.n_out = l.n_in
    below.end = END_STORE
    below.dZ = arena_take(<char*>arena, &used, l.n_in*round_up(t.block, PW))
    below.A = below.dZ
    data.X = A
    data.raw = NULL
    data.order = NULL
    while first < n:
        m = smaller(t.block, n - first)
        gather_elements(dZ, l.n_out, &AS_IT_IS, NULL, first, m, l.dZ, l.n_out)
        s = 0
        while s < m:
            k = smaller(t.strip, m - s)
            if t.X != NULL:
                w.X = t.X + s*t.X_height
            gather_X(t, w, &data, first + s, s, k, l.AT)
            backward_layer(w, l, &below, s, k)
            s += k
        scatter(below.dZ, l.n_in, l.n_in, m, dA, first)
        block_gradients(t, m, NULL, t.gradient + top*t.gradient_size, False, &alone, 0)
        blocks += 1
        top = merge_twins(t, top + 1, blocks, &alone, 0)
        first += m
    merge_rest(t, top, &alone, 0)
    unpack_weights(l.dW, l.n_out, l.n_in, dW)
    memcpy(db, l.db, l.n_out*sizeof(real))


cdef void bce_cost_of_a(const void* A, const void* T, Py_ssize_t n, void* sums) noexcept nogil:
    """The summed cost of each BLOCK of n contiguous outputs, in 16 virtual lanes, by the C library's log."""
    cdef const real* a = <const real*>A
    cdef const real* t = <const real*>T
    cdef real* out = <real*>sums
    cdef real[16*VW] cost
    cdef real[VW] folded
    cdef Py_ssize_t i
    while n > 0:
        memset(cost, 0, sizeof(cost))
        for i in range(smaller(n, BLOCK)):
            cost[i % 16] += bce_of_a(a[i], t[i])
        fold_rows(cost, 1, folded)
        out[0] = folded[0]
        out += 1
        a += BLOCK
        t += BLOCK
        n -= BLOCK


cdef inline real bce_of_a(real a, real t) noexcept nogil:
    """-t log a - (1 - t) log(1 - a), a term of weight 0 left out: 0 log 0 = 0."""
    cdef real one = 1, J = 0                       # a bare 1 would make the sum double
    if t > J:
        J -= t*real_log(a)
    if t < one:
        J -= (one - t)*real_log1p(-a)
    return J


cdef size_t loss_size(Py_ssize_t rows) noexcept nogil:
    return 3*rows*PW*sizeof(real)


cdef void loss_of_logits(int loss, int activation, const double* constants, matrix Z, matrix T,
                         const void* weights, Py_ssize_t rows, Py_ssize_t n, void* scratch, void* costs,
                         matrix dZ) noexcept nogil:
    """The cost of n columns, a number a BLOCK, and dZ unless that is nowhere."""
    cdef real* z = <real*>scratch
    cdef real* t = z + rows*PW
    cdef real* slopes = t + rows*PW
    cdef real* out = <real*>costs
    cdef real[16*VW] cost
    cdef real[VW] folded
    cdef real[PW] w
    cdef real[3] numbers
    cdef Py_ssize_t first = 0, m, i
    cdef bint logits = ACTIVATION_OF_LOSS[loss] != FROM_OUTPUTS
    for i in range(3):
        numbers[i] = <real>constants[i]
    for i in range(PW):
        w[i] = ONE
    memset(cost, 0, sizeof(cost))
    while first < n:
        m = smaller(PW, n - first)
        gather_elements(Z, rows, &AS_IT_IS, NULL, first, m, z, rows)
        gather_elements(T, rows, &AS_IT_IS, NULL, first, m, t, rows)
        if weights != NULL:
            memcpy(w, <const real*>weights + first, m*sizeof(real))
        if not logits:
            activate_panel(activation, z, slopes, rows, vectors_in_panel(n - first, 0), LOG_LEAST)
        loss_panel(loss, z, t, w, NULL if logits else slopes, numbers, rows, m, cost)
        if dZ.start != NULL:
            scatter(z, rows, rows, m, dZ, first)
        first += m
        if first % BLOCK == 0 or first == n:
            fold_rows(cost, 1, folded)
            out[0] = folded[0]
            out += 1
            memset(cost, 0, sizeof(cost))


cdef void softmax_backward(const void* A, const void* dA, void* out, Py_ssize_t rows,
                           Py_ssize_t n) noexcept nogil:
    """dZ_r = a_r (dA_r - sum_k a_k dA_k) in each column of C-contiguous (rows, n)."""
    cdef const real* a = <const real*>A
    cdef const real* d = <const real*>dA
    cdef real* z = <real*>out
    cdef lanes inside
    cdef Py_ssize_t i = 0, r
    cdef int m
    while i < n:
        m = <int>smaller(VW, n - i)
        inside = v_zero()
        for r in range(rows):
            inside = v_fma(v_load_first(a + r*n + i, m), v_load_first(d + r*n + i, m), inside)
        for r in range(rows):
            v_store_first(z + r*n + i, v_mul(v_load_first(a + r*n + i, m),
                                             v_sub(v_load_first(d + r*n + i, m), inside)), m)
        i += m


cdef void multiply_arrays(const void* a, const void* b, void* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        (<real*>out)[i] = (<const real*>a)[i]*(<const real*>b)[i]


cdef void subtract_arrays(const void* a, const void* b, void* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        (<real*>out)[i] = (<const real*>a)[i] - (<const real*>b)[i]


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
