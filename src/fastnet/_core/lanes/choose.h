/* choose: from a code to the function of an activation, a loss or an optimiser, with rows of names.h.
 *
 * The functions stand in activations.pxi, losses.pxi and optimizers.pxi, one for a vector each; so do the
 * loops that call them, whose `code` is a literal in each function written here. Cython has no templates, so
 * the preprocessor writes them, as it writes the tiles.
 */
#ifndef FASTNET_CHOOSE_H
#define FASTNET_CHOOSE_H
#include "names.h"
#include "tiles.h"

/* ---- activations */

#define DECLARE_ACTIVATION(name, end, layers) \
    static inline lanes fastnet_##name(lanes z, exp_floor least, lanes *slope);
ACTIVATIONS(DECLARE_ACTIVATION)
#define CASE_ACTIVATION(name, end, layers) case ACTIVATION_##name: return fastnet_##name(z, least, slope);
static inline lanes activation_of(int code, lanes z, exp_floor least, lanes *slope)
{
    switch (code) { ACTIVATIONS(CASE_ACTIVATION) default: return z; }
}
static const int SLOPE_END[] = {ACTIVATIONS(SECOND_OF) END_KEPT};

static inline void fastnet_activate_vectors(int code, real *Z, real *S, ptrdiff_t rows, int V,
                                            real log_least);
static inline void fastnet_activate_numbers(int code, const real *x, real *out, real *slope, ptrdiff_t n);
#define ACTIVATION_FUNCTIONS(name, end, layers) \
    NOINLINE void activate_panel_##name(real *Z, real *S, ptrdiff_t rows, int V, real log_least) \
    { fastnet_activate_vectors(ACTIVATION_##name, Z, S, rows, V, log_least); } \
    NOINLINE void activate_array_##name(const real *x, real *out, real *slope, ptrdiff_t n) \
    { fastnet_activate_numbers(ACTIVATION_##name, x, out, slope, n); }
ACTIVATIONS(ACTIVATION_FUNCTIONS)
#define PANEL_FUNCTION(name, end, layers) activate_panel_##name,
#define ARRAY_FUNCTION(name, end, layers) activate_array_##name,
static void (*const ACTIVATE_PANEL[])(real *, real *, ptrdiff_t, int, real) = {ACTIVATIONS(PANEL_FUNCTION)};
static void (*const ACTIVATE_ARRAY[])(const real *, real *, real *, ptrdiff_t) = {
    ACTIVATIONS(ARRAY_FUNCTION)};

/* ---- losses */

#define DECLARE_LOSS(name, from, targets) \
    static inline lanes fastnet_loss_##name(lanes z, lanes t, lanes parameter, lanes *dz);
LOSSES(DECLARE_LOSS)
#define CASE_LOSS(name, from, targets) case LOSS_##name: return fastnet_loss_##name(z, t, parameter, dz);
static inline lanes loss_of(int code, lanes z, lanes t, lanes parameter, lanes *dz)
{
    switch (code) { LOSSES(CASE_LOSS) default: return z; }
}

static inline void fastnet_loss_vectors(int code, real *Z, const real *T, const real *weights, const real *S,
                                        const real *constants, ptrdiff_t rows, ptrdiff_t n, real *cost);
#define LOSS_FUNCTION(name, from, targets) \
    NOINLINE void loss_panel_##name(real *Z, const real *T, const real *weights, const real *S, \
                                    const real *constants, ptrdiff_t rows, ptrdiff_t n, real *cost) \
    { fastnet_loss_vectors(LOSS_##name, Z, T, weights, S, constants, rows, n, cost); }
LOSSES(LOSS_FUNCTION)
#define LOSS_PANEL_FUNCTION(name, from, targets) loss_panel_##name,
static void (*const LOSS_PANEL[])(real *, const real *, const real *, const real *, const real *, ptrdiff_t,
                                  ptrdiff_t, real *) = {LOSSES(LOSS_PANEL_FUNCTION)};

/* ---- optimisers */

struct fastnet_step_plan;            /* `step_plan` of optimizers.pxi */
#define DECLARE_STEP(name, moments, parameters) \
    static inline lanes fastnet_step_##name(const struct fastnet_step_plan *s, int bias, lanes w, lanes d, \
                                            lanes *first, lanes *second);
OPTIMIZERS(DECLARE_STEP)
#define CASE_STEP(name, moments, parameters) \
    case OPTIMIZER_##name: return fastnet_step_##name(s, bias, w, d, first, second);
static inline lanes step_of(int code, const struct fastnet_step_plan *s, int bias, lanes w, lanes d,
                            lanes *first, lanes *second)
{
    switch (code) { OPTIMIZERS(CASE_STEP) default: return w; }
}

static inline void fastnet_step_vectors(int code, int moments, const struct fastnet_step_plan *s, int bias,
                                        real *W, const real *dW, real *first, real *second, ptrdiff_t rows,
                                        ptrdiff_t n);
#define STEP_FUNCTION(name, moments, parameters) \
    NOINLINE void step_array_##name(const struct fastnet_step_plan *s, int bias, real *W, const real *dW, \
                                    real *first, real *second, ptrdiff_t rows, ptrdiff_t n) \
    { fastnet_step_vectors(OPTIMIZER_##name, moments, s, bias, W, dW, first, second, rows, n); }
OPTIMIZERS(STEP_FUNCTION)
#define STEP_ARRAY_FUNCTION(name, moments, parameters) step_array_##name,
static void (*const STEP_ARRAY[])(const struct fastnet_step_plan *, int, real *, const real *, real *, real *,
                                  ptrdiff_t, ptrdiff_t) = {OPTIMIZERS(STEP_ARRAY_FUNCTION)};

#endif
