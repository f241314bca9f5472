/* Constants and entries of a microcontroller's library, as LLVM text: see embedded.h.
 *
 *     PREFIX_context *PREFIX_init(void *memory, size_t size, int *error)    checks and places the workspace
 *     int PREFIX_run(PREFIX_context *, inputs, outputs)                     checks, then calls kernel after kernel
 *
 * The context is the workspace: intermediate results, then the scratch of kernels. Straight calls are smaller than
 * tables and a loop over them, and need no memory for arguments. */
#include "codegen/embedded.h"

#include "codegen/objectfacts.h"
#include "codegen/signature.h"
#include "codegen/soft.h"
#include "codegen/text.h"
#include "runtime/lathe_model.h"
#include "runtime/lathe_runtime.h"

#include <string.h>

static const TargetMachineInfo *machine(const Program *program)
{
    return program->levels[0];
}

bool embedded(const Program *program)
{
    return machine(program)->family->system == SYSTEM_FREESTANDING;
}

/* ---- before machine code ---- */

static bool refuse_symbols(const Program *program)
{
    const ProgramSymbol *const symbol = &program->symbols[0];
    if (program->symbol_count == 0 && !program->instantiate)
        return true;
    Diagnostics *const diagnostics = program->ir->diagnostics;
    if (program->symbol_count == 0)
        return diag_error(diagnostics, EXIT_UNSUPPORTED, NULL, "%s needs constant shapes", machine(program)->name);
    const char *const input = diag_quote(diagnostics->arena, program->module->input_names[symbol->input], 80);
    const char *const name = diag_quote(diagnostics->arena, symbol->symbol->payload.name, 80);
    if (symbol->element)
        return diag_error(diagnostics, EXIT_UNSUPPORTED, NULL,
                          "%s needs constant shapes, but a shape depends on element %d of input \"%s\"",
                          machine(program)->name, symbol->position, input);
    return diag_error(diagnostics, EXIT_UNSUPPORTED, NULL,
                      "%s needs constant shapes, but dim %d of input \"%s\" is the symbol \"%s\": fix it with --dim "
                      "%s=N or --shape %s=...",
                      machine(program)->name, symbol->position, input, name, name, input);
}

static int64_t round_up(int64_t value, int64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

bool embedded_prepare(Program *program, const ModelInfo *info, const EmbeddedOptions *options)
{
    if (!refuse_symbols(program))
        return false;
    Footprint *const footprint = &program->footprint;
    footprint->workspace_is_static = options->workspace_is_static;
    footprint->scratch_offset = round_up(program->compilation->arena_bytes, WORKSPACE_ALIGNMENT);
    footprint->ram = round_up(footprint->scratch_offset + program->scratch[0], WORKSPACE_ALIGNMENT);
    if (footprint->ram == 0)
        footprint->ram = WORKSPACE_ALIGNMENT; /* a context is somewhere */
    footprint->weights = program->compilation->weight_bytes;
    for (int i = 0; i < program->kernel_count; i++)
        program->kernels[i].symbol[0] = arena_format(program->ir->arena, "%s_k%d", info->prefix, i);
    return embedded_ram_fits(program, options->max_ram) && embedded_flash_fits(program, options->max_flash);
}

/* ---- text ---- */

typedef struct Writer {
    const Program *program;
    const ModelInfo *info;
    Text text;
    int number; /* of the next value */
} Writer;

static void add_weights(Writer *writer, const void *weights)
{
    const int64_t bytes = writer->program->footprint.weights;
    if (!bytes)
        return;
    text_add(&writer->text, "@%s_weights = internal unnamed_addr constant [%lld x i8] c\"", writer->info->prefix,
             (long long)bytes);
    text_add_bytes(&writer->text, weights, (size_t)bytes);
    text_add(&writer->text, "\", section \".rodata.lathe_weights\", align %d\n", WORKSPACE_ALIGNMENT);
}

static void add_declarations(Writer *writer)
{
    const Program *const program = writer->program;
    for (int i = 0; i < program->kernel_count; i++) {
        const KernelSignature signature = kernel_signature(program->kernels[i].scheduled[0], machine(program));
        text_add(&writer->text, "declare hidden void @%s(", program->kernels[i].symbol[0]);
        for (int j = 0; j < signature.count; j++)
            text_add(&writer->text, "%sptr", j ? ", " : "");
        text_add(&writer->text, ")\n");
    }
}

static void add_init(Writer *writer)
{
    Text *const text = &writer->text;
    const char *const prefix = writer->info->prefix;
    const Footprint *const footprint = &writer->program->footprint;
    const long long ram = (long long)footprint->ram;
    const char *code = "0", *place = arena_format(writer->program->ir->arena, "@%s_workspace", prefix);
    if (footprint->workspace_is_static)
        text_add(text, "%s = internal global [%lld x i8] zeroinitializer, align %d\n", place, ram, WORKSPACE_ALIGNMENT);
    text_add(text, "define ptr @%s_init(ptr %%memory, i32 %%size, ptr %%error) nounwind optsize {\n", prefix);
    if (!footprint->workspace_is_static) {
        text_add(text,
                 "  %%small = icmp ult i32 %%size, %lld\n  %%code1 = select i1 %%small, i32 %d, i32 0\n"
                 "  %%number = ptrtoint ptr %%memory to i32\n  %%low = and i32 %%number, %d\n"
                 "  %%odd = icmp ne i32 %%low, 0\n  %%code2 = select i1 %%odd, i32 %d, i32 %%code1\n"
                 "  %%null = icmp eq ptr %%memory, null\n  %%code = select i1 %%null, i32 %d, i32 %%code2\n"
                 "  %%good = icmp eq i32 %%code, 0\n  %%place = select i1 %%good, ptr %%memory, ptr null\n",
                 ram, LATHE_E_MEMORY, WORKSPACE_ALIGNMENT - 1, LATHE_E_ARGUMENT, LATHE_E_NULL);
        code = "%code";
        place = "%place";
    }
    text_add(text,
             "  %%silent = icmp eq ptr %%error, null\n  br i1 %%silent, label %%done, label %%tell\n"
             "tell:\n  store i32 %s, ptr %%error\n  br label %%done\ndone:\n  ret ptr %s\n}\n",
             code, place);
}

/* Bytes to whose multiples a tensor's elements are aligned. */
static int alignment_of(const Node *buffer)
{
    const int bits = dtype_info[buffer->type.dtype].bits;
    return bits <= 8 ? 1 : bits / 8;
}

/* Ors the addresses that must be multiples of `alignment` and leaves for label odd. */
static void add_alignment_check(Writer *writer, int alignment)
{
    const Module *const module = writer->program->module;
    Text *const text = &writer->text;
    int last = -1;
    for (int i = 0; i < module->input_count + module->output_count; i++) {
        const bool input = i < module->input_count;
        const int at = input ? i : i - module->input_count;
        if (alignment_of(input ? module->inputs[at] : module->outputs[at]) != alignment)
            continue;
        const int address = writer->number++;
        text_add(text, "  %%v%d = ptrtoint ptr %%%c%d to i32\n", address, input ? 'i' : 'o', at);
        if (last >= 0)
            text_add(text, "  %%v%d = or i32 %%v%d, %%v%d\n", writer->number++, last, address);
        last = writer->number - 1;
    }
    if (last < 0)
        return;
    const int label = writer->number++;
    text_add(text,
             "  %%w%d = and i32 %%v%d, %d\n  %%x%d = icmp ne i32 %%w%d, 0\n  br i1 %%x%d, label %%odd, label "
             "%%l%d\nl%d:\n",
             label, last, alignment - 1, label, label, label, label, label);
}

static void add_null_check(Writer *writer, const char *value)
{
    const int label = writer->number++;
    text_add(&writer->text, "  %%x%d = icmp eq ptr %s, null\n  br i1 %%x%d, label %%null, label %%l%d\nl%d:\n", label,
             value, label, label, label);
}

static void add_checks(Writer *writer)
{
    const Module *const module = writer->program->module;
    Arena *const arena = writer->program->ir->arena;
    add_null_check(writer, "%c");
    for (int i = 0; i < module->input_count; i++)
        add_null_check(writer, arena_format(arena, "%%i%d", i));
    for (int i = 0; i < module->output_count; i++)
        add_null_check(writer, arena_format(arena, "%%o%d", i));
    for (int alignment = 2; alignment <= 16; alignment *= 2)
        add_alignment_check(writer, alignment);
}

/* The value that is the address of a launch's buffer, with the instruction that makes it. */
static const char *argument(Writer *writer, const ProgramBuffer *buffer)
{
    Arena *const arena = writer->program->ir->arena;
    if (buffer->place == LATHE_PLACE_INPUT || buffer->place == LATHE_PLACE_OUTPUT)
        return arena_format(arena, "%%%c%d", buffer->place == LATHE_PLACE_INPUT ? 'i' : 'o', buffer->index);
    const char *const base =
        buffer->place == LATHE_PLACE_WEIGHTS ? arena_format(arena, "@%s_weights", writer->info->prefix) : "%c";
    const int value = writer->number++;
    text_add(&writer->text, "  %%v%d = getelementptr i8, ptr %s, i32 %lld\n", value, base, (long long)buffer->offset);
    return arena_format(arena, "%%v%d", value);
}

static void add_launch(Writer *writer, const ProgramLaunch *launch)
{
    const Program *const program = writer->program;
    Arena *const arena = program->ir->arena;
    const ProgramKernel *const kernel = &program->kernels[launch->index];
    const KernelSignature signature = kernel_signature(kernel->scheduled[0], machine(program));
    const char *call = arena_format(arena, "  call void @%s(", kernel->symbol[0]);
    for (int i = 0; i < launch->buffers_count; i++) {
        const ProgramBuffer *const buffer = &program->buffers[program->buffer_refs.items[launch->buffers_first + i]];
        call = arena_format(arena, "%s%sptr %s", call, i ? ", " : "", argument(writer, buffer));
    }
    if (signature.scratch >= 0) {
        const ProgramBuffer scratch = {.place = LATHE_PLACE_ARENA, .offset = program->footprint.scratch_offset};
        call = arena_format(arena, "%s%sptr %s", call, signature.scratch ? ", " : "", argument(writer, &scratch));
    }
    if (signature.error >= 0)
        call = arena_format(arena, "%s%sptr %%error", call, signature.error ? ", " : "");
    text_add(&writer->text, "%s)\n", call);
}

static bool any_check(const Program *program)
{
    for (int i = 0; i < program->kernel_count; i++)
        if (kernel_signature(program->kernels[i].scheduled[0], machine(program)).error >= 0)
            return true;
    return false;
}

static void add_run(Writer *writer)
{
    const Program *const program = writer->program;
    const Module *const module = program->module;
    Text *const text = &writer->text;
    const bool checks = any_check(program);
    text_add(text, "define i32 @%s_run(ptr %%c", writer->info->prefix);
    for (int i = 0; i < module->input_count; i++)
        text_add(text, ", ptr %%i%d", i);
    for (int i = 0; i < module->output_count; i++)
        text_add(text, ", ptr %%o%d", i);
    text_add(text, ") nounwind optsize {\n");
    if (checks)
        text_add(text, "  %%error = alloca i32\n  store i32 0, ptr %%error\n");
    add_checks(writer);
    for (int i = 0; i < program->launch_count; i++)
        add_launch(writer, &program->launches[i]);
    if (checks)
        text_add(text, "  %%result = load i32, ptr %%error\n  ret i32 %%result\n");
    else
        text_add(text, "  ret i32 0\n");
    text_add(text, "null:\n  ret i32 %d\n", LATHE_E_NULL);
    if (strstr(text->data, "label %odd"))
        text_add(text, "odd:\n  ret i32 %d\n", LATHE_E_ARGUMENT);
    text_add(text, "}\n");
}

/* ---- names that objects miss ---- */

typedef struct Names {
    Arena *arena;
    const char **items;
    int count, capacity;
} Names;

static void take_name(void *context, const char *name)
{
    Names *const names = context;
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return;
    if (names->count == names->capacity) {
        names->capacity = names->capacity * 2 + 16;
        const char **const items = NEW_ARRAY(names->arena, const char *, (size_t)names->capacity);
        if (names->count)
            memcpy(items, names->items, (size_t)names->count * sizeof *items);
        names->items = items;
    }
    names->items[names->count++] = name;
}

bool embedded_object(const Program *program, const ModelInfo *info, const void *weights, const ObjectBytes *kernels,
                     int count, ObjectFormat format, ObjectBytes *result)
{
    Writer writer = {.program = program, .info = info};
    Names names = {.arena = program->ir->arena};
    for (int i = 0; i < count; i++)
        object_undefined(&kernels[i], take_name, &names);
    text_open(&writer.text);
    add_weights(&writer, weights);
    add_declarations(&writer);
    add_init(&writer);
    add_run(&writer);
    soft_add(&writer.text, names.items, names.count);
    const bool made =
        object_from_text(program->ir, program->ir->arena, "model", machine(program), writer.text.data, format, result);
    text_close(&writer.text);
    return made;
}

/* ---- stack ---- */

/* The most that a function of the compiler's own library takes, with what it calls: read from the code of libgcc 12.2
 * for ARMv6-M, which has the largest frames, and 16 bytes or more on top. Other libraries may differ. Conversions of
 * f16 are not among them: libgcc has none for cores without instructions. */
typedef struct HelperRow {
    const char *begins; /* the first row that fits counts */
    int64_t bytes;
} HelperRow;

static const HelperRow helpers[] = {
    {"__aeabi_f2d", 32}, {"__aeabi_f2lz", 112}, {"__aeabi_f2ulz", 112}, {"__aeabi_f", 48},    {"__aeabi_cf", 56},
    {"__aeabi_d2f", 48}, {"__aeabi_d2lz", 120}, {"__aeabi_d2ulz", 120}, {"__aeabi_d", 88},    {"__aeabi_cd", 88},
    {"__aeabi_i2", 32},  {"__aeabi_ui2", 32},   {"__aeabi_l2", 104},    {"__aeabi_ul2", 104}, {"__aeabi_l", 128},
    {"__aeabi_ul", 128}, {"__aeabi_idiv", 24},  {"__aeabi_uidiv", 24},  {"__aeabi_mem", 32},  {"memcpy", 32},
    {"memset", 32},      {"memmove", 32},
};

static int64_t helper_bytes(const char *name)
{
    for (size_t i = 0; i < sizeof helpers / sizeof *helpers; i++)
        if (strncmp(name, helpers[i].begins, strlen(helpers[i].begins)) == 0)
            return helpers[i].bytes;
    return -1;
}

typedef struct Depth {
    const Program *program;
    const ObjectBytes *entries; /* they hold the soft functions */
    const char *kernel;
    int64_t bytes;
    bool good;
} Depth;

/* The largest frame of the functions that soft ones share. */
static int64_t soft_inner(const ObjectBytes *entries)
{
    static const char *const names[] = {"lathe_soft_zeros", "lathe_soft_shift", "lathe_soft_mantissa",
                                        "lathe_soft_exponent", "lathe_soft_zeros64"};
    int64_t bytes = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        bytes += object_frame(entries, names[i]); /* some call others: the sum is enough */
    return bytes;
}

/* The deepest of what an object calls. A soft function calls one of its own, and that a helper, at most. */
static void take_depth(void *context, const char *name)
{
    Depth *const depth = context;
    const int64_t soft =
        strncmp(name, "lathe_soft_", 11) == 0
            ? object_frame(depth->entries, name) + soft_inner(depth->entries) + helper_bytes("__aeabi_l")
            : helper_bytes(name);
    if (soft < 0)
        depth->good = diag_error(depth->program->ir->diagnostics, EXIT_UNSUPPORTED, NULL,
                                 "kernel %s needs the function %s, which programs of %s are not sure to have",
                                 depth->kernel, name, machine(depth->program)->name);
    depth->bytes = soft > depth->bytes ? soft : depth->bytes;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

bool embedded_stack(Program *program, const ModelInfo *info, const ObjectBytes *objects, int count)
{
    Arena *const arena = program->ir->arena;
    int64_t deepest = 0;
    bool good = true;
    for (int i = 0; i < count; i++) {
        Depth depth = {
            .program = program, .entries = &objects[count], .kernel = program->kernels[i].name, .good = true};
        object_undefined(&objects[i], take_depth, &depth);
        deepest = larger(deepest, object_frame(&objects[i], program->kernels[i].symbol[0]) + depth.bytes);
        good = good && depth.good;
    }
    const int64_t run = object_frame(&objects[count], arena_format(arena, "%s_run", info->prefix));
    program->footprint.stack =
        larger(run + deepest, object_frame(&objects[count], arena_format(arena, "%s_init", info->prefix)));
    return good;
}

/* ---- sizes ---- */

bool embedded_sizes(Program *program, const ObjectBytes *linked, const EmbeddedOptions *options)
{
    Footprint *const footprint = &program->footprint;
    ObjectFacts facts;
    if (!object_facts(linked, &facts))
        BUG("the linked object is no ELF32 object");
    footprint->flash = facts.read_only;
    footprint->code = facts.read_only - footprint->weights;
    return embedded_flash_fits(program, options->max_flash);
}
