/* Points to machine code, in forked processes: a crash of the compiler, or one that never ends, costs one point, and
 * what scheduling takes of memory is gone with the process. */
#ifndef LATHE_TOOLS_TUNE_BUILDER_H
#define LATHE_TOOLS_TUNE_BUILDER_H

#include "targets/target.h"
#include "tools/tune/task.h"

typedef struct BuildJob {
    const TuneTask *task;
    const Point *point; /* NULL: the plain schedule, which is the reference */
    /* Results: */
    Built built;         /* object NULL: it could not be built */
    const char *failure; /* why not; NULL: it could */
} BuildJob;

typedef struct Builder {
    Ir *ir;
    Arena *arena; /* of results */
    const TargetMachineInfo *target;
    const SymbolValue *values;
    int value_count;
    int jobs;
    const char *folder; /* for libraries, private */
    int cpu_seconds;
    const volatile bool *stop; /* becomes true: end everything and return */
} Builder;

/* Builds all jobs, `jobs` at a time. False: stopped. */
bool builder_build(const Builder *builder, BuildJob *jobs, int count);

/* What a forked child prints to `file`, as text in the arena; NULL: it died, or was stopped. */
const char *fork_text(Arena *arena, void (*child)(void *context, FILE *file), void *context, const volatile bool *stop);

#endif
