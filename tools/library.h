/* A compiled model in this process: opened from a library file, or compiled on the spot from a model file. */
#ifndef LATHE_TOOLS_LIBRARY_H
#define LATHE_TOOLS_LIBRARY_H

#include "runtime/lathe_model.h"
#include "tools/options.h"
#include "tools/tensorfile.h"

typedef struct Library {
    Arena *arena;
    Diagnostics *diagnostics;
    const char *path;
    void *handle;
    const lathe_model_v1 *model;
    lathe_context *context;
} Library;

/* `path`: a library (by its first bytes) or a model, which is compiled into a temporary library as the target options say. */
bool library_open(Library *library, const Options *options, const char *path);
/* Makes the context with `threads` (0: automatic). */
bool library_start(Library *library, int threads);
void library_close(Library *library);

/* What the model wants as inputs, in `library->arena`. */
HostSpec *library_specs(const Library *library);
/* Outputs of the right shapes for these inputs, then one run. */
bool library_prepare(Library *library, const HostValue *inputs, HostValue *outputs);
bool library_run(Library *library, const HostValue *inputs, const HostValue *outputs);

#endif
