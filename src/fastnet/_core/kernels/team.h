/* team: threads that run one call together, and the barrier they meet at.
 *
 * A sum is never split between them: they share out examples by whole chunks and gradients by whole rows, or
 * whole blocks, so the bits do not depend on how many there are. No OpenMP runtime: a pool of our own starts its threads when
 * they are first wanted, spins a little between regions and then sleeps, starts afresh in a forked child, and
 * runs one region at a time.
 */
#ifndef FASTNET_TEAM_H
#define FASTNET_TEAM_H

#include <stdatomic.h>
#if defined(_WIN32)            /* windows.h would bring its names into every kernel */
__declspec(dllimport) int __stdcall SwitchToThread(void);
#  define give_way() SwitchToThread()
#else
#  include <sched.h>
#  define give_way() sched_yield()
#endif
#if defined(__x86_64__) || defined(_M_X64)
#  include <immintrin.h>
#  define relax() _mm_pause()
#elif defined(__aarch64__) && !defined(_MSC_VER)
#  define relax() __asm__ volatile("yield")
#else
#  define relax() ((void)0)
#endif

enum { MAX_THREADS = 256 };

typedef struct {
    int size;                   /* threads that run the region */
    _Atomic int arrived, phase, next;
} thread_team;

static inline thread_team new_team(int size)
{
    thread_team t;
    t.size = size;
    atomic_init(&t.arrived, 0);
    atomic_init(&t.phase, 0);
    atomic_init(&t.next, 0);
    return t;
}

/* 0, 1, 2, ...: each number for one thread of the team, which does the piece of work that it stands for. */
static inline int team_next(thread_team *t)
{
    return atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed);
}

/* From 0 again, once no thread of the team asks any more. */
static inline void team_start_over(thread_team *t)
{
    atomic_store_explicit(&t->next, 0, memory_order_relaxed);
}

enum { SPINS = 2000 };          /* 20 to 100 us of pauses */

/* Returns when all threads of the team have called it. */
static inline void team_wait(thread_team *t)
{
    int phase, spins = 0;
    if (t->size == 1) return;
    phase = atomic_load_explicit(&t->phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) == t->size - 1) {
        atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&t->phase, phase + 1, memory_order_release);
        return;
    }
    while (atomic_load_explicit(&t->phase, memory_order_acquire) == phase)
        if (++spins < SPINS) relax(); else give_way();
}

#endif
