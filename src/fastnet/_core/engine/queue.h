/* queue: numbers that threads of Python share while none of them holds the interpreter's lock. See queue.pxi. */
#ifndef FASTNET_QUEUE_H
#define FASTNET_QUEUE_H
#if defined(_WIN32)
#  define WIN32_LEAN_AND_MEAN
#  include <windows.h>
#else
#  include <time.h>
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#  include <intrin.h>
typedef volatile long shared_int;
static inline int shared_get(const shared_int *number)
{
    return (int)_InterlockedExchangeAdd((volatile long *)number, 0);
}
static inline void shared_set(shared_int *number, int value) { _InterlockedExchange(number, value); }
static inline int shared_add(shared_int *number, int value) { return (int)_InterlockedExchangeAdd(number, value); }
static inline int shared_replace(shared_int *number, int old, int value)
{
    return _InterlockedCompareExchange(number, value, old) == old;
}
#else
typedef int shared_int;
static inline int shared_get(const shared_int *number) { return __atomic_load_n(number, __ATOMIC_ACQUIRE); }
static inline void shared_set(shared_int *number, int value) { __atomic_store_n(number, value, __ATOMIC_RELEASE); }
static inline int shared_add(shared_int *number, int value)
{
    return __atomic_fetch_add(number, value, __ATOMIC_ACQ_REL);
}
static inline int shared_replace(shared_int *number, int old, int value)
{
    return __atomic_compare_exchange_n(number, &old, value, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
#endif

/* The next number below `end`, for one thread alone; -1 if there is none. */
static inline int shared_take(shared_int *next, int end)
{
    for (;;) {
        int taken = shared_get(next);
        if (taken >= end) return -1;
        if (shared_replace(next, taken, taken + 1)) return taken;
    }
}

/* One step of waiting for another thread, the first, the second and so on: first look again at once, then let others
 * run, at last sleep. */
static inline void wait_a_little(int times)
{
#if defined(_WIN32)
    Sleep(times < 100 ? 0 : 1);
#else
    if (times < 200) relax();
    else if (times < 1000) sched_yield();
    else {
        struct timespec nap = {0, 50000};
        nanosleep(&nap, NULL);
    }
#endif
}

#endif
