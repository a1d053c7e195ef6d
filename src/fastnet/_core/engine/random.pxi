# The draws of kernels/random.pxi as Python sees them: initial weights and shuffles.
# Uses: kernels/random

def uniform(uint64_t seed, uint64_t stream, Py_ssize_t count):
    """`count` float64 numbers in [0, 1), multiples of 2^-53: the draws of a stream."""
    cdef cnp.ndarray out = np.empty(count, np.float64)
    cdef double* u = <double*>cnp.PyArray_DATA(out)
    cdef uint64_t key = key_of(seed, stream)
    cdef Py_ssize_t i
    for i in range(count):
        u[i] = <double>(mix(key + (<uint64_t>i + 1)*G) >> 11)*1.1102230246251565e-16      # 2^-53
    return out


cdef void permute(Py_ssize_t* order, Py_ssize_t n, uint64_t seed, uint64_t epoch) noexcept nogil:
    """An order of 0..n-1 by Fisher and Yates, from the top.

    Numbers below a bound by Lemire's multiplication (2019). The numbers are swapped as 32 bits each, in the
    second half of the array, which takes half the cache, and then spread over it.
    """
    cdef uint32_t* half = <uint32_t*>order + n*(<Py_ssize_t>sizeof(Py_ssize_t)//4 - 1)
    cdef uint64_t state = key_of(seed, epoch), m, bound
    cdef uint32_t[16] words
    cdef Py_ssize_t i, j
    for i in range(n):
        half[i] = <uint32_t>i
    for i in range(n - 1, 0, -1):
        bound = <uint64_t>i + 1
        state += G
        m = (mix(state) >> 32)*bound
        if (m & <uint64_t>0xFFFFFFFF) < bound:          # rarely: reject what is biased
            while (m & <uint64_t>0xFFFFFFFF) < (<uint64_t>0x100000000 - bound) % bound:
                state += G
                m = (mix(state) >> 32)*bound
        j = <Py_ssize_t>(m >> 32)
        half[i], half[j] = half[j], half[i]
    i = 0
    while i < n:                                   # what is written lies before what is still to be read
        m = n - i if n - i < 16 else 16
        memcpy(words, half + i, m*sizeof(uint32_t))
        for j in range(<Py_ssize_t>m):
            order[i + j] = <Py_ssize_t>words[j]
        i += 16


def permutation(Py_ssize_t n, uint64_t seed, uint64_t epoch):
    """An order of 0..n-1, drawn from the seed and the number of the epoch: see `permute`."""
    if not 0 <= n < 2**32:
        raise ValueError(f"n must be an int in [0, 2**32), got {n}")
    cdef cnp.ndarray out = np.empty(n, np.intp)
    cdef Py_ssize_t* order = <Py_ssize_t*>cnp.PyArray_DATA(out)
    with nogil:
        permute(order, n, seed, epoch)
    return out


cdef inline uint64_t below(bitgen_t* g, uint64_t most) noexcept nogil:
    """A draw in 0..most as NumPy's RandomState makes it: bits under a mask, drawn again while too large."""
    cdef uint64_t mask = most, value
    cdef int shift = 1
    while shift < 64:
        mask |= mask >> shift
        shift *= 2
    while True:
        value = (g.next_uint32(g.state) if most <= <uint64_t>0xFFFFFFFF else g.next_uint64(g.state)) & mask
        if value <= most:
            return value


def shuffle(bit_generator, cnp.ndarray order):
    """What numpy.random.RandomState.shuffle does to `order`, in place and with the same draws, but faster."""
    if (cnp.PyArray_TYPE(order) != cnp.NPY_INTP or not cnp.PyArray_ISCARRAY(order)
            or cnp.PyArray_NDIM(order) != 1):
        raise ValueError("order must be a writable vector of dtype intp in C order, "
                         f"got {order.dtype} {np.shape(order)}")
    cdef bitgen_t* g = <bitgen_t*>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
    cdef Py_ssize_t* p = <Py_ssize_t*>cnp.PyArray_DATA(order)
    cdef Py_ssize_t i, j
    with bit_generator.lock, nogil:
        for i in range(cnp.PyArray_SIZE(order) - 1, 0, -1):
            j = <Py_ssize_t>below(g, i)
            p[i], p[j] = p[j], p[i]
