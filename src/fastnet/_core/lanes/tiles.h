/* tiles: one C function for each literal shape of the register tile, and the table that picks it.
 *
 * The arithmetic stands once, in product.pxi (`tiles`). Its accumulators stay in registers only if the
 * numbers of rows and vectors are literals when the compiler unrolls, and only if each shape is a function of
 * its own: inlined into one another, the same tiles ran at half the speed. Cython has no templates, so the
 * preprocessor writes the functions.
 */
#ifndef FASTNET_TILES_H
#define FASTNET_TILES_H
#include <stddef.h>
#include "lanes.h"

#define TILE_ROWS_MAX (TILE_ROWS_1)
#if defined(FASTNET_TUNABLE)    /* FASTNET_DEBUG of setup.py */
#  define TUNABLE 1
#else
#  define TUNABLE 0
#endif

/* What stays the same for all row tiles that cross one panel of columns:
 * C (rows, lanes) = end(init + P (rows, K) Q (K, lanes)) */
typedef struct {
    const real *Q;              /* IN (K, lanes) */
    ptrdiff_t Q_row;            /* numbers from one row of Q to the next */
    /* numbers from one panel of P to the next, where K runs along the columns of P */
    ptrdiff_t P_panel;
    ptrdiff_t K;
    ptrdiff_t init_row, init_vector;   /* steps of init: (PW, VW) continues C, (VW, 0) a bias, (0, 0) zero */
    ptrdiff_t fetch_step;       /* numbers of the next tile of C to fetch in each round of k */
    int end;
    real scale, decay;          /* of END_UPDATE */
    real tiny;                  /* TINY, for the ends that make dZ; from here, so that no register holds it in the loop */
} span;

/* What will be read soon, for L2: two runs of numbers, the second after the first. Fetching tiles advance
 * `next`; where it reaches `end`, the second run takes its place. */
typedef struct {
    const real *next, *end;
    const real *then, *then_end;        /* then NULL: there is no second run */
} prefetch_queue;

/* What becomes of a sum: stored; times the slope of an activation, from its value a or as it was kept, and 0
 * where that is tiny (elementary.pxi); or C = decay C + scale sum, a step of gradient descent. */
enum { END_STORE, END_IDENTITY, END_SIGMOID, END_TANH, END_RELU, END_KEPT, END_UPDATE };

typedef void (*tile_function)(const span *s, ptrdiff_t count, const real *P, real *C, const real *init,
                              const real *A, prefetch_queue *queue);

/* written in product.pxi */
static inline void fastnet_tiles(int, int, int, int, int, const span *, ptrdiff_t, const real *, real *,
                                 const real *, const real *, prefetch_queue *);

#if defined(_MSC_VER)
#  define NOINLINE static __declspec(noinline)
#else
#  define NOINLINE static __attribute__((noinline))
#endif

/* rows: K runs along a row of P.  cols: K runs down a column of P, that is, P is read transposed. */
#define TILE_AS(NAME, R, V, P_ROW, P_K, FETCH) \
    NOINLINE void NAME(const span *s, ptrdiff_t count, const real *P, real *C, const real *init, \
                       const real *A, prefetch_queue *queue) \
    { fastnet_tiles(R, V, P_ROW, P_K, FETCH, s, count, P, C, init, A, queue); }
#define TILE(R, V) TILE_AS(tile_rows_##R##_##V, R, V, PW, 1, 0) TILE_AS(tile_cols_##R##_##V, R, V, 1, PW, 0)
#define NAME_ROWS(R, V) tile_rows_##R##_##V,
#define NAME_COLS(R, V) tile_cols_##R##_##V,

/* Tiles of full panels that fetch what comes next. Functions of their own: two more instructions a round made
 * the small networks, which need none of it, 2-4 % slower on AVX2. */
#define FETCHING_TILE(R, V) TILE_AS(fetching_tile_rows_##R##_##V, R, V, PW, 1, 1) \
                            TILE_AS(fetching_tile_cols_##R##_##V, R, V, 1, PW, 1)
#define NAME_FETCHING_ROWS(R, V) fetching_tile_rows_##R##_##V,
#define NAME_FETCHING_COLS(R, V) fetching_tile_cols_##R##_##V,

/* UP_TO(n)(F, V): F(1, V) F(2, V) ... F(n, V) */
#define UP_TO_1(F, V) F(1, V)
#define UP_TO_2(F, V) UP_TO_1(F, V) F(2, V)
#define UP_TO_3(F, V) UP_TO_2(F, V) F(3, V)
#define UP_TO_4(F, V) UP_TO_3(F, V) F(4, V)
#define UP_TO_5(F, V) UP_TO_4(F, V) F(5, V)
#define UP_TO_6(F, V) UP_TO_5(F, V) F(6, V)
#define UP_TO_7(F, V) UP_TO_6(F, V) F(7, V)
#define UP_TO_8(F, V) UP_TO_7(F, V) F(8, V)
#define UP_TO_9(F, V) UP_TO_8(F, V) F(9, V)
#define UP_TO_10(F, V) UP_TO_9(F, V) F(10, V)
#define UP_TO_11(F, V) UP_TO_10(F, V) F(11, V)
#define UP_TO_12(F, V) UP_TO_11(F, V) F(12, V)
#define UP_TO_13(F, V) UP_TO_12(F, V) F(13, V)
#define UP_TO_14(F, V) UP_TO_13(F, V) F(14, V)
#define UP_TO_(n) UP_TO_##n
#define UP_TO(n) UP_TO_(n)

UP_TO(TILE_ROWS_1)(TILE, 1)
UP_TO(TILE_ROWS_2)(TILE, 2)
UP_TO(TILE_ROWS_3)(TILE, 3)
UP_TO(TILE_ROWS_4)(TILE, 4)
UP_TO(TILE_ROWS_4)(FETCHING_TILE, 4)

/* TILES[transposed][vectors - 1][rows - 1], TILE_ROWS[vectors - 1] */
static const tile_function TILES[2][NV][TILE_ROWS_MAX] = {
    {{UP_TO(TILE_ROWS_1)(NAME_ROWS, 1)}, {UP_TO(TILE_ROWS_2)(NAME_ROWS, 2)},
     {UP_TO(TILE_ROWS_3)(NAME_ROWS, 3)}, {UP_TO(TILE_ROWS_4)(NAME_ROWS, 4)}},
    {{UP_TO(TILE_ROWS_1)(NAME_COLS, 1)}, {UP_TO(TILE_ROWS_2)(NAME_COLS, 2)},
     {UP_TO(TILE_ROWS_3)(NAME_COLS, 3)}, {UP_TO(TILE_ROWS_4)(NAME_COLS, 4)}},
};
/* FETCHING_TILES[transposed][rows - 1]: of NV vectors */
static const tile_function FETCHING_TILES[2][TILE_ROWS_4] = {
    {UP_TO(TILE_ROWS_4)(NAME_FETCHING_ROWS, 4)}, {UP_TO(TILE_ROWS_4)(NAME_FETCHING_COLS, 4)}};
static const int TILE_ROWS[NV] = {TILE_ROWS_1, TILE_ROWS_2, TILE_ROWS_3, TILE_ROWS_4};

#endif
