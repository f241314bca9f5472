/* Memory: runs of a static model take none, every failed allocation is a clean error, nothing leaks. */
#include <criterion/criterion.h>
#include <errno.h>

#include "script_models.h"
#include "symbolic.h"

/* The program's own malloc stands before libc's: it counts, and fails when asked to. Sanitizers have theirs. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTING 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define COUNTING 0
#endif
#endif
#ifndef COUNTING
#define COUNTING 1
#endif

#if COUNTING
static _Atomic int64_t allocations, live, fail_from, fail_to;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

static int refused(void)
{
    const int64_t number = atomic_fetch_add(&allocations, 1) + 1;
    if (number >= atomic_load(&fail_from) && number < atomic_load(&fail_to))
        return 1;
    atomic_fetch_add(&live, 1);
    return 0;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
    return refused() ? NULL : __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
    return refused() ? NULL : __libc_calloc(count, size);
}

__attribute__((visibility("default"))) int posix_memalign(void **memory, size_t alignment, size_t size)
{
    *memory = refused() ? NULL : __libc_memalign(alignment, size);
    return *memory == NULL ? ENOMEM : 0;
}

__attribute__((visibility("default"))) void free(void *memory)
{
    if (memory != NULL)
        atomic_fetch_sub(&live, 1);
    __libc_free(memory);
}

Test(memory, runs_of_a_static_model_take_none)
{
    static Dag dag;
    int error;
    dag_make(&dag, 21, -1);
    lathe_pool *pool = lathe_rt_api.pool_open(4, &error);
    for (int threads = 1; threads <= 4; threads++) {
        const lathe_options options = {.size = sizeof options, .threads = threads, .pool = pool};
        lathe_context *context = lathe_rt_open(&dag.model, &options, &error);
        const int64_t before = atomic_load(&allocations);
        int wrong = 0;
        for (uint64_t run = 0; run < 50; run++)
            wrong += dag_run(&dag, context, run) != 0;
        cr_expect_eq(atomic_load(&allocations), before);
        cr_expect_eq(wrong, 0);
        lathe_rt_close(context);
    }
    lathe_rt_api.pool_close(pool);
}

Test(memory, shapes_that_come_again_take_none)
{
    int error;
    lathe_context *context = lathe_rt_open(&symbolic_model, NULL, &error);
    for (int64_t batch = 4; batch > 0; batch--)
        cr_expect_eq(symbolic_run(context, batch, 0, 0), 0);
    const int64_t before = atomic_load(&allocations);
    int wrong = 0;
    for (int run = 0; run < 100; run++)
        wrong += symbolic_run(context, 1 + run % 4, 0, 0) != 0;
    cr_expect_eq(atomic_load(&allocations), before);
    cr_expect_eq(wrong, 0);
    lathe_rt_close(context);
}

/* Opens, runs and profiles both models; 0 when everything that was not refused is right. Only MEMORY may be the reason. */
static int everything(const Dag *dag, int threads)
{
    const lathe_options options = {.size = sizeof options, .threads = threads};
    int error = 0, wrong = 0;
    lathe_context *context = lathe_rt_open(&dag->model, &options, &error);
    wrong |= context == NULL ? error != LATHE_E_MEMORY : dag_run(dag, context, 5) != 0;
    if (context != NULL) {
        const int code = lathe_rt_api.profile(context, 1);
        wrong |= code != LATHE_OK && code != LATHE_E_MEMORY;
        wrong |= dag_run(dag, context, 6) != 0;
    }
    lathe_rt_close(context);
    context = lathe_rt_open(&symbolic_model, &options, &error);
    wrong |= context == NULL && error != LATHE_E_MEMORY;
    for (int64_t batch = 1; context != NULL && batch < 20; batch += 6) {
        const int code = symbolic_run(context, batch, 3, 0);
        wrong |= code != 0 && code != LATHE_E_MEMORY;
    }
    if (context != NULL) { /* with memory again, all is well again */
        atomic_store(&fail_to, 0);
        wrong |= symbolic_run(context, 17, 3, 0) != 0;
    }
    lathe_rt_close(context);
    const int64_t elements = lathe_rt_output_elements(&symbolic_model, (int64_t[]){7, 4}, 0);
    return wrong || (elements != 33 && elements != LATHE_E_MEMORY);
}

Test(memory, every_allocation_may_fail_once_or_for_good)
{
    static Dag dag;
    dag_make(&dag, 22, -1);
    cr_assert_eq(everything(&dag, 2), 0);
    for (int good = 0; good < 2; good++)
        for (int threads = 1; threads <= 2; threads++) {
            int64_t n = 1;
            for (int done = 0; !done; n++) {
                const int64_t kept = atomic_load(&live), first = atomic_load(&allocations) + n;
                atomic_store(&fail_to, good ? INT64_MAX : first + 1);
                atomic_store(&fail_from, first);
                const int wrong = everything(&dag, threads);
                atomic_store(&fail_to, 0);
                done = atomic_load(&allocations) < first;
                const int64_t left = atomic_load(&live) - kept;
                cr_assert_eq(wrong, 0, "allocation %d, threads %d", (int)n, threads);
                cr_assert_eq(left, 0, "allocation %d, threads %d: %d leaked", (int)n, threads, (int)left);
                cr_assert_null(dag.instance);
                cr_assert_null(symbolic_instance);
            }
            cr_expect_gt(n, 8);
        }
}

/* --- scripts ---------------------------------------------------------------------------------------------------------------- */

/* A loop with `trips` iterations that fills a list; 0: right. */
static int list_run(lathe_context *context, int64_t trips)
{
    float x[] = {1, 2, 3};
    int64_t n = 3, last = -1;
    lathe_value outputs[4];
    const lathe_value inputs[] = {script_floats(x, &n), script_integer(&trips), script_integer(&last)};
    const int code = lathe_rt_script_api.run_values(context, inputs, 3, outputs, 4);
    if (code != LATHE_OK)
        return code;
    const float *item = outputs[2].tensor.data;
    const float sum = (float)(trips * (trips - 1) / 2);
    return outputs[0].count != trips || *(const int64_t *)outputs[1].tensor.data != trips || item[0] != 1 + sum || item[2] != 3 + sum;
}

Test(memory, runs_of_a_script_that_come_again_take_none)
{
    static Scripted model;
    int error;
    list_make(&model);
    lathe_context *context = lathe_rt_open(&model.model, &(lathe_options){.size = sizeof(lathe_options), .threads = 1}, &error);
    cr_assert_eq(list_run(context, 9), 0);
    cr_assert_eq(list_run(context, 9), 0);
    const int64_t before = atomic_load(&allocations);
    int wrong = 0;
    for (int run = 0; run < 50; run++)
        wrong += list_run(context, 9) != 0;
    cr_expect_leq(atomic_load(&allocations) - before, 50); /* the array of pointers to the inputs */
    cr_expect_eq(wrong, 0);
    lathe_rt_close(context);
}

static int script_everything(const Scripted *model, int threads)
{
    int error = 0, wrong = 0;
    lathe_context *context = lathe_rt_open(&model->model, &(lathe_options){.size = sizeof(lathe_options), .threads = threads}, &error);
    if (context == NULL)
        return error != LATHE_E_MEMORY;
    for (int64_t trips = 1; trips < 12; trips += 5) {
        const int code = list_run(context, trips);
        wrong |= code != 0 && code != LATHE_E_MEMORY;
    }
    atomic_store(&fail_to, 0);
    wrong |= list_run(context, 12) != 0;
    lathe_rt_close(context);
    return wrong;
}

Test(memory, every_allocation_of_a_script_may_fail)
{
    static Scripted model;
    list_make(&model);
    cr_assert_eq(script_everything(&model, 2), 0);
    for (int good = 0; good < 2; good++) {
        int64_t n = 1;
        for (int done = 0; !done; n++) {
            const int64_t kept = atomic_load(&live), first = atomic_load(&allocations) + n;
            atomic_store(&fail_to, good ? INT64_MAX : first + 1);
            atomic_store(&fail_from, first);
            const int wrong = script_everything(&model, 1 + (int)(n & 1));
            atomic_store(&fail_to, 0);
            done = atomic_load(&allocations) < first;
            cr_assert_eq(wrong, 0, "allocation %d", (int)n);
            cr_assert_eq(atomic_load(&live), kept, "allocation %d: %d leaked", (int)n, (int)(atomic_load(&live) - kept));
            cr_assert_null(model.instance);
        }
        cr_expect_gt(n, 20);
    }
}
#else
Test(memory, open_and_close_leave_nothing)
{
    int error;
    lathe_context *context = lathe_rt_open(&symbolic_model, NULL, &error);
    cr_expect_eq(symbolic_run(context, 3, 0, 0), 0);
    lathe_rt_close(context);
    cr_expect_null(symbolic_instance);
}
#endif
