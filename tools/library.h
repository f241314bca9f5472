/* A compiled model in this process: opened from a library file, or compiled on the spot from a model file. */
#ifndef LATHE_TOOLS_LIBRARY_H
#define LATHE_TOOLS_LIBRARY_H

#include "runtime/lathe_model.h"
#include "tools/pipeline.h"
#include "tools/tensorfile.h"

typedef struct Library {
    Arena *arena;
    Diagnostics *diagnostics;
    const char *path;
    void *handle;
    const lathe_model_v1 *model;
    lathe_context *context;
    lathe_tensor **in, **out; /* of the call that was prepared */
    lathe_value *values_in, *values_out; /* the same where only a run knows what comes out; else NULL */
    uint64_t heap_limit;
} Library;

/* Does the file begin as a library does? */
bool library_is(const char *path);
/* `path`: a library (by its first bytes) or a model, which is compiled into a temporary library as the target options
 * say. */
bool library_open(Library *library, const Options *options, const char *path);
/* The same from a pipeline that has its graph; the library outlives the pipeline. */
bool library_build(Library *library, Pipeline *pipeline);
/* Makes the context with `threads` (0: automatic). */
bool library_start(Library *library, int threads);
void library_close(Library *library);

/* What the model wants as inputs, in `library->arena`. */
HostSpec *library_specs(const Library *library);
/* May a run of the model `name` take so many bytes? False after a diagnostic. */
bool memory_fits(const Options *options, const char *name, uint64_t bytes);
/* `bytes` more those of a tensor of these dims; dims that are not known (-1) count once. Saturates. */
uint64_t tensor_bytes_add(uint64_t bytes, int bits, int rank, const int64_t *dims);
/* Makes outputs of the right shapes for these inputs, and the call that library_run repeats. */
bool library_prepare(Library *library, const Options *options, const HostValue *inputs, HostValue *outputs);
bool library_run(Library *library);
/* After runs: fills the outputs that library_prepare could not make, from what the model holds until its next run. */
bool library_collect(const Library *library, HostValue *outputs);

#endif
