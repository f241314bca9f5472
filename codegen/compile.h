/* From a placed module to files: schedules, machine code (in workers, through the cache), tables, weights, link. */
#ifndef LATHE_CODEGEN_COMPILE_H
#define LATHE_CODEGEN_COMPILE_H

#include "codegen/cache.h"
#include "codegen/embedded.h"
#include "codegen/model.h"
#include "codegen/schedule.h"
#include "codegen/worker.h"

typedef enum OutputKind { OUTPUT_SHARED, OUTPUT_STATIC, OUTPUT_OBJECT } OutputKind;

typedef struct BuildOptions {
    ScheduleOptions schedule;
    ModelInfo info;
    EmbeddedOptions embedded;
    const TargetMachineInfo *const *levels; /* best first */
    int level_count;
    int workers;
    Cache *cache;           /* may be NULL */
    const char *const *objects; /* files that are linked too: functions of the user's */
    int object_count;
    const char *lines_file; /* name of the file that gets `lines_text`; debug information refers to it. NULL: none */
    const char *lines_text; /* the module as print_module gives it */
    void (*progress)(void *context, int done, int total);
    void (*in_worker)(void *context, const KernelJob *job); /* for tests: see codegen/worker.h */
    void *context;
} BuildOptions;

typedef struct BuildFacts {
    int kernels, from_cache, fell_back; /* machine code functions over all levels */
    int64_t code_bytes; /* of their machine code and its constants, as it is loaded */
} BuildFacts;

/* Schedules the kernels of the compilation; the program stays valid as long as the Ir. False after a diagnostic. */
bool build_program(const Compilation *compilation, const BuildOptions *options, Program *program);
/* Compiles the program's kernels and writes a library or object to `output`. */
bool build_output(Program *program, const BuildOptions *options, OutputKind kind, const char *output,
                  BuildFacts *facts);
/* The text of one format of all kernels and of the tables, for reading. */
bool build_text(Program *program, const BuildOptions *options, ObjectFormat format, FILE *file);

#endif
