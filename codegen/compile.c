/* The last part of the road: see compile.h. */
#include "codegen/compile.h"

#include "codegen/elf.h"
#include "codegen/embedded.h"
#include "codegen/images.h"
#include "codegen/lines.h"
#include "codegen/link.h"
#include "codegen/ptxas.h"
#include "codegen/scratch.h"
#include "codegen/standin.h"
#include "codegen/weights.h"
#include "codegen/worker.h"
#include "ir/kernel.h"
#include "ir/print.h"
#include "ir/roles.h"
#include "ir/script.h"
#include "passes/access.h"
#include "runtime/embed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char weights_symbol[] = "lathe_weights";

/* ---- levels ---- */

static bool multiplies_bytes(const Compilation *compilation)
{
    const Block *const body = compilation->module->body;
    ByteRoles roles;
    for (int i = 0; i < body->count; i++)
        if (contract_match_bytes(compilation->ir, body->nodes[i], &roles))
            return true;
    return false;
}

/* Where the model multiplies bytes, each level stands with what its machines may have for that before it; others are
 * not compiled for more levels than they were. */
static int levels_choose(const Compilation *compilation, const BuildOptions *options, const TargetMachineInfo **levels)
{
    bool bytes = multiplies_bytes(compilation);
    int count = 0;
    for (int i = 0; compilation->script && i < compilation->script->region_count; i++)
        bytes = bytes || multiplies_bytes(&compilation->regions[i]);
    for (int i = 0; i < options->level_count; i++) {
        const TargetMachineInfo *const more = bytes && options->level_count - i + count < LEVELS_MAX
                                                  ? target_with_dots(compilation->ir->arena, options->levels[i])
                                                  : NULL;
        if (more)
            levels[count++] = more;
        levels[count++] = options->levels[i];
    }
    return count;
}

bool build_program(const Compilation *compilation, const BuildOptions *options, Program *program)
{
    ScheduleOptions schedule = options->schedule;
    const TargetMachineInfo **const levels = NEW_ARRAY(compilation->ir->arena, const TargetMachineInfo *, LEVELS_MAX);
    breadcrumb("schedule", NULL);
    return program_build(compilation, levels, levels_choose(compilation, options, levels), kernel_schedule, &schedule,
                         program) &&
           (!embedded(program) || embedded_prepare(program, &options->info, &options->embedded));
}

/* ---- machine code ---- */

/* Everything that the object depends on, lines included. */
static const char *job_key(Program *program, Node *kernel, const TargetMachineInfo *target, const char *symbol,
                           const LineTable *lines)
{
    Arena *const arena = program->ir->arena, *const scratch = arena_scratch(arena);
    const ArenaMark mark = arena_mark(scratch);
    size_t length;
    const char *const text = print_kernel(scratch, kernel, PRINT_CANONICAL, &length);
    const char *place = "";
    if (lines)
        place = arena_format(arena, "%s:%d %s", lines->file, lines->line_of(lines->context, kernel),
                             kernel->payload.kernel->name);
    const char *const key = arena_format(arena, "%s\n%s %s %s\n%s %s\n%s", object_version(arena), target->triple,
                                         target->cpu, target->features, symbol, place, text);
    arena_reset(scratch, mark);
    return key;
}

/* Behind the first `count` jobs come those of the kernels; how many there are then. */
static int make_jobs(Program *program, KernelJob *jobs, int count, const LineTable *lines)
{
    for (int i = 0; i < program->kernel_count; i++)
        for (int level = 0; level < program->level_count; level++) {
            ProgramKernel *const kernel = &program->kernels[i];
            if (program_shares(program, i, level))
                continue;
            jobs[count++] = (KernelJob){.kernel = kernel->scheduled[level],
                                        .target = program->levels[level],
                                        .symbol = kernel->symbol[level],
                                        .key = job_key(program, kernel->scheduled[level], program->levels[level],
                                                       kernel->symbol[level], lines)};
        }
    for (int i = 0; i <= program->region_count; i++) {
        const TargetMachineInfo *const host = program_host(program);
        const Program *const part = program_part(program, i);
        const char *const symbol = arena_format(program->ir->arena, "lathe_instantiate%s", part->suffix);
        if (part->instantiate)
            jobs[count++] = (KernelJob){.kernel = part->instantiate,
                                        .target = host,
                                        .symbol = symbol,
                                        .key = job_key(program, part->instantiate, host, symbol, lines)};
    }
    return count;
}

/* The runtime is compiled for the machine like a kernel, and found in the cache like one. False: the family has none.
 */
static bool runtime_job(Program *program, KernelJob *job)
{
    const TargetMachineInfo *const host = program_host(program);
    const TargetFamily *const family = program->levels[0]->family;
    const char *const runtime =
        program->compilation->script ? arena_format(program->ir->arena, "script-%s", family->runtime) : family->runtime;
    size_t bytes = 0;
    const void *const data = runtime ? runtime_bitcode(runtime, &bytes) : NULL;
    if (!data)
        return diag_error(program->ir->diagnostics, EXIT_UNSUPPORTED, NULL, "this program has no runtime for %s",
                          family->name);
    const XXH128_hash_t hash = XXH3_128bits(data, bytes);
    *job = (KernelJob){.bitcode = {data, bytes},
                       .target = host,
                       .symbol = "runtime",
                       .key = arena_format(program->ir->arena, "runtime %s %016llx%016llx", runtime,
                                           (unsigned long long)hash.high64, (unsigned long long)hash.low64)};
    return true;
}

typedef struct Progress {
    const BuildOptions *options;
    Program *program;
} Progress;

static Node *fallback(void *context, const KernelJob *job)
{
    const Program *const program = ((Progress *)context)->program;
    for (int i = 0; i < program->kernel_count; i++)
        for (int level = 0; level < program->level_count; level++)
            if (program->kernels[i].scheduled[level] == job->kernel)
                return embedded(program) /* whose schedules are all plain already */
                           ? NULL
                           : kernel_schedule_plain(program->ir, program->kernels[i].stages, job->target);
    return NULL;
}

static void progress_report(void *context, int done, int total)
{
    const BuildOptions *const options = ((Progress *)context)->options;
    if (options->progress)
        options->progress(options->context, done, total);
}

static void progress_in_worker(void *context, const KernelJob *job)
{
    const BuildOptions *const options = ((Progress *)context)->options;
    if (options->in_worker)
        options->in_worker(options->context, job);
}

/* A kernel whose worker died has the plain schedule now, and its launches have other units. */
static bool take_fallbacks(Program *program, KernelJob *jobs, int first, const WorkerOptions *workers)
{
    KernelJob *job = &jobs[first];
    for (int i = 0; i < program->kernel_count; i++)
        for (int level = 0, from = 0; level < program->level_count; level++) {
            if (program_shares(program, i, level))
                continue;
            for (; from <= level; from++) /* and what shares it */
                if (job->fell_back)
                    program_reschedule(program, i, from, job->kernel);
            job++;
        }
    /* Those of instantiation. */
    for (int i = 0; i <= program->region_count; i++) {
        const Program *const part = program_part(program, i);
        if (!part->instantiate)
            continue;
        KernelJob *const own = job++;
        if (own->kernel == part->instantiate)
            continue;
        *own = (KernelJob){.kernel = part->instantiate, .target = program_host(program), .symbol = own->symbol};
        if (!compile_kernels(program->ir, own, 1, workers))
            return false;
    }
    return true;
}

/* ---- constants ---- */

static bool is_device(const Program *program)
{
    return program->levels[0]->family->system == SYSTEM_DEVICE;
}

/* The object of the program's large constants; *path NULL: it has none. With `hole` the weights are left out. */
static bool data_file(Program *program, const KernelJob *kernels, bool hole, const Scratch *scratch, const char **path)
{
    WeightList list = weights_collect(program);
    ElfBlob blobs[2];
    int count = 0;
    *path = NULL;
    if (program->compilation->weight_bytes > 0)
        blobs[count++] = (ElfBlob){.section = ".rodata.lathe_weights",
                                   .symbol = weights_symbol,
                                   .bytes = (uint64_t)list.total,
                                   .alignment = 4096,
                                   .write = weights_write,
                                   .context = &list,
                                   .hole = hole};
    if (is_device(program))
        blobs[count++] = images_collect(program, kernels);
    if (count == 0)
        return true;
    *path = scratch_path(scratch, "data.o");
    FILE *const file = fopen(*path, "wb");
    bool good = file != NULL && elf_write(file, program_host(program)->family->elf_machine, blobs, count);
    if (file)
        good = fclose(file) == 0 && good;
    return good || diag_error(program->ir->diagnostics, EXIT_IO, NULL, "weights cannot be written to %s: %s", *path,
                              strerror(errno));
}

/* ---- link ---- */

/* With `closed` the linker gets the weights as they are, else it makes room for them. */
static bool link_all(Program *program, const BuildOptions *options, OutputKind kind, const char *output,
                     const KernelJob *jobs, int count, bool closed)
{
    Arena *const arena = program->ir->arena;
    Diagnostics *const diagnostics = program->ir->diagnostics;
    const bool weights = program->compilation->weight_bytes > 0;
    ObjectBytes tables;
    Scratch scratch;
    if (!scratch_open(&scratch, arena, output))
        return diag_error(diagnostics, EXIT_IO, NULL, "%s: %s", output, strerror(errno));
    LinkInput *const inputs = NEW_ARRAY(arena, LinkInput, (size_t)count + (size_t)options->object_count + 2);
    const char *path;
    WeightList list = weights_collect(program);
    LinkHole hole = {.symbol = weights_symbol, .bytes = (uint64_t)list.total, .fill = weights_fill, .context = &list};
    const bool open = kind == OUTPUT_SHARED && weights && !closed;
    list.workers = options->workers;
    bool good = data_file(program, jobs + 1, open, &scratch, &path) &&
                model_object(program, &options->info, weights ? weights_symbol : NULL, FORMAT_OBJECT, &tables);
    int input_count = 0;
    if (good)
        inputs[input_count++] = (LinkInput){.data = tables.data, .bytes = tables.bytes};
    for (int i = 0; i < count && good; i++)
        if (!jobs[i].target->gpu)
            inputs[input_count++] = (LinkInput){.data = jobs[i].object.data, .bytes = jobs[i].object.bytes};
    if (good && path)
        inputs[input_count++] = (LinkInput){.path = path};
    for (int i = 0; i < options->object_count; i++)
        inputs[input_count++] = (LinkInput){.path = options->objects[i]};
    int export_count;
    const char *const *const exports = model_exports(program, &options->info, &export_count);
    const TargetMachineInfo *const host = program_host(program);
    const bool foreign = link_is_foreign(host->family->elf_machine);
    LinkStandIn stand_ins[STAND_INS];
    good = good && (!foreign || stand_ins_make(program->ir, host, stand_ins));
    const LinkJob job = {.inputs = inputs,
                         .input_count = input_count,
                         .exports = exports,
                         .export_count = export_count,
                         .output = output,
                         .machine = host->family->elf_machine,
                         .gnu = host->family->gnu,
                         .stand_ins = stand_ins,
                         .stand_in_count = foreign ? STAND_INS : 0,
                         .hole = open ? &hole : NULL};
    good = good && (kind == OUTPUT_SHARED   ? link_shared(diagnostics, &job)
                    : kind == OUTPUT_STATIC ? link_static(diagnostics, &job)
                                            : link_object(diagnostics, &job));
    scratch_close(&scratch);
    if (hole.no_place)
        return link_all(program, options, kind, output, jobs, count, true);
    return good;
}

/* The constants of a microcontroller's library fit into memory: they are part of the object with its entries. */
static bool weights_bytes(Program *program, const void **bytes)
{
    WeightList list = weights_collect(program);
    char *data = NULL;
    size_t size = 0;
    FILE *const file = open_memstream(&data, &size);
    bool good = file && weights_write(&list, file);
    if (file)
        good = fclose(file) == 0 && good;
    *bytes = good ? arena_copy(program->ir->arena, data, size + 1) : NULL;
    free(data);
    return good || diag_error(program->ir->diagnostics, EXIT_LIMIT, NULL, "the constants do not fit into memory");
}

static bool link_embedded(Program *program, const BuildOptions *options, OutputKind kind, const char *output,
                          const KernelJob *jobs, int count)
{
    Arena *const arena = program->ir->arena;
    ObjectBytes *const objects = NEW_ARRAY(arena, ObjectBytes, (size_t)count + 1);
    LinkInput *const inputs = NEW_ARRAY(arena, LinkInput, (size_t)count + 1);
    const void *weights;
    for (int i = 0; i < count; i++)
        objects[i] = jobs[i].object;
    if (!weights_bytes(program, &weights) ||
        !embedded_object(program, &options->info, weights, objects, count, FORMAT_OBJECT, &objects[count]) ||
        !embedded_stack(program, &options->info, objects, count))
        return false;
    for (int i = 0; i <= count; i++)
        inputs[i] = (LinkInput){.data = objects[i].data, .bytes = objects[i].bytes};
    int export_count;
    const char *const *const exports = model_exports(program, &options->info, &export_count);
    LinkJob job = {.inputs = inputs,
                   .input_count = count + 1,
                   .exports = exports,
                   .export_count = export_count,
                   .output = output,
                   .machine = program_host(program)->family->elf_machine,
                   .gnu = program_host(program)->family->gnu,
                   .bare = true};
    ObjectBytes made = {0};
    job.made = &made;
    return (kind == OUTPUT_STATIC ? link_static(program->ir->diagnostics, &job)
                                  : link_object(program->ir->diagnostics, &job)) &&
           embedded_sizes(program, &made, &options->embedded);
}

bool build_output(Program *program, const BuildOptions *options, OutputKind kind, const char *output, BuildFacts *facts)
{
    Ir *const ir = program->ir;
    const size_t most = (size_t)(program->kernel_count * program->level_count) + (size_t)program->region_count + 2;
    KernelJob *const jobs = NEW_ARRAY(ir->arena, KernelJob, most);
    LineTable table = {.folder = "", .file = options->lines_file, .line_of = kernel_line_of};
    const LineTable *const lines = options->lines_file ? &table : NULL;
    if (lines)
        table.context = kernel_lines(ir->arena, options->lines_text);
    /* The runtime first: it takes longest. */
    const int first = embedded(program) ? 0 : 1;
    if (first && !runtime_job(program, &jobs[0]))
        return false;
    const int count = make_jobs(program, jobs, first, lines);
    Progress progress = {options, program};
    Assembler assembler;
    const bool assembles = is_device(program) && ptxas_find(ir->arena, &assembler);
    if (is_device(program) && !assembles)
        diag_warning(
            ir->diagnostics, NULL,
            "ptxas was not found (PATH, LATHE_PTXAS): the library carries PTX alone, which the driver compiles "
            "whenever the model is opened");
    const WorkerOptions workers = {.workers = options->workers,
                                   .cache = options->cache,
                                   .lines = lines,
                                   .assembler = assembles ? &assembler : NULL,
                                   .fallback = fallback,
                                   .progress = progress_report,
                                   .in_worker = progress_in_worker,
                                   .context = &progress};
    breadcrumb("codegen", NULL);
    *facts = (BuildFacts){.kernels = count - first};
    if (!compile_kernels(ir, jobs, count, &workers) || !take_fallbacks(program, jobs, first, &workers))
        return false;
    for (int i = first; i < count; i++) {
        facts->from_cache += jobs[i].from_cache;
        facts->fell_back += jobs[i].fell_back;
        facts->code_bytes += (int64_t)elf_loaded_bytes(jobs[i].object.data, jobs[i].object.bytes);
    }
    breadcrumb("link", NULL);
    if (embedded(program))
        return link_embedded(program, options, kind, output, jobs, count);
    return link_all(program, options, kind, output, jobs, count, false);
}

bool build_text(Program *program, const BuildOptions *options, ObjectFormat format, FILE *file)
{
    Ir *const ir = program->ir;
    ObjectBytes bytes;
    for (int i = 0; i < program->kernel_count; i++)
        for (int level = 0; level < program->level_count; level++) {
            if (program_shares(program, i, level))
                continue;
            const ObjectRequest request = {.kernel = program->kernels[i].scheduled[level],
                                           .target = program->levels[level],
                                           .symbol = program->kernels[i].symbol[level],
                                           .format = format};
            if (!object_make(ir, ir->arena, &request, &bytes) ||
                fwrite(bytes.data, 1, bytes.bytes, file) != bytes.bytes)
                return false;
        }
    if (is_device(program) && format == FORMAT_ASSEMBLY)
        return true; /* the device's text alone, which an assembler takes */
    const void *weights = NULL;
    const bool entries = embedded(program)
                             ? weights_bytes(program, &weights) &&
                                   embedded_object(program, &options->info, weights, NULL, 0, format, &bytes)
                             : model_object(program, &options->info,
                                            program->compilation->weight_bytes ? weights_symbol : NULL, format, &bytes);
    return entries && fwrite(bytes.data, 1, bytes.bytes, file) == bytes.bytes;
}
