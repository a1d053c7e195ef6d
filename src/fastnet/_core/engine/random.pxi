# The draws of kernels/random.pxi as Python sees them: initial weights and shuffles.
# Uses: kernels/random

cdef enum:
    FETCHED_FROM = 4096         # fewer numbers of a shuffle lie in L1


def uniform(uint64_t seed, uint64_t stream, Py_ssize_t count):
    """`count` float64 numbers in [0, 1), multiples of 2^-53: the draws of a stream."""
    cdef cnp.ndarray out = np.empty(count, np.float64)
    cdef double* u = <double*>cnp.PyArray_DATA(out)
    cdef uint64_t key = key_of(seed, stream)
    cdef Py_ssize_t i
    for i in range(count):
        u[i] = <double>(mix(key + (<uint64_t>i + 1)*G) >> 11)*1.1102230246251565e-16      # 2^-53
    return out


cdef void permute(const kernel_table* table, Py_ssize_t* order, Py_ssize_t n, uint64_t seed,
                  uint64_t epoch) noexcept nogil:
    """An order of 0..n-1 by Fisher and Yates, from the top.

    The numbers that are still to be drawn lie as 32 bits each in the first half of the array, which takes
    half the cache; what is drawn goes to its place, which is above them. Places are fetched DRAWN_AHEAD draws
    before they are needed.
    """
    cdef uint32_t* left = <uint32_t*>order
    cdef uint64_t state = key_of(seed, epoch)
    cdef uint32_t[DRAWN_AHEAD] drawn
    cdef uint32_t last
    cdef Py_ssize_t chosen                         # copied to its place: memory of another type until then
    cdef Py_ssize_t i, j, k, m, many
    for m in range(n//16):                         # of 16 known beforehand the compiler makes vectors
        for j in range(16):
            left[16*m + j] = <uint32_t>(16*m + j)
    for i in range(n//16*16, n):
        left[i] = <uint32_t>i
    i = n - 1
    while i > 0:
        many = min(DRAWN_AHEAD, i)
        table.draw_below(&state, i + 1, <int>many, left if n > FETCHED_FROM else NULL, drawn)
        for k in range(many):
            j = <Py_ssize_t>drawn[k]
            last, chosen = left[i - k], <Py_ssize_t>left[j]
            left[j] = last
            memcpy(order + i - k, &chosen, sizeof(Py_ssize_t))
        i -= many
    if n > 0:
        chosen = <Py_ssize_t>left[0]
        memcpy(order, &chosen, sizeof(Py_ssize_t))


def permutation(Py_ssize_t n, uint64_t seed, uint64_t epoch):
    """An order of 0..n-1, drawn from the seed and the number of the epoch: see `permute`."""
    if not 0 <= n < 2**32:
        raise ValueError(f"n must be an int in [0, 2**32), got {n}")
    cdef cnp.ndarray out = np.empty(n, np.intp)
    cdef Py_ssize_t* order = <Py_ssize_t*>cnp.PyArray_DATA(out)
    with nogil:
        permute(table32, order, n, seed, epoch)
    return out


cdef Py_ssize_t shuffle_down(bitgen_t* g, Py_ssize_t* p, Py_ssize_t i, Py_ssize_t last) noexcept nogil:
    """Swap p[i], p[i - 1] ... p[last] with places drawn from 0 to their own, as NumPy's RandomState does.

    Bits under a mask, drawn again while too large; the mask is that of i and of `last` too. A draw that is
    too large is written over by the next: no branch, which would be guessed wrongly each third time.
    """
    cdef Py_ssize_t[DRAWN_AHEAD + 1] drawn
    cdef Py_ssize_t many, k, j
    cdef uint64_t mask = <uint64_t>i
    cdef bint short = i <= <Py_ssize_t>0xFFFFFFFF
    for k in range(6):
        mask |= mask >> (1 << k)
    while i >= last:
        many = min(DRAWN_AHEAD, i - last + 1)
        k = 0
        while k < many:
            drawn[k] = <Py_ssize_t>((g.next_uint32(g.state) if short else g.next_uint64(g.state)) & mask)
            fetch(p + drawn[k])
            k += drawn[k] <= i - k
        for k in range(many):
            j = drawn[k]
            p[i - k], p[j] = p[j], p[i - k]
        i -= many
    return i


cdef void shuffle_by(bitgen_t* g, Py_ssize_t* p, Py_ssize_t n) noexcept nogil:
    """Shuffle p[0..n-1] in place, from one power of two down to the next."""
    cdef Py_ssize_t i = n - 1, power = 1
    while power <= i//2:
        power *= 2
    while i > 0:
        i = shuffle_down(g, p, i, power)
        power //= 2


cdef bitgen_t* bits_of(bit_generator) except NULL:
    return <bitgen_t*>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")


def shuffle(bit_generator, cnp.ndarray order):
    """What numpy.random.RandomState.shuffle does to `order`, in place and with the same draws, but faster."""
    if (cnp.PyArray_TYPE(order) != cnp.NPY_INTP or not cnp.PyArray_ISCARRAY(order)
            or cnp.PyArray_NDIM(order) != 1):
        raise ValueError("order must be a writable vector of dtype intp in C order, "
                         f"got {order.dtype} {np.shape(order)}")
    cdef bitgen_t* g = bits_of(bit_generator)
    cdef Py_ssize_t* p = <Py_ssize_t*>cnp.PyArray_DATA(order)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(order)
    with bit_generator.lock, nogil:
        shuffle_by(g, p, n)
