# Blocks, batches, epochs. Every gradient is a sum over examples:
# dW_ji = sum_n dZ_jn a_in, db_j = sum_n dZ_jn.
#
# A batch of at most BLOCK examples is one chain for each sum. A larger one is cut into blocks of BLOCK
# examples, and the block sums are added by a fixed binary tree over the block's index, T(n) = T(p) + T(n - p)
# with p the largest power of two below n: whichever thread works a block out, the bits are the same. So where
# a network has few weights, threads take whole blocks, and wait for one another once a batch; where the
# weights are many, they work on each block together, and read the weights once.
# Uses: arena, narrow, optimizers, panels, passes, product, row_steps, scaling, sparse, sparse_gradient, util

cdef void sum_rows(const real* dZ, Py_ssize_t rows, Py_ssize_t r0, Py_ssize_t r1, Py_ssize_t n, real* sums,
                   real* out) noexcept nogil:
    """out[r - r0] = the sum over n examples of row r of dZ (rows, n), for rows [r0, r1).

    In 16 virtual lanes.
    """
    cdef lanes[LV] s
    cdef Py_ssize_t r, j, full = n//PW
    cdef int v, V = vectors_in_panel(n, full) if full*PW < n else 0
    for r in range(r0, r1):
        for v in range(LV):
            s[v] = v_zero()
        for j in range(full):
            for v in range(PV):
                s[v % LV] = v_add(s[v % LV], v_load(dZ + (j*rows + r)*PW + v*VW))
        for v in range(LV):
            v_store(sums + (r - r0)*16 + v*VW, s[v])
        for v in range(V):
            v_store(sums + (r - r0)*16 + v % LV*VW,
                    v_add(v_load(sums + (r - r0)*16 + v % LV*VW), v_load(dZ + (full*rows + r)*PW + v*VW)))
    fold_rows(sums, r1 - r0, out)


cdef void add_chunks(const trainer* t, Py_ssize_t chunks, Py_ssize_t r0, Py_ssize_t r1,
                     real* sums) noexcept nogil:
    """Rows [r0, r1) of the output unit's sums, chunk by chunk in order.

    `sums` is that of the first chunk, in t.output_sums.
    """
    cdef Py_ssize_t chunk, i
    for chunk in range(1, chunks):
        i = r0*16
        while i < r1*16:
            v_store(sums + i, v_add(v_load(sums + i), v_load(sums + chunk*2*t.sums_size + i)))
            i += VW


cdef void output_gradients(const trainer* t, real* sums, Py_ssize_t n, bint alone,
                           Py_ssize_t r0, Py_ssize_t r1, real* out) noexcept nogil:
    """out[r - r0] = rows [r0, r1) of the output unit's sums over n examples, folded."""
    if not alone:
        add_chunks(t, ceil_div(n, CHUNK), r0, r1, sums)
    fold_rows(sums + r0*16, r1 - r0, out)


cdef void block_gradients(const trainer* t, Py_ssize_t n, const step_plan* update, real* to, bint sparse,
                          const thread_team* team, int thread) noexcept nogil:
    """This thread's rows of dW and db of every layer, from the block's dZ and A'.

    Into the gradient at `to`; unless `update` is NULL, each layer then takes its step at once, and with plain
    gradient descent straight from the product.
    """
    cdef const worker* w = &t.workers[thread]
    cdef product x
    cdef layer* l
    cdef real* dW
    cdef real* db
    cdef Py_ssize_t r0, r1, i0, i1
    cdef int k, last = t.n_layers - 1
    cdef bint alone = team.size == 1, fused = update != NULL and t.fused
    cdef bint narrow
    cdef Py_ssize_t p, p0, p1
    for k in range(last, -1, -1):
        if k == 0 and t.scale != NULL:             # its step takes whole columns: `train` has it taken
            update = NULL
        l = &t.layers[k]
        narrow = k == 0 and t.X != NULL
        dW = to + (l.dW - t.gradient)
        db = to + (l.db - t.gradient)
        r0 = share(l.n_out, thread, team.size)
        r1 = share(l.n_out, thread + 1, team.size)
        if r1 > r0:
            if t.one_unit and k == last - 1:
                output_gradients(t, t.output_sums + t.sums_size, n, alone, r0, r1, w.folded)
            else:
                sum_rows(l.dZ, l.n_out, r0, r1, n, w.sums, w.folded)
            memcpy(db + r0, w.folded, (r1 - r0)*sizeof(real))
        if t.one_unit and k == last:  # its W is one row of panels: contiguous, dealt out by whole vectors
            i0 = share(ceil_div(l.n_in, VW), thread, team.size)*VW
            i1 = smaller(share(ceil_div(l.n_in, VW), thread + 1, team.size)*VW, l.n_in)
            if i1 > i0:
                output_gradients(t, t.output_sums, n, alone, i0, i1, w.folded)
                memcpy(dW + i0, w.folded, (i1 - i0)*sizeof(real))
            if update != NULL:
                if i1 > i0 and not update.nothing:
                    step_numbers(t, update, l, False, i0, 1, i1 - i0, dW)
                step_bias(t, update, l, r0, r1, db)
        elif k == 0 and t.sparse.all_dZT != NULL:  # dW is made at the end, for all blocks
            continue
        elif k == 0 and sparse:
            p0 = share(t.sparse.pieces, thread, team.size)
            p1 = share(t.sparse.pieces, thread + 1, team.size)
            for p in range(p0, p1):
                sparse_gradient(t, w, p, n, dW)
            if update != NULL:
                step_weights(t, update, l, p0*(PIECE//PW), smaller(p1*(PIECE//PW), ceil_div(l.n_in, PW)),
                             0, l.n_out, dW)
                step_bias(t, update, l, r0, r1, db)
        elif narrow:
            narrow_gradient(l.dZ, l.n_out, r0, r1, t.X, l.n_in, n, w.sums, dW)
            if update != NULL:
                step_rows(t, update, l, r0, r1, dW, db)
        elif r1 > r0:
            x.P = l.dZ
            x.Q = l.AT
            x.C = l.W if fused else dW
            x.packed = w.packed if l.n_out*n > packed_from else NULL
            x.partial_of_block = x.packed != NULL and fused and w.partial != NULL
            x.partial = w.partial if x.partial_of_block else dW
            x.init = NULL
            x.A = NULL
            x.M = l.n_out
            x.N = l.n_in
            x.K = n
            x.Q_panel = t.AT_panel_rows*PW
            x.Q_narrow = True
            x.end = END_UPDATE if fused else END_STORE
            if fused:
                x.scale = update.scale
                x.decay = update.decay
            product_rows(&x, r0, r1, 0, ceil_div(l.n_in, PW))
            if fused:
                step_bias(t, update, l, r0, r1, db)
            elif update != NULL:
                step_rows(t, update, l, r0, r1, dW, db)


cdef inline Py_ssize_t gradient_start(const trainer* t) noexcept nogil:
    """Where in a block's gradient begins what is summed by blocks: 0, or behind dW of the first layer."""
    return t.layers[0].db - t.layers[0].dW if t.sparse.all_dZT != NULL else 0


cdef void add_gradient(const trainer* t, Py_ssize_t left, const thread_team* team, int thread) noexcept nogil:
    """This thread's part of the sum of two subtrees' gradients.

    The one at `left` and the next, into the one at `left`.
    """
    cdef real* g = t.gradient + left*t.gradient_size
    cdef Py_ssize_t from_line = gradient_start(t)//LINE, lines = t.gradient_size//LINE - from_line
    cdef Py_ssize_t i = (from_line + share(lines, thread, team.size))*LINE
    cdef Py_ssize_t end = (from_line + share(lines, thread + 1, team.size))*LINE
    while i < end:
        v_store(g + i, v_add(v_load(g + i), v_load(g + t.gradient_size + i)))
        i += VW


cdef inline Py_ssize_t merge_twins(const trainer* t, Py_ssize_t top, Py_ssize_t blocks, thread_team* team,
                                   int thread) noexcept nogil:
    """After so many blocks, two finished subtrees of the same size become one.

    `top` is the number of subtrees in t.gradient.
    """
    while blocks % 2 == 0:
        top -= 1
        add_gradient(t, top - 1, team, thread)
        team_wait(team)
        blocks //= 2
    return top


cdef inline void merge_rest(const trainer* t, Py_ssize_t top, thread_team* team, int thread) noexcept nogil:
    """After the last block: the smaller subtrees, from the right."""
    while top > 1:
        top -= 1
        add_gradient(t, top - 1, team, thread)
        team_wait(team)


cdef void run_gradient(const trainer* t, const examples* data, Py_ssize_t position, Py_ssize_t first,
                       Py_ssize_t last, int purpose, uint64_t step_number, bint sparse, real* costs,
                       thread_team* team, int thread) noexcept nogil:
    """The summed gradient of a batch's examples [first, last) at t.gradient, by blocks and their tree.

    position: where the batch starts in the order. costs: of these blocks.
    """
    cdef Py_ssize_t blocks = 0, m, top = 0
    while first < last:
        m = smaller(t.block, last - first)
        block_passes(t, data, position + first, m, purpose, first, step_number, sparse, NULL, team, thread)
        team_wait(team)
        if thread == 0:
            block_cost(t, m, costs + blocks)
        block_gradients(t, m, NULL, t.gradient + top*t.gradient_size, sparse, team, thread)
        team_wait(team)
        blocks += 1
        top = merge_twins(t, top + 1, blocks, team, thread)
        first += m
    merge_rest(t, top, team, thread)


cdef void add_runs(const trainer* t, Py_ssize_t runs, const thread_team* team, int thread) noexcept nogil:
    """This thread's numbers of the gradients of so many runs of blocks, added by the tree over the runs."""
    cdef Py_ssize_t from_line = gradient_start(t)//LINE, lines = t.gradient_size//LINE - from_line
    cdef Py_ssize_t distance = 1, run, i
    cdef Py_ssize_t start = (from_line + share(lines, thread, team.size))*LINE
    cdef Py_ssize_t end = (from_line + share(lines, thread + 1, team.size))*LINE
    cdef real* left
    cdef const real* right
    while distance < runs:
        run = 0
        while run + distance < runs:
            left = t.gradient + run*t.gradient_size
            right = left + distance*t.gradient_size
            i = start
            while i < end:
                v_store(left + i, v_add(v_load(left + i), v_load(right + i)))
                i += VW
            run += 2*distance
        distance *= 2


cdef inline bint in_whole_blocks(const trainer* t, Py_ssize_t n, const thread_team* team) noexcept nogil:
    """Whether threads take whole blocks of n examples rather than parts of each block."""
    return t.own_blocks != NULL and team.size > 1 and ceil_div(n, t.block) >= team.size


cdef Py_ssize_t batch_gradient(const trainer* t, const examples* data, Py_ssize_t position, Py_ssize_t n,
                               int purpose, uint64_t step_number, bint sparse, real* costs, thread_team* team,
                               int thread) noexcept nogil:
    """The summed gradient of n examples at t.gradient, by blocks and their tree.

    Returns the number of blocks. Threads work on one block after the other together, or each takes the next
    run of whole blocks, a subtree, until all are done.
    """
    cdef Py_ssize_t blocks = ceil_div(n, t.block), run, runs, i, first
    cdef trainer* own
    cdef thread_team alone
    if not in_whole_blocks(t, n, team):
        run_gradient(t, data, position, 0, n, purpose, step_number, sparse, costs, team, thread)
        return blocks
    own = &t.own_blocks[thread]
    alone = new_team(1)
    run = blocks_in_run(blocks, t.runs)
    runs = ceil_div(blocks, run)
    i = team_next(team)
    while i < runs:
        first = i*run*t.block
        run_gradient(own, data, position, first, smaller(n, first + run*t.block), purpose, step_number,
                     sparse, costs + i*run, &alone, 0)
        memcpy(t.gradient + i*t.gradient_size + gradient_start(t), own.gradient + gradient_start(t),
               (t.gradient_size - gradient_start(t))*sizeof(real))
        i = team_next(team)
    team_wait(team)
    if thread == 0:                                # nobody asks for the next before the wait below
        team_start_over(team)
    add_runs(t, runs, team, thread)
    team_wait(team)
    return blocks


cdef void take_step(const trainer* t, step_plan* s, thread_team* team, int thread) noexcept nogil:
    """This thread's rows of every layer take their step from the gradient at t.gradient."""
    cdef layer* l
    cdef int k
    if t.options.clip_norm > 0:
        clip_gradient(t, s, team, thread)
    for k in range(t.n_layers):
        l = &t.layers[k]
        if k == 0 and t.scale != NULL:
            step_first_layer(t, s, team, thread)
            continue
        step_rows(t, s, l, share(l.n_out, thread, team.size), share(l.n_out, thread + 1, team.size),
                  l.dW, l.db)


cdef void transpose_weights_together(const trainer* t, thread_team* team, int thread) noexcept nogil:
    """W' of the first layer, for the lists of sparse.pxi: each thread makes its share, then waits."""
    cdef Py_ssize_t panels = ceil_div(t.layers[0].n_in, PW)
    transpose_first_weights(t, share(panels, thread, team.size), share(panels, thread + 1, team.size))
    team_wait(team)


cdef void train(void* arena, const examples* data, Py_ssize_t batch, Py_ssize_t first, Py_ssize_t last,
                const double* rates, Py_ssize_t rates_step, const cost_report* report, thread_team* team,
                int thread) noexcept nogil:
    """Batch after batch from position first up to last of the order.

    The last one may be smaller, and counts as it is.
    """
    cdef trainer* t = <trainer*>arena
    cdef real* cost = <real*>report.block_costs
    cdef step_plan s
    cdef double power_1 = t.powers[0], power_2 = t.powers[1]
    cdef long long steps = t.steps
    cdef Py_ssize_t n, done = 0
    cdef real weight
    cdef bint sparse = first < last and mostly_zeros(t, data, first, last)
    # the weights are transposed and turned back: worth it for some batches
    cdef bint small = (t.small_steps and not sparse and data.raw == NULL and data.weights == NULL
                       and last - first >= 8*batch)
    if small:
        begin_small_steps(t)
    while first < last:
        n = smaller(batch, last - first)
        weight = batch_weight(data, first, n)
        power_1 = next_power(power_1, t.options.beta_1)
        power_2 = next_power(power_2, t.options.beta_2)
        plan_step(t, rates[done*rates_step], weight, data.weights != NULL, power_1, power_2, &s)
        if t.options.l2 > 0:
            weight_squares(t, team, thread)
        if sparse:
            transpose_weights_together(t, team, thread)
        if small:
            small_step(t, data, first, n, &s, cost)
            cost += 1
        elif n <= t.block:
            block_passes(t, data, first, n, TRAINING, 0, steps, sparse, NULL, team, thread)
            team_wait(team)                    # all dZ and A' are there
            if thread == 0:
                block_cost(t, n, cost)
            cost += 1
            block_gradients(t, n, NULL if t.options.clip_norm > 0 else &s, t.gradient, sparse, team, thread)
            if t.options.clip_norm > 0:
                team_wait(team)
                take_step(t, &s, team, thread)
            elif t.scale != NULL:
                team_wait(team)
                step_first_layer(t, &s, team, thread)
        else:
            cost += batch_gradient(t, data, first, n, TRAINING, steps, sparse, cost, team, thread)
            take_step(t, &s, team, thread)
        if thread == 0:
            (<real*>report.batch_weights)[done] = weight
            if t.options.l2 > 0:
                (<real*>report.batch_squares)[done] = sum_of_squares(t.squares, units_of(t))
        team_wait(team)                        # all weights are there
        steps += 1
        done += 1
        first += n
    if small:
        end_small_steps(t)
    if thread == 0:                                # the others have read them: they have waited since
        t.powers[0], t.powers[1], t.steps = power_1, power_2, steps
        t.was_sparse = sparse


cdef void gradients(void* arena, const examples* data, Py_ssize_t n, const layer_arrays* out,
                    const sparse_rows* by_feature, const cost_report* report, thread_team* team,
                    int thread) noexcept nogil:
    """The summed gradients of n examples, to the user's arrays."""
    cdef const trainer* t = <const trainer*>arena
    cdef bint own_weights = t.sparse.all_dZT == NULL
    cdef int k
    if t.options.sparse and own_weights:
        transpose_weights_together(t, team, thread)
    batch_gradient(t, data, 0, n, GRADIENT, 0, t.options.sparse, <real*>report.block_costs, team, thread)
    if not own_weights:
        gradient_by_feature(t, by_feature, out[0].W, team, thread)
    if thread > 0:
        return
    for k in range(t.n_layers):
        if k == 0 and not own_weights:
            memcpy(out[k].b, t.layers[k].db, t.layers[k].n_out*sizeof(real))
            continue
        unpack_weights(t.layers[k].dW, t.layers[k].n_out, t.layers[k].n_in, out[k].W)
        memcpy(out[k].b, t.layers[k].db, t.layers[k].n_out*sizeof(real))


cdef void costs(void* arena, const examples* data, Py_ssize_t n, const matrix* logits,
                const cost_report* report, thread_team* team, int thread) noexcept nogil:
    """The cost of n examples, block by block."""
    cdef const trainer* t = <const trainer*>arena
    cdef real* cost = <real*>report.block_costs
    cdef Py_ssize_t first = 0, m
    cdef trainer* own
    cdef thread_team alone
    if t.options.sparse:
        transpose_weights_together(t, team, thread)
    if in_whole_blocks(t, n, team):
        own = &t.own_blocks[thread]
        alone = new_team(1)
        first = team_next(team)*t.block
        while first < n:
            m = smaller(t.block, n - first)
            block_passes(own, data, first, m, COSTING, 0, 0, t.options.sparse, logits, &alone, 0)
            block_cost(own, m, cost + first//t.block)
            first = team_next(team)*t.block
        return
    while first < n:
        m = smaller(t.block, n - first)
        block_passes(t, data, first, m, COSTING, 0, 0, t.options.sparse, logits, team, thread)
        team_wait(team)
        if thread == 0:
            block_cost(t, m, cost)
        cost += 1
        first += m
        team_wait(team)
