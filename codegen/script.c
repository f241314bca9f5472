/* The tables of runtime/lathe_script.h: steps between regions, as LLVM text. */
#include "ir/script.h"

#include "codegen/model_writer.h"
#include "ir/kernel.h"
#include "ir/ops/ops.h"
#include "ir/procedure.h"
#include "passes/access.h"
#include "runtime/lathe_script.h"

#include <string.h>

static const char types[] = "%bind = type { i32, i32, i32, i32 }\n"
                            "%constant = type { i32, i32, ptr, ptr }\n"
                            "%attribute = type { ptr, i64, double, ptr, i64, ptr, ptr, ptr, ptr }\n"
                            "%step = type { i32, i32, ptr, ptr, ptr, i32, i32, i32, i32, ptr, ptr, ptr, i32, ptr }\n"
                            "%body = type { ptr, ptr, ptr, ptr, i32, i32, i32, i32 }\n"
                            "%slot = type { i32, i32, i32, ptr }\n"
                            "%region = type { ptr, ptr, ptr, ptr, ptr }\n"
                            "%script = type { ptr, i32, i32, i32, i32, ptr, ptr, ptr }\n"
                            "@lathe_rt_walker = external hidden constant i8\n";

typedef struct ScriptWriter {
    Writer *writer;
    const Script *script;
    NodeMap symbols; /* -> 1 + number */
    int symbol_count;
    const char **hosts; /* functions that are declared */
    int host_count, host_capacity;
    bool external; /* some step calls a function of the user's */
} ScriptWriter;

/* ---- symbols ---- */

/* What regions want is numbered; each must be told by some value. */
static bool number_symbols(ScriptWriter *script, const Program *main)
{
    NodeMap told;
    map_open(&told, main->ir->arena);
    for (int i = 0; i < script->script->symbol_count; i++)
        map_set(&told, script->script->symbols[i].symbol, script);
    for (int i = 0; i < main->region_count; i++)
        for (int j = 0; j < main->regions[i].symbol_count; j++) {
            const Node *const symbol = main->regions[i].symbols[j].symbol;
            if (!map_has(&told, symbol))
                return diag_error(main->ir->diagnostics, EXIT_UNSUPPORTED, NULL,
                                  "the size '%s' does not follow from any input or step", symbol->payload.name);
            if (!map_has(&script->symbols, symbol))
                map_set(&script->symbols, symbol, (void *)(intptr_t)++script->symbol_count);
        }
    return true;
}

static int symbol_number(const ScriptWriter *script, const Node *symbol)
{
    return (int)(intptr_t)map_get(&script->symbols, symbol) - 1;
}

/* Only symbols that somebody wants are bound. */
static const char *write_binds(ScriptWriter *script, const ScriptBind *binds, int *count)
{
    Writer *const writer = script->writer;
    int wanted = 0;
    for (int i = 0; i < *count; i++)
        wanted += map_has(&script->symbols, binds[i].symbol);
    const int total = *count, number = writer->string_count++;
    *count = wanted;
    if (!wanted)
        return "null";
    text_add(&writer->body, "@s%d = private constant [%d x %%bind] [", number, wanted);
    const char *separator = "";
    for (int i = 0; i < total; i++) {
        if (!map_has(&script->symbols, binds[i].symbol))
            continue;
        text_add(&writer->body, "%s%%bind { i32 %d, i32 %d, i32 %d, i32 %d }", separator, binds[i].slot,
                 binds[i].position, binds[i].element, symbol_number(script, binds[i].symbol));
        separator = ", ";
    }
    text_add(&writer->body, "]\n");
    return arena_format(writer->program->ir->arena, "@s%d", number);
}

/* ---- attributes ---- */

static const char *write_strings(Writer *writer, const char *const *strings, int64_t count)
{
    Arena *const arena = writer->program->ir->arena;
    const char **const names = NEW_ARRAY(arena, const char *, (size_t)count + 1);
    if (count == 0)
        return "null";
    for (int64_t i = 0; i < count; i++)
        names[i] = writer_string(writer, strings[i]);
    const int number = writer->string_count++;
    text_add(&writer->body, "@s%d = private constant [%lld x ptr] [", number, (long long)count);
    for (int64_t i = 0; i < count; i++)
        text_add(&writer->body, "%sptr %s", i ? ", " : "", names[i]);
    text_add(&writer->body, "]\n");
    return arena_format(arena, "@s%d", number);
}

static const char *write_constant(Writer *writer, const Node *node)
{
    Ir *const ir = writer->program->ir;
    const Constant *const constant = node->payload.constant;
    const Type type = node->type;
    int64_t dims[RANK_MAX], elements = 1;
    for (int i = 0; i < type.rank; i++) {
        const_is_int(type.dims[i], &dims[i]);
        elements *= dims[i];
    }
    const char *data;
    if (type.dtype == DTYPE_STRING) {
        data = write_strings(writer, (const char *const *)constant->strings, elements);
    } else if (constant->splat) {
        const uint64_t size = constant->bytes;
        char *const all = arena_alloc(ir->arena, (size_t)elements * size + 1);
        for (int64_t i = 0; i < elements; i++)
            memcpy(all + (size_t)i * size, constant->data, size);
        data = writer_bytes(writer, all, (size_t)elements * size);
    } else {
        data = writer_bytes(writer, constant->data, constant->bytes);
    }
    const char *const extents = writer_longs(writer, dims, type.rank);
    const int number = writer->string_count++;
    text_add(&writer->body, "@s%d = private constant %%constant { i32 %d, i32 %d, ptr %s, ptr %s }\n", number,
             dtype_info[type.dtype].onnx, type.rank, extents, data);
    return arena_format(ir->arena, "@s%d", number);
}

/* A double as LLVM reads it without loss. */
static const char *real_text(Arena *arena, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return arena_format(arena, "0x%016llX", (unsigned long long)bits);
}

static const char *write_reals(Writer *writer, const double *reals, int count)
{
    const int number = writer->string_count++;
    if (count == 0)
        return "null";
    text_add(&writer->body, "@s%d = private constant [%d x double] [", number, count);
    for (int i = 0; i < count; i++)
        text_add(&writer->body, "%sdouble %s", i ? ", " : "", real_text(writer->program->ir->arena, reals[i]));
    text_add(&writer->body, "]\n");
    return arena_format(writer->program->ir->arena, "@s%d", number);
}

static const char *attribute_text(Writer *writer, const Attribute *attribute)
{
    Arena *const arena = writer->program->ir->arena;
    const AttributeKind kind = attribute->kind;
    const bool list = kind >= ATTRIBUTE_INTS && kind <= ATTRIBUTE_STRINGS;
    return arena_format(
        arena, "%%attribute { ptr %s, i64 %lld, double %s, ptr %s, i64 %d, ptr %s, ptr %s, ptr %s, ptr %s }",
        writer_string(writer, attribute->name), kind == ATTRIBUTE_INT ? (long long)attribute->integer : 0,
        real_text(arena, kind == ATTRIBUTE_FLOAT ? attribute->real : 0),
        kind == ATTRIBUTE_STRING ? writer_string(writer, attribute->string) : "null", list ? attribute->count : 0,
        kind == ATTRIBUTE_INTS ? writer_longs(writer, attribute->integers, attribute->count) : "null",
        kind == ATTRIBUTE_FLOATS ? write_reals(writer, attribute->reals, attribute->count) : "null",
        kind == ATTRIBUTE_STRINGS ? write_strings(writer, attribute->strings, attribute->count) : "null",
        kind == ATTRIBUTE_TENSOR ? write_constant(writer, attribute->tensor) : "null");
}

static const char *write_attributes(Writer *writer, const Node *node, int *count)
{
    Arena *const arena = writer->program->ir->arena;
    *count = 0;
    if (!node)
        return "null";
    const Attribute value = {.name = "value", .kind = ATTRIBUTE_TENSOR, .tensor = (Node *)(uintptr_t)node};
    const Attribute *const attributes = node->op == OP_constant ? &value : node->attributes;
    const int total = node->op == OP_constant ? 1 : node->attribute_count;
    const char **const texts = NEW_ARRAY(arena, const char *, (size_t)total + 1);
    for (int i = 0; i < total; i++)
        if (attributes[i].kind != ATTRIBUTE_GRAPH)
            texts[(*count)++] = attribute_text(writer, &attributes[i]);
    if (*count == 0)
        return "null";
    const int number = writer->string_count++;
    text_add(&writer->body, "@s%d = private constant [%d x %%attribute] [", number, *count);
    for (int i = 0; i < *count; i++)
        text_add(&writer->body, "%s%s", i ? ", " : "", texts[i]);
    text_add(&writer->body, "]\n");
    return arena_format(arena, "@s%d", number);
}

/* ---- steps and bodies ---- */

static const char *host_function(ScriptWriter *script, const char *name, const char *external)
{
    Arena *const arena = script->writer->program->ir->arena;
    const char *const function =
        arena_format(arena, external ? "@lathe_external_%s" : "@lathe_host_%s", external ? external : name);
    for (int i = 0; i < script->host_count; i++)
        if (strcmp(script->hosts[i], function) == 0)
            return function;
    if (script->host_count == script->host_capacity) {
        script->host_capacity = script->host_capacity ? script->host_capacity * 2 : 16;
        const char **const hosts = NEW_ARRAY(arena, const char *, (size_t)script->host_capacity);
        if (script->host_count)
            memcpy(hosts, script->hosts, (size_t)script->host_count * sizeof *hosts);
        script->hosts = hosts;
    }
    script->hosts[script->host_count++] = function;
    if (external)
        text_add(&script->writer->strings,
                 "%sdeclare i32 @%s(ptr, i32, ptr, i32, ptr)\n"
                 "define internal i32 %s(ptr %%run, ptr %%step) {\n"
                 "  %%code = call i32 @lathe_rt_external(ptr %%run, ptr %%step, ptr @%s)\n  ret i32 %%code\n}\n",
                 script->external ? "" : "declare hidden i32 @lathe_rt_external(ptr, ptr, ptr)\n", external, function,
                 external);
    else
        text_add(&script->writer->strings, "declare hidden i32 %s(ptr, ptr)\n", function);
    script->external = script->external || external;
    return function;
}

static const char *step_name(const Node *node)
{
    return node && node->where && node->where->node ? node->where->node : node ? op_name(node->op) : "";
}

static const char *step_text(ScriptWriter *script, const Step *step)
{
    static const int kinds[] = {[STEP_REGION] = LATHE_STEP_REGION,
                                [STEP_COPY] = LATHE_STEP_COPY,
                                [STEP_IF] = LATHE_STEP_IF,
                                [STEP_LOOP] = LATHE_STEP_LOOP,
                                [STEP_HOST] = LATHE_STEP_HOST};
    Writer *const writer = script->writer;
    int binds = step->bind_count, attributes;
    const char *const bind_name = write_binds(script, step->binds, &binds);
    const char *const attribute_name = write_attributes(writer, step->node, &attributes);
    const char *const symbol = step->node && step->node->op == OP_lathe_External
                                   ? attribute_string(step->node, "symbol", NULL)
                                   : NULL; /* a function of the user's */
    return arena_format(writer->program->ir->arena,
                        "%%step { i32 %d, i32 %d, ptr %s, ptr %s, ptr %s, i32 %d, i32 %d, i32 %d, i32 %d, ptr %s, ptr "
                        "%s, ptr %s, i32 %d, ptr %s }",
                        kinds[step->kind], step->target,
                        step->host ? host_function(script, step->host, symbol) : "null",
                        writer_ints(writer, step->inputs, step->input_count),
                        writer_ints(writer, step->outputs, step->output_count), step->input_count, step->output_count,
                        binds, attributes, bind_name, attribute_name, writer_ints(writer, step->ends, step->end_count),
                        step->end_count, writer_string(writer, step_name(step->node)));
}

static const char *body_text(ScriptWriter *script, const ScriptBody *body)
{
    Writer *const writer = script->writer;
    Arena *const arena = writer->program->ir->arena;
    const char **const texts = NEW_ARRAY(arena, const char *, (size_t)body->step_count + 1);
    int binds = body->bind_count;
    for (int i = 0; i < body->step_count; i++)
        texts[i] = step_text(script, &body->steps[i]);
    const char *const bind_name = write_binds(script, body->binds, &binds);
    const int number = writer->string_count++;
    text_add(&writer->body, "@s%d = private constant [%d x %%step] [", number, body->step_count);
    for (int i = 0; i < body->step_count; i++)
        text_add(&writer->body, "%s\n  %s", i ? "," : "", texts[i]);
    text_add(&writer->body, "]\n");
    return arena_format(arena, "%%body { ptr %s, ptr %s, ptr %s, ptr @s%d, i32 %d, i32 %d, i32 %d, i32 %d }",
                        writer_ints(writer, body->inputs, body->input_count),
                        writer_ints(writer, body->outputs, body->output_count), bind_name, number, body->input_count,
                        body->output_count, binds, body->step_count);
}

static const char *slot_text(Writer *writer, Type type)
{
    int64_t dims[RANK_MAX];
    const int rank = type.rank < 0 ? -2 : type.rank;
    const bool sequence = type.form == FORM_SEQUENCE || type.form == FORM_OPTIONAL_SEQUENCE;
    for (int i = 0; i < rank; i++)
        if (!type.dims[i] || !const_is_int(type.dims[i], &dims[i]))
            dims[i] = -1;
    return arena_format(writer->program->ir->arena, "%%slot { i32 %d, i32 %d, i32 %d, ptr %s }",
                        sequence ? LATHE_SEQUENCE : LATHE_TENSOR, dtype_info[type.dtype].onnx, rank,
                        rank > 0 ? writer_longs(writer, dims, rank) : "null");
}

/* ---- the script ---- */

static void write_array(Writer *writer, const char *name, const char *type, const char *const *texts, int count)
{
    text_add(&writer->body, "@%s = private constant [%d x %s] [", name, count, type);
    for (int i = 0; i < count; i++)
        text_add(&writer->body, "%s\n  %s", i ? "," : "", texts[i]);
    text_add(&writer->body, "]\n");
}

/* The kernel does nothing but copy the whole of one tensor to the beginning of another one of the same rows. */
static bool is_prefix_copy(const Node *kernel)
{
    if (kernel_is_procedure(kernel) || kernel_stages(kernel)->count != 1)
        return false;
    const Node *const stage = kernel_stages(kernel)->nodes[0], *const value = stage_value(stage);
    const Node *const from = value->op == OP_at ? value->inputs[0] : NULL, *const to = stage_buffer(stage);
    if (!from || from->payload.buffer->place != PLACE_INPUT || to->payload.buffer->place != PLACE_OUTPUT ||
        from->type.dtype != to->type.dtype || from->type.rank != to->type.rank || stage->axis_count != to->type.rank ||
        dtype_info[to->type.dtype].bits < 8 || from->payload.buffer->layout.count || to->payload.buffer->layout.count)
        return false;
    for (int i = 0; i < stage->axis_count; i++)
        if (value->inputs[i + 1] != stage->axes[i] || stage_indices(stage)[i] != stage->axes[i] ||
            stage->axes[i]->inputs[0] != from->type.dims[i] || (i > 0 && from->type.dims[i] != to->type.dims[i]))
            return false;
    return stage->axis_count > 0;
}

static int launches_with(const Program *region, const Node *buffer)
{
    int count = 0;
    for (int i = 0; i < region->launch_count; i++)
        for (int j = 0; j < region->launches[i].buffers_count; j++)
            count += buffer_root(region->launches[i].kernel->inputs[j]) == buffer;
    return count;
}

/* Nobody else may read the input: others may write over what was its memory. */
static const char *growth_text(ScriptWriter *script, const Program *region)
{
    for (int i = 0; i < region->launch_count; i++) {
        const Node *const kernel = region->launches[i].kernel;
        if (!is_prefix_copy(kernel) ||
            launches_with(region, stage_value(kernel_stages(kernel)->nodes[0])->inputs[0]) != 1)
            continue;
        const Node *const stage = kernel_stages(kernel)->nodes[0];
        const int numbers[3] = {stage_value(stage)->inputs[0]->payload.buffer->number,
                                stage_buffer(stage)->payload.buffer->number, i};
        return writer_ints(script->writer, numbers, 3);
    }
    return "null";
}

static const char *region_text(ScriptWriter *script, const Program *region)
{
    Arena *const arena = region->ir->arena;
    int *const symbols = NEW_ARRAY(arena, int, (size_t)region->symbol_count + 1);
    for (int i = 0; i < region->symbol_count; i++)
        symbols[i] = symbol_number(script, region->symbols[i].symbol);
    return arena_format(arena, "%%region { ptr @program%s, ptr %s, ptr null, ptr null, ptr %s }", region->suffix,
                        writer_ints(script->writer, symbols, region->symbol_count), growth_text(script, region));
}

bool script_write(Writer *writer, const Program *main)
{
    Arena *const arena = main->ir->arena;
    ScriptWriter script = {.writer = writer, .script = main->compilation->script};
    const Script *const source = script.script;
    const int most = source->slot_count + source->body_count + main->region_count + 1;
    const char **const texts = NEW_ARRAY(arena, const char *, (size_t)most);
    map_open(&script.symbols, arena);
    if (!number_symbols(&script, main))
        return false;
    text_add(&writer->strings, "%s", types);
    for (int i = 0; i < source->slot_count; i++)
        texts[i] = slot_text(writer, source->slots[i]);
    write_array(writer, "script_slots", "%slot", texts, source->slot_count);
    for (int i = 0; i < source->body_count; i++)
        texts[i] = body_text(&script, &source->bodies[i]);
    write_array(writer, "script_bodies", "%body", texts, source->body_count);
    for (int i = 0; i < main->region_count; i++)
        texts[i] = region_text(&script, &main->regions[i]);
    write_array(writer, "script_regions", "%region", texts, main->region_count);
    text_add(&writer->body,
             "@script = internal constant %%script { ptr @lathe_rt_walker, i32 %d, i32 %d, i32 %d, i32 %d, ptr "
             "@script_slots, ptr @script_bodies, ptr @script_regions }\n",
             source->slot_count, source->body_count, main->region_count, script.symbol_count);
    return true;
}
