/* Models with scripts by hand, as codegen would write them: regions of one kernel each, in C, over two symbols n and m.
 *
 * All programs share one table of values and one of references. In the main program m is what only a run knows. */
#ifndef LATHE_TEST_RUNTIME_SCRIPTS_H
#define LATHE_TEST_RUNTIME_SCRIPTS_H

#include <stdbool.h>
#include <stdio.h>

#include "fixture.h"
#include "runtime/lathe_script.h"

enum { S_ONE, S_N, S_M, S_N_BYTES, S_M_BYTES, S_EIGHT, S_WORK, S_MUCH, S_COUNT };
static const int64_t script_values[S_COUNT] = {[S_ONE] = 1, [S_EIGHT] = 8, [S_WORK] = 1000, [S_MUCH] = 1000000};
static const uint32_t script_refs[] = {S_N, S_M, S_ONE};
static const int64_t script_open_dims[] = {-1}, script_one_dims[] = {1};

static inline void script_instantiate(void *const *buffers, const int64_t *symbols, int64_t begin, int64_t end, void *scratch,
                                      int32_t *error)
{
    int64_t *values = buffers[0];
    (void)begin, (void)end, (void)scratch, (void)error;
    values[S_N] = symbols[0];
    values[S_M] = symbols[1];
    values[S_N_BYTES] = symbols[0] * 4;
    values[S_M_BYTES] = symbols[1] * 4;
}

static inline void script_main_instantiate(void *const *buffers, const int64_t *symbols, int64_t begin, int64_t end, void *scratch,
                                           int32_t *error)
{
    script_instantiate(buffers, (const int64_t[]){symbols[0], -1}, begin, end, scratch, error);
    ((int64_t *)buffers[0])[S_M_BYTES] = -1;
}

typedef enum Kind { F_N, F_M, I_1, I_0, B_0, S_1, KINDS } Kind; /* f32[n], f32[m], i64[1], i64, bool, string[n] */

static inline lathe_tensor_info script_info(const char *name, Kind kind)
{
    const lathe_tensor_info infos[KINDS] = {
        [F_N] = {name, 1, 32, 1, 0, script_open_dims, NULL, 0, S_N_BYTES},
        [F_M] = {name, 1, 32, 1, 0, script_open_dims, NULL, 1, S_M_BYTES},
        [I_1] = {name, 7, 64, 1, 0, script_one_dims, NULL, 2, S_EIGHT},
        [I_0] = {name, 7, 64, 0, 0, NULL, NULL, 0, S_EIGHT},
        [B_0] = {name, 9, 8, 0, 0, NULL, NULL, 0, S_ONE},
        [S_1] = {name, 8, 64, 1, 0, script_open_dims, NULL, 0, S_EIGHT},
    };
    return infos[kind];
}

enum { PORTS = 8, SLOTS = 24, STEPS = 12, BODIES = 4, REGIONS = 4 };

static const lathe_symbol script_symbols[] = {{"n", 0, 0, 0, 0, 1 << 30}, {"m", 0, 0, 0, 0, 1 << 30}};
static const lathe_buffer script_buffers[] = {
    {LATHE_PLACE_INPUT, 0, 0}, {LATHE_PLACE_INPUT, 1, 0}, {LATHE_PLACE_INPUT, 2, 0}, {LATHE_PLACE_OUTPUT, 0, 0},
    {LATHE_PLACE_OUTPUT, 1, 0}, {LATHE_PLACE_OUTPUT, 2, 0}, {LATHE_PLACE_ARENA, 0, 0}};

/* One launch: buffers are the inputs, then the outputs, then n floats of the arena; dims are n, m. */
typedef struct Region {
    lathe_program program;
    lathe_tensor_info infos[PORTS];
    lathe_launch launch;
    lathe_level level;
    lathe_kernel *kernel;
    uint32_t buffer_refs[PORTS];
} Region;

static const uint32_t script_slot_bytes[] = {S_N_BYTES};

static inline void region_make(Region *region, lathe_kernel *kernel, int inputs, int outputs, const Kind *kinds)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    *region = (Region){.kernel = kernel};
    for (int i = 0; i < inputs + outputs; i++) {
        region->infos[i] = script_info(names[i], kinds[i]);
        region->buffer_refs[i] = (uint32_t)(i < inputs ? i : 3 + i - inputs);
    }
    region->buffer_refs[inputs + outputs] = 6;
    region->level = (lathe_level){"x86-64", 0, &region->kernel, 64};
    region->launch = (lathe_launch){.buffers_count = (uint32_t)(inputs + outputs + 1), .dims_count = 2, .work_value = S_WORK,
                                    .name = "node", .kernel_name = "k"};
    region->program = (lathe_program){
        .abi = LATHE_RUNTIME_ABI, .input_count = (uint32_t)inputs, .output_count = (uint32_t)outputs, .symbol_count = 2,
        .value_count = S_COUNT, .buffer_count = COUNT(script_buffers), .launch_count = 1, .slot_count = 1, .level_count = 1,
        .kernel_count = 1, .name = "region", .inputs = region->infos, .outputs = region->infos + inputs,
        .symbols = script_symbols, .values = script_values, .instantiate = script_instantiate, .buffers = script_buffers,
        .launches = &region->launch, .buffer_refs = region->buffer_refs, .value_refs = script_refs,
        .slot_bytes_value = script_slot_bytes, .levels = &region->level,
    };
}

typedef struct Scripted {
    lathe_model_v1 model;
    void *instance;
    lathe_program program;
    lathe_tensor_info infos[PORTS];
    int32_t forms[PORTS];
    lathe_level level;
    Region regions[REGIONS];
    lathe_region region_rows[REGIONS];
    lathe_slot slots[SLOTS];
    lathe_step steps[BODIES][STEPS];
    lathe_body bodies[BODIES];
    lathe_script script;
    int32_t numbers[256]; /* lists of slots */
    int32_t number_count;
} Scripted;

static const int32_t script_region_symbols[] = {0, 1};
static lathe_kernel *const script_no_kernels[] = {NULL};

static inline void scripted_open(Scripted *scripted)
{
    memset(scripted, 0, sizeof *scripted);
    for (int i = 0; i < SLOTS; i++)
        scripted->slots[i] = (lathe_slot){LATHE_TENSOR, 0, -2, NULL};
    for (int i = 0; i < BODIES; i++)
        scripted->bodies[i].steps = scripted->steps[i];
}

/* A list of slots that lives as long as the model. */
static inline const int32_t *scripted_list(Scripted *scripted, int count, const int32_t *slots)
{
    int32_t *list = scripted->numbers + scripted->number_count;
    for (int i = 0; i < count; i++)
        list[i] = slots[i];
    scripted->number_count += count;
    return list;
}

#define LIST(...) (int)COUNT(((const int32_t[]){__VA_ARGS__})), (const int32_t[]){__VA_ARGS__}

static inline lathe_step *scripted_step(Scripted *scripted, int body, lathe_step step, int inputs, const int32_t *input_slots,
                                        int outputs, const int32_t *output_slots)
{
    lathe_step *place = &scripted->steps[body][scripted->bodies[body].step_count++];
    *place = step;
    place->inputs = scripted_list(scripted, inputs, input_slots);
    place->input_count = inputs;
    place->outputs = scripted_list(scripted, outputs, output_slots);
    place->output_count = outputs;
    return place;
}

static inline void scripted_ends(Scripted *scripted, lathe_step *step, int count, const int32_t *slots)
{
    step->ends = scripted_list(scripted, count, slots);
    step->end_count = count;
}

static inline void scripted_body(Scripted *scripted, int body, int inputs, const int32_t *input_slots, int outputs,
                                 const int32_t *output_slots)
{
    scripted->bodies[body].inputs = scripted_list(scripted, inputs, input_slots);
    scripted->bodies[body].input_count = inputs;
    scripted->bodies[body].outputs = scripted_list(scripted, outputs, output_slots);
    scripted->bodies[body].output_count = outputs;
}

/* After scripted_body(0): kinds of the model's inputs and outputs (of items, where the form is not a tensor). */
static inline void scripted_close(Scripted *scripted, const Kind *kinds, int bodies, int regions)
{
    static const char *const names[] = {"in0", "in1", "in2", "in3", "in4"}, *const outs[] = {"out0", "out1", "out2", "out3"};
    const int inputs = scripted->bodies[0].input_count, outputs = scripted->bodies[0].output_count;
    for (int i = 0; i < inputs + outputs; i++)
        scripted->infos[i] = script_info(i < inputs ? names[i] : outs[i - inputs], kinds[i]);
    for (int i = 0; i < regions; i++)
        scripted->region_rows[i] = (lathe_region){.program = &scripted->regions[i].program, .symbols = script_region_symbols};
    scripted->script = (lathe_script){
        .walker = &lathe_rt_walker, .slot_count = SLOTS, .body_count = (uint32_t)bodies, .region_count = (uint32_t)regions,
        .symbol_count = 2, .slots = scripted->slots, .bodies = scripted->bodies, .regions = scripted->region_rows,
    };
    scripted->level = (lathe_level){"x86-64", 0, script_no_kernels, 0};
    scripted->program = (lathe_program){
        .abi = LATHE_RUNTIME_ABI, .input_count = (uint32_t)inputs, .output_count = (uint32_t)outputs, .symbol_count = 1,
        .value_count = S_COUNT, .level_count = 1, .name = "scripted", .inputs = scripted->infos, .outputs = scripted->infos + inputs,
        .symbols = script_symbols, .values = script_values, .instantiate = script_main_instantiate, .value_refs = script_refs,
        .levels = &scripted->level, .script = &scripted->script,
    };
    scripted->model = (lathe_model_v1){
        .size = sizeof scripted->model, .abi = LATHE_MODEL_ABI, .name = "scripted", .input_count = (uint32_t)inputs,
        .output_count = (uint32_t)outputs, .symbol_count = 1, .level_count = 1, .flags = LATHE_MODEL_SCRIPT,
        .inputs = scripted->infos, .outputs = scripted->infos + inputs, .symbols = script_symbols, .api = &lathe_rt_script_api,
        .program = &scripted->program, .instance = &scripted->instance, .input_forms = scripted->forms,
        .output_forms = scripted->forms + inputs, .launch_count = (uint32_t)regions,
    };
}

static const lathe_bind script_bind_n[] = {{.slot = 0, .position = 0, .element = 0, .symbol = 0}};

/* --- values ----------------------------------------------------------------------------------------------------------------- */

static inline lathe_tensor script_tensor(void *data, uint8_t code, uint8_t bits, int32_t rank, int64_t *dims)
{
    return (lathe_tensor){.data = data, .device = {1, 0}, .ndim = rank, .dtype = {code, bits, 1}, .shape = dims};
}

static inline lathe_value script_floats(float *data, int64_t *dims)
{
    return (lathe_value){.form = LATHE_TENSOR, .tensor = script_tensor(data, 2, 32, 1, dims)};
}

static inline lathe_value script_integer(int64_t *data)
{
    return (lathe_value){.form = LATHE_TENSOR, .tensor = script_tensor(data, 0, 64, 0, NULL)};
}

static inline lathe_value script_bool(bool *data)
{
    return (lathe_value){.form = LATHE_TENSOR, .tensor = script_tensor(data, 6, 8, 0, NULL)};
}

#endif
