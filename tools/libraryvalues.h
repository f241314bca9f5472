/* Calls of models whose course depends on data: values of any form go in, and what comes out only a run knows. For
 * library.c. */
#ifndef LATHE_TOOLS_LIBRARYVALUES_H
#define LATHE_TOOLS_LIBRARYVALUES_H

#include "tools/library.h"

bool library_is_script(const Library *library);
HostKind library_input_kind(const Library *library, uint32_t input);
bool library_values_prepare(Library *library, const Options *options, const HostValue *inputs);
bool library_values_run(Library *library);
bool library_values_collect(const Library *library, HostValue *outputs);

/* Of library.c: a description of the tensor in `value`, or without one of what the model makes; false after a
 * diagnostic. */
lathe_tensor *library_tensor(Arena *arena, const lathe_tensor_info *info, const HostValue *value);
bool library_run_failed(const Library *library, int code);

#endif
