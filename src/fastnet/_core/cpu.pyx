"""Which builds this CPU can run. Compiled for the plain baseline: anything more could fault while it asks."""

cdef extern from *:
    """
    #if defined(__x86_64__) && defined(__GNUC__)
    #include <cpuid.h>

    static const char *const build_names[] = {"portable", "v2", "v3", "v4"};

    /* Registers of leaf 1, leaf 7 and leaf 0x80000001 of CPUID, and what XGETBV says the system saves. */
    enum { ECX_1, EBX_7, ECX_EXTENDED, XCR0, REGISTERS };

    /* The bits that the psABI asks of each level, and the registers that the system must save for it. */
    static const unsigned needed[][REGISTERS] = {
        /* v2: SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; LAHF */
        {[ECX_1] = 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23, [ECX_EXTENDED] = 1u << 0},
        /* v3: FMA, MOVBE, OSXSAVE, AVX, F16C; BMI1, AVX2, BMI2; LZCNT; xmm and ymm */
        {[ECX_1] = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29,
         [EBX_7] = 1u << 3 | 1u << 5 | 1u << 8, [ECX_EXTENDED] = 1u << 5, [XCR0] = 0x06},
        /* v4: AVX512 F, DQ, CD, BW, VL; opmask and both parts of zmm */
        {[EBX_7] = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31, [XCR0] = 0xe6},
    };

    static int builds_supported(void) {
        unsigned have[REGISTERS] = {0}, eax, ebx, ecx, edx;
        if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) have[ECX_1] = ecx;
        if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) have[EBX_7] = ebx;
        if (__get_cpuid(0x80000001u, &eax, &ebx, &ecx, &edx)) have[ECX_EXTENDED] = ecx;
        if (have[ECX_1] & 1u << 27) __asm__ volatile("xgetbv" : "=a"(have[XCR0]), "=d"(edx) : "c"(0));
        int builds = 1;
        for (; builds < 4; builds++)
            for (int r = 0; r < REGISTERS; r++)
                if ((have[r] & needed[builds - 1][r]) != needed[builds - 1][r]) return builds;
        return builds;
    }
    #else
    static const char *const build_names[] = {"portable", "neon"};

    static int builds_supported(void) {
    #if defined(__aarch64__)
        return 2;  /* NEON is part of the architecture */
    #else
        return 1;
    #endif
    }
    #endif
    """
    const char* const* build_names
    int builds_supported()


def supported() -> tuple[str, ...]:
    """Return the names of the builds that this CPU and its operating system can run, slowest first."""
    return tuple([build_names[k].decode() for k in range(builds_supported())])
