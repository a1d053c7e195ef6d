# The memory of a fit, allocated once as one piece (the arena): weights in panels, the buffers of one block,
# and those of each thread. Where a batch has several blocks and the weights are few, each thread has buffers
# for whole blocks of its own.
# Uses: activations, elementary, losses, narrow, panels, product, util

cdef enum:
    SPARSE_INPUTS = 64          # a first layer with fewer inputs
    SPARSE_UNITS = 8            # or fewer units never takes the way of sparse.pxi, unless X is sparse rows
    PIECE = 64                  # features: whole panels in every build
    # At most so many runs of blocks for a thread; with 16 the threads waited 3 % of the time at the end.
    RUNS_OF_A_THREAD = 32
    RUNS_BYTES = 1 << 26        # that their sums may take
    SMALL_STEP = 8              # examples in a batch of a few: row_steps.pxi; half of 16 lanes
    SCALES = 3                  # from here on `read` and `write` mean what scaling.pxi keeps


cdef struct sparse_input:       # the examples of a block as lists of what is not 0
    # Of dense examples, (block, capacity) each; the numbers are in the place of A'. Of sparse rows, where the
    # user's are.
    const int* feature          # which features these are, ascending; NULL: no lists
    const real* value           # the numbers
    Py_ssize_t* at              # (block): where the list of an example starts
    int* start                  # (pieces + 1, examples): where in an example's list a piece starts
    real* WT                    # (features, U): W transposed, made for each batch
    const real* weights         # what the forward pass reads, `row` numbers a feature: WT, or the user's W,
    Py_ssize_t row
    Py_ssize_t whole            # of whose units so many may be read by whole vectors: U, or fewer
    real* dZT                   # (block, U): dZ transposed
    real* all_dZT               # (batch, U) of sparse_gradient.pxi, which alone makes dW then; or NULL
    Py_ssize_t capacity, pieces
    Py_ssize_t examples         # a block of them, in whole panels
    Py_ssize_t U                # units, in whole vectors


cdef struct layer:
    Py_ssize_t n_in, n_out
    int activation
    int end                     # how the slope of the activation comes: END_... of tiles.h
    bint wide                   # whether blocks of W and of dZ are copied before use (product.pxi)
    unsigned int dropout        # the share of its outputs to set to 0, in 65536ths
    real* W                     # (n_out, n_in)
    real* b                     # (n_out)
    real* b_lanes               # (n_out), each in all lanes of a vector
    real* A                     # (n_out, block): the activations
    real* S                     # (n_out, block): their slopes, where they are kept; else NULL
    # (n_out, block): in place of A where the product that makes it is not cut along k
    real* dZ
    real* AT                    # (block, n_in): the layer's input transposed, last panel narrow
    real* dW                    # (n_out, n_in) and
    real* db                    # (n_out): gradients, where they are not applied at once
    real* state[2]              # what the optimiser keeps: dW and db each, as in the gradient; or NULL
    # with batches of a few examples, see row_steps.pxi; else NULL:
    real* WT                    # (n_in, n_out): W transposed
    real* state_WT[2]           # and what the optimiser keeps for it
    real* A_rows                # (SMALL_STEP, n_out) each: activations, slopes and dZ of a batch
    real* S_rows
    real* dZ_rows


cdef struct worker:             # what a thread has for itself
    real* X                     # (features, strip), or where the strip is in the trainer's X
    real* T                     # (outputs, strip)
    real* weights               # (strip), of the examples
    bint plain                  # whether these are all 1
    real* sums                  # SCRATCH (widest layer, 16)
    real* chunk_dW               # SCRATCH (widest layer, 16)
    real* chunk_db               # SCRATCH (widest layer, 16)
    real* folded                # SCRATCH (widest layer)
    real* packed                # SCRATCH for blocks of P
    real* partial               # SCRATCH for the sums of a block of rows of a gradient; NULL: they wait in dW
    prefetch_queue ahead        # of X, when predicting; else nothing
    bint check_Z                # whether the next forward pass looks for numbers that are not finite
    bint Z_finite               # and what it has found
    real* transposed                # SCRATCH for a piece of the first layer, see sparse.pxi


cdef struct trainer:
    layer* layers
    int n_layers
    int n_threads
    worker* workers
    fit_options options
    real[3] loss_constants      # the loss's parameter, the least and the most that a cost counts
    bint one_unit               # one output unit on top of a hidden layer: the path of losses.pxi
    bint logits                 # whether the loss is worked out from the logits of the last layer
    bint fused                  # whether the tiles of a gradient update W themselves: plain gradient descent
    Py_ssize_t batch
    long long steps             # batches there have been
    double[2] powers            # beta_1 and beta_2 to the power of steps
    Py_ssize_t block            # examples whose sums are one chain: the batch, at most BLOCK
    Py_ssize_t strip            # examples that go through all layers together
    sparse_input sparse
    sparse_rows rows            # with options.sparse, the examples of this call
    bint was_sparse             # whether the last call trained on lists
    bint small_steps            # whether a batch is a few examples, for row_steps.pxi; then
    real* X_rows                # (SMALL_STEP, features) and
    real* panel_gradient        # SCRATCH for a panel of a gradient
    real* X                     # (features, block) if these are few, see narrow.pxi; else NULL
    Py_ssize_t X_height         # rows of X: features, rounded up to whole vectors unless few
    Py_ssize_t T_height         # rows of T, likewise
    standardization standardize
    Py_ssize_t AT_panel_rows    # rows of an AT
    real* gradient              # dW and db of all layers, once for each level of the tree or each run
    Py_ssize_t gradient_size
    chunk_cost* chunk_costs       # of each chunk of a block
    bint unit_bce               # cross-entropy of one output that nothing cuts: unit_bce of losses.pxi
    # (widest layer, 16) of dW and of db, see losses.pxi; with threads, for each chunk
    real* output_sums
    Py_ssize_t sums_size
    real* zeros                 # a row of X or T of zeros
    real* squares               # of rows of W, of rows of dW and of db: three numbers for each unit
    real* scale                 # of the first layer's inputs, and its moments: see scaling.pxi; or NULL
    # for each thread, a trainer of the same weights with buffers for blocks of its own; or NULL
    trainer* own_blocks
    Py_ssize_t runs             # of blocks, at most, whose sums t.gradient has room for; see epoch.pxi


cdef inline real* arena_take_scratch(char* base, size_t* used, Py_ssize_t numbers) noexcept nogil:
    """The next `numbers` of the arena, on a cache line; with base NULL only counted.

    They may be anything, and are written before they are read.
    """
    cdef size_t at = used[0]
    used[0] = (at + numbers*sizeof(real) + 63)//64*64
    return <real*>(base + at) if base != NULL else NULL


cdef inline real* arena_take(char* base, size_t* used, Py_ssize_t numbers) noexcept nogil:
    """The same, all 0."""
    cdef real* start = arena_take_scratch(base, used, numbers)
    if base != NULL:
        memset(start, 0, numbers*sizeof(real))
    return start


cdef inline real* arena_take_weights(char* base, size_t* used, Py_ssize_t n_out,
                                     Py_ssize_t n_in) noexcept nogil:
    """The same for (n_out, n_in) in panels: what pads the last one is 0, and the rest may be anything."""
    cdef Py_ssize_t whole = n_out*(n_in//PW*PW), numbers = n_out*round_up(n_in, PW)
    cdef real* start = arena_take_scratch(base, used, numbers)
    if base != NULL:
        memset(start + whole, 0, (numbers - whole)*sizeof(real))
    return start


cdef inline Py_ssize_t tree_levels(Py_ssize_t blocks) noexcept nogil:
    """Partial sums that a tree over so many blocks holds at once."""
    cdef Py_ssize_t levels = 1
    while blocks > 1:
        blocks = ceil_div(blocks, 2)
        levels += 1
    return levels


cdef inline Py_ssize_t height_of(Py_ssize_t numbers) noexcept nogil:
    """Rows of panels that examples of so many numbers are gathered into."""
    return numbers if numbers <= NARROW else round_up(numbers, VW)


cdef inline Py_ssize_t blocks_in_run(Py_ssize_t blocks, Py_ssize_t runs) noexcept nogil:
    """Blocks that a thread takes at once: a power of two (a subtree), so that `runs` runs are enough."""
    cdef Py_ssize_t run = 1
    while ceil_div(blocks, run) > runs:
        run *= 2
    return run


cdef void lay_out_lists(trainer* t, char* base, size_t* used, Py_ssize_t n_in, Py_ssize_t n_out,
                        const real* value, bint rows) noexcept nogil:
    """The lists of sparse.pxi; with `rows`, the numbers themselves lie in the user's sparse rows."""
    cdef sparse_input* s = &t.sparse
    cdef Py_ssize_t ints = sizeof(real)//sizeof(int)
    s.capacity = 0 if rows else round_up(n_in, VW)
    s.pieces = ceil_div(n_in, PIECE)
    s.U = round_up(n_out, VW)
    s.examples = t.AT_panel_rows + 16  # 4096 bytes apart they would share a set of L1
    s.feature = <int*>arena_take_scratch(base, used, ceil_div(t.AT_panel_rows*s.capacity, ints))
    s.at = <Py_ssize_t*>arena_take_scratch(base, used, t.AT_panel_rows*<Py_ssize_t>sizeof(Py_ssize_t)
                                           //<Py_ssize_t>sizeof(real))
    s.start = <int*>arena_take_scratch(base, used, ceil_div(s.examples*(s.pieces + 1), ints))
    s.dZT = arena_take_scratch(base, used, t.AT_panel_rows*s.U)
    s.value = value
    s.weights, s.row, s.whole = s.WT, s.U, s.U


cdef void lay_out_block(trainer* t, char* base, size_t* used, const layer_arrays* arrays, int threads,
                        const fit_options* options, bint lists, bint rows) noexcept nogil:
    """What the examples of one block need: activations, their transposes, lists, costs, sums of chunks.

    For that many threads that work on it together; when predicting, a strip for each.
    """
    cdef bint training = options != NULL
    cdef layer counted_layer
    cdef layer* l
    cdef real* AT = NULL
    cdef int k
    # training: activations of the whole block, each thread has its strips of them
    cdef Py_ssize_t examples = t.AT_panel_rows if training else threads*round_up(t.strip, PW)
    t.X = NULL
    if training and t.X_height <= NARROW:
        t.X = arena_take_scratch(base, used, t.X_height*examples)
    for k in range(t.n_layers):
        l = &t.layers[k] if base != NULL else &counted_layer
        l.A = arena_take_scratch(base, used, arrays[k].n_out*examples)
        if not training:
            continue
        l.dropout = <unsigned int>(65536*arrays[k].dropout + 0.5)
        l.end = END_KEPT if l.dropout > 0 else SLOPE_END[arrays[k].activation]
        if k == t.n_layers - 1:
            t.logits = (ACTIVATION_OF_LOSS[options.loss] != FROM_OUTPUTS
                        or arrays[k].activation == ACTIVATION_identity)
            l.end = END_STORE if t.logits else END_KEPT
        if l.end == END_KEPT:
            l.S = arena_take_scratch(base, used, arrays[k].n_out*examples)
        l.dZ = l.A
        if k + 1 < t.n_layers and arrays[k + 1].n_out > block_k:
            l.dZ = arena_take_scratch(base, used, arrays[k].n_out*examples)
        l.AT = NULL
        if (k + 1 < t.n_layers or not t.one_unit) and (k > 0 or t.X == NULL and not rows):
            l.AT = arena_take_scratch(base, used, examples*round_up(arrays[k].n_in, VW))
        if k == 0:
            AT = l.AT
    if not training:
        return
    if lists:
        lay_out_lists(t, base, used, arrays[0].n_in, arrays[0].n_out, AT, rows)
    t.chunk_costs = <chunk_cost*>arena_take(base, used, ceil_div(t.block, CHUNK)*32)
    t.output_sums = arena_take_scratch(base, used,
                                       2*t.sums_size*(ceil_div(t.block, CHUNK) if threads > 1 else 1))


cdef void lay_out_gradient(trainer* t, char* base, size_t* used, const layer_arrays* arrays,
                           Py_ssize_t levels, Py_ssize_t copies) noexcept nogil:
    """dW and db of all layers, so many times; those after the first `levels` are copied to as a whole."""
    cdef layer counted_layer
    cdef layer* l
    cdef size_t start = used[0]
    cdef int k
    for k in range(t.n_layers):
        l = &t.layers[k] if base != NULL else &counted_layer
        l.dW = arena_take_weights(base, used, arrays[k].n_out, arrays[k].n_in)
        l.db = arena_take(base, used, round_up(arrays[k].n_out, VW))
    t.gradient = <real*>(base + start) if base != NULL else NULL
    t.gradient_size = <Py_ssize_t>(used[0] - start)//<Py_ssize_t>sizeof(real)
    arena_take(base, used, (levels - 1)*t.gradient_size)
    arena_take_scratch(base, used, (copies - levels)*t.gradient_size)


cdef void lay_out_small_steps(trainer* t, char* base, size_t* used, const layer_arrays* arrays,
                              int moments) noexcept nogil:
    """What row_steps.pxi needs: W and what the optimiser keeps, transposed, and rows of a batch."""
    cdef layer counted_layer
    cdef layer* l
    cdef Py_ssize_t height = 0, numbers
    cdef int k, m
    t.X_rows = arena_take(base, used, SMALL_STEP*round_up(arrays[0].n_in, PW))
    for k in range(t.n_layers):
        l = &t.layers[k] if base != NULL else &counted_layer
        height = larger(height, round_up(arrays[k].n_in, VW))
        numbers = round_up(arrays[k].n_in, VW)*round_up(arrays[k].n_out, VW)
        l.WT = arena_take(base, used, numbers)
        for m in range(moments):
            l.state_WT[m] = arena_take(base, used, numbers)
        l.A_rows = arena_take(base, used, SMALL_STEP*round_up(arrays[k].n_out, PW))
        l.S_rows = arena_take(base, used, SMALL_STEP*round_up(arrays[k].n_out, PW))
        l.dZ_rows = arena_take(base, used, SMALL_STEP*round_up(arrays[k].n_out, PW))
    t.panel_gradient = arena_take(base, used, height*PW)


cdef size_t lay_out(char* base, const layer_arrays* arrays, int n_layers, Py_ssize_t batch, int threads,
                    const fit_options* options, const trainer* shared) noexcept nogil:
    """Bytes of the arena, and with base, the arena: a trainer, its layers, its buffers; it may hold anything.

    About, in numbers, with n_k units in layer k, B = min(batch, 1024) and S = B, or 64 (few weights):
    sum n_k n_k-1 (1 + levels + states) for weights, gradients and what the optimiser keeps, 2 B sum n_k for
    activations and their transposes (3 B where slopes are kept), (n_0 + 2 B) n_1 and B n_0 integers for the
    lists of sparse.pxi, and for each thread S (n_0 + n_last) for examples, 48 max n_k for sums and, in wide
    networks, 1 MB for packed blocks; with more than one, B/2 max n_k for the sums of chunks. With more than
    one, several blocks and few weights, also each thread's own block, and gradients for its tree and
    for RUNS_OF_A_THREAD runs (64 MB at most, or one for each thread). With batches of at most SMALL_STEP, the
    weights and what is kept for them once more. With sparse rows nothing takes B n_0 or S n_0, but B n_0/64
    integers. When predicting (options is NULL): S for each thread instead of 2 B, and no weights if they are
    shared with another arena.
    """
    cdef bint training = options != NULL
    cdef trainer counted, counted_own
    cdef trainer* own
    cdef layer counted_layer
    cdef trainer* t = <trainer*>base if base != NULL else &counted
    cdef worker counted_worker
    cdef layer* l
    cdef worker* w
    cdef size_t used = round_up(sizeof(trainer), 64)
    cdef Py_ssize_t weights = 0, widest = 0, units = 0, vectors = 0, levels, copies, g
    cdef Py_ssize_t outputs = arrays[n_layers - 1].n_out
    cdef int k, i
    cdef bint wide = False, dropout = False
    cdef bint rows = training and options.sparse
    cdef bint lists = rows or (training and arrays[0].n_in >= SPARSE_INPUTS
                               and arrays[0].n_out >= SPARSE_UNITS and arrays[0].mean == NULL)
    g = used + round_up(n_layers*sizeof(layer), 64) + round_up(threads*sizeof(worker), 64)
    if base != NULL:
        memset(base, 0, g)
        t.layers = <layer*>(base + used)
        t.workers = <worker*>(base + used + round_up(n_layers*sizeof(layer), 64))
    used = g
    for k in range(n_layers):
        weights += arrays[k].n_in*arrays[k].n_out
        widest = larger(widest, larger(arrays[k].n_in, arrays[k].n_out))
        units += arrays[k].n_out
        vectors += arrays[k].n_in*ceil_div(arrays[k].n_out, VW)
        dropout = dropout or arrays[k].dropout > 0
        wide = (wide or arrays[k].n_in*arrays[k].n_out > packed_from
                or arrays[k].n_out*smaller(batch, BLOCK) > packed_from)
    t.n_layers = n_layers
    t.n_threads = threads
    t.one_unit = n_layers > 1 and outputs == 1
    t.batch = batch
    t.block = smaller(batch, BLOCK)
    # Weights that fit L2 are read again for each 64 examples, which then stay in L1 and L2 from the first
    # layer to the last and back; larger ones are read once for the whole block.
    t.strip = CHUNK if weights <= packed_from else BLOCK
    t.X_height = height_of(arrays[0].n_in)
    t.T_height = height_of(outputs)
    g = (t.X_height + t.T_height + units)*sizeof(real)
    while t.strip < BLOCK and 2*t.strip*g <= 1 << 14:          # tiny networks: half of L1 holds more
        t.strip *= 2
    t.strip = smaller(round_up(t.block, PW), t.strip)
    t.AT_panel_rows = round_up(t.block, PW)
    t.zeros = arena_take(base, &used, larger(t.X_height, t.T_height))
    if arrays[0].mean != NULL and shared == NULL:
        t.standardize.mean = arena_take(base, &used, t.X_height)
        t.standardize.scale = arena_take(base, &used, t.X_height)
    elif shared != NULL:
        t.standardize = shared.standardize
    t.sums_size = round_up(widest, VW)*16
    for i in range(threads):
        w = &t.workers[i] if base != NULL else &counted_worker
        w.X = NULL
        if not training or t.X_height > NARROW and not rows:
            w.X = arena_take_scratch(base, &used, t.X_height*round_up(t.strip, PW))
        w.packed = w.partial = NULL
        if wide and training and t.block > block_k and block_rows_most*round_up(widest, PW) < weights:
            w.partial = arena_take_scratch(base, &used, block_rows_most*round_up(widest, PW))
        if wide:
            w.packed = arena_take_scratch(base, &used,
                                          block_bytes//<Py_ssize_t>sizeof(real) + block_rows_most*PW)
        if training:
            w.T = arena_take(base, &used, t.T_height*round_up(t.strip, PW))
            w.weights = arena_take(base, &used, round_up(t.strip, PW))
            w.sums = arena_take_scratch(base, &used, larger(t.sums_size, 16*NARROW*VW))
            w.chunk_dW = arena_take_scratch(base, &used, t.sums_size)
            w.chunk_db = arena_take_scratch(base, &used, t.sums_size)
            w.folded = arena_take_scratch(base, &used, round_up(widest, VW))
            if lists:
                w.transposed = arena_take_scratch(base, &used, PIECE*8*VW)
    for k in range(n_layers):
        l = &t.layers[k] if base != NULL else &counted_layer
        l.n_in = arrays[k].n_in
        l.n_out = arrays[k].n_out
        l.activation = arrays[k].activation
        l.wide = l.n_in*l.n_out > packed_from
        if shared == NULL:
            l.W = arena_take_weights(base, &used, l.n_out, l.n_in)
            l.b = arena_take(base, &used, round_up(l.n_out, VW))
            l.b_lanes = arena_take_scratch(base, &used, l.n_out*VW)
        else:
            l.W, l.b, l.b_lanes = shared.layers[k].W, shared.layers[k].b, shared.layers[k].b_lanes
    t.sparse.feature = NULL
    if lists:
        t.sparse.WT = arena_take_scratch(base, &used,
                                         round_up(arrays[0].n_in, PW)*round_up(arrays[0].n_out, VW))
    lay_out_block(t, base, &used, arrays, threads, options, lists, rows)
    if training:
        t.squares = arena_take(base, &used, 3*units)
        t.scale = NULL
        if options.scale_rate > 0:
            t.scale = arena_take(base, &used, 3*round_up(arrays[0].n_in, PW))
        copies = levels = tree_levels(ceil_div(batch, BLOCK))
        t.own_blocks = NULL
        t.runs = 0
        if threads > 1 and batch > BLOCK and weights <= packed_from:
            t.runs = RUNS_OF_A_THREAD*threads
            t.runs = larger(smaller(t.runs, RUNS_BYTES//<Py_ssize_t>sizeof(real)//weights), threads)
            t.runs = smaller(t.runs, ceil_div(batch, BLOCK))
            copies = larger(copies, t.runs)
        lay_out_gradient(t, base, &used, arrays, levels, copies)
        for i in range(MOMENTS_OF_OPTIMIZER[options.optimizer]):
            g = used
            arena_take(base, &used, t.gradient_size)
            if base != NULL:
                for k in range(n_layers):
                    t.layers[k].state[i] = <real*>(base + g) + (t.layers[k].dW - t.gradient)
        # A lane a unit multiplies that many vectors for each example, a lane an example one for each weight:
        # the wait for few chains of sums is shorter with a lane a unit, so up to twice as many are worth it.
        t.small_steps = (batch <= SMALL_STEP and batch*vectors <= 2*weights and threads == 1
                         and weights <= packed_from and not rows and not dropout and options.l2 <= 0
                         and options.clip_norm <= 0 and options.scale_rate <= 0)
        if t.small_steps:
            lay_out_small_steps(t, base, &used, arrays, MOMENTS_OF_OPTIMIZER[options.optimizer])
        if t.runs > 0:
            g = used
            used += threads*(round_up(sizeof(trainer), 64) + round_up(n_layers*sizeof(layer), 64))
            if base != NULL:
                t.own_blocks = <trainer*>(base + g)
            levels = tree_levels(blocks_in_run(ceil_div(batch, BLOCK), t.runs))
            own = &counted_own
            for i in range(threads):
                if base != NULL:
                    own = &t.own_blocks[i]
                own[0] = t[0]
                if base != NULL:
                    own.workers = &t.workers[i]
                    own.layers = <layer*>(base + g + threads*round_up(sizeof(trainer), 64)
                                          + i*round_up(n_layers*sizeof(layer), 64))
                    memcpy(own.layers, t.layers, n_layers*sizeof(layer))
                if i > 0:                          # the first one uses the buffers that all share else
                    lay_out_block(own, base, &used, arrays, 1, options, lists, rows)
                lay_out_gradient(own, base, &used, arrays, levels, levels)
    return used


cdef inline void spread_bias(const layer* l, Py_ssize_t r0, Py_ssize_t r1) noexcept nogil:
    """b_lanes from b, for the units [r0, r1)."""
    cdef Py_ssize_t j
    for j in range(r0, r1):
        v_store(l.b_lanes + j*VW, v_set(l.b[j]))


cdef void load_standardization(const standardization* standardize, const layer_arrays* first,
                               Py_ssize_t height) noexcept nogil:
    """mean and scale of the features, with 0 and 1 up to a whole vector: padding stays 0."""
    cdef Py_ssize_t f
    if standardize.mean == NULL or first.mean == NULL:
        return
    memcpy(<void*>standardize.mean, first.mean, first.n_in*sizeof(real))
    memcpy(<void*>standardize.scale, first.scale, first.n_in*sizeof(real))
    for f in range(first.n_in, height):
        (<real*>standardize.scale)[f] = ONE


cdef void load_weights(trainer* t, const layer_arrays* arrays) noexcept nogil:
    cdef int k
    cdef layer* l
    load_standardization(&t.standardize, arrays, t.X_height)
    for k in range(t.n_layers):
        l = &t.layers[k]
        pack_weights(arrays[k].W, l.n_out, l.n_in, l.W)
        memcpy(l.b, arrays[k].b, l.n_out*sizeof(real))
        spread_bias(l, 0, l.n_out)


cdef size_t arena_size(const layer_arrays* arrays, int n_layers, Py_ssize_t batch, int threads,
                       const fit_options* options) noexcept nogil:
    return lay_out(NULL, arrays, n_layers, batch, threads, options, NULL)


cdef void prepare(void* arena, const layer_arrays* arrays, int n_layers, Py_ssize_t batch, int threads,
                  const fit_options* options) noexcept nogil:
    cdef trainer* t = <trainer*>arena
    cdef trainer* own
    cdef Py_ssize_t i
    lay_out(<char*>arena, arrays, n_layers, batch, threads, options, NULL)
    t.options = options[0]
    t.loss_constants[0] = <real>options.loss_parameter
    t.loss_constants[1] = <real>options.min_cost
    t.loss_constants[2] = <real>options.max_cost
    t.unit_bce = (options.loss == LOSS_bce and arrays[n_layers - 1].n_out == 1 and options.min_cost <= 0
                  and isinf(options.max_cost))
    t.fused = options.optimizer == OPTIMIZER_sgd and options.clip_norm <= 0 and options.l2 <= 0
    set_steps(arena, 0)
    if t.scale != NULL:
        for i in range(round_up(arrays[0].n_in, PW)):  # padding too: it is divided by
            t.scale[i] = ONE
    load_weights(t, arrays)
    for i in range(threads if t.own_blocks != NULL else 0):
        own = &t.own_blocks[i]
        own.options = t.options
        memcpy(own.loss_constants, t.loss_constants, sizeof(t.loss_constants))
        own.unit_bce, own.fused = t.unit_bce, t.fused


cdef inline real* weights_or_moments(const layer* l, int which, bint bias) noexcept nogil:
    """W or b (0), or what the optimiser keeps for it (1, 2)."""
    if which == 0:
        return l.b if bias else l.W
    return l.state[which - 1] + (l.db - l.dW if bias else 0)


cdef void read_arrays(const void* arena, int which, const layer_arrays* out) noexcept nogil:
    cdef const trainer* t = <const trainer*>arena
    cdef const layer* l
    cdef int k
    if which >= SCALES:                            # in place of the first row of the first layer's W
        unpack_weights(t.scale + (which - SCALES)*round_up(t.layers[0].n_in, PW), 1, t.layers[0].n_in,
                       out[0].W)
        return
    for k in range(t.n_layers):
        l = &t.layers[k]
        unpack_weights(weights_or_moments(l, which, False), l.n_out, l.n_in, out[k].W)
        memcpy(out[k].b, weights_or_moments(l, which, True), l.n_out*sizeof(real))


cdef void write_arrays(void* arena, int which, const layer_arrays* arrays) noexcept nogil:
    cdef trainer* t = <trainer*>arena
    cdef layer* l
    cdef int k
    if which == 0:
        load_weights(t, arrays)
        return
    if which >= SCALES:
        pack_weights(arrays[0].W, 1, t.layers[0].n_in,
                     t.scale + (which - SCALES)*round_up(t.layers[0].n_in, PW))
        return
    for k in range(t.n_layers):
        l = &t.layers[k]
        pack_weights(arrays[k].W, l.n_out, l.n_in, weights_or_moments(l, which, False))
        memcpy(weights_or_moments(l, which, True), arrays[k].b, l.n_out*sizeof(real))


cdef int64_t get_steps(const void* arena) noexcept nogil:
    return (<const trainer*>arena).steps


cdef void set_steps(void* arena, int64_t steps) noexcept nogil:
    """Set the number of batches so far, and the powers of beta as that many multiplications give them."""
    cdef trainer* t = <trainer*>arena
    t.steps = steps
    t.powers[0] = repeated(t.options.beta_1, steps)
    t.powers[1] = repeated(t.options.beta_2, steps)


cdef inline double next_power(double power, double beta) noexcept nogil:
    """beta^t from beta^(t-1). Once 1 - beta^t has long been 1, zero: denormals cost a dozen cycles each."""
    return power*beta if power > 1e-30 else 0


cdef double repeated(double beta, int64_t steps) noexcept nogil:
    """beta multiplied that often, as `train` does it, one rounding each, or until nothing changes."""
    cdef double power = 1
    cdef int64_t i
    for i in range(steps):
        if next_power(power, beta) == power:
            break
        power = next_power(power, beta)
    return power


cdef void use_rows(void* arena, const sparse_rows* rows) noexcept nogil:
    """These rows are the examples of the next call, also for the threads' own blocks."""
    cdef trainer* t = <trainer*>arena
    cdef trainer* user
    cdef int i
    for i in range(-1, t.n_threads if t.own_blocks != NULL else 0):
        user = t if i < 0 else &t.own_blocks[i]
        user.rows = rows[0]
        user.sparse.value = <const real*>rows.value
        user.sparse.feature = rows.feature


cdef void use_first_weights(void* arena, const layer_arrays* arrays, void* all_dZT) noexcept nogil:
    """The first layer's W is read where it lies, all else copied; with NULL, the arena's own counts again.

    all_dZT: room for dZ of the first layer of all examples of the next call.
    """
    cdef trainer* t = <trainer*>arena
    cdef sparse_input* s
    cdef int i, k
    for i in range(-1, t.n_threads if t.own_blocks != NULL else 0):
        s = &t.sparse if i < 0 else &t.own_blocks[i].sparse
        s.all_dZT = <real*>all_dZT
        if arrays == NULL:
            s.weights, s.row, s.whole = s.WT, s.U, s.U
            continue
        s.weights = <const real*>arrays[0].W.start
        s.row = arrays[0].W.column_step//<Py_ssize_t>sizeof(real)
        s.whole = arrays[0].n_out//VW*VW
    if arrays == NULL:
        return
    for k in range(t.n_layers):
        if k > 0:
            pack_weights(arrays[k].W, arrays[k].n_out, arrays[k].n_in, t.layers[k].W)
        memcpy(t.layers[k].b, arrays[k].b, arrays[k].n_out*sizeof(real))
        spread_bias(&t.layers[k], 0, arrays[k].n_out)


cdef int was_sparse(const void* arena) noexcept nogil:
    return (<const trainer*>arena).was_sparse


cdef int weights_finite(const void* arena) noexcept nogil:
    cdef const trainer* t = <const trainer*>arena
    cdef int k
    for k in range(t.n_layers):
        if not all_finite_array(t.layers[k].W, t.layers[k].n_out*round_up(t.layers[k].n_in, PW)):
            return 0
        if not all_finite_array(t.layers[k].b, t.layers[k].n_out):
            return 0
    return 1


cdef int moments_finite(const void* arena) noexcept nogil:
    """Whether all that the optimiser keeps is finite."""
    cdef const trainer* t = <const trainer*>arena
    cdef const layer* l = &t.layers[0]
    cdef int m
    for m in range(MOMENTS_OF_OPTIMIZER[t.options.optimizer]):     # they lie as the gradient does
        if not all_finite_array(l.state[m] - (l.dW - t.gradient), t.gradient_size):
            return 0
    return all_finite_array(t.scale, 3*round_up(l.n_in, PW)) if t.options.scale_rate > 0 else 1
