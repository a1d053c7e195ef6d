"""The structs that engine.pyx and the kernels share. The C, with what each function does, is in table.h."""

cdef extern from "table.h" nogil:
    enum: BLOCK
    enum: MOST_THREADS
    ctypedef struct team:
        int size
    team new_team(int size)
    void team_wait(team* t)
    enum: ACTIVATION_IDENTITY, ACTIVATION_SIGMOID

    ctypedef struct matrix:
        char* start
        Py_ssize_t row_step, column_step

    ctypedef struct layer_arrays:
        Py_ssize_t n_in, n_out
        int activation
        void* W
        void* b

    ctypedef struct examples:
        matrix X, T
        const Py_ssize_t* order

    ctypedef struct kernel_table:
        const char* isa
        Py_ssize_t itemsize, width, panel
        size_t (*arena_size)(const layer_arrays*, int, Py_ssize_t, int) noexcept nogil
        void (*prepare)(void*, const layer_arrays*, int, Py_ssize_t, int) noexcept nogil
        void (*train)(void*, const examples*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                      double, void*, team*, int) noexcept nogil
        void (*gradients)(void*, const examples*, Py_ssize_t, const layer_arrays*, void*,
                          team*, int) noexcept nogil
        void (*weights)(const void*, const layer_arrays*) noexcept nogil
        int (*weights_finite)(const void*) noexcept nogil
        size_t (*predict_size)(const layer_arrays*, int, Py_ssize_t, int) noexcept nogil
        void (*predict_prepare)(void*, const layer_arrays*, int, Py_ssize_t, int) noexcept nogil
        void (*predict)(const void*, matrix, Py_ssize_t, matrix, const team*, int) noexcept nogil
        size_t (*dense_backward_size)(Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
        void (*dense_backward)(void*, const layer_arrays*, matrix, matrix, Py_ssize_t,
                               matrix, void*, void*) noexcept nogil
        void (*exp)(const void*, void*, Py_ssize_t) noexcept nogil
        void (*sigmoid)(const void*, void*, Py_ssize_t) noexcept nogil
        void (*sigmoid_backward)(const void*, const void*, void*, Py_ssize_t) noexcept nogil
        void (*bce_cost)(const void*, const void*, Py_ssize_t, int, void*) noexcept nogil
        void (*bce_backward)(const void*, const void*, void*, Py_ssize_t, int) noexcept nogil
        int (*all_finite)(const void*, Py_ssize_t) noexcept nogil
        double (*fma_flops)(Py_ssize_t) noexcept nogil
