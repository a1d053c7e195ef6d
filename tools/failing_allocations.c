/* An interposer for LD_PRELOAD that lets the n-th allocation of some modules fail.
 *
 * Counted are calls of malloc, calloc, realloc, mmap and pthread_create whose caller lies in a shared library with
 * "fastnet/_core" in its path. (Where an allocation of NumPy's own fails, NumPy may crash: a ufunc of NumPy 2.4 did.)
 * failing_allocations.py drives it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

static long left = 0;  /* allocations until the one that fails; 0: none will */
static long failed = 0;
static __thread int inside = 0;  /* dladdr may allocate */

void fail_allocation(long n) { failed = 0; __atomic_store_n(&left, n, __ATOMIC_SEQ_CST); }
long failed_allocations(void) { return failed; }

static int fails(void *caller) {
    Dl_info info;
    if (__atomic_load_n(&left, __ATOMIC_RELAXED) <= 0 || inside) return 0;
    inside = 1;
    int counted = dladdr(caller, &info) && info.dli_fname &&
        strstr(info.dli_fname, "fastnet/_core");
    inside = 0;
    if (!counted || __atomic_sub_fetch(&left, 1, __ATOMIC_SEQ_CST) != 0) return 0;
    failed++;
    errno = ENOMEM;
    return 1;
}

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

void *malloc(size_t n) { return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n); }

void *mmap(void *start, size_t size, int protection, int flags, int file, off_t offset) {
    static void *(*next)(void *, size_t, int, int, int, off_t);
    if (fails(__builtin_return_address(0))) return MAP_FAILED;
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "mmap");
    return next(start, size, protection, flags, file, offset);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (fails(__builtin_return_address(0))) return EAGAIN;
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    return next(thread, attributes, run, argument);
}
