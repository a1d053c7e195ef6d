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

cdef enum:
    KU = 4                  # k's in a round of the inner loop: 1 and 2 are 0-2 % slower, 8 is 2-5 % slower


# How a product is cut for the caches; no bit depends on it. Until set_caches: best with an L2 of 2 MB.
cdef Py_ssize_t block_k = 1024          # rows of Q in a block: a multiple of PW
cdef Py_ssize_t block_rows_most = 256   # rows of P in a block, and
cdef Py_ssize_t block_bytes = 1 << 20   # what a block of P may take: half of L2
cdef Py_ssize_t packed_from = (1 << 20)//sizeof(real)       # numbers of P from which on its blocks are copied
cdef bint fetching = True               # whether the tiles of copied blocks ask for C and for Q's next panel


cdef void set_caches(Py_ssize_t L2) noexcept nogil:
    """L2: its bytes; 0 if nobody knows.

    With 2 MB (AVX-512, panels of 256 bytes), long blocks and Q read from L2 were best. With 512 KB (Zen 3,
    panels of 128 bytes), a panel of Q of 128 rows stays in L1 while all rows of P cross it: 1024-2048-2048-1
    goes from 0.83 to 0.90 of the peak, in float64 from 0.76 to 0.88. A block of P then is few contiguous
    pieces, and to copy it pays for itself only in matrices of more than 4 MB. Fetching gained 3 to 5 % of
    wide networks with long blocks in the sketch that these kernels come from (not measured again since), and
    loses 3 % with the short ones.
    """
    global block_k, block_rows_most, block_bytes, packed_from, fetching
    if L2 <= 0:
        return
    block_bytes = larger(1 << 18, smaller(1 << 20, L2//2))
    block_k, block_rows_most, packed_from = 1024, 256, block_bytes//<Py_ssize_t>sizeof(real)
    if L2 < 3 << 19:
        block_k, block_rows_most, packed_from = 128, 512, (1 << 22)//<Py_ssize_t>sizeof(real)
    fetching = block_k > 128


cdef inline const real* tiles "fastnet_tiles"(const int R, const int V, const int P_row, const int P_k,
                                              const span* s, Py_ssize_t count, const real* P,
                                              real* C, const real* init, const real* A,
                                              const real* next) noexcept nogil:
    """`count` tiles below one another, each R rows and V vectors of C in registers.

    R, V and the strides of P are literals: see tiles.h. The loop over tiles saves calls, and gcc keeps the
    accumulators out of memory only because of it: it unrolls loops before it splits arrays into registers,
    but not the outermost one.
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
    while count > 0:
        for r in range(R):
            for v in range(V):
                c[r][v] = v_load(init + r*s.init_row + v*s.init_vector)
        if next != NULL:                           # C comes from L3 or memory in wide layers: ask for it now
            for r in range(R):
                for v in range(V):
                    if v*VW % LINE == 0:
                        v_prefetch(C + r*PW + v*VW)
        Q = s.Q
        K = s.K
        Pk = P
        while K > 0:
            k = PW if P_k == 1 and K > PW else K   # k runs along a panel of P, then on in the next one
            K -= k
            pk = Pk
            if next != NULL:
                for u in range(<int>(k//KU)):
                    v_prefetch_l2(next + u*LINE)
                next += k//KU*LINE
            while k >= KU:
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
        elif s.end == END_SIGMOID:                 # dZ = dA times the slope
            for r in range(R):
                for v in range(V):
                    v_store(C + r*PW + v*VW, ended(END_SIGMOID, c[r][v], v_load(A + r*PW + v*VW)))
        elif s.end == END_TANH:
            for r in range(R):
                for v in range(V):
                    v_store(C + r*PW + v*VW, ended(END_TANH, c[r][v], v_load(A + r*PW + v*VW)))
        elif s.end == END_RELU:
            for r in range(R):
                for v in range(V):
                    v_store(C + r*PW + v*VW, ended(END_RELU, c[r][v], v_load(A + r*PW + v*VW)))
        else:
            for r in range(R):
                for v in range(V):
                    v_store(C + r*PW + v*VW, ended(END_KEPT, c[r][v], v_load(A + r*PW + v*VW)))
        P += R*P_row
        C += R*PW
        A += R*PW
        init += R*s.init_row
        if next >= s.fetch_end:
            next = NULL
        count -= 1
    return next


cdef struct product:
    # C (M, N) = end(init + P Q), Q (K, N); P is (M, K), or (K, M) when it is read transposed
    const real* P
    const real* Q
    real* C
    real* partial               # (M, N): where sums wait between blocks of K; often C itself
    const real* init            # M vectors, a bias in all lanes; NULL: zero
    const real* A               # (M, N) like C: what the slope comes from, a or the slope as it was kept
    real* packed                # SCRATCH for block_bytes; NULL: P is read where it is
    Py_ssize_t M, N, K
    Py_ssize_t Q_panel          # numbers from one panel of Q to the next
    bint Q_narrow               # whether the last panel of Q has rows of only as many vectors as it uses
    int end
    real scale, decay


cdef inline const real* cross_panel(const int transposed, int V, span* s, const real* P, Py_ssize_t M,
                                    real* C, const real* init, const real* A,
                                    const real* next) noexcept nogil:
    """M rows of C in one panel of V vectors, by tiles of balanced heights.

    100 rows are 15 tiles of 6 and 2 of 5. next is what to fetch into L2 meanwhile; returned advanced.
    """
    cdef int v = 0, w
    cdef Py_ssize_t tiles, height, higher, r
    cdef const tile_function* table
    while v < V:                                   # more than once only where PW > NV VW
        w = V - v if V - v < NV else NV
        table = &TILES[transposed][w - 1][0]
        if M <= TILE_ROWS[w - 1]:
            next = table[M - 1](s, 1, P, C, init, A, next)
        else:
            tiles = ceil_div(M, TILE_ROWS[w - 1])
            height = M//tiles
            higher = M - height*tiles              # so many tiles have a row more
            next = table[height](s, higher, P, C, init, A, next) if higher > 0 else next
            r = higher*(height + 1)
            next = table[height - 1](s, tiles - higher, P + (r if transposed else r*PW), C + r*PW,
                                     init + r*s.init_row, A + r*PW, next)
        v += NV
        s.Q += NV*VW
        C += NV*VW
        A += NV*VW
        init += NV*s.init_vector
    return next


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


cdef inline void start_chain(const product* x, span* s, Py_ssize_t k, Py_ssize_t K) noexcept nogil:
    """Where the sums of k-block [k, k + K) start and what happens at their end."""
    s.K = K
    s.end = x.end if k + K == x.K else END_STORE
    s.scale = x.scale
    s.decay = x.decay
    if k > 0:                                      # continue
        s.init_row = PW
        s.init_vector = VW
    else:
        s.init_row = VW if x.init != NULL else 0
        s.init_vector = 0


cdef inline const real* chain_init(const product* x, Py_ssize_t k, Py_ssize_t r,
                                   Py_ssize_t at) noexcept nogil:
    """What the sums of C[r, ...], which lies at number `at`, start from."""
    if k > 0:
        return x.partial + at
    return x.init + r*VW if x.init != NULL else ZEROS


cdef struct stretch:            # numbers that will be wanted soon
    const real* next            # NULL: none
    const real* end


cdef inline void product_rows(const product* x, Py_ssize_t r0, Py_ssize_t r1,
                              Py_ssize_t j0, Py_ssize_t j1) noexcept nogil:
    """Rows [r0, r1) of C in the panels [j0, j1), P (M, K) read by rows."""
    product_rows_fetching(x, r0, r1, j0, j1, NULL)


cdef void product_rows_fetching(const product* x, Py_ssize_t r0, Py_ssize_t r1, Py_ssize_t j0, Py_ssize_t j1,
                                stretch* ahead) noexcept nogil:
    """The same; meanwhile, where that leaves room for it, L2 gets what is ahead, which is advanced."""
    cdef span s
    cdef Py_ssize_t k, kk, r = r0, rr, j, p, at
    cdef const real* P
    cdef const real* next
    cdef int V
    if x.packed != NULL:                           # Q itself is fetched
        ahead = NULL
    s.fetch_end = ahead.end if ahead != NULL else NO_END
    while r < r1:
        k = 0
        rr = block_of(r1 - r, block_rows(smaller(x.K, block_k)), 1) if x.packed != NULL else r1 - r
        while k < x.K:
            kk = block_of(x.K - k, block_k, PW)
            start_chain(x, &s, k, kk)
            P = x.P + k*x.M + r*PW
            s.P_panel = x.M*PW
            if x.packed != NULL:
                for p in range(ceil_div(kk, PW)):
                    memcpy(x.packed + p*rr*PW, P + p*s.P_panel, rr*PW*sizeof(real))
                P = x.packed
                s.P_panel = rr*PW
            for j in range(j0, j1):
                V = vectors_in_panel(x.N, j)
                s.Q_row = V*VW if x.Q_narrow else PW
                s.Q = x.Q + j*x.Q_panel + k*s.Q_row
                next = ahead.next if ahead != NULL else NULL
                if x.packed != NULL and fetching:
                    next = x.Q + (j + 1 if j + 1 < j1 else j0)*x.Q_panel + k*PW
                at = (j*x.M + r)*PW
                next = cross_panel(0, V, &s, P, rr, (x.C if k + kk == x.K else x.partial) + at,
                                   chain_init(x, k, r, at), x.C + at, next)
                if ahead != NULL:
                    ahead.next = next
            k += kk
        r += rr


cdef void product_cols(const product* x, Py_ssize_t j0, Py_ssize_t j1) noexcept nogil:
    """C in the panels [j0, j1), P (K, M) read transposed: its panels run over the rows of C."""
    cdef span s
    cdef Py_ssize_t k, kk, r = 0, rr, p, j, at
    cdef const real* P
    cdef const real* next
    s.P_panel = 0
    s.Q_row = PW
    s.fetch_end = NO_END
    while r < x.M:
        k = 0
        rr = smaller(x.M - r, block_rows(smaller(x.K, block_k))) if x.packed != NULL else x.M - r
        while k < x.K:
            kk = block_of(x.K - k, block_k, PW)
            start_chain(x, &s, k, kk)
            if x.packed != NULL:
                for p in range(ceil_div(rr, PW)):
                    memcpy(x.packed + p*kk*PW, x.P + (r + p*PW)*x.K + k*PW, kk*PW*sizeof(real))
            for j in range(j0, j1):
                next = NULL
                if x.packed != NULL and fetching:
                    next = x.Q + (j + 1 if j + 1 < j1 else j0)*x.Q_panel + k*PW
                for p in range(ceil_div(rr, PW)):
                    P = x.P + (r + p*PW)*x.K + k*PW
                    if x.packed != NULL:
                        P = x.packed + p*kk*PW
                    s.Q = x.Q + j*x.Q_panel + k*PW
                    at = (j*x.M + r + p*PW)*PW
                    next = cross_panel(1, vectors_in_panel(x.N, j), &s, P, smaller(PW, rr - p*PW),
                                       (x.C if k + kk == x.K else x.partial) + at,
                                       chain_init(x, k, r + p*PW, at), x.A + at, next)
            k += kk
        r += rr
