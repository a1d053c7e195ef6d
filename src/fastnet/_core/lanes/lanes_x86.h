/* lanes for x86-64: AVX-512 (v4), AVX2 with FMA (v3), SSE4.1 (v2).
 * Intrinsics, so that any C compiler takes them. */
#include <immintrin.h>

#if defined(__AVX512F__)
#  define VBYTES 64
#  define X86_(op, type) _mm512_##op##_##type
#  define X86_INT_(op) _mm512_##op
typedef IF_DOUBLE(__m512d, __m512) lanes;
typedef __m512i ilanes;
#elif defined(__AVX2__)
#  define VBYTES 32
#  define X86_(op, type) _mm256_##op##_##type
#  define X86_INT_(op) _mm256_##op
typedef IF_DOUBLE(__m256d, __m256) lanes;
typedef __m256i ilanes;
#else
#  define VBYTES 16
#  define X86_(op, type) _mm_##op##_##type
#  define X86_INT_(op) _mm_##op
typedef IF_DOUBLE(__m128d, __m128) lanes;
typedef __m128i ilanes;
#endif
#define X86__(op, type) X86_(op, type)
#define X86(op) X86__(op, IF_DOUBLE(pd, ps))       /* X86(add) is _mm512_add_ps, _mm_add_pd, ... */
#define VW (VBYTES / (int)sizeof(real))

/* Accumulators + one row of Q + one broadcast must fit the 32 (16) registers. Measured, first the tile of
 * four vectors: 6 x 4 beats 14 x 2 by 8-10 % of peak out of L2 (0.42 loads an fma against 0.57, and no
 * spill); 3 x 4 on 16 registers. */
#if VBYTES == 64
#  define TILE_ROWS_1 14
#  define TILE_ROWS_2 12
#  define TILE_ROWS_3 8
#  define TILE_ROWS_4 6
#else
#  define TILE_ROWS_1 10
#  define TILE_ROWS_2 6
#  define TILE_ROWS_3 4
#  define TILE_ROWS_4 3
#endif

static inline lanes v_load(const real *p) { return X86(loadu)(p); }
static inline void v_store(real *p, lanes a) { X86(storeu)(p, a); }
static inline lanes v_set(real a) { return X86(set1)(a); }
static inline lanes v_add(lanes a, lanes b) { return X86(add)(a, b); }
static inline lanes v_sub(lanes a, lanes b) { return X86(sub)(a, b); }
static inline lanes v_mul(lanes a, lanes b) { return X86(mul)(a, b); }
static inline lanes v_div(lanes a, lanes b) { return X86(div)(a, b); }
static inline lanes v_sqrt(lanes a) { return X86(sqrt)(a); }
/* a > b ? a : b, so b where one is NaN */
static inline lanes v_max(lanes a, lanes b) { return X86(max)(a, b); }
static inline lanes v_min(lanes a, lanes b) { return X86(min)(a, b); }      /* a < b ? a : b */
#if defined(__FMA__)
#  define V_FUSED
static inline lanes v_fma(lanes a, lanes b, lanes c) { return X86(fmadd)(a, b, c); }     /* a b + c */
static inline lanes v_fnma(lanes a, lanes b, lanes c) { return X86(fnmadd)(a, b, c); }   /* c - a b */
#else
static inline lanes v_fma(lanes a, lanes b, lanes c) { return v_add(v_mul(a, b), c); }
static inline lanes v_fnma(lanes a, lanes b, lanes c) { return v_sub(c, v_mul(a, b)); }
#endif
#if defined(__FMA__) && VBYTES == 32 && defined(__GNUC__)
/* c += a b. With 16 registers, gcc 12 leaves a sum in the register of a factor, moves it back, and reads Q from
 * memory once for each row: 0.70 of the peak. Told which form to use, it reaches 0.84. */
#  define FEW_REGISTERS 1
static inline void v_accumulate(lanes *c, lanes a, lanes b)
{
    __asm__ volatile(IF_DOUBLE("vfmadd231pd", "vfmadd231ps") " %2, %1, %0" : "+x"(*c) : "x"(a), "x"(b));
}
#endif
static inline lanes v_negabs(lanes a) { return X86(or)(a, v_set((real)-0.0)); }          /* -|a| */
static inline lanes v_abs(lanes a) { return X86(andnot)(v_set((real)-0.0), a); }
/* x < least ? 0 : a, so a where x is NaN */
static inline lanes v_zero_below(lanes x, lanes least, lanes a)
{
#if VBYTES == 64
    return X86(maskz_mov)(IF_DOUBLE(_mm512_cmp_pd_mask, _mm512_cmp_ps_mask)(x, least, _CMP_NLT_UQ), a);
#elif VBYTES == 32
    return X86(and)(X86(cmp)(x, least, _CMP_NLT_UQ), a);
#else
    return X86(and)(X86(cmpnlt)(x, least), a);
#endif
}
/* Macros: a function that only prefetches has no effect for gcc 12, which drops most calls of it. */
#define v_prefetch(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)
#define v_prefetch_l2(p) _mm_prefetch((const char *)(p), _MM_HINT_T1)


/* ---- the first n lanes, selection by sign, scaling by a power of two ---- */
#if VBYTES == 64
typedef IF_DOUBLE(__mmask8, __mmask16) first_mask;
static inline first_mask first_(int n) { return (first_mask)((1u << n) - 1u); }
/* n numbers, then 0 */
static inline lanes v_load_first(const real *p, int n) { return X86(maskz_loadu)(first_(n), p); }
static inline void v_store_first(real *p, lanes a, int n) { X86(mask_storeu)(p, first_(n), a); }
/* n lanes, then 0 */
static inline lanes v_keep_first(lanes a, int n) { return X86(maskz_mov)(first_(n), a); }
/* x < 0 ? a : b */
static inline lanes v_if_negative(lanes x, lanes a, lanes b)
{
    return X86(mask_mov)(b, IF_DOUBLE(_mm512_cmp_pd_mask, _mm512_cmp_ps_mask)(x, v_set(0), _CMP_LT_OQ), a);
}
/* a > 0 ? c : 0 */
static inline lanes v_keep_positive(lanes c, lanes a)
{
    return X86(maskz_mov)(IF_DOUBLE(_mm512_cmp_pd_mask, _mm512_cmp_ps_mask)(v_set(0), a, _CMP_LT_OQ), c);
}
/* p 2^n, rounded once, n a whole number. Sets without such an instruction take t, which carries n + bias in
 * its low bits, and unbias = 2^-bias: p 2^(n + bias) is exact, and the product with 2^-bias rounds once
 * (denormals) or overflows. v_scale_above: the same, normal and with a bias of 0, or 0 where x < least. */
static inline lanes v_scale(lanes p, lanes n, lanes t, lanes unbias)
{
    (void)t; (void)unbias;
    return X86(scalef)(p, n);
}
static inline lanes v_scale_above(lanes x, lanes least, lanes p, lanes n, lanes t)
{
    (void)t;
    return X86(maskz_scalef)(IF_DOUBLE(_mm512_cmp_pd_mask, _mm512_cmp_ps_mask)(x, least, _CMP_NLT_UQ), p, n);
}
static inline lanes v_exponent(lanes x) { return X86(getexp)(x); }
#else
#  if defined(__AVX__)
#    define IF_AVX(yes, no) yes
#  else
#    define IF_AVX(yes, no) no
#  endif
static const real lane_number_[8] = {0, 1, 2, 3, 4, 5, 6, 7};
#  if VBYTES == 32
static inline lanes less_(lanes a, lanes b) { return X86(cmp)(a, b, _CMP_LT_OQ); }
static inline ilanes as_int_(lanes a) { return IF_DOUBLE(_mm256_castpd_si256, _mm256_castps_si256)(a); }
static inline lanes as_real_(ilanes a) { return IF_DOUBLE(_mm256_castsi256_pd, _mm256_castsi256_ps)(a); }
#  else
static inline lanes less_(lanes a, lanes b) { return X86(cmplt)(a, b); }
static inline ilanes as_int_(lanes a) { return IF_DOUBLE(_mm_castpd_si128, _mm_castps_si128)(a); }
static inline lanes as_real_(ilanes a) { return IF_DOUBLE(_mm_castsi128_pd, _mm_castsi128_ps)(a); }
#  endif
static inline lanes first_(int n) { return less_(X86(loadu)(lane_number_), v_set((real)n)); }
static inline lanes v_keep_first(lanes a, int n) { return X86(and)(first_(n), a); }
#  if VBYTES == 32
static inline lanes v_load_first(const real *p, int n) { return X86(maskload)(p, as_int_(first_(n))); }
static inline void v_store_first(real *p, lanes a, int n) { X86(maskstore)(p, as_int_(first_(n)), a); }
#  else
static inline lanes v_load_first(const real *p, int n)
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
#  endif
static inline lanes v_if_negative(lanes x, lanes a, lanes b) { return X86(blendv)(b, a, less_(x, v_set(0))); }
static inline lanes v_keep_positive(lanes c, lanes a)
{
#  if defined(__GNUC__)
    lanes zero;         /* made here each time: a constant would keep a register that a tile needs for its sums */
    __asm__ volatile(IF_AVX("vxorps %0, %0, %0", "xorps %0, %0") : "=x"(zero));
#  else
    lanes zero = v_set(0);
#  endif
    return X86(and)(less_(zero, a), c);
}
static inline lanes add_exponent_(lanes p, lanes t)
{
#  if FASTNET_REAL_IS_DOUBLE
    return as_real_(X86_INT_(add_epi64)(as_int_(p), X86_INT_(slli_epi64)(as_int_(t), MANTISSA_BITS)));
#  else
    return as_real_(X86_INT_(add_epi32)(as_int_(p), X86_INT_(slli_epi32)(as_int_(t), MANTISSA_BITS)));
#  endif
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
    ilanes magic = as_int_(v_set(EXPONENT_MAGIC));
#  if FASTNET_REAL_IS_DOUBLE
    ilanes e = X86_INT_(add_epi64)(X86_INT_(srli_epi64)(as_int_(x), MANTISSA_BITS), magic);
#  else
    ilanes e = X86_INT_(add_epi32)(X86_INT_(srli_epi32)(as_int_(x), MANTISSA_BITS), magic);
#  endif
    return v_sub(as_real_(e), v_set(EXPONENT_MAGIC + EXPONENT_BIAS));
}
#endif

/* ---- v_pack: those of n <= VW numbers that are not 0, to the front of `value`, and f plus where they were into
 * `where`; both get VW numbers, of which the return value says how many count ---- */
#if VBYTES == 64
#  define V_PACK
static inline int v_pack(const real *p, int n, int f, real *value, int *where)
{
    const __m512i number = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    lanes x = n < VW ? v_load_first(p, n) : v_load(p);
    first_mask mask = IF_DOUBLE(_mm512_cmp_pd_mask, _mm512_cmp_ps_mask)(x, v_set(0), _CMP_NEQ_UQ);
    __m512i at = _mm512_maskz_compress_epi32(mask, _mm512_add_epi32(number, _mm512_set1_epi32(f)));
    v_store(value, X86(maskz_compress)(mask, x));
    memcpy(where, &at, VW * sizeof(int));
    return __builtin_popcount(mask);
}
static inline void v_prepare(void) {}
#elif VBYTES == 32
#  define V_PACK
static uint8_t pack_[1 << VW][8];       /* the numbers of the bits that are set */
#  if FASTNET_REAL_IS_DOUBLE
static uint8_t pack_halves_[1 << VW][8]; /* the same for both halves of each */
#  endif
static inline void v_prepare(void)
{
    for (int mask = 0; mask < 1 << VW; mask++)
        for (int i = 0, k = 0; i < VW; i++)
            if (mask >> i & 1) {
#  if FASTNET_REAL_IS_DOUBLE
                pack_halves_[mask][2 * k] = (uint8_t)(2 * i);
                pack_halves_[mask][2 * k + 1] = (uint8_t)(2 * i + 1);
#  endif
                pack_[mask][k++] = (uint8_t)i;
            }
}
static inline __m256i pack_order_(const uint8_t *bytes)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)bytes));
}
static inline int v_pack(const real *p, int n, int f, real *value, int *where)
{
    lanes x = n < VW ? v_load_first(p, n) : v_load(p);
    int mask = X86(movemask)(X86(cmp)(x, v_set(0), _CMP_NEQ_UQ));
    __m256i order = pack_order_(pack_[mask]), at = _mm256_add_epi32(order, _mm256_set1_epi32(f));
#  if FASTNET_REAL_IS_DOUBLE
    order = pack_order_(pack_halves_[mask]);
    v_store(value, _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(x), order)));
    _mm_storeu_si128((__m128i *)where, _mm256_castsi256_si128(at));
#  else
    v_store(value, _mm256_permutevar8x32_ps(x, order));
    _mm256_storeu_si256((__m256i *)where, at);
#  endif
    return __builtin_popcount((unsigned)mask);
}
#endif

/* ---- v_transpose: VW vectors of VW numbers, in registers ---- */
static inline void v_transpose(lanes r[VW])
{
#if VBYTES == 64 && !FASTNET_REAL_IS_DOUBLE
    lanes t[16];
    int i;
#  pragma GCC unroll 16
    for (i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#  pragma GCC unroll 16
    for (i = 0; i < 16; i += 4) {
        __m512d a = _mm512_castps_pd(t[i]), b = _mm512_castps_pd(t[i + 1]);
        __m512d c = _mm512_castps_pd(t[i + 2]), d = _mm512_castps_pd(t[i + 3]);
        r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
#  pragma GCC unroll 16
    for (i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
#  pragma GCC unroll 16
    for (i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
#elif VBYTES == 64
    lanes t[8];
    int i;
#  pragma GCC unroll 8
    for (i = 0; i < 8; i += 2) {
        t[i] = _mm512_unpacklo_pd(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_pd(r[i], r[i + 1]);
    }
#  pragma GCC unroll 8
    for (i = 0; i < 2; i++) {
        r[i] = _mm512_shuffle_f64x2(t[i], t[i + 2], 0x88);
        r[i + 2] = _mm512_shuffle_f64x2(t[i], t[i + 2], 0xdd);
        r[i + 4] = _mm512_shuffle_f64x2(t[i + 4], t[i + 6], 0x88);
        r[i + 6] = _mm512_shuffle_f64x2(t[i + 4], t[i + 6], 0xdd);
    }
#  pragma GCC unroll 8
    for (i = 0; i < 2; i++) {
        t[i] = _mm512_shuffle_f64x2(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f64x2(r[i], r[i + 4], 0xdd);
        t[i + 2] = _mm512_shuffle_f64x2(r[i + 2], r[i + 6], 0x88);
        t[i + 6] = _mm512_shuffle_f64x2(r[i + 2], r[i + 6], 0xdd);
    }
#  pragma GCC unroll 8
    for (i = 0; i < 8; i++) r[i] = t[i];
#elif VBYTES == 32 && !FASTNET_REAL_IS_DOUBLE
    lanes t[8];
    int i;
#  pragma GCC unroll 8
    for (i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#  pragma GCC unroll 8
    for (i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#  pragma GCC unroll 8
    for (i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
#  pragma GCC unroll 8
    for (i = 0; i < 8; i++) r[i] = t[i];
#elif VBYTES == 32
    lanes a = _mm256_unpacklo_pd(r[0], r[1]), b = _mm256_unpackhi_pd(r[0], r[1]);
    lanes c = _mm256_unpacklo_pd(r[2], r[3]), d = _mm256_unpackhi_pd(r[2], r[3]);
    r[0] = _mm256_permute2f128_pd(a, c, 0x20);
    r[1] = _mm256_permute2f128_pd(b, d, 0x20);
    r[2] = _mm256_permute2f128_pd(a, c, 0x31);
    r[3] = _mm256_permute2f128_pd(b, d, 0x31);
#elif !FASTNET_REAL_IS_DOUBLE
    _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
#else
    lanes a = _mm_unpacklo_pd(r[0], r[1]);
    r[1] = _mm_unpackhi_pd(r[0], r[1]);
    r[0] = a;
#endif
}
