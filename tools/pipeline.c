/* See pipeline.h. */
#include "tools/pipeline.h"

#include "ir/ops/ops.h"
#include "targets/machine.h"
#include "tools/arguments.h"
#include "tools/cachefolder.h"
#include "tools/file.h"
#include "tools/tune/records.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one compilation may take beyond the mapped model: more means a hostile model or one that folds without end. */
static const size_t memory_budget = (size_t)3 << 29;
enum { CUSTOM_MOST = 1 << 20, MACHINE_MOST = 1 << 16 }; /* bytes of a file of operators, of a machine */

_Noreturn static void leave_over_memory(void *context, size_t wanted, size_t budget)
{
    const Pipeline *const pipeline = context;
    if (arena_used(pipeline->arena) + wanted > budget)
        fprintf(stderr, "lathe: error: compiling this model takes more memory than the limit of %zu MiB\n",
                budget >> 20);
    else
        fprintf(stderr, "lathe: error: no memory: the system does not give %zu more bytes\n", wanted);
    exit(EXIT_LIMIT); /* which removes temporary files */
}

/* ---- model options ---- */

static bool parse_shape(Pipeline *pipeline, const char *text, ShapeOption *shape)
{
    ShapeArgument *const given = NEW(pipeline->arena, ShapeArgument);
    if (!shape_argument_parse(given, text, pipeline->arena, pipeline->diagnostics))
        return false;
    if (!given->input)
        return diag_error(pipeline->diagnostics, EXIT_USAGE, NULL,
                          "--shape '%s' does not say of which input: write INPUT=%s", text, text);
    *shape = (ShapeOption){given->input, given->rank, given->dims};
    return true;
}

/* A range stays symbolic: the compiled model checks it at each call. */
static bool bound_dim(Pipeline *pipeline, const DimArgument *range)
{
    Ir *const ir = pipeline->ir;
    for (int i = 0; i < pipeline->model.dim_count; i++) {
        const ImportedDim *const dim = &pipeline->model.dims[i];
        if (strcmp(dim->name, range->symbol) != 0)
            continue;
        Node *const symbol = symbol_make(ir, dim->symbol);
        const char *const text = arena_format(
            pipeline->arena, "%s is not within the range from %lld to %lld that the model was compiled for",
            diag_quote(pipeline->arena, dim->name, 80), (long long)range->minimum, (long long)range->maximum);
        return run_check(ir, scalar2(ir, OP_ge, symbol, index_const(ir, range->minimum)), text) &&
               run_check(ir, scalar2(ir, OP_le, symbol, index_const(ir, range->maximum)), text);
    }
    return diag_error(pipeline->diagnostics, EXIT_USAGE, NULL, "--dim: no input has a dim \"%s\"",
                      diag_quote(pipeline->arena, range->symbol, 100));
}

/* --opset-policy=strict: operators that have changed since the model's version are refused instead of raised. */
static bool refuse_old(Pipeline *pipeline)
{
    const Graph *const graph = pipeline->compilation.graph;
    int count;
    Node **const nodes = nodes_topological(pipeline->ir, graph->outputs, graph->output_count, &count);
    for (int i = 0; i < count; i++) {
        const Node *const node = nodes[i];
        if (!op_is_tensor(node->op) || !node->where || !node->where->opset || *op_row(node)->domain)
            continue;
        if (node->where->opset < op_row(node)->since)
            return diag_error(pipeline->diagnostics, EXIT_UNSUPPORTED, node->where,
                              "the operator has changed in opset %d; --opset-policy convert raises it",
                              op_row(node)->since);
    }
    return true;
}

static bool read_dims(Pipeline *pipeline, DimOption *dims, int *dim_count, DimArgument *ranges, int *range_count)
{
    const Options *const options = pipeline->options;
    for (int i = 0; i < option_count(options, OPTION_DIM); i++) {
        DimArgument dim;
        if (!dim_argument_parse(&dim, option_at(options, OPTION_DIM, i), pipeline->arena, pipeline->diagnostics))
            return false;
        if (dim.minimum == dim.maximum)
            dims[(*dim_count)++] = (DimOption){dim.symbol, dim.minimum};
        else
            ranges[(*range_count)++] = dim;
    }
    return true;
}

/* --custom: the texts live as long as the compilation. */
static bool read_customs(Pipeline *pipeline)
{
    const Options *const options = pipeline->options;
    for (int i = 0; i < option_count(options, OPTION_CUSTOM); i++) {
        Source source;
        const char *const path = option_at(options, OPTION_CUSTOM, i);
        if (!source_open(&source, path, CUSTOM_MOST, pipeline->arena, pipeline->diagnostics))
            return false;
        const size_t size = source.size;
        const char *const text = size ? arena_copy(pipeline->arena, source.bytes, size) : "";
        source_close(&source);
        if (!customs_read(pipeline->ir, path, text, size, &pipeline->customs))
            return false;
    }
    int count = 0;
    while (customs_object(&pipeline->customs, count))
        count++;
    const char **const objects = NEW_ARRAY(pipeline->arena, const char *, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        objects[i] = customs_object(&pipeline->customs, i);
    pipeline->build.objects = objects;
    pipeline->build.object_count = count;
    return true;
}

bool pipeline_import(Pipeline *pipeline, const char *path)
{
    const Options *const options = pipeline->options;
    const int shape_count = option_count(options, OPTION_SHAPE), given = option_count(options, OPTION_DIM);
    int dim_count = 0, range_count = 0;
    ShapeOption *const shapes = NEW_ARRAY(pipeline->arena, ShapeOption, (size_t)shape_count + 1);
    DimOption *const dims = NEW_ARRAY(pipeline->arena, DimOption, (size_t)given + 1);
    DimArgument *const ranges = NEW_ARRAY(pipeline->arena, DimArgument, (size_t)given + 1);
    for (int i = 0; i < shape_count; i++)
        if (!parse_shape(pipeline, option_at(options, OPTION_SHAPE, i), &shapes[i]))
            return false;
    if (!read_dims(pipeline, dims, &dim_count, ranges, &range_count))
        return false;
    const ImportOptions import = {.external = option_text(options, OPTION_EXTERNAL_DATA),
                                  .shape_count = shape_count,
                                  .shapes = shapes,
                                  .dim_count = dim_count,
                                  .dims = dims,
                                  .customs = &pipeline->customs,
                                  .keep_values = options->verb == VERB_VALIDATE};
    if (!read_customs(pipeline))
        return false;
    breadcrumb("import", NULL);
    pipeline->imported = onnx_import(pipeline->ir, path, &import, &pipeline->model);
    breadcrumb(NULL, NULL);
    if (!pipeline->imported)
        return false;
    if (pipeline->options->verb == VERB_COMPILE)
        digest_start(&pipeline->digest, pipeline->ir, &pipeline->model);
    pipeline_take(pipeline, pipeline->model.graph, path);
    for (int i = 0; i < range_count; i++)
        if (!bound_dim(pipeline, &ranges[i]))
            return false;
    return !option_is(options, OPTION_OPSET_POLICY, "strict") || refuse_old(pipeline);
}

/* ---- target options ---- */

/* --machine: cost models read these numbers instead of the rows'. */
static bool read_machine(Pipeline *pipeline)
{
    const char *const path = option_text(pipeline->options, OPTION_MACHINE);
    Source source;
    if (!path)
        return true;
    if (!source_open(&source, path, MACHINE_MOST, pipeline->arena, pipeline->diagnostics))
        return false;
    const bool good =
        machine_apply(pipeline->diagnostics, path, (const char *)source.bytes, source.size, &pipeline->target);
    source_close(&source);
    return good;
}

/* What is named, else a library for others' machines of this family when compiling, else the level that runs here. */
static bool choose_levels(Pipeline *pipeline)
{
    const Options *const options = pipeline->options;
    const char *const *levels, *target = option_text(options, OPTION_TARGET);
    const int count = option_list(options, OPTION_CPU, &levels);
    TargetChoice *const choice = &pipeline->target;
    if (!option_given(options, OPTION_TARGET) && options->verb == VERB_COMPILE)
        target = "x86-64";
    else if (!option_given(options, OPTION_TARGET) && count > 0)
        target = levels[0];
    if (!target_choose(pipeline->diagnostics, target, levels, count, choice) || !read_machine(pipeline))
        return false;
    pipeline->build.levels = choice->levels;
    pipeline->build.level_count = choice->level_count;
    pipeline->compilation.target = choice->levels[0];
    return true;
}

/* What the command line can say and this version cannot do is refused, never ignored. */
static bool refuse_unsupported(const Pipeline *pipeline)
{
    const Options *const options = pipeline->options;
    if (option_given(options, OPTION_FEATURES))
        return diag_error(options->diagnostics, EXIT_UNSUPPORTED, NULL,
                          "--features is not supported: choose a level with --cpu");
    if (!option_is(options, OPTION_COMPILE_THREADS, "pthread") && !pipeline_bare(pipeline))
        return diag_error(options->diagnostics, EXIT_UNSUPPORTED, NULL,
                          "--threads %s is not supported: the caller of a compiled model chooses when it opens it",
                          option_text(options, OPTION_COMPILE_THREADS));
    return true;
}

static Cache *open_cache(Pipeline *pipeline)
{
    const char *const folder = cache_folder(pipeline->options);
    Diagnostics *const quiet = diagnostics_open(pipeline->arena); /* a cache that cannot be made is no error */
    Cache *const cache =
        folder ? cache_open(pipeline->arena, folder) : NULL; /* makes the folder, for this user alone */
    if (cache)
        (void)cache_folder_open(folder, pipeline->arena, quiet);
    return cache;
}

static void report_progress(void *context, int done, int total)
{
    Pipeline *const pipeline = context;
    if (!pipeline->progress.label) {
        ProgressMode mode = progress_mode(option_text(pipeline->options, OPTION_PROGRESS), stderr);
        /* Where the compilation is only the way to something else, a log needs no lines about it. */
        if (mode == PROGRESS_PLAIN && pipeline->options->verb != VERB_COMPILE &&
            option_is(pipeline->options, OPTION_PROGRESS, "auto"))
            mode = PROGRESS_NONE;
        pipeline->progress = progress_open(stderr, mode, "compiling kernels", total, NULL, NULL);
    }
    progress_update(&pipeline->progress, done, NULL);
}

bool pipeline_start(Pipeline *pipeline, const Options *options)
{
    *pipeline = (Pipeline){.options = options, .diagnostics = options->diagnostics};
    pipeline->arena = arena_open(memory_budget, leave_over_memory, pipeline);
    pipeline->ir = ir_open(pipeline->arena, options->diagnostics);
    Compilation *const compilation = &pipeline->compilation;
    BuildOptions *const build = &pipeline->build;
    const int64_t jobs = option_integer(options, OPTION_JOBS);
    compilation->ir = pipeline->ir;
    compilation->level = (int)option_integer(options, OPTION_LEVEL);
    compilation->math = option_is(options, OPTION_MATH, "exact")  ? MATH_EXACT
                        : option_is(options, OPTION_MATH, "fast") ? MATH_FAST
                                                                  : MATH_DEFAULT;
    compilation->weights = option_is(options, OPTION_WEIGHTS, "f16")    ? DTYPE_F16
                           : option_is(options, OPTION_WEIGHTS, "bf16") ? DTYPE_BF16
                                                                        : DTYPE_NONE;
    build->schedule.level = compilation->level;
    build->schedule.math = compilation->math;
    build->workers = jobs ? (int)jobs : (int)sysconf(_SC_NPROCESSORS_ONLN);
    build->cache = open_cache(pipeline);
    if (!option_given(options, OPTION_QUIET)) {
        build->progress = report_progress;
        build->context = pipeline;
    }
    return choose_levels(pipeline) && refuse_unsupported(pipeline) && pipeline_bare_options(pipeline);
}

/* From the name of the file alone, so that it does not matter from where it is named. Names of the runtime's own stay
 * free. */
static const char *prefix_of(Arena *arena, const char *path)
{
    const char *const slash = strrchr(path, '/'), *const file = slash ? slash + 1 : path;
    const char *const dot = strrchr(file, '.');
    const size_t length = dot && dot != file ? (size_t)(dot - file) : strlen(file);
    const char *const name = c_identifier(arena, arena_format(arena, "%.*s", (int)length, file));
    return strncmp(name, "lathe", 5) == 0 ? arena_format(arena, "model_%s", name) : name;
}

void pipeline_take(Pipeline *pipeline, Graph *graph, const char *path)
{
    const char *const slash = strrchr(path, '/'), *const prefix = option_text(pipeline->options, OPTION_PREFIX);
    pipeline->compilation.graph = graph;
    pipeline->build.info = (ModelInfo){.name = slash ? slash + 1 : path,
                                       .tool = "lathe " LATHE_VERSION,
                                       .sha256 = "",
                                       .prefix = prefix ? prefix : prefix_of(pipeline->arena, path)};
}

bool pipeline_open(Pipeline *pipeline, const Options *options, const char *path)
{
    return pipeline_start(pipeline, options) && pipeline_import(pipeline, path);
}

/* ---- the road ---- */

bool pass_names_check(const Options *options, OptionId id)
{
    const char **const names = NEW_ARRAY(options->arena, const char *, (size_t)pass_count + 1);
    for (int i = 0; i < pass_count; i++)
        names[i] = pass_rows[i].name;
    names[pass_count] = "all";
    const int known = pass_count + (id == OPTION_DUMP_AFTER);
    const char *const *given;
    const int count = option_list(options, id, &given);
    for (int i = 0; i < count; i++) {
        const PassRow *const pass = pass_find(given[i]);
        if (!pass && !(id == OPTION_DUMP_AFTER && strcmp(given[i], "all") == 0)) {
            const char *const nearest = nearest_name(given[i], names, known);
            diag_error(options->diagnostics, EXIT_USAGE, NULL, "--%s: no pass is called '%s'", option_rows[id].name,
                       diag_quote(options->arena, given[i], 80));
            if (nearest)
                diag_hint(options->diagnostics, "did you mean '%s'?", nearest);
            return false;
        }
        if (id == OPTION_SKIP && pass->needs != pass->leaves)
            return diag_error(options->diagnostics, EXIT_USAGE, NULL,
                              "--skip: what comes after pass %s cannot do without it", pass->name);
    }
    return true;
}

/* All values of a list option as one text with commas. */
static const char *list_text(const Options *options, OptionId id)
{
    const char *text = NULL;
    for (int i = 0; i < option_count(options, id); i++)
        text =
            text ? arena_format(options->arena, "%s,%s", text, option_at(options, id, i)) : option_at(options, id, i);
    return text;
}

bool pipeline_passes(Pipeline *pipeline)
{
    const Options *const options = pipeline->options;
    const char *const *skip, **ended = NULL;
    if (!pass_names_check(options, OPTION_SKIP) || !pass_names_check(options, OPTION_STOP_AFTER) ||
        !pass_names_check(options, OPTION_DUMP_AFTER))
        return false;
    const int skips = option_list(options, OPTION_SKIP, &skip);
    if (skips > 0) {
        ended = NEW_ARRAY(pipeline->arena, const char *, (size_t)skips + 1);
        memcpy(ended, skip, (size_t)skips * sizeof *ended);
    }
    const PassOptions passes = {.verify = option_given(options, OPTION_VERIFY),
                                .time = option_given(options, OPTION_TIME_PASSES),
                                .rules = option_given(options, OPTION_RULES),
                                .fuel = option_given(options, OPTION_FUEL) ? option_integer(options, OPTION_FUEL) : -1,
                                .stop_after = option_text(options, OPTION_STOP_AFTER),
                                .skip = ended,
                                .dump_after = list_text(options, OPTION_DUMP_AFTER),
                                .dump_folder = option_text(options, OPTION_DUMP_DIR),
                                .stream = stderr};
    return passes_run(&pipeline->compilation, &passes);
}

/* What of the records was not used, in one warning. */
static void report_tuning(const Pipeline *pipeline, const char *path)
{
    const Tuning *const tuning = &pipeline->tuning;
    const Where where = {.file = name_intern(pipeline->arena, path)};
    int elsewhere = 0, unknown = 0;
    for (int i = 0; i < tuning->count; i++) {
        bool ours = false;
        for (int j = 0; j < pipeline->build.level_count; j++)
            ours = ours || (strcmp(tuning->records[i].target, pipeline->build.levels[j]->name) == 0 &&
                            strcmp(tuning->records[i].features, pipeline->build.levels[j]->features) == 0);
        elsewhere += !ours;
        unknown += ours && !tuning->records[i].used;
    }
    if (elsewhere + unknown + tuning->outside == 0)
        return;
    diag_warning(pipeline->diagnostics, &where,
                 "%d of %d tuning records do not apply: %d for other targets, %d of kernels that this model does not "
                 "have, %d outside of their template's space",
                 elsewhere + unknown + tuning->outside, tuning->count, elsewhere, unknown, tuning->outside);
    if (tuning->refusal)
        diag_note(pipeline->diagnostics, "the first of those: %s", tuning->refusal);
}

bool pipeline_program(Pipeline *pipeline)
{
    const char *const path = option_text(pipeline->options, OPTION_TUNING);
    if (path && !records_read(&pipeline->tuning, path, pipeline->arena, pipeline->diagnostics))
        return false;
    pipeline->build.schedule.tuning = path ? &pipeline->tuning : NULL;
    if (!build_program(&pipeline->compilation, &pipeline->build, &pipeline->program))
        return false;
    if (path)
        report_tuning(pipeline, path);
    return true;
}

const char *pipeline_sha256(Pipeline *pipeline)
{
    if (!pipeline->sha256)
        pipeline->sha256 = pipeline->imported ? digest_get(&pipeline->digest, pipeline->ir, &pipeline->model) : "";
    return pipeline->sha256;
}

bool pipeline_output(Pipeline *pipeline, OutputKind kind, const char *output, BuildFacts *facts)
{
    pipeline->build.info.shared = kind == OUTPUT_SHARED;
    pipeline->build.info.sha256 = pipeline_sha256(pipeline);
    const bool good = build_output(&pipeline->program, &pipeline->build, kind, output, facts);
    if (pipeline->progress.label)
        progress_close(&pipeline->progress, NULL);
    pipeline->progress.label = NULL;
    breadcrumb(NULL, NULL);
    return good;
}

void pipeline_close(Pipeline *pipeline)
{
    digest_close(&pipeline->digest);
    if (pipeline->imported)
        onnx_close(&pipeline->model);
    arena_close(pipeline->arena);
}
