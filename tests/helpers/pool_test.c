/* Runs regions on the pool of threads: each thread once, each piece of work once, nobody past a barrier too early.
 * tests/core/test_pool.py compiles it for this machine, tools/windows.py for Windows. */
#include <stdio.h>
#include <string.h>
#include "pool.h"

enum { PIECES = 1000, ROUNDS = 500, MOST = 8 };

typedef struct {
    thread_team team;
    _Atomic int pieces[PIECES];                 /* how often each was done */
    int members[MAX_THREADS];                   /* how often each thread was called */
    int at_barrier;                             /* pieces that were done when all had met */
} job;

static void work(void *arguments, int thread)
{
    job *j = arguments;
    int i;
    j->members[thread]++;
    while ((i = team_next(&j->team)) < PIECES) j->pieces[i]++;
    team_wait(&j->team);
    if (thread == 0) {
        for (i = 0; i < PIECES; i++) j->at_barrier += j->pieces[i];
        team_start_over(&j->team);
    }
    team_wait(&j->team);
    while ((i = team_next(&j->team)) < PIECES) j->pieces[i]++;
}

int main(void)
{
    static job j;
    int round, k, size, most = 0;
    for (round = 0; round < ROUNDS; round++) {
        size = pool_enter(1 + round % MOST);
        memset(&j, 0, sizeof j);
        j.team = new_team(size);
        pool_run(work, &j, size);
        if (size > most) most = size;
        for (k = 0; k < MAX_THREADS; k++)
            if (j.members[k] != (k < size)) {
                printf("round %d: thread %d of %d was called %d times\n", round, k, size, j.members[k]);
                return 1;
            }
        for (k = 0; k < PIECES; k++)
            if (j.pieces[k] != 2) {
                printf("round %d: piece %d was done %d times, not twice\n", round, k, j.pieces[k]);
                return 1;
            }
        if (j.at_barrier != PIECES) {
            printf("round %d: %d of %d pieces were done at the barrier\n", round, j.at_barrier, PIECES);
            return 1;
        }
    }
    fastnet_set_num_threads(2);
    size = pool_enter(MOST);
    printf("%d regions on 1 to %d threads; %d where 2 are allowed\n", ROUNDS, most, size);
    return most == MOST && size == 2 ? 0 : 1;
}
