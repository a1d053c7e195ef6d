/* lanes for aarch64: NEON, 4 float32 or 2 float64 in a vector, fused multiply-add, 32 registers. */
#include <arm_neon.h>

typedef IF_DOUBLE(float64x2_t, float32x4_t) lanes;
typedef IF_DOUBLE(int64x2_t, int32x4_t) ilanes;
#define NEON_(op, type) v##op##_##type
#define NEON__(op, type) NEON_(op, type)
#define NEON(op) NEON__(op, IF_DOUBLE(f64, f32))   /* NEON(addq) is vaddq_f32 or vaddq_f64 */
#define VW (16 / (int)sizeof(real))
#define V_FUSED                                    /* v_fma rounds once */

#define TILE_ROWS_1 14
#define TILE_ROWS_2 12
#define TILE_ROWS_3 8
#define TILE_ROWS_4 6

static inline lanes v_load(const real *p) { return NEON(ld1q)(p); }
static inline void v_store(real *p, lanes a) { NEON(st1q)(p, a); }
static inline lanes v_set(real a) { return NEON(dupq_n)(a); }
static inline lanes v_add(lanes a, lanes b) { return NEON(addq)(a, b); }
static inline lanes v_sub(lanes a, lanes b) { return NEON(subq)(a, b); }
static inline lanes v_mul(lanes a, lanes b) { return NEON(mulq)(a, b); }
static inline lanes v_div(lanes a, lanes b) { return NEON(divq)(a, b); }
static inline lanes v_sqrt(lanes a) { return NEON(sqrtq)(a); }
/* a > b ? a : b, as x86 */
static inline lanes v_max(lanes a, lanes b) { return NEON(bslq)(NEON(cgtq)(a, b), a, b); }
/* a < b ? a : b */
static inline lanes v_min(lanes a, lanes b) { return NEON(bslq)(NEON(cltq)(a, b), a, b); }
static inline lanes v_fma(lanes a, lanes b, lanes c) { return NEON(fmaq)(c, a, b); }         /* a b + c */
static inline lanes v_fnma(lanes a, lanes b, lanes c) { return NEON(fmsq)(c, a, b); }        /* c - a b */
static inline lanes v_negabs(lanes a) { return NEON(negq)(NEON(absq)(a)); }                  /* -|a| */
static inline lanes v_abs(lanes a) { return NEON(absq)(a); }
/* x < least ? 0 : a, so a where x is NaN */
static inline lanes v_zero_below(lanes x, lanes least, lanes a)
{
#if FASTNET_REAL_IS_DOUBLE
    return vreinterpretq_f64_u64(vbicq_u64(vreinterpretq_u64_f64(a), vcltq_f64(x, least)));
#else
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a), vcltq_f32(x, least)));
#endif
}
static inline lanes v_if_negative(lanes x, lanes a, lanes b)
{
    return NEON(bslq)(NEON(cltq)(x, v_set(0)), a, b);
}
static inline lanes v_keep_positive(lanes c, lanes a)
{
    return NEON(bslq)(NEON(cgtq)(a, v_set(0)), c, v_set(0));
}
#define v_prefetch(p) __builtin_prefetch(p, 0, 3)       /* macros: see lanes_x86.h */
#define v_prefetch_l2(p) __builtin_prefetch(p, 0, 2)

static inline lanes v_load_first(const real *p, int n)      /* n numbers, then 0 */
{
    real whole[VW] = {0};
    memcpy(whole, p, (size_t)n * sizeof(real));
    return v_load(whole);
}
static inline void v_store_first(real *p, lanes a, int n)
{
    real whole[VW];
    v_store(whole, a);
    memcpy(p, whole, (size_t)n * sizeof(real));
}
static inline lanes v_keep_first(lanes a, int n)            /* n lanes, then 0 */
{
    real whole[VW];
    v_store(whole, a);
    return v_load_first(whole, n);
}
/* p 2^n, rounded once: see lanes_x86.h */
static inline lanes add_exponent_(lanes p, lanes t)
{
#if FASTNET_REAL_IS_DOUBLE
    ilanes e = vshlq_n_s64(vreinterpretq_s64_f64(t), MANTISSA_BITS);
    return vreinterpretq_f64_s64(vaddq_s64(vreinterpretq_s64_f64(p), e));
#else
    ilanes e = vshlq_n_s32(vreinterpretq_s32_f32(t), MANTISSA_BITS);
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(p), e));
#endif
}
static inline lanes v_scale(lanes p, lanes n, lanes t, lanes unbias)
{
    (void)n;
    return v_mul(add_exponent_(p, t), unbias);
}
static inline lanes v_scale_above(lanes x, lanes least, lanes p, lanes n, lanes t)
{
    (void)n;
    return v_zero_below(x, least, add_exponent_(p, t));
}
static inline lanes v_exponent(lanes x)
{
#if FASTNET_REAL_IS_DOUBLE
    uint64x2_t e = vshrq_n_u64(vreinterpretq_u64_f64(x), MANTISSA_BITS);
    e = vaddq_u64(e, vreinterpretq_u64_f64(v_set(EXPONENT_MAGIC)));
    return v_sub(vreinterpretq_f64_u64(e), v_set(EXPONENT_MAGIC + EXPONENT_BIAS));
#else
    uint32x4_t e = vshrq_n_u32(vreinterpretq_u32_f32(x), MANTISSA_BITS);
    e = vaddq_u32(e, vreinterpretq_u32_f32(v_set(EXPONENT_MAGIC)));
    return v_sub(vreinterpretq_f32_u32(e), v_set(EXPONENT_MAGIC + EXPONENT_BIAS));
#endif
}
static inline void v_transpose(lanes r[VW])
{
#if FASTNET_REAL_IS_DOUBLE
    lanes a = vzip1q_f64(r[0], r[1]);
    r[1] = vzip2q_f64(r[0], r[1]);
    r[0] = a;
#else
    float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1])),
                b = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
    float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3])),
                d = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
    r[0] = vreinterpretq_f32_f64(vzip1q_f64(a, c));
    r[1] = vreinterpretq_f32_f64(vzip1q_f64(b, d));
    r[2] = vreinterpretq_f32_f64(vzip2q_f64(a, c));
    r[3] = vreinterpretq_f32_f64(vzip2q_f64(b, d));
#endif
}
