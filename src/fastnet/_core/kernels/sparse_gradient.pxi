# The gradient of the first layer over sparse rows, feature by feature, written where the caller wants it.
#
#     dW_jf = sum over the n that list f of dZ_jn x_fn,  n ascending                a lane is a unit
#
# With the lists transposed (the examples of each feature), a sum stays in registers and each number of dW is
# written once: nothing else of its size is made, packed or added. Chains are those of sparse.pxi, and the
# sums of blocks are added by their tree. A block that does not list the feature would add 0 and is passed
# over.
# Uses: arena, sparse, util

cdef inline void add_block(const int V, Py_ssize_t done, Py_ssize_t number, uint64_t* held, lanes* c,
                           real* sums) noexcept nogil:
    """Put c, the sum of block `number`, into the tree, which has `done` blocks so far. V is a literal.

    The tree is a binary counter: if bit k of the number of blocks so far is 1, sums[k] (V vectors) is the sum
    of a subtree of 2^k blocks. It is 0, and not looked at, unless bit k of `held` is set.
    """
    cdef lanes[UNITS_AT_ONCE] rest
    cdef bint carried = False
    cdef int level, top = 0, v
    for v in range(V):
        rest[v] = v_zero()
    while done >> top != number >> top:
        top += 1
    for level in range(top - 1):                   # the blocks in between made one subtree of what is below
        if held[0] >> level & 1:
            for v in range(V):
                if carried:
                    rest[v] = v_add(v_load(sums + (level*V + v)*VW), rest[v])
                else:
                    rest[v] = v_load(sums + (level*V + v)*VW)
            held[0] -= <uint64_t>1 << level
            carried = True
    if carried:
        for v in range(V):
            v_store(sums + ((top - 1)*V + v)*VW, rest[v])
        held[0] |= <uint64_t>1 << (top - 1)
    level = 0
    while number >> level & 1:
        if held[0] >> level & 1:
            for v in range(V):
                c[v] = v_add(v_load(sums + (level*V + v)*VW), c[v])
            held[0] -= <uint64_t>1 << level
        level += 1
    for v in range(V):
        v_store(sums + (level*V + v)*VW, c[v])
    held[0] |= <uint64_t>1 << level


cdef inline void tree_sum(const int V, uint64_t held, lanes* c, const real* sums) noexcept nogil:
    """c = what the tree has after the last block: the smaller subtrees first. V is a literal."""
    cdef bint carried = False
    cdef int level = 0, v
    for v in range(V):
        c[v] = v_zero()
    while held >> level != 0:
        if held >> level & 1:
            for v in range(V):
                if carried:
                    c[v] = v_add(v_load(sums + (level*V + v)*VW), c[v])
                else:
                    c[v] = v_load(sums + (level*V + v)*VW)
            carried = True
        level += 1


cdef inline void feature_gradient_literal(const int V, const sparse_input* s, Py_ssize_t rows,
                                          const real* value, const int* example, Py_ssize_t count,
                                          Py_ssize_t u, Py_ssize_t units, real* sums,
                                          real* out) noexcept nogil:
    """V vectors of units of a feature's dW, from unit u on, of which `units` are to be written.

    rows: examples of a block. V is a literal.
    """
    cdef lanes[UNITS_AT_ONCE] c
    cdef lanes x
    cdef const real* dZ = s.all_dZT + u
    cdef const real* d
    cdef Py_ssize_t e = 0, U = s.U, number = 0, done = 0, end
    cdef uint64_t held = 0
    cdef int v
    for v in range(V):
        c[v] = v_zero()
    while e < count:
        number = example[e]//rows
        end = (number + 1)*rows
        while e < count and example[e] < end:
            x = v_set(value[e])
            d = dZ + example[e]*U
            for v in range(V):
                c[v] = v_fma(v_load(d + v*VW), x, c[v])
            e += 1
        if e == count and held == 0:               # all in one block
            break
        add_block(V, done, number, &held, c, sums)
        done = number + 1
        for v in range(V):
            c[v] = v_zero()
    if held != 0:
        tree_sum(V, held, c, sums)
    for v in range(V):
        if (v + 1)*VW <= units:
            v_store(out + v*VW, c[v])
        else:
            v_store_first(out + v*VW, c[v], <int>(units - v*VW))


cdef void feature_gradient(int V, const sparse_input* s, Py_ssize_t rows, const real* value,
                           const int* example, Py_ssize_t count, Py_ssize_t u, Py_ssize_t units, real* sums,
                           real* out) noexcept nogil:
    if V == 8:
        feature_gradient_literal(8, s, rows, value, example, count, u, units, sums, out)
    elif V == 7:
        feature_gradient_literal(7, s, rows, value, example, count, u, units, sums, out)
    elif V == 6:
        feature_gradient_literal(6, s, rows, value, example, count, u, units, sums, out)
    elif V == 5:
        feature_gradient_literal(5, s, rows, value, example, count, u, units, sums, out)
    elif V == 4:
        feature_gradient_literal(4, s, rows, value, example, count, u, units, sums, out)
    elif V == 3:
        feature_gradient_literal(3, s, rows, value, example, count, u, units, sums, out)
    elif V == 2:
        feature_gradient_literal(2, s, rows, value, example, count, u, units, sums, out)
    else:
        feature_gradient_literal(1, s, rows, value, example, count, u, units, sums, out)


cdef void gradient_by_feature(const trainer* t, const sparse_rows* by_feature, matrix dW,
                              const thread_team* team, int thread) noexcept nogil:
    """This thread's features of dW of the first layer, from dZ of all examples, to the user's array."""
    cdef const sparse_input* s = &t.sparse
    cdef Py_ssize_t features = t.layers[0].n_in, units = t.layers[0].n_out, f, u, start
    cdef int V
    for f in range(share(features, thread, team.size), share(features, thread + 1, team.size)):
        start = by_feature.start[f]
        u = 0
        while u < s.U:
            V = units_next((s.U - u)//VW)
            feature_gradient(V, s, t.block, <const real*>by_feature.value + start, by_feature.feature + start,
                             by_feature.start[f + 1] - start, u, smaller(V*VW, units - u),
                             t.workers[thread].transposed, <real*>(dW.start + f*dW.column_step) + u)
            u += V*VW
