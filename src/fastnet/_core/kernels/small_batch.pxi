# Prediction of one row and of a few (at most SMALL_BATCH): a lane is a unit.
#
#     A (n, n_out) = f(b' + A_in (n, n_in) W')
#
# The tile is that of product.pxi with examples as rows of P, and W' as Q: no lane is left empty, whatever n
# is, where blocks of examples fill up 36 rows to 48. Each sum is the same chain over the inputs that starts
# from the bias, so the bits are those of any batch. For serving, W' is prepared beforehand; weights that may
# change between two calls are transposed on the way: for at most FEW_ROWS examples a square at a time, in
# registers, else a panel at a time, which stays in L1. That reads them once, where panels for blocks of
# examples would be written and read again.
#
# For one row and prepared weights, inputs that are 0 (levels of categories, what is black in a picture) are
# left out of the first layer, and those whose weights are all 0: fma(w, 0, sum) is sum, see sparse.pxi. Of a
# large network the weights are read from beyond L2, and what is not read takes no time.
# Uses: activations, arena, elementary, panels, product, sparse, util

cdef enum:
    FEW_ROWS = 8                # whose products with a square of weights are made while it is in registers
    LISTED_FROM = 128           # inputs from which on it is looked whether some are 0


cdef struct packed_layer:       # of a network whose weights were packed beforehand
    Py_ssize_t n_in, n_out
    int activation
    real* W                     # (n_in, n_out), W transposed, in panels of whole vectors of rows
    real* b                     # (n_out)


cdef struct packed_network:
    packed_layer* layers
    int n_layers
    Py_ssize_t widest           # units or inputs, in whole panels
    standardization standardize
    bint listed                 # whether a single row's inputs may be listed, see list_inputs
    real* used                  # (n_in) 0 for an input whose weights are all 0, else 1; NULL: few are 0


cdef size_t lay_out_packed(char* base, const layer_arrays* arrays, int n_layers) noexcept nogil:
    """Bytes of the arena, and with base, the arena."""
    cdef packed_network counted
    cdef packed_layer counted_layer
    cdef packed_network* t = <packed_network*>base if base != NULL else &counted
    cdef packed_layer* l
    cdef size_t used = round_up(sizeof(packed_network), 64)
    cdef int k
    if base != NULL:
        t.layers = <packed_layer*>(base + used)
    used += round_up(n_layers*sizeof(packed_layer), 64)
    t.n_layers = n_layers
    t.widest = round_up(arrays[0].n_in, PW)
    if arrays[0].mean != NULL:
        t.standardize.mean = arena_take(base, &used, round_up(arrays[0].n_in, PW))
        t.standardize.scale = arena_take(base, &used, round_up(arrays[0].n_in, PW))
    t.listed = arrays[0].n_in >= LISTED_FROM
    t.used = arena_take(base, &used, round_up(arrays[0].n_in, PW)) if t.listed else NULL
    for k in range(n_layers):
        l = &t.layers[k] if base != NULL else &counted_layer
        l.n_in = arrays[k].n_in
        l.n_out = arrays[k].n_out
        l.activation = arrays[k].activation
        l.W = arena_take(base, &used, round_up(l.n_in, VW)*round_up(l.n_out, PW))
        l.b = arena_take(base, &used, round_up(l.n_out, PW))
        t.widest = larger(t.widest, round_up(l.n_out, PW))
    return used


cdef size_t small_batch_packed_size(const layer_arrays* arrays, int n_layers) noexcept nogil:
    return lay_out_packed(NULL, arrays, n_layers)


cdef void small_batch_pack(void* arena, const layer_arrays* arrays, int n_layers) noexcept nogil:
    cdef packed_network* t = <packed_network*>arena
    cdef Py_ssize_t j
    cdef int k
    lay_out_packed(<char*>arena, arrays, n_layers)
    load_standardization(&t.standardize, arrays, round_up(arrays[0].n_in, PW))
    for k in range(n_layers):
        for j in range(ceil_div(arrays[k].n_out, PW)):
            transpose_weights(&arrays[k], j, t.layers[k].W + j*round_up(arrays[k].n_in, VW)*PW)
        memcpy(t.layers[k].b, arrays[k].b, arrays[k].n_out*sizeof(real))
    if t.listed:
        find_used(t)


cdef void find_used(packed_network* t) noexcept nogil:
    """Which inputs have weights, if at least a quarter of them has none but 0."""
    cdef const packed_layer* l = &t.layers[0]
    cdef Py_ssize_t height = round_up(l.n_in, VW), j, f, c, units, unused = 0
    cdef const real* w
    memset(t.used, 0, l.n_in*sizeof(real))
    for j in range(ceil_div(l.n_out, PW)):
        units = smaller(PW, l.n_out - j*PW)
        for f in range(l.n_in):
            w = l.W + (j*height + f)*PW
            if not all_finite_array(w, units):     # an infinite weight times 0 is NaN, not 0
                t.listed = False
            for c in range(units):
                if w[c] != 0:
                    t.used[f] = ONE
    for f in range(l.n_in):
        unused += t.used[f] == 0
    if 4*unused < l.n_in:
        t.used = NULL


cdef void transpose_weights(const layer_arrays* l, Py_ssize_t panel, real* Q) noexcept nogil:
    """A panel of W' (n_in, n_out): the units are taken as examples, whose features are their weights."""
    cdef matrix W = transposed_view(l.W)
    cdef Py_ssize_t first = panel*PW, units = smaller(PW, l.n_out - panel*PW)
    if rows_are_contiguous(W):                 # a vector past the last unit repeats it: nobody reads that
        gather_rows(W, l.n_in, &AS_IT_IS, NULL, first, units,
                    <const real*>(l.W.start + first*l.W.row_step), Q, NULL, 0, 0)
    else:
        gather_elements(W, l.n_in, &AS_IT_IS, NULL, first, units, Q, round_up(l.n_in, VW))


cdef size_t small_batch_scratch_packed(const void* arena, Py_ssize_t n) noexcept nogil:
    return 2*(round_up(n, VW) + 1)*(<const packed_network*>arena).widest*sizeof(real)


cdef inline matrix transposed_view(matrix X) noexcept nogil:
    cdef matrix T
    T.start = X.start
    T.row_step = X.column_step
    T.column_step = X.row_step
    return T


cdef Py_ssize_t gather_small_batch(const standardization* standardize, matrix X, Py_ssize_t n, Py_ssize_t F,
                                   real* A) noexcept nogil:
    """n examples as the rows of a panel matrix, standardised.

    Returns how many rows this matrix has: n, or whole vectors where several came a feature in each row.
    """
    cdef Py_ssize_t i, f, p, m, height = n
    cdef const char* x
    cdef real* a
    if n > 1 and X.row_step != sizeof(real) and rows_are_contiguous(transposed_view(X)):
        # features are taken as examples; a vector past the last one repeats the first: nobody reads that
        gather_rows(transposed_view(X), n, &AS_IT_IS, NULL, 0, F, <const real*>X.start, A, NULL, 0, 0)
        height = round_up(n, VW)
    else:
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
    if standardize.mean != NULL:
        for p in range(ceil_div(F, PW)):
            m = smaller(PW, F - p*PW)
            for i in range(n):
                a = A + (p*height + i)*PW
                for f in range(m):
                    a[f] = (a[f] - standardize.mean[p*PW + f])/standardize.scale[p*PW + f]
    return height


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
                v_store(z + v*VW, exp_of_negative(v_sub(v_load(z + v*VW), v_set(most)), floor_at(LOG_LEAST)))
        for c in range(units):
            total += Z[(c//PW*n + i)*PW + c%PW]
        total = ONE/total
        for p in range(panels):
            z = Z + (p*n + i)*PW
            for v in range(vectors_in_panel(units, p)):
                v_store(z + v*VW, v_mul(v_load(z + v*VW), v_set(total)))


cdef inline bint small_batch_panel(Py_ssize_t panel, Py_ssize_t n_in, Py_ssize_t n_out, int activation,
                                   real log_least, const real* A, Py_ssize_t A_height, Py_ssize_t n,
                                   const real* Q, const real* b, real* Z) noexcept nogil:
    """A panel of units for n examples: Z = A W' + b, and the activation unless it is softmax.

    A long panel of W' is cut along k, as in product.pxi. Returns whether Z of the first example is finite.
    """
    cdef bint finite
    cdef int V = vectors_in_panel(n_out, panel)
    cdef Py_ssize_t k = 0
    cdef span s
    Z += panel*n*PW
    s.P_panel = A_height*PW
    s.Q_row = PW
    s.end = END_STORE
    s.init_row = 0
    s.init_vector = VW
    while k < n_in:
        s.K = n_in - k if n <= TILE_ROWS[smaller(V, NV) - 1] else block_of(n_in - k, block_k, PW)
        s.Q = Q + k*PW
        cross_panel(0, V, &s, A + k*A_height, n, Z, b if k == 0 else Z, Z, NULL)
        k += s.K
        s.init_row = PW
    finite = all_finite_array(Z, smaller(PW, n_out - panel*PW))
    if activation != ACTIVATION_softmax:
        activate_panel(activation, Z, NULL, n, V, log_least)
    return finite


cdef void scatter_small_batch(const real* A, Py_ssize_t n, Py_ssize_t units, matrix out) noexcept nogil:
    """The rows of a panel matrix to the columns of the user's matrix."""
    cdef lanes[VW] t
    cdef Py_ssize_t i, c
    cdef const real* a
    cdef int u
    if units < VW//2 or not rows_are_contiguous(transposed_view(out)):
        for i in range(n):
            for c in range(units):
                memcpy(out.start + c*out.row_step + i*out.column_step, A + (c//PW*n + i)*PW + c%PW,
                       sizeof(real))
        return
    c = 0
    while c < units:                               # squares, transposed in registers
        i = 0
        while i < n:
            a = A + (c//PW*n + i)*PW + c%PW
            for u in range(VW):
                t[u] = v_load(a + smaller(u, n - i - 1)*PW)
            v_transpose(t)
            for u in range(VW):
                if c + u < units:
                    v_store_first(<real*>(out.start + (c + u)*out.row_step) + i, t[u],
                                  <int>smaller(VW, n - i))
            i += VW
        c += VW


cdef inline void row_units_literal(const int V, const real* value, const int* feature, Py_ssize_t count,
                                   const real* WT, Py_ssize_t WT_row, const real* b, real* z) noexcept nogil:
    """V vectors of units of z = b + W x for one row. V is a literal."""
    cdef lanes[UNITS_AT_ONCE] c
    cdef lanes x
    cdef const real* w
    cdef Py_ssize_t e
    cdef int v
    for v in range(V):
        c[v] = v_load(b + v*VW)
    for e in range(count):
        x = v_set(value[e])
        w = WT + feature[e]*WT_row
        for v in range(V):
            c[v] = v_fma(x, v_load(w + v*VW), c[v])
    for v in range(V):
        v_store(z + v*VW, c[v])


cdef void few_row_units(int V, const real* value, const int* feature, Py_ssize_t count, const real* WT,
                        Py_ssize_t WT_row, const real* b, real* z) noexcept nogil:
    if V == 8:
        row_units_literal(8, value, feature, count, WT, WT_row, b, z)
    elif V == 7:
        row_units_literal(7, value, feature, count, WT, WT_row, b, z)
    elif V == 6:
        row_units_literal(6, value, feature, count, WT, WT_row, b, z)
    elif V == 5:
        row_units_literal(5, value, feature, count, WT, WT_row, b, z)
    elif V == 4:
        row_units_literal(4, value, feature, count, WT, WT_row, b, z)
    elif V == 3:
        row_units_literal(3, value, feature, count, WT, WT_row, b, z)
    elif V == 2:
        row_units_literal(2, value, feature, count, WT, WT_row, b, z)
    else:
        row_units_literal(1, value, feature, count, WT, WT_row, b, z)


cdef void row_units(Py_ssize_t V, const real* value, const int* feature, Py_ssize_t count, const real* WT,
                    Py_ssize_t WT_row, const real* b, real* z) noexcept nogil:
    """V vectors of units, any number, of z = b + W x for one row."""
    cdef Py_ssize_t v = 0
    cdef int few
    while v < V:
        few = units_next(V - v)
        few_row_units(few, value, feature, count, WT + v*VW, WT_row, b + v*VW, z + v*VW)
        v += few


cdef Py_ssize_t list_inputs(const packed_network* t, real* x, real* value,
                            int* feature) noexcept nogil:
    """List the inputs x that are not 0 and have weights. Returns how many, or -1 if that would save little.

    Where few inputs lack weights, every fourth vector of them tells whether a quarter is 0. x becomes 0 where
    all weights are 0.
    """
    cdef Py_ssize_t F = t.layers[0].n_in, f = 0, count = 0, seen = 0
    if t.used == NULL:
        while f + VW <= F:
            count += v_pack(x + f, VW, 0, value, feature)
            seen += VW
            f += 4*VW
        if 4*count > 3*seen:
            return -1
        f = count = 0
    while f < F:
        if t.used != NULL:
            v_store(x + f, v_mul(v_load(x + f), v_load(t.used + f)))
        count += v_pack(x + f, <int>smaller(VW, F - f), <int>f, value + count, feature + count)
        f += VW
    return count


cdef void first_layer_of_list(const packed_layer* l, bint last, const real* value, const int* feature,
                              Py_ssize_t count, real* Z) noexcept nogil:
    """A of the first layer for one example whose inputs are listed, unless it is a softmax: then Z."""
    cdef Py_ssize_t j
    cdef int V
    for j in range(ceil_div(l.n_out, PW)):
        V = vectors_in_panel(l.n_out, j)
        row_units(V, value, feature, count, l.W + j*round_up(l.n_in, VW)*PW, PW, l.b + j*PW, Z + j*PW)
        if l.activation != ACTIVATION_softmax:
            activate_panel(l.activation, Z + j*PW, NULL, 1, V, LOG_LEAST if last else LOG_TINY)


cdef void small_batch_predict_packed(const void* arena, void* scratch, matrix X, Py_ssize_t n,
                                     matrix out) noexcept nogil:
    """A of the last layer for n <= SMALL_BATCH examples, from weights that were packed beforehand."""
    cdef const packed_network* t = <const packed_network*>arena
    cdef const packed_layer* l = &t.layers[0]
    cdef real* A = <real*>scratch
    cdef real* Z = A + round_up(n, VW)*t.widest
    cdef real* value = Z + round_up(n, VW)*t.widest
    cdef int* feature = <int*>(value + t.widest)
    cdef Py_ssize_t j, height = gather_small_batch(&t.standardize, X, n, l.n_in, A), count = -1
    cdef int k
    if n == 1 and t.listed:
        count = list_inputs(t, A, value, feature)
    for k in range(t.n_layers):
        l = &t.layers[k]
        if k == 0 and count >= 0:
            first_layer_of_list(l, t.n_layers == 1, value, feature, count, Z)
        else:
            for j in range(ceil_div(l.n_out, PW)):
                small_batch_panel(j, l.n_in, l.n_out, l.activation,
                                  LOG_LEAST if k == t.n_layers - 1 else LOG_TINY, A, height, n,
                                  l.W + j*round_up(l.n_in, VW)*PW, l.b + j*PW, Z)
        if l.activation == ACTIVATION_softmax:
            softmax_rows(Z, n, l.n_out)
        A, Z, height = Z, A, n
    scatter_small_batch(A, n, l.n_out, out)


cdef void one_row_panel(const layer_arrays* l, Py_ssize_t first, const real* a, const real* b,
                        real* z) noexcept nogil:
    """PW numbers of z = W a + b from unit `first` on, for one example, where rows of W are contiguous.

    Squares of VW x VW weights are transposed in registers and multiplied there: nothing is stored between. A
    chain of fma waits for itself, so there are as many at once as a panel has vectors. Units past the last
    repeat it: nobody reads them.
    """
    cdef const real* rows[PW]
    cdef lanes[PV] c
    cdef lanes[VW] t
    cdef Py_ssize_t k = 0, K = l.n_in
    cdef int v, i
    for i in range(PW):
        rows[i] = <const real*>(l.W.start + smaller(first + i, l.n_out - 1)*l.W.row_step)
    for v in range(PV):
        c[v] = v_load(b + v*VW)
    while k + VW <= K:
        for v in range(PV):
            for i in range(VW):
                t[i] = v_load(rows[v*VW + i] + k)
            v_transpose(t)
            for i in range(VW):
                c[v] = v_fma(v_set(a[k + i]), t[i], c[v])
        k += VW
    if k < K:
        for v in range(PV):
            for i in range(VW):
                t[i] = v_load_first(rows[v*VW + i] + k, <int>(K - k))
            v_transpose(t)
            for i in range(VW):
                if k + i < K:
                    c[v] = v_fma(v_set(a[k + i]), t[i], c[v])
    for v in range(PV):
        v_store(z + v*VW, c[v])


cdef void few_rows_panel(const layer_arrays* l, Py_ssize_t first, const real* A, Py_ssize_t height,
                         Py_ssize_t n, const real* b, real* Z) noexcept nogil:
    """The same for n <= FEW_ROWS examples, the rows of a panel matrix of `height` rows, into n rows of Z.

    A square is transposed once for all of them, and the sums wait in L1 for the next. (For one example in
    float64 that took a fifth longer than `one_row_panel`.)
    """
    cdef const real* rows[PW]
    cdef const real* a
    cdef lanes[PV*FEW_ROWS] c
    cdef lanes[VW] t
    cdef lanes sum
    cdef Py_ssize_t k = 0, K = l.n_in, r
    cdef int v, i, V = vectors_in_panel(l.n_out, first//PW)
    for i in range(PW):
        rows[i] = <const real*>(l.W.start + smaller(first + i, l.n_out - 1)*l.W.row_step)
    for r in range(n):
        for v in range(V):
            c[r*PV + v] = v_load(b + v*VW)
    while k + VW <= K:
        a = A + k//PW*height*PW + k%PW
        for v in range(V):
            for i in range(VW):
                t[i] = v_load(rows[v*VW + i] + k)
            v_transpose(t)
            for r in range(n):
                sum = c[r*PV + v]
                for i in range(VW):
                    sum = v_fma(v_set(a[r*PW + i]), t[i], sum)
                c[r*PV + v] = sum
        k += VW
    if k < K:
        a = A + k//PW*height*PW + k%PW
        for v in range(V):
            for i in range(VW):
                t[i] = v_load_first(rows[v*VW + i] + k, <int>(K - k))
            v_transpose(t)
            for r in range(n):
                sum = c[r*PV + v]
                for i in range(VW):
                    if k + i < K:
                        sum = v_fma(v_set(a[r*PW + i]), t[i], sum)
                c[r*PV + v] = sum
    for r in range(n):
        for v in range(V):
            v_store(Z + r*PW + v*VW, c[r*PV + v])


cdef inline bint weights_are_contiguous(const layer_arrays* l) noexcept nogil:
    return (l.W.column_step == sizeof(real) and l.W.row_step % <Py_ssize_t>sizeof(real) == 0
            and <size_t>l.W.start % sizeof(real) == 0)


cdef inline Py_ssize_t widest_row(const layer_arrays* arrays, int n_layers) noexcept nogil:
    """Units or inputs, in whole panels."""
    cdef Py_ssize_t widest = round_up(arrays[0].n_in, PW)
    cdef int k
    for k in range(n_layers):
        widest = larger(widest, round_up(arrays[k].n_out, PW))
    return widest


cdef size_t small_batch_scratch_unpacked(const layer_arrays* arrays, int n_layers,
                                         Py_ssize_t n) noexcept nogil:
    return ((2*round_up(n, VW) + PW)*widest_row(arrays, n_layers) + PW)*sizeof(real)


cdef int small_batch_predict_unpacked(const layer_arrays* arrays, int n_layers, void* scratch, matrix X,
                                      Py_ssize_t n, matrix out) noexcept nogil:
    """A of the last layer for n <= SMALL_BATCH examples, from the weights where they lie.

    Returns Z_NOT_FINITE or 0: see table.pxd.
    """
    cdef Py_ssize_t widest = widest_row(arrays, n_layers), j, height
    cdef real* A = <real*>scratch
    cdef real* Z = A + round_up(n, VW)*widest
    cdef real* Q = Z + round_up(n, VW)*widest
    cdef real* b = Q + PW*widest
    cdef real* z
    cdef const layer_arrays* l = arrays
    cdef standardization standardize
    cdef bint finite = True
    cdef real log_least
    cdef int k
    standardize.mean = <const real*>arrays.mean
    standardize.scale = <const real*>arrays.scale
    height = gather_small_batch(&standardize, X, n, arrays.n_in, A)
    for k in range(n_layers):
        l = &arrays[k]
        log_least = LOG_LEAST if k == n_layers - 1 else LOG_TINY
        for j in range(ceil_div(l.n_out, PW)):
            memcpy(b, <const real*>l.b + j*PW, smaller(PW, l.n_out - j*PW)*sizeof(real))
            if n <= FEW_ROWS and weights_are_contiguous(l):
                z = Z + j*n*PW
                if n == 1:
                    one_row_panel(l, j*PW, A, b, z)
                else:
                    few_rows_panel(l, j*PW, A, height, n, b, z)
                finite = finite and all_finite_array(z, smaller(PW, l.n_out - j*PW))
                if l.activation != ACTIVATION_softmax:
                    activate_panel(l.activation, z, NULL, n, vectors_in_panel(l.n_out, j), log_least)
                continue
            transpose_weights(l, j, Q)
            finite = small_batch_panel(j, l.n_in, l.n_out, l.activation, log_least, A, height, n, Q, b,
                                       Z) and finite
        if l.activation == ACTIVATION_softmax:
            softmax_rows(Z, n, l.n_out)
        A, Z, height = Z, A, n
    scatter_small_batch(A, n, l.n_out, out)
    return 0 if finite else Z_NOT_FINITE
