# What a fit keeps in memory: weights in panels, the buffers of one block and each thread's own,
# laid out in one arena.

cdef struct layer:
    Py_ssize_t n_in, n_out
    int activation
    bint wide                   # whether blocks of W and of dZ are copied before use (product.pxi)
    real* W                     # (n_out, n_in)
    real* b                     # (n_out), each in all lanes of a vector
    real* A                     # (n_out, block): the activations
    # (n_out, block): in place of A where the product that makes it is not cut along k
    real* dZ
    real* AT                    # (block, n_in): the layer's input transposed, last panel narrow
    real* dW                    # (n_out, n_in) and
    real* db                    # (n_out): gradients, where they are not applied at once


cdef struct worker:             # what a thread has for itself
    real* X                     # (features, strip)
    real* T                     # (outputs, strip)
    real* sums                  # SCRATCH (widest layer, 16)
    real* leaf_dW               # SCRATCH (widest layer, 16)
    real* leaf_db               # SCRATCH (widest layer, 16)
    real* folded                # SCRATCH (widest layer)
    real* packed                # SCRATCH for blocks of P


cdef struct trainer:
    layer* layers
    int n_layers
    worker* workers
    bint one_unit               # one output unit on top of a hidden layer: the path of losses.pxi
    Py_ssize_t block            # examples whose sums are one chain: the batch, at most BLOCK
    Py_ssize_t strip            # examples that go through all layers together
    Py_ssize_t X_height         # rows of X: features rounded up to whole vectors
    Py_ssize_t AT_panel_rows    # rows of an AT
    real* gradient              # dW and db of all layers, `levels` times
    Py_ssize_t gradient_size
    real* leaf_costs            # 16 lanes for each leaf of a block
    # (widest layer, 16) of dW and of db, see losses.pxi; with threads, for each leaf
    real* output_sums
    Py_ssize_t sums_size
    real* zeros                 # a row of X of zeros


cdef inline real* take(char* base, size_t* used, Py_ssize_t numbers) noexcept nogil:
    """The next `numbers` of the arena, on a cache line; with base NULL only counted."""
    cdef size_t at = used[0]
    used[0] = (at + numbers*sizeof(real) + 63)//64*64
    return <real*>(base + at) if base != NULL else NULL


cdef inline Py_ssize_t tree_levels(Py_ssize_t blocks) noexcept nogil:
    """Partial sums that a tree over so many blocks holds at once."""
    cdef Py_ssize_t levels = 1
    while blocks > 1:
        blocks = ceil_div(blocks, 2)
        levels += 1
    return levels


cdef size_t lay_out(char* base, const layer_arrays* arrays, int n_layers, Py_ssize_t batch, int threads,
                    bint training) noexcept nogil:
    """Bytes of the arena, and with base, the arena: a trainer, its layers, its buffers.

    About, in numbers, with n_k units in layer k, B = min(batch, 1024) and S = B or 64 (narrow networks):
    sum n_k n_k-1 (1 + levels) for weights and gradients, 2 B sum n_k for activations and their transposes,
    and for each thread S (n_0 + n_last) for examples, 48 max n_k for sums and, in wide networks, 1 MB for
    packed blocks; with more than one, B/2 max n_k for the sums of leaves. When predicting: S for each thread
    instead of 2 B.
    """
    cdef trainer counted
    cdef layer counted_layer
    cdef trainer* t = <trainer*>base if base != NULL else &counted
    cdef worker counted_worker
    cdef layer* l
    cdef worker* w
    cdef size_t used = round_up(sizeof(trainer), 64)
    cdef Py_ssize_t weights = 0, widest = 0, examples, levels, g
    cdef int k, i
    cdef bint wide = False
    if base != NULL:
        t.layers = <layer*>(base + used)
        t.workers = <worker*>(base + used + round_up(n_layers*sizeof(layer), 64))
    used += round_up(n_layers*sizeof(layer), 64) + round_up(threads*sizeof(worker), 64)
    for k in range(n_layers):
        weights += arrays[k].n_in*arrays[k].n_out
        widest = larger(widest, larger(arrays[k].n_in, arrays[k].n_out))
        wide = (wide or arrays[k].n_in*arrays[k].n_out > PACKED
                or arrays[k].n_out*smaller(batch, BLOCK) > PACKED)
    t.n_layers = n_layers
    t.one_unit = n_layers > 1 and arrays[n_layers - 1].n_out == 1
    t.block = smaller(batch, BLOCK)
    # Weights that fit L2 are read again for each 64 examples, which then stay in L1 and L2 from the first
    # layer to the last and back; larger ones are read once for the whole block.
    t.strip = LEAF if weights <= PACKED else BLOCK
    t.strip = smaller(round_up(t.block, PW), t.strip)
    t.X_height = round_up(arrays[0].n_in, VW)
    t.AT_panel_rows = round_up(t.block, PW)
    t.zeros = take(base, &used, t.X_height)
    t.sums_size = round_up(widest, VW)*16
    for i in range(threads):
        w = &t.workers[i] if base != NULL else &counted_worker
        w.X = take(base, &used, t.X_height*round_up(t.strip, PW))
        w.packed = take(base, &used, BLOCK_BYTES//<Py_ssize_t>sizeof(real) + MC*PW) if wide else NULL
        if training:
            w.T = take(base, &used, arrays[n_layers - 1].n_out*round_up(t.strip, PW))
            w.sums = take(base, &used, t.sums_size)
            w.leaf_dW = take(base, &used, t.sums_size)
            w.leaf_db = take(base, &used, t.sums_size)
            w.folded = take(base, &used, round_up(widest, VW))
    # training: activations of the whole block, each thread has its strips of them;
    # else of a strip for each thread
    examples = t.AT_panel_rows if training else threads*round_up(t.strip, PW)
    for k in range(n_layers):
        l = &t.layers[k] if base != NULL else &counted_layer
        l.n_in = arrays[k].n_in
        l.n_out = arrays[k].n_out
        l.activation = arrays[k].activation
        l.wide = l.n_in*l.n_out > PACKED
        l.W = take(base, &used, l.n_out*round_up(l.n_in, PW))
        l.b = take(base, &used, l.n_out*VW)
        l.A = take(base, &used, l.n_out*examples)
        if training:
            l.dZ = l.A
            if k + 1 < n_layers and arrays[k + 1].n_out > KC:
                l.dZ = take(base, &used, l.n_out*examples)
            if k + 1 < n_layers or not t.one_unit:
                l.AT = take(base, &used, examples*round_up(l.n_in, VW))
    if training:
        t.leaf_costs = take(base, &used, ceil_div(t.block, LEAF)*16)
        t.output_sums = take(base, &used, 2*t.sums_size*(ceil_div(t.block, LEAF) if threads > 1 else 1))
        levels = tree_levels(ceil_div(batch, BLOCK))
        g = used
        for k in range(n_layers):
            l = &t.layers[k] if base != NULL else &counted_layer
            l.dW = take(base, &used, arrays[k].n_out*round_up(arrays[k].n_in, PW))
            l.db = take(base, &used, round_up(arrays[k].n_out, VW))
        t.gradient = <real*>(base + g) if base != NULL else NULL
        t.gradient_size = <Py_ssize_t>(used - g)//<Py_ssize_t>sizeof(real)
        take(base, &used, (levels - 1)*t.gradient_size)
    return used


cdef void load_weights(trainer* t, const layer_arrays* arrays) noexcept nogil:
    cdef int k
    cdef Py_ssize_t j
    cdef layer* l
    for k in range(t.n_layers):
        l = &t.layers[k]
        pack_weights(<const real*>arrays[k].W, l.n_out, l.n_in, l.W)
        for j in range(l.n_out):
            v_store(l.b + j*VW, v_set((<const real*>arrays[k].b)[j]))


cdef size_t arena_size(const layer_arrays* arrays, int n_layers, Py_ssize_t batch,
                       int threads) noexcept nogil:
    return lay_out(NULL, arrays, n_layers, batch, threads, True)


cdef void prepare(void* arena, const layer_arrays* arrays, int n_layers, Py_ssize_t batch,
                  int threads) noexcept nogil:
    lay_out(<char*>arena, arrays, n_layers, batch, threads, True)
    load_weights(<trainer*>arena, arrays)


cdef void read_weights(const void* arena, const layer_arrays* out) noexcept nogil:
    cdef const trainer* t = <const trainer*>arena
    cdef int k
    cdef Py_ssize_t j
    for k in range(t.n_layers):
        unpack_weights(t.layers[k].W, t.layers[k].n_out, t.layers[k].n_in, <real*>out[k].W)
        for j in range(t.layers[k].n_out):
            (<real*>out[k].b)[j] = t.layers[k].b[j*VW]


cdef int weights_finite(const void* arena) noexcept nogil:
    cdef const trainer* t = <const trainer*>arena
    cdef int k
    for k in range(t.n_layers):
        if not all_finite_array(t.layers[k].W, t.layers[k].n_out*round_up(t.layers[k].n_in, PW)):
            return 0
        if not all_finite_array(t.layers[k].b, t.layers[k].n_out*VW):
            return 0
    return 1
