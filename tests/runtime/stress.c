/* Many contexts in many threads over one pool, own pools and plain threads, with random delays: a program without a test framework,
 * so that it can run under ThreadSanitizer. Every result is compared with what the graph means. */
#include "script_models.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 8, CONTEXTS = 8, RUNS = 12 };

static Dag dags[2];
static _Atomic int failures;
static lathe_pool *shared;
static Scripted turns;

/* Every fourth context is of a model with a script. */
static bool has_turns(uint64_t i)
{
    return i % 4 == 3;
}

static void *caller(void *argument)
{
    const uint64_t number = (uint64_t)(uintptr_t)argument;
    const Dag *dag = &dags[number % 2];
    lathe_context *contexts[CONTEXTS] = {NULL};
    for (uint64_t i = 0; i < CONTEXTS; i++) {
        lathe_options options = {.size = sizeof options, .threads = (int32_t)(1 + (number + i) % 5)};
        if (i % 3 != 0)
            options.pool = shared;
        int error;
        contexts[i] = lathe_rt_open(has_turns(i) ? &turns.model : &dag->model, &options, &error);
        if (contexts[i] == NULL)
            failures++;
    }
    for (uint64_t run = 0; run < RUNS; run++)
        for (uint64_t i = 0; i < CONTEXTS; i++) {
            if (run % 5 == i % 5)
                (has_turns(i) ? &lathe_rt_script_api : &lathe_rt_api)->profile(contexts[i], run % 2 == 0);
            if (contexts[i] == NULL)
                continue;
            if (has_turns(i) ? turns_run(contexts[i], 300 + (int64_t)(run * 50), (int64_t)run % 6) : dag_run(dag, contexts[i], number * 64 + run + i))
                failures++;
        }
    for (uint64_t i = 0; i < CONTEXTS; i++)
        lathe_rt_close(contexts[i]);
    return NULL;
}

int main(void)
{
    static const uint64_t delays[] = {0, 30000};
    dag_make(&dags[0], 1, -1);
    dag_make(&dags[1], 2, -1);
    dag_localize(&dags[1], 3);
    turns_make(&turns);
    for (size_t round = 0; round < COUNT(delays); round++) {
        pthread_t threads[THREADS];
        int error;
        atomic_store(&dag_delays, delays[round]);
        shared = lathe_rt_api.pool_open(4, &error);
        for (uintptr_t i = 0; i < THREADS; i++)
            if (pthread_create(&threads[i], NULL, caller, (void *)i) != 0)
                return 2;
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        if (lathe_rt_api.pool_close(shared) != LATHE_OK || dags[0].instance != NULL || dags[1].instance != NULL || turns.instance != NULL)
            failures++;
    }
    printf("%d failures\n", atomic_load(&failures));
    return atomic_load(&failures) != 0;
}
