# Elementary functions of one vector, from operations that IEEE 754 rounds once, so that all builds agree:
# exp, e^x - 1, log, log(1 + e). The first line of each says how far it may be from the exact value. NaN
# stays NaN.
#
# No denormals: a product with a denormal factor or result costs a processor up to a hundred cycles, and a
# network that has learned its data is full of them, because a - t, slopes and moments shrink towards 0. What
# is so small is set to 0 where it arises, by one comparison, the same in every build:
#
#     TINY   2^-50  (float64: 2^-480)   where it enters products: hidden A, slopes, dZ, m, g, decayed W
#     LEAST  2^-120 (float64: 2^-1010)  elsewhere: outputs, costs, the means of g^2
#
# The product of two numbers from TINY on is at least 2^-100, and may have a third factor of 2^-26 before it
# is denormal. An exponential compares its argument with LOG_TINY or LOG_LEAST, so that no denormal is made on
# the way to 0. The processor's own flush mode is no way: x86 and ARM round differently in it. The functions
# of arrays (`exp`, `sigmoid`, `activate`) have an exact floor: nothing is 0 that a number can hold.
# Uses: nothing

cdef extern from "constants.h" nogil:
    const real LOG2E, LN2_HI, LN2_LO, EXP_LEAST, EXP_MOST, ROUND, BIAS, UNBIAS, BIAS_UP
    const real TINY, LEAST, LOG_TINY, LOG_LEAST, LINEAR, SMALL_WEIGHT
    enum: EXP_TERMS, LOG_TERMS
    const real PHI_C, PHI_MOST, PHI_DENSITY
    const real* PHI_Q
    enum: PHI_TERMS
    const real ONE, SMALLEST_SCALE, LEAST_NORMAL, SQRT2, EXPM1_LEAST, SELU_SCALE, SELU_LOW
    const real* EXP_Q
    const real* LOG_Q


cdef inline lanes polynomial(const real* c, const int n, lanes x) noexcept nogil:
    """c[0] + c[1] x + ... + c[n-1] x^(n-1): even and odd powers by Horner in x^2. n is a literal.

    The two chains run side by side. A core keeps few vectors in flight, so their length is what a sigmoid
    in float64 takes: one chain of ten made it a tenth slower.
    """
    cdef lanes square = v_mul(x, x)
    cdef int even = (n - 1)//2*2, odd = n//2*2 - 1, i  # the highest powers
    cdef lanes y = v_set(c[even]), z = v_set(c[odd])
    for i in range(even//2):
        y = v_fma(y, square, v_set(c[even - 2 - 2*i]))
    for i in range(odd//2):
        z = v_fma(z, square, v_set(c[odd - 2 - 2*i]))
    return v_fma(z, x, y)


cdef inline lanes exp_reduced(lanes x, const bint has_tail, lanes tail, lanes shift, lanes* n,
                              lanes* t) noexcept nogil:
    """p with e^(x + tail) = 2^n p; t: n with the bias of shift, in its low bits. See constants.h.

    tail, if there is one, is what x was rounded by.
    """
    t[0] = v_fma(x, v_set(LOG2E), shift)
    n[0] = v_sub(t[0], shift)                                  # round(x log2 e)
    cdef lanes r = v_fnma(n[0], v_set(LN2_LO), v_fnma(n[0], v_set(LN2_HI), x))
    if has_tail:
        r = v_add(r, tail)
    # 1 + (r + r^2 q) rather than Horner to the end:
    # 0.9 ULP instead of 1.15 where multiply and add round apart
    return v_add(v_fma(polynomial(EXP_Q, EXP_TERMS, r), v_mul(r, r), r), v_set(1))


cdef inline lanes exp_scaled(lanes x, const bint has_tail, lanes tail, lanes bias,
                             lanes unbias) noexcept nogil:
    """e^(x + tail) for EXP_LEAST <= x <= EXP_MOST (or NaN); 2^(n + bias) must be in range."""
    cdef lanes n, t
    cdef lanes p = exp_reduced(x, has_tail, tail, v_add(v_set(ROUND), bias), &n, &t)    # that sum is exact
    return v_scale(p, n, t, unbias)


cdef inline exp_floor floor_at(real log_least) noexcept nogil:
    """0 for arguments below log_least, LOG_TINY or LOG_LEAST."""
    cdef exp_floor floor
    floor.least = v_set(log_least)
    floor.exact = False
    return floor


cdef inline exp_floor exact_floor() noexcept nogil:
    """All results that a number can hold, denormal ones too."""
    cdef exp_floor floor
    floor.least = v_set(EXP_LEAST)
    floor.exact = True
    return floor


cdef inline lanes exp_with_tail(lanes x, const bint has_tail, lanes tail, exp_floor floor) noexcept nogil:
    """e^(x + tail) for x <= 0, down to the floor. NaN stays NaN.

    With a floor, what is below it is left to overflow or be NaN, which costs nothing, and dropped at the end.
    """
    cdef lanes n, t, p
    if floor.exact:
        return exp_scaled(v_max(floor.least, x), has_tail, tail, v_set(BIAS), v_set(UNBIAS))
    p = exp_reduced(x, has_tail, tail, v_set(ROUND), &n, &t)
    return v_scale_above(x, floor.least, p, n, t)


cdef inline lanes without_tiny(lanes x) noexcept nogil:
    """x, or 0 where |x| < TINY."""
    return v_zero_below(v_abs(x), v_set(TINY), x)


cdef inline lanes without_small(lanes x, lanes least) noexcept nogil:
    """x, or 0 where |x| < least, by no constant: see `ended`."""
    return v_zero_below(v_max(v_sub(v_zero(), x), x), least, x)


cdef inline lanes factor_of_one(lanes x) noexcept nogil:
    """x >= 0, about to go into y + x y with |y| <= 1: 0 for x < LINEAR where multiply and add round apart.

    The sum is y with either, but x y alone could be denormal. A fused multiply-add makes no such product.
    """
    return x if FUSED else v_zero_below(x, v_set(LINEAR), x)


cdef inline lanes exp_of_negative(lanes x, exp_floor floor) noexcept nogil:
    """e^x for x <= 0, within 1.1 ULP (float32: all binades; float64: samples); 0 below the floor."""
    return exp_with_tail(x, False, v_zero(), floor)


cdef inline lanes exp_of(lanes z, exp_floor floor) noexcept nogil:
    """e^z, within 1.1 ULP, infinite results included; 0 below the floor."""
    cdef lanes x = v_min(v_set(EXP_MOST), v_max(floor.least, z))
    cdef lanes e = exp_scaled(x, False, v_zero(), v_if_negative(x, v_set(BIAS), v_set(-BIAS)),
                              v_if_negative(x, v_set(UNBIAS), v_set(BIAS_UP)))
    return e if floor.exact else v_zero_below(z, floor.least, e)


cdef inline lanes expm1_of_negative(lanes x) noexcept nogil:
    """e^x - 1 for x <= 0, within 1.5 ULP.

    e^r = 1 + p, and 2^n (1 + p) - 1 = 2^n p + (2^n - 1), which loses nothing near 0, where n = 0.
    """
    cdef lanes t = v_fma(v_max(v_set(EXPM1_LEAST), x), v_set(LOG2E), v_set(ROUND))
    cdef lanes n = v_sub(t, v_set(ROUND))
    cdef lanes r = v_fnma(n, v_set(LN2_LO), v_fnma(n, v_set(LN2_HI), v_max(v_set(EXPM1_LEAST), x)))
    cdef lanes p = v_fma(polynomial(EXP_Q, EXP_TERMS, r), v_mul(r, r), r)
    cdef lanes power = v_scale(v_set(1), n, t, v_set(1))
    return v_fma(power, p, v_sub(power, v_set(1)))


cdef inline lanes log1p_of_fraction(lanes e) noexcept nogil:
    """log(1 + e) for 0 <= e <= 1, within 2 ULP, as 2 atanh(s), s = e/(2 + e): 2 s where s < LINEAR."""
    cdef lanes s = v_div(e, v_add(e, v_set(2)))
    cdef lanes m = v_zero_below(s, v_set(LINEAR), s)
    cdef lanes s2 = v_add(s, s)
    m = v_mul(m, m)                                # never denormal
    return v_fma(v_mul(s2, m), polynomial(LOG_Q, LOG_TERMS, m), s2)


cdef inline lanes log_of(lanes x) noexcept nogil:
    """log x of positive normal x, within 2 ULP: x = 2^e f, sqrt(1/2) < f <= sqrt(2), log f = 2 atanh(s)."""
    cdef lanes e = v_exponent(x)
    cdef lanes f = v_scale(x, v_sub(v_zero(), e), v_sub(v_set(ROUND), e), v_set(1))
    cdef lanes high = v_sub(v_set(SQRT2), f)                   # negative: f/2 and e + 1 are nearer to 1
    cdef lanes s, m, s2
    f = v_if_negative(high, v_mul(f, v_set(<real>0.5)), f)
    e = v_if_negative(high, v_add(e, v_set(1)), e)
    s = v_div(v_sub(f, v_set(1)), v_add(f, v_set(1)))
    m = v_mul(s, s)
    s2 = v_add(s, s)
    f = v_fma(v_mul(s2, m), polynomial(LOG_Q, LOG_TERMS, m), s2)
    return v_fma(e, v_set(LN2_HI), v_fma(e, v_set(LN2_LO), f))


cdef inline lanes log1p_of(lanes x) noexcept nogil:
    """log(1 + x) for x >= 0, within 4 ULP: log u + (what u = 1 + x was rounded by)/u."""
    cdef lanes u = v_add(v_set(1), x)
    return v_add(log_of(u), v_div(v_sub(x, v_sub(u, v_set(1))), u))


cdef inline lanes if_positive(lanes x, lanes a, lanes b) noexcept nogil:
    """x > 0 ? a : b"""
    return v_if_negative(v_sub(v_zero(), x), a, b)
