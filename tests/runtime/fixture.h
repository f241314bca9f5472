/* Programs written by hand, as codegen would write them, with kernels in C. */
#ifndef LATHE_TEST_RUNTIME_FIXTURE_H
#define LATHE_TEST_RUNTIME_FIXTURE_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/lathe_runtime.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* --- y = 2 x + w, one launch, static: float x[4,16], w[4,16] of weights, y[4,16]; 4 units of a row ---------------------------- */

static inline void affine_kernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    const float *x = buffers[0], *w = buffers[1];
    float *y = buffers[2];
    (void)scratch, (void)error;
    for (int64_t i = begin * dims[0]; i < end * dims[0]; i++)
        y[i] = 2.0f * x[i] + w[i];
}

static const float affine_weights[64] = {[0] = 1.0f, [17] = -3.0f, [63] = 0.5f};
static const int64_t affine_values[] = {4, 16, 256, 1000, 128}; /* rows (units too), columns, bytes, work, flops */
static const uint32_t affine_value_refs[] = {0, 1, 1};
static const uint32_t affine_buffer_refs[] = {0, 1, 2};
static const int64_t affine_dims[] = {4, 16};
static const lathe_buffer affine_buffers[] = {{LATHE_PLACE_INPUT, 0, 0}, {LATHE_PLACE_WEIGHTS, 0, 0}, {LATHE_PLACE_OUTPUT, 0, 0}};
static const lathe_tensor_info affine_inputs[] = {{"x", 1, 32, 2, 0, affine_dims, NULL, 0, 2}};
static const lathe_tensor_info affine_outputs[] = {{"y", 1, 32, 2, 0, affine_dims, NULL, 0, 2}};
static const lathe_launch affine_launches[] = {{.buffers_count = 3, .dims_first = 2, .dims_count = 1, .work_value = 3,
                                                .flops_value = 4, .bytes_value = 2, .name = "Mul_0+Add_1", .kernel_name = "k0"}};
static lathe_kernel *const affine_kernels[] = {affine_kernel};
static const lathe_level affine_levels[] = {{"x86-64", 0, affine_kernels, 0}};
static const char *const affine_level_names[] = {"x86-64"};

static const lathe_program affine_program = {
    .abi = LATHE_RUNTIME_ABI, .input_count = 1, .output_count = 1, .value_count = 5, .buffer_count = 3, .launch_count = 1,
    .level_count = 1, .kernel_count = 1, .name = "affine", .tool = "test", .sha256 = "", .inputs = affine_inputs,
    .outputs = affine_outputs, .values = affine_values, .buffers = affine_buffers, .launches = affine_launches,
    .buffer_refs = affine_buffer_refs, .value_refs = affine_value_refs, .levels = affine_levels, .weights = affine_weights,
    .weights_bytes = sizeof affine_weights,
};
static void *affine_instance;
static const lathe_model_v1 affine_model = {
    .size = sizeof affine_model, .abi = LATHE_MODEL_ABI, .name = "affine", .tool = "test", .sha256 = "", .input_count = 1,
    .output_count = 1, .launch_count = 1, .level_count = 1, .inputs = affine_inputs, .outputs = affine_outputs,
    .level_names = affine_level_names, .weights_bytes = sizeof affine_weights, .api = &lathe_rt_api, .program = &affine_program,
    .instance = &affine_instance,
};

/* --- random graphs of launches that read whole results of earlier ones -------------------------------------------------------- */

enum { DAG_LAUNCHES = 48, DAG_CELLS = 64, DAG_SLOTS = 5, DAG_SOURCES = 3, DAG_ROOM = 1024 };

/* y: what the last launch writes; z: what the one in the middle writes, which nobody waits for. x, y, z: uint64[DAG_CELLS]. */
typedef struct Dag {
    lathe_program program;
    lathe_model_v1 model;
    void *instance;
    lathe_level level;
    lathe_kernel *kernel;
    int64_t values[8 + DAG_LAUNCHES * 4];
    lathe_range ranges[DAG_LAUNCHES * DAG_LAUNCHES];
    lathe_launch launches[DAG_LAUNCHES];
    lathe_buffer buffers[DAG_SLOTS + 3];
    uint32_t buffer_refs[DAG_ROOM], value_refs[DAG_ROOM], dep_refs[DAG_LAUNCHES * DAG_LAUNCHES];
    uint64_t slot_offset[DAG_SLOTS];
    lathe_tensor_info tensors[3];
    int sources[DAG_LAUNCHES][DAG_SOURCES]; /* launches; -1: the input x */
    int source_count[DAG_LAUNCHES];
    uint64_t salt[DAG_LAUNCHES];
} Dag;

static const int64_t dag_dims[] = {DAG_CELLS};
static _Atomic uint64_t dag_delays; /* not 0: chunks take up to so many nanoseconds longer, at random */

static inline uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

/* One cell of a launch: the salt, the cell's number and, of every source, the cells not further away than `reach`. */
static inline uint64_t dag_cell(const uint64_t *const *sources, int64_t count, uint64_t salt, int64_t reach, int64_t cell)
{
    uint64_t sum = mix(salt + (uint64_t)cell);
    for (int64_t s = 0; s < count; s++)
        for (int64_t i = 0; i < DAG_CELLS; i++) {
            const int64_t other = (i + cell) % DAG_CELLS;
            if (other - cell <= reach && cell - other <= reach)
                sum = mix(sum + sources[s][other]);
        }
    return sum;
}

static inline void dag_delay(uint64_t salt)
{
    const uint64_t most = atomic_load_explicit(&dag_delays, memory_order_relaxed);
    if (most == 0)
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t random = mix((uint64_t)now.tv_nsec + salt);
    if (random % 4 == 0)
        nanosleep(&(struct timespec){0, (long)(random / 4 % most)}, NULL);
}

/* buffers: result, sources ...; dims: number of sources, salt, reach. Scratch must be private: the cells pass through it. */
static inline void dag_kernel(void *const *buffers, const int64_t *dims, int64_t begin, int64_t end, void *scratch, int32_t *error)
{
    const uint64_t *sources[DAG_SOURCES];
    uint64_t *result = buffers[0], *cells = scratch;
    (void)error;
    dag_delay((uint64_t)dims[1]);
    for (int64_t s = 0; s < dims[0]; s++)
        sources[s] = buffers[1 + s];
    for (int64_t i = begin; i < end; i++)
        cells[i] = dag_cell(sources, dims[0], (uint64_t)dims[1], dims[2], i);
    for (int64_t i = begin; i < end; i++)
        result[i] = cells[i];
}

/* Buffer of a launch's result: 0 .. DAG_SLOTS - 1 the arena, then x, y, z. */
static inline uint32_t dag_buffer(int launch)
{
    if (launch < 0)
        return DAG_SLOTS;
    if (launch == DAG_LAUNCHES - 1)
        return DAG_SLOTS + 1;
    return launch == DAG_LAUNCHES / 2 ? DAG_SLOTS + 2 : (uint32_t)(launch % DAG_SLOTS);
}

/* Does `launch` have to wait for the earlier `other`: it reads the result, writes where that one reads, or writes the same slot? */
static inline int dag_waits(const Dag *dag, int launch, int other)
{
    for (int s = 0; s < dag->source_count[launch]; s++)
        if (dag->sources[launch][s] == other)
            return 1;
    for (int s = 0; s < dag->source_count[other]; s++)
        if (dag->sources[other][s] >= 0 && dag_buffer(dag->sources[other][s]) == dag_buffer(launch))
            return 1;
    return dag_buffer(other) == dag_buffer(launch);
}

/* sources: launches of the last few whose slot is not yet written again, or the input. */
static inline void dag_choose(Dag *dag, int launch, uint64_t *random)
{
    const int count = 1 + (int)((*random = mix(*random + 1)) % DAG_SOURCES);
    for (int s = 0; s < count; s++) {
        int source = launch - 1 - (int)((*random = mix(*random + 1)) % (DAG_SLOTS - 1));
        if (source < 0 || source == DAG_LAUNCHES / 2)
            source = -1;
        dag->sources[launch][s] = source;
    }
    dag->source_count[launch] = count;
}

/* seed decides sources and costs; `without`: the launch that forgets to wait, -1 for none. */
static inline void dag_make(Dag *dag, uint64_t seed, int without)
{
    static const int64_t works[] = {0, 900, 3000, 9000, 17000, 100000};
    static const char *const names[] = {"x", "y", "z"};
    uint64_t random = mix(seed);
    uint32_t values = 3, refs = 0, dims = 1, deps = 0;
    memset(dag, 0, sizeof *dag);
    dag->values[0] = DAG_CELLS; /* also every launch's units */
    dag->values[1] = DAG_CELLS * 8;
    dag->values[2] = DAG_SLOTS * DAG_CELLS * 8;
    dag->value_refs[0] = 0;
    for (uint32_t i = 0; i < DAG_SLOTS; i++) {
        dag->slot_offset[i] = i * DAG_CELLS * 8;
        dag->buffers[i] = (lathe_buffer){LATHE_PLACE_ARENA, i, 0};
    }
    dag->buffers[DAG_SLOTS] = (lathe_buffer){LATHE_PLACE_INPUT, 0, 0};
    dag->buffers[DAG_SLOTS + 1] = (lathe_buffer){LATHE_PLACE_OUTPUT, 0, 0};
    dag->buffers[DAG_SLOTS + 2] = (lathe_buffer){LATHE_PLACE_OUTPUT, 1, 0};
    for (int i = 0; i < 3; i++)
        dag->tensors[i] = (lathe_tensor_info){names[i], 13, 64, 1, 0, dag_dims, NULL, 0, 1};

    for (int i = 0; i < DAG_LAUNCHES; i++) {
        lathe_launch *launch = &dag->launches[i];
        dag_choose(dag, i, &random);
        dag->salt[i] = (random = mix(random + 1)) >> 8;
        *launch = (lathe_launch){.buffers_first = refs, .dims_first = dims, .dims_count = 3, .deps_first = deps, .name = "n",
                                 .kernel_name = "mix"};
        dag->buffer_refs[refs++] = dag_buffer(i);
        for (int s = 0; s < dag->source_count[i]; s++)
            dag->buffer_refs[refs++] = dag_buffer(dag->sources[i][s]);
        launch->buffers_count = refs - launch->buffers_first;
        dag->values[values] = dag->source_count[i];
        dag->values[values + 1] = (int64_t)dag->salt[i];
        dag->values[values + 2] = works[(random = mix(random + 1)) % COUNT(works)];
        dag->values[values + 3] = DAG_CELLS;
        dag->value_refs[dims++] = values;
        dag->value_refs[dims++] = values + 1;
        dag->value_refs[dims++] = values + 3;
        launch->work_value = values + 2;
        values += 4;
        for (int other = 0; i != without && other < i; other++)
            if (dag_waits(dag, i, other))
                dag->dep_refs[deps++] = (uint32_t)other;
        launch->deps_count = deps - launch->deps_first;
    }
    dag->kernel = dag_kernel;
    dag->level = (lathe_level){"x86-64", 0, &dag->kernel, DAG_CELLS * 8};
    dag->program = (lathe_program){
        .abi = LATHE_RUNTIME_ABI, .input_count = 1, .output_count = 2, .value_count = values, .buffer_count = DAG_SLOTS + 3,
        .launch_count = DAG_LAUNCHES, .slot_count = DAG_SLOTS, .level_count = 1, .kernel_count = 1, .name = "dag",
        .inputs = dag->tensors, .outputs = dag->tensors + 1, .values = dag->values, .buffers = dag->buffers,
        .launches = dag->launches, .buffer_refs = dag->buffer_refs, .value_refs = dag->value_refs, .dep_refs = dag->dep_refs,
        .slot_offset = dag->slot_offset, .arena_bytes_value = 2, .levels = &dag->level,
    };
    dag->model = (lathe_model_v1){
        .size = sizeof dag->model, .abi = LATHE_MODEL_ABI, .name = "dag", .input_count = 1, .output_count = 2,
        .launch_count = DAG_LAUNCHES, .level_count = 1, .inputs = dag->tensors, .outputs = dag->tensors + 1,
        .api = &lathe_rt_api, .program = &dag->program, .instance = &dag->instance,
    };
}

static inline int64_t *dag_reach(Dag *dag, int launch)
{
    return &dag->values[dag->value_refs[dag->launches[launch].dims_first + 2]];
}

/* How far cells are from each other that both launches touch, at least one of them writing; dag_waits holds. */
static inline int64_t dag_distance(Dag *dag, int launch, int other)
{
    int64_t distance = 0;
    for (int s = 0; s < dag->source_count[launch]; s++)
        if (dag->sources[launch][s] == other && *dag_reach(dag, launch) > distance)
            distance = *dag_reach(dag, launch);
    for (int s = 0; s < dag->source_count[other]; s++)
        if (dag->sources[other][s] >= 0 && dag_buffer(dag->sources[other][s]) == dag_buffer(launch) &&
            *dag_reach(dag, other) > distance)
            distance = *dag_reach(dag, other);
    return distance;
}

/* Most launches read only what is near, and wait for no more than that. */
static inline void dag_localize(Dag *dag, uint64_t seed)
{
    uint64_t random = mix(seed);
    for (int i = 0; i < DAG_LAUNCHES; i++)
        if ((random = mix(random + 1)) % 4 != 0)
            *dag_reach(dag, i) = (int64_t)(random / 4 % 4);
    for (int i = 0; i < DAG_LAUNCHES; i++)
        for (uint32_t k = 0; k < dag->launches[i].deps_count; k++) {
            const uint32_t dep = dag->launches[i].deps_first + k;
            const int64_t distance = dag_distance(dag, i, (int)dag->dep_refs[dep]);
            dag->ranges[dep] = distance < DAG_CELLS ? (lathe_range){1, (double)-distance, (double)distance} : (lathe_range){0, -1, 1e18};
            dag->program.dep_count = dep + 1;
        }
    dag->program.dep_ranges = dag->ranges;
}

/* What the program means, without slots, chunks or threads. */
static inline void dag_expected(const Dag *dag, const uint64_t *x, uint64_t *y, uint64_t *z)
{
    static _Thread_local uint64_t all[DAG_LAUNCHES][DAG_CELLS];
    for (int i = 0; i < DAG_LAUNCHES; i++) {
        const uint64_t *sources[DAG_SOURCES];
        for (int s = 0; s < dag->source_count[i]; s++)
            sources[s] = dag->sources[i][s] < 0 ? x : all[dag->sources[i][s]];
        for (int cell = 0; cell < DAG_CELLS; cell++)
            all[i][cell] = dag_cell(sources, dag->source_count[i], dag->salt[i],
                                     dag->values[dag->value_refs[dag->launches[i].dims_first + 2]], cell);
    }
    memcpy(y, all[DAG_LAUNCHES - 1], sizeof all[0]);
    memcpy(z, all[DAG_LAUNCHES / 2], sizeof all[0]);
}

/* Runs once with the input that `number` makes; 0 when both outputs are as expected, 1 when not, or the error. */
static inline int dag_run(const Dag *dag, lathe_context *context, uint64_t number)
{
    uint64_t x[DAG_CELLS], y[DAG_CELLS] = {0}, z[DAG_CELLS] = {0}, y_expected[DAG_CELLS], z_expected[DAG_CELLS];
    for (uint64_t i = 0; i < DAG_CELLS; i++)
        x[i] = mix(number * 1000 + i);
    const void *inputs[] = {x};
    void *outputs[] = {y, z};
    const int code = lathe_rt_run(context, inputs, outputs, NULL);
    if (code != LATHE_OK)
        return code;
    dag_expected(dag, x, y_expected, z_expected);
    return memcmp(y, y_expected, sizeof y) != 0 || memcmp(z, z_expected, sizeof z) != 0;
}

#endif
