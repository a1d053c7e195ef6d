/* machine: what the engine asks of the machine: memory for an arena, the sizes of the caches, the time, and a
 * known floating-point mode. */
#ifndef FASTNET_MACHINE_H
#define FASTNET_MACHINE_H
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__linux__)
#  include <sys/mman.h>
#  include <unistd.h>
#endif
#if defined(__GLIBC__)
#  include <malloc.h>
#endif
#if defined(__SSE2__) || defined(_M_X64)
#  include <immintrin.h>
#endif

/* Memory on a cache line. Large pieces lie on huge pages where the system has them (0-6 % of a wide network's time)
 * and take real memory only where they are written.
 *
 * One piece that was given back is kept for the next call, for getting memory from the system costs more than a short
 * fit: a fit of 784-512-512-1 spent 2 of 68 ms on it. What is kept lies there for the system to take (MADV_FREE) when
 * memory runs short. Who calls memory_take and memory_give_back holds Python's lock. */
typedef struct { void *start, *block; size_t bytes; int mapped; } memory;

/* glibc keeps what a thread has freed for that thread, up to 64 MB of it. */
static inline void free_memory_to_system(void)
{
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

enum { HUGE_PAGE = 2 << 20, MAPPED_FROM = 4 << 20, KEPT_FROM = 64 << 10, KEPT_AT_MOST = 128 << 20 };

#if defined(__SANITIZE_ADDRESS__)           /* it finds use after free: nothing is kept */
#  define KEEPS_MEMORY 0
#else
#  define KEEPS_MEMORY 1
#endif
static memory kept_memory;                  /* block is NULL: none */

static inline void memory_free(memory *m)
{
    if (m->block == NULL) return;
#if defined(__linux__)
    if (m->mapped) {
        munmap(m->block, m->bytes);
        m->block = NULL;
        return;
    }
#endif
    free(m->block);
    m->block = NULL;
}

/* The bytes of a piece from its start on. */
static inline size_t memory_room(const memory *m) { return m->bytes - (size_t)((char *)m->start - (char *)m->block); }

/* In a debug build, memory that nobody has cleared holds NaN, which shows who reads it. */
static inline void memory_poison(void *start, size_t bytes)
{
#if !defined(NDEBUG)
    memset(start, 0xff, bytes);
#else
    (void)start, (void)bytes;
#endif
}

/* The kept piece, if it serves for so many bytes; a large one does not for a small call. */
static inline int memory_take_kept(memory *m, size_t bytes)
{
    if (kept_memory.block == NULL || bytes < KEPT_FROM || bytes > memory_room(&kept_memory)
        || bytes < memory_room(&kept_memory) / 4)
        return 0;
    *m = kept_memory;
    kept_memory.block = NULL;
    return 1;
}

/* `zeroed`: all bytes are 0; else they may be anything. Returns whether there was enough. */
static inline int memory_new(memory *m, size_t bytes, int zeroed)
{
    m->mapped = 0;
#if defined(__linux__)
    if (bytes > MAPPED_FROM) {
        m->bytes = bytes + HUGE_PAGE;
        m->block = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (m->block == MAP_FAILED) { m->block = NULL; return 0; }
        m->mapped = 1;
        m->start = (void *)(((uintptr_t)m->block + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
#  if defined(MADV_HUGEPAGE)
        madvise(m->start, bytes, MADV_HUGEPAGE);
#  endif
        if (!zeroed) memory_poison(m->start, bytes);
        return 1;
    }
#endif
    m->bytes = bytes + 63;
    m->block = zeroed ? calloc(m->bytes, 1) : malloc(m->bytes);
    m->start = (void *)(((uintptr_t)m->block + 63) / 64 * 64);
    if (m->block == NULL) return 0;
    if (!zeroed) memory_poison(m->start, bytes);
    return 1;
}

/* The same, from what is kept if that serves. */
static inline int memory_take(memory *m, size_t bytes, int zeroed)
{
    if (!memory_take_kept(m, bytes)) {
        if (bytes > MAPPED_FROM) memory_free(&kept_memory);     /* so that no more is held than without */
        return memory_new(m, bytes, zeroed);
    }
    if (zeroed) memset(m->start, 0, bytes);
    else memory_poison(m->start, bytes);
    return 1;
}

static inline void memory_give_back(memory *m)
{
    if (!KEEPS_MEMORY || m->block == NULL || m->bytes < KEPT_FROM || m->bytes > KEPT_AT_MOST) {
        memory_free(m);
        return;
    }
    memory_free(&kept_memory);
    kept_memory = *m;
    m->block = NULL;
#if defined(__linux__) && defined(MADV_FREE)
    if (kept_memory.mapped) madvise(kept_memory.block, kept_memory.bytes, MADV_FREE);
#endif
}

/* of the data cache of a core at level 1 or 2; 0: the system does not tell */
static inline ptrdiff_t cache_bytes(int level)
{
#if defined(_SC_LEVEL1_DCACHE_SIZE) && defined(_SC_LEVEL2_CACHE_SIZE)
    long bytes = sysconf(level == 1 ? _SC_LEVEL1_DCACHE_SIZE : _SC_LEVEL2_CACHE_SIZE);
    return bytes > 0 ? (ptrdiff_t)bytes : 0;
#else
    (void)level;
    return 0;
#endif
}

static inline double now(void)              /* seconds, of a clock that nobody sets; see time.perf_counter */
{
    struct timespec t;
#if defined(CLOCK_MONOTONIC)
    clock_gettime(CLOCK_MONOTONIC, &t);
#else
    timespec_get(&t, TIME_UTC);             /* since 1970: as a double, in steps of a quarter of a microsecond */
#endif
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ask for the cache line of a place that is needed soon; any address */
static inline void fetch(const void *place)
{
#if defined(__GNUC__)
    __builtin_prefetch(place);
#else
    (void)place;
#endif
}

#if defined(_MSC_VER)
#  define THREAD_LOCAL __declspec(thread)
#else
#  define THREAD_LOCAL _Thread_local
#endif
/* Whether a kernel that this thread ran has read (bit 1) or made (bit 4) a denormal number since this was last
 * cleared: flags that an x86 processor keeps. Always 0 elsewhere. */
static THREAD_LOCAL unsigned int fp_tiny_seen;

/* Another library may have set flush-to-zero or another rounding for this thread, which would change our
 * bits: kernels run in the default mode, and the caller's comes back afterwards. */
#if defined(__SSE2__) || defined(_M_X64)
typedef unsigned int fp_mode;
static inline fp_mode fp_enter(void) { fp_mode mode = _mm_getcsr(); _mm_setcsr(0x1f80); return mode; }
static inline void fp_leave(fp_mode mode) { fp_tiny_seen |= _mm_getcsr() & 0x12; _mm_setcsr(mode); }
#elif defined(__aarch64__) && defined(__GNUC__)
typedef uint64_t fp_mode;
static inline fp_mode fp_enter(void)
{
    fp_mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"((fp_mode)0));
    return mode;
}
static inline void fp_leave(fp_mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
#  include <fenv.h>
typedef fenv_t fp_mode;
static inline fp_mode fp_enter(void) { fp_mode mode; fegetenv(&mode); fesetenv(FE_DFL_ENV); return mode; }
static inline void fp_leave(fp_mode mode) { fesetenv(&mode); }
#endif

/* The same for code of other libraries that we call: on x86 some of it computes on the x87 unit, which has a mode
 * of its own (dnrm2 of OpenBLAS, long double), and fesetround sets both. 0x37f is what a process starts with. */
typedef struct { fp_mode vector; unsigned short x87; } library_mode;
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
static inline library_mode library_enter(void)
{
    library_mode mode;
    const unsigned short usual = 0x37f;
    mode.vector = fp_enter();
    __asm__ volatile("fnstcw %0" : "=m"(mode.x87));
    if (mode.x87 != usual) __asm__ volatile("fldcw %0" : : "m"(usual));
    return mode;
}
static inline void library_leave(library_mode mode)
{
    if (mode.x87 != 0x37f) __asm__ volatile("fldcw %0" : : "m"(mode.x87));
    fp_leave(mode.vector);
}
#else
static inline library_mode library_enter(void) { library_mode mode = {0}; mode.vector = fp_enter(); return mode; }
static inline void library_leave(library_mode mode) { fp_leave(mode.vector); }
#endif

#endif
