/* See answer.h. */
#include "tools/answer.h"

bool answer_wants_json(const Options *options)
{
    return option_given(options, OPTION_JSON);
}

bool answer_wants_text(const Options *options)
{
    return !answer_wants_json(options) || option_text(options, OPTION_JSON);
}

bool answer_open(Answer *answer, const Options *options, const char *schema)
{
    const char *const path = option_text(options, OPTION_JSON);
    if (!file_writer_open(&answer->writer, path ? path : "-", options->arena, options->diagnostics))
        return false;
    answer->json = json_writer(answer->writer.file, false);
    json_document(&answer->json, schema, LATHE_VERSION);
    return true;
}

bool answer_close(Answer *answer)
{
    json_close(&answer->json);
    return file_writer_commit(&answer->writer);
}
