# Orders of examples: the draws of a shuffle, and whether all numbers of an order are columns.
# Uses: random

cdef enum:
    DRAWN_AT_LEAST = 8          # draws that are worth vectors


cdef void draw_below(uint64_t* state, Py_ssize_t top, int count, const uint32_t* places,
                     uint32_t* drawn) noexcept nogil:
    """`count` <= DRAWN_AHEAD numbers below the bounds top, top - 1, ... to `drawn`; `state` goes on.

    By Lemire's multiplication (2019): the upper half of 32 bits times the bound; where the lower half is
    below 2^32 mod bound, the draw is rejected and the next one taken, which is rare. AVX-512 multiplies 64
    bits in vectors: there DRAWN_AHEAD are drawn as if none were rejected, and again one by one if one was;
    those past `count` have a bound of at least 0, and nobody uses them. (With AVX2, whose products are put
    together from halves, that took a third longer than one by one.) The drawn ones of `places` are fetched
    into the cache, unless it is NULL.
    """
    cdef uint64_t m, bound, suspects = 0
    cdef int64_t signed_bound
    cdef int k
    if VW*sizeof(real) == 64 and count >= DRAWN_AT_LEAST:
        for k in range(DRAWN_AHEAD):
            signed_bound = <int64_t>top - k
            bound = <uint64_t>(signed_bound if signed_bound > 0 else 0)
            m = (mix(state[0] + <uint64_t>(k + 1)*G) >> 32)*bound
            drawn[k] = <uint32_t>(m >> 32)
            suspects |= (m & <uint64_t>0xFFFFFFFF) - bound     # the sign: the lower half is below the bound
        if <int64_t>suspects >= 0:
            state[0] += <uint64_t>count*G
            if places != NULL:
                for k in range(DRAWN_AHEAD):
                    v_prefetch(<const real*>(places + drawn[k]))
            return
    for k in range(count):
        bound = <uint64_t>top - <uint64_t>k
        state[0] += G
        m = (mix(state[0]) >> 32)*bound
        if (m & <uint64_t>0xFFFFFFFF) < bound:
            while (m & <uint64_t>0xFFFFFFFF) < (<uint64_t>0x100000000 - bound) % bound:
                state[0] += G
                m = (mix(state[0]) >> 32)*bound
        drawn[k] = <uint32_t>(m >> 32)
        if places != NULL:
            v_prefetch(<const real*>(places + drawn[k]))


cdef int all_below(const Py_ssize_t* order, Py_ssize_t count, Py_ssize_t n) noexcept nogil:
    """Whether all numbers are from 0 to n - 1: the signs of both differences, or-ed, in vectors."""
    cdef size_t outside = 0
    cdef Py_ssize_t i
    for i in range(count):
        outside |= <size_t>order[i] | <size_t>(n - 1) - <size_t>order[i]
    return <Py_ssize_t>outside >= 0
