# TrainingQueue: fits that threads take one after the other, each with all its epochs.
# Uses: arrays, calls, random, trainer

cdef enum:                      # why a fit has ended; QUEUE_ENDS names them in this order
    GOING_ON, END_DONE, END_DIVERGED, END_MOMENTS, END_VALIDATION, END_EARLY, END_SECONDS, END_LATE
    END_STOPPED
    END_NOT_BEGUN

QUEUE_ENDS = ("", "done", "diverged", "moments", "validation", "early stopping", "max_seconds", "late",
              "stopped", "not begun")
QueuedResult = tuple            # what `TrainingQueue.finished` returns


cdef enum:
    KEPT_ORDERS = 1 << 17       # numbers of the orders that a thread keeps: 1 MB, to stay in L2


cdef struct kept_orders:        # of one thread: those of its last fit, for the next ones with the same seed
    Py_ssize_t* start           # epoch after epoch, and after `room` numbers one that is not kept
    Py_ssize_t room, n
    uint64_t seed
    int first_epoch, epochs
    shared_int* drawn


cdef struct queued_fit:
    const kernel_table* table
    void* arena
    examples data, held_out
    cost_report report
    cost_rule rule
    Py_ssize_t n, n_held_out
    double held_out_weight      # the sum of the weights of the examples held out
    double rate
    bint shuffled
    uint64_t seed
    bitgen_t* bits              # NULL, or what shuffles data.order in place
    int first_epoch, epochs, done
    double max_seconds, began
    int n_moments
    bint checks_moments
    const layer_arrays* moments[2]  # where the result has them
    bint stops_early            # see fastnet._plateau for the rule
    double best, tol
    Py_ssize_t waited, patience
    int best_epoch              # 0: no loss yet was below `best`
    const layer_arrays* best_weights  # NULL: nobody wants them
    double* losses              # of each epoch, and so on
    double* seconds
    double* held_out_losses
    int end
    bint forgotten
    shared_int finished


cdef void read_moments(queued_fit* f) noexcept nogil:
    cdef int which
    for which in range(f.n_moments):
        f.table.read(f.arena, which + 1, f.moments[which])


cdef double held_out_loss(queued_fit* f, thread_team* alone) noexcept nogil:
    """The mean cost of the examples held out, as TrainerCore.loss sums it."""
    cdef Py_ssize_t block = min(f.rule.batch, BLOCK), i
    cdef double cost = 0
    f.table.costs(f.arena, &f.held_out, f.n_held_out, &f.report, alone, 0)
    for i in range((f.n_held_out + block - 1)//block):
        cost += reported(f.report.block_costs, i, f.rule.itemsize)
    return cost*f.rule.cost_scale/f.held_out_weight


cdef Py_ssize_t* order_of_epoch(const queued_fit* f, kept_orders* kept) noexcept nogil:
    """The permutation of a fit's next epoch: drawn, or the one of an earlier fit with the same seed."""
    cdef Py_ssize_t* order = kept.start + kept.room
    if kept.n != f.n or kept.seed != f.seed or kept.first_epoch != f.first_epoch:
        kept.n, kept.seed, kept.first_epoch, kept.epochs = f.n, f.seed, f.first_epoch, 0
    if f.done < kept.epochs:
        return kept.start + f.done*f.n
    if f.done == kept.epochs and f.n <= kept.room - f.done*f.n:
        order = kept.start + f.done*f.n
        kept.epochs += 1
    shared_add(kept.drawn, 1)
    permute(f.table, order, f.n, f.seed, <uint64_t>(f.first_epoch + f.done))
    return order


cdef void train_epoch(queued_fit* f, kept_orders* kept) noexcept nogil:
    """Train for one more epoch, and say in f.end if it is the last: as fastnet.training.loop does."""
    cdef examples data = f.data
    cdef thread_team alone = new_team(1)
    cdef double before = now(), after, loss
    cdef Py_ssize_t i
    cdef Py_ssize_t* order
    cdef Py_ssize_t* rows
    if f.bits != NULL:
        shuffle_by(f.bits, <Py_ssize_t*>data.order, f.n)
    elif f.shuffled:
        order = order_of_epoch(f, kept)
        if data.order != NULL:
            rows = kept.start + kept.room
            for i in range(f.n):
                rows[i] = data.order[order[i]]
            order = rows
        data.order = order
    f.table.train(f.arena, &data, f.rule.batch, 0, f.n, &f.rate, 0, &f.report, &alone, 0)
    loss = add_costs(0, &f.report, f.rule, f.n)/f.n
    after = now()
    f.losses[f.done] = loss
    f.seconds[f.done] = after - before
    f.done += 1
    if not isfinite(loss) or not f.table.weights_finite(f.arena):
        f.end = END_DIVERGED
        return
    if f.checks_moments and not f.table.moments_finite(f.arena):
        f.end = END_MOMENTS
        return
    if f.n_held_out > 0:
        loss = held_out_loss(f, &alone)
        f.held_out_losses[f.done - 1] = loss
        if not isfinite(loss):
            f.end = END_VALIDATION
            return
    if f.stops_early:
        f.waited = 0 if loss <= f.best - f.tol else f.waited + 1
        if loss < f.best:
            f.best = loss
            f.best_epoch = f.first_epoch + f.done
            if f.best_weights != NULL:
                f.table.read(f.arena, 0, f.best_weights)
        if f.waited > f.patience:
            f.waited = 0
            f.end = END_EARLY
            return
    if after - f.began >= f.max_seconds:
        f.end = END_SECONDS
    elif f.done == f.epochs:
        f.end = END_DONE


cdef class TrainingQueue:
    """Fits of many networks: each thread takes the next with all its epochs, without Python's lock.

    One thread adds fits and asks which have `finished`, while others are in `work`; it may take part by
    `help`. A fit has the bits of one by `TrainerCore.epoch` and `TrainerCore.loss`.

    Parameters
    ----------
    count : int
        Fits at most.
    examples : int
        At most in a fit.
    seconds : float
        From now: then no fit begins but the first, and those that have begun end after their epoch.
    """
    cdef queued_fit* fits
    cdef list kept              # what the pointers of each fit point into, until it is forgotten
    cdef int count, first, mine
    cdef Py_ssize_t examples
    cdef double deadline
    cdef cnp.ndarray room       # of `help`, for its orders
    cdef kept_orders orders
    cdef shared_int next, ready, closed, stopped, at_work, epochs, drawn
    cdef readonly Py_ssize_t pending, bytes     # fits that are not forgotten, and how large their arenas are

    def __cinit__(self, int count, Py_ssize_t examples, double seconds=INFINITY):
        self.fits = <queued_fit*>calloc(max(count, 1), sizeof(queued_fit))
        if self.fits == NULL:
            raise MemoryError
        self.kept = []
        self.count = count
        self.examples = examples
        self.deadline = now() + seconds
        self.room = self.room_for_orders(&self.orders)
        self.first = 0
        self.mine = -1

    def __dealloc__(self):
        free(self.fits)

    cdef cnp.ndarray room_for_orders(self, kept_orders* kept):
        """Memory for the orders of one thread; a single fit has nobody to keep them for."""
        memset(kept, 0, sizeof(kept_orders))
        kept.room = KEPT_ORDERS if self.count > 1 else 0
        cdef cnp.ndarray room = np.empty(kept.room + self.examples, np.intp)
        kept.start = <Py_ssize_t*>cnp.PyArray_DATA(room)
        kept.drawn = &self.drawn
        return room

    @property
    def epochs_done(self):
        """Of all fits."""
        return shared_get(&self.epochs)

    @property
    def orders_drawn(self):
        """Permutations so far: fewer than epochs where fits of a thread have one seed and as many rows."""
        return shared_get(&self.drawn)

    def add(self, TrainerCore core, data, double learning_rate, seed, int first_epoch, int epochs,
            bint check_moments, max_seconds=None, held_out=None, double held_out_weight=1,
            tuple early_stopping=None, bint keep_best=True, bit_generator=None, *, bint moments=True):
        """Add a fit.

        Parameters
        ----------
        core : TrainerCore
            Nobody else may use it until the fit has ended.
        data, held_out : (X, T, weights, order)
            To train on; to validate on, or None. With a seed, each epoch is shuffled by `permutation`.
        first_epoch : int
            The number of the first of the epochs: their shuffles depend on it.
        check_moments : bool
            See to it that what the optimiser keeps is finite.
        max_seconds : float, optional
            End after the epoch in which this time is over.
        held_out_weight : float
            The sum of the weights of the examples held out.
        early_stopping : (tol, patience, best, waited), optional
        keep_best : bool
            Read the weights of the epoch with the lowest loss, for early stopping.
        bit_generator : numpy.random.BitGenerator, optional
            Shuffles the order of `data`, in place, before each epoch, as `shuffle` does; then there is no
            seed. Who calls `work` or `help` holds its lock.
        moments : bool
            Read for `finished` what the optimiser keeps; else it stays in the core.
        """
        if len(self.kept) >= self.count:
            raise ValueError(f"a queue must hold at most {self.count} fits")
        cdef queued_fit* f = &self.fits[len(self.kept)]
        cdef Py_ssize_t n, batches, blocks, block = min(core.batch, BLOCK)
        cdef Layers best_weights = None
        cdef cnp.npy_intp[1] room = [(2 if held_out is None else 3)*epochs]
        cdef cnp.ndarray numbers = cnp.PyArray_EMPTY(1, room, cnp.NPY_DOUBLE, 0)
        X, T, weights, order = data
        n = X.shape[1] if order is None else cnp.PyArray_SIZE(order)
        if n > self.examples:
            raise ValueError(f"a fit must have at most {self.examples} examples, got {n}")
        batches = (n + core.batch - 1)//core.batch
        blocks = batches*core.blocks_in_batch()
        f.table, f.arena = core.table, core.arena.m.start
        f.data = core.data(X, T, order, weights)
        f.n = n
        f.rule = core.rule_of_costs(weights is not None)
        if held_out is not None:
            X, T, weights, order = held_out
            f.held_out = core.data(X, T, order, weights)
            f.n_held_out = X.shape[1] if order is None else cnp.PyArray_SIZE(order)
            f.held_out_weight = held_out_weight
            blocks = max(blocks, (f.n_held_out + block - 1)//block)
        f.report = core.report_buffers(batches, blocks)
        f.rate = learning_rate
        f.shuffled = seed is not None
        f.seed = seed if f.shuffled else 0
        if bit_generator is not None:
            order = data[3]
            if order is None or not cnp.PyArray_ISWRITEABLE(order) or f.shuffled:
                raise ValueError("bit_generator must come with a writable order and without a seed")
            f.bits = bits_of(bit_generator)
        f.first_epoch, f.epochs = first_epoch, epochs
        f.max_seconds = INFINITY if max_seconds is None else max_seconds
        f.losses = <double*>cnp.PyArray_DATA(numbers)
        f.seconds = f.losses + epochs
        f.held_out_losses = f.seconds + epochs
        f.checks_moments = check_moments
        f.n_moments = MOMENTS_OF_OPTIMIZER[core.options.optimizer] if moments else 0
        arrays, pointers = [], []
        for which in range(f.n_moments):
            one, W, b = core.layers.fresh()
            f.moments[which] = (<Layers>one).arrays
            pointers.append(one)
            for both in zip(W, b):
                arrays += both
        f.stops_early = early_stopping is not None
        if f.stops_early:
            if keep_best:
                best_weights, W, b = core.layers.fresh()
                f.best_weights = best_weights.arrays
            f.tol, f.patience, f.best, f.waited = early_stopping
        self.kept.append((core, data, held_out, numbers, arrays, pointers,
                          (best_weights, W, b) if f.best_weights != NULL else None, bit_generator))
        self.pending += 1
        self.bytes += core.arena.bytes
        shared_set(&self.ready, <int>len(self.kept))

    def close(self):
        """No more fits will be added: threads in `work` leave when all fits are taken."""
        shared_set(&self.closed, 1)

    def stop(self):
        """End all fits after their epoch; those that have not begun do not begin."""
        shared_set(&self.stopped, 1)

    def wait_for_threads(self, int count, double seconds):
        """Wait until so many threads are in `work`, but no longer than so many seconds."""
        cdef double until = now() + seconds
        cdef int times = 0
        with nogil:
            while shared_get(&self.at_work) < count and now() < until:
                wait_a_little(times)
                times += 1

    def wait_for_finished(self, double seconds):
        """Wait until a fit has `finished`, but no longer than so many seconds."""
        cdef double until = now() + seconds
        cdef int times = 0
        with nogil:
            while self.find_finished() < 0 and now() < until:
                wait_a_little(times)
                times += 1

    def work(self):
        """Train fits until the queue is closed and none is left: for a thread of its own."""
        cdef kept_orders orders
        cdef cnp.ndarray room = self.room_for_orders(&orders)
        cdef int k, times = 0
        cdef bint closed
        with nogil:
            shared_add(&self.at_work, 1)
            while True:
                closed = shared_get(&self.closed)      # read first: nothing is added after it
                k = shared_take(&self.next, shared_get(&self.ready))
                if k >= 0:
                    self.train(k, &orders, INFINITY)
                    times = 0
                elif closed:
                    break
                else:
                    wait_a_little(times)
                    times += 1

    def help(self, double seconds):
        """Train the next fit, and return after its end; False if none is left to take.

        It returns as well after so many seconds, and where the others have taken all fits and more may come.
        What it has begun the next call goes on with.
        """
        cdef bint found
        with nogil:
            if self.mine < 0:
                self.mine = shared_take(&self.next, shared_get(&self.ready))
            found = self.mine >= 0
            if found and self.train(self.mine, &self.orders, seconds):
                self.mine = -1
        return found

    cdef bint train(self, int k, kept_orders* orders, double seconds) noexcept nogil:
        """Train fit k until it has ended, or for about so many seconds; return whether it has."""
        cdef queued_fit* f = &self.fits[k]
        cdef double until = now() + seconds, time
        cdef fp_mode mode = fp_enter()
        if f.done == 0:
            f.began = now()
            if k > 0 and f.began >= self.deadline:
                f.end = END_NOT_BEGUN
        while f.end == GOING_ON:
            if shared_get(&self.stopped):
                f.end = END_STOPPED if f.done > 0 else END_NOT_BEGUN
                break
            train_epoch(f, orders)
            shared_add(&self.epochs, 1)
            time = now()
            if f.end == GOING_ON and time >= self.deadline:
                f.end = END_LATE
            elif f.end == GOING_ON and (time >= until or seconds < INFINITY and self.is_drained()):
                fp_leave(mode)
                return False
        read_moments(f)
        fp_leave(mode)
        shared_set(&f.finished, 1)
        return True

    cdef bint is_drained(self) noexcept nogil:
        """Whether threads wait for fits that are still to be added."""
        return not shared_get(&self.closed) and shared_get(&self.next) >= shared_get(&self.ready)

    cdef int find_finished(self) noexcept nogil:
        """The first fit that has ended and is not forgotten; -1 if there is none."""
        cdef int k
        for k in range(self.first, shared_get(&self.ready)):
            if not self.fits[k].forgotten and shared_get(&self.fits[k].finished):
                return k
        return -1

    def losses_of(self, int k):
        """The losses of fit k so far, and those of what is held out: lists; while nobody else trains it."""
        if not 0 <= k < len(self.kept) or self.kept[k] is None:
            raise ValueError(f"k must be a fit that was added and is not forgotten, got {k}")
        cdef queued_fit* f = &self.fits[k]
        cdef int i
        return ([f.losses[i] for i in range(f.done)],
                [f.held_out_losses[i] for i in range(f.done if f.n_held_out > 0 else 0)])

    def finished(self):
        """Return what has become of the first fit that has ended and is not forgotten; None if there is none.

        Returns
        -------
        k : int
            Which of those added.
        end : str
            One of `QUEUE_ENDS`.
        losses, seconds, held_out_losses : list of float
            One for each epoch, the one that diverged included.
        moments : dict
            As `TrainerCore.moments`; nothing if they were not asked for.
        best : (best, waited, best_epoch, W, b) or None
            With early stopping that keeps them: the lowest loss, epochs waited since, and its epoch and
            weights; epoch 0 if no loss was below the one to begin with.
        """
        cdef int k = self.find_finished()
        if k < 0:
            return None
        cdef queued_fit* f = &self.fits[k]
        cdef int i
        core, _, _, _, moments, _, best, _ = self.kept[k]
        losses, held_out_losses = self.losses_of(k)
        seconds = [f.seconds[i] for i in range(f.done)]
        names = (<TrainerCore>core).names_of_moments()
        if best is not None:
            best = f.best, f.waited, f.best_epoch, *best[1:]
        return k, QUEUE_ENDS[f.end], losses, seconds, held_out_losses, dict(zip(names, moments)), best

    def forget(self, int k):
        """Drop a fit that has ended: `finished` goes on to the next."""
        if not 0 <= k < len(self.kept) or self.kept[k] is None or not shared_get(&self.fits[k].finished):
            raise ValueError(f"k must be a fit that has ended, got {k}")
        self.bytes -= (<TrainerCore>self.kept[k][0]).arena.bytes
        self.kept[k] = None
        self.fits[k].forgotten = True
        self.pending -= 1
        while self.first < self.count and self.fits[self.first].forgotten:
            self.first += 1
