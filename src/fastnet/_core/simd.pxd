"""The vector type, its operations and the table of tiles, as Cython sees them. The C is in lanes/."""

cdef extern from "tiles.h" nogil:
    ctypedef float real        # float or double: the C compiler knows
    ctypedef float lanes       # a vector of VW numbers
    enum: VW                   # numbers in a vector
    enum: NV                   # vectors in a tile
    enum: PW                   # numbers in a row of a panel
    enum: PV                   # vectors in a row of a panel
    enum: LV                   # vectors in 16 virtual lanes
    enum: LINE                 # numbers in a cache line
    enum: TILE_ROWS_MAX
    enum: FUSED                # whether v_fma rounds once
    const real[16] ZEROS
    ctypedef struct exp_floor:
        lanes least
        bint exact

    real real_log(real a)
    real real_log1p(real a)
    real real_sqrt(real a)

    lanes v_zero()
    lanes v_set(real a)
    lanes v_load(const real* p)
    lanes v_load_first(const real* p, int n)
    void v_store(real* p, lanes a)
    void v_store_first(real* p, lanes a, int n)
    lanes v_keep_first(lanes a, int n)
    lanes v_add(lanes a, lanes b)
    lanes v_sub(lanes a, lanes b)
    lanes v_mul(lanes a, lanes b)
    lanes v_div(lanes a, lanes b)
    lanes v_sqrt(lanes a)
    void v_accumulate(lanes* c, lanes a, lanes b)
    enum: FEW_REGISTERS
    enum: TUNABLE              # whether environment variables change the blocks of products
    lanes v_max(lanes a, lanes b)
    lanes v_min(lanes a, lanes b)
    lanes v_fma(lanes a, lanes b, lanes c)
    lanes v_fnma(lanes a, lanes b, lanes c)
    lanes v_negabs(lanes a)
    lanes v_abs(lanes a)
    lanes v_zero_below(lanes x, lanes least, lanes a)
    lanes v_if_negative(lanes x, lanes a, lanes b)
    lanes v_keep_positive(lanes c, lanes a)
    lanes v_scale(lanes p, lanes n, lanes t, lanes unbias)
    lanes v_scale_above(lanes x, lanes least, lanes p, lanes n, lanes t)
    lanes v_exponent(lanes x)
    lanes v_square_rest(lanes x, lanes square)
    void v_transpose(lanes* r)
    void v_prepare()
    int v_pack(const real* p, int n, int f, real* value, int* where)
    void v_prefetch(const real* p)
    void v_prefetch_l2(const real* p)

    ctypedef struct span:
        const real* Q
        Py_ssize_t Q_row, P_panel, K, init_row, init_vector
        Py_ssize_t fetch_step
        int end
        real scale, decay
        real tiny
    ctypedef struct prefetch_queue:
        const real* next
        const real* end
        const real* then
        const real* then_end
    enum: END_STORE, END_IDENTITY, END_SIGMOID, END_TANH, END_RELU, END_KEPT, END_UPDATE
    ctypedef void (*tile_function)(const span*, Py_ssize_t, const real*, real*, const real*, const real*,
                                   prefetch_queue*) noexcept nogil
    const tile_function[2][4][14] TILES
    const tile_function[2][6] FETCHING_TILES
    const int[4] TILE_ROWS
