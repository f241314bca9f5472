/* The result of a verb, as text for people, as JSON for programs, or both: --json prints JSON instead of the text,
 * --json=FILE writes it beside the text. */
#ifndef LATHE_TOOLS_ANSWER_H
#define LATHE_TOOLS_ANSWER_H

#include "tools/file.h"
#include "tools/json.h"
#include "tools/options.h"

typedef struct Answer {
    FileWriter writer;
    JsonWriter json;
} Answer;

bool answer_wants_text(const Options *options);
bool answer_wants_json(const Options *options);
/* Opens the document with its schema ("lathe.bench/1") and the tool's version. */
bool answer_open(Answer *answer, const Options *options, const char *schema);
bool answer_close(Answer *answer);

#endif
