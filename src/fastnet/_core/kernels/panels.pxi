# Pack arrays into panels and unpack them; transposes; the fold of the 16 virtual lanes of a sum.
# Uses: util

cdef inline int vectors_in_panel(Py_ssize_t columns, Py_ssize_t panel) noexcept nogil:
    """Vectors that a panel of a matrix with so many columns uses: PV, in the last one 1 to PV."""
    return <int>ceil_div(smaller(PW, columns - panel*PW), VW)


cdef inline Py_ssize_t row_width(Py_ssize_t columns, Py_ssize_t panel) noexcept nogil:
    """Numbers in a row of a panel stored narrow: PW, in the last panel only the vectors in use.

    For 30 features that halves what a block of examples takes in L1.
    """
    return vectors_in_panel(columns, panel)*VW


cdef inline real element(const char* p) noexcept nogil:
    """The number at p, which may be unaligned."""
    cdef real x
    memcpy(&x, p, sizeof(real))
    return x


# ---- weights

cdef inline bint units_are_contiguous(matrix W) noexcept nogil:
    """Whether weights of one feature lie side by side, aligned, as in scikit-learn's coefs_ (n_in, n_out)."""
    return (W.row_step == sizeof(real) and W.column_step % <Py_ssize_t>sizeof(real) == 0
            and <size_t>W.start % sizeof(real) == 0)


cdef void transpose_weights_to_panel(matrix W, Py_ssize_t p, Py_ssize_t whole,
                                     real* panel) noexcept nogil:
    """The first `whole` units of a full panel of features, from weights whose units are contiguous."""
    cdef lanes[VW] t
    cdef Py_ssize_t i = 0, j
    cdef const char* w
    cdef int k
    while i < PW:
        j = 0
        while j < whole:
            w = W.start + (p*PW + i)*W.column_step + j*<Py_ssize_t>sizeof(real)
            for k in range(VW):
                t[k] = v_load(<const real*>(w + k*W.column_step))
            v_transpose(t)
            for k in range(VW):
                v_store(panel + (j + k)*PW + i, t[k])
            j += VW
        i += VW


cdef void transpose_panel_to_weights(const real* panel, Py_ssize_t p, Py_ssize_t whole,
                                     matrix W) noexcept nogil:
    """The way back."""
    cdef lanes[VW] t
    cdef Py_ssize_t i = 0, j
    cdef char* w
    cdef int k
    while i < PW:
        j = 0
        while j < whole:
            w = W.start + (p*PW + i)*W.column_step + j*<Py_ssize_t>sizeof(real)
            for k in range(VW):
                t[k] = v_load(panel + (j + k)*PW + i)
            v_transpose(t)
            for k in range(VW):
                v_store(<real*>(w + k*W.column_step), t[k])
            j += VW
        i += VW


cdef void pack_weights(matrix W, Py_ssize_t n_out, Py_ssize_t n_in, real* panels) noexcept nogil:
    """W (n_out, n_in) into panels over its columns."""
    cdef Py_ssize_t p, j, i, m
    cdef char* row
    cdef Py_ssize_t done, whole = n_out//VW*VW if units_are_contiguous(W) else 0
    for p in range(ceil_div(n_in, PW)):
        m = smaller(PW, n_in - p*PW)
        done = 0
        if whole > 0 and m == PW:
            done = whole
            transpose_weights_to_panel(W, p, whole, panels + p*n_out*PW)
        for j in range(done, n_out):
            row = W.start + j*W.row_step + p*PW*W.column_step
            if W.column_step == sizeof(real):
                memcpy(panels + (p*n_out + j)*PW, row, m*sizeof(real))
            else:
                for i in range(m):
                    panels[(p*n_out + j)*PW + i] = element(row + i*W.column_step)


cdef void unpack_weights(const real* panels, Py_ssize_t n_out, Py_ssize_t n_in, matrix W) noexcept nogil:
    cdef Py_ssize_t p, j, i, m
    cdef char* row
    cdef Py_ssize_t done, whole = n_out//VW*VW if units_are_contiguous(W) else 0
    for p in range(ceil_div(n_in, PW)):
        m = smaller(PW, n_in - p*PW)
        done = 0
        if whole > 0 and m == PW:
            done = whole
            transpose_panel_to_weights(panels + p*n_out*PW, p, whole, W)
        for j in range(done, n_out):
            row = W.start + j*W.row_step + p*PW*W.column_step
            if W.column_step == sizeof(real):
                memcpy(row, panels + (p*n_out + j)*PW, m*sizeof(real))
            else:
                for i in range(m):
                    memcpy(row + i*W.column_step, panels + (p*n_out + j)*PW + i, sizeof(real))


# ---- examples: n of them, at positions 0..n-1 of a strip

cdef struct standardization:           # what is made of a feature: (x - mean)/scale; padded with 0 and 1
    const real* mean            # NULL: x as it is
    const real* scale


cdef standardization AS_IT_IS
AS_IT_IS.mean = NULL
AS_IT_IS.scale = NULL


cdef inline const char* column(matrix X, const Py_ssize_t* order, Py_ssize_t first,
                               Py_ssize_t i) noexcept nogil:
    """Where example first + i of the order starts."""
    return X.start + (order[first + i] if order != NULL else first + i)*X.column_step


cdef inline void transpose_rows(const real** rows, int m, Py_ssize_t f, const standardization* standardize,
                                real* AT, Py_ssize_t AT_row, real* A) noexcept nogil:
    """VW examples x m <= VW features: as they are into A', transposed into A. Past m: zeros."""
    cdef lanes[VW] t
    cdef lanes mean, scale
    cdef int i
    if m == VW:
        for i in range(VW):
            t[i] = v_load(rows[i] + f)
    else:
        for i in range(VW):
            t[i] = v_load_first(rows[i] + f, m)
    if standardize.mean != NULL:
        mean = v_load(standardize.mean + f)
        scale = v_load(standardize.scale + f)
        for i in range(VW):
            t[i] = v_div(v_sub(t[i], mean), scale)
    if AT != NULL:
        for i in range(VW):
            v_store(AT + i*AT_row, t[i])
    v_transpose(t)
    for i in range(VW):
        v_store(A + i*PW, t[i])


cdef void gather_rows(matrix X, Py_ssize_t F, const standardization* standardize, const Py_ssize_t* order,
                      Py_ssize_t first, Py_ssize_t n, const real* zeros, real* A, real* AT,
                      Py_ssize_t AT_panel, Py_ssize_t AT_first) noexcept nogil:
    """Examples whose features are contiguous, into A (features x examples) and, if wanted, A'.

    A: panels over the examples of round_up(F, VW) rows. AT (examples x features): panels over the features,
    AT_panel numbers apart, rows narrow, filled from row AT_first on. Lanes past n become zero. Each number is
    loaded once and transposed in registers.
    """
    cdef const real* rows[VW]
    cdef Py_ssize_t j = 0, f, p, w, height = round_up(F, VW)
    cdef real* a
    cdef real* at
    cdef int i
    while j < n:
        for i in range(VW):
            rows[i] = <const real*>column(X, order, first, j + i) if j + i < n else zeros
        if j + 2*VW <= n:                          # shuffled rows come from anywhere: ask for the next ones
            for i in range(VW):
                v_prefetch(<const real*>column(X, order, first, j + VW + i))
        a = A + j//PW*height*PW + j%PW
        f = 0
        while f < F:
            p = f//PW
            w = row_width(F, p)
            at = AT + p*AT_panel + (AT_first + j)*w + f%PW if AT != NULL else NULL
            transpose_rows(rows, <int>smaller(VW, F - f), f, standardize, at, w, a + f*PW)
            f += VW
        j += VW


cdef void gather_elements(matrix X, Py_ssize_t F, const standardization* standardize, const Py_ssize_t* order,
                          Py_ssize_t first, Py_ssize_t n, real* A, Py_ssize_t height) noexcept nogil:
    """Examples in any other order of memory, number by number, into panels of `height` rows.

    Lanes past n become zero.
    """
    cdef Py_ssize_t j, f, i, m, padded
    cdef real* a
    cdef const char* x
    for j in range(ceil_div(n, PW)):
        m = smaller(PW, n - j*PW)
        padded = round_up(m, VW)
        for f in range(F):
            a = A + (j*height + f)*PW
            if order == NULL and X.column_step == sizeof(real):
                memcpy(a, column(X, order, first, j*PW) + f*X.row_step, m*sizeof(real))
            else:
                for i in range(m):
                    a[i] = element(column(X, order, first, j*PW + i) + f*X.row_step)
            if standardize.mean != NULL:
                for i in range(m):
                    a[i] = (a[i] - standardize.mean[f])/standardize.scale[f]
            for i in range(m, padded):
                a[i] = 0


cdef inline bint rows_are_contiguous(matrix X) noexcept nogil:
    """Whether the features of an example lie side by side, aligned: what gather_rows can load as vectors."""
    return (X.row_step == sizeof(real) and X.column_step % <Py_ssize_t>sizeof(real) == 0
            and <size_t>X.start % sizeof(real) == 0)


cdef void scatter(const real* A, Py_ssize_t rows, Py_ssize_t height, Py_ssize_t n, matrix out,
                  Py_ssize_t first) noexcept nogil:
    """`rows` rows of a panel matrix of `height` rows, n examples, to columns of the user's matrix.

    From column `first` on.
    """
    cdef Py_ssize_t j, f, i, m
    cdef const real* a
    cdef char* to
    for j in range(ceil_div(n, PW)):
        m = smaller(PW, n - j*PW)
        for f in range(rows):
            a = A + (j*height + f)*PW
            to = out.start + f*out.row_step + (first + j*PW)*out.column_step
            if out.column_step == sizeof(real):
                memcpy(to, a, m*sizeof(real))
            else:
                for i in range(m):
                    memcpy(to + i*out.column_step, a + i, sizeof(real))


# ---- transposes

cdef inline void transpose_vectors(const real* S, Py_ssize_t S_rows, real* D,
                                   Py_ssize_t D_row) noexcept nogil:
    """VW x VW numbers, of which the first S_rows rows are there and the others zero."""
    cdef lanes[VW] t
    cdef int i
    if S_rows >= VW:
        for i in range(VW):
            t[i] = v_load(S + i*PW)
    else:
        for i in range(VW):
            t[i] = v_load(S + i*PW) if i < S_rows else v_zero()
    v_transpose(t)
    for i in range(VW):
        v_store(D + i*D_row, t[i])


cdef void transpose_panel(const real* A, Py_ssize_t r, Py_ssize_t end, Py_ssize_t rows, int V, real* AT,
                          Py_ssize_t AT_panel, Py_ssize_t example) noexcept nogil:
    """Rows [r, end) of a panel of A (rows x V vectors of examples) into A', whose first row is `example`.

    r is a whole number of vectors, and so is `end` unless it is `rows`.
    """
    cdef Py_ssize_t w
    cdef real* D
    cdef int v
    while r < end:
        w = row_width(rows, r//PW)
        D = AT + r//PW*AT_panel + r%PW
        for v in range(V):
            transpose_vectors(A + r*PW + v*VW, rows - r, D + (example + v*VW)*w, w)
        r += VW


# ---- sums of 16 virtual lanes

cdef inline lanes fold_lanes(const real* row) noexcept nogil:
    """The 16 lanes of a row halved until one vector is left: 16 -> 8 -> ... -> VW."""
    cdef lanes[LV] t
    cdef int i
    for i in range(LV):
        t[i] = v_load(row + i*VW)
    if LV >= 16:
        for i in range(8):
            t[i % LV] = v_add(t[i % LV], t[(i + 8) % LV])
    if LV >= 8:
        for i in range(4):
            t[i % LV] = v_add(t[i % LV], t[(i + 4) % LV])
    if LV >= 4:
        for i in range(2):
            t[i % LV] = v_add(t[i % LV], t[(i + 2) % LV])
    if LV >= 2:
        t[0] = v_add(t[0], t[1 % LV])
    return t[0]


cdef inline real fold_row(const real* row) noexcept nogil:
    """The sum of 16 lanes by a fixed tree: lane i + lane i+8, then +4, +2, +1."""
    cdef real[VW] t
    cdef int i
    v_store(t, fold_lanes(row))
    if VW >= 16:
        for i in range(8):
            t[i] += t[(i + 8) % VW]
    if VW >= 8:
        for i in range(4):
            t[i] += t[(i + 4) % VW]
    if VW >= 4:
        for i in range(2):
            t[i] += t[(i + 2) % VW]
    if VW >= 2:
        t[0] += t[1 % VW]
    return t[0]


cdef void fold_rows(const real* sums, Py_ssize_t n, real* out) noexcept nogil:
    """out[r] = fold_row of row r: VW rows at a time through a transpose, and what is left one by one.

    More than half of VW rows count as VW: out holds a multiple of VW rows. Of sums no more than n rows are
    read: the next ones may be another thread's, which it is adding to.
    """
    cdef lanes[VW] t
    cdef Py_ssize_t r = 0
    cdef int i
    while r < n - VW//2:
        for i in range(VW):
            t[i] = fold_lanes(sums + (r + i)*16) if r + i < n else v_zero()
        v_transpose(t)
        if VW >= 16:
            for i in range(8):
                t[i % VW] = v_add(t[i % VW], t[(i + 8) % VW])
        if VW >= 8:
            for i in range(4):
                t[i % VW] = v_add(t[i % VW], t[(i + 4) % VW])
        if VW >= 4:
            for i in range(2):
                t[i % VW] = v_add(t[i % VW], t[(i + 2) % VW])
        if VW >= 2:
            t[0] = v_add(t[0], t[1 % VW])
        v_store(out + r, t[0])
        r += VW
    while r < n:
        out[r] = fold_row(sums + r*16)
        r += 1
