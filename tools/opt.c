/* lathe opt: named passes over a model or over its text form; text goes out. */
#include "tools/verbs.h"

#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "tools/file.h"
#include "tools/pipeline.h"

#include <string.h>

/* The first word of IR text; comments begin with ';'. Empty where the file is no text. */
static const char *first_word(Arena *arena, const Source *source)
{
    size_t at = 0;
    while (at < source->size && (strchr(" \t\r\n", source->bytes[at]) || source->bytes[at] == ';')) {
        if (source->bytes[at] == '\0')
            break;
        if (source->bytes[at] == ';')
            while (at + 1 < source->size && source->bytes[at] != '\n')
                at++;
        at++;
    }
    size_t end = at;
    while (end < source->size && source->bytes[end] >= 'a' && source->bytes[end] <= 'z')
        end++;
    return arena_format(arena, "%.*s", (int)(end - at), (const char *)source->bytes + at);
}

static bool read_graph(Pipeline *pipeline, const Source *source, const char *path)
{
    Graph *const graph = parse_graph(pipeline->ir, path, (const char *)source->bytes, source->size, NULL);
    if (!graph || !verify_graph(pipeline->ir, graph, pipeline->diagnostics))
        return false;
    pipeline_take(pipeline, graph, path);
    return true;
}

static bool read_module(Pipeline *pipeline, const Source *source, const char *path)
{
    Module *const module = parse_module(pipeline->ir, path, (const char *)source->bytes, source->size, NULL);
    if (!module || !verify_module(pipeline->ir, module, pipeline->diagnostics))
        return false;
    pipeline_take(pipeline, NULL, path);
    pipeline->compilation.module = module;
    pipeline->compilation.state = STATE_STAGES;
    return true;
}

/* Text by its first word, everything else as ONNX. */
static bool read_any(Pipeline *pipeline, const char *path)
{
    Source source;
    if (!source_open(&source, path, 0, pipeline->arena, pipeline->diagnostics))
        return false;
    const char *const word = first_word(pipeline->arena, &source);
    bool good;
    if (strcmp(word, "graph") == 0)
        good = read_graph(pipeline, &source, path);
    else if (strcmp(word, "module") == 0)
        good = read_module(pipeline, &source, path);
    else if (strcmp(path, "-") == 0) /* it can be read once only */
        good = source_error(&source, "is no IR text: it begins with neither 'graph' nor 'module'");
    else
        good = pipeline_import(pipeline, path);
    source_close(&source);
    return good;
}

static bool run_passes(Pipeline *pipeline)
{
    const Options *const options = pipeline->options;
    const char *const *names;
    const int count = option_list(options, OPTION_PASSES, &names);
    const char *dump = NULL;
    for (int i = 0; i < option_count(options, OPTION_DUMP_AFTER); i++)
        dump = dump ? arena_format(options->arena, "%s,%s", dump, option_at(options, OPTION_DUMP_AFTER, i))
                    : option_at(options, OPTION_DUMP_AFTER, i);
    const PassOptions passes = {.verify = true,
                                .fuel = option_given(options, OPTION_FUEL) ? option_integer(options, OPTION_FUEL) : -1,
                                .dump_after = dump,
                                .stream = stderr};
    return passes_run_named(&pipeline->compilation, names, count, &passes);
}

static bool write_result(const Pipeline *pipeline)
{
    const Options *const options = pipeline->options;
    const char *const output = option_text(options, OPTION_OUTPUT);
    const Compilation *const compilation = &pipeline->compilation;
    FileWriter writer;
    size_t length;
    if (!file_writer_open(&writer, output ? output : "-", options->arena, options->diagnostics))
        return false;
    const char *const text = compilation_print(pipeline->arena, compilation, &length);
    fwrite(text, 1, length, writer.file);
    return file_writer_commit(&writer);
}

int verb_opt(const Options *options)
{
    Pipeline pipeline;
    const bool good = pipeline_start(&pipeline, options) && pass_names_check(options, OPTION_PASSES) &&
                      pass_names_check(options, OPTION_DUMP_AFTER) && read_any(&pipeline, options->arguments[0]) &&
                      run_passes(&pipeline) && write_result(&pipeline);
    pipeline_close(&pipeline);
    return good ? EXIT_OK : options->diagnostics->code;
}
