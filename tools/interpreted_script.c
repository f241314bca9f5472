/* A model whose course depends on data, interpreted: its script becomes tables in memory like those of a library, and
 * the walker that compiled models carry goes through them. Only the calls of regions are another: they interpret the
 * region's module. */
#include "tools/interpreted.h"

#include "codegen/schedule.h"
#include "ir/interpret.h"
#include "ir/map.h"
#include "ir/ops/ops.h"
#include "ir/script.h"
#include "runtime/host.h"
#include "tools/inputs.h"
#include "tools/libraryvalues.h"

#include <string.h>

typedef struct RegionCall {
    Pipeline *pipeline;
    const Program *program;
    Module scheduled; /* body NULL: not yet */
    int32_t *symbols; /* numbers among the script's */
    SymbolValue *values;
    Memory *in, *out;
} RegionCall;

typedef struct Tables {
    Pipeline *pipeline;
    Arena *arena;
    const Script *script;
    NodeMap symbols; /* -> 1 + number */
    int symbol_count;
    lathe_script rows;
    lathe_program program;
    lathe_level level;
    lathe_model_v1 model;
    void *instance;
} Tables;

static const struct {
    const char *name;
    lathe_host_function *function;
} hosts[] = {
#define HOST_FUNCTION(name) {#name, lathe_host_##name},
#include "runtime/host.def"
#undef HOST_FUNCTION
};

/* ---- regions ---- */

static int region_inputs(const RegionCall *call, struct lathe_run *run, const lathe_step *step)
{
    const Module *const module = call->program->module;
    Arena *const arena = call->pipeline->options->arena;
    for (int i = 0; i < module->input_count; i++) {
        const Type type = module->inputs[i]->type;
        int32_t dtype;
        const lathe_value value = lathe_rt_step_input(run, step, i, &dtype);
        if (value.form != LATHE_TENSOR || dtype != dtype_info[type.dtype].onnx || value.tensor.ndim != type.rank)
            return lathe_rt_step_fail(run, step, LATHE_E_ARGUMENT,
                                      arena_format(arena, "value %d is not there or of another type", i));
        uint64_t count = 1;
        for (int j = 0; j < type.rank; j++) {
            const int64_t wanted = index_evaluate(type.dims[j], call->values, call->program->symbol_count);
            count *= (uint64_t)wanted;
            if (value.tensor.shape[j] != wanted)
                return lathe_rt_step_fail(run, step, LATHE_E_SHAPE,
                                          arena_format(arena, "value %d: dim %d is %lld but must be %lld", i, j,
                                                       (long long)value.tensor.shape[j], (long long)wanted));
        }
        call->in[i] = (Memory){value.tensor.data, (count * (uint64_t)dtype_info[type.dtype].bits + 7) / 8};
    }
    return LATHE_OK;
}

static int region_outputs(const RegionCall *call, struct lathe_run *run, const lathe_step *step)
{
    const Module *const module = call->program->module;
    for (int i = 0; i < module->output_count; i++) {
        const Type type = module->outputs[i]->type;
        int64_t dims[RANK_MAX];
        uint64_t count = 1;
        for (int j = 0; j < type.rank; j++) {
            dims[j] = index_evaluate(type.dims[j], call->values, call->program->symbol_count);
            count *= dims[j] > 0 ? (uint64_t)dims[j] : 0;
        }
        const int code =
            lathe_rt_step_output(run, step, i, dtype_info[type.dtype].onnx, type.rank, dims, &call->out[i].data);
        if (code != LATHE_OK)
            return code;
        call->out[i].bytes = (count * (uint64_t)dtype_info[type.dtype].bits + 7) / 8;
    }
    return LATHE_OK;
}

static int region_interpret(struct lathe_run *run, const lathe_step *step, void *argument)
{
    RegionCall *const call = argument;
    const Program *const program = call->program;
    for (int i = 0; i < program->symbol_count; i++)
        call->values[i] = (SymbolValue){program->symbols[i].symbol, lathe_rt_symbol(run, call->symbols[i])};
    for (int i = 0; i < program->check_count; i++)
        if (index_evaluate(program->values[program->checks[i].value], call->values, program->symbol_count) == 0)
            return lathe_rt_step_fail(run, step, LATHE_E_SHAPE, program->checks[i].message);
    int code = region_inputs(call, run, step);
    if (code == LATHE_OK)
        code = region_outputs(call, run, step);
    if (code != LATHE_OK)
        return code;
    if (!call->scheduled.body) {
        call->scheduled = *program->module;
        if (!interpreted_schedule(call->pipeline, &call->scheduled))
            return lathe_rt_step_fail(run, step, LATHE_E_ARGUMENT, "a kernel cannot be scheduled");
    }
    int32_t error = 0;
    const RunOptions options = {0};
    const int32_t end = interpret_module(call->pipeline->ir, &call->scheduled, call->in, call->out, call->values,
                                         program->symbol_count, &options, &error);
    if (end != INTERPRET_OK)
        return lathe_rt_step_fail(run, step, end == INTERPRET_MEMORY ? LATHE_E_MEMORY : LATHE_E_ARGUMENT,
                                  "the interpreter stopped");
    return error ? lathe_rt_step_fail(run, step, LATHE_E_INDEX, "an index computed while running is out of range")
                 : LATHE_OK;
}

static const lathe_region *region_rows(Tables *tables)
{
    const Program *const main = &tables->pipeline->program;
    lathe_region *const rows = NEW_ARRAY(tables->arena, lathe_region, (size_t)main->region_count + 1);
    for (int i = 0; i < main->region_count; i++) {
        const Program *const program = &main->regions[i];
        RegionCall *const call = NEW(tables->arena, RegionCall);
        *call = (RegionCall){.pipeline = tables->pipeline, .program = program};
        call->symbols = NEW_ARRAY(tables->arena, int32_t, (size_t)program->symbol_count + 1);
        call->values = NEW_ARRAY(tables->arena, SymbolValue, (size_t)program->symbol_count + 1);
        call->in = NEW_ARRAY(tables->arena, Memory, (size_t)program->module->input_count + 1);
        call->out = NEW_ARRAY(tables->arena, Memory, (size_t)program->module->output_count + 1);
        for (int j = 0; j < program->symbol_count; j++) {
            const Node *const symbol = program->symbols[j].symbol;
            if (!map_has(&tables->symbols, symbol))
                map_set(&tables->symbols, symbol, (void *)(intptr_t)++tables->symbol_count);
            call->symbols[j] = (int32_t)(intptr_t)map_get(&tables->symbols, symbol) - 1;
        }
        rows[i] = (lathe_region){.call = region_interpret, .argument = call};
    }
    return rows;
}

/* ---- steps ---- */

static const int32_t *numbers(const Tables *tables, const int *list, int count)
{
    int32_t *const copy = NEW_ARRAY(tables->arena, int32_t, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        copy[i] = list[i] == SLOT_NONE ? LATHE_NO_SLOT : list[i];
    return copy;
}

/* Only symbols that some region wants. */
static const lathe_bind *bind_rows(Tables *tables, const ScriptBind *binds, int count, int32_t *wanted)
{
    lathe_bind *const rows = NEW_ARRAY(tables->arena, lathe_bind, (size_t)count + 1);
    *wanted = 0;
    for (int i = 0; i < count; i++)
        if (map_has(&tables->symbols, binds[i].symbol))
            rows[(*wanted)++] = (lathe_bind){binds[i].slot, binds[i].position, binds[i].element,
                                             (int32_t)(intptr_t)map_get(&tables->symbols, binds[i].symbol) - 1};
    return rows;
}

static const lathe_constant *constant_row(const Tables *tables, const Node *node)
{
    const Constant *const constant = node->payload.constant;
    lathe_constant *const row = NEW(tables->arena, lathe_constant);
    int64_t *const dims = NEW_ARRAY(tables->arena, int64_t, (size_t)node->type.rank + 1);
    size_t count = 1;
    for (int i = 0; i < node->type.rank; i++) {
        const_is_int(node->type.dims[i], &dims[i]);
        count *= (size_t)dims[i];
    }
    const void *data = node->type.dtype == DTYPE_STRING ? (const void *)constant->strings : constant->data;
    if (constant->splat) {
        char *const all = arena_alloc(tables->arena, count * constant->bytes + 1);
        for (size_t i = 0; i < count; i++)
            memcpy(all + i * constant->bytes, constant->data, constant->bytes);
        data = all;
    }
    *row = (lathe_constant){
        .dtype = dtype_info[node->type.dtype].onnx, .rank = node->type.rank, .dims = dims, .data = data};
    return row;
}

static lathe_attribute attribute_row(const Tables *tables, const Attribute *attribute)
{
    lathe_attribute row = {.name = attribute->name};
    switch (attribute->kind) {
    case ATTRIBUTE_INT:
        row.integer = attribute->integer;
        break;
    case ATTRIBUTE_FLOAT:
        row.real = attribute->real;
        break;
    case ATTRIBUTE_STRING:
        row.string = attribute->string;
        break;
    case ATTRIBUTE_INTS:
        row.integers = attribute->integers;
        row.count = attribute->count;
        break;
    case ATTRIBUTE_FLOATS:
        row.reals = attribute->reals;
        row.count = attribute->count;
        break;
    case ATTRIBUTE_STRINGS:
        row.strings = attribute->strings;
        row.count = attribute->count;
        break;
    case ATTRIBUTE_TENSOR:
        row.tensor = constant_row(tables, attribute->tensor);
        break;
    default:
        break;
    }
    return row;
}

static const lathe_attribute *attribute_rows(const Tables *tables, const Node *node, int32_t *count)
{
    *count = 0;
    if (!node)
        return NULL;
    const bool constant = node->op == OP_constant;
    lathe_attribute *const rows = NEW_ARRAY(tables->arena, lathe_attribute, (size_t)node->attribute_count + 1);
    if (constant)
        rows[(*count)++] = (lathe_attribute){.name = "value", .tensor = constant_row(tables, node)};
    for (int i = 0; i < (int)node->attribute_count && !constant; i++)
        if (node->attributes[i].kind != ATTRIBUTE_GRAPH)
            rows[(*count)++] = attribute_row(tables, &node->attributes[i]);
    return rows;
}

static bool step_row(Tables *tables, const Step *step, lathe_step *row)
{
    static const int kinds[] = {[STEP_REGION] = LATHE_STEP_REGION,
                                [STEP_COPY] = LATHE_STEP_COPY,
                                [STEP_IF] = LATHE_STEP_IF,
                                [STEP_LOOP] = LATHE_STEP_LOOP,
                                [STEP_HOST] = LATHE_STEP_HOST};
    const Node *const node = step->node;
    *row = (lathe_step){
        .kind = kinds[step->kind],
        .target = step->target,
        .inputs = numbers(tables, step->inputs, step->input_count),
        .outputs = numbers(tables, step->outputs, step->output_count),
        .input_count = step->input_count,
        .output_count = step->output_count,
        .ends = numbers(tables, step->ends, step->end_count),
        .end_count = step->end_count,
        .name = node && node->where && node->where->node ? node->where->node
                : node                                   ? op_name(node->op)
                                                         : NULL,
    };
    row->binds = bind_rows(tables, step->binds, step->bind_count, &row->bind_count);
    row->attributes = attribute_rows(tables, node, &row->attribute_count);
    for (size_t i = 0; step->kind == STEP_HOST && i < sizeof hosts / sizeof *hosts; i++)
        if (strcmp(hosts[i].name, step->host) == 0)
            row->host = hosts[i].function;
    return step->kind != STEP_HOST || row->host ||
           diag_error(tables->pipeline->diagnostics, EXIT_UNSUPPORTED, NULL, "the interpreter has no function for %s",
                      step->host);
}

static bool body_row(Tables *tables, const ScriptBody *body, lathe_body *row)
{
    lathe_step *const steps = NEW_ARRAY(tables->arena, lathe_step, (size_t)body->step_count + 1);
    for (int i = 0; i < body->step_count; i++)
        if (!step_row(tables, &body->steps[i], &steps[i]))
            return false;
    *row = (lathe_body){
        .inputs = numbers(tables, body->inputs, body->input_count),
        .outputs = numbers(tables, body->outputs, body->output_count),
        .steps = steps,
        .input_count = body->input_count,
        .output_count = body->output_count,
        .step_count = body->step_count,
    };
    row->binds = bind_rows(tables, body->binds, body->bind_count, &row->bind_count);
    return true;
}

/* ---- values ---- */

static bool is_sequence(Type type)
{
    return type.form == FORM_SEQUENCE || type.form == FORM_OPTIONAL_SEQUENCE;
}

/* Extents; -1 where they are not numbers. */
static const int64_t *known_dims(const Tables *tables, Type type)
{
    const int rank = type.rank < 0 ? 0 : type.rank;
    int64_t *const dims = NEW_ARRAY(tables->arena, int64_t, (size_t)rank + 1);
    for (int i = 0; i < rank; i++)
        if (!type.dims[i] || !const_is_int(type.dims[i], &dims[i]))
            dims[i] = -1;
    return dims;
}

static int32_t form_of(Type type)
{
    const bool optional = type.form == FORM_OPTIONAL || type.form == FORM_OPTIONAL_SEQUENCE;
    return (is_sequence(type) ? LATHE_SEQUENCE : LATHE_TENSOR) | (optional ? LATHE_OPTIONAL : 0);
}

static lathe_tensor_info info_row(const Tables *tables, const char *name, Type type)
{
    return (lathe_tensor_info){.name = name,
                               .dtype = dtype_info[type.dtype].onnx,
                               .bits = dtype_info[type.dtype].bits,
                               .rank = type.rank < 0 ? -1 : type.rank,
                               .dims = known_dims(tables, type)};
}

/* Inputs, then outputs. Every dim refers to a value of its own behind the first two: -1, the size of outputs, and 0.
 */
static void describe_values(Tables *tables)
{
    const Program *const main = &tables->pipeline->program;
    const Module *const module = main->module;
    const int count = module->input_count + module->output_count;
    lathe_tensor_info *const infos = NEW_ARRAY(tables->arena, lathe_tensor_info, (size_t)count + 1);
    int32_t *const forms = NEW_ARRAY(tables->arena, int32_t, (size_t)count + 1);
    int64_t *const values = NEW_ARRAY(tables->arena, int64_t, (size_t)count * RANK_MAX + 2);
    uint32_t *const refs = NEW_ARRAY(tables->arena, uint32_t, (size_t)count * RANK_MAX + 2);
    uint32_t used = 1;
    values[0] = -1;
    values[1] = 0;
    for (int i = 0; i < count; i++) {
        const bool input = i < module->input_count;
        const int number = input ? i : i - module->input_count;
        const int slot = (input ? tables->script->bodies[0].inputs : tables->script->bodies[0].outputs)[number];
        const Type type = slot == SLOT_NONE ? module->inputs[number]->type : tables->script->slots[slot];
        infos[i] = info_row(tables, (input ? module->input_names : module->output_names)[number], type);
        forms[i] = form_of(type);
        infos[i].dims_first = used;
        infos[i].bytes_value = input; /* inputs are checked by the regions */
        for (int j = 0; j < infos[i].rank; j++) {
            refs[used] = used + 1;
            values[++used] = infos[i].dims[j];
        }
    }
    tables->level = (lathe_level){.name = "interpreter"};
    tables->program = (lathe_program){
        .abi = LATHE_RUNTIME_ABI,
        .input_count = (uint32_t)module->input_count,
        .output_count = (uint32_t)module->output_count,
        .value_count = used + 1,
        .level_count = 1,
        .name = module->name,
        .inputs = infos,
        .outputs = infos + module->input_count,
        .values = values,
        .value_refs = refs,
        .levels = &tables->level,
        .script = &tables->rows,
    };
    tables->model = (lathe_model_v1){
        .size = sizeof tables->model,
        .abi = LATHE_MODEL_ABI,
        .name = module->name,
        .input_count = tables->program.input_count,
        .output_count = tables->program.output_count,
        .level_count = 1,
        .flags = LATHE_MODEL_SCRIPT | LATHE_MODEL_VALUES,
        .inputs = infos,
        .outputs = infos + module->input_count,
        .api = &lathe_rt_script_api,
        .program = &tables->program,
        .instance = &tables->instance,
        .input_forms = forms,
        .output_forms = forms + module->input_count,
    };
}

static bool describe_script(Tables *tables)
{
    const Script *const script = tables->script;
    lathe_slot *const slots = NEW_ARRAY(tables->arena, lathe_slot, (size_t)script->slot_count + 1);
    lathe_body *const bodies = NEW_ARRAY(tables->arena, lathe_body, (size_t)script->body_count + 1);
    const lathe_region *const regions = region_rows(tables);
    for (int i = 0; i < script->slot_count; i++) {
        const Type type = script->slots[i];
        slots[i] = (lathe_slot){is_sequence(type) ? LATHE_SEQUENCE : LATHE_TENSOR, dtype_info[type.dtype].onnx,
                                type.rank < 0 ? -2 : type.rank, known_dims(tables, type)};
    }
    for (int i = 0; i < script->body_count; i++)
        if (!body_row(tables, &script->bodies[i], &bodies[i]))
            return false;
    tables->rows = (lathe_script){
        .walker = &lathe_rt_walker,
        .slot_count = (uint32_t)script->slot_count,
        .body_count = (uint32_t)script->body_count,
        .region_count = (uint32_t)tables->pipeline->program.region_count,
        .symbol_count = (uint32_t)tables->symbol_count,
        .slots = slots,
        .bodies = bodies,
        .regions = regions,
    };
    describe_values(tables);
    return true;
}

/* ---- the run ---- */

static bool run(Library *library, const Options *options, const HostValue *given, Interpreted *result)
{
    const uint32_t inputs = library->model->input_count, outputs = library->model->output_count;
    *result = (Interpreted){NEW_ARRAY(options->arena, HostValue, inputs + 1),
                            NEW_ARRAY(options->arena, HostValue, outputs + 1), (int)inputs, (int)outputs};
    if (!library_start(library, 1))
        return false;
    if (given)
        memcpy(result->inputs, given, inputs * sizeof *given);
    else if (!inputs_bind(result->inputs, library_specs(library), inputs, options))
        return false;
    return library_values_prepare(library, options, result->inputs) && library_values_run(library) &&
           library_values_collect(library, result->outputs);
}

bool interpreted_script_run(Pipeline *pipeline, const HostValue *given, Interpreted *result)
{
    const Options *const options = pipeline->options;
    Tables *const tables = NEW(options->arena, Tables);
    *tables = (Tables){.pipeline = pipeline, .arena = options->arena, .script = pipeline->program.compilation->script};
    map_open(&tables->symbols, options->arena);
    if (!describe_script(tables))
        return false;
    Library library = {.arena = options->arena,
                       .diagnostics = options->diagnostics,
                       .model = &tables->model,
                       .heap_limit = (uint64_t)option_integer(options, OPTION_MAX_MEMORY)};
    const bool good = run(&library, options, given, result);
    library_close(&library);
    return good;
}
