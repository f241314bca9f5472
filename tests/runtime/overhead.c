/* Prints what a launch costs beyond its work: a chain of launches, each of which waits for the whole one before.
 * Usage: runtime_overhead [seconds]. Work is counted per thread: at 4 threads a launch of 5 us has 20 us of work in all. */
#include <stdio.h>

#include "fixture.h"
#include "runtime/internal.h"

enum { LAUNCHES = 200, UNITS = 64 };

static double loops_per_ns;

static void spin(int64_t loops)
{
    uint64_t x = 1;
    for (int64_t i = 0; i < loops; i++)
        __asm__ volatile("imul %0, %0" : "+r"(x));
}

/* dims: loops per unit */
static void chain_kernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    (void)buffers, (void)scratch, (void)error;
    spin((end - begin) * dims[0]);
}

typedef struct Chain {
    lathe_program program;
    lathe_model_v1 model;
    void *instance;
    lathe_level level;
    lathe_kernel *kernel;
    lathe_launch launches[LAUNCHES];
    uint32_t deps[LAUNCHES];
    int64_t values[3];
    uint32_t value_refs[1];
} Chain;

static void chain_make(Chain *chain, int threads, int64_t work_ns)
{
    *chain = (Chain){.kernel = chain_kernel, .values = {UNITS, (int64_t)((double)(work_ns * threads) * loops_per_ns / UNITS),
                                                        work_ns * threads}, .value_refs = {1}};
    for (uint32_t i = 0; i < LAUNCHES; i++) {
        chain->deps[i] = i - 1;
        chain->launches[i] = (lathe_launch){.dims_count = 1, .deps_first = i, .deps_count = i > 0, .work_value = 2};
    }
    chain->level = (lathe_level){"x86-64", 0, &chain->kernel, 0};
    chain->program = (lathe_program){.abi = LATHE_RUNTIME_ABI, .value_count = 3, .launch_count = LAUNCHES, .level_count = 1,
                                     .kernel_count = 1, .name = "chain", .values = chain->values, .launches = chain->launches,
                                     .value_refs = chain->value_refs, .dep_refs = chain->deps, .levels = &chain->level};
    chain->model = (lathe_model_v1){.size = sizeof chain->model, .abi = LATHE_MODEL_ABI, .api = &lathe_rt_api,
                                    .program = &chain->program, .instance = &chain->instance};
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void chain_measure(int threads, int64_t work_ns, double seconds)
{
    enum { MOST = 4000 };
    static Chain chain;
    static double overheads[MOST];
    chain_make(&chain, threads, work_ns);
    int error, count = 0;
    const lathe_options options = {.size = sizeof options, .threads = threads};
    lathe_context *context = lathe_rt_open(&chain.model, &options, &error);
    const double alone = (double)chain.values[1] * UNITS / (double)threads / loops_per_ns; /* ns of work per thread */
    const uint64_t end = clock_ns() + (uint64_t)(seconds * 1e9);
    while (count < MOST && clock_ns() < end) {
        const uint64_t start = clock_ns();
        lathe_rt_run(context, NULL, NULL, NULL);
        overheads[count++] = (double)(clock_ns() - start) / LAUNCHES - alone;
    }
    lathe_rt_close(context);
    qsort(overheads, (size_t)count, sizeof *overheads, compare);
    printf("%d threads  %2d us  overhead per launch: tenth %7.3f  median %7.3f us  (%d runs)\n", threads, (int)(work_ns / 1000),
           overheads[count / 10] / 1000, overheads[count / 2] / 1000, count);
}

int main(int argc, char **argv)
{
    static const int threads[] = {1, 2, 4};
    static const int64_t works[] = {0, 2000, 5000, 20000};
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 200; i++) {
        const uint64_t start = clock_ns();
        spin(100000);
        const uint64_t took = clock_ns() - start;
        best = took < best ? took : best;
    }
    loops_per_ns = 100000.0 / (double)best;
    for (size_t t = 0; t < COUNT(threads); t++)
        for (size_t w = 0; w < COUNT(works); w++)
            chain_measure(threads[t], works[w], argc > 1 ? atof(argv[1]) : 1.0);
    return 0;
}
