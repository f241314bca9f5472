/* See validate.h. Values between the nodes become outputs of the model, in batches: a batch is compiled, and
 * interpreted at -O0, as a model of its own that ends there. */
#include "tools/validate.h"

#include "tools/outputs.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH_VALUES = 256 };
static const uint64_t batch_bytes = (uint64_t)256 << 20;

static bool bound_read(const Options *options, OptionId id, double *bound)
{
    *bound = -1;
    if (!option_given(options, id))
        return true;
    return (text_to_number(option_text(options, id), bound) && *bound >= 0) ||
           diag_error(options->diagnostics, EXIT_USAGE, NULL, "--%s takes a number that is not negative, not '%s'",
                      option_rows[id].name, diag_quote(options->arena, option_text(options, id), 80));
}

bool validation_open(Validation *validation, const Options *options, const char *path)
{
    *validation = (Validation){.options = options, .path = path, .reference = option_text(options, OPTION_REFERENCE)};
    return bound_read(options, OPTION_RTOL, &validation->bound.relative) &&
           bound_read(options, OPTION_ATOL, &validation->bound.absolute);
}

static Verdict *verdict_add(Validation *validation)
{
    if (validation->verdict_count == validation->verdict_capacity) {
        const int capacity = validation->verdict_capacity * 2 + 64;
        Verdict *const more = NEW_ARRAY(validation->options->arena, Verdict, (size_t)capacity);
        if (validation->verdict_count)
            memcpy(more, validation->verdicts, (size_t)validation->verdict_count * sizeof *more);
        validation->verdicts = more;
        validation->verdict_capacity = capacity;
    }
    return &validation->verdicts[validation->verdict_count++];
}

/* The command line with -O0, --math exact and nothing tuned: what the interpreter runs. */
static Options plain_options(const Options *options)
{
    static const char *zero[] = {"0"}, *exact[] = {"exact"};
    Options plain = *options;
    plain.values[OPTION_LEVEL] = (OptionValues){zero, 1};
    plain.values[OPTION_MATH] = (OptionValues){exact, 1};
    plain.values[OPTION_TUNING] = (OptionValues){0};
    plain.values[OPTION_TARGET] = (OptionValues){0};
    plain.values[OPTION_MACHINE] = (OptionValues){0};
    return plain;
}

/* ---- reference values ---- */

static const char *file_name(Arena *arena, const char *name)
{
    char *const text = arena_format(arena, "%s", name);
    for (char *at = text; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("._-", *at))
            *at = '_';
    return text;
}

/* The value's file; *found false when there is none. False after a diagnostic. */
static bool reference_read(const Validation *validation, Name name, HostValue *value, bool *found)
{
    const Options *const options = validation->options;
    static const char *const endings[] = {"npy", "pb"};
    *found = false;
    for (int i = 0; i < 2 && !*found; i++) {
        const char *const path = arena_format(options->arena, "%s/%s.%s", validation->reference,
                                              file_name(options->arena, name), endings[i]);
        if (access(path, R_OK) != 0)
            continue;
        *found = true;
        if (!host_value_read(value, path, NULL, NULL, options->arena, options->diagnostics))
            return false;
    }
    return true;
}

/* -o: the values as files that --reference reads. */
static bool values_write(const Options *options, const HostValue *values, uint32_t count)
{
    const char *const folder = option_text(options, OPTION_OUTPUT);
    if (!folder)
        return true;
    bool good = folder_make(folder, options->arena, options->diagnostics);
    for (uint32_t i = 0; i < count && good; i++)
        good =
            host_value_write(arena_format(options->arena, "%s/%s.%s", folder, file_name(options->arena, values[i].name),
                                          npy_holds(&values[i]) ? "npy" : "pb"),
                             &values[i], options->arena, options->diagnostics);
    return good;
}

/* ---- one batch ---- */

typedef struct Batch {
    int first, count; /* of the kept values; count 0: the model's own outputs */
} Batch;

/* The graph ends at the values of the batch. */
static void batch_cut(Pipeline *pipeline, Batch batch)
{
    Arena *const arena = pipeline->arena;
    Graph *const graph = pipeline->compilation.graph;
    if (!batch.count)
        return;
    Node **const outputs = NEW_ARRAY(arena, Node *, (size_t)batch.count);
    Name *const names = NEW_ARRAY(arena, Name, (size_t)batch.count);
    for (int i = 0; i < batch.count; i++) {
        outputs[i] = pipeline->model.kept[batch.first + i].node;
        names[i] = pipeline->model.kept[batch.first + i].name;
    }
    graph->outputs = outputs;
    graph->output_names = names;
    graph->output_count = batch.count;
}

static const char *host_text(Arena *arena, const HostValue *value, const char *name)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const stream = open_memstream(&text, &size);
    if (!stream)
        return "";
    output_summary(stream, value, name, arena);
    fclose(stream);
    while (size && text[size - 1] == '\n')
        text[--size] = '\0';
    const char *const copy = arena_format(arena, "%s", text);
    free(text);
    return copy;
}

/* What the inputs of the wrong node were, as far as they are inputs of the model or in the batch. */
static void inputs_describe(const Validation *validation, Verdict *verdict, const Session *session)
{
    Arena *const arena = validation->options->arena;
    const lathe_model_v1 *const model = session->library.model;
    verdict->input_texts = NEW_ARRAY(arena, const char *, (size_t)verdict->input_count + 1);
    for (int i = 0; i < verdict->input_count; i++) {
        const HostValue *found = NULL;
        for (uint32_t k = 0; k < model->input_count && !found; k++)
            if (strcmp(model->inputs[k].name, verdict->inputs[i]) == 0)
                found = &session->inputs[k];
        for (uint32_t k = 0; k < model->output_count && !found; k++)
            if (strcmp(model->outputs[k].name, verdict->inputs[i]) == 0)
                found = &session->outputs[k];
        verdict->input_texts[i] = found ? host_text(arena, found, verdict->inputs[i]) : NULL;
    }
}

static void judge(const Validation *validation, Verdict *verdict, const HostValue *got, const HostValue *wanted)
{
    Arena *const arena = validation->options->arena;
    verdict->type = host_type_text(arena, got);
    if (got->kind != HOST_TENSOR || wanted->kind != HOST_TENSOR || !tensor_same_kind(&got->tensor, &wanted->tensor))
        verdict->kinds =
            got->kind == wanted->kind && got->kind != HOST_TENSOR
                ? NULL
                : arena_format(arena, "is %s, the reference %s", verdict->type, host_type_text(arena, wanted));
    else if (host_dtype(got->tensor.dtype)->class != HOST_CLASS_STRING)
        verdict->difference = tensor_difference(&got->tensor, &wanted->tensor, validation->bound);
}

static bool batch_judge(Validation *validation, const Pipeline *pipeline, Batch batch, const Session *session,
                        const HostValue *wanted)
{
    Arena *const arena = validation->options->arena;
    const uint32_t count = session->library.model->output_count;
    for (uint32_t i = 0; i < count && !validation->first; i++) {
        HostValue reference;
        bool found = true;
        const HostValue *const got = &session->outputs[i];
        if (wanted)
            reference = wanted[i];
        else if (!reference_read(validation, got->name, &reference, &found))
            return false;
        validation->skipped += !found;
        if (!found)
            continue;
        Verdict *const verdict = verdict_add(validation);
        *verdict = (Verdict){.name = got->name, .difference.worst = -1};
        judge(validation, verdict, got, &reference);
        if (batch.count) { /* texts of the pipeline end with it */
            const KeptValue *const kept = &pipeline->model.kept[batch.first + (int)i];
            Where *const where = NEW(arena, Where);
            Name *const names = NEW_ARRAY(arena, Name, (size_t)kept->input_count + 1);
            *where = (Where){.node = name_intern(arena, kept->where->node),
                             .op = name_intern(arena, kept->where->op),
                             .opset = kept->where->opset};
            for (int k = 0; k < kept->input_count; k++)
                names[k] = name_intern(arena, kept->inputs[k]);
            verdict->where = where;
            verdict->inputs = names;
            verdict->input_count = kept->input_count;
        }
        if (verdict_wrong(verdict)) {
            inputs_describe(validation, verdict, session);
            validation->first = verdict;
        }
    }
    return true;
}

/* The interpreter's answers to the same inputs. */
static bool batch_interpret(const Validation *validation, Batch batch, const Session *session, Interpreted *result)
{
    const Options plain = plain_options(validation->options);
    Pipeline pipeline;
    bool good = pipeline_open(&pipeline, &plain, validation->path);
    if (good) {
        batch_cut(&pipeline, batch);
        good = interpreted_run(&pipeline, session->inputs, result);
    }
    pipeline_close(&pipeline);
    return good;
}

static bool batch_run(Validation *validation, Pipeline *pipeline, Batch batch)
{
    Session session;
    Interpreted wanted = {0};
    int64_t took;
    batch_cut(pipeline, batch);
    const bool good = session_build(&session, validation->options, pipeline, true) && session_run(&session, &took) &&
                      library_collect(&session.library, session.outputs) &&
                      (validation->reference || batch_interpret(validation, batch, &session, &wanted)) &&
                      values_write(validation->options, session.outputs, session.library.model->output_count) &&
                      batch_judge(validation, pipeline, batch, &session, wanted.outputs);
    session_close(&session);
    return good;
}

/* ---- all ---- */

bool validation_outputs(Validation *validation)
{
    Pipeline pipeline;
    const bool good = pipeline_open(&pipeline, validation->options, validation->path) &&
                      batch_run(validation, &pipeline, (Batch){0, 0});
    pipeline_close(&pipeline);
    return good;
}

/* As many values from `first` on as one batch takes. */
static Batch batch_choose(const Pipeline *pipeline, int first)
{
    uint64_t bytes = 0;
    Batch batch = {first, 0};
    for (int i = first; i < pipeline->model.kept_count && batch.count < BATCH_VALUES && bytes < batch_bytes;
         i++, batch.count++) {
        const Type type = pipeline->model.kept[i].node->type;
        int64_t dims[RANK_MAX];
        for (int k = 0; k < type.rank; k++)
            if (!const_is_int(type.dims[k], &dims[k]))
                dims[k] = -1;
        bytes = tensor_bytes_add(bytes, dtype_info[type.dtype].bits, type.rank, dims);
    }
    return batch;
}

bool validation_nodes(Validation *validation)
{
    bool good = true, more = true;
    for (int first = 0; good && more && !validation->first;) {
        Pipeline pipeline;
        good = pipeline_open(&pipeline, validation->options, validation->path);
        if (good) {
            const Batch batch = batch_choose(&pipeline, first);
            good = batch.count == 0 || batch_run(validation, &pipeline, batch);
            first += batch.count;
            more = first < pipeline.model.kept_count;
        }
        pipeline_close(&pipeline);
    }
    return good;
}
