/* lathe compile: a model becomes a library, with its header, or text of any level. */
#include "tools/verbs.h"

#include "codegen/scratch.h"
#include "ir/print.h"
#include "tools/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct EmitRow {
    const char *name, *ending;
    bool library;
    OutputKind kind;
} EmitRow;
static const EmitRow emit_rows[] = {
    {"so", ".so", true, OUTPUT_SHARED}, {"static", ".a", true, OUTPUT_STATIC}, {"obj", ".o", true, OUTPUT_OBJECT},
    {"header", ".h", false, 0},         {"ir", ".ir", false, 0},               {"stages", ".stages", false, 0},
    {"kernels", ".kernels", false, 0},  {"llvm", ".ll", false, 0},             {"asm", ".s", false, 0},
    {"report", ".json", false, 0},
};
enum { EMIT_ROWS = sizeof emit_rows / sizeof *emit_rows };

static bool ends_with(const char *text, const char *ending)
{
    const size_t length = strlen(text), end = strlen(ending);
    return length > end && strcmp(text + length - end, ending) == 0;
}

/* What --emit names, else what the output's name says, else a shared library. */
static void wanted(const Options *options, const char *output, bool *want)
{
    const char *const *names;
    const int count = option_list(options, OPTION_EMIT, &names);
    for (int i = 0; i < count; i++)
        for (int row = 0; row < EMIT_ROWS; row++)
            want[row] = want[row] || strcmp(names[i], emit_rows[row].name) == 0;
    for (int row = 0; row < EMIT_ROWS && count == 0; row++)
        if (ends_with(output, emit_rows[row].ending)) {
            want[row] = true;
            return;
        }
    want[0] = want[0] || count == 0;
}

/* The file of one kind: the output itself when its name fits or it is the only one, else beside it. */
static const char *path_of(Arena *arena, const char *output, const EmitRow *row, int kinds)
{
    if (kinds == 1 || ends_with(output, row->ending))
        return output;
    const char *const slash = strrchr(output, '/'), *const dot = strrchr(output, '.');
    const size_t stem = dot && dot > (slash ? slash + 1 : output) ? (size_t)(dot - output) : strlen(output);
    return arena_format(arena, "%.*s%s", (int)stem, output, row->ending);
}

static bool write_text(Pipeline *pipeline, const char *path, const char *text, size_t length)
{
    if (strcmp(path, "-") == 0)
        return fwrite(text, 1, length, stdout) == length;
    Scratch scratch;
    bool good = scratch_open(&scratch, pipeline->arena, path);
    if (good) {
        const char *const made = scratch_path(&scratch, "text");
        good = scratch_write(made, text, length) && scratch_commit(made, path);
        const int saved = errno;
        scratch_close(&scratch);
        errno = saved;
    }
    return good || diag_error(pipeline->diagnostics, EXIT_IO, NULL, "%s: %s", path, strerror(errno));
}

static bool write_level(Pipeline *pipeline, const char *name, const char *path)
{
    size_t length;
    Program *const program = &pipeline->program;
    if (strcmp(name, "ir") == 0) {
        const char *const text = print_graph(pipeline->arena, pipeline->compilation.graph, &length);
        return write_text(pipeline, path, text, length);
    }
    if (strcmp(name, "stages") == 0) {
        const char *const text = print_module(pipeline->arena, pipeline->compilation.module, &length);
        return write_text(pipeline, path, text, length);
    }
    if (strcmp(name, "header") == 0) {
        pipeline->build.info.sha256 = onnx_sha256(pipeline->ir, &pipeline->model);
        const char *const text = model_header(program, &pipeline->build.info);
        return write_text(pipeline, path, text, strlen(text));
    }
    char *memory = NULL;
    FILE *const file = open_memstream(&memory, &length);
    bool good = file != NULL;
    if (good && strcmp(name, "kernels") == 0) {
        for (int i = 0; i < program->kernel_count && good; i++)
            for (int level = 0; level < program->level_count; level++)
                good = fprintf(file, "%s\n", print_kernel(pipeline->arena, program->kernels[i].scheduled[level], PRINT_PLAIN, NULL)) >= 0;
    } else if (good) {
        good = build_text(program, &pipeline->build, strcmp(name, "asm") == 0 ? FORMAT_ASSEMBLY : FORMAT_LLVM, file);
    }
    if (file)
        fclose(file);
    good = good && write_text(pipeline, path, memory, length);
    free(memory);
    return good;
}

static bool write_kinds(Pipeline *pipeline, const char *output, const bool *want)
{
    int kinds = 0;
    for (int row = 0; row < EMIT_ROWS; row++)
        kinds += want[row];
    for (int row = 0; row < EMIT_ROWS; row++) {
        const char *const path = path_of(pipeline->arena, output, &emit_rows[row], kinds);
        BuildFacts facts;
        if (!want[row])
            continue;
        if (emit_rows[row].library ? !pipeline_output(pipeline, emit_rows[row].kind, path, &facts) : !write_level(pipeline, emit_rows[row].name, path))
            return false;
    }
    return true;
}

static bool compile(Pipeline *pipeline, const char *output)
{
    const Options *const options = pipeline->options;
    bool want[EMIT_ROWS] = {false};
    if (!pipeline_passes(pipeline))
        return false;
    if (pipeline->compilation.state < STATE_PLACED)
        return true; /* --stop-after */
    wanted(options, output, want);
    const bool library = want[0] || want[1] || want[2];
    if (!pipeline_program(pipeline) || !write_kinds(pipeline, output, want))
        return false;
    const char *header = option_text(options, OPTION_HEADER);
    if (!header && library)
        header = path_of(pipeline->arena, output, &emit_rows[3], 2);
    return !header || write_level(pipeline, "header", header);
}

static bool write_depfile(const Pipeline *pipeline, const char *path, const char *output)
{
    FILE *const file = fopen(path, "w");
    if (!file)
        return diag_error(pipeline->diagnostics, EXIT_IO, NULL, "%s: %s", path, strerror(errno));
    for (int i = -1; i < pipeline->model.file_count; i++) {
        for (const char *c = i < 0 ? output : pipeline->model.files[i]; *c; c++) {
            if (*c == ' ' || *c == '#')
                fputc('\\', file);
            if (*c == '$')
                fputc('$', file);
            fputc(*c, file);
        }
        fputs(i < 0 ? ":" : i + 1 < pipeline->model.file_count ? " \\\n  " : "\n", file);
        if (i < 0)
            fputc(' ', file);
    }
    return fclose(file) == 0 || diag_error(pipeline->diagnostics, EXIT_IO, NULL, "%s: %s", path, strerror(errno));
}

int verb_compile(const Options *options)
{
    const char *const output = option_text(options, OPTION_OUTPUT);
    Pipeline pipeline;
    if (!output && !option_given(options, OPTION_PRINT_DEPS) && !option_given(options, OPTION_STOP_AFTER)) {
        diag_error(options->diagnostics, EXIT_USAGE, NULL, "compile needs -o OUT");
        return EXIT_USAGE;
    }
    bool good = pipeline_open(&pipeline, options, options->arguments[0]);
    if (good && option_given(options, OPTION_PRINT_DEPS)) {
        for (int i = 0; i < pipeline.model.file_count; i++)
            puts(pipeline.model.files[i]);
    } else if (good) {
        good = compile(&pipeline, output ? output : "-");
        const char *const depfile = option_text(options, OPTION_DEPFILE);
        if (good && depfile)
            good = write_depfile(&pipeline, depfile, output);
    }
    pipeline_close(&pipeline);
    return good ? EXIT_OK : options->diagnostics->code;
}
