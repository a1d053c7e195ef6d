# Single calls: arrays in, arrays out, nothing kept.
# Uses: arrays

cdef struct predict_call:
    const kernel_table* table
    void* arena
    matrix X, out
    Py_ssize_t n
    bint check
    int[MAX_THREADS] found      # by each thread: X_NOT_FINITE, Z_NOT_FINITE or 0
    thread_team team


cdef void run_predict(void* arguments, int thread) noexcept nogil:
    cdef predict_call* c = <predict_call*>arguments
    cdef fp_mode mode = fp_enter()
    c.found[thread] = c.table.predict(c.arena, c.X, c.n, c.out, c.check, &c.team, thread)
    fp_leave(mode)


cdef int predict_together(predict_call* c, int n_threads) noexcept nogil:
    """Run a call on at most so many threads; what any of them has found."""
    cdef int found = 0, thread
    c.team = new_team(pool_enter(n_threads))
    pool_run(run_predict, c, c.team.size)
    for thread in range(c.team.size):
        found |= c.found[thread]
    return found


# To get memory for the weights of 100-256-128-1 in panels, and to have it cleared, takes longer than to
# predict a few examples. So the last few arenas wait here for networks of the same shapes, laid out: only the
# weights, which may have changed, go in anew. A call takes its arena out, so no two share one.

cdef enum:
    MAX_KEPT_ARENAS = 4               # arenas: those of the layers of a small network, one by one
    KEPT_BYTES = 4 << 20        # of all of them

cdef list kept_arenas = []      # the latest first


cdef class KeptArena:
    """An arena that is laid out for predictions, and for what."""
    cdef Arena arena
    cdef bytes shape
    cdef size_t bytes


cdef KeptArena arena_for(Layers layers, Py_ssize_t n, int threads):
    """An arena with the weights of these layers, for predictions of n examples."""
    cdef const kernel_table* table = layers.table
    cdef KeptArena kept
    cdef bytes shape = layers.shape(threads) if layers.count <= MAX_KEPT_LAYERS else None
    cdef size_t bytes
    if shape is not None:
        for kept in kept_arenas:
            if kept.shape == shape:
                kept_arenas.remove(kept)
                with nogil:
                    table.write(kept.arena.m.start, 0, layers.arrays)
                return kept
        bytes = table.predict_size(layers.arrays, layers.count, BLOCK, threads, NULL)
        if bytes <= KEPT_BYTES:
            n = BLOCK                              # for any number of examples
        else:
            shape = None
    kept = KeptArena()
    kept.shape = shape
    kept.bytes = table.predict_size(layers.arrays, layers.count, n, threads, NULL)
    kept.arena = Arena(kept.bytes, False)
    with nogil:
        table.predict_prepare(kept.arena.m.start, layers.arrays, layers.count, n, threads, NULL)
    return kept


cdef int keep_arena(KeptArena kept) except -1:
    """Keep an arena for the next call, unless it is too large."""
    cdef size_t total = 0
    cdef KeptArena other
    cdef int k
    if kept.shape is None:
        return 0
    kept_arenas.insert(0, kept)
    for k, other in enumerate(kept_arenas):
        total += other.bytes
        if k == MAX_KEPT_ARENAS or total > KEPT_BYTES:
            del kept_arenas[k:]
            break
    return 0


cdef Arena spare_small_batch = None     # scratch that no call is using


cdef int predict_small_batch(Layers layers, matrix X, Py_ssize_t n, matrix out) except -1:
    """Predict one row or a few, at most SMALL_BATCH; return Z_NOT_FINITE or 0.

    On one thread: most of the time is the reading of the weights, and a second thread would wait for it.
    """
    global spare_small_batch
    cdef size_t bytes = layers.table.small_batch_scratch_unpacked(layers.arrays, layers.count, n)
    cdef Arena scratch = spare_small_batch
    cdef fp_mode mode
    cdef int found
    spare_small_batch = None
    if scratch is None or scratch.bytes < bytes:
        scratch = Arena(bytes)
    with nogil:
        mode = fp_enter()
        found = layers.table.small_batch_predict_unpacked(layers.arrays, layers.count, scratch.m.start, X, n,
                                                          out)
        fp_leave(mode)
    if bytes <= KEPT_BYTES:
        spare_small_batch = scratch
    return found


def forward(list W, list b, list activations, cnp.ndarray X, int n_threads=1, cnp.ndarray out=None,
            standardize=None, bint check=False):
    """A (n_out, n) of the last layer for X (n_in, n), any strides; into `out`, any strides, if that is given.

    standardize: see `TrainerCore`. check: None if X or the weights hold NaN or an infinity; `out` may hold
    anything then.
    """
    return forward_through(Layers(W, b, activations, None, standardize), X, n_threads, out, check)


def forward_through(Layers layers, cnp.ndarray X, int n_threads=1, cnp.ndarray out=None, bint check=False):
    """What `forward` does, by layers that are kept from call to call: ask whether they are `current`."""
    cdef const kernel_table* table = layers.table
    cdef Py_ssize_t n = X.shape[1]
    same_kind(X, table, "X")
    shape_is(X, layers.arrays[0].n_in, n, "X")
    cdef Py_ssize_t n_out = layers.arrays[layers.count - 1].n_out
    if out is None:
        out = np.empty((n_out, n), X.dtype.newbyteorder("="))
    same_kind(out, table, "out")
    shape_is(out, n_out, n, "out")
    if not cnp.PyArray_ISWRITEABLE(out):
        raise ValueError("out must be a writable array")
    cdef int found
    if n == 0:
        return None if check and not layers.finite() else out
    if layers.small_batch(n, n_threads) == n:
        if check and not all_finite(X):
            return None
        found = predict_small_batch(layers, as_matrix(X), n, as_matrix(out))
        return None if check and found != 0 and not layers.finite() else out
    cdef KeptArena kept = arena_for(layers, n, n_threads)
    cdef predict_call call
    call.table = table
    call.arena = kept.arena.m.start
    call.X = as_matrix(X)
    call.out = as_matrix(out)
    call.n = n
    call.check = check
    with nogil:
        found = predict_together(&call, n_threads)
    if found & X_NOT_FINITE and all_finite(X):     # it was the standardising that overflowed
        call.check = False
        with nogil:
            predict_together(&call, n_threads)
        found = Z_NOT_FINITE
    keep_arena(kept)
    return None if found & X_NOT_FINITE or found and not layers.finite() else out


def dense_backward(cnp.ndarray W, cnp.ndarray A, cnp.ndarray dZ):
    """dA = W' dZ (n_in, n), dW = dZ A' (n_out, n_in), db (n_out, 1): sums over the n examples."""
    cdef Py_ssize_t n_out = W.shape[0], n_in = W.shape[1], n = A.shape[1]
    cdef cnp.ndarray db = np.zeros((n_out, 1), W.dtype)
    cdef Layers layers = Layers([W], [db], ["identity"])
    cdef const kernel_table* table = layers.table
    same_kind(A, table, "A")
    same_kind(dZ, table, "dZ")
    shape_is(A, n_in, n, "A")
    shape_is(dZ, n_out, n, "dZ")
    cdef cnp.ndarray dA = np.empty((n_in, n), W.dtype), dW = np.zeros((n_out, n_in), W.dtype)
    if n == 0:
        return dA, dW, db
    cdef Arena arena = Arena(table.dense_backward_size(n_in, n_out, n), False)
    cdef matrix a = as_matrix(A), dz = as_matrix(dZ), da = as_matrix(dA), dw = as_matrix(dW)
    cdef fp_mode mode
    with nogil:
        mode = fp_enter()
        table.dense_backward(arena.m.start, layers.arrays, a, dz, n, da, dw, cnp.PyArray_DATA(db))
        fp_leave(mode)
    return dA, dW, db


def elementwise(cnp.ndarray x, str name):
    """An activation but softmax of every number of a C-contiguous array."""
    cdef const kernel_table* table = table_for(x)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    cdef const void* p = contiguous(x, table, n, "x")
    cdef cnp.ndarray out = np.empty_like(x, subok=False)
    cdef void* q = cnp.PyArray_DATA(out)
    cdef int code = code_of(name, ELEMENTWISE, "name")
    cdef fp_mode mode
    with nogil:
        mode = fp_enter()
        table.activate(code, p, q, NULL, n)
        fp_leave(mode)
    return out


def activate(cnp.ndarray Z, str name):
    """A (rows, n) = activation(Z), for a C-contiguous matrix Z."""
    if name != "softmax":
        return elementwise(Z, name)
    rows = Z.shape[0]
    return forward([np.eye(rows, dtype=Z.dtype)], [np.zeros((rows, 1), Z.dtype)], [name], Z)


def activation_backward(cnp.ndarray Z, cnp.ndarray dA, str name):
    """dZ (rows, n) of A = activation(Z), for C-contiguous matrices Z and dA."""
    cdef const kernel_table* table = table_for(Z)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(Z), rows = Z.shape[0]
    cdef const void* z = contiguous(Z, table, n, "Z")
    cdef const void* d = contiguous(dA, table, n, "dA")
    cdef int code = code_of(name, ACTIVATIONS, "name")
    cdef cnp.ndarray A, out = np.empty_like(Z, subok=False)
    cdef void* q = cnp.PyArray_DATA(out)
    cdef fp_mode mode
    A = activate(Z, name) if name == "softmax" else np.empty_like(Z, subok=False)
    cdef void* a = cnp.PyArray_DATA(A)
    with nogil:
        mode = fp_enter()
        if code == ACTIVATION_softmax:
            table.softmax_backward(a, d, q, rows, n//rows if rows > 0 else 0)
        else:
            table.activate(code, z, a, q, n)
            table.multiply(q, d, q, n)
        fp_leave(mode)
    return out


def loss(str name, double parameter, str activation, cnp.ndarray Z, cnp.ndarray T, cnp.ndarray weights=None):
    """The summed cost of the logits Z (rows, n), and dZ of each example; both times its weight.

    Any strides.
    """
    cdef const kernel_table* table = table_for(Z)
    cdef Py_ssize_t rows = Z.shape[0], n = Z.shape[1]
    cdef int code = code_of(name, loss_names, "loss"), of = code_of(activation, ACTIVATIONS, "activation")
    cdef double[3] constants = [parameter, 0, np.inf]
    cdef const void* w = NULL if weights is None else contiguous(weights, table, n, "weights")
    cdef cnp.ndarray dZ = np.empty((rows, n), Z.dtype.newbyteorder("="))
    cdef cnp.ndarray costs = np.empty((n + BLOCK - 1)//BLOCK, dZ.dtype)
    cdef Arena scratch = Arena(table.loss_size(rows))
    cdef matrix z = as_matrix(Z), t = as_matrix(T), dz = as_matrix(dZ)
    cdef void* c = cnp.PyArray_DATA(costs)
    cdef fp_mode mode
    same_kind(T, table, "T")
    shape_is(T, rows, n, "T")
    check_loss(code, of)
    with nogil:
        mode = fp_enter()
        table.loss(code, of, constants, z, t, w, rows, n, scratch.m.start, c, dz)
        fp_leave(mode)
    return sum_in_double(costs, cnp.PyArray_SIZE(costs)), dZ


cdef enum:
    MOST_TEMPERATURES = 12          # that are tried; four are enough most of the time
cdef double LEAST_FACTOR = 0.125    # 1/temperature. A network that was trained for long is too sure
cdef double MOST_FACTOR = 4.0       # where all examples are told apart, the best one would be infinity


cdef double slope_at(const kernel_table* table, int code, const char* Z, matrix T, const char* weights,
                     Py_ssize_t rows, Py_ssize_t n, double factor, char* room, double* cost) noexcept nogil:
    """d cost/d factor = sum z dz, where the cost is that of the logits `factor` Z, in C order.

    A BLOCK of examples at a time: `room` is for twice as many logits, a cost and what the kernel needs.
    """
    cdef double[3] constants = [1, 0, INFINITY]
    cdef matrix scaled, dZ, t = T
    cdef size_t bytes = rows*BLOCK*table.itemsize
    cdef char* costs = room + 2*bytes
    cdef const char* w = weights
    cdef Py_ssize_t first = 0, m, r, i
    cdef double slope = 0
    scaled.start, dZ.start = room, room + bytes
    scaled.column_step = dZ.column_step = table.itemsize
    cost[0] = 0
    while first < n:
        m = min(BLOCK, n - first)
        scaled.row_step = dZ.row_step = m*table.itemsize
        t.start = T.start + first*T.column_step
        for r in range(rows):
            if table.itemsize == 4:
                for i in range(m):
                    (<float*>scaled.start)[r*m + i] = <float>(factor*(<const float*>Z)[r*n + first + i])
            else:
                for i in range(m):
                    (<double*>scaled.start)[r*m + i] = factor*(<const double*>Z)[r*n + first + i]
        if weights != NULL:
            w = weights + first*table.itemsize
        table.loss(code, ACTIVATION_OF_LOSS[code], constants, scaled, t, w, rows, m, costs + 64, costs, dZ)
        for r in range(rows):
            if table.itemsize == 4:
                for i in range(m):
                    slope += <double>(<const float*>Z)[r*n + first + i]*(<const float*>dZ.start)[r*m + i]
            else:
                for i in range(m):
                    slope += (<const double*>Z)[r*n + first + i]*(<const double*>dZ.start)[r*m + i]
        cost[0] += reported(costs, 0, table.itemsize)
        first += m
    return slope


def calibrated_loss(str name, cnp.ndarray Z, cnp.ndarray T, cnp.ndarray weights=None):
    """The least summed cost of the logits Z/temperature, and that temperature, from 1/2 to 8.

    For bce and cross_entropy; Z (rows, n) in C order, T with any strides. (Temperature scaling: Guo, Pleiss,
    Sun, Weinberger 2017.) The cost is convex in the factor 1/temperature. The zero of its slope is found by
    the secant method, kept between factors that are too small and too large. Once a step is below 5 %, and
    the one before it below 20 %, the cost at its end comes from the parabola that the two slopes are those
    of.
    """
    cdef const kernel_table* table = table_for(Z)
    cdef Py_ssize_t rows = Z.shape[0], n = Z.shape[1]
    cdef int code = code_of(name, loss_names, "loss"), tried
    cdef const void* z = contiguous(Z, table, rows*n, "Z")
    cdef const void* w = NULL if weights is None else contiguous(weights, table, n, "weights")
    cdef matrix t = as_matrix(T)
    cdef Arena room = Arena(2*rows*BLOCK*table.itemsize + 64 + table.loss_size(rows), False)
    cdef double factor = 1, following, before = 1, slope, slope_before = 0, bend, cost, least = INFINITY
    cdef double low = LEAST_FACTOR, high = MOST_FACTOR
    cdef bint near, low_tried = False, high_tried = False
    cdef fp_mode mode
    same_kind(T, table, "T")
    shape_is(T, rows, n, "T")
    if name not in ("bce", "cross_entropy"):
        raise ValueError(f"name must be bce or cross_entropy, got {name}")
    with nogil:
        mode = fp_enter()
        for tried in range(MOST_TEMPERATURES):
            slope = slope_at(table, code, <const char*>z, t, <const char*>w, rows, n, factor,
                             <char*>room.m.start, &cost)
            least = min(least, cost)
            if slope > 0:
                high, high_tried = factor, True
            else:
                low, low_tried = factor, True
            if tried == 0:
                following = 0.7 if slope > 0 else MOST_FACTOR
            else:
                bend = (slope - slope_before)/(factor - before)
                if not bend > 0:                    # as good as flat
                    break
                following = factor - slope/bend
            if following <= low:
                following = 0.5*(low + high) if low_tried else low
            elif following >= high:
                following = 0.5*(low + high) if high_tried else high
            near = tried > 0 and abs(factor - before) <= 0.2*factor
            before, slope_before = factor, slope
            factor = following
            if factor == before or near and abs(factor - before) <= 0.05*before:
                least = min(least, max(0, cost + 0.5*slope*(factor - before)))
                break
        fp_leave(mode)
    return least, 1/factor


cdef int check_loss(int loss, int activation) except -1:
    """ValueError where a loss cannot be worked out after that activation."""
    wanted = ACTIVATION_OF_LOSS[loss]
    if wanted >= 0 and activation != wanted:
        raise ValueError(f"with the loss {loss_names[loss]} the last activation must be "
                         f"{ACTIVATIONS[wanted]}, got {ACTIVATIONS[activation]}")
    if wanted < 0 and activation == ACTIVATION_softmax:
        raise ValueError(f"with the loss {loss_names[loss]} the last activation must be elementwise, "
                         "got softmax")
    return 0


def sigmoid_backward(cnp.ndarray dA, cnp.ndarray A):
    """dZ = dA A (1 - A), for C-contiguous arrays of the same shape."""
    cdef const kernel_table* table = table_for(dA)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(dA)
    cdef const void* p = contiguous(dA, table, n, "dA")
    cdef const void* a = contiguous(A, table, n, "A")
    cdef cnp.ndarray out = np.empty_like(dA, subok=False)
    cdef void* q = cnp.PyArray_DATA(out)
    cdef fp_mode mode
    with nogil:
        mode = fp_enter()
        table.sigmoid_backward(p, a, q, n)
        fp_leave(mode)
    return out


def bce_cost_of_a(cnp.ndarray A, cnp.ndarray T):
    """The sum of binary cross-entropy over all outputs of two C-contiguous arrays of the same shape."""
    cdef const kernel_table* table = table_for(A)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(A)
    cdef const void* a = contiguous(A, table, n, "A")
    cdef const void* t = contiguous(T, table, n, "T")
    cdef cnp.ndarray costs = np.empty((n + BLOCK - 1)//BLOCK, A.dtype)
    cdef void* c = cnp.PyArray_DATA(costs)
    cdef fp_mode mode
    with nogil:
        mode = fp_enter()
        table.bce_cost_of_a(a, t, n, c)
        fp_leave(mode)
    return sum_in_double(costs, cnp.PyArray_SIZE(costs))


def subtract(cnp.ndarray A, cnp.ndarray T):
    """A - T, of two C-contiguous arrays of the same shape: dZ of a loss whose outputs are A."""
    cdef const kernel_table* table = table_for(A)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(A)
    cdef const void* a = contiguous(A, table, n, "A")
    cdef const void* t = contiguous(T, table, n, "T")
    cdef cnp.ndarray out = np.empty_like(A, subok=False)
    cdef void* q = cnp.PyArray_DATA(out)
    cdef fp_mode mode
    with nogil:
        mode = fp_enter()
        table.subtract(a, t, q, n)
        fp_leave(mode)
    return out


cdef inline double reported(const void* numbers, Py_ssize_t i, Py_ssize_t itemsize) noexcept nogil:
    """One of the float32 or float64 numbers that a kernel wrote."""
    return (<const float*>numbers)[i] if itemsize == sizeof(float) else (<const double*>numbers)[i]


cdef double sum_in_double(cnp.ndarray costs, Py_ssize_t n) noexcept:
    """In order, in float64: the costs of blocks, each of which is one number of the kernels' dtype."""
    cdef fp_mode mode = fp_enter()
    cdef double total = 0
    cdef Py_ssize_t i
    for i in range(n):
        total += reported(cnp.PyArray_DATA(costs), i, cnp.PyArray_ITEMSIZE(costs))
    fp_leave(mode)
    return total


def fma_flops(str dtype, Py_ssize_t iterations):
    """Do that many rounds of fused multiply-adds in registers and return the number of flops.

    What the core can do at most.
    """
    cdef const kernel_table* table = table_for(np.empty(0, dtype))
    cdef double flops
    with nogil:
        flops = table.fma_flops(iterations)
    return flops
