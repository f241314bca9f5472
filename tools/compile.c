/* lathe compile: a model becomes a library, with its header, or text of any level. */
#include "tools/verbs.h"

#include "ir/print.h"
#include "ir/script.h"
#include "tools/answer.h"
#include "tools/pipeline.h"
#include "tools/report.h"
#include "tools/staging.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

typedef struct EmitRow {
    const char *name, *ending;
    bool library;
    OutputKind kind;
} EmitRow;
static const EmitRow emit_rows[] = {
    {"so", ".so", true, OUTPUT_SHARED},
    {"static", ".a", true, OUTPUT_STATIC},
    {"obj", ".o", true, OUTPUT_OBJECT},
    {"header", ".h", false, 0},
    {"ir", ".ir", false, 0},
    {"stages", ".stages", false, 0},
    {"kernels", ".kernels", false, 0},
    {"llvm", ".ll", false, 0},
    {"asm", ".s", false, 0},
    {"ptx", ".ptx", false, 0},
    {"report", ".json", false, 0},
};
enum { EMIT_ROWS = sizeof emit_rows / sizeof *emit_rows, PREFIX_LONGEST = 200 };

static bool ends_with(const char *text, const char *ending)
{
    const size_t length = strlen(text), end = strlen(ending);
    return length > end && strcmp(text + length - end, ending) == 0;
}

/* What --emit names, else what the output's name says, else a shared library. */
static void wanted(const Options *options, const char *output, bool bare, bool *want)
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
    want[bare ? 1 : 0] = want[bare ? 1 : 0] || count == 0; /* a microcontroller has no shared libraries */
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

/* Text of one level of the compiler. */
static bool write_level(Pipeline *pipeline, const char *name, FILE *file)
{
    Program *const program = &pipeline->program;
    Arena *const arena = pipeline->arena;
    size_t length;
    const char *text = NULL;
    if (strcmp(name, "ptx") == 0 && !program->levels[0]->gpu)
        return diag_error(pipeline->diagnostics, EXIT_USAGE, NULL,
                          "--emit ptx is for the levels of cuda; %s has --emit asm", program->levels[0]->name);
    if (strcmp(name, "llvm") == 0 || strcmp(name, "asm") == 0 || strcmp(name, "ptx") == 0)
        return build_text(program, &pipeline->build, strcmp(name, "llvm") == 0 ? FORMAT_LLVM : FORMAT_ASSEMBLY, file);
    if (strcmp(name, "kernels") == 0) {
        for (int i = 0; i < program->kernel_count; i++)
            for (int level = 0; level < program->level_count; level++)
                fprintf(file, "%s\n", print_kernel(arena, program->kernels[i].scheduled[level], PRINT_PLAIN, NULL));
        return true;
    }
    if (strcmp(name, "ir") == 0)
        text = pipeline->compilation.script ? print_script(arena, pipeline->compilation.script, &length)
                                            : print_graph(arena, pipeline->compilation.graph, &length);
    else if (strcmp(name, "stages") == 0 &&
             pipeline->build.lines_text) /* printing hashes the weights: once is enough */
        length = strlen(text = pipeline->build.lines_text);
    else if (strcmp(name, "stages") == 0)
        text = compilation_print(arena, &pipeline->compilation, &length);
    if (!text) {
        pipeline->build.info.sha256 = pipeline_sha256(pipeline);
        text = model_header(program, &pipeline->build.info);
        length = strlen(text);
    }
    fwrite(text, 1, length, file); /* errors are found when the file is closed */
    return true;
}

static void write_report(Pipeline *pipeline, const BuildFacts *facts, FILE *file)
{
    JsonWriter json = json_writer(file, false);
    json_document(&json, "lathe.model/1", LATHE_VERSION);
    report_write(&json, pipeline, facts);
    json_close(&json);
}

typedef struct Compile {
    Pipeline pipeline;
    Staging staging;
    const char *output; /* NULL: none was given, only --stop-after can do without */
    bool want[EMIT_ROWS];
    int kinds;
    bool library;
    BuildFacts facts; /* of the last library */
    const char *library_path;
} Compile;

/* Libraries first: the report tells of them. */
static bool write_libraries(Compile *compile)
{
    for (int row = 0; row < EMIT_ROWS; row++) {
        if (!compile->want[row] || !emit_rows[row].library)
            continue;
        compile->library_path = path_of(compile->pipeline.arena, compile->output, &emit_rows[row], compile->kinds);
        const char *const made = staging_path(&compile->staging, compile->library_path, emit_rows[row].ending);
        if (!made || !pipeline_output(&compile->pipeline, emit_rows[row].kind, made, &compile->facts))
            return false;
    }
    return true;
}

/* Debuggers and profilers find each kernel's line in the text of the stages, which stands beside the library. */
static void name_lines(Compile *compile)
{
    Pipeline *const pipeline = &compile->pipeline;
    for (int row = 0; row < EMIT_ROWS; row++) {
        if (strcmp(emit_rows[row].name, "stages") != 0 || !compile->library || strcmp(compile->output, "-") == 0)
            continue;
        const char *const path = path_of(pipeline->arena, compile->output, &emit_rows[row], compile->kinds + 1);
        const char *const slash = strrchr(path, '/');
        pipeline->build.lines_file = slash ? slash + 1 : path;
        Arena *const scratch = arena_open(0, NULL, NULL);
        size_t length;
        const char *const text = compilation_print(scratch, &pipeline->compilation, &length);
        pipeline->build.lines_text = arena_copy(pipeline->arena, text, length + 1);
        arena_close(scratch);
    }
}

/* Header, report and stages stand beside every library, whether they were asked for or not. */
static bool write_texts(Compile *compile)
{
    Pipeline *const pipeline = &compile->pipeline;
    const bool beside = compile->library && strcmp(compile->output, "-") != 0;
    const char *const header = option_text(pipeline->options, OPTION_HEADER);
    for (int row = 0; row < EMIT_ROWS; row++) {
        const bool is_header = strcmp(emit_rows[row].name, "header") == 0,
                   is_report = strcmp(emit_rows[row].name, "report") == 0,
                   is_stages = strcmp(emit_rows[row].name, "stages") == 0;
        const bool want =
            compile->want[row] || (beside && (is_header || is_report || is_stages)) || (is_header && header);
        if (!want || emit_rows[row].library)
            continue;
        const char *path =
            path_of(pipeline->arena, compile->output, &emit_rows[row], compile->kinds + !compile->want[row]);
        if (is_header && header)
            path = header;
        FILE *const file = staging_stream(&compile->staging, path);
        if (!file)
            return false;
        if (is_report)
            write_report(pipeline, compile->library ? &compile->facts : NULL, file);
        else if (!write_level(pipeline, emit_rows[row].name, file))
            return false;
    }
    return true;
}

/* Everything that a compilation reads; NULL behind the last. */
static const char *input_file(const Pipeline *pipeline, int number)
{
    const char *const tuning = option_text(pipeline->options, OPTION_TUNING);
    if (number < pipeline->model.file_count)
        return pipeline->model.files[number];
    number -= pipeline->model.file_count;
    const int customs = option_count(pipeline->options, OPTION_CUSTOM);
    if (number < customs)
        return option_at(pipeline->options, OPTION_CUSTOM, number);
    number -= customs;
    const char *const files[] = {tuning, option_text(pipeline->options, OPTION_MACHINE)};
    for (int i = 0; i < 2; i++)
        if (files[i] && strcmp(files[i], "-") != 0 && number-- == 0)
            return files[i];
    return NULL;
}

/* One rule for make: blanks, # and $ are escaped. */
static bool write_depfile(Compile *compile, const char *path)
{
    const Pipeline *const pipeline = &compile->pipeline;
    FILE *const file = staging_stream(&compile->staging, path);
    if (!file)
        return false;
    for (int i = -1; i < 0 || input_file(pipeline, i); i++) {
        for (const char *c = i < 0 ? compile->output : input_file(pipeline, i); *c; c++) {
            if (*c == ' ' || *c == '#')
                fputc('\\', file);
            if (*c == '$')
                fputc('$', file);
            fputc(*c, file);
        }
        fputs(i < 0 ? ":" : input_file(pipeline, i + 1) ? " \\\n  " : "\n", file);
        if (i < 0)
            fputc(' ', file);
    }
    return true;
}

/* ---- what the command line must hold ---- */

static bool is_identifier(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", digits[] = "0123456789";
    if (!*text || !strchr(letters, *text))
        return false;
    for (; *text; text++)
        if (!strchr(letters, *text) && !strchr(digits, *text))
            return false;
    return true;
}

static bool check_prefix(const Options *options)
{
    const char *const prefix = option_text(options, OPTION_PREFIX);
    const char *const quoted = diag_quote(options->arena, prefix ? prefix : "", 80);
    if (!prefix)
        return true;
    if (!is_identifier(prefix) || strlen(prefix) > PREFIX_LONGEST)
        return diag_error(options->diagnostics, EXIT_USAGE, NULL,
                          "--prefix '%s' is no C identifier of at most %d letters, digits and underscores", quoted,
                          PREFIX_LONGEST);
    return strncmp(prefix, "lathe", 5) != 0 ||
           diag_error(options->diagnostics, EXIT_USAGE, NULL,
                      "--prefix '%s': names that begin with lathe are those of every compiled model", quoted);
}

static bool check_outputs(Compile *compile)
{
    const Options *const options = compile->pipeline.options;
    const bool none = option_given(options, OPTION_PRINT_DEPS) || option_given(options, OPTION_STOP_AFTER);
    if (option_count(options, OPTION_OUTPUT) > 1)
        return diag_error(options->diagnostics, EXIT_USAGE, NULL, "compile takes one -o, not %d",
                          option_count(options, OPTION_OUTPUT));
    if (!compile->output)
        return none || diag_error(options->diagnostics, EXIT_USAGE, NULL, "compile needs -o OUT");
    wanted(options, compile->output, pipeline_bare(&compile->pipeline), compile->want);
    for (int row = 0; row < EMIT_ROWS; row++) {
        compile->kinds += compile->want[row];
        compile->library = compile->library || (compile->want[row] && emit_rows[row].library);
    }
    return compile->kinds == 1 || strcmp(compile->output, "-") != 0 ||
           diag_error(options->diagnostics, EXIT_USAGE, NULL, "only one kind can go to the standard output, not %d",
                      compile->kinds);
}

static bool check_usage(Compile *compile)
{
    const Options *const options = compile->pipeline.options;
    const char *const folder = option_text(options, OPTION_DUMP_DIR);
    return check_outputs(compile) && check_prefix(options) && pass_names_check(options, OPTION_SKIP) &&
           pass_names_check(options, OPTION_STOP_AFTER) && pass_names_check(options, OPTION_DUMP_AFTER) &&
           (!folder || folder_make(folder, options->arena, options->diagnostics));
}

/* ---- the verb ---- */

static void print_summary(const Compile *compile, double seconds)
{
    const Pipeline *const pipeline = &compile->pipeline;
    const Options *const options = pipeline->options;
    struct stat facts;
    const char *levels = "";
    if (option_given(options, OPTION_QUIET) || !compile->library_path)
        return;
    for (int i = 0; i < pipeline->build.level_count; i++)
        levels = arena_format(pipeline->arena, "%s%s%s", levels, i ? ", " : "", pipeline->build.levels[i]->name);
    const bool sized = stat(compile->library_path, &facts) == 0 && S_ISREG(facts.st_mode);
    fprintf(stderr, "lathe: %s: %d kernels (%d from the cache) for %s, ", compile->library_path, compile->facts.kernels,
            compile->facts.from_cache, levels);
    if (sized)
        fprintf(stderr, "%.1f KiB, ", (double)facts.st_size / 1024);
    fprintf(stderr, "%.2f s\n", seconds);
}

static bool print_files(const Pipeline *pipeline)
{
    for (int i = 0; input_file(pipeline, i); i++)
        puts(input_file(pipeline, i));
    return true;
}

static bool print_json(Compile *compile)
{
    const Options *const options = compile->pipeline.options;
    Answer answer;
    if (!answer_wants_json(options))
        return true;
    if (!answer_open(&answer, options, "lathe.model/1"))
        return false;
    report_write(&answer.json, &compile->pipeline, compile->library ? &compile->facts : NULL);
    return answer_close(&answer);
}

static bool compile_model(Compile *compile)
{
    Pipeline *const pipeline = &compile->pipeline;
    const char *const depfile = option_text(pipeline->options, OPTION_DEPFILE);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (!pipeline_import(pipeline, pipeline->options->arguments[0]))
        return false;
    if (option_given(pipeline->options, OPTION_PRINT_DEPS))
        return print_files(pipeline);
    if (!pipeline_passes(pipeline))
        return false;
    if (pipeline->compilation.state < STATE_PLACED || !compile->output)
        return true; /* --stop-after */
    name_lines(compile);
    if (!pipeline_program(pipeline) || !write_libraries(compile) || !write_texts(compile) ||
        (depfile && !write_depfile(compile, depfile)) || !staging_commit(&compile->staging) || !print_json(compile))
        return false;
    clock_gettime(CLOCK_MONOTONIC, &end);
    print_summary(compile, (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9);
    return true;
}

int verb_compile(const Options *options)
{
    Compile *const compile = NEW(options->arena, Compile);
    compile->output = option_text(options, OPTION_OUTPUT);
    staging_open(&compile->staging, options->arena, options->diagnostics);
    const bool good = pipeline_start(&compile->pipeline, options) && check_usage(compile) && compile_model(compile);
    staging_close(&compile->staging);
    pipeline_close(&compile->pipeline);
    return good ? EXIT_OK : options->diagnostics->code;
}
