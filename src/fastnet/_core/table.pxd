"""The structs that engine.pyx and the kernels share. The C, with what each function does, is in table.h."""
from libc.stdint cimport int64_t, uint64_t

cdef extern from "table.h" nogil:
    enum: BLOCK
    enum: MOST_FEW
    enum: MOST_THREADS
    ctypedef struct team:
        int size
    team new_team(int size)
    void team_wait(team* t)

    enum: ACTIVATION_identity, ACTIVATION_softmax, ACTIVATION_exp, ACTIVATION_COUNT
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

    ctypedef struct matrix:
        char* start
        Py_ssize_t row_step, column_step

    ctypedef struct layer_arrays:
        Py_ssize_t n_in, n_out
        int activation
        double dropout
        matrix W
        void* b
        const void* mean
        const void* scale

    ctypedef struct examples:
        matrix X, T
        const void* weights
        const Py_ssize_t* order

    ctypedef struct method:
        int loss, optimizer, nesterov
        double loss_parameter, least_cost, most_cost
        double momentum, beta_1, beta_2, epsilon, l2, weight_decay, clip_norm
        uint64_t seed

    ctypedef struct report:
        void* block_costs
        void* batch_weights
        void* batch_squares

    ctypedef struct kernel_table:
        const char* isa
        Py_ssize_t itemsize, width, panel
        void (*set_caches)(Py_ssize_t, Py_ssize_t) noexcept nogil
        size_t (*arena_size)(const layer_arrays*, int, Py_ssize_t, int, const method*) noexcept nogil
        void (*prepare)(void*, const layer_arrays*, int, Py_ssize_t, int, const method*) noexcept nogil
        void (*train)(void*, const examples*, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t,
                      const report*, team*, int) noexcept nogil
        void (*gradients)(void*, const examples*, Py_ssize_t, const layer_arrays*, const report*,
                          team*, int) noexcept nogil
        void (*costs)(void*, const examples*, Py_ssize_t, const report*, team*, int) noexcept nogil
        void (*read)(const void*, int, const layer_arrays*) noexcept nogil
        void (*write)(void*, int, const layer_arrays*) noexcept nogil
        int64_t (*steps)(const void*) noexcept nogil
        void (*set_steps)(void*, int64_t) noexcept nogil
        int (*weights_finite)(const void*) noexcept nogil
        int (*was_sparse)(const void*) noexcept nogil
        size_t (*predict_size)(const layer_arrays*, int, Py_ssize_t, int, const void*) noexcept nogil
        void (*predict_prepare)(void*, const layer_arrays*, int, Py_ssize_t, int, const void*) noexcept nogil
        int (*predict)(void*, matrix, Py_ssize_t, matrix, int, const team*, int) noexcept nogil
        size_t (*rows_size)(const layer_arrays*, int) noexcept nogil
        void (*rows_prepare)(void*, const layer_arrays*, int) noexcept nogil
        size_t (*rows_scratch)(const void*) noexcept nogil
        void (*rows_predict)(const void*, void*, matrix, Py_ssize_t, matrix) noexcept nogil
        size_t (*few_scratch)(const layer_arrays*, int) noexcept nogil
        void (*few_predict)(const layer_arrays*, int, void*, matrix, Py_ssize_t, matrix) noexcept nogil
        size_t (*dense_backward_size)(Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
        void (*dense_backward)(void*, const layer_arrays*, matrix, matrix, Py_ssize_t,
                               matrix, matrix, void*) noexcept nogil
        void (*activate)(int, const void*, void*, void*, Py_ssize_t) noexcept nogil
        void (*multiply)(const void*, const void*, void*, Py_ssize_t) noexcept nogil
        void (*subtract)(const void*, const void*, void*, Py_ssize_t) noexcept nogil
        void (*sigmoid_backward)(const void*, const void*, void*, Py_ssize_t) noexcept nogil
        void (*bce_cost_of_a)(const void*, const void*, Py_ssize_t, void*) noexcept nogil
        void (*softmax_backward)(const void*, const void*, void*, Py_ssize_t, Py_ssize_t) noexcept nogil
        size_t (*loss_size)(Py_ssize_t) noexcept nogil
        void (*loss)(int, int, const double*, matrix, matrix, const void*, Py_ssize_t, Py_ssize_t, void*,
                     void*, matrix) noexcept nogil
        int (*all_finite)(const void*, Py_ssize_t) noexcept nogil
        double (*fma_flops)(Py_ssize_t) noexcept nogil
