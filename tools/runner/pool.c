/* Threads that wait for work by spinning: starting a kernel must not cost a system call, and a filter of system calls
 * may be in place. The caller is thread 0. */
#define _GNU_SOURCE
#include "tools/runner/runner.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

struct Pool {
    uint32_t threads;
    PoolWork *work;
    void *context;
    atomic_uint round, ready;
};

typedef struct Seat {
    Pool *pool;
    uint32_t number;
} Seat;

static void *thread_main(void *context)
{
    enum { SPINS = 4000 };
    const Seat seat = *(Seat *)context;
    Pool *const pool = seat.pool;
    unsigned seen = 0;
    free(context);
    atomic_fetch_add_explicit(&pool->ready, 1, memory_order_acq_rel);
    for (;;) {
        for (int spins = 0; atomic_load_explicit(&pool->round, memory_order_acquire) == seen; spins++)
            if (spins > SPINS)
                sched_yield();
        seen++;
        pool->work(pool->context, seat.number);
        atomic_fetch_add_explicit(&pool->ready, 1, memory_order_acq_rel);
    }
    return NULL;
}

Pool *pool_start(uint32_t threads)
{
    Pool *const pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->threads = threads;
    for (uint32_t i = 1; i < threads; i++) {
        Seat *const seat = malloc(sizeof *seat);
        pthread_t thread;
        if (!seat)
            return NULL;
        *seat = (Seat){pool, i};
        if (pthread_create(&thread, NULL, thread_main, seat) != 0)
            return NULL;
        pthread_detach(thread);
    }
    /* What a thread asks of the system when it starts must be over before system calls are filtered. */
    while (atomic_load_explicit(&pool->ready, memory_order_acquire) != threads - 1)
        sched_yield();
    return pool;
}

void pool_run(Pool *pool, PoolWork *work, void *context)
{
    pool->work = work;
    pool->context = context;
    atomic_store_explicit(&pool->ready, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->round, 1, memory_order_release);
    work(context, 0);
    while (atomic_load_explicit(&pool->ready, memory_order_acquire) != pool->threads - 1)
        sched_yield();
}
