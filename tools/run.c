/* lathe run: a model or a compiled library on given inputs, with the results as files or as a summary. */
#include "tools/verbs.h"

#include "tools/answer.h"
#include "tools/interpreted.h"
#include "tools/outputs.h"
#include "tools/pipeline.h"
#include "tools/session.h"

#include <string.h>

static bool write_json(const Options *options, const HostValue *outputs, size_t count)
{
    Answer answer;
    if (!answer_open(&answer, options, "lathe.run/1"))
        return false;
    json_key(&answer.json, "outputs");
    json_array(&answer.json);
    for (size_t i = 0; i < count; i++)
        output_json(&answer.json, &outputs[i], outputs[i].name, options->arena);
    json_close(&answer.json);
    return answer_close(&answer);
}

/* The outputs as files, as a summary for people, as JSON. */
static bool show(const Options *options, const HostValue *outputs, size_t count)
{
    Labels labels = {0};
    const char *const path = option_text(options, OPTION_LABELS);
    const int top = (int)option_integer(options, OPTION_TOP);
    if (path && !labels_read(&labels, path, options->arena, options->diagnostics))
        return false;
    if (option_given(options, OPTION_OUTPUT) && !outputs_write(outputs, count, options))
        return false;
    const bool summary = path || !option_given(options, OPTION_OUTPUT);
    for (size_t i = 0; i < count && summary && answer_wants_text(options); i++) {
        output_summary(stdout, &outputs[i], outputs[i].name, options->arena);
        if (path)
            output_classes(stdout, &outputs[i].tensor, &labels, top, options->arena);
    }
    return !answer_wants_json(options) || write_json(options, outputs, count);
}

static bool run_compiled(const Options *options)
{
    Session session;
    int64_t took;
    bool good = session_open(&session, options, false);
    for (int64_t i = option_integer(options, OPTION_REPEAT); i > 0 && good; i--)
        good = session_run(&session, &took);
    good = good && library_collect(&session.library, session.outputs) &&
           show(options, session.outputs, session.library.model->output_count);
    session_close(&session);
    return good;
}

static bool run_interpreted(const Options *options)
{
    Pipeline pipeline;
    Interpreted result;
    const bool good = pipeline_open(&pipeline, options, options->arguments[0]) &&
                      interpreted_run(&pipeline, NULL, &result) &&
                      show(options, result.outputs, (size_t)result.output_count);
    pipeline_close(&pipeline);
    return good;
}

int verb_run(const Options *options)
{
    const bool good =
        option_is(options, OPTION_BACKEND, "interpreter") ? run_interpreted(options) : run_compiled(options);
    return good ? EXIT_OK : options->diagnostics->code;
}
