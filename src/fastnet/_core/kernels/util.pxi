# Small functions and constants that many of the other files use.
# Uses: nothing

cdef inline Py_ssize_t smaller(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a < b else b


cdef inline Py_ssize_t larger(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return a if a > b else b


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1)//b


cdef inline Py_ssize_t round_up(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return ceil_div(a, b)*b


cdef inline Py_ssize_t share(Py_ssize_t count, int thread, int threads) noexcept nogil:
    """Where the share of a thread starts when `count` things are dealt out in order.

    The next thread's start is its end. (One thread is spared the divisions: tiny networks would notice.)
    """
    return count*thread//threads if threads > 1 else count*thread


cdef int all_finite_array(const void* x, Py_ssize_t n) noexcept nogil:
    """Whether no number is infinite or NaN: 0 x is 0 for the others, and a NaN stays in the sum."""
    cdef const real* p = <const real*>x
    cdef lanes s0 = v_zero(), s1 = v_zero(), s2 = v_zero(), s3 = v_zero()
    cdef real[VW] sums
    cdef int i
    while n >= 4*VW:
        s0 = v_fma(v_load(p), v_zero(), s0)
        s1 = v_fma(v_load(p + VW), v_zero(), s1)
        s2 = v_fma(v_load(p + 2*VW), v_zero(), s2)
        s3 = v_fma(v_load(p + 3*VW), v_zero(), s3)
        p += 4*VW
        n -= 4*VW
    while n > 0:
        i = <int>smaller(n, VW)
        s0 = v_fma(v_load_first(p, i), v_zero(), s0)
        p += i
        n -= i
    v_store(sums, v_add(v_add(s0, s1), v_add(s2, s3)))
    for i in range(VW):
        if sums[i] != 0:
            return 0
    return 1
