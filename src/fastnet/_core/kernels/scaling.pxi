# A learned scale of each input, in front of the first layer and inside the optimiser only:
#
#     W = V diag(c)      g_V = g_W diag(c)      g_c,i = sum_j g_W,ji v_ji
#
# V and c take their steps, c at scale_rate times the learning rate and without weight decay; then W is made
# again. Only W and c are kept: V = W/c. The network and its predictions know nothing of it.
# (The scaling layer of RealMLP: Holzmueller, Grinsztajn, Steinwart 2024, section 3.)
# Uses: arena, elementary, optimizers, panels, util

cdef inline real* scale_part(const trainer* t, int which) noexcept nogil:
    """c (0), or the first and second moment of its gradient (1, 2): numbers of the first layer's inputs."""
    return t.scale + which*round_up(t.layers[0].n_in, PW)


cdef inline lanes load_some(const real* p, int m) noexcept nogil:
    return v_load_first(p, m) if m < VW else v_load(p)


cdef inline void store_some(real* p, lanes a, int m) noexcept nogil:
    if m < VW:
        v_store_first(p, a, m)
    else:
        v_store(p, a)


cdef void step_scaled(const trainer* t, const step_plan* s, const step_plan* of_scale,
                      Py_ssize_t p) noexcept nogil:
    """Panel p of the first layer: its columns of V, and their scales.

    The gradient of W becomes that of V, in its place.
    """
    cdef const layer* l = &t.layers[0]
    cdef step_function take = STEP_ARRAY[t.options.optimizer]
    cdef real* scale = scale_part(t, 0) + p*PW
    cdef real* W = l.W + p*l.n_out*PW
    cdef real* dW = l.dW + p*l.n_out*PW
    cdef Py_ssize_t width = row_width(l.n_in, p), start = 0, r, i
    cdef real[PW] gradient
    cdef lanes c, inverse, sum, V, d
    cdef int m
    while start < width:
        m = <int>smaller(VW, width - start)
        c = v_load(scale + start)
        inverse = v_div(v_set(ONE), c)
        sum = v_zero()
        for r in range(l.n_out):                   # a chain over the units: the bits of any number of threads
            i = r*PW + start
            V = v_mul(load_some(W + i, m), inverse)
            d = without_tiny(load_some(dW + i, m))
            sum = v_fma(d, V, sum)
            store_some(W + i, V, m)
            store_some(dW + i, v_mul(d, c), m)
        v_store(gradient + start, sum)
        start += VW
    take(of_scale, True, scale, gradient, scale_part(t, 1) + p*PW, scale_part(t, 2) + p*PW, 1, width)
    for i in range(width):                         # c = 0 would lose V
        if -SMALLEST_SCALE < scale[i] < SMALLEST_SCALE:
            scale[i] = SMALLEST_SCALE
    i = p*l.n_out*PW
    take(s, False, W, dW, l.state[0] + i, l.state[1] + i, l.n_out, width)
    start = 0
    while start < width:
        m = <int>smaller(VW, width - start)
        c = v_load(scale + start)
        for r in range(l.n_out):
            i = r*PW + start
            V = v_mul(load_some(W + i, m), c)
            store_some(W + i, without_tiny(V) if s.decays else V, m)
        start += VW


cdef void step_first_layer(const trainer* t, const step_plan* s, const thread_team* team,
                           int thread) noexcept nogil:
    """This thread's share of the first layer under its scales: whole panels of W, whole rows of b.

    All threads have waited for the gradient.
    """
    cdef layer* l = &t.layers[0]
    cdef Py_ssize_t panels = ceil_div(l.n_in, PW), p
    cdef step_plan of_scale = s[0]
    of_scale.unbiased_rate = s.unbiased_rate*<real>t.options.scale_rate
    if not s.nothing:
        for p in range(share(panels, thread, team.size), share(panels, thread + 1, team.size)):
            step_scaled(t, s, &of_scale, p)
    step_bias(t, s, l, share(l.n_out, thread, team.size), share(l.n_out, thread + 1, team.size), l.db)
