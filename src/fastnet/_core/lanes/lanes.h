/* lanes: the vector type of one instruction set and dtype, from lanes_x86.h, lanes_neon.h or
 * lanes_portable.h.
 *
 * A lane holds one example (or one feature, in transposed matrices). Every build defines the same names:
 *   real, lanes        the number and the vector of VW numbers
 *   VW, NV, PW         numbers in a vector; vectors in a tile; numbers in a row of a panel
 *   TILE_ROWS_1..4     the most rows of a register tile of 1..4 vectors (see tiles.h)
 *   v_...              the operations; every one is exact or rounded once, as IEEE 754 says
 * so that the kernels are one text. PW is a multiple of 16 because sums over examples run in 16 virtual lanes
 * whatever VW is: that, and fma, is why AVX2, AVX-512 and NEON give the same bits (CONTRIBUTING.md, "The same
 * bits"). Builds without a fused multiply-add (portable on x86-64, v2) multiply and add: never the library's
 * fma(), which is 15 times slower there. Those two agree with each other.
 */
#ifndef FASTNET_LANES_H
#define FASTNET_LANES_H
#include <math.h>
#include <stdint.h>
#include <string.h>

#if FASTNET_REAL_IS_DOUBLE
typedef double real;
typedef int64_t bits;
#  define IF_DOUBLE(d, f) d
#else
typedef float real;
typedef int32_t bits;
#  define IF_DOUBLE(d, f) f
#endif
#define MANTISSA_BITS IF_DOUBLE(52, 23)
/* v_exponent(x) is floor(log2 x) of a positive normal x. Integers that are added to the bits of 2^52 (2^23)
 * become whole numbers beyond it. */
#define EXPONENT_MAGIC IF_DOUBLE(4503599627370496.0, 8388608.0f)
#define EXPONENT_BIAS IF_DOUBLE(1023.0, 127.0f)

#if defined(FASTNET_PORTABLE)
#  include "lanes_portable.h"
#elif defined(__AVX512F__) || defined(__AVX2__) || defined(__SSE4_1__)
#  include "lanes_x86.h"
#elif defined(__ARM_NEON) && defined(__aarch64__)
#  include "lanes_neon.h"
#else
#  error "no vector type for this instruction set: build it as portable"
#endif

#define NV 4                                        /* vectors in a full tile */
#define PW (NV * VW > 16 ? NV * VW : 16)            /* numbers in a row of a panel: whole groups of 16 */
#define PV (PW / VW)                                /* vectors in a row of a panel */
#define LV (16 / VW)                                /* vectors that make up the 16 virtual lanes */

#define real_log IF_DOUBLE(log, logf)
#define real_log1p IF_DOUBLE(log1p, log1pf)
#define real_sqrt IF_DOUBLE(sqrt, sqrtf)
#define LINE (64 / (int)sizeof(real))               /* numbers in a cache line */

#ifndef FEW_REGISTERS
#  define FEW_REGISTERS 0                           /* 1: tiles take what keeps a product in 16 registers */
#  define v_accumulate(c, a, b) (*(c) = v_fma(a, b, *(c)))
#endif

#ifndef V_PACK                                      /* see lanes_x86.h */
static inline int v_pack(const real *p, int n, int f, real *value, int *where)
{
    int count = 0;
    for (int i = 0; i < n; i++) {                   /* without a branch: what is 0 is written over */
        value[count] = p[i];
        where[count] = f + i;
        count += p[i] != 0;
    }
    return count;
}
static inline void v_prepare(void) {}
#endif

#ifdef V_FUSED
enum { FUSED = 1 };                                 /* whether v_fma rounds once */
#else
enum { FUSED = 0 };
#endif

/* Where an exponential becomes 0: where its logarithm is below `least`; or, if it is exact, where it rounds to 0. */
typedef struct { lanes least; int exact; } exp_floor;

static const real ZEROS[16] = {0};
static inline lanes v_zero(void) { return v_set((real)0); }

/* square - x x, exactly, for square = x x rounded. Without fma by parts of half the digits: Dekker 1971. */
static inline lanes v_square_rest(lanes x, lanes square)
{
#ifdef V_FUSED
    return v_fnma(x, x, square);
#else
    lanes far = v_mul(v_set(IF_DOUBLE(134217729.0, 4097.0f)), x);      /* 2^27 + 1, 2^12 + 1 */
    lanes high = v_sub(far, v_sub(far, x)), low = v_sub(x, high), cross = v_mul(high, low);
    lanes rest = v_add(v_sub(v_mul(high, high), square), v_add(cross, cross));
    return v_sub(v_zero(), v_add(rest, v_mul(low, low)));
#endif
}

#endif
