/* queue: numbers that threads of Python share while none of them holds the interpreter's lock. See queue.pxi. */
#ifndef FASTNET_QUEUE_H
#define FASTNET_QUEUE_H
#include <time.h>
#include "pool.h"

typedef _Atomic int shared_int;
static inline int shared_get(const shared_int *number) { return atomic_load_explicit(number, memory_order_acquire); }
static inline void shared_set(shared_int *number, int value)
{
    atomic_store_explicit(number, value, memory_order_release);
}
static inline int shared_add(shared_int *number, int value)
{
    return atomic_fetch_add_explicit(number, value, memory_order_acq_rel);
}

/* The next number below `end`, for one thread alone; -1 if there is none. */
static inline int shared_take(shared_int *next, int end)
{
    int taken = shared_get(next);
    while (taken < end)
        if (atomic_compare_exchange_strong(next, &taken, taken + 1)) return taken;
    return -1;
}

/* One step of waiting for another thread, the first, the second and so on: first look again at once, then let others
 * run, at last sleep. */
static inline void wait_a_little(int times)
{
    if (times < 200) relax();
    else if (times < 1000) give_way();
    else {
#if defined(_WIN32)
        Sleep(1);
#else
        struct timespec nap = {0, 50000};
        nanosleep(&nap, NULL);
#endif
    }
}

#endif
