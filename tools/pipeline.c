/* See pipeline.h. */
#include "tools/pipeline.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one compilation may take beyond the mapped model: more means a hostile model or one that folds without end. */
static const size_t memory_budget = (size_t)3 << 29;

/* ---- model options ---- */

static bool parse_shape(Pipeline *pipeline, const char *text, ShapeOption *shape)
{
    const char *const equal = strrchr(text, '=');
    if (!equal)
        return diag_error(pipeline->diagnostics, EXIT_USAGE, NULL, "--shape takes INPUT=1x3x224x224, not '%s'", text);
    int64_t *const dims = NEW_ARRAY(pipeline->arena, int64_t, RANK_MAX);
    int rank = 0;
    for (const char *at = equal + 1; *at;) {
        char *end;
        const long long dim = strtoll(at, &end, 10);
        if (end == at || rank == RANK_MAX || (*end && *end != 'x' && *end != ',') || dim < -1)
            return diag_error(pipeline->diagnostics, EXIT_USAGE, NULL, "--shape takes INPUT=1x3x224x224, not '%s'", text);
        dims[rank++] = dim;
        at = *end ? end + 1 : end;
    }
    *shape = (ShapeOption){arena_format(pipeline->arena, "%.*s", (int)(equal - text), text), rank, dims};
    return true;
}

static bool parse_dim(Pipeline *pipeline, const char *text, DimOption *dim)
{
    const char *const equal = strrchr(text, '=');
    int64_t value;
    if (!equal || !text_to_integer(equal + 1, &value) || value < 0)
        return diag_error(pipeline->diagnostics, EXIT_USAGE, NULL, "--dim takes NAME=VALUE, not '%s'", text);
    *dim = (DimOption){arena_format(pipeline->arena, "%.*s", (int)(equal - text), text), value};
    return true;
}

static bool import(Pipeline *pipeline, const char *path)
{
    const Options *const options = pipeline->options;
    ImportOptions import = {.external = option_text(options, OPTION_EXTERNAL_DATA),
                            .shape_count = option_count(options, OPTION_SHAPE),
                            .dim_count = option_count(options, OPTION_DIM)};
    ShapeOption *const shapes = NEW_ARRAY(pipeline->arena, ShapeOption, (size_t)import.shape_count + 1);
    DimOption *const dims = NEW_ARRAY(pipeline->arena, DimOption, (size_t)import.dim_count + 1);
    for (int i = 0; i < import.shape_count; i++)
        if (!parse_shape(pipeline, option_at(options, OPTION_SHAPE, i), &shapes[i]))
            return false;
    for (int i = 0; i < import.dim_count; i++)
        if (!parse_dim(pipeline, option_at(options, OPTION_DIM, i), &dims[i]))
            return false;
    import.shapes = shapes;
    import.dims = dims;
    breadcrumb("import", NULL);
    pipeline->imported = onnx_import(pipeline->ir, path, &import, &pipeline->model);
    breadcrumb(NULL, NULL);
    return pipeline->imported;
}

/* ---- target options ---- */

static bool choose_levels(Pipeline *pipeline)
{
    const char *const *names;
    int count = option_list(pipeline->options, OPTION_CPU, &names);
    static const char *const standard[] = {"x86-64-v4", "x86-64-v3"};
    const char *const target = option_text(pipeline->options, OPTION_TARGET);
    if (target && strcmp(target, "native") != 0 && strcmp(target, "x86-64") != 0 && count == 0) {
        names = &target;
        count = 1;
    }
    if (count == 0) {
        names = standard;
        count = 2;
    }
    if (count > LEVELS_MAX)
        return diag_error(pipeline->diagnostics, EXIT_USAGE, NULL, "at most %d levels fit into one library, not %d", LEVELS_MAX, count);
    for (int i = 0; i < count; i++) { /* best first: more features, wider vectors */
        const TargetMachineInfo *const level = target_find(pipeline->diagnostics, names[i]);
        if (!level)
            return false;
        int at = i;
        for (; at > 0 && pipeline->levels[at - 1]->vector_bytes < level->vector_bytes; at--)
            pipeline->levels[at] = pipeline->levels[at - 1];
        pipeline->levels[at] = level;
    }
    pipeline->build.levels = pipeline->levels;
    pipeline->build.level_count = count;
    pipeline->compilation.target = pipeline->levels[0];
    return true;
}

static void report_progress(void *context, int done, int total)
{
    Pipeline *const pipeline = context;
    if (!pipeline->progress.label)
        pipeline->progress = progress_open(stderr, progress_mode(option_text(pipeline->options, OPTION_PROGRESS), stderr), "compiling kernels", total, NULL, NULL);
    progress_update(&pipeline->progress, done, NULL);
}

static void build_options(Pipeline *pipeline, const char *path)
{
    const Options *const options = pipeline->options;
    BuildOptions *const build = &pipeline->build;
    const int64_t jobs = option_integer(options, OPTION_JOBS);
    const char *const slash = strrchr(path, '/');
    const char *const file = slash ? slash + 1 : path;
    const char *const dot = strrchr(file, '.');
    const char *const prefix = option_text(options, OPTION_PREFIX);
    build->schedule.level = pipeline->compilation.level;
    build->workers = jobs ? (int)jobs : (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (!option_given(options, OPTION_NO_CACHE))
        build->cache = cache_open(pipeline->arena, option_text(options, OPTION_CACHE_DIR));
    build->info = (ModelInfo){.name = file, .tool = "lathe " LATHE_VERSION, .sha256 = ""};
    build->info.prefix = prefix ? prefix : c_identifier(pipeline->arena, dot && dot != file ? arena_format(pipeline->arena, "%.*s", (int)(dot - file), file) : file);
    if (strcmp(file, "model.onnx") == 0 && slash && !prefix) { /* folders named after the model: mnist-8/model.onnx */
        const char *start = slash;
        while (start > path && start[-1] != '/')
            start--;
        if (slash > start)
            build->info.prefix = c_identifier(pipeline->arena, arena_format(pipeline->arena, "%.*s", (int)(slash - start), start));
    }
    if (!option_given(options, OPTION_QUIET)) {
        build->progress = report_progress;
        build->context = pipeline;
    }
}

bool pipeline_open(Pipeline *pipeline, const Options *options, const char *path)
{
    *pipeline = (Pipeline){.options = options, .diagnostics = options->diagnostics};
    pipeline->arena = arena_open(memory_budget, NULL, NULL);
    pipeline->ir = ir_open(pipeline->arena, options->diagnostics);
    Compilation *const compilation = &pipeline->compilation;
    compilation->ir = pipeline->ir;
    compilation->level = (int)option_integer(options, OPTION_LEVEL);
    compilation->math = option_is(options, OPTION_MATH, "exact") ? MATH_EXACT : option_is(options, OPTION_MATH, "fast") ? MATH_FAST : MATH_DEFAULT;
    if (!choose_levels(pipeline) || !import(pipeline, path))
        return false;
    compilation->graph = pipeline->model.graph;
    build_options(pipeline, path);
    return true;
}

bool pipeline_passes(Pipeline *pipeline)
{
    const Options *const options = pipeline->options;
    const char *const *skip, **ended = NULL;
    const int skips = option_list(options, OPTION_SKIP, &skip);
    if (skips > 0) {
        ended = NEW_ARRAY(pipeline->arena, const char *, (size_t)skips + 1);
        memcpy(ended, skip, (size_t)skips * sizeof *ended);
    }
    const PassOptions passes = {.verify = option_given(options, OPTION_VERIFY),
                                .time = option_given(options, OPTION_TIME_PASSES),
                                .fuel = option_given(options, OPTION_FUEL) ? option_integer(options, OPTION_FUEL) : -1,
                                .stop_after = option_text(options, OPTION_STOP_AFTER),
                                .skip = ended,
                                .dump_after = option_text(options, OPTION_DUMP_AFTER),
                                .dump_folder = option_text(options, OPTION_DUMP_DIR),
                                .stream = stderr};
    return passes_run(&pipeline->compilation, &passes);
}

bool pipeline_program(Pipeline *pipeline)
{
    return build_program(&pipeline->compilation, &pipeline->build, &pipeline->program);
}

bool pipeline_output(Pipeline *pipeline, OutputKind kind, const char *output, BuildFacts *facts)
{
    pipeline->build.info.shared = kind == OUTPUT_SHARED;
    pipeline->build.info.sha256 = onnx_sha256(pipeline->ir, &pipeline->model);
    const bool good = build_output(&pipeline->program, &pipeline->build, kind, output, facts);
    if (pipeline->progress.label)
        progress_close(&pipeline->progress, NULL);
    return good;
}

void pipeline_close(Pipeline *pipeline)
{
    if (pipeline->imported)
        onnx_close(&pipeline->model);
    arena_close(pipeline->arena);
}
