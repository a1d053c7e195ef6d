# Training: an object that keeps the packed weights and the buffers from epoch to epoch.

cdef struct train_call:
    const kernel_table* table
    void* arena
    examples data
    Py_ssize_t batch, first, last
    double learning_rate
    void* costs
    team together


cdef void run_train(void* arguments, int thread) noexcept nogil:
    cdef train_call* c = <train_call*>arguments
    cdef fp_mode mode = fp_enter()
    c.table.train(c.arena, &c.data, c.batch, c.first, c.last, c.learning_rate, c.costs, &c.together, thread)
    fp_leave(mode)


cdef struct gradients_call:
    const kernel_table* table
    void* arena
    examples data
    Py_ssize_t n
    const layer_arrays* out
    void* costs
    team together


cdef void run_gradients(void* arguments, int thread) noexcept nogil:
    cdef gradients_call* c = <gradients_call*>arguments
    cdef fp_mode mode = fp_enter()
    c.table.gradients(c.arena, &c.data, c.n, c.out, c.costs, &c.together, thread)
    fp_leave(mode)


cdef class Trainer:
    """One fit: packed copies of the weights, and the buffers of a block.

    Parameters
    ----------
    W, b : lists of arrays (n_out, n_in) and (n_out, 1), C order, one dtype
    activations : list of str
    batch_size : int
    n_threads : int
        At most; a call that finds the pool of threads taken works alone, with the same bits.
    """
    cdef Layers layers
    cdef Arena arena
    cdef Py_ssize_t batch
    cdef int threads
    cdef cnp.ndarray costs
    cdef const kernel_table* table

    def __init__(self, list W, list b, list activations, Py_ssize_t batch_size, int n_threads=1):
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        if not 1 <= n_threads <= MOST_THREADS:
            raise ValueError(f"n_threads: expected 1 to {MOST_THREADS}, got {n_threads}")
        self.layers = Layers(W, b, activations)
        self.table = self.layers.table
        self.batch = batch_size
        self.threads = n_threads
        self.arena = Arena(self.table.arena_size(self.layers.arrays, self.layers.count,
                                                 batch_size, n_threads))
        self.table.prepare(self.arena.m.start, self.layers.arrays, self.layers.count, batch_size, n_threads)
        self.costs = np.empty(0, W[0].dtype)

    cdef examples data(self, cnp.ndarray X, cnp.ndarray T, cnp.ndarray order) except *:
        cdef examples d
        cdef Py_ssize_t n = X.shape[1], i
        same_kind(X, self.table, "X")
        same_kind(T, self.table, "T")
        shape_is(X, self.layers.arrays[0].n_in, n, "X")
        shape_is(T, self.layers.arrays[self.layers.count - 1].n_out, n, "T")
        d.X = as_matrix(X)
        d.T = as_matrix(T)
        d.order = NULL
        if order is not None:
            if (cnp.PyArray_TYPE(order) != cnp.NPY_INTP or not cnp.PyArray_ISCARRAY_RO(order)
                    or cnp.PyArray_SIZE(order) != n):
                raise ValueError(f"order: expected {n} numbers of dtype intp in C order, "
                                 f"got {order.dtype} {np.shape(order)}")
            d.order = <const Py_ssize_t*>cnp.PyArray_DATA(order)
            for i in range(n):
                if not 0 <= d.order[i] < n:
                    raise ValueError(f"order: expected columns 0 to {n - 1}, got {d.order[i]}")
        return d

    cdef void* room_for_costs(self, Py_ssize_t n):
        """One number for each block of each batch."""
        cdef Py_ssize_t blocks = ((n + self.batch - 1)//self.batch)*((self.batch + BLOCK - 1)//BLOCK)
        if cnp.PyArray_SIZE(self.costs) < blocks:
            self.costs = np.empty(blocks, self.costs.dtype)
        self.costs.fill(0)
        return cnp.PyArray_DATA(self.costs)

    def epoch(self, cnp.ndarray X, cnp.ndarray T, cnp.ndarray order, double learning_rate):
        """One epoch of stochastic gradient descent, in the given order of columns.

        Returns the cost summed over the examples.

        One call into the kernels, unless it takes long: then one every few hundredths of a second, so that
        Ctrl-C works.
        """
        cdef train_call call
        cdef Py_ssize_t n = X.shape[1], piece = self.batches_at_once()*self.batch
        cdef Py_ssize_t per_batch = (self.batch + BLOCK - 1)//BLOCK, batches
        call.table = self.table
        call.arena = self.arena.m.start
        call.data = self.data(X, T, order)
        call.batch = self.batch
        call.learning_rate = learning_rate
        call.costs = self.room_for_costs(n)
        call.first = 0
        while call.first < n:
            call.last = min(n, call.first + piece)
            with nogil:
                call.together = new_team(pool_enter(self.threads))
                pool_run(run_train, &call, call.together.size)
            batches = (call.last - call.first + self.batch - 1)//self.batch
            call.costs = <char*>call.costs + batches*per_batch*self.table.itemsize
            call.first = call.last
            PyErr_CheckSignals()
        return sum_in_double(self.costs, cnp.PyArray_SIZE(self.costs))

    cdef Py_ssize_t batches_at_once(self):
        """Batches that take about 20 ms at 50 GFLOP/s: 6 flops for each weight and example."""
        cdef double flops = 0
        cdef int k
        for k in range(self.layers.count):
            flops += 6.0*self.layers.arrays[k].n_in*self.layers.arrays[k].n_out*self.batch
        return max(1, <Py_ssize_t>(1e9/flops))

    def gradients(self, cnp.ndarray X, cnp.ndarray T):
        """The gradients summed over all examples: lists of dW and db, and the summed cost.

        The trainer's batch must be n.
        """
        cdef gradients_call call
        cdef Layers out
        if X.shape[1] != self.batch:
            raise ValueError(f"X: expected as many columns as the batch size {self.batch}, got {X.shape[1]}")
        out, dW, db = self.layers.fresh()
        call.table = self.table
        call.arena = self.arena.m.start
        call.data = self.data(X, T, None)
        call.n = self.batch
        call.out = out.arrays
        call.costs = self.room_for_costs(call.n)
        with nogil:
            call.together = new_team(pool_enter(self.threads))
            pool_run(run_gradients, &call, call.together.size)
        return dW, db, sum_in_double(self.costs, cnp.PyArray_SIZE(self.costs))

    def weights(self):
        """Fresh arrays with the weights as they are now: lists of W and b."""
        cdef Layers out
        out, W, b = self.layers.fresh()
        self.table.weights(self.arena.m.start, out.arrays)
        return W, b

    def finite(self):
        """Whether every weight is finite."""
        return bool(self.table.weights_finite(self.arena.m.start))
