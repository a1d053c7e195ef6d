# Training: an object that keeps the packed weights and the buffers from epoch to epoch.

cdef class Trainer:
    """One fit: packed copies of the weights, and the buffers of a block.

    Parameters
    ----------
    W, b : lists of arrays (n_out, n_in) and (n_out, 1), C order, one dtype
    activations : list of str
    batch_size : int
    """
    cdef Layers layers
    cdef Arena arena
    cdef Py_ssize_t batch
    cdef cnp.ndarray costs
    cdef const kernel_table* table

    def __init__(self, list W, list b, list activations, Py_ssize_t batch_size):
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        self.layers = Layers(W, b, activations)
        self.table = self.layers.table
        self.batch = batch_size
        self.arena = Arena(self.table.arena_size(self.layers.arrays, self.layers.count, batch_size))
        self.table.prepare(self.arena.m.start, self.layers.arrays, self.layers.count, batch_size)
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
            if cnp.PyArray_TYPE(order) != cnp.NPY_INTP or not cnp.PyArray_ISCARRAY_RO(order) or cnp.PyArray_SIZE(order) != n:
                raise ValueError(f"order: expected {n} numbers of dtype intp in C order, got {order.dtype} {np.shape(order)}")
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
        """One epoch of stochastic gradient descent, in the given order of columns; returns the cost summed over the examples.

        One call into the kernels, unless it takes long: then one every few hundredths of a second, so that Ctrl-C works.
        """
        cdef examples d = self.data(X, T, order)
        cdef Py_ssize_t n = X.shape[1], first = 0, last, piece = self.batches_at_once()*self.batch
        cdef Py_ssize_t per_batch = (self.batch + BLOCK - 1)//BLOCK
        cdef char* costs = <char*>self.room_for_costs(n)
        cdef fp_mode mode
        while first < n:
            last = min(n, first + piece)
            with nogil:
                mode = fp_enter()
                self.table.train(self.arena.m.start, &d, self.batch, first, last, learning_rate, costs)
                fp_leave(mode)
            costs += (last - first + self.batch - 1)//self.batch*per_batch*self.table.itemsize
            first = last
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
        """The gradients summed over all examples: lists of dW and db, and the summed cost. The trainer's batch must be n."""
        cdef examples d = self.data(X, T, None)
        cdef Py_ssize_t n = X.shape[1]
        cdef void* costs = self.room_for_costs(n)
        cdef Layers out
        cdef fp_mode mode
        if n != self.batch:
            raise ValueError(f"X: expected as many columns as the batch size {self.batch}, got {n}")
        out, dW, db = self.layers.fresh()
        with nogil:
            mode = fp_enter()
            self.table.gradients(self.arena.m.start, &d, n, out.arrays, costs)
            fp_leave(mode)
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
