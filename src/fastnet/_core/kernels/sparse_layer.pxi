# Prediction by a first layer whose examples are sparse rows: its outputs, from the weights where they lie.
#
#     Z_jn = b_j + sum over the f that row n lists of w_jf x_fn,  f ascending       a lane is a unit
#
# The chain is that of sparse.pxi and of the dense passes. The weights of one feature lie side by side, as in
# scikit-learn's coefs_ (n_in, n_out): the others are not read, so a row with ten numbers takes ten rows.
# Uses: activations, elementary, panels, small_batch, util

cdef void last_units(int m, const real* value, const int* feature, Py_ssize_t count, const real* WT,
                     Py_ssize_t WT_row, const real* b, real* z) noexcept nogil:
    """The last m < VW units, whose vector would reach past the end of the weights."""
    cdef lanes c = v_load_first(b, m)
    cdef Py_ssize_t e
    for e in range(count):
        c = v_fma(v_set(value[e]), v_load_first(WT + feature[e]*WT_row, m), c)
    v_store(z, c)


cdef size_t sparse_layer_scratch(Py_ssize_t n_out, int threads) noexcept nogil:
    return threads*round_up(n_out, PW)*sizeof(real)


cdef void sparse_layer(const layer_arrays* l, const sparse_rows* rows, Py_ssize_t first, Py_ssize_t n,
                       void* scratch, matrix out, int last, const thread_team* team,
                       int thread) noexcept nogil:
    """A of this thread's share of the n rows from `first` on."""
    cdef real* z = <real*>scratch + thread*round_up(l.n_out, PW)
    cdef const real* b = <const real*>l.b
    cdef const real* WT = <const real*>l.W.start
    cdef const real* value
    cdef const int* feature
    cdef Py_ssize_t WT_row = l.W.column_step//<Py_ssize_t>sizeof(real), count, i, j
    cdef Py_ssize_t whole = l.n_out//VW*VW
    cdef char* to
    for i in range(share(n, thread, team.size), share(n, thread + 1, team.size)):
        value = <const real*>rows.value + rows.start[first + i]
        feature = rows.feature + rows.start[first + i]
        count = rows.start[first + i + 1] - rows.start[first + i]
        row_units(whole//VW, value, feature, count, WT, WT_row, b, z)
        if whole < l.n_out:
            last_units(<int>(l.n_out - whole), value, feature, count, WT + whole, WT_row, b + whole,
                       z + whole)
        if l.activation == ACTIVATION_softmax:
            softmax_rows(z, 1, l.n_out)
        else:
            for j in range(ceil_div(l.n_out, PW)):
                activate_panel(l.activation, z + j*PW, NULL, 1, vectors_in_panel(l.n_out, j),
                               LOG_LEAST if last else LOG_TINY)
        to = out.start + i*out.column_step
        if out.row_step == sizeof(real):
            memcpy(to, z, l.n_out*sizeof(real))
        else:
            for j in range(l.n_out):
                memcpy(to + j*out.row_step, z + j, sizeof(real))
