/* Tables and entries of a compiled model, written as LLVM text: see model.h. The struct types below mirror
 * runtime/lathe_runtime.h and runtime/lathe_model.h field by field; LLVM lays them out as C does.
 * tests/codegen/test_model.c runs a model through them. */
#include "codegen/model.h"

#include "codegen/images.h"
#include "codegen/text.h"
#include "ir/kernel.h"
#include "runtime/lathe_model.h"
#include "runtime/lathe_runtime.h"

#include <string.h>

static const char types[] = "%tensor = type { ptr, i32, i32, i32, i32, ptr, ptr, i32, i32 }\n"
                            "%symbol = type { ptr, i32, i32, i32, i64, i64 }\n"
                            "%buffer = type { i32, i32, i64 }\n"
                            "%launch = type { i32, i32, i32, i32, i32, i32, i32, [8 x i32], i32, i32, i32, ptr, ptr }\n"
                            "%check = type { i32, i32, ptr }\n"
                            "%image = type { ptr, ptr, ptr, i32, i32 }\n"
                            "%level = type { ptr, i64, ptr, i64, ptr }\n"
                            "%program = type { i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, ptr, ptr, ptr, "
                            "ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr,\n"
                            "  ptr, ptr, i32, ptr, ptr, ptr, i64, ptr, ptr }\n"
                            "%model = type { i32, i32, ptr, ptr, ptr, i32, i32, i32, i32, i32, i32, ptr, ptr, ptr, "
                            "ptr, i64, i64, ptr, ptr, ptr, ptr, ptr }\n"
                            "@lathe_rt_api = external hidden constant i8\n"
                            "declare hidden ptr @lathe_rt_open(ptr, ptr, ptr)\n"
                            "declare hidden void @lathe_rt_close(ptr)\n"
                            "declare hidden i32 @lathe_rt_run(ptr, ptr, ptr, ptr)\n"
                            "declare hidden i64 @lathe_rt_output_elements(ptr, ptr, i32)\n"
                            "@instance = internal global ptr null\n";

_Static_assert((int)LEVELS_MAX == LATHE_LEVELS_MAX, "a launch has a number of units for every level");

typedef struct Writer {
    const Program *program;
    const ModelInfo *info;
    Text body;    /* tables */
    Text strings; /* globals that tables point to */
    int string_count;
} Writer;

static const char *string(Writer *writer, const char *text)
{
    const int number = writer->string_count++;
    text_add(&writer->strings, "@s%d = private unnamed_addr constant [%zu x i8] c\"", number, strlen(text) + 1);
    text_add_escaped(&writer->strings, text);
    text_add(&writer->strings, "\\00\"\n");
    return arena_format(writer->program->ir->arena, "@s%d", number);
}

static void ints(Writer *writer, const char *name, const IntList *list)
{
    text_add(&writer->body, "@%s = internal constant [%d x i32] [", name, list->count);
    for (int i = 0; i < list->count; i++)
        text_add(&writer->body, "%si32 %d", i ? ", " : "", list->items[i]);
    text_add(&writer->body, "]\n");
}

static void array_begin(Writer *writer, const char *name, int count, const char *type)
{
    text_add(&writer->body, "@%s = internal constant [%d x %s] [", name, count, type);
}

static void array_end(Writer *writer)
{
    text_add(&writer->body, "]\n");
}

/* ---- tables ---- */

static void write_tensor_dims(Writer *writer, const char *group, int i, Type type)
{
    text_add(&writer->strings, "@%s_dims%d = private constant [%d x i64] [", group, i, type.rank);
    for (int j = 0; j < type.rank; j++) {
        int64_t dim = -1;
        const_is_int(type.dims[j], &dim);
        text_add(&writer->strings, "%si64 %lld", j ? ", " : "", (long long)dim);
    }
    text_add(&writer->strings, "]\n");
    const char **const names = NEW_ARRAY(writer->program->ir->arena, const char *, (size_t)type.rank + 1);
    for (int j = 0; j < type.rank; j++)
        names[j] = type.dims[j]->op == OP_symbol  ? string(writer, type.dims[j]->payload.name)
                   : type.dims[j]->op == OP_const ? NULL
                                                  : string(writer, "?");
    text_add(&writer->strings, "@%s_dim_names%d = private constant [%d x ptr] [", group, i, type.rank);
    for (int j = 0; j < type.rank; j++)
        text_add(&writer->strings, "%sptr %s", j ? ", " : "", names[j] ? names[j] : "null");
    text_add(&writer->strings, "]\n");
}

static void write_tensors(Writer *writer, const char *group, Node *const *buffers, int count, const Name *names,
                          const int *dims, const int *bytes)
{
    for (int i = 0; i < count; i++)
        write_tensor_dims(writer, group, i, buffers[i]->type);
    array_begin(writer, group, count, "%tensor");
    for (int i = 0; i < count; i++) {
        const DtypeInfo *const dtype = &dtype_info[buffers[i]->type.dtype];
        text_add(
            &writer->body,
            "%s%%tensor { ptr %s, i32 %d, i32 %d, i32 %d, i32 0, ptr @%s_dims%d, ptr @%s_dim_names%d, i32 %d, i32 %d }",
            i ? ", " : "", string(writer, names[i]), dtype->onnx, dtype->bits, buffers[i]->type.rank, group, i, group,
            i, dims[i], bytes[i]);
    }
    array_end(writer);
}

static void write_symbols(Writer *writer)
{
    const Program *const program = writer->program;
    array_begin(writer, "symbols", program->symbol_count, "%symbol");
    for (int i = 0; i < program->symbol_count; i++) {
        const ProgramSymbol *const symbol = &program->symbols[i];
        text_add(&writer->body, "%s%%symbol { ptr %s, i32 %d, i32 %d, i32 %d, i64 %s, i64 %s }", i ? ", " : "",
                 string(writer, symbol->symbol->payload.name), symbol->input, symbol->position, symbol->element,
                 symbol->element ? "-9223372036854775808" : "0",
                 symbol->element ? "9223372036854775807" : "1099511627776");
    }
    array_end(writer);
}

static void write_values(Writer *writer)
{
    const Program *const program = writer->program;
    array_begin(writer, "values", program->value_count, "i64");
    for (int i = 0; i < program->value_count; i++) {
        int64_t value = 0;
        const_is_int(program->values[i], &value);
        text_add(&writer->body, "%si64 %lld", i ? ", " : "", (long long)value);
    }
    array_end(writer);
}

static void write_buffers(Writer *writer)
{
    const Program *const program = writer->program;
    array_begin(writer, "buffers", program->buffer_count, "%buffer");
    for (int i = 0; i < program->buffer_count; i++)
        text_add(&writer->body, "%s%%buffer { i32 %d, i32 %d, i64 %lld }", i ? ", " : "", program->buffers[i].place,
                 program->buffers[i].index, (long long)program->buffers[i].offset);
    array_end(writer);
}

static void write_launches(Writer *writer)
{
    const Program *const program = writer->program;
    array_begin(writer, "launches", program->launch_count, "%launch");
    for (int i = 0; i < program->launch_count; i++) {
        const ProgramLaunch *const launch = &program->launches[i];
        text_add(&writer->body, "%s\n  %%launch { i32 %d, i32 %d, i32 %d, i32 %d, i32 %d, i32 %d, i32 %d, [%d x i32] [",
                 i ? "," : "", launch->index, launch->buffers_first, launch->buffers_count, launch->dims_first,
                 launch->dims_count, launch->deps_first, launch->deps_count, LEVELS_MAX);
        for (int level = 0; level < LEVELS_MAX; level++)
            text_add(&writer->body, "%si32 %d", level ? ", " : "", launch->units_value[level]);
        text_add(&writer->body, "], ");
        text_add(&writer->body, "i32 %d, i32 %d, i32 %d, ptr %s, ptr %s }", launch->work_value, launch->flops_value,
                 launch->bytes_value, string(writer, launch->name),
                 string(writer, program->kernels[launch->index].name));
    }
    array_end(writer);
}

static void write_checks(Writer *writer)
{
    const Program *const program = writer->program;
    array_begin(writer, "checks", program->check_count, "%check");
    for (int i = 0; i < program->check_count; i++)
        text_add(&writer->body, "%s%%check { i32 %d, i32 %d, ptr %s }", i ? ", " : "", program->checks[i].value,
                 LATHE_E_SHAPE, string(writer, program->checks[i].message));
    array_end(writer);
}

static bool is_device(const Program *program)
{
    return program->levels[0]->gpu != NULL;
}

/* Before the kernels are compiled (the text of the tables, for reading) there is nothing to point to. */
static const char *image_at(const Writer *writer, int64_t offset)
{
    return offset < 0 ? "null"
                      : arena_format(writer->program->ir->arena, "getelementptr (i8, ptr @%s, i64 %lld)", images_symbol,
                                     (long long)offset);
}

static void write_images(Writer *writer, int level)
{
    const Program *const program = writer->program;
    text_add(&writer->body, "@images%d = internal constant [%d x %%image] [", level, program->kernel_count);
    for (int i = 0; i < program->kernel_count; i++) {
        const Node *const kernel = program->kernels[i].scheduled[level];
        const ProgramImage none = {-1, -1};
        const ProgramImage image = program->images ? program->images[i * program->level_count + level] : none;
        const int threads = kernel->payload.kernel->threads;
        text_add(&writer->body, "%s\n  %%image { ptr %s, ptr %s, ptr %s, i32 %d, i32 %lld }", i ? "," : "",
                 string(writer, program->kernels[i].symbol[level]), image_at(writer, image.binary),
                 image_at(writer, image.text), threads ? threads : 1,
                 (long long)kernel_shared_bytes(program->ir, kernel));
    }
    array_end(writer);
}

static void write_level_rows(Writer *writer)
{
    const Program *const program = writer->program;
    array_begin(writer, "levels", program->level_count, "%level");
    for (int level = 0; level < program->level_count; level++) {
        const TargetMachineInfo *const target = program->levels[level];
        const uint64_t features = target->gpu ? (uint64_t)target->gpu->sm : target->cpu_mask;
        text_add(&writer->body, "%s%%level { ptr %s, i64 %llu, ", level ? ", " : "", string(writer, target->name),
                 (unsigned long long)features);
        if (is_device(program))
            text_add(&writer->body, "ptr null, i64 0, ptr @images%d }", level);
        else
            text_add(&writer->body, "ptr @kernels%d, i64 %lld, ptr null }", level, (long long)program->scratch[level]);
    }
    array_end(writer);
}

static void write_levels(Writer *writer)
{
    const Program *const program = writer->program;
    if (is_device(program) && program->images)
        text_add(&writer->strings, "@%s = external hidden constant i8\n", images_symbol);
    for (int level = 0; level < program->level_count; level++) {
        if (is_device(program)) {
            write_images(writer, level);
            continue;
        }
        for (int i = 0; i < program->kernel_count; i++)
            text_add(&writer->strings, "declare hidden void @%s(ptr, ptr, i64, i64, ptr, ptr)\n",
                     program->kernels[i].symbol[level]);
        text_add(&writer->body, "@kernels%d = internal constant [%d x ptr] [", level, program->kernel_count);
        for (int i = 0; i < program->kernel_count; i++)
            text_add(&writer->body, "%sptr @%s", i ? ", " : "", program->kernels[i].symbol[level]);
        array_end(writer);
    }
    write_level_rows(writer);
    text_add(&writer->body, "@level_names = internal constant [%d x ptr] [", program->level_count);
    for (int level = 0; level < program->level_count; level++)
        text_add(&writer->body, "%sptr %s", level ? ", " : "", string(writer, program->levels[level]->name));
    array_end(writer);
}

static void write_slots(Writer *writer)
{
    const Program *const program = writer->program;
    const int slots = program->compilation->slot_count ? program->compilation->slot_count : 1;
    const IntList bytes = {program->slot_bytes_value, slots, slots};
    ints(writer, "slot_bytes", &bytes);
    text_add(&writer->body, "@slot_offsets = internal constant [%d x i64] zeroinitializer\n", slots);
}

static void write_program(Writer *writer, const char *weights)
{
    const Program *const program = writer->program;
    const ModelInfo *const info = writer->info;
    const int slots = program->compilation->slot_count ? program->compilation->slot_count : 1;
    if (program->instantiate)
        text_add(&writer->strings, "declare hidden void @lathe_instantiate(ptr, ptr, i64, i64, ptr, ptr)\n");
    if (is_device(program))
        text_add(&writer->strings, "@lathe_rt_cuda = external hidden constant i8\n");
    if (weights)
        text_add(&writer->strings, "@%s = external hidden constant i8\n", weights);
    text_add(&writer->body,
             "@program = internal constant %%program { i32 %d, i32 %d, i32 %d, i32 %d, i32 %d, i32 %d, i32 %d, i32 %d, "
             "i32 %d, i32 %d, i32 %d,\n",
             LATHE_RUNTIME_ABI, program->module->input_count, program->module->output_count, program->symbol_count,
             program->value_count, program->buffer_count, program->launch_count, slots, program->check_count,
             program->level_count, program->kernel_count);
    text_add(&writer->body,
             "  ptr %s, ptr %s, ptr %s, ptr @inputs, ptr @outputs, ptr @symbols, ptr @values, ptr %s, ptr @buffers, "
             "ptr @launches,\n",
             string(writer, info->name), string(writer, info->tool), string(writer, info->sha256),
             program->instantiate ? "@lathe_instantiate" : "null");
    text_add(&writer->body,
             "  ptr @buffer_refs, ptr @value_refs, ptr @dep_refs, ptr @slot_bytes, ptr @slot_offsets, i32 %d, ptr "
             "@checks, ptr @levels, ptr %s%s, i64 %lld, ptr %s, ptr null }\n",
             program->arena_bytes_value, weights ? "@" : "null", weights ? weights : "",
             (long long)program->compilation->weight_bytes, is_device(program) ? "@lathe_rt_cuda" : "null");
}

static void write_model(Writer *writer)
{
    const Program *const program = writer->program;
    const ModelInfo *const info = writer->info;
    text_add(&writer->body,
             "@%s_model = constant %%model { i32 %zu, i32 %d, ptr %s, ptr %s, ptr %s, i32 %d, i32 %d, i32 %d, i32 %d, "
             "i32 %d, i32 0,\n",
             info->prefix, sizeof(lathe_model_v1), LATHE_MODEL_ABI, string(writer, info->name),
             string(writer, info->tool), string(writer, info->sha256), program->module->input_count,
             program->module->output_count, program->symbol_count, program->launch_count, program->level_count);
    text_add(&writer->body,
             "  ptr @inputs, ptr @outputs, ptr @symbols, ptr @level_names, i64 %lld, i64 %lld, ptr @lathe_rt_api, ptr "
             "@program, ptr @instance, ptr null, ptr null }\n",
             (long long)(program->instantiate ? 0 : program->compilation->arena_bytes),
             (long long)program->compilation->weight_bytes);
    if (info->shared)
        text_add(&writer->body, "@lathe_model_v1 = alias %%model, ptr @%s_model\n", info->prefix);
}

/* ---- entries ---- */

static void write_run(Writer *writer)
{
    const Program *const program = writer->program;
    const int inputs = program->module->input_count, outputs = program->module->output_count;
    Text *const body = &writer->body;
    text_add(body, "define i32 @%s_run(ptr %%context%s", writer->info->prefix,
             program->instantiate ? ", ptr %dims" : "");
    for (int i = 0; i < inputs; i++)
        text_add(body, ", ptr %%i%d", i);
    for (int i = 0; i < outputs; i++)
        text_add(body, ", ptr %%o%d", i);
    text_add(body, ") nounwind {\n  %%in = alloca [%d x ptr]\n  %%out = alloca [%d x ptr]\n", inputs + 1, outputs + 1);
    for (int i = 0; i < inputs; i++)
        text_add(body, "  %%pi%d = getelementptr ptr, ptr %%in, i64 %d\n  store ptr %%i%d, ptr %%pi%d\n", i, i, i, i);
    for (int i = 0; i < outputs; i++)
        text_add(body, "  %%po%d = getelementptr ptr, ptr %%out, i64 %d\n  store ptr %%o%d, ptr %%po%d\n", i, i, i, i);
    text_add(body, "  %%r = call i32 @lathe_rt_run(ptr %%context, ptr %%in, ptr %%out, ptr %s)\n  ret i32 %%r\n}\n",
             program->instantiate ? "%dims" : "null");
}

static void write_entries(Writer *writer)
{
    const char *const prefix = writer->info->prefix;
    Text *const body = &writer->body;
    text_add(body,
             "define ptr @%s_open(ptr %%options, ptr %%error) nounwind {\n  %%c = call ptr @lathe_rt_open(ptr "
             "@%s_model, ptr %%options, ptr %%error)\n  ret ptr %%c\n}\n",
             prefix, prefix);
    text_add(
        body,
        "define void @%s_close(ptr %%context) nounwind {\n  call void @lathe_rt_close(ptr %%context)\n  ret void\n}\n",
        prefix);
    write_run(writer);
    if (writer->program->instantiate)
        text_add(body,
                 "define i64 @%s_output_elems(ptr %%dims, i32 %%output) nounwind {\n  %%n = call i64 "
                 "@lathe_rt_output_elements(ptr @%s_model, ptr %%dims, i32 %%output)\n  ret i64 %%n\n}\n",
                 prefix, prefix);
}

const char *const *model_exports(const Program *program, const ModelInfo *info, int *count)
{
    Arena *const arena = program->ir->arena;
    const char **const names = NEW_ARRAY(arena, const char *, 6);
    *count = 0;
    if (program->levels[0]->family->system == SYSTEM_FREESTANDING) {
        names[(*count)++] = arena_format(arena, "%s_init", info->prefix);
        names[(*count)++] = arena_format(arena, "%s_run", info->prefix);
        return names;
    }
    names[(*count)++] = arena_format(arena, "%s_open", info->prefix);
    names[(*count)++] = arena_format(arena, "%s_close", info->prefix);
    names[(*count)++] = arena_format(arena, "%s_run", info->prefix);
    names[(*count)++] = arena_format(arena, "%s_model", info->prefix);
    if (program->instantiate)
        names[(*count)++] = arena_format(arena, "%s_output_elems", info->prefix);
    if (info->shared)
        names[(*count)++] = "lathe_model_v1";
    return names;
}

bool model_object(const Program *program, const ModelInfo *info, const char *weights, ObjectFormat format,
                  ObjectBytes *result)
{
    Writer writer = {.program = program, .info = info};
    text_open(&writer.body);
    text_open(&writer.strings);
    write_tensors(&writer, "inputs", program->module->inputs, program->module->input_count,
                  program->module->input_names, program->input_dims, program->input_bytes);
    write_tensors(&writer, "outputs", program->module->outputs, program->module->output_count,
                  program->module->output_names, program->output_dims, program->output_bytes);
    write_symbols(&writer);
    write_values(&writer);
    write_buffers(&writer);
    write_launches(&writer);
    ints(&writer, "buffer_refs", &program->buffer_refs);
    ints(&writer, "value_refs", &program->value_refs);
    ints(&writer, "dep_refs", &program->dep_refs);
    write_slots(&writer);
    write_checks(&writer);
    write_levels(&writer);
    write_program(&writer, weights);
    write_model(&writer);
    write_entries(&writer);
    Text all;
    text_open(&all);
    text_add(&all, "%s%s%s", types, writer.strings.data, writer.body.data);
    const bool made =
        object_from_text(program->ir, program->ir->arena, "model", program_host(program), all.data, format, result);
    text_close(&all);
    text_close(&writer.body);
    text_close(&writer.strings);
    return made;
}
