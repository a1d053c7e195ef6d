/* table: what a build of the kernels offers to engine.pyx, in one struct per (instruction set, dtype).
 *
 * Arrays are void pointers because one struct serves both dtypes; `itemsize` tells which. Nothing here knows
 * Python. Matrices of the user come with byte strides, so any order, view or alignment is read in place.
 */
#ifndef FASTNET_TABLE_H
#define FASTNET_TABLE_H
#include <stddef.h>
#include <stdint.h>
#include "names.h"
#include "team.h"

enum { BLOCK = 1024 };          /* examples whose sums form one chain; see epoch.pxi */
enum { MOST_FEW = 16 };         /* examples that are predicted one by one; see predict_rows.pxi */

/* a matrix of the user's, element (row, column) at start + row*row_step + column*column_step */
typedef struct {
    char *start;
    ptrdiff_t row_step, column_step;        /* bytes */
} matrix;

typedef struct {                /* one layer as Python holds it */
    ptrdiff_t n_in, n_out;
    int activation;             /* a code of names.h */
    double dropout;             /* share of its outputs that training sets to 0 */
    matrix W;                   /* (n_out, n_in): weights in, or out; or gradients out */
    void *b;                    /* (n_out) */
    /* of the first layer, (n_in) each, or NULL: its input is (x - mean)/scale, worked out while x is
    gathered */ const void *mean, *scale;
} layer_arrays;

typedef struct {                /* examples to train on */
    matrix X, T;                /* (features, n), (outputs, n) */
    const void *weights;        /* (n), or NULL: 1 each */
    const ptrdiff_t *order;     /* example at position p is column order[p]; NULL: column p */
} examples;

typedef struct {                /* how to train: codes of names.h, formulas in losses.pxi and optimizers.pxi
*/
    int loss, optimizer, nesterov;
    double loss_parameter, least_cost, most_cost;
    double momentum, beta_1, beta_2, epsilon, l2, weight_decay, clip_norm;
    uint64_t seed;              /* of the dropout */
} method;

/* What a call of `train` or `gradients` tells: sums over the examples of each block, the sum of the weights
of
 * each batch, and the sum of W^2 as the batch found it (only with l2). */
typedef struct { void *block_costs, *batch_weights, *batch_squares; } report;

typedef struct {
    const char *isa;
    ptrdiff_t itemsize, width, panel;
    void (*set_caches)(ptrdiff_t L1, ptrdiff_t L2);     /* their bytes, or 0: how large to cut blocks */

    /* Every thread of a team makes the same call, each with its own number. */

    /* Training. The arena is zeroed memory of arena_size bytes, aligned to 64, and holds everything a trainer
     * needs for teams of up to `threads`. */
    size_t (*arena_size)(const layer_arrays *layers, int n_layers, ptrdiff_t batch, int threads,
                         const method *how);
    void (*prepare)(void *arena, const layer_arrays *layers, int n_layers, ptrdiff_t batch, int threads,
                    const method *how);
    /* batches of `batch` examples from position `first` up to `last` of the order; rates: one for each batch
    */ void (*train)(void *arena, const examples *data, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last,
                  const double *rates, ptrdiff_t rates_step, const report *told, team *together, int thread);
    /* sums over n examples, without l2 and dropout */
    void (*gradients)(void *arena, const examples *data, ptrdiff_t n, const layer_arrays *out,
                      const report *told, team *together, int thread);
    void (*costs)(void *arena, const examples *data, ptrdiff_t n, const report *told, team *together,
                  int thread);
    /* the weights, or what an optimiser keeps for each of them (see optimizers.pxi) */
    void (*read)(const void *arena, int which, const layer_arrays *out);
    void (*write)(void *arena, int which, const layer_arrays *in);
    /* how many batches there have been: Adam's t, the dropout's counter */
    int64_t (*steps)(const void *arena);
    void (*set_steps)(void *arena, int64_t steps);
    int (*weights_finite)(const void *arena);
    int (*was_sparse)(const void *arena);   /* whether the last `train` left out zeros of X: see sparse.pxi */

    /* Prediction: A of the last layer, (n_out, n), for n examples. With `shared`, another arena of the same
     * network, the weights are read there, and the new one holds buffers only. With `check`,
     * predict returns 0, and stops, where a number of X, as it is or standardised, is not finite; else 1. */
    size_t (*predict_size)(const layer_arrays *layers, int n_layers, ptrdiff_t n, int threads,
                           const void *shared);
    void (*predict_prepare)(void *arena, const layer_arrays *layers, int n_layers, ptrdiff_t n, int threads,
                            const void *shared);
    int (*predict)(void *arena, matrix X, ptrdiff_t n, matrix out, int check, const team *together,
                   int thread);

    /* The same for at most MOST_FEW examples, the same bits, with nothing to prepare in a call: see predict_rows.pxi
    */ size_t (*rows_size)(const layer_arrays *layers, int n_layers);
    void (*rows_prepare)(void *arena, const layer_arrays *layers, int n_layers);
    size_t (*rows_scratch)(const void *arena);
    void (*rows_predict)(const void *arena, void *scratch, matrix X, ptrdiff_t n, matrix out);
    /* and without preparation, from the weights where they lie */
    size_t (*few_scratch)(const layer_arrays *layers, int n_layers);
    void (*few_predict)(const layer_arrays *layers, int n_layers, void *scratch, matrix X, ptrdiff_t n,
                        matrix out);

    /* One layer backwards: dA = W' dZ, dW = dZ A', db = sum of dZ over the examples */
    size_t (*dense_backward_size)(ptrdiff_t n_in, ptrdiff_t n_out, ptrdiff_t n);
    void (*dense_backward)(void *arena, const layer_arrays *layer, matrix A, matrix dZ, ptrdiff_t n,
                           matrix dA, matrix dW, void *db);

    /* Elementwise, on n contiguous numbers */
    void (*activate)(int activation, const void *z, void *out, void *slope, ptrdiff_t n);   /* not softmax */
    void (*multiply)(const void *a, const void *b, void *out, ptrdiff_t n);
    void (*subtract)(const void *a, const void *b, void *out, ptrdiff_t n);
    void (*sigmoid_backward)(const void *dA, const void *A, void *out, ptrdiff_t n);
    void (*bce_cost_of_a)(const void *A, const void *T, ptrdiff_t n, void *sums);   /* one number a BLOCK */
    /* softmax backwards: dZ (rows, n) of C-contiguous A and dA */
    void (*softmax_backward)(const void *A, const void *dA, void *out, ptrdiff_t rows, ptrdiff_t n);
    /* the loss of logits Z (rows, n): one number a BLOCK, and dZ unless that is NULL; scratch: loss_size
    bytes */ size_t (*loss_size)(ptrdiff_t rows);
    void (*loss)(int loss, int activation, const double *constants, matrix Z, matrix T, const void *weights,
                 ptrdiff_t rows, ptrdiff_t n, void *scratch, void *costs, matrix dZ);
    int (*all_finite)(const void *x, ptrdiff_t n);
    /* runs that many fused multiply-adds of registers, returns their flops */
    double (*fma_flops)(ptrdiff_t iterations);
} kernel_table;

#endif
