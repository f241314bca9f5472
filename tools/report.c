/* Fields of model.json: see report.h. Nothing here may depend on time, paths, the cache or the number of workers. */
#include "tools/report.h"

#include "ir/print.h"

/* A number, or the text of an index expression; null where only a run knows it. */
static void write_index(JsonWriter *json, Arena *arena, Node *node)
{
    int64_t value;
    const ArenaMark mark = arena_mark(arena);
    if (!node)
        json_null(json);
    else if (const_is_int(node, &value))
        json_integer(json, value);
    else if (node->op == OP_symbol)
        json_string(json, node->payload.name);
    else
        json_string(json, print_expression(arena, node));
    arena_reset(arena, mark);
}

void report_shape(JsonWriter *json, Arena *arena, Type type)
{
    json_array(json);
    for (int i = 0; i < type.rank; i++) {
        if (type.dims[i])
            write_index(json, arena, type.dims[i]);
        else
            json_null(json);
    }
    json_close(json);
}

static void write_tensors(JsonWriter *json, Arena *arena, const char *key, Node *const *nodes, const Name *names,
                          int count)
{
    json_key(json, key);
    json_array(json);
    for (int i = 0; i < count; i++) {
        json_object(json);
        json_field_string(json, "name", names[i]);
        json_field_string(json, "type", dtype_info[nodes[i]->type.dtype].name);
        json_key(json, "shape");
        report_shape(json, arena, nodes[i]->type);
        json_close(json);
    }
    json_close(json);
}

/* The name that the model has for a symbol. */
static const char *model_name(const Pipeline *pipeline, Name symbol)
{
    for (int i = 0; i < pipeline->model.dim_count; i++)
        if (pipeline->model.dims[i].symbol == symbol)
            return pipeline->model.dims[i].name;
    return symbol;
}

static void write_symbols(JsonWriter *json, const Pipeline *pipeline)
{
    const Program *const program = &pipeline->program;
    json_key(json, "symbols");
    json_array(json);
    for (int i = 0; i < program->symbol_count; i++) {
        const ProgramSymbol *const symbol = &program->symbols[i];
        json_object(json);
        json_field_string(json, "name", symbol->symbol->payload.name);
        json_field_string(json, "model_name", model_name(pipeline, symbol->symbol->payload.name));
        json_field_string(json, "input", program->module->input_names[symbol->input]);
        json_field_integer(json, symbol->element ? "element" : "dim", symbol->position);
        json_close(json);
    }
    json_close(json);
}

static void write_nodes(JsonWriter *json, const Kernel *kernel)
{
    json_key(json, "nodes");
    json_array(json);
    for (const Where *const *where = kernel->wheres; where && *where; where++) {
        json_object(json);
        json_field_string(json, "name", (*where)->node);
        json_field_string(json, "op", (*where)->op);
        json_close(json);
    }
    json_close(json);
}

static void write_kernel(JsonWriter *json, Arena *arena, const Program *program, int region,
                         const ProgramLaunch *launch)
{
    const ProgramKernel *const kernel = &program->kernels[launch->index];
    json_object(json);
    json_field_string(json, "name", launch->kernel->payload.kernel->name);
    json_field_string(json, "code", kernel->name); /* kernels of equal text share it */
    write_nodes(json, launch->kernel->payload.kernel);
    if (region >= 0)
        json_field_integer(json, "region", region);
    json_key(json, "schedules");
    json_object(json);
    for (int level = 0; level < program->level_count; level++)
        json_field_string(json, program->levels[level]->name, kernel->scheduled[level]->payload.kernel->schedule);
    json_close(json);
    json_key(json, "flops");
    write_index(json, arena, program->values[launch->flops_value]);
    json_key(json, "bytes");
    write_index(json, arena, program->values[launch->bytes_value]);
    json_close(json);
}

static void write_options(JsonWriter *json, const Pipeline *pipeline)
{
    static const char *const math[] = {[MATH_EXACT] = "exact", [MATH_DEFAULT] = "default", [MATH_FAST] = "fast"};
    const Options *const options = pipeline->options;
    const char *const *skipped;
    const int count = option_list(options, OPTION_SKIP, &skipped);
    json_key(json, "options");
    json_object(json);
    json_field_integer(json, "level", pipeline->compilation.level);
    json_field_string(json, "math", math[pipeline->compilation.math]);
    json_field_string(json, "weights", option_text(options, OPTION_WEIGHTS));
    json_field_string(json, "prefix", pipeline->build.info.prefix);
    json_key(json, "skip");
    json_array(json);
    for (int i = 0; i < count; i++)
        json_string(json, skipped[i]);
    json_close(json);
    for (int which = 0; which < 2; which++) {
        const OptionId id = which ? OPTION_DIM : OPTION_SHAPE;
        json_key(json, option_rows[id].name);
        json_array(json);
        for (int i = 0; i < option_count(options, id); i++)
            json_string(json, option_at(options, id, i));
        json_close(json);
    }
    json_close(json);
}

static void write_memory(JsonWriter *json, const Pipeline *pipeline, const BuildFacts *facts)
{
    const Compilation *const compilation = &pipeline->compilation;
    const bool symbolic = compilation->script || compilation->slot_count > 0 || pipeline->program.symbol_count > 0;
    json_key(json, "arena_bytes");
    if (symbolic)
        json_null(json);
    else
        json_integer(json, compilation->arena_bytes);
    json_key(json, "arena_bound");
    if (symbolic)
        json_null(json);
    else
        json_integer(json, compilation->arena_bound);
    json_field_integer(json, "weight_bytes", compilation->weight_bytes);
    if (facts && pipeline_bare(pipeline)) {
        const Footprint *const footprint = &pipeline->program.footprint;
        json_field_integer(json, "ram_bytes", footprint->ram);
        json_field_integer(json, "flash_bytes", footprint->flash);
        json_field_integer(json, "stack_bytes", footprint->stack);
    }
    if (facts)
        json_field_integer(json, "code_bytes", facts->code_bytes);
}

void report_write(JsonWriter *json, Pipeline *pipeline, const BuildFacts *facts)
{
    const Program *const program = &pipeline->program;
    const Module *const module = program->module;
    Arena *const arena = arena_open(0, NULL, NULL);
    json_field_string(json, "name", pipeline->build.info.name);
    json_field_string(json, "model_sha256", pipeline_sha256(pipeline));
    json_field_string(json, "tool", pipeline->build.info.tool);
    json_key(json, "levels");
    json_array(json);
    for (int i = 0; i < program->level_count; i++)
        json_string(json, program->levels[i]->name);
    json_close(json);
    write_tensors(json, arena, "inputs", module->inputs, module->input_names, module->input_count);
    write_tensors(json, arena, "outputs", module->outputs, module->output_names, module->output_count);
    write_symbols(json, pipeline);
    write_memory(json, pipeline, facts);
    write_options(json, pipeline);
    json_key(json, "kernels");
    json_array(json);
    for (int part = 0; part <= program->region_count; part++) {
        const Program *const one = program_part(&pipeline->program, part);
        for (int i = 0; i < one->launch_count; i++)
            write_kernel(json, arena, one, part - 1, &one->launches[i]);
    }
    json_close(json);
    if (program->region_count)
        json_field_integer(json, "regions", program->region_count);
    arena_close(arena);
}
