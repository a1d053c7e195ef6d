# Prediction of a few examples at once, for serving: all is prepared beforehand, and a lane is a unit.
#
#     A (n, n_out) = f(b' + A_in (n, n_in) W')
#
# The tile is that of product.pxi with examples as rows of P, and W' as Q. Each sum is the same chain over
# the inputs that starts from the bias, so the bits are those of any batch.

cdef struct row_layer:
    Py_ssize_t n_in, n_out
    int activation
    real* W                     # (n_in, n_out), W transposed
    real* b                     # (n_out)


cdef struct row_network:
    row_layer* layers
    int n_layers
    Py_ssize_t widest           # units or inputs, in whole panels
    standard by


cdef size_t lay_out_rows(char* base, const layer_arrays* arrays, int n_layers) noexcept nogil:
    """Bytes of the arena, and with base, the arena."""
    cdef row_network counted
    cdef row_layer counted_layer
    cdef row_network* t = <row_network*>base if base != NULL else &counted
    cdef row_layer* l
    cdef size_t used = round_up(sizeof(row_network), 64)
    cdef int k
    if base != NULL:
        t.layers = <row_layer*>(base + used)
    used += round_up(n_layers*sizeof(row_layer), 64)
    t.n_layers = n_layers
    t.widest = round_up(arrays[0].n_in, PW)
    if arrays[0].mean != NULL:
        t.by.mean = take(base, &used, round_up(arrays[0].n_in, PW))
        t.by.scale = take(base, &used, round_up(arrays[0].n_in, PW))
    for k in range(n_layers):
        l = &t.layers[k] if base != NULL else &counted_layer
        l.n_in = arrays[k].n_in
        l.n_out = arrays[k].n_out
        l.activation = arrays[k].activation
        l.W = take(base, &used, l.n_in*round_up(l.n_out, PW))
        l.b = take(base, &used, round_up(l.n_out, PW))
        t.widest = larger(t.widest, round_up(l.n_out, PW))
    return used


cdef size_t rows_size(const layer_arrays* arrays, int n_layers) noexcept nogil:
    return lay_out_rows(NULL, arrays, n_layers)


cdef void rows_prepare(void* arena, const layer_arrays* arrays, int n_layers) noexcept nogil:
    cdef row_network* t = <row_network*>arena
    cdef matrix turned
    cdef int k
    lay_out_rows(<char*>arena, arrays, n_layers)
    load_standard(&t.by, arrays, round_up(arrays[0].n_in, PW))
    for k in range(n_layers):
        turned.start = arrays[k].W.start
        turned.row_step = arrays[k].W.column_step
        turned.column_step = arrays[k].W.row_step
        pack_weights(turned, arrays[k].n_in, arrays[k].n_out, t.layers[k].W)
        memcpy(t.layers[k].b, arrays[k].b, arrays[k].n_out*sizeof(real))


cdef size_t rows_scratch(const void* arena) noexcept nogil:
    return 2*MOST_FEW*(<const row_network*>arena).widest*sizeof(real)


cdef inline void gather_few(const row_network* t, matrix X, Py_ssize_t n, Py_ssize_t F,
                            real* A) noexcept nogil:
    """n examples as the rows of a panel matrix, standardised."""
    cdef Py_ssize_t i, f, p, m
    cdef const char* x
    cdef real* a
    for p in range(ceil_div(F, PW)):
        m = smaller(PW, F - p*PW)
        for i in range(n):
            a = A + (p*n + i)*PW
            x = X.start + i*X.column_step + p*PW*X.row_step
            if X.row_step == sizeof(real):
                memcpy(a, x, m*sizeof(real))
            else:
                for f in range(m):
                    a[f] = element(x + f*X.row_step)
            if t.by.mean != NULL:
                for f in range(m):
                    a[f] = (a[f] - t.by.mean[p*PW + f])/t.by.scale[p*PW + f]


cdef void softmax_rows(real* Z, Py_ssize_t n, Py_ssize_t units) noexcept nogil:
    """softmax of each of n rows of a panel matrix, in place: the operations of softmax_panel in its order."""
    cdef real most, total
    cdef real* z
    cdef Py_ssize_t i, c, p, panels = ceil_div(units, PW)
    cdef int v
    for i in range(n):
        most = Z[i*PW]
        for c in range(1, units):
            z = Z + (c//PW*n + i)*PW + c%PW
            if not most > z[0]:                    # as v_max: NaN stays
                most = z[0]
        total = 0
        for p in range(panels):
            z = Z + (p*n + i)*PW
            for v in range(vectors_in_panel(units, p)):
                v_store(z + v*VW, exp_of_negative(v_sub(v_load(z + v*VW), v_set(most))))
        for c in range(units):
            total += Z[(c//PW*n + i)*PW + c%PW]
        total = ONE/total
        for p in range(panels):
            z = Z + (p*n + i)*PW
            for v in range(vectors_in_panel(units, p)):
                v_store(z + v*VW, v_mul(v_load(z + v*VW), v_set(total)))


cdef void rows_predict(const void* arena, void* scratch, matrix X, Py_ssize_t n, matrix out) noexcept nogil:
    """A of the last layer for n <= MOST_FEW examples."""
    cdef const row_network* t = <const row_network*>arena
    cdef const row_layer* l = &t.layers[0]
    cdef real* A = <real*>scratch
    cdef real* Z = A + MOST_FEW*t.widest
    cdef char* to
    cdef span s
    cdef Py_ssize_t i, j, c
    cdef int k, V
    gather_few(t, X, n, l.n_in, A)
    s.P_panel = n*PW
    s.Q_row = PW
    s.end = END_STORE
    s.init_row = 0
    s.init_vector = VW
    for k in range(t.n_layers):
        l = &t.layers[k]
        s.K = l.n_in
        for j in range(ceil_div(l.n_out, PW)):
            V = vectors_in_panel(l.n_out, j)
            s.Q = l.W + j*l.n_in*PW
            cross_panel(0, V, &s, A, n, Z + j*n*PW, l.b + j*PW, Z, NULL)
            if l.activation != ACTIVATION_softmax:
                activate_panel(l.activation, Z + j*n*PW, NULL, n, V)
        if l.activation == ACTIVATION_softmax:
            softmax_rows(Z, n, l.n_out)
        A, Z = Z, A
    for i in range(n):
        for c in range(l.n_out):
            to = out.start + c*out.row_step + i*out.column_step
            memcpy(to, A + (c//PW*n + i)*PW + c%PW, sizeof(real))
