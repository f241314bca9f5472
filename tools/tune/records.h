/* Tuning records as files, JSON Lines: a header says for which level, features and threads; then a line per kernel.
 * Another header begins another section, so records can be put together with cat.
 *
 *     {"schema":"lathe.tuning/1","tool_version":"0.1.0","target":"x86-64-v4","features":"+avx512f,...","threads":1,...}
 *     {"kernel":"0123...","name":"conv1","roles":"m=12544 n=64 k=147","template":"contract","space":1,
 *      "values":{"vectors":2,"rows":14,"a":"packed"},"ns":812345,"default_ns":901234}
 *
 * Fields that are not known are passed over; what is known must be right. */
#ifndef LATHE_TOOLS_TUNE_RECORDS_H
#define LATHE_TOOLS_TUNE_RECORDS_H

#include "codegen/tuning.h"
#include "ir/diag.h"

#define RECORDS_SCHEMA "lathe.tuning/1"

/* False after a diagnostic with file and line. Everything lives in the arena. */
bool records_read(Tuning *tuning, const char *path, Arena *arena, Diagnostics *diagnostics);
/* Values written as {"a":1,"b":"c"}; false when they are something else. */
bool values_parse(const char *text, size_t length, Arena *arena, TrialValue *values, int *count);
/* The same text for the same values. */
const char *values_text(Arena *arena, const TrialValue *values, int count);

#endif
