# One step of an optimiser on the weights of a layer, from the gradient summed over a batch.
#
#     g = (sum dW + l2 W) / sum of the examples' weights                      (no l2 on biases)
#
# An optimiser is a function of one vector, step_`name`(s, bias, w, d, &first, &second) -> w, with a row in
# names.h: d is the summed gradient, first and second are what it keeps for each weight, as many as its row
# says. They start at 0. Padding has w = d = 0 and must stay 0.
#
# Plain gradient descent on a batch of one block needs none of this: the tiles of the gradient's product
# update W.
# Uses: arena, elementary, panels, util

cdef struct step_plan "fastnet_step_plan":    # what is the same for all weights in a batch
    real inverse                # 1/sum of the examples' weights
    real scale, decay           # of plain descent: W = decay W + scale sum dW
    real l2, rate, momentum, beta_1, rest_1, beta_2, rest_2, epsilon
    real unbiased_rate          # rate sqrt(1 - beta_2^t)/(1 - beta_1^t), t = 1, 2, ... the batch
    real keep                   # 1 - rate weight_decay
    bint nesterov
    bint nothing                # the weights of the examples sum to 0: no step
    bint decays                 # whether W shrinks by a share in every step


ctypedef void (*step_function)(const step_plan*, bint, real*, const real*, real*, real*, Py_ssize_t,
                               Py_ssize_t) noexcept nogil

cdef extern from "choose.h" nogil:
    lanes step_of(int code, const step_plan* s, bint bias, lanes w, lanes d, lanes* first, lanes* second)
    const step_function* STEP_ARRAY


cdef void plan_step(const trainer* t, double rate, real weight, bint weighted, double power_1, double power_2,
                    step_plan* s) noexcept nogil:
    """Prepare one step: what is the same for all W and b.

    `weight` is the sum of the weights of the examples; power_1 = beta_1^t and power_2 = beta_2^t, with t = 1
    in the first step.
    """
    cdef const fit_options* options = &t.options
    s.nothing = weighted and not (weight > 0 or weight < 0)  # a sum below 0: as scikit-learn trains
    s.inverse = ONE/weight if not s.nothing else 0
    s.scale = -<real>rate*s.inverse
    s.l2 = <real>options.l2
    s.decay = ONE + s.scale*s.l2
    s.decays = options.l2 > 0 or options.weight_decay > 0
    if t.fused:                                    # plain gradient descent needs no more
        return
    s.rate = <real>rate
    s.unbiased_rate = <real>(rate*sqrt(1 - power_2)/(1 - power_1))
    s.keep = <real>(1 - rate*options.weight_decay)
    s.momentum = <real>options.momentum
    s.nesterov = options.nesterov
    s.beta_1 = <real>options.beta_1
    s.rest_1 = <real>(1 - options.beta_1)
    s.beta_2 = <real>options.beta_2
    s.rest_2 = <real>(1 - options.beta_2)
    s.epsilon = <real>options.epsilon
    if s.epsilon < LEAST_NORMAL:                   # padding has g = v = 0: never 0/0
        s.epsilon = LEAST_NORMAL


# ---- the optimisers: w after the step

cdef inline lanes mean_gradient(const step_plan* s, bint bias, lanes w, lanes d) noexcept nogil:
    """g = (d + l2 w)/sum of the examples' weights, without l2 for a bias."""
    return v_mul(v_set(s.inverse), d if bias else v_fma(v_set(s.l2), w, d))


cdef inline lanes step_sgd "fastnet_step_sgd"(const step_plan* s, bint bias, lanes w, lanes d,
                                              lanes* first, lanes* second) noexcept nogil:
    """w = w - rate g, as decay w + scale d."""
    return v_fma(v_set(s.scale), d, w if bias else v_mul(v_set(s.decay), w))


cdef inline lanes step_momentum "fastnet_step_momentum"(const step_plan* s, bint bias, lanes w, lanes d,
                                                        lanes* first, lanes* second) noexcept nogil:
    """v = momentum v - rate g; w = w + v, or with Nesterov w = w + momentum v - rate g (Sutskever 2013)."""
    cdef lanes g = v_mul(v_set(s.rate), mean_gradient(s, bias, w, d))
    first[0] = without_tiny(v_sub(v_mul(v_set(s.momentum), first[0]), g))
    return v_add(w, v_sub(v_mul(v_set(s.momentum), first[0]), g) if s.nesterov else first[0])


cdef inline lanes mean_square(const step_plan* s, lanes g, lanes v) noexcept nogil:
    """v = beta_2 v + (1 - beta_2) g^2, 0 below LEAST, so that beta_2 v is not denormal."""
    v = v_fma(v_set(s.rest_2), v_mul(g, g), v_mul(v_set(s.beta_2), v))
    return v_zero_below(v, v_set(LEAST), v)


cdef inline lanes step_adam "fastnet_step_adam"(const step_plan* s, bint bias, lanes w, lanes d,
                                                lanes* first, lanes* second) noexcept nogil:
    """m = beta_1 m + (1 - beta_1) g; v: mean_square; w = w - unbiased_rate m/(sqrt v + epsilon).

    (Kingma and Ba 2015, sec. 2.)
    """
    cdef lanes g = without_tiny(mean_gradient(s, bias, w, d))
    second[0] = mean_square(s, g, second[0])
    first[0] = without_tiny(v_fma(v_set(s.rest_1), g, v_mul(v_set(s.beta_1), first[0])))
    return v_fnma(v_set(s.unbiased_rate), v_div(first[0], v_add(v_sqrt(second[0]), v_set(s.epsilon))), w)


cdef inline lanes step_adamw "fastnet_step_adamw"(const step_plan* s, bint bias, lanes w, lanes d,
                                                  lanes* first, lanes* second) noexcept nogil:
    """w = w - rate weight_decay w, not for a bias; then adam's step (Loshchilov, Hutter 2019)."""
    cdef lanes g = without_tiny(mean_gradient(s, bias, w, d))
    second[0] = mean_square(s, g, second[0])
    first[0] = without_tiny(v_fma(v_set(s.rest_1), g, v_mul(v_set(s.beta_1), first[0])))
    if not bias:
        w = v_mul(v_set(s.keep), w)
    return v_fnma(v_set(s.unbiased_rate), v_div(first[0], v_add(v_sqrt(second[0]), v_set(s.epsilon))), w)


cdef inline lanes step_rmsprop "fastnet_step_rmsprop"(const step_plan* s, bint bias, lanes w, lanes d,
                                                      lanes* first, lanes* second) noexcept nogil:
    """v: mean_square; u = g/(sqrt v + epsilon); m = momentum m + u; w = w - rate m.

    (Tieleman and Hinton 2012.)
    """
    cdef lanes g = without_tiny(mean_gradient(s, bias, w, d))
    second[0] = mean_square(s, g, second[0])
    first[0] = v_fma(v_set(s.momentum), first[0], v_div(g, v_add(v_sqrt(second[0]), v_set(s.epsilon))))
    first[0] = without_tiny(first[0])
    return v_fnma(v_set(s.rate), first[0], w)


# ---- on arrays

cdef inline void step_vector(const int code, const int moments, const step_plan* s, bint bias, int m, real* W,
                             const real* dW, real* first, real* second) noexcept nogil:
    """m <= VW weights. `code` and `moments` are literals."""
    cdef lanes w = v_load_first(W, m) if m < VW else v_load(W)
    cdef lanes d = v_load_first(dW, m) if m < VW else v_load(dW)
    cdef lanes a, v
    if moments > 0:
        a = v_load_first(first, m) if m < VW else v_load(first)
    if moments > 1:
        v = v_load_first(second, m) if m < VW else v_load(second)
    w = step_of(code, s, bias, w, d, &a, &v)
    if s.decays and not bias:
        w = without_tiny(w)
    if m < VW:
        if moments > 1:
            v_store_first(second, v, m)
        if moments > 0:
            v_store_first(first, a, m)
        v_store_first(W, w, m)
    else:
        if moments > 1:
            v_store(second, v)
        if moments > 0:
            v_store(first, a)
        v_store(W, w)


cdef inline void step_vectors "fastnet_step_vectors"(const int code, const int moments, const step_plan* s,
                                                     bint bias, real* W, const real* dW, real* first,
                                                     real* second, Py_ssize_t rows,
                                                     Py_ssize_t n) noexcept nogil:
    """n weights in each of `rows` rows of a panel. `code` and `moments` are literals: see choose.h."""
    cdef Py_ssize_t i, at, end
    for i in range(rows):
        at = i*PW
        end = at + n
        while at + VW <= end:
            step_vector(code, moments, s, bias, VW, W + at, dW + at, first + at, second + at)
            at += VW
        if at < end:
            step_vector(code, moments, s, bias, <int>(end - at), W + at, dW + at, first + at, second + at)


cdef void step_numbers(const trainer* t, const step_plan* s, const layer* l, bint bias, Py_ssize_t at,
                       Py_ssize_t rows, Py_ssize_t n, const real* gradient) noexcept nogil:
    """n numbers in each of `rows` rows of a panel of W, or of b, from number `at` on; gradient: dW or db."""
    cdef real* first = weights_or_moments(l, 1, bias) + at if l.state[0] != NULL else NULL
    cdef real* second = weights_or_moments(l, 2, bias) + at if l.state[1] != NULL else NULL
    STEP_ARRAY[t.options.optimizer](s, bias, weights_or_moments(l, 0, bias) + at, gradient + at, first,
                                    second, rows, n)


cdef void step_weights(const trainer* t, const step_plan* s, layer* l, Py_ssize_t p0, Py_ssize_t p1,
                       Py_ssize_t r0, Py_ssize_t r1, const real* dW) noexcept nogil:
    """Rows [r0, r1) of W in the panels [p0, p1)."""
    cdef Py_ssize_t p, width
    if s.nothing or r1 <= r0:
        return
    for p in range(p0, p1):
        width = row_width(l.n_in, p)
        if width == PW:
            step_numbers(t, s, l, False, (p*l.n_out + r0)*PW, 1, (r1 - r0)*PW, dW)
        else:
            step_numbers(t, s, l, False, (p*l.n_out + r0)*PW, r1 - r0, width, dW)


cdef inline void step_rows(const trainer* t, const step_plan* s, layer* l, Py_ssize_t r0, Py_ssize_t r1,
                           const real* dW, const real* db) noexcept nogil:
    """Rows [r0, r1) of a layer: W and b."""
    step_weights(t, s, l, 0, ceil_div(l.n_in, PW), r0, r1, dW)
    step_bias(t, s, l, r0, r1, db)


cdef inline void step_bias(const trainer* t, const step_plan* s, layer* l, Py_ssize_t r0, Py_ssize_t r1,
                           const real* db) noexcept nogil:
    """Units [r0, r1) of b; db: all of them."""
    if s.nothing or r1 <= r0:
        return
    step_numbers(t, s, l, True, r0, 1, r1 - r0, db)
    spread_bias(l, r0, r1)


# ---- sums of squares: of W for the cost, of the gradient for clipping

cdef void row_squares(const real* W, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t r0, Py_ssize_t r1,
                      real* sums, real* out) noexcept nogil:
    """out[r] = sum of the squares of row r of W (rows, columns), for rows [r0, r1). In 16 virtual lanes.

    sums: SCRATCH for one vector of rows.
    """
    cdef lanes[LV] s
    cdef real[VW] folded
    cdef lanes w
    cdef Py_ssize_t r, p, m, i
    cdef int v
    r = r0
    while r < r1:
        m = smaller(VW, r1 - r)
        for i in range(m):
            for v in range(LV):
                s[v] = v_zero()
            for p in range(ceil_div(columns, PW)):
                for v in range(PV):                # what lies past the last column is zero
                    w = v_load(W + (p*rows + r + i)*PW + v*VW)
                    s[v % LV] = v_fma(w, w, s[v % LV])
            for v in range(LV):
                v_store(sums + i*16 + v*VW, s[v])
        fold_rows(sums, m, folded)
        memcpy(out + r, folded, m*sizeof(real))
        r += m


cdef real sum_of_squares(const real* squares, Py_ssize_t n) noexcept nogil:
    """In order: few numbers."""
    cdef real total = 0
    cdef Py_ssize_t i
    for i in range(n):
        total += squares[i]
    return total


cdef void weight_squares(const trainer* t, const thread_team* team, int thread) noexcept nogil:
    """This thread's rows of W of every layer, squared and summed, into t.squares."""
    cdef real* out = t.squares
    cdef layer* l
    cdef int k
    for k in range(t.n_layers):
        l = &t.layers[k]
        row_squares(l.W, l.n_out, l.n_in, share(l.n_out, thread, team.size),
                    share(l.n_out, thread + 1, team.size), t.workers[thread].sums, out)
        out += l.n_out


cdef Py_ssize_t units_of(const trainer* t) noexcept nogil:
    cdef Py_ssize_t units = 0
    cdef int k
    for k in range(t.n_layers):
        units += t.layers[k].n_out
    return units


cdef void clip_gradient(const trainer* t, step_plan* s, thread_team* team, int thread) noexcept nogil:
    """The summed gradient at t.gradient becomes g, scaled down to clip_norm where its norm is larger.

    s then leaves it as it is.
    """
    cdef Py_ssize_t units = units_of(t), r, r0, r1, p
    cdef real* squares = t.squares + units
    cdef layer* l
    cdef real norm, limit = <real>t.options.clip_norm, one = 1
    cdef lanes g
    cdef int k
    cdef real* d
    cdef const real* w
    for k in range(t.n_layers):
        l = &t.layers[k]
        r0 = share(l.n_out, thread, team.size)
        r1 = share(l.n_out, thread + 1, team.size)
        for p in range(ceil_div(l.n_in, PW)):
            d = l.dW + (p*l.n_out + r0)*PW
            w = l.W + (p*l.n_out + r0)*PW
            for r in range((r1 - r0)*PV):
                g = v_fma(v_set(s.l2), v_load(w + r*VW), v_load(d + r*VW))
                v_store(d + r*VW, v_mul(v_set(s.inverse), g))
        row_squares(l.dW, l.n_out, l.n_in, r0, r1, t.workers[thread].sums, squares)
        for r in range(r0, r1):
            l.db[r] *= s.inverse
            squares[units + r] = l.db[r]*l.db[r]
        squares += l.n_out
    team_wait(team)
    norm = real_sqrt(sum_of_squares(t.squares + units, 2*units))
    s.inverse = limit/norm if norm > limit else one
    s.scale = -s.rate*s.inverse
    s.l2, s.decay = 0, one
