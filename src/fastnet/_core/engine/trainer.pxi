# TrainerCore: keeps the packed weights and the buffers from epoch to epoch.
# Uses: arrays, calls, raw, sparse

SPARSE_FEATURES = 5             # with fewer, the gradient of dense columns is another sum, see narrow.pxi

BLOCK_ROWS = BLOCK
SCALE_NAMES = ("scale", "first.scale", "second.scale")  # what scaling.pxi keeps


cdef struct train_call:
    const kernel_table* table
    void* arena
    examples data
    Py_ssize_t batch, first, last
    const double* rates
    Py_ssize_t rates_step
    cost_report report
    thread_team team


cdef void run_train(void* arguments, int thread) noexcept nogil:
    cdef train_call* c = <train_call*>arguments
    cdef fp_mode mode = fp_enter()
    c.table.train(c.arena, &c.data, c.batch, c.first, c.last, c.rates, c.rates_step, &c.report, &c.team,
                  thread)
    fp_leave(mode)


cdef struct gradients_call:
    const kernel_table* table
    void* arena
    examples data
    Py_ssize_t n
    const layer_arrays* out         # NULL: the costs only
    const matrix* logits            # NULL, or where they go
    const sparse_rows* by_feature   # NULL: the weights are the arena's
    cost_report report
    thread_team team


cdef void run_gradients(void* arguments, int thread) noexcept nogil:
    cdef gradients_call* c = <gradients_call*>arguments
    cdef fp_mode mode = fp_enter()
    if c.out == NULL:
        c.table.costs(c.arena, &c.data, c.n, c.logits, &c.report, &c.team, thread)
    else:
        c.table.gradients(c.arena, &c.data, c.n, c.out, c.by_feature, &c.report, &c.team, thread)
    fp_leave(mode)


cdef struct cost_rule:              # how the loss of an epoch comes from what the kernels reported
    Py_ssize_t batch, itemsize
    double cost_scale, l2
    bint weighted


cdef double sum_of_costs(double total, const cost_report* report, cost_rule rule,
                         Py_ssize_t examples) noexcept nogil:
    """Add to `total`, batch after batch, the cost that the kernels reported times the batch's examples.

    In this order and no other: how many batches a call takes depends on the clock, the sum must not. In the
    floating-point mode of the kernels.
    """
    cdef double cost, weight
    cdef Py_ssize_t batch = 0, block = 0, n, blocks
    while examples > 0:
        n = min(rule.batch, examples)
        cost = 0
        for blocks in range((n + BLOCK - 1)//BLOCK):
            cost += reported(report.block_costs, block, rule.itemsize)
            block += 1
        cost *= rule.cost_scale
        weight = reported(report.batch_weights, batch, rule.itemsize) if rule.weighted else <double>n
        if rule.l2 > 0:
            cost += 0.5*rule.l2*reported(report.batch_squares, batch, rule.itemsize)
        if weight != n:
            cost = cost*(n/weight) if weight != 0 else 0.0
        total += cost
        batch += 1
        examples -= n
    return total


cdef double add_costs(double total, const cost_report* report, cost_rule rule,
                      Py_ssize_t examples) noexcept nogil:
    """The same for callers in any mode."""
    cdef fp_mode mode = fp_enter()
    total = sum_of_costs(total, report, rule, examples)
    fp_leave(mode)
    return total


cdef dict moment_keys = {}


cdef class TrainerCore:
    """One fit: packed copies of the weights, what the optimiser keeps, and the buffers of a block.

    Parameters
    ----------
    W, b : lists of arrays (n_out, n_in), any strides, and (n_out, 1), C order; one dtype
    activations : list of str
    batch_size : int
    n_threads : int
        At most; a call that finds the pool of threads taken works alone, with the same bits.
    loss, optimizer : str
        Names of `LOSSES` and `OPTIMIZERS`; the formulas are in losses.pxi and optimizers.pxi.
    loss_parameter : float
        delta of huber, the quantile of quantile, 1 - label_smoothing of cross_entropy.
    momentum, nesterov, beta_1, beta_2, epsilon, weight_decay : float, bool
        Of the optimiser; beta_2 is the rho of rmsprop.
    l2 : float
        The cost of a batch gains l2/2 times the sum of the squares of all W, over the sum of the examples'
        weights.
    clip_norm : float
        The most that the norm of the gradient may be; 0: no limit.
    scale_rate : float
        With adam and adamw and without l2: the first layer's W is V diag(c), and the scales c of the inputs
        are learned as well, at so many times the learning rate (see scaling.pxi); 0: no scales.
    dropout : list of float, optional
        Share of each layer's outputs that training sets to 0.
    seed : int
        Of the dropout.
    cost_clip, cost_scale : float
        Change what is report of the cost, not the training: outputs of bce and cross_entropy count as in
        [cost_clip, 1 - cost_clip], and the cost of the examples, without l2, is scaled.
    standardize : (mean, scale), optional
        Vectors (n_in): the first layer's input is (x - mean)/scale, worked out as the examples are gathered.
    prepared : bool
        False takes no memory to train in: then it is there for a `QueuedFit` of other networks like this one.
    sparse : bool
        X is `SparseRows` in every call, of more than 4 features, and nothing of the size of a dense X is
        made. The bits are those of the dense columns; only the sign of a zero can differ, where a bias is -0
        or a number is too small for the dtype.
    """
    cdef Layers layers
    cdef Arena arena
    cdef Py_ssize_t batch
    cdef int threads, most_threads
    cdef cnp.ndarray costs, batch_weights, batch_squares
    cdef const kernel_table* table
    cdef fit_options options
    cdef double cost_scale
    cdef object standardize
    cdef Arena all_dZT              # of `gradients_at`
    cdef bint no_weights            # it has left none, or there is no arena
    cdef size_t arena_bytes
    cdef readonly Py_ssize_t examples_done

    def __init__(self, list W, list b, list activations, Py_ssize_t batch_size, int n_threads=1, *,
                 str loss="bce", double loss_parameter=1.0, str optimizer="sgd", double momentum=0.0,
                 bint nesterov=False, double beta_1=0.9, double beta_2=0.999, double epsilon=1e-8,
                 double l2=0.0, double weight_decay=0.0, double clip_norm=0.0, double scale_rate=0.0,
                 list dropout=None,
                 uint64_t seed=0, double cost_clip=0.0, double cost_scale=1.0, standardize=None,
                 bint sparse=False, bint prepared=True):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if not 1 <= n_threads <= MAX_THREADS:
            raise ValueError(f"n_threads must be 1 to {MAX_THREADS}, got {n_threads}")
        self.layers = Layers(W, b, activations, dropout, standardize)
        self.standardize = standardize
        self.table = self.layers.table
        self.batch = batch_size
        self.threads = self.most_threads = n_threads
        self.cost_scale = cost_scale
        self.options.loss = code_of(loss, loss_names, "loss")
        self.options.loss_parameter = loss_parameter
        cdef fp_mode mode = fp_enter()
        self.options.min_cost = -log1p(-cost_clip) if cost_clip > 0 else 0.0
        self.options.max_cost = -log(cost_clip) if cost_clip > 0 else INFINITY
        fp_leave(mode)
        if cost_clip > 0 and loss == "bce":
            self.options.loss = code_of("clipped_bce", loss_names, "loss")
            self.options.loss_parameter = cost_clip
        self.options.optimizer = code_of(optimizer, optimizer_names, "optimizer")
        if self.options.optimizer == OPTIMIZER_sgd and momentum != 0:
            self.options.optimizer = OPTIMIZER_momentum
        self.options.nesterov = nesterov
        self.options.momentum = momentum
        self.options.beta_1 = beta_1
        self.options.beta_2 = beta_2
        self.options.epsilon = epsilon
        self.options.l2 = l2
        self.options.weight_decay = weight_decay
        self.options.clip_norm = clip_norm
        self.options.scale_rate = scale_rate
        self.options.seed = seed
        self.options.sparse = sparse
        if sparse and (standardize is not None or self.layers.arrays[0].n_in < SPARSE_FEATURES):
            raise ValueError("sparse must be False with standardize or fewer than "
                             f"{SPARSE_FEATURES} features, got True")
        if scale_rate > 0 and (l2 > 0 or optimizer not in ("adam", "adamw")):
            raise ValueError(f"scale_rate: expected 0 with l2 or {optimizer}, got {scale_rate}")
        check_loss(self.options.loss, self.layers.arrays[self.layers.count - 1].activation)
        if dropout is not None and dropout[self.layers.count - 1] != 0:
            raise ValueError("dropout must be 0 for the last layer, whose outputs the loss needs, "
                             f"got {dropout[self.layers.count - 1]}")
        self.costs = self.batch_weights = self.batch_squares = empty(0, self.table)
        self.arena_bytes = self.table.arena_size(self.layers.arrays, self.layers.count, batch_size, n_threads,
                                                 &self.options)
        self.no_weights = not prepared
        self.arena = Arena(self.arena_bytes if prepared else 0, False)
        if not prepared:
            return
        mode = fp_enter()
        self.table.prepare(self.arena.m.start, self.layers.arrays, self.layers.count, batch_size, n_threads,
                           &self.options)
        fp_leave(mode)

    cdef examples data(self, object X, cnp.ndarray T, cnp.ndarray order, cnp.ndarray weights) except *:
        cdef examples d
        cdef Py_ssize_t n = X.shape[1]
        self.take_columns(X, &d)
        same_kind(T, self.table, "T")
        shape_is(T, self.layers.arrays[self.layers.count - 1].n_out, n, "T")
        d.T = as_matrix(T)
        d.order = NULL
        d.weights = NULL if weights is None else contiguous(weights, self.table, n, "weights")
        if order is not None:
            if (cnp.PyArray_TYPE(order) != cnp.NPY_INTP or not cnp.PyArray_ISCARRAY_RO(order)
                    or cnp.PyArray_NDIM(order) != 1):
                raise ValueError("order must be a vector of dtype intp in C order, "
                                 f"got {order.dtype} {np.shape(order)}")
            d.order = <const Py_ssize_t*>cnp.PyArray_DATA(order)
            if not self.table.all_below(d.order, cnp.PyArray_SIZE(order), n):
                wrong = next(k for k in order if not 0 <= k < n)
                raise ValueError(f"order must be columns 0 to {n - 1}, got {wrong}")
        return d

    cdef int take_columns(self, object X, examples* d) except -1:
        """X into d.X, or as the rows that are read where they lie."""
        cdef cnp.ndarray columns
        cdef SparseRows rows
        if isinstance(X, SparseRows) != bool(self.options.sparse):
            raise TypeError(f"X must be {'SparseRows' if self.options.sparse else 'an array'}, "
                            f"got {type(X).__name__}")
        memset(&d.X, 0, sizeof(matrix))
        d.raw = self.rows_of_table(X) if isinstance(X, RawTable) else NULL
        if d.raw != NULL:
            return 0
        if not self.options.sparse:
            columns = X
            same_kind(columns, self.table, "X")
            shape_is(columns, self.layers.arrays[0].n_in, columns.shape[1], "X")
            d.X = as_matrix(columns)
            return 0
        rows = X
        same_kind(rows.kept[0], self.table, "X")
        if rows.n_features != self.layers.arrays[0].n_in:
            raise ValueError(f"X must have {self.layers.arrays[0].n_in} features, got {rows.n_features}")
        self.table.use_rows(self.arena.m.start, &rows.rows)
        return 0

    cdef const raw_table* rows_of_table(self, RawTable X) except NULL:
        if X.table.features != self.layers.arrays[0].n_in:
            raise ValueError(f"X must have {self.layers.arrays[0].n_in} features, got {X.table.features}")
        if self.standardize is not None:
            raise ValueError("X must be an array where its features are standardised, got a RawTable")
        return &X.table

    cdef Py_ssize_t blocks_in_batch(self):
        return (self.batch + BLOCK - 1)//BLOCK

    cdef cost_report report_buffers(self, Py_ssize_t batches, Py_ssize_t blocks):
        """Memory for what a call tells: numbers for each block, and for each batch."""
        cdef cost_report report
        if cnp.PyArray_SIZE(self.costs) < blocks:
            self.costs = empty(blocks, self.table)
        if cnp.PyArray_SIZE(self.batch_weights) < batches:
            self.batch_weights = empty(batches, self.table)
            self.batch_squares = empty(batches, self.table)
        report.block_costs = cnp.PyArray_DATA(self.costs)
        report.batch_weights = cnp.PyArray_DATA(self.batch_weights)
        report.batch_squares = cnp.PyArray_DATA(self.batch_squares)
        return report

    def epoch(self, X, cnp.ndarray T, cnp.ndarray order, learning_rate, cnp.ndarray weights=None,
              double total=0, tick=None):
        """One epoch over the columns that `order` names, in its order, with one learning rate or one a batch.

        Returns the sum over the batches of a batch's cost times its examples, added to `total`: an epoch may
        come in several calls, each but the last of whole batches, with the bits of one.

        One call into the kernels, unless it takes long: then one every few hundredths of a second, so that
        Ctrl-C works. It comes between whole batches; `examples_done` tells after how many examples. There
        `tick`, if it is given, is called with their number.
        """
        cdef train_call call
        cdef Py_ssize_t n = X.shape[1] if order is None else cnp.PyArray_SIZE(order), piece, done
        cdef Py_ssize_t batches = (n + self.batch - 1)//self.batch
        cdef cnp.ndarray rates
        cdef double started, spent, rate
        if isinstance(learning_rate, float):
            rate = learning_rate
            call.rates, call.rates_step = &rate, 0
        else:
            rates = np.ascontiguousarray(learning_rate, np.float64)    # a number becomes a vector of one
            call.rates, call.rates_step = <const double*>cnp.PyArray_DATA(rates), np.ndim(learning_rate)
            if call.rates_step > 1 or call.rates_step == 1 and cnp.PyArray_SIZE(rates) != batches:
                raise ValueError(f"learning_rate must be a number or {batches}, "
                                 f"got shape {np.shape(learning_rate)}")
        self.examples_done = 0
        call.table = self.table
        call.arena = self.arena.m.start
        self.check_weights()
        call.data = self.data(X, T, order, weights)
        call.batch = self.batch
        call.first = 0
        piece = self.first_piece(n)
        while call.first < n:
            call.last = min(n, call.first + piece*self.batch)
            done = (call.last - call.first + self.batch - 1)//self.batch
            call.report = self.report_buffers(done, done*self.blocks_in_batch())
            started = now()
            with nogil:
                call.team = new_team(pool_enter(self.threads))
                pool_run(run_train, &call, call.team.size)
            spent = now() - started
            total = add_costs(total, &call.report, self.rule_of_costs(weights is not None),
                              call.last - call.first)
            if call.rates_step > 0:
                call.rates += done
            call.first = self.examples_done = call.last
            if call.last < n:                          # the next piece is to take 20 ms
                piece = max(1, min(2*piece, <Py_ssize_t>(piece*0.02/max(spent, 1e-6))))
            PyErr_CheckSignals()
            if tick is not None and call.first < n:
                tick(call.first)
        return total

    cdef cost_rule rule_of_costs(self, bint weighted):
        cdef cost_rule rule
        rule.batch, rule.itemsize = self.batch, self.table.itemsize
        rule.cost_scale, rule.l2, rule.weighted = self.cost_scale, self.options.l2, weighted
        return rule

    cdef Py_ssize_t first_piece(self, Py_ssize_t n):
        """Batches that take about 10 ms at 30 GFLOP/s, 6 flops for a weight and example; all, if few more."""
        cdef double flops = 0
        cdef Py_ssize_t piece
        cdef int k
        for k in range(self.layers.count):
            flops += 6.0*self.layers.arrays[k].n_in*self.layers.arrays[k].n_out*self.batch
        piece = max(1, <Py_ssize_t>(3e8/flops))
        return piece if 2*piece*self.batch < n else max(1, (n + self.batch - 1)//self.batch)

    @property
    def dtype(self):
        """What it works in."""
        return self.layers.weights[0][0].dtype

    def use_threads(self, int n):
        """Let the calls from now on have at most n threads, and return how many they may have.

        No more than it was made for, nor more than a batch has chunks: one thread makes all dZ of a chunk,
        and others would wait for it.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        self.threads = min(n, self.most_threads, (self.batch + CHUNK - 1)//CHUNK)
        return self.threads

    def trains_at_once(self, Py_ssize_t n):
        """Whether an epoch of n examples is short, up to 20 ms or so, and one thread is to train it."""
        return self.threads == 1 and self.first_piece(n)*self.batch >= n

    cdef int check_weights(self) except -1:
        if self.no_weights:
            raise RuntimeError("load_weights must come first: gradients_at left no weights")
        return 0

    cdef Py_ssize_t sums(self, object X, cnp.ndarray T, cnp.ndarray weights, cnp.ndarray order,
                         const layer_arrays* out, SparseRows by_feature=None,
                         const matrix* logits=NULL) except -1:
        """Put costs of blocks into self.costs, gradients into `out` if it is not NULL; how many blocks."""
        cdef gradients_call call
        cdef Py_ssize_t n = X.shape[1] if order is None else cnp.PyArray_SIZE(order)
        cdef Py_ssize_t block = min(self.batch, BLOCK), blocks = (n + block - 1)//block
        call.table = self.table
        call.arena = self.arena.m.start
        self.check_weights()
        call.data = self.data(X, T, order, weights)
        call.n = n
        call.out = out
        call.logits = logits
        call.by_feature = NULL if by_feature is None else &by_feature.rows
        call.report = self.report_buffers(0, blocks)
        with nogil:
            call.team = new_team(pool_enter(self.threads))
            pool_run(run_gradients, &call, call.team.size)
        return blocks

    cdef double total_of(self, cnp.ndarray costs, Py_ssize_t blocks):
        cdef double cost = sum_in_double(costs, blocks)
        cdef fp_mode mode = fp_enter()
        cost *= self.cost_scale
        fp_leave(mode)
        return cost

    def gradients(self, X, cnp.ndarray T, cnp.ndarray weights=None, cnp.ndarray order=None, tuple into=None):
        """Sums over all columns, or those that `order` names, without l2 and dropout.

        Lists of dW and db, and the cost; in the arrays of `into`, (dW, db), if they are given. The trainer's
        batch must be the number of columns.
        """
        cdef Py_ssize_t n = X.shape[1] if order is None else cnp.PyArray_SIZE(order)
        if n != self.batch:
            raise ValueError(f"X must have as many columns as the batch size {self.batch}, got {n}")
        dW, db, costs = self.block_gradients(X, T, weights, order, into)
        return dW, db, self.total_cost(costs)

    def gradients_at(self, list W, list b, SparseRows X, cnp.ndarray T, cnp.ndarray weights=None,
                     tuple into=None):
        """`load_weights` and `gradients` in one call for sparse X, with the same bits and nothing copied.

        The first layer's weights are read where they lie, and its gradient is written to `into` or to fresh
        arrays: each with the numbers of one feature side by side, dW[0].T in C order. (W[0] may lie
        otherwise, and is copied then.) Afterwards there are no weights here until others are loaded.
        """
        cdef Layers at = self.layers.like(W, b), out
        cdef SparseRows by_feature = X.transposed()
        cdef cnp.ndarray A
        cdef Py_ssize_t n = X.n, blocks, units = at.arrays[0].n_out
        cdef size_t bytes
        cdef cost_report report
        if not self.options.sparse or n != self.batch:
            raise ValueError(f"X must have as many rows as the batch size {self.batch} of a core with "
                             f"sparse=True, got {n}")
        if into is None:
            out, dW, db = self.layers.fresh()
            dW[0] = np.empty_like(dW[0].T, order="C", subok=False).T
        else:
            dW, db = into
        out = self.layers.like(dW, db)
        A = dW[0].T
        if not cnp.PyArray_ISCARRAY(A):
            raise ValueError("into must have the gradient of the first layer in Fortran order")
        if by_feature is None:                         # 2^31 rows and more
            self.load_weights(W, b)
            return self.gradients(X, T, weights, None, (dW, db))
        A = W[0].T
        if not cnp.PyArray_ISCARRAY_RO(A):
            A = np.require(A, None, ["C", "ALIGNED"])
            at = self.layers.like([A.T, *W[1:]], b)
        bytes = self.table.itemsize*((n + self.table.panel - 1)//self.table.panel*self.table.panel
                                     * ((units + self.table.width - 1)//self.table.width*self.table.width))
        if self.all_dZT is None:
            self.all_dZT = Arena(bytes)
        self.no_weights = False
        self.data(X, T, None, weights)                 # what it raises shall come first
        self.table.use_first_weights(self.arena.m.start, at.arrays, self.all_dZT.m.start)
        try:
            blocks = self.sums(X, T, weights, None, out.arrays, by_feature)
        finally:
            self.table.use_first_weights(self.arena.m.start, NULL, NULL)
            self.no_weights = True
        return dW, db, self.total_of(self.costs, blocks)

    def block_gradients(self, X, cnp.ndarray T, cnp.ndarray weights=None, cnp.ndarray order=None,
                        tuple into=None):
        """As `gradients`, of at most a batch, but with the cost of each block in place of their sum.

        A block is 1024 examples, or the batch if that is smaller; the last one may be smaller still. With
        the rows of a subtree of the tree over the blocks, the gradients are its root, to the last bit: see
        fastnet.training.subtrees.
        """
        cdef Layers out
        cdef Py_ssize_t n = X.shape[1] if order is None else cnp.PyArray_SIZE(order)
        if not 1 <= n <= self.batch:
            raise ValueError(f"X must have 1 to {self.batch} columns, the batch size, got {n}")
        if into is None:
            out, dW, db = self.layers.fresh()
        else:
            dW, db = into
            out = self.layers.like(dW, db)
        cdef Py_ssize_t blocks = self.sums(X, T, weights, order, out.arrays)
        return dW, db, self.costs[:blocks].copy()

    def total_cost(self, cnp.ndarray costs):
        """The cost that `gradients` gives, from the costs of all blocks in their order."""
        cdef Py_ssize_t blocks = cnp.PyArray_SIZE(costs)
        contiguous(costs, self.table, blocks, "costs")
        return self.total_of(costs, blocks)

    def loss(self, X, cnp.ndarray T, cnp.ndarray weights=None, cnp.ndarray order=None,
             cnp.ndarray logits=None):
        """The summed cost of all columns, or those that `order` names, by the weights of now.

        Without l2 and dropout. What the loss starts from, Z or A of the last layer, goes to `logits` (n_out,
        n) if that is given.
        """
        cdef matrix to
        if logits is not None:
            same_kind(logits, self.table, "logits")
            shape_is(logits, self.layers.arrays[self.layers.count - 1].n_out,
                     X.shape[1] if order is None else cnp.PyArray_SIZE(order), "logits")
            to = as_matrix(logits)
        cdef Py_ssize_t blocks = self.sums(X, T, weights, order, NULL, None,
                                           NULL if logits is None else &to)
        return self.total_of(self.costs, blocks)

    def predict(self, X, cnp.ndarray out=None):
        """A of the last layer, (n_out, n), by the weights as they are now; see `forward`."""
        self.check_weights()
        W, b = self.read(0, self.options.sparse)
        names = [ACTIVATIONS[self.layers.arrays[k].activation] for k in range(self.layers.count)]
        if self.options.sparse:
            return forward_sparse(W, b, names, X, self.threads, out)
        if isinstance(X, RawTable):
            return forward_raw(W, b, names, X, self.threads, out)
        return forward(W, b, names, X, self.threads, out, self.standardize)

    cdef tuple read(self, int which, Py_ssize_t by_inputs=0):
        """Fresh arrays; in so many of the first layers the weights of an input lie side by side."""
        cdef Layers out
        cdef Py_ssize_t k
        out, W, b = self.layers.fresh()
        if by_inputs > 0:
            for k in range(min(by_inputs, self.layers.count)):
                W[k] = np.empty_like(W[k].T, order="C", subok=False).T
            out = self.layers.like(W, b)
        self.table.read(self.arena.m.start, which, out.arrays)
        return W, b

    def weights(self, *, bint by_inputs=False):
        """Fresh arrays with the weights as they are now: lists of W and b.

        by_inputs: W.T is in C order, not W.
        """
        self.check_weights()
        return self.read(0, self.layers.count if by_inputs else 0)

    def load_weights(self, list W, list b):
        """Go on from other weights; what the optimiser keeps stays."""
        if self.arena.bytes < self.arena_bytes:
            raise RuntimeError("a core that is not prepared has no place for weights")
        self.table.write(self.arena.m.start, 0, self.layers.like(W, b).arrays)
        self.no_weights = False

    cdef tuple moment_names(self):
        return ("first", "second")[:MOMENTS_OF_OPTIMIZER[self.options.optimizer]]

    cdef list names_of_moments(self):
        """The keys of `moments` but for the scales."""
        shape = self.options.optimizer, self.layers.count
        if shape not in moment_keys:
            moment_keys[shape] = [f"{name}.{k}.{letter}" for name in self.moment_names()
                                  for k in range(self.layers.count) for letter in "Wb"]
        return moment_keys[shape]

    def moments(self, *, bint by_inputs=False):
        """What the optimiser keeps for each weight, fresh arrays by name: "first.0.W", "first.0.b", ...

        by_inputs: as in `weights`.

        first: the velocity, or m; second: v (see optimizers.pxi). Nothing with plain gradient descent.
        """
        arrays = []
        for which in range(MOMENTS_OF_OPTIMIZER[self.options.optimizer]):
            for both in zip(*self.read(which + 1, self.layers.count if by_inputs else 0)):
                arrays += both
        found = dict(zip(self.names_of_moments(), arrays))
        if self.options.scale_rate > 0:
            for which, name in enumerate(SCALE_NAMES, 3):
                found[name] = self.read(which)[0][0][0].copy()
        return found

    def load_moments(self, dict moments):
        """Go on from what `moments` gave; ValueError, and nothing changed, if names or shapes do not fit."""
        parts, scales = [], []
        for name in self.moment_names():
            wanted = [[f"{name}.{k}.{letter}" for k in range(self.layers.count)] for letter in "Wb"]
            if missing := [key for keys in wanted for key in keys if key not in moments]:
                raise ValueError(f"moments must have {', '.join(missing)}, got "
                                 f"{', '.join(moments) or 'none'}")
            W, b = [[moments[key] for key in keys] for keys in wanted]
            parts.append(self.layers.like(W, b))
        if self.options.scale_rate > 0:
            if missing := [name for name in SCALE_NAMES if name not in moments]:
                raise ValueError(f"moments must have {', '.join(missing)}, got "
                                 f"{', '.join(moments) or 'none'}")
            for name in SCALE_NAMES:
                W, b = self.read(0)
                W[0][0] = moments[name]
                scales.append(self.layers.like(W, b))
        for which, part in [*enumerate(parts, 1), *enumerate(scales, 3)]:
            self.table.write(self.arena.m.start, which, (<Layers>part).arrays)

    @property
    def step(self):
        """The number of batches so far: the t of Adam, and the counter of the dropout masks."""
        return self.table.steps(self.arena.m.start)

    @step.setter
    def step(self, int64_t value):
        if value < 0:
            raise ValueError(f"step must be at least 0, got {value}")
        cdef fp_mode mode = fp_enter()
        self.table.set_steps(self.arena.m.start, value)
        fp_leave(mode)

    @property
    def sparse(self):
        """Whether the last epoch left out the zeros of X, as it does where they are many; no bit shows it."""
        return bool(self.table.was_sparse(self.arena.m.start))

    def finite(self):
        """Whether every weight is finite."""
        self.check_weights()
        return bool(self.table.weights_finite(self.arena.m.start))

    def moments_finite(self):
        """Whether all that the optimiser keeps is finite, without a copy of it."""
        return bool(self.table.moments_finite(self.arena.m.start))
