"""What a build of the kernels offers to engine.pyx: one struct of functions per (instruction set, dtype).

Arrays are void pointers because one struct serves both dtypes; `itemsize` tells which. Nothing here knows
Python. Matrices of the user come with byte strides, so any order, view or alignment is read in place.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "team.h" nogil:
    enum: MAX_THREADS
    ctypedef struct thread_team:
        int size
    thread_team new_team(int size)
    void team_wait(thread_team* team)
    int team_next(thread_team* team)
    void team_start_over(thread_team* team)

cdef extern from "names.h" nogil:
    enum: ACTIVATION_identity, ACTIVATION_softmax, ACTIVATION_COUNT
    enum: LOSS_bce, LOSS_cross_entropy, LOSS_COUNT
    enum: OPTIMIZER_sgd, OPTIMIZER_momentum, OPTIMIZER_COUNT
    enum: LAST_LAYER, FROM_OUTPUTS
    const char** ACTIVATION_NAMES
    const int* LAYERS_OF_ACTIVATION
    const char** LOSS_NAMES
    const int* ACTIVATION_OF_LOSS
    const int* TARGETS_OF_LOSS
    const char** OPTIMIZER_NAMES
    const int* MOMENTS_OF_OPTIMIZER
    const char** PARAMETERS_OF_OPTIMIZER

cdef enum:
    BLOCK = 1024                # examples whose sums form one chain; see epoch.pxi
    CHUNK = 64                  # examples whose costs, and sums for one output unit, are worked out together
    DRAWN_AHEAD = 32            # draws of a shuffle that are made together
    SMALL_BATCH = 128           # at most so many examples are predicted by small_batch.pxi

# What a prediction may find. A weight that is infinite or NaN makes a Z of every example so (also 0 times
# infinity is NaN), but hardly ever an output. Whether it was a weight or a sum that overflowed, the caller
# looks up.
cdef enum:
    X_NOT_FINITE = 1
    Z_NOT_FINITE = 2

cdef struct matrix:             # of the user's: (row, column) is at start + row*row_step + column*column_step
    char* start
    Py_ssize_t row_step, column_step               # bytes

# The dtypes that the values of a raw table may have, and what its columns are
cdef enum:
    RAW_FLOAT64, RAW_FLOAT32, RAW_INT8, RAW_INT16, RAW_INT32, RAW_INT64
    RAW_UINT8, RAW_UINT16, RAW_UINT32, RAW_UINT64
cdef enum:
    RAW_NUMBER, RAW_CATEGORY, RAW_PAIR

cdef struct raw_column:         # of a raw table: it becomes `width` features, from feature `first` on
    const char* start           # the value of the first row
    Py_ssize_t step             # bytes to that of the next row
    int dtype, kind
    Py_ssize_t first, width
    # of a number: see raw.pxi
    double centre, scale
    int gaps                    # whether a feature says that the value is missing
    int bins
    const double* low           # (bins)
    const double* high_minus_low

cdef struct raw_table:          # examples as its rows
    const raw_column* columns
    int count
    Py_ssize_t features
    int mostly_zeros            # whether at most a quarter of its features are not 0
    double factor               # of every feature

cdef struct layer_arrays:       # one layer as Python holds it
    Py_ssize_t n_in, n_out
    int activation              # a code of names.h
    double dropout              # share of its outputs that training sets to 0
    matrix W                    # (n_out, n_in): weights in, or out; or gradients out
    void* b                     # (n_out)
    # of the first layer, (n_in) each, or NULL: its input is (x - mean)/scale, worked out while x is gathered
    const void* mean
    const void* scale

cdef struct examples:           # to train on
    matrix X, T                 # (features, n), (outputs, n)
    const raw_table* raw        # its rows are the examples, not X; or NULL
    const void* weights         # (n), or NULL: 1 each
    const Py_ssize_t* order     # example at position p is column order[p]; NULL: column p

cdef struct sparse_rows:        # examples as the rows of a sparse matrix, as in SciPy's CSR
    # of example i, numbers start[i] up to start[i + 1] of `value` and `feature`: what is not zero, and which
    # feature that is, ascending
    const void* value
    const int* feature
    const Py_ssize_t* start     # (n + 1); NULL: the examples are not sparse rows

cdef struct fit_options:        # codes of names.h; formulas in losses.pxi and optimizers.pxi
    int loss, optimizer, nesterov
    double loss_parameter, min_cost, max_cost
    double momentum, beta_1, beta_2, epsilon, l2, weight_decay, clip_norm, scale_rate
    uint64_t seed               # of the dropout
    int sparse                  # X comes as sparse rows, by `use_rows`, and never as a matrix

cdef struct cost_report:        # what `train`, `gradients` and `costs` write
    void* block_costs           # the cost of each block, summed over its examples
    void* batch_weights         # the sum of the weights of each batch's examples
    void* batch_squares         # the sum of W^2 as each batch found it; only with l2

cdef struct kernel_table:
    const char* isa
    Py_ssize_t itemsize, width, panel
    # how large to cut blocks: the bytes of these caches, or 0
    void (*set_caches)(Py_ssize_t L1, Py_ssize_t L2) noexcept nogil

    # Every thread of a team makes the same call, each with its own number.

    # Training. The arena is memory of arena_size bytes, aligned to 64, which may hold anything, and is for
    # everything a fit needs for teams of up to `threads`.
    size_t (*arena_size)(const layer_arrays* layers, int n_layers, Py_ssize_t batch, int threads,
                         const fit_options* options) noexcept nogil
    void (*prepare)(void* arena, const layer_arrays* layers, int n_layers, Py_ssize_t batch, int threads,
                    const fit_options* options) noexcept nogil
    # with fit_options.sparse, before each of the next three: these rows are the examples, not examples.X
    void (*use_rows)(void* arena, const sparse_rows* rows) noexcept nogil
    # batches of `batch` examples from position `first` up to `last` of the order; rates: one for each batch
    void (*train)(void* arena, const examples* data, Py_ssize_t batch, Py_ssize_t first, Py_ssize_t last,
                  const double* rates, Py_ssize_t rates_step, const cost_report* report, thread_team* team,
                  int thread) noexcept nogil
    # with fit_options.sparse: the next `gradients` are at these weights. Those of the first layer, a
    # feature's side by side, are read where they lie, and its gradient is made from `all_dZT`,
    # round_up(n, panel) rows of round_up(n_out, width), and `by_feature`, and written likewise. With NULL:
    # not any more.
    void (*use_first_weights)(void* arena, const layer_arrays* layers, void* all_dZT) noexcept nogil
    # sums over n examples, without l2 and dropout; by_feature: the examples' lists transposed, or NULL
    void (*gradients)(void* arena, const examples* data, Py_ssize_t n, const layer_arrays* out,
                      const sparse_rows* by_feature, const cost_report* report, thread_team* team,
                      int thread) noexcept nogil
    # logits: NULL, or where what the loss starts from is copied to, (n_out, n)
    void (*costs)(void* arena, const examples* data, Py_ssize_t n, const matrix* logits,
                  const cost_report* report, thread_team* team, int thread) noexcept nogil
    # the weights (0), or what an optimiser keeps for each of them (1, 2; see optimizers.pxi)
    void (*read)(const void* arena, int which, const layer_arrays* out) noexcept nogil
    void (*write)(void* arena, int which, const layer_arrays* arrays) noexcept nogil
    # how many batches there have been: Adam's t, the dropout's counter
    int64_t (*steps)(const void* arena) noexcept nogil
    void (*set_steps)(void* arena, int64_t steps) noexcept nogil
    int (*weights_finite)(const void* arena) noexcept nogil
    int (*moments_finite)(const void* arena) noexcept nogil
    # whether the last `train` left out the zeros of X: see sparse.pxi
    int (*was_sparse)(const void* arena) noexcept nogil

    # rows [first, first + n) of a raw table as a matrix (n, features) in C order
    void (*encode_rows)(const raw_table* raw, Py_ssize_t first, Py_ssize_t n, void* out,
                        const thread_team* team, int thread) noexcept nogil

    # Prediction: A of the last layer, (n_out, n), for n examples. With `shared`, another arena of the same
    # network, the weights are read there, and the new one holds buffers only. With `check`, predict returns
    # X_NOT_FINITE, and stops, where a number of X, as it is or standardised, is not finite; else Z_NOT_FINITE
    # where a Z = W A + b of the first example is not; else 0.
    size_t (*predict_size)(const layer_arrays* layers, int n_layers, Py_ssize_t n, int threads,
                           const void* shared) noexcept nogil
    void (*predict_prepare)(void* arena, const layer_arrays* layers, int n_layers, Py_ssize_t n, int threads,
                            const void* shared) noexcept nogil
    int (*predict)(void* arena, matrix X, Py_ssize_t n, matrix out, int check, const thread_team* team,
                   int thread) noexcept nogil

    # The same for at most SMALL_BATCH examples, the same bits, with nothing to prepare in a call: from
    # weights that were packed beforehand,
    size_t (*small_batch_packed_size)(const layer_arrays* layers, int n_layers) noexcept nogil
    void (*small_batch_pack)(void* arena, const layer_arrays* layers, int n_layers) noexcept nogil
    size_t (*small_batch_scratch_packed)(const void* arena, Py_ssize_t n) noexcept nogil
    void (*small_batch_predict_packed)(const void* arena, void* scratch, matrix X, Py_ssize_t n,
                                       matrix out) noexcept nogil
    # and without, from the weights where they lie; returned is Z_NOT_FINITE or 0.
    size_t (*small_batch_scratch_unpacked)(const layer_arrays* layers, int n_layers,
                                           Py_ssize_t n) noexcept nogil
    int (*small_batch_predict_unpacked)(const layer_arrays* layers, int n_layers, void* scratch, matrix X,
                                        Py_ssize_t n, matrix out) noexcept nogil

    # A first layer for examples [first, first + n) of sparse rows, to columns of `out` (n_out, n): nothing of
    # the length n_in is made. The weights of one feature lie side by side. scratch: a piece for each thread.
    size_t (*sparse_layer_scratch)(Py_ssize_t n_out, int threads) noexcept nogil
    void (*sparse_layer)(const layer_arrays* layer, const sparse_rows* rows, Py_ssize_t first, Py_ssize_t n,
                         void* scratch, matrix out, int last, const thread_team* team,
                         int thread) noexcept nogil

    # One layer backwards: dA = W' dZ, dW = dZ A', db = sum of dZ over the examples
    size_t (*dense_backward_size)(Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t n) noexcept nogil
    void (*dense_backward)(void* arena, const layer_arrays* layer, matrix A, matrix dZ, Py_ssize_t n,
                           matrix dA, matrix dW, void* db) noexcept nogil

    # Elementwise, on n contiguous numbers; activate: not softmax
    void (*activate)(int activation, const void* z, void* out, void* slope, Py_ssize_t n) noexcept nogil
    void (*multiply)(const void* a, const void* b, void* out, Py_ssize_t n) noexcept nogil
    void (*subtract)(const void* a, const void* b, void* out, Py_ssize_t n) noexcept nogil
    void (*sigmoid_backward)(const void* dA, const void* A, void* out, Py_ssize_t n) noexcept nogil
    # one number a BLOCK
    void (*bce_cost_of_a)(const void* A, const void* T, Py_ssize_t n, void* sums) noexcept nogil
    # softmax backwards: dZ (rows, n) of C-contiguous A and dA
    void (*softmax_backward)(const void* A, const void* dA, void* out, Py_ssize_t rows,
                             Py_ssize_t n) noexcept nogil
    # the loss of logits Z (rows, n): one number a BLOCK, and dZ unless its start is NULL; scratch: loss_size
    # bytes
    size_t (*loss_size)(Py_ssize_t rows) noexcept nogil
    void (*loss)(int loss, int activation, const double* constants, matrix Z, matrix T, const void* weights,
                 Py_ssize_t rows, Py_ssize_t n, void* scratch, void* costs, matrix dZ) noexcept nogil
    int (*all_finite)(const void* x, Py_ssize_t n) noexcept nogil
    # Shuffles: draws of random.pxi below the bounds top, top - 1, ..., DRAWN_AHEAD of them at most, whose
    # places are fetched; and whether all numbers of an order are from 0 to n - 1
    void (*draw_below)(uint64_t* state, Py_ssize_t top, int count, const uint32_t* places,
                       uint32_t* drawn) noexcept nogil
    int (*all_below)(const Py_ssize_t* order, Py_ssize_t count, Py_ssize_t n) noexcept nogil
    # run that many fused multiply-adds of registers, return their flops
    double (*fma_flops)(Py_ssize_t iterations) noexcept nogil
