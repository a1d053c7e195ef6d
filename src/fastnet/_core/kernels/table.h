/* table: what a build of the kernels offers to engine.pyx, in one struct per (instruction set, dtype).
 *
 * Arrays are void pointers because one struct serves both dtypes; `itemsize` tells which. Nothing here knows
 * Python. Matrices of the user come with byte strides, so any order, view or alignment is read in place.
 */
#ifndef FASTNET_TABLE_H
#define FASTNET_TABLE_H
#include <stddef.h>
#include <stdint.h>
#include "team.h"

enum { BLOCK = 1024 };          /* examples whose sums form one chain; see epoch.pxi */

enum { ACTIVATION_IDENTITY, ACTIVATION_SIGMOID };

/* a matrix of the user's, element (row, column) at start + row*row_step + column*column_step */
typedef struct {
    char *start;
    ptrdiff_t row_step, column_step;        /* bytes */
} matrix;

typedef struct {                /* one layer as Python holds it */
    ptrdiff_t n_in, n_out;
    int activation;
    void *W, *b;                /* (n_out, n_in) and (n_out), C order: weights in, or out; or gradients out */
} layer_arrays;

typedef struct {                /* examples to train on */
    matrix X, T;                /* (features, n), (outputs, n) */
    const ptrdiff_t *order;     /* example at position p is column order[p]; NULL: column p */
} examples;

typedef struct {
    const char *isa;
    ptrdiff_t itemsize, width, panel;

    /* Every thread of a team makes the same call, each with its own number. */

    /* Training. The arena is zeroed memory of arena_size bytes, aligned to 64, and holds everything a trainer
     * needs for teams of up to `threads`. */
    size_t (*arena_size)(const layer_arrays *layers, int n_layers, ptrdiff_t batch, int threads);
    void (*prepare)(void *arena, const layer_arrays *layers, int n_layers, ptrdiff_t batch, int threads);
    /* batches of `batch` examples from position `first` up to `last` of the order;
     * costs: one number for each block */
    void (*train)(void *arena, const examples *data, ptrdiff_t batch, ptrdiff_t first, ptrdiff_t last,
                  double learning_rate, void *costs, team *together, int thread);
    void (*gradients)(void *arena, const examples *data, ptrdiff_t n, const layer_arrays *out, void *costs,
                      team *together, int thread);
    void (*weights)(const void *arena, const layer_arrays *out);
    int (*weights_finite)(const void *arena);

    /* Prediction: A of the last layer, (n_out, n), for n examples */
    size_t (*predict_size)(const layer_arrays *layers, int n_layers, ptrdiff_t n, int threads);
    void (*predict_prepare)(void *arena, const layer_arrays *layers, int n_layers, ptrdiff_t n, int threads);
    void (*predict)(const void *arena, matrix X, ptrdiff_t n, matrix out, const team *together, int thread);

    /* One layer backwards: dA = W' dZ, dW = dZ A', db = sum of dZ over the examples */
    size_t (*dense_backward_size)(ptrdiff_t n_in, ptrdiff_t n_out, ptrdiff_t n);
    void (*dense_backward)(void *arena, const layer_arrays *layer, matrix A, matrix dZ, ptrdiff_t n,
                           matrix dA, void *dW, void *db);

    /* Elementwise, on n contiguous numbers */
    void (*exp)(const void *x, void *out, ptrdiff_t n);
    void (*sigmoid)(const void *z, void *out, ptrdiff_t n);
    void (*sigmoid_backward)(const void *dA, const void *A, void *out, ptrdiff_t n);
    void (*bce_cost)(const void *Z, const void *T, ptrdiff_t n, int from_logits,
                     void *sum);                        /* one number a BLOCK */
    void (*bce_backward)(const void *Z, const void *T, void *out, ptrdiff_t n, int from_logits);
    int (*all_finite)(const void *x, ptrdiff_t n);
    /* runs that many fused multiply-adds of registers, returns their flops */
    double (*fma_flops)(ptrdiff_t iterations);
} kernel_table;

#endif
