/* Tables and entries of a compiled model, written as LLVM text: see model.h. The struct types below mirror
 * runtime/lathe_runtime.h and runtime/lathe_model.h field by field; LLVM lays them out as C does.
 * tests/codegen/test_model.c runs a model through them. */
#include "codegen/model.h"

#include "codegen/images.h"
#include "codegen/model_writer.h"
#include "codegen/reach.h"
#include "ir/kernel.h"
#include "runtime/lathe_model.h"
#include "runtime/lathe_runtime.h"
#include "runtime/lathe_script.h"

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
                            "  ptr, ptr, i32, ptr, ptr, ptr, i64, ptr, ptr, ptr, i32, i32 }\n"
                            "%model = type { i32, i32, ptr, ptr, ptr, i32, i32, i32, i32, i32, i32, ptr, ptr, ptr, "
                            "ptr, i64, i64, ptr, ptr, ptr, ptr, ptr }\n"
                            "@lathe_rt_api = external hidden constant i8\n"
                            "declare hidden ptr @lathe_rt_open(ptr, ptr, ptr)\n"
                            "declare hidden void @lathe_rt_close(ptr)\n"
                            "declare hidden i32 @lathe_rt_run(ptr, ptr, ptr, ptr)\n"
                            "declare hidden i64 @lathe_rt_output_elements(ptr, ptr, i32)\n"
                            "@instance = internal global ptr null\n";

_Static_assert((int)LEVELS_MAX == LATHE_LEVELS_MAX, "a launch has a number of units for every level");

const char *writer_bytes(Writer *writer, const char *bytes, size_t count)
{
    const int number = writer->string_count++;
    text_add(&writer->strings, "@s%d = private constant [%zu x i8] c\"", number, count);
    text_add_bytes(&writer->strings, bytes, count);
    text_add(&writer->strings, "\", align 64\n");
    return arena_format(writer->program->ir->arena, "@s%d", number);
}

const char *writer_string(Writer *writer, const char *text)
{
    const int number = writer->string_count++;
    text_add(&writer->strings, "@s%d = private unnamed_addr constant [%zu x i8] c\"", number, strlen(text) + 1);
    text_add_escaped(&writer->strings, text);
    text_add(&writer->strings, "\\00\"\n");
    return arena_format(writer->program->ir->arena, "@s%d", number);
}

const char *writer_ints(Writer *writer, const int *items, int count)
{
    if (count == 0)
        return "null";
    const int number = writer->string_count++;
    text_add(&writer->strings, "@s%d = private constant [%d x i32] [", number, count);
    for (int i = 0; i < count; i++)
        text_add(&writer->strings, "%si32 %d", i ? ", " : "", items[i]);
    text_add(&writer->strings, "]\n");
    return arena_format(writer->program->ir->arena, "@s%d", number);
}

const char *writer_longs(Writer *writer, const int64_t *items, int count)
{
    if (count == 0)
        return "null";
    const int number = writer->string_count++;
    text_add(&writer->strings, "@s%d = private constant [%d x i64] [", number, count);
    for (int i = 0; i < count; i++)
        text_add(&writer->strings, "%si64 %lld", i ? ", " : "", (long long)items[i]);
    text_add(&writer->strings, "]\n");
    return arena_format(writer->program->ir->arena, "@s%d", number);
}

static void ints(Writer *writer, const char *name, const IntList *list)
{
    text_add(&writer->body, "@%s%s = internal constant [%d x i32] [", name, writer->program->suffix, list->count);
    for (int i = 0; i < list->count; i++)
        text_add(&writer->body, "%si32 %d", i ? ", " : "", list->items[i]);
    text_add(&writer->body, "]\n");
}

static void array_begin(Writer *writer, const char *name, int count, const char *type)
{
    text_add(&writer->body, "@%s%s = internal constant [%d x %s] [", name, writer->program->suffix, count, type);
}

static void array_end(Writer *writer)
{
    text_add(&writer->body, "]\n");
}

/* ---- tables ---- */

static int value_optional(Type type)
{
    return type.form == FORM_OPTIONAL || type.form == FORM_OPTIONAL_SEQUENCE;
}

/* What is no tensor, or of a rank that only a run knows, has no dims. */
static int told_rank(Type type)
{
    return type_is_tensor(type) ? type.rank : -1;
}

static void write_tensor_dims(Writer *writer, const char *group, int i, Type type)
{
    const char *const suffix = writer->program->suffix;
    const int rank = told_rank(type) < 0 ? 0 : type.rank;
    text_add(&writer->strings, "@%s%s_dims%d = private constant [%d x i64] [", group, suffix, i, rank);
    for (int j = 0; j < rank; j++) {
        int64_t dim = -1;
        if (type.dims[j])
            const_is_int(type.dims[j], &dim);
        text_add(&writer->strings, "%si64 %lld", j ? ", " : "", (long long)dim);
    }
    text_add(&writer->strings, "]\n");
    const char **const names = NEW_ARRAY(writer->program->ir->arena, const char *, (size_t)rank + 1);
    for (int j = 0; j < rank; j++)
        names[j] = type.dims[j] && type.dims[j]->op == OP_symbol  ? writer_string(writer, type.dims[j]->payload.name)
                   : type.dims[j] && type.dims[j]->op == OP_const ? NULL
                                                                  : writer_string(writer, "?");
    text_add(&writer->strings, "@%s%s_dim_names%d = private constant [%d x ptr] [", group, suffix, i, rank);
    for (int j = 0; j < rank; j++)
        text_add(&writer->strings, "%sptr %s", j ? ", " : "", names[j] ? names[j] : "null");
    text_add(&writer->strings, "]\n");
}

static void write_tensors(Writer *writer, const char *group, Node *const *buffers, int count, const Name *names,
                          const int *dims, const int *bytes)
{
    const char *const suffix = writer->program->suffix;
    for (int i = 0; i < count; i++)
        write_tensor_dims(writer, group, i, buffers[i]->type);
    array_begin(writer, group, count, "%tensor");
    for (int i = 0; i < count; i++) {
        const DtypeInfo *const dtype = &dtype_info[buffers[i]->type.dtype];
        text_add(&writer->body,
                 "%s%%tensor { ptr %s, i32 %d, i32 %d, i32 %d, i32 %d, ptr @%s%s_dims%d, ptr @%s%s_dim_names%d, i32 "
                 "%d, i32 %d }",
                 i ? ", " : "", writer_string(writer, names[i]), dtype->onnx, dtype->bits, told_rank(buffers[i]->type),
                 value_optional(buffers[i]->type), group, suffix, i, group, suffix, i, dims[i], bytes[i]);
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
                 writer_string(writer, symbol->symbol->payload.name), symbol->input, symbol->position, symbol->element,
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
                 launch->bytes_value, writer_string(writer, launch->name),
                 writer_string(writer, program->kernels[launch->index].name));
    }
    array_end(writer);
}

static void write_checks(Writer *writer)
{
    const Program *const program = writer->program;
    array_begin(writer, "checks", program->check_count, "%check");
    for (int i = 0; i < program->check_count; i++)
        text_add(&writer->body, "%s%%check { i32 %d, i32 %d, ptr %s }", i ? ", " : "", program->checks[i].value,
                 LATHE_E_SHAPE, writer_string(writer, program->checks[i].message));
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
                 writer_string(writer, program->kernels[i].symbol[level]), image_at(writer, image.binary),
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
        text_add(&writer->body, "%s%%level { ptr %s, i64 %llu, ", level ? ", " : "",
                 writer_string(writer, target->name), (unsigned long long)features);
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
            if (!program_shares(program, i, level))
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
        text_add(&writer->body, "%sptr %s", level ? ", " : "", writer_string(writer, program->levels[level]->name));
    array_end(writer);
}

static void write_slots(Writer *writer)
{
    const Program *const program = writer->program;
    const int slots = program->compilation->slot_count ? program->compilation->slot_count : 1;
    const IntList bytes = {program->slot_bytes_value, slots, slots};
    ints(writer, "slot_bytes", &bytes);
    text_add(&writer->body, "@slot_offsets%s = internal constant [%d x i64] zeroinitializer\n", program->suffix, slots);
}

static const char *write_ranges(Writer *writer)
{
    const Program *const program = writer->program;
    const int levels = program->level_count, count = program->dep_refs.count;
    if (!program->dep_ranges)
        return "null";
    const int number = writer->string_count++;
    text_add(&writer->strings, "@s%d = private constant [%d x double] [", number, 3 * levels * count);
    for (int i = 0; i < levels * count; i++) {
        const Reach *const range = &program->dep_ranges[i % count * levels + i / count];
        const double numbers[3] = {range->slope, range->low, range->high};
        for (int j = 0; j < 3; j++) {
            uint64_t bits;
            memcpy(&bits, &numbers[j], sizeof bits);
            text_add(&writer->strings, "%sdouble 0x%016llx", i || j ? ", " : "", (unsigned long long)bits);
        }
    }
    text_add(&writer->strings, "]\n");
    return arena_format(program->ir->arena, "@s%d", number);
}

static void write_program(Writer *writer, const char *weights)
{
    const Program *const program = writer->program;
    const ModelInfo *const info = writer->info;
    const char *const x = program->suffix;
    const Compilation *const compilation = program->compilation;
    const int slots = compilation->slot_count ? compilation->slot_count : 1;
    const char *const instantiate =
        program->instantiate ? arena_format(program->ir->arena, "@lathe_instantiate%s", x) : "null";
    if (program->instantiate)
        text_add(&writer->strings, "declare hidden void %s(ptr, ptr, i64, i64, ptr, ptr)\n", instantiate);
    text_add(&writer->body,
             "@program%s = internal constant %%program { i32 %d, i32 %d, i32 %d, i32 %d, i32 %d, i32 %d, i32 %d, i32 "
             "%d, i32 %d, i32 %d, i32 %d,\n",
             x, LATHE_RUNTIME_ABI, program->module->input_count, program->module->output_count, program->symbol_count,
             program->value_count, program->buffer_count, program->launch_count, slots, program->check_count,
             program->level_count, program->kernel_count);
    text_add(&writer->body,
             "  ptr %s, ptr %s, ptr %s, ptr @inputs%s, ptr @outputs%s, ptr @symbols%s, ptr @values%s, ptr %s, ptr "
             "@buffers%s, ptr @launches%s,\n",
             writer_string(writer, info->name), writer_string(writer, info->tool), writer_string(writer, info->sha256),
             x, x, x, x, instantiate, x, x);
    text_add(&writer->body,
             "  ptr @buffer_refs%s, ptr @value_refs%s, ptr @dep_refs%s, ptr @slot_bytes%s, ptr @slot_offsets%s, i32 "
             "%d, ptr @checks%s, ptr @levels, ptr %s%s, i64 %lld, ptr %s, ptr %s, ptr %s, i32 %d, i32 %d }\n",
             x, x, x, x, x, program->arena_bytes_value, x, weights ? "@" : "null", weights ? weights : "",
             (long long)program->compilation->weight_bytes, is_device(program) ? "@lathe_rt_cuda" : "null",
             program->compilation->script ? "@script" : "null", write_ranges(writer), program->dep_refs.count,
             compilation->level > 0 && compilation->math != MATH_EXACT ? LATHE_PROGRAM_FLUSH : 0);
}

/* ---- the descriptor ---- */

static int value_form(Type type)
{
    static const int forms[] = {[FORM_TENSOR] = LATHE_TENSOR,
                                [FORM_SEQUENCE] = LATHE_SEQUENCE,
                                [FORM_OPTIONAL] = LATHE_TENSOR | LATHE_OPTIONAL,
                                [FORM_OPTIONAL_SEQUENCE] = LATHE_SEQUENCE | LATHE_OPTIONAL};
    return forms[type.form];
}

static const char *write_forms(Writer *writer, Node *const *buffers, int count)
{
    bool tensors = true;
    int *const forms = NEW_ARRAY(writer->program->ir->arena, int, (size_t)count + 1);
    for (int i = 0; i < count; i++) {
        forms[i] = value_form(buffers[i]->type);
        tensors = tensors && buffers[i]->type.form == FORM_TENSOR;
    }
    return tensors ? "null" : writer_ints(writer, forms, count);
}

static void write_model(Writer *writer)
{
    const Program *const program = writer->program;
    const Module *const module = program->module;
    const ModelInfo *const info = writer->info;
    const bool script = program->compilation->script != NULL;
    const int flags = !script                  ? 0
                      : program_plain(program) ? LATHE_MODEL_SCRIPT
                                               : LATHE_MODEL_SCRIPT | LATHE_MODEL_VALUES;
    int launches = program->launch_count;
    for (int i = 0; i < program->region_count; i++)
        launches += program->regions[i].launch_count;
    text_add(&writer->body,
             "@%s_model = constant %%model { i32 %zu, i32 %d, ptr %s, ptr %s, ptr %s, i32 %d, i32 %d, i32 %d, i32 %d, "
             "i32 %d, i32 %d,\n",
             info->prefix, sizeof(lathe_model_v1), LATHE_MODEL_ABI, writer_string(writer, info->name),
             writer_string(writer, info->tool), writer_string(writer, info->sha256), module->input_count,
             module->output_count, program->symbol_count, launches, program->level_count, flags);
    text_add(&writer->body,
             "  ptr @inputs, ptr @outputs, ptr @symbols, ptr @level_names, i64 %lld, i64 %lld, ptr @%s, ptr @program, "
             "ptr @instance, ptr %s, ptr %s }\n",
             (long long)(program->instantiate || script ? 0 : program->compilation->arena_bytes),
             (long long)program->compilation->weight_bytes, script ? "lathe_rt_script_api" : "lathe_rt_api",
             write_forms(writer, module->inputs, module->input_count),
             write_forms(writer, module->outputs, module->output_count));
    if (info->shared)
        text_add(&writer->body, "@lathe_model_v1 = alias %%model, ptr @%s_model\n", info->prefix);
}

/* ---- entries ---- */

static void write_run(Writer *writer)
{
    const Program *const program = writer->program;
    const bool script = program->compilation->script != NULL, plain = program_plain(program);
    const int inputs = program->module->input_count, outputs = plain ? program->module->output_count : 0;
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
    text_add(body, "  %%r = call i32 @%s(ptr %%context, ptr %%in, ptr %s, ptr %s)\n  ret i32 %%r\n}\n",
             script ? "lathe_rt_script_run" : "lathe_rt_run", plain ? "%out" : "null",
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
    if (!program_plain(writer->program))
        text_add(body,
                 "define ptr @%s_output(ptr %%context, i32 %%output) nounwind {\n  %%v = call ptr "
                 "@lathe_rt_output(ptr %%context, i32 %%output)\n  ret ptr %%v\n}\n",
                 prefix);
    if (writer->program->instantiate)
        text_add(body,
                 "define i64 @%s_output_elems(ptr %%dims, i32 %%output) nounwind {\n  %%n = call i64 "
                 "@lathe_rt_output_elements(ptr @%s_model, ptr %%dims, i32 %%output)\n  ret i64 %%n\n}\n",
                 prefix, prefix);
}

const char *const *model_exports(const Program *program, const ModelInfo *info, int *count)
{
    Arena *const arena = program->ir->arena;
    const char **const names = NEW_ARRAY(arena, const char *, 7);
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
    if (!program_plain(program))
        names[(*count)++] = arena_format(arena, "%s_output", info->prefix);
    if (info->shared)
        names[(*count)++] = "lathe_model_v1";
    return names;
}

/* The tables that the model has, and each region of it. */
static void write_part(Writer *writer, const Program *program, const char *weights)
{
    writer->program = program;
    write_tensors(writer, "inputs", program->module->inputs, program->module->input_count, program->module->input_names,
                  program->input_dims, program->input_bytes);
    write_tensors(writer, "outputs", program->module->outputs, program->module->output_count,
                  program->module->output_names, program->output_dims, program->output_bytes);
    write_symbols(writer);
    write_values(writer);
    write_buffers(writer);
    write_launches(writer);
    ints(writer, "buffer_refs", &program->buffer_refs);
    ints(writer, "value_refs", &program->value_refs);
    ints(writer, "dep_refs", &program->dep_refs);
    write_slots(writer);
    write_checks(writer);
    if (!*program->suffix)
        write_levels(writer);
    write_program(writer, weights);
}

static void write_declarations(Writer *writer, const char *weights)
{
    const Program *const program = writer->program;
    text_add(&writer->strings, "%s",
             program->compilation->script ? "@lathe_rt_script_api = external hidden constant i8\n"
                                            "declare hidden i32 @lathe_rt_script_run(ptr, ptr, ptr, ptr)\n"
                                            "declare hidden ptr @lathe_rt_output(ptr, i32)\n"
                                          : "");
    if (is_device(program))
        text_add(&writer->strings, "@lathe_rt_cuda = external hidden constant i8\n");
    if (weights)
        text_add(&writer->strings, "@%s = external hidden constant i8\n", weights);
}

bool model_object(const Program *program, const ModelInfo *info, const char *weights, ObjectFormat format,
                  ObjectBytes *result)
{
    Writer writer = {.program = program, .info = info};
    text_open(&writer.body);
    text_open(&writer.strings);
    write_part(&writer, program, weights);
    for (int i = 0; i < program->region_count; i++)
        write_part(&writer, &program->regions[i], weights);
    writer.program = program;
    bool made = !program->compilation->script || script_write(&writer, program);
    write_declarations(&writer, weights);
    write_model(&writer);
    write_entries(&writer);
    Text all;
    text_open(&all);
    text_add(&all, "%s%s%s", types, writer.strings.data, writer.body.data);
    made = made &&
           object_from_text(program->ir, program->ir->arena, "model", program_host(program), all.data, format, result);
    text_close(&all);
    text_close(&writer.body);
    text_close(&writer.strings);
    return made;
}
