# SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), used as a
# counter: draw i of a key is mix(key + (i + 1) G). Fixed for ever: the same seed gives the same draws in
# every version. fastnet.reference has it in NumPy.
#
# Streams of a seed: 0, 1, ... are the epochs of a shuffle, 2^62 + k the dropout of layer k, 2^63 + k its
# weights.
# Uses: nothing

cdef uint64_t G = 0x9E3779B97F4A7C15


cdef inline uint64_t mix(uint64_t z) noexcept nogil:
    z = (z ^ (z >> 30))*<uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27))*<uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)


cdef inline uint64_t key_of(uint64_t seed, uint64_t stream) noexcept nogil:
    return mix(mix(seed + G) + (stream + 1)*G)
