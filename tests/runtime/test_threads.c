/* Results do not depend on threads, pools, delays or on how a host runs items; a dependency that is missing shows. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <unistd.h>
#include <sys/wait.h>

#include "fixture.h"
#include "runtime/internal.h"

static const lathe_api *const api = &lathe_rt_api;

static lathe_context *open_with(const Dag *dag, lathe_pool *pool, int threads)
{
    int error = 1;
    const lathe_options options = {.size = sizeof options, .threads = threads, .pool = pool};
    lathe_context *context = lathe_rt_open(&dag->model, &options, &error);
    cr_assert_not_null(context, "error %d", error);
    return context;
}

Test(threads, one_to_eight_threads_give_the_same_bits)
{
    static Dag dag;
    static const uint64_t delays[] = {0, 50000};
    int error;
    lathe_pool *pool = api->pool_open(8, &error);
    cr_assert_not_null(pool);
    for (uint64_t seed = 0; seed < 12; seed++) {
        dag_make(&dag, seed, -1);
        for (int threads = 1; threads <= 8; threads++) {
            lathe_context *context = open_with(&dag, pool, threads);
            cr_expect_eq(api->thread_count(context), threads);
            for (uint64_t run = 0; run < 12; run++) {
                atomic_store(&dag_delays, delays[run % 4 == 3]);
                cr_expect_eq(dag_run(&dag, context, run), 0, "seed %d, %d threads, run %d", (int)seed, threads, (int)run);
            }
            lathe_rt_close(context);
        }
    }
    cr_expect_eq(api->pool_close(pool), LATHE_OK);
}

Test(threads, chunks_that_wait_for_near_chunks_alone_give_the_same_bits)
{
    static Dag dag;
    static const uint64_t delays[] = {0, 50000, 300000};
    int error;
    lathe_pool *pool = api->pool_open(8, &error);
    cr_assert_not_null(pool);
    for (uint64_t seed = 0; seed < 24; seed++) {
        dag_make(&dag, seed, -1);
        dag_localize(&dag, seed + 100);
        for (int threads = 1 + (int)(seed % 2); threads <= 8; threads += 2) {
            lathe_context *context = open_with(&dag, pool, threads);
            for (uint64_t run = 0; run < 12; run++) {
                atomic_store(&dag_delays, delays[run % 4 == 3 ? 1 + seed % 2 : 0]);
                cr_expect_eq(dag_run(&dag, context, run), 0, "seed %d, %d threads, run %d", (int)seed, threads, (int)run);
            }
            lathe_rt_close(context);
        }
    }
    cr_expect_eq(api->pool_close(pool), LATHE_OK);
}

Test(threads, the_models_own_threads)
{
    static Dag dag;
    dag_make(&dag, 77, -1);
    lathe_context *two = open_with(&dag, NULL, 2);
    lathe_context *all = open_with(&dag, NULL, 0); /* the pool grows */
    cr_expect_eq(api->thread_count(all), limits_threads());
    for (uint64_t run = 0; run < 20; run++) {
        cr_expect_eq(dag_run(&dag, all, run), 0);
        cr_expect_eq(dag_run(&dag, two, run), 0);
    }
    lathe_rt_close(all);
    cr_expect_eq(dag_run(&dag, two, 3), 0, "the instance lives as long as one context");
    lathe_rt_close(two);
    cr_expect_null(dag.instance);
}

Test(threads, a_graph_that_waits_for_later_launches_is_refused)
{
    static Dag dag;
    dag_make(&dag, 78, -1);
    dag.dep_refs[0] = DAG_LAUNCHES - 1;
    int error;
    cr_expect_null(lathe_rt_open(&dag.model, NULL, &error));
    cr_expect_eq(error, LATHE_E_ABI);
}

/* --- the host's threads ------------------------------------------------------------------------------------------------------ */

static void in_order(void *pool, int n, void (*f)(void *, int), void *arg)
{
    ++*(int *)pool;
    for (int i = 0; i < n; i++)
        f(arg, i);
}

static void backwards(void *pool, int n, void (*f)(void *, int), void *arg)
{
    ++*(int *)pool;
    while (n > 0)
        f(arg, --n);
}

static void only_the_last(void *pool, int n, void (*f)(void *, int), void *arg)
{
    ++*(int *)pool;
    f(arg, n - 1);
}

static void not_at_all(void *pool, int n, void (*f)(void *, int), void *arg)
{
    ++*(int *)pool;
    (void)n, (void)f, (void)arg;
}

typedef struct Item {
    void (*f)(void *, int);
    void *arg;
    int i;
} Item;

static void *item_run(void *argument)
{
    const Item *item = argument;
    item->f(item->arg, item->i);
    return NULL;
}

static void at_once(void *pool, int n, void (*f)(void *, int), void *arg)
{
    pthread_t threads[16];
    Item items[16];
    ++*(int *)pool;
    for (int i = 0; i < n; i++) {
        items[i] = (Item){f, arg, i};
        cr_assert_eq(pthread_create(&threads[i], NULL, item_run, &items[i]), 0);
    }
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

Test(threads, any_parallel_for_finishes_the_program)
{
    static void (*const hosts[])(void *, int, void (*)(void *, int), void *) = {in_order, backwards, only_the_last, not_at_all,
                                                                               at_once};
    static Dag dag;
    for (size_t i = 0; i < COUNT(hosts); i++) {
        dag_make(&dag, 100 + i, -1);
        int calls = 0, error;
        const lathe_options options = {.size = sizeof options, .threads = 5, .parallel_for = hosts[i], .parallel_pool = &calls};
        lathe_context *context = lathe_rt_open(&dag.model, &options, &error);
        cr_assert_not_null(context);
        cr_expect_eq(api->thread_count(context), 5);
        for (uint64_t run = 0; run < 30; run++)
            cr_expect_eq(dag_run(&dag, context, run), 0, "host %d, run %d", (int)i, (int)run);
        cr_expect_eq(calls, 30);
        lathe_rt_close(context);
    }
}

/* --- sharing ------------------------------------------------------------------------------------------------------------------ */

typedef struct Caller {
    const Dag *dag;
    lathe_pool *pool;
    int number, wrong;
} Caller;

static void *caller_run(void *argument)
{
    Caller *caller = argument;
    lathe_context *context = open_with(caller->dag, caller->pool, caller->number % 2 ? 3 : 0);
    for (uint64_t run = 0; run < 40; run++)
        caller->wrong += dag_run(caller->dag, context, run * 31 + (uint64_t)caller->number) != 0;
    lathe_rt_close(context);
    return NULL;
}

Test(threads, many_contexts_of_two_models_share_one_pool)
{
    static Dag dags[2];
    int error;
    lathe_pool *pool = api->pool_open(4, &error);
    dag_make(&dags[0], 5, -1);
    dag_make(&dags[1], 6, -1);
    lathe_context *keep = open_with(&dags[0], pool, 0);
    cr_expect_eq(api->pool_close(pool), LATHE_E_STATE, "a context uses the pool");
    pthread_t threads[8];
    Caller callers[8];
    for (int i = 0; i < 8; i++) {
        callers[i] = (Caller){&dags[i % 2], i < 6 ? pool : NULL, i, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, caller_run, &callers[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(callers[i].wrong, 0, "caller %d", i);
    }
    cr_expect_eq(dag_run(&dags[0], keep, 1), 0);
    lathe_rt_close(keep);
    cr_expect_eq(api->pool_close(pool), LATHE_OK);
    cr_expect_null(dags[0].instance);
    cr_expect_null(dags[1].instance);
}

Test(threads, more_contexts_than_a_pool_has_places_for)
{
    static Dag dag;
    static lathe_context *contexts[300];
    int error;
    lathe_pool *pool = api->pool_open(3, &error);
    dag_make(&dag, 9, -1);
    for (size_t i = 0; i < COUNT(contexts); i++)
        contexts[i] = open_with(&dag, pool, 0);
    for (size_t i = 0; i < COUNT(contexts); i++)
        cr_expect_eq(dag_run(&dag, contexts[i], i), 0);
    for (size_t i = 0; i < COUNT(contexts); i++)
        lathe_rt_close(contexts[i]);
    cr_expect_eq(api->pool_close(pool), LATHE_OK);
}

Test(threads, the_child_of_a_fork_runs_alone_and_closes)
{
    static Dag dag;
    dag_make(&dag, 10, -1);
    int error;
    lathe_pool *pool = api->pool_open(3, &error);
    lathe_context *context = open_with(&dag, pool, 0);
    cr_expect_eq(dag_run(&dag, context, 1), 0);
    const pid_t child = fork();
    if (child == 0) {
        const int wrong = dag_run(&dag, context, 2);
        lathe_rt_close(context);
        _exit(wrong != 0 || api->pool_close(pool) != LATHE_OK);
    }
    int status = -1;
    waitpid(child, &status, 0);
    cr_expect_eq(status, 0);
    lathe_rt_close(context);
    cr_expect_eq(api->pool_close(pool), LATHE_OK);
}

/* --- run numbers that wrap ------------------------------------------------------------------------------------------------------ */

Test(threads, run_numbers_may_wrap_around_their_words)
{
    static Dag dag;
    dag_make(&dag, 12, -1);
    int error;
    lathe_pool *pool = api->pool_open(4, &error);
    lathe_context *context = open_with(&dag, pool, 0);
    Plan *plan = &context->plans[0];
    const uint64_t before_wrap = (UINT64_C(1) << 30) - 5; /* words hold 30 bits of the run */
    atomic_store(&plan->run, before_wrap);
    for (size_t i = 0; i < (size_t)DAG_LAUNCHES * 4 * LINE_WORDS; i++)
        atomic_store(&plan->words[i], (uint32_t)before_wrap * 4 + 3);
    for (uint64_t run = 0; run < 20; run++)
        cr_expect_eq(dag_run(&dag, context, run), 0, "run %d", (int)run);
    lathe_rt_close(context);
    api->pool_close(pool);
}

/* --- missing dependencies ------------------------------------------------------------------------------------------------------- */

/* Does an output depend on what the launch writes? */
static bool dag_matters(const Dag *dag, int launch)
{
    bool matters[DAG_LAUNCHES] = {[DAG_LAUNCHES / 2] = true, [DAG_LAUNCHES - 1] = true};
    for (int i = DAG_LAUNCHES - 1; i > launch; i--)
        for (int s = 0; matters[i] && s < dag->source_count[i]; s++)
            if (dag->sources[i][s] >= 0)
                matters[dag->sources[i][s]] = true;
    return matters[launch];
}

/* One launch of the graph does not wait for what it reads: with delays, some run must come out wrong. That shows that the tests
 * above can fail. The launch must be cut into chunks and must read a launch that is, else joining hides the fault. */
Test(threads, a_dropped_dependency_is_caught)
{
    static Dag dag;
    int error, caught = 0, tried = 0;
    lathe_pool *pool = api->pool_open(4, &error);
    atomic_store(&dag_delays, 2000000);
    for (uint64_t seed = 0; seed < 200 && tried < 3; seed++) {
        dag_make(&dag, seed, -1);
        int without = -1;
        for (int i = 2; i < DAG_LAUNCHES && without < 0; i++)
            if (dag.values[dag.launches[i].work_value] >= 17000 && dag.sources[i][0] == i - 1 &&
                dag.values[dag.launches[i - 1].work_value] >= 17000 && dag_matters(&dag, i))
                without = i;
        if (without < 0)
            continue;
        tried++;
        dag_make(&dag, seed, without);
        lathe_context *context = open_with(&dag, pool, 0);
        int wrong = 0;
        for (uint64_t run = 0; run < 200 && !wrong; run++)
            wrong = dag_run(&dag, context, run) != 0;
        caught += wrong;
        lathe_rt_close(context);
    }
    cr_expect_eq(tried, 3);
    cr_expect_eq(caught, 3);
    api->pool_close(pool);
}

/* --- a walker that has lost its core ---------------------------------------------------------------------------------------------- */

enum { HELD_LAUNCHES = 4, HELD_NS = 20000000 };

static _Atomic bool held_is_free; /* the last launch has run its first unit */
static _Atomic bool held_was_freed;

/* Unit 1 of the first launch takes until unit 0 of the last one has run, or (it should not) very long. */
static void held_kernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    (void)buffers, (void)scratch, (void)error;
    if (dims[0] == HELD_LAUNCHES - 1 && begin == 0)
        atomic_store(&held_is_free, true);
    if (dims[0] != 0 || end != 2)
        return;
    const uint64_t give_up = clock_ns() + UINT64_C(500) * HELD_NS;
    while (!atomic_load(&held_is_free) && clock_ns() < give_up)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    atomic_store(&held_was_freed, atomic_load(&held_is_free));
}

Test(threads, a_chunk_that_takes_long_does_not_hold_up_later_launches_that_do_not_need_it)
{
    /* Four launches of two units; unit u waits for unit u of the launch before. */
    static lathe_kernel *const kernels[] = {held_kernel};
    static const lathe_level levels[] = {{"x86-64", 0, kernels, 0}};
    static const int64_t values[] = {2, HELD_NS, 0, 1, 2, 3};
    static const uint32_t numbers[] = {2, 3, 4, 5}, deps[] = {0, 1, 2};
    static const lathe_range same[] = {{1, -1, 0}, {1, -1, 0}, {1, -1, 0}};
    static lathe_launch launches[HELD_LAUNCHES];
    static void *instance;
    for (uint32_t i = 0; i < HELD_LAUNCHES; i++)
        launches[i] = (lathe_launch){.dims_first = i, .dims_count = 1, .deps_first = i - (i > 0), .deps_count = i > 0, .work_value = 1};
    const lathe_program program = {.abi = LATHE_RUNTIME_ABI, .value_count = COUNT(values), .launch_count = HELD_LAUNCHES,
                                   .level_count = 1, .kernel_count = 1, .dep_count = COUNT(deps), .name = "held", .values = values,
                                   .launches = launches, .value_refs = numbers, .dep_refs = deps, .dep_ranges = same,
                                   .levels = levels};
    const Dag model = {.model = {.size = sizeof model.model, .abi = LATHE_MODEL_ABI, .api = &lathe_rt_api, .program = &program,
                                 .instance = &instance}};
    int error;
    lathe_pool *pool = api->pool_open(2, &error);
    lathe_context *context = open_with(&model, pool, 2);
    for (int run = 0; run < 5; run++) {
        atomic_store(&held_is_free, false);
        cr_expect_eq(lathe_rt_run(context, NULL, NULL, NULL), LATHE_OK);
        cr_expect(atomic_load(&held_was_freed), "run %d", run);
    }
    lathe_rt_close(context);
    api->pool_close(pool);
}

/* --- errors in parallel ----------------------------------------------------------------------------------------------------------- */

static void refusing_kernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    dag_kernel(buffers, dims, begin, end, scratch, error);
    if (begin <= 3 && 3 < end && ((const uint64_t *)buffers[1])[0] == 42)
        *error = LATHE_E_INDEX;
}

Test(threads, an_error_in_one_chunk_ends_the_run_and_is_forgotten)
{
    static Dag dag;
    dag_make(&dag, 3, -1);
    dag.kernel = refusing_kernel;
    int error;
    lathe_pool *pool = api->pool_open(4, &error);
    lathe_context *context = open_with(&dag, pool, 0);
    uint64_t x[DAG_CELLS] = {42}, y[DAG_CELLS], z[DAG_CELLS];
    const void *inputs[] = {x};
    void *outputs[] = {y, z};
    for (uint64_t run = 0; run < 50; run++) {
        cr_expect_eq(lathe_rt_run(context, inputs, outputs, NULL), LATHE_E_INDEX);
        cr_expect_str_eq(api->error_text(context), "node 'n': an index is out of range");
        cr_expect_eq(dag_run(&dag, context, run), 0);
    }
    lathe_rt_close(context);
    api->pool_close(pool);
}

Test(threads, profiles_see_every_launch)
{
    static Dag dag;
    dag_make(&dag, 4, -1);
    int error;
    lathe_pool *pool = api->pool_open(4, &error);
    lathe_context *context = open_with(&dag, pool, 0);
    cr_expect_eq(api->profile(context, 1), LATHE_OK);
    for (uint64_t run = 0; run < 7; run++)
        cr_expect_eq(dag_run(&dag, context, run), 0);
    for (int i = 0; i < DAG_LAUNCHES; i++) {
        lathe_launch_info info = {.size = sizeof info};
        cr_expect_eq(api->launch_info(context, i, &info), LATHE_OK);
        cr_expect_eq(info.runs, 7);
        cr_expect_gt(info.busy_ns, 0);
        cr_expect_gt(info.wall_ns, 0);
    }
    lathe_rt_close(context);
    api->pool_close(pool);
}

/* A tick that was found is less than a period away, and is not looked for again before it is near. */
Test(threads, the_next_tick_is_less_than_a_period_away)
{
    Tick tick = {0};
    for (int i = 0; i < 20000; i++) {
        tick_pass(&tick);
        cr_assert_gt(tick.period, 0);
        cr_assert_leq(tick.look, tick.seen + 2 * tick.period);
        cr_assert_geq(tick.seen, tick.since);
        cr_assert_lt(tick.age, UINT64_C(4) * tick.period);
    }
    const uint64_t look = tick.look, age = tick.age;
    tick.look = UINT64_MAX;
    tick_pass(&tick);
    cr_assert_eq(tick.age, age);
    cr_assert_gt(look, 0);
}
