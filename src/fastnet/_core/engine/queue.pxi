# TrainingQueue: fits that threads take one after the other, each with all its epochs.
# Uses: arrays, calls, random, trainer

cdef enum:                      # why a fit has ended; QUEUE_ENDS names them in this order
    GOING_ON, END_DONE, END_DIVERGED, END_MOMENTS, END_VALIDATION, END_EARLY, END_SECONDS, END_LATE
    END_STOPPED
    END_NOT_BEGUN
    END_NO_MEMORY
    END_WEIGHTS                 # they were not finite to begin with

QUEUE_ENDS = ("", "done", "diverged", "moments", "validation", "early stopping", "max_seconds", "late",
              "stopped", "not begun", "no memory", "weights")
QueuedResult = tuple            # what `TrainingQueue.finished` returns


cdef enum:
    KEPT_ORDERS = 1 << 17       # numbers of the orders that a thread keeps: 1 MB, to stay in L2


cdef struct kept_orders:        # of one thread: those of its last fit, for the next ones with the same seed
    Py_ssize_t* start           # epoch after epoch, and after `room` numbers one that is not kept
    Py_ssize_t room, n
    uint64_t seed
    int first_epoch, epochs
    shared_int drawn, trained   # orders and epochs so far, for others to read


cdef struct fit_plan:           # what many fits have in common; threads that only read it share it
    const kernel_table* table
    size_t arena_bytes
    int n_layers
    fit_options options
    examples data, held_out
    Py_ssize_t batches, blocks  # that a report has room for
    cost_rule rule
    Py_ssize_t n, n_held_out
    double weight, held_out_weight  # the sums of the weights of the examples to train on, and held out
    double rate
    bint shuffled
    bitgen_t* bits              # NULL, or what shuffles data.order in place
    int first_epoch, epochs
    double max_seconds
    int n_moments
    bint checks_moments
    bint stops_early            # see fastnet._plateau for the rule
    double tol
    Py_ssize_t patience
    int fewest                  # epochs; after so many the cost by the last weights is worked out
    double moved                # unless the loss has fallen below this part of its first value


cdef struct queued_fit:         # small: it goes to the thread that trains, and back
    const fit_plan* plan
    void* arena                 # of a core; or of the thread that trains a network, from its first epoch on
    layer_arrays* layers        # of a network: what it is to begin with; NULL: the arena is a core's
    layer_arrays* result        # and where it is to be read to at the end
    void* memory                # of layers, result, losses and seconds
    cost_report report
    uint64_t seed
    int done, end
    double began
    double looked               # when the clock was last read: the next epoch begins then
    double* losses              # of each epoch, and so on
    double* seconds
    double* held_out_losses
    int64_t steps
    double cost                 # by the last weights, or NAN
    shared_int finished
    bint forgotten
    const layer_arrays* moments[2]  # where the result has them
    double best
    Py_ssize_t waited
    int best_epoch              # 0: no loss yet was below `best`
    const layer_arrays* best_weights  # NULL: nobody wants them


cdef double mean_cost(queued_fit* f, const examples* data, Py_ssize_t n, double weight) noexcept nogil:
    """The mean cost of examples by the weights of now, as TrainerCore.loss sums it."""
    cdef Py_ssize_t block = min(f.plan.rule.batch, BLOCK), i
    cdef thread_team alone = new_team(1)
    cdef double cost = 0
    f.plan.table.costs(f.arena, data, n, NULL, &f.report, &alone, 0)
    for i in range((n + block - 1)//block):
        cost += reported(f.report.block_costs, i, f.plan.rule.itemsize)
    return cost*f.plan.rule.cost_scale/weight


cdef int prepare_in(queued_fit* f, memory* m) noexcept nogil:
    """Lay a network out in the memory of a thread, which may have been another's: how the fit has ended, if
    there is no memory or the weights are not finite, else GOING_ON.

    With an arena for each fit the caches would be cold: 8-16-1 took 34 us and takes 28.
    """
    cdef size_t bytes = f.plan.arena_bytes + (f.plan.blocks + 2*f.plan.batches)*f.plan.rule.itemsize
    cdef char* report
    cdef fit_options options = f.plan.options
    if m.block == NULL or memory_room(m) < bytes:
        memory_free(m)                             # not the kept one: it is for those who hold Python's lock
        if not memory_new(m, bytes, False):
            return END_NO_MEMORY
    f.arena = m.start
    report = <char*>f.arena + f.plan.arena_bytes
    f.report.block_costs = report
    f.report.batch_weights = report + f.plan.blocks*f.plan.rule.itemsize
    f.report.batch_squares = report + (f.plan.blocks + f.plan.batches)*f.plan.rule.itemsize
    options.seed = f.seed
    f.plan.table.prepare(f.arena, f.layers, f.plan.n_layers, f.plan.rule.batch, 1, &options)
    return GOING_ON if f.plan.table.weights_finite(f.arena) else END_WEIGHTS


cdef void read_result(queued_fit* f) noexcept nogil:
    """What is asked for at the end: what the optimiser keeps, and of a network its weights and its cost."""
    cdef int which
    for which in range(f.plan.n_moments):
        f.plan.table.read(f.arena, which + 1, f.moments[which])
    if f.layers != NULL:
        f.plan.table.read(f.arena, 0, f.result)
        f.steps = f.plan.table.steps(f.arena)
        if f.done >= f.plan.fewest and f.losses[f.done - 1] > f.plan.moved*f.losses[0] > 0:
            f.cost = mean_cost(f, &f.plan.data, f.plan.n, f.plan.weight)


cdef Py_ssize_t* order_of_epoch(const queued_fit* f, kept_orders* kept) noexcept nogil:
    """The permutation of a fit's next epoch: drawn, or the one of an earlier fit with the same seed."""
    cdef Py_ssize_t* order = kept.start + kept.room
    if kept.n != f.plan.n or kept.seed != f.seed or kept.first_epoch != f.plan.first_epoch:
        kept.n, kept.seed, kept.first_epoch, kept.epochs = f.plan.n, f.seed, f.plan.first_epoch, 0
    if f.done < kept.epochs:
        return kept.start + f.done*f.plan.n
    if f.done == kept.epochs and f.plan.n <= kept.room - f.done*f.plan.n:
        order = kept.start + f.done*f.plan.n
        kept.epochs += 1
    shared_set(&kept.drawn, shared_get(&kept.drawn) + 1)
    permute(f.plan.table, order, f.plan.n, f.seed, <uint64_t>(f.plan.first_epoch + f.done))
    return order


cdef void train_epoch(queued_fit* f, kept_orders* kept) noexcept nogil:
    """Train for one more epoch, and say in f.end if it is the last: as fastnet.training.loop does."""
    cdef examples data = f.plan.data
    cdef thread_team alone = new_team(1)
    cdef double loss
    cdef Py_ssize_t i
    cdef Py_ssize_t* order
    cdef Py_ssize_t* rows
    if f.plan.bits != NULL:
        shuffle_by(f.plan.bits, <Py_ssize_t*>data.order, f.plan.n)
    elif f.plan.shuffled:
        order = order_of_epoch(f, kept)
        if data.order != NULL:
            rows = kept.start + kept.room
            for i in range(f.plan.n):
                rows[i] = data.order[order[i]]
            order = rows
        data.order = order
    f.plan.table.train(f.arena, &data, f.plan.rule.batch, 0, f.plan.n, &f.plan.rate, 0, &f.report, &alone, 0)
    loss = sum_of_costs(0, &f.report, f.plan.rule, f.plan.n)/f.plan.n
    f.losses[f.done] = loss
    f.seconds[f.done] = -f.looked
    f.looked = now()                               # one look an epoch: a step of a tiny network takes less
    f.seconds[f.done] += f.looked
    f.done += 1
    if not isfinite(loss) or not f.plan.table.weights_finite(f.arena):
        f.end = END_DIVERGED
        return
    if f.plan.checks_moments and not f.plan.table.moments_finite(f.arena):
        f.end = END_MOMENTS
        return
    if f.plan.n_held_out > 0:
        loss = mean_cost(f, &f.plan.held_out, f.plan.n_held_out, f.plan.held_out_weight)
        f.looked = now()
        f.held_out_losses[f.done - 1] = loss
        if not isfinite(loss):
            f.end = END_VALIDATION
            return
    if f.plan.stops_early:
        f.waited = 0 if loss <= f.best - f.plan.tol else f.waited + 1
        if loss < f.best:
            f.best = loss
            f.best_epoch = f.plan.first_epoch + f.done
            if f.best_weights != NULL:
                f.plan.table.read(f.arena, 0, f.best_weights)
        if f.waited > f.plan.patience:
            f.waited = 0
            f.end = END_EARLY
            return
    if f.looked - f.began >= f.plan.max_seconds:
        f.end = END_SECONDS
    elif f.done == f.plan.epochs:
        f.end = END_DONE


cdef class QueuedFit:
    """A fit as a queue takes it: of a core, or of each of many networks like the one that a core was made of.

    Parameters
    ----------
    core : TrainerCore
    data, held_out : (X, T, weights, order)
        To train on; to validate on, or None. With a seed, each epoch is shuffled by `permutation`.
    first_epoch : int
        The number of the first of the epochs: their shuffles depend on it.
    check_moments : bool
        See to it that what the optimiser keeps is finite.
    max_seconds : float, optional
        End after the epoch in which this time is over.
    weight, held_out_weight : float
        The sums of the weights of the examples to train on, and held out.
    early_stopping : (tol, patience, best, waited), optional
    keep_best : bool
        Read the weights of the epoch with the lowest loss, for early stopping.
    bit_generator : numpy.random.BitGenerator, optional
        Shuffles the order of `data`, in place, before each epoch, as `shuffle` does; then there is no
        seed. Who calls `work` or `help` holds its lock.
    moments : bool
        Read for `finished` what the optimiser keeps; else it stays in the core.
    look : (epochs, part), optional
        For networks: work out the cost by the last weights, if after so many epochs or more the loss is
        above this part of its first value.
    """
    cdef fit_plan plan
    cdef TrainerCore core
    cdef tuple kept
    cdef uint64_t seed
    cdef bint keeps_best
    cdef double best
    cdef Py_ssize_t waited

    def __init__(self, TrainerCore core, data, double learning_rate, seed, int first_epoch, int epochs,
                 bint check_moments, max_seconds=None, held_out=None, double held_out_weight=1,
                 tuple early_stopping=None, bint keep_best=True, bit_generator=None, *, bint moments=True,
                 double weight=1, tuple look=None):
        cdef fit_plan* plan = &self.plan
        cdef Py_ssize_t block = min(core.batch, BLOCK)
        X, T, weights, order = data
        self.core, self.kept = core, (data, held_out, bit_generator)
        plan.table = core.table
        plan.arena_bytes = (core.arena_bytes + 63)//64*64
        plan.n_layers, plan.options = core.layers.count, core.options
        plan.data = core.data(X, T, order, weights)
        plan.n = X.shape[1] if order is None else cnp.PyArray_SIZE(order)
        plan.batches = (plan.n + core.batch - 1)//core.batch
        plan.blocks = plan.batches*core.blocks_in_batch()
        plan.rule = core.rule_of_costs(weights is not None)
        plan.weight = weight
        if held_out is not None:
            X, T, weights, order = held_out
            plan.held_out = core.data(X, T, order, weights)
            plan.n_held_out = X.shape[1] if order is None else cnp.PyArray_SIZE(order)
            plan.held_out_weight = held_out_weight
            plan.blocks = max(plan.blocks, (plan.n_held_out + block - 1)//block)
        plan.rate = learning_rate
        plan.shuffled = seed is not None
        self.seed = seed if plan.shuffled else 0
        if bit_generator is not None:
            order = data[3]
            if order is None or not cnp.PyArray_ISWRITEABLE(order) or plan.shuffled:
                raise ValueError("bit_generator must come with a writable order and without a seed")
            plan.bits = bits_of(bit_generator)
        plan.first_epoch, plan.epochs = first_epoch, epochs
        plan.max_seconds = INFINITY if max_seconds is None else max_seconds
        plan.checks_moments = check_moments
        plan.n_moments = MOMENTS_OF_OPTIMIZER[core.options.optimizer] if moments else 0
        plan.stops_early = early_stopping is not None
        if plan.stops_early:
            plan.tol, plan.patience, self.best, self.waited = early_stopping
        self.keeps_best = plan.stops_early and keep_best
        plan.fewest, plan.moved = (INT_MAX, 0) if look is None else look


cdef class ThreadRoom:
    """What a thread that trains needs for itself: memory for orders, and for the network it is at."""
    cdef kept_orders orders
    cdef memory arena
    cdef object numbers

    def __dealloc__(self):
        memory_give_back(&self.arena)


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
    cdef ThreadRoom room        # of `help`
    cdef list rooms             # of all threads
    cdef shared_int next, ready, closed, stopped, at_work
    cdef readonly Py_ssize_t pending            # fits that are not forgotten

    def __cinit__(self, int count, Py_ssize_t examples, double seconds=INFINITY):
        self.fits = <queued_fit*>calloc(max(count, 1), sizeof(queued_fit))
        if self.fits == NULL:
            raise MemoryError
        self.kept, self.rooms = [], []
        self.count = count
        self.examples = examples
        self.deadline = now() + seconds
        self.room = self.room_of_thread()
        self.first = 0
        self.mine = -1

    def __dealloc__(self):
        cdef int k
        for k in range(self.count if self.fits != NULL else 0):
            free(self.fits[k].memory)
        free(self.fits)

    cdef ThreadRoom room_of_thread(self):
        """Memory for one thread; a single fit has nobody to keep its orders for."""
        cdef ThreadRoom room = ThreadRoom()
        room.orders.room = KEPT_ORDERS if self.count > 1 else 0
        room.numbers = np.empty(room.orders.room + self.examples, np.intp)
        room.orders.start = <Py_ssize_t*>cnp.PyArray_DATA(room.numbers)
        self.rooms.append(room)
        return room

    @property
    def epochs_done(self):
        """Of all fits."""
        return sum([shared_get(&(<ThreadRoom>room).orders.trained) for room in self.rooms])

    @property
    def orders_drawn(self):
        """Permutations so far: fewer than epochs where fits of a thread have one seed and as many rows."""
        return sum([shared_get(&(<ThreadRoom>room).orders.drawn) for room in self.rooms])

    def add(self, QueuedFit fit):
        """Add a fit of its core, which nobody else may use until it has ended."""
        fit.core.check_weights()
        cdef queued_fit* f = self.begin(fit, 0)
        f.arena = fit.core.arena.m.start
        f.report = fit.core.report_buffers(f.plan.batches, f.plan.blocks)
        self.hand_over(fit, f, None)

    def add_network(self, QueuedFit fit, list W, list b, uint64_t seed):
        """Add a fit of a network with these weights like that of the core, whose memory is not used.

        `seed` is that of shuffle and dropout. The memory that training takes is the thread's.
        """
        cdef Layers like = fit.core.layers
        cdef queued_fit* f = self.begin(fit, like.count)
        cdef list W_out = [], b_out = []
        cdef int k
        for k in range(like.count):
            f.layers[k] = like.arrays[k]
            W_out.append(self.point_at(like, k, W[k], b[k], &f.layers[k]))
            b_out.append(empty_like(b[k]))
            f.result[k].W = as_matrix(W_out[k])
            f.result[k].b = cnp.PyArray_DATA(b_out[k])
        f.seed = seed
        self.hand_over(fit, f, (W_out, b_out, W, b))

    cdef cnp.ndarray point_at(self, Layers like, int k, cnp.ndarray W, cnp.ndarray b, layer_arrays* layer):
        """Let a layer have these weights, and return an array for new ones."""
        same_kind(W, like.table, "W", k)
        shape_is(W, layer.n_out, layer.n_in, "W")
        layer.W = as_matrix(W)
        layer.b = contiguous(b, like.table, layer.n_out, "b", k)
        return empty_like(W)

    cdef queued_fit* begin(self, QueuedFit fit, int layers) except NULL:
        """The place of the next fit, filled in as far as it is known, with memory for what it tells."""
        if len(self.kept) >= self.count:
            raise ValueError(f"a queue must hold at most {self.count} fits")
        if fit.plan.n > self.examples:
            raise ValueError(f"a fit must have at most {self.examples} examples, got {fit.plan.n}")
        cdef queued_fit* f = &self.fits[len(self.kept)]
        cdef Py_ssize_t epochs = fit.plan.epochs
        free(f.memory)                                 # of one that was not handed over
        memset(f, 0, sizeof(queued_fit))
        f.plan, f.seed = &fit.plan, fit.seed
        f.best, f.waited, f.cost = fit.best, fit.waited, NAN
        f.memory = malloc(2*layers*sizeof(layer_arrays) + 3*epochs*sizeof(double))
        if f.memory == NULL:
            raise MemoryError
        f.layers = <layer_arrays*>f.memory if layers > 0 else NULL
        f.result = f.layers + layers
        f.losses = <double*>(<layer_arrays*>f.memory + 2*layers)
        f.seconds = f.losses + epochs
        f.held_out_losses = f.seconds + epochs
        return f

    cdef int hand_over(self, QueuedFit fit, queued_fit* f, tuple network) except -1:
        """Make room for what the optimiser keeps and the best weights, and let the threads have a fit."""
        cdef Layers best_weights = None
        cdef int which
        cdef list arrays = None, pointers = None
        if f.plan.n_moments > 0:
            arrays, pointers = [], []
        for which in range(f.plan.n_moments):
            one, W, b = fit.core.layers.fresh()
            f.moments[which] = (<Layers>one).arrays
            pointers.append(one)
            for both in zip(W, b):
                arrays += both
        if fit.keeps_best:
            best_weights, W, b = fit.core.layers.fresh()
            f.best_weights = best_weights.arrays
        self.kept.append((fit, network, arrays, pointers, (best_weights, W, b) if fit.keeps_best else None))
        self.pending += 1
        shared_set(&self.ready, <int>len(self.kept))
        return 0

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

    def wait_until_left(self, double seconds):
        """Wait until no thread is in `work`, but no longer than so many seconds; return whether none is."""
        cdef double until = now() + seconds
        cdef int times = 0
        with nogil:
            while shared_get(&self.at_work) > 0 and now() < until:
                wait_a_little(times)
                times += 1
        return shared_get(&self.at_work) == 0

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
        cdef ThreadRoom room = self.room_of_thread()
        cdef int k, times = 0
        cdef bint closed
        with nogil:
            shared_add(&self.at_work, 1)
            while True:
                closed = shared_get(&self.closed)      # read first: nothing is added after it
                k = shared_take(&self.next, shared_get(&self.ready))
                if k >= 0:
                    self.train(k, &room.orders, &room.arena, INFINITY)
                    times = 0
                elif closed:
                    break
                else:
                    wait_a_little(times)
                    times += 1
            shared_add(&self.at_work, -1)

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
            if found and self.train(self.mine, &self.room.orders, &self.room.arena, seconds):
                self.mine = -1
        return found

    cdef bint train(self, int k, kept_orders* orders, memory* arena, double seconds) noexcept nogil:
        """Train fit k until it has ended, or for about so many seconds; return whether it has.

        `orders` and `arena` are the thread's.
        """
        cdef queued_fit* f = &self.fits[k]
        cdef double until
        cdef fp_mode mode = fp_enter()
        f.looked = now()
        until = f.looked + seconds
        if f.done == 0:
            f.began = f.looked
            if k > 0 and f.began >= self.deadline or shared_get(&self.stopped):
                f.end = END_NOT_BEGUN
            elif f.layers != NULL:
                f.end = prepare_in(f, arena)
        while f.end == GOING_ON:
            if shared_get(&self.stopped):
                f.end = END_STOPPED if f.done > 0 else END_NOT_BEGUN
                break
            train_epoch(f, orders)
            shared_set(&orders.trained, shared_get(&orders.trained) + 1)
            if f.end == GOING_ON and f.looked >= self.deadline:
                f.end = END_LATE
            elif f.end == GOING_ON and (f.looked >= until or seconds < INFINITY and self.is_drained()):
                fp_leave(mode)
                return False
        if f.done > 0:
            read_result(f)
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
                [f.held_out_losses[i] for i in range(f.done if f.plan.n_held_out > 0 else 0)])

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
        network : (W, b, steps, cost) or None
            Of one that was added by `add_network`: its weights, how many batches there were, and the cost
            asked for by `look`, or NaN.
        """
        cdef int k = self.find_finished()
        if k < 0:
            return None
        cdef queued_fit* f = &self.fits[k]
        cdef int i
        fit, network, moments, _, best = self.kept[k]
        losses, held_out_losses = self.losses_of(k)
        seconds = [f.seconds[i] for i in range(f.done)]
        names = (<QueuedFit>fit).core.names_of_moments()
        if best is not None:
            best = f.best, f.waited, f.best_epoch, *best[1:]
        if network is not None:
            network = network[0], network[1], f.steps, f.cost
        return (k, QUEUE_ENDS[f.end], losses, seconds, held_out_losses,
                dict(zip(names, moments)) if moments else {}, best, network)

    def forget(self, int k):
        """Drop a fit that has ended: `finished` goes on to the next."""
        if not 0 <= k < len(self.kept) or self.kept[k] is None or not shared_get(&self.fits[k].finished):
            raise ValueError(f"k must be a fit that has ended, got {k}")
        self.kept[k] = None
        free(self.fits[k].memory)
        self.fits[k].memory = NULL
        self.fits[k].forgotten = True
        self.pending -= 1
        while self.first < self.count and self.fits[self.first].forgotten:
            self.first += 1
