# Normal draws: the inverse of the normal distribution function by AS 241 (Wichura, Applied Statistics 37,
# 1988), a quotient of two polynomials in 0.180625 - q^2 near the median, and in the root of -log p further
# out. No function of the C library has a say in a bit, so a seed gives the same weights on every machine.
# Uses: nothing

cdef inline double near_median(double r) noexcept nogil:
    cdef double above = 2509.0809287301227, below = 5226.495278852854
    above = above*r + 33430.57558358813
    below = below*r + 28729.085735721943
    above = above*r + 67265.7709270087
    below = below*r + 39307.89580009271
    above = above*r + 45921.95393154987
    below = below*r + 21213.794301586597
    above = above*r + 13731.69376550946
    below = below*r + 5394.196021424751
    above = above*r + 1971.5909503065513
    below = below*r + 687.1870074920579
    above = above*r + 133.14166789178438
    below = below*r + 42.31333070160091
    above = above*r + 3.3871328727963665
    below = below*r + 1.0
    return above/below


cdef inline double in_tail(double r) noexcept nogil:
    """For a root of -log p from 1.6 to 5, less 1.6."""
    cdef double above = 0.0007745450142783414, below = 1.0507500716444169e-09
    above = above*r + 0.022723844989269184
    below = below*r + 0.0005475938084995345
    above = above*r + 0.2417807251774506
    below = below*r + 0.015198666563616457
    above = above*r + 1.2704582524523684
    below = below*r + 0.14810397642748008
    above = above*r + 3.6478483247632045
    below = below*r + 0.6897673349851
    above = above*r + 5.769497221460691
    below = below*r + 1.6763848301838038
    above = above*r + 4.630337846156546
    below = below*r + 2.053191626637759
    above = above*r + 1.4234371107496835
    below = below*r + 1.0
    return above/below


cdef inline double far_out(double r) noexcept nogil:
    """For a root of -log p above 5, less 5."""
    cdef double above = 2.0103343992922881e-07, below = 2.0442631033899397e-15
    above = above*r + 2.7115555687434876e-05
    below = below*r + 1.421511758316446e-07
    above = above*r + 0.0012426609473880784
    below = below*r + 1.8463183175100548e-05
    above = above*r + 0.026532189526576124
    below = below*r + 0.0007868691311456133
    above = above*r + 0.29656057182850487
    below = below*r + 0.014875361290850615
    above = above*r + 1.7848265399172913
    below = below*r + 0.1369298809227358
    above = above*r + 5.463784911164114
    below = below*r + 0.599832206555888
    above = above*r + 6.657904643501103
    below = below*r + 1.0
    return above/below


cdef double own_log(double x) noexcept nogil:
    """log x of positive x: of the power of two, and 2 artanh((m - 1)/(m + 1)) of the rest."""
    cdef int power = 0, k = 23
    cdef double m = frexp(x, &power), s, square, series = 0
    if m < 0.7071067811865476:                     # sqrt(1/2)
        m *= 2
        power -= 1
    s = (m - 1)/(m + 1)
    square = s*s
    while k > 0:                                   # |s| <= 0.172, and 0.172^24 / 25 is below 2e-20
        series = series*square + 1.0/k
        k -= 2
    return power*0.6931471805599453 + 2*s*series


cdef inline double normal_deviate(double u) noexcept nogil:
    cdef double q = u - 0.5, p, r, z
    if -0.425 <= q <= 0.425:
        return near_median(0.180625 - q*q)*q
    p = max(u, 5.551115123125783e-17) if u < 0.5 else 1 - u       # 2^-54
    r = sqrt(-own_log(p))
    z = far_out(r - 5) if r > 5 else in_tail(r - 1.6)
    return -z if u < 0.5 else z


def normal(cnp.ndarray u):
    """The normal deviates below which parts u of the distribution lie, 0 <= u < 1, in the place of u.

    About 1e-16 relative. u = 0 is taken as 2^-54, half the step of the uniform draws.
    """
    if cnp.PyArray_TYPE(u) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY(u):
        raise ValueError(f"u must be a writable array of dtype float64 in C order, got {u.dtype}")
    cdef double* z = <double*>cnp.PyArray_DATA(u)
    cdef Py_ssize_t i
    with nogil:
        for i in range(cnp.PyArray_SIZE(u)):
            z[i] = normal_deviate(z[i])
    return u
