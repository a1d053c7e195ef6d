/* pool: the threads that make up a team. Included by the engine alone: one pool in a process. See team.h. */
#ifndef FASTNET_POOL_H
#define FASTNET_POOL_H
#include "team.h"

typedef void (*region)(void *arguments, int thread);

/* How many threads any region may have, whatever its call asks for; 0: as many as it asks for. The two
 * functions are seen from outside the module: threadpoolctl knows the library by them, and other languages may
 * call them. */
#if defined(_WIN32)
#  define FROM_OUTSIDE __declspec(dllexport)
#else
#  define FROM_OUTSIDE __attribute__((visibility("default")))
#endif
static _Atomic int pool_limit;
FROM_OUTSIDE void fastnet_set_num_threads(int limit);
FROM_OUTSIDE int fastnet_get_num_threads(void);
void fastnet_set_num_threads(int limit)
{
    pool_limit = limit < 0 ? 0 : limit > MAX_THREADS ? MAX_THREADS : limit;
}
int fastnet_get_num_threads(void) { return pool_limit; }

/* What the pool asks of the system: a lock that sleepers wait behind, and threads. */
#if defined(_WIN32)
#  define WIN32_LEAN_AND_MEAN
#  include <windows.h>
typedef SRWLOCK pool_lock;
typedef CONDITION_VARIABLE pool_bell;
#  define NO_LOCK SRWLOCK_INIT
#  define NO_BELL CONDITION_VARIABLE_INIT
#  define POOL_LOCK(l) AcquireSRWLockExclusive(l)
#  define POOL_UNLOCK(l) ReleaseSRWLockExclusive(l)
#  define POOL_SLEEP(bell, l) SleepConditionVariableSRW(bell, l, INFINITE, 0)
#  define POOL_RING(bell) WakeAllConditionVariable(bell)
typedef DWORD worker_result;
#  define WORKER_CALL WINAPI
#else
#  include <pthread.h>
#  include <signal.h>
typedef pthread_mutex_t pool_lock;
typedef pthread_cond_t pool_bell;
#  define NO_LOCK PTHREAD_MUTEX_INITIALIZER
#  define NO_BELL PTHREAD_COND_INITIALIZER
#  define POOL_LOCK(l) pthread_mutex_lock(l)
#  define POOL_UNLOCK(l) pthread_mutex_unlock(l)
#  define POOL_SLEEP(bell, l) pthread_cond_wait(bell, l)
#  define POOL_RING(bell) pthread_cond_broadcast(bell)
typedef void *worker_result;
#  define WORKER_CALL
#endif

static struct {
    pool_lock sleep;
    pool_bell wake;
    _Atomic int busy;           /* somebody's region is running */
    _Atomic unsigned regions;   /* how many there have been: a worker that sees a new one joins in */
    _Atomic int working;        /* workers that have not finished this one */
    int started, size, hooked;
    region run;
    void *arguments;
} pool = {.sleep = NO_LOCK, .wake = NO_BELL};

/* A worker knows which region it was started before: those it must not join. */
typedef struct { int thread; unsigned seen; } worker_start;
static worker_start pool_starts[MAX_THREADS];

static worker_result WORKER_CALL pool_worker(void *start)
{
    int thread = ((worker_start *)start)->thread;
    unsigned seen = ((worker_start *)start)->seen;
    for (;;) {
        int spins = 0;
        while (atomic_load_explicit(&pool.regions, memory_order_acquire) == seen) {
            if (++spins < SPINS) { relax(); continue; }
            POOL_LOCK(&pool.sleep);
            while (atomic_load_explicit(&pool.regions, memory_order_acquire) == seen)
                POOL_SLEEP(&pool.wake, &pool.sleep);
            POOL_UNLOCK(&pool.sleep);
        }
        /* a region cannot pass us by: it waits for every worker, with work or without */
        seen++;
        if (thread < pool.size) pool.run(pool.arguments, thread);
        atomic_fetch_sub_explicit(&pool.working, 1, memory_order_release);
    }
    return 0;
}

#if defined(_WIN32)
static int pool_hook(void) { return 1; }       /* there is no fork */

static int pool_start(worker_start *start)
{
    HANDLE thread = CreateThread(NULL, 0, pool_worker, start, 0, NULL);
    return thread != NULL && CloseHandle(thread);
}
#else
/* A forked child has none of its parent's threads, and may have been forked in the middle of a region. */
static void pool_after_fork(void)
{
    static const pool_lock no_lock = NO_LOCK;
    static const pool_bell no_bell = NO_BELL;
    pool.sleep = no_lock;
    pool.wake = no_bell;
    pool.started = 0;
    atomic_store(&pool.busy, 0);
    atomic_store(&pool.working, 0);
}

static int pool_hook(void) { return pthread_atfork(NULL, NULL, pool_after_fork) == 0; }

static int pool_start(worker_start *start)
{
    pthread_t thread;
    sigset_t all, before;
    int failed;
    sigfillset(&all);           /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&thread, NULL, pool_worker, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !failed && pthread_detach(thread) == 0;
}
#endif

/* How many threads may run the next region, at most `wanted`: 1 if the pool is taken or no thread can be had.
 * With more than 1, the pool is ours until pool_run ends. */
static int pool_enter(int wanted)
{
    int idle = 0, limit = pool_limit;
    if (limit > 0 && wanted > limit) wanted = limit;
    if (wanted <= 1 || !atomic_compare_exchange_strong(&pool.busy, &idle, 1)) return 1;
    if (wanted > MAX_THREADS) wanted = MAX_THREADS;
    if (!pool.hooked) pool.hooked = pool_hook();
    while (pool.hooked && pool.started < wanted - 1) {
        worker_start *start = &pool_starts[pool.started];
        start->thread = pool.started + 1;
        start->seen = atomic_load(&pool.regions);
        if (!pool_start(start)) break;
        pool.started++;
    }
    if (pool.started == 0) {
        atomic_store(&pool.busy, 0);
        return 1;
    }
    return pool.started + 1 < wanted ? pool.started + 1 : wanted;
}

/* Runs the region on `size` threads, this one being thread 0, and returns when all have finished. */
static void pool_run(region run, void *arguments, int size)
{
    int spins = 0;
    if (size == 1) {
        run(arguments, 0);
        return;
    }
    pool.run = run;
    pool.arguments = arguments;
    pool.size = size;
    atomic_store_explicit(&pool.working, pool.started, memory_order_relaxed);
    POOL_LOCK(&pool.sleep);
    atomic_fetch_add_explicit(&pool.regions, 1, memory_order_release);
    POOL_RING(&pool.wake);
    POOL_UNLOCK(&pool.sleep);
    run(arguments, 0);
    while (atomic_load_explicit(&pool.working, memory_order_acquire) > 0)
        if (++spins < SPINS) relax(); else give_way();
    atomic_store(&pool.busy, 0);
}

#endif
