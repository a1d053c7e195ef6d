# Prediction of any number of examples, strip by strip.
# Uses: arena, panels, passes, util

cdef size_t predict_size(const layer_arrays* arrays, int n_layers, Py_ssize_t n, int threads,
                         const void* shared) noexcept nogil:
    return lay_out(NULL, arrays, n_layers, n, threads, NULL, <const trainer*>shared)


cdef void predict_prepare(void* arena, const layer_arrays* arrays, int n_layers, Py_ssize_t n, int threads,
                          const void* shared) noexcept nogil:
    lay_out(<char*>arena, arrays, n_layers, n, threads, NULL, <const trainer*>shared)
    if shared == NULL:
        load_weights(<trainer*>arena, arrays)


cdef bint gathered_finite(const trainer* t, const worker* w, Py_ssize_t n) noexcept nogil:
    """Whether all numbers of the n examples in w.X are finite, while they are in L1."""
    cdef Py_ssize_t F = t.layers[0].n_in, j, f
    cdef int V
    for j in range(ceil_div(n, PW)):
        V = vectors_in_panel(n, j)
        if V == PV:
            if not all_finite_array(w.X + j*t.X_height*PW, F*PW):
                return False
            continue
        for f in range(F):
            if not all_finite_array(w.X + (j*t.X_height + f)*PW, V*VW):
                return False
    return True


cdef int predict(void* arena, matrix X, Py_ssize_t n, matrix out, int check, const thread_team* team,
                 int thread) noexcept nogil:
    """A of the last layer for this thread's share of n examples, strip by strip.

    Memory does not grow with n. While a strip is worked on, the next one comes into L2. check, and what is
    returned: see table.pxd.
    """
    cdef const trainer* t = <const trainer*>arena
    cdef worker* w = &t.workers[thread]
    cdef const layer* last = &t.layers[t.n_layers - 1]
    cdef examples data
    cdef Py_ssize_t strip = round_up(t.strip, PW), strips = ceil_div(n, t.strip), m
    cdef Py_ssize_t first = share(strips, thread, team.size)*t.strip
    cdef Py_ssize_t end = smaller(share(strips, thread + 1, team.size)*t.strip, n)
    cdef bint in_a_row = rows_are_contiguous(X) and X.column_step == t.layers[0].n_in*<Py_ssize_t>sizeof(real)
    data.X = X
    data.raw = NULL
    data.order = NULL
    w.Z_finite = True
    while first < end:
        m = smaller(t.strip, end - first)
        gather_X(t, w, &data, first, 0, m, NULL)
        if check and not gathered_finite(t, w, m):
            return X_NOT_FINITE
        w.check_Z = check and first == 0
        w.ahead.next = NULL
        if in_a_row and first + m < end:
            w.ahead.next = <const real*>column(X, NULL, first, m)
            w.ahead.end = <const real*>column(X, NULL, first, smaller(m + t.strip, end - first))
            w.ahead.then = NULL
        forward(t, w, thread*strip, m, PREDICTING, 0, 0, False)
        scatter(last.A + thread*strip*last.n_out, last.n_out, last.n_out, m, out, first)
        first += m
    return 0 if w.Z_finite else Z_NOT_FINITE
