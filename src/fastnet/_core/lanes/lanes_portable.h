/* lanes for any C compiler: a vector of one number.
 * Same bits as v2 where there is no fused multiply-add in hardware. */
typedef real lanes;
#define VW 1

#define TILE_ROWS_1 4
#define TILE_ROWS_2 4
#define TILE_ROWS_3 4
#define TILE_ROWS_4 3

static inline lanes v_load(const real *p) { return *p; }
static inline void v_store(real *p, lanes a) { *p = a; }
static inline lanes v_set(real a) { return a; }
static inline lanes v_add(lanes a, lanes b) { return a + b; }
static inline lanes v_sub(lanes a, lanes b) { return a - b; }
static inline lanes v_mul(lanes a, lanes b) { return a * b; }
static inline lanes v_div(lanes a, lanes b) { return a / b; }
static inline lanes v_sqrt(lanes a) { return IF_DOUBLE(sqrt, sqrtf)(a); }
static inline lanes v_max(lanes a, lanes b) { return a > b ? a : b; }
static inline lanes v_min(lanes a, lanes b) { return a < b ? a : b; }
#if (FASTNET_REAL_IS_DOUBLE && defined(FP_FAST_FMA)) || (!FASTNET_REAL_IS_DOUBLE && defined(FP_FAST_FMAF))
#  define V_FUSED
static inline lanes v_fma(lanes a, lanes b, lanes c) { return IF_DOUBLE(fma, fmaf)(a, b, c); }
static inline lanes v_fnma(lanes a, lanes b, lanes c) { return IF_DOUBLE(fma, fmaf)(-a, b, c); }
#else
static inline lanes v_fma(lanes a, lanes b, lanes c) { return a * b + c; }
static inline lanes v_fnma(lanes a, lanes b, lanes c) { return c - a * b; }
#endif
static inline lanes v_negabs(lanes a) { return -IF_DOUBLE(fabs, fabsf)(a); }
static inline lanes v_abs(lanes a) { return IF_DOUBLE(fabs, fabsf)(a); }
static inline lanes v_zero_below(lanes x, lanes least, lanes a) { return x < least ? 0 : a; }
static inline lanes v_if_negative(lanes x, lanes a, lanes b) { return x < 0 ? a : b; }
static inline lanes v_keep_positive(lanes c, lanes a) { return a > 0 ? c : 0; }      /* a > 0 ? c : 0 */
static inline lanes v_load_first(const real *p, int n) { return n > 0 ? *p : 0; }
static inline void v_store_first(real *p, lanes a, int n) { if (n > 0) *p = a; }
static inline lanes v_keep_first(lanes a, int n) { return n > 0 ? a : 0; }
static inline void v_prefetch(const real *p) { (void)p; }
static inline void v_prefetch_l2(const real *p) { (void)p; }
static inline void v_transpose(lanes *r) { (void)r; }
static inline lanes v_exponent(lanes x)
{
    bits b;
    memcpy(&b, &x, sizeof b);
    return (real)(b >> MANTISSA_BITS) - EXPONENT_BIAS;
}
/* p 2^n, rounded once: see lanes_x86.h */
static inline lanes add_exponent_(lanes p, lanes t)
{
    bits a, e;
    memcpy(&a, &p, sizeof a);
    memcpy(&e, &t, sizeof e);
    a = (bits)((IF_DOUBLE(uint64_t, uint32_t))a + ((IF_DOUBLE(uint64_t, uint32_t))e << MANTISSA_BITS));
    memcpy(&p, &a, sizeof p);
    return p;
}
static inline lanes v_scale(lanes p, lanes n, lanes t, lanes unbias)
{
    (void)n;
    return add_exponent_(p, t) * unbias;
}
static inline lanes v_scale_above(lanes x, lanes least, lanes p, lanes n, lanes t)
{
    (void)n;
    return v_zero_below(x, least, add_exponent_(p, t));
}
