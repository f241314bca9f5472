/* codegen_threads: compiled models give the same bits with any number of threads, with the host's own loop in any
 * order, and from many threads at once.
 *
 *     codegen_threads MODEL.so ...
 *
 * Each model runs with the runtime inside of its library and with the one that this program is linked with; under ThreadSanitizer only
 * with the latter, which is instrumented (kernels are not, what they do is ordered by the runtime). */
#define _GNU_SOURCE
#include "runtime/lathe_runtime.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS = 64, CALLERS = 8, RUNS = 3, SYMBOL = 3 };

typedef struct Run {
    const lathe_model_v1 *model;
    const lathe_api *api;
    const char *path;
    int64_t symbols[TENSORS];
    void *inputs[TENSORS], *expected[TENSORS];
    size_t output_bytes[TENSORS];
    int code;
} Run;

static _Atomic int failures;

static size_t bytes_of(const lathe_tensor_info *tensor, const int64_t *dims)
{
    size_t elements = 1;
    for (int i = 0; i < tensor->rank; i++)
        elements *= dims[i] < 0 ? SYMBOL : (size_t)dims[i];
    return (elements * (size_t)tensor->bits + 7) / 8;
}

/* Floats between -1 and 1, integers 0 or 1: indices of nearly everything. */
static void fill(const lathe_tensor_info *tensor, void *data, size_t bytes)
{
    static const int float_types[] = {1, 10, 11, 16};
    uint32_t state = 12345;
    unsigned char *const to = data;
    const size_t size = tensor->bits < 8 ? 1 : (size_t)tensor->bits / 8;
    for (size_t at = 0; at + size <= bytes; at += size) {
        state = state * 1664525u + 1013904223u;
        const float narrow = (float)(int32_t)state * 0x1p-31f;
        const double wide = narrow;
        const uint64_t small = state >> 31, half = tensor->dtype == 10 ? 0x3800 : 0x3f00;
        const void *from = &small;
        for (size_t i = 0; i < sizeof float_types / sizeof *float_types; i++)
            if (tensor->dtype == float_types[i])
                from = tensor->dtype == 1    ? (const void *)&narrow
                       : tensor->dtype == 11 ? (const void *)&wide
                                             : (const void *)&half;
        memcpy(to + at, from, size);
    }
}

static void open_outputs(const Run *run, void **outputs)
{
    for (uint32_t i = 0; i < run->model->output_count; i++)
        outputs[i] = calloc(1, run->output_bytes[i] + 64);
}

static int run_once(const Run *run, lathe_context *context, void **outputs)
{
    return run->api->run(context, (const void *const *)run->inputs, outputs, run->symbols);
}

static void check(const Run *run, const lathe_options *options, const char *what, int number)
{
    void *outputs[TENSORS];
    int error = 0;
    lathe_context *const context = run->api->open(run->model, options, &error);
    open_outputs(run, outputs);
    for (int i = 0; i < RUNS && context; i++) {
        const int code = run_once(run, context, outputs);
        bool same = code == run->code;
        for (uint32_t j = 0; j < run->model->output_count && same && code == LATHE_OK; j++)
            same = memcmp(outputs[j], run->expected[j], run->output_bytes[j]) == 0;
        if (same)
            continue;
        printf("FAIL %s: %s %d: %s\n", run->path, what, number,
               code == run->code ? "other bits than with one thread" : run->api->code_text(code));
        failures++;
        break;
    }
    if (!context) {
        printf("FAIL %s: %s %d: %s\n", run->path, what, number, run->api->code_text(error));
        failures++;
    }
    for (uint32_t i = 0; i < run->model->output_count; i++)
        free(outputs[i]);
    if (context)
        run->api->close(context);
}

/* The host's loop, backwards when `pool` says so. */
static void sequential(void *pool, int n, void (*f)(void *arg, int i), void *arg)
{
    for (int i = 0; i < n; i++)
        f(arg, pool ? n - 1 - i : i);
}

static void *caller(void *argument)
{
    const lathe_options options = {.size = sizeof options, .threads = 2};
    check(argument, &options, "callers at once", CALLERS);
    return NULL;
}

static int start(Run *run)
{
    const lathe_options one = {.size = sizeof one, .threads = 1};
    int error = 0;
    for (uint32_t i = 0; i < run->model->symbol_count; i++)
        run->symbols[i] = SYMBOL;
    for (uint32_t i = 0; i < run->model->input_count; i++) {
        const size_t bytes = bytes_of(&run->model->inputs[i], run->model->inputs[i].dims);
        run->inputs[i] = calloc(1, bytes + 64);
        fill(&run->model->inputs[i], run->inputs[i], bytes);
    }
    for (uint32_t i = 0; i < run->model->symbol_count; i++) {
        const lathe_symbol *const symbol = &run->model->symbols[i];
        const size_t size = (size_t)run->model->inputs[symbol->input].bits / 8;
        if (symbol->element)
            memcpy((char *)run->inputs[symbol->input] + symbol->position * size, &run->symbols[i], size);
    }
    lathe_context *const context = run->api->open(run->model, &one, &error);
    if (!context)
        return error;
    for (uint32_t i = 0; i < run->model->output_count; i++) {
        int64_t dims[TENSORS];
        if (run->api->output_dims(context, run->symbols, (int)i, dims) == LATHE_OK)
            run->output_bytes[i] = bytes_of(&run->model->outputs[i], dims);
    }
    open_outputs(run, run->expected);
    run->code = run_once(run, context, run->expected);
    run->api->close(context);
    return run->code;
}

static void check_all(Run *run)
{
    static const int threads[] = {1, 2, 3, 4, 0};
    const int code = start(run);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        check(run, &(lathe_options){.size = sizeof(lathe_options), .threads = threads[i]}, "threads", threads[i]);
    for (int backwards = 0; backwards < 2; backwards++)
        check(run,
              &(lathe_options){.size = sizeof(lathe_options),
                               .threads = 4,
                               .parallel_for = sequential,
                               .parallel_pool = backwards ? run : NULL},
              "the host's loop", backwards);
    pthread_t callers[CALLERS];
    for (int i = 0; i < CALLERS; i++)
        if (pthread_create(&callers[i], NULL, caller, run) != 0)
            exit(2);
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    printf("%s: %s\n", run->path, run->api->code_text(code));
    for (int i = 0; i < TENSORS; i++) {
        free(run->inputs[i]);
        free(run->expected[i]);
    }
}

int main(int count, char **paths)
{
    for (int i = 1; i < count; i++) {
        void *const library = dlopen(paths[i], RTLD_NOW | RTLD_LOCAL);
        const lathe_model_v1 *const model = library ? dlsym(library, "lathe_model_v1") : NULL;
        if (!model || model->input_count > TENSORS || model->output_count > TENSORS || model->symbol_count > TENSORS) {
            printf("FAIL %s: %s\n", paths[i], model ? "too many tensors" : dlerror());
            return 1;
        }
#ifndef __SANITIZE_THREAD__ /* the runtime inside the library is not instrumented: its atomics order nothing for ThreadSanitizer */
        check_all(&(Run){.model = model, .api = model->api, .path = paths[i]});
#endif
        void *instance = NULL;
        lathe_model_v1 copy = *model; /* for the runtime of this program */
        copy.api = &lathe_rt_api;
        copy.instance = &instance;
        check_all(&(Run){.model = &copy, .api = &lathe_rt_api, .path = paths[i]});
    }
    return atomic_load(&failures) != 0;
}
