/* choose: from a code to the function of an activation or a loss, with rows of names.h.
 *
 * The functions stand in activations.pxi and losses.pxi, one for a vector each; so do the loops over panels,
 * whose `code` is a literal in each function written here. Cython has no templates, so the preprocessor
 writes * them, as it writes the tiles.
 */
#ifndef FASTNET_CHOOSE_H
#define FASTNET_CHOOSE_H
#include "names.h"
#include "tiles.h"

#define DECLARE_ACTIVATION(name, end) static inline lanes fastnet_##name(lanes z, lanes *slope);
ACTIVATIONS(DECLARE_ACTIVATION)
#define DECLARE_LOSS(name, of) \
    static inline lanes fastnet_loss_##name(lanes z, lanes t, lanes parameter, lanes *dz);
LOSSES(DECLARE_LOSS)

#define CASE_ACTIVATION(name, end) case ACTIVATION_##name: return fastnet_##name(z, slope);
static inline lanes activation_of(int code, lanes z, lanes *slope)
{
    switch (code) { ACTIVATIONS(CASE_ACTIVATION) default: return z; }
}
#define CASE_LOSS(name, of) case LOSS_##name: return fastnet_loss_##name(z, t, parameter, dz);
static inline lanes loss_of(int code, lanes z, lanes t, lanes parameter, lanes *dz)
{
    switch (code) { LOSSES(CASE_LOSS) default: return z; }
}

#define SLOPE_END_OF(name, end) end,
static const int SLOPE_END[] = {ACTIVATIONS(SLOPE_END_OF) END_KEPT};

/* the loops, written in Cython */
static inline void fastnet_activate_vectors(int code, real *Z, real *S, ptrdiff_t rows, int V);
static inline void fastnet_activate_numbers(int code, const real *x, real *out, real *slope, ptrdiff_t n);
static inline void fastnet_loss_vectors(int code, real *Z, const real *T, const real *weights, const real *S,
                                        const real *constants, ptrdiff_t rows, ptrdiff_t n, real *cost);

#define ACTIVATION_FUNCTIONS(name, end) \
    NOINLINE void activate_panel_##name(real *Z, real *S, ptrdiff_t rows, int V) \
    { fastnet_activate_vectors(ACTIVATION_##name, Z, S, rows, V); } \
    NOINLINE void activate_array_##name(const real *x, real *out, real *slope, ptrdiff_t n) \
    { fastnet_activate_numbers(ACTIVATION_##name, x, out, slope, n); }
ACTIVATIONS(ACTIVATION_FUNCTIONS)
#define LOSS_FUNCTION(name, of) \
    NOINLINE void loss_panel_##name(real *Z, const real *T, const real *weights, const real *S, \
                                    const real *constants, ptrdiff_t rows, ptrdiff_t n, real *cost) \
    { fastnet_loss_vectors(LOSS_##name, Z, T, weights, S, constants, rows, n, cost); }
LOSSES(LOSS_FUNCTION)

#define PANEL_FUNCTION(name, _) activate_panel_##name,
#define ARRAY_FUNCTION(name, _) activate_array_##name,
#define LOSS_PANEL_FUNCTION(name, _) loss_panel_##name,
static void (*const ACTIVATE_PANEL[])(real *, real *, ptrdiff_t, int) = {ACTIVATIONS(PANEL_FUNCTION)};
static void (*const ACTIVATE_ARRAY[])(const real *, real *, real *, ptrdiff_t) = {
    ACTIVATIONS(ARRAY_FUNCTION)};
static void (*const LOSS_PANEL[])(real *, const real *, const real *, const real *, const real *, ptrdiff_t,
                                  ptrdiff_t, real *) = {LOSSES(LOSS_PANEL_FUNCTION)};

#endif
