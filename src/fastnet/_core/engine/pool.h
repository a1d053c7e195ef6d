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
static volatile int pool_limit;
#else
#  define FROM_OUTSIDE __attribute__((visibility("default")))
static _Atomic int pool_limit;
#endif
FROM_OUTSIDE void fastnet_set_num_threads(int limit);
FROM_OUTSIDE int fastnet_get_num_threads(void);
void fastnet_set_num_threads(int limit)
{
    pool_limit = limit < 0 ? 0 : limit > MAX_THREADS ? MAX_THREADS : limit;
}
int fastnet_get_num_threads(void) { return pool_limit; }

#if defined(_WIN32)

static int pool_enter(int wanted) { (void)wanted; return 1; }
static void pool_run(region run, void *arguments, int size) { (void)size; run(arguments, 0); }

#else
#  include <pthread.h>
#  include <signal.h>

static struct {
    pthread_mutex_t sleep;
    pthread_cond_t wake;
    _Atomic int busy;           /* somebody's region is running */
    _Atomic unsigned regions;   /* how many there have been: a worker that sees a new one joins in */
    _Atomic int working;        /* workers that have not finished this one */
    int started, size, hooked;
    region run;
    void *arguments;
} pool = {.sleep = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

/* A worker knows which region it was started before: those it must not join. */
typedef struct { int thread; unsigned seen; } worker_start;
static worker_start pool_starts[MAX_THREADS];

static void *pool_worker(void *start)
{
    int thread = ((worker_start *)start)->thread;
    unsigned seen = ((worker_start *)start)->seen;
    for (;;) {
        int spins = 0;
        while (atomic_load_explicit(&pool.regions, memory_order_acquire) == seen) {
            if (++spins < SPINS) { relax(); continue; }
            pthread_mutex_lock(&pool.sleep);
            while (atomic_load_explicit(&pool.regions, memory_order_acquire) == seen)
                pthread_cond_wait(&pool.wake, &pool.sleep);
            pthread_mutex_unlock(&pool.sleep);
        }
        /* a region cannot pass us by: it waits for every worker, with work or without */
        seen++;
        if (thread < pool.size) pool.run(pool.arguments, thread);
        atomic_fetch_sub_explicit(&pool.working, 1, memory_order_release);
    }
    return NULL;
}

/* A forked child has none of its parent's threads, and may have been forked in the middle of a region. */
static void pool_after_fork(void)
{
    static const pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static const pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    pool.sleep = mutex;
    pool.wake = cond;
    pool.started = 0;
    atomic_store(&pool.busy, 0);
    atomic_store(&pool.working, 0);
}

/* How many threads may run the next region, at most `wanted`: 1 if the pool is taken or no thread can be had.
 * With more than 1, the pool is ours until pool_run ends. */
static int pool_enter(int wanted)
{
    int idle = 0, limit = pool_limit;
    sigset_t all, before;
    if (limit > 0 && wanted > limit) wanted = limit;
    if (wanted <= 1 || !atomic_compare_exchange_strong(&pool.busy, &idle, 1)) return 1;
    if (wanted > MAX_THREADS) wanted = MAX_THREADS;
    if (!pool.hooked) pool.hooked = pthread_atfork(NULL, NULL, pool_after_fork) == 0;
    sigfillset(&all);           /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.hooked && pool.started < wanted - 1) {
        pthread_t thread;
        worker_start *start = &pool_starts[pool.started];
        start->thread = pool.started + 1;
        start->seen = atomic_load(&pool.regions);
        if (pthread_create(&thread, NULL, pool_worker, start) != 0) break;
        pthread_detach(thread);
        pool.started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
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
    pthread_mutex_lock(&pool.sleep);
    atomic_fetch_add_explicit(&pool.regions, 1, memory_order_release);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.sleep);
    run(arguments, 0);
    while (atomic_load_explicit(&pool.working, memory_order_acquire) > 0)
        if (++spins < SPINS) relax(); else sched_yield();
    atomic_store(&pool.busy, 0);
}
#endif

#endif
