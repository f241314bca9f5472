/* model.json: what was compiled, for people and build systems. The same compilation writes the same bytes. */
#ifndef LATHE_TOOLS_REPORT_H
#define LATHE_TOOLS_REPORT_H

#include "tools/json.h"
#include "tools/pipeline.h"

/* Fields of the open object; facts may be NULL when no machine code was made. */
void report_write(JsonWriter *json, Pipeline *pipeline, const BuildFacts *facts);
/* Shape as an array: numbers, and text where a dim is symbolic. */
void report_shape(JsonWriter *json, Arena *arena, Type type);

#endif
