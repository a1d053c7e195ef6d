# The three matrix products of a layer, as sums over k of scalars of P times vectors of Q:
#
#     C[r, v] = end(init + sum_k P[r, k] Q[k, v])
#
#     forward   Z  = W A  + b  P = W,   by rows     Q = A                 init = bias
#     backward  dA = W' dZ     P = W,   transposed  Q = dZ                end  = times the activation's slope
#     gradient  dW = dZ A'     P = dZ,  by rows     Q = A', k = examples  end  = store, or a step of W at once
#
# Panel matrix: the columns are cut into panels of PW, and a panel is contiguous: element (r, c) of a matrix
# with R rows is at ((c//PW)*R + r)*PW + c%PW. Every operand is one, so the tile's strides are literals and
# small networks need no packing. Each sum is one chain of fma over k in ascending order that starts from
# init: blocking k by continuing from C changes no bit.
# Uses: activations, elementary, panels, util

cdef enum:
    KU = 4                  # k's in a round of the inner loop: 1 and 2 are 0-2 % slower, 8 is 2-5 % slower


# How a product is cut for the caches; no bit depends on it. Until set_caches: for an L2 of 2 MB.
cdef Py_ssize_t block_k = 512           # rows of Q in a block: a multiple of PW
cdef Py_ssize_t block_rows_most = 256   # rows of P in a block, and
cdef Py_ssize_t block_bytes = 1 << 20   # what a block of P may take: half of L2
cdef Py_ssize_t packed_from = (1 << 20)//sizeof(real)       # numbers of P from which on its blocks are copied
cdef Py_ssize_t fetch_from = (1 << 20)//sizeof(real)        # numbers of P, Q and C from which on tiles fetch


cdef void set_caches(Py_ssize_t L1, Py_ssize_t L2) noexcept nogil:
    """The bytes of the caches of one core; 0 if nobody knows.

    With 32 registers, a panel of Q is read from L2, and a block of it takes 128 KB or an eighth of L2: with
    the block of P, the next one, the next panel of Q and C it makes 1.25 MB of 2. Between 128 and 640 rows of
    Q the time of 1024-2048-2048-1 changes by 1 %; with 512 a batch of 512 is not cut, and 784-512-512-1 takes
    4 % less than with 256 (Zen 5). With 16 registers a panel is half as wide, and a block of it stays in half
    of L1 while the rows of P cross it.
    """
    global block_k, block_rows_most, block_bytes, packed_from, fetch_from
    cdef Py_ssize_t row = PW*<Py_ssize_t>sizeof(real)
    if L2 > 0:
        block_bytes = larger(1 << 18, smaller(1 << 20, L2//2))
        if TILE_ROWS[NV - 1]*NV < 16 or L2 < 3 << 18:      # sums of a tile: 16 registers hold 12, 32 hold 24
            block_k, block_rows_most = (L1 if L1 > 0 else 1 << 15)//2//row, 512
        else:
            block_k, block_rows_most = smaller(1 << 17, L2//8)//row, 256
        block_k = larger(128, smaller(1024, block_k))//PW*PW
        packed_from = (1 << 20 if L2 >= 3 << 19 else 1 << 22)//<Py_ssize_t>sizeof(real)
        fetch_from = (1 << 20)//<Py_ssize_t>sizeof(real)
    if TUNABLE:
        block_k = larger(1, from_environment("FASTNET_BLOCK_K", block_k)//PW)*PW
        block_rows_most = larger(PW, from_environment("FASTNET_BLOCK_ROWS", block_rows_most))
        block_bytes = from_environment("FASTNET_BLOCK_BYTES", block_bytes)
        packed_from = from_environment("FASTNET_PACKED_FROM", packed_from)
        fetch_from = from_environment("FASTNET_FETCH_FROM", fetch_from)


cdef Py_ssize_t from_environment(const char* name, Py_ssize_t otherwise) noexcept nogil:
    """The number that an environment variable holds, for a build that is to be tuned."""
    cdef const char* text = getenv(name)
    return atoll(text) if text != NULL else otherwise


cdef inline void tiles "fastnet_tiles"(const int R, const int V, const int P_row, const int P_k,
                                       const int fetch, const span* s, Py_ssize_t count, const real* P,
                                       real* C, const real* init, const real* A,
                                       prefetch_queue* queue) noexcept nogil:
    """`count` tiles below one another, each R rows and V vectors of C in registers.

    R, V, the strides of P and fetch are literals: see tiles.h. With fetch, each round of KU k's asks for a
    line of the queue and for a part of the next tile of C. Small steps: as one burst before the loop, the
    same requests kept the loads of P and Q waiting, and 1024-2048-2048-1 took 4 to 7 % longer.

    The loop over tiles saves calls, and gcc keeps the accumulators out of memory only because of it: it
    unrolls loops before it splits arrays into registers, but not the outermost one.
    """
    cdef lanes[TILE_ROWS_MAX][NV] c
    cdef lanes[NV] q
    cdef lanes[NV] scalars
    cdef lanes p
    cdef int r, v, u
    cdef Py_ssize_t K, k, Q_row = s.Q_row
    cdef const real* Q
    cdef const real* Pk
    cdef const real* pk
    cdef const real* next
    cdef const real* next_C
    cdef Py_ssize_t step
    while count > 0:
        for r in range(R):
            for v in range(V):
                c[r][v] = v_load(init + r*s.init_row + v*s.init_vector)
        Q = s.Q
        if fetch:
            next_C = C + R*PW
            next, step = queue.next, LINE
            if next == NULL:                       # nothing is left: ask for what is there already
                next, step = Q, 0
        K = s.K
        Pk = P
        while K > 0:
            k = PW if P_k == 1 and K > PW else K   # k runs along a panel of P, then on in the next one
            K -= k
            pk = Pk
            while k >= KU:
                if fetch:
                    v_prefetch_l2(next)
                    next += step
                    v_prefetch(next_C)
                    next_C += s.fetch_step
                for u in range(KU):
                    if FEW_REGISTERS and R < V:    # 3 x 4: 12 sums, 3 scalars and one vector are all 16
                        for r in range(R):
                            scalars[r] = v_set(pk[r*P_row + u*P_k])
                        for v in range(V):
                            p = v_load(Q + v*VW)
                            for r in range(R):
                                v_accumulate(&c[r][v], scalars[r], p)
                    else:
                        for v in range(V):
                            q[v] = v_load(Q + v*VW)
                        for r in range(R):
                            p = v_set(pk[r*P_row + u*P_k])
                            for v in range(V):
                                v_accumulate(&c[r][v], p, q[v])
                    Q += Q_row
                pk += KU*P_k
                k -= KU
            while k > 0:
                for v in range(V):
                    q[v] = v_load(Q + v*VW)
                for r in range(R):
                    p = v_set(pk[r*P_row])
                    for v in range(V):
                        c[r][v] = v_fma(p, q[v], c[r][v])
                Q += Q_row
                pk += P_k
                k -= 1
            Pk += s.P_panel
        if s.end == END_STORE:
            for r in range(R):
                for v in range(V):
                    v_store(C + r*PW + v*VW, c[r][v])
        elif P_k == 1:                             # END_UPDATE: W = decay W + scale dW
            for r in range(R):
                for v in range(V):
                    p = v_mul(v_set(s.decay), v_load(C + r*PW + v*VW))
                    v_store(C + r*PW + v*VW, v_fma(v_set(s.scale), c[r][v], p))
        elif s.end == END_IDENTITY:
            for r in range(R):
                for v in range(V):
                    v_store(C + r*PW + v*VW, without_small(c[r][v], v_set(s.tiny)))
        elif s.end == END_SIGMOID:                 # dZ = dA times the slope
            for r in range(R):
                for v in range(V):
                    p = ended(END_SIGMOID, c[r][v], v_load(A + r*PW + v*VW))
                    v_store(C + r*PW + v*VW, without_small(p, v_set(s.tiny)))
        elif s.end == END_TANH:
            for r in range(R):
                for v in range(V):
                    p = ended(END_TANH, c[r][v], v_load(A + r*PW + v*VW))
                    v_store(C + r*PW + v*VW, without_small(p, v_set(s.tiny)))
        elif s.end == END_RELU:
            for r in range(R):
                for v in range(V):
                    p = ended(END_RELU, c[r][v], v_load(A + r*PW + v*VW))
                    v_store(C + r*PW + v*VW, without_small(p, v_set(s.tiny)))
        else:
            for r in range(R):
                for v in range(V):
                    p = ended(END_KEPT, c[r][v], v_load(A + r*PW + v*VW))
                    v_store(C + r*PW + v*VW, without_small(p, v_set(s.tiny)))
        P += R*P_row
        C += R*PW
        A += R*PW
        init += R*s.init_row
        if fetch and step > 0:
            queue.next = next
            if next >= queue.end:
                queue.next, queue.end, queue.then = queue.then, queue.then_end, NULL
        count -= 1


cdef struct product:
    # C (M, N) = end(init + P Q), Q (K, N); P is (M, K), or (K, M) when it is read transposed
    const real* P
    const real* Q
    real* C
    real* partial               # where sums wait between blocks of K; often C itself
    bint partial_of_block       # whether partial is (rows in a block of P, N) instead of (M, N)
    const real* init            # M vectors, a bias in all lanes; NULL: zero
    const real* A               # (M, N) like C: what the slope comes from, a or the slope as it was kept
    real* packed                # SCRATCH for block_bytes; NULL: P is read where it is
    Py_ssize_t M, N, K
    Py_ssize_t Q_panel          # numbers from one panel of Q to the next
    bint Q_narrow               # whether the last panel of Q has rows of only as many vectors as it uses
    int end
    real scale, decay


cdef inline bint worth_fetching(const product* x) noexcept nogil:
    """Whether a product is so large that its matrices do not stay in L2."""
    return x.M*x.K + x.K*x.N + x.M*x.N > fetch_from


cdef inline void cross_panel(const int transposed, int V, span* s, const real* P, Py_ssize_t M, real* C,
                             const real* init, const real* A, prefetch_queue* queue) noexcept nogil:
    """M rows of C in one panel of V vectors, by tiles of balanced heights.

    100 rows are 15 tiles of 6 and 2 of 5. queue: what to fetch into L2 meanwhile, advanced; or NULL.
    """
    cdef int v = 0, w
    cdef Py_ssize_t tiles, height, higher, r
    cdef const tile_function* table
    while v < V:                                   # more than once only where PW > NV VW
        w = V - v if V - v < NV else NV
        table = &TILES[transposed][w - 1][0]
        if queue != NULL and w == NV:
            table = &FETCHING_TILES[transposed][0]
        if M <= TILE_ROWS[w - 1]:
            table[M - 1](s, 1, P, C, init, A, queue)
        else:
            tiles = ceil_div(M, TILE_ROWS[w - 1])
            height = M//tiles
            higher = M - height*tiles              # so many tiles have a row more
            if higher > 0:
                table[height](s, higher, P, C, init, A, queue)
            r = higher*(height + 1)
            table[height - 1](s, tiles - higher, P + (r if transposed else r*PW), C + r*PW,
                              init + r*s.init_row, A + r*PW, queue)
        v += NV
        s.Q += NV*VW
        C += NV*VW
        A += NV*VW
        init += NV*s.init_vector


cdef inline Py_ssize_t block_of(Py_ssize_t left, Py_ssize_t most, Py_ssize_t multiple) noexcept nogil:
    """How much of what is left to take: most, or half if less than twice that is left.

    So no sliver remains.
    """
    if left <= most:
        return left
    if left >= 2*most:
        return most
    return ceil_div(ceil_div(left, 2), multiple)*multiple


cdef inline Py_ssize_t block_rows(Py_ssize_t K) noexcept nogil:
    """Rows of P in a block of K columns: panels, and at most block_rows_most and block_bytes."""
    return larger(PW, smaller(block_rows_most, block_bytes//(K*<Py_ssize_t>sizeof(real))//PW*PW))


cdef struct block:              # rows [r, r + rows) and k in [k, k + K) of a product
    Py_ssize_t r, rows, k, K


cdef inline block first_block(const product* x, Py_ssize_t r, Py_ssize_t end,
                              Py_ssize_t multiple) noexcept nogil:
    """The block that starts at row r < end and k = 0. multiple: of the rows, where they are cut."""
    cdef block b
    b.r, b.rows = r, end - r
    if x.packed != NULL:
        b.rows = block_of(end - r, block_rows(smaller(x.K, block_k)), multiple)
    b.k, b.K = 0, block_of(x.K, block_k, PW)
    return b


cdef inline block next_block(const product* x, block b, Py_ssize_t end,
                             Py_ssize_t multiple) noexcept nogil:
    """The block after b: further k, then further rows; none are left if its r is `end`."""
    b.k += b.K
    if b.k < x.K:
        b.K = block_of(x.K - b.k, block_k, PW)
        return b
    if b.r + b.rows < end:
        return first_block(x, b.r + b.rows, end, multiple)
    b.r = end
    return b


cdef inline void start_chain(const product* x, span* s, const block* b, bint fetch) noexcept nogil:
    """Where the sums over the k of a block start and what happens at their end."""
    s.K = b.K
    if fetch:
        s.fetch_step = ceil_div(TILE_ROWS[NV - 1]*PW*KU, b.K)
    s.end = x.end if b.k + b.K == x.K else END_STORE
    s.scale = x.scale
    s.decay = x.decay
    s.tiny = TINY
    if b.k > 0:                                    # continue
        s.init_row = PW
        s.init_vector = VW
    else:
        s.init_row = VW if x.init != NULL else 0
        s.init_vector = 0


cdef inline real* waiting(const product* x, const block* b, Py_ssize_t j, Py_ssize_t r) noexcept nogil:
    """Where the sums of row r in panel j wait between two blocks of k."""
    if x.partial_of_block:
        return x.partial + (j*b.rows + r - b.r)*PW
    return x.partial + (j*x.M + r)*PW


cdef inline const real* chain_init(const product* x, const block* b, Py_ssize_t j,
                                   Py_ssize_t r) noexcept nogil:
    """What the sums of row r in panel j start from."""
    if b.k > 0:
        return waiting(x, b, j, r)
    return x.init + r*VW if x.init != NULL else ZEROS


cdef inline real* chain_end(const product* x, const block* b, Py_ssize_t j, Py_ssize_t r) noexcept nogil:
    """Where they go."""
    return x.C + (j*x.M + r)*PW if b.k + b.K == x.K else waiting(x, b, j, r)


cdef inline void queue_block(prefetch_queue* queue, const product* x, const block* b, Py_ssize_t j,
                             Py_ssize_t j0, Py_ssize_t j1) noexcept nogil:
    """While panel j is crossed, the next panel of Q is fetched; after the last one, again the first."""
    queue.next = x.Q + (j + 1 if j + 1 < j1 else j0)*x.Q_panel + b.k*PW
    queue.end = queue.next + b.K*PW
    queue.then = NULL


cdef inline void queue_P(prefetch_queue* queue, const real* P, Py_ssize_t numbers) noexcept nogil:
    """After that, a panel of the next block of P."""
    queue.then = P
    queue.then_end = P + numbers


cdef inline void product_rows(const product* x, Py_ssize_t r0, Py_ssize_t r1,
                              Py_ssize_t j0, Py_ssize_t j1) noexcept nogil:
    """Rows [r0, r1) of C in the panels [j0, j1), P (M, K) read by rows."""
    product_rows_fetching(x, r0, r1, j0, j1, NULL)


cdef void product_rows_fetching(const product* x, Py_ssize_t r0, Py_ssize_t r1, Py_ssize_t j0, Py_ssize_t j1,
                                prefetch_queue* ahead) noexcept nogil:
    """The same; meanwhile, where that leaves room for it, L2 gets what is ahead, which is advanced."""
    cdef span s
    cdef block b, after
    cdef prefetch_queue own
    cdef prefetch_queue* queue = ahead if ahead != NULL and ahead.next != NULL else NULL
    cdef bint fetch = worth_fetching(x)            # Q itself, then
    cdef Py_ssize_t j, p
    cdef const real* P
    cdef int V
    if r0 >= r1:
        return
    if fetch:
        queue = &own
    b = first_block(x, r0, r1, 1)
    while b.r < r1:
        after = next_block(x, b, r1, 1)
        start_chain(x, &s, &b, queue != NULL)
        P = x.P + b.k*x.M + b.r*PW
        s.P_panel = x.M*PW
        if x.packed != NULL:
            for p in range(ceil_div(b.K, PW)):
                memcpy(x.packed + p*b.rows*PW, P + p*s.P_panel, b.rows*PW*sizeof(real))
            P = x.packed
            s.P_panel = b.rows*PW
        for j in range(j0, j1):
            V = vectors_in_panel(x.N, j)
            s.Q_row = V*VW if x.Q_narrow else PW
            s.Q = x.Q + j*x.Q_panel + b.k*s.Q_row
            if fetch:
                queue_block(&own, x, &b, j, j0, j1)
                p = j - j0 - larger(0, j1 - j0 - ceil_div(after.K, PW))        # beside the last panels
                if x.packed != NULL and after.r < r1 and p >= 0:
                    queue_P(&own, x.P + (after.k + p*PW)*x.M + after.r*PW, after.rows*PW)
            cross_panel(0, V, &s, P, b.rows, chain_end(x, &b, j, b.r), chain_init(x, &b, j, b.r),
                        x.C + (j*x.M + b.r)*PW, queue)
        b = after


cdef void product_cols(const product* x, Py_ssize_t j0, Py_ssize_t j1) noexcept nogil:
    """C in the panels [j0, j1), P (K, M) read transposed: its panels run over the rows of C."""
    cdef span s
    cdef block b, after
    cdef prefetch_queue own
    cdef prefetch_queue* queue = NULL
    cdef Py_ssize_t p, j, r
    cdef const real* P
    if worth_fetching(x):
        queue = &own
    s.P_panel = 0
    s.Q_row = PW
    b = first_block(x, 0, x.M, PW)
    while b.r < x.M:
        after = next_block(x, b, x.M, PW)
        start_chain(x, &s, &b, queue != NULL)
        if x.packed != NULL:
            for p in range(ceil_div(b.rows, PW)):
                memcpy(x.packed + p*b.K*PW, x.P + (b.r + p*PW)*x.K + b.k*PW, b.K*PW*sizeof(real))
        for j in range(j0, j1):
            if queue != NULL:
                queue_block(queue, x, &b, j, j0, j1)
                p = j - j0 - larger(0, j1 - j0 - ceil_div(after.rows, PW))
                if x.packed != NULL and after.r < x.M and p >= 0:
                    queue_P(queue, x.P + (after.r + p*PW)*x.K + after.k*PW, after.K*PW)
            for p in range(ceil_div(b.rows, PW)):
                r = b.r + p*PW
                P = x.P + r*x.K + b.k*PW
                if x.packed != NULL:
                    P = x.packed + p*b.K*PW
                s.Q = x.Q + j*x.Q_panel + b.k*PW
                cross_panel(1, vectors_in_panel(x.N, j), &s, P, smaller(PW, b.rows - p*PW),
                            chain_end(x, &b, j, r), chain_init(x, &b, j, r), x.A + (j*x.M + r)*PW, queue)
        b = after
